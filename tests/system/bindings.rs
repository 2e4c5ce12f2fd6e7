//! The D-Bus API as it is for programs in Python that were written for BlueChi: its own bindings, which
//! nobody here wrote, with everything that they have.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use tests::case::{folder, skip};
use tests::fleet::{Fleet, FleetBuilder};
use tests::node::Node;

use crate::world::{scene, three};

/// Where a node has the bindings and the scripts.
const PLACE: &str = "/etc/bindings";

/// The bindings, as `make deps` brings them.
fn bindings() -> Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let bindings = target.context("no target directory")?.join("python");
    ensure!(
        bindings.join("bluechi/api.py").is_file(),
        "BlueChi's bindings for Python are not in {} (`make deps`)",
        bindings.display()
    );
    ensure!(
        Path::new("/usr/lib/python3/dist-packages/dasbus").is_dir(),
        "python3-dasbus is not installed (`make deps`)"
    );
    Ok(bindings)
}

fn layout(bindings: &Path) -> Result<FleetBuilder> {
    let mut builder = three("bindings");
    let scripts = folder("bindings");
    for node in ["main", "worker1"] {
        for module in ["__init__", "api", "ext"] {
            let text = read(&bindings.join(format!("bluechi/{module}.py")))?;
            builder = builder.file(node, &format!("{PLACE}/bluechi/{module}.py"), &text);
        }
        for script in ["common", "controller", "agent"] {
            let text = read(&scripts.join(format!("{script}.py")))?;
            builder = builder.file(node, &format!("{PLACE}/{script}.py"), &text);
        }
    }
    Ok(builder)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Runs a script on a node; what is to be done when it writes certain lines is done then.
fn run(node: &Node, script: &str, on_line: impl Fn(&str) -> Result<()>) -> Result<()> {
    let mut child = node
        .command(&["python3", "-B", &format!("{PLACE}/{script}.py")])?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut last = String::new();
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        last = line?;
        on_line(&last)?;
    }
    let mut said = String::new();
    let errors = child
        .stderr
        .take()
        .context("no errors")?
        .read_to_string(&mut said);
    let status = child.wait()?;
    errors?;
    if !status.success() || last != "all was tried" {
        bail!("{script}.py ended with {status}, after {last:?}:\n{said}");
    }
    Ok(())
}

/// A case that needs the bindings.
#[track_caller]
fn with_bindings(body: impl FnOnce(&Fleet) -> Result<()>) {
    let bindings = match bindings() {
        Ok(bindings) => bindings,
        Err(why) => return skip("bindings", &why),
    };
    scene(layout(&bindings).expect("files of the case"), body);
}

#[test]
fn bluechis_bindings_find_everything_that_the_controller_has() {
    with_bindings(|fleet| {
        let agent = |verb| {
            let unit = "unitlink-agent.service";
            fleet.node("worker2").systemctl(&[verb, unit]).map(drop)
        };
        run(fleet.node("main"), "controller", |line| match line {
            "the agent of worker2 may go" => agent("stop"),
            "the agent of worker2 may come" => agent("start"),
            _ => Ok(()),
        })
    });
}

#[test]
fn bluechis_bindings_find_everything_that_an_agent_has() {
    with_bindings(|fleet| run(fleet.node("worker1"), "agent", |_| Ok(())));
}
