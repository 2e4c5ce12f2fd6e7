//! How a link ends.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_was_queued_before_a_close_is_written() {
    let (mut link, mut peer) = link(Limits::TRUSTED);
    for n in 1..=100 {
        link.sender.try_send(message(n, 1000)).expect("open");
    }
    link.sender.close();
    assert_eq!(link.sender.try_send(message(101, 1)), Err(LinkEnded));
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.expect("read");
    assert_eq!(
        bytes.len(),
        (1..=100)
            .map(|n| message(n, 1000).data().len())
            .sum::<usize>()
    );
    assert!(end(&mut link).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn that_all_is_written_is_waited_for_and_not_that_it_is_read() {
    let (short, _peer) = link(Limits::TRUSTED);
    short.sender.try_send(message(1, 1000)).expect("open");
    short.sender.close();
    short.sender.written().await;

    let (long, mut peer) = link(Limits::TRUSTED);
    long.sender.try_send(message(1, 6000)).expect("open");
    long.sender.close();
    let soon = Limits::TRUSTED.drain / 2;
    let waited = tokio::time::timeout(soon, long.sender.written()).await;
    assert!(waited.is_err(), "more than the stream takes at once");
    let mut bytes = Vec::new();
    let (read, ()) = tokio::join!(peer.read_to_end(&mut bytes), long.sender.written());
    assert_eq!(read.expect("read"), message(1, 6000).data().len());

    let (broken, _peer) = link(Limits::TRUSTED);
    broken.sender.try_send(message(1, 6000)).expect("open");
    broken.sender.abort();
    broken.sender.written().await;
}

#[tokio::test]
async fn the_last_word_is_not_lost_to_what_nobody_reads() {
    let (link, mut peer) = tcp_link().await;
    let last = message(1, 1000);
    peer.write_all(&[message(2, 5000).data().to_vec(), vec![b'l'; 5]].concat())
        .await
        .expect("written");
    link.sender.try_send(last.clone()).expect("open");
    link.sender.close();
    // Still talking, as a peer does that has not seen the close.
    for _ in 0..10 {
        peer.write_all(message(3, 1000).data())
            .await
            .expect("nobody resets");
        tokio::task::yield_now().await;
    }
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.expect("no reset");
    assert_eq!(bytes, last.data().to_vec());
}

#[tokio::test(start_paused = true)]
async fn a_link_whose_receiver_is_gone_still_notices_its_peer_leave() {
    let (
        Link {
            sender, receiver, ..
        },
        mut peer,
    ) = link(Limits::TRUSTED);
    drop(receiver);
    peer.write_all(message(1, 100_000).data())
        .await
        .expect("read by nobody, but read");
    assert!(!sender.is_closed());
    drop(peer);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(sender.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_for_nobody_for_long() {
    let (mut link, mut peer) = link(Limits::TRUSTED);
    link.sender.try_send(message(1, 100_000)).expect("open");
    let begun = Instant::now();
    link.sender.close();
    assert!(end(&mut link).await.is_none());
    tokio::time::sleep(Limits::TRUSTED.drain).await;
    assert!(begun.elapsed() <= 2 * Limits::TRUSTED.drain);
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.expect("closed");
    assert!(bytes.len() < 100_000);
}

#[tokio::test(start_paused = true)]
async fn a_link_whose_senders_are_gone_ends() {
    let (
        Link {
            sender,
            receiver: _receiver,
            ..
        },
        mut peer,
    ) = link(Limits::TRUSTED);
    sender.try_send(message(1, 1)).expect("open");
    drop(sender);
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.expect("closed");
    assert_eq!(bytes, message(1, 1).data().to_vec());
}
