//! The shell of an agent: carries out what its core asks for, on a simulated machine.

use std::{collections::BTreeMap, time::Duration};

use node::{FromHelper, FromLink, Input, JobNote, LinkId, Live, Node, Output, Records, Waiter};
use proto::{
    message::{ToAgent, ToController},
    time::Moment,
};

use super::{End, Event, World};
use crate::check::{Oracle, Rule};

/// The process of an agent.
pub(crate) struct Agent {
    pub(crate) core: Node,
    pub(crate) run: u64,
    /// The connection that its core has asked for last, and it once it stands.
    pub(crate) link: Option<LinkId>,
    pub(crate) conn: Option<(LinkId, u64)>,
    /// Its connection to the service manager: its number, and when the last thing on it arrives.
    pub(super) session: Option<u64>,
    pub(super) stream: Moment,
    stamp: u64,
    pub(crate) frozen: Option<Moment>,
    /// It is killed after so many more outputs.
    pub(crate) dies_after: Option<usize>,
    pub(crate) waiters: BTreeMap<Waiter, u64>,
}

impl World {
    pub(super) fn agent_starts(&mut self, at: usize, boot: u64) {
        let heartbeat = self.plan.settings.heartbeat;
        let seed = self.rng.next();
        let run = self.new_run();
        let (now, clock) = (self.now, self.clock(at));
        let Some(machine) = self.machine(at, boot) else {
            return;
        };
        if machine.agent.is_some() || !machine.agent_wanted {
            return;
        }
        let records = machine.records.as_deref().map(Records::parse);
        let notes = machine.notes.values().map(|note| note.parse());
        let notes: Vec<JobNote> = notes.map(|note| note.expect("a note")).collect();
        let since = machine.notes_since;
        let settings = node::Settings {
            node: machine.name.clone(),
            version: "simulated".to_owned(),
            boot_id: format!("{at}-{}", machine.boot),
            incarnation: run,
            live: Live {
                controllers: vec!["tcp:host=controller,port=842".to_owned()],
                heartbeat_interval: heartbeat.interval,
                heartbeat_threshold: heartbeat.threshold,
                reconnect: node::limits::RECONNECT,
            },
        };
        machine.agent = Some(Agent {
            core: Node::new(settings, records.unwrap_or_default(), clock, seed)
                .with_jobs(notes, since, clock),
            run,
            link: None,
            conn: None,
            session: None,
            stream: now,
            stamp: 0,
            frozen: None,
            dies_after: None,
            waiters: BTreeMap::new(),
        });
        let waiting: Vec<u64> = machine.helpers.keys().copied().collect();
        let name = machine.name.clone();
        self.log(|| format!("{name}: agent starts, run {run}"));
        let wait = self.rng.millis(1, 10);
        self.after(wait, Event::Session { at, run });
        for helper in waiting {
            let wait = self.rng.millis(0, 5);
            self.after(wait, Event::HelperAsks { at, boot, helper });
        }
        self.agent_works(at);
    }

    /// The process is gone; systemd starts it again after a while.
    pub(super) fn agent_dies(&mut self, at: usize, away: Duration) {
        let Some(machine) = self.machines.get_mut(at).filter(|m| m.up) else {
            return;
        };
        let Some(agent) = machine.agent.take() else {
            return;
        };
        let boot = machine.boot;
        let name = machine.name.clone();
        self.log(|| format!("{name}: agent dies, run {}", agent.run));
        if let Some((_, conn)) = agent.conn {
            self.close(conn, End::Agent);
        }
        for helper in agent.waiters.into_values() {
            let wait = self.rng.millis(20, 1000);
            self.after(wait, Event::HelperAsks { at, boot, helper });
        }
        self.after(away, Event::AgentStarts { at, boot });
    }

    pub(super) fn agent_run(&mut self, at: usize, run: u64) -> Option<&mut Agent> {
        let machine = self.machines.get_mut(at)?;
        machine.agent.as_mut().filter(|agent| agent.run == run)
    }

    pub(super) fn agent_input(&mut self, at: usize, input: Input) {
        let now = self.clock(at);
        let Some(machine) = self.machines.get_mut(at) else {
            return;
        };
        let Some(agent) = &mut machine.agent else {
            return;
        };
        let beat = matches!(input, Input::Link(_, FromLink::Said(ToAgent::Heartbeat)));
        let line =
            (!beat && self.trace.is_some()).then(|| format!("{} <- {input:?}", machine.name));
        agent.core.handle(now, input);
        if let Some(line) = line {
            self.log(|| line);
        }
        self.agent_works(at);
    }

