//! `start`, `stop`, `restart`, `reload`: one call for each unit, sent together with the wish to hear
//! of the ends of jobs.

use std::time::Instant;

use proto::{
    dbus::public,
    model::{JobId, JobKind},
    name::{NodeName, UnitName},
};
use zbus::{Message, message::Type as MessageType, wire::OwnedObjectPath};

use super::progress::{Interrupt, Progress, until};
use crate::{
    bus::{self, Bus},
    cli::Options,
    fault::{self, Fault, Refusal},
    jobs::{End, Ended, Jobs},
    span,
    view::{
        Look, Page,
        job::{Asked, Outcome},
    },
};

/// Has the units started, stopped, … and waits for it, unless told not to.
pub(crate) async fn run(
    options: &Options,
    kind: JobKind,
    node: &NodeName,
    units: &[UnitName],
    look: &Look,
) -> Result<Page, Fault> {
    let mut bus = Bus::connect(options.user, options.job_timeout()).await?;
    let wait = !options.no_block;
    let calls = units
        .iter()
        .map(|unit| {
            bus::node_call(
                node,
                public::NODE,
                method(kind),
                &(unit.as_str(), "replace"),
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut messages = if wait { matches(node)? } else { Vec::new() };
    messages.extend(calls.iter().cloned());
    bus.send(&messages).await?;

    let asked = Asked { kind, node, units };
    let mut jobs = Jobs::new(calls.iter().map(bus::serial), wait);
    let mut refusals = Vec::new();
    wait_for(&mut bus, &mut jobs, &mut refusals, &asked).await;

    let mut outcomes = Vec::new();
    for (unit, (id, end)) in units.iter().zip(jobs.into_ends()) {
        let unit = unit.clone();
        outcomes.push(Outcome { unit, id, end });
    }
    explain(&mut bus, node, &mut outcomes, refusals).await;
    Ok(crate::view::job::page(&asked, &outcomes, look))
}

fn method(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Start => "StartUnit",
        JobKind::Stop => "StopUnit",
        JobKind::Restart => "RestartUnit",
        JobKind::Reload => "ReloadUnit",
    }
}

/// The signals that are needed: the ends of jobs on this node, and the end of the controller.
fn matches(node: &NodeName) -> Result<Vec<Message>, Fault> {
    let (from, path) = (public::BUS_NAME, public::CONTROLLER_PATH);
    let (fleet, controller) = (public::FLEET, public::CONTROLLER);
    // No name of a node holds a quote.
    [
        format!(
            "type='signal',sender='{from}',path='{path}',interface='{fleet}',\
             member='JobFinished',arg1='{node}'"
        ),
        format!(
            "type='signal',sender='{from}',path='{path}',interface='{controller}',\
             member='JobRemoved',arg2='{node}'"
        ),
        format!(
            "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',\
             member='NameOwnerChanged',arg0='{from}'"
        ),
    ]
    .iter()
    .map(|rule| bus::add_match(rule))
    .collect()
}

/// Listens until every job is decided. Errors that need another question are kept for later.
async fn wait_for(
    bus: &mut Bus,
    jobs: &mut Jobs,
    refusals: &mut Vec<(usize, Refusal)>,
    asked: &Asked<'_>,
) {
    let began = Instant::now();
    let mut progress = Progress::new(asked);
    let mut interrupt = Interrupt::watch();
    let serials: Vec<_> = jobs.calls().collect();
    while !jobs.is_settled() {
        let due = progress.due();
        tokio::select! {
            message = bus.next() => match message {
                Ok(message) => {
                    if let Some((to, refusal)) = take(jobs, message)
                        && let Some(at) = serials.iter().position(|serial| *serial == to)
                    {
                        refusals.push((at, refusal));
                    }
                }
                Err(Fault::Timeout { .. }) => jobs.abandon(&Fault::Timeout {
                    text: format!("not done after {}", span::display(bus.limit())),
                    hint: format!("the job goes on; {}", asked.look_at_status()),
                }),
                Err(fault) => jobs.abandon(&fault),
            },
            () = until(due) => progress.show(jobs.open(), began.elapsed()),
            () = interrupt.pressed() => jobs.abandon(&Fault::Interrupted {
                hint: format!("the job goes on; {}", asked.look_at_status()),
            }),
        }
    }
    progress.wipe();
}

/// Takes in one message. An error is handed back with the number of its call.
fn take(jobs: &mut Jobs, message: Message) -> Option<(std::num::NonZeroU32, Refusal)> {
    if message.message_type() == MessageType::Signal {
        signal(jobs, &message);
        return None;
    }
    let sender = sender(&message);
    let (to, answer) = bus::answer(message)?;
    match answer {
        Ok(answer) => {
            let job = bus::read::<OwnedObjectPath>(&answer, "StartUnit").and_then(|path| {
                super::job_id(path.as_str()).ok_or_else(|| Fault::Answer {
                    asked: "StartUnit",
                    cause: format!("'{path}' is no path of a job"),
                })
            });
            jobs.answered(to, &sender, job);
            None
        }
        Err(refusal) => {
            // What it means is looked up when all is decided.
            let Refusal { name, text } = refusal.clone();
            jobs.answered(to, &sender, Err(Fault::Refused { name, text }));
            Some((to, refusal))
        }
    }
}

fn signal(jobs: &mut Jobs, message: &Message) {
    let sender = sender(message);
    let header = message.header();
    let interface = header.interface().map_or("", |name| name.as_str());
    let member = header.member().map_or("", |name| name.as_str());
    let body = message.body();
    match (interface, member) {
        (public::FLEET, "JobFinished") => {
            type Finished = (u32, String, String, String, String, String);
            if let Ok((id, _, _, result, cause, text)) = body.deserialize::<Finished>() {
                let ended = Ended {
                    result,
                    cause,
                    text,
                };
                jobs.ended(&sender, JobId(id), ended);
            }
        }
        (public::CONTROLLER, "JobRemoved") => {
            type Removed = (u32, OwnedObjectPath, String, String, String);
            if let Ok((id, _, _, _, result)) = body.deserialize::<Removed>() {
                let (cause, text) = (String::new(), String::new());
                let ended = Ended {
                    result,
                    cause,
                    text,
                };
                jobs.ended(&sender, JobId(id), ended);
            }
        }
        ("org.freedesktop.DBus", "NameOwnerChanged") if sender == "org.freedesktop.DBus" => {
            if let Ok((name, old, _)) = body.deserialize::<(String, String, String)>()
                && name == public::BUS_NAME
                && !old.is_empty()
            {
                jobs.abandon(&Fault::ControllerLost(
                    "while the job was waited for; the job goes on",
                ));
            }
        }
        (_, _) => {}
    }
}

fn sender(message: &Message) -> String {
    let header = message.header();
    header.sender().map(ToString::to_string).unwrap_or_default()
}

/// Finds out what the errors mean. All are about one node, so one question is enough.
async fn explain(
    bus: &mut Bus,
    node: &NodeName,
    outcomes: &mut [Outcome],
    refusals: Vec<(usize, Refusal)>,
) {
    let mut explained: Option<(String, Fault)> = None;
    for (at, refusal) in refusals {
        let Some(outcome) = outcomes.get_mut(at) else {
            continue;
        };
        let fault = if fault::is_no_unit(&refusal) {
            Fault::NoUnit {
                node: node.to_string(),
                unit: outcome.unit.to_string(),
            }
        } else if fault::is_offline(&refusal) || fault::may_be_no_node(&refusal) {
            match &explained {
                Some((name, fault)) if *name == refusal.name => fault.clone(),
                Some(_) | None => {
                    let name = refusal.name.clone();
                    let fault = super::explain(bus, node, refusal).await;
                    explained = Some((name, fault.clone()));
                    fault
                }
            }
        } else {
            Fault::refused(refusal, bus.name())
        };
        outcome.end = End::Fault(fault);
    }
}
