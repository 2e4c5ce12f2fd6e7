//! One cgroup for each generation, where the unit has `Delegate=yes` and cgroup v2 is there: memory and
//! processor time are then told by generation, and whatever a generation has started goes with it, also
//! what has left its process group.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use generations::GenerationId;

use crate::{limits::CGROUPS_LEAVING_MAX, log};

/// Where the launcher itself is: processes and controllers are not in the same cgroup, cgroups(7).
const OWN: &str = "launcher";

/// The part of the tree that was delegated to this unit.
#[derive(Debug)]
pub(crate) struct Cgroups {
    base: PathBuf,
    /// Of generations that are over, with processes that are not gone yet.
    leaving: Vec<PathBuf>,
}

/// What a generation uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpu_usec: Option<u64>,
}

impl Cgroups {
    /// What was delegated; nothing if nothing was. `is_left` is for workers that outlive the launcher:
    /// then no controller is enabled, since systemd could not put the next launcher beside them.
    pub(crate) fn take(is_left: bool) -> Option<Self> {
        let own = directory_of(&fs::read_to_string("/proc/self/cgroup").ok()?)?;
        let base = unit_of(&own).filter(|it| is_delegated(it))?;
        let cgroups = Self {
            base: base.to_owned(),
            leaving: Vec::new(),
        };
        if let Err(error) = cgroups.settle(is_left) {
            log::warn(&format!(
                "{} cannot be divided among generations, ignoring: {error}",
                cgroups.base.display()
            ));
            return None;
        }
        Some(cgroups)
    }

    fn settle(&self, is_left: bool) -> io::Result<()> {
        for path in self.generations() {
            // One that is empty is of a launcher before this one.
            let _ = fs::remove_dir(path);
        }
        let own = self.base.join(OWN);
        create(&own)?;
        fs::write(own.join("cgroup.procs"), "0")?;
        if is_left {
            return Ok(());
        }
        // Not `cpu`: it would change how time is shared. Used time is told without it.
        for controller in ["+memory", "+pids"] {
            // One that is not there is one that tells nothing.
            let _ = fs::write(self.base.join("cgroup.subtree_control"), controller);
        }
        Ok(())
    }

    fn path(&self, generation: GenerationId) -> PathBuf {
        self.base.join(format!("gen-{}", generation.0))
    }

    /// Where a worker of a generation writes itself. One that cannot be had is no reason not to serve.
    pub(crate) fn entrance(&self, generation: GenerationId) -> Option<OwnedFd> {
        let path = self.path(generation);
        create(&path).ok()?;
        let file = fs::File::options()
            .write(true)
            .open(path.join("cgroup.procs"));
        crate::sockets::away(file.ok()?.into()).ok()
    }

    pub(crate) fn usage(&self, generation: GenerationId) -> Usage {
        let path = self.path(generation);
        let read = |file: &str| fs::read_to_string(path.join(file)).ok();
        let cpu = read("cpu.stat").and_then(|text| {
            let line = text.lines().find_map(|it| it.strip_prefix("usage_usec "))?;
            line.parse().ok()
        });
        Usage {
            memory_bytes: read("memory.current").and_then(|it| it.trim().parse().ok()),
            cpu_usec: cpu,
        }
    }

    /// All workers of a generation have ended: what they have left goes as well.
    pub(crate) fn close(&mut self, generation: GenerationId) {
        self.leaving.push(self.path(generation));
        if self.leaving.len() > CGROUPS_LEAVING_MAX {
            // Somebody has divided it further; the service manager removes it at the stop.
            self.leaving.remove(0);
        }
        self.sweep();
    }

    /// Removes the cgroups of generations that are over, as soon as nobody is in them.
    pub(crate) fn sweep(&mut self) {
        self.leaving.retain(|path| {
            if fs::remove_dir(path).is_ok() || !path.exists() {
                return false;
            }
            let _ = fs::write(path.join("cgroup.kill"), "1");
            true
        });
    }

    /// Kills everything in every generation, at the end.
    pub(crate) fn kill_all(&self) {
        for path in self.generations() {
            let _ = fs::write(path.join("cgroup.kill"), "1");
        }
    }

    fn generations(&self) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(&self.base).into_iter().flatten().flatten();
        entries.map(|it| it.path()).filter(|it| is_generation(it))
    }
}

/// The cgroup of a process under `/sys/fs/cgroup`, from its line in `/proc/PID/cgroup`.
fn directory_of(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|it| it.strip_prefix("0::/"))?;
    Some(Path::new("/sys/fs/cgroup").join(path))
}

/// The cgroup of the unit: only that of a service is ours to divide, and not that of a container, into
/// which somebody else may want to put processes.
fn unit_of(own: &Path) -> Option<&Path> {
    let has_moved = own.file_name().is_some_and(|it| it == OWN);
    let base = if has_moved { own.parent()? } else { own };
    base.extension()
        .is_some_and(|it| it == "service")
        .then_some(base)
}

/// As systemd marks what a unit may divide by itself.
fn is_delegated(path: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0; 8];
        rustix::fs::getxattr(path, *name, &mut value).is_ok_and(|it| it == 1 && value[0] == b'1')
    })
}

fn is_generation(path: &Path) -> bool {
    let name = path.file_name().and_then(|it| it.to_str());
    name.is_some_and(|it| it.starts_with("gen-"))
}

fn create(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_of_a_process_is_that_of_version_2() {
        let mixed = "4:memory:/a\n0::/system.slice/web.service\n";
        let expected = Path::new("/sys/fs/cgroup/system.slice/web.service");
        assert_eq!(directory_of(mixed).as_deref(), Some(expected));
        assert_eq!(directory_of("4:memory:/a\n"), None);
    }

    #[test]
    fn only_a_service_is_divided() {
        let unit = Path::new("/sys/fs/cgroup/system.slice/web.service");
        assert_eq!(unit_of(unit), Some(unit));
        assert_eq!(unit_of(&unit.join("launcher")), Some(unit));
        for other in [
            "/sys/fs/cgroup",
            "/sys/fs/cgroup/a.slice/b.scope",
            "/sys/fs/cgroup/user@1.service/init.scope",
        ] {
            assert_eq!(unit_of(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn what_was_not_delegated_is_left_alone() {
        assert!(!is_delegated(Path::new("/proc")));
        assert!(!is_delegated(Path::new("/nowhere")));
    }
}
