//! Every setting, as a table: what `--help` lists and what the command line is read by. How each is
//! proved is in `settings.rs`; a test holds both together.

/// A setting, a key of the file and an option of the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// As in the file; on the command line with `--` before it and `-` within it.
    pub(crate) name: &'static str,
    /// How a value on the command line is written in TOML.
    pub(crate) kind: Kind,
    /// What stands for the value in the help.
    pub(crate) value: &'static str,
    /// What it is, with its default.
    pub(crate) about: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string, also times.
    Text,
    /// A number.
    Number,
    /// `true` or `false`; on the command line it may stand alone.
    Flag,
    /// An array of strings; on the command line it may be given again and again.
    List,
}

const fn key(name: &'static str, kind: Kind, value: &'static str, about: &'static str) -> Key {
    Key {
        name,
        kind,
        value,
        about,
    }
}

/// All of them but `command`, which is what follows `--`.
pub(crate) const KEYS: &[Key] = &[
    key("workers", Kind::Number, "N", "how many workers [1]"),
    key(
        "chdir",
        Kind::Text,
        "DIR",
        "where they run; resolved anew at each reload",
    ),
    key(
        "environment",
        Kind::List,
        "NAME=VALUE",
        "a variable of the workers",
    ),
    key(
        "environment_file",
        Kind::List,
        "FILE",
        "a file of variables, read at each reload; with '-' before it, it may be missing",
    ),
    key(
        "listen",
        Kind::List,
        "ADDRESS",
        "listen here and pass the socket: [NAME=]HOST:PORT, [NAME=]PORT or [NAME=]PATH",
    ),
    key(
        "mode",
        Kind::Text,
        "MODE",
        "overlap, rolling or replace [overlap]",
    ),
    key(
        "ready",
        Kind::Text,
        "HOW",
        "auto, notify, time:TIME, exec:COMMAND, tcp:HOST:PORT, unix:PATH or http://HOST:PORT/PATH [auto]",
    ),
    key(
        "ready_times",
        Kind::Number,
        "N",
        "so many probes in a row must succeed [1]",
    ),
    key(
        "ready_timeout",
        Kind::Text,
        "TIME",
        "a worker that is not ready by then has failed [30s]",
    ),
    key(
        "warm_up",
        Kind::Text,
        "TIME",
        "ready=auto: after this a worker that never says so is ready [1s]",
    ),
    key(
        "confirm",
        Kind::Text,
        "TIME",
        "so long a new worker must have been ready before an old one goes [2s]",
    ),
    key(
        "graceful_timeout",
        Kind::Text,
        "TIME",
        "how long workers may drain at a stop; 0s: no limit [60s]",
    ),
    key(
        "reload_graceful_timeout",
        Kind::Text,
        "TIME",
        "how long they may drain after a reload [graceful_timeout]",
    ),
    key(
        "max_old_generations",
        Kind::Number,
        "N",
        "so many generations may drain at once, one at least [3]",
    ),
    key(
        "on_reload_failure",
        Kind::Text,
        "WHAT",
        "abort, or retry with a growing wait [abort]",
    ),
    key(
        "respawn_delay",
        Kind::Text,
        "TIME",
        "before a worker that ended is started again; doubles [100ms]",
    ),
    key(
        "respawn_delay_max",
        Kind::Text,
        "TIME",
        "the longest such wait [30s]",
    ),
    key(
        "max_crashes",
        Kind::Text,
        "N/TIME",
        "as 5/60s: give up after so many within the time [off]",
    ),
    key(
        "success_exit",
        Kind::Number,
        "CODE",
        "a worker that ends with this code has done its work",
    ),
    key(
        "watchdog",
        Kind::Text,
        "TIME",
        "workers must send WATCHDOG=1 within it; 0s: not watched [0s]",
    ),
    key(
        "forward_signals",
        Kind::List,
        "SIGNAL",
        "sent on to all workers, as WINCH; USR1 always is",
    ),
    key(
        "mutable_files",
        Kind::List,
        "FILE",
        "if only these have changed, workers are told and none is replaced",
    ),
    key(
        "mutable_signal",
        Kind::Text,
        "SIGNAL",
        "how they are told [HUP]",
    ),
    key(
        "publish",
        Kind::Text,
        "LINK:PATH",
        "LINK leads to the PATH of the newest generation; %G is its number, also in the command",
    ),
    key(
        "settle",
        Kind::Text,
        "TIME",
        "publish: how long after that the old generation goes [100ms]",
    ),
    key(
        "reuse_port",
        Kind::Flag,
        "",
        "workers bind their ports themselves, with SO_REUSEPORT",
    ),
    key(
        "fdstore",
        Kind::Flag,
        "",
        "what workers give to the service manager to keep is passed on",
    ),
    key(
        "at_exit",
        Kind::Text,
        "WHAT",
        "kill or leave the workers if the launcher dies [kill]",
    ),
    key(
        "adapt",
        Kind::Flag,
        "",
        "take --bind from the command line of a known server and pass the socket [true]",
    ),
];

impl Key {
    /// The option of the command line.
    pub(crate) fn option(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    pub(crate) fn by_option(option: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.option() == option)
    }
}
