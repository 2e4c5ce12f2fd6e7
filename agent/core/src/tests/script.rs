//! Lines of a script as inputs.

use std::time::Duration;

use proto::{
    message::{
        Attempt, ClaimKey, Hold, HoldKey, Named, OrderId, PROTOCOL, PROTOCOL_JOBS, StartTimeouts,
        ToAgent, TokenState, Welcome,
    },
    model::{Cause, ClaimState, Cookie, JobId, JobMode, Reason, Token},
    sync::{Delta, Generation},
};

use super::{Stage, live};
use crate::{
    ActiveState, Answer, Description, FromHelper, FromLink, FromManager, Input, LinkId,
    ManagerError, ManagerJob, Restarting, Snapshot, UnitState, Waited, Waiter,
};

impl Stage {
    /// What a line tells the node.
    pub(super) fn inputs(&mut self, line: &str) -> Vec<Input> {
        let words: Vec<&str> = line.split(' ').collect();
        let manager = |input| vec![Input::Manager(input)];
        match words.as_slice() {
            [verb @ ("manager" | "reloaded"), units @ ..] => {
                let units = units.join(" ");
                let parts = units
                    .split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty());
                let (jobs, units): (Vec<_>, Vec<_>) = parts.partition(|p| p.starts_with("job "));
                let snapshot = Snapshot {
                    units: units.into_iter().map(|u| unit(&words_of(u))).collect(),
                    jobs: jobs
                        .into_iter()
                        .map(|j| manager_job(words_of(j)[1]))
                        .collect(),
                };
                manager(match *verb {
                    "manager" => FromManager::Connected(snapshot),
                    _ => FromManager::Reloaded(snapshot),
                })
            }
            ["manager-lost"] => manager(FromManager::Disconnected),
            ["unit", rest @ ..] => manager(FromManager::Changed(unit(rest))),
            ["unbound", name] => manager(FromManager::Unbound(name.parse().expect("unit"))),
            ["unit-gone", name] => manager(FromManager::Gone(name.parse().expect("unit"))),
            ["job-new", job, name] => manager(FromManager::JobNew {
                job: manager_job(job),
                unit: name.parse().expect("unit"),
            }),
            ["job-running", job] => manager(FromManager::JobRunning(manager_job(job))),
            ["removed", job, name, result] => manager(FromManager::JobRemoved {
                job: manager_job(job),
                unit: name.parse().expect("unit"),
                result: result.parse().expect("result"),
            }),
            ["answer", call, rest @ ..] => {
                let call = crate::CallId(number(call));
                manager(FromManager::Answered(call, answer(rest)))
            }
            ["link", "connected"] => {
                self.link += 1;
                vec![Input::Link(LinkId(self.link), FromLink::Connected)]
            }
            ["link", "failed", why @ ..] => {
                self.link += 1;
                vec![Input::Link(
                    LinkId(self.link),
                    FromLink::Failed(why.join(" ")),
                )]
            }
            ["link", "closed", why @ ..] => {
                vec![Input::Link(
                    LinkId(self.link),
                    FromLink::Closed(why.join(" ")),
                )]
            }
            ["link", "up"] => {
                self.link += 1;
                (self.holds, self.states) = (0, 0);
                let link = LinkId(self.link);
                vec![Input::Link(link, FromLink::Connected), self.said(welcome())]
            }
            ["welcome"] => {
                (self.holds, self.states) = (0, 0);
                vec![self.said(welcome())]
            }
            ["rejected", text @ ..] => {
                let reason = Reason::new(Cause::NotAllowed, text.join(" "));
                vec![self.said(ToAgent::Rejected(reason))]
            }
            ["heartbeat"] => vec![self.said(ToAgent::Heartbeat)],
            ["holds", rest @ ..] => {
                self.holds += 1;
                vec![self.said(ToAgent::Holds(holds(self.holds, rest)))]
            }
            ["states", rest @ ..] => {
                self.states += 1;
                vec![self.said(ToAgent::ClaimStates(states(self.states, rest)))]
            }
            ["job", id, kind, name] => vec![self.said(ToAgent::Job {
                job: JobId(id.parse().expect("job")),
                kind: kind.parse().expect("kind"),
                unit: name.parse().expect("unit"),
                mode: JobMode::Replace,
                named: None,
            })],
            ["job", id, kind, name, "as", cookie, age @ ..] => vec![self.said(ToAgent::Job {
                job: JobId(id.parse().expect("job")),
                kind: kind.parse().expect("kind"),
                unit: name.parse().expect("unit"),
                mode: JobMode::Replace,
                named: Some(Named {
                    cookie: Cookie([cookie.parse().expect("cookie"); 16]),
                    age: Duration::from_secs(age.first().map_or(0, |age| number(age))),
                }),
            })],
            ["heard", id] => {
                vec![self.said(ToAgent::JobHeard(JobId(id.parse().expect("job"))))]
            }
            ["old-welcome"] => {
                (self.holds, self.states) = (0, 0);
                vec![self.said(ToAgent::Welcome(Welcome {
                    protocol: PROTOCOL_JOBS - 1,
                    version: "0".into(),
                    start_timeout: Duration::from_secs(90),
                }))]
            }
            ["cancel", id] => {
                vec![self.said(ToAgent::CancelJob(JobId(id.parse().expect("job"))))]
            }
            ["asks", waiter, proxy, token] => vec![Input::Helper(
                Waiter(number(waiter)),
                FromHelper::Asks {
                    proxy: (*proxy).to_owned(),
                    token: if token.len() < 3 {
                        id(token).to_string()
                    } else {
                        (*token).into()
                    },
                },
            )],
            ["orders", waiter, kind, proxy] => vec![Input::Helper(
                Waiter(number(waiter)),
                FromHelper::Orders {
                    kind: kind.parse().expect("kind"),
                    proxy: (*proxy).to_owned(),
                },
            )],
            ["ordered", order, rest @ ..] => {
                let result = match rest {
                    [] => Ok(()),
                    [cause, text @ ..] => {
                        Err(Reason::new(cause.parse().expect("cause"), text.join(" ")))
                    }
                };
                let order = OrderId(number(order));
                vec![self.said(ToAgent::Ordered { order, result })]
            }
            ["unit-reloaded", waiter, hold] => vec![Input::Helper(
                Waiter(number(waiter)),
                FromHelper::Reloaded {
                    hold: (*hold).to_owned(),
                },
            )],
            ["remote-reload", node, unit] => vec![self.said(ToAgent::Reloaded(ClaimKey {
                node: node.parse().expect("node"),
                unit: unit.parse().expect("unit"),
            }))],
            ["timeouts", other, rest @ ..] => {
                let second = |text: &str| Duration::from_secs(number(text));
                let pairs = rest.chunks(2);
                vec![
                    self.said(ToAgent::StartTimeouts(StartTimeouts {
                        other: second(other),
                        units: pairs
                            .map(|it| (it[0].parse().expect("pattern"), second(it[1])))
                            .collect(),
                    })),
                ]
            }
            ["helper-gone", waiter] => {
                vec![Input::Helper(Waiter(number(waiter)), FromHelper::Gone)]
            }
            ["configure", addresses @ ..] => vec![Input::Configure(live(addresses))],
            ["rename", name] => vec![Input::Rename(name.parse().expect("name"))],
            ["drain"] => vec![Input::Drain],
            ["stop"] => vec![Input::Stop],
            ["at", _] => vec![],
            other => panic!("'{}' is no input", other.join(" ")),
        }
    }
}

