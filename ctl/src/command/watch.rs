//! `status --watch`: the same question again whenever something has changed. A terminal is drawn
//! anew; elsewhere each table, or object, is printed when it differs from the one before in more
//! than how long things have been so.

use std::io::IsTerminal as _;

use proto::dbus::public;
use tokio::time::Instant;
use zbus::Message;

use super::{
    follow::{self, Follow},
    monitor,
    progress::until,
    status,
};
use crate::{
    cli::{AnyUnits, Options, Output},
    event::Wanted,
    exit::Exit,
    fault::{Daemon, Fault},
    limits,
    live::{Heard, Live},
    span,
    view::{Look, Page, message, screen},
};

/// Shows the status until somebody ends it.
pub(crate) async fn run(options: &Options, of: &AnyUnits, look: &Look) -> Result<Page, Fault> {
    let rules = vec![monitor::node_rule()];
    let limit = options.question_timeout();
    let mut live = Live::to(Daemon::Controller, options.user, limit, rules);
    live.connect().await?;
    let mut follow = Follow::new(Daemon::Controller, options, look);
    let mut watch = Watch::new(of, look);
    let mut due = None;
    loop {
        tokio::select! {
            heard = live.next() => match heard {
                Heard::Up(away) => {
                    if let Some(away) = away.filter(|_| !watch.is_screen) {
                        follow.back(away);
                    }
                    let begun = watch.begin(&mut live).await;
                    if follow.begun(&mut live, begun)?.is_some() {
                        due = Some(Instant::now());
                    }
                }
                Heard::Away(fault) if watch.is_screen => {
                    watch.away = Some(fault);
                    due = Some(Instant::now());
                }
                Heard::Away(fault) => {
                    follow.away(&fault);
                    due = None;
                }
                Heard::Message(message) if watch.matters(&message) => {
                    let soon = Instant::now() + limits::SETTLE;
                    due = Some(due.map_or(soon, |due| due.min(soon)));
                }
                Heard::Message(_) => {}
            },
            () = until(due) => {
                due = Some(Instant::now() + limits::WATCH_EVERY);
                let shown = match live.away() {
                    Some(away) => Ok(Page::text(watch.still(away))),
                    None => watch.show(&mut live).await,
                };
                if let Some(page) = follow.begun(&mut live, shown)? {
                    follow.say(page.messages);
                    if !page.data.is_empty() && !follow.print(&page.data) {
                        return Ok(follow::seen_enough());
                    }
                }
            }
        }
    }
}

struct Watch<'a> {
    of: &'a AnyUnits,
    look: &'a Look,
    /// Whether a terminal is drawn anew.
    is_screen: bool,
    monitor: Option<String>,
    /// What was shown last, as far as a change of it is worth a line.
    last: Option<serde_json::Value>,
    /// What was said last on standard error.
    said: Vec<message::Message>,
    /// What is on the screen.
    page: String,
    /// Why the controller is away.
    away: Option<Fault>,
}

impl<'a> Watch<'a> {
    fn new(of: &'a AnyUnits, look: &'a Look) -> Self {
        Self {
            of,
            look,
            is_screen: look.output == Output::Table && std::io::stdout().is_terminal(),
            monitor: None,
            last: None,
            said: Vec::new(),
            page: String::new(),
            away: None,
        }
    }

    /// Asks for signals of the units.
    async fn begin(&mut self, live: &mut Live) -> Result<(), Fault> {
        self.away = None;
        let Some(nodes) = self.of.nodes.clone().filter(|_| !self.of.units.is_empty()) else {
            return Ok(());
        };
        let wanted = Wanted {
            nodes,
            units: self.of.units.clone(),
            kinds: Vec::new(),
            only_real: false,
        };
        let known = super::nodes(live.bus()?).await?;
        let plan = wanted.plan(&known)?;
        let (path, calls) = monitor::subscriptions(live, &plan).await?;
        self.monitor = Some(path);
        // A subscription that is refused is a status that cannot be asked for, which is said there.
        live.send(&calls).await
    }

    /// Whether the status may be another one after this.
    fn matters(&self, message: &Message) -> bool {
        let header = message.header();
        let path = header.path().map_or("", |path| path.as_str());
        path.starts_with(public::NODE_PATH_PREFIX) || self.monitor.as_deref() == Some(path)
    }

    /// What is to be printed now; nothing if it is as before.
    async fn show(&mut self, live: &mut Live) -> Result<Page, Fault> {
        if self.is_screen {
            let page = self.ask(live, self.look).await?;
            let messages = message::all(&page.messages, self.look.paint_messages);
            self.page = page.data + &messages;
            return Ok(Page::text(screen::draw(&self.page, "Ctrl-C ends this")));
        }
        let json = Look {
            output: Output::Json,
            ..*self.look
        };
        let mut page = self.ask(live, &json).await?;
        // What is wrong is said again only when something else was.
        if page.messages == self.said {
            page.messages.clear();
        } else {
            self.said.clone_from(&page.messages);
        }
        let now = serde_json::from_str(&page.data).map(lasting).ok();
        if now == self.last {
            page.data.clear();
            return Ok(page);
        }
        let is_first = self.last.is_none();
        self.last = now;
        if self.look.output != Output::Json && !page.data.is_empty() {
            let data = self.ask(live, self.look).await?.data;
            page.data = if is_first { data } else { format!("\n{data}") };
        }
        Ok(page)
    }

    /// What is to be printed while the controller is away: what there was, and since when.
    fn still(&self, away: std::time::Duration) -> String {
        if !self.is_screen {
            return String::new();
        }
        let fault = self
            .away
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let note = format!("{fault} (for {}); this is how it was", span::display(away));
        screen::draw(&self.page, &note)
    }

    /// The status. That a node is offline is one as well.
    async fn ask(&self, live: &mut Live, look: &Look) -> Result<Page, Fault> {
        match self.asked(live, look).await {
            Err(fault) if fault.exit() == Exit::NodeOffline => Ok(Page::fault(&fault)),
            asked => asked,
        }
    }

    async fn asked(&self, live: &mut Live, look: &Look) -> Result<Page, Fault> {
        let bus = live.bus()?;
        match &self.of.nodes {
            None => status::fleet(bus, look).await,
            Some(nodes) if self.of.units.is_empty() => status::nodes(bus, nodes, look).await,
            Some(nodes) => {
                status::units(bus, nodes, &self.of.units, status::Tail::NONE, look).await
            }
        }
    }
}

/// Without what changes by itself: how long something has been so, and what it uses.
fn lasting(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    let changes = |key: &str| {
        key.ends_with("_usec")
            || key.ends_with("_usec_ago")
            || matches!(key, "memory_bytes" | "memory_peak_bytes" | "tasks")
    };
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(key, _)| !changes(key));
            Value::Object(fields.map(|(key, value)| (key, lasting(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(lasting).collect()),
        value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_by_itself_is_no_change() {
        let status = |age: u64, state: &str| {
            let text = format!(
                "{{\"units\":[{{\"state_age_usec\":{age},\"tasks\":{age},\"active_state\":\"{state}\"}}]}}"
            );
            lasting(serde_json::from_str(&text).expect("valid"))
        };
        assert_eq!(status(1, "active"), status(2, "active"));
        assert_ne!(status(1, "active"), status(1, "failed"));
    }
}
