use std::fmt;

use thiserror::Error;

use super::{
    node::{NodeName, NodeNameError, is_node_char},
    rival::{rival_of, rivalled_by},
    unit::{UNIT_NAME_BYTES_MAX, UnitName, UnitNameError, UnitType, has_suffix, is_unit_char},
};

const PREFIX: &str = "proxy@";
/// The template's other name, under which units written for BlueChi know it. Where such a unit is
/// the first to name an instance, systemd lists the instance by this name.
const ALIAS_PREFIX: &str = "bluechi-proxy@";
/// The need that a unit does not run.
const CONFLICT_PREFIX: &str = "conflict@";
const SUFFIX: &str = ".service";
const SEPARATOR: char = '_';
/// A node name may hold the separator; in a proxy's name it is then written as systemd-escape(1)
/// would write it. No node name holds a backslash, so this cannot be mistaken.
const SEPARATOR_ESCAPED: &str = "\\x5f";

/// The name of a unit that stands for a unit of another node:
/// `proxy@worker2_target.service` is `target.service` of node `worker2`.
///
/// The instance is the node's name, a `_`, and the unit. In the node's name `_` is written `\x5f`.
/// The unit is written as it is, because all characters of a unit name may stand in an instance; a
/// service is written without its `.service`, unless what is left would read as a unit of another
/// type. There is exactly one spelling for each pair of node and unit.
///
/// `conflict@worker2_target.service` stands for the rival of `target.service` on `worker2`
/// ([`rival_of`]), and has no spelling with `proxy@`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProxyName {
    name: UnitName,
    node: NodeName,
    unit: UnitName,
}

impl ProxyName {
    /// The proxy for `unit` on `node`.
    ///
    /// # Errors
    ///
    /// Fails when the name would be longer than systemd allows.
    pub fn of(node: &NodeName, unit: &UnitName) -> Result<Self, ProxyNameError> {
        let (prefix, written) = match rivalled_by(unit) {
            Some(rivalled) => (CONFLICT_PREFIX, rivalled),
            None => (PREFIX, unit.clone()),
        };
        let node_part = node.as_str().replace(SEPARATOR, SEPARATOR_ESCAPED);
        let unit_part = match written.unit_type() {
            UnitType::Service if !has_suffix(written.stem()) => written.stem(),
            UnitType::Service
            | UnitType::Automount
            | UnitType::Device
            | UnitType::Mount
            | UnitType::Path
            | UnitType::Scope
            | UnitType::Slice
            | UnitType::Socket
            | UnitType::Swap
            | UnitType::Target
            | UnitType::Timer => written.as_str(),
        };
        let text = format!("{prefix}{node_part}{SEPARATOR}{unit_part}{SUFFIX}");
        if text.len() > UNIT_NAME_BYTES_MAX {
            return Err(ProxyNameError::TooLong(text.len()));
        }
        let name = text.parse().map_err(ProxyNameError::Unit)?;
        Ok(Self {
            name,
            node: node.clone(),
            unit: unit.clone(),
        })
    }

    /// Parses the name of a proxy, by its own name or by its alias.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and the right spelling where there is one.
    pub fn parse(text: &str) -> Result<Self, ProxyNameError> {
        let conflicting = text.strip_prefix(CONFLICT_PREFIX);
        let instance = conflicting
            .or_else(|| text.strip_prefix(PREFIX))
            .or_else(|| text.strip_prefix(ALIAS_PREFIX))
            .and_then(|rest| rest.strip_suffix(SUFFIX))
            .ok_or_else(|| ProxyNameError::NotAProxy(text.to_owned()))?;
        let (node_part, unit_part) = instance
            .split_once(SEPARATOR)
            .ok_or_else(|| ProxyNameError::NoSeparator(text.to_owned()))?;
        let node: NodeName = unescape_node(node_part)
            .parse()
            .map_err(ProxyNameError::Node)?;
        if let Some(bad) = unit_part.chars().find(|c| !is_unit_char(*c)) {
            return Err(ProxyNameError::Unit(UnitNameError::Character(bad)));
        }
        let unit = UnitName::from_operator(unit_part);
        let unit = match conflicting {
            Some(_) => unit.and_then(|unit| rival_of(&unit)),
            None => unit,
        };
        let unit = unit.map_err(ProxyNameError::Unit)?;
        let proxy = Self::of(&node, &unit)?;
        let canonical = text.strip_prefix("bluechi-").unwrap_or(text);
        if proxy.name.as_str() == canonical {
            Ok(proxy)
        } else {
            Err(ProxyNameError::Spelling {
                found: text.to_owned(),
                right: proxy.name.to_string(),
            })
        }
    }

