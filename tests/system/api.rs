//! The D-Bus API of the controller and of the agents, as a program sees it that was written for BlueChi.

use std::num::NonZero;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt;
use serde::Serialize;
use tests::node::Node;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::message::{Message, Type};
use zbus::wire::{DynamicType, Structure};
use zbus::{Connection, MessageStream, OwnedObjectPath, Variant};

use crate::world::{SOON, await_status, ctl_ok, scene, three};

const CONTROLLER: &str = "/org/eclipse/bluechi";
const METRICS: &str = "/org/eclipse/bluechi/metrics";

/// A client on the bus of a node, with all that it is sent.
pub(crate) struct Client {
    runtime: Runtime,
    connection: Connection,
    messages: MessageStream,
}

impl Client {
    pub(crate) fn on(node: &Node) -> Result<Self> {
        let socket = format!(
            "/proc/{}/root/run/dbus/system_bus_socket",
            node.host_pid("dbus.service")?
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (connection, messages) = runtime.block_on(async {
            let stream = UnixStream::connect(socket)?;
            let connection = Builder::unix_stream(stream).build().await?;
            let rule = "type='signal',path_namespace='/org/eclipse/bluechi'";
            // Answers wait behind signals that nobody has read: all units of a node must fit.
            let room = NonZero::new(16_384);
            let messages = MessageStream::for_match_rule(rule, &connection, room).await?;
            anyhow::Ok((connection, messages))
        })?;
        Ok(Self {
            runtime,
            connection,
            messages,
        })
    }

    pub(crate) fn call<B>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<Message>
    where
        B: Serialize + DynamicType,
    {
        let interface = format!("org.eclipse.bluechi.{interface}");
        let call = self.connection.call_method(
            Some("org.eclipse.bluechi"),
            path,
            Some(interface.as_str()),
            method,
            body,
        );
        let answer = self.runtime.block_on(async { timeout(SOON, call).await });
        answer?.with_context(|| format!("{interface}.{method}"))
    }

    pub(crate) fn path<B>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<String>
    where
        B: Serialize + DynamicType,
    {
        let answer = self.call(path, interface, method, body)?;
        let path: OwnedObjectPath = answer.body().deserialize()?;
        Ok(path.as_str().to_owned())
    }

    /// A monitor that has subscribed.
    fn monitor(&self, node: &str, unit: &str) -> Result<String> {
        let path = self.path(CONTROLLER, "Controller", "CreateMonitor", &())?;
        let answer = self.call(&path, "Monitor", "Subscribe", &(node, unit))?;
        ensure!(answer.body().deserialize::<u32>()? == 1);
        Ok(path)
    }

    /// Waits for a signal of this object that says these words, whatever else it says, and yields
    /// all that were heard before it.
    fn hears(&mut self, path: &str, words: &[&str]) -> Result<Vec<String>> {
        let mut before = Vec::new();
        let messages = &mut self.messages;
        let hear = async {
            while let Some(message) = messages.next().await {
                let message = message?;
                let header = message.header();
                if message.message_type() != Type::Signal
                    || header.path().is_none_or(|at| at.as_str() != path)
                {
                    continue;
                }
                let line = line(&message)?;
                let mut said = line.split(' ');
                if words.iter().all(|word| said.any(|it| it == *word)) {
                    return Ok(());
                }
                before.push(line);
            }
            bail!("the bus is gone")
        };
        let heard = self.runtime.block_on(async { timeout(SOON, hear).await });
        match heard {
            Ok(heard) => heard.map(|()| before),
            Err(_) => bail!("{words:?} was not heard at {path}, but {before:#?}"),
        }
    }
}

/// The name of a signal, and what it says in strings and numbers.
fn line(message: &Message) -> Result<String> {
    let header = message.header();
    let mut line = header.member().map(ToString::to_string).unwrap_or_default();
    let body = message.body();
    let fields: Structure<'_> = body.deserialize()?;
    for field in fields.fields() {
        line.push(' ');
        match (<&str>::try_from(field), u64::try_from(field)) {
            (Ok(text), _) => line.push_str(text),
            (_, Ok(number)) => line.push_str(&number.to_string()),
            _ => line.push('.'),
        }
    }
    Ok(line)
}

#[test]
fn a_monitor_hears_of_a_unit_from_its_start_to_the_loss_of_its_node() {
    scene(three("api"), |fleet| {
        let mut client = Client::on(fleet.node("main"))?;
        let all = client.monitor("*", "target.service")?;
        ctl_ok(fleet, "start worker2 target.service")?;
        client.hears(&all, &["UnitNew", "worker2", "target.service"])?;
        let up = ["UnitStateChanged", "worker2", "active", "running", "real"];
        let before = client.hears(&all, &up)?;
        ensure!(before.iter().all(|line| line.contains("target.service")));

        // Who comes later is told how it is.
        let late = client.monitor("worker2", "*")?;
        client.hears(&late, &["UnitNew", "target.service", "virtual"])?;
        let is_up = [
            "UnitStateChanged",
            "target.service",
            "active",
            "running",
            "virtual",
        ];
        client.hears(&late, &is_up)?;
        client.call(&late, "Monitor", "Close", &())?;
        ensure!(client.call(&late, "Monitor", "Close", &()).is_err());

        // An agent that is restarted is out of sight and back; the unit runs on.
        let worker2 = fleet.node("worker2");
        worker2.systemctl(&["restart", "unitlink-agent.service"])?;
        client.hears(&all, &["UnitRemoved", "target.service", "virtual"])?;
        client.hears(&all, &["UnitNew", "target.service", "virtual"])?;
        client.hears(&all, &is_up)?;

        worker2.systemctl(&["stop", "target.service"])?;
        client.hears(
            &all,
            &[
                "UnitStateChanged",
                "target.service",
                "inactive",
                "dead",
                "real",
            ],
        )?;
        ctl_ok(fleet, "start worker2 target.service")?;
        client.hears(&all, &up)?;
        worker2.kill()?;
        let down = [
            "UnitStateChanged",
            "target.service",
            "inactive",
            "agent-offline",
            "virtual",
        ];
        client.hears(&all, &down)?;
        client.hears(&all, &["UnitRemoved", "target.service", "virtual"])?;
        Ok(())
    });
}

#[test]
fn a_systemd_that_executes_itself_again_tells_monitors_nothing_new() {
    scene(three("api"), |fleet| {
        let mut client = Client::on(fleet.node("main"))?;
        ctl_ok(fleet, "start worker2 target.service")?;
        let path = client.monitor("worker2", "target.service")?;
        client.hears(&path, &["UnitStateChanged", "active", "running", "virtual"])?;
        let worker2 = fleet.node("worker2");
        worker2.systemctl(&["daemon-reload"])?;
        worker2.systemctl(&["daemon-reexec"])?;
        worker2.wait_active("target.service", SOON)?;
        worker2.systemctl(&["stop", "target.service"])?;
        let before = client.hears(&path, &["UnitStateChanged", "inactive", "dead", "real"])?;
        let other = before
            .iter()
            .find(|line| line.starts_with("UnitNew") || line.starts_with("UnitRemoved"));
        ensure!(other.is_none(), "{before:#?}");
        Ok(())
    });
}

#[test]
fn jobs_are_measured_and_units_can_be_made_for_a_call() {
    scene(three("api"), |fleet| {
        let mut client = Client::on(fleet.node("main"))?;
        client.call(CONTROLLER, "Controller", "EnableMetrics", &())?;
        ctl_ok(fleet, "start worker2 target.service")?;
        client.hears(
            METRICS,
            &["AgentJobMetrics", "worker2", "target.service", "StartUnit"],
        )?;

        let arguments = vec!["/bin/sleep", "infinity"];
        let start = Variant::from(vec![("/bin/sleep", arguments, false)]);
        let properties = vec![
            ("Description", Variant::from("made for a call")),
            ("ExecStart", start),
        ];
        let none: Vec<(&str, Vec<(&str, Variant<'_>)>)> = Vec::new();
        let body = ("made.service", "fail", properties, none);
        let node = "/org/eclipse/bluechi/node/worker1";
        let job = client.path(node, "Node", "StartTransientUnit", &body)?;
        client.hears(
            METRICS,
            &["StartUnitJobMetrics", "worker1", &job, "made.service"],
        )?;
        let worker1 = fleet.node("worker1");
        worker1.wait_active("made.service", SOON)?;
        ensure!(worker1.property("made.service", "Description")? == "made for a call");
        let again = client.path(node, "Node", "StartTransientUnit", &body);
        let error = format!("{:#}", again.expect_err("it is there"));
        ensure!(
            error.contains("org.freedesktop.systemd1.UnitExists"),
            "{error}"
        );
        Ok(())
    });
}

#[test]
fn an_agent_says_on_its_own_bus_how_its_link_is() {
    scene(three("api"), |fleet| {
        let worker1 = fleet.node("worker1");
        let is = |status: &str| agent_property(worker1, "Status").is_ok_and(|is| is == status);
        worker1.wait_until(|| is("online"), SOON)?;
        ensure!(agent_property(worker1, "DisconnectTimestamp")? == "0");
        fleet
            .node("main")
            .systemctl(&["stop", "unitlink-controller.service"])?;
        worker1.wait_until(|| is("offline"), SOON)?;
        ensure!(agent_property(worker1, "DisconnectTimestamp")? != "0");
        fleet
            .node("main")
            .systemctl(&["start", "unitlink-controller.service"])?;
        worker1.wait_until(|| is("online"), SOON)?;

        let address = agent_property(worker1, "ControllerAddress")?;
        agent_call(
            worker1,
            &["SwitchController", "s", "tcp:host=127.0.0.1,port=9"],
        )?;
        await_status(fleet, "worker1", "offline", SOON)?;
        agent_call(worker1, &["SwitchController", "s", &address])?;
        await_status(fleet, "worker1", "online", SOON)?;

        // The bus goes and comes; the link does not care.
        worker1.systemctl(&["restart", "dbus.service"])?;
        worker1.wait_until(|| is("online"), Duration::from_secs(30))
    });
}

#[test]
fn a_helper_of_bluechis_brings_the_remote_unit_up() {
    scene(three("api"), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        worker1.systemctl(&["start", "source.service"])?;
        worker2.wait_active("target.service", SOON)?;
        worker1.systemctl(&["stop", "source.service"])?;
        let hold = "dep@target.service";
        worker2.wait_state(hold, |active, _| active == "inactive", SOON)?;

        // Why it fails is said to the helper.
        worker2.systemctl(&["stop", "target.service"])?;
        let fails = "[Service]\nType=oneshot\nExecStart=/bin/false\n";
        worker2.write("/etc/systemd/system/target.service", fails)?;
        worker2.systemctl(&["daemon-reload"])?;
        ensure!(worker1.systemctl(&["start", "source.service"]).is_err());
        let said = worker1.journal("proxy@worker2_target.service")?;
        ensure!(said.contains("exit-code"), "{said}");
        Ok(())
    });
}

fn agent_call(node: &Node, call: &[&str]) -> Result<String> {
    let object = [
        "busctl",
        "call",
        "org.eclipse.bluechi.Agent",
        "/org/eclipse/bluechi",
        "org.eclipse.bluechi.Agent",
    ];
    node.ok(&[&object[..], call].concat())
}

fn agent_property(node: &Node, name: &str) -> Result<String> {
    let said = node.ok(&[
        "busctl",
        "get-property",
        "org.eclipse.bluechi.Agent",
        "/org/eclipse/bluechi",
        "org.eclipse.bluechi.Agent",
        name,
    ])?;
    let value = said.split_once(' ').context("a type and a value")?.1;
    Ok(value.trim_matches('"').to_owned())
}
