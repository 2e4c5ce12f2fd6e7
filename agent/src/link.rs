//! The link to the controller: making it, and what is said over it as values. Calls that only pass
//! through to systemd never come to the core; each is a task of its own, within a bound.

mod codec;
mod files;
mod measure;
mod pass;
mod properties;
mod references;
mod status;
#[cfg(test)]
mod tests;
mod unit;

use std::{collections::BTreeSet, sync::Arc};

use host::{
    address::Address,
    link::{self, Limits, Link, LinkReceiver, LinkSender},
    log::{LEVELS, LogControl},
    stream::{TcpTuning, connect},
};
use node::{LinkId, ManagerError, limits::CONNECT};
use proto::{
    dbus::{error, error_name, internal},
    message::{Stream, ToAgent, ToController},
    model::JobId,
    name::UnitName,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::{JoinHandle, JoinSet},
};
use tracing::{debug, info};
use zbus::Message;

use crate::{
    drive::Caller,
    journal,
    limits::{JOURNAL_READS_MAX, PASSING_MAX, WATCHED_MAX},
    public::Asked,
    systemd::{Manager, UnitSignal, Watching, Which, chain},
};
use codec::{Calls, Heard};
use measure::Measures;
pub(crate) use pass::{is_shutting_down, unit_property};

/// What comes from the link.
#[derive(Debug)]
pub(crate) struct LinkEvent {
    /// Which connection.
    pub(crate) link: LinkId,
    pub(crate) what: LinkNews,
}

/// Something about a connection.
#[derive(Debug)]
pub(crate) enum LinkNews {
    Connected(LinkSender),
    Failed(String),
    Message(Message),
    Closed(String),
}

/// What a message of the controller's is about.
#[derive(Debug)]
pub(crate) enum ForUs {
    /// Something for the core.
    Core(ToAgent),
    /// Something about the agent itself.
    Asked(Asked, Caller),
}

/// What every connection uses.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) manager: Manager,
    pub(crate) log: Option<LogControl>,
    /// Whether the service manager is that of a user.
    pub(crate) is_user: bool,
    pub(crate) passing: Arc<Semaphore>,
    pub(crate) reading: Arc<Semaphore>,
}

impl Surroundings {
    pub(crate) fn new(manager: Manager, log: Option<LogControl>, is_user: bool) -> Self {
        Self {
            manager,
            log,
            is_user,
            passing: Arc::new(Semaphore::new(PASSING_MAX)),
            reading: Arc::new(Semaphore::new(JOURNAL_READS_MAX)),
        }
    }

    /// The level of the log.
    pub(crate) fn level(&self) -> tracing::Level {
        let level = self.log.as_ref().map(LogControl::level);
        level.unwrap_or(tracing::Level::INFO)
    }
}

/// The present connection.
#[derive(Debug)]
pub(crate) struct Connection {
    link: LinkId,
    task: JoinHandle<()>,
    sender: Option<LinkSender>,
    calls: Calls,
    /// Units that the controller wants to hear of.
    watched: BTreeSet<Which>,
    measures: Measures,
    /// Reads of the journal. They end with the connection: nobody waits for them any more.
    reads: JoinSet<()>,
}

impl Connection {
    /// Begins to connect; what comes of it is told to `events`.
    pub(crate) fn connect(
        link: LinkId,
        address: Address,
        tcp: TcpTuning,
        events: mpsc::Sender<LinkEvent>,
    ) -> Self {
        let task = tokio::spawn(async move {
            let news = match open(&address, &tcp).await {
                Ok(Link {
                    sender, receiver, ..
                }) => {
                    let connected = LinkEvent {
                        link,
                        what: LinkNews::Connected(sender),
                    };
                    if events.send(connected).await.is_err() {
                        return;
                    }
                    match pump(link, receiver, &events).await {
                        Some(why) => LinkNews::Closed(why),
                        None => return,
                    }
                }
                Err(why) => LinkNews::Failed(why),
            };
            // It fails when the loop is gone, and then nobody cares.
            let _ = events.send(LinkEvent { link, what: news }).await;
        });
        Self {
            link,
            task,
            sender: None,
            calls: Calls::default(),
            watched: BTreeSet::new(),
            measures: Measures::default(),
            reads: JoinSet::new(),
        }
    }

    pub(crate) fn is(&self, link: LinkId) -> bool {
        self.link == link
    }

    /// The connection stands.
    pub(crate) fn connected(&mut self, sender: LinkSender) {
        self.sender = Some(sender);
    }

