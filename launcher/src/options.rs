//! The command line. What is a setting becomes a line of TOML, stronger than the file, so that both
//! are proved by the same code and have the same messages.

use std::{
    collections::BTreeMap, ffi::OsString, fmt, fmt::Write as _, path::PathBuf, time::Duration,
};

use host::config::parse_duration;

use crate::key::{KEYS, Key, Kind};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Run workers.
    Run(Run),
    /// Prove the settings and say what is wrong with them.
    Check(Run),
    /// Have a launcher reload.
    Reload(Reload),
    /// Show how things are.
    Status {
        /// Where the launcher's control socket is.
        folder: Option<PathBuf>,
        /// As JSON.
        is_json: bool,
    },
    /// Kill what a launcher has left.
    Reap {
        /// Where its control socket was.
        folder: Option<PathBuf>,
    },
    /// Ask once whether a worker is ready, for the launcher itself.
    Probe(String),
    /// Whether this program understands that format of a state, for a launcher that is replaced.
    Handover(u32),
    /// Only say this.
    Say(String),
}

/// How workers are run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// The file of settings.
    pub(crate) settings: Option<PathBuf>,
    /// What the command line sets, as TOML.
    pub(crate) toml: String,
    /// Where the control socket is.
    pub(crate) folder: Option<PathBuf>,
    /// Start although requests may be lost.
    pub(crate) force: bool,
}

/// How a reload is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reload {
    pub(crate) folder: Option<PathBuf>,
    /// Wait for its end.
    pub(crate) wait: bool,
    /// No longer than this.
    pub(crate) timeout: Option<Duration>,
}

/// A command line that cannot be carried out; the text says what would be right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the arguments, without the program's name.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut args = args.into_iter().peekable();
    let verb = args.peek().and_then(|it| it.to_str()).unwrap_or_default();
    match verb {
        "reload" | "status" | "reap" | "probe" | "handover" => {
            let verb = verb.to_owned();
            args.next();
            client(&verb, args)
        }
        "check" => {
            args.next();
            let command = run(args)?;
            Ok(if let Command::Run(run) = command {
                Command::Check(run)
            } else {
                command
            })
        }
        _ => run(args),
    }
}

fn run(args: impl Iterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut run = Run::default();
    let mut set: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut args = Words { inner: args };
    let mut command = None;
    while let Some(arg) = args.next()? {
        let (name, given) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            Some(_) | None => (arg.as_str(), None),
        };
        match name {
            "--" => {
                command = Some(args.rest()?);
                break;
            }
            "-h" | "--help" => return Ok(Command::Say(help())),
            "-V" | "--version" => {
                let version = env!("CARGO_PKG_VERSION");
                return Ok(Command::Say(format!("unitlink-launcher {version}\n")));
            }
            "--settings" => run.settings = Some(args.value(name, given)?.into()),
            "--runtime-directory" => run.folder = Some(args.value(name, given)?.into()),
            "--force" => run.force = true,
            // Those of hupwatch, whose command lines are taken as they are. It has no levels here.
            "-v" | "-vv" | "-vvv" | "--verbose" => {}
            "-k" | "--kill-at-exit" => drop(set.insert("at_exit", vec!["kill".into()])),
            "--leave-at-exit" => drop(set.insert("at_exit", vec!["leave".into()])),
            "-w" | "--warmup-time" => {
                let time = seconds(name, &args.value(name, given)?)?;
                set.insert("warm_up", vec![time]);
            }
            _ => {
                let Some(key) = Key::by_option(name) else {
                    return Err(unknown(&arg));
                };
                let value = match (key.kind, given) {
                    (Kind::Flag, None) => "true".to_owned(),
                    (Kind::Flag | Kind::Text | Kind::Number | Kind::List, given) => {
                        args.value(name, given)?
                    }
                };
                let values = set.entry(key.name).or_default();
                if key.kind != Kind::List {
                    values.clear();
                }
                values.push(value);
            }
        }
    }
    run.toml = toml(&set, command.as_deref());
    Ok(Command::Run(run))
}

