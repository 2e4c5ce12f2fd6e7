//! Units written for BlueChi, with `bluechi-proxy@`, work unchanged.

use anyhow::ensure;

use crate::pair::Pair;
use crate::world::{SOON, await_failed, ctl_says, ensure_is, scene, three};

const PROXY: &str = "bluechi-proxy@worker2_target.service";

#[test]
fn a_unit_that_names_bluechis_proxy_is_linked_as_any_other() {
    scene(three("bluechi_names"), |fleet| {
        let pair = Pair::of(fleet, "worker1", "worker2");
        pair.start()?;
        for (node, names) in [
            (pair.source, [PROXY, "proxy@worker2_target.service"]),
            (
                pair.target,
                ["bluechi-dep@target.service", "dep@target.service"],
            ),
        ] {
            for name in names {
                ensure_is(node, name, "active")?;
            }
            let [first, second] = names.map(|name| node.property(name, "InvocationID"));
            ensure!(first? == second?, "{names:?} are two units");
        }
        pair.ensure_linked()
    });
}

#[test]
fn an_agent_that_is_killed_finds_a_proxy_by_its_alias_again() {
    scene(three("bluechi_names"), |fleet| {
        let pair = Pair::of(fleet, "worker1", "worker2");
        let before = pair.start()?;
        let agent = pair.source.main_pid("unitlink-agent.service")?;
        pair.source
            .kill_service("unitlink-agent.service", "SIGKILL")?;
        pair.source.wait_until(
            || {
                pair.source
                    .main_pid("unitlink-agent.service")
                    .is_ok_and(|pid| pid != agent)
            },
            SOON,
        )?;
        pair.source.wait_active("unitlink-agent.service", SOON)?;
        pair.ensure_same(before)?;
        pair.ensure_linked()
    });
}

#[test]
fn the_reason_of_a_failure_is_shown_under_both_names() {
    scene(three("bluechi_names"), |fleet| {
        let worker1 = fleet.node("worker1");
        ctl_says(fleet, "start worker1 unlucky.service", 1, &[])?;
        await_failed(fleet.node("worker2"), "broken.service", SOON)?;
        for proxy in [
            "bluechi-proxy@worker2_broken.service",
            "proxy@worker2_broken.service",
        ] {
            let status = worker1.property(proxy, "StatusText")?;
            ensure!(status.contains("exit-code"), "{proxy}: {status:?}");
        }
        Ok(())
    });
}
