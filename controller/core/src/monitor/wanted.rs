use std::collections::{BTreeMap, BTreeSet};

use proto::name::UnitName;

use super::{Choice, MonitorId};

/// How many subscriptions of each monitor want the same.
type Wanting = BTreeMap<MonitorId, usize>;

/// Who wants which units, of one node or of all.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Wanted {
    all: Wanting,
    of: BTreeMap<UnitName, Wanting>,
}

impl Wanted {
    pub(super) fn wants(&self, unit: &Choice<UnitName>) -> bool {
        match unit {
            Choice::All => !self.all.is_empty(),
            Choice::One(unit) => self.of.contains_key(unit),
        }
    }

    /// Whether any subscription is about this unit.
    pub(super) fn covers(&self, unit: &UnitName) -> bool {
        !self.all.is_empty() || self.of.contains_key(unit)
    }

    /// Whether it is the first.
    pub(super) fn add(&mut self, unit: &Choice<UnitName>, monitor: MonitorId) -> bool {
        let wanting = match unit {
            Choice::All => &mut self.all,
            Choice::One(unit) => self.of.entry(unit.clone()).or_default(),
        };
        let first = wanting.is_empty();
        *wanting.entry(monitor).or_default() += 1;
        first
    }

    /// Whether it was the last.
    pub(super) fn remove(&mut self, unit: &Choice<UnitName>, monitor: MonitorId) -> bool {
        let wanting = match unit {
            Choice::All => Some(&mut self.all),
            Choice::One(unit) => self.of.get_mut(unit),
        };
        let Some(wanting) = wanting else {
            return false;
        };
        if let Some(count) = wanting.get_mut(&monitor) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                wanting.remove(&monitor);
            }
        }
        let last = wanting.is_empty();
        if let (true, Choice::One(unit)) = (last, unit) {
            self.of.remove(unit);
        }
        last
    }

    pub(super) fn units(&self) -> impl Iterator<Item = Choice<UnitName>> {
        let all = (!self.all.is_empty()).then_some(Choice::All);
        all.into_iter()
            .chain(self.of.keys().cloned().map(Choice::One))
    }

    pub(super) fn audience(&self, unit: &UnitName, to: &mut BTreeSet<MonitorId>) {
        to.extend(self.all.keys());
        to.extend(self.of.get(unit).into_iter().flat_map(BTreeMap::keys));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty() && self.of.is_empty()
    }

    /// Who wants exactly this, how often.
    pub(super) fn wanting(
        &self,
        unit: &Choice<UnitName>,
    ) -> impl Iterator<Item = (MonitorId, usize)> {
        let wanting = match unit {
            Choice::All => Some(&self.all),
            Choice::One(unit) => self.of.get(unit),
        };
        wanting
            .into_iter()
            .flatten()
            .map(|(id, count)| (*id, *count))
    }
}
