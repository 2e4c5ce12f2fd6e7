//! The last lines of a unit's journal, below its status. They are asked for beside the status, on a
//! connection of their own, and are not waited for for long.

use proto::{
    dbus::public,
    name::{NodeName, UnitName},
};
use tokio::time::timeout;

use crate::{
    bus::{self, Bus},
    cli::{Nodes, Options, Output, Status, UnitArg},
    command::{choose::Known, logs},
    fault::Fault,
    journal::{Log, Part, Wanted},
    limits, span,
    view::Look,
};

/// The lines, where they are wanted: of a single unit, for people, or where they are asked for.
pub(crate) async fn of(options: &Options, with: &Status, look: &Look) -> Log {
    let wanted = match look.output {
        Output::Table if look.legend => with.lines.or(Some(limits::LOG_OF_STATUS)),
        Output::Json => with.lines,
        Output::Table | Output::Plain => None,
    };
    match (&with.of.nodes, with.of.units.as_slice(), wanted) {
        (Some(Nodes::One(node)), [UnitArg::Name(unit)], Some(1..)) => {
            let limit = limits::LOG_OF_STATUS_PATIENCE;
            let read = read(options.user, node, unit, wanted);
            match timeout(limit, read).await {
                Ok(Ok(log)) => log,
                Ok(Err(fault)) => Log::Unknown(fault.to_string()),
                Err(_) => Log::Unknown(format!("no answer after {}", span::display(limit))),
            }
        }
        (_, _, _) => Log::NotAsked,
    }
}

async fn read(
    session: bool,
    node: &NodeName,
    unit: &UnitName,
    lines: Option<u32>,
) -> Result<Log, Fault> {
    let mut bus = Bus::connect(session, limits::LOG_OF_STATUS_PATIENCE).await?;
    let wanted = Wanted {
        this_boot: true,
        ..Wanted::default()
    };
    let part = Part {
        lines,
        ..Part::default()
    };
    let units = [unit.clone()];
    let body = wanted.body(&units, part);
    let call = bus::node_call(node, public::NODE_OWN, "ReadJournal", &body)?;
    let [answer] = bus.ask([call]).await?;
    match answer {
        Ok(answer) => logs::lines(&answer).map(|(lines, ..)| Log::Lines(lines)),
        Err(refusal) => Err(Known::default().explain(&mut bus, node, "", refusal).await),
    }
}
