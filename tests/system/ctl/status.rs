//! What `ctl status` and `ctl list-units` show.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::fleet::Fleet;

use crate::world::{ctl, ctl_ok, scene, three};

/// The cells of the row of a table that begins with `first`.
fn row(table: &str, first: &str) -> Result<Vec<String>> {
    table
        .lines()
        .map(|line| line.split('|').map(|cell| cell.trim().to_owned()))
        .map(Iterator::collect::<Vec<_>>)
        .find(|cells| cells.first().is_some_and(|cell| cell == first))
        .with_context(|| format!("no row {first} in:\n{table}"))
}

fn json(fleet: &Fleet, line: &str) -> Result<Value> {
    let output = ctl(fleet, &format!("--output json {line}"))?;
    serde_json::from_str(&output.stdout).with_context(|| output.stdout)
}

#[test]
fn the_fleet_is_a_table_of_nodes() {
    scene(three("ctl"), |fleet| {
        let table = ctl_ok(fleet, "status")?;
        let header = row(&table, "NODE")?;
        ensure!(
            header == ["NODE", "STATUS", "ADDRESS", "LAST SEEN", "AGENT"],
            "{header:?}"
        );
        ensure!(table.contains("3 of 3 nodes online"), "{table}");
        let worker2 = row(&table, "worker2")?;
        let address = fleet.node("worker2").address().to_string();
        ensure!(
            worker2.get(1..4) == Some(&["online".into(), address.clone(), "now".into()]),
            "{worker2:?}"
        );
        ensure!(row(&table, "main")?.get(2).is_some_and(|it| it == "local"));

        let all = json(fleet, "status")?;
        let nodes = all["nodes"].as_array().context("no array of nodes")?;
        ensure!(nodes.len() == 3, "{all}");
        let of = |name: &str| nodes.iter().find(|node| node["name"] == name);
        ensure!(of("worker2").is_some_and(|node| node["address"] == *address
            && node["transport"] == "tcp"
            && node["status"] == "online"));
        ensure!(of("main").is_some_and(|node| node["transport"] == "unix"));

        let one = json(fleet, "status worker2")?;
        ensure!(one["node"]["name"] == "worker2", "{one}");
        Ok(())
    });
}

#[test]
fn units_are_a_table_with_the_columns_that_the_field_knows() {
    scene(three("ctl"), |fleet| {
        let worker2 = fleet.node("worker2");
        worker2.systemctl(&["enable", "plain.service"])?;
        ctl_ok(fleet, "start worker2 plain.service")?;
        let table = ctl_ok(fleet, "status worker2 plain.service")?;
        let header = row(&table, "UNIT")?;
        ensure!(
            header
                == [
                    "UNIT",
                    "LOADED",
                    "ACTIVE",
                    "SUBSTATE",
                    "FREEZERSTATE",
                    "ENABLED",
                    "FOR"
                ],
            "{header:?}"
        );
        let cells = row(&table, "plain.service")?;
        ensure!(
            cells.get(1..6).map(|it| it.join(" ")).as_deref()
                == Some("loaded active running running enabled"),
            "{cells:?}"
        );
        ensure!(cells.get(6).is_some_and(|it| it != "-"), "{cells:?}");

        worker2.systemctl(&["freeze", "plain.service"])?;
        let frozen = row(
            &ctl_ok(fleet, "status worker2 plain.service")?,
            "plain.service",
        )?;
        ensure!(frozen.get(4).is_some_and(|it| it == "frozen"), "{frozen:?}");
        let units = json(fleet, "status worker2 plain.service")?;
        let unit = &units["units"][0];
        ensure!(
            unit["freezer_state"] == "frozen"
                && unit["active_state"] == "active"
                && unit["unit_file_state"] == "enabled"
                && unit["main_pid"].as_i64() == Some(worker2.main_pid("plain.service")?.into())
                && unit["state_age_usec"].as_u64().is_some_and(|age| age > 0),
            "{units}"
        );
        worker2.systemctl(&["thaw", "plain.service"])?;
        let thawed = row(
            &ctl_ok(fleet, "status worker2 plain.service")?,
            "plain.service",
        )?;
        ensure!(
            thawed.get(4).is_some_and(|it| it == "running"),
            "{thawed:?}"
        );
        Ok(())
    });
}

