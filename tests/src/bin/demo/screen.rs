//! What the demonstration writes to the terminal.

#![expect(clippy::print_stdout, reason = "standard output is what it is for")]
#![expect(clippy::print_stderr, reason = "and standard error for a failure")]

use std::io::{IsTerminal, stdout};

/// Plain text.
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// The beginning of a step.
pub(crate) fn title(number: usize, text: &str) {
    println!("\n{}", strong(&format!("{number}. {text}")));
}

/// A command as it is typed on a node.
pub(crate) fn command(node: &str, line: &str) {
    println!("{}", strong(&format!("{node}# {line}")));
}

/// What a command said.
pub(crate) fn output(text: &str) {
    for line in text.trim_end().lines() {
        println!("    {line}");
    }
}

/// What was checked and holds.
pub(crate) fn holds(text: &str) {
    println!("  = {text}");
}

/// Why the demonstration ends early.
pub(crate) fn failure(text: &str) {
    eprintln!("demo: {text}");
}

fn strong(text: &str) -> String {
    if stdout().is_terminal() {
        format!("\x1b[1m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
