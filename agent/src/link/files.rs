//! `UnitFiles`: the files that units are made of, as systemctl(1) prints them with `cat`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
};

use host::bus::object::{Facts, facts, variant};
use node::ManagerError;
use proto::dbus::{error, systemd};
use rustix::fs::OFlags;
use zbus::wire::OwnedVariant;

use super::pass::{from_systemd, get_all, unit_path};
use crate::{
    limits::{FILE_BYTES_MAX, FILES_BYTES_MAX, FILES_UNITS_MAX},
    systemd::Manager,
};

/// A unit, and what is known of its files.
pub(super) type Files = (String, Facts);

/// The properties of a unit that say where its files are, org.freedesktop.systemd1(5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Paths {
    load: String,
    fragment: String,
    source: String,
    drop_ins: Vec<String>,
    needs_reload: bool,
}

/// What there is to say about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// Its text. What is no UTF-8 in it is replaced.
    Text(String),
    /// Why there is none.
    Missing(String),
}

/// The files of units, in the order in which they were asked for.
///
/// # Errors
///
/// Fails when one has no valid name, or systemd does not answer.
pub(super) async fn of(units: &[String], manager: &Manager) -> Result<Vec<Files>, ManagerError> {
    if units.len() > FILES_UNITS_MAX {
        return Err(ManagerError {
            name: error::LIMITS_EXCEEDED.to_owned(),
            text: format!(
                "{} units were asked for, at most {FILES_UNITS_MAX}",
                units.len()
            ),
        });
    }
    let mut all = Vec::new();
    for unit in units {
        all.push((unit.clone(), paths(unit.clone(), manager).await?));
    }
    // A file system may be slow, and the loop has to go on.
    let read = tokio::task::spawn_blocking(move || read_all(all));
    read.await.map_err(|error| ManagerError {
        name: error::FAILED.to_owned(),
        text: error.to_string(),
    })
}

async fn paths(unit: String, manager: &Manager) -> Result<Paths, ManagerError> {
    let path = unit_path(manager, unit).await?;
    let answer = get_all(manager, path, systemd::UNIT.to_owned()).await?;
    let body = answer.body();
    let mut properties: std::collections::HashMap<String, OwnedVariant> = from_systemd(&body)?;
    let mut text = |name: &str| {
        let value = properties.remove(name);
        value
            .and_then(|value| String::try_from(value).ok())
            .unwrap_or_default()
    };
    let (load, fragment, source) = (text("LoadState"), text("FragmentPath"), text("SourcePath"));
    let drop_ins = properties.remove("DropInPaths");
    let needs_reload = properties.remove("NeedDaemonReload");
    Ok(Paths {
        load,
        fragment,
        source,
        drop_ins: drop_ins
            .and_then(|paths| Vec::try_from(paths).ok())
            .unwrap_or_default(),
        needs_reload: needs_reload
            .and_then(|needs| bool::try_from(needs).ok())
            .unwrap_or_default(),
    })
}

fn read_all(units: Vec<(String, Paths)>) -> Vec<Files> {
    let mut room = FILES_BYTES_MAX;
    let of_unit = |(unit, paths): (String, Paths)| {
        let (mut texts, mut missing) = (Vec::new(), Vec::new());
        for path in paths.files() {
            match read(path, &mut room) {
                Content::Text(text) => texts.push((path.to_owned(), text)),
                Content::Missing(why) => missing.push((path.to_owned(), why)),
            }
        }
        let known = facts([
            ("LoadState", variant(paths.load.as_str())),
            ("FragmentPath", variant(paths.fragment.as_str())),
            ("NeedDaemonReload", variant(paths.needs_reload)),
            ("Files", variant(texts)),
            ("Unreadable", variant(missing)),
        ]);
        (unit, known)
    };
    units.into_iter().map(of_unit).collect()
}

impl Paths {
    /// The files, in the order in which systemd reads them. A unit that was made of something that is
    /// no unit file, without one of its own, has that.
    fn files(&self) -> impl Iterator<Item = &str> {
        let own = [&self.fragment, &self.source];
        let own = own.into_iter().find(|path| !path.is_empty());
        // A masked unit leads to /dev/null.
        let own = own.filter(|_| self.load != "masked");
        own.into_iter().chain(&self.drop_ins).map(String::as_str)
    }
}

/// Reads a file, if it is one, and if there is room for it.
fn read(path: &str, room: &mut u64) -> Content {
    let mut read = || -> io::Result<Content> {
        let file = open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Ok(Content::Missing("it is no regular file".to_owned()));
        }
        let max = FILE_BYTES_MAX.min(*room);
        if found.len() > max {
            let length = found.len();
            return Ok(Content::Missing(match max {
                FILE_BYTES_MAX => format!("it has {length} bytes; at most {max} are shown"),
                _ => "the files before it fill the answer".to_owned(),
            }));
        }
        let mut bytes = Vec::new();
        // It may grow while it is read.
        file.take(max).read_to_end(&mut bytes)?;
        *room = room.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(Content::Text(String::from_utf8_lossy(&bytes).into_owned()))
    };
    read().unwrap_or_else(|why| Content::Missing(why.to_string()))
}

/// Opens a file, and never waits for somebody who writes to it, as a pipe would.
fn open(path: &str) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    fn paths(load: &str, fragment: &str, source: &str, drop_ins: &[&str]) -> Paths {
        Paths {
            load: load.into(),
            fragment: fragment.into(),
            source: source.into(),
            drop_ins: drop_ins.iter().map(|&path| path.into()).collect(),
            needs_reload: false,
        }
    }

    #[test_case("loaded", "/a", "/b", &["/c", "/d"], &["/a", "/c", "/d"]; "fragment and drop ins")]
    #[test_case("loaded", "", "/b", &[], &["/b"]; "only a source")]
    #[test_case("loaded", "", "", &["/c"], &["/c"]; "only a drop in")]
    #[test_case("masked", "/a", "", &[], &[]; "masked")]
    #[test_case("not-found", "", "", &[], &[]; "not there")]
    fn files_are_in_the_order_of_systemd(
        load: &str,
        fragment: &str,
        source: &str,
        drop_ins: &[&str],
        files: &[&str],
    ) {
        let paths = paths(load, fragment, source, drop_ins);
        assert_eq!(paths.files().collect::<Vec<_>>(), files);
    }

    #[test]
    fn what_is_no_file_or_too_long_is_said_to_be() {
        let folder = std::env::temp_dir().join(format!("unitlink-files-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("folder");
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let long = usize::try_from(FILE_BYTES_MAX).expect("length");
        std::fs::write(path("short"), "[Unit]\n\u{ff}").expect("written");
        std::fs::write(path("long"), vec![b'#'; long + 1]).expect("written");
        let mut room = FILES_BYTES_MAX;
        assert_eq!(
            read(&path("short"), &mut room),
            Content::Text("[Unit]\nÿ".into())
        );
        assert_eq!(room, FILES_BYTES_MAX - 9);
        for (path, why) in [
            (
                path("long"),
                "it has 131073 bytes; at most 131072 are shown",
            ),
            (
                folder.to_string_lossy().into_owned(),
                "it is no regular file",
            ),
            ("/dev/null".into(), "it is no regular file"),
            (path("none"), "No such file or directory (os error 2)"),
        ] {
            assert_eq!(
                read(&path, &mut room),
                Content::Missing(why.into()),
                "{path}"
            );
        }
        let why = "the files before it fill the answer";
        assert_eq!(read(&path("short"), &mut 3), Content::Missing(why.into()));
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
