//! Requests for jobs, and the agents that carry them out: they outlive the controller, as real ones do.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use zbus::{
    Connection, Message,
    wire::{ObjectPath, OwnedObjectPath, Variant},
};

use super::{NAME, PATH, finished, refuse, removed, reply};

/// Who knows requests by their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Knows {
    /// The controller and its agents.
    #[default]
    Cookies,
    /// The controller, and not its agents.
    NoneOfAgent,
    /// Nobody.
    None,
    /// All, and the agent was started with its node since.
    Forgotten,
}

/// What the agents of all nodes have carried out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    knows: Knows,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    begun: Vec<Begun>,
    /// The next so many requests for units named `twice…` are lost with the controller.
    lost: usize,
    /// How many controllers there have been.
    controllers: usize,
}

/// A job that was carried out, and has ended well.
#[derive(Debug)]
struct Begun {
    id: u32,
    kind: String,
    unit: String,
    cookie: Option<String>,
    at: Instant,
}

impl Node {
    /// Agents of which the first so many requests for units named `twice…` never hear.
    pub(crate) fn losing(lost: usize, knows: Knows) -> Self {
        let node = Self {
            knows,
            ..Self::default()
        };
        node.kept().lost = lost;
        node
    }

    /// From now on all requests come to the agents.
    pub(crate) fn hears_all(&self) {
        self.kept().lost = 0;
    }

    /// There is another controller.
    pub(super) fn serve(&self) {
        self.kept().controllers += 1;
    }

    /// How many requests for units named `twice…` were carried out.
    pub(crate) fn carried_out(&self) -> usize {
        self.kept().begun.len()
    }

    /// Whether a request is made in a way that is known.
    pub(super) fn takes(&self, call: &Message) -> bool {
        let is_named = asked(call).cookie.is_some();
        !(is_named && self.knows == Knows::None)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no panic")
    }
}

/// A request, as it came.
#[derive(Debug)]
struct Asked {
    kind: String,
    unit: String,
    cookie: Option<String>,
    again: bool,
}

/// Whether a call is a request for a job.
pub(super) fn is_one(call: &Message) -> bool {
    let header = call.header();
    let member = header.member().map_or("", |it| it.as_str());
    let plain = ["StartUnit", "StopUnit", "RestartUnit", "ReloadUnit"];
    member == "Enqueue" || plain.contains(&member)
}

fn asked(call: &Message) -> Asked {
    let header = call.header();
    let member = header.member().map_or("", |it| it.as_str());
    let body = call.body();
    if member == "Enqueue" {
        let (kind, unit, mode, cookie, age): (String, String, String, String, u64) =
            body.deserialize().expect("a request");
        assert_eq!((mode.as_str(), cookie.len()), ("replace", 32));
        return Asked {
            kind,
            unit,
            cookie: Some(cookie),
            again: age > 0,
        };
    }
    let (unit, mode): (String, String) = body.deserialize().expect("a unit");
    assert_eq!(mode, "replace");
    let kind = member.strip_suffix("Unit").expect("a kind").to_lowercase();
    Asked {
        kind,
        unit,
        cookie: None,
        again: false,
    }
}

/// Answers a request.
pub(super) async fn answer(connection: &Connection, call: &Message, node: &str, agent: &Node) {
    let asked = asked(call);
    let why = match (&asked.cookie, agent.knows) {
        (Some(_), Knows::None) => Some("org.freedesktop.DBus.Error.UnknownMethod"),
        (Some(_), Knows::NoneOfAgent) if asked.again => {
            Some("org.freedesktop.DBus.Error.NotSupported")
        }
        (Some(_), Knows::Forgotten) if asked.again => Some("org.unitlink.Forgotten"),
        (None | Some(_), _) => None,
    };
    if let Some(why) = why {
        return refuse(connection, call, why, "not that way").await;
    }
    if asked.unit.starts_with("twice") {
        twice(connection, call, asked, agent).await;
    } else {
        let unit = asked.unit.clone();
        job((connection, call), (node, &unit), &asked).await;
    }
}

