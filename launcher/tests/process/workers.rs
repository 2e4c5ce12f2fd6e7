use std::{fs, time::Duration};

use rustix::process::Signal;

use super::world::{Case, PLAIN, runs, speaker};

#[test]
fn the_number_of_workers_changes_by_signal_until_the_next_reload() {
    let case = Case::new();
    let launcher = case.start_with(&format!("{PLAIN}workers = 2")).ready();
    let count = |wanted: usize| {
        launcher.wait(&format!("{wanted} workers"), || {
            (launcher.workers().len() == wanted).then_some(())
        });
    };
    launcher.signal(Signal::TTIN);
    count(3);
    launcher.signal(Signal::TTOU);
    count(2);
    launcher.signal(Signal::TTOU);
    count(1);
    assert_eq!(launcher.reload().0, 0);
    count(2);
}

#[test]
fn the_service_manager_hears_how_things_are() {
    let case = Case::new();
    let mut launcher = case.start_with(&format!("{PLAIN}workers = 2")).ready();
    let has = |launcher: &mut super::world::Launcher, text: &str| {
        launcher.told().iter().any(|it| it.contains(text))
    };
    assert!(
        has(&mut launcher, "STATUS=gen 1: 2/2 ready"),
        "{:?}",
        launcher.told()
    );
    assert_eq!(launcher.reload().0, 0);
    launcher.wait("the old ones to go", || {
        (launcher.workers().len() == 2).then_some(())
    });
    assert!(
        has(&mut launcher, "last reload ok"),
        "{:?}",
        launcher.told()
    );
}

#[test]
fn it_sleeps_while_nothing_happens_and_is_small() {
    let case = Case::new();
    let launcher = case.start_with(&format!("{PLAIN}workers = 2")).ready();
    let read = |file: &str| {
        let path = format!("/proc/{}/{file}", launcher.pid().as_raw_nonzero());
        fs::read_to_string(path).expect("there")
    };
    let value = |key: &str| {
        let status = read("status");
        let line = status
            .lines()
            .find(|it| it.starts_with(key))
            .expect("there")
            .to_owned();
        line.split_whitespace()
            .nth(1)
            .expect("a number")
            .parse::<u64>()
            .expect("a number")
    };
    launcher.wait("quiet", || {
        let before = value("voluntary_ctxt_switches");
        std::thread::sleep(Duration::from_millis(1500));
        (value("voluntary_ctxt_switches") == before).then_some(())
    });
    // A build for tests is not what is promised on, and has more of everything.
    assert!(value("VmRSS") < 16 * 1024, "{} kB", value("VmRSS"));
}

#[test]
fn signals_are_sent_on_to_workers() {
    let case = Case::new();
    let script = "for s in (signal.SIGUSR1,signal.SIGWINCH,signal.SIGTTIN):\n \
                  signal.signal(s,lambda s,_:say(f'STATUS=heard {s}'))\n\
                  say('READY=1')\nwhile True: signal.pause()";
    let script = speaker(script);
    let plain = ["--ready", "notify", "--forward-signals", "WINCH"];
    let all = [&plain[..], &["--", "python3", "-c", &script]].concat();
    let mut launcher = case.launch(&all, &[]).ready();
    for signal in [Signal::USR1, Signal::WINCH] {
        launcher.signal(signal);
        launcher.wait_told(&format!("heard {}", signal.as_raw()), 1);
    }
    // What means something to the launcher is not for workers.
    launcher.signal(Signal::TTIN);
    launcher.wait_told("gen 1: 2/2 ready", 1);
    let ttin = format!("heard {}", Signal::TTIN.as_raw());
    assert!(!launcher.told().iter().any(|it| it.contains(&ttin)));
}

