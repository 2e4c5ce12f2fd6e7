//! Reloads that reach a unit of another node (F26), and those that come from there.

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
        refuses(
            main,
            &["reloaded", "target.service", "worker1", "exit-code"],
        )?;
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
fn a_reload_of_the_target_reloads_whoever_says_so_and_goes_no_further() {
    let source = |more: &str| {
        format!(
            "[Unit]\nRequires={PROXY}\nAfter={PROXY}\n{more}\n\n[Service]\n\
             ExecStart=/bin/sleep infinity\nExecReload=/bin/sh -c 'echo >>/run/%N.reloads'\n"
        )
    };
    let back = format!("ReloadPropagatedFrom={PROXY}");
    let both = format!("{back}\nPropagatesReloadTo={PROXY}");
    let builder = pair()
        .unit_text("main", "plain.service", &source(""))
        .unit_text("worker2", "back.service", &source(&back))
        .unit_text("main", "both.service", &source(&both));
    scene(builder, |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        let worker2 = fleet.node("worker2");
        main.systemctl(&["start", "plain.service", "both.service"])?;
        worker2.systemctl(&["start", "back.service"])?;
        let count = |node: &Node, name: &str| {
            let text = node.read(&format!("/run/{name}.reloads"));
            text.map_or(0, |text| text.lines().count())
        };
        worker1.systemctl(&["reload", "target.service"])?;
        worker2.wait_until(|| count(worker2, "back") == 1, SOON)?;
        main.wait_until(|| count(main, "both") == 1, SOON)?;
        // Both ways at once: the target is reloaded for the source, and the source for the target.
        main.systemctl(&["reload", "both.service"])?;
        main.wait_until(|| count(main, "both") == 3, SOON)?;
        worker2.wait_until(|| count(worker2, "back") == 2, SOON)?;
        worker1.systemctl(&["reload", "target.service"])?;
        worker2.wait_until(|| count(worker2, "back") == 3, SOON)?;
        main.wait_until(|| count(main, "both") == 4, SOON)?;
        ensure!(reloads(worker1) == 3 && count(main, "plain") == 0);

        worker1.systemctl(&["stop", "unitlink-agent.service"])?;
        worker1.systemctl(&["reload", "target.service"])?;
        ensure!(reloads(worker1) == 4, "a reload has to do with no agent");
        Ok(())
    });
}

/// On one machine the two jobs come into one transaction, once each. Over nodes each systemd sees only a
/// reload by somebody else, so somebody has to end it.
#[test]
fn two_units_that_propagate_reloads_to_each_other_come_to_an_end() {
    let unit = |proxy: &str| {
        format!(
            "[Unit]\nPropagatesReloadTo={proxy}\nWants={proxy}\n\n[Service]\n\
             ExecStart=/bin/sleep infinity\nExecReload=/bin/sh -c 'echo >>{RELOADS}'\n"
        )
    };
    let (there, back) = ("proxy@worker2_two.service", "proxy@worker1_one.service");
    let builder = three("reload")
        .unit_text("worker1", "one.service", &unit(there))
        .unit_text("worker2", "two.service", &unit(back));
    scene(builder, |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        worker1.systemctl(&["start", "one.service"])?;
        worker1.wait_active(there, SOON)?;
        worker2.wait_active(back, SOON)?;
        worker1.systemctl(&["reload", "one.service"])?;
        let says_so = |node: &Node, proxy: &str| {
            let status = node.property(proxy, "StatusText");
            status.is_ok_and(|it| it.contains("was reloaded 30 times in a row"))
        };
        let ended = || says_so(worker1, there) || says_so(worker2, back);
        worker1.wait_until(ended, SOON)?;
        // Nobody reloads any more, and both run on.
        let count = || (reloads(worker1), reloads(worker2));
        let mut last = count();
        let is_quiet = || {
            let before = std::mem::replace(&mut last, count());
            before == last
        };
        worker1.wait_until(is_quiet, SOON)?;
        ensure!(last.0 <= 32 && last.1 <= 32, "reloaded {last:?} times");
        for (node, unit) in [(worker1, "one.service"), (worker2, "two.service")] {
            node.wait_active(unit, SOON)?;
        }
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
