//! The settings: files and command line, proved.

use std::{ffi::OsString, fmt, path::PathBuf, time::Duration};

use generations::{Limit, MaxCrashes, Mode, OnReloadFailure, Readiness};
use host::{
    config::{ConfigErrors, Section, Sources, load, parse_duration},
    scope::Scope,
};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::options::Run;

/// Everything that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// What the state machine needs.
    pub(crate) core: generations::Settings,
    pub(crate) command: Vec<String>,
    pub(crate) chdir: Option<PathBuf>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) environment_files: Vec<EnvironmentFile>,
    pub(crate) ready: Ready,
    pub(crate) ready_times: u32,
    pub(crate) forward_signals: Vec<Signal>,
    pub(crate) mutable_files: Vec<PathBuf>,
    pub(crate) mutable_signal: Signal,
    pub(crate) publish: Option<Publish>,
    pub(crate) fdstore: bool,
    pub(crate) fixed: Fixed,
}

/// What only a restart changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fixed {
    pub(crate) listen: Vec<Listen>,
    pub(crate) at_exit: AtExit,
    pub(crate) adapt: bool,
    pub(crate) reuse_port: bool,
}

/// What becomes of workers when the launcher dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AtExit {
    Kill,
    Leave,
}

/// A file of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvironmentFile {
    pub(crate) path: PathBuf,
    pub(crate) may_be_missing: bool,
}

/// How it is known that a worker is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    Auto,
    Notify,
    Time(Duration),
    /// A command of the shell.
    Exec(String),
    /// What `unitlink-launcher probe` understands.
    Connect(String),
}

