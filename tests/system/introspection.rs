//! Every object says what it is, and that is what the installed interfaces say.

use anyhow::{Context, Result, ensure};
use proto::interface::{
    AGENT, AGENT_OWN, CONTROLLER, FLEET, JOB, JOB_OWN, METRICS, MONITOR, NODE, NODE_OWN,
};
use proto::interface::{ALL, Interface, STANDARD};
use tests::node::Node;

use crate::api::Client;
use crate::world::{SOON, scene, three};

const ROOT: &str = "/org/eclipse/bluechi";

/// What an object with this path has.
fn interfaces_at(path: &str) -> &'static [Interface] {
    let below = path.strip_prefix(ROOT).unwrap_or_default();
    match below.trim_start_matches('/').split_once('/') {
        Some(("node", _)) => &[NODE, NODE_OWN],
        Some(("job", _)) => &[JOB, JOB_OWN],
        Some(("monitor", _)) => &[MONITOR],
        None if below == "/metrics" => &[METRICS],
        None if path == ROOT => &[CONTROLLER, FLEET],
        Some(_) | None => &[],
    }
}

/// The interfaces in a document.
fn elements(document: &str) -> &str {
    let begin = document.find("  <interface");
    let end = document.rfind("  </interface>\n");
    match (begin, end) {
        (Some(begin), Some(end)) => &document[begin..end + "  </interface>\n".len()],
        _ => "",
    }
}

/// What `busctl tree` finds of a service.
fn tree(node: &Node, service: &str) -> Result<Vec<String>> {
    let list = node.ok(&["busctl", "tree", "--list", service])?;
    Ok(list.lines().map(str::to_owned).collect())
}

fn introspect(node: &Node, service: &str, path: &str, have: &[Interface]) -> Result<()> {
    let xml = ["busctl", "introspect", "--xml-interface", service, path];
    let said = node.ok(&xml)? + "\n";
    let mut expected = STANDARD.elements().to_owned();
    expected.extend(have.iter().map(|interface| interface.elements()));
    ensure!(elements(&said) == expected, "{path}: {said}");
    // And as a table, which reads all properties.
    let table = node.ok(&["busctl", "introspect", service, path])?;
    for interface in have {
        ensure!(table.contains(interface.name), "{path}: {table}");
        for property in interface.properties() {
            let line = table.lines().find(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some(&format!(".{property}")) && words.next() == Some("property")
            });
            let line = line.with_context(|| format!("{path}: no {property} in {table}"))?;
            ensure!(
                !line.contains(" - -"),
                "{path}: {property} cannot be read: {line}"
            );
        }
    }
    Ok(())
}

#[test]
fn every_object_of_the_controller_is_found_and_says_what_it_has() {
    scene(three("bindings"), |fleet| {
        let main = fleet.node("main");
        let client = Client::on(main)?;
        client.call(ROOT, "Controller", "EnableMetrics", &())?;
        let monitor = client.path(ROOT, "Controller", "CreateMonitor", &())?;
        let node = format!("{ROOT}/node/worker1");
        let job = client.path(&node, "Node", "StartUnit", &("endless.service", "replace"))?;
        for service in ["org.eclipse.bluechi", "org.unitlink"] {
            let paths = tree(main, service)?;
            let metrics = format!("{ROOT}/metrics");
            for path in [&node, &job, &monitor, &metrics] {
                ensure!(paths.contains(path), "no {path} among {paths:#?}");
            }
            for path in &paths {
                introspect(main, service, path, interfaces_at(path))?;
            }
        }
        client.call(ROOT, "Controller", "DisableMetrics", &())?;
        ensure!(!tree(main, "org.unitlink")?.contains(&format!("{ROOT}/metrics")));
        Ok(())
    });
}

#[test]
fn the_object_of_an_agent_is_found_and_says_what_it_has() {
    scene(three("bindings"), |fleet| {
        let (worker1, service) = (fleet.node("worker1"), AGENT.name);
        let paths = tree(worker1, service)?;
        ensure!(paths.last().is_some_and(|path| path == ROOT), "{paths:?}");
        for path in &paths {
            let have: &[Interface] = if path == ROOT {
                &[AGENT, AGENT_OWN]
            } else {
                &[]
            };
            introspect(worker1, service, path, have)?;
        }
        Ok(())
    });
}

#[test]
fn who_may_not_call_is_told_so_and_by_which_rule() {
    scene(three("bindings"), |fleet| {
        for (node, service, member) in [
            (
                "main",
                "org.unitlink",
                "org.eclipse.bluechi.Controller.ListNodes",
            ),
            (
                "worker1",
                AGENT.name,
                "org.eclipse.bluechi.Agent.RemoveProxy",
            ),
        ] {
            let nobody = [
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
            ];
            // busctl does not show what the bus says about it.
            let to = format!("--dest={service}");
            let call = ["dbus-send", "--system", "--print-reply", &to, ROOT, member];
            let output = fleet.node(node).run(&[&nobody[..], &call].concat())?;
            let said = output.stderr;
            ensure!(output.status.code() == Some(1), "{service}: {said}");
            for word in ["Rejected send message", "matched rules", service] {
                ensure!(said.contains(word), "{service}: no {word:?} in {said}");
            }
        }
        Ok(())
    });
}

#[test]
fn what_is_installed_is_what_is_served_and_the_bus_starts_what_is_enabled() {
    scene(three("bindings"), |fleet| {
        let main = fleet.node("main");
        for interface in ALL {
            let path = format!("/usr/share/dbus-1/interfaces/{}.xml", interface.name);
            ensure!(
                main.ok(&["cat", &path])? == interface.document.trim_end(),
                "{path}"
            );
        }
        for (service, unit, node) in [
            ("org.eclipse.bluechi", "unitlink-controller.service", "main"),
            ("org.unitlink", "unitlink-controller.service", "main"),
            (
                "org.eclipse.bluechi.Agent",
                "unitlink-agent.service",
                "worker1",
            ),
        ] {
            let node = fleet.node(node);
            // The name by which the bus asks for it comes with this.
            node.systemctl(&["enable", unit])?;
            node.systemctl(&["stop", unit])?;
            node.ok(&[
                "busctl",
                "call",
                service,
                ROOT,
                "org.freedesktop.DBus.Peer",
                "Ping",
            ])
            .with_context(|| format!("{service} is not started"))?;
            node.wait_active(unit, SOON)?;
        }
        Ok(())
    });
}
