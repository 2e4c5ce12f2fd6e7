//! `ctl`, installed also as `unitlinkctl`: the operator's command for every unit of every node.
//!
//! `cli` reads the command line, `command` asks the controller over D-Bus, `view` makes text of what
//! it said. Data goes to standard output, messages go to standard error, and the exit code tells a
//! script what happened (`exit`).

mod bus;
mod cli;
mod command;
mod complete;
mod denial;
mod details;
mod event;
mod exit;
mod facts;
mod fault;
mod filter;
mod fleet;
mod glob;
mod graph;
mod jobs;
mod journal;
mod limits;
mod live;
mod local;
mod measured;
mod moment;
mod pager;
mod signal;
mod span;
mod suggest;
mod verify;
mod view;
mod why;
mod window;

use std::{io::Write as _, process::ExitCode};

use crate::{
    cli::{Cli, Output},
    exit::Exit,
    fault::Fault,
    view::{Look, Page, Paint, look},
};

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let is_table = cli.options.output() == Output::Table;
    let terminal = look::terminal().filter(|_| is_table);
    let look = Look {
        output: cli.options.output(),
        legend: !cli.options.no_legend,
        paint: Paint::if_wanted(look::has_colour(cli.options.color, &out)),
        paint_messages: Paint::if_wanted(look::has_colour(cli.options.color, &err)),
        terminal: terminal.is_some(),
        width: terminal
            .filter(|_| !cli.options.full)
            .map(|size| size.columns),
    };

    let mut page = run(&cli, &look).unwrap_or_else(|fault| Page::fault(&local::clarify(fault)));
    if cli.options.quiet {
        page = page.quiet();
    }
    let rows = terminal.filter(|_| !cli.options.no_pager);
    if !rows.is_some_and(|size| pager::print(&page.data, size.rows)) {
        // Whoever does not read to the end, such as head(1), has seen enough.
        let _ = out.lock().write_all(page.data.as_bytes());
    }
    let _ = err
        .lock()
        .write_all(view::message::all(&page.messages, look.paint_messages).as_bytes());
    page.exit.into()
}

/// Prints help, which is longer than a terminal, as any other text; or what is wrong with the command line.
fn explain(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let _ = error.print();
        return Exit::Usage.into();
    }
    let text = error.render();
    let rows = look::terminal().filter(|_| !std::env::args().any(|word| word == "--no-pager"));
    let text = if look::has_colour(cli::Color::Auto, &std::io::stdout()) {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    if !rows.is_some_and(|size| pager::print(&text, size.rows)) {
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }
    ExitCode::SUCCESS
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
            service: None,
        })?
        .block_on(command::run(cli, look))
}
