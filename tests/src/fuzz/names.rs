use proto::name::{HoldName, NodeName, ProxyName, UnitName, path_element, path_element_decode};

/// Names are read as they are written, have one spelling each, and are never mistaken for another.
pub fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let element = path_element(&text);
    assert_eq!(path_element_decode(&element).as_deref(), Some(&*text));
    if let Some(decoded) = path_element_decode(&text) {
        assert_eq!(path_element(&decoded), text);
    }
    spelt(&text);
    // Two parts, as a node and a unit; the first line ends the first.
    let (node, unit) = text.split_once('\n').unwrap_or((&text, "t.service"));
    if let (Ok(node), Ok(unit)) = (node.parse::<NodeName>(), UnitName::from_operator(unit)) {
        pair(&node, &unit);
    }
    spelt(&format!("proxy@{text}.service"));
}

fn spelt(text: &str) {
    if let Ok(node) = text.parse::<NodeName>() {
        assert_eq!(node.to_string(), text);
    }
    match ProxyName::parse(text) {
        Ok(proxy) => {
            assert!(ProxyName::is_proxy(proxy.name()));
            assert_eq!(ProxyName::parse(proxy.name().as_str()), Ok(proxy.clone()));
            pair(proxy.node(), proxy.unit());
        }
        Err(proto::name::ProxyNameError::Spelling { right, .. }) => {
            assert!(ProxyName::parse(&right).is_ok(), "{right}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match text.parse::<UnitName>() {
        Ok(unit) => {
            assert_eq!(unit.as_str(), text);
            assert_eq!(UnitName::from_operator(text), Ok(unit.clone()));
            assert_eq!(
                format!("{}.{}", unit.stem(), unit.unit_type().suffix()),
                text
            );
            held(&unit);
            if let Some(hold) = HoldName::parse(&unit) {
                held(hold.unit());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn pair(node: &NodeName, unit: &UnitName) {
    if let Ok(proxy) = ProxyName::of(node, unit) {
        assert_eq!((proxy.node(), proxy.unit()), (node, unit));
        let read = ProxyName::parse(proxy.name().as_str());
        assert_eq!(read, Ok(proxy.clone()));
        // The order for a rival is ours alone, and has no name of BlueChi's.
        if proxy.rivalled().is_none() {
            let alias = ProxyName::parse(&format!("bluechi-{proxy}"));
            assert_eq!(alias, Ok(proxy));
        }
    }
    held(unit);
}

fn held(unit: &UnitName) {
    if let Ok(hold) = HoldName::of(unit) {
        assert_eq!(hold.unit(), unit);
        assert_eq!(HoldName::parse(hold.name()), Some(hold));
    }
}
