//! The launcher itself is replaced, or dies.

use std::{fs, os::unix::process::ExitStatusExt as _, process::Command, time::Duration};

use rustix::process::{Signal, kill_process};
use tests::load::{Load, Target};

use super::world::{Case, LAUNCHER, PLAIN, runs, text_of, worker};

#[test]
fn its_program_is_replaced_under_load_and_no_worker_notices() {
    let case = Case::new();
    let launcher = case.start_with(&format!("{PLAIN}workers = 2")).ready();
    let before = launcher.workers();
    let load = Load::new(Target::Tcp(case.address), 4).start();
    for time in 1..=5 {
        launcher.signal(Signal::USR2);
        launcher.wait_log("the launcher's program was replaced", time);
        assert_eq!(launcher.workers(), before);
    }
    assert_eq!(launcher.reload().0, 0);
    launcher.wait("the old ones to go", || {
        (launcher.workers().len() == 2).then_some(())
    });
    // Hangups of the moment in which it is replaced are not lost, and end nothing.
    for _ in 0..20 {
        launcher.signal(Signal::USR2);
        launcher.signal(Signal::HUP);
        std::thread::sleep(Duration::from_millis(20));
    }
    launcher.wait("calm", || {
        (launcher.status()["state"] == "running").then_some(())
    });
    let report = load.stop();
    assert_eq!(report.losses(), 0, "{report}\n{}", launcher.log());
}

#[test]
fn a_program_that_would_not_understand_is_not_handed_anything() {
    let case = Case::new();
    let program = case.path("launcher");
    fs::copy(LAUNCHER, &program).expect("copied");
    let (own, worker) = (text_of(&program).to_owned(), worker());
    // Started by a shell, so that it is called by that name.
    let mut child = Command::new(&own)
        .args([
            "--listen",
            &case.address.to_string(),
            "--ready",
            "notify",
            "--",
            text_of(&worker),
        ])
        .env("RUNTIME_DIRECTORY", case.path("run"))
        .env_remove("NOTIFY_SOCKET")
        .spawn()
        .expect("started");
    let pid = rustix::process::Pid::from_child(&child);
    let answers = || super::world::get(case.address, "/").ok();
    wait("an answer", || answers().map(drop));
    fs::remove_file(&program).expect("removed");
    fs::copy("/bin/false", &program).expect("copied");
    kill_process(pid, Signal::USR2).expect("sent");
    std::thread::sleep(Duration::from_millis(300));
    assert!(answers().is_some() && runs(pid));
    kill_process(pid, Signal::TERM).expect("sent");
    assert_eq!(child.wait().expect("ended").code(), Some(0));
}

#[test]
fn workers_die_with_a_launcher_that_is_killed() {
    let case = Case::new();
    let mut launcher = case.start_with(&format!("{PLAIN}workers = 3")).ready();
    let workers = launcher.workers();
    launcher.signal(Signal::KILL);
    assert_eq!(launcher.end().signal(), Some(9));
    launcher.wait("nobody", || {
        workers.iter().all(|(_, pid)| !runs(*pid)).then_some(())
    });
}

#[test]
fn workers_outlive_a_launcher_that_is_killed_and_the_next_one_takes_them_over() {
    let case = Case::new();
    // The socket outlives the launcher, as that of a unit does.
    let socket = super::load::Passed::listen();
    let worker = worker();
    let arguments = [
        "--leave-at-exit",
        "--workers",
        "2",
        "--ready",
        "notify",
        "--confirm",
        "0s",
        "--",
        text_of(&worker),
    ];
    let load = Load::new(Target::Tcp(socket.address), 4).start();
    let mut first = socket.launch(&case, &arguments).ready();
    let old = first.workers();
    first.signal(Signal::KILL);
    assert_eq!(first.end().signal(), Some(9));
    assert!(old.iter().all(|(_, pid)| runs(*pid)));
    let mut second = socket.launch(&case, &arguments).ready();
    second.wait("the old ones to go", || {
        old.iter().all(|(_, pid)| !runs(*pid)).then_some(())
    });
    second.wait_log("2 workers were left by a launcher before", 1);
    let new = second.workers();
    assert!(
        new.len() == 2 && new.iter().all(|(generation, _)| *generation == 2),
        "{new:?}"
    );
    let report = load.stop();
    assert_eq!(report.losses(), 0, "{report}");

    // After an ordinary stop, what is left is nobody's.
    second.signal(Signal::KILL);
    second.end();
    assert!(new.iter().all(|(_, pid)| runs(*pid)));
    let after = |result: &str| {
        let done = Command::new(LAUNCHER)
            .args(["reap"])
            .env("RUNTIME_DIRECTORY", case.path("run"))
            .env("SERVICE_RESULT", result)
            .status();
        assert_eq!(done.expect("ran").code(), Some(0));
    };
    after("signal");
    assert!(
        new.iter().all(|(_, pid)| runs(*pid)),
        "the next launcher takes them over"
    );
    after("success");
    wait("nobody", || {
        new.iter().all(|(_, pid)| !runs(*pid)).then_some(())
    });
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < super::world::SOON, "never {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
