//! `logs --follow`: lines as they come, over a restart of the controller and a loss of nodes. Each node
//! is asked for what is behind the last line that was printed, and answers when there is something. So
//! after whatever has happened it is asked the same again, and nothing is lost or comes twice.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use proto::{dbus::error, name::NodeName};
use tokio::time::sleep_until;
use zbus::Message;

use super::{VERB, source::Sources};
use crate::{
    bus::{self, Answer},
    cli::Options,
    command::{
        Done,
        choose::Known,
        follow::{Follow, seen_enough},
    },
    exit::Exit,
    fault::{self, Daemon, Fault},
    journal::{Merge, Wanted},
    limits,
    live::{Heard, Live},
    span,
    view::{Look, Page, logs::Writer, message},
};

/// Prints lines until somebody ends it, or there is nobody left to be asked.
pub(super) async fn run(
    options: &Options,
    wanted: Wanted,
    sources: Sources,
    failed: Vec<Done<()>>,
    writer: Writer,
    look: &Look,
) -> Result<Page, Fault> {
    let max = limits::FOLLOWED_NODES;
    if sources.names().count() > max {
        let text = format!("more than {max} nodes are meant, which is more than can be followed");
        return Err(Fault::Usage(text));
    }
    let limit = options.question_timeout();
    let mut live = Live::to(Daemon::Controller, options.user, limit, Vec::new());
    live.connect().await?;
    let follow = Follow::new(Daemon::Controller, options, look);
    failed
        .iter()
        .for_each(|done| follow.say(message::of_done(done)));
    let mut following = Following::new(wanted, sources, failed, writer, options.quiet);
    loop {
        if !following.print(&follow) {
            return Ok(seen_enough());
        }
        if let Some(page) = following.end() {
            return Ok(page);
        }
        let due = following.next_due();
        let heard = tokio::select! {
            heard = live.next() => heard,
            () = until(due) => {
                following.ask(&mut live).await;
                continue;
            }
        };
        match heard {
            Heard::Up(away) => {
                if let Some(away) = away {
                    let away = span::display(away);
                    follow.warn(
                        format!("the controller is back, it was away for {away}"),
                        None,
                    );
                }
                following.begin();
                following.ask(&mut live).await;
            }
            Heard::Away(fault) => {
                following.open.clear();
                follow.away(&fault);
            }
            Heard::Message(message) => following.hear(&mut live, &follow, message).await,
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

struct Following {
    wanted: Wanted,
    sources: Sources,
    merge: Merge,
    writer: Writer,
    is_quiet: bool,
    /// Of nodes that are not followed any more, or never were.
    failed: Vec<Done<()>>,
    nodes: BTreeMap<NodeName, Node>,
    /// Questions under way: about which node, and since when.
    open: BTreeMap<NonZeroU32, (NodeName, Instant)>,
    /// Until when nodes that have not answered yet hold up the others.
    patience: Instant,
}

/// How it stands with a node.
#[derive(Debug)]
struct Node {
    /// When to ask it next; `None` while it is asked.
    due: Option<Instant>,
    /// For how long it may wait for a line.
    wait: Duration,
    /// Whether it has answered so far that what comes now is new.
    is_begun: bool,
    /// Since when it does not answer, and why, once that was said.
    away: Option<Instant>,
}

impl Following {
    fn new(
        wanted: Wanted,
        sources: Sources,
        failed: Vec<Done<()>>,
        writer: Writer,
        is_quiet: bool,
    ) -> Self {
        let node = |name: &NodeName| {
            let node = Node {
                due: Some(Instant::now()),
                wait: limits::LOG_WAIT,
                is_begun: false,
                away: None,
            };
            (name.clone(), node)
        };
        Self {
            wanted,
            merge: Merge::new(sources.names().cloned(), false),
            nodes: sources.names().map(node).collect(),
            sources,
            writer,
            is_quiet,
            failed,
            open: BTreeMap::new(),
            patience: Instant::now() + limits::LOG_PATIENCE,
        }
    }

    /// All are to be asked anew: nobody who was asked before will answer.
    fn begin(&mut self) {
        self.open.clear();
        for node in self.nodes.values_mut() {
            node.due = Some(Instant::now());
        }
    }

    /// When there is something to do at the latest.
    fn next_due(&self) -> Option<Instant> {
        let due = self.nodes.values().filter_map(|node| node.due).min();
        let is_held_up = self.merge.lacking().next().is_some();
        let patience = is_held_up.then_some(self.patience);
        due.into_iter().chain(patience).min()
    }

    /// Asks all whose turn it is.
    async fn ask(&mut self, live: &mut Live) {
        let now = Instant::now();
        if self.patience <= now {
            let late: Vec<NodeName> = self.merge.lacking().cloned().collect();
            late.iter().for_each(|node| self.merge.end(node));
        }
        let mut calls = Vec::new();
        for (name, node) in &mut self.nodes {
            if node.due.is_none_or(|due| due > now) {
                continue;
            }
            let wait = if node.is_begun {
                node.wait
            } else {
                Duration::ZERO
            };
            let wait = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
            let Some(source) = self.sources.get(name) else {
                continue;
            };
            // Only a bug makes a call that cannot be written.
            let Ok(call) = source.call(name, &self.wanted, Some(wait)) else {
                continue;
            };
            node.due = None;
            self.open.insert(bus::serial(&call), (name.clone(), now));
            calls.push(call);
        }
        // Where it fails the connection has ended, which is heard; then all are asked anew.
        let _ = live.send(&calls).await;
    }

    /// Something was answered.
    async fn hear(&mut self, live: &mut Live, follow: &Follow<'_>, message: Message) {
        let Some((to, answer)) = bus::answer(message) else {
            return;
        };
        let Some((name, asked)) = self.open.remove(&to) else {
            return;
        };
        self.answered(live, follow, &name, asked, answer).await;
        self.ask(live).await;
    }

    async fn answered(
        &mut self,
        live: &mut Live,
        follow: &Follow<'_>,
        name: &NodeName,
        asked: Instant,
        answer: Answer,
    ) {
        let read = match answer {
            Ok(answer) => super::lines(&answer),
            Err(refusal) if fault::is_offline(&refusal) => Err(Fault::Offline {
                node: name.to_string(),
                last_seen_ago: None,
                address: String::new(),
            }),
            Err(refusal) if fault::may_be_no_node(&refusal) => Err(match live.bus() {
                Ok(bus) => {
                    let fault = Known::default().explain(bus, name, "", refusal).await;
                    // Answers that came meanwhile are lost.
                    self.begin();
                    fault
                }
                Err(fault) => fault,
            }),
            Err(refusal) => Err(Fault::refused(refusal, live.bus_name())),
        };
        let is_alone = self.nodes.len() == 1;
        let (Some(node), Some(source)) = (self.nodes.get_mut(name), self.sources.get_mut(name))
        else {
            return;
        };
        let now = Instant::now();
        match read {
            Ok((lines, cursor, more)) => {
                if let Some(since) = node.away.take() {
                    let away = span::display(since.elapsed());
                    follow.warn(format!("{name} is back, it was away for {away}"), None);
                }
                let (is_empty, was_begun) = (lines.is_empty(), node.is_begun);
                let more = source.heard(lines.len(), cursor, more);
                self.merge.add(name, lines, more);
                if !more {
                    source.follows();
                    node.is_begun = source.has_cursor();
                }
                // Who says nothing sooner than it was to say so has no journal yet.
                let is_early = is_empty && asked.elapsed() < limits::LOG_PAUSE;
                let pauses = is_early && was_begun == node.is_begun;
                node.due = Some(if pauses { now + limits::LOG_PAUSE } else { now });
            }
            // As at the beginning of anything else, a single node that is not there is rather a slip.
            Err(fault) if is_lasting(&fault) || is_alone && !node.is_begun => {
                self.merge.end(name);
                self.nodes.remove(name);
                let done = Done {
                    verb: VERB,
                    node: name.clone(),
                    unit: String::new(),
                    answer: Err(fault),
                };
                follow.say(message::of_done(&done));
                self.failed.push(done);
            }
            Err(fault) => {
                self.merge.end(name);
                // The controller may have less patience than we have.
                if fault.exit() == Exit::Timeout {
                    node.wait = (node.wait / 2).max(limits::LOG_PAUSE);
                }
                if node.away.is_none() {
                    node.away = Some(now);
                    let text = format!("{fault}; waiting for it to come back");
                    follow.warn(text, fault.hint());
                }
                node.due = Some(now + limits::LOG_PAUSE);
            }
        }
    }

    /// Prints what there is to print; `false` if nobody reads any more.
    fn print(&mut self, follow: &Follow<'_>) -> bool {
        let mut text = String::new();
        while let Some((node, line)) = self.merge.next() {
            text.push_str(&self.writer.line(&node, &line));
        }
        self.is_quiet || text.is_empty() || follow.print(&text)
    }

    /// The end, if nobody is left.
    fn end(&self) -> Option<Page> {
        if !self.nodes.is_empty() {
            return None;
        }
        let exits = self.failed.iter().filter_map(|done| {
            let fault = done.answer.as_ref().err()?;
            Some((done.node.clone(), fault.exit()))
        });
        Some(Page::data(String::new(), Exit::of_nodes(exits)))
    }
}

/// Whether a fault stays however long one waits.
fn is_lasting(fault: &Fault) -> bool {
    match fault.exit() {
        Exit::NodeOffline | Exit::Timeout | Exit::Unreachable => false,
        Exit::Other => fault.error_name() != error::LIMITS_EXCEEDED,
        Exit::Done
        | Exit::JobFailed
        | Exit::Usage
        | Exit::NotActive
        | Exit::NoSuchUnit
        | Exit::NoSuchNode
        | Exit::AccessDenied
        | Exit::Interrupted => true,
    }
}
