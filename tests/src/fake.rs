//! Agents without a machine, to see what a controller does with hundreds or thousands of nodes.
//!
//! Each speaks the real protocol over a connection of its own: it registers, says that it lives, lists
//! its units, does jobs, keeps the holds that it is told and needs what it is told to need. There is
//! no systemd behind it: a unit is a word and a state. All run on the thread that calls [`run`], and
//! one that has nothing to do costs a few kilobytes.

mod agent;
mod answer;
mod job;
mod ledger;
mod ping;
mod units;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail, ensure};
use host::{
    address::Address,
    clock,
    link::{Limits, Link},
    stream::{TcpOptions, connect},
};
use node::limits::RECONNECT;
use proto::{
    message::{ClaimKey, PROTOCOL},
    name::{NodeName, UnitName},
};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep},
};

use agent::Agent;
use units::Units;

pub use ledger::{Ledger, Need};
pub use ping::RoundTrips;

/// How long a connection may take to be made: a controller that takes in thousands is slow.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Agents that connect at the same time. Machines of their own would not wait for each other, and as many as
/// this fit into the queue of the kernel, which drops what does not; the rest wait here.
const CONNECTING_MAX: usize = 4096;

/// What has happened to the agents of a plan.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections that were lost after they had registered.
    pub lost: AtomicU64,
    /// Connections that could not be made, or came to nothing before they registered.
    pub failed: AtomicU64,
    /// Jobs that were carried out.
    pub jobs: AtomicU64,
    /// Commands whose job was known already; they are answered and not carried out.
    pub repeated: AtomicU64,
    /// How long the controller took to answer.
    pub round_trips: RoundTrips,
    ledger: Mutex<Ledger>,
}

impl Counts {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// What is needed and what is held.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which agents there are, and how they behave.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the controller listens.
    pub controller: Address,
    /// The names of nodes are this and a number of five digits, from 1.
    pub prefix: String,
    /// How many there are.
    pub count: usize,
    /// Services that run on each: `app1.service` and so on. Others come to be with their first job.
    pub services: usize,
    /// How often an agent says that it lives.
    pub heartbeat: Duration,
    /// How long a job, or the start of a held unit, takes.
    pub job_time: Duration,
    /// On so many nodes, the first ones, every job fails.
    pub failing: usize,
    /// So many agents, the last ones, say that they live and answer no call.
    pub silent: usize,
    /// What every node needs of others.
    pub needs: Vec<ClaimKey>,
    /// Each node needs `shared.service` of so many nodes that come after it.
    pub neighbours: usize,
    /// How often each asks the controller whether it is there, to see how long that takes; never, if
    /// this is zero.
    pub ping: Duration,
    /// The version of the protocol that they speak; 0 is BlueChi's, which has no needs, no holds and no memory.
    pub protocol: u32,
    /// What has happened to them.
    pub counts: Arc<Counts>,
    /// Whether all links are broken just now.
    pub broken: watch::Receiver<bool>,
    /// So many agents, the first ones, stand still just now: their connections are open, and they neither
    /// read nor write.
    pub frozen: watch::Receiver<usize>,
}

impl Plan {
    fn is_bluechis(&self) -> bool {
        self.protocol == 0
    }

    /// `count` agents of this controller, with ten services each, whose jobs take 10 ms.
    pub fn new(controller: Address, count: usize) -> Self {
        Self {
            controller,
            prefix: "fake".to_owned(),
            count,
            services: 10,
            heartbeat: Duration::from_secs(2),
            job_time: Duration::from_millis(10),
            failing: 0,
            silent: 0,
            needs: Vec::new(),
            neighbours: 0,
            ping: Duration::ZERO,
            protocol: PROTOCOL,
            counts: Arc::default(),
            broken: watch::channel(false).1,
            frozen: watch::channel(0).1,
        }
    }

    /// The names of the nodes.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (1..=self.count).map(|number| format!("{}{number:05}", self.prefix))
    }

    /// What a controller's configuration needs to let them in and to need things of each other: a
    /// drop-in.
    pub fn configuration(&self) -> String {
        let names: Vec<_> = self.names().collect();
        let mut text = String::new();
        for (index, name) in names.iter().enumerate() {
            let fixed = self.needs.iter().map(|need| need.node.as_str());
            let after = self.after(index).filter_map(|after| names.get(after));
            let needs = fixed.chain(after.map(String::as_str));
            let needs: Vec<_> = needs.map(|node| format!("\"{node}\"")).collect();
            let needs = needs.join(", ");
            text.push_str(&format!("[node.{name}]\n"));
            if !needs.is_empty() {
                text.push_str(&format!("allow_dependencies_on = [{needs}]\n"));
            }
        }
        text
    }

    /// The nodes after this one of which it needs something.
    fn after(&self, index: usize) -> impl Iterator<Item = usize> {
        let count = self.count;
        let steps = 1..=self.neighbours.min(count.saturating_sub(1));
        steps.filter_map(move |step| (index + step).checked_rem(count))
    }
}

