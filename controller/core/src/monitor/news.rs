//! What agents are asked to tell of, what they tell, and who hears of it.

use proto::{
    name::{NodeName, UnitName},
    time::Moment,
};

use super::{Choice, Monitor, MonitorId, Occasion, Seen, Subscription, SubscriptionId, UnitNews};
use crate::{Fleet, input::PeerId, output::Output};

impl Fleet {
    /// Asks agents to tell of a unit, or not to any more, unless another subscription has seen to it.
    pub(super) fn watch(&mut self, node: &Choice<NodeName>, unit: &Choice<UnitName>, on: bool) {
        let nodes: Vec<(PeerId, bool)> = match node {
            Choice::One(name) => {
                let wanted = self.monitors.every.wants(unit);
                let peer = self.nodes.get(name).and_then(|node| node.peer());
                peer.map(|peer| (peer.id, wanted)).into_iter().collect()
            }
            Choice::All => {
                let own = |name| self.monitors.nodes.get(name);
                let wanted = |name| own(name).is_some_and(|it| it.wants(unit));
                let peers = self.peers.iter();
                peers.map(|(peer, name)| (*peer, wanted(name))).collect()
            }
        };
        for (peer, wanted) in nodes {
            if !wanted {
                let unit = unit.clone();
                self.put(Output::Watch { peer, unit, on });
            }
        }
    }

    /// An agent has connected: it is to tell of all that is wanted.
    pub(crate) fn watch_anew(&mut self, name: &NodeName, peer: PeerId) {
        for unit in self.monitors.wanted_of(name) {
            let on = true;
            self.put(Output::Watch { peer, unit, on });
        }
    }

    /// An agent says what happened to a unit.
    pub(crate) fn unit_news(&mut self, now: Moment, peer: PeerId, unit: UnitName, news: UnitNews) {
        let Some(name) = self.peers.get(&peer).cloned() else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(&name) {
            node.last_heard = Some(now);
        }
        // It may have been on its way when the last subscription ended.
        let monitors = self.monitors.audience(&name, &unit);
        if !monitors.is_empty() && self.monitors.note(&name, &unit, &news) {
            self.put(Output::Monitor {
                monitors,
                node: name,
                unit: Choice::One(unit),
                news,
            });
        }
    }

    /// A node has come: whoever wants all of its units is told of a unit `*`, so that it can ask again
    /// for what it has missed.
    pub(crate) fn greet(&mut self, name: &NodeName) {
        let monitors = self.monitors.audience_of_all(name);
        if !monitors.is_empty() {
            self.put(Output::Monitor {
                monitors,
                node: name.clone(),
                unit: Choice::All,
                news: UnitNews::New(Occasion::Virtual),
            });
        }
    }

    /// Tells a monitor of units that a subscription begins with.
    pub(super) fn tell_seen(&mut self, id: MonitorId, number: SubscriptionId) {
        let subscription = |monitor: &'_ Monitor| monitor.subscriptions.contains_key(&number);
        let Some(monitor) = self.monitors.open.get(&id).filter(|it| subscription(it)) else {
            return;
        };
        let Some(Subscription { node, units }) = monitor.subscriptions.get(&number) else {
            return;
        };
        let is_meant = |name: &NodeName| match node {
            Choice::All => true,
            Choice::One(node) => node == name,
        };
        let mut events = Vec::new();
        if units.contains(&Choice::All) {
            let online = self.nodes.iter().filter(|(_, node)| node.is_online());
            let online = online.filter(|(name, _)| is_meant(name));
            let begun = UnitNews::New(Occasion::Virtual);
            events.extend(online.map(|(name, _)| (name.clone(), Choice::All, begun.clone())));
        }
        let nodes = self.monitors.seen.iter();
        for (name, seen) in nodes.filter(|(name, _)| is_meant(name)) {
            let begun: Vec<(&UnitName, &Seen)> = if units.contains(&Choice::All) {
                seen.iter().collect()
            } else {
                let named = units.iter().filter_map(|unit| match unit {
                    Choice::All => None,
                    Choice::One(unit) => seen.get_key_value(unit),
                });
                named.collect()
            };
            for (unit, state) in begun {
                let unit = Choice::One(unit.clone());
                let begun = UnitNews::New(Occasion::Virtual);
                events.push((name.clone(), unit.clone(), begun));
                if let Some((active, sub)) = state {
                    let news = UnitNews::State {
                        active: active.clone(),
                        sub: sub.clone(),
                        occasion: Occasion::Virtual,
                    };
                    events.push((name.clone(), unit, news));
                }
            }
        }
        for (node, unit, news) in events {
            let monitors = vec![id];
            self.put(Output::Monitor {
                monitors,
                node,
                unit,
                news,
            });
        }
    }

    /// A node is out of sight, and its units with it.
    pub(crate) fn unwatch(&mut self, name: &NodeName) {
        let seen = self.monitors.seen.remove(name).unwrap_or_default();
        let units = seen.into_iter().map(|(unit, state)| {
            let was_up = state.is_some_and(|(active, _)| active != "inactive");
            let monitors = self.monitors.audience(name, &unit);
            (Choice::One(unit), monitors, was_up)
        });
        let every = (Choice::All, self.monitors.audience_of_all(name), true);
        let gone: Vec<_> = units.chain([every]).collect();
        for (unit, monitors, was_up) in gone {
            if monitors.is_empty() {
                continue;
            }
            let down = UnitNews::State {
                active: "inactive".to_owned(),
                // What BlueChi says, and no state that a unit can have.
                sub: "agent-offline".to_owned(),
                occasion: Occasion::Virtual,
            };
            let removed = UnitNews::Removed(Occasion::Virtual);
            for news in was_up.then_some(down).into_iter().chain([removed]) {
                self.put(Output::Monitor {
                    monitors: monitors.clone(),
                    node: name.clone(),
                    unit: unit.clone(),
                    news,
                });
            }
        }
    }
}
