//! What can go wrong: each with its exit code and with what to do next.

use std::{fmt, time::Duration};

use proto::dbus::{agent, error, public, systemd};
use thiserror::Error;

use crate::{denial, exit::Exit, local::Service, span, suggest};

/// What the names of systemd's own errors begin with.
pub(crate) const MANAGER_ERRORS: &str = "org.freedesktop.systemd1.";

/// An error that a peer or the bus answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The name of the D-Bus error.
    pub(crate) name: String,
    /// What it says about itself.
    pub(crate) text: String,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Daemon {
    Controller,
    /// Of this machine.
    Agent,
}

impl Daemon {
    /// Its program, and its service without the type.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Controller => "unitlink-controller",
            Self::Agent => "unitlink-agent",
        }
    }

    /// Its bus name.
    pub(crate) fn bus_name(self) -> &'static str {
        match self {
            Self::Controller => public::BUS_NAME,
            Self::Agent => agent::BUS_NAME,
        }
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Controller => "the controller",
            Self::Agent => "the agent of this machine",
        })
    }
}

/// Why the command could not do what it should. The text completes "error: …".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    /// More was asked for than one call takes.
    #[error("{0}")]
    Usage(String),
    /// There is no bus.
    #[error("failed to connect to the {bus} bus: {cause}")]
    NoBus {
        bus: &'static str,
        cause: String,
        /// How the service of the bus is on this machine, once that was looked at.
        service: Option<Box<Service>>,
    },
    /// The bus went away.
    #[error("the {bus} bus is lost: {cause}")]
    BusLost { bus: &'static str, cause: String },
    /// A daemon is not on the bus.
    #[error("{daemon} is not on the {bus} bus")]
    Absent {
        daemon: Daemon,
        bus: &'static str,
        /// How its service is on this machine, once that was looked at.
        service: Option<Box<Service>>,
    },
    /// The controller went away while it was waited for.
    #[error("the controller went away {0}")]
    ControllerLost(&'static str),
    /// It took too long.
    #[error("{text}")]
    Timeout { text: String, hint: String },
    /// There is no such node.
    #[error("there is no node '{node}'")]
    NoNode { node: String, known: Vec<String> },
    /// No node has such a label.
    #[error("no node has the label '{label}'")]
    NoLabel { label: String, known: Vec<String> },
    /// There is no such job, or not any more.
    #[error("there is no job {0}; it may have ended")]
    NoJob(u32),
    /// There is no unit whose name fits.
    #[error("no unit on {node} fits '{pattern}'")]
    NoFit { node: String, pattern: String },
    /// The node is not connected.
    #[error("node {node} is offline{}", offline_since(*.last_seen_ago, .address))]
    Offline {
        node: String,
        last_seen_ago: Option<Duration>,
        address: String,
    },
    /// There is no such unit on the node.
    #[error("there is no unit {unit} on {node}")]
    NoUnit { node: String, unit: String },
    /// The agent of a node is too old, or BlueChi's.
    #[error("the agent of {node} cannot {what}")]
    NotAble { node: String, what: &'static str },
    /// A node did not say what it was asked for.
    #[error("{0}")]
    Unread(String),
    /// The caller may not do this.
    #[error("access denied: {0}")]
    AccessDenied(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted { hint: String },
    /// Any other error that was answered.
    #[error("{text} ({name})")]
    Refused { name: String, text: String },
    /// An answer that cannot be read.
    #[error("the controller's answer to {asked} cannot be read: {cause}")]
    Answer { asked: &'static str, cause: String },
}

/// What somebody has to know who asks on another machine.
const HERE: &str = "this command runs on the machine of the controller";

fn offline_since(last_seen_ago: Option<Duration>, address: &str) -> String {
    match last_seen_ago.map(span::display) {
        // An agent on the machine of the controller has no address.
        Some(ago) if address.is_empty() => format!(" since {ago}"),
        Some(ago) => format!(" since {ago} (last seen from {address})"),
        None => String::new(),
    }
}

impl Fault {
    /// A daemon is not on the bus; how its service is was not looked at.
    pub(crate) fn absent(daemon: Daemon, bus: &'static str) -> Self {
        Self::Absent {
            daemon,
            bus,
            service: None,
        }
    }

    /// Whether the bus says this because the controller went away, or is just not there: another may be
    /// about to come.
    pub(crate) fn is_of_lost_controller(&self) -> bool {
        matches!(self, Self::ControllerLost(_))
            || matches!(self, Self::Refused { name, .. } if matches!(
                name.as_str(),
                "org.freedesktop.DBus.Error.ServiceUnknown"
                    | "org.freedesktop.DBus.Error.NameHasNoOwner"
                    | "org.freedesktop.DBus.Error.Disconnected"
                    | error::NO_REPLY
            ))
    }

    /// An error that was answered to a question about the fleet or a node.
    pub(crate) fn refused(refusal: Refusal, bus: &'static str) -> Self {
        Self::refused_by(Daemon::Controller, refusal, bus)
    }

    /// An error that was answered to a question to a daemon.
    pub(crate) fn refused_by(daemon: Daemon, refusal: Refusal, bus: &'static str) -> Self {
        let Refusal { name, text } = refusal;
        match name.as_str() {
            "org.freedesktop.DBus.Error.ServiceUnknown"
            | "org.freedesktop.DBus.Error.NameHasNoOwner" => Self::absent(daemon, bus),
            error::NO_REPLY | "org.freedesktop.DBus.Error.Disconnected" => {
                Self::ControllerLost("before it answered")
            }
            error::ACCESS_DENIED
            | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
            | "org.freedesktop.DBus.Error.AuthFailed" => {
                Self::AccessDenied(denial::explained(&text).unwrap_or(text))
            }
            error::TIMEOUT => Self::Timeout {
                text,
                hint: "--timeout waits longer".into(),
            },
            _ => Self::Refused { name, text },
        }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NoBus { .. }
            | Self::BusLost { .. }
            | Self::Absent { .. }
            | Self::ControllerLost(_) => Exit::Unreachable,
            Self::Timeout { .. } => Exit::Timeout,
            Self::NoNode { .. } | Self::NoLabel { .. } => Exit::NoSuchNode,
            Self::Offline { .. } => Exit::NodeOffline,
            Self::NoUnit { .. } | Self::NoFit { .. } => Exit::NoSuchUnit,
            Self::AccessDenied(_) => Exit::AccessDenied,
            Self::Interrupted { .. } => Exit::Interrupted,
            Self::Refused { name, .. } if name == error::FORGOTTEN => Exit::Unreachable,
            Self::Refused { .. }
            | Self::Answer { .. }
            | Self::NoJob(_)
            | Self::NotAble { .. }
            | Self::Unread(_) => Exit::Other,
        }
    }

    /// The name of the D-Bus error that it was, or would have been.
    pub(crate) fn error_name(&self) -> &str {
        match self {
            Self::Refused { name, .. } => name,
            Self::Offline { .. } => error::OFFLINE,
            Self::NoNode { .. } | Self::NoLabel { .. } => error::INVALID_ARGS,
            Self::NoUnit { .. } | Self::NoFit { .. } => systemd::NO_SUCH_UNIT,
            Self::NoJob(_) => error::UNKNOWN_OBJECT,
            Self::NotAble { .. } => error::NOT_SUPPORTED,
            Self::AccessDenied(_) => error::ACCESS_DENIED,
            Self::Timeout { .. } => error::TIMEOUT,
            Self::ControllerLost(_) | Self::Absent { .. } | Self::BusLost { .. } => error::NO_REPLY,
            Self::Usage(_)
            | Self::NoBus { .. }
            | Self::Interrupted { .. }
            | Self::Unread(_)
            | Self::Answer { .. } => error::FAILED,
        }
    }

    /// Whether the text says what it is about; otherwise whoever shows it has to.
    pub(crate) fn names_its_object(&self) -> bool {
        match self {
            Self::Usage(_)
            | Self::NoBus { .. }
            | Self::BusLost { .. }
            | Self::Absent { .. }
            | Self::ControllerLost(_)
            | Self::NoNode { .. }
            | Self::NoLabel { .. }
            | Self::NoJob(_)
            | Self::NoUnit { .. }
            | Self::NoFit { .. }
            | Self::Offline { .. }
            | Self::NotAble { .. }
            | Self::Interrupted { .. } => true,
            Self::Timeout { .. }
            | Self::AccessDenied(_)
            | Self::Refused { .. }
            | Self::Unread(_)
            | Self::Answer { .. } => false,
        }
    }

    /// What to do next, if there is something.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Usage(_) | Self::Unread(_) => None,
            Self::NoBus { bus: "session", .. } => Some(
                "is DBUS_SESSION_BUS_ADDRESS set? without --user, the system bus is used".into(),
            ),
            Self::NoBus {
                service: Some(service),
                ..
            } => Some(service.next()),
            Self::NoBus { .. } | Self::BusLost { .. } => {
                Some("is the bus running? systemctl status dbus.service".into())
            }
            Self::Absent {
                daemon,
                service: Some(service),
                ..
            } => Some(match daemon {
                Daemon::Controller => format!("{}; {HERE}", service.next()),
                Daemon::Agent => service.next(),
            }),
            Self::Absent {
                daemon,
                bus: "session",
                ..
            } => Some(format!("is {} running with --user?", daemon.program())),
            Self::Absent {
                daemon: Daemon::Agent,
                ..
            } => Some("is unitlink-agent running? systemctl status unitlink-agent".into()),
            Self::Absent {
                daemon: Daemon::Controller,
                ..
            }
            | Self::ControllerLost(_) => Some(format!(
                "is unitlink-controller running? systemctl status unitlink-controller; {HERE}"
            )),
            Self::Timeout { hint, .. } | Self::Interrupted { hint } => Some(hint.clone()),
            Self::NoNode { node, known } => Some(known_nodes(node, known)),
            Self::NoLabel { label, known } => Some(known_labels(label, known)),
            Self::NotAble { node, .. } => Some(format!(
                "is it unitlink-agent, of this version? see 'ctl status {node}'"
            )),
            Self::NoJob(_) => Some("see 'ctl list-jobs'".into()),
            Self::NoFit { node, .. } => Some(format!(
                "only units that are loaded are looked at: see 'ctl list-units --all {node}'"
            )),
            Self::Offline { node, .. } => Some(format!(
                "on {node}, see 'systemctl status unitlink-agent'; here, 'ctl status {node}'"
            )),
            Self::NoUnit { node, .. } => Some(format!(
                "see 'ctl list-unit-files {node}'; after a new unit file, \
                 'ctl daemon-reload {node}'"
            )),
            Self::AccessDenied(text) => Some(denial::next(text).into()),
            Self::Refused { name, .. }
                if name.starts_with(MANAGER_ERRORS) || name == error::NOT_SUPPORTED =>
            {
                None
            }
            Self::Refused { name, .. } if name == error::FORGOTTEN => Some(
                "the controller went away meanwhile; look at the unit before it is asked for again"
                    .into(),
            ),
            Self::Refused { name, .. } if name == error::STOPPING => {
                Some("it ends when the jobs under way have; ask again when it is back".into())
            }
            Self::Refused { .. } => Some("see 'journalctl -u unitlink-controller'".into()),
            Self::Answer { .. } => Some(
                "do 'ctl version' and the version of the controller in 'ctl status' fit?".into(),
            ),
        }
    }
}

/// More nodes than these are for a list to show.
const LISTED_MAX: usize = 20;

fn known_nodes(node: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "the controller knows no node; see [nodes] in its configuration".into();
    }
    let list = if known.len() > LISTED_MAX {
        format!("there are {} nodes: see 'ctl status'", known.len())
    } else {
        format!("known nodes: {}", known.join(", "))
    };
    match suggest::nearest(node, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}? {list}"),
        None => list,
    }
}

