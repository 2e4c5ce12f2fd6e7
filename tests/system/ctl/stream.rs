//! What goes on until somebody ends it, on real nodes and over restarts.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
};

use anyhow::{Context, Result, ensure};
use tests::fleet::Fleet;

use crate::world::{SOON, await_status, ctl, ctl_ok, ctl_says, scene, three};

/// A command on a node, and its lines.
struct Stream {
    child: Child,
    lines: Receiver<String>,
}

impl Stream {
    fn begin(fleet: &Fleet, node: &str, line: &str) -> Result<Self> {
        // One pipe for both, in the order in which they are written.
        let script = format!("exec ctl {line} 2>&1");
        let mut child = fleet
            .node(node)
            .command(&["sh", "-c", &script])?
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().context("piped")?;
        let (to, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            for line in lines {
                if to.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// The next line that holds all of these.
    fn told(&self, words: &[&str]) -> Result<String> {
        let mut before = Vec::new();
        loop {
            let line = self.lines.recv_timeout(SOON);
            let line = line.with_context(|| format!("no line with {words:?} after {before:#?}"))?;
            if words.iter().all(|word| line.contains(word)) {
                return Ok(line);
            }
            before.push(line);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_monitor_goes_on_over_a_restart_of_the_controller_and_of_the_bus() {
    scene(three("ctl"), |fleet| {
        let main = fleet.node("main");
        let monitor = Stream::begin(fleet, "main", "monitor worker2 plain,bad")?;
        ctl_ok(fleet, "start worker2 plain.service")?;
        monitor.told(&["worker2", "plain.service", "active (running)"])?;
        ctl(fleet, "start worker2 bad.service")?;
        monitor.told(&["worker2", "bad.service", "failed (failed)"])?;

        main.systemctl(&["restart", "unitlink-controller.service"])?;
        monitor.told(&["warning: the controller is not on the system bus"])?;
        monitor.told(&["the controller is back, it was away for"])?;
        monitor.told(&["plain.service", "active (running) [virtual]"])?;

        main.systemctl(&["restart", "dbus.service"])?;
        monitor.told(&["the controller is back, it was away for"])?;
        await_status(fleet, "worker2", "online", SOON)?;
        ctl_ok(fleet, "stop worker2 plain.service")?;
        monitor.told(&["worker2", "plain.service", "inactive (dead)"])?;

        fleet.node("worker2").kill()?;
        monitor.told(&["worker2", "| -", "offline"])?;
        fleet.node("worker2").boot()?;
        monitor.told(&["worker2", "| -", "online"])?;
        Ok(())
    });
}

#[test]
fn a_watched_status_follows_the_unit() {
    scene(three("ctl"), |fleet| {
        let watch = Stream::begin(fleet, "main", "status --watch -o json worker2 plain")?;
        watch.told(&["\"active_state\":\"inactive\""])?;
        ctl_ok(fleet, "start worker2 plain.service")?;
        watch.told(&["\"active_state\":\"active\"", "\"sub_state\":\"running\""])?;
        fleet
            .node("main")
            .systemctl(&["restart", "unitlink-controller.service"])?;
        watch.told(&["the controller is back"])?;
        await_status(fleet, "worker2", "online", SOON)?;
        ctl_ok(fleet, "stop worker2 plain.service")?;
        watch.told(&["\"active_state\":\"inactive\""])?;
        Ok(())
    });
}

#[test]
fn jobs_are_measured_while_that_is_wanted() {
    scene(three("ctl"), |fleet| {
        let listen = Stream::begin(fleet, "main", "metrics listen -o json")?;
        listen.told(&["metrics are not enabled"])?;
        ctl_ok(fleet, "metrics enable")?;
        ctl_ok(fleet, "start worker2 plain.service")?;
        // The two come from different daemons.
        let first = listen.told(&["plain.service"])?;
        let second = listen.told(&["plain.service"])?;
        let both = first + &second;
        ensure!(
            both.contains("start-unit-job") && both.contains("\"method\":\"StartUnit\""),
            "{both}"
        );
        ctl_ok(fleet, "metrics disable")?;
        Ok(())
    });
}

#[test]
fn who_is_online_is_said_waited_for_and_watched() {
    scene(three("ctl"), |fleet| {
        let worker1 = fleet.node("worker1");
        ensure!(ctl_ok(fleet, "is-online system")? == "up");
        ensure!(worker1.ok(&["ctl", "is-online", "agent"])? == "online");
        // A service that others can be bound to.
        let watch = Stream::begin(fleet, "main", "is-online node worker2 --monitor")?;
        watch.told(&["online"])?;
        let agent = Stream::begin(fleet, "worker1", "is-online agent --monitor")?;
        agent.told(&["online"])?;
        fleet.node("worker2").kill()?;
        watch.told(&["offline"])?;
        ctl_says(fleet, "is-online node worker2", 6, &["offline"])?;
        ctl_says(
            fleet,
            "is-online node worker2 --wait=200ms",
            7,
            &["not online after 200ms"],
        )?;
        let waits = Stream::begin(fleet, "main", "is-online node worker2 --wait")?;
        fleet.node("worker2").boot()?;
        waits.told(&["online"])?;

        fleet
            .node("main")
            .systemctl(&["stop", "unitlink-controller.service"])?;
        agent.told(&["offline"])?;
        ctl_says(
            fleet,
            "is-online system",
            8,
            &["unitlink-controller.service is not running: systemctl start unitlink-controller"],
        )?;
        Ok(())
    });
}

#[test]
fn an_agent_is_handed_over_to_another_controller() {
    scene(three("ctl"), |fleet| {
        let worker1 = fleet.node("worker1");
        let main = fleet.node("main").address().to_string();
        worker1.ok(&["ctl", "switch-controller", "10.77.0.3:842"])?;
        await_status(fleet, "worker1", "offline", SOON)?;
        let refused = worker1.run(&["ctl", "switch-controller", "no/where"])?;
        ensure!(refused.code() == Some(2), "{}", refused.stderr);
        worker1.ok(&["ctl", "switch-controller", &format!("{main}:842")])?;
        await_status(fleet, "worker1", "online", SOON)
    });
}

#[test]
fn shells_complete_names_of_real_nodes() {
    scene(three("ctl"), |fleet| {
        let main = fleet.node("main");
        let script = r#"
            source <(ctl completion bash)
            complete_line() {
                COMP_LINE="$1"; COMP_POINT=${#1}
                read -ra COMP_WORDS <<<"$1"
                [[ "$1" == *" " ]] && COMP_WORDS+=("")
                COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
                COMPREPLY=()
                _ctl_live ctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
                echo "${COMPREPLY[@]}"
            }
            complete_line "ctl start w"
            complete_line "ctl status worker2 unitlink-ag"
            complete_line "ctl enable worker2 plai"
            complete_line "ctl moni"
        "#;
        let offered = "worker1 worker2\nunitlink-agent.service unitlink-agent.socket\n\
                       plain.service\nmonitor";
        // A shell does not wait long for names, and offers none if they do not come.
        let is_offered = || {
            main.ok(&["bash", "-c", script])
                .is_ok_and(|said| said == offered)
        };
        main.wait_until(is_offered, SOON)
            .with_context(|| main.ok(&["bash", "-c", script]).unwrap_or_default())?;
        Ok(())
    });
}
