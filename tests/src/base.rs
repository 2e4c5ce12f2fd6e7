//! The operating system of the nodes: what the host has in `/usr`, or that of another tree.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::island::Island;

/// Where nodes find another tree than the host's.
const PLACE: &str = "/run/base";

/// Nothing is waited for in it but the kernel.
const MOUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Base(Option<PathBuf>);

impl Base {
    /// The tree at `$UNITLINK_BASE`, such as debootstrap(8) makes them; without it, the host's.
    ///
    /// # Errors
    ///
    /// When there is no systemd in the tree.
    pub(crate) fn find() -> Result<Self> {
        match env::var_os("UNITLINK_BASE").filter(|path| !path.is_empty()) {
            Some(path) => Self::at(Path::new(&path)),
            None => Ok(Self(None)),
        }
    }

    fn at(path: &Path) -> Result<Self> {
        let path = path
            .canonicalize()
            .with_context(|| format!("there is no system at {}", path.display()))?;
        if !path.join("usr/lib/systemd/systemd").is_file() {
            bail!("{} has no systemd", path.display());
        }
        Ok(Self(Some(path)))
    }

    /// Its root, on the host.
    pub(crate) fn root(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new("/"))
    }

    /// What a path in it begins with for nspawn.
    pub(crate) fn place(&self) -> &'static str {
        if self.0.is_some() { PLACE } else { "" }
    }

    /// Shows it to the nodes.
    pub(crate) fn show(&self, island: &Island) -> Result<()> {
        let Some(root) = &self.0 else {
            return Ok(());
        };
        let root = root.to_str().context("the path of a tree is not UTF-8")?;
        for args in [
            &["mkdir", "-p", PLACE][..],
            &["mount", "--bind", root, PLACE][..],
        ] {
            island.run(args, MOUNT_TIMEOUT)?.ok()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_without_systemd_is_no_base() {
        let error = Base::at(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_err();
        assert!(error.to_string().contains("has no systemd"), "{error}");
    }
}
