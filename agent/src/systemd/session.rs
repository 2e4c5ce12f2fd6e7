//! One connection to systemd, from its first call to its end.

mod alone;
mod begin;
mod made;
pub(super) mod restart;
mod signal;
mod upheld;
mod walk;
mod watched;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use host::{
    alarm::Alarm,
    link::{self, Link, LinkReceiver, LinkSender, Method},
};
use node::{
    ActiveState, Answer, CallId, FromManager, ManagerError, ManagerJob, Request, UnitState,
};
use proto::{
    dbus::{error, systemd},
    name::UnitName,
};
use serde::Serialize;
use tokio::sync::mpsc;
use tracing::debug;
use zbus::{
    Message,
    message::{Body, Type},
    wire::{DynamicDeserialize, DynamicType, ObjectPath, Variant},
};

use super::{
    Command, ManagerEvent, RawMethod, Said, Way,
    cache::{self, Cache},
    chain,
    pending::{Asked, Pending, Purpose},
    unreachable,
    watch::Watch,
};
use crate::limits::CALL_TIMEOUT;
use restart::Sparing;

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const BUS: &str = "org.freedesktop.DBus";
/// A connection to systemd.
#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    way: Way,
    sender: LinkSender,
    receiver: LinkReceiver,
    pending: Pending,
    cache: Cache,
    /// Whether a snapshot was told.
    reached: bool,
    /// Whether systemd reads its units again. Until it has, what it says of them is of no meaning:
    /// it forgets each, and says so, before it loads it again.
    reloading: bool,
    beginning: Option<Beginning>,
    watch: Watch,
    /// Whether all that is watched is to be listed, once systemd can be asked.
    watch_again: bool,
    /// The question that is followed from job to job; the core asks one at a time.
    walk: Option<walk::Walk>,
    /// Restarts that spare something, until all are answered.
    sparing: BTreeMap<CallId, Sparing>,
    /// What is to be told, in order.
    said: VecDeque<Said>,
}

/// What is collected until all units are known.
#[derive(Debug, Default)]
struct Beginning {
    /// Answers that are missing.
    missing: usize,
    jobs: BTreeSet<ManagerJob>,
    /// Jobs that have ended since they were listed, and how.
    ends: Vec<FromManager>,
}

/// Why a session ends.
type Ended = String;

impl Session {
    pub(super) fn new(number: u64, link: Link, way: Way, watch: Watch) -> Self {
        Self {
            number,
            way,
            sender: link.sender,
            receiver: link.receiver,
            pending: Pending::default(),
            cache: Cache::default(),
            reached: false,
            reloading: false,
            beginning: Some(Beginning::default()),
            watch,
            watch_again: true,
            walk: None,
            sparing: BTreeMap::new(),
            said: VecDeque::new(),
        }
    }

    /// Whether the snapshot was told.
    pub(super) fn is_reached(&self) -> bool {
        self.reached
    }

    /// What is watched, for the next session.
    pub(super) fn take_watch(&mut self) -> Watch {
        std::mem::take(&mut self.watch)
    }

    /// Carries calls and events until the end, and says why it came. `alarm` rings for calls that are not answered.
    pub(super) async fn run(
        &mut self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        events: &mpsc::Sender<ManagerEvent>,
        alarm: &mut Alarm,
    ) -> Ended {
        let ended = match self.begin() {
            Err(ended) => ended,
            Ok(()) => loop {
                if let Err(ended) = self.list_again() {
                    break ended;
                }
                while let Some(said) = self.said.pop_front() {
                    let event = ManagerEvent {
                        session: self.number,
                        said,
                    };
                    if events.send(event).await.is_err() {
                        return "nobody listens any more".to_owned();
                    }
                }
                let deadline = self.pending.deadline();
                let stepped = tokio::select! {
                    message = self.receiver.recv() => match message {
                        Some(Ok(message)) => self.heard(&message),
                        Some(Err(error)) => Err(chain(&error)),
                        None => Err("systemd closed the connection".to_owned()),
                    },
                    command = commands.recv() => match command {
                        Some(command) => self.command(command),
                        None => Err("nobody asks any more".to_owned()),
                    },
                    () = alarm.at(deadline) => self.expire(),
                };
                if let Err(ended) = stepped {
                    break ended;
                }
            },
        };
        self.sender.abort();
        for purpose in self.pending.take_all() {
            if let Purpose::Raw(answer) = purpose {
                // Where nobody waits any more, nobody needs an answer.
                let _ = answer.send(Err(unreachable()));
            }
        }
        ended
    }

