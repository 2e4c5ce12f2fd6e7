//! The process around the state machine: it carries out what is decided, and tells what has happened.

mod carry;
mod probing;
mod read;
mod say;

use std::{
    collections::{BTreeMap, VecDeque},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use generations::{
    Exit, GenerationId, Herald, Input, Launcher, Outcome, ProcessId, ReloadNumber, Stop,
};
use nix::sys::signal::Signal;
use proto::time::Moment;

use crate::{
    cgroups::Cgroups,
    children::{Children, Ended, Kind},
    control::{self, Asked, Client, Request},
    drive::{Poller, Source, now},
    handover::{self, State, Successor},
    log,
    notify::{Inbox, Word},
    options::Run,
    plan::Plan,
    probe::Asking,
    reading::Reading,
    settings::{AtExit, Fixed},
    sockets::Socket,
    upstream::{self, Upstream},
};

/// What a shell has from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Wiring {
    pub(crate) run: Run,
    pub(crate) fixed: Fixed,
    /// Where the launcher was started, by its name.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) cgroups: Option<Cgroups>,
    pub(crate) sockets: Vec<Socket>,
    pub(crate) inbox: Inbox,
    pub(crate) control: Option<OwnedFd>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) successor: Successor,
}

#[derive(Debug)]
pub(crate) struct Shell {
    core: Launcher,
    wiring: Wiring,
    reading: Option<Reading>,
    /// What was read last, until it is known which generation it is for.
    read: Option<Plan>,
    plans: BTreeMap<GenerationId, Plan>,
    children: Children,
    probes: BTreeMap<ProcessId, Asking>,
    /// What has happened, and the state machine has not heard of.
    inputs: VecDeque<Input>,
    clients: BTreeMap<u32, Client>,
    next_client: u32,
    /// Reloads whose ends are to be told to whoever waits.
    concluded: Vec<(ReloadNumber, Outcome)>,
    upstream: Upstream,
    /// How often the service manager wants to hear from this process, and when it does next.
    watchdog: Option<(Duration, Moment)>,
    /// What a worker has said about itself last.
    said: Option<(ProcessId, String)>,
    wants_handover: bool,
    ended: Option<u8>,
}

impl Shell {
    pub(crate) fn new(
        core: Launcher,
        read: Option<Plan>,
        children: Children,
        wiring: Wiring,
    ) -> Self {
        Self {
            core,
            wiring,
            reading: None,
            read,
            plans: BTreeMap::new(),
            children,
            probes: BTreeMap::new(),
            inputs: VecDeque::new(),
            clients: BTreeMap::new(),
            next_client: 0,
            concluded: Vec::new(),
            upstream: Upstream::new(),
            watchdog: upstream::watchdog().map(|it| (it / 2, now())),
            said: None,
            wants_handover: false,
            ended: None,
        }
    }

    /// What a launcher before this one in the same process knew.
    pub(crate) fn resume(
        &mut self,
        plans: BTreeMap<GenerationId, Plan>,
        probing: &[ProcessId],
        clients: Vec<Client>,
    ) {
        self.plans = plans;
        for process in probing {
            self.begin_probe(*process);
        }
        for client in clients {
            self.clients.insert(self.next_client, client);
            self.next_client += 1;
        }
    }

    /// Everything that is to be waited for at the beginning.
    pub(crate) fn sources(&self) -> Vec<(Source, BorrowedFd<'_>)> {
        let mut all = vec![(Source::Inbox, self.wiring.inbox.socket.as_fd())];
        all.extend(
            self.wiring
                .control
                .iter()
                .map(|it| (Source::Control, it.as_fd())),
        );
        for running in self.children.iter() {
            if let Kind::Adopted(pidfd) = &running.kind {
                let number = u32::try_from(running.spawn.process.0).unwrap_or(u32::MAX);
                all.push((Source::Adopted(number), pidfd.as_fd()));
            }
        }
        let clients = self.clients.iter();
        all.extend(clients.map(|(number, it)| (Source::Client(*number), control::borrowed(it))));
        all
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&self) -> Option<u8> {
        self.ended
    }