/// Runs the agents until the caller drops this. `online` counts those that are registered.
///
/// # Errors
///
/// When a name is not valid, the machine does not allow so many connections, or the controller does
/// not want one of them. A connection that is lost is no error, it is made again.
pub async fn run(plan: Plan, online: watch::Sender<usize>) -> Result<()> {
    allow_connections(plan.count)?;
    let units = Units::running(plan.services)?;
    let shared: UnitName = "shared.service".parse()?;
    let names = plan.names().map(|name| Ok(name.parse::<NodeName>()?));
    let names = names.collect::<Result<Vec<_>>>()?;
    let doors = Doors {
        online,
        connecting: Arc::new(Semaphore::new(CONNECTING_MAX)),
        plan: Arc::new(plan),
    };
    let mut agents = JoinSet::new();
    for (index, name) in names.iter().enumerate() {
        let plan = Arc::clone(&doors.plan);
        let after = plan.after(index).filter_map(|after| names.get(after));
        let after = after.map(|node| ClaimKey {
            node: node.clone(),
            unit: shared.clone(),
        });
        let needs = plan.needs.iter().cloned().chain(after).collect();
        let agent = Agent::new(name.clone(), index, plan, units.clone(), needs)?;
        agents.spawn(doors.clone().keep_connected(agent));
    }
    match agents.join_next().await {
        Some(Ok(rejected)) => bail!("{rejected}"),
        Some(Err(error)) => Err(error.into()),
        None => Ok(()),
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// The controller does not want this node.
    Rejected(String),
    /// It came to nothing before the agent was registered.
    Failed,
    /// It was lost, so long after the agent was registered.
    Lost(Duration),
}

/// What all agents share.
#[derive(Clone, Debug)]
struct Doors {
    plan: Arc<Plan>,
    connecting: Arc<Semaphore>,
    online: watch::Sender<usize>,
}

impl Doors {
    /// Connects an agent again and again; yields why the controller does not want it.
    async fn keep_connected(self, mut agent: Agent) -> String {
        let (mut attempt, mut too_short) = (0_u32, 0);
        loop {
            let counts = &self.plan.counts;
            match self.connection(&mut agent).await {
                End::Rejected(why) => return format!("{} is rejected: {why}", agent.name()),
                End::Lost(lasted) => {
                    Counts::add(&counts.lost);
                    too_short = RECONNECT.too_short(too_short, lasted);
                    attempt = too_short;
                }
                End::Failed => {
                    Counts::add(&counts.failed);
                    attempt = attempt.saturating_add(1);
                }
            }
            sleep(RECONNECT.wait(attempt, clock::random_u64().unwrap_or(0))).await;
        }
    }

    async fn connection(&self, agent: &mut Agent) -> End {
        let mut broken = self.plan.broken.clone();
        // Whoever can break links is gone when nobody can.
        let _ = broken.wait_for(|broken| !broken).await;
        let Ok(turn) = self.connecting.acquire().await else {
            return End::Failed;
        };
        let options = TcpOptions::default();
        let connected = connect(&self.plan.controller, CONNECT_TIME, &options).await;
        let Ok((stream, identity)) = connected else {
            return End::Failed;
        };
        let Ok(link) = Link::connect(stream, identity, Limits::TRUSTED).await else {
            return End::Failed;
        };
        let online = &self.online;
        let mut turn = Some(turn);
        let mut registered = None;
        let serving = agent.serve(link, || {
            turn.take();
            registered = Some(Instant::now());
            online.send_modify(|count| *count += 1);
        });
        let breaks = async {
            if broken.wait_for(|broken| *broken).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let rejected = tokio::select! {
            rejected = serving => rejected,
            () = breaks => None,
        };
        if registered.is_some() {
            online.send_modify(|count| *count -= 1);
        }
        match (rejected, registered) {
            (Some(why), _) => End::Rejected(why),
            (None, Some(since)) => End::Lost(since.elapsed()),
            (None, None) => End::Failed,
        }
    }
}

/// A connection is a descriptor; a few more are ours.
fn allow_connections(count: usize) -> Result<()> {
    let needed = u64::try_from(count)?.saturating_add(64);
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "{count} connections need a limit of {needed} descriptors, and {:?} is the most (ulimit -Hn)",
        limit.maximum
    );
    limit.current = Some(needed);
    setrlimit(Resource::Nofile, limit)?;
    Ok(())
}
