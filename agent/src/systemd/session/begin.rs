//! How a session begins, and begins anew when systemd has read its units again: all units and jobs are
//! asked for, and told as one snapshot.

use host::link::Method;
use node::{FromManager, ManagerJob, Snapshot};
use zbus::{Message, wire::ObjectPath};

use super::{
    super::{
        Said, Way,
        cache::{Cache, PATTERNS},
        pending::{Asked, Purpose, Setup},
    },
    BUS, Beginning, Ended, ListedUnit, Session, read,
};

/// What systemd sends, and the word that it has left the bus, when the bus is in between.
const MATCHES: [&str; 2] = [
    "type='signal',sender='org.freedesktop.systemd1'",
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',\
     arg0='org.freedesktop.systemd1'",
];

/// A job as `ListJobs` lists it.
type ListedJob<'a> = (
    u32,
    &'a str,
    &'a str,
    &'a str,
    ObjectPath<'a>,
    ObjectPath<'a>,
);

impl Session {
    /// Asks for everything; signals are asked for first, so nothing is missed in between.
    pub(super) fn begin(&mut self) -> Result<(), Ended> {
        let plain = || Purpose::Setup(Setup::Plain);
        if self.way == Way::Bus {
            let bus = |member| Method {
                destination: Some(BUS),
                path: "/org/freedesktop/DBus",
                interface: BUS,
                member,
            };
            self.call(bus("Hello"), &(), plain())?;
            for rule in MATCHES {
                self.call(bus("AddMatch"), &rule, plain())?;
            }
        }
        self.call(self.manager("Subscribe"), &(), plain())?;
        self.list()
    }

    /// Asks for all units and jobs.
    fn list(&mut self) -> Result<(), Ended> {
        let patterns = (Vec::<&str>::new(), PATTERNS.to_vec());
        let units = self.manager("ListUnitsByPatterns");
        self.call(units, &patterns, Purpose::Setup(Setup::Units))?;
        self.call(self.manager("ListJobs"), &(), Purpose::Setup(Setup::Jobs))
    }

    /// systemd begins to read its units again, or has.
    pub(super) fn reload(&mut self, active: bool) -> Result<(), Ended> {
        self.reloading = active;
        self.watch_again = true;
        if active {
            return Ok(());
        }
        self.cache = Cache::default();
        match &mut self.beginning {
            // The answers that are missing are still to come; what they say is of no harm.
            Some(beginning) => beginning.jobs.clear(),
            None => self.beginning = Some(Beginning::default()),
        }
        self.list()
    }

    pub(super) fn set_up(&mut self, step: Setup, message: &Message) -> Result<(), Ended> {
        match step {
            Setup::Plain => {}
            Setup::Units => {
                let body = message.body();
                for listed in read::<Vec<ListedUnit<'_>>>(&body)? {
                    if let Ok(name) = listed.0.parse() {
                        self.expect();
                        let (look, counted) = (None, true);
                        let asked = Asked {
                            name,
                            look,
                            counted,
                        };
                        self.listed(&listed, asked)?;
                    }
                }
            }
            Setup::Jobs => {
                let body = message.body();
                let jobs = read::<Vec<ListedJob<'_>>>(&body)?;
                if let Some(beginning) = &mut self.beginning {
                    beginning
                        .jobs
                        .extend(jobs.into_iter().map(|(id, ..)| ManagerJob(id)));
                }
            }
        }
        self.arrived(true);
        Ok(())
    }

    /// An answer has come. With the last one that was missing, the snapshot is whole.
    pub(super) fn arrived(&mut self, counted: bool) {
        let Some(beginning) = self.beginning.as_mut().filter(|_| counted) else {
            return;
        };
        beginning.missing = beginning.missing.saturating_sub(1);
        if beginning.missing > 0 {
            return;
        }
        let Some(Beginning { jobs, ends, .. }) = self.beginning.take() else {
            return;
        };
        let (units, jobs) = (self.cache.states(), jobs.into_iter().collect());
        let snapshot = Snapshot { units, jobs };
        self.said.push_back(Said::Core(if self.reached {
            FromManager::Reloaded(snapshot)
        } else {
            FromManager::Connected(snapshot)
        }));
        self.reached = true;
        let unbound = self.cache.unbound().cloned().map(FromManager::Unbound);
        self.said.extend(unbound.map(Said::Core));
        self.said.extend(ends.into_iter().map(Said::Core));
    }
}
