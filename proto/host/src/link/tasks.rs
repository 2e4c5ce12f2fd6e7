use std::{
    future::pending,
    io::{self, IoSlice},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::timeout,
};
use zbus::Message;

use super::{Limits, LinkEnded, LinkError, frame::Frames};
use crate::stream::BoxStream;

/// Messages given to the stream at once: as many as writev(2) takes in any case are 1024; more than
/// this gain nothing.
const BATCH_MESSAGES: usize = 64;

/// How far a link is on its way to its end. It only ever moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// In use.
    Open,
    /// Nothing more is queued or taken, what is queued is written.
    Draining,
    /// All is written; the peer is to read it and close.
    Written,
    /// Nothing more happens.
    Ended,
}

/// What sender, receiver and tasks of a link share.
#[derive(Debug)]
struct Shared {
    phase: watch::Sender<Phase>,
    error: Mutex<Option<LinkError>>,
    message_bytes_max: Arc<AtomicUsize>,
    queued_bytes: AtomicUsize,
    serial: AtomicU32,
    limits: Limits,
}

#[derive(Clone, Debug)]
pub(super) struct SendQueue {
    shared: Arc<Shared>,
    messages: mpsc::Sender<Message>,
}

#[derive(Debug)]
pub(super) struct ReceiveQueue {
    shared: Arc<Shared>,
    messages: mpsc::Receiver<(Message, OwnedSemaphorePermit)>,
}

pub(super) fn start(
    stream: BoxStream,
    received: Vec<u8>,
    limits: Limits,
) -> (SendQueue, ReceiveQueue) {
    let shared = Arc::new(Shared {
        phase: watch::Sender::new(Phase::Open),
        error: Mutex::new(None),
        message_bytes_max: Arc::new(AtomicUsize::new(limits.message_bytes_max)),
        queued_bytes: AtomicUsize::new(0),
        serial: AtomicU32::new(0),
        limits,
    });
    let (send, to_write) = mpsc::channel(limits.send_messages_max.max(1));
    let (from_reader, receive) = mpsc::channel(limits.receive_messages_max.max(1));
    let (read_half, write_half) = tokio::io::split(stream);
    tokio::spawn(read(Arc::clone(&shared), read_half, received, from_reader));
    tokio::spawn(write(Arc::clone(&shared), write_half, to_write));
    let send = SendQueue {
        shared: Arc::clone(&shared),
        messages: send,
    };
    (
        send,
        ReceiveQueue {
            shared,
            messages: receive,
        },
    )
}

impl Shared {
    /// Moves on, never back.
    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = *phase < to;
            *phase = to.max(*phase);
            later
        });
    }

    /// Ends the link for a reason; the first one counts. Nothing that breaks after the end was
    /// decided is a reason.
    fn fail(&self, error: LinkError) {
        if self.phase() == Phase::Open {
            let mut reason = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            reason.get_or_insert(error);
        }
        self.advance(Phase::Ended);
    }

    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Resolves once the link is at least in this phase.
    async fn reached(&self, phase: Phase) {
        if self
            .phase
            .subscribe()
            .wait_for(|now| *now >= phase)
            .await
            .is_err()
        {
            // Cannot be: the sender is in `self`.
            pending().await
        }
    }
}

impl SendQueue {
    pub(super) fn push(&self, message: Message) -> Result<(), LinkEnded> {
        if self.shared.phase() != Phase::Open {
            return Err(LinkEnded);
        }
        let (bytes, bytes_max) = (message.data().len(), self.shared.limits.send_bytes_max);
        let queued = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = queued == 0 || queued.saturating_add(bytes) <= bytes_max;
        if fits && self.messages.try_send(message).is_ok() {
            return Ok(());
        }
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let (messages, bytes) = self.queued();
        self.shared.fail(LinkError::SlowReader { messages, bytes });
        Err(LinkEnded)
    }

