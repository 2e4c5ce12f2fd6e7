use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use proptest::prelude::*;
use test_case::test_case;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::{TcpListener, TcpStream, UnixStream},
    time::Instant,
};
use zbus::{message::Type, wire::Endian};

use super::*;

const METHOD: Method<'static> = Method {
    destination: None,
    path: "/a",
    interface: "a.B",
    member: "C",
};

fn identity() -> Identity {
    Identity::Tcp {
        address: SocketAddr::from(([127, 0, 0, 1], 1)),
    }
}

fn guid() -> Guid {
    Guid::from_bits(1)
}

/// A link over TCP, and the bare stream of its peer.
async fn tcp_link() -> (Link, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let (peer, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (stream, _) = accepted.expect("accepted");
    let link = Link::start(Box::new(stream), identity(), Vec::new(), Limits::TRUSTED);
    (link, peer.expect("connected"))
}

/// A link, and the bare stream of its peer.
fn link(limits: Limits) -> (Link, DuplexStream) {
    let (ours, theirs) = duplex(4096);
    (
        Link::start(Box::new(ours), identity(), Vec::new(), limits),
        theirs,
    )
}

fn serial(number: u32) -> CallSerial {
    CallSerial(NonZeroU32::new(number).expect("not zero"))
}

/// A call with a body of this many bytes.
fn message(number: u32, bytes: usize) -> Message {
    call(serial(number), METHOD, &vec![7u8; bytes]).expect("valid")
}

fn number(message: &Message) -> u32 {
    message.primary_header().serial_num().get()
}

async fn next(link: &mut Link) -> Message {
    link.receiver.recv().await.expect("open").expect("valid")
}

/// What ends the link, after all messages.
async fn end(link: &mut Link) -> Option<LinkError> {
    loop {
        match link.receiver.recv().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                assert!(
                    link.receiver.recv().await.is_none(),
                    "an error is told once"
                );
                return Some(error);
            }
            None => return None,
        }
    }
}

async fn end_text(link: &mut Link) -> String {
    end(link).await.expect("an error").to_string()
}

#[tokio::test(start_paused = true)]
async fn both_sides_shake_hands_and_talk() {
    let (a, b) = duplex(64);
    let serve = Link::serve(
        Box::new(a),
        identity(),
        guid(),
        |_| true,
        Limits::UNREGISTERED,
    );
    let connect = Link::connect(Box::new(b), identity(), Limits::TRUSTED);
    let (mut server, mut client) = tokio::try_join!(serve, connect).expect("connected");

    let asked = client.sender.next_serial();
    client
        .sender
        .try_send(call(asked, METHOD, &("x", 5u32)).expect("valid"))
        .expect("open");
    let request = next(&mut server).await;
    assert_eq!(
        request.body().deserialize::<(String, u32)>().expect("fits"),
        ("x".to_owned(), 5)
    );
    assert!(expects_reply(&request));
    server
        .sender
        .try_send(reply(&request, &"fine").expect("valid"))
        .expect("open");
    server
        .sender
        .try_send(error(&request, "no name", "why").expect("valid"))
        .expect("open");
    server
        .sender
        .try_send(signal("/a", "a.B", "D", &()).expect("valid"))
        .expect("open");

    let answer = next(&mut client).await;
    assert_eq!(
        (answers(&answer), answer.message_type()),
        (Some(asked), Type::MethodReturn)
    );
    let failure = next(&mut client).await;
    assert_eq!(
        (answers(&failure), failure.message_type()),
        (Some(asked), Type::Error)
    );
    let name = failure.header().error_name().map(ToString::to_string);
    assert_eq!(name.as_deref(), Some("org.freedesktop.DBus.Error.Failed"));
    assert_eq!(failure.body().deserialize::<String>().expect("fits"), "why");
    assert_eq!(answers(&next(&mut client).await), None);
}