    /// The proxy that was meant if the `_` in the name of this node was written as it is, where it is
    /// read as the end of the name: with a node `my_node`, `proxy@my_node_t.service` was to be
    /// `proxy@my\x5fnode_t.service`. `None` where this name cannot be read so.
    pub fn meant_for(&self, node: &NodeName) -> Option<Self> {
        let (_, instance) = self.name.as_str().split_once('@')?;
        let unit = instance
            .strip_suffix(SUFFIX)?
            .strip_prefix(node.as_str())?
            .strip_prefix(SEPARATOR)?;
        let unit = UnitName::from_operator(unit).ok()?;
        let unit = match self.rivalled() {
            Some(_) => rival_of(&unit).ok()?,
            None => unit,
        };
        let meant = Self::of(node, &unit).ok()?;
        (meant != *self).then_some(meant)
    }

    /// Whether a unit is an instance of one of the templates of proxies, well spelt or not. systemd knows an
    /// instance by the name under which it was first met, so this may be the alias.
    pub fn is_proxy(unit: &UnitName) -> bool {
        let text = unit.as_str();
        let prefixes = [PREFIX, ALIAS_PREFIX, CONFLICT_PREFIX];
        prefixes.iter().any(|prefix| text.starts_with(prefix))
            && unit.unit_type() == UnitType::Service
    }

    /// The name of the proxy unit itself.
    pub fn name(&self) -> &UnitName {
        &self.name
    }

    /// The node whose unit is needed.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// The unit that is needed there.
    pub fn unit(&self) -> &UnitName {
        &self.unit
    }

    /// The unit that must not run there, where that is what is needed.
    pub fn rivalled(&self) -> Option<UnitName> {
        rivalled_by(&self.unit)
    }
}

/// Reads `\xNN` escapes. Text that is no escape stays as it is, for the parser of node names to
/// refuse, which then shows what was really written.
fn unescape_node(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let decoded = escape
            .get(2..4)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .map(char::from)
            .filter(|c| is_node_char(*c));
        match (decoded, escape.get(4..)) {
            (Some(c), Some(after)) => {
                out.push(c);
                rest = after;
            }
            (Some(_) | None, _) => {
                out.push_str(escape);
                return out;
            }
        }
    }
    out.push_str(rest);
    out
}

impl fmt::Display for ProxyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl fmt::Debug for ProxyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.name, f)
    }
}

