//! Units of every type that need, and that are needed. Those that nothing can start (`.scope`, `.device`) can
//! only be needed while they are there, and swap belongs to the machine, not to a container.

use anyhow::{Context, Result};
use tests::fleet::FleetBuilder;

use crate::world::{
    SOON, await_inactive, await_no_holds, await_no_needs, ctl_ok, ensure_is, scene, three,
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
