use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::error::{ConfigError, Place, Problem, Report};
use crate::{
    limits::{CONFIG_FILE_BYTES_MAX, CONFIG_FILES_MAX},
    scope::Scope,
};

/// Which files make up a configuration, and for whom it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    kind: Kind,
    scope: Scope,
    /// Stronger than all files: what the command line says, as TOML.
    options: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Files and folders of which none need be there, from the weak to the strong.
    Standard(Vec<Step>),
    /// A file that must be there.
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Main(PathBuf),
    DropIns(PathBuf),
}

impl Sources {
    /// For `NAME`, in this order:
    ///
    /// 1. `/usr/lib/unitlink/NAME.toml.d/*.toml`
    /// 2. `/etc/unitlink/NAME.toml`
    /// 3. `/etc/unitlink/NAME.toml.d/*.toml`
    ///
    /// For a user, the first folders are `/usr/lib/unitlink/user` and `/etc/unitlink/user`, and after
    /// them come `$XDG_CONFIG_HOME/unitlink/NAME.toml` and `$XDG_CONFIG_HOME/unitlink/NAME.toml.d/*.toml`.
    ///
    /// Files of a folder are read in the order of their names; hidden ones are not read. A file in
    /// `/etc` does not hide one of the same name in `/usr/lib`, both count; but a link to
    /// `/dev/null` hides all that are weaker, as elsewhere in systemd.
    pub fn standard(name: &str, scope: &Scope) -> Self {
        Self::under(Path::new("/"), name, scope)
    }

    /// As [`Sources::standard`], under another root.
    pub fn under(root: &Path, name: &str, scope: &Scope) -> Self {
        let mut steps = Vec::new();
        for (number, folder) in scope.config_folders().into_iter().enumerate() {
            let folder = root.join(folder.strip_prefix("/").unwrap_or(&folder));
            if number > 0 {
                steps.push(Step::Main(folder.join(format!("{name}.toml"))));
            }
            steps.push(Step::DropIns(folder.join(format!("{name}.toml.d"))));
        }
        Self {
            kind: Kind::Standard(steps),
            scope: scope.clone(),
            options: None,
        }
    }

    /// One file in place of all others, for `--config`. It must be there.
    pub fn file(path: impl Into<PathBuf>, scope: &Scope) -> Self {
        Self {
            kind: Kind::File(path.into()),
            scope: scope.clone(),
            options: None,
        }
    }

    /// No file at all, for a program that may be told everything on its command line.
    pub fn none(scope: &Scope) -> Self {
        Self {
            kind: Kind::Standard(Vec::new()),
            scope: scope.clone(),
            options: None,
        }
    }

    /// The same with what the command line says, which is stronger than any file. It is written as
    /// TOML; messages about it say `command line` in place of a file and a line.
    #[must_use]
    pub fn with_options(self, toml: String) -> Self {
        Self {
            options: Some(toml),
            ..self
        }
    }

    /// For whom it is.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Reads what is there, in order.
    pub(super) fn read(&self, report: &Report) -> Vec<Text> {
        let (files, may_be_missing) = match &self.kind {
            Kind::File(path) => (vec![path.clone()], false),
            Kind::Standard(steps) => {
                let mut files = Vec::new();
                for step in steps {
                    match step {
                        Step::Main(path) => files.push(path.clone()),
                        Step::DropIns(folder) => {
                            let (masks, own): (Vec<_>, Vec<_>) = drop_ins(folder, report)
                                .into_iter()
                                .partition(|it| is_mask(it));
                            let masked: BTreeSet<_> =
                                masks.iter().filter_map(|it| it.file_name()).collect();
                            let in_folder = |it: &Path| {
                                it.parent().and_then(Path::file_name) == folder.file_name()
                            };
                            files.retain(|it: &PathBuf| {
                                let name = it.file_name();
                                !in_folder(it) || name.is_none_or(|name| !masked.contains(name))
                            });
                            files.extend(own);
                        }
                    }
                }
                (files, true)
            }
        };
        if let Some(beyond) = files.get(CONFIG_FILES_MAX) {
            let (found, files_max) = (files.len(), CONFIG_FILES_MAX);
            let problem = Problem::TooManyFiles { found, files_max };
            report.add_incomplete(whole(beyond.parent().unwrap_or(beyond), 0, problem));
            return Vec::new();
        }
        let mut texts = Vec::new();
        for (order, path) in files.into_iter().enumerate() {
            match read_file(&path, order) {
                Ok(text) => texts.push(text),
                Err(ReadError::Missing) if may_be_missing => {}
                Err(ReadError::Missing) => {
                    let problem = Problem::Unreadable("there is no such file".to_owned());
                    report.add_incomplete(whole(&path, order, problem));
                }
                Err(ReadError::Wrong(error)) => report.add_incomplete(error),
            }
        }
        texts.extend(self.options.clone().map(|text| Text {
            is_file: false,
            ..Text::new(Path::new("command line"), usize::MAX, text)
        }));
        texts
    }
}

