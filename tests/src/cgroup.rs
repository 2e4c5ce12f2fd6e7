//! The cgroups of fleets: everything of a fleet is in one tree, named for the process that owns it,
//! so that it can be killed as a whole and found again when its owner is gone.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::{event::PollFlags, io::Errno};

use crate::command::readable;

/// All our cgroups begin with this.
const PREFIX: &str = "unitlink-test-";

/// Where the cgroup hierarchies are mounted.
#[derive(Debug, Clone)]
pub(crate) struct Hierarchies {
    /// cgroup v2, which the nodes use and which kills (`cgroup.kill`, since Linux 5.14).
    pub(crate) v2: PathBuf,
    /// The v1 hierarchy `name=systemd` of a hybrid host, in which nspawn makes a cgroup too.
    pub(crate) v1: Option<PathBuf>,
}

impl Hierarchies {
    /// Looks at the usual places (`file-hierarchy(7)`, and `/sys/fs/cgroup/unified` when hybrid).
    ///
    /// # Errors
    ///
    /// When this host has no cgroup v2.
    pub(crate) fn find() -> Result<Self> {
        let top = Path::new("/sys/fs/cgroup");
        if top.join("cgroup.controllers").exists() {
            return Ok(Self {
                v2: top.into(),
                v1: None,
            });
        }
        let v2 = top.join("unified");
        if !v2.join("cgroup.controllers").exists() {
            bail!("no cgroup v2 at /sys/fs/cgroup or /sys/fs/cgroup/unified");
        }
        let v1 = top.join("systemd");
        Ok(Self {
            v2,
            v1: v1.exists().then_some(v1),
        })
    }
}

/// One cgroup with all that is below it, in every hierarchy.
#[derive(Debug, Clone)]
pub(crate) struct Cgroup {
    v2: PathBuf,
    v1: Option<PathBuf>,
}

impl Cgroup {
    /// Names the cgroup `name` at the top of the hierarchies; makes nothing.
    pub(crate) fn top(at: &Hierarchies, name: &str) -> Self {
        Self {
            v2: at.v2.join(name),
            v1: at.v1.as_ref().map(|v1| v1.join(name)),
        }
    }

    /// Names a cgroup below this one; makes nothing.
    pub(crate) fn child(&self, name: &str) -> Self {
        Self {
            v2: self.v2.join(name),
            v1: self.v1.as_ref().map(|v1| v1.join(name)),
        }
    }

    /// The cgroup in which the node's own systemd has put itself; it manages cgroup v2 only.
    pub(crate) fn init_scope(&self) -> Self {
        Self {
            v2: self.v2.join("payload/init.scope"),
            v1: None,
        }
    }

    /// Makes it in every hierarchy; one that is there is kept.
    pub(crate) fn create(&self) -> Result<()> {
        for dir in self.directories() {
            fs::create_dir_all(dir)
                .with_context(|| format!("cannot make cgroup {}", dir.display()))?;
        }
        Ok(())
    }

    /// The files to which a process writes 0 to move itself here.
    pub(crate) fn procs(&self) -> Vec<PathBuf> {
        self.directories()
            .map(|dir| dir.join("cgroup.procs"))
            .collect()
    }

