//! What all verbs share that go on until somebody ends them: rows as they come, and what is said
//! when the daemon is away. Standard output is for data; that it may have a gap is said on standard
//! error.

use std::{
    io::Write as _,
    time::{Duration, SystemTime},
};

use crate::{
    cli::Options,
    exit::Exit,
    fault::{Daemon, Fault},
    live::Live,
    span,
    view::{
        Look, Page,
        message::{self, Message},
    },
};

/// Where rows go.
pub(crate) struct Follow<'a> {
    look: &'a Look,
    is_quiet: bool,
    daemon: Daemon,
    /// Whether it was followed at all so far: before, what is wrong ends the command.
    is_begun: bool,
}

impl<'a> Follow<'a> {
    /// Of a daemon.
    pub(crate) fn new(daemon: Daemon, options: &Options, look: &'a Look) -> Self {
        Self {
            look,
            is_quiet: options.quiet,
            daemon,
            is_begun: false,
        }
    }

    /// Prints data at once; `false` if nobody reads any more.
    pub(crate) fn print(&self, data: &str) -> bool {
        let mut out = std::io::stdout().lock();
        out.write_all(data.as_bytes())
            .and_then(|()| out.flush())
            .is_ok()
    }

    /// Says that the daemon is away.
    pub(crate) fn away(&self, fault: &Fault) {
        let text = format!("{fault}; waiting for it to come back");
        self.warn(text, None);
    }

    /// Says that the daemon is there again.
    pub(crate) fn back(&self, away: Duration) {
        let away = span::display(away);
        let text = format!("{} is back, it was away for {away}", self.daemon);
        self.warn(text, Some("what happened meanwhile was not seen".into()));
    }

    /// Says that something did not work, which does not end all of it.
    pub(crate) fn say(&self, messages: impl IntoIterator<Item = Message>) {
        let messages: Vec<Message> = messages.into_iter().collect();
        let text = message::all(&messages, self.look.paint_messages);
        // Without a standard error there is nobody to be told.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// Says something that does not end it.
    pub(crate) fn warn(&self, text: String, hint: Option<String>) {
        if !self.is_quiet {
            self.say([Message::warning(text, hint)]);
        }
    }

    /// What was to be done when the daemon came: once it was done, a daemon that goes away meanwhile
    /// is only one more reason to wait.
    ///
    /// # Errors
    ///
    /// Hands the fault back if it is not one of those that pass.
    pub(crate) fn begun<T>(
        &mut self,
        live: &mut Live,
        result: Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match result {
            Ok(value) => {
                self.is_begun = true;
                Ok(Some(value))
            }
            Err(fault) if self.is_begun && passes(&fault) => {
                live.again();
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }
}

/// Whether a fault is one of a daemon that restarts.
pub(crate) fn passes(fault: &Fault) -> bool {
    matches!(fault.exit(), Exit::Unreachable | Exit::Timeout)
}

/// The end of what somebody has seen enough of.
pub(crate) fn seen_enough() -> Page {
    Page::text(String::new())
}

/// Now, since 1970; the beginning of that if the clock is before it.
pub(crate) fn now() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO)
}
