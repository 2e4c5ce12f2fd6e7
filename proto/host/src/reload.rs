//! A reload as a transaction: read, validate, prepare, commit, and tidy up.
//!
//! | phase | what is done | where |
//! |---|---|---|
//! | read, validate | all files, all errors | [`Reload::ask`] has a thread do it, [`Reload::read`] yields the result |
//! | prepare | what can fail: new sockets, a new log | the daemon |
//! | commit | everything at once, nothing can fail | the daemon |
//! | after | old sockets, open connections | the daemon |
//! | report | journal, service manager, whoever asked | [`Reload::conclude`] |
//!
//! Until the commit nothing is changed, so a reload that fails has never happened. Whoever asks while
//! one runs, by a signal or over a bus, gets exactly one more after it, together with all others who
//! asked meanwhile: files may have changed after they were read.

mod report;
mod turns;

use std::time::{Duration, SystemTime};

use tokio::{sync::oneshot, time::Instant};
use tracing::{info, warn};

pub use report::{Outcome, Problem, Report};
use turns::Turns;

use crate::{
    bus::object::{Facts, facts, variant},
    config::{ConfigErrors, Digest, Entry, Loaded, Options, Section, Sources, load},
    limits::{RELOAD_TIME, RELOAD_WAITERS_MAX},
    notify,
};

/// How a daemon reads its configuration.
#[derive(Debug)]
pub struct Rules<S> {
    /// The files.
    pub sources: Sources,
    /// All keys.
    pub options: &'static Options,
    /// What makes settings of them.
    pub prove: fn(&Section<'_>) -> S,
}

/// The configuration in force, and reloads of it. `W` is somebody who waits for the end of one.
#[derive(Debug)]
pub struct Reload<S, W> {
    rules: Rules<S>,
    turns: Turns<W>,
    reading: Option<Reading<S>>,
    entries: Vec<Entry>,
    digest: Digest,
    /// Since when this configuration is in force, on the clock of the wall.
    since: SystemTime,
    generation: u64,
    last: Report,
}

/// A thread that reads.
#[derive(Debug)]
struct Reading<S> {
    began: Instant,
    result: oneshot::Receiver<Result<Loaded<S>, ConfigErrors>>,
}

/// What came of reading.
#[derive(Debug)]
pub enum Read<S> {
    /// Valid, and something is different.
    Changed(Loaded<S>),
    /// Valid, and nothing is different.
    Unchanged(Loaded<S>),
    /// Not valid.
    Invalid(ConfigErrors),
    /// It took longer than [`RELOAD_TIME`].
    TimedOut,
}

/// What became of a reload.
#[derive(Debug)]
pub enum Ended {
    /// This configuration is in force now.
    Applied {
        /// What its files set.
        entries: Vec<Entry>,
        /// Its digest.
        digest: Digest,
    },
    /// There was nothing to do; values may be in other places of the files now.
    Unchanged(Vec<Entry>),
    /// The configuration is not valid.
    Invalid(ConfigErrors),
    /// It is valid, and cannot be put into force here.
    Failed(Vec<Problem>),
    /// Reading took too long.
    TimedOut,
}

impl<S: Send + 'static, W> Reload<S, W> {
    /// The configuration with which the daemon has started.
    pub fn new(rules: Rules<S>, entries: Vec<Entry>) -> Self {
        let digest = rules.options.digest(&entries, rules.sources.scope());
        let now = SystemTime::now();
        Self {
            rules,
            turns: Turns::default(),
            reading: None,
            entries,
            digest,
            since: now,
            generation: 1,
            last: Report::of_start(now),
        }
    }

    /// Somebody asks for a reload, and perhaps waits for its end. Gives `who` back when too many wait
    /// already; the reload takes place in any case.
    pub fn ask(&mut self, who: Option<W>) -> Option<W> {
        let who = match who {
            Some(who) if self.turns.waiting() >= RELOAD_WAITERS_MAX => {
                self.turns.ask(None);
                Some(who)
            }
            who => {
                self.turns.ask(who);
                None
            }
        };
        self.begin();
        who
    }

    /// Begins what was asked for, unless one is under way.
    fn begin(&mut self) {
        if !self.turns.begin() {
            return;
        }
        told(notify::reloading());
        let (sources, prove) = (self.rules.sources.clone(), self.rules.prove);
        let (sender, result) = oneshot::channel();
        // A file system that hangs must not keep the event loop from telling others that we live.
        tokio::task::spawn_blocking(move || {
            // It fails when the time was over before.
            let _ = sender.send(load(&sources, prove));
        });
        self.reading = Some(Reading {
            began: Instant::now(),
            result,
        });
    }

