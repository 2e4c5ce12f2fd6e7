//! How the agent writes a file.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Replaces a file as a whole, so that a reader finds the old text or the new one. What the agent writes is in memory
/// (`/run`, as `$XDG_RUNTIME_DIR`), so there is no disk to wait for.
///
/// # Errors
///
/// Fails when it cannot be written; the old text stays.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    drop(file);
    fs::rename(&new, path)
}
