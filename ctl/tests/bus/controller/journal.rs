//! Journals and unit files of nodes.

use std::{collections::HashMap, sync::Mutex};

use zbus::{
    Connection, Message,
    wire::{OwnedVariant, Variant},
};

use super::{Dictionary, refuse, reply};

/// Lines in the order of time: the node, the second, the priority and the message; all are of `target.service`.
const LINES: [(&str, u64, u8, &str); 6] = [
    ("worker1", 10, 6, "one"),
    ("worker1", 20, 4, "two"),
    ("worker3", 30, 6, "three"),
    ("worker1", 40, 6, "four"),
    ("worker3", 50, 6, "five"),
    ("worker1", 60, 3, "six"),
];

/// So many are in one answer.
const LINES_OF_ANSWER: usize = 2;

/// Answers to `ReadJournal`, `UnitFiles` and `ReadProperties`.
pub(super) async fn answer(connection: &Connection, call: &Message, node: &str, member: &str) {
    match member {
        "ReadJournal" => read(connection, call, node).await,
        "UnitFiles" => files(connection, call).await,
        _ => states(connection, call).await,
    }
}

async fn read(connection: &Connection, call: &Message, node: &str) {
    let (units, options): (Vec<String>, HashMap<String, OwnedVariant>) =
        call.body().deserialize().expect("units and options");
    if units == ["secret.service"] {
        let name = "org.freedesktop.DBus.Error.AccessDenied";
        return refuse(connection, call, name, "not for you").await;
    }
    let option = |key: &str| options.get(key).cloned();
    let cursor = option("Cursor").map(|it| String::try_from(it).expect("a text"));
    let wanted = option("Lines").map(|it| u32::try_from(it).expect("a number"));
    let wanted = wanted.map(|lines| usize::try_from(lines).expect("few"));
    let waits = option("WaitUSec").map(|it| u64::try_from(it).expect("a number"));
    let is_of = |unit: &String| unit == "target.service";
    let lines: Vec<_> = LINES
        .iter()
        .filter(|line| line.0 == node && units.iter().any(is_of))
        .collect();
    let begin = match &cursor {
        Some(cursor) => cursor
            .trim_start_matches("s=")
            .parse::<usize>()
            .expect("ours"),
        None => lines.len().saturating_sub(wanted.unwrap_or(lines.len())),
    };
    if begin >= lines.len() && waits.is_some_and(|wait| wait > 0) {
        return wait(connection, call, begin).await;
    }
    let left = lines
        .len()
        .saturating_sub(begin)
        .min(wanted.unwrap_or(usize::MAX));
    let end = begin + left.min(LINES_OF_ANSWER);
    let part: Vec<Dictionary> = lines
        .iter()
        .take(end)
        .skip(begin)
        .map(|(_, at, priority, message)| line(*at, *priority, message))
        .collect();
    reply(
        connection,
        call,
        &(part, format!("s={end}"), left > LINES_OF_ANSWER),
    )
    .await;
}

/// There is nothing to say as long as this controller lives; the next one has a line.
async fn wait(connection: &Connection, call: &Message, at: usize) {
    static ASKED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
    let name = connection.unique_name().expect("on a bus").to_string();
    let bus = connection.server_guid().to_string();
    let is_known_to_another = {
        let mut asked = ASKED.lock().expect("no panic");
        let found = asked.iter().any(|it| it.0 == bus && it.1 != name);
        asked.push((bus, name));
        found
    };
    if is_known_to_another && at == LINES.len() - 2 {
        let part = vec![line(70, 6, "seven")];
        reply(connection, call, &(part, format!("s={}", at + 1), false)).await;
    }
}

fn line(at: u64, priority: u8, message: &'static str) -> Dictionary {
    Dictionary::from([
        ("RealtimeUSec", Variant::from(at * 1_000_000)),
        ("MonotonicUSec", Variant::from(at * 1_000_000)),
        ("BootID", Variant::from("b")),
        ("Priority", Variant::from(priority)),
        ("Identifier", Variant::from("target")),
        ("PID", Variant::from(7u32)),
        ("Unit", Variant::from("target.service")),
        ("Message", Variant::from(message)),
    ])
}

/// Only `gone.service` is none.
async fn states(connection: &Connection, call: &Message) {
    let (units, _): (Vec<String>, Vec<String>) = call.body().deserialize().expect("two");
    let state = |unit: String| {
        let load = if unit == "gone.service" {
            "not-found"
        } else {
            "loaded"
        };
        (unit, Dictionary::from([("LoadState", Variant::from(load))]))
    };
    let states: Vec<_> = units.into_iter().map(state).collect();
    reply(connection, call, &states).await;
}

/// Files of units that are what their names say.
async fn files(connection: &Connection, call: &Message) {
    let units: Vec<String> = call.body().deserialize().expect("units");
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let unit = |name: String| {
        let path = format!("/etc/systemd/system/{name}");
        let mut load = "loaded";
        let mut files = vec![file(&path, "[Service]\nExecStart=/bin/true\n")];
        let mut unreadable = Vec::new();
        match name.as_str() {
            "target.service" => files.push(file(
                "/run/systemd/system/target.service.d/limit.conf",
                "[Service]\nMemoryMax=1G\n",
            )),
            "masked.service" => (load, files) = ("masked", Vec::new()),
            "gone.service" => (load, files) = ("not-found", Vec::new()),
            "secret.service" => {
                files.clear();
                unreadable.push(file(&path, "Permission denied"));
            }
            _ => {}
        }
        let facts = Dictionary::from([
            ("LoadState", Variant::from(load)),
            ("FragmentPath", Variant::from(path)),
            ("NeedDaemonReload", Variant::from(name == "changed.service")),
            ("Files", Variant::from(files)),
            ("Unreadable", Variant::from(unreadable)),
        ]);
        (name, facts)
    };
    let all: Vec<_> = units.into_iter().map(unit).collect();
    reply(connection, call, &all).await;
}