    /// What came of reading, once it is there. Dropping the future loses nothing; while no reload is
    /// under way it waits for ever.
    pub async fn read(&mut self) -> Read<S> {
        let Some(reading) = &mut self.reading else {
            return std::future::pending().await;
        };
        let until = reading.began + RELOAD_TIME;
        match tokio::time::timeout_at(until, &mut reading.result).await {
            Ok(Ok(Ok(loaded))) => {
                if self.digest_of(&loaded.entries) == self.digest {
                    Read::Unchanged(loaded)
                } else {
                    Read::Changed(loaded)
                }
            }
            Ok(Ok(Err(errors))) => Read::Invalid(errors),
            // A thread that ends without a result has panicked, and said so.
            Ok(Err(_)) | Err(_) => Read::TimedOut,
        }
    }

    /// Reports how the reload has ended to the journal and the service manager, begins the next one if
    /// somebody has asked for it meanwhile, and yields those who wait for this one. `condition` is what
    /// the daemon says of itself otherwise.
    pub fn conclude(&mut self, ended: Ended, condition: &str) -> Vec<W> {
        let took = self.reading.take().map(|reading| reading.began.elapsed());
        let (outcome, problems, more) = match ended {
            Ended::Applied { entries, digest } => {
                self.entries = entries;
                self.digest = digest;
                self.since = SystemTime::now();
                self.generation = self.generation.saturating_add(1);
                (Outcome::Applied, Vec::new(), 0)
            }
            Ended::Unchanged(entries) => {
                self.entries = entries;
                (Outcome::Unchanged, Vec::new(), 0)
            }
            Ended::Invalid(errors) => {
                let problems: Vec<_> = errors.iter().map(Problem::of).collect();
                let more = errors.count() - problems.len();
                (Outcome::Invalid, problems, more)
            }
            Ended::Failed(problems) => (Outcome::Failed, problems, 0),
            Ended::TimedOut => (Outcome::TimedOut, Vec::new(), 0),
        };
        self.last = Report {
            at: SystemTime::now(),
            outcome,
            generation: self.generation,
            took: took.unwrap_or(Duration::ZERO),
            problems,
            more,
        };
        self.write();
        told(notify::ready(&self.status(condition)));
        let waited = self.turns.end();
        self.begin();
        waited
    }

    /// What the daemon says of itself, and that a reload was rejected, if the last one was.
    pub fn status(&self, condition: &str) -> String {
        match self.last.rejection(self.since) {
            Some(rejection) => format!("{rejection}; {condition}"),
            None => condition.to_owned(),
        }
    }

    /// Writes the report into the log, one line for each error.
    fn write(&self) {
        let Report {
            outcome,
            generation,
            took,
            problems,
            more,
            ..
        } = &self.last;
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        for problem in problems {
            let Problem {
                file,
                line,
                column,
                key,
                reason,
            } = problem;
            warn!(at.file = %file, at.line = line, at.column = column, at.key = %key, at.reason = %reason,
                "{problem}");
        }
        match outcome {
            Outcome::Started => {}
            Outcome::Applied => {
                let digest = self.digest.short();
                info!(generation, %digest, milliseconds, "configuration reloaded");
            }
            Outcome::Unchanged => info!(milliseconds, "configuration has not changed"),
            Outcome::Invalid | Outcome::Failed | Outcome::TimedOut => {
                if *more > 0 {
                    warn!("and {more} more errors");
                }
                warn!("{}", self.last.rejection(self.since).unwrap_or_default());
            }
        }
    }

    /// The keys in force with their values, sources and effects.
    pub fn in_force(&self) -> Vec<crate::config::InForce> {
        let scope = self.rules.sources.scope();
        self.rules.options.in_force(&self.entries, scope)
    }

    /// What tells this configuration from others.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What became of the last reload.
    pub fn last(&self) -> &Report {
        &self.last
    }

    /// The digest of a configuration that was read.
    pub fn digest_of(&self, entries: &[Entry]) -> Digest {
        self.rules
            .options
            .digest(entries, self.rules.sources.scope())
    }

    /// The properties of the interface.
    pub fn properties(&self) -> Facts {
        facts([
            ("LastReload", variant(self.last.facts())),
            ("ConfigDigest", variant(self.digest.to_string())),
        ])
    }
}

/// The service manager could not be told. We are none the worse for it.
fn told(result: std::io::Result<()>) {
    if let Err(error) = result {
        warn!(%error, "service manager cannot be told, going on");
    }
}

#[cfg(test)]
mod tests;
