//! `is-online`: of a node, or of the whole fleet; by signals where it is waited for.

use proto::{dbus::public, name::NodeName};
use zbus::{Message, message::Type as MessageType, wire::OwnedVariant};

use super::choose::Known;
use crate::{
    bus::{self, Bus},
    cli::{IsOnline, Online, Options},
    exit::Exit,
    fault::{Fault, Refusal},
    span,
    view::{Look, Page, tell},
};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Says whether it is online, when it is or the time is up.
pub(crate) async fn run(options: &Options, asked: &IsOnline, look: &Look) -> Result<Page, Fault> {
    let wait = asked.wait(options.job_timeout());
    let limit = wait.unwrap_or_else(|| options.question_timeout());
    let mut bus = Bus::connect(options.user, limit).await?;
    let object = Object::of(&asked.what);
    let status = if wait.is_some() {
        object.until_online(&mut bus).await?
    } else {
        let [answer] = bus.ask([object.question()?]).await?;
        match answer {
            Ok(answer) => read(&answer)?,
            Err(refusal) => return Err(object.explain(&mut bus, refusal).await),
        }
    };
    let exit = if object.is_online(&status) {
        Exit::Done
    } else {
        Exit::NodeOffline
    };
    Ok(tell::online(object.node, &status, exit, look))
}

/// What has the status.
struct Object<'a> {
    node: Option<&'a NodeName>,
    path: String,
    interface: &'static str,
}

impl<'a> Object<'a> {
    fn of(what: &'a Online) -> Self {
        match what {
            Online::System => Self {
                node: None,
                path: public::CONTROLLER_PATH.to_owned(),
                interface: public::CONTROLLER,
            },
            Online::Node { name } => Self {
                node: Some(name),
                path: bus::node_path(name),
                interface: public::NODE,
            },
        }
    }

    /// A node is online, the fleet is up.
    fn is_online(&self, status: &str) -> bool {
        match self.node {
            Some(_) => status == "online",
            None => status == "up",
        }
    }

    fn question(&self) -> Result<Message, Fault> {
        bus::object_call(&self.path, PROPERTIES, "Get", &(self.interface, "Status"))
    }

    async fn explain(&self, bus: &mut Bus, refusal: Refusal) -> Fault {
        match self.node {
            Some(node) => Known::default().explain(bus, node, "", refusal).await,
            None => Fault::refused(refusal, bus.name()),
        }
    }

    /// Listens until it is online. A controller that is not there yet, or goes away, is waited for
    /// as well; a node that it does not know is not.
    async fn until_online(&self, bus: &mut Bus) -> Result<String, Fault> {
        let (from, path) = (public::BUS_NAME, &self.path);
        let changes = format!(
            "type='signal',sender='{from}',path='{path}',interface='{PROPERTIES}',\
             member='PropertiesChanged',arg0='{}'",
            self.interface
        );
        let owners = format!(
            "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',\
             member='NameOwnerChanged',arg0='{from}'"
        );
        let mut question = self.question()?;
        let messages = [
            bus::add_match(&changes)?,
            bus::add_match(&owners)?,
            question.clone(),
        ];
        bus.send(&messages).await?;
        loop {
            let message = match bus.next().await {
                Ok(message) => message,
                Err(Fault::Timeout { .. }) => return Err(self.too_late(bus)),
                Err(fault) => return Err(fault),
            };
            if may_have_changed(&message) {
                question = self.question()?;
                bus.send(std::slice::from_ref(&question)).await?;
                continue;
            }
            match bus::answer(message) {
                Some((to, Ok(answer))) if to == bus::serial(&question) => {
                    let status = read(&answer)?;
                    if self.is_online(&status) {
                        return Ok(status);
                    }
                }
                Some((to, Err(refusal))) if to == bus::serial(&question) => {
                    let fault = Fault::refused(refusal.clone(), bus.name());
                    // A controller that is not there may come.
                    if fault.exit() != Exit::Unreachable {
                        return Err(self.explain(bus, refusal).await);
                    }
                }
                Some(_) | None => {}
            }
        }
    }

    fn too_late(&self, bus: &Bus) -> Fault {
        let (what, see) = match self.node {
            Some(node) => (format!("node {node}"), format!("see 'ctl status {node}'")),
            None => ("the fleet".to_owned(), "see 'ctl status'".to_owned()),
        };
        Fault::Timeout {
            text: format!("{what} is not online after {}", span::display(bus.limit())),
            hint: format!("{see}; --wait=DURATION waits longer"),
        }
    }
}

/// Whether it is worth to ask again: something has changed, or there is another controller. What a
/// signal says is not believed, because anybody can send one to us; an answer comes from the
/// controller.
fn may_have_changed(message: &Message) -> bool {
    let header = message.header();
    let member = header.member().map_or("", |member| member.as_str());
    message.message_type() == MessageType::Signal
        && matches!(member, "PropertiesChanged" | "NameOwnerChanged")
}

fn read(answer: &Message) -> Result<String, Fault> {
    let value: OwnedVariant = bus::read(answer, "Get")?;
    String::try_from(value).map_err(|error| Fault::Answer {
        asked: "Get",
        cause: error.to_string(),
    })
}