#[test]
fn a_worker_that_is_stopped_has_not_ended() {
    let case = Case::new();
    let launcher = case.start_with(PLAIN).ready();
    let (_, pid) = launcher.workers()[0];
    rustix::process::kill_process(pid, Signal::STOP).expect("sent");
    launcher.wait("it to stand still", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        stat.ok()?.contains(") T ").then_some(())
    });
    assert!(runs(pid) && launcher.workers() == [(1, pid)]);
    rustix::process::kill_process(pid, Signal::CONT).expect("sent");
    assert_eq!(launcher.who("generation"), "1");
    assert_eq!(launcher.workers(), [(1, pid)]);
}

#[test]
fn workers_that_have_done_their_work_are_the_end() {
    let case = Case::new();
    let line = [
        "--workers",
        "2",
        "--success-exit",
        "7",
        "--",
        "sh",
        "-c",
        "exit 7",
    ];
    let mut launcher = case.launch(&line, &[]);
    assert_eq!(launcher.code(), 0, "{}", launcher.log());
    launcher.wait_log("gen 1 worker 2 has done its work", 1);
}

#[test]
fn workers_without_a_word_are_ready_after_a_while() {
    let case = Case::new();
    let launcher = case
        .start_with(
            "confirm = \"0s\"\nwarm_up = \"200ms\"\nenvironment = [\"WORKER_SAYS_NOTHING=1\"]",
        )
        .ready();
    assert_eq!(launcher.reload().0, 0);
}

#[test]
fn readiness_is_asked_for_by_a_command_or_a_connection() {
    let case = Case::new();
    let mark = case.path("mark");
    let exec = format!(
        "confirm = \"0s\"\nready = \"exec:test -e {}\"",
        mark.display()
    );
    let mut launcher = case.start_with(&exec);
    launcher.wait("a worker", || {
        (!launcher.workers().is_empty()).then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        !launcher.told().iter().any(|it| it == "READY=1"),
        "too early"
    );
    fs::write(&mark, "").expect("written");
    let launcher = launcher.ready();
    case.settings(&format!(
        "confirm = \"0s\"\nready = \"http://{}/\"\nready_times = 3",
        case.address
    ));
    assert_eq!(launcher.reload().0, 0, "{}", launcher.log());
    case.settings("confirm = \"0s\"\nready = \"unix:/nowhere\"\nready_timeout = \"500ms\"");
    assert_eq!(launcher.reload().0, 5);
}

/// What is in its process group does; whoever else knows the address says nothing.
#[test]
fn only_what_belongs_to_a_worker_speaks_for_it() {
    let case = Case::new();
    let other = |text: &str, group: &str| {
        let other = speaker(&format!("say({text:?});raise SystemExit"));
        format!("subprocess.run(['python3','-c',{other:?}]{group})")
    };
    let script = speaker(&format!(
        "import subprocess\n{}\n{}",
        other("READY=1\nSTATUS=not me", ",start_new_session=True"),
        other("STATUS=me", "")
    ));
    let all = ["--ready", "notify", "--", "python3", "-c", &script];
    let mut launcher = case.launch(&all, &[]);
    launcher.wait_told("worker 1: me", 1);
    assert!(
        !launcher
            .told()
            .iter()
            .any(|it| it == "READY=1" || it.contains("not me")),
        "{:?}",
        launcher.told()
    );
}

#[test]
fn a_port_that_is_connected_to_makes_a_worker_ready() {
    let case = Case::new();
    // The server binds it after a while.
    let server = format!(
        "import socket,time;time.sleep(0.4);s=socket.socket();s.bind(('127.0.0.1',{}));s.listen();time.sleep(60)",
        case.address.port()
    );
    let ready = format!("tcp:{}", case.address);
    let launcher = case.launch(
        &[
            "--ready",
            &ready,
            "--ready-times",
            "2",
            "--",
            "python3",
            "-c",
            &server,
        ],
        &[],
    );
    let launcher = launcher.ready();
    assert!(std::net::TcpStream::connect(case.address).is_ok());
    drop(launcher);
}
