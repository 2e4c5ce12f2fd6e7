//! The loop: wait; make one input of what came; let the core decide; do all that it asks; look up
//! the next deadline; wait again.

mod bus;
mod dump;
mod reload;
mod stop;

use std::collections::BTreeMap;

use host::{
    address::Address,
    alarm::Alarm,
    bus::BusEvent,
    clock::Clock,
    notify,
    rate::Repeats,
    reload::{Read, Reload},
    signal::{Signal, Signals},
    stream::{TcpOptions, TcpTuning},
    watchdog::Watchdog,
};
use node::{
    Event, FromHelper, FromLink, FromManager, HelperAnswer, Input, LinkStatus, Node, Output,
    Request, Verb, Waiter,
};
use proto::time::Moment;
use tokio::sync::{mpsc, watch};
use tracing::{error, warn};

use crate::{
    limits::READY_TIME,
    link::{Connection, Ending, ForUs, LinkEvent, LinkNews, Surroundings},
    local::HelperEvent,
    notes::JobNotes,
    public::Public,
    reasons::Reasons,
    records::RecordFile,
    report,
    settings::Settings,
    systemd::{ManagerEvent, Said, Watching},
};

pub(crate) use reload::Caller;
use stop::Stopping;

/// What the loop listens to.
pub(crate) struct Sources {
    pub(crate) manager: mpsc::Receiver<ManagerEvent>,
    pub(crate) link: mpsc::Receiver<LinkEvent>,
    pub(crate) helpers: mpsc::Receiver<HelperEvent>,
    pub(crate) bus: mpsc::Receiver<BusEvent>,
    pub(crate) signals: Signals,
    pub(crate) alarm: Alarm,
}

/// How to connect.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    pub(crate) addresses: Vec<Address>,
    pub(crate) tcp: TcpTuning,
    pub(crate) events: mpsc::Sender<LinkEvent>,
}

/// Why the loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// `SIGTERM`: everything was said.
    Stopped,
    /// `SIGINT`.
    Quit,
    /// systemd was not reached within [`READY_TIME`].
    Late,
    /// A task that should never end has ended.
    Broken,
}

/// The agent while it runs.
pub(crate) struct Agent {
    pub(crate) node: Node,
    pub(crate) clock: Clock,
    pub(crate) name: String,
    pub(crate) records: RecordFile,
    pub(crate) jobs: JobNotes,
    pub(crate) reasons: Reasons,
    pub(crate) around: Surroundings,
    pub(crate) dial: Dial,
    pub(crate) settings: Settings,
    pub(crate) reload: Reload<Settings, Caller>,
    /// The options of the connection.
    pub(crate) tcp: watch::Sender<TcpOptions>,
    pub(crate) public: Public,
    watchdog: Watchdog,
    /// When the start has failed, if it is not over by then.
    ready_by: Moment,
    stopping: Option<Stopping>,
    /// The controller that a client wants, until the agent is started again.
    switched: Option<Address>,
    bus_lost: Repeats,
    connection: Option<Connection>,
    ending: Option<Ending>,
    helpers: BTreeMap<Waiter, mpsc::Sender<HelperAnswer>>,
    /// The session with systemd that the core knows.
    session: u64,
    status: Status,
}

/// What an agent begins with.
pub(crate) struct Parts {
    pub(crate) node: Node,
    pub(crate) clock: Clock,
    pub(crate) name: String,
    pub(crate) records: RecordFile,
    pub(crate) jobs: JobNotes,
    pub(crate) reasons: Reasons,
    pub(crate) around: Surroundings,
    pub(crate) dial: Dial,
    pub(crate) tcp: watch::Sender<TcpOptions>,
    pub(crate) settings: Settings,
    pub(crate) reload: Reload<Settings, Caller>,
    pub(crate) public: Public,
    /// When the service manager is told that we are alive.
    pub(crate) watchdog: Watchdog,
}

/// What the service manager was told about us.
#[derive(Debug, Default)]
struct Status {
    ready: bool,
    trouble: String,
    text: String,
}

/// What came.
enum Came {
    Manager(ManagerEvent),
    Link(LinkEvent),
    Helper(HelperEvent),
    Bus(BusEvent),
    Read(Read<Settings>),
    Signal(Signal),
    Deadline,
    Nothing,
}

