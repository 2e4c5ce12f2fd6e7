//! What is wrong in unit files: `ctl verify`, each kind of finding on real nodes.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tests::fake::Plan;
use tests::fleet::{Fleet, FleetBuilder};

use crate::world::{SOON, await_status, configure, ctl_ok, ctl_says, four, scene};

/// Where agents without a machine reach the controller.
const ADDRESS: &str = "tcp:host=10.77.0.1,port=842";

const RUNS: &str = "[Service]\nExecStart=/bin/sleep infinity\n";

/// What `worker1` needs of others in a wrong way: its unit, what it names, and what is found.
const WRONG: &[(&str, &str, &str)] = &[
    ("misspelt", "proxy@worker2-good.service", "name"),
    ("nowhere", "proxy@kitchen_good.service", "no-node"),
    ("missing", "proxy@worker2_goof.service", "no-unit"),
    ("masking", "proxy@worker2_masked.service", "masked"),
    ("breaking", "proxy@worker2_broken.service", "broken"),
    ("around", "proxy@worker2_back.service", "circle"),
    ("aliasing", "proxy@worker2_other.service", "alias"),
    ("own", "proxy@worker1_plain.service", "own-node"),
    ("holding", "dep@plain.service", "hold"),
    ("unread", "proxy@fake00001_unit.service", "not-read"),
];

fn needs(builder: FleetBuilder, node: &str, unit: &str, name: &str) -> FleetBuilder {
    let text = format!("[Unit]\nRequires={name}\nAfter={name}\n\n{RUNS}");
    builder.unit_text(node, &format!("{unit}.service"), &text)
}

fn plan() -> Result<Plan> {
    Ok(Plan::new(ADDRESS.parse()?, 1))
}

fn layout() -> FleetBuilder {
    let mut builder = four("verify");
    for (unit, name, _) in WRONG {
        builder = needs(builder, "worker1", unit, name);
    }
    let stops = format!("[Unit]\nStopWhenUnneeded=yes\n\n{RUNS}");
    let unordered = format!("[Unit]\nRequires=proxy@worker2_good.service\n\n{RUNS}");
    builder = needs(builder, "worker3", "forbidden", "proxy@main_base.service")
        .unit_text("worker1", "unordered.service", &unordered)
        .unit_text("worker1", "plain.service", RUNS)
        .unit_text("worker2", "good.service", &stops)
        .unit_text(
            "worker2",
            "real.service",
            &format!("{stops}\n[Install]\nAlias=other.service\n"),
        )
        .unit_text("worker2", "broken.service", "[Service]\nType=simple\n")
        .unit_text("main", "base.service", RUNS);
    builder = needs(builder, "worker2", "back", "proxy@worker1_around.service");
    builder = configure(
        builder,
        "fake",
        &plan().expect("an address").configuration(),
    );
    configure(
        builder,
        "verify",
        "[node.worker3]\nallow_dependencies_on = [\"worker2\"]\n[limits]\ncall_timeout = \"2s\"\n",
    )
}

/// Has a node connected that answers nothing while `body` runs.
fn with_silent(fleet: &Fleet, body: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut agents = fleet
        .command(env!("CARGO_BIN_EXE_fake-agents"))
        .args([ADDRESS, "1", "--heartbeat", "500", "--silent", "1"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let said = agents.stdout.take().context("no output")?;
    BufReader::new(said).read_line(&mut line)?;
    let result = body();
    agents.kill()?;
    agents.wait()?;
    result
}

#[test]
fn each_kind_of_mistake_is_found_before_anything_runs() {
    scene(layout(), |fleet| {
        let worker2 = fleet.node("worker2");
        let links = "ln -s /dev/null masked.service; ln -s real.service other.service";
        worker2.shell(&format!(
            "cd /etc/systemd/system; {links}; systemctl daemon-reload"
        ))?;
        with_silent(fleet, || {
            let said = ctl_says(fleet, "verify -o plain", 1, &[])?.stdout;
            let unordered = ("unordered", "", "no-order");
            for (unit, _, kind) in WRONG.iter().chain([&unordered]) {
                let begin = format!(" worker1 {unit}.service {kind} ");
                ensure!(said.contains(&begin), "no '{begin}' in\n{said}");
            }
            for begin in [
                "error worker3 forbidden.service not-allowed ",
                "note main base.service not-stopped ",
                "error worker1 around.service circle units_need_each_other_in_a_circle:_\
                 worker1/around.service_needs_worker2/back.service_needs_worker1/around.service ",
                "proxy@worker2_good.service",
                "proxy@worker2_real.service",
            ] {
                ensure!(said.contains(begin), "no '{begin}' in\n{said}");
            }
            // What is right has no finding, and nothing was started.
            ensure!(!said.contains(" good.service "), "{said}");
            let state = worker2.state("good.service")?;
            ensure!(state.active == "inactive", "verify started a unit");
            Ok(())
        })?;
        ctl_says(fleet, "verify main", 0, &["0 errors"])?;
        worker2.crash()?;
        await_status(fleet, "worker2", "offline", SOON)?;
        let words = ["worker1 unordered.service node-offline", "worker2"];
        ctl_says(fleet, "verify -o plain", 1, &words).map(drop)
    });
}

/// Units of a machine with much installed, none of which names another node.
const UNITS: usize = 300;

#[test]
fn many_unit_files_are_read_at_once() {
    scene(four("verify"), |fleet| {
        let worker1 = fleet.node("worker1");
        let text = "[Unit]\\nRequires=proxy@worker2_x.service\\nAfter=proxy@worker2_x.service";
        worker1.shell(&format!(
            "cd /etc/systemd/system; for n in $(seq {UNITS}); do \
             printf '{text}\\n[Service]\\nExecStart=/bin/true\\n' >u$n.service; done; systemctl daemon-reload"
        ))?;
        let begun = std::time::Instant::now();
        ctl_says(fleet, "verify", 1, &[&format!("{UNITS} errors")])?;
        let took = begun.elapsed();
        eprintln!("verify of {UNITS} units took {took:?}");
        ensure!(took < SOON, "verify took {took:?}");
        ctl_ok(fleet, "is-online node worker1").map(drop)
    });
}
