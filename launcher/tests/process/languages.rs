//! The examples of workers in other languages keep the same contract. One whose language is not on
//! this machine is skipped, and says so.

use std::{path::Path, process::Command, time::Duration};

use test_case::test_case;
use tests::load::{Load, Target};

use super::world::{Case, text_of};

#[test_case("python3", "worker.py")]
#[test_case("node", "worker.js")]
fn a_worker_of_another_language_loses_nothing(interpreter: &str, file: &str) {
    if Command::new(interpreter).arg("--version").output().is_err() {
        return eprintln!("skipped: there is no {interpreter}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../units/example/launcher");
    let script = folder.join(file);
    loses_nothing(&[interpreter, text_of(&script)]);
}

/// TERM at the worst of moments: while the main thread holds the lock that a thread needs to begin. A
/// handler that starts one there waits forever, and so do the clients that it has accepted.
#[test]
fn a_worker_in_python_is_not_stuck_by_a_term_that_comes_inside_a_lock() {
    // `threading._stop` calls it with the lock; where Python has none any more, any place will do.
    const AT_A_BAD_MOMENT: &str = "
import os, runpy, signal, sys, threading
place = '_maintain_shutdown_locks' if hasattr(threading, '_maintain_shutdown_locks') else 'is_alive'
def trace(frame, event, _):
    if frame.f_code.co_name == place:
        sys.settrace(None)
        open(once, 'x').close()
        os.kill(os.getpid(), signal.SIGTERM)
script, once = sys.argv[1:]
if not os.path.exists(once):
    sys.settrace(trace)
runpy.run_path(script, run_name='__main__')
";
    let case = Case::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../units/example/launcher/worker.py");
    let once = case.path("once");
    let worker = [
        "python3",
        "-c",
        AT_A_BAD_MOMENT,
        text_of(&script),
        text_of(&once),
    ];
    let launcher = case.start(&[&["--workers", "1", "--"], &worker[..]].concat());
    let launcher = launcher.ready();
    let first = launcher.workers();
    let load = Load::new(Target::Tcp(case.address), 2).start();
    launcher.wait("another worker", || {
        let now = launcher.workers();
        (now.len() == 1 && now != first).then_some(())
    });
    let report = load.stop();
    assert!(
        once.exists() && report.losses() == 0 && report.answered > 2,
        "{report}\n{}",
        launcher.log()
    );
}

#[test]
fn a_worker_in_go_loses_nothing() {
    let case = Case::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../units/example/launcher");
    let program = case.path("worker");
    let built = Command::new("go")
        .args(["build", "-o", text_of(&program), "worker.go"])
        .env("GOCACHE", case.path("cache"))
        .env("GO111MODULE", "off")
        .current_dir(folder)
        .output();
    match built {
        Err(_) => return eprintln!("skipped: there is no go"),
        Ok(built) => assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        ),
    }
    loses_nothing(&[text_of(&program)]);
}

fn loses_nothing(command: &[&str]) {
    let case = Case::new();
    let all = [&["--workers", "2", "--confirm", "0s", "--"], command].concat();
    let launcher = case.start(&all).ready();
    let target = || Target::Tcp(case.address);
    let fresh = Load::new(target(), 4).start();
    let kept = Load::new(target(), 4)
        .kept(Duration::from_millis(20))
        .start();
    for _ in 0..3 {
        assert_eq!(launcher.reload().0, 0, "{}", launcher.log());
    }
    launcher.wait("the old ones to go", || {
        (launcher.workers().len() == 2).then_some(())
    });
    for report in [fresh.stop(), kept.stop()] {
        assert!(
            report.losses() == 0 && report.answered > 20,
            "{report}\n{}",
            launcher.log()
        );
    }
}
