//! One real systemd, in namespaces of its own: its life and its cable. What is done inside of it,
//! and what is asked of its units, is below.

mod inside;
mod unit;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Pid;

use crate::base::Base;
use crate::boot::{self, Running};
use crate::cgroup::Cgroup;
pub use crate::command::Output;
use crate::command::await_child;
use crate::island::Island;
pub use crate::network::Link;
use crate::network::{self, Port};
use crate::process::Inside;
use crate::stage::Stage;
use crate::tree::Tree;
use crate::watch::Manager;
pub use crate::watch::UnitState;

/// For what takes milliseconds unless the machine is badly overloaded: a command inside a node, its
/// boot, its end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One node of a fleet. All methods can be called from several threads.
#[derive(Debug)]
pub struct Node {
    name: String,
    port: Port,
    island: Arc<Island>,
    base: Base,
    stage: Option<Stage>,
    cgroup: Cgroup,
    root: Tree,
    running: Mutex<Option<Running>>,
}

impl Node {
    /// Lays out a node's files and joins it to the network; it does not run yet.
    pub(crate) fn create(
        name: &str,
        port: Port,
        hosts: &str,
        island: &Arc<Island>,
        base: &Base,
        stage: Option<&Stage>,
    ) -> Result<Self> {
        network::join(island, name, port)?;
        let root = boot::make_root(island, name, hosts, base, stage)?;
        Ok(Self {
            name: name.to_owned(),
            port,
            island: Arc::clone(island),
            base: base.clone(),
            stage: stage.cloned(),
            cgroup: island.cgroup().child(name),
            root,
            running: Mutex::new(None),
        })
    }

    /// Its name, which is its host name too.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the bridge.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.port.v4()
    }

    /// Its IPv6 address on the bridge.
    #[must_use]
    pub fn address6(&self) -> Ipv6Addr {
        self.port.v6()
    }

    /// Boots it, and waits until systemd has reached `basic.target` and answers. Files and journals
    /// of an earlier life are kept, except those below `/run`.
    ///
    /// # Errors
    ///
    /// When it runs already, or does not come up; the error holds what its console shows.
    pub fn boot(&self) -> Result<()> {
        {
            let mut running = self.running();
            if running.is_some() {
                bail!("{} runs already", self.name);
            }
            self.cgroup.create()?;
            let started = boot::start(
                &self.island,
                &self.name,
                &self.cgroup,
                (&self.base, self.stage.as_ref()),
                PATIENCE,
            )
            .with_context(|| format!("cannot boot {}", self.name))?;
            *running = Some(started);
        }
        self.manager()?
            .wait_state("basic.target", |state| state.active == "active", PATIENCE)
            .with_context(|| format!("{} does not come up\n{}", self.name, self.console()))?;
        Ok(())
    }

    /// Whether the node's first process is alive.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let mut running = self.running();
        running
            .as_mut()
            .is_some_and(|it| matches!(it.nspawn.try_wait(), Ok(None)))
    }

    /// Shuts it down in order, as `systemctl poweroff` does.
    ///
    /// # Errors
    ///
    /// When it does not run, or is not down after 30 s.
    pub fn power_off(&self) -> Result<()> {
        // The connection may end before the answer: what counts is the end of the node.
        let _ = self.run(&["systemctl", "--no-block", "poweroff"])?;
        let mut running = self.running();
        let it = running.as_mut().context("the node is not running")?;
        if await_child(&mut it.nspawn, PATIENCE)?.is_none() {
            bail!("{} is still up {PATIENCE:?} after poweroff", self.name);
        }
        self.cgroup.destroy(PATIENCE)?;
        *running = None;
        Ok(())
    }

    /// Kills all of its processes at once. The kernel lives on, and so closes their connections:
    /// peers see the end of the stream. See [`Node::crash`] for the other case.
    ///
    /// # Errors
    ///
    /// When a process survives; that it did not run is a success.
    pub fn kill(&self) -> Result<()> {
        let mut running = self.running();
        self.cgroup.destroy(PATIENCE)?;
        if let Some(mut it) = running.take() {
            it.nspawn.wait()?;
        }
        Ok(())
    }

    /// Kills it with its link cut first, so that nobody hears of it: power is gone.
    /// [`Node::heal_link`] is needed after a later [`Node::boot`].
    ///
    /// # Errors
    ///
    /// As [`Node::kill`].
    pub fn crash(&self) -> Result<()> {
        self.cut_link()?;
        self.kill()
    }

    /// Stops all of its processes at one moment, as a suspend does, and its packets wait in the sockets.
    /// Unlike in a suspend, the monotonic clock goes on.
    ///
    /// # Errors
    ///
    /// When the kernel does not do it.
    pub fn suspend(&self) -> Result<()> {
        self.cgroup.freeze(true, PATIENCE)
    }

    /// Lets it go on after [`Node::suspend`].
    ///
    /// # Errors
    ///
    /// When the kernel does not do it.
    pub fn resume(&self) -> Result<()> {
        self.cgroup.freeze(false, PATIENCE)
    }

    /// Loses every packet from and to this node from now on, silently.
    ///
    /// # Errors
    ///
    /// When the network cannot be changed.
    pub fn cut_link(&self) -> Result<()> {
        self.set_link(Link::Cut)
    }

    /// Carries packets again after [`Node::cut_link`], [`Node::crash`] or [`Link::Down`].
    ///
    /// # Errors
    ///
    /// When the network cannot be changed.
    pub fn heal_link(&self) -> Result<()> {
        self.set_link(Link::Up)
    }

    /// Makes the cable of this node be as `link` says.
    ///
    /// # Errors
    ///
    /// When the network cannot be changed.
    pub fn set_link(&self, link: Link) -> Result<()> {
        network::set(&self.island, &self.name, self.port, link)
    }

    fn manager(&self) -> Result<Manager> {
        Ok(Manager {
            leader: self.leader()?,
        })
    }

    fn inside(&self) -> Result<Inside> {
        Ok(Inside {
            leader: self.leader()?,
            cgroup: self.cgroup.init_scope(),
        })
    }

    fn leader(&self) -> Result<Pid> {
        let running = self.running();
        let it = running
            .as_ref()
            .with_context(|| format!("{} is not running", self.name))?;
        Ok(it.leader)
    }

    /// The files as the running node sees them, with its `/run`; `None` when it does not run.
    fn tree(&self) -> Result<Option<Tree>> {
        if !self.is_running() {
            return Ok(None);
        }
        let leader = self.leader()?;
        Tree::open(format!("/proc/{leader}/root").as_ref()).map(Some)
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        // A thread that panicked here left either a running node or none, both of which are true.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The island takes care of what is left.
        let _ = self.kill();
    }
}