fn known_labels(label: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "no node has any; see labels of [node.NAME] in the controller's configuration"
            .into();
    }
    let list = format!("known labels: {}", known.join(", "));
    match suggest::nearest(label, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean @{near}? {list}"),
        None => list,
    }
}

/// Whether an error says that the object, interface or method is not there: an older or another
/// peer.
pub(crate) fn is_not_there(refusal: &Refusal) -> bool {
    matches!(
        refusal.name.as_str(),
        error::NOT_SUPPORTED
            | error::UNKNOWN_METHOD
            | error::UNKNOWN_OBJECT
            | "org.freedesktop.DBus.Error.UnknownInterface"
            | "org.freedesktop.DBus.Error.UnknownProperty"
    )
}

/// Whether an error may mean that the node is not known.
pub(crate) fn may_be_no_node(refusal: &Refusal) -> bool {
    is_not_there(refusal) || refusal.name == error::INVALID_ARGS
}

/// Whether an error says that the node is not connected.
pub(crate) fn is_offline(refusal: &Refusal) -> bool {
    refusal.name == error::OFFLINE
}

/// Whether an error of the service manager says that there is no such unit.
pub(crate) fn is_no_unit(refusal: &Refusal) -> bool {
    refusal.name == systemd::NO_SUCH_UNIT
}