    /// Stops everything in it from running, or lets it go on (`cgroup.freeze`), and waits until it is so.
    ///
    /// # Errors
    ///
    /// When the kernel does not do it within `timeout`.
    pub(crate) fn freeze(&self, on: bool, timeout: Duration) -> Result<()> {
        let file = self.v2.join("cgroup.freeze");
        fs::write(&file, if on { "1" } else { "0" })
            .with_context(|| format!("cannot write {}", file.display()))?;
        let line = if on { "frozen 1" } else { "frozen 0" };
        let end = Instant::now() + timeout;
        let events = self.v2.join("cgroup.events");
        while !fs::read_to_string(&events)?.lines().any(|it| it == line) {
            if Instant::now() >= end {
                bail!("{} is not '{line}'", self.v2.display());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Kills everything in it with SIGKILL, waits until nothing is left, and removes it.
    ///
    /// A cgroup that does not exist is a success.
    ///
    /// # Errors
    ///
    /// When a process is still there after `timeout`.
    pub(crate) fn destroy(&self, timeout: Duration) -> Result<()> {
        // Somebody else may be at the same work, and may have removed it at any moment.
        match self.kill(timeout) {
            Err(error) if is_gone(&error) => {}
            ended => ended?,
        }
        for dir in self.directories() {
            remove_tree(dir);
        }
        Ok(())
    }

    fn kill(&self, timeout: Duration) -> Result<()> {
        fs::write(self.v2.join("cgroup.kill"), "1")
            .with_context(|| format!("cannot kill {}", self.v2.display()))?;
        self.await_empty(timeout)
    }

    fn await_empty(&self, timeout: Duration) -> Result<()> {
        let until = Instant::now() + timeout;
        let path = self.v2.join("cgroup.events");
        loop {
            let mut events = String::new();
            let mut file = File::open(&path)?;
            file.read_to_string(&mut events)?;
            if !events.lines().any(|line| line == "populated 1") {
                return Ok(());
            }
            let left = until.saturating_duration_since(Instant::now());
            // A change since the read above shows as POLLPRI at once (cgroups(7)).
            if left.is_zero() || !readable(&file, PollFlags::PRI, left)? {
                bail!(
                    "{} still has processes {timeout:?} after SIGKILL",
                    self.v2.display()
                );
            }
        }
    }

    fn directories(&self) -> impl Iterator<Item = &Path> {
        [Some(self.v2.as_path()), self.v1.as_deref()]
            .into_iter()
            .flatten()
    }
}

/// Whether there is no such cgroup any more. A file of one that was open then says so by itself (`ENODEV`).
fn is_gone(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| {
        error.kind() == io::ErrorKind::NotFound
            || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
    })
}

/// A name for the cgroup of a new fleet of this process.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub(crate) fn fresh_name() -> Result<String> {
    static FLEETS: AtomicU32 = AtomicU32::new(0);
    let pid = process::id();
    let start = start_time(pid).context("cannot read /proc/self/stat")?;
    Ok(format!(
        "{PREFIX}{pid}-{start}-{}",
        FLEETS.fetch_add(1, Ordering::Relaxed)
    ))
}

/// Destroys the fleets whose owners are gone. Usually there are none: a supervisor cleans up after
/// its owner, and only when both were killed is something left for here.
///
/// # Errors
///
/// When the cgroups cannot be listed, or a process survives.
pub(crate) fn destroy_stale(at: &Hierarchies) -> Result<()> {
    for entry in fs::read_dir(&at.v2)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some((pid, start)) = owner(name) else {
            continue;
        };
        if start_time(pid) != Some(start) {
            Cgroup::top(at, name).destroy(Duration::from_secs(10))?;
        }
    }
    Ok(())
}

/// The owner of a fleet by the name of its cgroup: pid and start time.
fn owner(name: &str) -> Option<(u32, u64)> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    let pid = parts.next()?.parse().ok()?;
    let start = parts.next()?.parse().ok()?;
    parts.next()?.parse::<u32>().ok()?;
    parts.next().is_none().then_some((pid, start))
}

/// When a process began, in clock ticks since boot: with the pid it names a process for good.
fn start_time(pid: u32) -> Option<u64> {
    parse_start_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of `/proc/PID/stat` (proc(5)); the name in field 2 may hold spaces and parentheses.
fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// Removes the directories of an empty cgroup from below. The owner's supervisor may be at the same
/// work, so what cannot be removed is not an error.
fn remove_tree(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_that_somebody_else_has_removed_is_destroyed() {
        let v2 = std::env::temp_dir().join(fresh_name().unwrap());
        let cgroup = Cgroup { v2, v1: None };
        cgroup.destroy(Duration::ZERO).unwrap();
    }

    #[test]
    fn the_owner_is_read_back_from_a_fresh_name() {
        let name = fresh_name().unwrap();
        let (pid, start) = owner(&name).unwrap();
        assert_eq!(pid, process::id());
        assert_eq!(start_time(pid), Some(start));
    }

    #[test]
    fn a_foreign_cgroup_has_no_owner() {
        for name in [
            "system.slice",
            "unitlink-test-",
            "unitlink-test-1-2",
            "unitlink-test-1-x-0",
            "unitlink-test-1-2-3-4",
        ] {
            assert_eq!(owner(name), None, "{name}");
        }
    }

    #[test]
    fn the_start_time_is_found_behind_a_name_with_parentheses() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        assert_eq!(parse_start_time(stat), Some(4242));
    }
}
