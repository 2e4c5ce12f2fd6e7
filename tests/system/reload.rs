//! Reloads that reach a unit of another node (F26).

use anyhow::{Result, ensure};
use tests::fleet::FleetBuilder;
use tests::node::Node;

use crate::world::{SOON, scene, three};

const PROXY: &str = "proxy@worker1_target.service";

/// Each reload of the target is a line in this file.
const RELOADS: &str = "/run/reloads";

fn pair() -> FleetBuilder {
    let source = format!(
        "[Unit]\nRequires={PROXY}\nAfter={PROXY}\nPropagatesReloadTo={PROXY}\n\n\
         [Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n"
    );
    let target = format!(
        "[Unit]\nStopWhenUnneeded=yes\n\n\
         [Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/sh -c 'echo >>{RELOADS}'\n"
    );
    three("reload")
        .unit_text("main", "source.service", &source)
        .unit_text("worker1", "target.service", &target)
}

fn reloads(node: &Node) -> usize {
    node.read(RELOADS).map_or(0, |text| text.lines().count())
}

/// Reloads the proxy, which must fail and say all of these, and stays active.
fn refuses(node: &Node, words: &[&str]) -> Result<()> {
    let reload = node.run(&["systemctl", "reload", PROXY])?;
    let status = node.property(PROXY, "StatusText")?;
    ensure!(
        !reload.success() && words.iter().all(|word| status.contains(word)),
        "{reload:?}: {status}"
    );
    let journal = node.journal(PROXY)?;
    ensure!(journal.contains(&status), "{journal}");
    ensure!(node.state(PROXY)?.active == "active");
    Ok(())
}

#[test]
fn a_reload_of_the_source_or_of_the_proxy_is_one_of_the_target_and_its_result_comes_back() {
    scene(pair(), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        main.systemctl(&["start", "source.service"])?;
        let pids = (
            main.main_pid("source.service")?,
            worker1.main_pid("target.service")?,
        );
        let run = main.property(PROXY, "InvocationID")?;

        main.systemctl(&["reload", "source.service"])?;
        worker1.wait_until(|| reloads(worker1) == 1, SOON)?;
        main.wait_active(PROXY, SOON)?;
        main.systemctl(&["reload", PROXY])?;
        ensure!(
            reloads(worker1) == 2,
            "the reload came back before it was done"
        );

        let after = (
            main.main_pid("source.service")?,
            worker1.main_pid("target.service")?,
        );
        ensure!(after == pids && main.property(PROXY, "InvocationID")? == run);

        let drop_in = "/etc/systemd/system/target.service.d/reload.conf";
        worker1.write(drop_in, "[Service]\nExecReload=\nExecReload=/bin/false\n")?;
        worker1.systemctl(&["daemon-reload"])?;
        refuses(main, &["reload", "target.service", "worker1", "failed"])?;
        worker1.write(drop_in, "[Service]\nExecReload=\n")?;
        worker1.systemctl(&["daemon-reload"])?;
        refuses(main, &["target.service"])?;

        let after = (
            main.main_pid("source.service")?,
            worker1.main_pid("target.service")?,
        );
        ensure!(after == pids, "a reload that failed has stopped something");
        Ok(())
    });
}

#[test]
fn a_reload_waits_for_a_controller_that_restarts() {
    scene(pair(), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        main.systemctl(&["start", "source.service"])?;
        main.systemctl(&["stop", "unitlink-controller.service"])?;
        main.systemctl(&["reload", "--no-block", PROXY])?;
        main.wait_state(PROXY, |active, _| active == "reloading", SOON)?;
        main.systemctl(&["start", "unitlink-controller.service"])?;
        main.wait_active(PROXY, SOON)?;
        ensure!(reloads(worker1) == 1);
        Ok(())
    });
}
