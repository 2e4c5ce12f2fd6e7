//! What the controller answers to verbs that are no jobs.

use std::collections::HashMap;

use zbus::{
    Connection, Message,
    wire::{OwnedVariant, Structure, Variant},
};

use super::{Dictionary, PATH, main, properties, refuse, reply};

/// A call in one line: the node or nothing, the method, and its arguments.
pub(super) fn described(call: &Message) -> String {
    let header = call.header();
    let path = header.path().map_or("", |path| path.as_str());
    let node = path
        .strip_prefix("/org/eclipse/bluechi/node/")
        .unwrap_or("");
    let member = header.member().map_or("", |member| member.as_str());
    let body = call.body();
    let fields = body.deserialize::<Structure<'_>>();
    let fields = fields.as_ref().map_or(&[][..], Structure::fields);
    let mut arguments: Vec<String> = fields.iter().map(ToString::to_string).collect();
    if let [_, _, _, cookie, age] = arguments.as_mut_slice()
        && member == "Enqueue"
    {
        cookie.replace_range(.., "COOKIE");
        let is_first = age == "uint64 0" || age == "0";
        if is_first {
            age.replace_range(.., "0");
        } else {
            age.replace_range(.., "AGAIN");
        }
    }
    format!("{node} {member} {}", arguments.join(" "))
        .trim()
        .to_owned()
}

/// Answers, or says that there is nothing of the kind.
pub(super) async fn answer(
    connection: &Connection,
    call: &Message,
    (path, node, member): (&str, &str, &str),
) -> bool {
    let job = path.strip_prefix("/org/eclipse/bluechi/job/");
    match (node, member) {
        ("", "Introspect") if path == "/org/eclipse/bluechi/job" => {
            let xml = "<node>\n <node name=\"7\"/>\n <node name=\"9\"/>\n</node>\n";
            reply(connection, call, &xml).await;
        }
        // Job 9 ends before it is asked about.
        ("", "GetAll") if job == Some("7") => {
            let of = Dictionary::from([
                ("Id", Variant::from(7u32)),
                ("Node", Variant::from("worker1")),
                ("Unit", Variant::from("late.service")),
                ("JobType", Variant::from("start")),
                ("State", Variant::from("running")),
            ]);
            reply(connection, call, &of).await;
        }
        ("", "Cancel") if job == Some("7") => reply(connection, call, &()).await,
        ("", "SetLogLevel") if path == PATH => reply(connection, call, &()).await,
        ("", "Get") if path == PATH => {
            let body = call.body();
            let (interface, _): (&str, &str) = body.deserialize().expect("two");
            let status = match interface {
                "org.eclipse.bluechi.Agent" => "online",
                _ => "degraded",
            };
            reply(connection, call, &Variant::from(status)).await;
        }
        ("main" | "worker1", "Get") => {
            reply(connection, call, &Variant::from("online")).await;
        }
        ("", "CreateMonitor" | "EnableMetrics" | "SubscribeList" | "SwitchController") => {
            super::stream::answer(connection, call, member).await;
        }
        ("leaves", "Get") => flips(connection, call, ["online", "offline"]).await,
        // It comes online when it has been asked about.
        ("late", "Get") => flips(connection, call, ["offline", "online"]).await,
        ("main", "ListUnits") => reply(connection, call, &main()).await,
        // No listing has the second.
        ("worker1" | "worker3", "ReadJournal" | "UnitFiles" | "ReadProperties") => {
            super::journal::answer(connection, call, node, member).await;
        }
        ("main" | "worker1", _) => return of_node(connection, call, node, member).await,
        (_, _) => return false,
    }
    true
}

