//! The command line and the environment, read by hand: there is little, and it is read at each
//! start of a service.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    path::PathBuf,
    time::Duration,
};

use proto::{
    helper::reason_file,
    model::Token,
    name::{HoldName, ProxyName, UnitName},
};

use crate::limits;

/// What `--help` says.
pub(crate) const HELP: &str = "\
Usage: unitlink-proxy [OPTIONS] up|down|reload|stop PROXY
       unitlink-proxy [OPTIONS] reloaded HOLD

up      asks the agent of this node for the unit that PROXY (proxy@NODE_UNIT.service) stands for,
        and exits when it is up or when it is known that it will not be. Run by proxy@.service.
        For conflict@NODE_UNIT.service: when the unit does not run. Run by conflict@.service.
down    fails if that unit has, so that the proxy does. Run by both when they are stopped.
reload  has that unit reloaded. Run by proxy@.service when it is reloaded.
stop    has that unit stopped, once.
reloaded
        tells those nodes that need the unit of HOLD (dep@UNIT.service) of its reload. Run by
        dep@.service.

Options:
      --user             ask the agent of the user who runs this instead of the system's
      --socket PATH      socket of the agent, beside which it leaves why a proxy is stopped [default: /run/unitlink/agent.sock, with --user
                         $XDG_RUNTIME_DIR/unitlink/agent.sock]
      --timeout SECONDS  how long to wait for the first word of the agent [default: 90]
  -h, --help             show this
  -V, --version          show the version

Environment:
  INVOCATION_ID    set by systemd: which start of the proxy this is
  NOTIFY_SOCKET    set by systemd: where to say what is waited for
  XDG_RUNTIME_DIR  with --user: where the sockets of the user are

Exit codes:
   0  it is so                              16  the agent has no controller
   1  the unit failed                       17  the agent does not answer
   2  wrong command line or name            18  it took too long
  10  the unit was stopped                  19  units need each other in a circle
  11  there is no such unit                 20  it was called off
  12  there is no such node                 21  a limit was reached
  13  this node may not depend on that one  22  the service manager refused
  14  the node is offline                   23  the unit has ended by itself
  15  the node went out of sight            24  the unit was up, and has failed
                                            25  the unit has ended, and is started again
";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Ask the agent.
    Ask(Options),
    /// Say why the proxy is stopped.
    Down(Stopped),
    /// Only say this.
    Say(String),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// The unit, for as long as the proxy is active.
    Up,
    /// A reload of it.
    Reload,
    /// A stop of it.
    Stop,
    /// Others are to hear that a unit of this node was reloaded.
    Reloaded,
}

/// The unit that runs the helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// What stands for the remote unit.
    Proxy(ProxyName),
    /// What holds a unit for other nodes.
    Hold(HoldName),
}

impl Subject {
    /// The unit that it is about, in a sentence.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Proxy(proxy) => {
                let rivalled = proxy.rivalled();
                let unit = rivalled.as_ref().unwrap_or(proxy.unit());
                format!("{unit} on {}", proxy.node())
            }
            Self::Hold(hold) => hold.unit().to_string(),
        }
    }

    /// Whether it is that a unit does not run.
    pub(crate) fn is_conflict(&self) -> bool {
        match self {
            Self::Proxy(proxy) => proxy.rivalled().is_some(),
            Self::Hold(_) => false,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy(proxy) => proxy.fmt(f),
            Self::Hold(hold) => hold.fmt(f),
        }
    }
}

/// All that is needed to ask.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// What for.
    pub(crate) verb: Verb,
    /// Who asks.
    pub(crate) subject: Subject,
    /// Which attempt this is.
    pub(crate) token: Token,
    /// Where the agent listens.
    pub(crate) socket: PathBuf,
    /// Whether the agent is that of a user, for messages.
    pub(crate) is_user: bool,
    /// How long the agent may take to say its first word.
    pub(crate) timeout: Duration,
}

/// A proxy that is stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// Which.
    pub(crate) subject: Subject,
    /// Where the agent has left why, if it is for a failure.
    pub(crate) reason: PathBuf,
}

/// A command line that cannot be carried out; the text says what would be right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the arguments, without the program's name, and the environment.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    parse_with(args, |name| std::env::var_os(name))
}

