use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::daemon::{Folder, answers, controller, wait_until};

/// Starts, with 8 SIGHUPs each.
const ROUNDS: u32 = 300;

fn config(folder: &Folder) -> String {
    format!("listen.unix = {:?}\n", folder.path("socket"))
}

#[test]
fn no_hup_ends_a_controller_that_starts() {
    let folder = Folder::new("hup");
    for round in 0..ROUNDS {
        let mut daemon = controller(&folder, &config(&folder));
        // Before its first action the kernel would end any process, so that is waited for, and
        // nothing else. A daemon that never blocks the signal is found out here.
        wait_until("the signals are blocked", || {
            daemon.has("SigBlk", Signal::HUP)
        });
        for hup in 0..8 {
            daemon.signal(Signal::HUP);
            // All over the first milliseconds, at other moments in each round.
            std::thread::sleep(Duration::from_micros(u64::from(
                (round * 37 + hup * 131) % 700,
            )));
        }
        wait_until("it answers", || {
            assert!(daemon.is_alive(), "round {round}: {}", daemon.log());
            answers(&folder.path("socket"))
        });
        daemon.signal(Signal::INT);
        assert_eq!(daemon.end().code(), Some(130), "round {round}");
    }
}

#[test]
fn signals_are_blocked_and_a_pipe_without_a_reader_ends_nothing() {
    let folder = Folder::new("mask");
    let daemon = controller(&folder, &config(&folder));
    wait_until("it answers", || answers(&folder.path("socket")));
    for signal in [
        Signal::HUP,
        Signal::TERM,
        Signal::INT,
        Signal::USR1,
        Signal::USR2,
    ] {
        assert!(daemon.has("SigBlk", signal), "{signal:?}");
    }
    assert!(daemon.has("SigIgn", Signal::PIPE));
}

#[test]
fn usr2_does_nothing_and_usr1_tells_the_state() {
    let folder = Folder::new("usr");
    let mut daemon = controller(&folder, &config(&folder));
    wait_until("it answers", || answers(&folder.path("socket")));
    daemon.signal(Signal::USR2);
    daemon.signal(Signal::USR1);
    wait_until("the state is told", || daemon.log().contains("state"));
    assert!(daemon.is_alive());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().code(), Some(0));
    assert!(!folder.path("socket").exists());
}

#[test]
fn int_leaves_at_once() {
    let folder = Folder::new("int");
    let mut daemon = controller(&folder, &config(&folder));
    wait_until("it answers", || answers(&folder.path("socket")));
    let began = Instant::now();
    daemon.signal(Signal::INT);
    assert_eq!(daemon.end().code(), Some(130));
    // 100 ms are promised; the machine of a test has much else to do.
    assert!(began.elapsed() < Duration::from_millis(400));
}
