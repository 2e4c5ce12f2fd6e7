use std::{
    fs, io,
    net::SocketAddr,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};

use super::{BoxStream, Identity, TcpTuning, identity::of_unix, tuning::Tuned};
use crate::{address::ListenAddress, limits::ACCEPT_PAUSE};

/// Accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: Kind,
    tuning: TcpTuning,
    /// What is to be removed at the end.
    _bound: Option<BoundPath>,
}

#[derive(Debug)]
enum Kind {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Who may connect to a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixOptions {
    /// The mode of the socket, as `0o600`.
    pub mode: u32,
    /// Its user, if it is to be another one than ours.
    pub uid: Option<u32>,
    /// Its group, if it is to be another one than ours.
    pub gid: Option<u32>,
}

impl Default for UnixOptions {
    /// Only our own user (and root).
    fn default() -> Self {
        Self {
            mode: 0o600,
            uid: None,
            gid: None,
        }
    }
}

/// Why a daemon cannot listen.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error("'{}' is in use, another process listens there", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket is in the way.
    #[error("'{}' is there and no socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("failed to listen on {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A descriptor that was passed is not a stream socket that listens.
    #[error("descriptor that was passed is not a listening stream socket")]
    NotListening,
}

/// A file that is ours to remove as long as it is the one that we made.
#[derive(Debug)]
struct BoundPath {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Listener {
    /// Listens; `backlog` connections may wait to be accepted. A socket file that is left over and on
    /// which nobody listens is replaced. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// Fails when the address is in use or the system refuses.
    pub fn bind(
        address: &ListenAddress,
        unix: UnixOptions,
        backlog: i32,
        tcp: impl Into<TcpTuning>,
    ) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Listen {
            address: address.to_string(),
            source,
        };
        match address {
            ListenAddress::Unix(path) => {
                remove_stale(path)?;
                let (socket, bound) = bind_unix(path, unix, backlog).map_err(failed)?;
                Ok(Self {
                    socket,
                    tuning: tcp.into(),
                    _bound: Some(bound),
                })
            }
            ListenAddress::Tcp(address) => {
                let socket = bind_tcp(*address, backlog).map_err(failed)?;
                Ok(Self {
                    socket,
                    tuning: tcp.into(),
                    _bound: None,
                })
            }
        }
    }

    /// Takes a socket that systemd passed. It is systemd's: nothing is removed at the end. Must be
    /// called within a runtime.
    ///
    /// # Errors
    ///
    /// Fails when it is not a stream socket, of Unix or TCP, that listens.
    pub fn passed(fd: OwnedFd, tcp: impl Into<TcpTuning>) -> Result<Self, ListenError> {
        let socket = Socket::from(fd);
        let listens = socket.is_listener().is_ok_and(|it| it)
            && socket.r#type().is_ok_and(|it| it == Type::STREAM);
        if !listens {
            return Err(ListenError::NotListening);
        }
        let kind = |socket: Socket| -> io::Result<Option<Kind>> {
            socket.set_nonblocking(true)?;
            Ok(match socket.domain()? {
                Domain::UNIX => Some(Kind::Unix(UnixListener::from_std(socket.into())?)),
                Domain::IPV4 | Domain::IPV6 => {
                    Some(Kind::Tcp(TcpListener::from_std(socket.into())?))
                }
                _ => None,
            })
        };
        let address = || "a passed descriptor".to_owned();
        let socket = kind(socket).map_err(|source| ListenError::Listen {
            address: address(),
            source,
        })?;
        let socket = socket.ok_or(ListenError::NotListening)?;
        Ok(Self {
            socket,
            tuning: tcp.into(),
            _bound: None,
        })
    }

    /// From now on so many connections may wait to be accepted: listen(2) can be called again.
    ///
    /// # Errors
    ///
    /// Fails when the system refuses, which it has no reason for.
    pub fn set_backlog(&self, backlog: i32) -> io::Result<()> {
        match &self.socket {
            Kind::Unix(listener) => SockRef::from(listener).listen(backlog),
            Kind::Tcp(listener) => SockRef::from(listener).listen(backlog),
        }
    }

