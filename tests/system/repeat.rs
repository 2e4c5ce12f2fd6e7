//! A start during which daemons are killed, at each of its steps: the helper finds the agent again and
//! repeats what it asked, and target is started once.

use anyhow::{Result, ensure};
use test_case::test_case;
use tests::fleet::Fleet;

use crate::pair::Pair;
use crate::world::{SOON, await_status, configure, scene, three};

const PROXY: &str = "proxy@worker2_target.service";
const AGENT: &str = "unitlink-agent.service";
const SOURCE: &str = "[Unit]\nBindsTo=proxy@worker2_target.service\n\
    After=proxy@worker2_target.service\n\n[Service]\nExecStart=/bin/sleep infinity\n";
/// It is being started until it is let go.
const TARGET: &str = "[Unit]\nStopWhenUnneeded=yes\n\n[Service]\n\
    ExecStartPre=/bin/sh -c 'echo >>/run/starts; until test -e /run/go; do sleep 0.05; done'\n\
    ExecStart=/bin/sleep infinity\n";

/// A step of the start, and what is done at it.
#[derive(Clone, Copy)]
enum At {
    /// The helper has written what it asks, and nobody has read it.
    Asked,
    /// The claim waits for the target's node.
    Offline,
    /// The unit is being started.
    Starting(&'static str, &'static str),
    /// The unit has come up while the source's agent did not run.
    Up,
}

fn reach(fleet: &Fleet, pair: &Pair<'_>, at: At) -> Result<()> {
    let (source, target) = (pair.source, pair.target);
    let activating = || source.wait_state(PROXY, |active, _| active == "activating", SOON);
    let start = || source.systemctl(&["start", "--no-block", "source.service"]);
    let starting = || target.wait_until(|| target.read("/run/starts").is_ok(), SOON);
    let go = || target.write("/run/go", "");
    match at {
        At::Asked => {
            source.freeze(AGENT)?;
            start()?;
            activating()?;
            source.kill_service(AGENT, "SIGKILL")?;
            starting()?;
            go()
        }
        At::Offline => {
            target.systemctl(&["stop", AGENT])?;
            await_status(fleet, "worker2", "offline", SOON)?;
            start()?;
            let waits = |text: &str| text.contains("worker2 is offline");
            let says = || source.property(PROXY, "StatusText");
            source.wait_until(|| says().is_ok_and(|text| waits(&text)), SOON)?;
            source.kill_service(AGENT, "SIGKILL")?;
            target.systemctl(&["start", AGENT])?;
            starting()?;
            go()
        }
        At::Starting(node, unit) => {
            start()?;
            starting()?;
            fleet.node(node).kill_service(unit, "SIGKILL")?;
            fleet.node(node).wait_active(unit, SOON)?;
            for node in fleet.nodes() {
                await_status(fleet, node.name(), "online", SOON)?;
            }
            go()
        }
        At::Up => {
            start()?;
            starting()?;
            source.systemctl(&["stop", AGENT])?;
            go()?;
            target.wait_active("dep@target.service", SOON)?;
            source.systemctl(&["start", AGENT]).map(drop)
        }
    }
}

#[test_case(At::Asked; "the agent before it has read")]
#[test_case(At::Offline; "the agent while the target is offline")]
#[test_case(At::Starting("worker1", AGENT); "the agent of the source while the target starts")]
#[test_case(At::Starting("worker2", AGENT); "the agent of the target while it starts")]
#[test_case(At::Starting("main", "unitlink-controller.service"); "the controller while the target starts")]
#[test_case(At::Up; "the agent while the target comes up")]
fn a_start_goes_on_and_starts_its_target_once(at: At) {
    let builder = three("repeat")
        .unit_text("worker1", "source.service", SOURCE)
        .unit_text("worker2", "target.service", TARGET);
    let policy = "[claims]\nsource_grace = \"30s\"\nloss_grace = \"30s\"\n";
    scene(configure(builder, "50-graces", policy), |fleet| {
        let pair = Pair::of(fleet, "worker1", "worker2");
        reach(fleet, &pair, at)?;
        pair.source.wait_active("source.service", SOON)?;
        let starts = pair.target.read("/run/starts")?.lines().count();
        ensure!(starts == 1, "target was started {starts} times");
        let helpers = pair.source.property(PROXY, "ExecMainStatus")?;
        ensure!(helpers == "0", "the helper ended with {helpers}");
        pair.ensure_linked()
    });
}
