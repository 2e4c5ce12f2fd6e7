//! Holds that are starting, for those who ask what they wait for.

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    message::HoldKey,
    model::Token,
    name::{HoldName, UnitName},
};

use super::{Holds, Work};
use crate::{
    call::Step,
    record::RecordState,
    unit::{ManagerJob, Units},
};

impl Holds {
    /// The attempt of this hold, while it is starting.
    pub(crate) fn starting(&self, key: &HoldKey) -> Option<Token> {
        let record = self.units.get(&key.unit)?.records.get(&key.source)?;
        (record.state == RecordState::Starting).then_some(record.token)
    }

    /// The jobs of hold units that are starting, each with the unit that is held.
    pub(crate) fn starting_jobs(&self, units: &Units) -> BTreeMap<ManagerJob, UnitName> {
        let starting = self.units.iter().filter(|(_, held)| {
            let mut records = held.records.values();
            records.any(|record| record.state == RecordState::Starting)
        });
        let with_job = starting.filter_map(|(unit, held)| {
            let own = match &held.work {
                Some(Work::Start(Step::Queued(job))) => Some(*job),
                Some(Work::Start(Step::Called(_)) | Work::Stop(_) | Work::Describe { .. })
                | None => None,
            };
            let hold = || units.get(HoldName::of(unit).ok()?.name())?.job;
            Some((own.or_else(hold)?, unit.clone()))
        });
        with_job.collect()
    }

    /// The attempts on these units that are starting.
    pub(crate) fn all_starting(&self, units: &BTreeSet<&UnitName>) -> BTreeMap<HoldKey, Token> {
        let records = self.records();
        let starting = records.filter(|(key, record)| {
            record.state == RecordState::Starting && units.contains(&key.unit)
        });
        starting.map(|(key, record)| (key, record.token)).collect()
    }
}
