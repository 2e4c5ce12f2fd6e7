//! The shell of the controller: carries out what its core asks for, between simulated links.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fleet::{ClientId, Fleet, Gone, Input, Origin, Output, PeerId, Request, RequestId, Transport};
use proto::{
    message::{ToAgent, ToController},
    model::JobId,
    time::Moment,
};

use super::{End, Event, World};
use crate::check::{Oracle, Rule};

/// How long a connection may take to say hello.
const REGISTRATION: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct Controller {
    pub(crate) core: Option<Fleet>,
    pub(crate) run: u64,
    stamp: u64,
    pub(crate) frozen: Option<Moment>,
    /// It is killed after so many more outputs.
    pub(crate) dies_after: Option<usize>,
    requests: u64,
    /// Calls that wait for an answer.
    pub(crate) open: BTreeSet<RequestId>,
    /// Jobs that were announced in this run, and whether they have ended.
    pub(crate) jobs: BTreeMap<JobId, bool>,
}

impl World {
    pub(super) fn controller_starts(&mut self) {
        if self.controller.core.is_some() {
            return;
        }
        let run = self.new_run();
        let first = JobId(u32::try_from(run).unwrap_or(1) * 1000);
        let settings = self.settings.clone();
        self.controller = Controller {
            core: Some(Fleet::new(settings, self.now, first)),
            run,
            requests: self.controller.requests,
            ..Controller::default()
        };
        self.log(|| format!("controller starts, run {run}"));
        Oracle::configured(self);
        for conn in self.conns_waiting() {
            self.accept(conn);
        }
        self.release();
        self.controller_works();
        self.clients_ask_again();
    }

    /// The configuration has changed (SIGHUP).
    pub(super) fn controller_configured(&mut self) {
        let settings = self.settings.clone();
        Oracle::configured(self);
        self.controller_input(Input::Settings(settings));
    }

    pub(super) fn controller_dies(&mut self, away: Duration) {
        if self.controller.core.is_none() {
            return;
        }
        // What it has decided may have been told already.
        Oracle::controller(self);
        Oracle::controller_dies(self);
        self.controller.core = None;
        self.clients_lose_their_controller();
        self.controller.frozen = None;
        self.controller.dies_after = None;
        self.log(|| "controller dies".to_owned());
        for conn in self.conns_of_controller() {
            self.close(conn, End::Controller);
        }
        self.after(away, Event::ControllerStarts);
    }

