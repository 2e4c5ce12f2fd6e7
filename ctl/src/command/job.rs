//! `start`, `stop`, `restart`, `reload`: one call for each unit, sent together with the wish to hear
//! of the ends of jobs.

mod call;
mod find;
mod told;

use std::{collections::BTreeSet, num::NonZeroU32, time::Instant};

use proto::{
    dbus::public,
    model::{JobId, JobKind},
    name::NodeName,
};
use zbus::{Message, message::Type as MessageType, wire::OwnedObjectPath};

use super::{
    choose,
    progress::{Interrupt, Progress, until},
};
use call::Call;
use find::Search;

use crate::{
    bus::{self, Answer, Bus},
    cli::{Options, Units},
    fault::{Fault, Refusal},
    fleet::Target,
    jobs::{End, Ended, Jobs},
    limits, span,
    view::{
        Look, Page,
        job::{Asked, Outcome},
    },
};

/// Has the units started, stopped, … and waits for it, unless told not to.
pub(crate) async fn run(
    options: &Options,
    kind: JobKind,
    of: &Units,
    look: &Look,
) -> Result<Page, Fault> {
    let mut bus = Bus::connect(options.user, options.job_timeout()).await?;
    let mut chosen = choose::nodes(&mut bus, &of.nodes).await?;
    let expanded = choose::units(&mut bus, &mut chosen, &of.units).await?;
    let asked = Asked {
        kind,
        targets: &expanded.targets,
        several: chosen.several,
    };
    let wait = !options.no_block;
    let named = asked.targets.iter().map(|_| Call::new());
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let calls = named.iter().zip(asked.targets);
    let calls = calls.map(|(call, target)| call.first(kind, target));
    let calls = calls.collect::<Result<Vec<_>, _>>()?;
    let one = chosen.names.first().filter(|_| chosen.names.len() == 1);
    let mut messages = if wait { matches(one)? } else { Vec::new() };
    let (first, later) = calls.split_at(calls.len().min(limits::CALLS_AT_ONCE));
    messages.extend(first.iter().cloned());
    let mut jobs = Jobs::new(calls.iter().map(bus::serial), wait);
    // Before anything is asked for: what is looked for by its age is younger than this.
    let search = Search::new(&asked, named);
    bus.send(&messages).await?;
    let refusals = wait_for(&mut bus, &mut jobs, later, search).await;

    let mut outcomes = Vec::new();
    for (target, (id, end)) in asked.targets.iter().zip(jobs.into_ends()) {
        let target = target.clone();
        outcomes.push(Outcome { target, id, end });
    }
    for (at, refusal) in refusals {
        if let Some(outcome) = outcomes.get_mut(at) {
            let Target { node, unit } = &outcome.target;
            let explained = chosen.known.explain(&mut bus, node, unit.as_str(), refusal);
            outcome.end = End::Fault(explained.await);
        }
    }
    Ok(crate::view::job::page(
        &asked,
        &outcomes,
        &expanded.faults,
        look,
    ))
}

