use fleet::{Fleet, MonitorId};
use proto::{
    dbus::public::{
        CONTROLLER_PATH, JOB_PATH_PREFIX, METRICS_PATH, MONITOR_PATH_PREFIX, NODE_PATH_PREFIX,
    },
    interface::{self, introspection},
    model::JobId,
    name::{NodeName, path_element, path_element_decode},
};

/// An object of the public interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    /// A path above others; it has nothing but the next element, for those who walk down.
    Above(&'static str),
    /// The controller.
    Controller,
    /// The path above the nodes.
    Nodes,
    /// A node.
    Node(NodeName),
    /// The path above the jobs.
    Jobs,
    /// A job.
    Job(JobId),
    /// The path above the monitors.
    Monitors,
    /// A monitor.
    Monitor(MonitorId),
    /// Metrics, while they are enabled.
    Metrics,
}

impl Object {
    /// The object at a path, whether it is there or not; `None` for a path that never has one.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        if let Some(id) = path.strip_prefix(JOB_PATH_PREFIX) {
            return number(id).map(|number| Self::Job(JobId(number)));
        }
        if let Some(id) = path.strip_prefix(MONITOR_PATH_PREFIX) {
            return number(id).map(|number| Self::Monitor(MonitorId(number)));
        }
        if let Some(element) = path.strip_prefix(NODE_PATH_PREFIX) {
            let name = path_element_decode(element)?;
            return name.parse().ok().map(Self::Node);
        }
        match path {
            CONTROLLER_PATH => Some(Self::Controller),
            "/" => Some(Self::Above("org")),
            "/org" => Some(Self::Above("eclipse")),
            "/org/eclipse" => Some(Self::Above("bluechi")),
            "/org/eclipse/bluechi/node" => Some(Self::Nodes),
            "/org/eclipse/bluechi/job" => Some(Self::Jobs),
            "/org/eclipse/bluechi/monitor" => Some(Self::Monitors),
            METRICS_PATH => Some(Self::Metrics),
            _ => None,
        }
    }

    /// Whether it is there now.
    pub(crate) fn exists(&self, fleet: &Fleet, metrics: bool) -> bool {
        match self {
            Self::Above(_) | Self::Controller | Self::Nodes | Self::Jobs | Self::Monitors => true,
            Self::Monitor(id) => fleet.has_monitor(*id),
            Self::Metrics => metrics,
            Self::Node(name) => fleet.node(name).is_some(),
            Self::Job(id) => fleet.job(*id).is_some(),
        }
    }

    /// What it says of itself. BlueChi's interfaces come before ours: a client that calls a method by its
    /// name alone, as programs on dasbus do, takes the first interface that has it, and both have
    /// `ListNodes` and `ListUnits`.
    pub(crate) fn introspect(&self, fleet: &Fleet, metrics: bool) -> String {
        let nothing = Vec::new;
        let (interfaces, children): (&[interface::Interface], Vec<String>) = match self {
            Self::Above(child) => (&[], vec![(*child).to_owned()]),
            Self::Controller => {
                let below = ["node", "job", "monitor"].into_iter();
                let below = below.chain(metrics.then_some("metrics"));
                let children = below.map(str::to_owned).collect();
                (&[interface::CONTROLLER, interface::FLEET], children)
            }
            Self::Nodes => {
                let nodes = fleet.nodes();
                let nodes = nodes.map(|node| path_element(node.name.as_str()));
                (&[], nodes.collect())
            }
            Self::Node(_) => (&[interface::NODE, interface::NODE_OWN], nothing()),
            Self::Jobs => (&[], fleet.jobs().map(|job| job.id.to_string()).collect()),
            Self::Job(_) => (&[interface::JOB, interface::JOB_OWN], nothing()),
            Self::Monitors => (&[], fleet.monitors().map(|id| id.0.to_string()).collect()),
            Self::Monitor(_) => (&[interface::MONITOR], nothing()),
            Self::Metrics => (&[interface::METRICS], nothing()),
        };
        introspection(interfaces, children)
    }
}

/// A number as it is written in a path, in this one way only.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The path of a node's object.
pub(crate) fn node_path(name: &NodeName) -> String {
    format!("{NODE_PATH_PREFIX}{}", path_element(name.as_str()))
}

/// The path of a job's object.
pub(crate) fn job_path(id: JobId) -> String {
    format!("{JOB_PATH_PREFIX}{id}")
}

/// The path of a monitor's object.
pub(crate) fn monitor_path(id: MonitorId) -> String {
    format!("{MONITOR_PATH_PREFIX}{}", id.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("/org/eclipse/bluechi", &Some(Object::Controller); "controller")]
    #[test_case("/org/eclipse/bluechi/job/7", &Some(Object::Job(JobId(7))); "job")]
    #[test_case("/org/eclipse/bluechi/job/07", &None; "another spelling of a job")]
    #[test_case("/org/eclipse/bluechi/monitor/3", &Some(Object::Monitor(MonitorId(3))); "monitor")]
    #[test_case("/org/eclipse/bluechi/metrics", &Some(Object::Metrics); "metrics")]
    #[test_case("/org/eclipse/bluechi/node/a_2d1", &Some(Object::Node("a-1".parse().expect("name"))); "node")]
    #[test_case("/org/eclipse/bluechi/node/_2f", &None; "no node name")]
    #[test_case("/org/freedesktop", &None; "elsewhere")]
    fn paths_are_read_as_they_are_written(path: &str, object: &Option<Object>) {
        assert_eq!(&Object::parse(path), object);
        match object {
            Some(Object::Node(name)) => assert_eq!(node_path(name), path),
            Some(Object::Job(id)) => assert_eq!(job_path(*id), path),
            Some(Object::Monitor(id)) => assert_eq!(monitor_path(*id), path),
            _ => {}
        }
    }
}
