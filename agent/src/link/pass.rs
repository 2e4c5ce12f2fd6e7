//! Calls that pass through to systemd. Where the signatures are equal, bodies are carried over as they
//! are, and so are systemd's errors with their names.

use host::link::{self, Method};
use node::ManagerError;
use proto::dbus::{error, internal, systemd};
use zbus::{
    Message,
    message::Body,
    wire::{DynamicDeserialize, ObjectPath, OwnedStructure, OwnedVariant, Structure},
};

use super::{files, properties, references, status};
use crate::systemd::{Answer, Manager};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// A unit as systemd and BlueChi list it.
pub(super) type Listed<'a> = (
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    ObjectPath<'a>,
    u32,
    &'a str,
    ObjectPath<'a>,
);

/// Calls systemd for the controller, and writes the reply to its call.
///
/// # Errors
///
/// Fails with what systemd answers, or with what is wrong with the call.
pub(super) async fn answer(call: &Message, manager: &Manager) -> Answer {
    let header = call.header();
    let member = header.member().map_or("", |it| it.as_str());
    let interface = header.interface().map_or("", |it| it.as_str());
    let body = call.body();
    match (interface, member) {
        (internal::AGENT_OWN, "UnitStatus") => {
            let units: Vec<String> = arguments(&body)?;
            let answer = status::of(&units, manager).await?;
            link::reply(call, &answer).map_err(|error| broken(&error))
        }
        (internal::AGENT_OWN, "ReadProperties") => {
            let (units, names): (Vec<String>, Vec<String>) = arguments(&body)?;
            let answer = properties::of(&units, &names, manager).await?;
            link::reply(call, &answer).map_err(|error| broken(&error))
        }
        (internal::AGENT_OWN, "ListReferences") => {
            let answer = references::all(manager).await?;
            link::reply(call, &answer).map_err(|error| broken(&error))
        }
        (internal::AGENT_OWN, "UnitFiles") => {
            let units: Vec<String> = arguments(&body)?;
            let answer = files::of(&units, manager).await?;
            link::reply(call, &answer).map_err(|error| broken(&error))
        }
        (_, "GetUnitProperties") => {
            let (unit, interface): (String, String) = arguments(&body)?;
            let path = unit_path(manager, unit).await?;
            let answer = get_all(manager, path, interface).await?;
            carry_over(call, &answer)
        }
        (_, "GetUnitProperty") => {
            let (unit, interface, property): (String, String, String) = arguments(&body)?;
            let path = unit_path(manager, unit).await?;
            let answer = get(manager, path, interface, property).await?;
            carry_over(call, &answer)
        }
        (_, member) => {
            let answer = same(manager, member.to_owned(), &body).await?;
            match member {
                // systemd's answer to the freezing of thousands of units has to be quick; so has
                // this, which may be megabytes: it is read as what it is, without a copy.
                "ListUnits" => {
                    let body = answer.body();
                    let units: Vec<Listed<'_>> = from_systemd(&body)?;
                    link::reply(call, &units).map_err(|error| broken(&error))
                }
                "ListUnitFiles" => {
                    let body = answer.body();
                    let files: Vec<(&str, &str)> = from_systemd(&body)?;
                    link::reply(call, &files).map_err(|error| broken(&error))
                }
                // BlueChi answers these with nothing, or as systemd does.
                _ => carry_over(call, &answer),
            }
        }
    }
}

/// The path of a unit, also of one that is not loaded.
pub(super) async fn unit_path(manager: &Manager, unit: String) -> Result<String, ManagerError> {
    let answer = manager
        .call(move |serial, destination| {
            link::call(serial, of_manager(destination, "LoadUnit"), &unit)
        })
        .await?;
    let body = answer.body();
    let path: ObjectPath<'_> = from_systemd(&body)?;
    Ok(path.as_str().to_owned())
}