/// The signals that are needed: the ends of jobs, on this node if it is one, and the end of the
/// controller.
fn matches(node: Option<&NodeName>) -> Result<Vec<Message>, Fault> {
    let (from, path) = (public::BUS_NAME, public::CONTROLLER_PATH);
    let (fleet, controller) = (public::FLEET, public::CONTROLLER);
    // No name of a node holds a quote.
    let on = |arg: &str| node.map_or_else(String::new, |node| format!(",{arg}='{node}'"));
    [
        format!(
            "type='signal',sender='{from}',path='{path}',interface='{fleet}',\
             member='JobFinished'{}",
            on("arg1")
        ),
        format!(
            "type='signal',sender='{from}',path='{path}',interface='{controller}',\
             member='JobRemoved'{}",
            on("arg2")
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

/// Listens until every job is decided; with each answer the next of the later calls is sent. Errors
/// that may need another question are handed back with the places of their units.
async fn wait_for(
    bus: &mut Bus,
    jobs: &mut Jobs,
    later: &[Message],
    mut search: Search<'_>,
) -> Vec<(usize, Refusal)> {
    let began = Instant::now();
    let asked = search.asked();
    let mut progress = Progress::new(asked);
    let mut interrupt = Interrupt::watch();
    let mut refusals = Vec::new();
    let mut later = later.iter();
    let first: BTreeSet<_> = jobs.calls().collect();
    while !jobs.is_settled() {
        let due = progress.due();
        let search_due = search.due().map(tokio::time::Instant::from_std);
        tokio::select! {
            message = bus.next() => match message {
                Ok(message) => {
                    let call = bus::replies_to(&message);
                    let is_answer = call.is_some_and(|call| first.contains(&call));
                    let done = heard(bus, jobs, &mut search, message).await;
                    match done {
                        Ok(refused) => refusals.extend(refused),
                        Err(fault) => jobs.abandon(&fault),
                    }
                    if is_answer
                        && let Some(call) = later.next()
                        && let Err(fault) = bus.send(std::slice::from_ref(call)).await
                    {
                        jobs.abandon(&fault);
                    }
                }
                Err(Fault::Timeout { .. }) => jobs.abandon(&Fault::Timeout {
                    text: format!("not done after {}", span::display(bus.limit())),
                    hint: format!("{}; {}", asked.goes_on(), asked.look_at_status()),
                }),
                Err(fault) => jobs.abandon(&fault),
            },
            () = until(search_due) => {
                if let Err(fault) = search.timeout(bus, jobs).await {
                    jobs.abandon(&fault);
                }
            }
            () = until(due) => match search.away() {
                Some(away) => progress.show_away(away),
                None => progress.show(jobs.open(), began.elapsed()),
            },
            () = interrupt.pressed() => jobs.abandon(&Fault::Interrupted {
                hint: format!("{}; {}", asked.goes_on(), asked.look_at_status()),
            }),
        }
    }
    progress.wipe();
    refusals
}

/// Takes in one message; an error that may need another question is handed back with the place of its unit.
async fn heard(
    bus: &mut Bus,
    jobs: &mut Jobs,
    search: &mut Search<'_>,
    message: Message,
) -> Result<Option<(usize, Refusal)>, Fault> {
    if let Some(owner) = bus::new_owner(&message, public::BUS_NAME) {
        search.owner_changed(owner.is_some(), bus, jobs).await?;
        return Ok(None);
    }
    if message.message_type() == MessageType::Signal {
        signal(jobs, &message);
        return Ok(None);
    }
    let sender = bus::sender(&message);
    let Some((call, answer)) = bus::answer(message) else {
        return Ok(None);
    };
    let refused = if search.is_question(call) {
        search.answered(call, answer, bus, jobs).await?;
        None
    } else {
        take(bus, jobs, search, (call, &sender), answer).await?
    };
    if !jobs.lost().is_empty() && search.can_ask() {
        search.ask(bus, jobs).await?;
    }
    Ok(refused)
}

/// Takes in the answer to a request. An error that is one of the request is handed back with the place of its unit.
async fn take(
    bus: &Bus,
    jobs: &mut Jobs,
    search: &mut Search<'_>,
    (call, sender): (NonZeroU32, &str),
    answer: Answer,
) -> Result<Option<(usize, Refusal)>, Fault> {
    let Some(at) = jobs.place(call) else {
        return Ok(None);
    };
    let refusal = match answer {
        Ok(answer) => {
            search.is_there();
            jobs.answered(call, sender, told::of_answer(&answer));
            return Ok(None);
        }
        Err(refusal) => refusal,
    };
    let Refusal { name, text } = refusal.clone();
    let fault = Fault::Refused { name, text };
    if fault.is_of_lost_controller() {
        // What the bus says about a controller that is not there is no answer.
        jobs.answered(call, sender, Err(fault));
        search.lost_a_call();
        return Ok(None);
    }
    if search.refused(at, &refusal, bus, jobs).await? {
        return Ok(None);
    }
    search.is_there();
    // What it means is looked up when all is decided.
    jobs.answered(call, sender, Err(fault));
    Ok(Some((at, refusal)))
}

fn signal(jobs: &mut Jobs, message: &Message) {
    let sender = bus::sender(message);
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
        (_, _) => {}
    }
}