/// The text of a file, or of the command line.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) path: Arc<Path>,
    pub(super) text: String,
    order: usize,
    /// Where each line begins: a file of a thousand nodes has thousands of keys, each with its place.
    lines: Vec<usize>,
    is_file: bool,
}

impl Text {
    fn new(path: &Path, order: usize, text: String) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(end, _)| end + 1));
        Self {
            path: path.into(),
            order,
            lines: lines.collect(),
            text,
            is_file: true,
        }
    }

    /// The place of a byte of the text.
    pub(super) fn place(&self, offset: usize) -> Place {
        Place {
            file: Arc::clone(&self.path),
            position: self.is_file.then(|| self.position(offset)),
            order: self.order,
        }
    }

    /// Line and column of a byte, both from 1; bytes that begin no character do not count.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|begin| *begin <= offset);
        let begin = line.checked_sub(1).and_then(|at| self.lines.get(at));
        let begin = begin.copied().unwrap_or(0);
        let before = self.text.as_bytes().get(begin..offset).unwrap_or_default();
        let characters = before.iter().filter(|b| **b & 0xc0 != 0x80).count();
        (line, characters + 1)
    }
}

enum ReadError {
    Missing,
    Wrong(ConfigError),
}

fn whole(path: &Path, order: usize, problem: Problem) -> ConfigError {
    let place = Place {
        file: path.into(),
        position: None,
        order,
    };
    ConfigError {
        place,
        key: None,
        problem,
    }
}

fn is_mask(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"))
}

/// The `*.toml` of a folder, in the order of their names. A folder that is not there has none.
fn drop_ins(folder: &Path, report: &Report) -> Vec<PathBuf> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
        paths.collect()
    };
    match list() {
        Ok(mut paths) => {
            paths.retain(|path| path.extension().is_some_and(|it| it == "toml"));
            paths.retain(|path| {
                let name = path.file_name().unwrap_or_default();
                !name.as_encoded_bytes().starts_with(b".")
            });
            paths.sort();
            paths
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            report.add_incomplete(whole(folder, 0, Problem::Unreadable(lower(&error))));
            Vec::new()
        }
    }
}

fn read_file(path: &Path, order: usize) -> Result<Text, ReadError> {
    let wrong = |problem| ReadError::Wrong(whole(path, order, problem));
    let failed = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            return ReadError::Missing;
        }
        wrong(Problem::Unreadable(lower(&error)))
    };
    // Asked before it is opened: opening a FIFO would wait for its writer.
    let kind = fs::metadata(path).map_err(failed)?.file_type();
    if kind.is_dir() {
        return Err(wrong(Problem::NotAFile("a directory")));
    }
    if !kind.is_file() && fs::canonicalize(path).is_ok_and(|it| it != Path::new("/dev/null")) {
        return Err(wrong(Problem::NotAFile("a socket, FIFO or device")));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(CONFIG_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > CONFIG_FILE_BYTES_MAX) {
        return Err(wrong(Problem::TooLong {
            bytes_max: CONFIG_FILE_BYTES_MAX,
        }));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Text::new(path, order, text)),
        Err(error) => {
            let (bytes, offset) = (error.as_bytes(), error.utf8_error().valid_up_to());
            let valid = String::from_utf8_lossy(bytes.get(..offset).unwrap_or_default());
            let place = Text::new(path, order, valid.into_owned()).place(offset);
            let problem = Problem::NotUtf8(bytes.get(offset).copied().unwrap_or_default());
            Err(ReadError::Wrong(ConfigError {
                place,
                key: None,
                problem,
            }))
        }
    }
}

/// The text of an error of the system as the other messages are: lower case, without the number.
fn lower(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(0, (1, 1); "the first byte")]
    #[test_case(2, (1, 3); "the end of a line belongs to it")]
    #[test_case(3, (2, 1); "the next line")]
    #[test_case(5, (2, 2); "after a character of two bytes")]
    #[test_case(7, (3, 1); "an empty line")]
    #[test_case(8, (4, 1); "after all")]
    fn bytes_have_lines_and_columns_of_characters(offset: usize, place: (usize, usize)) {
        let text = Text::new(Path::new("f"), 0, "ab\nüx\n\n".to_owned());
        assert_eq!(text.position(offset), place);
    }
}