fn welcome() -> ToAgent {
    ToAgent::Welcome(Welcome {
        protocol: PROTOCOL,
        version: "1".into(),
        start_timeout: Duration::from_secs(90),
    })
}

fn words_of(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

fn number(text: &str) -> u64 {
    text.parse().expect("number")
}

fn id(text: &str) -> Token {
    Token([text.parse().expect("id"); 16])
}

fn manager_job(text: &str) -> ManagerJob {
    ManagerJob(text.parse().expect("job"))
}

/// `NAME STATE INVOCATION [JOB]`; `-` is no invocation.
fn unit(words: &[&str]) -> UnitState {
    UnitState {
        name: words[0].parse().expect("unit"),
        active: words[1].parse::<ActiveState>().expect("state"),
        invocation: (words[2] != "-").then(|| id(words[2])),
        job: words.get(3).map(|job| manager_job(job)),
    }
}

/// A job, `alone` or not, and hold units with their jobs.
fn restarting(job: &str, rest: &[&str]) -> Restarting {
    let alone = rest.first() == Some(&"alone");
    let holds = rest[usize::from(alone)..].chunks(2).map(|hold| {
        let unit = hold[0].parse().expect("unit");
        (unit, manager_job(hold[1]))
    });
    Restarting {
        job: manager_job(job),
        alone,
        holds: holds.collect(),
    }
}

fn answer(words: &[&str]) -> Result<Answer, ManagerError> {
    match words {
        ["job", job] => Ok(Answer::Job(manager_job(job))),
        ["restarting", job, rest @ ..] => Ok(Answer::Restarting(restarting(job, rest))),
        ["done"] => Ok(Answer::Done),
        ["unit", rest @ ..] => Ok(Answer::Unit(Some(unit(rest)))),
        ["waits", rest @ ..] => Ok(Answer::Waits(waits(&rest.join(" ")))),
        ["units", units @ ..] => Ok(Answer::Units(
            units
                .iter()
                .map(|unit| unit.parse().expect("unit"))
                .collect(),
        )),
        ["no-unit"] => Ok(Answer::Unit(None)),
        [ran @ ("ran" | "runs")] => Ok(Answer::Description(Description {
            load: "loaded".to_owned(),
            active: if *ran == "runs" {
                "activating"
            } else {
                "inactive"
            }
            .to_owned(),
            result: "success".to_owned(),
            exec_code: 1,
            once: true,
            ..Description::default()
        })),
        ["not-reloaded", status @ ..] => Ok(Answer::Description(Description {
            load: "loaded".to_owned(),
            active: "active".to_owned(),
            result: "success".to_owned(),
            reload: "exit-code".to_owned(),
            status: status.join(" "),
            ..Description::default()
        })),
        ["described", load, active, result, code, status] => Ok(Answer::Description(Description {
            load: (*load).to_owned(),
            load_error: String::new(),
            active: (*active).to_owned(),
            result: (*result).to_owned(),
            exec_code: code.parse().expect("code"),
            exec_status: status.parse().expect("status"),
            ..Description::default()
        })),
        ["restarts"] => Ok(Answer::Description(Description {
            load: "loaded".to_owned(),
            active: "activating".to_owned(),
            result: "signal".to_owned(),
            exec_code: 2,
            exec_status: 9,
            restarts: true,
            ..Description::default()
        })),
        ["stopping"] => Ok(Answer::Description(Description {
            load: "loaded".to_owned(),
            active: "deactivating".to_owned(),
            result: "success".to_owned(),
            job: true,
            ..Description::default()
        })),
        ["error", name, text @ ..] => Err(ManagerError {
            name: format!("org.freedesktop.systemd1.{name}"),
            text: text.join(" "),
        }),
        other => panic!("'{}' is no answer", other.join(" ")),
    }
}

/// `JOB PROXY VIA…, …`
fn waits(text: &str) -> Vec<Waited> {
    let parts = text.split(", ").filter(|part| !part.is_empty());
    let read = |part| {
        let words = words_of(part);
        Waited {
            job: manager_job(words[0]),
            proxy: words[1].parse().expect("unit"),
            via: words[2..]
                .iter()
                .map(|it| it.parse().expect("unit"))
                .collect(),
        }
    };
    parts.map(read).collect()
}

/// `whole|change ENTRY, ENTRY…`, where `-KEY KEY` drops one.
fn delta<K, V>(
    generation: u64,
    words: &[&str],
    read: impl Fn(&[&str]) -> (K, V),
    read_key: impl Fn(&[&str]) -> K,
) -> Delta<K, V> {
    let text = words[1..].join(" ");
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let (drop, put): (Vec<_>, Vec<_>) = parts.partition(|part| part.starts_with('-'));
    Delta {
        generation: Generation(generation),
        full: words[0] == "whole",
        put: put.into_iter().map(|part| read(&words_of(part))).collect(),
        drop: drop
            .into_iter()
            .map(|part| read_key(&words_of(&part[1..])))
            .collect(),
    }
}

fn hold_key(words: &[&str]) -> HoldKey {
    HoldKey {
        unit: words[0].parse().expect("unit"),
        source: words[1].parse().expect("node"),
    }
}

fn holds(generation: u64, words: &[&str]) -> Delta<HoldKey, Hold> {
    let read = |words: &[&str]| {
        let attempt = if words[3] == "start" {
            Attempt::Start
        } else {
            Attempt::Keep
        };
        (
            hold_key(words),
            Hold {
                token: id(words[2]),
                attempt,
            },
        )
    };
    delta(generation, words, read, hold_key)
}

fn claim_key(words: &[&str]) -> ClaimKey {
    ClaimKey {
        node: words[0].parse().expect("node"),
        unit: words[1].parse().expect("unit"),
    }
}

fn states(generation: u64, words: &[&str]) -> Delta<ClaimKey, TokenState> {
    let read = |words: &[&str]| {
        let reason = || Reason::new(Cause::NodeOffline, words[4..].join(" "));
        let state = match words[3] {
            "waiting" => ClaimState::Waiting(reason()),
            "starting" => ClaimState::Starting,
            "up" => ClaimState::Up,
            "restarted" => ClaimState::Restarted(words[4..].join(" ").parse().expect("wave")),
            "down" => ClaimState::Down(reason()),
            "refused" => ClaimState::Refused(reason()),
            "lost" => ClaimState::Lost(reason()),
            "stopped" => ClaimState::Down(Reason::new(Cause::UnitStopped, words[4..].join(" "))),
            "ended" => ClaimState::Down(Reason::new(Cause::UnitEnded, words[4..].join(" "))),
            "died" => ClaimState::Down(Reason::new(Cause::UnitDied, words[4..].join(" "))),
            "restarts" => ClaimState::Down(Reason::new(Cause::UnitRestarts, words[4..].join(" "))),
            "cycle" => ClaimState::Refused(Reason::new(Cause::Cycle, words[4..].join(" "))),
            other => panic!("'{other}' is no state"),
        };
        (
            claim_key(words),
            TokenState {
                token: id(words[2]),
                state,
            },
        )
    };
    delta(generation, words, read, claim_key)
}