fn parse_with(
    args: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, UsageError> {
    let mut args = args.into_iter();
    let mut socket = None;
    let mut is_user = false;
    let mut timeout = limits::FIRST_WORD;
    let mut words = Vec::new();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("-h" | "--help") => return Ok(Command::Say(HELP.to_owned())),
            Some("-V" | "--version") => {
                let version = env!("CARGO_PKG_VERSION");
                return Ok(Command::Say(format!("unitlink-proxy {version}\n")));
            }
            Some("--user") => is_user = true,
            Some("--socket") => socket = Some(value(&mut args, "--socket")?.into()),
            Some("--timeout") => timeout = seconds(&value(&mut args, "--timeout")?)?,
            Some(option) if option.starts_with('-') => {
                return Err(UsageError(format!(
                    "option '{option}' is not known; see unitlink-proxy --help"
                )));
            }
            Some(_) | None => words.push(arg),
        }
    }
    let [verb, name] = words.as_slice() else {
        return Err(UsageError(
            "usage: unitlink-proxy up|down|reload|stop proxy@NODE_UNIT.service, \
             or unitlink-proxy reloaded dep@UNIT.service"
                .into(),
        ));
    };
    // None for the one that asks nothing.
    let verb = match verb.to_str() {
        Some("up") => Some(Verb::Up),
        Some("down") => None,
        Some("reload") => Some(Verb::Reload),
        Some("stop") => Some(Verb::Stop),
        Some("reloaded") => Some(Verb::Reloaded),
        Some(_) | None => {
            return Err(UsageError(format!(
                "verb '{}' is not known; known are 'up', 'down', 'reload', 'stop' and 'reloaded'",
                verb.display()
            )));
        }
    };
    let name = name.to_string_lossy();
    let subject = match verb {
        Some(Verb::Reloaded) => Subject::Hold(hold(&name)?),
        Some(Verb::Up | Verb::Reload | Verb::Stop) | None => {
            Subject::Proxy(ProxyName::parse(&name).map_err(|error| UsageError(error.to_string()))?)
        }
    };
    let token = token(variable("INVOCATION_ID").as_deref())?;
    let socket: PathBuf = match socket {
        Some(socket) => socket,
        None => runtime(is_user, variable("XDG_RUNTIME_DIR"))?.join("unitlink/agent.sock"),
    };
    Ok(match verb {
        Some(verb) => Command::Ask(Options {
            verb,
            subject,
            token,
            socket,
            is_user,
            timeout,
        }),
        None => Command::Down(Stopped {
            subject,
            reason: reason_file(socket.parent().unwrap_or(&socket), token),
        }),
    })
}

fn hold(name: &str) -> Result<HoldName, UsageError> {
    let unit: Option<UnitName> = name.parse().ok();
    unit.as_ref().and_then(HoldName::parse).ok_or_else(|| {
        UsageError(format!(
            "'{name}' is no hold; it looks like 'dep@UNIT.service'"
        ))
    })
}

/// The folder of sockets.
fn runtime(is_user: bool, folder: Option<OsString>) -> Result<PathBuf, UsageError> {
    if !is_user {
        return Ok("/run".into());
    }
    let folder = folder.map(PathBuf::from).filter(|it| it.is_absolute());
    folder.ok_or_else(|| {
        let text = "XDG_RUNTIME_DIR is no absolute path; with --user it is where the sockets of the user are";
        UsageError(text.into())
    })
}

fn value(args: &mut impl Iterator<Item = OsString>, option: &str) -> Result<OsString, UsageError> {
    args.next()
        .ok_or_else(|| UsageError(format!("option '{option}' needs a value")))
}

fn seconds(text: &OsStr) -> Result<Duration, UsageError> {
    text.to_str()
        .and_then(|text| text.parse().ok())
        .map(Duration::from_secs)
        .filter(|timeout| (Duration::from_secs(1)..=limits::WAIT_MAX).contains(timeout))
        .ok_or_else(|| {
            UsageError(format!(
                "--timeout '{}' is no whole number of seconds from 1 to {}",
                text.display(),
                limits::WAIT_MAX.as_secs()
            ))
        })
}

