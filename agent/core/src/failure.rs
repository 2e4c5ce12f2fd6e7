//! Why proxies of this node could not be started last. A unit that needs one of them fails with the
//! result `dependency`, which says nothing; what its proxy was told says it all, also over several
//! nodes.

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    model::{Cause, Reason},
    name::UnitName,
};

use crate::limits::{CLAIMS_MAX, HOLDS_MAX};

/// The last failure of each proxy that has not been started since.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Failures {
    of: BTreeMap<UnitName, Reason>,
    /// The proxies for which the last start of a held unit was seen to wait.
    waited: BTreeMap<UnitName, BTreeSet<UnitName>>,
}

impl Failures {
    /// A start has failed.
    pub(crate) fn note(&mut self, proxy: &UnitName, reason: &Reason) {
        if self.of.len() < CLAIMS_MAX || self.of.contains_key(proxy) {
            self.of.insert(proxy.clone(), reason.clone());
        }
    }

    /// The start of a held unit waits for these, directly or over other units.
    pub(crate) fn waits(&mut self, unit: &UnitName, proxies: BTreeSet<UnitName>) {
        if proxies.is_empty() {
            self.waited.remove(unit);
        } else if self.waited.len() < HOLDS_MAX || self.waited.contains_key(unit) {
            self.waited.insert(unit.clone(), proxies);
        }
    }

    /// The circle that a start of this held unit has run into. Of other failures it cannot be said
    /// that they have come through: a unit in between may only have wanted the proxy.
    pub(crate) fn circle_of(&self, unit: &UnitName) -> Option<&Reason> {
        let waited = self.waited.get(unit)?.iter();
        let mut failed = waited.filter_map(|proxy| self.of.get(proxy));
        failed.find(|reason| reason.cause == Cause::Cycle)
    }

    /// The held unit is nobody's concern any more.
    pub(crate) fn forget_unit(&mut self, unit: &UnitName) {
        self.waited.remove(unit);
    }

    /// It is being started again, or is up.
    pub(crate) fn forget(&mut self, proxy: &UnitName) {
        self.of.remove(proxy);
    }

    /// The failure of the first of these that has one.
    pub(crate) fn first_of(&self, proxies: &[UnitName]) -> Option<&Reason> {
        proxies.iter().find_map(|proxy| self.of.get(proxy))
    }
}
