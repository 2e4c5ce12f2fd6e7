use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    bus::object::{Facts, facts, variant},
    config::{ConfigError, Entry},
    limits::RELOAD_TIME,
};

/// How a reload has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was none yet: the daemon has started.
    Started,
    /// The new configuration is in force.
    Applied,
    /// Nothing is different.
    Unchanged,
    /// The configuration is not valid.
    Invalid,
    /// It is valid, and cannot be put into force here.
    Failed,
    /// Reading took too long.
    TimedOut,
}

impl Outcome {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
            Self::TimedOut => "timeout",
        }
    }
}

/// One reason why a reload was rejected. It is written as `FILE:LINE:COLUMN: KEY: REASON`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The file or folder; empty where it is about none.
    pub file: String,
    /// The line, from 1; 0 for the whole file.
    pub line: u32,
    /// The column in characters, from 1; 0 for the whole file.
    pub column: u32,
    /// The key, dotted; empty where it is about none.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// What became of a reload.
#[derive(Clone, Debug)]
pub struct Report {
    /// When it has ended.
    pub at: SystemTime,
    /// How.
    pub outcome: Outcome,
    /// The number of the configuration that is in force: 1 is that of the start.
    pub generation: u64,
    /// How long it took.
    pub took: Duration,
    /// Why it was rejected.
    pub problems: Vec<Problem>,
    /// How many reasons more there are.
    pub more: usize,
}

impl Problem {
    /// An error of the configuration.
    pub fn of(error: &ConfigError) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (line, column) = error.place.position.unwrap_or_default();
        Self {
            file: error.place.file.display().to_string(),
            line: number(line),
            column: number(column),
            key: error.key.clone().unwrap_or_default(),
            reason: error.problem.to_string(),
        }
    }

    /// Something about the value of this key, at the place where a file sets it; where none does, as of a default
    /// that does not hold here, by the name alone.
    pub fn about(key: &str, entries: &[Entry], reason: String) -> Self {
        match entries.iter().find(|entry| entry.key == key) {
            Some(entry) => Self::at(entry, reason),
            None => Self {
                key: key.to_owned(),
                reason,
                ..Self::default()
            },
        }
    }

    fn at(entry: &Entry, reason: String) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (line, column) = entry.place.position.unwrap_or_default();
        Self {
            file: entry.place.file.display().to_string(),
            line: number(line),
            column: number(column),
            key: entry.key.clone(),
            reason,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            f.write_str(&self.file)?;
            if self.line > 0 {
                write!(f, ":{}:{}", self.line, self.column)?;
            }
            f.write_str(": ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

impl Report {
    pub(super) fn of_start(at: SystemTime) -> Self {
        Self {
            at,
            outcome: Outcome::Started,
            generation: 1,
            took: Duration::ZERO,
            problems: Vec::new(),
            more: 0,
        }
    }

    /// What is said of a reload that was rejected: `reload rejected (3 errors), configuration of
    /// 14:02:11 in use`. `since` is when that came into force.
    pub(super) fn rejection(&self, since: SystemTime) -> Option<String> {
        let why = match self.outcome {
            Outcome::Started | Outcome::Applied | Outcome::Unchanged => return None,
            Outcome::Invalid | Outcome::Failed => match self.problems.len() + self.more {
                1 => "1 error".to_owned(),
                errors => format!("{errors} errors"),
            },
            Outcome::TimedOut => format!("not read within {} s", RELOAD_TIME.as_secs()),
        };
        Some(format!(
            "reload rejected ({why}), configuration of {} in use",
            clock_time(since)
        ))
    }

    /// The property `LastReload`, and the answer to a call that asked for the reload.
    pub fn facts(&self) -> Facts {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let at = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let errors: Vec<_> = self
            .problems
            .iter()
            .map(|it| {
                let Problem {
                    file,
                    line,
                    column,
                    key,
                    reason,
                } = it.clone();
                (file, line, column, key, reason)
            })
            .collect();
        let more = u64::try_from(self.more).unwrap_or(u64::MAX);
        facts([
            ("Time", variant(micros(at))),
            ("Result", variant(self.outcome.as_str())),
            ("Generation", variant(self.generation)),
            ("DurationUSec", variant(micros(self.took))),
            ("Errors", variant(errors)),
            ("MoreErrors", variant(more)),
        ])
    }
}

/// The time of the day where this machine is, with the date when it was another day.
fn clock_time(at: SystemTime) -> String {
    let zone = TimeZone::system();
    let Ok(at) = Timestamp::try_from(at) else {
        return "an unknown time".to_owned();
    };
    let (at, now) = (at.to_zoned(zone.clone()), Timestamp::now().to_zoned(zone));
    let format = if at.date() == now.date() {
        "%H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    at.strftime(format).to_string()
}
