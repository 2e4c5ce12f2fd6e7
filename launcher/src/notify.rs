//! What workers tell the launcher, in the words that they have for systemd, sd_notify(3). The kernel
//! says who has sent a message, so that nobody speaks for another.

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use rustix::{
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with, sockopt},
    process::Pid,
};

use crate::{
    limits::{MESSAGE_BYTES_MAX, MESSAGE_FDS_MAX},
    spawn,
};

/// Where workers send.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) socket: OwnedFd,
    /// As `NOTIFY_SOCKET` has it.
    pub(crate) name: String,
}

/// A message of a worker, or of somebody whom it has started.
#[derive(Debug, Default)]
pub(crate) struct Message {
    pub(crate) from: Option<Pid>,
    pub(crate) words: Vec<Word>,
    pub(crate) fds: Vec<OwnedFd>,
}

/// An assignment that means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Ready,
    Alive,
    Status(String),
    Extend(u64),
    Errno(String),
    Store,
    StoreName(String),
    StoreRemove,
}

impl Message {
    /// What the descriptors with it are called.
    pub(crate) fn stored_name(&self) -> Option<&str> {
        self.words.iter().find_map(|it| {
            if let Word::StoreName(name) = it {
                Some(name.as_str())
            } else {
                None
            }
        })
    }
}

impl Inbox {
    /// A socket with an abstract address, which needs no place in a file system and no permission.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let pid = rustix::process::getpid().as_raw_nonzero();
        let name = format!(
            "unitlink-launcher/{pid}/{:016x}",
            u64::from_ne_bytes(random)
        );
        bind(
            &socket,
            &SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        )?;
        Self::over(crate::sockets::away(socket)?, format!("@{name}"))
    }

    /// The one of a launcher that this one replaces.
    pub(crate) fn over(socket: OwnedFd, name: String) -> io::Result<Self> {
        sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self { socket, name })
    }

    /// The next message, if there is one.
    pub(crate) fn receive(&self) -> Option<Message> {
        let mut bytes = vec![0; MESSAGE_BYTES_MAX];
        let mut space = nix::cmsg_space!(libc::ucred, [RawFd; MESSAGE_FDS_MAX]);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let socket = self.socket.as_raw_fd();
        let received = recvmsg::<()>(socket, &mut parts, Some(&mut space), flags).ok()?;
        let mut message = Message::default();
        for part in received.cmsgs().ok()? {
            if let ControlMessageOwned::ScmRights(fds) = part {
                let fds = fds.into_iter().filter_map(|it| spawn::inherited(it).ok());
                message.fds.extend(fds);
            } else if let ControlMessageOwned::ScmCredentials(from) = part {
                // Of another namespace of processes it is 0, and nobody whom we know.
                message.from = Pid::from_raw(from.pid());
            }
        }
        // What does not fit is not trusted to mean what its beginning says. A descriptor that came
        // with `BARRIER=1` is closed as soon as the message is dropped, which is the answer to it.
        if !received.flags.contains(MsgFlags::MSG_TRUNC) {
            let count = received.bytes;
            message.words = words(&String::from_utf8_lossy(
                bytes.get(..count).unwrap_or_default(),
            ));
        }
        Some(message)
    }
}

/// What of a message means something. `MAINPID=`, `STOPPING=1` and `RELOADING=1` are about the
/// service as a whole, which only the launcher knows.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let word = match (name, value) {
            ("READY", "1") => Word::Ready,
            ("WATCHDOG", "1") => Word::Alive,
            ("STATUS", text) => Word::Status(text.chars().take(200).collect()),
            ("EXTEND_TIMEOUT_USEC", micros) => match micros.parse() {
                Ok(micros) => Word::Extend(micros),
                Err(_) => continue,
            },
            ("ERRNO", errno) => Word::Errno(errno.chars().take(20).collect()),
            ("FDSTORE", "1") => Word::Store,
            ("FDSTOREREMOVE", "1") => Word::StoreRemove,
            ("FDNAME", name) => Word::StoreName(name.chars().take(200).collect()),
            _ => continue,
        };
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    #[test]
    fn what_a_worker_says_has_its_sender() {
        let inbox = Inbox::open().expect("opened");
        let name = inbox.name.trim_start_matches('@').to_owned();
        let address = SocketAddr::from_abstract_name(name).expect("address");
        let socket = UnixDatagram::unbound().expect("socket");
        let text = "READY=1\nSTATUS=hello\nMAINPID=1\nFDNAME=x\nnonsense\nEXTEND_TIMEOUT_USEC=5";
        socket
            .send_to_addr(text.as_bytes(), &address)
            .expect("sent");
        let message = inbox.receive().expect("received");
        assert_eq!(message.from, Some(rustix::process::getpid()));
        assert_eq!(
            message.words,
            [
                Word::Ready,
                Word::Status("hello".into()),
                Word::StoreName("x".into()),
                Word::Extend(5)
            ]
        );
        assert!(inbox.receive().is_none());
        // What is too long means nothing.
        let long = format!("READY=1\nSTATUS={}", "x".repeat(MESSAGE_BYTES_MAX));
        socket
            .send_to_addr(long.as_bytes(), &address)
            .expect("sent");
        assert!(inbox.receive().expect("received").words.is_empty());
    }
}
