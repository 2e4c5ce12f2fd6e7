//! The installed tree that is laid over the host's `/usr`.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// What `make install DESTDIR=… PREFIX=/usr` installed: `usr/` is laid over `/usr` of each node as
/// a read-only overlay, `etc/` is copied into its `/etc`.
///
/// The tree must not change while nodes run: what an overlay shows of a changed lower directory is
/// undefined (the kernel's `overlayfs.rst`).
#[derive(Debug, Clone)]
pub struct Stage(PathBuf);

impl Stage {
    /// The stage at `$UNITLINK_STAGE`, else at `stage` in the target directory of this workspace.
    ///
    /// # Errors
    ///
    /// When nothing is installed there.
    pub fn find() -> Result<Self> {
        let path = env::var_os("UNITLINK_STAGE").map_or_else(default_path, PathBuf::from);
        Self::at(&path)
    }

    /// The stage at `path`.
    ///
    /// # Errors
    ///
    /// When nothing is installed there, or when its path cannot be given to nspawn.
    pub fn at(path: &Path) -> Result<Self> {
        let path = path
            .canonicalize()
            .with_context(|| format!("nothing is installed at {}", path.display()))?;
        if !path.join("usr").is_dir() {
            bail!(
                "{} has no usr directory; install with PREFIX=/usr",
                path.display()
            );
        }
        let text = path
            .to_str()
            .with_context(|| format!("not UTF-8: {}", path.display()))?;
        if text.contains([':', ',', '\\']) {
            bail!("the path of a stage may not hold ':', ',' or '\\': {text}");
        }
        if path.starts_with("/run") {
            bail!("a stage cannot be below /run, which nodes do not share with the host: {text}");
        }
        Ok(Self(path))
    }

    /// Where it is on the host.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

fn default_path() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join("stage")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_must_hold_a_usr_directory() {
        let error = Stage::at(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_err();
        assert!(error.to_string().contains("no usr directory"), "{error}");
    }
}
