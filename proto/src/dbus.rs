//! Every bus name, object path, interface, member and error name that the programs use.

use zbus::names::ErrorName;

/// The public API of the controller: what clients written for BlueChi know.
pub mod public {
    /// The bus name that existing clients look for.
    pub const BUS_NAME: &str = "org.eclipse.bluechi";
    /// The bus name of our own.
    pub const BUS_NAME_OWN: &str = "org.unitlink";
    /// The controller's object.
    pub const CONTROLLER_PATH: &str = "/org/eclipse/bluechi";
    /// Below it, one object for each node; the last element is [`crate::name::path_element`].
    pub const NODE_PATH_PREFIX: &str = "/org/eclipse/bluechi/node/";
    /// Below it, one object for each job.
    pub const JOB_PATH_PREFIX: &str = "/org/eclipse/bluechi/job/";
    /// Interface of the controller's object.
    pub const CONTROLLER: &str = "org.eclipse.bluechi.Controller";
    /// Interface of a node's object.
    pub const NODE: &str = "org.eclipse.bluechi.Node";
    /// Below it, one object for each monitor.
    pub const MONITOR_PATH_PREFIX: &str = "/org/eclipse/bluechi/monitor/";
    /// The object of metrics, while they are enabled.
    pub const METRICS_PATH: &str = "/org/eclipse/bluechi/metrics";
    /// Interface of a monitor's object.
    pub const MONITOR: &str = "org.eclipse.bluechi.Monitor";
    /// Interface of the object of metrics.
    pub const METRICS: &str = "org.eclipse.bluechi.Metrics";
    /// Interface of a job's object.
    pub const JOB: &str = "org.eclipse.bluechi.Job";
    /// What goes beyond, on the controller's object.
    pub const FLEET: &str = "org.unitlink.Fleet1";
    /// What goes beyond, on a node's object.
    pub const NODE_OWN: &str = "org.unitlink.Node1";
    /// What goes beyond, on a job's object.
    pub const JOB_OWN: &str = "org.unitlink.Job1";
}

/// The public API of an agent, on the bus of its node.
pub mod agent {
    /// The bus name.
    pub const BUS_NAME: &str = "org.eclipse.bluechi.Agent";
    /// Its one object.
    pub const PATH: &str = "/org/eclipse/bluechi";
    /// Its interface.
    pub const AGENT: &str = "org.eclipse.bluechi.Agent";
    /// What goes beyond, on the same object.
    pub const AGENT_OWN: &str = "org.unitlink.Agent1";
}

/// Between agent and controller, peer to peer.
pub mod internal {
    /// The agent's object for metrics.
    pub const METRICS_PATH: &str = "/org/eclipse/bluechi/internal/agent/metrics";
    /// Its interface: the signal `AgentJobMetrics`.
    pub const METRICS: &str = "org.eclipse.bluechi.internal.Agent.Metrics";
    /// The controller's object, as BlueChi's agents know it.
    pub const CONTROLLER_PATH: &str = "/org/eclipse/bluechi/internal";
    /// The agent's object, as BlueChi's controller knows it.
    pub const AGENT_PATH: &str = "/org/eclipse/bluechi/internal/agent";
    /// Interface of the controller: `Register(s)`, signal `Heartbeat()`.
    pub const CONTROLLER: &str = "org.eclipse.bluechi.internal.Controller";
    /// Interface of the agent: unit operations and their signals.
    pub const AGENT: &str = "org.eclipse.bluechi.internal.Agent";
    /// Interface of the proxy objects of BlueChi's agents: `TargetStateChanged`, `Error`.
    pub const PROXY: &str = "org.eclipse.bluechi.internal.Proxy";
    /// What goes beyond, on the controller's object: `Hello`, `Claims`, `HoldStates`, `Waits`,
    /// `Goodbye`, `JobDone`.
    pub const CONTROLLER_OWN: &str = "org.unitlink.internal.Controller1";
    /// What goes beyond, on the agent's object: `Holds`, `ClaimStates`, `UnitStatus`,
    /// `ReadProperties`, `ListReferences`, `UnitFiles`, `ReadJournal`.
    pub const AGENT_OWN: &str = "org.unitlink.internal.Agent1";
}

