//! Waiting for the service manager of a node by its own events.
//!
//! The connection is one to the system bus of the node. Its end, the end of systemd's own connection
//! (at `daemon-reexec`) and a bus that is not there are no errors: it is made again until the
//! deadline. `/run/systemd/private`, which needs no bus, is closed to us: systemd refuses peers
//! whose pid it cannot see, as all processes outside of the node are for it.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use rustix::process::Pid;
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use zbus::connection::Builder;
use zbus::message::Message;
use zbus::{Connection, DynamicType, MessageStream, OwnedObjectPath};

use crate::process::is_alive;

/// Between two attempts to connect: a socket that is not there yet, in a namespace of mounts that
/// is being made, has no event to wait for.
const RECONNECT: Duration = Duration::from_millis(10);

/// How long a bus may take to answer while a condition is waited for.
const CONNECT: Duration = Duration::from_secs(1);

/// After this long a connection that is being made is given up, and another one tried.
const HANG: Duration = Duration::from_secs(5);

/// How often a condition outside systemd is looked at when systemd has nothing to report.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The state of a unit, in systemd's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitState {
    /// `LoadState`: `loaded`, `not-found`, `masked`, …
    pub load: String,
    /// `ActiveState`: `active`, `activating`, `failed`, …
    pub active: String,
    /// `SubState`: `running`, `exited`, `dead`, …
    pub sub: String,
}

impl fmt::Display for UnitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.load, self.active, self.sub)
    }
}

/// The service manager of one running node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manager {
    /// The node's first process, as the host knows it.
    pub(crate) leader: Pid,
}

impl Manager {
    /// The state of `unit` now; a unit without a file is `not-found inactive (dead)`.
    pub(crate) fn state(self, unit: &str, within: Duration) -> Result<UnitState> {
        self.wait_state(unit, |_| true, within)
    }

    /// Waits until `accept` is true of the state of `unit`, and returns that state.
    pub(crate) fn wait_state(
        self,
        unit: &str,
        accept: impl Fn(&UnitState) -> bool,
        within: Duration,
    ) -> Result<UnitState> {
        let last = RefCell::new(None);
        let check = async |connection: &Connection| {
            let state = unit_state(connection, unit).await?;
            let accepted = accept(&state);
            last.replace(Some(state.clone()));
            Ok(accepted.then_some(state))
        };
        self.observe(within, check)
            .with_context(|| match last.take() {
                Some(state) => format!("{unit} is {state}"),
                None => format!("{unit} was never seen"),
            })
    }

    /// Waits until `condition` holds. It is looked at after every signal of systemd, and at worst
    /// every 50 ms, because what it looks at may be outside systemd and then has no event.
    ///
    /// It may itself ask systemd: no runtime is entered while it is looked at.
    pub(crate) fn wait_until(
        self,
        mut condition: impl FnMut() -> bool,
        within: Duration,
    ) -> Result<()> {
        let runtime = runtime()?;
        let until = Instant::now() + within;
        let mut signals = None;
        while !condition() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("not as expected after {within:?}");
            }
            if !is_alive(self.leader) {
                bail!("the node is not running");
            }
            signals = runtime.block_on(self.next_signal(signals.take(), left));
        }
        Ok(())
    }

    /// Waits for a signal, not for long; the connection is made first where there is none, and is
    /// given back if there may be more.
    async fn next_signal(self, signals: Option<Signals>, left: Duration) -> Option<Signals> {
        match signals {
            Some(signals) => signals.next(left.min(LOOK_AGAIN)).await.then_some(signals),
            None => match timeout(left.min(CONNECT), Signals::connect(self.leader)).await {
                Ok(Ok(signals)) => Some(signals),
                Ok(Err(_)) | Err(_) => {
                    sleep(RECONNECT).await;
                    None
                }
            },
        }
    }

    /// Calls `check` with a connection until it returns something, after every signal of systemd.
    fn observe<T>(
        self,
        within: Duration,
        mut check: impl AsyncFnMut(&Connection) -> zbus::Result<Option<T>>,
    ) -> Result<T> {
        let runtime = runtime()?;
        let trouble = RefCell::new(None);
        let observing = async {
            loop {
                // An error means that systemd is not there yet, or executes itself again.
                match self.observe_once(&mut check).await {
                    Ok(found) => return Ok(found),
                    Err(error) => drop(trouble.replace(Some(error))),
                }
                if !is_alive(self.leader) {
                    bail!("the node is not running");
                }
                sleep(RECONNECT).await;
            }
        };
        let outcome = runtime.block_on(async { timeout(within, observing).await });
        outcome.unwrap_or_else(|_| match trouble.take() {
            Some(error) => Err(error.context(format!("not as expected after {within:?}"))),
            None => bail!("not as expected after {within:?}"),
        })
    }

    /// Does so on one connection, until that ends.
    async fn observe_once<T>(
        self,
        check: &mut impl AsyncFnMut(&Connection) -> zbus::Result<Option<T>>,
    ) -> Result<T> {
        let connecting = timeout(HANG, Signals::connect(self.leader)).await;
        let signals = connecting.context("the bus of the node does not answer")??;
        loop {
            if let Some(found) = check(&signals.connection).await? {
                return Ok(found);
            }
            if !signals.next_event().await {
                bail!("systemd has left the bus");
            }
        }
    }
}