    /// Takes a connection from the socket.
    pub(super) fn accept(&mut self, id: u64) {
        let run = self.controller.run;
        if self.controller.core.is_none() {
            return;
        }
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.accepted = Some(run);
            let peer = PeerId(id);
            self.after(REGISTRATION, Event::HelloDue { peer, run });
        }
    }

    pub(super) fn hello_due(&mut self, peer: PeerId, run: u64) {
        let late = self.conns.get(&peer.0).is_some_and(|conn| !conn.greeted);
        if late && self.controller.run == run && self.controller.core.is_some() {
            self.close(peer.0, End::Controller);
        }
    }

    pub(super) fn controller_hears(&mut self, id: u64, message: ToController) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        if conn.accepted != Some(self.controller.run) {
            return;
        }
        let at = conn.at;
        let peer = PeerId(id);
        let first = !std::mem::replace(&mut conn.greeted, true);
        let input = if let (ToController::Hello(hello), true) = (&message, first) {
            let hello = hello.clone();
            let origin = Origin {
                address: format!("10.0.0.{at}:1"),
                transport: Transport::Tcp,
                encrypted: false,
            };
            Input::Hello {
                peer,
                hello,
                origin,
            }
        } else {
            Input::Message { peer, message }
        };
        self.controller_input(input);
    }

    pub(super) fn controller_loses(&mut self, peer: PeerId) {
        let why = Gone::Closed;
        self.controller_input(Input::Gone { peer, why });
    }

    fn controller_input(&mut self, input: Input) {
        let now = self.now;
        let line = format!("controller <- {input:?}");
        let heartbeat = matches!(
            input,
            Input::Message {
                message: ToController::Heartbeat,
                ..
            }
        );
        let Some(core) = &mut self.controller.core else {
            return;
        };
        core.handle(now, input);
        if !heartbeat {
            self.log(|| line);
        }
        self.controller_works();
    }

    pub(super) fn controller_deadline(&mut self, run: u64, stamp: u64) {
        let now = self.now;
        if self.controller.run == run
            && self.controller.stamp == stamp
            && let Some(core) = &mut self.controller.core
        {
            core.handle_timeout(now);
            self.controller_works();
        }
    }

    /// `ctl cancel` of the job that was announced last.
    pub(super) fn cancel_ctl(&mut self) {
        if let Some(job) = self.controller.jobs.keys().next_back().copied()
            && let Some(id) = self.next_request()
        {
            self.request(id, Request::Cancel(job));
        }
    }

    /// The number of a call, if there is somebody who hears it.
    pub(super) fn next_request(&mut self) -> Option<RequestId> {
        if self.controller.core.is_none() || self.controller.frozen.is_some_and(|t| t > self.now) {
            return None;
        }
        self.controller.requests += 1;
        Some(RequestId(self.controller.requests))
    }

    pub(super) fn request(&mut self, id: RequestId, request: Request) {
        self.controller.open.insert(id);
        let client = ClientId(1);
        self.controller_input(Input::Request {
            id,
            client,
            request,
        });
    }

    fn controller_works(&mut self) {
        loop {
            match &mut self.controller.dies_after {
                Some(0) => {
                    let away = self.rng.millis(20, 3000);
                    return self.controller_dies(away);
                }
                Some(outputs) => *outputs -= 1,
                None => {}
            }
            let core = self.controller.core.as_mut();
            let Some(output) = core.and_then(|core| core.poll_output()) else {
                break;
            };
            self.controller_does(output);
        }
        let run = self.controller.run;
        self.controller.stamp += 1;
        let stamp = self.controller.stamp;
        let Some(core) = &self.controller.core else {
            return;
        };
        let wrong = core.check();
        if let Some((when, _)) = core.deadline() {
            self.at(when, Event::ControllerDeadline { run, stamp });
        }
        if let Some(what) = wrong.first() {
            self.violated(Rule::Orderly, format!("controller: {}", what.0));
        }
        Oracle::controller(self);
    }

    fn controller_does(&mut self, output: Output) {
        let quiet = matches!(
            output,
            Output::Send {
                message: ToAgent::Heartbeat,
                ..
            }
        );
        let line = format!("controller -> {output:?}");
        if !quiet {
            self.log(|| line.clone());
        }
        match output {
            Output::Send { peer, message } => self.send_to_agent(peer.0, message),
            Output::Disconnect { peer, why } => {
                if let fleet::Disconnect::Breach(_) = why {
                    self.violated(Rule::Orderly, format!("{line}: between correct peers"));
                }
                self.close(peer.0, End::Controller);
            }
            Output::Answer { id, result } => {
                self.client_answered(id, &result);
                if !self.controller.open.remove(&id) {
                    self.violated(
                        Rule::Answered,
                        format!("{line}: the call was answered before"),
                    );
                }
            }
            Output::JobNew(job) => {
                self.job_announced(job);
                if self.controller.jobs.insert(job, false).is_some() {
                    self.violated(
                        Rule::Answered,
                        format!("{line}: the job was announced before"),
                    );
                }
            }
            Output::JobRemoved { job, result, .. } => {
                self.job_ended(&job, result);
                self.client_ended(job.id);
                if self.controller.jobs.insert(job.id, true) != Some(false) {
                    self.violated(
                        Rule::Answered,
                        format!("{line}: the job has not begun, or has ended"),
                    );
                }
            }
            Output::JobState { job, .. } => {
                if self.controller.jobs.get(&job) != Some(&false) {
                    self.violated(
                        Rule::Answered,
                        format!("{line}: the job has not begun, or has ended"),
                    );
                }
            }
            Output::NodeStatus { node, status } => self.reports.push((node, status)),
            Output::Forward { .. }
            | Output::Transient { .. }
            | Output::Watch { .. }
            | Output::Monitor { .. }
            | Output::NodeAdded(_)
            | Output::NodeRemoved(_)
            | Output::FleetStatus(_)
            | Output::Log(_) => {}
        }
    }
}
