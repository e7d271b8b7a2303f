//! The budget of instructions, `benches/budget.toml`, and the comparison of counts with it.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::{fmt, fs, path::PathBuf};

/// A unit of work whose instructions are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CountedUnit {
    Request,
    Event,
    Row,
}

impl CountedUnit {
    const ALL: [CountedUnit; 3] = [CountedUnit::Request, CountedUnit::Event, CountedUnit::Row];

    fn name(self) -> &'static str {
        match self {
            CountedUnit::Request => "buffered request",
            CountedUnit::Event => "event of a stream",
            CountedUnit::Row => "stored row",
        }
    }
}

/// Instructions for one more of each unit.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    pub(crate) request: f64,
    pub(crate) event: f64,
    pub(crate) row: f64,
}

impl Counts {
    pub(crate) fn each(mut count: impl FnMut(CountedUnit) -> f64) -> Self {
        Counts { request: count(CountedUnit::Request), event: count(CountedUnit::Event), row: count(CountedUnit::Row) }
    }

    pub(crate) fn of(&self, what: CountedUnit) -> f64 {
        match what {
            CountedUnit::Request => self.request,
            CountedUnit::Event => self.event,
            CountedUnit::Row => self.row,
        }
    }

    /// Returns by how many per cent the largest count of each unit exceeds the smallest one.
    pub(crate) fn spread(rounds: &[Counts]) -> String {
        let of = |what: CountedUnit| {
            let values = || rounds.iter().map(|counts| counts.of(what));
            let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
            format!("{} {:.2} %", what.name(), (most / least - 1.0) * 100.0)
        };
        CountedUnit::ALL.map(of).join(", ")
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |what: CountedUnit| format!("{} {:.0}", what.name(), self.of(what));
        f.write_str(&CountedUnit::ALL.map(of).join(", "))
    }
}

/// The instructions that each unit may need.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// Excess that still passes, in per cent of the budget.
    room_percent: f64,
    instructions: Counts,
}

/// Comment at the top of the file.
const HEAD: &str = "\
# Instructions of the daemon for one more of each, counted by callgrind in the profile `budget` with the toolchain of this
# repository, on x86-64 Linux. A count that exceeds its budget by more than the room fails tests/run. A change that needs
# more renews this file in the same commit, whose body says what for:
#
#     bash -c '. tests/run; budget --renew'
#
# What is counted: benches/relay/count.rs. Why in this way, and the room: docs/decisions/044-builds-and-budgets.md.

";

impl Budget {
    fn path() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/budget.toml")
    }

    pub(crate) fn read() -> anyhow::Result<Self> {
        let path = Budget::path();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not a budget", path.display()))
    }

    /// Returns a budget of these counts with the same room.
    pub(crate) fn renewed(&self, counts: &Counts) -> Self {
        Budget { instructions: Counts::each(|what| counts.of(what).round()), ..*self }
    }

    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let path = Budget::path();
        let text = format!("{HEAD}{}", toml::to_string(self)?);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Returns the excess of a count over its budget, in per cent of the budget.
    fn excess(&self, counts: &Counts, what: CountedUnit) -> f64 {
        (counts.of(what) / self.instructions.of(what) - 1.0) * 100.0
    }

    pub(crate) fn table(&self, counts: &Counts) -> String {
        let row = |what: CountedUnit| {
            let (count, budget) = (counts.of(what), self.instructions.of(what));
            format!("{:<18} {count:>12.0} {budget:>12.0} {:>+8.1} %", what.name(), self.excess(counts, what))
        };
        let rows = CountedUnit::ALL.map(row).join("\n");
        format!("{:<18} {:>12} {:>12} {:>8}\n{rows}", "", "instructions", "budget", "change")
    }

    /// Returns a message about the counts that exceed their budget by more than the room, if there are any.
    pub(crate) fn over(&self, counts: &Counts) -> Option<String> {
        let over = CountedUnit::ALL.into_iter().filter(|&what| self.excess(counts, what) > self.room_percent);
        let lines: Vec<String> = over
            .map(|what| {
                let (count, budget) = (counts.of(what), self.instructions.of(what));
                let (more, excess) = (count - budget, self.excess(counts, what));
                format!(
                    "over budget: {} needs {more:.0} instructions more than its {budget:.0} ({excess:+.1} %)",
                    what.name()
                )
            })
            .collect();
        (!lines.is_empty()).then(|| {
            format!(
                "{}\nThe room is {} %. `callgrind_annotate target/tmp/callgrind/*/*` shows where they are spent. If the \
                 change is worth them, renew the budget with `bash -c '. tests/run; budget --renew'` and say why in the commit.",
                lines.join("\n"),
                self.room_percent,
            )
        })
    }
}
