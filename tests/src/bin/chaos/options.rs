//! The command line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::plan::Kind;
use crate::report::Format;

pub(crate) const USAGE: &str = "\
usage: chaos [--minutes N | --restarts N] [--seed N] [--output table|json] [--optional yes]

--minutes N    all faults, for so long (2 by default)
--restarts N   daemons are killed and restarted so many times, and nothing else fails
--seed N       the schedule of this seed, instead of one that was not tried yet
--output json  the summary as one JSON object
--optional yes where no systemd nodes can run, say so and do nothing, unless
               UNITLINK_REQUIRE_SYSTEM=1 is in the environment";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) goal: Goal,
    pub(crate) format: Format,
    /// Whether it may be skipped.
    pub(crate) is_optional: bool,
}

/// When it is enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    Time(Duration),
    Restarts(usize),
}

impl Options {
    pub(crate) fn kind(&self) -> Kind {
        match self.goal {
            Goal::Time(_) => Kind::Everything,
            Goal::Restarts(_) => Kind::Restarts,
        }
    }

    /// The command that does the same.
    pub(crate) fn again(&self) -> String {
        let goal = match self.goal {
            Goal::Time(time) => format!("MINUTES={}", time.as_secs_f64() / 60.0),
            Goal::Restarts(count) => format!("RESTARTS={count}"),
        };
        format!("`make chaos {goal} SEED={}`", self.seed)
    }
}

/// Reads the command line, without the name of the program.
pub(crate) fn read(arguments: &[String]) -> Result<Options> {
    let mut options = Options {
        seed: fresh(),
        goal: Goal::Time(Duration::from_secs(120)),
        format: Format::Table,
        is_optional: false,
    };
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| {
            format!("{name}: not an option, or one that wants a value after it")
        })?;
        match name.as_str() {
            "--minutes" => {
                let minutes: f64 = value
                    .parse()
                    .ok()
                    .filter(|it| (0.0..=10_000.0).contains(it))
                    .with_context(|| format!("--minutes {value}: not a number of minutes"))?;
                options.goal = Goal::Time(Duration::from_secs_f64(minutes * 60.0));
            }
            "--restarts" => {
                let count = value
                    .parse()
                    .with_context(|| format!("--restarts {value}: not a number"))?;
                options.goal = Goal::Restarts(count);
            }
            "--seed" => {
                options.seed = value
                    .parse()
                    .with_context(|| format!("--seed {value}: not a number"))?;
            }
            "--output" => {
                options.format = match value.as_str() {
                    "table" => Format::Table,
                    "json" => Format::Json,
                    _ => bail!("--output {value}: neither table nor json"),
                }
            }
            "--optional" => {
                options.is_optional = match value.as_str() {
                    "yes" => true,
                    "no" => false,
                    _ => bail!("--optional {value}: neither yes nor no"),
                }
            }
            _ => bail!("{name}: no such option"),
        }
    }
    Ok(options)
}

/// A seed that is easy to type and not the one of a minute ago.
fn fresh() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(1, |it| it.as_secs() % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Options> {
        read(
            &text
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_command_can_be_given_again() {
        let options = line("--minutes 10 --seed 7 --output json").unwrap();
        assert_eq!(options.again(), "`make chaos MINUTES=10 SEED=7`");
        assert_eq!(options.format, Format::Json);
        let options = line("--restarts 1000 --seed 7").unwrap();
        assert_eq!(options.again(), "`make chaos RESTARTS=1000 SEED=7`");
        assert_eq!(options.kind(), Kind::Restarts);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            ("--minutes", "--minutes"),
            ("--minutes soon", "soon"),
            ("--minutes -1", "-1"),
            ("--seed x", "x"),
            ("--output xml", "xml"),
            ("--frob 1", "--frob"),
        ] {
            let error = line(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
