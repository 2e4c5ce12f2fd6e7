//! Calls that a real agent would hand on to systemd.

use std::collections::HashMap;

use host::link;
use proto::dbus::error;
use zbus::{Message, OwnedVariant};

use super::units::Units;

/// A change of a unit file, as systemd tells it.
type Change = (&'static str, &'static str, &'static str);

/// The answer to a call.
pub(super) fn answer(call: &Message, units: &Units) -> zbus::Result<Message> {
    let header = call.header();
    let body = call.body();
    match header.member().map_or("", |member| member.as_str()) {
        "ListUnits" => link::reply(call, &units.rows()),
        "ListUnitFiles" => link::reply(call, &units.files()),
        "GetUnitProperties" => {
            let (unit, _): (&str, &str) = body.deserialize()?;
            link::reply(call, &units.properties(unit))
        }
        "GetUnitProperty" => {
            let (unit, _, property): (&str, &str, &str) = body.deserialize()?;
            match units.properties(unit).get(property) {
                Some(value) => link::reply(call, &value),
                None => link::error(call, error::UNKNOWN_PROPERTY, property),
            }
        }
        "UnitStatus" => {
            let asked: Vec<&str> = body.deserialize()?;
            let status = asked.into_iter().map(|unit| (unit, units.properties(unit)));
            let status: Vec<(&str, HashMap<&str, OwnedVariant>)> = status.collect();
            link::reply(call, &status)
        }
        "GetUnitFileState" => link::reply(call, &"enabled"),
        "GetDefaultTarget" => link::reply(call, &"multi-user.target"),
        "EnableUnitFiles" => link::reply(call, &(true, Vec::<Change>::new())),
        "DisableUnitFiles" | "SetDefaultTarget" => link::reply(call, &Vec::<Change>::new()),
        "Reload" | "ResetFailed" | "ResetFailedUnit" | "FreezeUnit" | "ThawUnit" | "KillUnit"
        | "SetUnitProperties" | "SetLogLevel" | "EnableMetrics" | "DisableMetrics" | "Ping"
        | "Unsubscribe" => link::reply(call, &()),
        other => {
            let text = format!("an agent without a machine knows no '{other}'");
            link::error(call, error::UNKNOWN_METHOD, &text)
        }
    }
}
