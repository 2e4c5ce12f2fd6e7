//! `is-online`: of a node, of the whole fleet, or of the agent of this machine; by signals where it is
//! waited for or watched.

use std::time::Duration;

use proto::{
    dbus::{agent, public},
    name::NodeName,
};
use tokio::time::{Instant, timeout};
use zbus::{Message, wire::OwnedVariant};

use super::{
    choose::Known,
    follow::{self, Follow},
    progress::until,
};
use crate::{
    bus::{self, Bus},
    cli::{IsOnline, Online, Options},
    exit::Exit,
    fault::{Daemon, Fault, Refusal},
    live::{Heard, Live},
    span,
    view::{Look, Page, tell},
};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Says whether it is online: now, or when it is or the time is up; and then, if that is wanted, when
/// it is not any more.
pub(crate) async fn run(options: &Options, asked: &IsOnline, look: &Look) -> Result<Page, Fault> {
    let object = Object::of(&asked.what);
    let wait = asked.wait(options.job_timeout());
    if wait.is_none() && !asked.monitor {
        let mut bus = Bus::connect(options.user, options.question_timeout()).await?;
        let status = object.ask(&mut bus).await?;
        return Ok(object.page(&status, look));
    }
    let limit = options.question_timeout();
    let rules = vec![object.rule()];
    let mut live = Live::to(object.daemon(), options.user, limit, rules);
    let mut status = match wait {
        Some(wait) => {
            let online = object.until(&mut live, |status| object.is_online(status));
            let in_time = timeout(wait, online).await;
            in_time.map_err(|_| object.too_late(wait))??
        }
        None => {
            live.connect().await?;
            object.until(&mut live, |_| true).await?
        }
    };
    if asked.monitor && object.is_online(&status) {
        let follow = Follow::new(object.daemon(), options, look);
        if !options.quiet && !follow.print(&object.page(&status, look).data) {
            return Ok(follow::seen_enough());
        }
        status = object.until_offline(&mut live, &follow, limit).await?;
    }
    Ok(object.page(&status, look))
}

/// What has the status.
struct Object<'a> {
    what: &'a Online,
}

impl<'a> Object<'a> {
    fn of(what: &'a Online) -> Self {
        Self { what }
    }

    fn daemon(&self) -> Daemon {
        match self.what {
            Online::System | Online::Node { .. } => Daemon::Controller,
            Online::Agent => Daemon::Agent,
        }
    }

    fn node(&self) -> Option<&'a NodeName> {
        match self.what {
            Online::Node { name } => Some(name),
            Online::System | Online::Agent => None,
        }
    }

    fn path(&self) -> String {
        match self.what {
            Online::System => public::CONTROLLER_PATH.to_owned(),
            Online::Node { name } => bus::node_path(name),
            Online::Agent => agent::PATH.to_owned(),
        }
    }

    fn interface(&self) -> &'static str {
        match self.what {
            Online::System => public::CONTROLLER,
            Online::Node { .. } => public::NODE,
            Online::Agent => agent::AGENT,
        }
    }

    /// A node or an agent is online, the fleet is up.
    fn is_online(&self, status: &str) -> bool {
        match self.what {
            Online::System => status == "up",
            Online::Node { .. } | Online::Agent => status == "online",
        }
    }

    fn rule(&self) -> String {
        format!(
            "type='signal',sender='{}',path='{}',interface='{PROPERTIES}',\
             member='PropertiesChanged',arg0='{}'",
            self.daemon().bus_name(),
            self.path(),
            self.interface()
        )
    }

    async fn ask(&self, bus: &mut Bus) -> Result<String, Fault> {
        let body = (self.interface(), "Status");
        let call = match self.what {
            Online::System | Online::Node { .. } => {
                bus::object_call(&self.path(), PROPERTIES, "Get", &body)?
            }
            Online::Agent => bus::agent_call(PROPERTIES, "Get", &body)?,
        };
        let [answer] = bus.ask([call]).await?;
        match answer {
            Ok(answer) => read(&answer),
            Err(refusal) => Err(self.explain(bus, refusal).await),
        }
    }

    async fn explain(&self, bus: &mut Bus, refusal: Refusal) -> Fault {
        match self.node() {
            Some(node) => Known::default().explain(bus, node, "", refusal).await,
            None => Fault::refused_by(self.daemon(), refusal, bus.name()),
        }
    }

    /// Listens until it has a status that is wanted. A daemon or a bus that is not there yet, or goes
    /// away, is waited for as well; a node that the controller does not know is not.
    async fn until(&self, live: &mut Live, wanted: impl Fn(&str) -> bool) -> Result<String, Fault> {
        loop {
            match live.next().await {
                Heard::Away(_) => continue,
                Heard::Message(message) if !self.may_have_changed(&message) => continue,
                Heard::Up(_) | Heard::Message(_) => {}
            }
            match self.ask(live.bus()?).await {
                Ok(status) if wanted(&status) => return Ok(status),
                Ok(_) => {}
                Err(fault) if follow::passes(&fault) => live.again(),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// As [`Self::until`], until it is not online. A daemon that goes away may come back with it
    /// online; it is given as long as a question.
    async fn until_offline(
        &self,
        live: &mut Live,
        follow: &Follow<'_>,
        grace: Duration,
    ) -> Result<String, Fault> {
        let mut deadline = None;
        // How it was found, or why it was not.
        let mut last = Err(self.too_late(grace));
        loop {
            let heard = tokio::select! {
                heard = live.next() => heard,
                () = until(deadline) => return last,
            };
            match heard {
                Heard::Away(fault) => {
                    follow.away(&fault);
                    deadline = deadline.or(Some(Instant::now() + grace));
                    last = Err(fault);
                    continue;
                }
                Heard::Up(Some(away)) => follow.back(away),
                Heard::Up(None) => {}
                Heard::Message(message) if !self.may_have_changed(&message) => continue,
                Heard::Message(_) => {}
            }
            match self.ask(live.bus()?).await {
                Ok(status) if self.is_online(&status) => deadline = None,
                // A controller that is back does not have its nodes at once.
                Ok(status) if deadline.is_some() => last = Ok(status),
                Ok(status) => return Ok(status),
                Err(fault) if follow::passes(&fault) => live.again(),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Whether it is worth to ask again. What a signal says is not needed: the answer is newer.
    fn may_have_changed(&self, message: &Message) -> bool {
        let header = message.header();
        header.member().is_some_and(|it| it == "PropertiesChanged")
    }

    fn page(&self, status: &str, look: &Look) -> Page {
        let exit = if self.is_online(status) {
            Exit::Done
        } else {
            Exit::NodeOffline
        };
        tell::online(self.node(), status, exit, look)
    }

    fn too_late(&self, limit: Duration) -> Fault {
        let (what, see) = match self.what {
            Online::Node { name } => (format!("node {name}"), format!("see 'ctl status {name}'")),
            Online::System => ("the fleet".to_owned(), "see 'ctl status'".to_owned()),
            Online::Agent => (
                Daemon::Agent.to_string(),
                "see 'systemctl status unitlink-agent'".to_owned(),
            ),
        };
        Fault::Timeout {
            text: format!("{what} is not online after {}", span::display(limit)),
            hint: format!("{see}; --wait=DURATION waits longer"),
        }
    }
}

fn read(answer: &Message) -> Result<String, Fault> {
    let value: OwnedVariant = bus::read(answer, "Get")?;
    String::try_from(value).map_err(|error| Fault::Answer {
        asked: "Get",
        cause: error.to_string(),
    })
}