/// The first controller ends before it has answered anything, and before the first so many requests have come to the agent.
async fn twice(connection: &Connection, call: &Message, asked: Asked, agent: &Node) {
    let known = {
        let mut kept = agent.kept();
        if let Some(left) = kept.lost.checked_sub(1) {
            kept.lost = left;
            return;
        }
        let known = kept.begun.iter().find(|begun| {
            agent.knows == Knows::Cookies && asked.cookie.is_some() && begun.cookie == asked.cookie
        });
        known.map(facts)
    };
    if let Some(facts) = known {
        return reply(connection, call, &facts).await;
    }
    let id = next_id();
    agent.kept().begun.push(Begun {
        id,
        kind: asked.kind.clone(),
        unit: asked.unit.clone(),
        cookie: asked.cookie.clone(),
        at: Instant::now(),
    });
    if agent.kept().controllers > 1 {
        begun(connection, call, &asked, id).await;
        finished(connection, id, "worker1", &asked.unit, "done", "", "").await;
    }
}

fn facts(begun: &Begun) -> HashMap<&'static str, Variant<'static>> {
    let age = u64::try_from(begun.at.elapsed().as_micros()).expect("short");
    HashMap::from([
        ("Id", Variant::from(begun.id)),
        ("Unit", Variant::from(begun.unit.clone())),
        ("JobType", Variant::from(begun.kind.clone())),
        ("State", Variant::from("ended")),
        ("Result", Variant::from("done")),
        ("AgeUSec", Variant::from(age)),
    ])
}

/// Says which jobs of a unit there are.
pub(super) async fn find(connection: &Connection, call: &Message, agent: &Node) {
    let unit: String = call.body().deserialize().expect("a unit");
    let found: Vec<_> = {
        let kept = agent.kept();
        let found = kept.begun.iter().filter(|begun| begun.unit == unit);
        found.map(facts).collect()
    };
    reply(connection, call, &("yes", found)).await;
}

fn next_id() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Answers a request with its job.
async fn begun(connection: &Connection, call: &Message, asked: &Asked, id: u32) {
    let path = OwnedObjectPath::try_from(format!("{PATH}/job/{id}")).expect("a path");
    if asked.cookie.is_none() {
        return reply(connection, call, &path).await;
    }
    let facts = HashMap::from([
        ("Id", Variant::from(id)),
        ("Path", Variant::from(ObjectPath::from(path))),
        ("State", Variant::from("waiting")),
    ]);
    reply(connection, call, &facts).await;
}

/// Answers the wish for a job by the name of its unit.
async fn job(
    (connection, call): (&Connection, &Message),
    (node, unit): (&str, &str),
    asked: &Asked,
) {
    let id = next_id();
    match unit {
        "nosuch.service" => {
            let name = "org.freedesktop.systemd1.NoSuchUnit";
            return refuse(connection, call, name, "Unit nosuch.service not found.").await;
        }
        "forbidden.service" => {
            let name = "org.freedesktop.DBus.Error.AccessDenied";
            return refuse(connection, call, name, "not for you").await;
        }
        _ => {}
    }
    // Ends of other jobs, and of this one by somebody else, mean nothing.
    removed(connection, id + 1000, node, unit, "failed").await;
    match unit {
        "early.service" => {
            finished(connection, id, node, unit, "done", "", "").await;
            removed(connection, id, node, unit, "done").await;
            begun(connection, call, asked, id).await;
        }
        "fail.service" => {
            begun(connection, call, asked, id).await;
            let text = format!("unit {unit} on node {node} failed: exit-code (status 1)");
            finished(connection, id, node, unit, "failed", "unit-failed", &text).await;
            removed(connection, id, node, unit, "failed").await;
        }
        "never.service" => begun(connection, call, asked, id).await,
        "crash.service" => {
            begun(connection, call, asked, id).await;
            connection.release_name(NAME).await.expect("released");
        }
        "plain.service" => {
            begun(connection, call, asked, id).await;
            removed(connection, id, node, unit, "done").await;
        }
        _ => {
            begun(connection, call, asked, id).await;
            finished(connection, id, node, unit, "done", "", "").await;
            removed(connection, id, node, unit, "done").await;
        }
    }
}
