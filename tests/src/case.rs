//! Running a case on real systemd nodes.

use std::env;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use anyhow::{Result, bail};

use crate::base::Base;
use crate::cgroup::Hierarchies;
use crate::fleet::{Fleet, FleetBuilder};
use crate::stage::Stage;

/// Lines of each node's journal that are shown when a case fails.
const JOURNAL_LINES: usize = 120;

/// Programs of the host that the harness runs, with the Debian packages that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("systemd-nspawn", "systemd-container"),
    ("journalctl", "systemd"),
    ("dbus-daemon", "dbus"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
];

/// Boots the fleet and runs `body` on it. When that fails, or panics, the journals of all nodes are
/// written to standard error first.
///
/// Where the host cannot run systemd nodes (no root, a program or the stage is missing), the case
/// is skipped, and says why; with `UNITLINK_REQUIRE_SYSTEM=1` in the environment that is a failure.
/// At most two cases run at a time, or as many as `UNITLINK_PARALLEL` says.
///
/// # Panics
///
/// When the case fails, as a test does.
#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn case(builder: FleetBuilder, body: impl FnOnce(&Fleet) -> Result<()>) {
    let name = builder.case().to_owned();
    if let Err(reason) = prerequisites(builder.needs_stage()) {
        return skip(&name, &reason);
    }
    let _permit = Permit::take();
    let fleet = match builder.boot() {
        Ok(fleet) => fleet,
        Err(error) => panic!("{error:#}"),
    };
    match panic::catch_unwind(AssertUnwindSafe(|| body(&fleet))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            // Before the journals too: where only the beginning of all this is kept, it is in it.
            tell(&format!("case {name}: {error:#}\n"));
            tell(&fleet.journals(JOURNAL_LINES));
            drop(fleet);
            panic!("case {name}: {error:#}");
        }
        Err(payload) => {
            tell(&fleet.journals(JOURNAL_LINES));
            drop(fleet);
            panic::resume_unwind(payload);
        }
    }
}

/// Skips a case that cannot run here, and says why.
///
/// # Panics
///
/// With `UNITLINK_REQUIRE_SYSTEM=1` in the environment, as a test that fails.
#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn skip(name: &str, reason: &anyhow::Error) {
    if env::var_os("UNITLINK_REQUIRE_SYSTEM").is_some_and(|value| value == "1") {
        panic!("case {name} cannot run: {reason:#}");
    }
    tell(&format!("case {name} skipped: {reason:#}\n"));
}

/// The folder `tests/system/CASE` of the case with this name, for [`FleetBuilder::folder`].
#[must_use]
pub fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("system")
        .join(case)
}

/// Whether systemd nodes can run on this host.
///
/// # Errors
///
/// When they cannot, with the first reason found.
pub fn prerequisites(needs_stage: bool) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("needs root, for namespaces");
    }
    for (program, package) in PROGRAMS {
        if !is_installed(program) {
            bail!("{program} is not installed (package {package})");
        }
    }
    Hierarchies::find()?;
    Base::find()?;
    if needs_stage {
        Stage::find()?;
    }
    Ok(())
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Writes to the standard error of the test process. The test runner of Rust captures what the
/// print macros write and shows it only when a test fails; this is seen in any case.
fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// The right to run nodes; fewer cases at a time finish sooner than many that wait for each other.
struct Permit;

static TAKEN: Mutex<usize> = Mutex::new(0);
static RETURNED: Condvar = Condvar::new();

impl Permit {
    fn take() -> Self {
        let most = env::var("UNITLINK_PARALLEL")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(2)
            .max(1);
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = RETURNED
            .wait_while(taken, |taken| *taken >= most)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        RETURNED.notify_one();
    }
}
