//! What all agents of a plan need and hold, seen from both ends, so that it can be compared.

use std::{collections::BTreeMap, fmt};

use proto::{
    message::{ClaimKey, HoldKey},
    model::Token,
    name::NodeName,
};

/// One node's need of one unit of another node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The node that needs it.
    pub source: NodeName,
    /// What it needs.
    pub target: ClaimKey,
}

impl Need {
    /// The same, as the node sees it that has the unit.
    pub(super) fn of_hold(target: &NodeName, key: &HoldKey) -> Self {
        Self {
            source: key.source.clone(),
            target: ClaimKey {
                node: target.clone(),
                unit: key.unit.clone(),
            },
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClaimKey { node, unit } = &self.target;
        write!(f, "{} needs {unit} of {node}", self.source)
    }
}

/// Claims of sources and holds of targets.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    claims: BTreeMap<Need, (Token, bool)>,
    holds: BTreeMap<Need, Token>,
    /// How often a hold was begun.
    pub begun: u64,
    /// How often a hold was given up.
    pub released: u64,
}

impl Ledger {
    /// What differs between both ends, one line each: nothing, when all is quiet.
    pub fn differences(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (need, (token, up)) in &self.claims {
            match self.holds.get(need) {
                None => lines.push(format!("{need}, and it is not held")),
                Some(held) if held != token => {
                    lines.push(format!("{need}, and another attempt is held"));
                }
                Some(_) if !up => lines.push(format!("{need}, and was not told that it is up")),
                Some(_) => {}
            }
        }
        let unneeded = self
            .holds
            .keys()
            .filter(|need| !self.claims.contains_key(need));
        lines.extend(unneeded.map(|need| format!("it is held, but nobody says that {need}")));
        lines
    }

    pub(super) fn claim(&mut self, need: Need, token: Token, up: bool) {
        self.claims.insert(need, (token, up));
    }

    pub(super) fn hold(&mut self, need: Need, token: Token) {
        self.begun += 1;
        self.holds.insert(need, token);
    }

    pub(super) fn release(&mut self, need: &Need) {
        self.released += 1;
        self.holds.remove(need);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_equal_when_each_claim_is_held_by_its_token_and_up() {
        let node = |name: &str| -> NodeName { name.parse().unwrap() };
        let unit = "u.service".parse().unwrap();
        let key = HoldKey {
            unit,
            source: node("a"),
        };
        let need = Need::of_hold(&node("b"), &key);
        let mut ledger = Ledger::default();
        let said = |ledger: &Ledger| ledger.differences().join("; ");
        ledger.claim(need.clone(), Token([1; 16]), false);
        assert_eq!(said(&ledger), "a needs u.service of b, and it is not held");
        ledger.hold(need.clone(), Token([2; 16]));
        assert!(said(&ledger).ends_with("another attempt is held"));
        ledger.hold(need.clone(), Token([1; 16]));
        assert!(said(&ledger).ends_with("was not told that it is up"));
        ledger.claim(need.clone(), Token([1; 16]), true);
        assert_eq!(said(&ledger), "");
        ledger.claims.clear();
        assert!(said(&ledger).starts_with("it is held, but nobody"));
        ledger.release(&need);
        assert_eq!((said(&ledger).as_str(), ledger.released), ("", 1));
    }
}