/// A name that leads to the socket of the newest generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) link: PathBuf,
    /// With `%G` in it.
    pub(crate) path: String,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listen {
    /// Its name in `LISTEN_FDNAMES`.
    pub(crate) name: String,
    pub(crate) address: Address,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Address {
    Tcp(std::net::SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Reads the settings. `fixed` is what they were at the start; a reload cannot change it.
pub(crate) fn read(run: &Run, fixed: Option<&Fixed>) -> Result<Settings, ConfigErrors> {
    let scope = Scope::System;
    let sources = match &run.settings {
        Some(path) => Sources::file(path, &scope),
        None => Sources::none(&scope),
    };
    let sources = sources.with_options(run.toml.clone());
    load(&sources, |root| prove(root, fixed)).map(|loaded| loaded.settings)
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

pub(crate) fn prove(root: &Section<'_>, fixed: Option<&Fixed>) -> Settings {
    let default = generations::Settings::default();
    let time = |key: &str, from: Duration, default: Duration| {
        root.duration(key, from..=YEAR)
            .map_or(default, |it| it.value)
    };
    let any = Duration::ZERO;
    let some = Duration::from_millis(1);

    let command: Vec<String> = match root.list("command", argument) {
        Some(command) => {
            if command.value.is_empty() {
                root.refuse(&command, "expected a program and its arguments");
            }
            command.value.into_iter().map(|it| it.value).collect()
        }
        None => {
            root.missing(
                "command",
                "expected a program and its arguments, here or after '--'",
            );
            Vec::new()
        }
    };
    let workers = root.integer("workers", 1..=i64::from(generations::limits::WORKERS_MAX));
    let publish = root.text("publish", publish);
    if let (Some(workers), Some(_)) = (&workers, &publish)
        && workers.value != 1
    {
        root.refuse(
            workers,
            "expected 1, since with publish each generation has one socket",
        );
    }
    let graceful = time("graceful_timeout", any, Duration::from_secs(60));
    let respawn_first = root.duration("respawn_delay", some..=YEAR);
    let respawn_max = root.duration("respawn_delay_max", some..=YEAR);
    let first = respawn_first
        .as_ref()
        .map_or(default.respawn_first, |it| it.value);
    let max = respawn_max
        .as_ref()
        .map_or(default.respawn_max, |it| it.value);
    if max < first
        && let Some(wrong) = respawn_max.as_ref().or(respawn_first.as_ref())
    {
        root.refuse(
            wrong,
            "expected respawn_delay_max to be no less than respawn_delay",
        );
    }
    let ready = root.text("ready", ready).map_or(Ready::Auto, |it| it.value);
    let warm_up = time("warm_up", any, Duration::from_secs(1));
    let settle = time("settle", any, Duration::from_millis(100));
    let watchdog = time("watchdog", any, any);
    let modes = [
        ("overlap", Mode::Overlap),
        ("rolling", Mode::Rolling),
        ("replace", Mode::Replace),
    ];
    let failures = [
        ("abort", OnReloadFailure::Abort),
        ("retry", OnReloadFailure::Retry),
    ];
    let core = generations::Settings {
        workers: workers.map_or(1, |it| u32::try_from(it.value).unwrap_or(1)),
        mode: root
            .word("mode", &modes)
            .map_or(Mode::Overlap, |it| it.value),
        readiness: match &ready {
            Ready::Auto => Readiness::Auto(warm_up),
            Ready::Notify => Readiness::Notify,
            Ready::Time(time) => Readiness::After(*time),
            Ready::Exec(_) | Ready::Connect(_) => Readiness::Probe,
        },
        ready_timeout: time("ready_timeout", some, default.ready_timeout),
        confirm: time("confirm", any, default.confirm),
        settle: if publish.is_some() { settle } else { any },
        graceful: limit(graceful),
        reload_graceful: limit(time("reload_graceful_timeout", any, graceful)),
        max_old_generations: root
            .integer("max_old_generations", 1..=1000)
            .map_or(default.max_old_generations, |it| {
                u32::try_from(it.value).unwrap_or(0)
            }),
        on_reload_failure: root
            .word("on_reload_failure", &failures)
            .map_or(default.on_reload_failure, |it| it.value),
        respawn_first: first,
        respawn_max: max,
        respawn_reset: default.respawn_reset,
        max_crashes: root
            .text("max_crashes", max_crashes)
            .and_then(|it| it.value),
        success_code: root
            .integer("success_exit", 0..=255)
            .and_then(|it| u8::try_from(it.value).ok()),
        watchdog: (!watchdog.is_zero()).then_some(watchdog),
    };
    let words = |key: &str| {
        root.list(key, path)
            .map(|it| it.value)
            .into_iter()
            .flatten()
    };
    Settings {
        core,
        command,
        chdir: root.text("chdir", path).map(|it| it.value),
        environment: values(root.list("environment", variable)),
        environment_files: values(root.list("environment_file", environment_file)),
        ready,
        ready_times: root
            .integer("ready_times", 1..=1000)
            .map_or(1, |it| u32::try_from(it.value).unwrap_or(1)),
        forward_signals: values(root.list("forward_signals", signal)),
        mutable_files: words("mutable_files").map(|it| it.value).collect(),
        mutable_signal: root
            .text("mutable_signal", signal)
            .map_or(Signal::SIGHUP, |it| it.value),
        publish: publish.map(|it| it.value),
        fdstore: root.boolean("fdstore").is_some_and(|it| it.value),
        fixed: prove_fixed(root, fixed),
    }
}

fn prove_fixed(root: &Section<'_>, before: Option<&Fixed>) -> Fixed {
    let listen = root.list("listen", listen);
    let ends = [("kill", AtExit::Kill), ("leave", AtExit::Leave)];
    let at_exit = root.word("at_exit", &ends);
    let adapt = root.boolean("adapt");
    let reuse_port = root.boolean("reuse_port");
    let fixed = Fixed {
        listen: listen
            .iter()
            .flat_map(|it| it.value.iter())
            .map(|it| it.value.clone())
            .collect(),
        at_exit: at_exit.as_ref().map_or(AtExit::Kill, |it| it.value),
        adapt: adapt.as_ref().is_none_or(|it| it.value),
        reuse_port: reuse_port.as_ref().is_some_and(|it| it.value),
    };
    if let Some(before) = before {
        let text = "expected what it was at the start; only a restart changes it";
        if let Some(it) = listen.as_ref().filter(|_| fixed.listen != before.listen) {
            root.refuse(it, text);
        }
        if let Some(it) = at_exit.as_ref().filter(|_| fixed.at_exit != before.at_exit) {
            root.refuse(it, text);
        }
        if let Some(it) = adapt.as_ref().filter(|_| fixed.adapt != before.adapt) {
            root.refuse(it, text);
        }
        if let Some(it) = reuse_port
            .as_ref()
            .filter(|_| fixed.reuse_port != before.reuse_port)
        {
            root.refuse(it, text);
        }
    }
    fixed
}

fn values<T>(list: Option<host::config::Located<Vec<host::config::Located<T>>>>) -> Vec<T> {
    let list = list.map(|it| it.value).unwrap_or_default();
    list.into_iter().map(|it| it.value).collect()
}

fn limit(time: Duration) -> Limit {
    if time.is_zero() {
        Limit::Unlimited
    } else {
        Limit::After(time)
    }
}

/// What the kernel takes as an argument: anything without a NUL.
fn argument(text: &str) -> Result<String, &'static str> {
    match text.contains('\0') {
        true => Err("expected no NUL in it"),
        false => Ok(text.to_owned()),
    }
}

fn path(text: &str) -> Result<PathBuf, &'static str> {
    match text.contains('\0') || text.is_empty() {
        true => Err("expected a path"),
        false => Ok(OsString::from(text).into()),
    }
}

fn variable(text: &str) -> Result<(String, String), &'static str> {
    crate::environment::assignment(text).ok_or("expected NAME=VALUE")
}

fn environment_file(text: &str) -> Result<EnvironmentFile, &'static str> {
    let (may_be_missing, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let path = path(text)?;
    Ok(EnvironmentFile {
        path,
        may_be_missing,
    })
}

fn ready(text: &str) -> Result<Ready, String> {
    let expected = || {
        "expected \"auto\", \"notify\", \"time:TIME\", \"exec:COMMAND\", \"tcp:HOST:PORT\", \
         \"unix:PATH\" or \"http://HOST:PORT/PATH\""
            .to_owned()
    };
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    match (kind, rest) {
        ("auto", "") => Ok(Ready::Auto),
        ("notify", "") => Ok(Ready::Notify),
        ("time", rest) => parse_duration(rest)
            .map(Ready::Time)
            .map_err(|it| it.to_string()),
        ("exec", rest) if !rest.trim().is_empty() && !rest.contains('\0') => {
            Ok(Ready::Exec(rest.to_owned()))
        }
        ("tcp" | "unix" | "http", _) if crate::probe::Target::parse(text).is_some() => {
            Ok(Ready::Connect(text.to_owned()))
        }
        _ => Err(expected()),
    }
}

fn publish(text: &str) -> Result<Publish, &'static str> {
    let expected = "expected LINK:PATH, two absolute paths, the second with %G in it";
    let (link, path) = text.split_once(':').ok_or(expected)?;
    let is_right = link.starts_with('/') && path.starts_with('/') && path.contains("%G");
    if !is_right || text.contains('\0') || link.contains("%G") {
        return Err(expected);
    }
    Ok(Publish {
        link: link.into(),
        path: path.to_owned(),
    })
}

