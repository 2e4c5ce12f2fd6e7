//! Units that are made for a call.

use node::{CallId, LOOK_AGAIN};
use proto::name::UnitName;
use zbus::{
    Message,
    wire::{Structure, StructureBuilder, Variant},
};

use super::{super::pending::Purpose, Ended, Session, read};

/// syslog(3): systemd's own words about the unit are of the levels below.
const LOG_WARNING: i32 = 4;

/// Arguments of systemd's `StartTransientUnit`.
const MADE_FIELDS: usize = 4;

impl Session {
    /// Has systemd make a unit, and start it.
    pub(super) fn make(&mut self, call: CallId, message: &Message) -> Result<(), Ended> {
        let body = message.body();
        let mut made = StructureBuilder::new();
        let fields: Structure<'_> = read(&body)?;
        for field in fields.into_fields().into_iter().take(MADE_FIELDS) {
            made = made.append_field(field);
        }
        let made = made.build().map_err(|error| error.to_string())?;
        let method = self.manager("StartTransientUnit");
        self.call(method, &made, Purpose::Job(call))
    }

    /// Has systemd look again whether it needs units: it does so when a unit that wants them ends. That
    /// one is started with the mode `ignore-dependencies`, so that what it wants is not started by it, and
    /// it may run at any time.
    pub(super) fn look_again(&mut self, call: CallId, units: &[UnitName]) -> Result<(), Ended> {
        let wants: Vec<&str> = units.iter().map(UnitName::as_str).collect();
        // Path, arguments, and whether a failure is none (`ExecStart=-…`).
        let command = vec![("/bin/true", vec!["/bin/true"], true)];
        let properties = vec![
            (
                "Description",
                Variant::from("Look for units of other nodes that are not needed"),
            ),
            ("DefaultDependencies", Variant::from(false)),
            ("Type", Variant::from("oneshot")),
            ("Wants", Variant::from(wants)),
            ("ExecStart", Variant::from(command)),
            // Nothing of it is to be read or to be remembered.
            ("LogLevelMax", Variant::from(LOG_WARNING)),
            ("CollectMode", Variant::from("inactive-or-failed")),
        ];
        let auxiliary: Vec<(&str, Vec<(&str, Variant<'_>)>)> = Vec::new();
        let body = (LOOK_AGAIN, "ignore-dependencies", properties, auxiliary);
        let method = self.manager("StartTransientUnit");
        self.call(method, &body, Purpose::Job(call))
    }
}