    /// When there is something to do even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let core = self.core.deadline().map(|(at, _)| at);
        let own = self
            .watchdog
            .filter(|_| !self.core.is_spoken_for())
            .map(|(_, at)| at);
        let reading = self.reading.as_ref().map(|it| it.until);
        let all = core.into_iter().chain(own).chain(reading);
        all.chain(self.next_probe()).min()
    }

    /// Tells the state machine all that has happened, and does all that it asks, until there is no
    /// more of either.
    pub(crate) fn think(&mut self, poller: &Poller) {
        self.probe(now());
        self.give_up_reading(poller);
        self.core.handle_timeout(now());
        self.carry_out(poller);
        while let Some(input) = self.inputs.pop_front() {
            self.core.handle(input, now());
            self.carry_out(poller);
        }
        // Before a client is answered: its end is the end of a reload for the service manager, and whoever
        // then asks what it failed of must find it.
        self.say_status();
        self.answer_waiting(poller);
        self.sign_of_life();
        // Whoever reads the settings would answer a program that knows nothing of it.
        if self.wants_handover && self.reading.is_none() && self.ended.is_none() {
            self.wants_handover = false;
            self.hand_over();
        }
        if self.ended.is_some() && self.wiring.fixed.at_exit == AtExit::Kill {
            self.children.kill_all();
            if let Some(cgroups) = &self.wiring.cgroups {
                cgroups.kill_all();
            }
        }
    }

    pub(crate) fn signal(&mut self, number: u32) {
        const HUP: i32 = Signal::SIGHUP as i32;
        const TERM: i32 = Signal::SIGTERM as i32;
        const QUIT: i32 = Signal::SIGQUIT as i32;
        const INT: i32 = Signal::SIGINT as i32;
        const TTIN: i32 = Signal::SIGTTIN as i32;
        const TTOU: i32 = Signal::SIGTTOU as i32;
        const CHLD: i32 = Signal::SIGCHLD as i32;
        const USR1: i32 = Signal::SIGUSR1 as i32;
        const USR2: i32 = Signal::SIGUSR2 as i32;
        match i32::try_from(number).unwrap_or(0) {
            HUP => self.inputs.push_back(Input::Reload),
            TERM => self.inputs.push_back(Input::Stop(Stop::Term)),
            QUIT => self.inputs.push_back(Input::Stop(Stop::Quit)),
            INT => self.inputs.push_back(Input::Stop(Stop::Interrupt)),
            TTIN => self.inputs.push_back(Input::OneMore),
            TTOU => self.inputs.push_back(Input::OneLess),
            CHLD => self.reap(),
            USR1 => self.forward(USR1, true),
            USR2 => self.wants_handover = true,
            other => self.forward(other, false),
        }
    }

    /// Sends a signal on to the workers, to those whose settings say so.
    fn forward(&self, number: i32, is_always: bool) {
        let Some(signal) = rustix::process::Signal::from_named_raw(number) else {
            return;
        };
        for running in self.children.iter() {
            let plan = self.plans.get(&running.spawn.generation);
            if is_always || plan.is_some_and(|it| it.forward_signals.contains(&number)) {
                self.children.signal(running.spawn.process, signal);
            }
        }
    }

    fn reap(&mut self) {
        while let Some(ended) = self.children.reap() {
            match ended {
                Ended::Worker(process, exit) => self.worker_ended(process, exit),
                Ended::Other(pid, is_well) => self.probe_ended(pid, is_well),
            }
        }
        self.children.kill_strays();
        if let Some(cgroups) = &mut self.wiring.cgroups {
            cgroups.sweep();
        }
    }

    fn worker_ended(&mut self, process: ProcessId, exit: Exit) {
        if !self.core.has_been_ready(process) {
            self.children.false_start(process);
        }
        self.children.remove(process);
        self.end_probe(process);
        if self.said.as_ref().is_some_and(|(it, _)| *it == process) {
            self.said = None;
        }
        self.inputs.push_back(Input::Exited(process, exit));
    }

    pub(crate) fn adopted_ended(&mut self, number: u32, poller: &Poller) {
        let process = ProcessId(u64::from(number));
        if let Some(running) = self.children.get(process)
            && let Kind::Adopted(pidfd) = &running.kind
        {
            poller.remove(pidfd.as_fd());
            self.worker_ended(process, Exit::Unknown);
        }
    }

    /// Takes what workers say.
    pub(crate) fn messages(&mut self) {
        while let Some(message) = self.wiring.inbox.receive() {
            let Some(process) = message.from.and_then(|it| self.children.of_pid(it)) else {
                continue;
            };
            let name = message.stored_name();
            for word in &message.words {
                match word {
                    Word::Ready => self.inputs.push_back(Input::Ready(process, Herald::Worker)),
                    Word::Alive => self.inputs.push_back(Input::Alive(process)),
                    Word::Status(text) => self.said = Some((process, text.clone())),
                    Word::Extend(micros) => {
                        self.upstream.say(&format!("EXTEND_TIMEOUT_USEC={micros}"));
                    }
                    Word::Errno(errno) => self.upstream.say(&format!("ERRNO={errno}")),
                    Word::Store => self.store(process, name, &message.fds),
                    Word::StoreRemove => self.unstore(process, name),
                    Word::StoreName(_) => {}
                }
            }
        }
    }

    pub(crate) fn accept(&mut self, poller: &Poller) {
        let Some(listener) = &self.wiring.control else {
            return;
        };
        let Some(client) = Client::accept(listener) else {
            return;
        };
        if !control::has_room(self.clients.len()) {
            // It is told at once rather than left to wait for those before it.
            client.answer("{\"code\":6,\"text\":\"too many ask at the same time\"}");
            return;
        }
        let number = self.next_client;
        self.next_client = self.next_client.wrapping_add(1);
        poller.add(Source::Client(number), control::borrowed(&client));
        self.clients.insert(number, client);
    }

    pub(crate) fn client(&mut self, number: u32) {
        let Some(client) = self.clients.get_mut(&number) else {
            return;
        };
        match client.read() {
            Asked::Nothing => {}
            Asked::Gone => drop(self.clients.remove(&number)),
            Asked::Request(Request::Status) => {
                let text = self.status_json();
                if let Some(client) = self.clients.remove(&number) {
                    client.answer(&text);
                }
            }
            Asked::Request(Request::Reload { wait }) => self.reload_asked(number, wait),
        }
    }

    /// A client wants a reload. The state machine hears of it at once, so that it is known which one
    /// will be the answer.
    fn reload_asked(&mut self, number: u32, wait: bool) {
        while let Some(input) = self.inputs.pop_front() {
            self.core.handle(input, now());
        }
        self.core.handle(Input::Reload, now());
        let covering = self.core.covering();
        match (covering, wait) {
            (Some(reload), true) => {
                if let Some(client) = self.clients.get_mut(&number) {
                    client.waits_for = Some(reload);
                }
            }
            (covering, _) => {
                let Some(client) = self.clients.remove(&number) else {
                    return;
                };
                match covering {
                    Some(_) => client.answer("{\"code\":0,\"text\":\"asked for\"}"),
                    None => client.answer_reload(&Outcome::Stopped),
                }
            }
        }
    }

    fn answer_waiting(&mut self, poller: &Poller) {
        for (reload, outcome) in std::mem::take(&mut self.concluded) {
            let waiting = self
                .clients
                .iter()
                .filter(|(_, it)| it.waits_for.is_some_and(|it| it <= reload));
            for number in waiting.map(|(number, _)| *number).collect::<Vec<_>>() {
                if let Some(client) = self.clients.remove(&number) {
                    poller.remove(control::borrowed(&client));
                    client.answer_reload(&outcome);
                }
            }
        }
    }

    /// Replaces this program by the one that is there now.
    fn hand_over(&mut self) {
        if let Err(why) = self.wiring.successor.understands() {
            return log::error(&format!("the launcher's program is not replaced: {why}"));
        }
        let state = self.state();
        let error = self.wiring.successor.take_over(&state);
        log::error(&format!("the launcher's program is not replaced: {error}"));
        // What was kept open for the next one must not leak into workers.
        self.close_on_exec();
    }

    fn state(&mut self) -> State {
        let waiting = std::mem::take(&mut self.clients);
        let children = self.children.iter().map(|it| {
            let (report, is_adopted) = match &it.kind {
                Kind::Own(report) => (report.as_ref().map(handover::keep), false),
                Kind::Adopted(pidfd) => (Some(handover::keep(pidfd)), true),
            };
            handover::Child {
                process: it.spawn.process,
                generation: it.spawn.generation,
                worker: it.spawn.worker.0,
                pid: it.pid.as_raw_nonzero().get(),
                report,
                is_adopted,
            }
        });
        let waiting = waiting.into_values().filter_map(|client| {
            let reload = client.waits_for?;
            let fd = client.into_fd();
            let number = handover::keep(&fd);
            std::mem::forget(fd);
            Some((reload, number))
        });
        let sockets = self.wiring.sockets.iter();
        State {
            format: handover::FORMAT,
            core: self.core.clone(),
            fixed: self.wiring.fixed.clone(),
            directory: self.wiring.directory.clone(),
            plans: self.plans.clone(),
            children: children.collect(),
            probing: self.probes.keys().copied().collect(),
            sockets: sockets
                .map(|it| (it.name.clone(), handover::keep(&it.fd)))
                .collect(),
            inbox: (
                self.wiring.inbox.name.clone(),
                handover::keep(&self.wiring.inbox.socket),
            ),
            control: self.wiring.control.as_ref().map(handover::keep),
            waiting: waiting.collect(),
        }
    }

    fn close_on_exec(&self) {
        let own = self.children.iter().filter_map(|it| match &it.kind {
            Kind::Own(report) => report.as_ref(),
            Kind::Adopted(pidfd) => Some(pidfd),
        });
        let all = own
            .chain(self.wiring.sockets.iter().map(|it| &it.fd))
            .chain([&self.wiring.inbox.socket])
            .chain(&self.wiring.control);
        for fd in all {
            let _ = rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC);
        }
    }
}
