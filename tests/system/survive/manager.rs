//! The service manager and the bus of a node are reloaded, executed again, restarted (F22); a
//! target is restarted (F27).

use anyhow::{Result, ensure};
use test_case::test_case;
use tests::fleet::Fleet;

use super::{await_all_online, layout, pair};
use crate::world::{SOON, ctl_ok, scene};

fn on_every_node(args: &[&str]) {
    scene(layout("3s", "2s", "stop"), |fleet: &Fleet| -> Result<()> {
        let pair = pair(fleet);
        for node in fleet.nodes() {
            let before = pair.start()?;
            node.systemctl(args)?;
            await_all_online(fleet)?;
            pair.ensure_same(before)?;
            pair.ensure_linked()?;
        }
        let before = pair.start()?;
        for node in fleet.nodes() {
            node.systemctl(args)?;
            node.systemctl(args)?;
        }
        await_all_online(fleet)?;
        pair.ensure_same(before)?;
        pair.ensure_linked()
    });
}

#[test_case(&["daemon-reload"]; "its units are read again")]
#[test_case(&["daemon-reexec"]; "it executes itself again")]
#[test_case(&["restart", "dbus.service"]; "the bus is restarted")]
fn what_happens_to_a_manager_or_its_bus_is_not_noticed(args: &[&str]) {
    on_every_node(args);
}

#[test_case("BindsTo=proxy@worker2_target.service")]
#[test_case("Requires=proxy@worker2_target.service")]
#[test_case("PartOf=proxy@worker2_target.service\nWants=proxy@worker2_target.service")]
fn a_restart_of_the_target_restarts_its_source(dependency: &str) {
    let text = format!(
        "[Unit]\n{dependency}\nAfter=proxy@worker2_target.service\n\n\
         [Service]\nExecStart=/bin/sleep infinity\n"
    );
    let builder = layout("3s", "2s", "stop").unit_text("worker1", "source.service", &text);
    scene(builder, |fleet| {
        let pair = pair(fleet);
        let mut before = pair.start()?;
        for remote in [true, false] {
            if remote {
                ctl_ok(fleet, "restart worker2 target.service")?;
            } else {
                pair.target.systemctl(&["restart", "target.service"])?;
            }
            let both_are_new = || {
                pair.processes()
                    .is_ok_and(|(source, target)| source != before.0 && target != before.1)
            };
            pair.source.wait_until(both_are_new, SOON)?;
            before = pair.processes()?;
        }
        // It was restarted once for each, and stays up.
        await_all_online(fleet)?;
        ctl_ok(fleet, "status worker2 target.service")?;
        pair.ensure_same(before)?;
        ensure!(pair.source.property("source.service", "NRestarts")? == "0");
        pair.source_stop_stops_target()
    });
}
