//! Links: ordered streams that lose nothing, and can be slow, silent, or broken.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use fleet::PeerId;
use node::{FromLink, LinkId};
use proto::{
    message::{ToAgent, ToController},
    time::Moment,
};

use super::{Event, World};

/// How the network of a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Net {
    Open,
    /// Bytes do not arrive, in one direction or both, and nobody is told: they wait.
    Silent {
        to_agent: bool,
        to_controller: bool,
    },
    /// Connections break and no new one can be made.
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum End {
    Agent,
    Controller,
}

#[derive(Clone, Debug)]
enum Packet {
    ToAgent(ToAgent),
    ToController(ToController),
    /// The other side has closed.
    End,
}

/// Bytes on their way to one end.
#[derive(Debug, Default)]
struct Flow {
    packets: VecDeque<Packet>,
    /// Those that have come as far as they can: the link is silent, or nobody reads yet.
    held: usize,
    last: Moment,
}

/// A connection of an agent to the controller.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) at: usize,
    /// The run of the agent, and its number for this.
    pub(crate) run: u64,
    pub(crate) link: LinkId,
    /// Which ends still know of it.
    agent: bool,
    controller: bool,
    /// The machine of the agent died without a word.
    abandoned: bool,
    /// It is broken: whatever is sent arrives nowhere.
    lost: bool,
    /// The run of the controller that has taken it from the socket.
    pub(super) accepted: Option<u64>,
    /// Whether its agent has said hello.
    pub(super) greeted: bool,
    flows: BTreeMap<End, Flow>,
}

impl World {
    pub(super) fn latency(&mut self) -> Duration {
        let (low, high) = self.plan.latency;
        self.rng.millis(low, high)
    }

    /// The connection that an agent has asked for is tried; where nothing answers, the kernel tries
    /// again after 1, 2, 4 s … (tcp(7), `tcp_syn_retries`), until the agent gives up.
    pub(super) fn connect(&mut self, at: usize, run: u64, link: LinkId, again: Duration) {
        let Some(machine) = self.machines.get(at) else {
            return;
        };
        let net = machine.net;
        let failed = |why: &str| FromLink::Failed(why.to_owned());
        let wanted = self
            .agent_run(at, run)
            .is_some_and(|a| a.link == Some(link));
        if !wanted {
            return;
        }
        match net {
            Net::Cut if self.rng.percent(50) => {
                self.link_says(at, run, link, failed("no route to host"));
            }
            Net::Cut | Net::Silent { .. } => self.after(
                again,
                Event::Connect {
                    at,
                    run,
                    link,
                    again: again * 2,
                },
            ),
            Net::Open if self.controller.core.is_none() && !self.plan.controller_socket => {
                self.link_says(at, run, link, failed("connection refused"));
            }
            Net::Open => {
                let id = self.new_run();
                let Some(agent) = self.agent_run(at, run).filter(|a| a.link == Some(link)) else {
                    return;
                };
                agent.conn = Some((link, id));
                let conn = Conn {
                    at,
                    run,
                    link,
                    agent: true,
                    controller: true,
                    abandoned: false,
                    lost: false,
                    accepted: None,
                    greeted: false,
                    flows: BTreeMap::new(),
                };
                self.conns.insert(id, conn);
                self.accept(id);
                self.link_says(at, run, link, FromLink::Connected);
            }
        }
    }

    pub(super) fn send_to_controller(&mut self, conn: u64, message: ToController) {
        self.push(conn, End::Controller, Packet::ToController(message));
    }

    pub(super) fn send_to_agent(&mut self, conn: u64, message: ToAgent) {
        self.push(conn, End::Agent, Packet::ToAgent(message));
    }