    /// Says something to the controller.
    pub(crate) fn say(&mut self, message: &ToController) {
        let Some(sender) = &self.sender else {
            return;
        };
        if let ToController::JobDone { job, .. } = message
            && let Some(measured) = self.measures.ended(*job)
        {
            push_built(sender, measured);
        }
        if let ToController::JobIs { asked, .. } = message {
            self.measures.not_begun(*asked);
        }
        match self.calls.write(message, sender) {
            Ok(messages) => messages
                .into_iter()
                .for_each(|message| push(sender, message)),
            // Names and texts are valid, so this is a message beyond 128 MiB, which no bound of
            // the core allows; without it the sets would not stay equal.
            Err(error) => {
                tracing::error!(%error, "failed to write a message, closing the connection");
                sender.abort();
            }
        }
    }

    /// systemd has refused a job; its end follows.
    pub(crate) fn refused(&mut self, job: JobId, error: ManagerError) {
        self.calls.refused(job, error);
    }

    /// Takes in a message of the controller's. Returns what is not for the connection alone.
    ///
    /// # Errors
    ///
    /// Fails when it breaks the protocol; the connection is then ended.
    pub(crate) fn heard(
        &mut self,
        message: Message,
        around: &Surroundings,
    ) -> Result<Option<ForUs>, String> {
        let Some(sender) = self.sender.clone() else {
            return Ok(None);
        };
        let heard = match self.calls.read(&message) {
            Ok(heard) => heard,
            Err(why) => {
                push_error(&sender, &message, error::INVALID_ARGS, &why);
                sender.close();
                return Err(why);
            }
        };
        match heard {
            Heard::Say(message) => {
                self.measures.heard(&message);
                return Ok(Some(ForUs::Core(message)));
            }
            Heard::Watch(watching) => self.watch(watching, &sender, &message, around),
            Heard::Measure(on) => {
                self.measures.enable(on);
                push_reply(&sender, &message, &());
            }
            Heard::Asked(asked) => {
                let call = message;
                return Ok(Some(ForUs::Asked(asked, Caller { sender, call })));
            }
            Heard::Nothing => {}
            Heard::Pass => pass_on(message, sender, around.clone()),
            Heard::ReadJournal => self.read_journal(message, sender, around),
            Heard::Ping => push_reply(&sender, &message, &()),
            Heard::LogLevel(text) => match (level(&text), &around.log) {
                (Some(level), log) => {
                    info!(%level, "the controller has set the level of the log");
                    if let Some(log) = log {
                        log.set_level(level);
                    }
                    push_reply(&sender, &message, &());
                }
                (None, _) => {
                    let text = "expected one of DEBUG, INFO, WARN, ERROR";
                    push_error(&sender, &message, error::INVALID_ARGS, text);
                }
            },
            Heard::NotSupported => {
                let text = "dependencies of units are told in sets, not by this call";
                push_error(&sender, &message, error::NOT_SUPPORTED, text);
            }
            Heard::Invalid(text) => push_error(&sender, &message, error::INVALID_ARGS, &text),
            Heard::UnknownObject => {
                let text = format!("there is only {}", internal::AGENT_PATH);
                push_error(&sender, &message, error::UNKNOWN_OBJECT, &text);
            }
            Heard::Unknown => {
                push_error(
                    &sender,
                    &message,
                    error::UNKNOWN_METHOD,
                    "there is no such method",
                );
            }
        }
        Ok(None)
    }

    /// The controller wants to hear of units, or not any more.
    fn watch(
        &mut self,
        watching: Watching,
        sender: &LinkSender,
        call: &Message,
        around: &Surroundings,
    ) {
        match &watching {
            Watching::Begin(which)
                if !self.watched.contains(which) && self.watched.len() >= WATCHED_MAX =>
            {
                let text = format!("{WATCHED_MAX} units are watched already");
                return push_error(sender, call, error::LIMITS_EXCEEDED, &text);
            }
            Watching::Begin(which) => drop(self.watched.insert(which.clone())),
            Watching::End(which) => drop(self.watched.remove(which)),
            Watching::Forget => self.watched.clear(),
        }
        push_reply(sender, call, &());
        around.manager.watch(watching);
    }

