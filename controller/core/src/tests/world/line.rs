//! Outputs as lines.

use std::{collections::BTreeSet, fmt::Debug};

use proto::{
    message::{Attempt, ClaimKey, Hold, HoldKey, Named, ToAgent, TokenState},
    sync::Delta,
};

use crate::{Answer, Choice, Difference, Event, Level, Output, UnitNews};

/// An output as a line; nothing for those that are told all the time.
pub(super) fn show(output: &Output) -> Option<String> {
    Some(match output {
        Output::Send { peer, message } => format!("{} < {}", peer.0, message_line(message)?),
        Output::Disconnect { peer, why } => format!("{} closed: {why}", peer.0),
        Output::Answer { id, result } => match result {
            Ok(Answer::Job(job)) => format!("answer {}: job {job}", id.0),
            Ok(other) => format!("answer {}: {other:?}", id.0),
            Err(error) => format!("answer {}: error: {error}", id.0),
        },
        Output::Forward { id, peer } => format!("{} < call {}", peer.0, id.0),
        Output::Transient { peer, job, id } => format!("{} < call {} as job {job}", peer.0, id.0),
        Output::Watch { peer, unit, on } => {
            let unit = match unit {
                Choice::All => "*",
                Choice::One(unit) => unit.as_str(),
            };
            format!("{} < {}watch {unit}", peer.0, if *on { "" } else { "un" })
        }
        Output::Monitor {
            monitors,
            node,
            unit,
            news,
        } => {
            let to: Vec<_> = monitors.iter().map(|id| id.0.to_string()).collect();
            let unit = match unit {
                Choice::All => "*",
                Choice::One(unit) => unit.as_str(),
            };
            let news = match news {
                UnitNews::New(occasion) => format!("new {}", occasion.as_str()),
                UnitNews::Removed(occasion) => format!("removed {}", occasion.as_str()),
                UnitNews::State {
                    active,
                    sub,
                    occasion,
                } => format!("{active} {sub} {}", occasion.as_str()),
                UnitNews::Properties => "properties".to_owned(),
            };
            format!("monitors {}: {node}/{unit} {news}", to.join(","))
        }
        Output::NodeAdded(node) => format!("added {node}"),
        Output::NodeRemoved(node) => format!("removed {node}"),
        Output::NodeStatus { node, status } => format!("{node} is {status}"),
        Output::FleetStatus(status) => format!("fleet is {}", status.as_str()),
        Output::JobNew(job) => format!("new job {job}"),
        Output::JobState { job, state } => format!("job {job} is {state}"),
        Output::JobRemoved {
            job,
            result,
            reason,
        } => {
            let reason = reason.as_ref().map(|r| format!(": {r}"));
            format!("job {} {result}{}", job.id, reason.unwrap_or_default())
        }
        Output::Log(Event::Differs {
            node,
            set,
            difference,
        }) => {
            let Difference {
                added,
                gone,
                changed,
            } = difference;
            let set = set.as_str();
            format!("{node} differs: {set} +{added} -{gone} ~{changed}")
        }
        Output::Log(event) => match (event.level(), event) {
            (Level::Warn, Event::Claim { .. }) | (Level::Debug | Level::Info, _) => return None,
            (Level::Warn, event) => format!("warn {}", word(event)),
        },
    })
}

/// The name of a variant.
fn word(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.split([' ', '(', '{']).next().unwrap_or("").to_owned()
}

fn message_line(message: &ToAgent) -> Option<String> {
    Some(match message {
        ToAgent::Welcome(_) => "welcome".to_owned(),
        ToAgent::Rejected(reason) => format!("rejected ({}): {reason}", reason.cause),
        ToAgent::Heartbeat | ToAgent::Acknowledged(..) => return None,
        ToAgent::ClaimStates(delta) => delta_line("states", delta, |key: &ClaimKey, state| {
            let TokenState { token, state } = state;
            let cause = state.reason().map(|r| format!("({})", r.cause));
            format!(
                "{}/{} {} {}{}",
                key.node,
                key.unit,
                token.0[0],
                state.as_str(),
                cause.unwrap_or_default()
            )
        })?,
        ToAgent::Holds(delta) => delta_line("holds", delta, |key: &HoldKey, hold: &Hold| {
            let attempt = match hold.attempt {
                Attempt::Start => "start",
                Attempt::Keep => "keep",
            };
            format!(
                "{} for {} {} {attempt}",
                key.unit, key.source, hold.token.0[0]
            )
        })?,
        ToAgent::Job {
            job, kind, named, ..
        } => {
            let named = named.map(|Named { cookie, age }| format!(" as {} {age:?}", cookie.0[0]));
            format!("job {job} {kind}{}", named.unwrap_or_default())
        }
        ToAgent::Reloaded(key) => format!("reloaded {}/{}", key.node, key.unit),
        ToAgent::StartTimeouts(timeouts) => {
            let units = timeouts.units.iter();
            let units: String = units.map(|(unit, it)| format!(" {unit} {it:?}")).collect();
            format!("timeouts {:?}{units}", timeouts.other)
        }
        ToAgent::CancelJob(job) => format!("cancel {job}"),
        ToAgent::JobHeard(job) => format!("heard {job}"),
        ToAgent::Ordered { order, result } => match result {
            Ok(()) => format!("ordered {}", order.0),
            Err(reason) => format!("ordered {}: {}: {reason}", order.0, reason.cause),
        },
    })
}

/// A whole set that is empty is not worth a line.
fn delta_line<K: Debug + Ord, V>(
    what: &str,
    delta: &Delta<K, V>,
    put: impl Fn(&K, &V) -> String,
) -> Option<String> {
    if delta.full && delta.put.is_empty() {
        return None;
    }
    let keys: BTreeSet<&K> = delta.put.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), delta.put.len(), "each key once");
    let mut line = what.to_owned();
    if delta.full {
        line.push_str(" =");
    }
    for (key, value) in &delta.put {
        line.push_str(&format!(" +{}", put(key, value)));
    }
    if !delta.drop.is_empty() {
        line.push_str(&format!(" -{}", delta.drop.len()));
    }
    Some(line)
}
