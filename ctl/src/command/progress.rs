//! What a terminal shows while a job takes its time: one line on standard error that is written
//! anew and wiped in the end. Without a terminal nothing is shown, and Ctrl-C does what it always
//! does.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use tokio::{
    signal::unix::{self, Signal, SignalKind},
    time::Instant,
};

use crate::{limits, view::job::Asked};

/// The line, if there is a terminal to write it on.
pub(crate) struct Progress<'a> {
    asked: &'a Asked<'a>,
    terminal: bool,
    due: Instant,
    shown: bool,
}

impl<'a> Progress<'a> {
    /// Nothing is shown yet.
    pub(crate) fn new(asked: &'a Asked<'a>) -> Self {
        Self {
            asked,
            terminal: std::io::stderr().is_terminal(),
            due: Instant::now() + limits::PROGRESS_AFTER,
            shown: false,
        }
    }

    /// When the line is to be written next, if it ever is.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.terminal.then_some(self.due)
    }

    /// Writes the line anew; `open` are the places of the units that are waited for.
    pub(crate) fn show(&mut self, open: impl Iterator<Item = usize>, waited: Duration) {
        self.due = Instant::now() + limits::PROGRESS_EVERY;
        self.shown = true;
        let line = self.asked.progress(open, waited);
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
    }

    /// Writes that there is no controller since then.
    pub(crate) fn show_away(&mut self, since: Duration) {
        self.due = Instant::now() + limits::PROGRESS_EVERY;
        if self.terminal {
            self.shown = true;
            let line = self.asked.away(since);
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        }
    }

    /// Takes the line away.
    pub(crate) fn wipe(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Until then; forever if there is no such moment.
pub(crate) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Ctrl-C, where somebody sits who can press it.
pub(crate) struct Interrupt(Option<Signal>);

impl Interrupt {
    /// From now on Ctrl-C is ours, if there is a terminal.
    pub(crate) fn watch() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let signal = terminal.then(|| unix::signal(SignalKind::interrupt()));
        Self(signal.and_then(Result::ok))
    }

    /// Until it is pressed.
    pub(crate) async fn pressed(&mut self) {
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
