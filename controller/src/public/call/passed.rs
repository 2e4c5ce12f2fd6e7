//! Calls that go to the agent of a node as they are.

use host::bus::object::{Failure, expect};
use proto::{dbus::internal, message::PROTOCOL_READS, name::NodeName};
use zbus::message::Body;

use super::Verb;

/// Methods of a node that go to its agent as they are, with the signatures of their arguments.
pub(super) const PASSED: [(&str, &str); 17] = [
    ("FreezeUnit", "s"),
    ("ThawUnit", "s"),
    ("KillUnit", "ssi"),
    ("GetUnitProperties", "ss"),
    ("GetUnitProperty", "sss"),
    ("SetUnitProperties", "sba(sv)"),
    ("EnableUnitFiles", "asbb"),
    ("DisableUnitFiles", "asb"),
    ("ListUnits", ""),
    ("ListUnitFiles", ""),
    ("GetUnitFileState", "s"),
    ("Reload", ""),
    ("SetLogLevel", "s"),
    ("ResetFailed", ""),
    ("ResetFailedUnit", "s"),
    ("GetDefaultTarget", ""),
    ("SetDefaultTarget", "sb"),
];

/// Methods of ours that go to its agent likewise, with the version of the protocol that brought them.
pub(super) const PASSED_OWN: [(&str, &str, u32); 7] = [
    ("ReloadAgent", "", PROTOCOL_READS),
    ("AgentConfiguration", "", PROTOCOL_READS),
    ("UnitStatus", "as", 1),
    ("ReadProperties", "asas", PROTOCOL_READS),
    ("ListReferences", "", PROTOCOL_READS),
    ("UnitFiles", "as", PROTOCOL_READS),
    ("ReadJournal", "asa{sv}", PROTOCOL_READS),
];

/// The version of the protocol that an agent has to speak so that a call can be passed on to it; 0 is
/// that of BlueChi's agents.
pub(crate) fn protocol_of(interface: &str, member: &str) -> u32 {
    let own = PASSED_OWN.iter().find(|(name, ..)| *name == member);
    match own {
        Some((.., protocol)) if interface == internal::AGENT_OWN => *protocol,
        Some(_) | None => 0,
    }
}

/// A call of BlueChi's interface that is passed on; nothing if there is no such method.
pub(super) fn of_bluechi(
    node: &NodeName,
    member: &str,
    body: &Body,
) -> Result<Option<Verb>, Failure> {
    let method = PASSED.iter().find(|(name, _)| *name == member);
    let Some((name, signature)) = method else {
        return Ok(None);
    };
    expect(member, body, signature)?;
    Ok(Some(Verb::Pass {
        node: node.clone(),
        interface: internal::AGENT,
        member: name,
    }))
}

/// The same of our own.
pub(super) fn own(node: &NodeName, member: &str, body: &Body) -> Result<Option<Verb>, Failure> {
    let method = PASSED_OWN.iter().find(|(name, ..)| *name == member);
    let Some((name, signature, _)) = method else {
        return Ok(None);
    };
    expect(member, body, signature)?;
    Ok(Some(Verb::Pass {
        node: node.clone(),
        interface: internal::AGENT_OWN,
        member: name,
    }))
}
