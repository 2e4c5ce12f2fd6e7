//! What happens to nodes and units, as a stream.

use std::{collections::BTreeMap, time::Duration};

use serde::{Serialize, ser::SerializeMap as _};
use zbus::wire::OwnedVariant;

use super::{
    Mood, known,
    stream::{Row, Stream},
    usec,
    value::{self, Value},
};
use crate::{
    event::{Event, What},
    limits,
};

/// The columns beside the time.
pub(crate) const HEADER: &[&str] = &["NODE", "UNIT", "CHANGE"];

/// One event as the next row.
pub(crate) fn row(stream: &mut Stream, event: &Event) -> String {
    let (change, mood) = change(&event.what);
    let mut cells = vec![
        (event.node.clone(), Mood::Neutral),
        (dash(&event.unit), Mood::Neutral),
        (change.clone(), mood),
    ];
    if event.is_virtual() {
        if let Some((text, _)) = cells.last_mut() {
            text.push_str(" [virtual]");
        }
        cells.iter_mut().for_each(|(_, mood)| *mood = Mood::Idle);
    }
    let plain = [event.node.as_str(), &event.unit, event.what.word(), &change];
    let json = EventJson::of(event);
    stream.row(&Row {
        time: json.time_usec,
        cells,
        plain: plain.map(str::to_owned).to_vec(),
        json: &json,
    })
}

/// What has changed, for people.
fn change(what: &What) -> (String, Mood) {
    match what {
        What::Node { status } => (status.clone(), Mood::of(status)),
        What::New { .. } => ("new".into(), Mood::Neutral),
        What::Removed { .. } => ("removed".into(), Mood::Idle),
        What::State { active, sub, .. } => (format!("{active} ({sub})"), Mood::of(active)),
        What::Properties { properties, .. } => {
            let pair =
                |(name, of): (&String, &OwnedVariant)| format!("{name}={}", value::text(name, of));
            let pairs: Vec<String> = properties.iter().map(pair).collect();
            (pairs.join(" "), Mood::Neutral)
        }
    }
}

/// What people were told of the properties of units. systemd names all that may have changed whenever
/// one has; a row has only what differs.
#[derive(Debug, Default)]
pub(crate) struct Shown(BTreeMap<(String, String), BTreeMap<String, String>>);

impl Shown {
    /// Whether anything is left of an event for a row. Properties are left out that were told so
    /// before, or that say nothing: moments, states, which have rows of their own, and what is not
    /// set.
    pub(crate) fn is_news(&mut self, event: &mut Event) -> bool {
        let What::Properties { properties, .. } = &mut event.what else {
            return true;
        };
        if self.0.len() >= limits::UNITS_SHOWN_MAX {
            self.0.clear();
        }
        let unit = (event.node.clone(), event.unit.clone());
        let told = self.0.entry(unit).or_default();
        properties.retain(|name, of| {
            let text = value::text(name, of);
            let is_new = told.insert(name.clone(), text.clone()).as_ref() != Some(&text);
            is_new && !is_idle(name, &text)
        });
        !properties.is_empty()
    }
}

fn is_idle(name: &str, text: &str) -> bool {
    let is_row_of_its_own = matches!(name, "ActiveState" | "SubState" | "Job" | "InvocationID");
    let is_moment = name.ends_with("Timestamp") || name.ends_with("TimestampMonotonic");
    let is_nothing = matches!(
        text,
        "" | "0" | "no" | "[not set]" | "4294967295" | "success"
    );
    is_row_of_its_own || is_moment || is_nothing
}

fn dash(text: &str) -> String {
    known(text).unwrap_or("-").to_owned()
}

#[derive(Serialize)]
struct EventJson<'a> {
    event: &'static str,
    time_usec: u64,
    node: &'a str,
    unit: Option<&'a str>,
    status: Option<&'a str>,
    active_state: Option<&'a str>,
    sub_state: Option<&'a str>,
    interface: Option<&'a str>,
    properties: Option<Properties<'a>>,
    reason: Option<&'a str>,
}

impl<'a> EventJson<'a> {
    fn of(event: &'a Event) -> Self {
        let mut json = Self {
            event: event.what.word(),
            time_usec: usec(event.time),
            node: &event.node,
            unit: known(&event.unit),
            status: None,
            active_state: None,
            sub_state: None,
            interface: None,
            properties: None,
            reason: event.reason(),
        };
        match &event.what {
            What::Node { status } => json.status = Some(status),
            What::New { .. } | What::Removed { .. } => {}
            What::State { active, sub, .. } => {
                json.active_state = Some(active);
                json.sub_state = Some(sub);
            }
            What::Properties {
                interface,
                properties,
            } => {
                json.interface = Some(interface);
                json.properties = Some(Properties(properties));
            }
        }
        json
    }
}

struct Properties<'a>(&'a BTreeMap<String, OwnedVariant>);

impl Serialize for Properties<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, of) in self.0 {
            map.serialize_entry(name, &Value(of))?;
        }
        map.end()
    }
}

/// For programs: that something may have been missed.
pub(crate) fn gap(away: Duration, now: Duration) -> String {
    #[derive(Serialize)]
    struct Gap {
        event: &'static str,
        time_usec: u64,
        away_usec: u64,
    }
    super::json(&Gap {
        event: "gap",
        time_usec: usec(now),
        away_usec: usec(away),
    })
}

#[cfg(test)]
mod tests {
    use zbus::wire::Variant;

    use super::*;

    fn changed(of: &[(&str, Variant<'static>)]) -> Event {
        let owned = |(name, value): &(&str, Variant<'static>)| {
            let value = value.try_clone().expect("no descriptor");
            ((*name).to_owned(), value.try_to_owned().expect("owned"))
        };
        Event {
            time: Duration::ZERO,
            node: "worker1".into(),
            unit: "a.service".into(),
            what: What::Properties {
                interface: "org.freedesktop.systemd1.Service".into(),
                properties: of.iter().map(owned).collect(),
            },
        }
    }

    #[test]
    fn people_are_told_of_properties_that_differ() {
        let mut shown = Shown::default();
        let mut told = |of: &[(&str, Variant<'static>)]| {
            let mut event = changed(of);
            shown.is_news(&mut event).then(|| change(&event.what).0)
        };
        let running = [
            ("MainPID", Variant::from(7u32)),
            ("SubState", Variant::from("running")),
            ("ActiveEnterTimestamp", Variant::from(1u64)),
            ("StatusText", Variant::from("")),
        ];
        assert_eq!(told(&running).as_deref(), Some("MainPID=7"));
        assert_eq!(told(&running), None);
        let again = [
            ("MainPID", Variant::from(8u32)),
            ("NRestarts", Variant::from(1u32)),
        ];
        assert_eq!(told(&again).as_deref(), Some("MainPID=8 NRestarts=1"));
    }
}
