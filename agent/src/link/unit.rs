//! What the controller is told of units, as BlueChi's agents tell it.

use std::collections::HashMap;

use host::link;
use proto::dbus::internal;
use zbus::{Message, Variant};

use crate::systemd::UnitSignal;

/// The body of `PropertiesChanged`.
type Changed<'a> = (&'a str, HashMap<&'a str, Variant<'a>>, Vec<&'a str>);

/// Writes a signal.
pub(super) fn write(signal: &UnitSignal) -> zbus::Result<Message> {
    match signal {
        UnitSignal::New { unit, reason } => write_as("UnitNew", &(unit, reason)),
        UnitSignal::Removed { unit } => write_as("UnitRemoved", unit),
        UnitSignal::State {
            unit,
            active,
            sub,
            reason,
        } => write_as("UnitStateChanged", &(unit, active, sub, reason)),
        UnitSignal::Properties { unit, said } => {
            let body = said.body();
            let (interface, changed, _): Changed<'_> = body.deserialize()?;
            write_as("UnitPropertiesChanged", &(unit, interface, changed))
        }
    }
}

fn write_as<B>(member: &str, body: &B) -> zbus::Result<Message>
where
    B: serde::Serialize + zbus::wire::DynamicType,
{
    link::signal(internal::AGENT_PATH, internal::AGENT, member, body)
}
