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
use crate::event::{Event, What};

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
