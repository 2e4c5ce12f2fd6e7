//! `ctl`, installed also as `unitlinkctl`: the operator's command for every unit of every node.
//!
//! `cli` reads the command line, `command` asks the controller over D-Bus, `view` makes text of what
//! it said. Data goes to standard output, messages go to standard error, and the exit code tells a
//! script what happened (`exit`).

mod bus;
mod cli;
mod command;
mod exit;
mod facts;
mod fault;
mod filter;
mod fleet;
mod glob;
mod jobs;
mod limits;
mod pager;
mod signal;
mod span;
mod suggest;
mod view;
mod window;

use std::{io::Write as _, process::ExitCode};

use anstream::{AutoStream, ColorChoice};

use crate::{
    cli::{Cli, Color},
    fault::Fault,
    view::{Look, Page, Paint},
};

fn main() -> ExitCode {
    let cli = Cli::read();
    let choice = match cli.options.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let paint = Paint::if_wanted(resolve(choice, &out) != ColorChoice::Never);
    let paint_err = Paint::if_wanted(resolve(choice, &err) != ColorChoice::Never);
    let look = Look {
        output: cli.options.output,
        legend: !cli.options.no_legend,
        paint,
    };

    let mut page = run(&cli, &look).unwrap_or_else(|fault| Page::fault(&fault));
    if cli.options.quiet {
        page = page.quiet();
    }
    let is_paged = !cli.options.no_pager && look.output == cli::Output::Table;
    if !pager::print(&page.data, is_paged, &out) {
        // Whoever does not read to the end, such as head(1), has seen enough.
        let _ = out.lock().write_all(page.data.as_bytes());
    }
    let _ = err
        .lock()
        .write_all(view::message::all(&page.messages, paint_err).as_bytes());
    page.exit.into()
}

/// What to do about colour with this stream: `Auto` is decided by it and by the environment.
fn resolve(choice: ColorChoice, stream: &impl anstream::stream::RawStream) -> ColorChoice {
    match choice {
        ColorChoice::Auto => AutoStream::choice(stream),
        ColorChoice::Always | ColorChoice::AlwaysAnsi | ColorChoice::Never => choice,
    }
}

fn run(cli: &Cli, look: &Look) -> Result<Page, Fault> {
    if let Some(page) = command::alone(&cli.verb, look) {
        return page;
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::NoBus {
            bus: "system",
            cause: error.to_string(),
        })?
        .block_on(command::run(cli, look))
}
