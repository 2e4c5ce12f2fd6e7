//! What every object of a service has: properties, introspection, a ping.

use std::collections::BTreeMap;

use proto::dbus::error;
use zbus::{Message, OwnedVariant, Variant, message::Body, wire::DynamicDeserialize};

use crate::link;

/// Values by name.
pub type Facts = BTreeMap<&'static str, OwnedVariant>;

/// A call of one of the standard interfaces of the D-Bus specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standard {
    /// A property of an object.
    Get {
        /// The interface.
        interface: String,
        /// The property.
        property: String,
    },
    /// All properties of an interface of an object; of all its interfaces, if it is empty.
    GetAll {
        /// The interface.
        interface: String,
    },
    /// What an object says of itself.
    Introspect,
    /// Whether somebody is there.
    Ping,
    /// Which machine it is.
    MachineId,
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The name of the error.
    pub name: &'static str,
    /// What it says.
    pub text: String,
}

impl Failure {
    /// A failure of this name.
    pub fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            text: text.into(),
        }
    }

    /// Something about an argument.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(error::INVALID_ARGS, text)
    }
}

/// Reads a call of a standard interface; `None` for any other. A call may leave the interface away,
/// D-Bus specification, "Method Calls".
///
/// # Errors
///
/// Fails when the arguments are not as they should be.
pub fn standard(message: &Message) -> Result<Option<Standard>, Failure> {
    let header = message.header();
    let member = header.member().map_or("", |member| member.as_str());
    let interface = header.interface().map(|interface| interface.as_str());
    let of = |name: &str| interface.is_none_or(|interface| interface == name);
    let body = message.body();
    Ok(match member {
        "Get" if of("org.freedesktop.DBus.Properties") => {
            let (interface, property): (&str, &str) = take(member, &body)?;
            Some(Standard::Get {
                interface: interface.to_owned(),
                property: property.to_owned(),
            })
        }
        "GetAll" if of("org.freedesktop.DBus.Properties") => {
            let interface: &str = take(member, &body)?;
            Some(Standard::GetAll {
                interface: interface.to_owned(),
            })
        }
        "Set" if of("org.freedesktop.DBus.Properties") => {
            return Err(Failure::new(
                error::PROPERTY_READ_ONLY,
                "properties here can only be read",
            ));
        }
        "Introspect" if of("org.freedesktop.DBus.Introspectable") => Some(Standard::Introspect),
        "Ping" if of("org.freedesktop.DBus.Peer") => Some(Standard::Ping),
        "GetMachineId" if of("org.freedesktop.DBus.Peer") => Some(Standard::MachineId),
        _ => None,
    })
}

/// The arguments of a call.
///
/// # Errors
///
/// Fails when they have other types.
pub fn take<'m, T>(member: &str, body: &'m Body) -> Result<T, Failure>
where
    T: DynamicDeserialize<'m>,
{
    body.deserialize().map_err(|error| {
        Failure::invalid(format!(
            "arguments of '{member}' are not as they should be: {error}"
        ))
    })
}

/// That a call has arguments of these types.
///
/// # Errors
///
/// Fails when it has others.
pub fn expect(member: &str, body: &Body, signature: &str) -> Result<(), Failure> {
    let found = body.signature().to_string_no_parens();
    if found == signature {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "arguments of '{member}' are of the types '{found}'; expected '{signature}'"
    )))
}

/// That there is no such property.
pub fn no_property(interface: &str, property: &str) -> Failure {
    let text = format!("there is no property '{interface}.{property}' here");
    Failure::new(error::UNKNOWN_PROPERTY, text)
}

/// That there is no such method.
pub fn no_method(message: &Message) -> Failure {
    let header = message.header();
    let member = header.member().map_or("", |member| member.as_str());
    let text = match header.interface() {
        Some(interface) => format!("there is no method '{interface}.{member}' here"),
        None => format!("there is no method '{member}' here"),
    };
    Failure::new(error::UNKNOWN_METHOD, text)
}

/// The answer to a call for a path at which there is no object: somebody is there whatever the path is,
/// D-Bus specification, "org.freedesktop.DBus.Peer"; and otherwise that there is none.
///
/// # Errors
///
/// Fails when the answer cannot be put into a message.
pub fn nowhere(call: &Message) -> zbus::Result<Message> {
    if let Ok(Some(peer @ (Standard::Ping | Standard::MachineId))) = standard(call) {
        return answer(call, &peer, |_| None, String::new);
    }
    let header = call.header();
    let path = header.path().map_or("", |path| path.as_str());
    let text = format!("there is no object '{path}'");
    fail(call, &Failure::new(error::UNKNOWN_OBJECT, text))
}

