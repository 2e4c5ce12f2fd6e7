//! The edge to the service manager, the system's or a user's. One task keeps a connection to systemd: to
//! its private socket where it lets us in, which needs no bus, is there before the bus and stays when
//! the bus restarts; otherwise through the bus. A session begins with a snapshot of all units of ours, and from then
//! on tells what changes, in the order in which systemd says it.
//!
//! When the connection ends (`daemon-reexec`, a restart of the bus), the next one is made at once and
//! begins with a snapshot again.

mod cache;
mod pending;
mod session;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use host::{
    address::Address,
    alarm::Alarm,
    link::{CallSerial, Limits, Link},
    scope::Scope,
    stream::{TcpOptions, connect},
};
use node::{CallId, FromManager, ManagerError, Request};
use proto::dbus::{error, systemd};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};
use zbus::Message;

use crate::limits::{MANAGER_BACKOFF, MANAGER_CONNECT, PRIVATE_ATTEMPTS};
use session::Session;
pub(crate) use session::error_of;
use watch::Watch;
pub(crate) use watch::{UnitSignal, Watching, Which};

/// Something that systemd has said.
#[derive(Debug)]
pub(crate) struct ManagerEvent {
    /// In which session. What the core asks belongs to one, and is dropped in another.
    pub(crate) session: u64,
    pub(crate) said: Said,
}

/// What it has said.
#[derive(Debug)]
pub(crate) enum Said {
    /// Something for the core.
    Core(FromManager),
    /// Something about a unit that the controller wants to hear of.
    Unit(UnitSignal),
}

/// Asks systemd.
#[derive(Clone, Debug)]
pub(crate) struct Manager {
    /// What is in it is bounded by those who ask: the core by its own bounds, calls that pass
    /// through by [`crate::limits::PASSING_MAX`].
    commands: mpsc::UnboundedSender<Command>,
}

/// Something to ask.
#[derive(Debug)]
enum Command {
    /// The core asks; the answer is an event.
    Core {
        session: u64,
        call: CallId,
        request: Request,
    },
    /// The core asks for a start, and the controller's message brings the unit that is made for it.
    Made {
        session: u64,
        call: CallId,
        message: Message,
    },
    /// The controller wants to hear of units, or not any more.
    Watch(Watching),
    /// Somebody else asks.
    Raw {
        method: RawMethod,
        answer: oneshot::Sender<Answer>,
    },
}

/// The answer to a call that is not the core's.
pub(crate) type Answer = Result<Message, ManagerError>;

/// Writes a call with the serial and the destination that the session gives it.
type WriteCall = Box<dyn FnOnce(CallSerial, Option<&'static str>) -> zbus::Result<Message> + Send>;

/// A call that is not the core's.
struct RawMethod(WriteCall);

impl std::fmt::Debug for RawMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawMethod")
    }
}

/// A way to systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Its own socket: no bus, no names.
    Private,
    /// The bus.
    Bus,
}

/// Where a systemd is reached.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    /// Its own socket, which lets in root and the user as whom it runs; nothing for anybody else.
    private: Option<PathBuf>,
    /// The bus that it is on, or why there is none.
    bus: Result<Address, String>,
}

impl Ways {
    /// To the service manager of `scope`. The own manager of a user lets in the user.
    pub(crate) fn of(scope: &Scope, is_root: bool) -> Self {
        Self {
            private: (is_root || scope.is_user()).then(|| scope.manager()),
            bus: host::bus::address(scope),
        }
    }

    /// The way that is tried next: the bus only where systemd's own socket is not for us, or has been
    /// refused for a while. After a `daemon-reexec` it is away for some milliseconds.
    fn next(&self, attempt: u32) -> Way {
        let is_early = attempt < PRIVATE_ATTEMPTS || attempt.is_multiple_of(2);
        if self.private.is_some() && is_early {
            Way::Private
        } else {
            Way::Bus
        }
    }

    fn address(&self, way: Way) -> Result<Address, String> {
        match (way, &self.private) {
            (Way::Private, Some(path)) => Ok(Address::Unix(path.clone())),
            (Way::Private, None) | (Way::Bus, _) => self.bus.clone(),
        }
    }
}

impl Way {
    fn destination(self) -> Option<&'static str> {
        match self {
            Self::Private => None,
            Self::Bus => Some(systemd::BUS_NAME),
        }
    }
}

