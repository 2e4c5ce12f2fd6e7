//! The copy of the tree in which rules are broken.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::table::Mutant;

/// A copy of the tree, with a folder of builds beside it.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) tree: PathBuf,
    pub(crate) builds: PathBuf,
}

/// A file with a broken rule.
#[derive(Debug)]
pub(crate) struct Broken {
    path: PathBuf,
    whole: String,
}

impl Scratch {
    /// Copies what belongs to the tree, and what has changed since the last time only, so that builds
    /// are kept.
    pub(crate) fn copy(root: &Path, scratch: &Path) -> Result<Self> {
        let scratch = root.join(scratch);
        let (tree, builds) = (scratch.join("tree"), scratch.join("build"));
        let files = files_of(root)?;
        for file in &files {
            let content = fs::read(root.join(file))
                .with_context(|| format!("cannot read {}", file.display()))?;
            let content = if file == Path::new("tests/Cargo.toml") {
                without_bins(&content)?
            } else {
                content
            };
            put(&tree.join(file), &content)?;
        }
        forget_others(&tree, &tree, &files)?;
        Ok(Self { tree, builds })
    }

    /// Breaks a rule.
    pub(crate) fn break_rule(&self, mutant: &Mutant) -> Result<Broken> {
        let path = self.tree.join(&mutant.file);
        let whole = fs::read_to_string(&path)?;
        fs::write(&path, mutant.applied_to(&whole)?)?;
        Ok(Broken { path, whole })
    }
}

impl Broken {
    pub(crate) fn mend(self) -> Result<()> {
        Ok(fs::write(&self.path, &self.whole)?)
    }
}

/// What git knows, and what is new and not ignored.
fn files_of(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    ensure!(output.status.success(), "git ls-files has failed");
    let names = String::from_utf8(output.stdout).context("a name is not UTF-8")?;
    let names = names.split('\0').filter(|name| !name.is_empty());
    // What was deleted and not committed is known to git all the same.
    let there = names
        .map(PathBuf::from)
        .filter(|name| root.join(name).is_file());
    Ok(there.collect())
}

/// The programs of the package are not needed by the tests that run, and take longer to link than those.
fn without_bins(manifest: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(manifest)?;
    let whole = text.replacen("[package]\n", "[package]\nautobins = false\n", 1);
    ensure!(whole != text, "tests/Cargo.toml has no [package]");
    Ok(whole.into_bytes())
}

fn put(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// Takes out what is not in the tree any more.
fn forget_others(tree: &Path, folder: &Path, files: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            forget_others(tree, &path, files)?;
        } else if !files.contains(path.strip_prefix(tree)?) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
