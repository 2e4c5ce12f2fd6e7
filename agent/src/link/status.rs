//! `UnitStatus`: all properties of some units, and for how long each has been in its state.

use std::collections::HashMap;

use node::ManagerError;
use proto::dbus::error;
use rustix::time::{ClockId, clock_gettime};
use zbus::wire::{OwnedVariant, Variant};

use super::pass::{from_systemd, get_all, unit_path};
use crate::{limits::STATUS_UNITS_MAX, systemd::Manager};

/// The property that is added to systemd's: microseconds since the unit has changed its state, by
/// this node's own monotonic clock, so that no two clocks are compared.
pub(super) const STATE_AGE: &str = "StateAgeUSec";

/// When a unit has last changed its state, on `CLOCK_MONOTONIC`, org.freedesktop.systemd1(5).
const STATE_CHANGE: &str = "StateChangeTimestampMonotonic";

/// A unit and its properties.
pub(super) type Status = (String, HashMap<String, OwnedVariant>);

/// The status of units, in the order in which they were asked for.
///
/// # Errors
///
/// Fails when one has no valid name, or systemd does not answer.
pub(super) async fn of(units: &[String], manager: &Manager) -> Result<Vec<Status>, ManagerError> {
    limit("units", units.len(), STATUS_UNITS_MAX)?;
    // All are asked before the first has answered; systemd takes them one after the other.
    let asked = units.iter().cloned().map(|unit| {
        let manager = manager.clone();
        tokio::spawn(async move { one(unit, &manager).await })
    });
    let mut statuses = Vec::new();
    for status in asked.collect::<Vec<_>>() {
        let status = status.await.map_err(|error| ManagerError {
            name: error::FAILED.to_owned(),
            text: error.to_string(),
        })?;
        statuses.push(status?);
    }
    Ok(statuses)
}

async fn one(unit: String, manager: &Manager) -> Result<Status, ManagerError> {
    let path = unit_path(manager, unit.clone()).await?;
    let answer = get_all(manager, path, String::new()).await?;
    let body = answer.body();
    let mut properties: HashMap<String, OwnedVariant> = from_systemd(&body)?;
    add_age(&mut properties);
    Ok((unit, properties))
}

/// Adds for how long the unit has been in its state, if the properties say since when.
pub(super) fn add_age(properties: &mut HashMap<String, OwnedVariant>) {
    let changed = properties
        .get(STATE_CHANGE)
        .and_then(|at| u64::try_from(at).ok());
    if let Some(age) = age_us(now_us(), changed)
        && let Ok(age) = OwnedVariant::try_from(Variant::from(age))
    {
        properties.insert(STATE_AGE.to_owned(), age);
    }
}

/// Fails when more is asked for than one answer holds.
pub(super) fn limit(what: &str, asked: usize, max: usize) -> Result<(), ManagerError> {
    if asked <= max {
        return Ok(());
    }
    Err(ManagerError {
        name: error::LIMITS_EXCEEDED.to_owned(),
        text: format!("{asked} {what} were asked for, at most {max}"),
    })
}

/// How long ago something was; `None` for what never was (0, as systemd writes it).
fn age_us(now_us: u64, at_us: Option<u64>) -> Option<u64> {
    match at_us {
        None | Some(0) => None,
        Some(at) => Some(now_us.saturating_sub(at)),
    }
}

/// The node's monotonic clock, as systemd reads it.
fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanoseconds / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(100, Some(40), Some(60))]
    #[test_case(100, Some(0), None; "never")]
    #[test_case(100, None, None; "not said")]
    #[test_case(100, Some(101), Some(0); "a change since")]
    fn ages_are_from_one_clock(now: u64, at: Option<u64>, age: Option<u64>) {
        assert_eq!(age_us(now, at), age);
    }
}
