use host::bus::object::Standard;

use super::call::Verb;

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    /// The unique name on the bus, which the bus itself writes into each message.
    pub(crate) name: Option<&'a str>,
}

/// The one place that may refuse a call.
///
/// Who may send us a call at all is decided by the policy of the bus
/// (`dbus-1/system.d/org.eclipse.bluechi.conf`), whose error says which of its rules it was. What is
/// left to decide here is whether a call can be put down to somebody: one without a sender did not
/// come over a bus, and nobody has looked at it.
///
/// # Errors
///
/// Says why the call is refused.
pub(crate) fn authorize(caller: Caller<'_>, verb: &Verb) -> Result<(), &'static str> {
    match (caller.name, verb) {
        (Some(_), _) | (None, Verb::Standard(Standard::Ping)) => Ok(()),
        (None, _) => Err("the call has no sender, and only what came over a bus is served"),
    }
}
