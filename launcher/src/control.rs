//! The control socket: a word in, a line of JSON out. It is for the launcher's own user and for root.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{
            fs::PermissionsExt as _,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use generations::{Outcome, ReloadNumber};
use serde::{Deserialize, Serialize};

use crate::{
    limits::{CLIENTS_MAX, REQUEST_BYTES_MAX},
    options::Reload,
};

/// There is no launcher to be asked.
pub(crate) const NO_LAUNCHER: u8 = 6;
const TIMED_OUT: u8 = 5;

/// How a reload ended, for whoever waits for it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) code: u8,
    pub(crate) text: String,
}

/// The folder of the socket: what was said, or that of the unit, systemd.exec(5).
pub(crate) fn folder(said: Option<&PathBuf>) -> Option<PathBuf> {
    let of_unit = || {
        let list = env::var("RUNTIME_DIRECTORY").ok()?;
        list.split(':').find(|it| !it.is_empty()).map(PathBuf::from)
    };
    said.cloned().or_else(of_unit)
}

fn path(folder: &Path) -> PathBuf {
    folder.join("control")
}

/// Listens in the folder.
///
/// # Errors
///
/// Says why it cannot, also that another launcher does.
pub(crate) fn listen(folder: &Path) -> Result<OwnedFd, String> {
    let path = path(folder);
    let bind = || -> io::Result<UnixListener> {
        if UnixStream::connect(&path).is_ok() {
            return Err(io::Error::other("another launcher runs there"));
        }
        if fs::symlink_metadata(&path).is_ok() {
            fs::remove_file(&path)?;
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let listener =
        bind().map_err(|error| format!("cannot listen on {}: {error}", path.display()))?;
    crate::sockets::away(listener.into()).map_err(|error| error.to_string())
}

/// Somebody who asks.
#[derive(Debug)]
pub(crate) struct Client {
    stream: UnixStream,
    asked: Vec<u8>,
    /// The reload whose end it waits for.
    pub(crate) waits_for: Option<ReloadNumber>,
}

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Reload { wait: bool },
    Status,
}

/// What reading from a client came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Not all of it is there.
    Nothing,
    Request(Request),
    /// It is gone, or is no client.
    Gone,
}

impl Client {
    pub(crate) fn accept(listener: &OwnedFd) -> Option<Self> {
        let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
        let socket = rustix::net::accept_with(listener, flags).ok()?;
        Some(Self::over(socket, None))
    }

    pub(crate) fn over(socket: OwnedFd, waits_for: Option<ReloadNumber>) -> Self {
        Self {
            stream: socket.into(),
            asked: Vec::new(),
            waits_for,
        }
    }

    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.stream.into()
    }

    pub(crate) fn read(&mut self) -> Asked {
        let mut bytes = [0; REQUEST_BYTES_MAX];
        match self.stream.read(&mut bytes) {
            Ok(0) => return Asked::Gone,
            Ok(count) => self.asked.extend(bytes.iter().take(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Asked::Nothing,
            Err(_) => return Asked::Gone,
        }
        let Some(end) = self.asked.iter().position(|it| *it == b'\n') else {
            return match self.asked.len() > REQUEST_BYTES_MAX {
                true => Asked::Gone,
                false => Asked::Nothing,
            };
        };
        match self.asked.get(..end) {
            Some(b"reload") => Asked::Request(Request::Reload { wait: false }),
            Some(b"reload wait") => Asked::Request(Request::Reload { wait: true }),
            Some(b"status") => Asked::Request(Request::Status),
            _ => Asked::Gone,
        }
    }

    /// Answers, and is done. A line fits the buffer of the socket; one that does not is lost, since
    /// nobody waits for a client.
    pub(crate) fn answer(mut self, text: &str) {
        let _ = self.stream.write_all(format!("{text}\n").as_bytes());
    }

    pub(crate) fn answer_reload(self, outcome: &Outcome) {
        let reply = Reply {
            code: outcome.code(),
            text: outcome.to_string(),
        };
        self.answer(&serde_json::to_string(&reply).unwrap_or_default());
    }
}

/// Whether another client has room.
pub(crate) fn has_room(clients: usize) -> bool {
    clients < CLIENTS_MAX
}

/// `unitlink-launcher reload`: asks, and waits if it is to.
pub(crate) fn reload(options: &Reload) -> u8 {
    let word = if options.wait {
        "reload wait"
    } else {
        "reload"
    };
    match ask(options.folder.as_ref(), word, options.timeout) {
        Ok(line) => match serde_json::from_str::<Reply>(&line) {
            Ok(reply) => {
                let level = match reply.code {
                    0 => generations::Level::Info,
                    _ => generations::Level::Error,
                };
                crate::log::line(level, &format!("reload: {}", reply.text));
                reply.code
            }
            Err(_) => failed("the launcher ended before it answered", NO_LAUNCHER),
        },
        Err(Unasked::Late(time)) => failed(
            &format!("not over after {time:?}; the launcher goes on with it"),
            TIMED_OUT,
        ),
        Err(Unasked::NoLauncher(why)) => failed(&why, NO_LAUNCHER),
    }
}

/// `unitlink-launcher status`.
pub(crate) fn status(folder: Option<&PathBuf>, is_json: bool) -> u8 {
    match ask(folder, "status", Some(Duration::from_secs(5))) {
        Ok(line) => {
            let text = if is_json {
                line
            } else {
                let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                value
                    .get("line")
                    .and_then(|it| it.as_str())
                    .unwrap_or_default()
                    .to_owned()
            };
            let _ = writeln!(io::stdout(), "{}", text.trim_end());
            0
        }
        Err(Unasked::Late(_)) => failed("the launcher does not answer", NO_LAUNCHER),
        Err(Unasked::NoLauncher(why)) => failed(&why, NO_LAUNCHER),
    }
}

enum Unasked {
    NoLauncher(String),
    Late(Duration),
}

fn ask(said: Option<&PathBuf>, word: &str, timeout: Option<Duration>) -> Result<String, Unasked> {
    let Some(folder) = folder(said) else {
        let text =
            "no launcher is named: RUNTIME_DIRECTORY is not set, so --runtime-directory is needed";
        return Err(Unasked::NoLauncher(text.to_owned()));
    };
    let path = path(&folder);
    let none = |error: io::Error| {
        Unasked::NoLauncher(format!(
            "no launcher answers at {}: {error}",
            path.display()
        ))
    };
    let mut stream = UnixStream::connect(&path).map_err(none)?;
    stream
        .set_read_timeout(timeout.filter(|it| !it.is_zero()))
        .map_err(none)?;
    stream
        .write_all(format!("{word}\n").as_bytes())
        .map_err(none)?;
    let mut line = String::new();
    match BufReader::new(stream).read_line(&mut line) {
        Ok(_) => Ok(line),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(Unasked::Late(timeout.unwrap_or_default()))
        }
        Err(error) => Err(none(error)),
    }
}

fn failed(text: &str, code: u8) -> u8 {
    crate::log::error(text);
    code
}

/// The control socket as a descriptor to be waited for.
pub(crate) fn borrowed(client: &Client) -> std::os::fd::BorrowedFd<'_> {
    client.stream().as_fd()
}
