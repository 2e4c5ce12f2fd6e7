//! Outputs as lines of a script.

use proto::{
    message::{Standing, ToController},
    sync::Delta,
};

use crate::{Event, HelperAnswer, Output, Request};

/// Writes an output as a line of a script.
pub(super) fn show(output: Output, log: bool, notes: bool) -> Option<String> {
    Some(match output {
        Output::Persist(text) => format!("persist {}", text.lines().count() - 1),
        Output::KeepJob { job, text } if notes => match text {
            Some(text) => format!("note {}", text.lines().nth(1).unwrap_or_default()),
            None => format!("note {job} removed"),
        },
        Output::KeepJob { .. } => return None,
        Output::ForgetJobs => "forget jobs".to_owned(),
        Output::KeepReason { token, reason } => {
            format!("reason {} {} {reason}", token.0[0], reason.cause)
        }
        Output::Connect { link, address } => format!("connect {} to {address}", link.0),
        Output::Send { message, .. } => show_message(message),
        Output::Disconnect(link) => format!("disconnect {}", link.0),
        Output::Call { call, request } => format!("{}: {}", call.0, show_request(request)),
        Output::Helper { waiter, answer } => match answer {
            HelperAnswer::Wait { left, what } => {
                format!("helper {} wait {left:?} {what}", waiter.0)
            }
            HelperAnswer::Up => format!("helper {} up", waiter.0),
            HelperAnswer::Done => format!("helper {} done", waiter.0),
            HelperAnswer::Failed(reason) => {
                format!("helper {} failed {} {reason}", waiter.0, reason.cause)
            }
        },
        Output::Event(event) if log => format!("log {}", show_event(&event)),
        Output::Event(_) => return None,
    })
}

fn show_event(event: &Event) -> String {
    let text = format!("{event:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

fn show_request(request: Request) -> String {
    match request {
        Request::Queue { verb, unit, mode } => format!("{} {unit} {mode}", verb.method()),
        Request::Restart {
            unit,
            starts,
            spared,
        } => {
            let method = if starts {
                "RestartUnit"
            } else {
                "TryRestartUnit"
            };
            let spared = spared.iter().map(|unit| format!(" but {unit}"));
            format!("{method} {unit} fail{}", spared.collect::<String>())
        }
        Request::StopAlone(unit) => format!("stop {unit} alone"),
        Request::ReloadFollowers(unit) => format!("reload what follows {unit}"),
        Request::Cancel(job) => format!("cancel {job}"),
        Request::Look(unit) => format!("look {unit}"),
        Request::Describe(unit) => format!("describe {unit}"),
        Request::LookAgain(units) => {
            let units: Vec<_> = units.iter().map(ToString::to_string).collect();
            format!("look again {}", units.join(", "))
        }
        Request::UpheldBy(unit) => format!("who upholds {unit}"),
        Request::LookUpheld(unit) => format!("look whether {unit} is upheld"),
        Request::WaitsOf(jobs) => {
            let jobs: Vec<_> = jobs.iter().map(ToString::to_string).collect();
            format!("waits of {}", jobs.join(", "))
        }
    }
}

fn show_message(message: ToController) -> String {
    match message {
        ToController::Hello(hello) => format!("hello {}", hello.node),
        ToController::Goodbye => "goodbye".into(),
        ToController::Jobs(jobs) => {
            let jobs = jobs.iter().map(|known| {
                let standing = match &known.standing {
                    Standing::Open(state) => state.to_string(),
                    Standing::Ended(result, _) => format!("was {result}"),
                };
                let age = known.age.as_millis();
                format!(
                    " {} {} {} {standing} {age}",
                    known.job, known.kind, known.unit
                )
            });
            format!("jobs{}", jobs.collect::<Vec<_>>().join(","))
        }
        ToController::Heartbeat => "heartbeat".into(),
        ToController::Claims(delta) => show_delta(
            "claims",
            delta,
            |key, claim| {
                let up = if claim.up { " up" } else { "" };
                format!("{} {} {}{up}", key.node, key.unit, claim.token.0[0])
            },
            |key| format!("{} {}", key.node, key.unit),
        ),
        ToController::HoldStates(delta) => show_delta(
            "hold-states",
            delta,
            |key, state| {
                let reason = state.state.reason().map(|r| format!(" {} {r}", r.cause));
                let (word, reason) = (state.state.as_str(), reason.unwrap_or_default());
                let wave = state.state.wave().filter(|wave| !wave.is_empty());
                let wave = wave.map(|wave| format!(" {wave}")).unwrap_or_default();
                format!(
                    "{} {} {} {word}{reason}{wave}",
                    key.unit, key.source, state.token.0[0]
                )
            },
            |key| format!("{} {}", key.unit, key.source),
        ),
        ToController::Waits(delta) => show_delta(
            "waits",
            delta,
            |key, wait| {
                let on = wait.on.iter().map(|(claim, on)| {
                    let via = on.via.iter().map(|unit| format!("{unit} "));
                    let via = via.collect::<String>();
                    format!(" on {via}{} {} {}", claim.node, claim.unit, on.token.0[0])
                });
                let on = on.collect::<String>();
                format!("{} {} {}{on}", key.unit, key.source, wait.token.0[0])
            },
            |key| format!("{} {}", key.unit, key.source),
        ),
        ToController::Acknowledged(stream, _) => format!("acknowledge {stream:?}"),
        ToController::Order {
            order,
            kind,
            node,
            unit,
        } => format!("order {} {kind} {node} {unit}", order.0),
        ToController::Reloaded(unit) => format!("reloaded {unit}"),
        ToController::JobState { job, state } => format!("job {job} {state}"),
        ToController::JobIs {
            asked,
            job,
            standing: Standing::Open(state),
        } => format!("job {asked} is {job} {state}"),
        ToController::JobIs {
            asked,
            job,
            standing: Standing::Ended(result, reason),
        } => {
            let why = reason.map_or_else(String::new, |it| format!(": {} {it}", it.cause));
            format!("job {asked} is {job} {result}{why}")
        }
        ToController::JobDone {
            job,
            result,
            reason,
        } => match reason {
            Some(reason) => format!("job {job} {result}: {} {reason}", reason.cause),
            None => format!("job {job} {result}"),
        },
    }
}

fn show_delta<K, V>(
    what: &str,
    delta: Delta<K, V>,
    put: impl Fn(&K, &V) -> String,
    drop: impl Fn(&K) -> String,
) -> String {
    let mut parts: Vec<_> = delta
        .put
        .iter()
        .map(|(key, value)| put(key, value))
        .collect();
    parts.extend(delta.drop.iter().map(|key| format!("-{}", drop(key))));
    let whole = if delta.full { "whole" } else { "change" };
    format!("{what} {whole} {}", parts.join(", "))
        .trim_end()
        .to_owned()
}
