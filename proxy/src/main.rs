//! `unitlink-proxy up proxy@NODE_UNIT.service`: what `proxy@.service` and `conflict@.service` run
//! (`down` when they are stopped, `reload` when a proxy is reloaded; `reloaded` is for `dep@.service`). It asks the agent of
//! this machine for the unit of the other node and exits when the agent has an answer: with 0 when
//! the unit is up, else with a code for the reason (see `outcome.rs`).
//!
//! It runs once for each start of a service that needs another node, so it is small: no runtime, no
//! threads, one connection. What it keeps in mind is only how long it may wait.

mod answer;
mod ask;
mod left;
mod limits;
mod notify;
mod options;
mod outcome;

use std::{env, io::Write, process::ExitCode};

use crate::{
    options::{Command, Options, Stopped, Verb},
    outcome::{Failure, Outcome},
};

fn main() -> ExitCode {
    match options::parse(env::args_os().skip(1)) {
        Ok(Command::Ask(options)) => ask(&options),
        Ok(Command::Down(stopped)) => down(&stopped),
        Ok(Command::Say(text)) => {
            // Nobody reads: nothing to be done about it.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let text = error.to_string();
            notify::status(&text);
            complain(&text);
            ExitCode::from(outcome::USAGE)
        }
    }
}

fn ask(options: &Options) -> ExitCode {
    let outcome = ask::until_answered(options, &mut |waiting_for| {
        notify::status(&format!("waiting: {waiting_for}"));
    });
    let well = || {
        let how = match options.verb {
            Verb::Up if options.subject.is_conflict() => "does not run",
            Verb::Up => "is up",
            Verb::Reload => "is up and was reloaded",
            Verb::Stop => "was stopped",
            Verb::Reloaded => "was reloaded",
        };
        notify::status(&format!("{} {how}", options.subject.what()));
        ExitCode::SUCCESS
    };
    match &outcome {
        Outcome::Up => well(),
        // A reload does not fail because of who hears.
        Outcome::Failed {
            failure: Failure::NoAgent,
            ..
        } if options.verb == Verb::Reloaded => well(),
        Outcome::Failed { failure, text } => failed(*failure, text),
    }
}

fn down(stopped: &Stopped) -> ExitCode {
    match left::take(stopped) {
        Ok(Some((failure, text))) => return failed(failure, &text),
        Ok(None) => {}
        // A stop does not fail because nobody knows what it is for.
        Err(error) => complain(&format!("{}: {error}", stopped.reason.display())),
    }
    // The status text outlives the run, and that of the start is not true any more.
    let how = if stopped.subject.is_conflict() {
        "may run again"
    } else {
        "is not needed any more"
    };
    notify::status(&format!("{} {how}", stopped.subject.what()));
    ExitCode::SUCCESS
}

fn failed(failure: Failure, text: &str) -> ExitCode {
    notify::status(text);
    complain(text);
    ExitCode::from(failure.exit_code())
}

/// Writes one line at the level "error" of sd-daemon(3), which the journal understands.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "<3>{text}");
}
