//! What `ctl logs`, `ctl cat` and `ctl status` read from nodes.

mod cat;
mod follow;
mod last;
mod life;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::fleet::Fleet;
use tests::node::Node;

use crate::world::{ctl, ctl_ok, ctl_says, scene, three};

/// Has a node write a line, by a unit of its own.
fn say(node: &Node, word: &str) -> Result<()> {
    node.systemctl(&["start", &format!("say@{word}.service")])?;
    taken_in(node)
}

/// Waits until the journal has what was written: a process may have ended before journald has read the
/// last of its lines, and a line counts from the moment at which it has.
fn taken_in(node: &Node) -> Result<()> {
    node.ok(&["journalctl", "--sync"]).map(drop)
}

/// Lines of journals.
fn told(fleet: &Fleet, line: &str) -> Result<Vec<Value>> {
    let output = ctl_ok(fleet, &format!("-o json {line}"))?;
    let lines = output.lines().map(serde_json::from_str::<Value>);
    lines.collect::<Result<Vec<_>, _>>().context(output.clone())
}

/// What units of these nodes have said themselves, without what systemd says about them.
fn said(fleet: &Fleet, line: &str) -> Result<Vec<Value>> {
    let mut lines = told(fleet, line)?;
    lines.retain(|line| line["identifier"] != "systemd");
    Ok(lines)
}

fn messages(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line["message"].as_str().unwrap_or_default())
        .collect()
}

#[test]
fn lines_of_several_nodes_are_in_the_order_of_time() {
    scene(three("logs"), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        let order = [
            (worker1, "1"),
            (worker2, "2"),
            (worker1, "3"),
            (worker2, "4"),
            (worker1, "5"),
        ];
        for (node, word) in order {
            say(node, word)?;
        }
        let units = "say@1 say@2 say@3 say@4 say@5";
        let lines = said(fleet, &format!("logs worker1,worker2 {units}"))?;
        ensure!(messages(&lines) == ["1", "2", "3", "4", "5"], "{lines:?}");
        for (line, (node, word)) in lines.iter().zip(order) {
            ensure!(
                line["node"] == node.name() && line["identifier"] == "echo",
                "{line}"
            );
            ensure!(
                line["unit"] == format!("say@{word}.service").as_str(),
                "{line}"
            );
        }
        let lines = said(fleet, &format!("logs worker* {units} --reverse"))?;
        ensure!(messages(&lines) == ["5", "4", "3", "2", "1"], "{lines:?}");
        // Of each node, with the three that systemd says, whose place among them is journald's choice.
        let lines = said(fleet, &format!("logs --all {units} -n 4"))?;
        ensure!(messages(&lines) == ["4", "5"], "{lines:?}");

        let table = ctl_ok(fleet, &format!("logs worker1,worker2 {units}"))?;
        let first = table.lines().find(|line| line.contains("echo["));
        let first = first.context(table.clone())?;
        ensure!(
            first.contains(" worker1 echo[") && first.ends_with("]: 1"),
            "{first}"
        );
        let cat = ctl_ok(fleet, &format!("logs -o cat worker1,worker2 {units}"))?;
        ensure!(cat.contains("\nworker2: 4\n"), "{cat}");
        // As journalctl on the node has it.
        let cat = ctl_ok(fleet, &format!("logs -o cat worker1 {units}"))?;
        let theirs = worker1.journalctl(&[
            "-o",
            "cat",
            "-u",
            "say@1.service",
            "-u",
            "say@3.service",
            "-u",
            "say@5.service",
        ])?;
        ensure!(cat.trim() == theirs.trim(), "{cat}\ninstead of\n{theirs}");
        Ok(())
    });
}

#[test]
fn what_is_hard_to_read_is_read_all_the_same() {
    scene(three("logs"), |fleet| {
        let worker1 = fleet.node("worker1");
        worker1.systemctl(&["start", "loud.service"])?;
        taken_in(worker1)?;
        let lines = said(fleet, "logs worker1 loud")?;
        let messages = messages(&lines);
        ensure!(messages.len() == 4, "{lines:?}");
        ensure!(
            messages[0] == "bytes \u{fffd} here" && lines[0]["priority"] == 3,
            "{}",
            lines[0]
        );
        ensure!(messages[1] == "first\nsecond", "{}", lines[1]);
        let long = messages[2];
        let cut = lines[2]["cut_bytes"].as_u64().context("no count")?;
        ensure!(
            long.len() as u64 + cut == 150_005 && long.len() >= 40_000,
            "{} and {cut}",
            long.len()
        );
        ensure!(messages[3] == "\u{1b}[31mred", "{}", lines[3]);

        let table = ctl_ok(fleet, "logs worker1 loud -p err --color never")?;
        ensure!(
            table.trim_end().ends_with(": bytes \u{fffd} here") && table.lines().count() == 1,
            "{table}"
        );
        let table = ctl_ok(fleet, "logs worker1 loud -n 3 --color never")?;
        ensure!(
            !table.contains('\u{1b}') && table.contains("red"),
            "{table}"
        );
        Ok(())
    });
}