    /// The controller wants to see lines of the journal.
    fn read_journal(&mut self, call: Message, sender: LinkSender, around: &Surroundings) {
        while self.reads.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&around.reading).try_acquire_owned() else {
            let text = format!("{JOURNAL_READS_MAX} reads of the journal are under way already");
            return push_error(&sender, &call, error::LIMITS_EXCEEDED, &text);
        };
        let is_user = around.is_user;
        self.reads.spawn(async move {
            match journal::answer(&call, is_user).await {
                Ok(answer) => push(&sender, answer),
                Err(ManagerError { name, text }) => push_error(&sender, &call, &name, &text),
            }
            drop(permit);
        });
    }

    /// Tells the controller of a unit, if it wants to hear: what systemd said may be older than the
    /// connection.
    pub(crate) fn tell(&self, signal: &UnitSignal) {
        if let (Some(sender), false) = (&self.sender, self.watched.is_empty()) {
            push_built(sender, unit::write(signal));
        }
    }

    /// What the unit is made of whose start the core asks for.
    pub(crate) fn take_made(&mut self, unit: &UnitName) -> Option<Message> {
        self.calls.take_made(unit)
    }

    /// The core has taken in the message that was heard last.
    pub(crate) fn taken_in(&mut self) {
        self.calls.drop_made();
    }

    /// Ends it, after what was said.
    pub(crate) fn disconnect(mut self) -> Ending {
        let Some(sender) = self.sender.take() else {
            self.task.abort();
            return Ending { sender: None };
        };
        // A message that was not acknowledged is why this ends.
        for message in self.calls.unacknowledged() {
            let text = "this message does not follow the protocol of sets";
            push_error(&sender, &message, error::INVALID_ARGS, text);
        }
        sender.close();
        Ending {
            sender: Some(sender),
        }
    }
}

/// A connection that writes its last words.
#[derive(Debug)]
pub(crate) struct Ending {
    sender: Option<LinkSender>,
}

impl Ending {
    /// Waits until they are written.
    pub(crate) async fn written(self) {
        if let Some(sender) = self.sender {
            sender.written().await;
        }
    }
}

async fn open(address: &Address, tcp: &TcpTuning) -> Result<Link, String> {
    let (stream, identity) = connect(address, CONNECT, tcp)
        .await
        .map_err(|error| chain(&error))?;
    Link::connect(stream, identity, Limits::TRUSTED)
        .await
        .map_err(|error| chain(&error))
}

/// Hands on what comes, until the end; `None` when nobody listens any more.
async fn pump(
    link: LinkId,
    mut receiver: LinkReceiver,
    events: &mpsc::Sender<LinkEvent>,
) -> Option<String> {
    loop {
        match receiver.recv().await {
            Some(Ok(message)) => {
                let what = LinkNews::Message(message);
                events.send(LinkEvent { link, what }).await.ok()?;
            }
            Some(Err(error)) => return Some(chain(&error)),
            None => return Some("the controller closed the connection".to_owned()),
        }
    }
}

/// Answers a call with what systemd answers.
fn pass_on(message: Message, sender: LinkSender, around: Surroundings) {
    let Ok(permit) = Arc::clone(&around.passing).try_acquire_owned() else {
        let text = format!("{PASSING_MAX} calls to systemd are under way already");
        push_error(&sender, &message, error::LIMITS_EXCEEDED, &text);
        return;
    };
    tokio::spawn(async move {
        match pass::answer(&message, &around.manager).await {
            Ok(answer) => {
                if link::expects_reply(&message) {
                    push(&sender, answer);
                }
            }
            Err(ManagerError { name, text }) => push_error(&sender, &message, &name, &text),
        }
        drop(permit);
    });
}

fn push(sender: &LinkSender, message: Message) {
    if sender.try_send(message).is_err() {
        debug!("the link has ended before a message was sent");
    }
}

fn push_built(sender: &LinkSender, message: zbus::Result<Message>) {
    match message {
        Ok(message) => push(sender, message),
        Err(error) => debug!(%error, "failed to write a signal"),
    }
}

fn push_reply<B>(sender: &LinkSender, call: &Message, body: &B)
where
    B: serde::Serialize + zbus::wire::DynamicType,
{
    if link::expects_reply(call)
        && let Ok(reply) = link::reply(call, body)
    {
        push(sender, reply);
    }
}

fn push_error(sender: &LinkSender, call: &Message, name: &str, text: &str) {
    if link::expects_reply(call)
        && let Ok(reply) = link::error(call, error_name(name).as_str(), text)
    {
        push(sender, reply);
    }
}

/// A level as BlueChi's clients write it.
fn level(text: &str) -> Option<tracing::Level> {
    let text = text.to_ascii_lowercase();
    LEVELS
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, level)| *level)
}
