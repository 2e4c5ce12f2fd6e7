//! The units of `units/example/`, as they are: each folder does what its README says.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tests::fleet::Fleet;
use tests::node::Node;

use crate::world::{
    SOON, await_inactive, await_no_holds, await_no_needs, ctl, ctl_ok, ensure_is, scene, three,
};

const UNITS: &str = "/etc/systemd/system";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../units/example")
}

/// What an example does.
type Body = fn(&Fleet) -> Result<()>;

/// The files of a folder, by their paths in it.
fn files(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            let inner = self::files(&path)?.into_iter();
            files.extend(inner.map(|(below, text)| (format!("{name}/{below}"), text)));
        } else if name != "README" {
            files.push((name, fs::read_to_string(path)?));
        }
    }
    Ok(files)
}

/// Which node a file belongs on.
fn place<'a>(fleet: &'a Fleet, name: &str) -> &'a Node {
    fleet.node(if name == "target.service" {
        "worker2"
    } else {
        "worker1"
    })
}

/// Lays out a folder, has it do what it is for, and takes it away again.
fn show(fleet: &Fleet, name: &str, body: Body) -> Result<()> {
    let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
    let files = files(&folder().join(name))?;
    for (file, text) in &files {
        place(fleet, file).write(&format!("{UNITS}/{file}"), text)?;
    }
    ctl_ok(fleet, "daemon-reload worker1,worker2")?;
    body(fleet)?;
    for (node, units) in [
        (worker1, "source.service keeper.service early.service"),
        (worker2, "target.service"),
    ] {
        // Where there is no such unit it does not run either.
        node.shell(&format!(
            "systemctl stop {units} || true; systemctl reset-failed"
        ))?;
    }
    await_no_needs(worker1)?;
    await_no_holds(worker2)?;
    for (file, _) in &files {
        place(fleet, file).remove(&format!("{UNITS}/{file}"))?;
    }
    ctl_ok(fleet, "daemon-reload worker1,worker2").map(drop)
}

/// A start of the source starts the target.
fn both_run(fleet: &Fleet) -> Result<()> {
    ctl_ok(fleet, "start worker1 source")?;
    fleet.node("worker2").wait_active("target.service", SOON)?;
    ensure_is(fleet.node("worker1"), "source.service", "active")
}

fn source_stops_with_target(fleet: &Fleet) -> Result<()> {
    both_run(fleet)?;
    ctl_ok(fleet, "stop worker2 target")?;
    await_inactive(fleet.node("worker1"), "source.service", SOON)
}

/// Its target fails.
fn does_not_start(fleet: &Fleet) -> Result<()> {
    ensure!(
        ctl(fleet, "start worker1 source")?.code() == Some(1),
        "it started"
    );
    ensure_is(fleet.node("worker1"), "source.service", "inactive")
}

fn only_with_a_keeper(fleet: &Fleet) -> Result<()> {
    ensure!(
        ctl(fleet, "start worker1 source")?.code() == Some(1),
        "it started"
    );
    ctl_ok(fleet, "start worker1 keeper")?;
    both_run(fleet)
}

fn one_of_two(fleet: &Fleet) -> Result<()> {
    let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
    ctl_ok(fleet, "start worker2 target")?;
    ctl_ok(fleet, "start worker1 source")?;
    ensure_is(worker2, "target.service", "inactive")?;
    ctl_ok(fleet, "start worker2 target")?;
    await_inactive(worker1, "source.service", SOON)
}

fn needed_by_its_install_section(fleet: &Fleet) -> Result<()> {
    ctl_ok(fleet, "enable worker1 proxy@worker2_target.service")?;
    source_stops_with_target(fleet)?;
    ctl_ok(fleet, "disable worker1 proxy@worker2_target.service").map(drop)
}

fn reloads(fleet: &Fleet) -> Result<()> {
    both_run(fleet)?;
    ctl_ok(fleet, "reload worker1 source").map(drop)
}

fn is_reloaded(fleet: &Fleet) -> Result<()> {
    both_run(fleet)?;
    ctl_ok(fleet, "reload worker2 target")?;
    let worker1 = fleet.node("worker1");
    let reloaded = || {
        let journal = worker1.journal("source.service");
        journal.is_ok_and(|it| it.contains("Reloaded source.service"))
    };
    worker1.wait_until(reloaded, SOON)
}

fn target_runs_when_source_fails(fleet: &Fleet) -> Result<()> {
    ensure!(
        ctl(fleet, "start worker1 source")?.code() == Some(1),
        "it has not failed"
    );
    fleet
        .node("worker2")
        .wait_active("target.service", SOON)
        .map(drop)
}

#[test]
fn each_example_does_what_it_is_for() {
    let examples: &[(&str, Body)] = &[
        ("binds-to", source_stops_with_target),
        ("conflict", one_of_two),
        ("on-failure", target_runs_when_source_fails),
        ("order", both_run),
        ("part-of", source_stops_with_target),
        ("reload", reloads),
        ("reload-back", is_reloaded),
        ("required-by", needed_by_its_install_section),
        ("requires", does_not_start),
        ("requisite", only_with_a_keeper),
        ("upholds", both_run),
        ("wants", both_run),
    ];
    scene(three("examples"), |fleet| {
        let mut known: Vec<String> = Vec::new();
        for entry in fs::read_dir(folder())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                known.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        // It has cases of its own, with servers and load.
        known.retain(|name| name != "launcher");
        known.sort();
        let shown: Vec<&str> = examples.iter().map(|(name, _)| *name).collect();
        ensure!(
            known == shown,
            "there are {known:?}, and {shown:?} are tried"
        );
        for (name, body) in examples {
            show(fleet, name, *body).with_context(|| format!("example {name}"))?;
        }
        Ok(())
    });
}
