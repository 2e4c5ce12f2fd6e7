//! Monitors: who is told what about which units, and which units agents are asked to tell of.
//!
//! An agent is asked once for each unit (or for all of them), however many monitors want it, and it
//! is asked again whenever it connects. What a unit was last said to be is remembered while somebody
//! wants to know, so that a monitor that comes later is told at once, and so that all are told when
//! the node goes away.
//!
//! To find the monitors of an event costs four lookups: it does not grow with the nodes.

mod news;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use proto::name::{NodeName, UnitName};

use crate::{
    Fleet,
    input::{ClientId, RequestId},
    limits::{MONITORS_MAX, MONITORS_PER_CLIENT_MAX, UNITS_PER_MONITOR_MAX, UNITS_SEEN_MAX},
    output::{Answer, Output, RequestError},
};
use wanted::Wanted;

/// The number of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorId(pub u32);

/// The number of a subscription, one of its monitor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u32);

/// One of something, or all of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice<T> {
    /// All, also those that are yet to come.
    All,
    /// This one.
    One(T),
}

/// What happened to a unit of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UnitNews {
    /// It is loaded.
    New(Occasion),
    /// It is not loaded any more.
    Removed(Occasion),
    /// It is in another state.
    State {
        /// `ActiveState` of org.freedesktop.systemd1(5).
        active: String,
        /// `SubState`.
        sub: String,
        /// Why this is told.
        occasion: Occasion,
    },
    /// Properties of it have changed; which, the shell has in the message.
    Properties,
}

/// Why something is told about a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// It happened to the unit.
    Real,
    /// It follows from a node that came or went, or from a subscription that began.
    Virtual,
}

impl Occasion {
    /// The word in a signal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Virtual => "virtual",
        }
    }
}

/// Something that a client does with a monitor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MonitorRequest {
    /// Make one.
    Create,
    /// Subscribe to units.
    Subscribe {
        /// The monitor.
        monitor: MonitorId,
        /// Of which nodes.
        node: Choice<NodeName>,
        /// Which units.
        units: BTreeSet<Choice<UnitName>>,
    },
    /// End a subscription.
    Unsubscribe(MonitorId, SubscriptionId),
}

/// `ActiveState` and `SubState`; `None` until they were said.
type Seen = Option<(String, String)>;

#[derive(Clone, Debug, Hash)]
struct Monitor {
    client: ClientId,
    next: u32,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
}

#[derive(Clone, Debug, Hash)]
struct Subscription {
    node: Choice<NodeName>,
    units: BTreeSet<Choice<UnitName>>,
}

/// All monitors.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Monitors {
    next: u32,
    open: BTreeMap<MonitorId, Monitor>,
    by_client: BTreeMap<ClientId, usize>,
    /// Of every node.
    every: Wanted,
    nodes: BTreeMap<NodeName, Wanted>,
    /// Units of online nodes that are loaded, as far as somebody wants to know.
    seen: BTreeMap<NodeName, BTreeMap<UnitName, Seen>>,
}

impl Monitors {
    fn covers(&self, node: &NodeName, unit: &UnitName) -> bool {
        self.every.covers(unit) || self.nodes.get(node).is_some_and(|it| it.covers(unit))
    }

    fn audience(&self, node: &NodeName, unit: &UnitName) -> Vec<MonitorId> {
        let mut to = BTreeSet::new();
        self.every.audience(unit, &mut to);
        if let Some(wanted) = self.nodes.get(node) {
            wanted.audience(unit, &mut to);
        }
        to.into_iter().collect()
    }

    /// Who wants all units of a node.
    fn audience_of_all(&self, node: &NodeName) -> Vec<MonitorId> {
        let own = self.nodes.get(node);
        let wanted = [Some(&self.every), own].into_iter().flatten();
        let all = wanted.flat_map(|it| it.wanting(&Choice::All));
        let to: BTreeSet<MonitorId> = all.map(|(id, _)| id).collect();
        to.into_iter().collect()
    }

    /// Everything that an agent is to tell of.
    fn wanted_of(&self, node: &NodeName) -> BTreeSet<Choice<UnitName>> {
        let own = self.nodes.get(node).into_iter().flat_map(Wanted::units);
        self.every.units().chain(own).collect()
    }

