use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    sync::Arc,
};

use thiserror::Error;

use super::options::Entry;
use crate::limits::CONFIG_ERRORS_MAX;

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file or folder.
    pub file: Arc<Path>,
    /// Line and column, both from 1, the column in characters; `None` for the whole file.
    pub position: Option<(usize, usize)>,
    /// Which of the files it is, in the order in which they are read.
    pub(super) order: usize,
}

/// A value with its place, for proofs that come later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub place: Place,
    /// Its key, dotted, as `heartbeat.interval`.
    pub key: String,
    /// What is written there, for messages.
    pub found: String,
}

/// One thing that is wrong with a configuration.
///
/// It is written as `FILE:LINE:COLUMN: KEY: PROBLEM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// Which key, dotted; `None` where it is about the file as a whole or the TOML is broken.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is something else than a file.
    #[error("found {0}, expected a file")]
    NotAFile(&'static str),
    /// It is longer than a configuration file may be.
    #[error("found more than {bytes_max} bytes, which is the most for a configuration file")]
    TooLong {
        /// The most it may have.
        bytes_max: u64,
    },
    /// There are more files than may be.
    #[error("found {found} configuration files, expected at most {files_max}")]
    TooManyFiles {
        /// How many there are.
        found: usize,
        /// How many there may be.
        files_max: usize,
    },
    /// It is no text.
    #[error("found byte {0:#04x}, expected UTF-8 text")]
    NotUtf8(u8),
    /// It is not TOML.
    #[error("broken TOML: {0}")]
    Syntax(String),
    /// The key or table means nothing.
    #[error("unknown {kind}, {hint}")]
    Unknown {
        /// `key` or `table`.
        kind: &'static str,
        /// What would be right.
        hint: String,
    },
    /// The value is of a wrong type or out of range.
    #[error("found {found}, {expected}")]
    Value {
        /// What is there.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// A value that must be there is not.
    #[error("missing, {expected}")]
    Missing {
        /// What would be right.
        expected: String,
    },
}

/// All that is wrong with a configuration, in the order of files and lines. It is written with one
/// error on each line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    more: usize,
}

impl ConfigErrors {
    /// The errors, at least one, at most [`CONFIG_ERRORS_MAX`].
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }

    /// How many there are, also those that were not kept.
    pub fn count(&self) -> usize {
        self.errors.len() + self.more
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        self.problem.fmt(f)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.display().fmt(f)?;
        match self.position {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

impl<T> Located<T> {
    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        let Self {
            value,
            place,
            key,
            found,
        } = self;
        Located {
            value: change(value),
            place,
            key,
            found,
        }
    }
}

/// Collects errors.
#[derive(Debug, Default)]
pub(super) struct Report {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    errors: Vec<ConfigError>,
    more: usize,
    incomplete: bool,
    /// What files set, by key.
    entries: BTreeMap<String, Entry>,
    /// Every key that was asked for.
    asked: BTreeSet<String>,
}

impl Report {
    pub(super) fn add(&self, error: ConfigError) {
        let mut state = self.state.borrow_mut();
        if state.errors.len() < CONFIG_ERRORS_MAX {
            state.errors.push(error);
        } else {
            state.more += 1;
        }
    }

    /// Adds an error because of which some file is not seen: what seems to be missing may be in it.
    pub(super) fn add_incomplete(&self, error: ConfigError) {
        self.add(error);
        self.state.borrow_mut().incomplete = true;
    }

    pub(super) fn is_incomplete(&self) -> bool {
        self.state.borrow().incomplete
    }

    /// A key was asked for, and a file may set it.
    pub(super) fn note(&self, key: String, entry: Option<Entry>) {
        let mut state = self.state.borrow_mut();
        if let Some(entry) = entry {
            state.entries.insert(key.clone(), entry);
        }
        state.asked.insert(key);
    }

    /// What files set, and every key that was asked for, unless there are errors.
    pub(super) fn into_result(self) -> Result<(Vec<Entry>, BTreeSet<String>), ConfigErrors> {
        let State {
            mut errors,
            more,
            incomplete: _,
            entries,
            asked,
        } = self.state.into_inner();
        if errors.is_empty() {
            return Ok((entries.into_values().collect(), asked));
        }
        errors.sort_by_key(|error| (error.place.order, error.place.position));
        Err(ConfigErrors { errors, more })
    }
}