/// A connection on which the arrival of every signal of systemd is noticed.
struct Signals {
    connection: Connection,
    arrived: Arc<Notify>,
    /// Set when nothing will arrive any more, since systemd or the bus is another now.
    ended: Arc<AtomicBool>,
}

impl Signals {
    async fn connect(leader: Pid) -> Result<Self> {
        let socket = format!("/proc/{leader}/root/run/dbus/system_bus_socket");
        let connection = Builder::unix_stream(UnixStream::connect(socket)?)
            .build()
            .await?;
        let arrived = Arc::new(Notify::new());
        let ended = Arc::new(AtomicBool::new(false));

        let mut owners = MessageStream::for_match_rule(OWNER_CHANGED, &connection, None).await?;
        let (notify, end) = (Arc::clone(&arrived), Arc::clone(&ended));
        tokio::spawn(async move {
            // Either a new owner or the end of the connection.
            let _ = owners.next().await;
            end.store(true, Ordering::Relaxed);
            notify.notify_one();
        });

        let mut signals = MessageStream::for_match_rule(SIGNALS, &connection, None).await?;
        let notify = Arc::clone(&arrived);
        // Read by a task of its own: a stream that nobody reads stalls the connection, replies too.
        tokio::spawn(async move {
            while let Some(Ok(_)) = signals.next().await {
                notify.notify_one();
            }
        });
        call(&connection, "Subscribe", &()).await?;
        Ok(Self {
            connection,
            arrived,
            ended,
        })
    }

    /// Waits for a signal; false when there will be no more.
    async fn next_event(&self) -> bool {
        self.arrived.notified().await;
        !self.ended.load(Ordering::Relaxed)
    }

    /// As [`Signals::next_event`], at most for the time given.
    async fn next(&self, tick: Duration) -> bool {
        timeout(tick, self.next_event())
            .await
            .unwrap_or_else(|_| !self.ended.load(Ordering::Relaxed))
    }
}

/// The runtime of one wait.
fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

/// All that systemd says of units and jobs (org.freedesktop.systemd1(5)).
const SIGNALS: &str = "type='signal',path_namespace='/org/freedesktop/systemd1'";

/// systemd has left the bus, or is back on it.
const OWNER_CHANGED: &str = "type='signal',sender='org.freedesktop.DBus',\
     member='NameOwnerChanged',arg0='org.freedesktop.systemd1'";

/// Calls a method of the manager.
async fn call<B>(connection: &Connection, method: &str, body: &B) -> zbus::Result<Message>
where
    B: Serialize + DynamicType,
{
    connection
        .call_method(
            Some("org.freedesktop.systemd1"),
            "/org/freedesktop/systemd1",
            Some("org.freedesktop.systemd1.Manager"),
            method,
            body,
        )
        .await
}

/// One row of `ListUnitsByNames` (org.freedesktop.systemd1(5)): name, description, load, active and
/// sub state, the unit followed, object path, and the job's id, type and path.
type Row = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

async fn unit_state(connection: &Connection, unit: &str) -> zbus::Result<UnitState> {
    let reply = call(connection, "ListUnitsByNames", &(vec![unit],)).await?;
    let rows: Vec<Row> = reply.body().deserialize()?;
    match rows.into_iter().next() {
        Some((_, _, load, active, sub, ..)) => Ok(UnitState { load, active, sub }),
        None => Err(io::Error::other(format!("systemd lists no unit {unit}")).into()),
    }
}
