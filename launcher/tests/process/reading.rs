//! Settings that cannot be read: a pipe that nobody writes to stands for a file system that hangs.

use std::{fs, process::Command, time::Duration};

use rustix::process::{Signal, kill_process};

use super::world::{Case, PLAIN, text_of};

#[test]
fn settings_that_cannot_be_read_keep_nobody_waiting_but_the_reload() {
    let case = Case::new();
    let mut launcher = case.start_with(PLAIN).ready();
    let pipe = case.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("ran").success());
    case.settings(&format!("{PLAIN}environment_file = [{:?}]", text_of(&pipe)));
    launcher.signal(Signal::HUP);
    launcher.wait_log("reload 1 begins", 1);
    // A worker that is killed is back as always, and whoever asks is answered.
    let (_, pid) = launcher.workers()[0];
    kill_process(pid, Signal::KILL).expect("sent");
    launcher.wait("another one", || {
        let workers = launcher.workers();
        workers.first().filter(|it| it.1 != pid).map(drop)
    });
    assert_eq!(launcher.who("generation"), "1");
    // The program of the launcher is replaced only afterwards.
    launcher.signal(Signal::USR2);
    std::thread::sleep(Duration::from_millis(200));
    assert!(
        !launcher
            .log()
            .contains("the launcher's program was replaced")
    );
    fs::write(&pipe, "SECRET=5\n").expect("written");
    launcher.wait_log("reload 1 done: gen 2 serves", 1);
    launcher.wait_log("the launcher's program was replaced", 1);
    launcher.wait("the new ones alone", || {
        (launcher.workers().len() == 1).then_some(())
    });
    assert_eq!(launcher.who("secret"), "5");
    // An end does not wait for them either.
    launcher.signal(Signal::HUP);
    launcher.wait_log("reload 2 begins", 1);
    launcher.signal(Signal::TERM);
    assert_eq!(launcher.code(), 0, "{}", launcher.log());
}

#[test]
fn settings_that_nobody_can_read_are_given_up() {
    let case = Case::new();
    let launcher = case.start_with(PLAIN).ready();
    let pipe = case.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("ran").success());
    case.settings(&format!("{PLAIN}environment_file = [{:?}]", text_of(&pipe)));
    let (code, text) = launcher.reload();
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("could not be read within 20s; does a file system hang?"),
        "{text}"
    );
    assert_eq!(launcher.who("generation"), "1");
    case.settings(PLAIN);
    assert_eq!(launcher.reload().0, 0);
}