    fn command(&mut self, command: Command) -> Result<(), Ended> {
        match command {
            Command::Core {
                session,
                call,
                request,
            } if session == self.number => self.request(call, request),
            Command::Made {
                session,
                call,
                message,
            } if session == self.number => self.make(call, &message),
            // The core has given it up with the session that it belongs to.
            Command::Core { .. } | Command::Made { .. } => Ok(()),
            Command::Watch(watching) => match self.watch.change(watching) {
                // Otherwise it is listed with all the others as soon as it can be.
                Some(scope) if !self.watch_again => self.list_watched(scope),
                Some(_) | None => Ok(()),
            },
            Command::Raw {
                method: RawMethod(write),
                answer,
            } => {
                let serial = self.sender.next_serial();
                match write(serial, self.way.destination()) {
                    Ok(message) => {
                        self.pending.add(serial, Purpose::Raw(answer));
                        self.send(message)
                    }
                    Err(error) => {
                        let (name, text) = (error::INVALID_ARGS.to_owned(), error.to_string());
                        let _ = answer.send(Err(ManagerError { name, text }));
                        Ok(())
                    }
                }
            }
        }
    }

    fn request(&mut self, call: CallId, request: Request) -> Result<(), Ended> {
        match request {
            Request::Queue { verb, unit, mode } => {
                let body = (unit.as_str(), mode.as_str());
                self.call(self.manager(verb.method()), &body, Purpose::Job(call))
            }
            Request::Restart {
                unit,
                starts,
                spared,
            } => self.restart(call, unit, starts, spared),
            Request::StopAlone(unit) => self.stop_alone(call, unit),
            Request::ReloadFollowers(unit) => {
                self.tell_answer(call, Ok(Answer::Done));
                self.reload_followers(&unit)
            }
            Request::Cancel(job) => {
                self.call(self.manager("CancelJob"), &job.0, Purpose::Done(call))
            }
            Request::Look(unit) => {
                self.call(self.manager("GetUnit"), &unit.as_str(), Purpose::Look(call))
            }
            Request::Describe(unit) => self.call(
                self.manager("LoadUnit"),
                &unit.as_str(),
                Purpose::Find(call),
            ),
            Request::WaitsOf(jobs) => self.walk(call, jobs),
            Request::LookAgain(units) => self.look_again(call, &units),
            Request::UpheldBy(unit) => self.ask_upholders(call, &unit),
            Request::LookUpheld(unit) => self.look_upheld(call, &unit),
        }
    }

    /// Takes in a message of systemd's, or of the bus.
    fn heard(&mut self, message: &Message) -> Result<(), Ended> {
        match message.message_type() {
            Type::MethodReturn | Type::Error => {
                let Some(purpose) =
                    link::answers(message).and_then(|serial| self.pending.answered(serial))
                else {
                    return Ok(());
                };
                let answer = match message.message_type() {
                    Type::Error => Err(error_of(message)),
                    Type::MethodReturn | Type::MethodCall | Type::Signal => Ok(message),
                };
                self.answered(purpose, answer)
            }
            Type::Signal => self.signal(message),
            Type::MethodCall => Ok(()),
        }
    }

    fn expire(&mut self) -> Result<(), Ended> {
        while let Some(purpose) = self.pending.expired() {
            let text = format!("systemd did not answer within {CALL_TIMEOUT:?}");
            let name = error::TIMEOUT.to_owned();
            self.answered(purpose, Err(ManagerError { name, text }))?;
        }
        Ok(())
    }

