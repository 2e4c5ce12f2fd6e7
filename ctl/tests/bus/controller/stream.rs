//! What the controller tells by itself.

use std::collections::HashMap;

use zbus::{
    Connection, Message,
    wire::{ObjectPath, OwnedObjectPath, Variant},
};

use super::{PATH, refuse, reply};

const MONITOR: &str = "org.eclipse.bluechi.Monitor";
const METRICS: &str = "org.eclipse.bluechi.Metrics";

/// Answers, and tells what follows from it.
pub(super) async fn answer(connection: &Connection, call: &Message, member: &str) {
    let header = call.header();
    let sender = header.sender().expect("on a bus").to_string();
    match member {
        "CreateMonitor" => {
            let path = OwnedObjectPath::try_from(format!("{PATH}/monitor/3")).expect("a path");
            reply(connection, call, &path).await;
        }
        "SubscribeList" => {
            let (node, units): (String, Vec<String>) = call.body().deserialize().expect("two");
            if units == ["forbidden.service"] {
                let name = "org.freedesktop.DBus.Error.AccessDenied";
                return refuse(connection, call, name, "not for you").await;
            }
            reply(connection, call, &1u32).await;
            let node = if node == "*" {
                "worker1"
            } else {
                node.as_str()
            };
            let path = header.path().expect("a path").to_owned();
            let told = Told {
                connection,
                sender,
                path,
            };
            told.life(node, &units).await;
        }
        "EnableMetrics" => {
            reply(connection, call, &()).await;
            let path = ObjectPath::try_from(format!("{PATH}/metrics")).expect("a path");
            let to = None::<&str>;
            let start = (
                "worker1",
                format!("{PATH}/job/7"),
                "target.service",
                12_500u64,
                10_000u64,
            );
            let sent = connection.emit_signal(to, &path, METRICS, "StartUnitJobMetrics", &start);
            sent.await.expect("sent");
            let agent = ("worker1", "target.service", "StartUnit", 11_000u64);
            let sent = connection.emit_signal(to, &path, METRICS, "AgentJobMetrics", &agent);
            sent.await.expect("sent");
        }
        "SwitchController" => {
            let address: String = call.body().deserialize().expect("an address");
            if address == "tcp:host=nowhere" {
                let name = "org.freedesktop.DBus.Error.InvalidArgs";
                let text = "'tcp:host=nowhere' is no address of a controller: it has no port";
                return refuse(connection, call, name, text).await;
            }
            reply(connection, call, &()).await;
        }
        _ => {}
    }
}

struct Told<'a> {
    connection: &'a Connection,
    sender: String,
    path: ObjectPath<'a>,
}

impl Told<'_> {
    /// What happens to a node and its units, in short.
    async fn life(&self, node: &str, units: &[String]) {
        let unit = "target.service";
        self.tell("UnitNew", &(node, unit, "virtual")).await;
        let state = (node, unit, "active", "running", "virtual");
        self.tell("UnitStateChanged", &state).await;
        let state = (node, unit, "failed", "failed", "real");
        self.tell("UnitStateChanged", &state).await;
        let interface = "org.freedesktop.systemd1.Service";
        let changed = HashMap::from([("Result", Variant::from("exit-code"))]);
        self.tell("UnitPropertiesChanged", &(node, unit, interface, changed))
            .await;
        self.tell("UnitRemoved", &(node, "old.service", "real"))
            .await;
        // Enough for whoever does not read to fill a pipe.
        let count = if units == ["chatty.service"] { 3000 } else { 0 };
        for _ in 0..count {
            let state = (node, "chatty.service", "active", "running", "real");
            self.tell("UnitStateChanged", &state).await;
        }
        let path = ObjectPath::try_from(format!("{PATH}/node/{node}")).expect("a path");
        let changed = HashMap::from([("Status", Variant::from("offline"))]);
        let body = ("org.eclipse.bluechi.Node", changed, Vec::<&str>::new());
        let properties = "org.freedesktop.DBus.Properties";
        let to = None::<&str>;
        let sent = self
            .connection
            .emit_signal(to, path, properties, "PropertiesChanged", &body);
        sent.await.expect("sent");
    }

    async fn tell<B>(&self, member: &str, body: &B)
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        let to = Some(self.sender.as_str());
        let sent = self
            .connection
            .emit_signal(to, &self.path, MONITOR, member, body);
        // Whoever has seen enough is gone.
        let _ = sent.await;
    }
}
