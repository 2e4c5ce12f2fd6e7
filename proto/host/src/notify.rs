//! Tells the service manager how we are, sd_notify(3). Without `NOTIFY_SOCKET` nothing happens, and
//! that is no error.

use std::{io, time::Duration};

use sd_notify::NotifyState;

/// We are up, or up again after [`reloading`]; and what we are doing.
///
/// # Errors
///
/// Fails when the service manager does not take it, as do all functions here.
pub fn ready(text: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&one_line(text))])
}

/// What we are doing, for `systemctl status`.
///
/// # Errors
///
/// As [`ready`].
pub fn status(text: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Status(&one_line(text))])
}

/// We are reading our configuration again; [`ready`] must follow, also when it was refused.
///
/// # Errors
///
/// As [`ready`].
pub fn reloading() -> io::Result<()> {
    // `Type=notify-reload` (systemd 253) needs the time to tell this reload from an earlier one.
    let now = NotifyState::monotonic_usec_now()?;
    sd_notify::notify(&[NotifyState::Reloading, now])
}

/// We are on our way out, and what we wait for.
///
/// # Errors
///
/// As [`ready`].
pub fn stopping(text: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status(&one_line(text))])
}

/// We are alive. Say it from the event loop, every [`watchdog_interval`].
///
/// # Errors
///
/// As [`ready`].
pub fn watchdog() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Watchdog])
}

/// How often [`watchdog`] is to be said: half the time after which the service manager gives us up,
/// as sd_watchdog_enabled(3) recommends; `None` when it does not watch.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|time| time / 2)
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
    fn without_a_service_manager_nothing_happens() {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            assert!(ready("up").is_ok() && reloading().is_ok() && stopping("bye").is_ok());
        }
    }
}
