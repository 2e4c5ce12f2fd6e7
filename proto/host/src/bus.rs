//! A service on a bus: its connection, made again and again, its names taken, calls handed on; and
//! what every object of a service has.

pub mod object;

use std::{env, time::Duration};

use proto::{backoff::Backoff, dbus::error};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use zbus::{Message, message::Type};

use crate::{
    address::Address,
    clock::random_u64,
    link::{self, Limits, Link, LinkReceiver, LinkSender, Method},
    scope::Scope,
    stream::{TcpOptions, connect},
};

/// What a service is on its bus.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// The names that it takes, in this order.
    pub names: &'static [&'static str],
    /// What it wants to hear, as match rules (D-Bus specification, "Match Rules").
    pub matches: &'static [&'static str],
    /// Messages that may wait for the bus to read them.
    pub send_messages_max: usize,
    /// Bytes that may.
    pub send_bytes_max: usize,
}

/// Hears when somebody leaves the bus: of a unique name, which nobody else ever takes.
pub const LEAVING: &str = "type='signal',sender='org.freedesktop.DBus',\
     interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''";

/// What comes from the bus.
#[derive(Debug)]
pub enum BusEvent {
    /// All names are ours.
    Up(LinkSender),
    /// A client calls.
    Call(Message),
    /// Somebody has left the bus, whose unique name this was; told with [`LEAVING`].
    Left(String),
    /// The connection has ended, or did not come about.
    Down(String),
}

/// Messages of the bus that were read and not taken in; beyond it, reading pauses.
const RECEIVED_MAX: usize = 1024;

/// A bus that restarts is back within a second; one that is not there must not keep us busy.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(50),
    max: Duration::from_secs(5),
};

/// How long the bus may take to let us in, and to answer each of our calls.
const BUS_TIME: Duration = Duration::from_secs(25);

/// `DBUS_NAME_FLAG_DO_NOT_QUEUE`: of two services of one name on one bus, one must fail, and say so.
const DO_NOT_QUEUE: u32 = 4;
/// `DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER`.
const PRIMARY_OWNER: u32 = 1;

/// Which bus, as libraries decide it: by the environment, else at its place.
///
/// # Errors
///
/// Says why the address in the environment cannot be used.
pub fn address(scope: &Scope) -> Result<Address, String> {
    let variable = if scope.is_user() {
        "DBUS_SESSION_BUS_ADDRESS"
    } else {
        "DBUS_SYSTEM_BUS_ADDRESS"
    };
    let text = env::var(variable)
        .ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| scope.bus());
    let mut error = None;
    for part in text.split(';').filter(|part| !part.is_empty()) {
        match part.parse() {
            Ok(address) => return Ok(address),
            Err(why) => error = Some(why),
        }
    }
    Err(match error {
        Some(error) => format!("{variable}={text}: {error}"),
        None => format!("{variable}={text}: no address"),
    })
}

/// Keeps a connection to the bus until nobody listens to the events any more.
pub async fn run(address: Address, service: Service, events: mpsc::Sender<BusEvent>) {
    let mut attempt = 0;
    while !events.is_closed() {
        sleep(BACKOFF.wait(attempt, random_u64().unwrap_or(0))).await;
        attempt += 1;
        let why = match open(&address, &service).await {
            Ok((link, early)) => {
                attempt = 1;
                serve(link, service.names, early, &events).await
            }
            Err(why) => why,
        };
        if events.send(BusEvent::Down(why)).await.is_err() {
            return;
        }
    }
}

/// Hands on what comes over a connection whose names are ours, `early` first. Yields why it ended.
pub async fn serve(
    link: Link,
    names: &[&str],
    early: Vec<Message>,
    events: &mpsc::Sender<BusEvent>,
) -> String {
    let up = BusEvent::Up(link.sender.clone());
    if events.send(up).await.is_err() {
        return String::new();
    }
    for call in early {
        hand_on(&link.sender, events, call);
    }
    read(link, names, events).await
}

/// Connects and takes the names. Yields calls that came meanwhile.
async fn open(address: &Address, service: &Service) -> Result<(Link, Vec<Message>), String> {
    let (stream, identity) = connect(address, BUS_TIME, &TcpOptions::default())
        .await
        .map_err(|error| with_source(&error))?;
    let limits = Limits {
        send_messages_max: service.send_messages_max,
        send_bytes_max: service.send_bytes_max,
        receive_messages_max: RECEIVED_MAX,
        receive_bytes_max: Limits::REGISTERED_BYTES_MAX,
        ..Limits::TRUSTED
    };
    let mut link = Link::connect(stream, identity, limits)
        .await
        .map_err(|error| with_source(&error))?;
    let mut early = Vec::new();
    ask(&mut link, &mut early, "Hello", &()).await?;
    for rule in service.matches {
        ask(&mut link, &mut early, "AddMatch", rule).await?;
    }
    for name in service.names {
        let answer = ask(&mut link, &mut early, "RequestName", &(*name, DO_NOT_QUEUE)).await?;
        match answer.body().deserialize::<u32>() {
            Ok(PRIMARY_OWNER) => {}
            Ok(_) => {
                return Err(format!(
                    "the name {name} is owned by another process; is another one of us running?"
                ));
            }
            Err(error) => return Err(format!("the bus answered RequestName with {error}")),
        }
    }
    Ok((link, early))
}

