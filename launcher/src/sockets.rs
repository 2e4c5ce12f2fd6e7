//! The sockets that workers serve on. They are taken once, from the service manager or by listening,
//! and never closed, bound again or unlinked: whoever connects waits in them, whatever becomes of
//! workers.

use std::{
    fs, io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::fs::FileTypeExt as _,
    },
    path::Path,
};

use rustix::{
    io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd},
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, sockopt,
    },
};

use crate::{
    limits::{LISTEN_BACKLOG, OWN_FDS_FROM, SOCKETS_MAX},
    settings::{Address, Listen},
};

/// A socket with its name.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) name: String,
    pub(crate) fd: OwnedFd,
}

/// What the service manager has passed, moved out of the way of what will be laid at 3 and up.
///
/// # Errors
///
/// Says what is wrong.
pub(crate) fn passed() -> Result<Vec<Socket>, String> {
    let passed = host::passed::take().map_err(|error| {
        let source = std::error::Error::source(&error).map(|it| format!(": {it}"));
        format!("{error}{}", source.unwrap_or_default())
    })?;
    if passed.len() > SOCKETS_MAX {
        return Err(format!(
            "{} sockets were passed, expected at most {SOCKETS_MAX}",
            passed.len()
        ));
    }
    let moved = passed.into_iter().map(|it| {
        let fd = away(it.fd).map_err(|error| error.to_string())?;
        Ok(Socket { name: it.name, fd })
    });
    moved.collect()
}

/// Listens where the settings say.
///
/// # Errors
///
/// Says which address cannot be listened on, and why.
pub(crate) fn bind_all(addresses: &[Listen]) -> Result<Vec<Socket>, String> {
    let bound = addresses.iter().map(|it| {
        let fd = match &it.address {
            Address::Tcp(address) => tcp(*address),
            Address::Unix(path) => unix(path),
        };
        let fd = fd
            .and_then(away)
            .map_err(|error| format!("cannot listen on {}: {error}", it.address))?;
        Ok(Socket {
            name: it.name.clone(),
            fd,
        })
    });
    bound.collect()
}

/// A descriptor with a number that is in nobody's way.
pub(crate) fn away(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= OWN_FDS_FROM {
        fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        return Ok(fd);
    }
    Ok(fcntl_dupfd_cloexec(&fd, OWN_FDS_FROM)?)
}

fn tcp(address: std::net::SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        std::net::SocketAddr::V4(_) => AddressFamily::INET,
        std::net::SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = match socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None) {
        // A machine without IPv6 has every address of IPv4.
        Err(rustix::io::Errno::AFNOSUPPORT) if address.ip().is_unspecified() => {
            return tcp((std::net::Ipv4Addr::UNSPECIFIED, address.port()).into());
        }
        other => other?,
    };
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    bind(&socket, &address)?;
    listen(&socket, LISTEN_BACKLOG)?;
    Ok(socket)
}

fn unix(path: &Path) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let new = || {
        socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
    };
    let socket = new()?;
    match bind(&socket, &address) {
        // What a launcher that was killed has left is in nobody's use; what answers is.
        Err(rustix::io::Errno::ADDRINUSE)
            if fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket())
                && rustix::net::connect(new()?.as_fd(), &address)
                    == Err(rustix::io::Errno::CONNREFUSED) =>
        {
            fs::remove_file(path)?;
            bind(&socket, &address)?;
        }
        other => other?,
    }
    listen(&socket, LISTEN_BACKLOG)?;
    Ok(socket)
}
