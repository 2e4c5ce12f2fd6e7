//! Where each thing that is set ends up.

use super::world::{Case, PLAIN, speaker, text_of, worker};

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

#[test]
fn a_file_of_variables_is_read_anew_at_each_reload() {
    let case = Case::new();
    let file = case.path("variables");
    std::fs::write(&file, "SECRET=1\n").expect("written");
    let settings = format!("{PLAIN}environment_file = [{:?}]", text_of(&file));
    let launcher = case.start_with(&settings).ready();
    assert_eq!(launcher.who("secret"), "1");
    std::fs::write(&file, "SECRET=2\n").expect("written");
    assert_eq!(launcher.reload().0, 0);
    launcher.wait("the old one to go", || {
        (launcher.workers().len() == 1).then_some(())
    });
    assert_eq!(launcher.who("secret"), "2");
}

/// From 3 on, as they were named, and the same in each generation.
#[test]
fn every_socket_reaches_each_generation_in_its_place() {
    let case = Case::new();
    let (path, out) = (case.path("b.sock"), case.path("out"));
    let script = format!(
        "socks=[socket.socket(fileno=fd) for fd in (3,4,5)]\n\
         names=os.environ['LISTEN_FDNAMES']\n\
         with open({:?},'a') as out: print(names,*(s.getsockname() for s in socks),\
         *(os.fstat(s.fileno()).st_ino for s in socks),sep='|',file=out)\n\
         say('READY=1')",
        text_of(&out)
    );
    let script = speaker(&script);
    let listen = |name: &str, address: &str| format!("{name}={address}");
    let launcher = case.launch(
        &[
            "--listen",
            &listen("z", &case.address.to_string()),
            "--listen",
            &listen("b", text_of(&path)),
            "--listen",
            &listen("a", "127.0.0.1:0"),
            "--ready",
            "notify",
            "--confirm",
            "0s",
            "--",
            "python3",
            "-c",
            &script,
        ],
        &[],
    );
    let launcher = launcher.ready();
    assert_eq!(launcher.reload().0, 0, "{}", launcher.log());
    let text = std::fs::read_to_string(&out).expect("written");
    let lines: Vec<_> = text.lines().collect();
    let (ip, port) = (case.address.ip(), case.address.port());
    let expected = format!("z:b:a|('{ip}', {port})|{}|('127.0.0.1', ", text_of(&path));
    assert!(text.starts_with(&expected), "{text}");
    assert!(lines.len() == 2 && lines[0] == lines[1], "{text}");
}