/// Whether an error of the service manager says that there is no such unit file: it hands on that of
/// the system call, under one name or the other.
pub(crate) fn is_no_file(refusal: &Refusal) -> bool {
    matches!(
        refusal.name.as_str(),
        "org.freedesktop.DBus.Error.FileNotFound" | "System.Error.ENOENT"
    )
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn refused(name: &str) -> Fault {
        let refusal = Refusal {
            name: name.into(),
            text: "no".into(),
        };
        Fault::refused(refusal, "system")
    }

    #[test_case("org.freedesktop.DBus.Error.ServiceUnknown", Exit::Unreachable)]
    #[test_case("org.freedesktop.DBus.Error.NoReply", Exit::Unreachable)]
    #[test_case("org.freedesktop.DBus.Error.AccessDenied", Exit::AccessDenied)]
    #[test_case("org.freedesktop.DBus.Error.Timeout", Exit::Timeout)]
    #[test_case("org.freedesktop.systemd1.UnitMasked", Exit::Other)]
    fn errors_have_exit_codes(name: &str, exit: Exit) {
        assert_eq!(refused(name).exit(), exit);
    }

    #[test]
    fn of_many_nodes_only_the_nearest_is_named() {
        let known = (0..300).map(|n| format!("camera{n:03}")).collect();
        let fault = Fault::NoNode {
            node: "camera17".into(),
            known,
        };
        assert_eq!(
            fault.hint().as_deref(),
            Some("did you mean camera017? there are 300 nodes: see 'ctl status'")
        );
    }

    #[test]
    fn a_mistyped_node_is_answered_with_the_nearest_and_all_names() {
        let fault = Fault::NoNode {
            node: "woker1".into(),
            known: vec!["main".into(), "worker1".into()],
        };
        assert_eq!(fault.to_string(), "there is no node 'woker1'");
        assert_eq!(
            fault.hint().as_deref(),
            Some("did you mean worker1? known nodes: main, worker1")
        );
    }

    #[test_case(
        Some(185),
        "10.0.0.3",
        "node b is offline since 3min 5s (last seen from 10.0.0.3)"
    )]
    #[test_case(Some(185), "", "node b is offline since 3min 5s")]
    #[test_case(None, "", "node b is offline")]
    fn an_offline_node_is_said_since_when(ago: Option<u64>, address: &str, text: &str) {
        let fault = Fault::Offline {
            node: "b".into(),
            last_seen_ago: ago.map(Duration::from_secs),
            address: address.into(),
        };
        assert_eq!(fault.to_string(), text);
    }
}
