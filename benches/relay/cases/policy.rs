//! The policy of the linked library alone: the cost of an admission and of a waiting request.

use super::Env;
use crate::{
    admission::{AdmissionFigures, AdmissionPlan},
    report::{Bound, Sample},
};
use anyhow::{Context, ensure};
use std::process::{Command, Stdio};

const ADMISSION_US_MAX: f64 = 20.0;
const WAITERS_MB_MAX: f64 = 20.0;

pub(crate) async fn policy(env: &Env) -> anyhow::Result<Vec<Sample>> {
    let plan = AdmissionPlan { admissions: env.count(20_000, 100), waiters: env.count(100, 3) };
    let mut command = Command::new(std::env::current_exe()?);
    command.args(plan.arguments()).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().context("cannot start the policy's process")?;
    ensure!(output.status.success(), "the policy's process ended with {}", output.status);
    let figures: AdmissionFigures = serde_json::from_slice(&output.stdout).context("not figures")?;
    let admission = Bound::AtMost(ADMISSION_US_MAX);
    Ok(vec![
        Sample::new("admission p50", "us", figures.alone.p50, admission),
        Sample::new("admission p99", "us", figures.alone.p99, Bound::None),
        Sample::new("with 64 under way p50", "us", figures.beside.p50, admission),
        Sample::new("with 64 under way p99", "us", figures.beside.p99, Bound::None),
        Sample::new("64 at once, share of each", "us", figures.at_once_each_us, Bound::None),
        Sample::new("64 at once p50", "us", figures.at_once.p50, Bound::None),
        Sample::new("64 at once p99", "us", figures.at_once.p99, Bound::None),
        Sample::new("10000 waiters rss", "MB", figures.waiters_bytes / 1e6, Bound::AtMost(WAITERS_MB_MAX)),
        Sample::new("10000 waiters admitted", "ms", figures.released_ms, Bound::None),
    ])
}
