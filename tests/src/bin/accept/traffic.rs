//! Clients: the real `ctl`, over and over, each of which waits until its job has ended.

use std::{
    process::Output,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, anyhow};
use tests::rng::Rng;

use crate::world::Commands;

/// The exit code of a `ctl` that found no controller, before it has asked for anything.
const UNREACHABLE: i32 = 8;

/// Clients that go on until they are stopped.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    done: AtomicU64,
    absent: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

/// What has become of the jobs of all clients.
pub(crate) struct Sum {
    /// Those that have succeeded.
    pub(crate) done: u64,
    /// Clients that came while there was no controller, and were told so; nothing was begun for them.
    pub(crate) absent: u64,
    /// What anything else has said.
    pub(crate) wrong: Vec<String>,
}

impl Traffic {
    /// So many clients at the same time, each with a job on any of the nodes.
    pub(crate) fn begin(commands: &Commands, nodes: usize, clients: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let threads = (0..clients).map(|number| {
            let (shared, commands) = (Arc::clone(&shared), commands.clone());
            thread::spawn(move || {
                let mut rng = Rng::new(number + 1);
                while !shared.stop.load(Ordering::Relaxed) {
                    let nodes = u64::try_from(nodes).unwrap_or(1);
                    let node = format!("fake{:05}", rng.below(nodes) + 1);
                    let output = commands.ctl(&["restart", &node, "app1.service"]);
                    shared.take(output.map_err(|error| error.to_string()));
                }
            })
        });
        let threads = threads.collect();
        Self { shared, threads }
    }

    /// Stops them, each after its present job.
    pub(crate) fn end(self) -> Result<Sum> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow!("a client broke down"))?;
        }
        let wrong = self.shared.wrong.lock();
        let wrong = wrong.map(|wrong| wrong.clone()).unwrap_or_default();
        Ok(Sum {
            done: self.shared.done.load(Ordering::Relaxed),
            absent: self.shared.absent.load(Ordering::Relaxed),
            wrong,
        })
    }
}

impl Shared {
    fn take(&self, output: Result<Output, String>) {
        let wrong = match output {
            Ok(output) if output.status.success() => {
                self.done.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                if output.status.code() == Some(UNREACHABLE) && said.contains("is not on the") {
                    self.absent.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(20));
                    return;
                }
                format!("{}: {said}", output.status)
            }
            Err(error) => error,
        };
        if let Ok(mut all) = self.wrong.lock() {
            all.push(wrong);
        }
    }
}
