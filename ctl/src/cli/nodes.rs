//! Which nodes are meant: one by its name, or several by names, patterns and labels.

use std::{collections::BTreeSet, str::FromStr};

use proto::name::NodeName;

use crate::{fault::Fault, fleet::Node, glob};

/// What was typed for NODE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Nodes {
    /// One node, by its name.
    One(NodeName),
    /// Whatever these say; the output is that of several nodes even if it is one.
    Several(Vec<Part>),
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A name.
    Name(NodeName),
    /// Names that fit a pattern.
    Pattern(String),
    /// Nodes with a label that fits.
    Label(String),
}

impl Nodes {
    /// All nodes.
    pub(crate) fn all() -> Self {
        Self::Several(vec![Part::Pattern("*".into())])
    }

    /// The nodes, as far as they are known by their names alone.
    pub(crate) fn names(&self) -> Option<Vec<NodeName>> {
        match self {
            Self::One(name) => Some(vec![name.clone()]),
            Self::Several(parts) => {
                let name = |part: &Part| match part {
                    Part::Name(name) => Some(name.clone()),
                    Part::Pattern(_) | Part::Label(_) => None,
                };
                let names: Option<BTreeSet<_>> = parts.iter().map(name).collect();
                names.map(|names| names.into_iter().collect())
            }
        }
    }

    /// The patterns for names.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &str> {
        let parts = match self {
            Self::One(_) => &[][..],
            Self::Several(parts) => parts,
        };
        parts.iter().filter_map(|part| match part {
            Part::Pattern(pattern) => Some(pattern.as_str()),
            Part::Name(_) | Part::Label(_) => None,
        })
    }

    /// The nodes, each once and by name. Names are taken as they are: whether there are such nodes
    /// is for the controller to say.
    ///
    /// # Errors
    ///
    /// Fails for a pattern or a label that no node has: it is a slip rather than a wish for nothing.
    pub(crate) fn among(&self, known: &[Node]) -> Result<Vec<NodeName>, Fault> {
        let Self::Several(parts) = self else {
            return Ok(self.names().unwrap_or_default());
        };
        let mut chosen = BTreeSet::new();
        for part in parts {
            let fits = |node: &&Node| match part {
                Part::Name(_) => false,
                Part::Pattern(pattern) => glob::fits(pattern, &node.name),
                Part::Label(pattern) => node.labels.iter().any(|has| glob::fits(pattern, has)),
            };
            let mut found: Vec<NodeName> = known
                .iter()
                .filter(fits)
                .filter_map(|node| node.name.parse().ok())
                .collect();
            match part {
                Part::Name(name) => found.push(name.clone()),
                Part::Pattern(pattern) if found.is_empty() => {
                    return Err(Fault::NoNode {
                        node: pattern.clone(),
                        known: known.iter().map(|node| node.name.clone()).collect(),
                    });
                }
                Part::Label(label) if found.is_empty() => {
                    let labels: BTreeSet<_> = known.iter().flat_map(|node| &node.labels).collect();
                    return Err(Fault::NoLabel {
                        label: label.clone(),
                        known: labels.into_iter().cloned().collect(),
                    });
                }
                Part::Pattern(_) | Part::Label(_) => {}
            }
            chosen.extend(found);
        }
        Ok(chosen.into_iter().collect())
    }
}

impl FromStr for Nodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |text: &str| match text.strip_prefix('@') {
            Some("") => Err("a label is missing after '@'".to_owned()),
            Some(label) => Ok(Part::Label(label.to_owned())),
            None if glob::is_pattern(text) => Ok(Part::Pattern(text.to_owned())),
            None => text
                .parse()
                .map(Part::Name)
                .map_err(|error: proto::name::NodeNameError| error.to_string()),
        };
        let mut parts = text.split(',').map(part).collect::<Result<Vec<_>, _>>()?;
        match (parts.pop(), parts.is_empty()) {
            (Some(Part::Name(name)), true) => Ok(Self::One(name)),
            (last, _) => {
                parts.extend(last);
                Ok(Self::Several(parts))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn known() -> Vec<Node> {
        let node = |name: &str, labels: &[&str]| Node {
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            ..Node::from_listing(name.into(), "online".into(), String::new())
        };
        vec![
            node("cam1", &["front"]),
            node("cam2", &["rear"]),
            node("main", &["front", "big"]),
        ]
    }

    #[test_case("cam1", &["cam1"]; "a name")]
    #[test_case("main,cam1,main", &["cam1", "main"]; "a list has each once and is in order")]
    #[test_case("cam*", &["cam1", "cam2"]; "a pattern")]
    #[test_case("@front", &["cam1", "main"]; "a label")]
    #[test_case("@re*,main", &["cam2", "main"]; "all kinds together")]
    #[test_case("*,new", &["cam1", "cam2", "main", "new"]; "a name that is not known is left to the controller")]
    fn nodes_are_chosen(typed: &str, chosen: &[&str]) {
        let nodes: Nodes = typed.parse().expect("valid");
        let names = nodes.among(&known()).expect("some");
        assert_eq!(
            names.iter().map(NodeName::as_str).collect::<Vec<_>>(),
            chosen
        );
    }

    #[test_case("lidar*", "there is no node 'lidar*'")]
    #[test_case("@back", "no node has the label 'back'")]
    fn what_chooses_nothing_is_a_fault(typed: &str, why: &str) {
        let nodes: Nodes = typed.parse().expect("valid");
        let fault = nodes.among(&known()).expect_err("none");
        assert_eq!(fault.to_string(), why);
    }

    #[test_case("a", true)]
    #[test_case("a,b", true)]
    #[test_case("a,b*", false)]
    #[test_case("@a", false)]
    fn names_alone_need_no_question(typed: &str, known: bool) {
        let nodes: Nodes = typed.parse().expect("valid");
        assert_eq!(nodes.names().is_some(), known);
    }

    #[test_case(""; "nothing")]
    #[test_case("a,"; "an empty name")]
    #[test_case("a/b"; "no name")]
    #[test_case("@"; "no label")]
    fn what_is_not_valid_is_refused(typed: &str) {
        assert!(typed.parse::<Nodes>().is_err());
    }
}
