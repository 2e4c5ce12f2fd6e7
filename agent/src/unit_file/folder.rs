//! The folders of unit files: fragments, drop-ins, and links in `.wants/` and its like. Of files of
//! one name the first folder's counts, as for systemd.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{is_reference, may_refer, references};
use crate::limits::{REFERENCES_MAX, UNIT_FILE_BYTES_MAX, UNIT_FILES_MAX};

/// Folders whose entries are dependencies, with the setting that each stands for, systemd.unit(5).
const LINKS: &[(&str, &str)] = &[
    (".wants", "Wants"),
    (".requires", "Requires"),
    (".upholds", "Upholds"),
];

/// Suffixes of units.
const TYPES: &[&str] = &[
    "service",
    "socket",
    "target",
    "mount",
    "timer",
    "path",
    "automount",
    "swap",
    "slice",
    "scope",
    "device",
];

/// A unit names one of another node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    /// The unit; also a template, whose instances that are known are listed as well.
    pub(crate) unit: String,
    /// Where it says so.
    pub(crate) file: String,
    /// In which setting.
    pub(crate) setting: &'static str,
    /// The word, as it is written.
    pub(crate) name: String,
}

/// A bound was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("there are more than {max} {what}")]
pub(crate) struct Full {
    what: &'static str,
    max: usize,
}

/// What was found before it is known which units there are.
#[derive(Debug, Default)]
struct Found {
    /// Units with a file of their own.
    fragments: BTreeSet<String>,
    /// Units that a link names.
    linked: BTreeSet<String>,
    /// Drop-ins and links that were seen: what comes later under the same name is hidden.
    seen: BTreeSet<(String, String)>,
    /// For which units, by a name that may stand for several, what is said where.
    said: BTreeMap<String, Vec<Reference>>,
    files: usize,
}

/// Every reference in these folders, which are in the order of systemd's `UnitPath`. `loaded` are
/// units that systemd knows, among them instances of templates. What cannot be read is left out, as
/// systemd does.
///
/// # Errors
///
/// Fails when a bound is reached.
pub(crate) fn scan(folders: &[PathBuf], loaded: &BTreeSet<String>) -> Result<Vec<Reference>, Full> {
    let mut found = Found::default();
    for folder in folders {
        for name in names(folder) {
            found.entry(folder, &name)?;
        }
    }
    found.resolve(loaded)
}

impl Found {
    fn entry(&mut self, folder: &Path, name: &str) -> Result<(), Full> {
        let path = folder.join(name);
        let link = LINKS.iter().find(|(suffix, _)| name.ends_with(suffix));
        if let (Some((suffix, setting)), true) = (link, path.is_dir()) {
            let owner = name.strip_suffix(suffix).unwrap_or(name);
            return self.links(&path, owner, setting);
        }
        if let (Some(owner), true) = (name.strip_suffix(".d"), path.is_dir()) {
            for file in names(&path)
                .into_iter()
                .filter(|file| file.ends_with(".conf"))
            {
                if self.seen.insert((name.to_owned(), file.clone())) {
                    self.file(owner, &path.join(&file))?;
                }
            }
            return Ok(());
        }
        let is_unit = unit_type(name).is_some() && !is_alias(&path, name);
        if is_unit && self.fragments.insert(name.to_owned()) {
            self.file(name, &path)?;
        }
        Ok(())
    }

    fn links(&mut self, folder: &Path, owner: &str, setting: &'static str) -> Result<(), Full> {
        for name in names(folder) {
            let place = (format!("{owner} {setting}"), name.clone());
            if unit_type(&name).is_none() || !self.seen.insert(place) {
                continue;
            }
            self.count()?;
            if is_reference(&name) {
                self.says(owner, &folder.join(&name), setting, name.clone());
            }
            self.linked.insert(name);
        }
        Ok(())
    }

    fn file(&mut self, owner: &str, path: &Path) -> Result<(), Full> {
        self.count()?;
        let Some(text) = read(path) else {
            return Ok(());
        };
        if may_refer(&text) {
            for (setting, word) in references(&text) {
                self.says(owner, path, setting, word);
            }
        }
        Ok(())
    }

    fn says(&mut self, owner: &str, path: &Path, setting: &'static str, name: String) {
        let reference = Reference {
            unit: owner.to_owned(),
            file: path.display().to_string(),
            setting,
            name,
        };
        let said = self.said.entry(owner.to_owned()).or_default();
        if said.len() < REFERENCES_MAX {
            said.push(reference);
        }
    }

    fn count(&mut self) -> Result<(), Full> {
        self.files = self.files.saturating_add(1);
        if self.files > UNIT_FILES_MAX {
            let (what, max) = ("unit files", UNIT_FILES_MAX);
            return Err(Full { what, max });
        }
        Ok(())
    }

