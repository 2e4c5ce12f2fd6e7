//! Why proxies of this node could not be started last. A unit that needs one of them fails with the
//! result `dependency`, which says nothing; what its proxy was told says it all, also over several
//! nodes.

use std::collections::BTreeMap;

use proto::{model::Reason, name::UnitName};

use crate::limits::CLAIMS_MAX;

/// The last failure of each proxy that has not been started since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    of: BTreeMap<UnitName, Reason>,
}

impl Failures {
    /// A start has failed.
    pub(crate) fn note(&mut self, proxy: &UnitName, reason: &Reason) {
        if self.of.len() < CLAIMS_MAX || self.of.contains_key(proxy) {
            self.of.insert(proxy.clone(), reason.clone());
        }
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