    /// The port it listens on, if it is of TCP.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Kind::Unix(_) => None,
            Kind::Tcp(listener) => listener.local_addr().ok(),
        }
    }

    /// Where it listens; `None` for an address that a configuration cannot name.
    pub fn address(&self) -> Option<ListenAddress> {
        match &self.socket {
            Kind::Unix(listener) => {
                let address = listener.local_addr().ok()?;
                Some(ListenAddress::Unix(address.as_pathname()?.to_owned()))
            }
            Kind::Tcp(listener) => listener.local_addr().ok().map(ListenAddress::Tcp),
        }
    }

    /// The next connection and who made it. Connections that break while they are accepted are
    /// passed over.
    ///
    /// # Errors
    ///
    /// Fails when descriptors or memory have run out. It has then waited for a moment already, so
    /// the caller may log it and go on at once.
    pub async fn accept(&self) -> io::Result<(BoxStream, Identity)> {
        loop {
            match self.accept_one().await {
                Ok(Some(accepted)) => return Ok(accepted),
                Ok(None) => {}
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    return Err(error);
                }
            }
        }
    }

    /// `None` for a connection whose peer is gone already, so that nothing can be set or asked.
    async fn accept_one(&self) -> io::Result<Option<(BoxStream, Identity)>> {
        match &self.socket {
            Kind::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let identity = of_unix(&stream).ok();
                Ok(identity.map(|identity| (Box::new(stream) as BoxStream, identity)))
            }
            Kind::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let tuned = Tuned::new(stream, &self.tuning).ok();
                Ok(tuned.map(|stream| (Box::new(stream) as BoxStream, Identity::Tcp { address })))
            }
        }
    }
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|it| (it.dev(), it.ino()) == (self.device, self.inode));
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether an accept failed because of the one connection that was to be accepted, accept(2),
/// "Error handling".
fn is_of_connection(error: &io::Error) -> bool {
    [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::Interrupted,
        io::ErrorKind::NetworkDown,
        io::ErrorKind::NetworkUnreachable,
        io::ErrorKind::TimedOut,
    ]
    .contains(&error.kind())
}

/// Removes a socket file on which nobody listens.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Listen {
        address: path.display().to_string(),
        source,
    };
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !kind.is_socket() {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    // Not blocking: the queue of a daemon that hangs may be full, and that is a daemon as well.
    let probe = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    match probe() {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(()) | Err(_) => Err(ListenError::InUse(path.to_owned())),
    }
}

fn bind_unix(path: &Path, options: UnixOptions, backlog: i32) -> io::Result<(Kind, BoundPath)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let metadata = fs::symlink_metadata(path)?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    let bound = BoundPath {
        path: path.to_owned(),
        device,
        inode,
    };
    // Before it listens, so that nobody connects who may not.
    fs::set_permissions(path, fs::Permissions::from_mode(options.mode))?;
    if options.uid.is_some() || options.gid.is_some() {
        chown(path, options.uid, options.gid)?;
    }
    socket.listen(backlog)?;
    Ok((Kind::Unix(UnixListener::from_std(socket.into())?), bound))
}

fn bind_tcp(address: SocketAddr, backlog: i32) -> io::Result<Kind> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        None,
    )?;
    // Else a restart must wait until connections of the last run are forgotten, tcp(7) TIME-WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 as well, whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false)?;
    }
    match socket.bind(&address.into()) {
        // An interface that is not up yet, as is usual at boot: what is bound freely becomes
        // reachable when the address is there (ip(7), IP_FREEBIND).
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            if address.is_ipv6() {
                socket.set_freebind_v6(true)?;
            } else {
                socket.set_freebind_v4(true)?;
            }
            socket.bind(&address.into())?;
        }
        bound => bound?,
    }
    socket.listen(backlog)?;
    Ok(Kind::Tcp(TcpListener::from_std(socket.into())?))
}
