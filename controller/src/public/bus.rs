//! The connection to the bus: made again and again, names taken, calls handed on.

use std::{env, time::Duration};

use host::{
    address::Address,
    clock::random_u64,
    link::{self, Limits, Link, LinkReceiver, LinkSender, Method},
    stream::{TcpOptions, connect},
};
use proto::{
    backoff::Backoff,
    dbus::{error, public},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use zbus::{Message, message::Type};

use crate::{
    limits::{BUS_BYTES_MAX, BUS_MESSAGES_MAX},
    peers::with_source,
};

/// What comes from the bus.
#[derive(Debug)]
pub(crate) enum BusEvent {
    /// Both names are ours.
    Up(LinkSender),
    /// A client calls.
    Call(Message),
    /// The connection has ended, or did not come about.
    Down(String),
}

/// A bus that restarts is back within a second; one that is not there must not keep us busy.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(50),
    max: Duration::from_secs(5),
};

/// How long the bus may take to let us in, and to answer each of our calls.
const BUS_TIME: Duration = Duration::from_secs(25);

/// `DBUS_NAME_FLAG_DO_NOT_QUEUE`: with two controllers on one bus one must fail, and say so.
const DO_NOT_QUEUE: u32 = 4;
/// `DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER`.
const PRIMARY_OWNER: u32 = 1;

/// Which bus, as libraries decide it: by the environment, else at its place.
///
/// # Errors
///
/// Says why the address in the environment cannot be used.
pub(crate) fn address(user: bool) -> Result<Address, String> {
    let (variable, default) = if user {
        let folder = env::var("XDG_RUNTIME_DIR").unwrap_or_else(|_| "/run/user/0".to_owned());
        let default = format!("unix:path={folder}/bus");
        ("DBUS_SESSION_BUS_ADDRESS", default)
    } else {
        let default = "unix:path=/run/dbus/system_bus_socket".to_owned();
        ("DBUS_SYSTEM_BUS_ADDRESS", default)
    };
    let text = env::var(variable)
        .ok()
        .filter(|text| !text.is_empty())
        .unwrap_or(default);
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
pub(crate) async fn run(address: Address, events: mpsc::Sender<BusEvent>) {
    let mut attempt = 0;
    while !events.is_closed() {
        sleep(BACKOFF.wait(attempt, random_u64().unwrap_or(0))).await;
        attempt += 1;
        let why = match open(&address).await {
            Ok((link, early)) => {
                attempt = 1;
                serve(link, early, &events).await
            }
            Err(why) => why,
        };
        if events.send(BusEvent::Down(why)).await.is_err() {
            return;
        }
    }
}

/// Hands on what comes over a connection whose names are ours, `early` first. Yields why it ended.
pub(crate) async fn serve(
    link: Link,
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
    read(link, events).await
}

/// Connects and takes the names. Yields calls that came meanwhile.
async fn open(address: &Address) -> Result<(Link, Vec<Message>), String> {
    let (stream, identity) = connect(address, BUS_TIME, &TcpOptions::default())
        .await
        .map_err(|error| with_source(&error))?;
    let limits = Limits {
        send_messages_max: BUS_MESSAGES_MAX,
        send_bytes_max: BUS_BYTES_MAX,
        receive_messages_max: 1024,
        receive_bytes_max: Limits::REGISTERED_BYTES_MAX,
        ..Limits::TRUSTED
    };
    let mut link = Link::connect(stream, identity, limits)
        .await
        .map_err(|error| with_source(&error))?;
    let mut early = Vec::new();
    ask(&mut link, &mut early, "Hello", &()).await?;
    for name in [public::BUS_NAME_OWN, public::BUS_NAME] {
        let answer = ask(&mut link, &mut early, "RequestName", &(name, DO_NOT_QUEUE)).await?;
        match answer.body().deserialize::<u32>() {
            Ok(PRIMARY_OWNER) => {}
            Ok(_) => {
                return Err(format!(
                    "the name {name} is owned by another process; is another controller running?"
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
async fn read(link: Link, events: &mpsc::Sender<BusEvent>) -> String {
    let Link {
        sender,
        mut receiver,
        identity: _,
    } = link;
    loop {
        match next(&mut receiver, events).await {
            Ok(Some(message)) => match message.message_type() {
                Type::MethodCall => hand_on(&sender, events, message),
                Type::Signal if is_name_lost(&message) => {
                    sender.close();
                    return "the bus took a name from us".to_owned();
                }
                Type::Signal | Type::MethodReturn | Type::Error => {}
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
            "the controller has too many calls to work off",
        )
    {
        // It fails when the connection has ended, and then nobody waits for it.
        let _ = sender.try_send(answer);
    }
}

fn is_name_lost(message: &Message) -> bool {
    let header = message.header();
    let from_bus = header
        .sender()
        .is_some_and(|sender| sender.as_str() == "org.freedesktop.DBus");
    let lost = header
        .member()
        .is_some_and(|member| member.as_str() == "NameLost");
    let body = message.body();
    let name = body.deserialize::<&str>().unwrap_or_default();
    from_bus && lost && matches!(name, public::BUS_NAME | public::BUS_NAME_OWN)
}

/// The name and the text of an error.
fn text_of(message: &Message) -> String {
    let header = message.header();
    let name = header.error_name().map_or("", |name| name.as_str());
    let body = message.body();
    format!("{name}: {}", body.deserialize::<&str>().unwrap_or_default())
}
