//! `ReadProperties`: some properties of many units. Each is asked for by itself, because all of them
//! together are dear: for one, `UnitFileState`, systemd looks into all folders of unit files.

use std::collections::{BTreeSet, HashMap};

use host::link;
use node::ManagerError;
use proto::dbus::{error, systemd};
use zbus::wire::{ObjectPath, OwnedVariant};

use super::{
    pass::{from_systemd, get, get_all, of_manager, unit_path},
    status::{Status, add_age, limit},
};
use crate::{
    limits::{READ_PROPERTIES_MAX, STATUS_UNITS_MAX},
    systemd::Manager,
};

/// These properties of these units, in the order in which the units were asked for. A property that
/// this systemd does not have is left out.
///
/// # Errors
///
/// Fails when too much is asked for, a unit has no valid name, or systemd does not answer.
pub(super) async fn of(
    units: &[String],
    properties: &[String],
    manager: &Manager,
) -> Result<Vec<Status>, ManagerError> {
    limit("units", units.len(), STATUS_UNITS_MAX)?;
    limit("properties", properties.len(), READ_PROPERTIES_MAX)?;
    let properties: BTreeSet<String> = properties.iter().cloned().collect();
    // The units are asked side by side, each for one property after the other: no more calls wait
    // for systemd than there are units.
    let asked = units.iter().cloned().map(|unit| {
        let (manager, properties) = (manager.clone(), properties.clone());
        tokio::spawn(async move { one(unit, &properties, &manager).await })
    });
    let mut read = Vec::new();
    for status in asked.collect::<Vec<_>>() {
        let status = status.await.map_err(|error| ManagerError {
            name: error::FAILED.to_owned(),
            text: error.to_string(),
        })?;
        read.push(status?);
    }
    Ok(read)
}

async fn one(
    unit: String,
    properties: &BTreeSet<String>,
    manager: &Manager,
) -> Result<Status, ManagerError> {
    let mut found = match loaded(manager, unit.clone()).await? {
        Some(path) => one_by_one(manager, path, properties).await?,
        // Each question about a unit that is not loaded would load it anew.
        None => {
            let path = unit_path(manager, unit.clone()).await?;
            let answer = get_all(manager, path, systemd::UNIT.to_owned()).await?;
            let body = answer.body();
            let mut all: HashMap<String, OwnedVariant> = from_systemd(&body)?;
            all.retain(|name, _| properties.contains(name));
            all
        }
    };
    add_age(&mut found);
    Ok((unit, found))
}

async fn one_by_one(
    manager: &Manager,
    path: String,
    properties: &BTreeSet<String>,
) -> Result<HashMap<String, OwnedVariant>, ManagerError> {
    let mut found = HashMap::new();
    for property in properties {
        let interface = systemd::UNIT.to_owned();
        match get(manager, path.clone(), interface, property.clone()).await {
            Ok(answer) => drop(found.insert(property.clone(), from_systemd(&answer.body())?)),
            // An older systemd, or one to come.
            Err(error) if error.name == error::UNKNOWN_PROPERTY => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The path of a unit, if it is loaded.
async fn loaded(manager: &Manager, unit: String) -> Result<Option<String>, ManagerError> {
    let answer = manager.call(move |serial, destination| {
        link::call(serial, of_manager(destination, "GetUnit"), &unit)
    });
    match answer.await {
        Ok(answer) => {
            let body = answer.body();
            let path: ObjectPath<'_> = from_systemd(&body)?;
            Ok(Some(path.as_str().to_owned()))
        }
        Err(error) if error.name == systemd::NO_SUCH_UNIT => Ok(None),
        Err(error) => Err(error),
    }
}
