//! Whoever can reach the controller's port can do it no harm.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::fleet::{Fleet, FleetBuilder};

use crate::peer::{Peer, announcement, job_done, job_of};
use crate::world::{SOON, await_status, configure, ctl_ok, ctl_says, scene, status, three};

const BEGUN: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

/// One more node is allowed: a guest that is no machine of the fleet.
fn layout() -> FleetBuilder {
    configure(three("withstand"), "guest", "[node.guest]\n")
}

fn journal(fleet: &Fleet) -> Result<String> {
    fleet.node("main").journal("unitlink-controller.service")
}

/// Lines of the controller's journal that name this peer.
fn lines_about(fleet: &Fleet, address: &str) -> Result<Vec<String>> {
    Ok(journal(fleet)?
        .lines()
        .filter(|line| line.contains(address))
        .map(str::to_owned)
        .collect())
}

/// All is as before: every node is online, was all the time, and questions are answered at once.
fn ensure_unharmed(fleet: &Fleet) -> Result<()> {
    let begun = Instant::now();
    ctl_ok(fleet, "status worker1 unitlink-agent.service")?;
    ensure!(
        begun.elapsed() < Duration::from_secs(2),
        "a question took {:?}",
        begun.elapsed()
    );
    for node in fleet.nodes() {
        ensure!(
            status(fleet, node.name()).as_deref() == Some("online"),
            "{} is offline",
            node.name()
        );
    }
    let journal = journal(fleet)?;
    ensure!(!journal.contains("offline"), "{journal}");
    let daemon = fleet
        .node("main")
        .property("unitlink-controller.service", "NRestarts")?;
    ensure!(daemon == "0", "the controller was restarted {daemon} times");
    Ok(())
}

/// Lets a peer do its worst; the controller closes the connection, says so in one line, and nobody
/// else notices.
fn closed_with_one_line(
    fleet: &Fleet,
    what: &str,
    worst: impl FnOnce(&mut Peer) -> Result<()>,
) -> Result<()> {
    let mut peer = Peer::connect(fleet)?;
    let address = peer.address()?;
    worst(&mut peer).with_context(|| what.to_owned())?;
    peer.read_to_end().with_context(|| what.to_owned())?;
    let is_told = || lines_about(fleet, &address).is_ok_and(|lines| !lines.is_empty());
    fleet
        .node("main")
        .wait_until(is_told, SOON)
        .with_context(|| format!("{what}: not a word in the journal"))?;
    ensure_unharmed(fleet).with_context(|| what.to_owned())?;
    let lines = lines_about(fleet, &address)?;
    ensure!(lines.len() == 1, "{what}: {lines:#?}");
    Ok(())
}

#[test]
fn peers_that_do_not_speak_the_protocol_are_closed_with_one_line_each() {
    scene(layout(), |fleet| {
        closed_with_one_line(fleet, "a browser", |peer| {
            peer.write(b"GET / HTTP/1.1\r\nHost: main\r\n\r\n")
        })?;
        closed_with_one_line(fleet, "noise", |peer| {
            peer.write(&[0xff_u8, 0xfe, 0x00, 0x16, 0x03, 0x01].repeat(2000))
        })?;
        closed_with_one_line(fleet, "an endless line", |peer| {
            peer.write(b"\0AUTH ")?;
            // It may be closed before all is written.
            let _ = peer.write(&[b'x'; 200_000]);
            Ok(())
        })?;
        closed_with_one_line(fleet, "another mechanism", |peer| {
            peer.write(b"\0AUTH DBUS_COOKIE_SHA1 00\r\nBEGIN\r\n")
        })?;
        closed_with_one_line(fleet, "128 MiB", |peer| {
            peer.write(&[BEGUN, &announcement(128 << 20)].concat())
        })?;
        closed_with_one_line(fleet, "more than an unregistered peer may send", |peer| {
            peer.write(&[BEGUN, &announcement(64 << 10)].concat())
        })?;
        closed_with_one_line(fleet, "noise after the handshake", |peer| {
            peer.write(&[BEGUN, &[0x42; 64]].concat())
        })?;
        closed_with_one_line(fleet, "a name that is not allowed", |peer| {
            peer.register("stranger")?;
            peer.read_handshake()?;
            let answer = peer.read()?;
            ensure!(
                answer.kind == 3
                    && answer
                        .header
                        .contains("org.freedesktop.DBus.Error.AccessDenied"),
                "{answer:?}"
            );
            Ok(())
        })?;
        closed_with_one_line(fleet, "a name that is online", |peer| {
            peer.register("worker1")?;
            peer.read_handshake()?;
            let answer = peer.read()?;
            ensure!(
                answer.kind == 3
                    && answer
                        .header
                        .contains("org.freedesktop.DBus.Error.AddressInUse"),
                "{answer:?}"
            );
            Ok(())
        })?;
        closed_with_one_line(fleet, "a name that is none", |peer| {
            peer.register("../../etc")?;
            peer.read_handshake()?;
            let answer = peer.read()?;
            ensure!(
                answer.kind == 3 && answer.header.contains("InvalidArgs"),
                "{answer:?}"
            );
            Ok(())
        })
    });
}

