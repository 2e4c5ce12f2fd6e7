//! Servers as they are, with the command lines that their own manuals have. `make deps` brings them; what
//! is not there is skipped, and says so.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::{Signal, kill_process};
use test_case::test_case;
use tests::{
    daemon::wait_until,
    load::{Load, Running, Target},
};

use super::world::{Case, LAUNCHER, Launcher};

const WSGI: &str = "def application(environ, start_response):\n    \
    start_response('200 OK', [('Content-Length', '3')])\n    return [b'ok\\n']\n";
const ASGI: &str = "async def application(scope, receive, send):\n    \
    if scope['type'] != 'http':\n        return\n    \
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'3')]})\n    \
    await send({'type': 'http.response.body', 'body': b'ok\\n'})\n";

/// Where `make deps` has put them.
fn folder() -> PathBuf {
    let built = Path::new(LAUNCHER).parent().and_then(Path::parent);
    built.expect("in a folder").join("python-servers")
}

fn is_there(server: &str) -> bool {
    let found = Command::new("python3")
        .args(["-c", &format!("import {server}")])
        .env("PYTHONPATH", folder())
        .output();
    let is_there = found.is_ok_and(|it| it.status.success());
    if !is_there {
        eprintln!("skipped: there is no {server} (`make deps`)");
    }
    is_there
}

/// A launcher that runs a command in the folder of the case, where a shell would find the server.
fn launch(case: &Case, command: &[&str], programs: &[&str]) -> Launcher {
    let bin = case.path("bin");
    fs::create_dir_all(&bin).expect("made");
    for program in programs {
        let text = format!("#!/bin/sh\nexec python3 -m {program} \"$@\"\n");
        fs::write(bin.join(program), text).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(bin.join(program), mode).expect("set");
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", bin.display());
    let python = folder();
    let variables = [
        ("PATH", path.as_str()),
        ("PYTHONPATH", python.to_str().expect("a plain path")),
    ];
    case.launch(command, &variables)
}

/// New connections over three reloads; nothing may be lost.
fn loses_nothing(launcher: &Launcher, target: Target) {
    let load = Load::new(target, 4).start();
    for _ in 0..3 {
        assert_eq!(launcher.reload().0, 0, "{}", launcher.log());
        std::thread::sleep(Duration::from_millis(300));
    }
    nothing_was_lost(launcher, load);
}

fn nothing_was_lost(launcher: &Launcher, load: Running) {
    launcher.wait("enough answers", || (load.answered() > 50).then_some(()));
    let report = load.stop();
    assert_eq!(report.losses(), 0, "{report}\n{}", launcher.log());
}

/// The command line of hupwatch's own manual, with the launcher in its place, and `kill -HUP`; as it is there, and with
/// what its help has.
#[test_case(&[]; "as in the manual")]
#[test_case(&["-w", "1"]; "with a time to warm up")]
#[test_case(&["-vv", "--warmup-time", "0.5", "--kill-at-exit"]; "with all options")]
fn a_command_line_of_hupwatch_works_as_it_is(options: &[&str]) {
    if !is_there("gunicorn") {
        return;
    }
    let case = Case::new();
    fs::write(case.path("myapp.py"), WSGI).expect("written");
    let socket = case.path("myapp.sock");
    let bind = format!("unix:{}", socket.display());
    let server = ["--", "gunicorn", "myapp:application", "--bind", &bind];
    let line = [options, &server].concat();
    let launcher = launch(&case, &line, &["gunicorn"]).ready();
    let load = Load::new(Target::Unix(socket.clone()), 4).start();
    for generation in 2..4 {
        launcher.signal(Signal::HUP);
        launcher.wait_log(&format!("done: gen {generation} serves"), 1);
    }
    nothing_was_lost(&launcher, load);
    // Whatever ends the launcher ends the server, here without being asked as well. gunicorn's own workers notice by
    // themselves that it is gone, within a second.
    let (_, server) = launcher.workers()[0];
    let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
    let children = children.expect("it serves");
    launcher.signal(Signal::KILL);
    launcher.wait("nobody answers", || {
        UnixStream::connect(&socket).is_err().then_some(())
    });
    for child in children.split_whitespace() {
        let program = format!("/proc/{child}/exe");
        wait_until("it has ended", || fs::read_link(&program).is_err());
    }
}

/// hupwatch leaves its child behind unless it is told otherwise; here that is asked for.
#[test]
fn a_server_may_be_left_behind_as_hupwatch_does() {
    if !is_there("gunicorn") {
        return;
    }
    let case = Case::new();
    fs::write(case.path("myapp.py"), WSGI).expect("written");
    let socket = case.path("myapp.sock");
    let bind = format!("unix:{}", socket.display());
    let server = ["--", "gunicorn", "myapp:application", "--bind", &bind];
    let line = [&["--leave-at-exit"][..], &server].concat();
    let launcher = launch(&case, &line, &["gunicorn"]).ready();
    let (_, left) = launcher.workers()[0];
    let load = Load::new(Target::Unix(socket), 4).start();
    launcher.signal(Signal::KILL);
    std::thread::sleep(Duration::from_millis(500));
    nothing_was_lost(&launcher, load);
    kill_process(left, Signal::TERM).expect("it is there");
    let program = format!("/proc/{left}/exe");
    wait_until("it has ended", || fs::read_link(&program).is_err());
}

#[test]
fn gunicorn_loses_nothing() {
    if !is_there("gunicorn") {
        return;
    }
    let case = Case::new();
    fs::write(case.path("app.py"), WSGI).expect("written");
    let address = case.address.to_string();
    let line = [
        "--confirm",
        "0s",
        "--listen",
        &address,
        "--",
        "gunicorn",
        "--threads",
        "4",
        "app:application",
    ];
    let launcher = launch(&case, &line, &["gunicorn"]).ready();
    loses_nothing(&launcher, Target::Tcp(case.address));
}

#[test]
fn uvicorn_that_waits_for_what_it_has_accepted_loses_nothing() {
    if !is_there("uvicorn") {
        return;
    }
    let case = Case::new();
    fs::write(case.path("app.py"), ASGI).expect("written");
    let example = "../units/example/launcher/worker_uvicorn.py";
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(example);
    let script = script.display().to_string();
    let address = case.address.to_string();
    let line = [
        "--confirm",
        "0s",
        "--listen",
        &address,
        "--",
        "python3",
        &script,
        "app:application",
    ];
    let launcher = launch(&case, &line, &[]).ready();
    loses_nothing(&launcher, Target::Tcp(case.address));
}