    pub(super) fn agent_deadline(&mut self, at: usize, run: u64, stamp: u64) {
        let now = self.clock(at);
        if let Some(agent) = self.agent_run(at, run).filter(|agent| agent.stamp == stamp) {
            agent.core.handle_timeout(now);
            self.agent_works(at);
        }
    }

    /// Carries out what the core asks for, and looks up its deadline.
    fn agent_works(&mut self, at: usize) {
        loop {
            let Some(agent) = self.machines.get_mut(at).and_then(|m| m.agent.as_mut()) else {
                return;
            };
            match &mut agent.dies_after {
                Some(0) => {
                    let away = self.rng.millis(20, 3000);
                    return self.agent_dies(at, away);
                }
                Some(outputs) => *outputs -= 1,
                None => {}
            }
            let Some(output) = agent.core.poll_output() else {
                break;
            };
            self.carry_out(at, output);
        }
        let name = self.machines.get(at).map(|m| m.name.clone());
        let lag = self.machines.get(at).map_or(Duration::ZERO, |m| m.lag);
        let Some(agent) = self.machines.get_mut(at).and_then(|m| m.agent.as_mut()) else {
            return;
        };
        agent.stamp += 1;
        let (run, stamp, deadline) = (agent.run, agent.stamp, agent.core.deadline());
        let checked = agent.core.check();
        if let Some((when, _)) = deadline {
            self.at(when.plus(lag), Event::AgentDeadline { at, run, stamp });
        }
        if let (Err(what), Some(name)) = (checked, name) {
            self.violated(Rule::Orderly, format!("agent of {name}: {what}"));
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        let Some(machine) = self.machines.get_mut(at) else {
            return;
        };
        let Some(agent) = &mut machine.agent else {
            return;
        };
        let run = agent.run;
        let line = format!("{} -> {output:?}", machine.name);
        match output {
            Output::Persist(text) => machine.records = Some(text),
            Output::KeepJob { job, text } => match text {
                Some(text) => drop(machine.notes.insert(job, text)),
                None => drop(machine.notes.remove(&job)),
            },
            Output::ForgetJobs => {
                let now = self.clock(at);
                if let Some(machine) = self.machines.get_mut(at) {
                    machine.notes_since = now;
                }
            }
            // No helper runs at a stop.
            Output::KeepReason { .. } => {}
            Output::Connect { link, .. } => {
                agent.link = Some(link);
                agent.conn = None;
                let wait = self.latency();
                let again = Duration::from_secs(1);
                self.after(
                    wait,
                    Event::Connect {
                        at,
                        run,
                        link,
                        again,
                    },
                );
            }
            Output::Send { link, message } => {
                if let Some((here, conn)) = agent.conn
                    && here == link
                {
                    if !matches!(message, ToController::Heartbeat) {
                        self.log(|| line);
                    }
                    self.send_to_controller(conn, message);
                    return;
                }
                self.violated(
                    Rule::Orderly,
                    format!("{line}: there is no such connection"),
                );
                return;
            }
            Output::Disconnect(link) => {
                agent.link = None;
                if let Some((_, conn)) = agent.conn.take_if(|(here, _)| *here == link) {
                    self.close(conn, End::Agent);
                }
            }
            Output::Call { call, request } => {
                let session = agent.session.unwrap_or_default();
                self.log(|| line);
                Oracle::call(self, at, &request);
                let wait = self.rng.millis(0, 1);
                let event = Event::Call {
                    at,
                    run,
                    session,
                    call,
                    request,
                };
                self.after(wait, event);
                return;
            }
            Output::Helper { waiter, answer } => self.helper_told(at, waiter, answer),
            Output::Event(
                event @ (node::Event::Breach { .. }
                | node::Event::Limit { .. }
                | node::Event::RecordDamaged { .. }),
            ) => self.violated(
                Rule::Orderly,
                format!("{line}: {event:?} between correct peers"),
            ),
            Output::Event(_) => {}
        }
        self.log(|| line);
    }

    /// A helper says something to the agent.
    pub(super) fn helper_says(&mut self, at: usize, waiter: Waiter, said: FromHelper) {
        self.agent_input(at, Input::Helper(waiter, said));
    }

    /// The agent hears of a connection, if that is still the one it wants.
    pub(super) fn link_says(&mut self, at: usize, run: u64, link: LinkId, said: FromLink) {
        let ended = matches!(said, FromLink::Closed(_) | FromLink::Failed(_));
        let Some(agent) = self.agent_run(at, run).filter(|a| a.link == Some(link)) else {
            return;
        };
        if ended {
            agent.link = None;
            agent.conn = None;
        }
        self.agent_input(at, Input::Link(link, said));
    }
}
