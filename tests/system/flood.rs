//! A client that calls faster than anybody could answer, and a node that answers nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use host::address::Address;
use host::link::{self, Limits, Link, Method};
use host::stream::{TcpOptions, connect};
use tests::node::Node;
use tokio::time::timeout;
use zbus::Message;
use zbus::message::Type;

use crate::crowd::{CALL_TIMEOUT, crowd, layout};
use crate::world::{SOON, ctl_ok, scene};

/// More than every bound on the way.
const CALLS: usize = 20_000;

/// What the controller may need for them beyond what it has: its queues are bounded, and each message
/// is some hundred bytes.
const MEMORY_KB: u64 = 48 * 1024;

const ROOT: &str = "/org/eclipse/bluechi";

/// A node that says that it lives, and answers nothing.
const SILENT: &str = "/org/eclipse/bluechi/node/fake00300";

fn memory_kb(node: &Node) -> Result<u64> {
    node.main_status("unitlink-controller.service", "VmRSS")
}

/// Calls a method again and again without waiting, then waits for every answer. Yields how many
/// answers of each kind there were: a result, or the name of an error.
fn flood(node: &Node, method: Method<'_>, body: (&str, &str)) -> Result<BTreeMap<String, usize>> {
    let pid = node.host_pid("dbus.service")?;
    let address: Address =
        format!("unix:path=/proc/{pid}/root/run/dbus/system_bus_socket").parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (stream, identity) = connect(&address, SOON, &TcpOptions::default()).await?;
        let limits = Limits {
            send_messages_max: CALLS + 1,
            ..Limits::TRUSTED
        };
        let Link {
            sender,
            mut receiver,
            ..
        } = Link::connect(stream, identity, limits).await?;
        let hello = Method {
            destination: Some("org.freedesktop.DBus"),
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
        };
        sender.try_send(link::call(sender.next_serial(), hello, &())?)?;
        for _ in 0..CALLS {
            let serial = sender.next_serial();
            sender.try_send(match body {
                ("", _) => link::call(serial, method, &())?,
                body => link::call(serial, method, &body)?,
            })?;
        }
        let mut answers = BTreeMap::new();
        let mut left = CALLS + 1;
        while left > 0 {
            let message = timeout(SOON, receiver.recv()).await;
            let message = message.with_context(|| format!("{left} calls have no answer"))?;
            let message = message.context("the bus is gone")??;
            if link::answers(&message).is_some() {
                left -= 1;
                *answers.entry(kind(&message)).or_default() += 1;
            }
        }
        Ok(answers)
    })
}

fn kind(answer: &Message) -> String {
    let header = answer.header();
    match answer.message_type() {
        Type::Error => header
            .error_name()
            .map_or_else(String::new, ToString::to_string),
        Type::MethodReturn | Type::MethodCall | Type::Signal => "result".to_owned(),
    }
}

#[test]
fn a_flood_of_calls_is_answered_with_named_errors_and_takes_no_memory() {
    scene(layout(), |fleet| {
        let main = fleet.node("main");
        crowd(fleet, 1, || {
            let list = Method {
                destination: Some("org.unitlink"),
                path: ROOT,
                interface: "org.unitlink.Fleet1",
                member: "ListClaims",
            };
            let ask = Method {
                path: SILENT,
                interface: "org.eclipse.bluechi.Node",
                member: "GetUnitProperties",
                ..list
            };
            let before = memory_kb(main)?;
            let quick = flood(main, list, ("", ""))?;
            let begun = Instant::now();
            let silent = flood(main, ask, ("app1.service", ""))?;
            let took = begun.elapsed();
            let after = memory_kb(main)?;
            println!("{before} kB, {after} kB; {quick:?}; {silent:?}; {took:?}");
            ensure!(after < before + MEMORY_KB, "{before} kB became {after} kB");
            let named = ["result", "org.freedesktop.DBus.Error.LimitsExceeded"];
            ensure!(
                quick.keys().all(|kind| named.contains(&kind.as_str())),
                "{quick:?}"
            );
            // Those that were handed on have their deadline, the others are refused.
            let late = "org.freedesktop.DBus.Error.Timeout";
            ensure!(
                silent.get(late).is_some_and(|count| *count >= 100),
                "{silent:?}"
            );
            ensure!(
                silent.get(named[1]).is_some_and(|count| *count > CALLS / 2),
                "{silent:?}"
            );
            ensure!(
                silent.len() <= 3 && took < CALL_TIMEOUT + SOON,
                "{silent:?}"
            );
            ctl_ok(fleet, "status worker1 unitlink-agent.service").map(drop)
        })
    });
}

#[test]
fn a_node_that_does_not_answer_delays_no_call_to_another() {
    scene(layout(), |fleet| {
        let main = fleet.node("main");
        fleet.node("worker2").freeze("unitlink-agent.service")?;
        crowd(fleet, 1, || {
            // Both are asked, and neither answers.
            let mut waiting = Vec::new();
            for node in ["worker2", "fake00300"] {
                let path = format!("{ROOT}/node/{node}");
                let call = ["busctl", "call", "org.unitlink", path.as_str()];
                let call = [&call[..], &["org.eclipse.bluechi.Node", "ListUnits"]].concat();
                waiting.push(
                    main.command(&call)?
                        .stderr(std::process::Stdio::null())
                        .spawn()?,
                );
            }
            for _ in 0..10 {
                let begun = Instant::now();
                ctl_ok(fleet, "is-active worker1 unitlink-agent.service")?;
                let took = begun.elapsed();
                ensure!(
                    took < Duration::from_secs(1),
                    "a call to worker1 took {took:?}"
                );
            }
            for mut call in waiting {
                ensure!(
                    !call.wait()?.success(),
                    "a node that is silent has answered"
                );
            }
            Ok(())
        })
    });
}
