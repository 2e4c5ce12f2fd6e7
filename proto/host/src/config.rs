//! Configuration in three stages, each a type:
//!
//! 1. **Fragments**: each file by itself, exact TOML with the place of every key and value.
//! 2. **Layers**: the fragments on top of each other, seen through a [`Section`]. Tables merge key by
//!    key, a later value replaces an earlier one. A value that was replaced is checked all the same.
//! 3. **Settings**: a type of the daemon, which its `prove` function makes of sections. Defaults are
//!    in the program, and command-line options are put in there as well.
//!
//! ```
//! use std::{path::Path, time::Duration};
//! use host::{config::{Section, Sources, load}, scope::Scope};
//!
//! #[derive(Debug)]
//! struct Settings {
//!     interval: Duration,
//!     threshold: Duration,
//! }
//!
//! fn prove(root: &Section<'_>) -> Settings {
//!     root.section("heartbeat", |heartbeat| {
//!         let times = Duration::from_millis(100)..=Duration::from_secs(3600);
//!         let interval = heartbeat.duration("interval", times.clone());
//!         let threshold = heartbeat.duration("threshold", times);
//!         if let (Some(interval), Some(threshold)) = (&interval, &threshold)
//!             && threshold.value <= interval.value
//!         {
//!             heartbeat.refuse(threshold, "expected more than heartbeat.interval");
//!         }
//!         Settings {
//!             interval: interval.map_or(Duration::from_secs(2), |it| it.value),
//!             threshold: threshold.map_or(Duration::from_secs(6), |it| it.value),
//!         }
//!     })
//! }
//!
//! let sources = Sources::under(Path::new("/nowhere"), "controller", &Scope::System);
//! let settings = load(&sources, prove)?.settings;
//! assert_eq!(settings.threshold, Duration::from_secs(6));
//! # Ok::<(), host::config::ConfigErrors>(())
//! ```
//!
//! A section knows which keys its reader asked for. Whatever else is in the files is an unknown key,
//! so there is no list of keys to keep up. All errors are collected, and none of them stops the
//! proof: a reader gets `None` for a value that is wrong, and its result is thrown away at the end.

mod digest;
mod duration;
mod error;
mod manual;
mod nearest;
pub mod options;
mod section;
mod show;
mod source;

pub use digest::Digest;
pub use duration::{DurationError, parse_duration, show_duration};
pub use error::{ConfigError, ConfigErrors, Located, Place, Problem};
pub use options::{Entry, InForce, Options};
pub use section::Section;
pub use source::Sources;

use std::{collections::BTreeSet, path::PathBuf, sync::mpsc, thread, time::Duration};

use error::Report;
use section::Layer;
use thiserror::Error;
use toml::de::DeTable;

use crate::{exit::Exit, limits::START_READ_TIME};

/// What [`load`] yields.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The proved settings.
    pub settings: T,
    /// The files they are from, in the order in which they were read.
    pub files: Vec<PathBuf>,
    /// What these files set, by key.
    pub entries: Vec<Entry>,
    /// Every key that was asked for, whether a file sets it or not.
    pub asked: BTreeSet<String>,
}

/// Why a daemon cannot start with its configuration.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It is not valid.
    #[error("{0}")]
    Invalid(ConfigErrors),
    /// It takes too long to read, as where a file system does not answer.
    #[error("not ready in time: the configuration cannot be read within {0:?}")]
    TimedOut(Duration),
}

impl LoadError {
    /// What the daemon ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Invalid(_) => Exit::Config,
            Self::TimedOut(_) => Exit::NotReady,
        }
    }
}

/// As [`load`], for the start of a daemon: for as long as whoever has started it waits.
///
/// # Errors
///
/// As [`load`], and when it takes too long.
pub fn load_in_time<T: Send + 'static>(
    sources: &Sources,
    prove: fn(&Section<'_>) -> T,
) -> Result<Loaded<T>, LoadError> {
    load_within(START_READ_TIME, sources, prove)
}

fn load_within<T: Send + 'static>(
    limit: Duration,
    sources: &Sources,
    prove: fn(&Section<'_>) -> T,
) -> Result<Loaded<T>, LoadError> {
    let (told, loaded) = mpsc::sync_channel(1);
    let sources = sources.clone();
    // It is not waited for: whoever cannot read ends with the process.
    thread::spawn(move || told.send(load(&sources, prove)));
    match loaded.recv_timeout(limit) {
        Ok(loaded) => loaded.map_err(LoadError::Invalid),
        Err(_) => Err(LoadError::TimedOut(limit)),
    }
}

/// Reads all files of `sources` and proves what is in them. Blocking; it is for the start and for a
/// reload.
///
/// # Errors
///
/// Fails with every error found: files that cannot be read, broken TOML, unknown keys, wrong types
/// and values, and what `prove` refuses.
pub fn load<T>(
    sources: &Sources,
    prove: impl FnOnce(&Section<'_>) -> T,
) -> Result<Loaded<T>, ConfigErrors> {
    let report = Report::default();
    let texts = sources.read(&report);
    let mut layers = Vec::new();
    for text in &texts {
        match DeTable::parse(&text.text) {
            Ok(table) => layers.push((text, table)),
            Err(error) => {
                let place = text.place(error.span().unwrap_or_default().start);
                let message = error.message().to_owned();
                report.add_incomplete(ConfigError {
                    place,
                    key: None,
                    problem: Problem::Syntax(message),
                });
            }
        }
    }
    let layers = layers
        .iter()
        .map(|(text, table)| Layer {
            text,
            table: table.get_ref(),
        })
        .collect();
    let root = Section::root(layers, &report, sources.scope());
    let settings = prove(&root);
    root.finish();
    let files = texts.iter().map(|text| text.path.to_path_buf()).collect();
    let (entries, asked) = report.into_result()?;
    Ok(Loaded {
        settings,
        files,
        entries,
        asked,
    })
}

#[cfg(test)]
mod tests;
