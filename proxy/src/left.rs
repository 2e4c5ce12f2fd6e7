//! What the agent has left for a helper whose proxy is stopped. It is not asked: a stop that waited for an agent that
//! is dead would keep the next one from starting, since systemd stops what comes after something before it starts that.

use std::{
    fs::{self, File},
    io::{self, Read as _},
};

use crate::{answer::Answer, limits, options::Stopped, outcome::Failure};

/// Takes the reason why the proxy is stopped. None where it has not failed.
///
/// # Errors
///
/// Fails when it is there and cannot be read.
pub(crate) fn take(stopped: &Stopped) -> io::Result<Option<(Failure, String)>> {
    let file = match File::open(&stopped.reason) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut line = Vec::new();
    file.take(limits::REASON_BYTES_MAX).read_to_end(&mut line)?;
    // The agent does so where this cannot.
    let _ = fs::remove_file(&stopped.reason);
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(match Answer::parse(line) {
        Some(Answer::Failed { failure, text }) => Some((failure, text)),
        Some(Answer::Up | Answer::Wait { .. }) | None => None,
    })
}
