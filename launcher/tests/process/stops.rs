use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use test_case::test_case;

use super::world::{Case, PLAIN, get, runs};

/// What is going on when it is told to end.
#[derive(Clone, Copy, Debug)]
enum During {
    Start,
    Service,
    Reload,
    Drain,
}

#[test_case(During::Start, Signal::TERM, 0)]
#[test_case(During::Start, Signal::INT, 130)]
#[test_case(During::Service, Signal::TERM, 0)]
#[test_case(During::Service, Signal::QUIT, 0)]
#[test_case(During::Service, Signal::INT, 130)]
#[test_case(During::Reload, Signal::TERM, 0)]
#[test_case(During::Reload, Signal::INT, 130)]
#[test_case(During::Drain, Signal::TERM, 0)]
#[test_case(During::Drain, Signal::INT, 130)]
fn an_end_at_any_time_leaves_nothing(during: During, signal: Signal, code: i32) {
    let case = Case::new();
    let slow = "environment = [\"WORKER_IS_SLOW=60000\"]\n";
    let mut launcher = match during {
        During::Start => {
            let launcher = case.start_with(&format!("{PLAIN}{slow}workers = 2"));
            launcher.wait("two processes", || {
                let own = launcher.pid().as_raw_nonzero();
                let path = format!("/proc/{own}/task/{own}/children");
                let children = std::fs::read_to_string(path).unwrap_or_default();
                (children.split_whitespace().count() == 2).then_some(())
            });
            launcher
        }
        During::Service | During::Reload | During::Drain => {
            case.start_with(&format!("{PLAIN}workers = 2")).ready()
        }
    };
    let mut client = None;
    match during {
        During::Start | During::Service => {}
        During::Reload => {
            case.settings(&format!("{PLAIN}{slow}workers = 2"));
            launcher.signal(Signal::HUP);
            launcher.wait("four", || (launcher.workers().len() == 4).then_some(()));
        }
        During::Drain => {
            let address = case.address;
            client = Some(thread::spawn(move || get(address, "/sleep/700")));
            thread::sleep(Duration::from_millis(100));
            launcher.signal(Signal::HUP);
            launcher.wait_log("done: gen 2 serves", 1);
        }
    }
    let workers = launcher.workers();
    let begun = Instant::now();
    launcher.signal(signal);
    if signal != Signal::INT {
        launcher.signal(signal);
    }
    assert_eq!(launcher.code(), code, "{}", launcher.log());
    if signal == Signal::INT {
        assert!(
            begun.elapsed() < Duration::from_millis(400),
            "{:?}",
            begun.elapsed()
        );
    }
    if let Some(client) = client {
        assert_eq!(client.join().expect("ran").is_ok(), signal != Signal::INT);
    }
    assert!(workers.iter().all(|(_, pid)| !runs(*pid)), "{workers:?}");
    assert!(launcher.told().iter().any(|it| it == "STOPPING=1"));
    if let (During::Drain, Signal::TERM) = (during, signal) {
        let is_asked = |it: &String| it.starts_with("EXTEND_TIMEOUT_USEC=");
        assert!(
            launcher.told().iter().any(is_asked),
            "{:?}",
            launcher.told()
        );
    }
}

#[test]
fn a_worker_that_ignores_the_end_is_cut_at_the_limit_and_reloads_go_on() {
    let case = Case::new();
    let settings = format!(
        "{PLAIN}reload_graceful_timeout = \"1500ms\"\ngraceful_timeout = \"300ms\"\nenvironment = [\"WORKER_IGNORES_TERM=1\"]"
    );
    let mut launcher = case.start_with(&settings).ready();
    assert_eq!(launcher.reload().0, 0);
    assert_eq!(launcher.reload().0, 0, "the one before still drains");
    launcher.wait_log("gen 1 worker 1 had not ended", 1);
    let begun = Instant::now();
    launcher.signal(Signal::TERM);
    assert_eq!(launcher.code(), 0, "{}", launcher.log());
    assert!(
        begun.elapsed() >= Duration::from_millis(300),
        "{:?}",
        begun.elapsed()
    );
    launcher.wait_log("gen 3 worker 1 had not ended", 1);
}

#[test]
fn nobody_is_there_to_be_asked() {
    let case = Case::new();
    let mut launcher = case.start_with(PLAIN).ready();
    launcher.signal(Signal::TERM);
    assert_eq!(launcher.code(), 0);
    let (code, text) = launcher.reload();
    assert!(
        code == 6 && text.contains("no launcher answers at"),
        "{code} {text}"
    );
    assert_eq!(launcher.ask(&["status"]).status.code(), Some(6));
}
