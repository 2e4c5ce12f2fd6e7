//! `unitlink-launcher [OPTIONS] -- COMMAND`: runs workers, and replaces them by new ones without
//! losing a request. The crate `generations` decides; this one starts processes, sends signals, and
//! listens to both.
//!
//! It has one thread and no runtime: an event loop of a page over epoll(7) and signalfd(2), which
//! sleeps until something happens.

mod adapt;
mod adopt;
mod cgroups;
mod children;
mod control;
mod drive;
mod environment;
mod handover;
mod key;
mod limits;
mod log;
mod notify;
mod options;
mod plan;
mod probe;
mod publish;
mod reading;
mod settings;
mod shell;
mod sockets;
mod spawn;
mod start;
mod upstream;

use std::{env, io::Write as _, process::ExitCode};

use crate::options::Command;

/// The command line is wrong.
const EXIT_USAGE: u8 = 64;
/// It cannot listen where it should.
const EXIT_UNAVAILABLE: u8 = 69;
/// The machine refuses something that it never should.
const EXIT_SOFTWARE: u8 = 70;
/// The settings are not valid.
const EXIT_CONFIG: u8 = 78;

fn main() -> ExitCode {
    // First of all: a signal that comes before this is the only one that can end a launcher unasked.
    let signals = drive::block_signals();
    let code = match options::parse(env::args_os().skip(1)) {
        Ok(Command::Run(run)) => start::run(run, &signals),
        Ok(Command::Check(run)) => start::check(&run),
        Ok(Command::Reload(reload)) => {
            drive::unblock(&signals);
            control::reload(&reload)
        }
        Ok(Command::Status { folder, is_json }) => control::status(folder.as_ref(), is_json),
        Ok(Command::Reap { folder }) => adopt::reap(control::folder(folder.as_ref()).as_deref()),
        Ok(Command::Probe(spec)) => match probe::Target::parse(&spec).map(|it| it.ask()) {
            Some(Ok(())) => 0,
            Some(Err(_)) | None => 1,
        },
        Ok(Command::Handover(format)) => u8::from(format != handover::FORMAT),
        Ok(Command::Say(text)) => {
            // Nobody reads: nothing to be done about it.
            let _ = std::io::stdout().write_all(text.as_bytes());
            0
        }
        Err(error) => {
            log::error(&error.to_string());
            EXIT_USAGE
        }
    };
    ExitCode::from(code)
}