fn token(invocation_id: Option<&OsStr>) -> Result<Token, UsageError> {
    let Some(text) = invocation_id else {
        return Err(UsageError(
            "INVOCATION_ID is not set; unitlink-proxy is run by systemd, in proxy@.service".into(),
        ));
    };
    text.to_string_lossy()
        .parse()
        .map_err(|error| UsageError(format!("INVOCATION_ID: {error}")))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff";

    fn run(line: &str, id: Option<&str>) -> Result<Command, String> {
        run_in(line, id, Some("/run/user/7"))
    }

    fn run_in(line: &str, id: Option<&str>, runtime: Option<&str>) -> Result<Command, String> {
        let variable = |name: &str| match name {
            "INVOCATION_ID" => id.map(OsString::from),
            _ => runtime.map(OsString::from),
        };
        let parsed = parse_with(line.split_whitespace().map(OsString::from), variable);
        parsed.map_err(|error| error.0)
    }

    #[test_case("up", Verb::Up)]
    #[test_case("reload", Verb::Reload)]
    #[test_case("stop", Verb::Stop)]
    fn the_line_of_the_template_is_enough(word: &str, verb: Verb) {
        let options = Options {
            verb,
            subject: Subject::Proxy(ProxyName::parse("proxy@b_t.service").expect("valid")),
            token: ID.parse().expect("valid"),
            socket: "/run/unitlink/agent.sock".into(),
            is_user: false,
            timeout: Duration::from_secs(90),
        };
        assert_eq!(
            run(&format!("{word} proxy@b_t.service"), Some(ID)),
            Ok(Command::Ask(options))
        );
    }

    #[test_case("--user up proxy@b_t.service", "/run/user/7/unitlink/agent.sock"; "of the user")]
    #[test_case("--user --socket /s up proxy@b_t.service", "/s"; "named")]
    fn a_user_has_an_agent_of_the_own(line: &str, socket: &str) {
        let Ok(Command::Ask(options)) = run(line, Some(ID)) else {
            panic!("refused");
        };
        assert!(options.is_user);
        assert_eq!(options.socket, PathBuf::from(socket));
    }

    #[test_case(None; "not set")]
    #[test_case(Some("run"); "relative")]
    fn the_sockets_of_a_user_are_somewhere(runtime: Option<&str>) {
        let error = run_in("--user up proxy@b_t.service", Some(ID), runtime).expect_err("refused");
        assert!(
            error.starts_with("XDG_RUNTIME_DIR is no absolute path"),
            "{error}"
        );
    }

    #[test_case("down proxy@b_t.service", "/run/unitlink"; "of the system")]
    #[test_case("--user down proxy@b_t.service", "/run/user/7/unitlink"; "of the user")]
    #[test_case("--socket /s/a.sock down proxy@b_t.service", "/s"; "named")]
    fn a_reason_is_beside_the_socket(line: &str, folder: &str) {
        let stopped = Stopped {
            subject: Subject::Proxy(ProxyName::parse("proxy@b_t.service").expect("valid")),
            reason: format!("{folder}/agent/reasons/{ID}").into(),
        };
        assert_eq!(run(line, Some(ID)), Ok(Command::Down(stopped)));
    }

    #[test_case("", "usage: unitlink-proxy up|down|reload|stop"; "nothing")]
    #[test_case("start proxy@b_t.service", "verb 'start' is not known"; "another verb")]
    #[test_case("reloaded t.service", "'t.service' is no hold"; "no hold")]
    #[test_case("up t.service", "'t.service' is no proxy"; "no proxy")]
    #[test_case("up proxy@b_t.service.service", "proxy@b_t.service"; "another spelling")]
    #[test_case("--fast up proxy@b_t.service", "'--fast' is not known"; "another option")]
    #[test_case("up proxy@b_t.service --socket", "needs a value"; "no value")]
    #[test_case("--timeout 0 up proxy@b_t.service", "from 1 to 86400"; "no time")]
    fn what_cannot_be_done_says_what_could(line: &str, text: &str) {
        let error = run(line, Some(ID)).expect_err("refused");
        assert!(error.contains(text), "{error}");
    }

    #[test_case(None, "INVOCATION_ID is not set"; "not set")]
    #[test_case(Some("x"), "32 hexadecimal digits"; "no id")]
    fn an_attempt_has_an_id(id: Option<&str>, text: &str) {
        let error = run("up proxy@b_t.service", id).expect_err("refused");
        assert!(error.contains(text), "{error}");
    }
}
