//! A daemon whose descriptors have run out goes on accepting once it has some again. This changes a
//! limit of the process, so it is alone in it.

use std::{fs::File, time::Duration};

use host::{
    address::{Address, ListenAddress},
    limits::ACCEPT_PAUSE,
    stream::{Listener, TcpOptions, UnixOptions, connect},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

#[tokio::test]
async fn accepting_survives_want_of_descriptors_without_a_busy_loop() {
    let path = std::env::temp_dir().join(format!("host-descriptors-{}", std::process::id()));
    let address = ListenAddress::unix(&path).expect("valid");
    let listener = Listener::bind(&address, UnixOptions::default(), 16, TcpOptions::default());
    let listener = listener.expect("listens");
    let wait = Duration::from_secs(20);
    let client = connect(&Address::Unix(path), wait, &TcpOptions::default()).await;
    let _client = client.expect("connected");

    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(64),
            maximum,
        },
    )
    .expect("set");
    let files: Vec<_> = (0..64)
        .map_while(|_| File::open("/dev/null").ok())
        .collect();
    let begun = Instant::now();
    for _ in 0..2 {
        let error = listener
            .accept()
            .await
            .err()
            .expect("no descriptor is left");
        assert_eq!(
            error.raw_os_error(),
            Some(rustix::io::Errno::MFILE.raw_os_error())
        );
    }
    assert!(begun.elapsed() >= 2 * ACCEPT_PAUSE);

    drop(files);
    assert!(listener.accept().await.is_ok());
}
