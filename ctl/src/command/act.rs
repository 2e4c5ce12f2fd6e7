//! What is done at once and has no job: `freeze`, `thaw`, `kill`, `reset-failed`, `enable`,
//! `disable`, `daemon-reload`, `set-default`, `set-loglevel`, `cancel`.

use proto::{
    dbus::public,
    model::JobKind,
    name::{NodeName, UnitName},
};
use zbus::Message;

use super::{
    choose::{self, Chosen},
    each::{self, Ask, Done},
};
use crate::{
    bus::{self, Bus},
    cli::{
        Disable, Enable, Level, Nodes, Options, SetDefault, SomeUnits, UnitArg, UnitFiles, Units,
        Where,
    },
    fault::{self, Fault},
    fleet::{Change, Effect},
    view::{self, Look, Page},
};

/// Does it to units, with one call for each.
pub(crate) async fn on_units(
    options: &Options,
    verb: &'static str,
    of: &Units,
    look: &Look,
    call: impl Fn(&NodeName, &UnitName) -> Result<Message, Fault>,
) -> Result<Page, Fault> {
    let mut bus = connect(options).await?;
    let mut chosen = choose::nodes(&mut bus, &of.nodes).await?;
    let expanded = choose::units(&mut bus, &mut chosen, &of.units).await?;
    let asks = expanded.targets.iter().map(|target| {
        let call = call(&target.node, &target.unit)?;
        Ok(Ask::new(verb, &target.node, target.unit.as_str(), call))
    });
    let asks = asks.collect::<Result<_, Fault>>()?;
    let done = each::ask(&mut bus, &mut chosen.known, asks).await;
    let mut done: Vec<_> = done
        .into_iter()
        .map(|done| done.and_then(nothing))
        .collect();
    let faults = expanded.faults.into_iter();
    done.extend(faults.map(|done| done.and_then(|()| Ok(Effect::default()))));
    Ok(view::act::page(&done, chosen.several, look))
}

/// Does it to nodes.
pub(crate) async fn on_nodes(
    options: &Options,
    verb: &'static str,
    nodes: &Nodes,
    look: &Look,
    call: impl Fn(&NodeName) -> Result<Message, Fault>,
) -> Result<Page, Fault> {
    let mut bus = connect(options).await?;
    let mut chosen = choose::nodes(&mut bus, nodes).await?;
    let asks = chosen
        .names
        .iter()
        .map(|node| Ok(Ask::new(verb, node, "", call(node)?)));
    let asks = asks.collect::<Result<_, Fault>>()?;
    let done = each::ask(&mut bus, &mut chosen.known, asks).await;
    let done: Vec<_> = done
        .into_iter()
        .map(|done| done.and_then(nothing))
        .collect();
    Ok(view::act::page(&done, chosen.several, look))
}

/// Forgets failures of units, or of all units of nodes.
pub(crate) async fn reset_failed(
    options: &Options,
    of: &SomeUnits,
    look: &Look,
) -> Result<Page, Fault> {
    let verb = "reset-failed";
    if of.units.is_empty() {
        let call = |node: &NodeName| bus::node_call(node, public::NODE, "ResetFailed", &());
        return on_nodes(options, verb, &of.nodes, look, call).await;
    }
    let (nodes, units) = (of.nodes.clone(), of.units.clone());
    on_units(
        options,
        verb,
        &Units { nodes, units },
        look,
        |node, unit| bus::node_call(node, public::NODE, "ResetFailedUnit", &unit.as_str()),
    )
    .await
}

/// Enables unit files.
pub(crate) async fn enable(options: &Options, with: &Enable, look: &Look) -> Result<Page, Fault> {
    let call = |node: &NodeName, file: &str| {
        let body = (vec![file], with.runtime, with.force);
        bus::node_call(node, public::NODE, "EnableUnitFiles", &body)
    };
    let read = |answer: Message| {
        let (carries_install_info, changes): (bool, Vec<Change>) =
            bus::read(&answer, "EnableUnitFiles")?;
        Ok(Effect {
            changes,
            lacks_install_info: !carries_install_info,
        })
    };
    on_files(
        options,
        ("enable", !with.no_reload),
        &with.of,
        look,
        call,
        read,
    )
    .await
}

/// Disables unit files.
pub(crate) async fn disable(options: &Options, with: &Disable, look: &Look) -> Result<Page, Fault> {
    let call = |node: &NodeName, file: &str| {
        let body = (vec![file], with.runtime);
        bus::node_call(node, public::NODE, "DisableUnitFiles", &body)
    };
    let read = |answer: Message| changes(&answer, "DisableUnitFiles");
    on_files(
        options,
        ("disable", !with.no_reload),
        &with.of,
        look,
        call,
        read,
    )
    .await
}

/// Starts or stops units whose files were enabled or disabled, if that is wanted and went well. What is
/// said of both is said in this order.
pub(crate) async fn now(
    options: &Options,
    kind: JobKind,
    of: &UnitFiles,
    files: Page,
    look: &Look,
) -> Result<Page, Fault> {
    let unit = |file: &String| {
        let unit = file.parse().map(UnitArg::Name);
        unit.map_err(|error| Fault::Usage(format!("'{file}' cannot be meant by --now: {error}")))
    };
    let of = Units {
        nodes: of.nodes.clone(),
        units: of.files.iter().map(unit).collect::<Result<_, _>>()?,
    };
    let jobs = super::job::run(options, kind, &of, look).await?;
    let mut messages = files.messages;
    messages.extend(jobs.messages);
    Ok(Page {
        data: files.data + &jobs.data,
        messages,
        exit: jobs.exit,
    })
}