#[test]
fn the_state_of_a_unit_is_as_old_as_its_node_says() {
    scene(three("ctl"), |fleet| {
        let worker2 = fleet.node("worker2");
        ctl_ok(fleet, "start worker2 plain.service")?;
        let age = |_| -> Result<u64> {
            json(fleet, "status worker2 plain.service")?["units"][0]["state_age_usec"]
                .as_u64()
                .context("no age")
        };
        let first = age(())?;
        let second = age(())?;
        ensure!(second > first, "it was {first} µs and is {second} µs");
        ctl_ok(fleet, "restart worker2 plain.service")?;
        let since = worker2
            .property("plain.service", "StateChangeTimestampMonotonic")?
            .parse::<u64>()?;
        let uptime = worker2.read("/proc/uptime")?;
        let up: f64 = uptime.split(' ').next().context("no uptime")?.parse()?;
        let expected = up - std::time::Duration::from_micros(since).as_secs_f64();
        let shown = std::time::Duration::from_micros(age(())?).as_secs_f64();
        ensure!(
            (shown - expected).abs() < 5.0,
            "{shown} s instead of {expected} s"
        );
        Ok(())
    });
}

#[test]
fn a_unit_that_failed_is_shown_with_its_result() {
    scene(three("ctl"), |fleet| {
        ctl(fleet, "start worker2 bad.service")?;
        let output = ctl(fleet, "status worker2 bad.service plain.service")?;
        ensure!(output.code() == Some(3));
        ensure!(
            output.stdout.contains("bad.service: exit-code, status 7"),
            "{}",
            output.stdout
        );
        ensure!(row(&output.stdout, "bad.service")?[2] == "failed");
        ensure!(row(&output.stdout, "plain.service")?[2] == "inactive");
        Ok(())
    });
}

#[test]
fn units_of_all_nodes_or_one_are_listed() {
    scene(three("ctl"), |fleet| {
        ctl_ok(fleet, "start worker2 plain.service")?;
        let all = json(fleet, "list-units")?;
        let units = all["units"].as_array().context("no array of units")?;
        for node in ["main", "worker1", "worker2"] {
            ensure!(
                units
                    .iter()
                    .any(|it| it["node"] == node && it["unit"] == "unitlink-agent.service"),
                "nothing of {node}"
            );
        }
        let plain = units.iter().find(|it| it["unit"] == "plain.service");
        ensure!(plain.is_some_and(|it| it["node"] == "worker2"
            && it["sub_state"] == "running"
            && it["description"] == "Runs until it is stopped"));

        let sockets = ctl_ok(fleet, "-o plain list-units worker2 -t socket")?;
        ensure!(
            sockets.lines().all(|line| line.contains(".socket "))
                && sockets.contains("unitlink-agent.socket"),
            "{sockets}"
        );
        let table = ctl_ok(fleet, "list-units worker2 --state running")?;
        ensure!(row(&table, "worker2")?.len() == 5, "{table}");
        ensure!(!table.contains("worker1"), "{table}");

        // What systemd itself lists on that node, unit by unit.
        let listed = ctl_ok(fleet, "-o plain list-units --all worker2")?;
        let theirs =
            fleet
                .node("worker2")
                .systemctl(&["list-units", "--all", "--plain", "--no-legend"])?;
        for line in theirs.lines() {
            let unit = line.split(' ').next().unwrap_or_default();
            ensure!(
                listed
                    .lines()
                    .any(|line| line.split(' ').nth(1) == Some(unit)),
                "{unit} is not listed"
            );
        }
        Ok(())
    });
}
