//! The interfaces that are served on a bus, as committed documents. What a program says of itself is
//! taken from these, they are installed for those who generate code, and tests compare them with what
//! is served.

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name; of [`STANDARD`], which has several, nothing.
    pub name: &'static str,
    /// The whole document, D-Bus specification, "Introspection Data Format".
    pub document: &'static str,
}

macro_rules! interfaces {
    ($($(#[$meta:meta])* $constant:ident = $name:literal;)+) => {
        $($(#[$meta])* pub const $constant: Interface = Interface {
            name: $name,
            document: include_str!(concat!("interface/", $name, ".xml")),
        };)+

        /// All interfaces of ours.
        pub const ALL: &[Interface] = &[$($constant),+];
    };
}

interfaces! {
    /// The controller, as BlueChi's clients know it.
    CONTROLLER = "org.eclipse.bluechi.Controller";
    /// A node, likewise.
    NODE = "org.eclipse.bluechi.Node";
    /// A job, likewise.
    JOB = "org.eclipse.bluechi.Job";
    /// A monitor, likewise.
    MONITOR = "org.eclipse.bluechi.Monitor";
    /// Metrics, likewise.
    METRICS = "org.eclipse.bluechi.Metrics";
    /// An agent, on the bus of its node, likewise.
    AGENT = "org.eclipse.bluechi.Agent";
    /// What goes beyond, on the same object.
    AGENT_OWN = "org.unitlink.Agent1";
    /// What goes beyond, on the controller's object.
    FLEET = "org.unitlink.Fleet1";
    /// What goes beyond, on a node's object.
    NODE_OWN = "org.unitlink.Node1";
    /// What goes beyond, on a job's object.
    JOB_OWN = "org.unitlink.Job1";
}

/// The interfaces of the D-Bus specification that every object has.
pub const STANDARD: Interface = Interface {
    name: "",
    document: include_str!("interface/standard.xml"),
};

/// What introspection begins with.
const DOCTYPE: &str = concat!(
    "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n",
    " \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n"
);

impl Interface {
    /// The `interface` elements of the document.
    pub fn elements(&self) -> &'static str {
        let inner = self
            .document
            .split_once("<node>\n")
            .and_then(|(_, rest)| rest.rsplit_once("</node>"));
        inner.map_or("", |(inner, _)| inner)
    }

    /// The methods, with the signatures of their arguments.
    pub fn methods(&self) -> impl Iterator<Item = (&'static str, String)> {
        let elements = self.elements().split("<method ").skip(1);
        elements.filter_map(|element| {
            let name = attribute(element, "name")?;
            let head = element.split_once('>').map_or(element, |(head, _)| head);
            let body = if head.ends_with('/') {
                ""
            } else {
                element.split_once("</method>").map_or("", |(body, _)| body)
            };
            let arguments = body.split("<arg ").skip(1);
            let incoming = arguments.filter(|arg| attribute(arg, "direction") == Some("in"));
            let types = incoming.filter_map(|arg| attribute(arg, "type"));
            Some((name, types.collect()))
        })
    }

    /// The properties.
    pub fn properties(&self) -> impl Iterator<Item = &'static str> {
        let elements = self.elements().split("<property ").skip(1);
        elements.filter_map(|element| attribute(element, "name"))
    }

    /// The signals.
    pub fn signals(&self) -> impl Iterator<Item = &'static str> {
        let elements = self.elements().split("<signal ").skip(1);
        elements.filter_map(|element| attribute(element, "name"))
    }
}

/// An attribute of the element whose text this begins with.
fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let head = element.split_once('>').map_or(element, |(head, _)| head);
    let (_, rest) = head.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// What an object says of itself: the standard interfaces and these, and the objects below it.
pub fn introspection(
    interfaces: &[Interface],
    children: impl IntoIterator<Item = String>,
) -> String {
    let mut xml = format!("{DOCTYPE}<node>\n{}", STANDARD.elements());
    for interface in interfaces {
        xml.push_str(interface.elements());
    }
    for child in children {
        xml.push_str("  <node name=\"");
        xml.push_str(&child);
        xml.push_str("\"/>\n");
    }
    xml.push_str("</node>\n");
    xml
}

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_about_its_interface() {
        for interface in ALL {
            let begin = format!("  <interface name=\"{}\">\n", interface.name);
            assert!(interface.elements().starts_with(&begin), "{interface:?}");
            assert!(interface.elements().ends_with("  </interface>\n"));
        }
        assert_eq!(STANDARD.elements().matches("<interface ").count(), 3);
    }

    #[test]
    fn members_are_read_with_what_goes_in() {
        let methods: Vec<_> = MONITOR.methods().collect();
        assert_eq!(methods[0], ("Subscribe", "ss".to_owned()));
        assert_eq!(methods.last(), Some(&("Close", String::new())));
        assert_eq!(JOB.methods().next(), Some(("Cancel", String::new())));
        assert_eq!(JOB.properties().count(), 5);
        assert_eq!(
            METRICS.signals().collect::<Vec<_>>(),
            ["StartUnitJobMetrics", "AgentJobMetrics"]
        );
    }
}
