use std::net::SocketAddr;

use host::{
    link::{Limits, Link},
    sasl::{Client, Guid, Peer, Server},
    stream::Identity,
};
use tokio::{
    io::{AsyncWriteExt, duplex},
    runtime::Builder,
    task::yield_now,
};

/// Bytes of a message that are allowed: few, so that the bound is reached.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Bytes that a peer says at most.
const BYTES_MAX: usize = 32 * 1024;

/// Whatever a peer says, in the handshake and after it, is a message or ends the link, and it makes
/// no difference in which pieces it arrives.
pub fn link(bytes: &[u8]) {
    let [size, who, said @ ..] = bytes else {
        return;
    };
    let said = said.get(..BYTES_MAX).unwrap_or(said);
    let piece = usize::from(*size).max(1);
    let peer = match who % 3 {
        0 => Peer::Local {
            uid: 0,
            allowed: true,
        },
        1 => Peer::Local {
            uid: 0,
            allowed: false,
        },
        _ => Peer::Remote,
    };
    let guid = || Guid::from_bits(1);
    let handshake = |piece: usize| {
        let mut server = Server::new(guid(), peer);
        let mut written = Vec::new();
        for piece in said.chunks(piece) {
            let step = server.feed(piece);
            written.extend(step.write);
            if let Some(done) = step.done {
                return (written, Some(done.map(|done| done.mechanism)));
            }
        }
        (written, None)
    };
    assert_eq!(handshake(piece).1, handshake(BYTES_MAX).1);
    let mut client = Client::external(0);
    for piece in said.chunks(piece) {
        if client.feed(piece).done.is_some() {
            break;
        }
    }
    assert_eq!(talk(said, piece), talk(said, BYTES_MAX));
}

/// What a link makes of it: its messages, and how it ended.
fn talk(said: &[u8], piece: usize) -> Vec<String> {
    let Ok(runtime) = Builder::new_current_thread().enable_time().build() else {
        return Vec::new();
    };
    runtime.block_on(async {
        let (ours, mut theirs) = duplex(2 * BYTES_MAX);
        let limits = Limits {
            message_bytes_max: MESSAGE_BYTES_MAX,
            ..Limits::UNREGISTERED
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut link = Link::start(
            Box::new(ours),
            Identity::Tcp { address },
            Vec::new(),
            limits,
        );
        let talk = async {
            for piece in said.chunks(piece) {
                if theirs.write_all(piece).await.is_err() {
                    break;
                }
                yield_now().await;
            }
            drop(theirs);
        };
        let listen = async {
            let mut heard = Vec::new();
            while let Some(next) = link.receiver.recv().await {
                heard.push(match next {
                    Ok(message) => format!("{message:?}, {} bytes", message.data().len()),
                    Err(error) => error.to_string(),
                });
            }
            heard
        };
        tokio::join!(talk, listen).1
    })
}
