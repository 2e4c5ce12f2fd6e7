//! Signals of systemd's.

use node::{FromManager, ManagerJob};
use proto::{dbus::systemd, model::JobResult, name::UnitName};
use zbus::{Message, message::Body, wire::ObjectPath};

use super::{
    super::{
        Said,
        cache::{self, Properties},
    },
    BUS, Ended, PROPERTIES, Session, read,
};
use crate::limits::ENDS_MAX;

const JOB: &str = "org.freedesktop.systemd1.Job";

/// The body of `PropertiesChanged`.
pub(super) type Changed<'a> = (&'a str, Properties<'a>, Vec<&'a str>);

impl Session {
    pub(super) fn signal(&mut self, message: &Message) -> Result<(), Ended> {
        let header = message.header();
        let interface = header.interface().map_or("", |it| it.as_str());
        let member = header.member().map_or("", |it| it.as_str());
        let path = header.path().map_or("", |it| it.as_str());
        let body = message.body();
        match (interface, member) {
            (PROPERTIES, "PropertiesChanged") => {
                self.watched_changed(path, message)?;
                self.properties_changed(path, &body)
            }
            (systemd::MANAGER, "Reloading") => {
                let active: bool = read(&body)?;
                self.reload(active)
            }
            (systemd::MANAGER, "UnitNew") if self.reloading => Ok(()),
            (systemd::MANAGER, "UnitNew") => {
                let (name, _): (&str, ObjectPath<'_>) = read(&body)?;
                let told = self.watch.loaded(name).map(Said::Unit);
                self.said.extend(told);
                match name.parse() {
                    Ok(unit) if cache::matters(name) => self.ask_unit(unit, None),
                    Ok(_) | Err(_) => Ok(()),
                }
            }
            (systemd::MANAGER, "UnitRemoved") => {
                let (name, _): (&str, ObjectPath<'_>) = read(&body)?;
                if !self.reloading {
                    let told = self.watch.removed(name).map(Said::Unit);
                    self.said.extend(told);
                }
                if let Ok(unit) = name.parse() {
                    self.gone(&unit);
                }
                Ok(())
            }
            (systemd::MANAGER, "JobNew") => {
                let (id, _, unit): (u32, ObjectPath<'_>, &str) = read(&body)?;
                if let Ok(unit) = unit.parse() {
                    let job = ManagerJob(id);
                    self.cache.job(&unit, job, true);
                    self.tell(FromManager::JobNew { job, unit });
                }
                Ok(())
            }
            (systemd::MANAGER, "JobRemoved") => {
                let (id, _, unit, result): (u32, ObjectPath<'_>, &str, &str) = read(&body)?;
                if let Ok(unit) = unit.parse() {
                    self.job_removed(ManagerJob(id), unit, result);
                }
                Ok(())
            }
            (BUS, "NameOwnerChanged") => {
                let (_, before, _): (&str, &str, &str) = read(&body)?;
                // It may also have come only now, and answer what it was asked before.
                match before {
                    "" => Ok(()),
                    _ => Err("systemd left the bus".to_owned()),
                }
            }
            _ => Ok(()),
        }
    }

    fn properties_changed(&mut self, path: &str, body: &Body) -> Result<(), Ended> {
        if self.reloading {
            return Ok(());
        }
        if let Some(job) = cache::job_at(path) {
            let (interface, changed, _): Changed<'_> = read(body)?;
            let state = changed
                .get("State")
                .and_then(|state| state.downcast_ref::<&str>().ok());
            if interface == JOB && state == Some("running") {
                self.tell(FromManager::JobRunning(job));
            }
            return Ok(());
        }
        let Some(name) = cache::name_at(path) else {
            return Ok(());
        };
        if !cache::matters(&name) {
            return self.other_changed(&name, body);
        }
        let Ok(name) = name.parse() else {
            return Ok(());
        };
        let (interface, changed, _): Changed<'_> = read(body)?;
        if interface != systemd::UNIT {
            return Ok(());
        }
        match self.cache.change(&name, &changed) {
            Some(state) => {
                self.unit(state, None);
                Ok(())
            }
            None => self.ask_unit(name, None),
        }
    }

    /// Any other unit has changed. Where its hold unit is bound to it, that tells how it is.
    fn other_changed(&mut self, name: &str, body: &Body) -> Result<(), Ended> {
        if self.cache.unbound().next().is_none() {
            return Ok(());
        }
        let (interface, changed, _): Changed<'_> = read(body)?;
        if interface == systemd::UNIT
            && let Some(unit) = self.cache.ends_unbound(name, &changed)
        {
            self.tell(FromManager::Unbound(unit));
        }
        Ok(())
    }

    fn job_removed(&mut self, job: ManagerJob, unit: UnitName, result: &str) {
        self.cache.job(&unit, job, false);
        let result = result.parse().unwrap_or(JobResult::Failed);
        let end = FromManager::JobRemoved { job, unit, result };
        match &mut self.beginning {
            // The core takes a job that is not in the snapshot for lost, so it is told the end
            // after it.
            Some(beginning) if beginning.ends.len() < ENDS_MAX => {
                beginning.jobs.insert(job);
                beginning.ends.push(end);
            }
            Some(_) => {}
            None => self.said.push_back(Said::Core(end)),
        }
    }
}
