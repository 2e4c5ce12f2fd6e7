//! What only the view of a single unit shows.

use std::time::Duration;

use zbus::wire::Variant;

use crate::{facts::Facts, fleet::Claim, journal::Log};

/// What a unit is besides its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// Its own name, where it was asked for by the name of an alias; empty if it is not said.
    pub(crate) id: String,
    /// Since when it is in its state, by the clock of the node, since 1970.
    pub(crate) since: Option<Duration>,
    /// How often systemd has restarted it by itself.
    pub(crate) restarts: Option<u32>,
    /// Bytes.
    pub(crate) memory: Option<u64>,
    pub(crate) memory_peak: Option<u64>,
    pub(crate) cpu: Option<Duration>,
    pub(crate) tasks: Option<u64>,
    pub(crate) tasks_max: Option<u64>,
    pub(crate) cgroup: String,
    /// Whether the unit file has changed since it was read.
    pub(crate) needs_reload: bool,
    pub(crate) drop_ins: Vec<String>,
    /// Addresses of manuals.
    pub(crate) documentation: Vec<String>,
    /// The program of the main process, without its folder.
    pub(crate) program: String,
    /// The main process, once it has ended.
    pub(crate) main: Option<Ended>,
    /// Commands that have ended.
    pub(crate) processes: Vec<Process>,
    /// Units that this one starts: of a socket, a timer or a path.
    pub(crate) triggers: Vec<String>,
    pub(crate) triggered_by: Vec<String>,
    /// Of a socket: addresses with their types.
    pub(crate) listens: Vec<String>,
    /// Of a mount.
    pub(crate) mount_point: String,
    pub(crate) mounted: String,
    /// Units of the same node that are bound to it, require it, uphold it or want it.
    pub(crate) needed_by: Vec<String>,
    /// What nodes need of it, or what it needs of a node as a proxy.
    pub(crate) claims: Vec<Claim>,
    /// When it began to be started last, in microseconds on the monotonic clock of the node; 0 if
    /// never.
    pub(crate) begun: u64,
    pub(crate) log: Log,
}

/// A command that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// The setting that it is of, as `ExecStart`.
    pub(crate) setting: &'static str,
    pub(crate) words: Vec<String>,
    pub(crate) ended: Ended,
}

/// How a process ended, waitid(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) pid: u32,
    /// 1 if it exited, 2 if it was killed, 3 if it also left a dump.
    pub(crate) code: i32,
    /// The exit status, or the signal.
    pub(crate) status: i32,
}

impl Details {
    /// Reads the properties of a unit.
    pub(crate) fn from_facts(facts: &Facts) -> Self {
        // What systemd does not count is the largest number there is.
        let counted = |key| facts.u64(key).filter(|n| *n != u64::MAX);
        let commands = facts.commands("ExecStart");
        let mut needed_by: Vec<String> = ["BoundBy", "RequiredBy", "UpheldBy", "WantedBy"]
            .iter()
            .flat_map(|key| facts.texts(key))
            .collect();
        needed_by.sort();
        needed_by.dedup();
        Self {
            id: facts.text("Id"),
            since: facts
                .span("StateChangeTimestamp")
                .filter(|at| !at.is_zero()),
            restarts: facts.u32("NRestarts"),
            memory: counted("MemoryCurrent"),
            memory_peak: counted("MemoryPeak"),
            cpu: counted("CPUUsageNSec").map(Duration::from_nanos),
            tasks: counted("TasksCurrent"),
            tasks_max: counted("TasksMax"),
            cgroup: facts.text("ControlGroup"),
            needs_reload: facts.flag("NeedDaemonReload").unwrap_or(false),
            drop_ins: facts.texts("DropInPaths"),
            documentation: facts.texts("Documentation"),
            program: commands
                .first()
                .and_then(|command| command.words.first())
                .and_then(|path| path.rsplit('/').next())
                .unwrap_or_default()
                .to_owned(),
            main: main(facts),
            processes: SETTINGS
                .iter()
                .flat_map(|setting| processes(facts, setting))
                .collect(),
            triggers: facts.texts("Triggers"),
            triggered_by: facts.texts("TriggeredBy"),
            listens: facts.pairs("Listen"),
            mount_point: facts.text("Where"),
            mounted: facts.text("What"),
            needed_by,
            claims: Vec::new(),
            begun: facts.u64("InactiveExitTimestampMonotonic").unwrap_or(0),
            log: Log::NotAsked,
        }
    }
}

/// In the order in which they are run.
const SETTINGS: [&str; 7] = [
    "ExecCondition",
    "ExecStartPre",
    "ExecStart",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
];

fn main(facts: &Facts) -> Option<Ended> {
    let ended = Ended {
        pid: facts.u32("ExecMainPID")?,
        code: facts.i32("ExecMainCode")?,
        status: facts.i32("ExecMainStatus")?,
    };
    (ended.code != 0).then_some(ended)
}

fn processes(facts: &Facts, setting: &'static str) -> Vec<Process> {
    let ended = facts.commands(setting).into_iter();
    let ended = ended.filter(|command| command.ended.code != 0);
    ended
        .map(|command| Process {
            setting,
            words: command.words,
            ended: command.ended,
        })
        .collect()
}

/// A command of a service.
pub(crate) struct Command {
    pub(crate) words: Vec<String>,
    pub(crate) ended: Ended,
}

impl Command {
    /// Reads one, org.freedesktop.systemd1(5): what is run, with which words and flags, when it began
    /// and ended by both clocks, and how.
    pub(crate) fn read(value: &Variant<'_>) -> Option<Self> {
        let Variant::Structure(fields) = value else {
            return None;
        };
        let [_, words, _, _, _, _, _, pid, code, status] = fields.fields() else {
            return None;
        };
        Some(Self {
            words: Vec::<String>::try_from(words.try_clone().ok()?).ok()?,
            ended: Ended {
                pid: u32::try_from(pid).ok()?,
                code: i32::try_from(code).ok()?,
                status: i32::try_from(status).ok()?,
            },
        })
    }
}
