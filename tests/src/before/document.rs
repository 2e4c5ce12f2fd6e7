//! The members of a protocol, read from the introspection data of its peers.

use super::Side;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Method,
    Signal,
    Property,
}

/// Something that is said.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) kind: Kind,
    pub(super) path: String,
    pub(super) interface: String,
    pub(super) name: String,
    /// The types of what is said; of a property its type.
    pub(super) takes: String,
    /// The types of the answer; of a property whether it can be read or written.
    pub(super) gives: String,
}

impl Member {
    /// Who says it: an object emits its signals, and the other side calls its methods.
    pub(super) fn speaker(&self) -> Side {
        let owner = if self.interface.contains(".Agent") {
            Side::Agent
        } else {
            Side::Controller
        };
        match self.kind {
            Kind::Signal | Kind::Property => owner,
            Kind::Method => owner.other(),
        }
    }
}

/// All that can be said.
#[derive(Debug)]
pub(super) struct Document(Vec<Member>);

impl Document {
    pub(super) fn protocol4() -> Self {
        Self::parse(include_str!("protocol4.xml"))
    }

    pub(super) fn find(&self, interface: &str, name: &str, kind: Kind) -> Option<&Member> {
        let is_it = |it: &&Member| it.interface == interface && it.name == name && it.kind == kind;
        self.0.iter().find(is_it)
    }

    /// What clients find on the bus.
    #[cfg(test)]
    pub(super) fn public4() -> Self {
        Self::parse(include_str!("public4.xml"))
    }

    #[cfg(test)]
    pub(super) fn members(&self) -> &[Member] {
        &self.0
    }

    /// Each element begins on a line of its own, so a line is enough to know it.
    pub(super) fn parse(text: &str) -> Self {
        let (mut path, mut interface, mut members) = (String::new(), String::new(), Vec::new());
        for line in text.lines() {
            let (element, _) = line.trim_start().split_once([' ', '>']).unwrap_or_default();
            let name = attribute(line, "name").unwrap_or_default().to_owned();
            match element {
                "<node" => path = name,
                "<interface" => interface = name,
                "<method" | "<signal" | "<property" => members.push(Member {
                    kind: match element {
                        "<method" => Kind::Method,
                        "<signal" => Kind::Signal,
                        _ => Kind::Property,
                    },
                    path: path.clone(),
                    interface: interface.clone(),
                    name,
                    takes: attribute(line, "type").unwrap_or_default().to_owned(),
                    gives: attribute(line, "access").unwrap_or_default().to_owned(),
                }),
                "<arg" => {
                    if let Some(member) = members.last_mut() {
                        let types = match attribute(line, "direction") {
                            Some("out") => &mut member.gives,
                            _ => &mut member.takes,
                        };
                        types.push_str(attribute(line, "type").unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
        Self(members)
    }
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}
