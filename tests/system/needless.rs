//! Proxies that nobody needs any more, while something still runs behind what needed them.

use anyhow::ensure;

use crate::world::{SOON, await_inactive, await_no_holds, ensure_is, scene, three};

const PROXY: &str = "proxy@worker2_target.service";

/// `app.service` requires `setup.service`, which requires the proxy, and has run. That a stop does not go on behind what
/// is inactive is systemd's own rule; the simulated one has it from here.
#[test]
fn what_requires_a_unit_that_has_run_stays_when_the_proxy_of_that_is_not_needed() {
    let app = "[Unit]\nRequires=setup.service\nAfter=setup.service\n\n[Service]\nExecStart=/bin/sleep infinity\n";
    let setup = format!(
        "[Unit]\nRequires={PROXY}\nAfter={PROXY}\n\n[Service]\nType=oneshot\nExecStart=/bin/true\n"
    );
    let target = "[Unit]\nStopWhenUnneeded=yes\n\n[Service]\nExecStart=/bin/sleep infinity\n";
    let builder = three("needless")
        .unit_text("worker1", "app.service", app)
        .unit_text("worker1", "setup.service", &setup)
        .unit_text("worker2", "target.service", target);
    scene(builder, |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        worker1.systemctl(&["start", "app.service"])?;
        let pid = worker1.main_pid("app.service")?;
        await_inactive(worker1, PROXY, SOON)?;
        await_inactive(worker2, "target.service", SOON)?;
        await_no_holds(worker2)?;

        // Also when it runs once more beside what requires it, and when the proxy is stopped by hand.
        worker1.systemctl(&["start", "setup.service"])?;
        await_inactive(worker1, PROXY, SOON)?;
        worker1.systemctl(&["start", PROXY])?;
        worker1.systemctl(&["stop", PROXY])?;
        ensure_is(worker1, "app.service", "active")?;
        ensure!(worker1.main_pid("app.service")? == pid);
        await_inactive(worker2, "target.service", SOON)
    });
}
