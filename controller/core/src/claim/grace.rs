//! For how long the needs of a source outlive its connection.
//!
//! Each need has a grace of its own, by its unit, and all of them count from when the connection ended. One
//! timer for each source is set to the first that ends.

use std::time::Duration;

use proto::{message::ClaimKey, name::NodeName, sync::Listener, time::Moment};

use crate::{
    Fleet,
    limits::ADOPTED_GRACE_MIN,
    output::{Event, Output},
    timer::Timer,
};

impl Fleet {
    /// A source is connected: its claims do not run out while it is.
    pub(crate) fn claims_connected(&mut self, name: &NodeName) {
        self.timers.cancel(Timer::Grace(name.clone()));
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        node.away_since = None;
        node.claims.connected();
        node.hold_states.connected();
        // Nothing is told of what waits for nothing, so there may be no whole set to come.
        node.waits = Listener::default();
        self.touch_target(name);
    }

    /// A node has no connection: as a source it has its grace. As a target it is out of sight when it is offline,
    /// which [`Fleet::touch_target`] looks at.
    pub(crate) fn claims_disconnected(&mut self, now: Moment, name: &NodeName) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        node.claim_states.disconnected();
        node.holds.disconnected();
        // It counts from when the connection ended, not from when it was given up.
        node.away_since.get_or_insert(now);
        self.set_grace(name);
    }

    /// When the need of a source that is away is given up, if it is not heard again before. A source that
    /// was never heard must have had its turn.
    pub(crate) fn grace_ends(&self, source: &NodeName, key: &ClaimKey) -> Option<Moment> {
        let node = self.nodes.get(source)?;
        let grace = self.settings.policy_on(source, &key.unit)?.source_grace;
        let grace = if node.claims_known {
            grace
        } else {
            grace.max(ADOPTED_GRACE_MIN)
        };
        Some(node.away_since?.plus(grace))
    }

    /// What a source that is away needs, as far as that is known, and when each of it is given up.
    fn graces(&self, source: &NodeName) -> Vec<(ClaimKey, Moment)> {
        let node = self.nodes.get(source);
        let keys = node.into_iter().flat_map(|node| {
            let claims = node.claims.entries().keys();
            claims.chain(&node.adopted)
        });
        keys.filter_map(|key| Some((key.clone(), self.grace_ends(source, key)?)))
            .collect()
    }

    /// Sets the timer for the first grace of a source that ends, and none where nothing is known of it.
    pub(super) fn set_grace(&mut self, name: &NodeName) {
        let timer = Timer::Grace(name.clone());
        let first = self.graces(name).into_iter().map(|(_, ends)| ends).min();
        let node = self.nodes.get(name);
        // That nothing is needed is forgotten in time as well.
        let nothing = || {
            let node = node.filter(|node| node.claims_known)?;
            let policy = self.settings.policy(name)?;
            Some(node.away_since?.plus(policy.source_grace))
        };
        match first.or_else(nothing) {
            Some(at) => self.timers.set(timer, at),
            None => self.timers.cancel(timer),
        }
    }

    /// The graces of sources may be others than before, also of those that are away.
    pub(crate) fn move_graces(&mut self) {
        let away = self.nodes.iter().filter(|(_, n)| n.away_since.is_some());
        let away: Vec<NodeName> = away.map(|(name, _)| name.clone()).collect();
        for name in away {
            self.set_grace(&name);
        }
    }

    /// This much of the time in which a source was away does not count.
    pub(crate) fn prolong_grace(&mut self, name: &NodeName, by: Duration) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.away_since = node.away_since.map(|since| since.plus(by));
        }
        self.set_grace(name);
    }

    /// A grace of a source is over: what it was for is needed no more. When nothing is left, it is unknown
    /// again what the source needs, so that a target that comes back later still gives it its grace.
    pub(crate) fn grace_over(&mut self, now: Moment, name: &NodeName) {
        let graces = self.graces(name).into_iter();
        let (over, left): (Vec<_>, Vec<_>) = graces.partition(|(_, ends)| *ends <= now);
        let claims = over.len();
        if left.is_empty() {
            self.forget_claims(name);
        } else if let Some(node) = self.nodes.get_mut(name) {
            for (key, _) in &over {
                node.claims.forget(key);
                node.adopted.remove(key);
            }
            self.touch(name, over.into_iter().map(|(key, _)| key));
            self.set_grace(name);
        }
        if claims > 0 {
            self.put(Output::Log(Event::ClaimsExpired {
                node: name.clone(),
                claims,
            }));
        }
    }

    /// Forgets what a source needs.
    pub(crate) fn forget_claims(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        node.claims_known = false;
        node.away_since = None;
        node.claims = Listener::default();
        let mut keys = std::mem::take(&mut node.adopted);
        keys.extend(node.records.keys().cloned());
        self.touch(name, keys);
    }
}
