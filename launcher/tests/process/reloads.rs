use std::{
    fs,
    os::unix::fs::symlink,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::world::{Case, LAUNCHER, PLAIN, get, runs, text_of, worker};

#[test]
fn a_reload_brings_new_settings_and_new_workers() {
    let case = Case::new();
    let launcher = case.start_with(&format!("{PLAIN}workers = 2\nenvironment = [\"SECRET=1\"]"));
    let launcher = launcher.ready();
    assert_eq!(launcher.who("secret"), "1");
    assert_eq!(launcher.who("names"), "http");
    let who = launcher.get("/who");
    let value = |key: &str| {
        who.split_whitespace()
            .find_map(|it| it.strip_prefix(key))
            .map(str::to_owned)
    };
    assert!(
        value("pid=").is_some() && value("pid=") == value("pid_told="),
        "{who}"
    );
    let old = launcher.workers();
    assert_eq!(old.len(), 2);
    case.settings(&format!("{PLAIN}workers = 3\nenvironment = [\"SECRET=2\"]"));
    let (code, text) = launcher.reload();
    assert_eq!(code, 0, "{text}");
    assert!(
        text.starts_with("unitlink-launcher: reload: gen 2 serves, ready in "),
        "{text}"
    );
    launcher.wait("three of the second", || {
        let workers = launcher.workers();
        (workers.len() == 3 && workers.iter().all(|(it, _)| *it == 2)).then_some(())
    });
    assert_eq!(
        (
            launcher.who("secret").as_str(),
            launcher.who("reason").as_str()
        ),
        ("2", "reload")
    );
    assert!(old.iter().all(|(_, pid)| !runs(*pid)));
}

#[test]
fn what_was_begun_is_answered_over_two_reloads_and_cut_at_the_limit() {
    let case = Case::new();
    let launcher = case
        .start_with(&format!("{PLAIN}reload_graceful_timeout = \"0s\""))
        .ready();
    let address = case.address;
    let slow = thread::spawn(move || get(address, "/sleep/1500"));
    launcher.wait("the request to begin", || {
        // It is in the worker when nothing waits in the socket.
        thread::sleep(Duration::from_millis(100));
        Some(())
    });
    for _ in 0..2 {
        assert_eq!(launcher.reload().0, 0);
    }
    let answer = slow.join().expect("ran").expect("answered");
    assert!(
        answer.starts_with("1 "),
        "of the first generation: {answer}"
    );

    case.settings(&format!("{PLAIN}reload_graceful_timeout = \"300ms\""));
    assert_eq!(launcher.reload().0, 0);
    let slow = thread::spawn(move || get(address, "/sleep/5000"));
    thread::sleep(Duration::from_millis(100));
    assert_eq!(launcher.reload().0, 0);
    let begun = Instant::now();
    assert!(slow.join().expect("ran").is_err(), "cut");
    // 300 ms, with the factor of a busy machine.
    assert!(
        begun.elapsed() < Duration::from_millis(1200),
        "{:?}",
        begun.elapsed()
    );
    launcher.wait_log("killing it; what it was doing is cut", 1);
}

#[test]
fn a_hundred_hangups_are_two_generations_at_most() {
    let case = Case::new();
    let launcher = case
        .start_with("ready = \"notify\"\nconfirm = \"3s\"")
        .ready();
    for number in 0..100 {
        case.settings(&format!(
            "ready = \"notify\"\nconfirm = \"3s\"\nenvironment = [\"SECRET={number}\"]"
        ));
        launcher.signal(Signal::HUP);
        thread::sleep(Duration::from_millis(10));
    }
    launcher.wait_log("done: gen 3 serves", 1);
    launcher.wait("the last settings", || {
        (launcher.who("secret") == "99").then_some(())
    });
    let status = launcher.status();
    assert_eq!(status["generations"][0]["generation"], 3, "{status}");
    assert_eq!(status["state"], "running");
}

#[test]
fn a_release_that_was_switched_is_run_from_its_new_place() {
    let case = Case::new();
    for release in ["1", "2"] {
        let folder = case.path(release);
        fs::create_dir_all(&folder).expect("made");
        fs::copy(worker(), folder.join("server")).expect("copied");
    }
    let current = case.path("current");
    symlink("1", &current).expect("linked");
    let program = current.join("server");
    let settings = case.path("settings.toml");
    case.settings(&format!("{PLAIN}chdir = {:?}", text_of(&current)));
    let launcher = case
        .start(&["--settings", text_of(&settings), "--", text_of(&program)])
        .ready();
    let place =
        |release: &str| text_of(&fs::canonicalize(case.path(release)).expect("there")).to_owned();
    assert_eq!(launcher.who("cwd"), place("1"));
    fs::remove_file(&current).expect("removed");
    symlink("2", &current).expect("linked");
    // One that is started again is still of its own release.
    let (_, pid) = launcher.workers()[0];
    rustix::process::kill_process(pid, Signal::KILL).expect("sent");
    launcher.wait("another one", || {
        launcher
            .workers()
            .first()
            .filter(|it| it.1 != pid)
            .map(|_| ())
    });
    assert_eq!(launcher.who("cwd"), place("1"));
    assert_eq!(launcher.reload().0, 0);
    launcher.wait("the old one to go", || {
        (launcher.workers().len() == 1).then_some(())
    });
    assert_eq!(launcher.who("cwd"), place("2"));
    assert_eq!(launcher.who("program"), format!("{}/server", place("2")));
}

/// As a shell, or another supervisor, starts it: in a folder that it has come to by a link.
#[test]
fn the_folder_it_was_started_in_is_followed_by_its_name_also_after_its_program_was_replaced() {
    let case = Case::new();
    for release in ["1", "2"] {
        fs::create_dir_all(case.path(release)).expect("made");
        fs::copy(worker(), case.path(release).join("server")).expect("copied");
    }
    let current = case.path("current");
    symlink("1", &current).expect("linked");
    let script = "cd \"$1\" && shift && exec \"$@\"";
    let by = ["sh", "-c", script, "sh", text_of(&current), LAUNCHER];
    let address = case.address.to_string();
    let plain = ["--listen", &address, "--ready", "notify", "--confirm", "0s"];
    let launcher = case.launch_by(&by, &[&plain[..], &["--", "./server"]].concat());
    let launcher = launcher.ready();
    let place =
        |release: &str| text_of(&fs::canonicalize(case.path(release)).expect("there")).to_owned();
    assert_eq!(launcher.who("cwd"), place("1"));
    fs::remove_file(&current).expect("removed");
    symlink("2", &current).expect("linked");
    launcher.signal(Signal::USR2);
    launcher.wait_log("the launcher's program was replaced", 1);
    assert_eq!(launcher.reload().0, 0);
    launcher.wait("the old one to go", || {
        (launcher.workers().len() == 1).then_some(())
    });
    assert_eq!(launcher.who("cwd"), place("2"));
    assert_eq!(launcher.who("program"), format!("{}/server", place("2")));
}

#[test]
fn what_may_change_while_workers_run_replaces_none() {
    let case = Case::new();
    let note = case.path("note");
    fs::write(&note, "one").expect("written");
    let settings = format!(
        "{PLAIN}mutable_files = [{0:?}]\nenvironment = [\"WORKER_NOTE={0}\"]",
        text_of(&note)
    );
    let launcher = case.start_with(&settings).ready();
    let before = launcher.workers();
    fs::write(&note, "two").expect("written");
    let (code, text) = launcher.reload();
    assert_eq!(
        (code, text.as_str()),
        (
            0,
            "unitlink-launcher: reload: 1 workers were told, no new generation was needed"
        )
    );
    launcher.wait("the new note", || {
        (launcher.who("note") == "two").then_some(())
    });
    assert_eq!(launcher.workers(), before);
    // Nothing has changed now, or something else has: that is a new generation.
    assert!(launcher.reload().1.contains("gen 2 serves"));
}

#[test]
fn a_rolling_reload_never_has_two_more() {
    let case = Case::new();
    let launcher = case
        .start_with(&format!("{PLAIN}workers = 3\nmode = \"rolling\""))
        .ready();
    let client = {
        let address = case.address;
        thread::spawn(move || (0..60).filter(|_| get(address, "/").is_err()).count())
    };
    assert_eq!(launcher.reload().0, 0);
    let most = launcher.workers().len();
    assert!(most <= 4, "{most}");
    assert_eq!(client.join().expect("ran"), 0);
    launcher.wait("three", || (launcher.workers().len() == 3).then_some(()));
}

#[test]
fn a_name_leads_to_the_newest_generation() {
    let case = Case::new();
    let (link, path) = (case.path("web.sock"), case.path("web.%G.sock"));
    let publish = format!("{}:{}", text_of(&link), text_of(&path));
    // A server that binds what it is told, and goes at TERM.
    let script = format!(
        "import os,signal,socket\ns=socket.socket(socket.AF_UNIX)\ns.bind({:?})\ns.listen()\n\
         n=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\nn.connect('\\0'+os.environ['NOTIFY_SOCKET'][1:])\n\
         n.send(b'READY=1')\nsignal.pause()",
        text_of(&path)
    );
    let launcher = case.launch(
        &[
            "--publish",
            &publish,
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
    let leads = || fs::read_link(&link).expect("a link");
    assert_eq!(leads(), case.path("web.1.sock"));
    assert_eq!(launcher.reload().0, 0);
    assert_eq!(leads(), case.path("web.2.sock"));
    launcher.wait("the path of the first to go", || {
        (!case.path("web.1.sock").exists() && case.path("web.2.sock").exists()).then_some(())
    });
}

#[test]
fn a_reload_that_failed_is_tried_again_where_the_settings_say_so() {
    let case = Case::new();
    let mark = case.path("mark");
    let program = case.path("server");
    let text = format!(
        "#!/bin/sh\ntest $LAUNCHER_GENERATION = 1 -o -e {} || exit 3\nexec {}\n",
        text_of(&mark),
        text_of(&worker())
    );
    fs::write(&program, text).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).expect("set");
    case.settings(&format!("{PLAIN}on_reload_failure = \"retry\""));
    let file = case.path("settings.toml");
    let launcher = case
        .start(&["--settings", text_of(&file), "--", text_of(&program)])
        .ready();
    let (code, text) = launcher.reload();
    assert!(code == 4 && text.contains("exit 3"), "{code} {text}");
    launcher.wait_log("FAILED, the old generation serves", 2);
    assert_eq!(launcher.who("generation"), "1");
    fs::write(&mark, "").expect("written");
    launcher.wait("a later generation", || {
        (launcher.who("generation") != "1").then_some(())
    });
}

#[test]
fn of_too_many_old_generations_the_oldest_is_cut() {
    let case = Case::new();
    let settings = format!("{PLAIN}max_old_generations = 2\nreload_graceful_timeout = \"0s\"");
    let launcher = case.start_with(&settings).ready();
    let address = case.address;
    let mut slow = Vec::new();
    for _ in 0..3 {
        slow.push(thread::spawn(move || get(address, "/sleep/4000")));
        thread::sleep(Duration::from_millis(150));
        assert_eq!(launcher.reload().0, 0, "{}", launcher.log());
    }
    let answers: Vec<_> = slow
        .into_iter()
        .map(|it| it.join().expect("ran").ok())
        .collect();
    assert_eq!(answers[0], None, "{}", launcher.log());
    for (answer, generation) in answers[1..].iter().zip(["2 ", "3 "]) {
        let answer = answer.as_deref().unwrap_or_default();
        assert!(answer.starts_with(generation), "{answers:?}");
    }
}