fn max_crashes(text: &str) -> Result<Option<MaxCrashes>, &'static str> {
    let expected = "expected \"off\", or a number and a time such as \"5/60s\"";
    if text == "off" {
        return Ok(None);
    }
    let (count, within) = text.split_once('/').ok_or(expected)?;
    let count = count.parse().map_err(|_| expected)?;
    let within = parse_duration(within).map_err(|_| expected)?;
    if !(1..=generations::limits::CRASHES_MAX).contains(&count) || within.is_zero() {
        return Err("expected from 1 to 1000 crashes within a time");
    }
    Ok(Some(MaxCrashes { count, within }))
}

fn signal(text: &str) -> Result<Signal, &'static str> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let signal: Signal = format!("SIG{name}")
        .parse()
        .map_err(|_| "expected the name of a signal such as \"WINCH\"")?;
    if matches!(signal, Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGCHLD) {
        return Err("expected a signal that workers can act on");
    }
    Ok(signal)
}

pub(crate) fn listen(text: &str) -> Result<Listen, String> {
    let expected = "expected [NAME=]HOST:PORT, [NAME=]PORT or [NAME=]PATH";
    let (name, address) = match text.split_once('=') {
        Some((name, address)) => (name, address),
        None => ("listen", text),
    };
    let is_name = !name.is_empty() && name.bytes().all(|it| it.is_ascii_graphic() && it != b':');
    if !is_name {
        return Err("expected a name without ':' before '='".to_owned());
    }
    let address = if address.starts_with('/') || address.starts_with('.') {
        Address::Unix(path(address)?)
    } else if let Ok(port) = address.parse::<u16>() {
        Address::Tcp((std::net::Ipv6Addr::UNSPECIFIED, port).into())
    } else {
        Address::Tcp(address.parse().map_err(|_| expected.to_owned())?)
    };
    Ok(Listen {
        name: name.to_owned(),
        address,
    })
}

#[cfg(test)]
mod tests;