/// Calls the bus itself.
async fn ask<B>(
    link: &mut Link,
    early: &mut Vec<Message>,
    member: &str,
    body: &B,
) -> Result<Message, String>
where
    B: serde::Serialize + zbus::wire::DynamicType,
{
    let method = Method {
        destination: Some("org.freedesktop.DBus"),
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member,
    };
    let serial = link.sender.next_serial();
    let call = link::call(serial, method, body).map_err(|error| error.to_string())?;
    link.sender
        .try_send(call)
        .map_err(|error| error.to_string())?;
    let wait = async {
        loop {
            match link.receiver.recv().await {
                Some(Ok(message)) if link::answers(&message) == Some(serial) => {
                    return match message.message_type() {
                        Type::Error => {
                            Err(format!("the bus refused {member}: {}", text_of(&message)))
                        }
                        Type::MethodReturn | Type::MethodCall | Type::Signal => Ok(message),
                    };
                }
                Some(Ok(message)) => {
                    if message.message_type() == Type::MethodCall {
                        early.push(message);
                    }
                }
                Some(Err(error)) => return Err(with_source(&error)),
                None => return Err("the bus closed the connection".to_owned()),
            }
        }
    };
    timeout(BUS_TIME, wait).await.unwrap_or_else(|_| {
        Err(format!(
            "the bus did not answer {member} within {BUS_TIME:?}"
        ))
    })
}

/// Hands calls on until the connection ends, and says why it did.
async fn read(link: Link, names: &[&str], events: &mpsc::Sender<BusEvent>) -> String {
    let Link {
        sender,
        mut receiver,
        identity: _,
    } = link;
    loop {
        match next(&mut receiver, events).await {
            Ok(Some(message)) => match message.message_type() {
                Type::MethodCall => hand_on(&sender, events, message),
                Type::Signal => match of_bus(&message) {
                    Some(OfBus::Lost(name)) if names.contains(&name.as_str()) => {
                        sender.close();
                        return format!("the bus took the name {name} from us");
                    }
                    Some(OfBus::Left(name)) => {
                        // It must not be lost, and there are never many of them at once.
                        if events.send(BusEvent::Left(name)).await.is_err() {
                            return String::new();
                        }
                    }
                    Some(OfBus::Lost(_)) | None => {}
                },
                Type::MethodReturn | Type::Error => {}
            },
            Ok(None) => return "the bus closed the connection".to_owned(),
            Err(error) => return error,
        }
    }
}

async fn next(
    receiver: &mut LinkReceiver,
    events: &mpsc::Sender<BusEvent>,
) -> Result<Option<Message>, String> {
    tokio::select! {
        message = receiver.recv() => message.transpose().map_err(|error| with_source(&error)),
        () = events.closed() => Ok(None),
    }
}

/// Hands a call on, without waiting: the order of calls is kept, and the bus is always read.
fn hand_on(sender: &LinkSender, events: &mpsc::Sender<BusEvent>, call: Message) {
    let Err(mpsc::error::TrySendError::Full(BusEvent::Call(call))) =
        events.try_send(BusEvent::Call(call))
    else {
        return;
    };
    if link::expects_reply(&call)
        && let Ok(answer) = link::error(
            &call,
            error::LIMITS_EXCEEDED,
            "too many calls wait here already",
        )
    {
        // It fails when the connection has ended, and then nobody waits for it.
        let _ = sender.try_send(answer);
    }
}

/// What the bus itself says.
enum OfBus {
    /// A name is not ours any more.
    Lost(String),
    /// Somebody has left.
    Left(String),
}

fn of_bus(message: &Message) -> Option<OfBus> {
    let header = message.header();
    let sender = header.sender()?;
    if sender.as_str() != "org.freedesktop.DBus" {
        return None;
    }
    let body = message.body();
    match header.member()?.as_str() {
        "NameLost" => Some(OfBus::Lost(body.deserialize().ok()?)),
        "NameOwnerChanged" => {
            let (name, _, new): (&str, &str, &str) = body.deserialize().ok()?;
            let left = new.is_empty() && name.starts_with(':');
            left.then(|| OfBus::Left(name.to_owned()))
        }
        _ => None,
    }
}

/// The text of an error with those of its causes.
fn with_source(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The name and the text of an error.
fn text_of(message: &Message) -> String {
    let header = message.header();
    let name = header.error_name().map_or("", |name| name.as_str());
    let body = message.body();
    format!("{name}: {}", body.deserialize::<&str>().unwrap_or_default())
}
