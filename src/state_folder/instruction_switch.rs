//! The switch that turns instructions off: a file that exists until the operator enables instructions.
//!
//! The database records which instructions were executed. If it was quarantined, is missing, or is another or older one than
//! before, that is unknown, so no instruction runs until a person enables them. A file and not a row, since it must survive
//! further damage of the database.

use super::{files, remove};
use std::{io, path::Path};

const FILE: &str = "instructions.off";
const TEXT: &str = "The database that recorded which instructions were executed was lost, replaced or moved aside.\n\
                    Instructions stay off until `baa-conductor instructions enable`.\n";

/// Returns whether instructions may run; false if this cannot be determined.
pub fn instructions_enabled(state_folder: &Path) -> bool {
    matches!(state_folder.join(FILE).symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Enables instructions. Returns whether they were off.
///
/// # Errors
///
/// The folder cannot be written.
pub fn enable_instructions(state_folder: &Path) -> io::Result<bool> {
    let was_off = !instructions_enabled(state_folder);
    remove(&state_folder.join(FILE))?;
    Ok(was_off)
}

/// Turns instructions off, persistently.
///
/// # Errors
///
/// The folder cannot be written.
pub fn disable_instructions(state_folder: &Path) -> io::Result<()> {
    files::write_private(&state_folder.join(FILE), TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_folder::tests::Temporary;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn disabled_instructions_are_off_until_they_are_enabled() {
        let folder = Temporary::new();
        assert!(instructions_enabled(&folder.0));
        assert!(!enable_instructions(&folder.0).unwrap());
        disable_instructions(&folder.0).unwrap();
        assert!(!instructions_enabled(&folder.0));
        assert!(enable_instructions(&folder.0).unwrap());
        assert!(instructions_enabled(&folder.0));
    }

    #[test]
    fn an_undetermined_state_means_off() {
        let folder = Temporary::new();
        fs::write(folder.0.join("file"), "").unwrap();
        assert!(!instructions_enabled(&folder.0.join("file")), "not a folder");
        symlink("nowhere", folder.0.join(FILE)).unwrap();
        assert!(!instructions_enabled(&folder.0), "a link to nowhere is there");
    }
}
