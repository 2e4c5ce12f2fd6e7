//! Who may use the controller's interface on the system bus.

use anyhow::{Result, ensure};
use tests::fleet::Fleet;
use tests::node::Output;

use crate::world::{ensure_is, scene, three};

fn ctl_as(fleet: &Fleet, user: &str, args: &[&str]) -> Result<Output> {
    let id = format!("--reuid={user}");
    let group = format!("--regid={user}");
    let mut all = vec!["setpriv", &id, &group, "--init-groups", "--", "ctl"];
    all.extend(args);
    fleet.node("main").run(&all)
}

#[test]
fn users_are_denied_unless_they_are_in_the_group() {
    let unit = "[Service]\nExecStart=/bin/sleep infinity\n";
    let builder = three("policy").unit_text("worker1", "plain.service", unit);
    scene(builder, |fleet| {
        let main = fleet.node("main");
        main.shell(
            "useradd --no-create-home --user-group stranger
             useradd --no-create-home --user-group --groups unitlink deputy",
        )?;
        for args in [
            &["status"][..],
            &["start", "worker1", "plain.service"],
            &["list-units"],
        ] {
            let denied = ctl_as(fleet, "stranger", args)?;
            ensure!(
                denied.code() == Some(9)
                    && denied.stderr.contains("access denied")
                    && denied.stderr.contains("the group 'unitlink'"),
                "{args:?}: {} {}{}",
                denied.status,
                denied.stdout,
                denied.stderr
            );
        }
        ensure_is(fleet.node("worker1"), "plain.service", "inactive")?;

        ctl_as(fleet, "deputy", &["status"])?.ok()?;
        ctl_as(fleet, "deputy", &["start", "worker1", "plain.service"])?.ok()?;
        ensure_is(fleet.node("worker1"), "plain.service", "active")
    });
}

#[test]
fn nobody_else_may_have_the_controllers_names() {
    scene(three("policy"), |fleet| {
        let worker1 = fleet.node("worker1");
        worker1.shell("useradd --no-create-home --user-group stranger")?;
        for name in ["org.eclipse.bluechi", "org.unitlink"] {
            let request = worker1.run(&[
                "setpriv",
                "--reuid=stranger",
                "--regid=stranger",
                "--init-groups",
                "--",
                "busctl",
                "call",
                "org.freedesktop.DBus",
                "/org/freedesktop/DBus",
                "org.freedesktop.DBus",
                "RequestName",
                "su",
                name,
                "0",
            ])?;
            ensure!(!request.success(), "{}", request.stdout);
        }
        Ok(())
    });
}
