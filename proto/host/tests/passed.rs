//! Descriptors are taken from the environment once, by the process that they are for.
//!
//! It has no test harness, since that has threads. It runs itself again through a shell, which opens
//! descriptors 3 and 4 and sets the variables as systemd does: `exec` keeps the pid.

use std::{
    env,
    os::fd::AsRawFd,
    process::{Command, ExitCode},
    sync::mpsc,
    thread,
};

use host::passed::{self, PassedError};
use rustix::io::{FdFlags, fcntl_getfd};

/// Says which case a run of this program is.
const CASE: &str = "HOST_TEST_PASSED";

/// A case, what the shell does for it, and what must hold then.
type Case = (&'static str, &'static str, fn() -> Result<(), String>);

const CASES: [Case; 5] = [
    (
        "what is passed is taken once",
        "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=agents:web LISTEN_PIDFDID=1 exec \"$0\"",
        taken_once,
    ),
    (
        "what is passed to another process is left alone",
        "LISTEN_PID=1 LISTEN_FDS=2 exec \"$0\"",
        || check(taken()?.is_empty(), "nothing is taken"),
    ),
    ("nothing is passed", "exec \"$0\"", || {
        check(taken()?.is_empty(), "nothing is taken")
    }),
    (
        "descriptors that are not open",
        "LISTEN_PID=$$ LISTEN_FDS=3 exec \"$0\"",
        || {
            check(
                matches!(passed::take(), Err(PassedError::Broken(_))),
                "it is an error",
            )
        },
    ),
    (
        "there is another thread",
        "LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\"",
        too_late,
    ),
];

fn main() -> ExitCode {
    let outcome = match env::var(CASE) {
        Err(_) => run_all(),
        Ok(name) => CASES
            .iter()
            .find(|(case, _, _)| *case == name)
            .map_or(Err(format!("no case '{name}'")), |(_, _, rule)| rule()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            let _ = text.lines().try_for_each(|line| {
                std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes())
            });
            ExitCode::FAILURE
        }
    }
}

fn run_all() -> Result<(), String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    for (case, script, _) in CASES {
        let status = Command::new("/bin/sh")
            .args([
                "-c",
                &format!("exec 3</dev/null 4</dev/null 5<&-; {script}"),
            ])
            .arg(&program)
            .env(CASE, case)
            .status()
            .map_err(|error| error.to_string())?;
        check(status.success(), case)?;
    }
    Ok(())
}

fn taken_once() -> Result<(), String> {
    let passed = taken()?;
    let names: Vec<_> = passed
        .iter()
        .map(|it| (it.name.as_str(), it.fd.as_raw_fd()))
        .collect();
    check(names == [("agents", 3), ("web", 4)], "each has its name")?;
    let closed = |it: &passed::Passed| fcntl_getfd(&it.fd).is_ok_and(|it| it == FdFlags::CLOEXEC);
    check(passed.iter().all(closed), "they are closed on execve")?;
    check(taken()?.is_empty(), "they are taken once")?;
    let left = env::vars().find(|(name, _)| name.starts_with("LISTEN_"));
    check(
        left.is_none(),
        "the environment holds nothing of it any more",
    )
}

fn too_late() -> Result<(), String> {
    let (end, wait) = mpsc::channel::<()>();
    let other = thread::spawn(move || wait.recv());
    let taken = passed::take();
    drop(end);
    let _ = other.join();
    check(matches!(taken, Err(PassedError::Threads)), "it is an error")
}

fn taken() -> Result<Vec<passed::Passed>, String> {
    passed::take().map_err(|error| error.to_string())
}

fn check(holds: bool, rule: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("does not hold: {rule}"))
    }
}
