//! Units of every type that need, and that are needed. Those that nothing can start (`.scope`, `.device`) can
//! only be needed while they are there. Swap and automounts belong to the machine: systemd does not support them
//! in a container, such as these nodes, and what it does not support has to be refused with that reason.

use anyhow::{Context, Result, ensure};
use test_case::test_case;
use tests::fleet::FleetBuilder;
use tests::node::Node;

use crate::world::{
    SOON, await_inactive, await_no_holds, await_no_needs, ctl_ok, ctl_says, ensure_is, scene, three,
};

/// The name of a unit, and the section of its type.
const UNITS: &[(&str, &str)] = &[
    ("x.service", "[Service]\nExecStart=/bin/sleep infinity\n"),
    ("x.target", ""),
    (
        "x.timer",
        "[Timer]\nOnCalendar=2100-01-01\nUnit=idle.service\n",
    ),
    (
        "x.path",
        "[Path]\nPathExists=/run/never\nUnit=idle.service\n",
    ),
    (
        "x.socket",
        "[Socket]\nListenStream=/run/x.sock\nService=idle.service\n",
    ),
    ("x.slice", ""),
    (
        "run-x.mount",
        "[Mount]\nWhat=tmpfs\nWhere=/run/x\nType=tmpfs\n",
    ),
];

fn of_type(section: &str, unit: &str) -> String {
    format!("[Unit]\nDefaultDependencies=no\n{unit}\n{section}")
}

fn layout() -> FleetBuilder {
    let mut builder = three("types");
    let idle = "[Service]\nExecStart=/bin/sleep infinity\n";
    for node in ["worker1", "worker2"] {
        builder = builder.unit_text(node, "idle.service", idle);
    }
    for (name, section) in UNITS {
        let short = name.strip_suffix(".service").unwrap_or(name);
        let proxy = format!("proxy@worker2_{short}.service");
        let needs = format!("BindsTo={proxy}\nAfter={proxy}\n");
        builder = builder
            .unit_text("worker1", name, &of_type(section, &needs))
            .unit_text("worker2", name, &of_type(section, "StopWhenUnneeded=yes\n"));
    }
    builder
}

#[test]
fn a_unit_of_any_type_can_need_and_be_needed() {
    scene(layout(), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        let both = |unit: &str| -> Result<()> {
            ctl_ok(fleet, &format!("start worker1 {unit}"))?;
            ensure_is(worker1, unit, "active")?;
            ensure_is(worker2, unit, "active")?;
            ctl_ok(fleet, &format!("stop worker2 {unit}"))?;
            await_inactive(worker1, unit, SOON)?;
            ctl_ok(fleet, &format!("start worker1 {unit}"))?;
            ctl_ok(fleet, &format!("stop worker1 {unit}"))?;
            await_inactive(worker2, unit, SOON)
        };
        for (unit, _) in UNITS {
            both(unit).with_context(|| (*unit).to_owned())?;
        }
        await_no_needs(worker1)?;
        await_no_holds(worker2)
    });
}

/// Has a node make a scope around a process, which has to be told from outside of it.
fn make_scope(node: &Node, unit: &str, properties: &str) -> Result<()> {
    node.shell(&format!(
        "systemd-run --quiet --unit=make-{unit} \
         systemd-run --scope --unit={unit} {properties} sleep infinity"
    ))?;
    node.wait_active(&format!("{unit}.scope"), SOON).map(drop)
}

#[test]
fn a_scope_can_need_and_be_needed_while_it_is_there() {
    let target = of_type(
        "[Service]\nExecStart=/bin/sleep infinity\n",
        "StopWhenUnneeded=yes\n",
    );
    let proxy = "proxy@worker2_there.scope.service";
    let source = of_type(
        "[Service]\nExecStart=/bin/sleep infinity\n",
        &format!("BindsTo={proxy}\nAfter={proxy}\n"),
    );
    let builder = three("types")
        .unit_text("worker2", "target.service", &target)
        .unit_text("worker1", "source.service", &source);
    scene(builder, |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        let of_target = "proxy@worker2_target.service";
        make_scope(
            worker1,
            "here",
            &format!("-p BindsTo={of_target} -p After={of_target}"),
        )?;
        ensure_is(worker2, "target.service", "active")?;
        ctl_ok(fleet, "stop worker2 target.service")?;
        await_inactive(worker1, "here.scope", SOON)?;

        make_scope(worker2, "there", "")?;
        ctl_ok(fleet, "start worker1 source.service")?;
        ctl_ok(fleet, "stop worker2 there.scope")?;
        await_inactive(worker1, "source.service", SOON)?;
        ctl_says(fleet, "start worker1 source.service", 1, &[])?;
        let why = worker1.property(proxy, "StatusText")?;
        ensure!(
            why.contains("there.scope on node worker2 not found"),
            "{why}"
        );
        await_no_needs(worker1)?;
        await_no_holds(worker2)
    });
}

#[test_case("dev-x.swap", "[Swap]\nWhat=/dev/x\n"; "swap")]
#[test_case("run-x.automount", "[Automount]\nWhere=/run/x\n"; "automount")]
fn what_the_other_node_does_not_support_is_refused_with_that_reason(unit: &str, section: &str) {
    let proxy = format!("proxy@worker2_{unit}.service");
    let source = of_type(
        "[Service]\nExecStart=/bin/sleep infinity\n",
        &format!("Requires={proxy}\nAfter={proxy}\n"),
    );
    let builder = three("types")
        .unit_text("worker1", "source.service", &source)
        .unit_text(
            "worker2",
            "run-x.mount",
            "[Mount]\nWhat=tmpfs\nWhere=/run/x\nType=tmpfs\n",
        )
        .unit_text("worker2", unit, &of_type(section, ""));
    scene(builder, |fleet| {
        let worker1 = fleet.node("worker1");
        ctl_says(fleet, "start worker1 source.service", 1, &[])?;
        let why = worker1.property(&proxy, "StatusText")?;
        ensure!(
            why.contains(&format!(
                "unit {unit} on node worker2 cannot be started on this node"
            )),
            "{why}"
        );
        await_no_holds(fleet.node("worker2"))
    });
}
