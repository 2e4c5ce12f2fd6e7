//! The pager: only for a terminal, and only for what is longer than it.

use std::{
    env,
    io::Write as _,
    process::{Child, ChildStdin, Command, Stdio},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What less(1) is told: as systemctl(1) tells it, end if it fits, keep colours, leave the screen.
const LESS: &str = "FRSXMK";

/// Prints through a pager if that is called for on a terminal with so many rows; `false` if it is not
/// printed yet.
pub(crate) fn print(data: &str, rows: usize) -> bool {
    if !is_too_long(data, rows) {
        return false;
    }
    let read = |name| env::var(name).ok();
    candidates(read("SYSTEMD_PAGER"), read("PAGER"))
        .iter()
        .any(|pager| run(pager, data))
}

/// Whether a text does not fit onto a terminal beside the prompt.
fn is_too_long(data: &str, rows: usize) -> bool {
    rows > 0 && data.lines().count() >= rows
}

/// Pagers to try, the best first; none if none is wanted.
fn candidates(own: Option<String>, general: Option<String>) -> Vec<String> {
    match own.or(general) {
        Some(pager) if matches!(pager.trim(), "" | "cat") => Vec::new(),
        Some(pager) => vec![pager],
        None => ["pager", "less", "more"].map(str::to_owned).to_vec(),
    }
}

/// A pager that is written to as lines come. Ctrl-C is its affair: it must not be left behind on the
/// terminal without us.
pub(crate) struct Pager {
    child: Child,
    stdin: Option<ChildStdin>,
    _interrupt: std::io::Result<Signal>,
}

impl Pager {
    /// The first that is there, if one is wanted. It must be called within a runtime.
    pub(crate) fn open() -> Option<Self> {
        let read = |name| env::var(name).ok();
        let pagers = candidates(read("SYSTEMD_PAGER"), read("PAGER"));
        let interrupt = signal(SignalKind::interrupt());
        let mut child = pagers.iter().find_map(|pager| start(pager))?;
        Some(Self {
            stdin: child.stdin.take(),
            child,
            _interrupt: interrupt,
        })
    }

    /// Writes to it; `false` if nobody reads any more.
    pub(crate) fn write(&mut self, data: &str) -> bool {
        let written = self.stdin.as_mut().map(|it| it.write_all(data.as_bytes()));
        written.is_some_and(|written| written.is_ok())
    }

    /// Waits until it is closed.
    pub(crate) fn close(mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Whether the pager was there.
fn run(pager: &str, data: &str) -> bool {
    // Ctrl-C is the pager's, as above.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return false;
    };
    let _guard = runtime.enter();
    let interrupt = signal(SignalKind::interrupt());
    let Some(mut child) = start(pager) else {
        return false;
    };
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever does not read to the end has seen enough.
        let _ = stdin.write_all(data.as_bytes());
    }
    let _ = child.wait();
    drop(interrupt);
    true
}

/// Starts a pager, if it is there.
fn start(pager: &str) -> Option<Child> {
    let mut words = pager.split_whitespace();
    let program = words.next()?;
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped()).env(
        "LESS",
        env::var("SYSTEMD_LESS").unwrap_or_else(|_| LESS.into()),
    );
    if env::var_os("SYSTEMD_PAGERSECURE").is_none_or(|secure| secure != "0") {
        // Whoever may run this with sudo may not therefore run a shell.
        command.env("LESSSECURE", "1");
    }
    command.spawn().ok()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("a\nb\n", 24, false; "it fits")]
    #[test_case("a\nb\n", 2, true; "the prompt needs a line")]
    #[test_case("a\nb\n", 0, false; "a terminal of no known size")]
    fn what_is_longer_than_the_terminal_is_paged(data: &str, rows: usize, paged: bool) {
        assert_eq!(is_too_long(data, rows), paged);
    }

    #[test_case(Some("most -s"), Some("more"), &["most -s"]; "that of systemd comes first")]
    #[test_case(None, Some("more"), &["more"]; "then the general one")]
    #[test_case(None, None, &["pager", "less", "more"]; "then what there may be")]
    #[test_case(Some(""), Some("more"), &[]; "none")]
    #[test_case(None, Some("cat"), &[]; "cat is none")]
    fn pagers_are_chosen_as_systemctl_does(
        own: Option<&str>,
        general: Option<&str>,
        chosen: &[&str],
    ) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        assert_eq!(candidates(owned(own), owned(general)), chosen);
    }
}
