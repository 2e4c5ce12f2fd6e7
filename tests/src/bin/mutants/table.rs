//! The rules that are broken.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde::Deserialize;

/// The folder of the tables, from the top of the tree.
const TABLES: &str = "tests/mutants";

/// A rule, broken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// What the code does instead.
    pub(crate) name: String,
    /// The rule that this breaks.
    pub(crate) rule: String,
    /// The rows of docs/reference/faults.md that rest on it.
    #[serde(default)]
    pub(crate) faults: Vec<String>,
    /// The file, from the top of the tree.
    pub(crate) file: PathBuf,
    /// What is there, once.
    pub(crate) find: String,
    /// What is there instead.
    pub(crate) replace: String,
    /// Which tests must fail: each of these layers by itself.
    pub(crate) caught_by: Vec<Layer>,
}

/// Tests that are run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layer {
    /// Those beside the code.
    Core,
    /// The named scenarios of the simulation.
    Scenario,
    /// The worlds of some seeds.
    Seeds,
    /// Every order of small fleets.
    Walk,
}

/// Tests of a package that are run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Suite {
    pub(crate) layer: Layer,
    /// The package whose own tests they are, where they are beside the code.
    pub(crate) package: &'static str,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Core => "core",
            Self::Scenario => "scenario",
            Self::Seeds => "seeds",
            Self::Walk => "walk",
        })
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.layer, self.package)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    mutant: Vec<Mutant>,
}

/// Packages whose rules may be broken, by their folders.
const PACKAGES: [(&str, &str); 3] = [
    ("agent/core", "node"),
    ("controller/core", "fleet"),
    ("proto", "proto"),
];

impl Mutant {
    /// Whether it is meant by this text.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.name.contains(text)
            || self.file.to_string_lossy().contains(text)
            || self.faults.iter().any(|fault| fault == text)
    }

    /// Forgets the other layers.
    pub(crate) fn leave(&mut self, only: Option<Layer>) {
        self.caught_by
            .retain(|layer| only.is_none_or(|only| only == *layer));
    }

    /// The tests that must fail.
    pub(crate) fn suites(&self) -> impl Iterator<Item = Suite> {
        let package = self.package().unwrap_or("tests");
        self.caught_by.iter().map(move |layer| Suite {
            layer: *layer,
            package: match layer {
                Layer::Core => package,
                Layer::Scenario | Layer::Seeds | Layer::Walk => "tests",
            },
        })
    }

    fn package(&self) -> Option<&'static str> {
        let mut packages = PACKAGES.iter();
        let (_, package) = packages.find(|(folder, _)| self.file.starts_with(folder))?;
        Some(package)
    }

    /// The text of its file, broken.
    pub(crate) fn applied_to(&self, text: &str) -> Result<String> {
        let there = text.matches(&self.find).count();
        ensure!(
            there == 1,
            "mutant '{}': its text is {there} times in {} and has to be there once",
            self.name,
            self.file.display()
        );
        Ok(text.replacen(&self.find, &self.replace, 1))
    }

    /// Whether it says something, of this tree.
    fn check(&self, root: &Path) -> Result<()> {
        let name = &self.name;
        if self.package().is_none() {
            bail!("mutant '{name}': {} is of no core", self.file.display());
        }
        ensure!(
            !self.caught_by.is_empty(),
            "mutant '{name}': nothing has to catch it"
        );
        ensure!(
            self.find != self.replace,
            "mutant '{name}': it changes nothing"
        );
        let text = fs::read_to_string(root.join(&self.file))
            .with_context(|| format!("mutant '{name}': {}", self.file.display()))?;
        self.applied_to(&text).map(drop)
    }
}

/// All mutants, in the order of their files.
///
/// # Errors
///
/// When one of them is not of this tree any more.
pub(crate) fn read(root: &Path) -> Result<Vec<Mutant>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join(TABLES)).context(TABLES)? {
        files.push(entry?.path());
    }
    files.sort();
    let mut mutants: Vec<Mutant> = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let table: Table = toml::from_str(&text).with_context(|| format!("{}", file.display()))?;
        mutants.extend(table.mutant);
    }
    let mut names = BTreeSet::new();
    for mutant in &mutants {
        mutant.check(root)?;
        ensure!(
            names.insert(&mutant.name),
            "there are two mutants '{}'",
            mutant.name
        );
    }
    Ok(mutants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_is_of_this_tree() {
        let root = crate::root().unwrap();
        assert!(read(&root).unwrap().len() >= 30);
    }

    #[test]
    fn a_text_that_is_not_there_once_is_an_error() {
        let mutant = Mutant {
            name: "m".to_owned(),
            rule: "r".to_owned(),
            faults: Vec::new(),
            file: "agent/core/src/lib.rs".into(),
            find: "now".to_owned(),
            replace: "later".to_owned(),
            caught_by: vec![Layer::Core],
        };
        assert_eq!(mutant.applied_to("do it now").unwrap(), "do it later");
        assert!(mutant.applied_to("never").is_err());
        assert!(mutant.applied_to("now or now").is_err());
    }
}
