//! Questions that have one word for an answer: `is-active`, `is-failed`, `is-enabled`,
//! `get-default`.

use proto::dbus::public;
use zbus::{Message, wire::OwnedVariant};

use super::{
    choose::{self, Chosen},
    each::{self, Ask, Done},
};
use crate::{
    bus::{self, Answer, Bus},
    cli::{JustNodes, Options, UnitFiles, Units},
    fault::{self, Fault},
    view::{
        Look, Page,
        tell::{self, Question},
    },
};

const UNIT: &str = proto::dbus::systemd::UNIT;

/// Whether units are active, or have failed.
pub(crate) async fn state(
    options: &Options,
    question: Question,
    of: &Units,
    look: &Look,
) -> Result<Page, Fault> {
    let mut bus = connect(options).await?;
    let mut chosen = choose::nodes(&mut bus, &of.nodes).await?;
    let expanded = choose::units(&mut bus, &mut chosen, &of.units).await?;
    let mut asks = Vec::new();
    for target in &expanded.targets {
        // A unit that does not exist is inactive; that it does not exist is asked for as well.
        for property in ["ActiveState", "LoadState"] {
            let body = (target.unit.as_str(), UNIT, property);
            let call = bus::node_call(&target.node, public::NODE, "GetUnitProperty", &body)?;
            let unit = target.unit.as_str();
            asks.push(Ask::new(question.verb(), &target.node, unit, call));
        }
    }
    let mut answers = each::ask(&mut bus, &mut chosen.known, asks)
        .await
        .into_iter();
    let mut done = Vec::new();
    while let (Some(active), Some(load)) = (answers.next(), answers.next()) {
        let is_missing = match load.answer.and_then(|answer| word(&answer)) {
            Ok(load) => load == "not-found",
            Err(Fault::NoUnit { .. }) => true,
            Err(_) => false,
        };
        let mut told = active.and_then(|answer| word(&answer));
        if let Err(Fault::NoUnit { .. }) = told.answer {
            told.answer = Ok("inactive".into());
        }
        done.push((told, is_missing));
    }
    let faults = expanded.faults.into_iter();
    done.extend(faults.map(|done| (done.and_then(|()| Ok(String::new())), false)));
    Ok(tell::page(question, &done, chosen.several, look))
}

/// Whether unit files are enabled.
pub(crate) async fn enabled(options: &Options, of: &UnitFiles, look: &Look) -> Result<Page, Fault> {
    let question = Question::IsEnabled;
    let mut bus = connect(options).await?;
    let mut chosen = choose::nodes(&mut bus, &of.nodes).await?;
    let mut calls = Vec::new();
    let mut places = Vec::new();
    for node in &chosen.names {
        for file in &of.files {
            let body = file.as_str();
            calls.push(bus::node_call(
                node,
                public::NODE,
                "GetUnitFileState",
                &body,
            )?);
            places.push((node.clone(), file.clone()));
        }
    }
    let answers = bus.ask_each(&calls).await;
    let mut done = Vec::new();
    for ((node, unit), answer) in places.into_iter().zip(answers) {
        let (answer, is_missing) = file_state(&mut bus, &mut chosen, &node, &unit, answer).await;
        let verb = question.verb();
        let told = Done {
            verb,
            node,
            unit,
            answer,
        };
        done.push((told, is_missing));
    }
    Ok(tell::page(question, &done, chosen.several, look))
}

/// The state of a unit file, and whether there is none.
async fn file_state(
    bus: &mut Bus,
    chosen: &mut Chosen,
    node: &proto::name::NodeName,
    file: &str,
    answer: Result<Answer, Fault>,
) -> (Result<String, Fault>, bool) {
    match answer {
        Ok(Ok(answer)) => (bus::read(&answer, "GetUnitFileState"), false),
        Ok(Err(refusal)) if fault::is_no_file(&refusal) || fault::is_no_unit(&refusal) => {
            (Ok("not-found".into()), true)
        }
        Ok(Err(refusal)) => (
            Err(chosen.known.explain(bus, node, file, refusal).await),
            false,
        ),
        Err(fault) => (Err(fault), false),
    }
}

/// The targets that nodes boot into.
pub(crate) async fn default_target(
    options: &Options,
    of: &JustNodes,
    look: &Look,
) -> Result<Page, Fault> {
    let question = Question::GetDefault;
    let mut bus = connect(options).await?;
    let mut chosen = choose::nodes(&mut bus, &of.nodes).await?;
    let asks = chosen.names.iter().map(|node| {
        let call = bus::node_call(node, public::NODE, "GetDefaultTarget", &())?;
        Ok(Ask::new(question.verb(), node, "", call))
    });
    let asks = asks.collect::<Result<_, Fault>>()?;
    let done = each::ask(&mut bus, &mut chosen.known, asks).await;
    let read = |answer: Message| bus::read(&answer, "GetDefaultTarget");
    let done: Vec<_> = done
        .into_iter()
        .map(|done| (done.and_then(read), false))
        .collect();
    Ok(tell::page(question, &done, chosen.several, look))
}

async fn connect(options: &Options) -> Result<Bus, Fault> {
    Bus::connect(options.user, options.question_timeout()).await
}

fn word(answer: &Message) -> Result<String, Fault> {
    let value: OwnedVariant = bus::read(answer, "GetUnitProperty")?;
    String::try_from(value).map_err(|error| Fault::Answer {
        asked: "GetUnitProperty",
        cause: error.to_string(),
    })
}
