//! What the kernel says about a process.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};

/// A process, by its number on the host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

/// Its memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All that is mapped and there.
    pub(crate) rss: u64,
    /// What is shared counts in parts.
    pub(crate) pss: u64,
    /// What no file is behind: heap and stacks.
    pub(crate) anonymous: u64,
}

impl Process {
    pub(crate) fn new(pid: u32) -> Self {
        Self(pid)
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    fn read(self, name: &str) -> Result<String> {
        let path = self.file(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    pub(crate) fn memory(self) -> Result<Memory> {
        let text = self.read("smaps_rollup")?;
        let bytes = |key: &str| -> Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            let line = line.with_context(|| format!("no {key} in smaps_rollup"))?;
            let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
            Ok(kib << 10)
        };
        Ok(Memory {
            rss: bytes("Rss:")?,
            pss: bytes("Pss:")?,
            anonymous: bytes("Anonymous:")?,
        })
    }

    /// The time that it has had a processor, of all its threads.
    pub(crate) fn processor(self) -> Result<Duration> {
        let mut sum = Duration::ZERO;
        for thread in fs::read_dir(self.file("task"))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let first = text.split(' ').next().unwrap_or_default();
            sum += Duration::from_nanos(first.parse()?);
        }
        Ok(sum)
    }

    /// How often it has gone to sleep, and therefore woken up; of all its threads.
    pub(crate) fn sleeps(self) -> Result<u64> {
        let mut sum = 0;
        for thread in fs::read_dir(self.file("task"))? {
            let text = fs::read_to_string(thread?.path().join("status"))?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sum += line.context("no switches")?.trim().parse::<u64>()?;
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_memory_and_time() {
        let own = Process::new(std::process::id());
        let memory = own.memory().unwrap();
        assert!(memory.rss >= memory.pss && memory.pss > 0 && memory.anonymous > 0);
        assert!(own.processor().unwrap() > Duration::ZERO);
        own.sleeps().unwrap();
    }
}
