//! How a daemon ends: the codes of sysexits(3) where one says it, so that a service manager and whoever reads its
//! journal know whether to try again makes sense. `docs/reference/exit-codes.md` has the table.

use std::process::ExitCode;

/// Why a daemon has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// `SIGTERM`, or what was asked for is done.
    Done,
    /// The command line is not valid.
    Usage,
    /// It cannot listen where it should, or what it needs of the machine is not there.
    Unavailable,
    /// The machine refuses something that it never should, or we are broken.
    Internal,
    /// It was not ready in time: what it waited for may come, so to try again makes sense.
    NotReady,
    /// The configuration is not valid.
    Config,
    /// `SIGINT`, as a shell counts it.
    Interrupted,
}

impl Exit {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Usage,
        Self::Unavailable,
        Self::Internal,
        Self::NotReady,
        Self::Config,
        Self::Interrupted,
    ];

    /// The code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::NotReady => 75,
            Self::Config => 78,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        config::parse_duration,
        limits::{RELOAD_TIME, START_READ_TIME},
    };

    const UNITS: [&str; 2] = [
        include_str!("../../../units/systemd/unitlink-controller.service.in"),
        include_str!("../../../units/systemd/unitlink-agent.service.in"),
    ];

    /// The codes in these lines, which begin with one.
    fn codes<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u8> {
        lines.filter_map(|line| line.trim().parse().ok()).collect()
    }

    #[test]
    fn every_code_is_in_the_reference_and_in_the_manual_pages_and_no_other() {
        let all: Vec<_> = Exit::ALL.into_iter().map(Exit::code).collect();
        let reference = include_str!("../../../docs/reference/exit-codes.md");
        let (_, daemons) = reference
            .split_once("## `unitlink-controller` and `unitlink-agent`")
            .expect("a section");
        let (daemons, _) = daemons.split_once("\n## ").expect("another one");
        let rows = daemons.lines().filter_map(|line| line.split('|').nth(1));
        assert_eq!(codes(rows), all);
        for page in [
            include_str!("../../../docs/man/unitlink-controller.8"),
            include_str!("../../../docs/man/unitlink-agent.8"),
        ] {
            let (_, section) = page.split_once(".SH EXIT STATUS").expect("a section");
            let (section, _) = section.split_once("\n.SH ").expect("another one");
            let bold = section.lines().filter_map(|line| line.strip_prefix(".B "));
            assert_eq!(codes(bold), all);
        }
    }

    #[test]
    fn units_are_not_started_again_where_trying_again_is_of_no_use() {
        let hopeless = format!(
            "RestartPreventExitStatus={} {}",
            Exit::Usage.code(),
            Exit::Config.code()
        );
        for unit in UNITS {
            assert!(unit.lines().any(|line| line == hopeless), "{hopeless}");
        }
    }

    #[test]
    fn a_daemon_gives_up_before_whoever_waits_for_it() {
        for unit in UNITS {
            let setting = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name));
            let start = setting("TimeoutStartSec=").expect("a limit");
            let start = Duration::from_secs(start.parse().expect("seconds"));
            let reload = setting("ExecReload=").expect("a command");
            let (_, reload) = reload.split_once("--timeout ").expect("a limit");
            let reload = reload.split(' ').next().map(parse_duration);
            let reload = reload.expect("a word").expect("a time");
            assert!(START_READ_TIME < start && RELOAD_TIME < reload && reload < start);
        }
    }
}
