//! Options of TCP connections that are open.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
};

use super::TcpOptions;

/// The options of connections, present and future.
#[derive(Clone, Debug)]
pub struct TcpTuning {
    options: watch::Receiver<TcpOptions>,
}

impl TcpTuning {
    /// Options that can be changed by the sender. An open connection has the new ones from the next
    /// byte on, in whichever direction; a link has a heartbeat.
    pub fn live(options: TcpOptions) -> (watch::Sender<TcpOptions>, Self) {
        let (sender, options) = watch::channel(options);
        (sender, Self { options })
    }
}

/// Options that never change.
impl From<TcpOptions> for TcpTuning {
    fn from(options: TcpOptions) -> Self {
        Self::live(options).1
    }
}

impl From<&TcpOptions> for TcpTuning {
    fn from(options: &TcpOptions) -> Self {
        Self::from(*options)
    }
}

impl From<&TcpTuning> for TcpTuning {
    fn from(tuning: &TcpTuning) -> Self {
        tuning.clone()
    }
}

/// A connection that follows its options.
pub(super) struct Tuned {
    stream: TcpStream,
    options: watch::Receiver<TcpOptions>,
}

impl Tuned {
    /// Sets the options of now.
    pub(super) fn new(stream: TcpStream, tuning: &TcpTuning) -> io::Result<Self> {
        let mut options = tuning.options.clone();
        options.borrow_and_update().apply(&stream)?;
        Ok(Self { stream, options })
    }

    fn follow(&mut self) -> Pin<&mut TcpStream> {
        // Nobody can change them any more where it fails.
        if self.options.has_changed().unwrap_or(false) {
            // A socket that does not take them is broken, which reading and writing will say.
            let _ = self.options.borrow_and_update().apply(&self.stream);
        }
        Pin::new(&mut self.stream)
    }
}

impl AsyncRead for Tuned {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.follow().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Tuned {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.follow().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.follow().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket2::SockRef;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn an_open_connection_follows_its_options() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let mut peer = TcpStream::connect(address).await.expect("connected");
        let (stream, _) = listener.accept().await.expect("accepted");
        let (change, tuning) = TcpTuning::live(TcpOptions::default());
        let mut tuned = Tuned::new(stream, &tuning).expect("set");
        let idle = |tuned: &Tuned| {
            let socket = SockRef::from(&tuned.stream);
            socket.tcp_keepalive_time().expect("read")
        };
        assert_eq!(idle(&tuned), Duration::from_secs(10));
        change.send_replace(TcpOptions {
            keepalive_idle: Duration::from_secs(42),
            ..TcpOptions::default()
        });
        peer.write_all(b"x").await.expect("written");
        assert_eq!(tuned.read_u8().await.expect("read"), b'x');
        assert_eq!(idle(&tuned), Duration::from_secs(42));
        // It goes on without whoever could change them.
        drop((change, tuning));
        tuned.write_all(b"y").await.expect("written");
        assert_eq!(peer.read_u8().await.expect("read"), b'y');
    }
}
