//! The handshake of a D-Bus connection (D-Bus specification, "Authentication Protocol"), both
//! sides, pure: bytes in, bytes out.
//!
//! | state of a server | leaves it |
//! |---|---|
//! | before the first byte | a NUL byte |
//! | waits for `AUTH` | `AUTH` of a known mechanism |
//! | waits for `DATA` | `DATA`; `CANCEL` and `ERROR` go back |
//! | waits for `BEGIN` | `BEGIN` ends the handshake; `CANCEL` and `ERROR` go back |
//!
//! A line that does not fit is answered with `ERROR`, except `BEGIN` at a wrong time, which ends the
//! connection as the specification demands. No descriptors are passed: `NEGOTIATE_UNIX_FD` is
//! answered with `ERROR`, and every peer must go on without.
//!
//! sd-bus writes `\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n` in one piece and counts
//! the lines of the answer. So each line is answered by itself, and an `AUTH` without an initial
//! response is answered with `DATA`.

mod client;
mod server;

use thiserror::Error;

pub use client::Client;
pub use server::{Authenticated, Guid, Mechanism, Peer, Server};

use crate::limits::{HANDSHAKE_BYTES_MAX, HANDSHAKE_LINES_MAX};

/// What is known after bytes were fed into a side of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<T> {
    /// What is to be written to the peer, in any case and before all else.
    pub write: Vec<u8>,
    /// What came of the handshake, once it has ended. A client that is rejected is still told so,
    /// though it has begun already in the same segment.
    pub done: Option<Result<T, SaslError>>,
}

/// Why a handshake failed. The connection is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SaslError {
    /// The first byte of a client must be NUL.
    #[error("handshake begins with byte {0:#04x} instead of NUL, this is no D-Bus client")]
    NoNul(u8),
    /// A line that is not ASCII, or has a NUL or a lone CR or LF in it.
    #[error("handshake has a line that is not text: {0:?}")]
    NotText(String),
    /// Too many bytes.
    #[error("handshake is longer than {HANDSHAKE_BYTES_MAX} bytes")]
    TooLong,
    /// Too many lines.
    #[error("handshake has more than {HANDSHAKE_LINES_MAX} lines")]
    TooManyLines,
    /// The client began before it was accepted.
    #[error("peer began without being authenticated")]
    NotAuthenticated,
    /// The server does not accept us.
    #[error("peer rejected us, it accepts: {0}")]
    Rejected(String),
    /// The server answered with something else.
    #[error("peer answered {0:?} instead of OK")]
    Answer(String),
}

/// Cuts a stream of bytes into lines, within bounds.
#[derive(Clone, Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    bytes_seen: usize,
    lines_seen: usize,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line without its end, if it is there.
    fn next(&mut self) -> Result<Option<String>, SaslError> {
        let end = self.bytes.windows(2).position(|pair| pair == b"\r\n");
        let length = end.map_or(self.bytes.len(), |end| end + 2);
        if self.bytes_seen + length > HANDSHAKE_BYTES_MAX {
            return Err(SaslError::TooLong);
        }
        let Some(end) = end else {
            return Ok(None);
        };
        let line: Vec<u8> = self.bytes.drain(..length).take(end).collect();
        self.bytes_seen += length;
        self.lines_seen += 1;
        if self.lines_seen > HANDSHAKE_LINES_MAX {
            return Err(SaslError::TooManyLines);
        }
        if line.iter().any(|b| !b.is_ascii() || b.is_ascii_control()) {
            return Err(SaslError::NotText(excerpt(&line)));
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// The beginning of what a peer sent, for an error: bounded, since it ends in a log.
fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(64).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?))
        .collect()
}
