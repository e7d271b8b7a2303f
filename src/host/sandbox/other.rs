//! Where there is no sandbox: nothing is confined, and so nothing that must be is run.

use super::Ground;
use crate::host::exec::Fault;
use std::path::Path;

const NOT_HERE: &str = "there is no sandbox on this system";

/// What cannot be had here.
pub(in crate::host) struct Wrapped(());

impl Wrapped {
    pub(in crate::host) fn reader(self) -> Self {
        self
    }

    pub(in crate::host) fn fault(self, _: &str) -> Option<Fault> {
        None
    }
}

pub(in crate::host) fn wrap(_: &Ground, _: &Path, _: &[String]) -> Result<(Vec<String>, Wrapped), String> {
    Err(NOT_HERE.to_owned())
}

pub(in crate::host) fn enter(_: &Ground) -> Result<(), String> {
    Err(NOT_HERE.to_owned())
}
