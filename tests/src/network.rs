//! The network of a fleet: one bridge, and for each node a pair of virtual Ethernet devices between
//! the bridge and the node's network namespace. Nothing of it touches the host's own network.
//!
//! Node number n (counted from 1) has the addresses 10.77.0.n and fd00::n; the island itself, on
//! which relays and simulated agents may run, has 10.77.0.254 and fd00::fe.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use crate::island::Island;

/// Most nodes that one bridge holds: the addresses up to 10.77.0.250, the rest being kept for the
/// island. A machine runs out of memory long before.
pub(crate) const MAX_NODES: u8 = 250;

/// One node's place on the bridge, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Port(u8);

impl Port {
    /// The port of the node at `index`, counted from 0; `None` when there are too many.
    pub(crate) fn of(index: usize) -> Option<Self> {
        let number = u8::try_from(index).ok()?.checked_add(1)?;
        (number <= MAX_NODES).then_some(Self(number))
    }

    pub(crate) fn v4(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, self.0)
    }

    pub(crate) fn v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(self.0))
    }

    /// The device on the side of the bridge.
    fn device(self) -> String {
        format!("port{}", self.0)
    }
}

/// Makes the network namespace `node` and joins it to the bridge.
pub(crate) fn join(island: &Island, node: &str, port: Port) -> Result<()> {
    let (device, v4, v6) = (port.device(), port.v4(), port.v6());
    island.script(&format!(
        "ip netns add {node}
         ip link add {device} type veth peer name host0 netns {node}
         ip link set {device} master br0 up
         ip -n {node} -batch - <<END
link set lo up
addr add {v4}/24 dev host0
addr add {v6}/64 dev host0 nodad
link set host0 up
END"
    ))?;
    Ok(())
}

/// What a cable does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// It carries packets.
    Up,
    /// It loses every packet silently, in both directions: connections are half-open.
    Cut,
    /// It is unplugged: the node's own device loses its carrier as well.
    Down,
    /// It loses what is sent to the node: the node is heard and hears nothing.
    Deaf,
    /// It loses what the node sends: the node hears and is not heard.
    Mute,
    /// It carries 16 kbit/s in each direction, and what waits for longer than 3 s is lost.
    Slow,
}

/// Makes the cable between the bridge and `node` at `port` be as `link` says. Whatever it did before
/// is over.
pub(crate) fn set(island: &Island, node: &str, port: Port, link: Link) -> Result<()> {
    let device = port.device();
    let carry = format!("ip link set {device} master br0 up");
    let (to, from) = (
        format!("tc qdisc add dev {device} root"),
        format!("tc -n {node} qdisc add dev host0 root"),
    );
    let change = match link {
        Link::Up => carry,
        // A device that belongs to no bridge has a carrier and nobody who forwards for it.
        Link::Cut => format!("ip link set {device} nomaster up"),
        Link::Down => format!("ip link set {device} down"),
        Link::Deaf => format!("{carry}; {to} {LOSE}"),
        Link::Mute => format!("{carry}; {from} {LOSE}"),
        Link::Slow => format!("{carry}; {to} {CRAWL}; {from} {CRAWL}"),
    };
    island.script(&format!(
        "tc qdisc del dev {device} root 2>/dev/null || :
         tc -n {node} qdisc del dev host0 root 2>/dev/null || :
         {change}"
    ))?;
    Ok(())
}

/// Queues for what leaves a device: tc-pfifo(8) without room, and tc-tbf(8).
const LOSE: &str = "pfifo limit 0";
const CRAWL: &str = "tbf rate 16kbit burst 1600 latency 3s";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_numbered_from_one_in_both_protocols() {
        let port = Port::of(0).unwrap();
        assert_eq!(port.v4().to_string(), "10.77.0.1");
        assert_eq!(port.v6().to_string(), "fd00::1");
    }

    #[test]
    fn the_last_port_is_the_limit() {
        assert!(Port::of(249).is_some());
        assert_eq!(Port::of(250), None);
        assert_eq!(Port::of(1000), None);
    }
}
