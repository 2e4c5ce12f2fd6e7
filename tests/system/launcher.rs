//! A service that runs under `unitlink-launcher`, on real nodes: reloads under load, what the fleet hears
//! of one that fails, reloads from another node, and a launcher that is killed.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use tests::{
    fleet::{Fleet, FleetBuilder},
    node::Node,
};

use crate::world::{SOON, ctl_ok, ctl_says, scene, three};

const WEB: &str = "web.service";
const SETTINGS: &str = "/etc/web.toml";
const WORKER: &str = "/usr/share/doc/unitlink/example/launcher/worker.py";

fn fleet(options: &str, unit: &str) -> FleetBuilder {
    let service = format!(
        "[Unit]\nStartLimitIntervalSec=0\n\n[Service]\nType=notify\nNotifyAccess=main\n\
         ExecStart=/usr/bin/unitlink-launcher --settings {SETTINGS} {options} -- /usr/bin/python3 {WORKER}\n\
         ExecReload=/usr/bin/unitlink-launcher reload --wait\nRuntimeDirectory=web\n\
         RuntimeDirectoryPreserve=restart\nExecStopPost=/usr/bin/unitlink-launcher reap\n\
         {unit}\nRestart=always\nRestartSec=100ms\nTimeoutStopSec=30\n"
    );
    let source = format!(
        "[Unit]\nRequires={PROXY}\nAfter={PROXY}\nPropagatesReloadTo={PROXY}\n\n\
         [Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n"
    );
    three("launcher")
        .unit_text(
            "worker1",
            "web.socket",
            "[Socket]\nListenStream=8080\nBacklog=4096\n",
        )
        .unit_text("worker1", WEB, &service)
        .unit_text("worker2", "source.service", &source)
        .file("worker1", SETTINGS, &settings(2))
}

const PROXY: &str = "proxy@worker1_web.service";

fn settings(workers: u32) -> String {
    format!(
        "workers = {workers}\nready = \"notify\"\nconfirm = \"200ms\"\nready_timeout = \"10s\"\n"
    )
}

/// The number of the generation in service.
fn generation(node: &Node) -> Result<u64> {
    let text = node.property(WEB, "StatusText")?;
    let number = text
        .strip_prefix("gen ")
        .and_then(|it| it.split(':').next());
    number
        .and_then(|it| it.parse().ok())
        .with_context(|| format!("status {text:?}"))
}

/// Does something while clients make new connections to a node from another machine; none may lose a request.
pub(crate) fn under_load(
    fleet: &Fleet,
    node: &Node,
    during: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let mut command = fleet.command(env!("CARGO_BIN_EXE_load"));
    let target = format!("{}:8080", node.address());
    command.args([&target, "--clients", "8", "--seconds", "12"]);
    let client = command.stdout(Stdio::piped()).spawn()?;
    during()?;
    let output = client.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{text}");
    let answered = text.split(' ').next().and_then(|it| it.parse::<u64>().ok());
    ensure!(answered.is_some_and(|it| it > 100), "{text}");
    Ok(())
}

#[test]
fn reloads_and_restarts_under_load_lose_nothing_and_the_fleet_hears_of_a_failure() {
    scene(fleet("", "KillMode=mixed"), |fleet| {
        let worker1 = fleet.node("worker1");
        worker1.systemctl(&["start", "web.socket", WEB])?;
        ensure!(generation(worker1)? == 1);
        is_small_and_sleeps(worker1)?;
        under_load(fleet, worker1, || {
            let pid = worker1.main_pid(WEB)?;
            for (number, workers) in (2..).zip([4, 1, 3]) {
                worker1.write(SETTINGS, &settings(workers))?;
                worker1.systemctl(&["reload", WEB])?;
                ensure!(generation(worker1)? == number);
            }
            ensure!(worker1.main_pid(WEB)? == pid);
            worker1.systemctl(&["restart", WEB])?;
            ensure!(worker1.main_pid(WEB)? != pid);
            ctl_ok(fleet, "reload worker1 web.service")?;
            Ok(())
        })?;

        // One that fails: the result and the reason are the launcher's.
        worker1.write(
            SETTINGS,
            &format!("{}environment = [\"PYTHONHOME=/nowhere\"]\n", settings(2)),
        )?;
        let reason = "worker1 was not reloaded: exit-code; it says: ";
        ctl_says(
            fleet,
            "reload worker1 web.service",
            1,
            &[reason, "exit 1 before it was ready"],
        )?;
        worker1.write(SETTINGS, "workers = 0\n")?;
        let place = "settings rejected: /etc/web.toml:1:11: workers: found 0";
        ctl_says(fleet, "reload worker1 web.service", 1, &[reason, place])?;
        ensure!(worker1.state(WEB)?.active == "active");
        ctl_says(
            fleet,
            "status worker1 web.service",
            0,
            &["gen 2: 3/3 ready", "last reload FAILED"],
        )?;
        Ok(())
    });
}

/// Below 3 MiB, and not once awake while nothing happens. The program is that of a release.
fn is_small_and_sleeps(node: &Node) -> Result<()> {
    let memory = node.main_status(WEB, "VmRSS")?;
    ensure!(memory < 3 * 1024, "{memory} kB");
    node.wait_until(
        || {
            let switches = || node.main_status(WEB, "voluntary_ctxt_switches").ok();
            let before = switches();
            std::thread::sleep(Duration::from_millis(1500));
            before.is_some() && switches() == before
        },
        SOON,
    )
}

