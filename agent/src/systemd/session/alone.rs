//! What systemd does with the units that follow another one, done for a proxy whose unit is on another
//! node: there it is no job of the proxy that stops or reloads them.

use host::link::Method;
use node::CallId;
use proto::{
    dbus::systemd,
    model::JobMode,
    name::{UnitName, path_element},
};
use zbus::{Message, wire::Variant};

use super::{super::pending::Purpose, Ended, PROPERTIES, Session, read};

/// What stops with a unit however that ends: `StopPropagatedFrom=` of the other (systemd.unit(5)).
const STOPPED_WITH: &str = "PropagatesStopTo";
/// What is reloaded with a unit: `ReloadPropagatedFrom=` of the other.
const RELOADED_WITH: &str = "PropagatesReloadTo";

impl Session {
    /// Begins to stop a unit alone. Its stop is a job, after which systemd does not look at what it does for
    /// a unit that ends without one; that is done here.
    pub(super) fn stop_alone(&mut self, call: CallId, unit: UnitName) -> Result<(), Ended> {
        let purpose = Purpose::Followers(call, unit.clone());
        self.ask_followers(&unit, STOPPED_WITH, purpose)
    }

    /// Stops what the stop is propagated to, then the unit; in this order, so that none of them sees the unit go
    /// before it has a job of its own.
    pub(super) fn followers(
        &mut self,
        call: CallId,
        unit: &UnitName,
        answer: Option<&Message>,
    ) -> Result<(), Ended> {
        self.each_follower(answer, "StopUnit", JobMode::Replace)?;
        let body = (unit.as_str(), JobMode::IgnoreRequirements.as_str());
        self.call(self.manager("StopUnit"), &body, Purpose::Job(call))
    }

    /// Begins to reload what follows a unit.
    pub(super) fn reload_followers(&mut self, unit: &UnitName) -> Result<(), Ended> {
        self.ask_followers(unit, RELOADED_WITH, Purpose::ReloadFollowers)
    }

    /// Reloads what the reload is propagated to.
    pub(super) fn reload_each(&mut self, answer: Option<&Message>) -> Result<(), Ended> {
        self.each_follower(answer, "ReloadUnit", JobMode::IgnoreDependencies)
    }

    fn ask_followers(
        &mut self,
        unit: &UnitName,
        property: &str,
        purpose: Purpose,
    ) -> Result<(), Ended> {
        let path = format!(
            "{}{}",
            systemd::UNIT_PATH_PREFIX,
            path_element(unit.as_str())
        );
        let method = Method {
            destination: self.way.destination(),
            path: &path,
            interface: PROPERTIES,
            member: "Get",
        };
        self.call(method, &(systemd::UNIT, property), purpose)
    }

    fn each_follower(
        &mut self,
        answer: Option<&Message>,
        method: &str,
        mode: JobMode,
    ) -> Result<(), Ended> {
        let body = answer.map(Message::body);
        let value: Option<Variant<'_>> = body.as_ref().map(read).transpose()?;
        let followers: Vec<String> = value
            .and_then(|value| value.try_into().ok())
            .unwrap_or_default();
        for follower in &followers {
            let body = (follower.as_str(), mode.as_str());
            self.call(self.manager(method), &body, Purpose::Ignored)?;
        }
        Ok(())
    }
}
