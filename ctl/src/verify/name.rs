//! Names of units of other nodes, as they are written.

use proto::name::{NodeName, ProxyName, ProxyNameError, UnitName};

use super::{Files, Finding, Severity};
use crate::{fleet::Reference, suggest};

/// What is wrong with a word.
pub(super) fn check(files: &Files, reference: &Reference) -> Option<Finding> {
    let (severity, check, what, right) = look(files, reference)?;
    Some(Finding {
        severity,
        node: reference.node.to_string(),
        unit: reference.unit.clone(),
        check,
        what: format!(
            "{}={} ({}): {what}",
            reference.setting, reference.name, reference.file
        ),
        right,
    })
}

type Wrong = (Severity, &'static str, String, String);

fn look(files: &Files, reference: &Reference) -> Option<Wrong> {
    let Reference { node, name, .. } = reference;
    if [
        "dep@",
        "bluechi-dep@",
        "dep-unit@",
        "against@",
        "against-unit@",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
    {
        let what = "holds are started and stopped by the agent".to_owned();
        let right = "the unit itself, which the hold is for".to_owned();
        return Some((Severity::Warning, "hold", what, right));
    }
    // What other specifiers stand for, systemd alone knows; what it makes of them is looked at.
    let word = reference.expanded()?;
    let (prefix, instance) = word.split_once('@')?;
    let proxy = match ProxyName::parse(&format!("proxy@{instance}")) {
        Ok(proxy) => proxy,
        Err(error) => {
            let right = meant(files, instance, &error);
            let right = right
                .map(|right| respell(prefix, &right))
                .unwrap_or_default();
            let what = plain(&error);
            return Some((Severity::Error, "name", what, right));
        }
    };
    if files.node(proxy.node()).is_some() {
        if proxy.node() != node {
            return None;
        }
        let what = "the unit is on the same node".to_owned();
        return Some((
            Severity::Warning,
            "own-node",
            what,
            proxy.unit().to_string(),
        ));
    }
    let known = files.nodes.iter().map(|node| node.name.as_str());
    let near = suggest::nearest(proxy.node().as_str(), known);
    let right = longer_node(files, instance).or_else(|| {
        let near: NodeName = near?.parse().ok()?;
        ProxyName::of(&near, proxy.unit()).ok()
    });
    let what = format!("there is no node {}", proxy.node());
    let right = right
        .map(|right| respell(prefix, &right))
        .unwrap_or_default();
    Some((Severity::Error, "no-node", what, right))
}

/// An error without the name, which stands beside it.
fn plain(error: &ProxyNameError) -> String {
    match error {
        ProxyNameError::NotAProxy(_) => "it does not end in .service".into(),
        ProxyNameError::NoSeparator(_) => "there is no '_' between node and unit".into(),
        ProxyNameError::Spelling { .. } => "it is spelt otherwise".into(),
        ProxyNameError::Node(_) | ProxyNameError::Unit(_) | ProxyNameError::TooLong(_) => {
            error.to_string()
        }
    }
}

/// The name that was meant, if that can be told.
fn meant(files: &Files, instance: &str, error: &ProxyNameError) -> Option<ProxyName> {
    match error {
        ProxyNameError::Spelling { right, .. } => ProxyName::parse(right).ok(),
        ProxyNameError::NotAProxy(_) => ProxyName::parse(&format!("proxy@{instance}.service")).ok(),
        ProxyNameError::NoSeparator(_)
        | ProxyNameError::Node(_)
        | ProxyNameError::Unit(_)
        | ProxyNameError::TooLong(_) => longer_node(files, instance),
    }
}

/// A node whose name the instance begins with: whatever stands behind it was to part it from the unit,
/// or the name has a `_`, which has to be escaped.
fn longer_node(files: &Files, instance: &str) -> Option<ProxyName> {
    let instance = instance.strip_suffix(".service").unwrap_or(instance);
    files.nodes.iter().find_map(|node| {
        let rest = instance.strip_prefix(&node.name)?;
        let mut rest = rest.chars();
        rest.next().filter(|c| !c.is_ascii_alphanumeric())?;
        let unit = UnitName::from_operator(rest.as_str()).ok()?;
        ProxyName::of(&node.name.parse().ok()?, &unit).ok()
    })
}

/// The name of a proxy as one of the template that was written.
fn respell(prefix: &str, proxy: &ProxyName) -> String {
    match prefix {
        "conflict" => proxy.to_string().replacen("proxy@", "conflict@", 1),
        _ => proxy.to_string(),
    }
}
