//! `database.json`: identity of the database that belongs to this folder, and its progress at the last execution of an
//! instruction. It is kept outside of the database, so that a missing, different or older database is detected.

use super::files::{self, PrivateFileError};
use serde::{Deserialize, Serialize};
use std::{io, path::Path};

const FILE: &str = "database.json";

/// Identity and progress of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreMark {
    /// Id of the database.
    pub store_id: String,
    /// Number and hash of the last line of its audit trail.
    pub head: Option<(i64, String)>,
}

impl StoreMark {
    /// Reads the mark; `None` before the first start.
    ///
    /// # Errors
    ///
    /// The file cannot be used, for the reason in the text.
    pub fn read(state_folder: &Path) -> Result<Option<StoreMark>, String> {
        let text = match files::read_private(&state_folder.join(FILE), false) {
            Err(PrivateFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|distrust| distrust.to_string())?,
        };
        serde_json::from_str(&text).map(Some).map_err(|error| error.to_string())
    }

    /// Writes the mark durably.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub fn write(&self, state_folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string(self).expect("texts and numbers serialize");
        files::write_private(&state_folder.join(FILE), &format!("{text}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_folder::tests::Temporary;

    #[test]
    fn a_written_mark_is_read_back_and_an_invalid_one_is_an_error() {
        let folder = Temporary::new();
        assert_eq!(StoreMark::read(&folder.0), Ok(None));
        let mark = StoreMark { store_id: "0".repeat(32), head: Some((7, "hash".into())) };
        mark.write(&folder.0).unwrap();
        assert_eq!(StoreMark::read(&folder.0), Ok(Some(mark)));
        files::write_private(&folder.0.join(FILE), "{}").unwrap();
        assert!(StoreMark::read(&folder.0).is_err());
    }
}
