//! A message bus of one's own, for programs that need a bus and no node.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// Starts a session bus, and yields its process, which the caller ends, and its address.
///
/// # Errors
///
/// When `dbus-daemon` is not installed, or ends without saying where it listens.
pub fn start() -> Result<(Child, String)> {
    let mut bus = Command::new("dbus-daemon")
        .args(["--session", "--nofork", "--print-address=1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("dbus-daemon is not installed")?;
    let out = bus.stdout.take().context("no output")?;
    let mut address = String::new();
    BufReader::new(out).read_line(&mut address)?;
    ensure!(!address.is_empty(), "dbus-daemon ended without a word");
    Ok((bus, address.trim().to_owned()))
}