    fn answered(
        &mut self,
        purpose: Purpose,
        answer: Result<&Message, ManagerError>,
    ) -> Result<(), Ended> {
        match (purpose, answer) {
            (Purpose::Raw(waiting), answer) => {
                let _ = waiting.send(answer.cloned());
            }
            (Purpose::Watch(scope), Ok(message)) => self.watched(&scope, message)?,
            (Purpose::Watch(_), Err(error)) => {
                debug!(
                    error = error.text,
                    "units that are watched cannot be listed"
                );
            }
            (Purpose::Setup(step), Ok(message)) => self.set_up(step, message)?,
            (Purpose::Setup(_), Err(error)) => return Err(error.text),
            (Purpose::Unit(asked), Ok(message)) => {
                let body = message.body();
                let listed = read::<Vec<ListedUnit<'_>>>(&body)?;
                let name = asked.name.as_str();
                match listed.iter().find(|listed| listed.0 == name) {
                    Some(listed) => self.listed(listed, asked)?,
                    None => self.missing(&asked),
                }
            }
            (Purpose::Run(asked), Ok(message)) => {
                let body = message.body();
                let value: Variant<'_> = read(&body)?;
                let id = cache::bytes_of(&value).unwrap_or_default();
                match self.cache.run(&asked.name, &id) {
                    Some(state) => self.found(state, &asked),
                    None => self.missing(&asked),
                }
            }
            (Purpose::Unit(asked) | Purpose::Run(asked), Err(_)) => self.missing(&asked),
            (Purpose::Job(call), Ok(message)) => {
                let body = message.body();
                let path: ObjectPath<'_> = read(&body)?;
                let job = cache::job_at(path.as_str());
                let job = job.ok_or_else(|| format!("'{path}' is no job of systemd's"))?;
                self.tell_answer(call, Ok(Answer::Job(job)));
            }
            (Purpose::Done(call), Ok(_)) => self.tell_answer(call, Ok(Answer::Done)),
            (Purpose::Look(call), Ok(message)) => {
                let body = message.body();
                let path: ObjectPath<'_> = read(&body)?;
                match cache::unit_at(path.as_str()) {
                    Some(name) => self.ask_unit(name, Some(call))?,
                    None => self.tell_answer(call, Ok(Answer::Unit(None))),
                }
            }
            (Purpose::Look(call), Err(error)) if error.name == systemd::NO_SUCH_UNIT => {
                self.tell_answer(call, Ok(Answer::Unit(None)));
            }
            (Purpose::Find(call), Ok(message)) => {
                let body = message.body();
                let path: ObjectPath<'_> = read(&body)?;
                let method = self.properties(path.as_str());
                // No interface is all of them: the unit's own and those of its type.
                self.call(method, &"", Purpose::Describe(call))?;
            }
            (Purpose::Describe(call), Ok(message)) => {
                let description = cache::description(&read(&message.body())?);
                self.tell_answer(call, Ok(Answer::Description(description)));
            }
            (Purpose::Upholders(call), Ok(message)) => self.upholders(call, message)?,
            (Purpose::Nop(call), Ok(message)) => self.looked_upheld(call, message)?,
            (Purpose::Followers(call, unit), answer) => self.followers(call, &unit, answer.ok())?,
            (Purpose::ReloadFollowers, answer) => self.reload_each(answer.ok())?,
            (Purpose::Dependents(sparing), Ok(message)) => self.dependents(*sparing, message)?,
            (Purpose::Dependents(sparing), Err(error)) => {
                self.tell_answer(sparing.call, Err(error));
            }
            (Purpose::Part(call), answer) => self.part(call, answer)?,
            (Purpose::Restart(call), answer) => self.restarted(call, answer)?,
            (Purpose::Ignored, Ok(_)) => {}
            (Purpose::Ignored, Err(error)) => {
                debug!(
                    error = error.text,
                    "what belongs to a proxy is not stopped or reloaded"
                );
            }
            (Purpose::Walk(call, job), answer) => self.step(call, job, answer.ok())?,
            (
                Purpose::Job(call)
                | Purpose::Done(call)
                | Purpose::Look(call)
                | Purpose::Find(call)
                | Purpose::Describe(call)
                | Purpose::Upholders(call)
                | Purpose::Nop(call),
                Err(error),
            ) => self.tell_answer(call, Err(error)),
        }
        Ok(())
    }

    fn gone(&mut self, unit: &UnitName) {
        if self.cache.remove(unit) {
            self.tell(FromManager::Gone(unit.clone()));
        }
    }

    fn unit(&mut self, state: UnitState, look: Option<CallId>) {
        match look {
            Some(call) => self.tell_answer(call, Ok(Answer::Unit(Some(state)))),
            None => self.tell(FromManager::Changed(state)),
        }
    }

    fn tell_answer(&mut self, call: CallId, answer: Result<Answer, ManagerError>) {
        let answered = FromManager::Answered(call, answer);
        self.said.push_back(Said::Core(answered));
    }

    /// Tells the core, unless it is told all at once when all is known.
    fn tell(&mut self, said: FromManager) {
        if self.beginning.is_none() && !self.reloading {
            self.said.push_back(Said::Core(said));
        }
    }

    /// Asks how a unit is. Not for its properties, which are dear: for them systemd looks into all
    /// folders of unit files, each time for a unit that was just loaded, while it has starts to do.
    /// And only a list says nothing of a unit that is not loaded; to ask such a one for a property
    /// loads it.
    fn ask_unit(&mut self, name: UnitName, look: Option<CallId>) -> Result<(), Ended> {
        // It is a pattern, in which a backslash may mean something else.
        let pattern = name.as_str().replace('\\', "?");
        let body = (Vec::<&str>::new(), vec![pattern]);
        let counted = self.beginning.is_some();
        let asked = Asked {
            name,
            look,
            counted,
        };
        self.call(
            self.manager("ListUnitsByPatterns"),
            &body,
            Purpose::Unit(asked),
        )
    }

