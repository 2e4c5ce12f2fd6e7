//! What workers say to the service manager, and what reaches it.

use std::{fs::File, io::Read as _, time::Duration};

use rustix::process::{Signal, kill_process};

use super::world::{Case, PLAIN, speaker};

/// A launcher whose only worker is a script that says something.
fn launch(case: &Case, script: &str, options: &[&str]) -> super::world::Launcher {
    let script = speaker(script);
    let plain = ["--ready", "notify", "--confirm", "0s"];
    let all = [&plain, options, &["--", "python3", "-c", &script]].concat();
    case.launch(&all, &[])
}

#[test]
fn what_a_worker_wants_kept_is_passed_on_under_a_name_of_its_own() {
    let case = Case::new();
    let script = "f=os.memfd_create('x')\nos.write(f,b'state')\nos.lseek(f,0,0)\n\
                  say('FDSTORE=1\\nFDNAME=conn',f)\nsay('FDSTOREREMOVE=1\\nFDNAME=old')\nsay('READY=1')";
    let mut launcher = launch(&case, script, &["--fdstore"]).ready();
    let [(text, fd)] = launcher.stored() else {
        panic!("{:?}", launcher.stored());
    };
    assert_eq!(text, "FDSTORE=1\nFDNAME=w1-conn");
    let mut kept = String::new();
    let mut file = File::from(fd.try_clone().expect("cloned"));
    file.read_to_string(&mut kept).expect("read");
    assert_eq!(kept, "state");
    launcher.wait_told("FDSTOREREMOVE=1\nFDNAME=w1-old", 1);
}

#[test]
fn nothing_is_kept_that_was_not_allowed() {
    let case = Case::new();
    let script = "say('FDSTORE=1\\nFDNAME=conn',0)\nsay('READY=1')";
    let mut launcher = launch(&case, script, &[]).ready();
    launcher.wait_log(
        "worker 1 wants descriptors kept, ignoring: fdstore is not set",
        1,
    );
    assert!(launcher.stored().is_empty());
    assert!(!launcher.told().iter().any(|it| it.contains("FDSTORE")));
}

/// sd_notify_barrier(3): whoever has read everything before it closes the descriptor.
#[test]
fn a_barrier_is_answered() {
    let case = Case::new();
    let script = "r,w=os.pipe()\nsay('BARRIER=1',w)\nos.close(w)\nos.read(r,1)\nsay('READY=1')";
    let _ready = launch(&case, script, &[]).ready();
}

#[test]
fn what_is_about_the_service_as_a_whole_is_not_passed_on() {
    let case = Case::new();
    let script = "say('MAINPID=1\\nSTOPPING=1\\nRELOADING=1\\nERRNO=5\\nEXTEND_TIMEOUT_USEC=7000000')\n\
                  say('READY=1\\nSTATUS=warm')";
    let mut launcher = launch(&case, script, &[]).ready();
    launcher.wait_told("ERRNO=5", 1);
    launcher.wait_told("EXTEND_TIMEOUT_USEC=7000000", 1);
    launcher.wait_told("; worker 1: warm", 1);
    for word in ["MAINPID", "STOPPING", "RELOADING"] {
        assert!(
            !launcher.told().iter().any(|it| it.contains(word)),
            "{word}"
        );
    }
}

#[test]
fn where_workers_are_not_watched_the_launcher_says_that_it_lives() {
    let case = Case::new();
    case.settings(PLAIN);
    let file = case.path("settings.toml");
    let (file, worker) = (super::world::text_of(&file), super::world::worker());
    let arguments = ["--settings", file, "--", super::world::text_of(&worker)];
    let address = format!("http={}", case.address);
    let all = [&["--listen", &address], &arguments[..]].concat();
    let mut launcher = case.launch(&all, &[("WATCHDOG_USEC", "200000")]).ready();
    launcher.wait_told("WATCHDOG=1", 3);
    // It is its own sign of life: one that stands still gives none.
    launcher.signal(Signal::STOP);
    let before = launcher.told().len();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(launcher.told().len(), before);
    launcher.signal(Signal::CONT);
    launcher.wait_told("WATCHDOG=1", 4);
    // Somebody else is meant.
    drop(launcher);
    let variables = [("WATCHDOG_USEC", "200000"), ("WATCHDOG_PID", "1")];
    let mut other = case.launch(&all, &variables).ready();
    std::thread::sleep(Duration::from_millis(500));
    assert!(!other.told().iter().any(|it| it.contains("WATCHDOG=1")));
}

#[test]
fn a_launcher_that_waits_to_start_its_only_worker_again_is_alive() {
    let case = Case::new();
    case.settings(&format!(
        "{PLAIN}workers = 1\nwatchdog = \"60s\"\nrespawn_delay = \"30s\"\nenvironment = [\"WORKER_LIVES=50\"]"
    ));
    let file = case.path("settings.toml");
    let (file, worker) = (super::world::text_of(&file), super::world::worker());
    let address = format!("http={}", case.address);
    let worker = ["--", super::world::text_of(&worker)];
    let arguments = [&["--listen", &address, "--settings", file], &worker[..]].concat();
    let mut launcher = case
        .launch(&arguments, &[("WATCHDOG_USEC", "200000")])
        .ready();
    launcher.wait_told("WATCHDOG=1", 2);
    let (_, pid) = launcher.workers()[0];
    kill_process(pid, Signal::KILL).expect("sent");
    launcher.wait_log("started again in", 1);
    let before = launcher.told().iter().filter(|it| *it == "WATCHDOG=1");
    let before = before.count();
    launcher.wait_told("WATCHDOG=1", before + 4);
    assert_eq!(launcher.workers().len(), 0);
}

#[test]
fn where_workers_are_watched_the_service_manager_hears_from_all_or_from_nobody() {
    let case = Case::new();
    let settings = "workers = 2\nwatchdog = \"60s\"\nenvironment = [\"WORKER_LIVES=50\"]";
    case.settings(&format!("{PLAIN}{settings}"));
    let file = case.path("settings.toml");
    let (file, worker) = (super::world::text_of(&file), super::world::worker());
    let address = format!("http={}", case.address);
    let arguments = [
        "--listen",
        &address,
        "--settings",
        file,
        "--",
        super::world::text_of(&worker),
    ];
    let mut launcher = case
        .launch(&arguments, &[("WATCHDOG_USEC", "200000")])
        .ready();
    launcher.wait_told("WATCHDOG=1", 3);
    let (_, pid) = launcher.workers()[0];
    kill_process(pid, Signal::STOP).expect("sent");
    // What the other one has said before may still count.
    launcher.wait("silence", || {
        std::thread::sleep(Duration::from_millis(100));
        Some(())
    });
    let count =
        |it: &mut super::world::Launcher| it.told().iter().filter(|it| *it == "WATCHDOG=1").count();
    let before = count(&mut launcher);
    std::thread::sleep(Duration::from_millis(500));
    assert!(count(&mut launcher) <= before + 1);
    kill_process(pid, Signal::CONT).expect("sent");
    launcher.wait_told("WATCHDOG=1", before + 3);
}
