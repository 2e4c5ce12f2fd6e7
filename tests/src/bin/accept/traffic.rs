//! Clients: the real `ctl`, over and over, each of which waits until its job has ended.

use std::{
    process::Output,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use tests::rng::Rng;

use crate::world::Commands;

/// Clients, each with a job of its own.
const CLIENTS: u32 = 8;

/// How many nodes they have jobs on: fewer than there are clients, so that two often want the same.
const NODES: u64 = 4;

/// How often each begins one, if the last has ended: twenty jobs in a second.
const EVERY: Duration = Duration::from_millis(400);

/// The exit code of a `ctl` that found no controller, before it has asked for anything.
const UNREACHABLE: i32 = 8;

/// What a controller that drains says to whoever wants something new.
const STOPPING: &str = "org.unitlink.Stopping";

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
    refused: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

/// What has become of the jobs of all clients.
pub(crate) struct Sum {
    /// Those that have succeeded.
    pub(crate) done: u64,
    /// Clients that came while there was no controller, and were told so; nothing was begun for them.
    pub(crate) absent: u64,
    /// Clients that were told that the controller is stopping; nothing was begun for them either.
    pub(crate) refused: u64,
    /// What anything else has said.
    pub(crate) wrong: Vec<String>,
}

impl Traffic {
    /// Clients with jobs on a few nodes, all on the same, so that equal requests come at nearly the same moment, and the
    /// next one soon after: each is carried out once, and told its own end.
    pub(crate) fn begin(commands: &Commands, nodes: usize) -> Self {
        let nodes = u64::try_from(nodes).unwrap_or(u64::MAX).min(NODES);
        let shared = Arc::new(Shared::default());
        let threads = (0..CLIENTS).map(|number| {
            let (shared, commands) = (Arc::clone(&shared), commands.clone());
            thread::spawn(move || {
                let mut rng = Rng::new(u64::from(number) + 1);
                let mut next = Instant::now() + EVERY * number / CLIENTS;
                while !shared.stop.load(Ordering::Relaxed) {
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                    next = Instant::now().max(next + EVERY);
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
            refused: self.shared.refused.load(Ordering::Relaxed),
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
                if said.contains(STOPPING) {
                    self.refused.fetch_add(1, Ordering::Relaxed);
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
