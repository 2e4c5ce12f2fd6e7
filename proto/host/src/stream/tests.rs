use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::address::{Address, ListenAddress};

const WAIT: Duration = Duration::from_secs(20);

/// A path for one test, in a folder that is removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("host-stream-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("created");
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("s")
    }

    fn listen(&self) -> Result<Listener, ListenError> {
        let address = ListenAddress::unix(self.socket()).expect("valid");
        Listener::bind(&address, UnixOptions::default(), 16, TcpOptions::default())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn listen_tcp(address: &str) -> Listener {
    let address = ListenAddress::Tcp(address.parse().expect("valid"));
    Listener::bind(&address, UnixOptions::default(), 16, TcpOptions::default()).expect("listens")
}

async fn connect_to(address: &str) -> Result<(BoxStream, Identity), ConnectError> {
    let address: Address = address.parse().expect("valid");
    connect(&address, WAIT, &TcpOptions::default()).await
}

async fn passes_bytes(mut from: BoxStream, mut to: BoxStream) {
    from.write_all(b"hello").await.expect("written");
    let mut bytes = [0; 5];
    to.read_exact(&mut bytes).await.expect("read");
    assert_eq!(&bytes, b"hello");
}

#[tokio::test]
async fn a_unix_peer_is_known_by_its_credentials() {
    let folder = Folder::new();
    let listener = folder.listen().expect("listens");
    let mode = fs::metadata(folder.socket())
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let ours = format!("unix:path={}", folder.socket().display());
    let (client, server) = connect_to(&ours).await.expect("connected");
    let (stream, peer) = listener.accept().await.expect("accepted");
    let pid = i32::try_from(std::process::id()).expect("a pid");
    for identity in [server, peer] {
        assert_eq!(identity.uid(), Some(rustix::process::geteuid().as_raw()));
        assert!(matches!(identity, Identity::Unix { pid: Some(it), .. } if it == pid));
    }
    passes_bytes(client, stream).await;
}

#[tokio::test]
async fn a_socket_in_use_is_left_alone_and_a_stale_one_replaced() {
    let folder = Folder::new();
    let first = folder.listen().expect("listens");
    assert!(matches!(folder.listen(), Err(ListenError::InUse(_))));
    drop(first);
    assert!(!folder.socket().exists());
    // As a killed daemon leaves it.
    drop(std::os::unix::net::UnixListener::bind(folder.socket()).expect("bound"));
    assert!(folder.socket().exists());
    assert!(folder.listen().is_ok());
}

#[tokio::test]
async fn what_is_no_socket_is_never_removed() {
    let folder = Folder::new();
    fs::write(folder.socket(), "precious").expect("written");
    assert!(matches!(folder.listen(), Err(ListenError::NotASocket(_))));
    assert!(folder.socket().exists());
}

#[tokio::test]
async fn a_socket_that_another_daemon_has_bound_since_is_not_removed() {
    let folder = Folder::new();
    let first = folder.listen().expect("listens");
    fs::remove_file(folder.socket()).expect("removed");
    let second = folder.listen().expect("listens");
    let inode = fs::metadata(folder.socket()).expect("there").ino();
    drop(first);
    assert_eq!(
        fs::metadata(folder.socket()).expect("still there").ino(),
        inode
    );
    drop(second);
    assert!(!folder.socket().exists());
}

#[tokio::test]
async fn all_addresses_take_ipv4_as_well() {
    let listener = listen_tcp("[::]:0");
    let port = listener.tcp_address().expect("of TCP").port();
    let (client, _) = connect_to(&format!("tcp:host=127.0.0.1,port={port}"))
        .await
        .expect("connected");
    let (stream, peer) = listener.accept().await.expect("accepted");
    assert!(peer.to_string().starts_with("127.0.0.1:"), "{peer}");
    passes_bytes(stream, client).await;
}

#[tokio::test]
async fn every_address_of_a_host_name_is_tried() {
    // `localhost` has ::1 and 127.0.0.1 in most places; only one of them listens.
    let listener = listen_tcp("127.0.0.1:0");
    let port = listener.tcp_address().expect("of TCP").port();
    let (client, server) = connect_to(&format!("tcp:host=localhost,port={port}"))
        .await
        .expect("connected");
    assert_eq!(server.to_string(), format!("127.0.0.1:{port}"));
    let (stream, _) = listener.accept().await.expect("accepted");
    passes_bytes(client, stream).await;
}

#[tokio::test]
async fn a_connection_that_is_refused_says_where() {
    let listener = listen_tcp("127.0.0.1:0");
    let port = listener.tcp_address().expect("of TCP").port();
    drop(listener);
    let error = connect_to(&format!("tcp:host=127.0.0.1,port={port}"))
        .await
        .err()
        .expect("refused");
    assert_eq!(
        error.to_string(),
        format!("failed to connect to 127.0.0.1:{port}")
    );
    let error = connect_to("unix:path=/nowhere/s")
        .await
        .err()
        .expect("not there");
    assert_eq!(
        error.to_string(),
        "failed to connect to unix:path=/nowhere/s"
    );
}

#[tokio::test]
async fn a_connection_has_its_options() {
    let listener = listen_tcp("127.0.0.1:0");
    let address = listener.tcp_address().expect("of TCP");
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    let options = TcpOptions::default();
    options.apply(&stream).expect("applied");
    let socket = SockRef::from(&stream);
    assert!(socket.tcp_nodelay().expect("known"));
    assert_eq!(
        socket.tcp_keepalive_time().expect("known"),
        options.keepalive_idle
    );
    assert_eq!(
        socket.tcp_keepalive_interval().expect("known"),
        options.keepalive_interval
    );
    assert_eq!(
        socket.tcp_keepalive_retries().expect("known"),
        options.keepalive_count
    );
    assert_eq!(
        socket.tcp_user_timeout().expect("known"),
        Some(options.user_timeout)
    );
}

#[tokio::test]
async fn a_passed_socket_listens_and_stays() {
    let folder = Folder::new();
    let systemd = std::os::unix::net::UnixListener::bind(folder.socket()).expect("bound");
    let fd = systemd.try_clone().expect("cloned").into();
    let listener = Listener::passed(fd, TcpOptions::default()).expect("a listener");
    let ours = format!("unix:path={}", folder.socket().display());
    let (client, _) = connect_to(&ours).await.expect("connected");
    let (stream, _) = listener.accept().await.expect("accepted");
    passes_bytes(client, stream).await;
    drop(listener);
    assert!(folder.socket().exists());
}

#[tokio::test]
async fn what_does_not_listen_is_not_taken() {
    let file = fs::File::open("/dev/null").expect("opened");
    let refused = Listener::passed(file.into(), TcpOptions::default());
    assert!(matches!(refused, Err(ListenError::NotListening)));
    let (stream, _other) = std::os::unix::net::UnixStream::pair().expect("paired");
    let refused = Listener::passed(stream.into(), TcpOptions::default());
    assert!(matches!(refused, Err(ListenError::NotListening)));
}

#[tokio::test]
async fn an_address_that_is_not_there_yet_is_waited_for() {
    // Of the ranges for documentation (RFC 5737, RFC 3849): no machine has them.
    for text in ["192.0.2.7:0", "[2001:db8::7]:0"] {
        let listener = listen_tcp(text);
        let address = listener.tcp_address().expect("of TCP");
        assert_eq!(listener.address(), Some(ListenAddress::Tcp(address)));
    }
}
