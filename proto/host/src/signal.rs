//! Signals as values, from one source: signalfd(2).
//!
//! | signal | value | what a daemon does |
//! |---|---|---|
//! | `SIGTERM` | [`Signal::Stop`] | stops in order, within its time |
//! | `SIGINT` | [`Signal::Quit`] | leaves at once |
//! | `SIGHUP` | [`Signal::Reload`] | reads its configuration again |
//! | `SIGUSR1` | [`Signal::Dump`] | writes its state into the log |
//! | `SIGUSR2` | none | nothing: it must not end a daemon either |
//!
//! They are blocked by the first action of `main`, before there is a thread, a file or a line in the
//! log, and stay blocked for good: a signal of the first millisecond waits until somebody reads it.
//! Handlers would leave a gap between the start and the moment in which they are set, in which a
//! SIGHUP kills. Threads inherit the mask, so none of them can be hit.
//!
//! `SIGPIPE` is ignored by the Rust runtime, before `main`.

use std::{collections::BTreeSet, io, os::fd::AsFd};

use nix::sys::{
    signal::{SigSet, Signal as Number},
    signalfd::{SfdFlags, SignalFd},
};
use tokio::net::unix::pipe;
use tracing::debug;

/// What a signal asks for, the most urgent first.
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

/// The signals that were blocked, and what each asks for.
const MEANINGS: [(Number, Option<Signal>); 5] = [
    (Number::SIGINT, Some(Signal::Quit)),
    (Number::SIGTERM, Some(Signal::Stop)),
    (Number::SIGHUP, Some(Signal::Reload)),
    (Number::SIGUSR1, Some(Signal::Dump)),
    (Number::SIGUSR2, None),
];

/// The size of `struct signalfd_siginfo`, signalfd(2).
const INFO_BYTES: usize = 128;

/// The proof that the signals are blocked.
#[derive(Debug)]
pub struct Blocked {
    signals: SigSet,
}

/// The signals of this process. Those of one kind that come before they are taken count as one, as
/// with any signal.
#[derive(Debug)]
pub struct Signals {
    source: SignalFd,
    /// The same once more, to be waited for. It is no pipe, but read like one, and so the safe way
    /// of a foreign descriptor into the event loop.
    ready: pipe::Receiver,
    pending: BTreeSet<Signal>,
}

/// From now on none of these signals does anything to this thread and those that it starts. It is the
/// first action of `main`.
///
/// # Errors
///
/// Fails when the kernel does not know these signals, which is to say never.
pub fn block() -> io::Result<Blocked> {
    let signals: SigSet = MEANINGS.iter().map(|(number, _)| *number).collect();
    signals.thread_block()?;
    Ok(Blocked { signals })
}

impl Blocked {
    /// The signals as values, also those that came since they were blocked. It must be called within
    /// a runtime.
    ///
    /// # Errors
    ///
    /// Fails when there is no descriptor left.
    pub fn listen(&self) -> io::Result<Signals> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let source = SignalFd::with_flags(&self.signals, flags)?;
        let ready = source.as_fd().try_clone_to_owned()?;
        Ok(Signals {
            source,
            ready: pipe::Receiver::from_owned_fd_unchecked(ready)?,
            pending: BTreeSet::new(),
        })
    }
}

impl Signals {
    /// The next signal, the most urgent of those that have come. Dropping the future loses none.
    pub async fn next(&mut self) -> Signal {
        loop {
            // A loop that asks after each event has none pending, and makes no system call for that.
            if !self.pending.is_empty() {
                self.take_all();
            }
            if let Some(signal) = self.pending.pop_first() {
                return signal;
            }
            if self.ready.readable().await.is_err() {
                // The runtime ends, and nobody will ask for another signal.
                std::future::pending::<()>().await;
            }
            self.take_all();
            // Where nothing is there any more, this is what has it waited for again.
            let mut info = [0; INFO_BYTES];
            if self.ready.try_read(&mut info).is_ok()
                && let Some(number) = info.first_chunk()
            {
                self.came(u32::from_ne_bytes(*number));
            }
        }
    }

    fn take_all(&mut self) {
        while let Ok(Some(info)) = self.source.read_signal() {
            self.came(info.ssi_signo);
        }
    }

    /// A signal was read. `ssi_signo` is the first field of `struct signalfd_siginfo`.
    fn came(&mut self, number: u32) {
        let is_it = |known: Number| u32::try_from(known as i32).is_ok_and(|it| it == number);
        let known = MEANINGS.iter().find(|(known, _)| is_it(*known));
        match known.and_then(|(_, meaning)| *meaning) {
            Some(signal) => drop(self.pending.insert(signal)),
            None => debug!(number, "a signal that means nothing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    // Signals are sent to the thread of the test: others of the harness have blocked none.
    fn send(number: Number) {
        raise(number).expect("sent");
    }

    #[tokio::test]
    async fn signals_become_values_and_end_nothing() {
        let blocked = block().expect("blocked");
        // Before anybody listens.
        send(Number::SIGHUP);
        let mut signals = blocked.listen().expect("listening");
        assert_eq!(signals.next().await, Signal::Reload);
        send(Number::SIGUSR2);
        for (number, meaning) in [
            (Number::SIGTERM, Signal::Stop),
            (Number::SIGHUP, Signal::Reload),
            (Number::SIGINT, Signal::Quit),
            (Number::SIGUSR1, Signal::Dump),
        ] {
            send(number);
            assert_eq!(signals.next().await, meaning);
        }
    }

    #[tokio::test]
    async fn the_most_urgent_comes_first_and_one_kind_counts_once() {
        let mut signals = block().expect("blocked").listen().expect("listening");
        for number in [Number::SIGUSR1, Number::SIGHUP, Number::SIGHUP] {
            send(number);
        }
        send(Number::SIGINT);
        assert_eq!(signals.next().await, Signal::Quit);
        assert_eq!(signals.next().await, Signal::Reload);
        send(Number::SIGHUP);
        assert_eq!(signals.next().await, Signal::Reload);
        assert_eq!(signals.next().await, Signal::Dump);
    }
}
