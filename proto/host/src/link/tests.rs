mod bounds;
mod ends;

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use proptest::prelude::*;

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
