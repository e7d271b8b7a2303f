//! `database.json`: which database belongs to this folder, and how far it had come when something last ran on a model's
//! word. It stands outside of the database, so that one that is gone, another, or an older copy is known as such.

use super::files::{self, PrivateFileError};
use serde::{Deserialize, Serialize};
use std::{io, path::Path};

const FILE: &str = "database.json";

/// What is remembered of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreMark {
    /// Its name.
    pub store_id: String,
    /// Number and hash of the last line of its trail.
    pub head: Option<(i64, String)>,
}

impl StoreMark {
    /// What is remembered; nothing before the first start.
    ///
    /// # Errors
    ///
    /// Says why what is there cannot be used.
    pub fn read(state_folder: &Path) -> Result<Option<StoreMark>, String> {
        let text = match files::read_private(&state_folder.join(FILE), false) {
            Err(PrivateFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|distrust| distrust.to_string())?,
        };
        serde_json::from_str(&text).map(Some).map_err(|error| error.to_string())
    }

    /// Remembers it, also over a crash.
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
    fn what_was_remembered_is_read_back_and_rubbish_is_none() {
        let folder = Temporary::new();
        assert_eq!(StoreMark::read(&folder.0), Ok(None));
        let mark = StoreMark { store_id: "0".repeat(32), head: Some((7, "hash".into())) };
        mark.write(&folder.0).unwrap();
        assert_eq!(StoreMark::read(&folder.0), Ok(Some(mark)));
        files::write_private(&folder.0.join(FILE), "{}").unwrap();
        assert!(StoreMark::read(&folder.0).is_err());
    }
}
