//! Whether instructions may run at all: a file that is there says no, until the operator removes it by command.
//!
//! What at-most-once remembers lies in the database. When that was damaged and had to be moved aside, is gone, or is another
//! or an older one than before, it is not known any more what was run already; so from then on nothing runs until a person
//! says that it may. A file and not a row, because it must outlive the next damage too.

use super::{files, remove};
use std::{io, path::Path};

const FILE: &str = "instructions.off";
const TEXT: &str = "The database in which it stood what had run already was lost, replaced or moved aside.\n\
                    Instructions stay off until `baa-conductor instructions enable`.\n";

/// Whether instructions may run. Where that cannot be told they may not.
pub fn instructions_enabled(state_folder: &Path) -> bool {
    matches!(state_folder.join(FILE).symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Lets instructions run again; answers whether that changed anything.
///
/// # Errors
///
/// The folder cannot be written.
pub fn enable_instructions(state_folder: &Path) -> io::Result<bool> {
    let was_off = !instructions_enabled(state_folder);
    remove(&state_folder.join(FILE))?;
    Ok(was_off)
}

/// Keeps instructions from running, also after a crash.
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
    fn they_are_off_from_when_they_are_disabled_until_they_are_enabled() {
        let folder = Temporary::new();
        assert!(instructions_enabled(&folder.0));
        assert!(!enable_instructions(&folder.0).unwrap());
        disable_instructions(&folder.0).unwrap();
        assert!(!instructions_enabled(&folder.0));
        assert!(enable_instructions(&folder.0).unwrap());
        assert!(instructions_enabled(&folder.0));
    }

    #[test]
    fn what_cannot_be_told_means_no() {
        let folder = Temporary::new();
        fs::write(folder.0.join("file"), "").unwrap();
        assert!(!instructions_enabled(&folder.0.join("file")), "not a folder");
        symlink("nowhere", folder.0.join(FILE)).unwrap();
        assert!(!instructions_enabled(&folder.0), "a link to nowhere is there");
    }
}
