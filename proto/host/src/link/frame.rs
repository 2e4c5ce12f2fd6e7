use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::io::{AsyncRead, ReadBuf};
use zbus::{Message, connection::socket::ReadHalf as SocketHalf, export::async_trait::async_trait};

use super::{LinkError, sender::hide_foreign_sender};

/// Bytes of the part of a header that every message has: endianness, type, flags, version, length
/// of the body, serial, length of the fields.
const PRIMARY_HEADER_BYTES: usize = 16;

/// Bytes asked of the stream at once. It lives on the stack while the stream is asked, so a link
/// that waits holds no buffer.
const CHUNK_BYTES: usize = 16 * 1024;

/// Cuts a stream into messages.
pub(super) struct Frames<R> {
    stream: R,
    bytes_max: Arc<AtomicUsize>,
    received: Vec<u8>,
    messages: u64,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// `received` is what was read already; `bytes_max` the longest message, which may change.
    pub(super) fn new(stream: R, received: Vec<u8>, bytes_max: Arc<AtomicUsize>) -> Self {
        Self {
            stream,
            bytes_max,
            received,
            messages: 0,
        }
    }

    /// The next message; `None` when the peer closed between two messages. It may be dropped and
    /// asked again, what was received is kept.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, LinkError> {
        loop {
            if let Some(header) = self.received.first_chunk() {
                let length = message_bytes(header, self.bytes_max.load(Ordering::Relaxed))?;
                if let Some(message) = self.received.get_mut(..length) {
                    hide_foreign_sender(message);
                    return self.parse().await.map(Some);
                }
            }
            // The buffer grows with what arrives, not with what a header promises.
            let (stream, received) = (&mut self.stream, &mut self.received);
            match poll_fn(|cx| poll_chunk(Pin::new(&mut *stream), cx, received)).await {
                Ok(0) if self.received.is_empty() => return Ok(None),
                Ok(0) => return Err(LinkError::Truncated),
                Ok(_) => {}
                Err(error) => return Err(LinkError::Read(Arc::new(error))),
            }
        }
    }

    /// Reads and forgets, until the peer closes.
    pub(super) async fn discard(&mut self) {
        self.received = Vec::new();
        let stream = &mut self.stream;
        let mut chunk = Vec::new();
        while poll_fn(|cx| poll_chunk(Pin::new(&mut *stream), cx, &mut chunk))
            .await
            .is_ok_and(|bytes| bytes > 0)
        {
            chunk.clear();
        }
    }

    /// Takes the first message off what was received. zbus parses a whole message only as a part
    /// of a connection; its default [`SocketHalf::receive_message`] takes from bytes that it is told
    /// were received before, and with the whole message in them it never asks the socket.
    async fn parse(&mut self) -> Result<Message, LinkError> {
        let (sequence, mut fds) = (self.messages, Vec::new());
        self.messages += 1;
        let parsed = Ended
            .receive_message(sequence, &mut self.received, &mut fds)
            .await;
        if self.received.is_empty() && self.received.capacity() > CHUNK_BYTES {
            self.received = Vec::new();
        }
        parsed.map_err(|error| LinkError::Invalid(error.to_string()))
    }
}

fn poll_chunk<R: AsyncRead>(
    stream: Pin<&mut R>,
    cx: &mut std::task::Context<'_>,
    received: &mut Vec<u8>,
) -> std::task::Poll<io::Result<usize>> {
    let mut chunk = [const { MaybeUninit::uninit() }; CHUNK_BYTES];
    let mut chunk = ReadBuf::uninit(&mut chunk);
    stream.poll_read(cx, &mut chunk).map_ok(|()| {
        received.extend_from_slice(chunk.filled());
        chunk.filled().len()
    })
}

/// The length of the message that begins with these bytes (D-Bus specification, "Message Format").
fn message_bytes(
    header: &[u8; PRIMARY_HEADER_BYTES],
    bytes_max: usize,
) -> Result<usize, LinkError> {
    let [
        endian,
        _,
        _,
        version,
        b0,
        b1,
        b2,
        b3,
        _,
        _,
        _,
        _,
        f0,
        f1,
        f2,
        f3,
    ] = *header;
    let number = match endian {
        b'l' => u32::from_le_bytes,
        b'B' => u32::from_be_bytes,
        other => {
            return Err(LinkError::Invalid(format!(
                "begins with byte {other:#04x} instead of 'l' or 'B'"
            )));
        }
    };
    if version != 1 {
        return Err(LinkError::Invalid(format!(
            "protocol version {version}, expected 1"
        )));
    }
    let (body, fields) = (number([b0, b1, b2, b3]), number([f0, f1, f2, f3]));
    let bytes = 16 + u64::from(fields).next_multiple_of(8) + u64::from(body);
    match usize::try_from(bytes) {
        Ok(length) if length <= bytes_max => Ok(length),
        Ok(_) | Err(_) => Err(LinkError::TooLong { bytes, bytes_max }),
    }
}

/// A socket from which nothing more comes.
#[derive(Debug)]
struct Ended;

#[async_trait]
impl SocketHalf for Ended {
    async fn recvmsg(&mut self, _: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        Ok((0, Vec::new()))
    }
}
