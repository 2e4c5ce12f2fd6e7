//! Units that are stopped as if they had ended by themselves.

use node::CallId;
use proto::{
    dbus::systemd,
    model::JobMode,
    name::{UnitName, path_element},
};
use zbus::{Message, wire::Variant};

use super::{super::pending::Purpose, Ended, PROPERTIES, Session, read};
use host::link::Method;

/// What stops with a unit however that ends: `StopPropagatedFrom=` of the other (systemd.unit(5)).
const FOLLOWERS: &str = "PropagatesStopTo";

impl Session {
    /// Begins to stop a unit alone. Its stop is a job, after which systemd does not look at what it does for
    /// a unit that ends without one; that is done here.
    pub(super) fn stop_alone(&mut self, call: CallId, unit: UnitName) -> Result<(), Ended> {
        let path = format!("{}{}", systemd::UNIT_PATH_PREFIX, path_element(unit.as_str()));
        let method = Method {
            destination: self.way.destination(),
            path: &path,
            interface: PROPERTIES,
            member: "Get",
        };
        let purpose = Purpose::Followers(call, unit);
        self.call(method, &(systemd::UNIT, FOLLOWERS), purpose)
    }

    /// Stops what the stop is propagated to, then the unit; in this order, so that none of them sees the unit go
    /// before it has a job of its own.
    pub(super) fn followers(
        &mut self,
        call: CallId,
        unit: &UnitName,
        answer: Option<&Message>,
    ) -> Result<(), Ended> {
        let body = answer.map(Message::body);
        let value: Option<Variant<'_>> = body.as_ref().map(read).transpose()?;
        let followers: Vec<String> = value
            .and_then(|value| value.try_into().ok())
            .unwrap_or_default();
        for follower in &followers {
            let body = (follower.as_str(), JobMode::Replace.as_str());
            self.call(self.manager("StopUnit"), &body, Purpose::Ignored)?;
        }
        let body = (unit.as_str(), JobMode::IgnoreRequirements.as_str());
        self.call(self.manager("StopUnit"), &body, Purpose::Job(call))
    }
}
