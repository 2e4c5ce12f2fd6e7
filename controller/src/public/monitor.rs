//! Who is told what a monitor is told: whoever made it, and the peers that were added. They are known
//! by the unique names that the bus gave them, and gone when these are.

use std::collections::BTreeMap;

use fleet::{Choice, MonitorId, UnitNews};
use host::{bus::object::Failure, link};
use proto::{
    dbus::{error, public},
    name::{NodeName, UnitName},
};
use zbus::{
    Message, Variant,
    wire::{DynamicType, Structure},
};

use super::{Public, body, object::monitor_path};
use crate::limits::PEERS_PER_MONITOR_MAX;

/// Everybody who is told something.
#[derive(Debug, Default)]
pub(super) struct Audiences {
    of: BTreeMap<MonitorId, Audience>,
}

#[derive(Debug)]
struct Audience {
    owner: String,
    peers: BTreeMap<u32, String>,
    next: u32,
}

impl Audience {
    fn names(&self) -> impl Iterator<Item = &str> {
        let peers = self.peers.values().map(String::as_str);
        [self.owner.as_str()].into_iter().chain(peers)
    }
}

impl Audiences {
    /// There is a new monitor.
    pub(super) fn open(&mut self, id: MonitorId, owner: String) {
        let audience = Audience {
            owner,
            peers: BTreeMap::new(),
            next: 0,
        };
        self.of.insert(id, audience);
    }

    pub(super) fn close(&mut self, id: MonitorId) {
        self.of.remove(&id);
    }

    /// Somebody else is to be told, unless there are as many as may be. Nobody is told twice.
    pub(super) fn add(&mut self, id: MonitorId, name: String) -> Result<u32, Failure> {
        let Some(audience) = self.of.get_mut(&id) else {
            let text = "the monitor is closed";
            return Err(Failure::new(error::UNKNOWN_OBJECT, text));
        };
        if audience.names().any(|told| told == name) {
            return Err(Failure::invalid(format!("'{name}' is told already")));
        }
        if audience.peers.len() >= PEERS_PER_MONITOR_MAX {
            let text = format!("{PEERS_PER_MONITOR_MAX} peers are told already");
            return Err(Failure::new(error::LIMITS_EXCEEDED, text));
        }
        loop {
            audience.next = audience.next.wrapping_add(1);
            if audience.next != 0 && !audience.peers.contains_key(&audience.next) {
                break;
            }
        }
        audience.peers.insert(audience.next, name);
        Ok(audience.next)
    }

    /// Somebody is not to be told any more; their name.
    pub(super) fn remove(&mut self, id: MonitorId, peer: u32) -> Option<String> {
        self.of.get_mut(&id)?.peers.remove(&peer)
    }

    /// Somebody has left the bus. Yields the monitors that were theirs.
    pub(super) fn left(&mut self, name: &str) -> Vec<MonitorId> {
        for audience in self.of.values_mut() {
            audience.peers.retain(|_, peer| peer != name);
        }
        let own = self
            .of
            .iter()
            .filter(|(_, audience)| audience.owner == name);
        let own: Vec<_> = own.map(|(id, _)| *id).collect();
        for id in &own {
            self.of.remove(id);
        }
        own
    }

    /// The bus is gone, and everybody on it.
    pub(super) fn all_left(&mut self) -> Vec<MonitorId> {
        std::mem::take(&mut self.of).into_keys().collect()
    }
}

impl Public {
    /// Tells monitors what happened to a unit; `said` is the message of the agent, whose properties
    /// are handed on as they are.
    pub(crate) fn tell_monitors(
        &self,
        monitors: &[MonitorId],
        node: &NodeName,
        unit: &Choice<UnitName>,
        news: &UnitNews,
        said: Option<&Message>,
    ) {
        let node = node.as_str();
        let unit = match unit {
            Choice::All => "*",
            Choice::One(unit) => unit.as_str(),
        };
        match news {
            UnitNews::New(occasion) => {
                self.tell(monitors, "UnitNew", &(node, unit, occasion.as_str()));
            }
            UnitNews::Removed(occasion) => {
                self.tell(monitors, "UnitRemoved", &(node, unit, occasion.as_str()));
            }
            UnitNews::State {
                active,
                sub,
                occasion,
            } => {
                let body = (node, unit, active.as_str(), sub.as_str(), occasion.as_str());
                self.tell(monitors, "UnitStateChanged", &body);
            }
            UnitNews::Properties => {
                let Some(said) = said.map(Message::body) else {
                    return;
                };
                let built = said.deserialize::<Structure<'_>>();
                match built.and_then(|body| body::around(Some(Variant::from(node)), body, None)) {
                    Ok(body) => self.tell(monitors, "UnitPropertiesChanged", &body),
                    Err(error) => {
                        tracing::debug!(node, unit, %error, "changed properties cannot be read");
                    }
                }
            }
        }
    }

    fn tell<B>(&self, monitors: &[MonitorId], member: &str, body: &B)
    where
        B: serde::Serialize + DynamicType,
    {
        for id in monitors {
            let path = monitor_path(*id);
            let names = self
                .audiences
                .of
                .get(id)
                .into_iter()
                .flat_map(Audience::names);
            for name in names {
                self.push(link::signal_to(name, &path, public::MONITOR, member, body));
            }
        }
    }

    /// Tells a peer that it is none any more.
    pub(super) fn peer_removed(&self, id: MonitorId, name: &str, reason: &str) {
        let path = monitor_path(id);
        let signal = link::signal_to(name, &path, public::MONITOR, "PeerRemoved", &reason);
        self.push(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_ends_with_its_owner_and_a_peer_by_itself() {
        let mut audiences = Audiences::default();
        let (first, second) = (MonitorId(1), MonitorId(2));
        audiences.open(first, ":1.1".into());
        audiences.open(second, ":1.2".into());
        assert_eq!(audiences.add(first, ":1.2".into()), Ok(1));
        assert_eq!(audiences.add(first, ":1.3".into()), Ok(2));
        assert_eq!(audiences.remove(first, 2).as_deref(), Some(":1.3"));
        assert_eq!(audiences.remove(first, 2), None);
        assert_eq!(audiences.left(":1.2"), [second]);
        let left: Vec<_> = audiences.of.values().flat_map(Audience::names).collect();
        assert_eq!(left, [":1.1"]);
        assert_eq!(audiences.all_left(), [first]);
    }

    #[test]
    fn a_monitor_has_so_many_peers_and_no_more() {
        let mut audiences = Audiences::default();
        let id = MonitorId(1);
        audiences.open(id, ":1.1".into());
        for peer in 0..PEERS_PER_MONITOR_MAX {
            assert!(audiences.add(id, format!(":2.{peer}")).is_ok());
        }
        let refused = |name: &str, audiences: &mut Audiences| {
            let failure = audiences.add(id, name.into());
            failure.expect_err("refused").name
        };
        assert_eq!(refused(":1.2", &mut audiences), error::LIMITS_EXCEEDED);
        assert_eq!(refused(":2.0", &mut audiences), error::INVALID_ARGS);
        assert_eq!(refused(":1.1", &mut audiences), error::INVALID_ARGS);
    }
}