    /// A list has a unit. Whoever runs, or is about to, is asked in which run.
    fn listed(&mut self, listed: &ListedUnit<'_>, asked: Asked) -> Result<(), Ended> {
        let (_, _, load, active, _, _, path, job, _, _) = listed;
        let state = self.cache.list(&asked.name, load, active, *job);
        let idle = match state.active {
            ActiveState::Inactive | ActiveState::Failed => state.job.is_none(),
            ActiveState::Activating | ActiveState::Active | ActiveState::Deactivating => false,
        };
        if idle || state.invocation.is_some() {
            self.found(state, &asked);
            return Ok(());
        }
        let method = Method {
            destination: self.way.destination(),
            path: path.as_str(),
            interface: PROPERTIES,
            member: "Get",
        };
        let (body, counted) = ((systemd::UNIT, "InvocationID"), asked.counted);
        self.call(method, &body, Purpose::Run(asked))?;
        self.arrived(counted);
        Ok(())
    }

    /// The snapshot waits for one more answer.
    fn expect(&mut self) {
        if let Some(beginning) = &mut self.beginning {
            beginning.missing = beginning.missing.saturating_add(1);
        }
    }

    fn found(&mut self, state: UnitState, asked: &Asked) {
        self.unit(state, asked.look);
        self.arrived(asked.counted);
    }

    /// It was gone before it could be asked.
    fn missing(&mut self, asked: &Asked) {
        self.gone(&asked.name);
        if let Some(call) = asked.look {
            self.tell_answer(call, Ok(Answer::Unit(None)));
        }
        self.arrived(asked.counted);
    }

    fn call<B>(&mut self, method: Method<'_>, body: &B, purpose: Purpose) -> Result<(), Ended>
    where
        B: Serialize + DynamicType,
    {
        let counted = match &purpose {
            Purpose::Setup(_) => true,
            Purpose::Unit(asked) | Purpose::Run(asked) => asked.counted,
            Purpose::Job(_)
            | Purpose::Followers(..)
            | Purpose::ReloadFollowers
            | Purpose::Dependents(_)
            | Purpose::Part(_)
            | Purpose::Restart(_)
            | Purpose::Ignored
            | Purpose::Done(_)
            | Purpose::Look(_)
            | Purpose::Find(_)
            | Purpose::Describe(_)
            | Purpose::Walk(..)
            | Purpose::Watch(_)
            | Purpose::Upholders(_)
            | Purpose::Nop(_)
            | Purpose::Raw(_) => false,
        };
        if counted {
            self.expect();
        }
        let serial = self.sender.next_serial();
        let message = link::call(serial, method, body).map_err(|error| error.to_string())?;
        self.pending.add(serial, purpose);
        self.send(message)
    }

    fn send(&self, message: Message) -> Result<(), Ended> {
        // Why it has ended comes out of the receiver, unless it reads too slowly.
        self.sender
            .try_send(message)
            .map_err(|error| error.to_string())
    }

    fn manager<'a>(&self, member: &'a str) -> Method<'a> {
        Method {
            destination: self.way.destination(),
            path: systemd::MANAGER_PATH,
            interface: systemd::MANAGER,
            member,
        }
    }

    fn properties<'a>(&self, path: &'a str) -> Method<'a> {
        Method {
            destination: self.way.destination(),
            path,
            interface: PROPERTIES,
            member: "GetAll",
        }
    }
}

/// A unit as systemd lists it: name, description, load, active and sub state, what it follows, its
/// path; its job: number, type, path.
type ListedUnit<'a> = (
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    ObjectPath<'a>,
    u32,
    &'a str,
    ObjectPath<'a>,
);

/// Reads a body of systemd's. One that cannot be read ends the session: whatever follows would
/// be a guess.
fn read<'a, T: DynamicDeserialize<'a>>(body: &'a Body) -> Result<T, Ended> {
    body.deserialize()
        .map_err(|error| format!("a message of systemd's cannot be read: {error}"))
}

/// The error that a message is.
pub(crate) fn error_of(message: &Message) -> ManagerError {
    let header = message.header();
    let name = header
        .error_name()
        .map_or(error::FAILED, |name| name.as_str());
    let body = message.body();
    let text = body.deserialize::<&str>().unwrap_or_default();
    ManagerError {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}
