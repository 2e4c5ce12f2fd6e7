//! What is too long, too much or no message at all.

use super::*;
use test_case::test_case;

/// A primary header that promises this many bytes of body and fields.
fn promise(body: u32, fields: u32) -> Vec<u8> {
    let mut header = vec![b'l', 1, 0, 1];
    header.extend(body.to_le_bytes());
    header.extend(1u32.to_le_bytes());
    header.extend(fields.to_le_bytes());
    header
}

#[test_case(&promise(16 * 1024, 0), "message has 16400 bytes, 16384 are allowed")]
#[test_case(&promise(128 * 1024 * 1024, 8), "message has 134217752 bytes, 16384 are allowed"; "as long as D-Bus allows")]
#[test_case(&promise(u32::MAX, u32::MAX), "message has 8589934607 bytes, 16384 are allowed"; "as long as can be said")]
#[test_case(
    b"GET / HTTP/1.1\r\n",
    "peer sent no valid D-Bus message: begins with byte 0x47 instead of 'l' or 'B'"
)]
#[test_case(
    b"l\x01\0\x02aaaaaaaaaaaa",
    "peer sent no valid D-Bus message: protocol version 2, expected 1"
)]
#[test_case(b"l\x01", "peer closed the connection in the middle of a message")]
#[tokio::test]
async fn what_is_no_message_ends_the_link(bytes: &[u8], text: &str) {
    let (mut link, mut peer) = link(Limits::UNREGISTERED);
    peer.write_all(bytes).await.expect("written");
    peer.shutdown().await.expect("shut down");
    assert_eq!(end_text(&mut link).await, text);
    assert_eq!(link.sender.try_send(message(1, 1)), Err(LinkEnded));
}

#[tokio::test]
async fn a_registered_peer_may_say_more() {
    let (mut link, mut peer) = link(Limits::UNREGISTERED);
    link.sender
        .set_message_bytes_max(Limits::REGISTERED_BYTES_MAX);
    let long = message(1, 3_000_000);
    let (written, received) = tokio::join!(peer.write_all(long.data()), next(&mut link));
    written.expect("written");
    assert_eq!(received.data().len(), long.data().len());
    link.sender.set_message_bytes_max(1024);
    peer.write_all(message(2, 1024).data())
        .await
        .expect("written");
    assert!(end_text(&mut link).await.ends_with("1024 are allowed"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_cut_off_by_the_count_of_messages() {
    let limits = Limits {
        send_messages_max: 10,
        ..Limits::TRUSTED
    };
    let (mut link, _peer) = link(limits);
    let sent = (1..)
        .take_while(|n| link.sender.try_send(message(*n, 3000)).is_ok())
        .count();
    assert_eq!(sent, 10);
    assert!(link.sender.is_closed());
    let error = end(&mut link).await;
    assert!(
        matches!(error, Some(LinkError::SlowReader { messages: 10, .. })),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_cut_off_by_bytes_but_one_message_always_fits() {
    let limits = Limits {
        send_bytes_max: 10_000,
        ..Limits::TRUSTED
    };
    let (mut link, _peer) = link(limits);
    link.sender
        .try_send(message(1, 50_000))
        .expect("fits alone");
    assert_eq!(link.sender.try_send(message(2, 1)), Err(LinkEnded));
    assert!(matches!(
        end(&mut link).await,
        Some(LinkError::SlowReader { messages: 1, .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_slow_receiver_slows_down_the_peer_and_loses_nothing() {
    let limits = Limits {
        receive_messages_max: 2,
        receive_bytes_max: 500,
        ..Limits::TRUSTED
    };
    let (mut link, mut peer) = link(limits);
    let write = tokio::spawn(async move {
        for n in 1..=500 {
            peer.write_all(message(n, 1000).data())
                .await
                .expect("written");
        }
    });
    // Time is paused, so this sleep ends once nobody can do anything more.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!write.is_finished());
    for expected in 1..=500 {
        assert_eq!(number(&next(&mut link).await), expected);
    }
    assert!(end(&mut link).await.is_none());
}