/// Answers a standard call. `properties` are those of an interface, or of all together where it is
/// empty, or `None` where there is no such interface; `xml` is what the object says of itself.
///
/// # Errors
///
/// Fails when the answer cannot be put into a message.
pub fn answer(
    call: &Message,
    what: &Standard,
    properties: impl FnOnce(&str) -> Option<Facts>,
    xml: impl FnOnce() -> String,
) -> zbus::Result<Message> {
    match what {
        Standard::Get {
            interface,
            property,
        } => {
            let value = properties(interface).and_then(|mut all| all.remove(property.as_str()));
            match value {
                Some(value) => link::reply(call, &value),
                None => fail(call, &no_property(interface, property)),
            }
        }
        Standard::GetAll { interface } => {
            link::reply(call, &properties(interface).unwrap_or_default())
        }
        Standard::Introspect => link::reply(call, &xml()),
        Standard::Ping => link::reply(call, &()),
        Standard::MachineId => match std::fs::read_to_string("/etc/machine-id") {
            Ok(id) => link::reply(call, &id.trim_ascii()),
            Err(why) => {
                let text = format!("failed to read /etc/machine-id: {why}");
                fail(call, &Failure::new(error::FAILED, text))
            }
        },
    }
}

/// Answers a call with a failure.
///
/// # Errors
///
/// Fails when it cannot be put into a message.
pub fn fail(call: &Message, failure: &Failure) -> zbus::Result<Message> {
    link::error(call, failure.name, &failure.text)
}

/// The signal that properties have changed.
///
/// # Errors
///
/// Fails when it cannot be put into a message.
pub fn changed(path: &str, interface: &str, properties: Facts) -> zbus::Result<Message> {
    let body = (interface, properties, Vec::<&str>::new());
    let of = "org.freedesktop.DBus.Properties";
    link::signal(path, of, "PropertiesChanged", &body)
}

/// A value as it is in a dictionary. Only a descriptor can fail to be owned, and there is none.
pub fn variant<'a>(value: impl Into<Variant<'a>>) -> Option<OwnedVariant> {
    value.into().try_to_owned().ok()
}

/// Values by name.
pub fn facts<const N: usize>(entries: [(&'static str, Option<OwnedVariant>); N]) -> Facts {
    entries
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(interface: &str, property: &str) -> Message {
        Message::method_call("/x", "Get")
            .interface("org.freedesktop.DBus.Properties")
            .serial(std::num::NonZeroU32::MIN)
            .build(&(interface, property))
            .expect("built")
    }

    #[test]
    fn a_property_is_answered_by_its_value_and_another_one_by_its_name() {
        let own = |interface: &str| (interface == "i").then(|| facts([("P", variant(7u32))]));
        let ask = |property: &str| {
            let call = get("i", property);
            let what = standard(&call).expect("valid").expect("standard");
            answer(&call, &what, own, String::new).expect("built")
        };
        let value: OwnedVariant = ask("P").body().deserialize().expect("body");
        assert_eq!(u32::try_from(value).expect("a number"), 7);
        let header = ask("Q");
        assert_eq!(
            header.header().error_name().expect("error"),
            error::UNKNOWN_PROPERTY
        );
    }

    #[test]
    fn somebody_is_there_whatever_the_path_is() {
        let ask = |interface: &str, member: &str| {
            let call = Message::method_call("/nowhere", member)
                .interface(interface)
                .serial(std::num::NonZeroU32::MIN)
                .build(&())
                .expect("built");
            nowhere(&call).expect("built")
        };
        let pong = ask("org.freedesktop.DBus.Peer", "Ping");
        assert_eq!(pong.message_type(), zbus::message::Type::MethodReturn);
        let refused = ask("org.freedesktop.DBus.Introspectable", "Introspect");
        let header = refused.header();
        assert_eq!(header.error_name().expect("error"), error::UNKNOWN_OBJECT);
    }

    #[test]
    fn what_is_not_standard_is_left_to_others() {
        let call = Message::method_call("/x", "Get")
            .interface("a.b")
            .build(&())
            .expect("built");
        assert_eq!(standard(&call), Ok(None));
        let call = Message::method_call("/x", "Get").build(&()).expect("built");
        assert!(standard(&call).is_err());
    }
}
