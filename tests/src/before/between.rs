//! Who sits between an agent and a controller and knows protocol 4 and nothing else.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use host::{
    address::{Address, ListenAddress},
    clock,
    link::{Limits, Link},
    stream::{BoxStream, Identity, Listener, TcpOptions, UnixOptions, connect},
};
use tokio::task::JoinSet;
use zbus::Message;

use super::{Conversation, Side};

/// How many connections may wait to be taken.
const BACKLOG: i32 = 128;

/// How long a connection to the controller may take to be made.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// What was said between them.
#[derive(Clone, Debug, Default)]
pub struct Between(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    members: Vec<(Side, String)>,
    unknown: Vec<String>,
}

impl Between {
    /// What protocol 4 does not know, one line each. The connection was closed over it.
    pub fn unknown(&self) -> Vec<String> {
        self.heard(|heard| heard.unknown.clone())
    }

    /// How often one side has said this.
    pub fn count(&self, side: Side, member: &str) -> usize {
        let is_it = |it: &&(Side, String)| it.0 == side && it.1 == member;
        self.heard(|heard| heard.members.iter().filter(is_it).count())
    }

    fn heard<T>(&self, look: impl FnOnce(&mut Heard) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hear(&self, conversation: &mut Conversation, side: Side, message: &Message) -> bool {
        let header = message.header();
        let member = header
            .member()
            .map_or_else(String::new, |it| it.to_string());
        let checked = conversation.say(side, message);
        self.heard(|heard| {
            heard.members.push((side, member));
            heard.unknown.extend(checked.clone().err());
        });
        checked.is_ok()
    }
}

/// Listens for agents here, and connects each to this controller, until the caller drops this.
///
/// # Errors
///
/// When it cannot listen there.
pub async fn between(socket: PathBuf, controller: Address, heard: Between) -> Result<()> {
    let address = ListenAddress::unix(socket)?;
    let (unix, tcp) = (UnixOptions::default(), TcpOptions::default());
    let listener = Listener::bind(&address, unix, BACKLOG, tcp)?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, identity) = listener.accept().await?;
        let (controller, heard) = (controller.clone(), heard.clone());
        connections.spawn(async move {
            // However it ends, both ends see their connection closed.
            let _ = pass(stream, identity, controller, heard).await;
        });
    }
}

async fn pass(
    stream: BoxStream,
    identity: Identity,
    controller: Address,
    heard: Between,
) -> Result<()> {
    let guid = clock::random_guid()?;
    let mut agent = Link::serve(stream, identity, guid, |_| true, Limits::TRUSTED).await?;
    let options = TcpOptions::default();
    let (stream, identity) = connect(&controller, CONNECT_TIME, &options).await?;
    let mut controller = Link::connect(stream, identity, Limits::TRUSTED).await?;
    let mut conversation = Conversation::default();
    loop {
        let (side, message, to) = tokio::select! {
            message = agent.receiver.recv() => (Side::Agent, message, &controller.sender),
            message = controller.receiver.recv() => (Side::Controller, message, &agent.sender),
        };
        let Some(Ok(message)) = message else {
            break;
        };
        if !heard.hear(&mut conversation, side, &message) {
            break;
        }
        to.try_send(message)?;
    }
    agent.sender.close();
    controller.sender.close();
    Ok(())
}
