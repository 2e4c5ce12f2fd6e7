use std::{io, net::SocketAddr, time::Duration};

use thiserror::Error;
use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};

use super::{BoxStream, Identity, TcpTuning, identity::of_unix, tuning::Tuned};
use crate::{
    address::{Address, Family},
    limits::RESOLVED_ADDRESSES_MAX,
};

/// Why a connection could not be made.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The host name means nothing to the resolver.
    #[error("failed to resolve '{host}'")]
    Resolve {
        /// The host name.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// The host has no address of the family that was asked for.
    #[error("'{0}' has no address of the wanted family")]
    NoAddress(String),
    /// Nobody could be reached; this is the last address that was tried.
    #[error("failed to connect to {address}")]
    Connect {
        /// The address.
        address: String,
        /// What came of it.
        source: io::Error,
    },
    /// It took too long.
    #[error("failed to connect to {address} within {wait:?}")]
    Timeout {
        /// The address that was tried then.
        address: String,
        /// The time it had.
        wait: Duration,
    },
}

/// Makes a connection within `wait`. All addresses of a host name are tried in the resolver's order;
/// each gets an equal share of the time that is left, so that one that swallows packets does not
/// take the time of the next.
///
/// # Errors
///
/// Fails when no address can be reached in time.
pub async fn connect(
    address: &Address,
    wait: Duration,
    tuning: impl Into<TcpTuning>,
) -> Result<(BoxStream, Identity), ConnectError> {
    let failed = |source| ConnectError::Connect {
        address: address.to_string(),
        source,
    };
    match address {
        Address::Unix(path) => {
            let late = |_| ConnectError::Timeout {
                address: address.to_string(),
                wait,
            };
            let stream = timeout(wait, UnixStream::connect(path))
                .await
                .map_err(late)?;
            let stream = stream.map_err(failed)?;
            let identity = of_unix(&stream).map_err(failed)?;
            Ok((Box::new(stream), identity))
        }
        Address::Tcp { host, port, family } => {
            let deadline = Instant::now() + wait;
            let late = |_| ConnectError::Timeout {
                address: address.to_string(),
                wait,
            };
            let resolved = timeout_at(deadline, lookup_host((host.as_str(), *port)));
            let resolved = resolved.await.map_err(late)?;
            let resolved = resolved.map_err(|source| ConnectError::Resolve {
                host: host.clone(),
                source,
            })?;
            let addresses: Vec<_> = resolved
                .filter(|address| is_of(*family, address))
                .take(RESOLVED_ADDRESSES_MAX)
                .collect();
            tcp(host, &addresses, deadline, &tuning.into()).await
        }
    }
}

async fn tcp(
    host: &str,
    addresses: &[SocketAddr],
    deadline: Instant,
    tuning: &TcpTuning,
) -> Result<(BoxStream, Identity), ConnectError> {
    let mut error = ConnectError::NoAddress(host.to_owned());
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len().saturating_sub(tried)).unwrap_or(u32::MAX);
        let wait = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        let failed = |source| ConnectError::Connect {
            address: address.to_string(),
            source,
        };
        error = match timeout(wait, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => match Tuned::new(stream, tuning) {
                Ok(stream) => return Ok((Box::new(stream), Identity::Tcp { address: *address })),
                Err(error) => failed(error),
            },
            Ok(Err(error)) => failed(error),
            Err(_) => ConnectError::Timeout {
                address: address.to_string(),
                wait,
            },
        };
    }
    Err(error)
}

fn is_of(family: Option<Family>, address: &SocketAddr) -> bool {
    match family {
        None => true,
        Some(Family::V4) => address.is_ipv4(),
        Some(Family::V6) => address.is_ipv6(),
    }
}