    /// Takes in what happened to a unit. Whether it is anything new: what an agent repeats, because
    /// another subscription began, is none.
    fn note(&mut self, node: &NodeName, unit: &UnitName, news: &UnitNews) -> bool {
        let units = self.seen.entry(node.clone()).or_default();
        let known = units.get(unit);
        match news {
            UnitNews::New(Occasion::Virtual) if known.is_some() => return false,
            UnitNews::State {
                active,
                sub,
                occasion: Occasion::Virtual,
            } if matches!(known, Some(Some(state)) if state.0 == *active && state.1 == *sub) => {
                return false;
            }
            UnitNews::Removed(_) => {
                units.remove(unit);
            }
            UnitNews::New(_) | UnitNews::State { .. }
                if known.is_none() && units.len() >= UNITS_SEEN_MAX => {}
            UnitNews::New(_) => {
                units.insert(unit.clone(), None);
            }
            UnitNews::State { active, sub, .. } => {
                units.insert(unit.clone(), Some((active.clone(), sub.clone())));
            }
            UnitNews::Properties => {}
        }
        true
    }

    /// Forgets units that nobody wants to know of any more.
    fn forget(&mut self, node: &Choice<NodeName>, unit: &Choice<UnitName>) {
        let mut seen = std::mem::take(&mut self.seen);
        let touched: Vec<&NodeName> = match node {
            Choice::All => seen.keys().collect(),
            Choice::One(node) => vec![node],
        };
        let touched: Vec<NodeName> = touched.into_iter().cloned().collect();
        for node in touched {
            let Some(units) = seen.get_mut(&node) else {
                continue;
            };
            match unit {
                Choice::One(unit) if !self.covers(&node, unit) => drop(units.remove(unit)),
                Choice::One(_) => {}
                Choice::All => units.retain(|unit, _| self.covers(&node, unit)),
            }
            if units.is_empty() {
                seen.remove(&node);
            }
        }
        self.seen = seen;
    }
}

impl Fleet {
    /// Whether there is such a monitor.
    pub fn has_monitor(&self, id: MonitorId) -> bool {
        self.monitors.open.contains_key(&id)
    }

    /// Every monitor, by number.
    pub fn monitors(&self) -> impl Iterator<Item = MonitorId> {
        self.monitors.open.keys().copied()
    }

    pub(crate) fn monitor_request(
        &mut self,
        id: RequestId,
        client: ClientId,
        request: MonitorRequest,
    ) {
        let (result, begun) = match request {
            MonitorRequest::Create => (self.create_monitor(client), None),
            MonitorRequest::Subscribe {
                monitor,
                node,
                units,
            } => match self.subscribe(monitor, node, units) {
                Ok(number) => (Ok(Answer::Subscription(number)), Some((monitor, number))),
                Err(error) => (Err(error), None),
            },
            MonitorRequest::Unsubscribe(monitor, number) => {
                (self.unsubscribe(monitor, number), None)
            }
        };
        self.put(Output::Answer { id, result });
        // After the answer: whoever is told of units knows of the subscription.
        if let Some((monitor, number)) = begun {
            self.tell_seen(monitor, number);
        }
    }

    fn create_monitor(&mut self, client: ClientId) -> Result<Answer, RequestError> {
        let of_client = self.monitors.by_client.get(&client).copied().unwrap_or(0);
        for (count, whose, max) in [
            (self.monitors.open.len(), "all clients", MONITORS_MAX),
            (of_client, "this client", MONITORS_PER_CLIENT_MAX),
        ] {
            if count >= max {
                return Err(RequestError::Limit {
                    what: "monitors",
                    whose: whose.to_owned(),
                    max,
                });
            }
        }
        let monitors = &mut self.monitors;
        loop {
            monitors.next = monitors.next.wrapping_add(1);
            if monitors.next != 0 && !monitors.open.contains_key(&MonitorId(monitors.next)) {
                break;
            }
        }
        let id = MonitorId(monitors.next);
        *monitors.by_client.entry(client).or_default() += 1;
        let monitor = Monitor {
            client,
            next: 0,
            subscriptions: BTreeMap::new(),
        };
        monitors.open.insert(id, monitor);
        Ok(Answer::Monitor(id))
    }