/// systemd's own, org.freedesktop.systemd1(5).
pub mod systemd {
    /// The bus name.
    pub const BUS_NAME: &str = "org.freedesktop.systemd1";
    /// The manager's object.
    pub const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
    /// Below it, one object for each unit.
    pub const UNIT_PATH_PREFIX: &str = "/org/freedesktop/systemd1/unit/";
    /// Interface of the manager.
    pub const MANAGER: &str = "org.freedesktop.systemd1.Manager";
    /// Interface of every unit.
    pub const UNIT: &str = "org.freedesktop.systemd1.Unit";
    /// Interface of services.
    pub const SERVICE: &str = "org.freedesktop.systemd1.Service";
    /// Error: there is no unit of this name.
    pub const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";
    /// A job in the mode `fail` would take the place of another.
    pub const TRANSACTION_IS_DESTRUCTIVE: &str =
        "org.freedesktop.systemd1.TransactionIsDestructive";
}

/// Names of errors.
pub mod error {
    /// The node is not connected.
    pub const OFFLINE: &str = "org.eclipse.bluechi.Offline";
    /// A monitor has no such subscription.
    pub const NO_SUCH_SUBSCRIPTION: &str = "org.eclipse.bluechi.NoSuchSubscription";
    /// A remote unit did not come up.
    pub const ACTIVATION_FAILED: &str = "org.eclipse.bluechi.ActivationFailed";
    /// The daemon is about to end, and takes no new jobs.
    pub const STOPPING: &str = "org.unitlink.Stopping";
    /// A request for a job was repeated after so long that nobody can say any more whether it was carried out.
    pub const FORGOTTEN: &str = "org.unitlink.Forgotten";
    /// An argument is not valid; also an unknown node.
    pub const INVALID_ARGS: &str = "org.freedesktop.DBus.Error.InvalidArgs";
    /// The caller may not do this.
    pub const ACCESS_DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";
    /// A bound was reached.
    pub const LIMITS_EXCEEDED: &str = "org.freedesktop.DBus.Error.LimitsExceeded";
    /// The answer did not come in time.
    pub const TIMEOUT: &str = "org.freedesktop.DBus.Error.Timeout";
    /// Nobody is there to answer.
    pub const NO_REPLY: &str = "org.freedesktop.DBus.Error.NoReply";
    /// There is no such object.
    pub const UNKNOWN_OBJECT: &str = "org.freedesktop.DBus.Error.UnknownObject";
    /// There is no such property.
    pub const UNKNOWN_PROPERTY: &str = "org.freedesktop.DBus.Error.UnknownProperty";
    /// A property cannot be written.
    pub const PROPERTY_READ_ONLY: &str = "org.freedesktop.DBus.Error.PropertyReadOnly";
    /// There is no such method.
    pub const UNKNOWN_METHOD: &str = "org.freedesktop.DBus.Error.UnknownMethod";
    /// The peer cannot do this.
    pub const NOT_SUPPORTED: &str = "org.freedesktop.DBus.Error.NotSupported";
    /// Anything else.
    pub const FAILED: &str = "org.freedesktop.DBus.Error.Failed";
}

/// A name of [`error`] or a name that a peer sent, as zbus wants it; `Failed` where it is not valid.
pub fn error_name(name: &str) -> ErrorName<'_> {
    ErrorName::try_from(name)
        .unwrap_or_else(|_| ErrorName::from_static_str_unchecked(error::FAILED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_valid_becomes_failed() {
        assert_eq!(error_name(error::OFFLINE).as_str(), error::OFFLINE);
        assert_eq!(error_name("no dots").as_str(), error::FAILED);
    }
}
