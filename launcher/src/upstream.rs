//! What is told to the service manager, sd_notify(3). Without `NOTIFY_SOCKET` nothing happens.

use std::{
    env,
    ffi::OsString,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    time::Duration,
};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, sendmsg_addr, socket_with,
};

/// The way to the service manager.
#[derive(Debug)]
pub(crate) struct Upstream {
    to: Option<(OwnedFd, SocketAddrUnix)>,
    /// The status that was told last: the same is not told again.
    status: String,
}

impl Upstream {
    pub(crate) fn new() -> Self {
        Self {
            to: env::var_os("NOTIFY_SOCKET").and_then(connect),
            status: String::new(),
        }
    }

    /// One or more assignments. A service manager that does not read is not waited for: the next
    /// status, or its own time limit, says the same.
    pub(crate) fn say(&self, text: &str) {
        self.say_with(text, &[]);
    }

    /// The same with descriptors, for `FDSTORE=1`.
    pub(crate) fn say_with(&self, text: &str, fds: &[BorrowedFd<'_>]) {
        let Some((socket, address)) = &self.to else {
            return;
        };
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        let parts = [std::io::IoSlice::new(text.as_bytes())];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let _ = sendmsg_addr(socket, address, &parts, &mut control, flags);
    }

    pub(crate) fn status(&mut self, line: &str) {
        let line = line.replace(['\n', '\r'], " ");
        if line != self.status {
            self.say(&format!("STATUS={line}"));
            self.status = line;
        }
    }

    pub(crate) fn extend(&self, by: Duration) {
        self.say(&format!("EXTEND_TIMEOUT_USEC={}", by.as_micros()));
    }
}

/// How often the service manager wants a sign of life, if it does of this process.
pub(crate) fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let micros = number("WATCHDOG_USEC").filter(|it| *it > 0)?;
    let own = u64::from(std::process::id());
    number("WATCHDOG_PID")
        .is_none_or(|pid| pid == own)
        .then(|| Duration::from_micros(micros))
}

fn connect(name: OsString) -> Option<(OwnedFd, SocketAddrUnix)> {
    // `@` stands for the NUL with which an abstract address begins, unix(7).
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddrUnix::new_abstract_name(name),
        None => SocketAddrUnix::new(name.as_bytes()),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).ok()?;
    Some((crate::sockets::away(socket).ok()?, address.ok()?))
}
