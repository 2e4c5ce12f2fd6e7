use std::fmt::Write;

use fleet::Fleet;
use proto::{
    dbus::public::{CONTROLLER_PATH, JOB_PATH_PREFIX, NODE_PATH_PREFIX},
    model::JobId,
    name::{NodeName, path_element, path_element_decode},
};

const CONTROLLER_XML: &str = include_str!("interface/controller.xml");
const FLEET_XML: &str = include_str!("interface/fleet.xml");
const NODE_XML: &str = include_str!("interface/node.xml");
const NODE_OWN_XML: &str = include_str!("interface/node_own.xml");
const JOB_XML: &str = include_str!("interface/job.xml");
const STANDARD_XML: &str = include_str!("interface/standard.xml");

/// What introspection begins with, D-Bus specification, "Introspection Data Format".
const DOCTYPE: &str = concat!(
    "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n",
    " \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n"
);

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
}

impl Object {
    /// The object at a path, whether it is there or not; `None` for a path that never has one.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        if let Some(id) = path.strip_prefix(JOB_PATH_PREFIX) {
            let number: u32 = id.parse().ok()?;
            return (number.to_string() == id).then_some(Self::Job(JobId(number)));
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
            _ => None,
        }
    }

    /// Whether it is there now.
    pub(crate) fn exists(&self, fleet: &Fleet) -> bool {
        match self {
            Self::Above(_) | Self::Controller | Self::Nodes | Self::Jobs => true,
            Self::Node(name) => fleet.node(name).is_some(),
            Self::Job(id) => fleet.job(*id).is_some(),
        }
    }

    /// What it says of itself.
    pub(crate) fn introspect(&self, fleet: &Fleet) -> String {
        let mut xml = format!("{DOCTYPE}<node>\n");
        let mut interfaces = |texts: &[&str]| texts.iter().for_each(|text| xml.push_str(text));
        let children: Vec<String> = match self {
            Self::Above(child) => {
                interfaces(&[STANDARD_XML]);
                vec![(*child).to_owned()]
            }
            Self::Controller => {
                interfaces(&[STANDARD_XML, CONTROLLER_XML, FLEET_XML]);
                vec!["node".to_owned(), "job".to_owned()]
            }
            Self::Nodes => {
                interfaces(&[STANDARD_XML]);
                let nodes = fleet.nodes();
                nodes.map(|node| path_element(node.name.as_str())).collect()
            }
            Self::Node(_) => {
                interfaces(&[STANDARD_XML, NODE_XML, NODE_OWN_XML]);
                Vec::new()
            }
            Self::Jobs => {
                interfaces(&[STANDARD_XML]);
                fleet.jobs().map(|job| job.id.to_string()).collect()
            }
            Self::Job(_) => {
                interfaces(&[STANDARD_XML, JOB_XML]);
                Vec::new()
            }
        };
        for child in children {
            // Writing into a string does not fail.
            let _ = writeln!(xml, "  <node name=\"{child}\"/>");
        }
        xml.push_str("</node>\n");
        xml
    }
}

/// The path of a node's object.
pub(crate) fn node_path(name: &NodeName) -> String {
    format!("{NODE_PATH_PREFIX}{}", path_element(name.as_str()))
}

/// The path of a job's object.
pub(crate) fn job_path(id: JobId) -> String {
    format!("{JOB_PATH_PREFIX}{id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("/org/eclipse/bluechi", &Some(Object::Controller); "controller")]
    #[test_case("/org/eclipse/bluechi/job/7", &Some(Object::Job(JobId(7))); "job")]
    #[test_case("/org/eclipse/bluechi/job/07", &None; "another spelling of a job")]
    #[test_case("/org/eclipse/bluechi/node/a_2d1", &Some(Object::Node("a-1".parse().expect("name"))); "node")]
    #[test_case("/org/eclipse/bluechi/node/_2f", &None; "no node name")]
    #[test_case("/org/freedesktop", &None; "elsewhere")]
    fn paths_are_read_as_they_are_written(path: &str, object: &Option<Object>) {
        assert_eq!(&Object::parse(path), object);
        match object {
            Some(Object::Node(name)) => assert_eq!(node_path(name), path),
            Some(Object::Job(id)) => assert_eq!(job_path(*id), path),
            _ => {}
        }
    }
}
