//! Tells the service manager how we are, sd_notify(3). Without `NOTIFY_SOCKET` nothing happens, and
//! that is no error.
//!
//! A service manager that hangs does not read, and its queue is short: ten datagrams
//! (`net.unix.max_dgram_qlen`) in a container. A daemon must not hang with it, so each message waits for its
//! room only as long as it matters.

use std::{
    env,
    ffi::OsStr,
    fmt::Write as _,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use sd_notify::NotifyState;

/// For what a start or a reload waits for; peers still hear from us in time after it.
const PATIENCE: Duration = Duration::from_secs(3);

/// For what is said again, or is only shown.
const IMPATIENCE: Duration = Duration::from_millis(20);

/// We are up, or up again after [`reloading`]; and what we are doing.
///
/// # Errors
///
/// Fails when the service manager does not take it, as do all functions here.
pub fn ready(text: &str) -> io::Result<()> {
    say(
        &[NotifyState::Ready, NotifyState::Status(&one_line(text))],
        PATIENCE,
    )
}

/// What we are doing, for `systemctl status`.
///
/// # Errors
///
/// As [`ready`].
pub fn status(text: &str) -> io::Result<()> {
    say(&[NotifyState::Status(&one_line(text))], IMPATIENCE)
}

/// We are reading our configuration again; [`ready`] must follow, also when it was refused.
///
/// # Errors
///
/// As [`ready`].
pub fn reloading() -> io::Result<()> {
    // `Type=notify-reload` (systemd 253) needs the time to tell this reload from an earlier one.
    let now = NotifyState::monotonic_usec_now()?;
    say(&[NotifyState::Reloading, now], PATIENCE)
}

/// We are on our way out, and what we wait for.
///
/// # Errors
///
/// As [`ready`].
pub fn stopping(text: &str) -> io::Result<()> {
    say(
        &[NotifyState::Stopping, NotifyState::Status(&one_line(text))],
        PATIENCE,
    )
}

/// What we are about takes longer, up to this from now. A limit that is later stays.
///
/// # Errors
///
/// As [`ready`].
pub fn extend_timeout(by: Duration) -> io::Result<()> {
    let micros = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
    say(&[NotifyState::ExtendTimeoutUsec(micros)], IMPATIENCE)
}

/// We are alive. Say it from the event loop, every [`watchdog_interval`].
///
/// # Errors
///
/// As [`ready`].
pub fn watchdog() -> io::Result<()> {
    say(&[NotifyState::Watchdog], IMPATIENCE)
}

/// How often [`watchdog`] is to be said: half the time after which the service manager gives us up,
/// as sd_watchdog_enabled(3) recommends; `None` when it does not watch.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|time| time / 2)
}

fn say(states: &[NotifyState<'_>], patience: Duration) -> io::Result<()> {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let mut message = String::new();
    for state in states {
        // Writing to a string cannot fail.
        let _ = writeln!(message, "{state}");
    }
    send(&socket, &message, patience)
}

fn send(socket: &OsStr, message: &str, patience: Duration) -> io::Result<()> {
    // `@` stands for the NUL with which an abstract address begins, unix(7).
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    datagram.set_write_timeout(Some(patience))?;
    datagram.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

/// A line break would begin another assignment.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_assignment() {
        assert_eq!(one_line("a\nREADY=1\r"), "a READY=1 ");
    }

    #[test]
    fn a_service_manager_that_does_not_read_is_not_waited_for() {
        let name = format!("unitlink-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let socket = format!("@{name}");
        let say = || send(OsStr::new(&socket), "WATCHDOG=1\n", IMPATIENCE);
        // More than any queue of datagrams is set to.
        let refused = (0..100_000).find_map(|_| say().err()).unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        let mut got = [0; 16];
        assert_eq!(manager.recv(&mut got).unwrap(), 11);
        assert!(say().is_ok());
    }

    #[test]
    fn without_a_service_manager_nothing_happens() {
        if env::var_os("NOTIFY_SOCKET").is_none() {
            assert!(ready("up").is_ok() && reloading().is_ok() && stopping("bye").is_ok());
        }
    }
}
