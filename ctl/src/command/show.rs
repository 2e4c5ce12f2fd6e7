//! `show`: the properties of units.

use std::collections::BTreeMap;

use proto::dbus::public;
use zbus::{Message, wire::OwnedVariant};

use super::{
    choose,
    each::{self, Ask},
};
use crate::{
    bus::{self, Bus},
    cli::{Options, Show},
    fault::Fault,
    view::{
        Look, Page,
        show::{self, Which},
    },
};

/// Shows properties.
pub(crate) async fn run(options: &Options, with: &Show, look: &Look) -> Result<Page, Fault> {
    let mut bus = Bus::connect(options.user, options.question_timeout()).await?;
    let mut chosen = choose::nodes(&mut bus, &with.of.nodes).await?;
    let expanded = choose::units(&mut bus, &mut chosen, &with.of.units).await?;
    let asks = expanded.targets.iter().map(|target| {
        let body = (target.unit.as_str(), "");
        let call = bus::node_call(&target.node, public::NODE, "GetUnitProperties", &body)?;
        Ok(Ask::new("show", &target.node, target.unit.as_str(), call))
    });
    let asks = asks.collect::<Result<_, Fault>>()?;
    let done = each::ask(&mut bus, &mut chosen.known, asks).await;
    let read =
        |answer: Message| bus::read::<BTreeMap<String, OwnedVariant>>(&answer, "GetUnitProperties");
    let mut done: Vec<_> = done.into_iter().map(|done| done.and_then(read)).collect();
    let faults = expanded.faults.into_iter();
    done.extend(faults.map(|done| done.and_then(|()| Ok(BTreeMap::new()))));
    let which = Which {
        names: &with.properties,
        only_values: with.value,
    };
    Ok(show::page(&done, &which, chosen.several, look))
}
