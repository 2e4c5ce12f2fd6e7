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