impl Agent {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            node,
            clock,
            name,
            records,
            jobs,
            reasons,
            around,
            dial,
            tcp,
            settings,
            reload,
            public,
            watchdog,
        } = parts;
        let mut agent = Self {
            node,
            clock,
            name,
            records,
            jobs,
            reasons,
            around,
            dial,
            settings,
            reload,
            tcp,
            public,
            watchdog,
            ready_by: clock.now().plus(READY_TIME),
            stopping: None,
            switched: None,
            bus_lost: Repeats::default(),
            connection: None,
            ending: None,
            helpers: BTreeMap::new(),
            session: 0,
            status: Status::default(),
        };
        agent.public.set_configuration(agent.configuration());
        agent
    }

    /// Runs until a signal ends it.
    pub(crate) async fn run(&mut self, mut sources: Sources) -> End {
        self.carry_out();
        loop {
            match self.wait(&mut sources).await {
                Came::Manager(event) => self.manager(event),
                Came::Link(event) => self.link(event),
                Came::Helper(event) => self.helper(event),
                Came::Bus(event) => self.bus(event),
                Came::Read(read) => self.on_read(read),
                Came::Deadline => self.node.handle_timeout(self.clock.now()),
                Came::Signal(Signal::Quit) => return End::Quit,
                Came::Signal(Signal::Stop) => self.begin_stop().await,
                Came::Signal(Signal::Reload) => self.ask_reload(None),
                Came::Signal(Signal::Dump) => self.dump(),
                Came::Nothing => return End::Broken,
            }
            self.carry_out();
            tell(self.watchdog.beat(self.clock.now()));
            if self.may_leave() {
                self.hear_out(&mut sources).await;
                self.leave().await;
                return End::Stopped;
            }
            if self.start_wake().is_some_and(|by| by <= self.clock.now()) {
                return End::Late;
            }
            self.say_status();
            self.say_link();
        }
    }

    /// When the start has failed, while it is not over.
    fn start_wake(&self) -> Option<Moment> {
        let is_starting = !self.status.ready && self.stopping.is_none();
        is_starting.then_some(self.ready_by)
    }

    async fn wait(&mut self, sources: &mut Sources) -> Came {
        let deadline = self.node.deadline().map(|(at, _)| at);
        let others = self.stop_wake().into_iter().chain(self.watchdog.due());
        let others = others.chain(self.start_wake());
        let deadline = deadline.into_iter().chain(others).min();
        let deadline = deadline.map(|at| self.clock.instant(at));
        tokio::select! {
            signal = sources.signals.next() => Came::Signal(signal),
            event = sources.manager.recv() => event.map_or(Came::Nothing, Came::Manager),
            event = sources.link.recv() => event.map_or(Came::Nothing, Came::Link),
            event = sources.helpers.recv() => event.map_or(Came::Nothing, Came::Helper),
            // Its task may end; nothing here needs it.
            Some(event) = sources.bus.recv() => Came::Bus(event),
            read = self.reload.read() => Came::Read(read),
            () = sources.alarm.at(deadline) => Came::Deadline,
        }
    }

    /// There is no connection any more, and nobody who wants to hear of units.
    fn end_connection(&mut self) {
        self.connection = None;
        self.around.manager.watch(Watching::Forget);
    }

    fn take(&mut self, input: Input) {
        self.node.handle(self.clock.now(), input);
    }

    fn manager(&mut self, ManagerEvent { session, said }: ManagerEvent) {
        match said {
            Said::Core(said) => {
                if matches!(said, FromManager::Connected(_)) {
                    self.session = session;
                }
                self.take(Input::Manager(said));
            }
            Said::Unit(signal) => {
                if let Some(connection) = &self.connection {
                    connection.tell(&signal);
                }
            }
        }
    }

    fn link(&mut self, LinkEvent { link, what }: LinkEvent) {
        let Some(connection) = self.connection.as_mut().filter(|it| it.is(link)) else {
            return;
        };
        let input = match what {
            LinkNews::Connected(sender) => {
                connection.connected(sender);
                FromLink::Connected
            }
            LinkNews::Message(message) => {
                self.public.heard(self.clock.now());
                match connection.heard(message, &self.around) {
                    Ok(Some(ForUs::Core(message))) => FromLink::Said(message),
                    Ok(Some(ForUs::Asked(asked, caller))) => return self.asked(asked, caller),
                    Ok(None) => return,
                    Err(why) => {
                        self.end_connection();
                        FromLink::Closed(why)
                    }
                }
            }
            LinkNews::Failed(why) => {
                self.end_connection();
                FromLink::Failed(why)
            }
            LinkNews::Closed(why) => {
                self.end_connection();
                FromLink::Closed(why)
            }
        };
        self.take(Input::Link(link, input));
        // A start that the message asked for is among what is to be done now, if it is at all.
        self.carry_out();
        if let Some(connection) = &mut self.connection {
            connection.taken_in();
        }
    }

    fn helper(&mut self, event: HelperEvent) {
        let (waiter, input) = match event {
            HelperEvent::Asks {
                waiter,
                request,
                answers,
            } => {
                self.helpers.insert(waiter, answers);
                (waiter, request)
            }
            HelperEvent::Gone(waiter) => {
                self.public.answered(waiter);
                self.helpers.remove(&waiter);
                (waiter, FromHelper::Gone)
            }
        };
        self.take(Input::Helper(waiter, input));
    }

    /// Does all that the core asks.
    fn carry_out(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Persist(text) => {
                    if let Err(error) = self.records.write(&text) {
                        error!(%error, "failed to write the records of holds, going on without");
                    }
                }
                Output::KeepJob { job, text } => {
                    if let Err(error) = self.jobs.keep(job, text.as_deref()) {
                        error!(%job, %error, "failed to note a job, going on without");
                    }
                }
                Output::ForgetJobs => {
                    if let Err(error) = self.jobs.forget() {
                        error!(%error, "failed to note that jobs are forgotten, going on without");
                    }
                }
                Output::KeepReason { token, reason } => {
                    if let Err(error) = self.reasons.keep(token, &reason) {
                        error!(%error, "failed to note why a proxy is stopped, going on without");
                    }
                }
                Output::Connect { link, address } => {
                    if let Some(address) = self.dial.addresses.get(address).cloned() {
                        let events = self.dial.events.clone();
                        let tcp = self.dial.tcp.clone();
                        self.connection = Some(Connection::connect(link, address, tcp, events));
                    }
                }
                Output::Send { link, message } => {
                    if let Some(connection) = self.connection.as_mut().filter(|it| it.is(link)) {
                        connection.say(&message);
                    }
                }
                Output::Disconnect(link) => {
                    if let Some(connection) = self.connection.take_if(|it| it.is(link)) {
                        self.ending = Some(connection.disconnect());
                        self.around.manager.watch(Watching::Forget);
                    }
                }
                Output::Call { call, request } => {
                    let made = match &request {
                        Request::Queue {
                            verb: Verb::Start,
                            unit,
                            ..
                        } => {
                            let connection = self.connection.as_mut();
                            connection.and_then(|connection| connection.take_made(unit))
                        }
                        Request::Queue { .. }
                        | Request::Restart { .. }
                        | Request::StopAlone(_)
                        | Request::ReloadFollowers(_)
                        | Request::Cancel(_)
                        | Request::Look(_)
                        | Request::Describe(_)
                        | Request::WaitsOf(_)
                        | Request::LookAgain(_)
                        | Request::UpheldBy(_)
                        | Request::LookUpheld(_) => None,
                    };
                    let manager = &self.around.manager;
                    match made {
                        Some(message) => manager.make(self.session, call, message),
                        None => manager.ask(self.session, call, request),
                    }
                }
                Output::Helper { waiter, answer } => self.answer(waiter, answer),
                Output::Event(event) => self.event(event),
            }
        }
    }

    fn answer(&mut self, waiter: Waiter, answer: HelperAnswer) {
        let last = match &answer {
            HelperAnswer::Wait { .. } => false,
            HelperAnswer::Up | HelperAnswer::Done | HelperAnswer::Failed(_) => true,
        };
        let Some(answers) = self.helpers.get(&waiter) else {
            return;
        };
        // A helper that does not read loses its connection, and comes again.
        if answers.try_send(answer).is_err() || last {
            self.public.answered(waiter);
            self.helpers.remove(&waiter);
        }
    }

    fn event(&mut self, event: Event) {
        match &event {
            Event::JobRefused { job, error } => {
                if let Some(connection) = &mut self.connection {
                    connection.refused(*job, error.clone());
                }
            }
            Event::ManagerReached { .. } if !self.status.ready => {
                self.status.ready = true;
                self.status.text = self.status_text();
                tell(notify::ready(&self.status.text));
            }
            Event::Unreachable { address, why } => {
                self.status.trouble = format!("controller not reachable at {address}: {why}");
            }
            Event::Rejected { address, reason } => {
                self.status.trouble = format!("controller at {address} refused: {reason}");
            }
            Event::LinkLost { why } => {
                self.status.trouble = format!("controller not reachable: {why}");
            }
            Event::Breach { .. }
            | Event::ClaimLost { .. }
            | Event::Hold { .. }
            | Event::Limit { .. }
            | Event::ManagerLost
            | Event::ManagerReached { .. }
            | Event::OrderFailed { .. }
            | Event::Overlooked { .. }
            | Event::ProxyRestarting { .. }
            | Event::ProxyStopping { .. }
            | Event::RecordDamaged { .. }
            | Event::Registered { .. }
            | Event::Releasing { .. }
            | Event::Retrying { .. }
            | Event::StartFailed { .. } => {}
        }
        report::log(&event);
    }

    fn say_status(&mut self) {
        let text = self.status_text();
        if self.status.ready && self.stopping.is_none() && text != self.status.text {
            tell(notify::status(&self.reload.status(&text)));
            self.status.text = text;
        }
    }

    fn status_text(&self) -> String {
        match self.node.link_status() {
            LinkStatus::Registered { address } => {
                format!("connected to {address} as {}", self.name)
            }
            LinkStatus::Unreachable if self.status.trouble.is_empty() => {
                "connecting to the controller".to_owned()
            }
            LinkStatus::Unreachable => self.status.trouble.clone(),
        }
    }
}

/// The service manager may not listen, which is no reason to stop.
fn tell(told: std::io::Result<()>) {
    if let Err(error) = told {
        warn!(%error, "failed to notify the service manager, going on");
    }
}