    /// Says it of each unit that is meant.
    fn resolve(self, loaded: &BTreeSet<String>) -> Result<Vec<Reference>, Full> {
        let all = [loaded, &self.fragments, &self.linked];
        let known: BTreeSet<&str> = all.into_iter().flatten().map(String::as_str).collect();
        let mut references = Vec::new();
        for (owner, said) in self.said {
            let fitting = known.iter().filter(|unit| stands_for(&owner, unit));
            let mut units: BTreeSet<&str> = fitting.copied().collect();
            if unit_type(&owner).is_some() && !is_pattern(&owner) {
                units.insert(&owner);
            }
            for unit in units {
                let of_unit = said.iter().map(|reference| Reference {
                    unit: unit.to_owned(),
                    ..reference.clone()
                });
                references.extend(of_unit);
                if references.len() > REFERENCES_MAX {
                    let what = "references to units of other nodes";
                    let max = REFERENCES_MAX;
                    return Err(Full { what, max });
                }
            }
        }
        references.sort();
        references.dedup();
        Ok(references)
    }
}

/// Whether the name of a file or of a folder of drop-ins is about a unit of another name: a template
/// about its instances, `a-.service` about all that begin with `a-`, `service` about all services,
/// systemd.unit(5).
fn stands_for(owner: &str, unit: &str) -> bool {
    let Some((stem, kind)) = unit.rsplit_once('.') else {
        return false;
    };
    match unit_type(owner) {
        None => owner == kind,
        Some((of, owner_kind)) if owner_kind == kind => {
            let instance = of.ends_with('@') && stem.len() > of.len();
            (instance || is_pattern(owner)) && stem.starts_with(of)
        }
        Some(_) => false,
    }
}

/// Whether it is a folder of drop-ins for all units with a prefix.
fn is_pattern(owner: &str) -> bool {
    unit_type(owner).is_some_and(|(stem, kind)| stem.ends_with('-') && kind != "slice")
}

/// The stem and the type of a unit's name.
fn unit_type(name: &str) -> Option<(&str, &str)> {
    let (stem, kind) = name.rsplit_once('.')?;
    (TYPES.contains(&kind) && !stem.is_empty()).then_some((stem, kind))
}

/// Whether a file is only another name for a unit whose own file is listed as well.
fn is_alias(path: &Path, name: &str) -> bool {
    let Ok(target) = fs::read_link(path) else {
        return false;
    };
    let target = target.file_name().map(|target| target.to_string_lossy());
    // A mask has no unit of its own to be listed, and hides what is below.
    target.is_some_and(|target| target != name && target != "null")
}

/// The names in a folder; nothing where there is none.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    // A name that is no UTF-8 is none of a unit.
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.collect()
}

/// The text of a regular file, as far as it is looked at.
fn read(path: &Path) -> Option<String> {
    let file = fs::File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(UNIT_FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("a@.service", "a@b.service", true; "an instance")]
    #[test_case("a@.service", "a@.service", false; "the template itself")]
    #[test_case("a@.service", "a@b.socket", false; "another type")]
    #[test_case("a-.service", "a-b.service", true; "a prefix")]
    #[test_case("service", "a.service", true; "all of a type")]
    #[test_case("service", "a.socket", false; "not of this type")]
    #[test_case("a.service", "a.service", false; "itself is no other")]
    fn a_name_may_stand_for_others(owner: &str, unit: &str, stands: bool) {
        assert_eq!(stands_for(owner, unit), stands);
    }

    /// A folder of this test alone, gone afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("made");
            Self(path)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().expect("inside")).expect("made");
            fs::write(path, text).expect("written");
        }

        fn link(&self, path: &str, target: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().expect("inside")).expect("made");
            std::os::unix::fs::symlink(target, path).expect("linked");
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn fragments_drop_ins_links_and_instances_are_found_and_what_is_hidden_is_not() {
        let folder = Folder::new("unit-file-folders");
        folder.write("etc/a.service", "[Unit]\nRequires=proxy@x_etc.service\n");
        folder.write("usr/a.service", "[Unit]\nRequires=proxy@x_usr.service\n");
        folder.link("etc/masked.service", "/dev/null");
        folder.write(
            "usr/masked.service",
            "[Unit]\nWants=proxy@x_masked.service\n",
        );
        folder.write(
            "usr/b.service.d/n.conf",
            "[Unit]\nAfter=proxy@x_drop.service\n",
        );
        folder.write("usr/c@.service", "[Unit]\nWants=proxy@x_%i.service\n");
        folder.link("etc/multi-user.target.wants/c@1.service", "../c@.service");
        folder.link(
            "etc/d.service.wants/proxy@x_d.service",
            "/usr/proxy@.service",
        );
        folder.link("etc/alias.service", "a.service");
        let folders = [
            folder.0.join("etc"),
            folder.0.join("usr"),
            folder.0.join("none"),
        ];
        let loaded = BTreeSet::from(["c@2.service".to_owned()]);
        let found = scan(&folders, &loaded).expect("few");
        let found: Vec<_> = found
            .iter()
            .map(|it| format!("{} {} {}", it.unit, it.setting, it.name))
            .collect();
        assert_eq!(
            found,
            [
                "a.service Requires proxy@x_etc.service",
                "b.service After proxy@x_drop.service",
                "c@.service Wants proxy@x_%i.service",
                "c@1.service Wants proxy@x_%i.service",
                "c@2.service Wants proxy@x_%i.service",
                "d.service Wants proxy@x_d.service",
            ]
        );
    }
}
