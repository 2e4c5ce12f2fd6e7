//! Where each thing that is set ends up.

use super::world::{Case, PLAIN, text_of, worker};

#[test]
fn what_only_a_restart_changes_is_refused_at_a_reload() {
    let case = Case::new();
    let launcher = case.start_with(PLAIN).ready();
    for (text, key) in [
        ("at_exit = \"leave\"", "at_exit"),
        ("adapt = false", "adapt"),
        ("reuse_port = true", "reuse_port"),
    ] {
        case.settings(&format!("{PLAIN}{text}"));
        let (code, said) = launcher.reload();
        let expected = format!("settings.toml:3:{}: {key}: found ", key.len() + 4);
        assert!(code == 3 && said.contains(&expected), "{code} {said}");
        assert!(
            said.contains("expected what it was at the start; only a restart changes it"),
            "{said}"
        );
    }
}

#[test]
fn a_worker_has_none_of_what_is_for_the_launcher() {
    let case = Case::new();
    let file = case.path("variables");
    std::fs::write(&file, "FROM_FILE=1\nBOTH=file\n").expect("written");
    let out = case.path("out");
    let script = format!("env >{}; exec {}", out.display(), worker().display());
    let address = case.address.to_string();
    let launcher = case.launch(
        &[
            "--listen",
            &address,
            "--ready",
            "notify",
            "--environment-file",
            text_of(&file),
            "--environment",
            "BOTH=set",
            "--watchdog",
            "0s",
            "--",
            "sh",
            "-c",
            &script,
        ],
        &[
            ("MAINPID", "1"),
            ("WATCHDOG_USEC", "1000000"),
            ("LISTEN_PIDFDID", "5"),
            ("KEPT", "1"),
            ("INVOCATION_ID", "7"),
        ],
    );
    let launcher = launcher.ready();
    let text = std::fs::read_to_string(&out).expect("written");
    let has = |it: &str| text.lines().any(|line| line.starts_with(it));
    for kept in [
        "KEPT=1",
        "INVOCATION_ID=7",
        "FROM_FILE=1",
        "BOTH=set",
        "LISTEN_FDS=1",
        "LISTEN_FDNAMES=listen",
        "LAUNCHER_GENERATION=1",
        "LAUNCHER_WORKER=1",
        "LAUNCHER_WORKERS=1",
        "LAUNCHER_REASON=start",
        "NOTIFY_SOCKET=@unitlink-launcher/",
    ] {
        assert!(has(kept), "{kept} is not in\n{text}");
    }
    for gone in ["MAINPID", "WATCHDOG_", "LISTEN_PIDFDID"] {
        assert!(!has(gone), "{gone} is in\n{text}");
    }
    let (_, pid) = launcher.workers()[0];
    let own = format!("LISTEN_PID={}", pid.as_raw_nonzero());
    assert!(
        text.lines().any(|it| it == own),
        "{own} is not in
{text}"
    );
}