    fn push(&mut self, id: u64, to: End, packet: Packet) {
        let conn = self.conns.get(&id);
        let slow = conn.and_then(|conn| self.machines.get(conn.at));
        let slow = slow.map_or(Duration::ZERO, |machine| machine.slow);
        let wait = self.latency();
        let now = self.now;
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.lost) else {
            return;
        };
        let flow = conn.flows.entry(to).or_default();
        flow.packets.push_back(packet);
        // One after the other, each as long as it takes.
        flow.last = flow.last.max(now).plus(slow).max(now.plus(wait));
        let when = flow.last;
        self.at(when, Event::Deliver { conn: id, to });
    }

    /// One end closes; the other reads what was sent before, and then the end.
    pub(super) fn close(&mut self, id: u64, by: End) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        match by {
            End::Agent => conn.agent = false,
            End::Controller => conn.controller = false,
        }
        if !conn.agent && !conn.controller {
            self.conns.remove(&id);
            return;
        }
        let other = match by {
            End::Agent => End::Controller,
            End::Controller => End::Agent,
        };
        self.push(id, other, Packet::End);
    }

    fn is_held(&self, conn: &Conn, to: End) -> bool {
        let net = self.machines.get(conn.at).map_or(Net::Cut, |m| m.net);
        let silent = match net {
            Net::Open | Net::Cut => false,
            Net::Silent {
                to_agent,
                to_controller,
            } => match to {
                End::Agent => to_agent,
                End::Controller => to_controller,
            },
        };
        silent || to == End::Controller && conn.accepted.is_none()
    }

    pub(super) fn deliver(&mut self, id: u64, to: End) {
        let Some(held) = self.conns.get(&id).map(|conn| self.is_held(conn, to)) else {
            return;
        };
        let up = {
            let at = self.conns.get(&id).map(|conn| conn.at);
            at.and_then(|at| self.machines.get(at))
                .is_some_and(|m| m.up)
        };
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        let flow = conn.flows.entry(to).or_default();
        if held {
            flow.held += 1;
            return;
        }
        let Some(packet) = flow.packets.pop_front() else {
            return;
        };
        let (at, run, link) = (conn.at, conn.run, conn.link);
        if let Some(cut) = self.machines.get_mut(at).and_then(|m| m.cut_after.take()) {
            let Some(left) = cut.checked_sub(1) else {
                return self.reset(at);
            };
            if let Some(machine) = self.machines.get_mut(at) {
                machine.cut_after = Some(left);
            }
        }
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        match (to, packet) {
            (End::Agent, _) if conn.abandoned => {
                if up {
                    // The machine is back and knows no such connection: it resets it.
                    conn.agent = false;
                    self.push(id, End::Controller, Packet::End);
                }
            }
            (End::Agent, Packet::ToAgent(message)) if conn.agent => {
                self.link_says(at, run, link, FromLink::Said(message));
            }
            (End::Agent, Packet::End) if conn.agent => {
                self.forget(id, End::Agent);
                self.link_says(at, run, link, FromLink::Closed("closed".to_owned()));
            }
            (End::Controller, Packet::ToController(message)) if conn.controller => {
                self.controller_hears(id, message);
            }
            (End::Controller, Packet::End) if conn.controller => {
                self.forget(id, End::Controller);
                self.controller_loses(PeerId(id));
            }
            (End::Agent | End::Controller, _) => {}
        }
    }

    fn forget(&mut self, id: u64, end: End) {
        if let Some(conn) = self.conns.get_mut(&id) {
            match end {
                End::Agent => conn.agent = false,
                End::Controller => conn.controller = false,
            }
            if !conn.agent && !conn.controller {
                self.conns.remove(&id);
            }
        }
    }

    /// What was held goes on.
    pub(super) fn release(&mut self) {
        let mut due = Vec::new();
        for (id, conn) in &self.conns {
            for (to, flow) in &conn.flows {
                if flow.held > 0 && !self.is_held(conn, *to) {
                    due.push((*id, *to, flow.held));
                }
            }
        }
        for (id, to, held) in due {
            if let Some(flow) = self.conns.get_mut(&id).and_then(|c| c.flows.get_mut(&to)) {
                flow.held = 0;
            }
            for _ in 0..held {
                self.after(Duration::ZERO, Event::Deliver { conn: id, to });
            }
        }
    }

    pub(super) fn set_net(&mut self, at: usize, net: Net) {
        if let Some(machine) = self.machines.get_mut(at) {
            machine.net = net;
        }
        if net == Net::Cut {
            self.reset(at);
        }
        self.release();
    }

    /// The connections of a machine break: each side notices at its own time, or never.
    pub(super) fn reset(&mut self, at: usize) {
        let mut broken = Vec::new();
        for (id, conn) in self.conns.iter_mut().filter(|(_, conn)| conn.at == at) {
            conn.flows.clear();
            conn.lost = true;
            broken.push(*id);
        }
        for conn in broken {
            for to in [End::Agent, End::Controller] {
                if self.rng.percent(70) {
                    let wait = self.rng.millis(0, 2000);
                    self.after(wait, Event::Broken { conn, to });
                }
            }
        }
    }

    pub(super) fn broken(&mut self, id: u64, to: End) {
        let Some(conn) = self.conns.get(&id) else {
            return;
        };
        let (at, run, link) = (conn.at, conn.run, conn.link);
        let known = match to {
            End::Agent => conn.agent,
            End::Controller => conn.controller,
        };
        self.forget(id, to);
        match to {
            End::Agent if known => {
                let why = "connection reset by peer".to_owned();
                self.link_says(at, run, link, FromLink::Closed(why));
            }
            End::Controller if known => self.controller_loses(PeerId(id)),
            End::Agent | End::Controller => {}
        }
    }

    /// A machine dies: the other side hears nothing of it.
    pub(super) fn conns_die(&mut self, at: usize) {
        for conn in self.conns.values_mut().filter(|conn| conn.at == at) {
            conn.abandoned = true;
            conn.flows.remove(&End::Agent);
        }
    }

    /// The controller's process is gone: what it had taken is closed.
    pub(super) fn conns_of_controller(&self) -> Vec<u64> {
        let taken = self.conns.iter().filter(|(_, conn)| {
            conn.controller && (conn.accepted.is_some() || !self.plan.controller_socket)
        });
        taken.map(|(id, _)| *id).collect()
    }

    pub(super) fn conns_waiting(&self) -> Vec<u64> {
        let waiting = self
            .conns
            .iter()
            .filter(|(_, conn)| conn.controller && conn.accepted.is_none() && !conn.lost);
        waiting.map(|(id, _)| *id).collect()
    }
}
