//! Under another supervisor than systemd: runit, where `make deps` could bring it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tests::load::{Load, Target};

use super::world::{Case, LAUNCHER, SOON, get, runs, text_of, worker};

/// Its supervisor of one service, which is ended with what it runs.
struct Runsv(Child);

impl Drop for Runsv {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn runit_starts_it_reloads_it_and_starts_it_again() {
    if Command::new("sv").output().is_err() {
        return eprintln!("skipped: there is no runit (`make deps`)");
    }
    let case = Case::new();
    let (service, run) = (case.path("web"), case.path("run"));
    fs::create_dir_all(&service).expect("made");
    let worker = worker();
    let script = format!(
        "#!/bin/sh\nexec {LAUNCHER} --runtime-directory {} --listen {} --workers 2 --ready notify --confirm 0s -- {} 2>&1\n",
        text_of(&run),
        case.address,
        text_of(&worker),
    );
    fs::write(service.join("run"), script).expect("written");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(service.join("run"), mode).expect("set");
    let runsv = Command::new("runsv")
        .arg(&service)
        .spawn()
        .expect("started");
    let _runsv = Runsv(runsv);
    let generation = || {
        get(case.address, "/")
            .ok()?
            .split(' ')
            .next()
            .map(str::to_owned)
    };
    wait("an answer", || generation().filter(|it| it == "1"));
    let pid = || {
        let text = fs::read_to_string(service.join("supervise/pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    };
    let launcher = pid().expect("runs");

    let load = Load::new(Target::Tcp(case.address), 4).start();
    for number in ["2", "3"] {
        sv("hup", text_of(&service));
        wait("the next one", || generation().filter(|it| it == number));
    }
    let report = load.stop();
    assert!(report.losses() == 0 && report.answered > 10, "{report}");
    assert_eq!(
        pid(),
        Some(launcher),
        "runit has one process, always the same"
    );

    // One that is killed takes its workers with it, and is started again.
    kill_process(launcher, Signal::KILL).expect("sent");
    wait("another one", || pid().filter(|it| *it != launcher));
    wait("an answer", || generation().filter(|it| it == "1"));
    let second = pid().expect("runs");
    sv("down", text_of(&service));
    wait("the end", || {
        (!runs(second) && generation().is_none()).then_some(())
    });
}

fn sv(verb: &str, service: &str) {
    let done = Command::new("sv").args([verb, service]).output();
    let done = done.expect("ran");
    assert!(done.status.success(), "{done:?}");
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < SOON, "never {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