fn client(verb: &str, args: impl Iterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut args = Words { inner: args };
    let (mut folder, mut wait, mut timeout, mut is_json) = (None, false, None, false);
    let mut words = Vec::new();
    while let Some(arg) = args.next()? {
        let (name, given) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            Some(_) | None => (arg.as_str(), None),
        };
        match (verb, name) {
            (_, "-h" | "--help") => return Ok(Command::Say(help())),
            ("reload" | "status" | "reap", "--runtime-directory") => {
                folder = Some(args.value(name, given)?.into());
            }
            ("reload", "--wait") => wait = true,
            ("reload", "--timeout") => {
                let text = args.value(name, given)?;
                let time = parse_duration(&text)
                    .map_err(|error| UsageError(format!("--timeout: found {text:?}, {error}")))?;
                timeout = Some(time);
            }
            ("status", "-o" | "--output") => {
                let value = args.value(name, given)?;
                is_json = match value.as_str() {
                    "json" => true,
                    "text" => false,
                    _ => {
                        return Err(UsageError(format!(
                            "--output: found {value:?}, expected \"text\" or \"json\""
                        )));
                    }
                };
            }
            ("probe" | "handover", _) => words.push(arg),
            _ => return Err(unknown(&arg)),
        }
    }
    Ok(match (verb, words.as_slice()) {
        ("reload", _) => Command::Reload(Reload {
            folder,
            wait: wait || timeout.is_some(),
            timeout,
        }),
        ("status", _) => Command::Status { folder, is_json },
        ("reap", _) => Command::Reap { folder },
        ("probe", [spec]) => Command::Probe(spec.clone()),
        ("handover", [format]) => Command::Handover(format.parse().unwrap_or(0)),
        _ => return Err(UsageError(format!("{verb} takes one argument"))),
    })
}

/// hupwatch takes seconds with a point.
fn seconds(name: &str, text: &str) -> Result<String, UsageError> {
    if parse_duration(text).is_ok() {
        return Ok(text.to_owned());
    }
    match text.parse::<f64>().map(Duration::try_from_secs_f64) {
        Ok(Ok(time)) => Ok(format!("{}us", time.as_micros())),
        _ => Err(UsageError(format!(
            "{name}: found {text:?}, expected seconds or a time such as \"2s\""
        ))),
    }
}

fn unknown(arg: &str) -> UsageError {
    let hint = if arg.starts_with('-') {
        "see unitlink-launcher --help"
    } else {
        "the command to run follows '--'"
    };
    UsageError(format!("'{arg}' is not known; {hint}"))
}

/// What the command line sets, as TOML.
fn toml(set: &BTreeMap<&'static str, Vec<String>>, command: Option<&[String]>) -> String {
    let mut text = String::new();
    let list = |values: &[String]| {
        let values: Vec<_> = values.iter().map(|it| string(it)).collect();
        format!("[{}]", values.join(", "))
    };
    for key in KEYS {
        let Some(values) = set.get(key.name) else {
            continue;
        };
        let last = values.last().map(String::as_str).unwrap_or_default();
        let value = match key.kind {
            Kind::List => list(values),
            Kind::Text => string(last),
            // What is none is told as the string that it is.
            Kind::Number if last.parse::<i64>().is_ok() => last.to_owned(),
            Kind::Flag if matches!(last, "true" | "false") => last.to_owned(),
            Kind::Number | Kind::Flag => string(last),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} = {value}", key.name);
    }
    if let Some(command) = command {
        let _ = writeln!(text, "command = {}", list(command));
    }
    text
}

/// A basic string, <https://toml.io/en/v1.0.0#string>.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

struct Words<I> {
    inner: I,
}

impl<I: Iterator<Item = OsString>> Words<I> {
    fn next(&mut self) -> Result<Option<String>, UsageError> {
        self.inner.next().map(text).transpose()
    }

    fn value(&mut self, name: &str, given: Option<String>) -> Result<String, UsageError> {
        match given {
            Some(value) => Ok(value),
            None => self
                .next()?
                .ok_or_else(|| UsageError(format!("option '{name}' needs a value"))),
        }
    }

    fn rest(&mut self) -> Result<Vec<String>, UsageError> {
        self.inner.by_ref().map(text).collect()
    }
}

fn text(word: OsString) -> Result<String, UsageError> {
    word.into_string()
        .map_err(|word| UsageError(format!("'{}' is not UTF-8", word.display())))
}

