//! Where log lines go: the journal with their fields, or stderr.

mod journal;
mod text;

use std::{
    env,
    io::{self, IsTerminal},
};

use journal::Journal;
use text::Text;
use thiserror::Error;
use tracing::Level;
use tracing_subscriber::{
    Layer, Registry,
    filter::LevelFilter,
    fmt,
    layer::{Layered, SubscriberExt},
    reload,
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

/// What lines to stderr look like. Those to the journal have fields in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Time, level and text with the fields.
    Text,
    /// One JSON object on each line.
    Json,
}

/// The words for formats in the configuration.
pub const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];

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

/// What every line goes through before the output: the level.
type Filtered = Layered<reload::Layer<LevelFilter, Registry>, Registry>;

/// Where lines go, open and ready. [`LogControl::set_output`] puts it into use.
pub struct Output {
    layer: Box<dyn Layer<Filtered> + Send + Sync>,
}

/// Changes the level and the output while the daemon runs.
#[derive(Clone)]
pub struct LogControl {
    identifier: &'static str,
    level: reload::Handle<LevelFilter, Registry>,
    output: reload::Handle<Box<dyn Layer<Filtered> + Send + Sync>, Filtered>,
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

    /// Opens another output without using it yet.
    ///
    /// # Errors
    ///
    /// Fails when [`Target::Journal`] cannot be reached.
    pub fn open(&self, target: Target, format: Format) -> Result<Output, LogError> {
        open(self.identifier, target, format)
    }

    /// Lines go there from now on.
    pub fn set_output(&self, output: Output) {
        // As above.
        let _ = self.output.reload(output.layer);
    }
}

impl std::fmt::Debug for LogControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogControl")
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}

/// Sets up logging of the process, once. `identifier` is the name that the journal shows.
///
/// # Errors
///
/// Fails when [`Target::Journal`] was asked for and cannot be reached, or when it is called twice.
pub fn init(
    identifier: &'static str,
    level: Level,
    target: Target,
    format: Format,
) -> Result<LogControl, LogError> {
    let Output { layer } = open(identifier, target, format)?;
    let (filter, level) = reload::Layer::new(LevelFilter::from_level(level));
    let (layer, output) = reload::Layer::new(layer);
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init()
        .map_err(|_| LogError::Twice)?;
    Ok(LogControl {
        identifier,
        level,
        output,
    })
}

fn open(identifier: &str, target: Target, format: Format) -> Result<Output, LogError> {
    let layer: Box<dyn Layer<Filtered> + Send + Sync> = match target {
        Target::Journal => Box::new(Journal::connect(identifier).map_err(LogError::Journal)?),
        Target::Stderr => stderr(format),
        Target::Auto if stderr_is_journal() => match Journal::connect(identifier) {
            Ok(layer) => Box::new(layer),
            // stderr ends there as well, only without fields.
            Err(_) => stderr(format),
        },
        Target::Auto => stderr(format),
    };
    Ok(Output { layer })
}

fn stderr(format: Format) -> Box<dyn Layer<Filtered> + Send + Sync> {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    match format {
        Format::Text => {
            let ansi = !no_color && io::stderr().is_terminal();
            Box::new(lines.with_ansi(ansi).fmt_fields(Text))
        }
        Format::Json => Box::new(lines.json().flatten_event(true).with_span_list(false)),
    }
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
    fn level_and_output_can_be_changed_while_running() {
        let control = init("test", Level::INFO, Target::Stderr, Format::Text).expect("set up");
        assert!(!tracing::enabled!(Level::DEBUG));
        control.set_level(Level::DEBUG);
        assert!(tracing::enabled!(Level::DEBUG));
        assert_eq!(control.level(), Level::DEBUG);
        control.set_level(Level::ERROR);
        assert!(!tracing::enabled!(Level::WARN));
        assert!(matches!(
            init("test", Level::INFO, Target::Stderr, Format::Text),
            Err(LogError::Twice)
        ));
        let json = control.open(Target::Stderr, Format::Json).expect("open");
        control.set_output(json);
        assert_eq!(control.level(), Level::ERROR);
    }
}
