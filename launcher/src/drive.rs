//! The event loop: wait, see what has happened, let the state machine think, carry out what it asks.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use proto::time::Moment;
use rustix::{
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    time::{ClockId, clock_gettime},
};

use crate::shell::Shell;

/// What has something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Signals,
    Inbox,
    Control,
    /// Whoever reads the settings.
    Settings,
    Client(u32),
    Adopted(u32),
}

/// What is waited for.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    signals: SignalFd,
}

/// Blocks every signal that can be waited for, and says which. Those that tell of a mistake of this
/// process itself, and the one that stops it at a terminal, stay as they are.
pub(crate) fn block_signals() -> SigSet {
    let mut signals = SigSet::all();
    for signal in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGABRT,
        Signal::SIGSYS,
        Signal::SIGTSTP,
        Signal::SIGCONT,
    ] {
        signals.remove(signal);
    }
    // It fails for no set of signals that there is.
    let _ = signals.thread_set_mask();
    signals
}

/// A command that waits for an answer may be interrupted at a terminal.
pub(crate) fn unblock(signals: &SigSet) {
    let _ = signals.thread_unblock();
}

/// The time on the clock that the whole of this boot has, so that it goes on when the launcher replaces
/// its program.
pub(crate) fn now() -> Moment {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Moment::at(Duration::new(seconds, nanos))
}

/// As the kernel has it.
pub(crate) fn timespec(time: Duration) -> rustix::time::Timespec {
    rustix::time::Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}

/// Runs until the end, and says with which code.
pub(crate) fn drive(shell: &mut Shell, poller: &Poller) -> u8 {
    for (source, fd) in shell.sources() {
        poller.add(source, fd);
    }
    let mut events = Vec::with_capacity(64);
    loop {
        shell.think(poller);
        if let Some(code) = shell.ended() {
            return code;
        }
        let wait = shell.deadline().map(|at| at.since(now()));
        for source in poller.wait(&mut events, wait) {
            match source {
                Source::Signals => {
                    while let Ok(Some(info)) = poller.signals.read_signal() {
                        shell.signal(info.ssi_signo);
                    }
                }
                Source::Inbox => shell.messages(),
                Source::Control => shell.accept(poller),
                Source::Settings => shell.settings(poller),
                Source::Client(number) => shell.client(number),
                Source::Adopted(number) => shell.adopted_ended(number, poller),
            }
        }
    }
}

impl Poller {
    pub(crate) fn new(signals: &SigSet) -> std::io::Result<Self> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(signals, flags)?;
        let epoll = crate::sockets::away(epoll::create(CreateFlags::CLOEXEC)?)?;
        let poller = Self { epoll, signals };
        poller.add(Source::Signals, poller.signals.as_fd());
        Ok(poller)
    }

    /// A descriptor that cannot be waited for is one that never says anything.
    pub(crate) fn add(&self, source: Source, fd: BorrowedFd<'_>) {
        let _ = epoll::add(
            &self.epoll,
            fd,
            EventData::new_u64(source.number()),
            EventFlags::IN,
        );
    }

    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    fn wait(&self, events: &mut Vec<epoll::Event>, wait: Option<Duration>) -> Vec<Source> {
        events.clear();
        let timeout = wait.map(timespec);
        let buffer = rustix::buffer::spare_capacity(events);
        // An interruption is as good as a time that has passed: everything is looked at again.
        let _ = epoll::wait(&self.epoll, buffer, timeout.as_ref());
        events
            .iter()
            .filter_map(|it| Source::of(it.data.u64()))
            .collect()
    }
}

impl Source {
    fn number(self) -> u64 {
        let pair = |kind: u64, number: u32| kind << 32 | u64::from(number);
        match self {
            Self::Signals => pair(0, 0),
            Self::Inbox => pair(1, 0),
            Self::Control => pair(2, 0),
            Self::Client(number) => pair(3, number),
            Self::Adopted(number) => pair(4, number),
            Self::Settings => pair(5, 0),
        }
    }

    fn of(number: u64) -> Option<Self> {
        let low = u32::try_from(number & u64::from(u32::MAX)).ok()?;
        Some(match number >> 32 {
            0 => Self::Signals,
            1 => Self::Inbox,
            2 => Self::Control,
            3 => Self::Client(low),
            4 => Self::Adopted(low),
            5 => Self::Settings,
            _ => return None,
        })
    }
}
