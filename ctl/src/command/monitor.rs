//! `monitor`: what happens to nodes and units, until somebody ends it.

use std::{collections::BTreeMap, num::NonZeroU32};

use proto::dbus::public;
use zbus::{Message, wire::OwnedObjectPath};

use super::{
    choose::Known,
    follow::{self, Follow},
};
use crate::{
    bus,
    cli::{Monitor, Nodes, Options, Output},
    event::{Event, Plan, Wanted, What},
    fault::{Daemon, Fault},
    fleet::Node,
    live::{Heard, Live},
    view::{Look, Page, detail, monitor as view, stream::Stream},
};

/// The rule for signals of nodes that come or go.
pub(super) fn node_rule() -> String {
    format!(
        "type='signal',sender='{}',path_namespace='{}',\
         interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',arg0='{}'",
        public::BUS_NAME,
        public::NODE_PATH_PREFIX.trim_end_matches('/'),
        public::NODE
    )
}

/// Makes a monitor. The calls that subscribe are in the order of the nodes, and are not sent yet, so
/// that nothing that follows from them comes before it is known what it is about.
pub(super) async fn subscriptions(
    live: &mut Live,
    plan: &Plan,
) -> Result<(String, Vec<Message>), Fault> {
    let create = bus::fleet_call(public::CONTROLLER, "CreateMonitor", &())?;
    let [answer] = live.bus()?.ask([create]).await?;
    let answer = answer.map_err(|refusal| Fault::refused(refusal, live.bus_name()))?;
    let path: OwnedObjectPath = bus::read(&answer, "CreateMonitor")?;
    let call = |node: &String| {
        let body = (node.as_str(), &plan.units);
        bus::object_call(path.as_str(), public::MONITOR, "SubscribeList", &body)
    };
    let calls = plan.nodes.iter().map(call).collect::<Result<_, _>>()?;
    Ok((path.to_string(), calls))
}

/// Tells of events.
pub(crate) async fn run(options: &Options, with: &Monitor, look: &Look) -> Result<Page, Fault> {
    let wanted = Wanted {
        nodes: with.nodes.clone().unwrap_or_else(Nodes::all),
        units: with.units.clone(),
        kinds: with.events.clone(),
        only_real: with.changes,
    };
    let limit = options.question_timeout();
    let mut live = Live::to(Daemon::Controller, options.user, limit, vec![node_rule()]);
    live.connect().await?;
    let mut follow = Follow::new(Daemon::Controller, options, look);
    let mut told = Told::new(wanted, look);
    loop {
        match live.next().await {
            Heard::Up(away) => {
                if let Some(away) = away {
                    follow.back(away);
                    if look.output == Output::Json && !follow.print(&view::gap(away, follow::now()))
                    {
                        return Ok(follow::seen_enough());
                    }
                }
                let begun = told.begin(&mut live).await;
                let rows = follow.begun(&mut live, begun)?;
                if !rows.is_none_or(|rows| rows.is_empty() || follow.print(&rows)) {
                    return Ok(follow::seen_enough());
                }
            }
            Heard::Away(fault) => follow.away(&fault),
            Heard::Message(message) => {
                if let Some(rows) = told.hear(&mut live, message).await?
                    && !follow.print(&rows)
                {
                    return Ok(follow::seen_enough());
                }
            }
        }
    }
}

/// What is told, and what of it was told so far.
struct Told<'a> {
    wanted: Wanted,
    look: &'a Look,
    plan: Option<Plan>,
    monitor: Option<String>,
    /// Calls that have to succeed, with the node that they are about.
    open: BTreeMap<NonZeroU32, String>,
    /// `Status` of each node, as it was told last.
    nodes: BTreeMap<String, String>,
    stream: Option<Stream>,
    shown: view::Shown,
}

impl<'a> Told<'a> {
    fn new(wanted: Wanted, look: &'a Look) -> Self {
        Self {
            wanted,
            look,
            plan: None,
            monitor: None,
            open: BTreeMap::new(),
            nodes: BTreeMap::new(),
            stream: None,
            shown: view::Shown::default(),
        }
    }

    /// Makes a monitor and subscribes. The rows are those of nodes that came or went unseen.
    async fn begin(&mut self, live: &mut Live) -> Result<String, Fault> {
        (self.monitor, self.plan) = (None, None);
        self.open.clear();
        let known = super::nodes(live.bus()?).await?;
        let plan = self.wanted.plan(&known)?;
        let (path, calls) = subscriptions(live, &plan).await?;
        let serials = calls.iter().map(bus::serial);
        self.open = serials.zip(plan.nodes.iter().cloned()).collect();
        let rows = self.first(&known, &plan);
        self.monitor = Some(path);
        self.plan = Some(plan);
        live.send(&calls).await?;
        Ok(rows)
    }

    fn first(&mut self, known: &[Node], plan: &Plan) -> String {
        let look = self.look;
        let stream = self.stream.get_or_insert_with(|| {
            let node = known.iter().map(|node| node.name.chars().count()).max();
            let widths = [node.unwrap_or(0), 24];
            Stream::new(view::HEADER, &widths, detail::zone(), look)
        });
        let is_first = self.nodes.is_empty();
        let mut rows = String::new();
        for node in known {
            let before = self.nodes.insert(node.name.clone(), node.status.clone());
            if !is_first && before.as_ref() != Some(&node.status) {
                let event = Event {
                    time: follow::now(),
                    node: node.name.clone(),
                    unit: String::new(),
                    what: What::Node {
                        status: node.status.clone(),
                    },
                };
                if self.wanted.wants(plan, &event) {
                    rows.push_str(&view::row(stream, &event));
                }
            }
        }
        rows
    }

    /// The rows of one message, if it has any.
    async fn hear(&mut self, live: &mut Live, message: Message) -> Result<Option<String>, Fault> {
        let event = Event::read(&message, self.monitor.as_deref(), follow::now());
        let Some(mut event) = event else {
            return self.answered(live, message).await;
        };
        if let What::Node { status } = &event.what {
            let before = self.nodes.insert(event.node.clone(), status.clone());
            if before.as_ref() == Some(status) {
                return Ok(None);
            }
        }
        let (Some(plan), Some(stream)) = (&self.plan, &mut self.stream) else {
            return Ok(None);
        };
        // Programs are told everything.
        let is_wanted = self.wanted.wants(plan, &event)
            && (self.look.output != Output::Table || self.shown.is_news(&mut event));
        Ok(is_wanted.then(|| view::row(stream, &event)))
    }

    /// A subscription that is refused ends it: what is asked for would never come.
    async fn answered(
        &mut self,
        live: &mut Live,
        message: Message,
    ) -> Result<Option<String>, Fault> {
        if let Some((to, answer)) = bus::answer(message)
            && let Some(node) = self.open.remove(&to)
            && let Err(refusal) = answer
        {
            let fault = match node.parse() {
                Ok(node) => {
                    let bus = live.bus()?;
                    Known::default().explain(bus, &node, "", refusal).await
                }
                Err(_) => Fault::refused(refusal, live.bus_name()),
            };
            // The daemon went away before it answered; that is heard as well.
            if !follow::passes(&fault) {
                return Err(fault);
            }
        }
        Ok(None)
    }
}