#[test]
fn nobody_waits_for_the_answer_to_a_quiet_call() {
    assert!(!expects_reply(
        &call_quietly(serial(1), METHOD, &()).expect("valid")
    ));
    assert!(
        call(
            serial(1),
            Method {
                member: "no member",
                ..METHOD
            },
            &()
        )
        .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_dropped_after_the_time_of_the_handshake() {
    let (a, mut peer) = duplex(64);
    let begun = Instant::now();
    let served = Link::serve(
        Box::new(a),
        identity(),
        guid(),
        |_| true,
        Limits::UNREGISTERED,
    )
    .await;
    assert_eq!(
        served.expect_err("silent").to_string(),
        "handshake not finished within 10s"
    );
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    assert_eq!(peer.read(&mut [0; 1]).await.expect("closed"), 0);
}

#[tokio::test]
async fn a_user_who_may_not_is_rejected() {
    let (a, b) = duplex(64);
    let local = Identity::Unix {
        uid: 7,
        gid: 7,
        pid: None,
    };
    let serve = Link::serve(
        Box::new(a),
        local,
        guid(),
        |uid| uid == 0,
        Limits::UNREGISTERED,
    );
    let connect = Link::connect(Box::new(b), identity(), Limits::TRUSTED);
    let (served, connected) = tokio::join!(serve, connect);
    assert_eq!(
        served.expect_err("rejected").to_string(),
        "peer began without being authenticated"
    );
    assert_eq!(
        connected.expect_err("rejected").to_string(),
        "peer rejected us, it accepts: EXTERNAL ANONYMOUS"
    );
}

#[tokio::test]
async fn messages_arrive_in_order_however_they_are_cut() {
    let bytes: Vec<u8> = (1..=3)
        .flat_map(|n| message(n, 50).data().to_vec())
        .collect();
    for cut in 0..=bytes.len() {
        let (before, after) = bytes.split_at(cut);
        let (ours, mut theirs) = duplex(4096);
        let mut link = Link::start(
            Box::new(ours),
            identity(),
            before.to_vec(),
            Limits::UNREGISTERED,
        );
        theirs.write_all(after).await.expect("written");
        for expected in 1..=3 {
            assert_eq!(number(&next(&mut link).await), expected, "cut at {cut}");
        }
        drop(theirs);
        assert!(end(&mut link).await.is_none());
    }
}

#[tokio::test]
async fn big_endian_peers_are_understood() {
    let (mut link, mut peer) = link(Limits::UNREGISTERED);
    let call = Message::method_call("/a", "C")
        .endian(Endian::Big)
        .build(&("x", 5u32));
    let call = call.expect("valid");
    assert_eq!(call.data().first(), Some(&b'B'));
    peer.write_all(call.data()).await.expect("written");
    let body: (String, u32) = next(&mut link).await.body().deserialize().expect("fits");
    assert_eq!(body, ("x".to_owned(), 5));
}

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

#[tokio::test]
async fn the_stock_client_and_the_stock_server_of_zbus_are_understood() {
    let (a, b) = UnixStream::pair().expect("paired");
    let local = Identity::Unix {
        uid: rustix::process::geteuid().as_raw(),
        gid: 0,
        pid: None,
    };
    let serve = Link::serve(Box::new(a), local, guid(), |_| true, Limits::UNREGISTERED);
    let stock = zbus::connection::Builder::unix_stream(b.into_std().expect("a socket"))
        .p2p()
        .build();
    let (served, stock) = tokio::join!(serve, stock);
    let (mut link, stock) = (served.expect("served"), stock.expect("connected"));
    stock
        .emit_signal(None::<&str>, "/a", "a.B", "C", &"x")
        .await
        .expect("sent");
    assert_eq!(
        next(&mut link)
            .await
            .body()
            .deserialize::<String>()
            .expect("fits"),
        "x"
    );

    let (a, b) = UnixStream::pair().expect("paired");
    let connect = Link::connect(Box::new(a), identity(), Limits::TRUSTED);
    let stock = zbus::connection::Builder::unix_stream(b.into_std().expect("a socket"))
        .p2p()
        .server(zbus::Guid::generate());
    let (connected, stock) = tokio::join!(connect, stock.build());
    let (mut link, stock) = (connected.expect("connected"), stock.expect("served"));
    stock
        .emit_signal(None::<&str>, "/a", "a.B", "C", &"y")
        .await
        .expect("sent");
    assert_eq!(
        next(&mut link)
            .await
            .body()
            .deserialize::<String>()
            .expect("fits"),
        "y"
    );
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

#[tokio::test]
async fn serials_are_never_zero_and_not_given_twice() {
    let (link, _peer) = link(Limits::TRUSTED);
    let serials: Vec<_> = (0..3)
        .map(|_| link.sender.next_serial().number().get())
        .collect();
    assert_eq!(serials, [1, 2, 3]);
    link.sender.queue.set_serial(u32::MAX - 1);
    let serials: Vec<_> = (0..2)
        .map(|_| link.sender.next_serial().number().get())
        .collect();
    assert_eq!(serials, [u32::MAX, 1]);
}

proptest! {
    #[test]
    fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), whole: bool, flip in any::<(u8, u8)>()) {
        if whole {
            // A valid message with one byte changed is the more dangerous garbage.
            let mut valid = message(1, 40).data().to_vec();
            let place = usize::from(flip.0) % valid.len();
            if let Some(byte) = valid.get_mut(place) {
                *byte ^= flip.1;
            }
            bytes.splice(0..0, valid);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("built");
        runtime.block_on(async {
            let (ours, _theirs) = duplex(16);
            drop(_theirs);
            let mut link = Link::start(Box::new(ours), identity(), bytes, Limits::TRUSTED);
            while let Some(received) = link.receiver.recv().await {
                if let Ok(message) = received {
                    let _ = message.body().deserialize::<Vec<u8>>();
                    let _ = answers(&message);
                    let _ = reply(&message, &());
                    let _ = error(&message, "a.B", "c");
                }
            }
        });
    }
}