/// All properties of an interface of an object; of all interfaces where it is empty.
pub(super) async fn get_all(manager: &Manager, path: String, interface: String) -> Answer {
    manager
        .call(move |serial, destination| {
            let path = path.as_str();
            let method = Method {
                destination,
                path,
                interface: PROPERTIES,
                member: "GetAll",
            };
            link::call(serial, method, &interface)
        })
        .await
}

/// A property of a unit.
///
/// # Errors
///
/// Fails with what systemd answers.
pub(crate) async fn unit_property(
    manager: &Manager,
    unit: String,
    interface: String,
    property: String,
) -> Result<OwnedVariant, ManagerError> {
    let path = unit_path(manager, unit).await?;
    let answer = get(manager, path, interface, property).await?;
    from_systemd(&answer.body())
}

/// Whether the machine shuts down, by `SystemState` of org.freedesktop.systemd1(5). A systemd that
/// does not say so is on its way out as well.
pub(crate) async fn is_shutting_down(manager: &Manager) -> bool {
    let path = systemd::MANAGER_PATH.to_owned();
    let property = "SystemState".to_owned();
    let answer = get(manager, path, systemd::MANAGER.to_owned(), property).await;
    let state = answer.ok().and_then(|answer| {
        let value: OwnedVariant = answer.body().deserialize().ok()?;
        String::try_from(value).ok()
    });
    state.is_none_or(|state| state == "stopping")
}

/// A property of an object.
pub(super) async fn get(
    manager: &Manager,
    path: String,
    interface: String,
    property: String,
) -> Answer {
    manager
        .call(move |serial, destination| {
            let path = path.as_str();
            let method = Method {
                destination,
                path,
                interface: PROPERTIES,
                member: "Get",
            };
            link::call(serial, method, &(interface, property))
        })
        .await
}

/// Calls the method of the same name and signature.
async fn same(manager: &Manager, member: String, body: &Body) -> Answer {
    let arguments: Option<OwnedStructure> = if body.is_empty() {
        None
    } else {
        Some(OwnedStructure(owned(arguments(body)?)?))
    };
    manager
        .call(move |serial, destination| {
            let method = of_manager(destination, &member);
            match &arguments {
                None => link::call(serial, method, &()),
                Some(arguments) => link::call(serial, method, arguments),
            }
        })
        .await
}

/// Answers with the body of systemd's answer.
fn carry_over(call: &Message, answer: &Message) -> Answer {
    let body = answer.body();
    let reply = if body.is_empty() {
        link::reply(call, &())
    } else {
        let fields: Structure<'_> = from_systemd(&body)?;
        link::reply(call, &fields)
    };
    reply.map_err(|error| broken(&error))
}

/// A method of the manager.
pub(super) fn of_manager<'a>(destination: Option<&'a str>, member: &'a str) -> Method<'a> {
    Method {
        destination,
        path: systemd::MANAGER_PATH,
        interface: systemd::MANAGER,
        member,
    }
}

fn owned(structure: Structure<'_>) -> Result<Structure<'static>, ManagerError> {
    let mut builder = zbus::wire::StructureBuilder::new();
    for field in structure.into_fields() {
        let field: OwnedVariant = field.try_into_owned().map_err(|error| broken(&error))?;
        builder = builder.append_field(field.into());
    }
    builder.build().map_err(|error| broken(&error))
}

/// Reads what the controller has sent.
fn arguments<'m, T: DynamicDeserialize<'m>>(body: &'m Body) -> Result<T, ManagerError> {
    body.deserialize().map_err(|error| ManagerError {
        name: error::INVALID_ARGS.to_owned(),
        text: error.to_string(),
    })
}

/// Reads what systemd has answered.
pub(super) fn from_systemd<'m, T: DynamicDeserialize<'m>>(
    body: &'m Body,
) -> Result<T, ManagerError> {
    body.deserialize().map_err(|error| broken(&error))
}

fn broken(error: &dyn std::error::Error) -> ManagerError {
    ManagerError {
        name: error::FAILED.to_owned(),
        text: format!("the answer of systemd cannot be passed on: {error}"),
    }
}
