//! The file of records: what systemd cannot say about holds, and a restarted agent must know.

use std::{
    fs::{DirBuilder, File},
    io::{self, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use node::{Records, limits::RECORDS_BYTES_MAX};

use crate::replace::replace;

/// Where it is, in the folder of our sockets.
pub(crate) const FOLDER: &str = "agent";

/// The file of records.
#[derive(Clone, Debug)]
pub(crate) struct RecordFile {
    path: PathBuf,
}

impl RecordFile {
    /// The file in this folder, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be made.
    pub(crate) fn in_folder(folder: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        Ok(Self {
            path: folder.join("holds"),
        })
    }

    /// Reads it. None is no records; what is not text is damaged as a whole.
    ///
    /// # Errors
    ///
    /// Fails when it is there and cannot be read.
    pub(crate) fn read(&self) -> io::Result<Records> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Records::default()),
            file => file?,
        };
        let bytes_max = u64::try_from(RECORDS_BYTES_MAX)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(Records::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Replaces it, so that a reader finds the old text or the new one.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written; the old text stays.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        replace(&self.path, text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn records_are_replaced_as_a_whole_and_may_be_missing() {
        let name = format!(
            "unitlink-records-{}",
            host::clock::random_u64().expect("random")
        );
        let folder = std::env::temp_dir().join(name);
        let file = RecordFile::in_folder(&folder).expect("folder");
        assert_eq!(file.read().expect("missing"), Records::default());
        let text =
            "unitlink holds 1\nhold t.service a 01010101010101010101010101010101 starting -\n";
        file.write(&format!("{text}broken\n")).expect("written");
        file.write(text).expect("written");
        let records = file.read().expect("there");
        assert_eq!((records.entries.len(), records.damages.len()), (1, 0));
        fs::write(&file.path, b"\xff\xff").expect("written");
        assert_eq!(file.read().expect("there").damages.len(), 1);
        fs::remove_dir_all(folder).expect("removed");
    }
}