async fn on_files(
    options: &Options,
    (verb, reload): (&'static str, bool),
    of: &UnitFiles,
    look: &Look,
    call: impl Fn(&NodeName, &str) -> Result<Message, Fault>,
    read: impl Fn(Message) -> Result<Effect, Fault>,
) -> Result<Page, Fault> {
    let mut bus = connect(options).await?;
    let mut chosen = choose::nodes(&mut bus, &of.nodes).await?;
    let mut asks = Vec::new();
    for node in &chosen.names {
        for file in &of.files {
            asks.push(Ask::new(verb, node, file, call(node, file)?));
        }
    }
    let done = each::ask(&mut bus, &mut chosen.known, asks).await;
    let mut done: Vec<_> = done.into_iter().map(|done| done.and_then(&read)).collect();
    if reload {
        reload_after(&mut bus, &mut chosen, &mut done).await?;
    }
    Ok(view::act::page(&done, chosen.several, look))
}

/// Sets the target that nodes boot into.
pub(crate) async fn set_default(
    options: &Options,
    with: &SetDefault,
    look: &Look,
) -> Result<Page, Fault> {
    let (target, force) = (with.to.unit.as_str(), with.force);
    let mut bus = connect(options).await?;
    let mut chosen = choose::nodes(&mut bus, &with.to.nodes).await?;
    let asks = chosen.names.iter().map(|node| {
        let call = bus::node_call(node, public::NODE, "SetDefaultTarget", &(target, force))?;
        Ok(Ask::new("set-default", node, target, call))
    });
    let asks = asks.collect::<Result<_, Fault>>()?;
    let done = each::ask(&mut bus, &mut chosen.known, asks).await;
    let read = |answer: Message| changes(&answer, "SetDefaultTarget");
    let mut done: Vec<_> = done.into_iter().map(|done| done.and_then(read)).collect();
    reload_after(&mut bus, &mut chosen, &mut done).await?;
    Ok(view::act::page(&done, chosen.several, look))
}

/// Has the service managers of the nodes on which something succeeded read their unit files again,
/// as systemctl(1) does. Only what fails is added.
async fn reload_after(
    bus: &mut Bus,
    chosen: &mut Chosen,
    done: &mut Vec<Done<Effect>>,
) -> Result<(), Fault> {
    let changed = |node: &&NodeName| {
        let mut of_node = done.iter().filter(|done| done.node == **node);
        of_node.any(|done| done.answer.is_ok())
    };
    let asks = chosen.names.iter().filter(changed).map(|node| {
        let call = bus::node_call(node, public::NODE, "Reload", &())?;
        Ok(Ask::new("daemon-reload", node, "", call))
    });
    let asks = asks.collect::<Result<_, Fault>>()?;
    let reloaded = each::ask(bus, &mut chosen.known, asks).await.into_iter();
    let reloaded = reloaded.map(|done| done.and_then(nothing));
    done.extend(reloaded.filter(|done| done.answer.is_err()));
    Ok(())
}

/// Sets the level of a log.
pub(crate) async fn set_log_level(
    options: &Options,
    of: Option<&Where>,
    level: Level,
    look: &Look,
) -> Result<Page, Fault> {
    match of {
        Some(Where::Nodes(nodes)) => {
            on_nodes(options, "set-loglevel", nodes, look, |node| {
                bus::node_call(node, public::NODE, "SetLogLevel", &level.as_str())
            })
            .await
        }
        Some(Where::Controller) | None => {
            let mut bus = connect(options).await?;
            let call = bus::fleet_call(public::CONTROLLER, "SetLogLevel", &level.as_str())?;
            let [answer] = bus.ask([call]).await?;
            match answer {
                Ok(_) => Ok(view::act::of_daemon("set-loglevel", look)),
                Err(refusal) => Err(Fault::refused(refusal, bus.name())),
            }
        }
    }
}

/// Takes jobs back.
pub(crate) async fn cancel(options: &Options, jobs: &[u32], look: &Look) -> Result<Page, Fault> {
    let mut bus = connect(options).await?;
    let calls = jobs
        .iter()
        .map(|job| bus::job_call(*job, public::JOB, "Cancel", &()));
    let calls = calls.collect::<Result<Vec<_>, _>>()?;
    let answers = bus.ask_each(&calls).await;
    let outcomes: Vec<_> = jobs
        .iter()
        .zip(answers)
        .map(|(job, answer)| match answer {
            Ok(Ok(_)) => (*job, Ok(())),
            Ok(Err(refusal)) if fault::is_not_there(&refusal) => (*job, Err(Fault::NoJob(*job))),
            Ok(Err(refusal)) => (*job, Err(Fault::refused(refusal, bus.name()))),
            Err(fault) => (*job, Err(fault)),
        })
        .collect();
    Ok(view::act::canceled(&outcomes, look))
}

async fn connect(options: &Options) -> Result<Bus, Fault> {
    Bus::connect(options.user, options.question_timeout()).await
}

fn nothing(_: Message) -> Result<Effect, Fault> {
    Ok(Effect::default())
}

fn changes(answer: &Message, asked: &'static str) -> Result<Effect, Fault> {
    Ok(Effect {
        changes: bus::read(answer, asked)?,
        lacks_install_info: false,
    })
}