    fn subscribe(
        &mut self,
        id: MonitorId,
        node: Choice<NodeName>,
        units: BTreeSet<Choice<UnitName>>,
    ) -> Result<SubscriptionId, RequestError> {
        if let Choice::One(name) = &node
            && !self.nodes.contains_key(name)
        {
            return Err(RequestError::UnknownNode(name.clone()));
        }
        let Some(monitor) = self.monitors.open.get_mut(&id) else {
            return Err(RequestError::UnknownMonitor(id));
        };
        let present: usize = monitor
            .subscriptions
            .values()
            .map(|it| it.units.len().max(1))
            .sum();
        if present.saturating_add(units.len().max(1)) > UNITS_PER_MONITOR_MAX {
            return Err(RequestError::Limit {
                what: "subscribed units",
                whose: "this monitor".to_owned(),
                max: UNITS_PER_MONITOR_MAX,
            });
        }
        loop {
            monitor.next = monitor.next.wrapping_add(1);
            let free = SubscriptionId(monitor.next);
            if monitor.next != 0 && !monitor.subscriptions.contains_key(&free) {
                break;
            }
        }
        let number = SubscriptionId(monitor.next);
        for unit in &units {
            let first = match &node {
                Choice::All => self.monitors.every.add(unit, id),
                Choice::One(name) => {
                    let wanted = self.monitors.nodes.entry(name.clone()).or_default();
                    wanted.add(unit, id)
                }
            };
            if first {
                self.watch(&node, unit, true);
            }
        }
        if let Some(monitor) = self.monitors.open.get_mut(&id) {
            monitor
                .subscriptions
                .insert(number, Subscription { node, units });
        }
        Ok(number)
    }

    fn unsubscribe(
        &mut self,
        id: MonitorId,
        number: SubscriptionId,
    ) -> Result<Answer, RequestError> {
        let Some(monitor) = self.monitors.open.get_mut(&id) else {
            return Err(RequestError::UnknownMonitor(id));
        };
        let Some(Subscription { node, units }) = monitor.subscriptions.remove(&number) else {
            return Err(RequestError::UnknownSubscription(number));
        };
        for unit in &units {
            let last = match &node {
                Choice::All => self.monitors.every.remove(unit, id),
                Choice::One(name) => {
                    let Some(wanted) = self.monitors.nodes.get_mut(name) else {
                        continue;
                    };
                    let last = wanted.remove(unit, id);
                    if wanted.is_empty() {
                        self.monitors.nodes.remove(name);
                    }
                    last
                }
            };
            if last {
                self.watch(&node, unit, false);
                self.monitors.forget(&node, unit);
            }
        }
        Ok(Answer::Done)
    }

    /// A monitor is not there any more: it was closed, or whoever made it is gone.
    pub(crate) fn monitor_gone(&mut self, id: MonitorId) {
        let Some(monitor) = self.monitors.open.get(&id) else {
            return;
        };
        let client = monitor.client;
        let numbers: Vec<_> = monitor.subscriptions.keys().copied().collect();
        for number in numbers {
            // It is there, so this does not fail.
            let _ = self.unsubscribe(id, number);
        }
        self.monitors.open.remove(&id);
        if let Some(count) = self.monitors.by_client.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.monitors.by_client.remove(&client);
            }
        }
    }

    /// What must be true of monitors between two inputs.
    pub(crate) fn check_monitors(&self) -> Result<(), String> {
        let mut wanted: BTreeMap<(Choice<NodeName>, Choice<UnitName>, MonitorId), usize> =
            BTreeMap::new();
        let mut clients: BTreeMap<ClientId, usize> = BTreeMap::new();
        for (id, monitor) in &self.monitors.open {
            *clients.entry(monitor.client).or_default() += 1;
            for Subscription { node, units } in monitor.subscriptions.values() {
                for unit in units {
                    let key = (node.clone(), unit.clone(), *id);
                    *wanted.entry(key).or_default() += 1;
                }
            }
        }
        let mut indexed = BTreeMap::new();
        let every = [(Choice::All, &self.monitors.every)];
        let own = self.monitors.nodes.iter();
        let own = own.map(|(name, wanted)| (Choice::One(name.clone()), wanted));
        for (node, index) in every.into_iter().chain(own) {
            for unit in index.units() {
                for (id, count) in index.wanting(&unit) {
                    indexed.insert((node.clone(), unit.clone(), id), count);
                }
            }
        }
        if wanted != indexed {
            return Err(format!(
                "subscriptions {wanted:?} are indexed as {indexed:?}"
            ));
        }
        if clients != self.monitors.by_client {
            return Err("monitors of clients are counted wrong".to_owned());
        }
        for (node, units) in &self.monitors.seen {
            let online = self.nodes.get(node).is_some_and(|it| it.is_online());
            if let Some(unit) = units
                .keys()
                .find(|unit| !online || !self.monitors.covers(node, unit))
            {
                return Err(format!("{unit} of {node} is remembered for nobody"));
            }
        }
        Ok(())
    }
}
