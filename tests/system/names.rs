//! Names that need care: of nodes, and of units of every type (F20).

use anyhow::{Context, Result};
use tests::fleet::{Fleet, FleetBuilder};
use tests::node::Node;

use crate::world::{
    AT_ONCE, SOON, await_failed, await_inactive, await_no_holds, await_status, ctl_ok, ctl_says,
    ensure_is, three,
};
use tests::case::case;

/// Proxies of worker1, and the units of the node `cam_1` that they are.
const PROXIES: &[(&str, &str)] = &[
    ("proxy@cam\\x5f1_plain_name.service", "plain_name.service"),
    ("proxy@cam\\x5f1_web@1-a@b.service", "web@1-a@b.service"),
    ("proxy@cam\\x5f1_web@a\\x20b.service", "web@a\\x20b.service"),
    (
        "proxy@cam\\x5f1_with\\x2ddash.service",
        "with\\x2ddash.service",
    ),
    (
        "proxy@cam\\x5f1_looks-like.socket.service.service",
        "looks-like.socket.service",
    ),
    ("proxy@cam\\x5f1_some.target.service", "some.target"),
    ("proxy@cam\\x5f1_some.timer.service", "some.timer"),
    ("proxy@cam\\x5f1_some.socket.service", "some.socket"),
    (
        "proxy@cam\\x5f1_srv-a\\x2db.mount.service",
        "srv-a\\x2db.mount",
    ),
];

/// A unit file that names a proxy. In names of units, systemd leaves a `\` as it is.
fn unit_text(proxy: &str) -> String {
    format!("[Unit]\nBindsTo={proxy}\nAfter={proxy}\n\n[Service]\nExecStart=/bin/sleep infinity\n")
}

fn layout() -> FleetBuilder {
    let mut builder = three("names");
    for (number, (proxy, _)) in PROXIES.iter().enumerate() {
        builder = builder.unit_text(
            "worker1",
            &format!("source{number}.service"),
            &unit_text(proxy),
        );
    }
    builder
}

/// As `scene`; the machine `worker2` is the node `cam_1`.
#[track_caller]
fn scene(builder: FleetBuilder, body: impl FnOnce(&Fleet) -> Result<()>) {
    case(builder, |fleet| {
        for node in ["main", "worker1", "cam_1"] {
            await_status(fleet, node, "online", SOON)?;
        }
        body(fleet)
    });
}

fn one_by_one(fleet: &Fleet, source: &Node, target: &Node) -> Result<()> {
    for (number, (proxy, unit)) in PROXIES.iter().enumerate() {
        let of = || format!("{proxy} for {unit}");
        let name = format!("source{number}.service");
        ctl_ok(fleet, &format!("start worker1 {name}")).with_context(of)?;
        ensure_is(source, proxy, "active").with_context(of)?;
        ensure_is(target, unit, "active").with_context(of)?;
        ctl_ok(fleet, &format!("stop worker1 {name}")).with_context(of)?;
        await_inactive(target, unit, AT_ONCE).with_context(of)?;

        ctl_ok(fleet, &format!("start worker1 {name}")).with_context(of)?;
        ctl_ok(fleet, &format!("stop cam_1 {unit}")).with_context(of)?;
        await_inactive(source, &name, AT_ONCE).with_context(of)?;
    }
    Ok(())
}

#[test]
fn units_of_every_type_and_spelling_can_be_needed() {
    scene(layout(), |fleet| {
        let (worker1, cam) = (fleet.node("worker1"), fleet.node("worker2"));
        one_by_one(fleet, worker1, cam)?;
        await_no_holds(cam)
    });
}

#[test]
fn a_name_that_is_not_well_spelt_is_refused_with_the_right_spelling() {
    const WRONG: &[(&str, &str)] = &[
        (
            "proxy@cam\\x5f1_plain_name.service.service",
            "proxy@cam\\x5f1_plain_name.service",
        ),
        (
            "proxy@\\x63am\\x5f1_plain_name.service",
            "proxy@cam\\x5f1_plain_name.service",
        ),
        ("proxy@cam-1.service", "proxy@NODE_UNIT.service"),
        // Another node than the one that was meant.
        (
            "proxy@cam_1_plain_name.service",
            "node cam is unknown; for plain_name.service of node cam_1 write \
             'proxy@cam\\x5f1_plain_name.service'",
        ),
    ];
    let mut builder = layout();
    for (number, (proxy, _)) in WRONG.iter().enumerate() {
        let name = format!("wrong{number}.service");
        builder = builder.unit_text("worker1", &name, &unit_text(proxy));
    }
    scene(builder, |fleet| {
        let worker1 = fleet.node("worker1");
        for (number, (proxy, right)) in WRONG.iter().enumerate() {
            ctl_says(
                fleet,
                &format!("start worker1 wrong{number}.service"),
                1,
                &[],
            )?;
            await_failed(worker1, proxy, SOON)?;
            // What the helper of a name that is none has to say, it says in the journal.
            let journal = worker1.journal(proxy)?;
            anyhow::ensure!(journal.contains(right), "{proxy}: {journal}");
        }
        Ok(())
    });
}