impl Manager {
    /// Begins to connect.
    pub(crate) fn start(ways: Ways, events: mpsc::Sender<ManagerEvent>) -> Self {
        let (sender, commands) = mpsc::unbounded_channel();
        tokio::spawn(async move { keep(ways, commands, events).await });
        Self { commands: sender }
    }

    /// The core asks.
    pub(crate) fn ask(&self, session: u64, call: CallId, request: Request) {
        // It fails when the task is gone, and then so is the loop.
        let _ = self.commands.send(Command::Core {
            session,
            call,
            request,
        });
    }

    /// The core asks for a start; the unit is made of what the message has: name, mode, properties,
    /// auxiliary units, and the controller's number of the job, which is not systemd's affair.
    pub(crate) fn make(&self, session: u64, call: CallId, message: Message) {
        let _ = self.commands.send(Command::Made {
            session,
            call,
            message,
        });
    }

    /// The controller wants to hear of units, or not any more.
    pub(crate) fn watch(&self, watching: Watching) {
        let _ = self.commands.send(Command::Watch(watching));
    }

    /// Calls systemd with whatever `write` writes.
    ///
    /// # Errors
    ///
    /// Fails with systemd's own error, or when it is out of reach or does not answer in time.
    pub(crate) async fn call<W>(&self, write: W) -> Answer
    where
        W: FnOnce(CallSerial, Option<&'static str>) -> zbus::Result<Message> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let method = RawMethod(Box::new(write));
        let _ = self.commands.send(Command::Raw { method, answer });
        answered.await.unwrap_or_else(|_| Err(unreachable()))
    }
}

/// Keeps a session with systemd, for ever.
async fn keep(
    ways: Ways,
    mut commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<ManagerEvent>,
) {
    let mut attempt = 0_u32;
    let mut session = 0_u64;
    let mut watch = Watch::default();
    let mut alarm = Alarm::new();
    // What was logged last about each way, in this outage.
    let mut complaints: BTreeMap<Way, String> = BTreeMap::new();
    loop {
        let way = ways.next(attempt);
        let why = match open(ways.address(way)).await {
            Ok(link) => {
                session = session.saturating_add(1);
                let mut open = Session::new(session, link, way, std::mem::take(&mut watch));
                let ended = open.run(&mut commands, &events, &mut alarm).await;
                watch = open.take_watch();
                if open.is_reached() {
                    attempt = 0;
                    complaints.clear();
                    let said = Said::Core(FromManager::Disconnected);
                    if events.send(ManagerEvent { session, said }).await.is_err() {
                        return;
                    }
                }
                ended
            }
            Err(why) => why,
        };
        if complaints.get(&way) != Some(&why) {
            warn!(?way, why, "no connection to systemd, trying again");
            complaints.insert(way, why);
        }
        attempt = attempt.saturating_add(1);
        // One agent asks one systemd: there is nobody to come back in step with.
        let wait = MANAGER_BACKOFF.wait(attempt, 0);
        if pause(wait, &mut commands, &mut watch).await.is_none() {
            return;
        }
    }
}

/// Waits, and answers what is asked meanwhile. `None` when nobody asks any more.
async fn pause(
    wait: Duration,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    watch: &mut Watch,
) -> Option<()> {
    let sleep = tokio::time::sleep(wait);
    tokio::pin!(sleep);
    loop {
        let command = tokio::select! {
            () = &mut sleep => return Some(()),
            command = commands.recv() => command?,
        };
        match command {
            // How the units are is asked for when systemd is reached again.
            Command::Watch(watching) => drop(watch.change(watching)),
            Command::Core { call, .. } | Command::Made { call, .. } => {
                debug!(?call, "dropped a call of an earlier session")
            }
            // Where nobody waits any more, nobody needs an answer.
            Command::Raw { answer, .. } => drop(answer.send(Err(unreachable()))),
        }
    }
}

async fn open(address: Result<Address, String>) -> Result<Link, String> {
    let connected = connect(&address?, MANAGER_CONNECT, &TcpOptions::default()).await;
    let (stream, identity) = connected.map_err(|error| chain(&error))?;
    Link::connect(stream, identity, Limits::TRUSTED)
        .await
        .map_err(|error| chain(&error))
}

fn unreachable() -> ManagerError {
    ManagerError {
        name: error::NO_REPLY.to_owned(),
        text: "systemd of this node is not reachable".to_owned(),
    }
}

/// The text of an error with those of its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
