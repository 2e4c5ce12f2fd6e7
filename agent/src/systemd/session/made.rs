//! Units that are made for a call.

use node::CallId;
use zbus::{
    Message,
    wire::{Structure, StructureBuilder},
};

use super::{super::pending::Purpose, Ended, Session, read};

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
}
