//! What happens to a pair.

/// To whom it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Source,
    Target,
}

/// One thing that happens.
pub(super) struct Event {
    pub(super) name: &'static str,
    /// The target's unit, if it has one; one of an empty file is masked (systemd.unit(5)).
    pub(super) target: Option<&'static str>,
    /// Whether the source runs before.
    pub(super) runs: bool,
    /// Where.
    pub(super) at: Role,
    /// A script on that node; `@` is the unit.
    pub(super) script: &'static str,
}

const RUNS: &str =
    "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/sh -c 'echo >>/run/%N.reloads'\n";
const WHILE_NEEDED: &str =
    "[Unit]\nStopWhenUnneeded=yes\n[Service]\nExecStart=/bin/sleep infinity\n";
const AGAIN: &str =
    "[Service]\nExecStart=/bin/sleep infinity\nRestart=on-failure\nRestartSec=200ms\n";
const AGAIN_AT_ONCE: &str =
    "[Service]\nExecStart=/bin/sleep infinity\nRestart=on-failure\nRestartSec=0\n";
const ALWAYS: &str = "[Service]\nExecStart=/bin/sleep infinity\nRestart=always\nRestartSec=200ms\n";
const NEEDED_AGAIN: &str = "[Unit]\nStopWhenUnneeded=yes\n[Service]\nExecStart=/bin/sleep infinity\nRestart=on-failure\nRestartSec=500ms\n";
const FAILS: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/false\n";
const NEVER_AGAIN: &str = "[Service]\nExecStartPre=/bin/sh -c '! test -e /run/%N.started'\nExecStart=/bin/sleep infinity\nExecStartPost=/bin/touch /run/%N.started\n";
const ONLY_RUNS: &str = "[Service]\nType=oneshot\nExecStart=/bin/true\n";
const FAILS_SIMPLE: &str = "[Service]\nExecStart=/bin/false\n";

const fn running(
    name: &'static str,
    target: &'static str,
    at: Role,
    script: &'static str,
) -> Event {
    Event {
        name,
        target: Some(target),
        runs: true,
        at,
        script,
    }
}

const fn start(name: &'static str, target: Option<&'static str>) -> Event {
    Event {
        name,
        target,
        runs: false,
        at: Role::Source,
        script: "systemctl start @",
    }
}

const KILL: &str = "systemctl kill --kill-whom=main --signal=KILL @";
const END: &str = "systemctl kill --kill-whom=main --signal=TERM @";

pub(super) const EVENTS: &[Event] = &[
    start("source is started", Some(RUNS)),
    start("source is started, target fails to start", Some(FAILS)),
    start(
        "source is started, target fails at once",
        Some(FAILS_SIMPLE),
    ),
    start("source is started, target is missing", None),
    start("source is started, target is masked", Some("")),
    start("source is started, target only runs", Some(ONLY_RUNS)),
    Event {
        name: "target is started",
        target: Some(RUNS),
        runs: false,
        at: Role::Target,
        script: "systemctl start @",
    },
    running("target is stopped", RUNS, Role::Target, "systemctl stop @"),
    running(
        "target is restarted",
        RUNS,
        Role::Target,
        "systemctl restart @",
    ),
    running(
        "target is restarted, and fails",
        NEVER_AGAIN,
        Role::Target,
        "systemctl restart @",
    ),
    running(
        "target is reloaded",
        RUNS,
        Role::Target,
        "systemctl reload @",
    ),
    running("target ends by itself", RUNS, Role::Target, END),
    running("target is killed", RUNS, Role::Target, KILL),
    running("target with Restart= is killed", AGAIN, Role::Target, KILL),
    running(
        "target with Restart=, RestartSec=0 is killed",
        AGAIN_AT_ONCE,
        Role::Target,
        KILL,
    ),
    running(
        "target with Restart= while needed is killed",
        NEEDED_AGAIN,
        Role::Target,
        KILL,
    ),
    running(
        "target with Restart=always ends by itself",
        ALWAYS,
        Role::Target,
        END,
    ),
    running(
        "target is masked",
        RUNS,
        Role::Target,
        "ln -sf /dev/null /etc/systemd/system/@; systemctl daemon-reload",
    ),
    running("source is stopped", RUNS, Role::Source, "systemctl stop @"),
    running(
        "source is stopped, target while needed",
        WHILE_NEEDED,
        Role::Source,
        "systemctl stop @",
    ),
    running(
        "source is restarted",
        RUNS,
        Role::Source,
        "systemctl restart @",
    ),
    running(
        "source is restarted, target while needed",
        WHILE_NEEDED,
        Role::Source,
        "systemctl restart @",
    ),
    running(
        "source is reloaded",
        RUNS,
        Role::Source,
        "systemctl reload @",
    ),
    running("source ends by itself", WHILE_NEEDED, Role::Source, END),
    running("source is killed", WHILE_NEEDED, Role::Source, KILL),
];
