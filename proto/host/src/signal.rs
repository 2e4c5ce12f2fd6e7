//! Signals as values.
//!
//! | signal | value | what a daemon does |
//! |---|---|---|
//! | `SIGTERM` | [`Signal::Stop`] | stops in order, within its time |
//! | `SIGINT` | [`Signal::Quit`] | leaves at once |
//! | `SIGHUP` | [`Signal::Reload`] | reads its configuration again |
//! | `SIGUSR1` | [`Signal::Dump`] | writes its state into the log |
//! | `SIGUSR2` | none | nothing: it must not end a daemon either |
//!
//! `SIGPIPE` is ignored by the Rust runtime.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use tokio::signal::unix::{self, SignalKind};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Leave at once.
    Quit,
    /// Stop in order.
    Stop,
    /// Read the configuration again.
    Reload,
    /// Write the state into the log.
    Dump,
}

/// The signals of this process. Those of one kind that come before they are taken count as one, as
/// with any signal.
#[derive(Debug)]
pub struct Signals {
    /// The most urgent first.
    kinds: [(Signal, unix::Signal); 4],
    _ignored: unix::Signal,
}

impl Signals {
    /// From now on none of these signals ends the process. It belongs at the very beginning: a
    /// SIGHUP before it would kill. It must be called within a runtime.
    ///
    /// # Errors
    ///
    /// Fails when the handlers cannot be set.
    pub fn register() -> io::Result<Self> {
        Ok(Self {
            kinds: [
                (Signal::Quit, unix::signal(SignalKind::interrupt())?),
                (Signal::Stop, unix::signal(SignalKind::terminate())?),
                (Signal::Reload, unix::signal(SignalKind::hangup())?),
                (Signal::Dump, unix::signal(SignalKind::user_defined1())?),
            ],
            _ignored: unix::signal(SignalKind::user_defined2())?,
        })
    }

    /// The next signal. Dropping the future loses none.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
        for (meaning, signal) in &mut self.kinds {
            if let Poll::Ready(Some(())) = signal.poll_recv(cx) {
                return Poll::Ready(*meaning);
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal as Number, getpid, kill_process};

    #[tokio::test]
    async fn signals_become_values_and_end_nothing() {
        let mut signals = Signals::register().expect("registered");
        let send = |number| kill_process(getpid(), number).expect("sent");
        send(Number::USR2);
        for (number, meaning) in [
            (Number::HUP, Signal::Reload),
            (Number::TERM, Signal::Stop),
            (Number::HUP, Signal::Reload),
            (Number::INT, Signal::Quit),
            (Number::USR1, Signal::Dump),
        ] {
            send(number);
            assert_eq!(signals.next().await, meaning);
        }
    }
}
