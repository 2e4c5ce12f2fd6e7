//! Connections, whatever carries them, and who is at the other end.
//!
//! * [`Stream`], [`BoxStream`]: bytes in both directions. TLS will be one more kind of it.
//! * [`Identity`]: who the peer is, known from the first moment of a connection.
//! * [`Listener`]: accepts connections on a Unix socket or a TCP port.
//! * [`connect`](fn@connect): makes one.

mod connect;
mod identity;
mod listen;
mod tcp;
#[cfg(test)]
mod tests;
mod tuning;

use tokio::io::{AsyncRead, AsyncWrite};

pub use connect::{ConnectError, connect};
pub use identity::Identity;
pub use listen::{ListenError, Listener, UnixOptions};
pub use tcp::TcpOptions;
pub use tuning::TcpTuning;

/// Bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> Stream for T {}

/// A stream of any kind.
pub type BoxStream = Box<dyn Stream + 'static>;