/// What a generation has started, memory and stray processes included, is told and ended by generation.
#[test]
fn each_generation_has_a_cgroup_that_goes_with_it() {
    scene(fleet("", "KillMode=mixed\nDelegate=yes"), |fleet| {
        let worker1 = fleet.node("worker1");
        // A process that has left its group, and would outlive its worker.
        let stray = "command = [\"/bin/sh\", \"-c\", \
                     \"setsid -f sleep 4711; exec python3 /usr/share/doc/unitlink/example/launcher/worker.py\"]\n";
        let bare = format!(
            "[Service]\nExecStart=\nExecStart=/usr/bin/unitlink-launcher --settings {SETTINGS}\n"
        );
        worker1.write(SETTINGS, &format!("{}{stray}", settings(2)))?;
        worker1.write("/etc/systemd/system/web.service.d/command.conf", &bare)?;
        worker1.systemctl(&["daemon-reload"])?;
        worker1.systemctl(&["start", "web.socket", WEB])?;
        let count = || worker1.shell("pgrep -c -f '[s]leep 4711' || true");
        ensure!(count()?.trim() == "2", "{:?}", count());
        let cgroups = || {
            worker1.shell("cd /sys/fs/cgroup/system.slice/web.service && ls -d */ | tr -d '\\n'")
        };
        ensure!(cgroups()? == "gen-1/launcher/", "{:?}", cgroups());
        let status =
            worker1.shell("RUNTIME_DIRECTORY=/run/web unitlink-launcher status --output json")?;
        // A host that has the controller in its tree of version 1 has none to give.
        let has_memory = worker1
            .shell("cat /sys/fs/cgroup/cgroup.controllers")?
            .contains("memory");
        ensure!(
            status.contains("\"memory_bytes\":null") != has_memory,
            "{status}"
        );
        ensure!(!status.contains("\"cpu_usec\":null"), "{status}");

        worker1.write(SETTINGS, &settings(2).replace("workers", "command = [\"python3\", \"/usr/share/doc/unitlink/example/launcher/worker.py\"]\nworkers"))?;
        worker1.systemctl(&["reload", WEB])?;
        worker1.wait_until(|| cgroups().is_ok_and(|it| it == "gen-2/launcher/"), SOON)?;
        ensure!(count()?.trim() == "0", "{:?}", count());
        // systemd can put a launcher there again, after a stop and after a kill.
        worker1.systemctl(&["restart", WEB])?;
        let pid = worker1.main_pid(WEB)?;
        worker1.kill_service(WEB, "KILL")?;
        worker1.wait_until(
            || worker1.main_pid(WEB).is_ok_and(|it| it != 0 && it != pid),
            SOON,
        )?;
        worker1.wait_active(WEB, SOON)?;
        ensure!(cgroups()? == "gen-1/launcher/", "{:?}", cgroups());
        Ok(())
    });
}

#[test]
fn a_reload_from_another_node_is_one_of_the_launcher_and_its_result_comes_back() {
    scene(fleet("", "KillMode=mixed"), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        worker1.systemctl(&["start", "web.socket"])?;
        worker2.systemctl(&["start", "source.service"])?;
        ensure!(generation(worker1)? == 1);
        worker2.systemctl(&["reload", PROXY])?;
        ensure!(
            generation(worker1)? == 2,
            "the reload came back before it was done"
        );
        worker2.systemctl(&["reload", "source.service"])?;
        worker1.wait_until(|| generation(worker1).is_ok_and(|it| it == 3), SOON)?;
        worker1.write(SETTINGS, "workers = 0\n")?;
        let failed = worker2.run(&["systemctl", "reload", PROXY])?;
        ensure!(!failed.success());
        let status = worker2.property(PROXY, "StatusText")?;
        ensure!(status.contains("workers: found 0"), "{status}");
        ensure!(worker2.state("source.service")?.active == "active");
        Ok(())
    });
}

#[test]
fn workers_outlive_a_killed_launcher_and_are_taken_over_by_the_next() {
    scene(
        fleet("--leave-at-exit", "KillMode=process\nDelegate=yes"),
        |fleet| {
            let worker1 = fleet.node("worker1");
            worker1.systemctl(&["start", "web.socket", WEB])?;
            under_load(fleet, worker1, || {
                for _ in 0..2 {
                    let pid = worker1.main_pid(WEB)?;
                    worker1.kill_service(WEB, "KILL")?;
                    worker1.wait_until(
                        || worker1.main_pid(WEB).is_ok_and(|it| it != 0 && it != pid),
                        SOON,
                    )?;
                    worker1.wait_active(WEB, SOON)?;
                    std::thread::sleep(Duration::from_secs(1));
                }
                Ok(())
            })?;
            // Those of the launchers before have gone.
            let processes = || worker1.ok(&["systemctl", "show", "-P", "TasksCurrent", WEB]);
            worker1.wait_until(|| generation(worker1).is_ok(), SOON)?;
            ensure!(
                !worker1
                    .property(WEB, "StatusText")?
                    .contains("left from before"),
                "{:?}",
                processes()
            );
            // An ordinary stop leaves nobody.
            worker1.systemctl(&["stop", WEB])?;
            let left = worker1.run(&["pgrep", "-f", "worker.py"])?;
            ensure!(!left.success(), "{left:?}");
            Ok(())
        },
    );
}
