//! A service of alice's that runs under `unitlink-launcher`: her manager starts and reloads it, and passes the socket.

use super::*;
use crate::launcher::under_load;

const WEB: &str = "web.service";
const SETTINGS: &str = "/etc/web.toml";
const WORKER: &str = "/usr/share/doc/unitlink/example/launcher/worker.py";

fn settings(workers: u32) -> String {
    format!("workers = {workers}\nready = \"notify\"\nconfirm = \"200ms\"\n")
}

fn machines_with_web() -> FleetBuilder {
    let service = format!(
        "[Unit]\nStartLimitIntervalSec=0\n\n[Service]\nType=notify\nNotifyAccess=main\n\
         ExecStart=/usr/bin/unitlink-launcher --settings {SETTINGS} -- /usr/bin/python3 {WORKER}\n\
         ExecReload=/usr/bin/unitlink-launcher reload --wait\nRuntimeDirectory=web\n\
         Delegate=yes\nKillMode=mixed\nRestart=always\nRestartSec=100ms\nTimeoutStopSec=30\n"
    );
    machines()
        .file("main", "/etc/systemd/user/web.service", &service)
        .file(
            "main",
            "/etc/systemd/user/web.socket",
            "[Socket]\nListenStream=8080\nBacklog=4096\n",
        )
        .file("main", SETTINGS, &settings(2))
}

/// Whether this is the generation in service, with so many workers.
fn serves(node: &Node, generation: u32, workers: u32) -> Result<()> {
    let status = property(node, WEB, "StatusText")?;
    let expected = format!("gen {generation}: {workers}/{workers} ready");
    ensure!(status.starts_with(&expected), "{status}");
    Ok(())
}

#[test]
fn a_service_of_a_user_is_reloaded_under_load_without_a_loss() {
    case(machines_with_web(), |fleet| {
        let main = fleet.node("main");
        log_in(main)?;
        alice_ok(
            main,
            "systemctl --user start unitlink-controller.service unitlink-agent.service",
        )?;
        await_online(main, "main")?;
        alice_ok(main, "systemctl --user start web.socket web.service")?;
        serves(main, 1, 2)?;
        let pid = || property(main, WEB, "MainPID");

        under_load(fleet, main, || {
            let first = pid()?;
            for (generation, workers) in (2..).zip([4, 1, 3]) {
                main.write(SETTINGS, &settings(workers))?;
                alice_ok(main, "systemctl --user reload web.service")?;
                serves(main, generation, workers)?;
            }
            ensure!(pid()? == first);
            alice_ok(main, "systemctl --user restart web.service")?;
            ensure!(pid()? != first);
            alice_ok(main, "ctl --user reload main web.service")?;
            serves(main, 2, 3)
        })?;

        // Where alice asks by hand, the launcher is found in her runtime directory.
        let ask = format!("unitlink-launcher status --runtime-directory /run/user/{UID}/web");
        let status = alice_ok(main, &ask)?;
        ensure!(status.contains("gen 2: 3/3 ready"), "{status}");

        main.write(SETTINGS, "workers = 0\n")?;
        let failed = alice(main, "ctl --user reload main web.service")?;
        ensure!(
            !failed.success() && failed.stderr.contains("workers: found 0"),
            "{failed:?}"
        );
        serves(main, 2, 3)?;

        // Killed, it takes its workers along, and her manager starts it again.
        main.write(SETTINGS, &settings(2))?;
        let killed = pid()?;
        alice_ok(main, "systemctl --user kill -s KILL web.service")?;
        main.wait_until(|| pid().is_ok_and(|it| it != "0" && it != killed), SOON)?;
        await_state(main, WEB, "active")?;
        serves(main, 1, 2)?;
        alice_ok(main, "systemctl --user stop web.service web.socket")?;
        let left = main.run(&["pgrep", "-f", "worker.py"])?;
        ensure!(!left.success(), "{left:?}");
        Ok(())
    });
}