    pub(super) fn next_serial(&self) -> NonZeroU32 {
        // Zero is no serial, so one number is skipped each time around.
        loop {
            let serial = self.shared.serial.fetch_add(1, Ordering::Relaxed);
            if let Some(serial) = NonZeroU32::new(serial.wrapping_add(1)) {
                return serial;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn set_serial(&self, last: u32) {
        self.shared.serial.store(last, Ordering::Relaxed);
    }

    pub(super) fn set_message_bytes_max(&self, bytes_max: usize) {
        self.shared
            .message_bytes_max
            .store(bytes_max, Ordering::Relaxed);
    }

    pub(super) fn close(&self) {
        self.shared.advance(Phase::Draining);
    }

    pub(super) async fn written(&self) {
        self.shared.reached(Phase::Written).await;
    }

    pub(super) fn abort(&self) {
        self.shared.advance(Phase::Ended);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.phase() != Phase::Open
    }

    pub(super) fn queued(&self) -> (usize, usize) {
        let messages = self.messages.max_capacity() - self.messages.capacity();
        (messages, self.shared.queued_bytes.load(Ordering::Relaxed))
    }
}

impl ReceiveQueue {
    pub(super) async fn pop(&mut self) -> Option<Result<Message, LinkError>> {
        match self.messages.recv().await {
            Some((message, _permit)) => Some(Ok(message)),
            None => {
                let mut reason = self
                    .shared
                    .error
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                reason.take().map(Err)
            }
        }
    }
}

/// The reader: messages of the peer into the queue, until the link ends.
async fn read(
    shared: Arc<Shared>,
    stream: ReadHalf<BoxStream>,
    received: Vec<u8>,
    queue: mpsc::Sender<(Message, OwnedSemaphorePermit)>,
) {
    let mut frames = Frames::new(stream, received, Arc::clone(&shared.message_bytes_max));
    let room = Arc::new(Semaphore::new(shared.limits.receive_bytes_max.max(1)));
    let all = async {
        loop {
            let message = match frames.next().await {
                Ok(Some(message)) => message,
                Ok(None) => return shared.advance(Phase::Ended),
                Err(error) => return shared.fail(error),
            };
            // A message longer than all the room waits until nothing else is in it.
            let bytes = message
                .data()
                .len()
                .min(shared.limits.receive_bytes_max.max(1));
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let Ok(permit) = Arc::clone(&room).acquire_many_owned(bytes).await else {
                return;
            };
            if queue.send((message, permit)).await.is_err() {
                // The receiver was dropped. Senders may go on.
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = shared.reached(Phase::Draining) => {}
        () = all => {}
    }
    drop(queue);
    // TCP answers bytes that nobody reads with a reset, which throws away what the peer has not
    // read yet: perhaps the error that says why we close. So they are read, until the peer closes.
    tokio::select! {
        biased;
        () = shared.reached(Phase::Ended) => {}
        () = frames.discard() => {
            if shared.phase() != Phase::Open {
                shared.reached(Phase::Written).await;
            }
            shared.advance(Phase::Ended);
        }
    }
}

/// The writer: queued messages to the peer, until the link ends or nobody can queue any more.
async fn write(
    shared: Arc<Shared>,
    mut stream: WriteHalf<BoxStream>,
    mut queue: mpsc::Receiver<Message>,
) {
    let all = async {
        let mut batch = Vec::new();
        loop {
            let count = tokio::select! {
                biased;
                count = queue.recv_many(&mut batch, BATCH_MESSAGES) => count,
                // Only when the queue is empty: what was queued before the close is written.
                () = shared.reached(Phase::Draining) => 0,
            };
            if count == 0 {
                shared.advance(Phase::Draining);
                stream.shutdown().await?;
                shared.advance(Phase::Written);
                // The peer closes when it has read all, or the time is over.
                return pending::<io::Result<()>>().await;
            }
            write_batch(&mut stream, &batch).await?;
            let bytes: usize = batch.drain(..).map(|message| message.data().len()).sum();
            shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    };
    let overdue = async {
        shared.reached(Phase::Draining).await;
        let _ = timeout(shared.limits.drain, shared.reached(Phase::Ended)).await;
    };
    tokio::select! {
        biased;
        () = overdue => {}
        Err(error) = all => shared.fail(LinkError::Write(Arc::new(error))),
    }
    shared.advance(Phase::Ended);
}

/// Writes messages with as few calls as the stream allows.
async fn write_batch(stream: &mut (impl AsyncWrite + Unpin), batch: &[Message]) -> io::Result<()> {
    let mut slices: Vec<_> = batch.iter().map(|m| IoSlice::new(m.data())).collect();
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        match stream.write_vectored(left).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut left, written),
        }
    }
    stream.flush().await
}
