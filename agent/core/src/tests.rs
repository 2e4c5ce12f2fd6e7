//! Plays: scripts of what is told to a node and exactly what it then does.
//!
//! A line is an input; a line that begins with `>` is the next output. Tokens and invocation ids are
//! single numbers. Messages about sets are acknowledged by themselves, and their generations left
//! out. What is logged is left out, unless the line is `> log …`, see [`Stage::with_log`].

mod around;
mod called_off;
mod job;
mod link;
mod lost;
mod needless;
mod order;
mod remembered;
mod script;
mod show;
mod source;
mod target;
mod upheld;
mod wait;

use std::time::Duration;

use proto::{
    message::{Stream, ToAgent, ToController},
    sync::Generation,
    time::Moment,
};

use show::show;

use crate::{FromLink, Input, LinkId, Live, Node, Output, Records, Settings};

/// A node and what surrounds it.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) node: Node,
    now: Moment,
    link: u64,
    holds: u64,
    states: u64,
    log: bool,
    notes: bool,
}

impl Stage {
    /// A node `b` that was just started.
    pub(crate) fn new(records: &str) -> Self {
        let settings = Settings {
            node: "b".parse().expect("name"),
            version: "1".into(),
            boot_id: "boot".into(),
            incarnation: 1,
            live: live(&["tcp:host=c,port=842"]),
        };
        let now = Moment::default();
        Self {
            node: Node::new(settings, Records::parse(records), now, 0),
            now,
            link: 0,
            holds: 0,
            states: 0,
            log: false,
            notes: false,
        }
    }

    /// A node that has reached its manager with these units, and is registered.
    pub(crate) fn registered(units: &str) -> Self {
        let mut stage = Self::new("");
        stage.play(&format!("manager {units}\nlink up\n"), false);
        stage
    }

    pub(crate) fn with_log(mut self) -> Self {
        self.log = true;
        self
    }

    /// Shows what is noted of jobs.
    pub(crate) fn with_notes(mut self) -> Self {
        self.notes = true;
        self
    }

    /// The node after a restart of its agent, with what was noted of jobs since 30000.
    pub(crate) fn with_jobs(mut self, notes: &[&str]) -> Self {
        let notes = notes.iter().map(|note| {
            let version = if note.contains('\n') { 2 } else { 1 };
            let note = format!("unitlink job {version}\n{note}\n");
            note.parse().expect("note")
        });
        let since = Moment::at(Duration::from_secs(30));
        self.node = self.node.with_jobs(notes.collect(), since, self.now);
        self
    }

    /// Plays a script.
    pub(crate) fn plays(&mut self, script: &str) {
        self.play(script, true);
    }

    fn play(&mut self, script: &str, exactly: bool) {
        let lines = script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        let mut done: Vec<String> = Vec::new();
        let mut input = "the beginning".to_owned();
        for line in lines {
            if let Some(expected) = line.strip_prefix("> ") {
                assert!(!done.is_empty(), "after '{input}' there is no '{expected}'");
                assert_eq!(done.remove(0), expected, "after '{input}'; then {done:#?}");
                continue;
            }
            assert!(
                !exactly || done.is_empty(),
                "after '{input}' there was more: {done:#?}"
            );
            input = line.to_owned();
            done = self.step(line);
        }
        assert!(
            !exactly || done.is_empty(),
            "after '{input}' there was more: {done:#?}"
        );
    }

    fn step(&mut self, line: &str) -> Vec<String> {
        let mut done = Vec::new();
        for input in self.inputs(line) {
            self.node.handle(self.now, input);
            self.drain(&mut done);
        }
        if let Some(after) = line.strip_prefix("at ") {
            self.now = Moment::at(Duration::from_millis(after.parse().expect("milliseconds")));
            let is_due = self.is_due();
            self.node.handle_timeout(self.now);
            self.drain(&mut done);
            // A loop wakes for deadlines alone; what happens without one happens late, with the next heartbeat.
            let of_link = ["heartbeat", "connect ", "disconnect "];
            let is_of_link = |line: &String| of_link.iter().any(|word| line.starts_with(word));
            let is_cut = done.iter().any(|line| line.starts_with("disconnect "));
            let is_asked_for = is_due || is_cut || done.iter().all(is_of_link);
            assert!(is_asked_for, "there is no deadline for {done:#?}");
        }
        done
    }

    /// Whether a deadline has come that is not one of the connection.
    fn is_due(&self) -> bool {
        let deadline = self.node.deadline_of_units();
        deadline.is_some_and(|(at, _)| at <= self.now)
    }

    fn drain(&mut self, done: &mut Vec<String>) {
        while let Some(output) = self.node.poll_output() {
            let acknowledged = set_of(&output);
            done.extend(show(output, self.log, self.notes));
            if let Some((stream, generation)) = acknowledged {
                let message = ToAgent::Acknowledged(stream, generation);
                self.node.handle(self.now, self.said(message));
            }
        }
        self.node.check().expect("invariants hold");
        if let Some((at, why)) = self.node.deadline() {
            assert!(at > self.now, "the deadline '{why}' is not in the future");
        }
    }

    fn said(&self, message: ToAgent) -> Input {
        Input::Link(LinkId(self.link), FromLink::Said(message))
    }
}

fn set_of(output: &Output) -> Option<(Stream, Generation)> {
    let Output::Send { message, .. } = output else {
        return None;
    };
    match message {
        ToController::Claims(delta) => Some((Stream::Claims, delta.generation)),
        ToController::HoldStates(delta) => Some((Stream::HoldStates, delta.generation)),
        ToController::Waits(delta) => Some((Stream::Waits, delta.generation)),
        ToController::Hello(_)
        | ToController::Goodbye
        | ToController::Heartbeat
        | ToController::Acknowledged(..)
        | ToController::Order { .. }
        | ToController::Jobs(_)
        | ToController::Reloaded(_)
        | ToController::JobState { .. }
        | ToController::JobIs { .. }
        | ToController::JobDone { .. } => None,
    }
}

pub(crate) fn live(controllers: &[&str]) -> Live {
    Live {
        controllers: controllers
            .iter()
            .map(|&address| address.to_owned())
            .collect(),
        heartbeat_interval: Duration::from_secs(2),
        heartbeat_threshold: Duration::from_secs(6),
        reconnect: crate::limits::RECONNECT,
    }
}
