//! The socket on which helpers (`unitlink-proxy`) ask for units of other nodes. Each connection is
//! a task of its own that carries lines; what they mean is the core's.

pub(crate) mod line;

use std::{io, sync::Arc};

use host::stream::{BoxStream, Identity, Listener};
use node::{FromHelper, HelperAnswer, Waiter, limits::WAITERS_MAX};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tracing::{debug, warn};

use crate::limits::{HELPER_ANSWERS_MAX, HELPER_PATIENCE, LINE_BYTES_MAX};

/// What comes from helpers.
#[derive(Debug)]
pub(crate) enum HelperEvent {
    /// A helper asks; answers go into the channel.
    Asks {
        waiter: Waiter,
        request: FromHelper,
        answers: mpsc::Sender<HelperAnswer>,
    },
    /// It has gone without an answer.
    Gone(Waiter),
}

/// Accepts helpers until nobody listens to the events any more. `uid` is our own user.
pub(crate) async fn accept(listener: Listener, uid: u32, events: mpsc::Sender<HelperEvent>) {
    // Those beyond the bound wait in the kernel's queue, not in our memory.
    let room = Arc::new(Semaphore::new(WAITERS_MAX));
    let mut next = 0_u64;
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = events.closed() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, identity) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "failed to accept a helper, trying again");
                continue;
            }
        };
        if !is_allowed(&identity, uid) {
            warn!(peer = %identity, "refused a helper of another user");
            continue;
        }
        next = next.saturating_add(1);
        let (waiter, events) = (Waiter(next), events.clone());
        tokio::spawn(async move {
            if let Err(error) = serve(stream, waiter, &events).await {
                debug!(peer = %identity, %error, "lost a helper");
            }
            drop(permit);
        });
    }
}

fn is_allowed(identity: &Identity, uid: u32) -> bool {
    identity.uid().is_some_and(|peer| peer == 0 || peer == uid)
}

/// Carries the lines of one helper.
async fn serve(
    stream: BoxStream,
    waiter: Waiter,
    events: &mpsc::Sender<HelperEvent>,
) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(LINE_BYTES_MAX, stream);
    let request = timeout(HELPER_PATIENCE, read_request(&mut stream)).await??;
    let (answers, mut answered) = mpsc::channel(HELPER_ANSWERS_MAX);
    let asks = HelperEvent::Asks {
        waiter,
        request,
        answers,
    };
    if events.send(asks).await.is_err() {
        return Ok(());
    }
    let carried = carry(&mut stream, &mut answered).await;
    // Where the last answer was given, the core has forgotten it already, which is harmless.
    let _ = events.send(HelperEvent::Gone(waiter)).await;
    carried
}

async fn read_request(stream: &mut BufReader<BoxStream>) -> io::Result<FromHelper> {
    let mut line = Vec::new();
    let bytes_max = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    stream.take(bytes_max).read_until(b'\n', &mut line).await?;
    match line.pop() {
        Some(b'\n') => line::parse(&line).map_err(io::Error::other),
        Some(_) => Err(io::Error::other("a line has no end, or too many bytes")),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Writes answers until the last one, or until the helper has gone.
async fn carry(
    stream: &mut BufReader<BoxStream>,
    answered: &mut mpsc::Receiver<HelperAnswer>,
) -> io::Result<()> {
    loop {
        let mut more = [0; 1];
        let answer = tokio::select! {
            answer = answered.recv() => answer,
            read = stream.read(&mut more) => {
                return match read? {
                    0 => Ok(()),
                    _ => Err(io::Error::other("more than one line came")),
                };
            }
        };
        let Some(answer) = answer else {
            return Ok(());
        };
        timeout(
            HELPER_PATIENCE,
            stream.write_all(line::write(&answer).as_bytes()),
        )
        .await??;
        match answer {
            HelperAnswer::Wait { .. } => {}
            HelperAnswer::Up | HelperAnswer::Done | HelperAnswer::Failed(_) => {
                return stream.shutdown().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    fn serving() -> (DuplexStream, mpsc::Receiver<HelperEvent>) {
        let (ours, theirs) = duplex(4096);
        let (events, receiver) = mpsc::channel(16);
        tokio::spawn(async move { serve(Box::new(ours), Waiter(1), &events).await });
        (theirs, receiver)
    }

    #[tokio::test(start_paused = true)]
    async fn a_helper_is_answered_and_closed() {
        let (mut helper, mut events) = serving();
        helper.write_all(b"need p 1\n").await.expect("written");
        let Some(HelperEvent::Asks {
            answers,
            request: FromHelper::Asks { proxy, token },
            ..
        }) = events.recv().await
        else {
            panic!("no request");
        };
        assert_eq!((proxy.as_str(), token.as_str()), ("p", "1"));
        answers.send(HelperAnswer::Up).await.expect("taken");
        let mut text = String::new();
        helper.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "up\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_helper_that_leaves_is_gone() {
        let (mut helper, mut events) = serving();
        helper.write_all(b"need p 1\n").await.expect("written");
        let asks = events.recv().await;
        drop(helper);
        assert!(
            matches!(events.recv().await, Some(HelperEvent::Gone(Waiter(1)))),
            "{asks:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_helper_that_says_nothing_or_too_much_is_dropped() {
        let (mut silent, mut events) = serving();
        assert_eq!(silent.read(&mut [0; 1]).await.expect("closed"), 0);
        assert!(events.recv().await.is_none());
        let (mut long, mut events) = serving();
        long.write_all(&[b'x'; 2000]).await.expect("written");
        assert!(events.recv().await.is_none());
    }

    #[test]
    fn only_root_and_the_agents_own_user_may_ask() {
        let of = |uid| Identity::Unix {
            uid,
            gid: 0,
            pid: None,
        };
        assert!(is_allowed(&of(0), 7) && is_allowed(&of(7), 7) && !is_allowed(&of(8), 7));
    }
}
