use std::num::NonZeroU32;

use proto::dbus::error_name;
use serde::Serialize;
use zbus::{
    Message,
    message::{Flags, Type},
    wire::DynamicType,
};

/// The number of a call, which its reply carries back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallSerial(pub(super) NonZeroU32);

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method<'a> {
    /// A bus name; `None` between peers.
    pub destination: Option<&'a str>,
    /// The object.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
}

/// A method call whose reply is found by its serial.
///
/// # Errors
///
/// Fails when a name is not valid or the message would be longer than D-Bus allows.
pub fn call<B>(serial: CallSerial, method: Method<'_>, body: &B) -> zbus::Result<Message>
where
    B: Serialize + DynamicType,
{
    method.builder().serial(serial.0).build(body)
}

/// A method call that nobody answers.
///
/// # Errors
///
/// As [`call`].
pub fn call_quietly<B>(serial: CallSerial, method: Method<'_>, body: &B) -> zbus::Result<Message>
where
    B: Serialize + DynamicType,
{
    let builder = method.builder().serial(serial.0);
    builder.with_flags(Flags::NO_REPLY_EXPECTED).build(body)
}

/// A signal.
///
/// # Errors
///
/// As [`call`].
pub fn signal<B>(path: &str, interface: &str, member: &str, body: &B) -> zbus::Result<Message>
where
    B: Serialize + DynamicType,
{
    Message::signal(path, interface, member).build(body)
}

/// A signal to one receiver on a bus.
///
/// # Errors
///
/// As [`call`].
pub fn signal_to<B>(
    destination: &str,
    path: &str,
    interface: &str,
    member: &str,
    body: &B,
) -> zbus::Result<Message>
where
    B: Serialize + DynamicType,
{
    let signal = Message::signal(path, interface, member);
    signal.destination(destination).build(body)
}

/// The reply to a call.
///
/// # Errors
///
/// Fails when the message would be longer than D-Bus allows.
pub fn reply<B>(call: &Message, body: &B) -> zbus::Result<Message>
where
    B: Serialize + DynamicType,
{
    Message::method_return(&call.header()).build(body)
}

/// The error that answers a call. A name that is not valid becomes
/// `org.freedesktop.DBus.Error.Failed`.
///
/// # Errors
///
/// As [`reply`].
pub fn error(call: &Message, name: &str, text: &str) -> zbus::Result<Message> {
    Message::error(&call.header(), error_name(name)).build(&text)
}

/// Whether a message is a call whose caller waits for an answer.
pub fn expects_reply(message: &Message) -> bool {
    message.message_type() == Type::MethodCall
        && !message
            .primary_header()
            .flags()
            .contains(Flags::NO_REPLY_EXPECTED)
}

/// The serial of the call that a message answers, if it is a reply or an error.
pub fn answers(message: &Message) -> Option<CallSerial> {
    match message.message_type() {
        Type::MethodReturn | Type::Error => message.header().reply_serial().map(CallSerial),
        Type::MethodCall | Type::Signal => None,
    }
}

impl<'a> Method<'a> {
    fn builder(&self) -> zbus::message::Builder<'a> {
        let builder = Message::method_call(self.path, self.member).interface(self.interface);
        match self.destination {
            Some(destination) => builder.destination(destination),
            None => builder,
        }
    }
}