fn help() -> String {
    let mut text = String::from(
        "\
Usage: unitlink-launcher [OPTIONS] -- COMMAND [ARGUMENT]...
       unitlink-launcher check [OPTIONS] -- COMMAND [ARGUMENT]...
       unitlink-launcher reload [--wait] [--timeout TIME] [--runtime-directory DIR]
       unitlink-launcher status [--output text|json] [--runtime-directory DIR]
       unitlink-launcher reap [--runtime-directory DIR]

Runs workers, and at SIGHUP starts new ones, with the settings as they are then, beside the old ones,
which go only when the new ones have proved themselves. No request is lost, whatever fails.

Options:
      --settings FILE            TOML; read again at each reload
      --runtime-directory DIR    where the control socket is [default: $RUNTIME_DIRECTORY]
      --force                    start although requests may be lost (reuse-port)
  -k, --kill-at-exit             as --at-exit kill, the default
      --leave-at-exit            as --at-exit leave
  -w, --warmup-time SECONDS      as --warm-up
  -h, --help                     show this
  -V, --version                  show the version

Settings, here or in the file (with '_' for '-'); the command line is stronger:
",
    );
    for key in KEYS {
        let option = format!("{} {}", key.option(), key.value);
        let _ = writeln!(text, "      {option:<30} {}", key.about);
    }
    text.push_str(
        "
Signals:
  HUP   reload                           USR1  to the workers
  TERM  drain and end                    USR2  replace the launcher's own program, not the workers
  QUIT  drain without a limit and end    TTIN  one worker more until the next reload
  INT   end at once                      TTOU  one worker less until the next reload

Exit codes:
    0  stopped, or all work is done        75  not ready in time at the start
   64  wrong command line                  78  settings not valid at the start
   71  too many crashes                   126  the command cannot be run
   69  it cannot listen                   127  there is no such command
  130  interrupted                          N  that of a worker which failed at the start
 reload --wait: 0 ready, 3 settings rejected, 4 the generation failed, 5 not in time, 6 no launcher
",
    );
    text
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn run_of(line: &str) -> Run {
        match parse(line.split_whitespace().map(OsString::from)) {
            Ok(Command::Run(run)) => run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_are_settings_as_toml() {
        let run = run_of(
            "--workers 4 --confirm=0s --environment A=1 --environment B=2 --fdstore --settings /s -- a --workers 5",
        );
        assert_eq!(
            run.toml,
            "workers = 4\nenvironment = [\"A=1\", \"B=2\"]\nconfirm = \"0s\"\nfdstore = true\n\
             command = [\"a\", \"--workers\", \"5\"]\n"
        );
        assert_eq!(run.settings, Some("/s".into()));
    }

    #[test]
    fn command_lines_of_hupwatch_are_understood() {
        let run = run_of("-vv -w 1.5 -k -- gunicorn myapp:application --bind unix:/tmp/myapp.sock");
        assert_eq!(
            run.toml,
            "warm_up = \"1500000us\"\nat_exit = \"kill\"\n\
             command = [\"gunicorn\", \"myapp:application\", \"--bind\", \"unix:/tmp/myapp.sock\"]\n"
        );
    }

    #[test]
    fn a_value_that_is_none_of_its_kind_is_left_to_the_proof() {
        assert_eq!(run_of("--workers many").toml, "workers = \"many\"\n");
        assert_eq!(string("a\"\\\n"), "\"a\\\"\\\\\\u000a\"");
    }

    #[test_case("--wokers 3", "'--wokers' is not known; see unitlink-launcher --help")]
    #[test_case(
        "gunicorn app",
        "'gunicorn' is not known; the command to run follows '--'"
    )]
    #[test_case("--workers", "option '--workers' needs a value")]
    #[test_case(
        "-w soon -- a",
        "-w: found \"soon\", expected seconds or a time such as \"2s\""
    )]
    #[test_case("reload --now", "'--now' is not known; see unitlink-launcher --help")]
    #[test_case(
        "reload --timeout 5",
        "--timeout: found \"5\", expected a time with its unit, write \"5s\""
    )]
    #[test_case(
        "status -o xml",
        "--output: found \"xml\", expected \"text\" or \"json\""
    )]
    fn what_cannot_be_done_says_what_could(line: &str, text: &str) {
        let error = parse(line.split_whitespace().map(OsString::from)).expect_err("refused");
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn the_help_has_every_setting() {
        let help = help();
        for key in KEYS {
            assert!(help.contains(&key.option()), "{}", key.name);
        }
        assert!(help.lines().all(|line| line.len() < 160));
    }
}
