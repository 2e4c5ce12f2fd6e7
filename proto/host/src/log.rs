//! Where log lines go: the journal with their fields, or stderr.

mod journal;

use std::{
    env,
    io::{self, IsTerminal},
};

use journal::Journal;
use thiserror::Error;
use tracing::Level;
use tracing_subscriber::{
    Layer, Registry, filter::LevelFilter, fmt, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

/// The words for levels in the configuration, for [`crate::config::Section::word`].
pub const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// The words for targets in the configuration.
pub const TARGETS: [(&str, Target); 3] = [
    ("journal", Target::Journal),
    ("stderr", Target::Stderr),
    ("auto", Target::Auto),
];

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The journal, by its own protocol: fields stay fields.
    Journal,
    /// Standard error, as text.
    Stderr,
    /// The journal when stderr is connected to it, else stderr.
    Auto,
}

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// The journal cannot be reached.
    #[error("failed to reach the journal")]
    Journal(#[source] io::Error),
    /// It was set up before.
    #[error("logging was set up before")]
    Twice,
}

/// Changes the level while the daemon runs.
#[derive(Clone, Debug)]
pub struct LogControl {
    level: reload::Handle<LevelFilter, Registry>,
}

impl LogControl {
    /// The level that is in force.
    pub fn level(&self) -> Level {
        let level = self.level.with_current(|level| level.into_level());
        level.ok().flatten().unwrap_or(Level::ERROR)
    }

    /// Sets the level from now on.
    pub fn set_level(&self, level: Level) {
        // It fails when logging is gone, and then there is nothing to set.
        let _ = self.level.reload(LevelFilter::from_level(level));
    }
}

/// Sets up logging of the process, once. `identifier` is the name that the journal shows.
///
/// # Errors
///
/// Fails when [`Target::Journal`] was asked for and cannot be reached, or when it is called twice.
pub fn init(identifier: &str, level: Level, target: Target) -> Result<LogControl, LogError> {
    let output: Box<dyn Layer<_> + Send + Sync> = match target {
        Target::Journal => Box::new(Journal::connect(identifier).map_err(LogError::Journal)?),
        Target::Stderr => Box::new(stderr()),
        Target::Auto if stderr_is_journal() => match Journal::connect(identifier) {
            Ok(layer) => Box::new(layer),
            // stderr ends there as well, only without fields.
            Err(_) => Box::new(stderr()),
        },
        Target::Auto => Box::new(stderr()),
    };
    let (filter, level) = reload::Layer::new(LevelFilter::from_level(level));
    tracing_subscriber::registry()
        .with(filter)
        .with(output)
        .try_init()
        .map_err(|_| LogError::Twice)?;
    Ok(LogControl { level })
}

fn stderr<S>() -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(!no_color && io::stderr().is_terminal())
}

/// Whether stderr is the stream to the journal that systemd says it is, systemd.exec(5): it could
/// have been redirected since.
fn stderr_is_journal() -> bool {
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else {
        return false;
    };
    env::var("JOURNAL_STREAM")
        .is_ok_and(|text| parse_stream(&text) == Some((stat.st_dev, stat.st_ino)))
}

/// `DEVICE:INODE`, both decimal.
fn parse_stream(text: &str) -> Option<(u64, u64)> {
    let (device, inode) = text.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("9:12345" => Some((9, 12345)))]
    #[test_case("9" => None; "no inode")]
    #[test_case("9:x" => None; "not a number")]
    #[test_case("" => None; "nothing")]
    fn the_stream_of_the_journal_is_parsed(text: &str) -> Option<(u64, u64)> {
        parse_stream(text)
    }

    #[test]
    fn the_level_can_be_changed_while_running() {
        let control = init("test", Level::INFO, Target::Stderr).expect("set up");
        assert!(!tracing::enabled!(Level::DEBUG));
        control.set_level(Level::DEBUG);
        assert!(tracing::enabled!(Level::DEBUG));
        assert_eq!(control.level(), Level::DEBUG);
        control.set_level(Level::ERROR);
        assert!(!tracing::enabled!(Level::WARN));
        assert!(matches!(
            init("test", Level::INFO, Target::Stderr),
            Err(LogError::Twice)
        ));
    }
}
