//! Circles over nodes: starts that wait for each other, so that none would ever end.
//!
//! A claim whose unit is being started waits for the claims for which that start waits, as the
//! target has said. From each claim that begins to wait, or of which it is news what it waits for,
//! the way is followed; if it leads back, the youngest claim on it is refused. One is enough: what
//! requires that claim fails with it, all around, and what only wants it goes on without, as on one
//! machine, where systemd takes one job out of such a circle.

use proto::{
    circle,
    message::{ClaimKey, HoldKey, HoldWait, WaitOn},
    model::{Cause, ClaimState, Reason, Token},
    name::{NodeName, UnitName},
    sync::Delta,
};

use crate::{
    Fleet,
    claim::{Record, claim_key, hold_key},
    limits::HOLDS_PER_TARGET_MAX,
    output::Breach,
};

/// A claim with its source.
pub(crate) type Claimed = (NodeName, ClaimKey);

impl Fleet {
    /// A target tells what the starts of its held units wait for.
    pub(crate) fn hear_waits(
        &mut self,
        name: &NodeName,
        delta: Delta<HoldKey, HoldWait>,
    ) -> Result<(), Breach> {
        let Some(node) = self.nodes.get_mut(name) else {
            return Ok(());
        };
        let changes = node.waits.hear(delta, HOLDS_PER_TARGET_MAX)?;
        for key in changes.put {
            let claim = claim_key(name, &key);
            self.unsettled.circles.insert((key.source, claim));
        }
        Ok(())
    }

    /// Looks whether a circle leads through this claim, and opens it.
    pub(crate) fn settle_circle(&mut self, begin: &Claimed) {
        let Some(mut circle) = circle::shortest(begin, |claimed| self.waits_on(claimed)) else {
            return;
        };
        let since = |claimed: &Claimed| {
            let since = self.starting(claimed).map(|record| record.since);
            (since, claimed.clone())
        };
        let youngest = (0..circle.len()).max_by_key(|at| circle.get(*at).map(since));
        circle.rotate_left(youngest.unwrap_or_default());
        let text = format!(
            "units need each other in a circle: {}",
            self.describe_circle(&circle)
        );
        let Some((source, key)) = circle.into_iter().next() else {
            return;
        };
        let record = self
            .nodes
            .get_mut(&source)
            .and_then(|node| node.records.get_mut(&key));
        if let Some(record) = record {
            record.state = ClaimState::Refused(Reason::new(Cause::Cycle, text));
            record.decided_here = true;
            self.log_claim(&source, &key, false);
            self.unsettled.claims.insert((source, key));
            // There may be another one.
            self.unsettled.circles.insert(begin.clone());
        }
    }

    /// The claims for which the start of a claim's unit waits, as far as both are under way.
    fn waits_on(&self, claimed: &Claimed) -> Vec<Claimed> {
        let wait = self.wait_of(claimed).into_iter();
        let on = wait.flat_map(|wait| &wait.on);
        let under_way = on.filter_map(|(key, WaitOn { token, .. })| {
            // A unit of the target needs it, so the target is its source.
            let next = (claimed.1.node.clone(), key.clone());
            self.starting_as(&next, *token).map(|_| next)
        });
        under_way.collect()
    }

    /// What the start of a claim's unit waits for, if it is about this attempt.
    fn wait_of(&self, claimed: &Claimed) -> Option<&HoldWait> {
        let (source, key) = claimed;
        let wait = self
            .nodes
            .get(&key.node)?
            .waits
            .entries()
            .get(&hold_key(source, key))?;
        self.starting_as(claimed, wait.token).map(|_| wait)
    }

    fn starting_as(&self, claimed: &Claimed, token: Token) -> Option<&Record> {
        self.starting(claimed)
            .filter(|record| record.token == token)
    }

    fn starting(&self, (source, key): &Claimed) -> Option<&Record> {
        let record = self.nodes.get(source)?.records.get(key)?;
        (record.state == ClaimState::Starting).then_some(record)
    }

    /// Every unit of a circle with its node, in the order in which one needs the next.
    fn describe_circle(&self, circle: &[Claimed]) -> String {
        let mut units: Vec<(&NodeName, &UnitName)> = Vec::new();
        let followers = circle.iter().skip(1).chain(circle.first());
        for (claimed, (_, next)) in circle.iter().zip(followers) {
            let (_, key) = claimed;
            units.push((&key.node, &key.unit));
            let on = self.wait_of(claimed).and_then(|wait| wait.on.get(next));
            let via = on.into_iter().flat_map(|on| &on.via);
            units.extend(via.map(|unit| (&key.node, unit)));
        }
        units.extend(units.first().copied());
        let units: Vec<String> = units
            .into_iter()
            .map(|(node, unit)| format!("{node}/{unit}"))
            .collect();
        units.join(" needs ")
    }
}
