use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// How the kernel finds out that the other end of a TCP connection is gone, tcp(7). The heartbeats
/// of a link are quicker; this is for connections that have none yet, and frees what the kernel
/// holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// Silence before the kernel asks whether the other end is there (`TCP_KEEPIDLE`).
    pub keepalive_idle: Duration,
    /// Time between two such questions (`TCP_KEEPINTVL`).
    pub keepalive_interval: Duration,
    /// Unanswered questions after which the connection is gone (`TCP_KEEPCNT`).
    pub keepalive_count: u32,
    /// How long what was written may stay without acknowledgement (`TCP_USER_TIMEOUT`). Without it
    /// the kernel tries for a quarter of an hour.
    pub user_timeout: Duration,
}

impl Default for TcpOptions {
    /// A peer that is gone is found out within 25 seconds.
    fn default() -> Self {
        Self {
            keepalive_idle: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(5),
            keepalive_count: 3,
            user_timeout: Duration::from_secs(20),
        }
    }
}

impl TcpOptions {
    /// Sets them, and `TCP_NODELAY`: messages are written whole, so there is nothing to wait for.
    pub(super) fn apply(&self, stream: &TcpStream) -> io::Result<()> {
        let socket = SockRef::from(stream);
        socket.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(self.keepalive_idle)
            .with_interval(self.keepalive_interval)
            .with_retries(self.keepalive_count);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(self.user_timeout))
    }
}