/// A status that becomes another one when it has been asked about.
async fn flips(connection: &Connection, call: &Message, status: [&'static str; 2]) {
    use std::sync::Mutex;
    static ASKED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let header = call.header();
    let path = header.path().expect("a path").to_owned();
    let name = connection.unique_name().expect("on a bus").to_string();
    let key = format!("{path} {name} {}", connection.server_guid());
    let [before, after] = status;
    let is_first = {
        let mut asked = ASKED.lock().expect("no panic");
        let is_first = !asked.contains(&key);
        asked.push(key);
        is_first
    };
    if !is_first {
        return reply(connection, call, &Variant::from(after)).await;
    }
    reply(connection, call, &Variant::from(before)).await;
    let interface = "org.eclipse.bluechi.Node";
    let changed = HashMap::from([("Status", Variant::from(after))]);
    let body = (interface, changed, Vec::<&str>::new());
    let properties = "org.freedesktop.DBus.Properties";
    let to = None::<&str>;
    let sent = connection.emit_signal(to, path, properties, "PropertiesChanged", &body);
    sent.await.expect("sent");
}

/// What a node does; units are what their names say.
async fn of_node(connection: &Connection, call: &Message, node: &str, member: &str) -> bool {
    let link = |kind: &str| {
        let file = "/etc/systemd/system/multi-user.target.wants/target.service";
        let source = if kind == "symlink" {
            "/lib/systemd/system/target.service"
        } else {
            ""
        };
        vec![(kind.to_owned(), file.to_owned(), source.to_owned())]
    };
    match member {
        "FreezeUnit" | "ThawUnit" | "ResetFailedUnit" => {
            let unit: String = call.body().deserialize().expect("a unit");
            if unit == "hot.service" {
                let name = "org.freedesktop.DBus.Error.NotSupported";
                refuse(
                    connection,
                    call,
                    name,
                    "Unit 'hot.service' does not support freezing",
                )
                .await;
            } else {
                reply(connection, call, &()).await;
            }
        }
        "KillUnit" => {
            let (unit, _, _): (String, String, i32) = call.body().deserialize().expect("three");
            if unit == "gone.service" {
                let name = "org.freedesktop.systemd1.NoSuchUnit";
                refuse(connection, call, name, "Unit gone.service not loaded.").await;
            } else {
                reply(connection, call, &()).await;
            }
        }
        "Reload" | "ResetFailed" | "SetLogLevel" => reply(connection, call, &()).await,
        "EnableUnitFiles" => {
            let (files, _, _): (Vec<String>, bool, bool) =
                call.body().deserialize().expect("three");
            if files == ["target.service"] {
                reply(connection, call, &(true, link("symlink"))).await;
            } else {
                reply(
                    connection,
                    call,
                    &(false, Vec::<(String, String, String)>::new()),
                )
                .await;
            }
        }
        "DisableUnitFiles" => reply(connection, call, &link("unlink")).await,
        "SetDefaultTarget" => reply(connection, call, &link("symlink")).await,
        "GetDefaultTarget" => {
            let target = if node == "main" {
                "graphical"
            } else {
                "multi-user"
            };
            reply(connection, call, &format!("{target}.target")).await;
        }
        "GetUnitFileState" => {
            let file: String = call.body().deserialize().expect("a file");
            match file.as_str() {
                "gone.service" => {
                    let name = "org.freedesktop.DBus.Error.FileNotFound";
                    refuse(connection, call, name, "No such file or directory").await;
                }
                "off.service" => reply(connection, call, &"disabled").await,
                _ => reply(connection, call, &"enabled").await,
            }
        }
        "ListUnitFiles" => {
            let files = vec![
                ("/lib/systemd/system/target.service", "enabled"),
                ("/etc/systemd/system/old@.service", "disabled"),
            ];
            reply(connection, call, &files).await;
        }
        "GetUnitProperty" => {
            let (unit, _, property): (String, String, String) =
                call.body().deserialize().expect("three");
            let mut properties = properties(&unit);
            if unit == "broken.service" {
                properties.insert("ActiveState", Variant::from("failed"));
                properties.insert("LoadState", Variant::from("loaded"));
            }
            let value = properties.remove(property.as_str()).expect("a property");
            reply(
                connection,
                call,
                &OwnedVariant::try_from(value).expect("owned"),
            )
            .await;
        }
        "GetUnitProperties" => {
            let (unit, _): (String, String) = call.body().deserialize().expect("two");
            reply(connection, call, &properties(&unit)).await;
        }
        _ => return false,
    }
    true
}
