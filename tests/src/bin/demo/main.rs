//! `make demo`: three systemd nodes on this machine, and what Unitlink does for them, step by step.
//! Each step shows the commands and what they say, and is checked: a demonstration that lies fails.
//!
//! With `--shell` it boots the same nodes and opens a shell on one of them instead.

mod screen;
mod step;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use tests::fleet::{Fleet, FleetBuilder};

/// Short times, so that nobody has to wait for what takes seconds on purpose.
const CONTROLLER: &str = "\
[heartbeat]
interval = \"300ms\"
threshold = \"1500ms\"

[claims]
source_grace = \"3s\"
loss_grace = \"2s\"
start_timeout = \"10s\"
";
const AGENT: &str = "\
[heartbeat]
interval = \"300ms\"
threshold = \"1500ms\"
";

/// A service that cannot start, and one that needs it.
const BROKEN: &str = "[Service]\nType=oneshot\nExecStart=/bin/false\nRemainAfterExit=yes\n";
const NEEDS_BROKEN: &str = "\
[Unit]
Requires=proxy@worker2_broken.service
After=proxy@worker2_broken.service

[Service]
ExecStart=/bin/sleep infinity
";

/// A service that ends by itself, and one that has it started again each time.
const SHORT: &str = "\
[Unit]
Description=Ends after two seconds
StopWhenUnneeded=yes

[Service]
ExecStart=/bin/sleep 2
";
const KEEPER: &str = "\
[Unit]
Description=Upholds short.service on worker2
Upholds=proxy@worker2_short.service
After=proxy@worker2_short.service

[Service]
ExecStart=/bin/sleep infinity
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::failure(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    tests::case::prerequisites(true).context("the demonstration needs systemd nodes")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => demonstrate(),
        ["--shell"] => shell("main"),
        ["--shell", node] => shell(node),
        _ => bail!("usage: demo [--shell [NODE]]"),
    }
}

fn fleet() -> Result<Fleet> {
    let mut builder = Fleet::builder("demo");
    for node in ["main", "worker1", "worker2"] {
        builder = builder.node(node);
    }
    builder = units(builder.daemons("main")).file(
        "main",
        "/etc/unitlink/controller.toml.d/quick.toml",
        CONTROLLER,
    );
    for node in ["main", "worker1", "worker2"] {
        builder = builder.file(node, "/etc/unitlink/agent.toml.d/quick.toml", AGENT);
    }
    builder.boot()
}

fn units(builder: FleetBuilder) -> FleetBuilder {
    builder
        .unit("main", example("binds-to/source.service"))
        .unit("worker1", example("binds-to/source.service"))
        .unit("worker2", example("binds-to/target.service"))
        .unit_text("worker1", "needs-broken.service", NEEDS_BROKEN)
        .unit_text("worker2", "broken.service", BROKEN)
        .unit_text("main", "keeper.service", KEEPER)
        .unit_text("worker2", "short.service", SHORT)
}

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../units/example")
        .join(path)
}

fn demonstrate() -> Result<()> {
    screen::say("Booting three systemd nodes: main (with the controller), worker1 and worker2.");
    let fleet = fleet()?;
    for (number, step) in step::STEPS.iter().enumerate() {
        screen::title(number + 1, step.title);
        if let Err(error) = (step.run)(&fleet) {
            screen::say(&fleet.journals(40));
            return Err(error.context(format!("step {}", number + 1)));
        }
    }
    screen::say("\nThat was all. `make demo-shell` boots the same nodes for your own experiments.");
    Ok(())
}

fn shell(name: &str) -> Result<()> {
    let fleet = fleet()?;
    let node = fleet
        .nodes()
        .iter()
        .find(|node| node.name() == name)
        .with_context(|| format!("there is no node {name}; there are main, worker1 and worker2"))?;
    screen::say(&format!(
        "A shell on {name}; the nodes are main, worker1 and worker2, and end with it.\n\
         On main, try:\n\
         \n    ctl status\n    ctl start worker1 source.service\n    ctl status worker2 target.service\n"
    ));
    // How the shell ended is between the user and the shell. It has a terminal, which a case has not.
    let mut command = node.command(&["env", "--chdir=/root", "bash", "-l"])?;
    command.env_remove("SYSTEMD_PAGER");
    if let Some(terminal) = std::env::var_os("TERM") {
        command.env("TERM", terminal);
    }
    command.status()?;
    Ok(())
}