#[test]
fn peers_that_say_nothing_are_closed_in_time_and_keep_nobody_waiting() {
    scene(layout(), |fleet| {
        let mut silent = Vec::new();
        for words in [&b""[..], b"\0", b"\0AUTH EXTERNAL\r\n", BEGUN] {
            for _ in 0..8 {
                let mut peer = Peer::connect(fleet)?;
                peer.write(words)?;
                silent.push(peer);
            }
        }
        let begun = Instant::now();
        ensure_unharmed(fleet)?;
        // They are in nobody's way.
        let mut guest = Peer::connect(fleet)?;
        guest.register("guest")?;
        guest.read_handshake()?;
        ensure!(guest.read()?.kind == 2);
        await_status(fleet, "guest", "online", SOON)?;
        drop(guest);
        for mut peer in silent {
            peer.read_to_end()?;
        }
        // Ten seconds are given for the handshake and the registration together.
        ensure!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            begun.elapsed()
        );
        for node in fleet.nodes() {
            ensure!(status(fleet, node.name()).as_deref() == Some("online"));
        }
        Ok(())
    });
}

#[test]
fn a_guest_that_leaves_in_the_middle_is_offline_and_nothing_else() {
    scene(layout(), |fleet| {
        for words in [
            b"\0AUTH EXT".to_vec(),
            BEGUN.to_vec(),
            [BEGUN, &[b'l', 1, 0]].concat(),
            // All but the last byte of the announced message.
            [
                BEGUN,
                &announcement(9),
                &[5, 0, 0, 0, b'g', b'u', b'e', b's'],
            ]
            .concat(),
        ] {
            Peer::connect(fleet)?.write(&words)?;
        }
        ensure_unharmed(fleet)?;

        let mut guest = Peer::connect(fleet)?;
        guest.register("guest")?;
        guest.read_handshake()?;
        ensure!(guest.read()?.kind == 2);
        await_status(fleet, "guest", "online", SOON)?;
        drop(guest);
        await_status(fleet, "guest", "offline", SOON)?;
        for node in fleet.nodes() {
            ensure!(status(fleet, node.name()).as_deref() == Some("online"));
        }
        Ok(())
    });
}

#[test]
fn an_agent_that_only_speaks_bluechis_protocol_does_jobs() {
    scene(layout(), |fleet| {
        let mut guest = Peer::connect(fleet)?;
        guest.register("guest")?;
        guest.read_handshake()?;
        ensure!(guest.read()?.kind == 2, "not registered");
        await_status(fleet, "guest", "online", SOON)?;

        for (verb, method, result, code) in [
            ("start", "StartUnit", "done", 0),
            ("stop", "StopUnit", "done", 0),
            ("start", "StartUnit", "failed", 1),
        ] {
            let command = fleet
                .node("main")
                .command(&["ctl", verb, "guest", "a.service"])?
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            let call = guest.read_until(1, method)?;
            let (unit, job) = job_of(&call)?;
            ensure!(unit == "a.service");
            guest.answer(&call)?;
            guest.emit("Heartbeat", "", &[])?;
            guest.emit("JobDone", "us", &job_done(job, result))?;
            let output = command.wait_with_output()?;
            ensure!(
                output.status.code() == Some(code),
                "ctl {verb} with {result}: {} {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        // The controller says that it lives, and a guest that does not is offline.
        guest.read_until(4, "Heartbeat")?;
        await_status(fleet, "guest", "offline", SOON)?;
        guest.read_to_end()?;
        ctl_says(
            fleet,
            "start guest a.service",
            6,
            &["node guest is offline"],
        )
        .map(drop)
    });
}