#[test]
fn many_lines_come_in_parts_and_all() {
    scene(three("logs"), |fleet| {
        let worker1 = fleet.node("worker1");
        worker1.shell("systemd-run --wait -u many seq 1 1700")?;
        taken_in(worker1)?;
        let expected: Vec<String> = (1..=1700).map(|n| n.to_string()).collect();
        let lines = said(fleet, "logs worker1 many")?;
        ensure!(messages(&lines) == expected, "{} lines", lines.len());
        let lines = said(fleet, "logs worker1 many -r")?;
        ensure!(
            messages(&lines).iter().rev().eq(expected.iter()),
            "{} lines",
            lines.len()
        );
        let lines = ctl_ok(fleet, "logs -o cat worker1 many -n 1200")?;
        ensure!(lines.lines().count() == 1200, "{}", lines.lines().count());
        let since = said(fleet, "logs worker1 many -n 1700")?;
        let at = |line: &Value| line["time_usec"].as_u64().context("no time");
        let (from, to) = (at(&since[100])?, at(&since[200])?);
        let moment = |usec: u64| format!("@{}.{:06}", usec / 1_000_000, usec % 1_000_000);
        let line = format!(
            "logs worker1 many --since {} --until {}",
            moment(from),
            moment(to)
        );
        let lines = said(fleet, &line)?;
        ensure!(
            lines
                .iter()
                .all(|line| at(line).is_ok_and(|at| (from..=to).contains(&at)))
        );
        ensure!(lines.len() >= 101, "{} lines", lines.len());
        // More than there are since then.
        let last = said(
            fleet,
            &format!("logs worker1 many -n 5000 --since {}", moment(to)),
        )?;
        ensure!(
            last.iter().all(|line| at(line).is_ok_and(|at| at >= to)),
            "older lines"
        );
        Ok(())
    });
}

#[test]
fn what_there_is_not_is_said() {
    scene(three("logs"), |fleet| {
        let worker1 = fleet.node("worker1");
        say(worker1, "1")?;
        ctl_says(
            fleet,
            "logs worker1 nosuch",
            4,
            &["there is no unit nosuch.service on worker1"],
        )?;
        ctl_says(fleet, "logs worker1 say@quiet", 0, &["-- No entries --"])?;
        ctl_says(fleet, "logs woker1 say@1", 5, &["did you mean worker1?"])?;
        ctl_says(
            fleet,
            "logs worker1 say@1 --since soonish",
            2,
            &["'soonish' is no moment", "yesterday"],
        )?;
        ctl_says(fleet, "logs worker1 say@1 -p loud", 2, &["is no priority"])?;
        ctl_says(
            fleet,
            "status -o cat",
            2,
            &["expected table, json or plain"],
        )?;

        let worker2 = fleet.node("worker2");
        worker2.freeze("unitlink-agent.service")?;
        let output = ctl_says(
            fleet,
            "logs -o cat worker1,worker2 say@1",
            6,
            &["worker2 is offline"],
        )?;
        ensure!(output.stdout.contains("worker1: 1"), "{}", output.stdout);
        worker2.thaw("unitlink-agent.service")
    });
}

#[test]
fn the_status_of_a_unit_ends_with_its_last_lines() {
    scene(three("logs"), |fleet| {
        let worker1 = fleet.node("worker1");
        say(worker1, "1")?;
        let status = |line: &str| ctl(fleet, format!("status worker1 say@1 {line}").trim_end());
        let all = status("")?;
        ensure!(
            all.stdout.contains("]: 1\n") && all.stdout.contains("Finished"),
            "{}",
            all.stdout
        );
        let last = status("-n 1")?;
        ensure!(
            last.stdout.contains("Finished") && !last.stdout.contains("]: 1\n"),
            "{}",
            last.stdout
        );
        ensure!(!status("-n 0")?.stdout.contains("Finished"));
        let json = status("-n 2 -o json")?;
        let json: Value = serde_json::from_str(&json.stdout)?;
        ensure!(
            json["units"][0]["log"]
                .as_array()
                .is_some_and(|log| log.len() == 2),
            "{json}"
        );
        Ok(())
    });
}
