//! Running tests, and what came of them.

use std::{
    fmt, fs,
    os::unix::process::CommandExt,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{
    scratch::Scratch,
    table::{Layer, Suite},
};

/// Tests that go on for longer than this hang: without a mutant they take a tenth of it.
const PATIENCE: Duration = Duration::from_secs(300);

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// These tests have failed.
    Failed(Vec<String>),
    /// They did not end, or ended without a word about any test.
    Broke(&'static str),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("nothing"),
            Self::Failed(tests) => {
                f.write_str(tests.first().map_or("", String::as_str))?;
                match tests.len().saturating_sub(1) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Self::Broke(how) => f.write_str(how),
        }
    }
}

/// Runs tests in the copy of the tree.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    scratch: &'a Scratch,
    seeds: u32,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(scratch: &'a Scratch, seeds: u32) -> Self {
        Self { scratch, seeds }
    }

    /// Builds, which must go well, and runs.
    pub(crate) fn run(&self, suite: Suite) -> Result<Verdict> {
        let build = self
            .cargo(suite, true)
            .output()
            .context("cannot run cargo")?;
        if !build.status.success() {
            bail!(
                "it does not build:\n{}",
                String::from_utf8_lossy(&build.stderr)
            );
        }
        let said = self.scratch.builds.join("said");
        let log = fs::File::create(&said)?;
        let mut tests = self.cargo(suite, false);
        tests
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .process_group(0);
        let status = within(PATIENCE, &mut tests)?;
        let said = fs::read(&said)?;
        let said = String::from_utf8_lossy(&said);
        Ok(match status {
            None => Verdict::Broke("it hangs"),
            Some(status) if status.success() => Verdict::Passed,
            Some(_) => match failed(&said) {
                tests if tests.is_empty() => Verdict::Broke("the tests end at once"),
                tests => Verdict::Failed(tests),
            },
        })
    }

    fn cargo(&self, suite: Suite, builds_only: bool) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        command
            .current_dir(&self.scratch.tree)
            .env("CARGO_TARGET_DIR", &self.scratch.builds)
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("SIM_SEEDS", self.seeds.to_string())
            .args(["test", "--offline", "-p", suite.package])
            // A warning of the compiler about what is left of a rule is no news.
            .env("RUSTFLAGS", "--cap-lints=allow");
        match suite.layer {
            Layer::Core => command.arg("--lib"),
            Layer::Scenario | Layer::Seeds | Layer::Walk => command.args(["--test", "sim"]),
        };
        if builds_only {
            command.arg("--no-run");
            return command;
        }
        let filter: &[&str] = match suite.layer {
            Layer::Core => &[],
            Layer::Scenario => &["scenario::"],
            Layer::Seeds => &["run::seeds"],
            Layer::Walk => &["walk::"],
        };
        command.arg("--").args(filter);
        command
    }
}

/// Waits for the end of a command; whoever takes longer is killed, with all that it has started.
fn within(time: Duration, command: &mut Command) -> Result<Option<ExitStatus>> {
    let mut child = command.spawn().context("cannot run cargo")?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (ended, end) = mpsc::channel();
    let waits = thread::spawn(move || ended.send(child.wait()));
    let status = match end.recv_timeout(time) {
        Ok(status) => Some(status?),
        Err(_) => {
            if let Some(group) = group {
                kill_process_group(group, Signal::KILL)?;
            }
            None
        }
    };
    let _ = waits.join();
    Ok(status)
}

/// The tests that have failed, by what the harness says of them.
fn failed(said: &str) -> Vec<String> {
    let lines = said.lines();
    let failed = lines.filter_map(|line| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        let name = name.strip_suffix(" - should panic").unwrap_or(name);
        Some(name.to_owned())
    });
    let mut failed: Vec<_> = failed.collect();
    failed.sort();
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_failed_is_told_by_the_harness() {
        let said = "running 3 tests\ntest b::c ... FAILED\ntest a ... FAILED\ntest d ... ok\n\
                    test result: FAILED. 1 passed\n";
        let verdict = Verdict::Failed(failed(said));
        assert_eq!(verdict.to_string(), "a and 1 more");
    }

    #[test]
    fn what_does_not_end_is_killed() {
        let mut command = Command::new("sleep");
        command.arg("60").process_group(0);
        assert!(
            within(Duration::from_millis(50), &mut command)
                .unwrap()
                .is_none()
        );
        let mut command = Command::new("true");
        command.process_group(0);
        assert!(within(PATIENCE, &mut command).unwrap().unwrap().success());
    }
}