/// Why a text is no name of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProxyNameError {
    /// It does not look like a proxy at all.
    #[error("'{0}' is no proxy; it looks like 'proxy@NODE_UNIT.service'")]
    NotAProxy(String),
    /// There is no `_` between node and unit.
    #[error("'{0}' has no '_' between node and unit; it looks like 'proxy@NODE_UNIT.service'")]
    NoSeparator(String),
    /// The part before the `_` is no node name.
    #[error("the node of the proxy is not valid: {0}")]
    Node(#[source] NodeNameError),
    /// The part after the `_` is no unit name.
    #[error("the unit of the proxy is not valid: {0}")]
    Unit(#[source] UnitNameError),
    /// The name does not fit into a unit name.
    #[error("the name of the proxy has {0} bytes; at most 255 are allowed")]
    TooLong(usize),
    /// The pair has another spelling.
    #[error("'{found}' is not how this proxy is spelt; write '{right}'")]
    Spelling {
        /// What was written.
        found: String,
        /// What is right.
        right: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    #[test_case("worker2", "target.service", "proxy@worker2_target.service"; "simple")]
    #[test_case("cam_1", "t.service", "proxy@cam\\x5f1_t.service"; "separator in the node")]
    #[test_case("a", "b_c.service", "proxy@a_b_c.service"; "separator in the unit")]
    #[test_case("a", "b@c.service", "proxy@a_b@c.service"; "instance")]
    #[test_case("a", "b.socket", "proxy@a_b.socket.service"; "other type")]
    #[test_case("a", "b.socket.service", "proxy@a_b.socket.service.service"; "looks like another type")]
    #[test_case("a", "x\\x2dy.mount", "proxy@a_x\\x2dy.mount.service"; "escape in the unit")]
    fn each_pair_has_one_spelling(node: &str, unit: &str, name: &str) {
        let (node, unit): (NodeName, UnitName) =
            (node.parse().expect("node"), unit.parse().expect("unit"));
        let proxy = ProxyName::of(&node, &unit).expect("short enough");
        assert_eq!(proxy.name().as_str(), name);
        assert_eq!(ProxyName::parse(name), Ok(proxy.clone()));
        assert_eq!(ProxyName::parse(&format!("bluechi-{name}")), Ok(proxy));
    }

    #[test_case("proxy@my_node_t.service", "my_node", Some("proxy@my\\x5fnode_t.service"); "as it is")]
    #[test_case("proxy@a_b_c_t.socket.service", "a_b_c", Some("proxy@a\\x5fb\\x5fc_t.socket.service"); "twice")]
    #[test_case("conflict@my_node_t.service", "my_node", Some("conflict@my\\x5fnode_t.service"); "a rival")]
    #[test_case("proxy@my_node.service", "my_node", None; "no unit is left")]
    #[test_case("proxy@my_nodes_t.service", "my_node", None; "a longer name")]
    #[test_case("proxy@my_node_t.service", "my", None; "it is spelt so")]
    fn what_was_meant_with_a_separator_in_the_node(name: &str, node: &str, meant: Option<&str>) {
        let node: NodeName = node.parse().expect("node");
        let proxy = ProxyName::parse(name).expect("valid");
        let found = proxy.meant_for(&node);
        let found = found.as_ref().map(|it| it.name().as_str());
        assert_eq!(found, meant);
    }

    #[test_case("worker2", "target.service", "conflict@worker2_target.service"; "service")]
    #[test_case("a", "b.socket", "conflict@a_b.socket.service"; "socket")]
    #[test_case("cam_1", "web@1.service", "conflict@cam\\x5f1_web@1.service"; "escape and instance")]
    fn what_must_not_run_has_one_spelling(node: &str, unit: &str, name: &str) {
        let unit: UnitName = unit.parse().expect("unit");
        let rival = rival_of(&unit).expect("short enough");
        let proxy = ProxyName::of(&node.parse().expect("node"), &rival).expect("short enough");
        assert_eq!(proxy.name().as_str(), name);
        assert_eq!(proxy.rivalled(), Some(unit));
        assert!(ProxyName::is_proxy(proxy.name()));
        assert_eq!(ProxyName::parse(name), Ok(proxy));
    }

    #[test_case("proxy@a_against@b.service", "conflict@a_b.service"; "rival")]
    #[test_case("conflict@a_b.service.service", "conflict@a_b.service"; "service of a conflict written out")]
    #[test_case("proxy@a_b.service.service", "proxy@a_b.service"; "service written out")]
    #[test_case("proxy@\\x61_b.service", "proxy@a_b.service"; "escape that is not needed")]
    fn other_spellings_are_refused_with_the_right_one(found: &str, right: &str) {
        let error = ProxyName::parse(found).expect_err("not canonical");
        assert_eq!(
            error,
            ProxyNameError::Spelling {
                found: found.into(),
                right: right.into()
            }
        );
    }

    #[test_case("target.service", "is no proxy"; "another unit")]
    #[test_case("proxy@target.service", "no '_'"; "no separator")]
    #[test_case("proxy@_target.service", "node name is empty"; "no node")]
    #[test_case("proxy@a_.service", "unit name is empty"; "no unit")]
    #[test_case("proxy@a_b@.service", "template"; "template")]
    #[test_case("proxy@a\\x2fb_c.service", "only letters"; "slash in the node")]
    #[test_case("proxy@a_b/c.service", "'/'"; "slash in the unit")]
    #[test_case("proxy@a\\x_c.service", "only letters"; "half an escape")]
    fn what_is_no_proxy_says_why(text: &str, why: &str) {
        let error = ProxyName::parse(text).expect_err("invalid").to_string();
        assert!(error.contains(why), "{error}");
    }

    proptest! {
        #[test]
        fn parse_undoes_of(
            node in "[A-Za-z0-9][A-Za-z0-9._-]{0,20}",
            stem in "[A-Za-z0-9:_.\\\\-]{1,20}(@[A-Za-z0-9:_.\\\\@-]{1,20})?",
            unit_type in proptest::sample::select(UnitType::ALL.to_vec()),
        ) {
            let node: NodeName = node.parse().expect("generated");
            let unit: UnitName = format!("{stem}.{}", unit_type.suffix()).parse().expect("generated");
            let proxy = ProxyName::of(&node, &unit).expect("short enough");
            prop_assert_eq!(ProxyName::parse(proxy.name().as_str()), Ok(proxy));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,60}") {
            let _ = ProxyName::parse(&format!("proxy@{text}.service"));
        }
    }
}
