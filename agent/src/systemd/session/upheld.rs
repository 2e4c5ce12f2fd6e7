//! What a unit is upheld by, and how systemd is made to look whether it is.

use host::link::Method;
use node::{Answer, CallId, ManagerJob};
use proto::{
    dbus::systemd,
    model::JobMode,
    name::{UnitName, path_element},
};
use zbus::{Message, wire::Variant};

use super::{super::pending::Purpose, Ended, PROPERTIES, Session, read, restart::Answered};

/// Units that uphold a unit, by their own names.
const UPHELD_BY: &str = "UpheldBy";

/// The type of a job that does nothing, whatever state its unit is in; a start of the unit may be queued beside it. At the
/// end of each job systemd looks whether its unit is upheld (`job_finish_and_invalidate()`).
const NOP: &str = "nop";

impl Session {
    /// Asks who upholds a unit.
    pub(super) fn ask_upholders(&mut self, call: CallId, unit: &UnitName) -> Result<(), Ended> {
        let element = path_element(unit.as_str());
        let path = format!("{}{element}", systemd::UNIT_PATH_PREFIX);
        let method = Method {
            destination: self.way.destination(),
            path: &path,
            interface: PROPERTIES,
            member: "Get",
        };
        let body = (systemd::UNIT, UPHELD_BY);
        self.call(method, &body, Purpose::Upholders(call))
    }

    /// These do. A name that is not valid here is that of no unit whose jobs are told.
    pub(super) fn upholders(&mut self, call: CallId, message: &Message) -> Result<(), Ended> {
        let body = message.body();
        let value: Variant<'_> = read(&body)?;
        let names: Vec<String> = value.try_into().unwrap_or_default();
        let units = names.iter().filter_map(|name| name.parse().ok());
        self.tell_answer(call, Ok(Answer::Units(units.collect())));
        Ok(())
    }

    /// Has systemd look whether a unit is to be started because another one upholds it.
    pub(super) fn look_upheld(&mut self, call: CallId, unit: &UnitName) -> Result<(), Ended> {
        let body = (unit.as_str(), NOP, JobMode::Fail.as_str());
        self.call(self.manager("EnqueueUnitJob"), &body, Purpose::Nop(call))
    }

    /// The job that does nothing is queued.
    pub(super) fn looked_upheld(&mut self, call: CallId, message: &Message) -> Result<(), Ended> {
        let body = message.body();
        let (id, ..): Answered<'_> = read(&body)?;
        self.tell_answer(call, Ok(Answer::Job(ManagerJob(id))));
        Ok(())
    }
}
