use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::LinkError;
use crate::{
    limits::HANDSHAKE_BYTES_MAX,
    sasl::{Client, Guid, Peer, Server},
    stream::{BoxStream, Identity},
};

/// A stream whose handshake is done, and what was read beyond it.
type Shaken = (BoxStream, Vec<u8>);

pub(super) async fn serve(
    mut stream: BoxStream,
    identity: &Identity,
    guid: Guid,
    allowed: impl Fn(u32) -> bool,
    wait: Duration,
) -> Result<Shaken, LinkError> {
    let peer = match identity.uid() {
        Some(uid) => Peer::Local {
            uid,
            allowed: allowed(uid),
        },
        None => Peer::Remote,
    };
    let mut server = Server::new(guid, peer);
    within(wait, async {
        loop {
            let step = server.feed(&read(&mut stream).await?);
            write(&mut stream, &step.write).await?;
            if let Some(done) = step.done {
                return Ok((stream, done?.rest));
            }
        }
    })
    .await
}

pub(super) async fn connect(mut stream: BoxStream, wait: Duration) -> Result<Shaken, LinkError> {
    let mut client = Client::external(rustix::process::geteuid().as_raw());
    within(wait, async {
        write(&mut stream, client.first()).await?;
        loop {
            let step = client.feed(&read(&mut stream).await?);
            write(&mut stream, &step.write).await?;
            if let Some(rest) = step.done {
                return Ok((stream, rest?));
            }
        }
    })
    .await
}

async fn within<T>(
    wait: Duration,
    work: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    timeout(wait, work)
        .await
        .unwrap_or(Err(LinkError::HandshakeTimeout(wait)))
}

async fn read(stream: &mut BoxStream) -> Result<Vec<u8>, LinkError> {
    let mut bytes = Vec::with_capacity(HANDSHAKE_BYTES_MAX);
    match stream.read_buf(&mut bytes).await {
        Ok(0) => Err(LinkError::HandshakeClosed),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            Err(LinkError::HandshakeClosed)
        }
        Err(error) => Err(LinkError::Read(Arc::new(error))),
    }
}

async fn write(stream: &mut BoxStream, bytes: &[u8]) -> Result<(), LinkError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    written
        .await
        .map_err(|error| LinkError::Write(Arc::new(error)))
}
