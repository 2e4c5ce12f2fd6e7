use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
};

use tokio::net::UnixStream;

/// Who is at the other end of a connection, as far as the machine can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A process of this machine, by what the kernel says (`SO_PEERCRED`, unix(7)).
    Unix {
        /// Its effective user when it connected.
        uid: u32,
        /// Its effective group when it connected.
        gid: u32,
        /// Its process id, where the kernel can say (not across PID namespaces).
        pid: Option<i32>,
    },
    /// Somebody who is reached at this address.
    Tcp {
        /// The address of the other end.
        address: SocketAddr,
    },
}

impl Identity {
    /// The user at the other end, where the kernel vouches for it.
    pub fn uid(&self) -> Option<u32> {
        match self {
            Self::Unix { uid, .. } => Some(*uid),
            Self::Tcp { .. } => None,
        }
    }
}

/// Who is at the other end of a Unix socket.
pub(super) fn of_unix(stream: &UnixStream) -> io::Result<Identity> {
    let peer = stream.peer_cred()?;
    let (uid, gid, pid) = (peer.uid(), peer.gid(), peer.pid());
    // The kernel says 0 for a process of a PID namespace that we do not see.
    Ok(Identity::Unix {
        uid,
        gid,
        pid: pid.filter(|pid| *pid > 0),
    })
}

impl fmt::Display for Identity {
    /// `uid 0 pid 123` or `10.0.0.3:40000`: IPv4 addresses as people write them, also where an
    /// IPv6 socket accepted them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix {
                uid,
                pid: Some(pid),
                ..
            } => write!(f, "uid {uid} pid {pid}"),
            Self::Unix { uid, pid: None, .. } => write!(f, "uid {uid}"),
            Self::Tcp { address } => match address.ip().to_canonical() {
                ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()).fmt(f),
                IpAddr::V6(_) => address.fmt(f),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("[::ffff:10.0.0.3]:40000" => "10.0.0.3:40000")]
    #[test_case("10.0.0.3:40000" => "10.0.0.3:40000")]
    #[test_case("[2001:db8::1]:40000" => "[2001:db8::1]:40000")]
    fn addresses_are_written_as_people_do(text: &str) -> String {
        let address = text.parse().expect("valid");
        Identity::Tcp { address }.to_string()
    }
}
