//! The manual page, from the same definitions as the command line. What no definition says is
//! written by hand, in `manual/`.
//!
//! `UPDATE_MANUAL=1 cargo test -p unitlinkctl manual` writes the page anew.

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::Cli;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/man/unitlinkctl.1");

#[test]
fn the_manual_page_is_what_the_definitions_say() {
    let page = page();
    if std::env::var_os("UPDATE_MANUAL").is_some() {
        std::fs::write(PAGE, &page).expect("written");
    }
    let committed = std::fs::read_to_string(PAGE).expect("read");
    assert!(
        committed == page,
        "docs/man/unitlinkctl.1 is not what the definitions say: \
         UPDATE_MANUAL=1 cargo test -p unitlinkctl manual"
    );
}

fn page() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(".TH UNITLINKCTL 1 \"\" \"unitlink {version}\" \"unitlink\"\n");
    // The apostrophe, as the generator writes it.
    page.push_str(".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n");
    page.push_str(include_str!("manual/head.roff"));
    page.push_str(".SH VERBS\n");
    let mut command = Cli::command();
    command.build();
    let is_shown = |verb: &&clap::Command| !verb.is_hide_set() && verb.get_name() != "help";
    for verb in command.get_subcommands().filter(is_shown) {
        page.push_str(&of_verb(verb));
    }
    page.push_str(".SH OPTIONS\n");
    page.push_str(concat!(
        ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nSay what a verb does, or all of them\n",
        ".TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nSay the version\n",
    ));
    let own = Cli::command().mut_subcommands(|verb| verb.hide(true));
    page.push_str(&options(own));
    page.push_str(include_str!("manual/tail.roff"));
    page
}

/// A heading with what is to be named, what it does, and the options of its own.
fn of_verb(verb: &clap::Command) -> String {
    let usage = match verb.get_overridden_usage() {
        Some(usage) => usage.to_string(),
        None => verb
            .clone()
            .disable_help_flag(true)
            .render_usage()
            .to_string(),
    };
    let forms = usage.lines().map(|form| {
        let form = form
            .trim()
            .trim_start_matches("Usage: ")
            .trim_start_matches("ctl ");
        form.replace("[OPTIONS] ", "")
            .replace(" [OPTIONS]", "")
            .replace(['<', '>'], "")
    });
    let mut text = String::new();
    for form in forms {
        text.push_str(&format!(".SS \"{}\"\n", escape(form.trim())));
    }
    let about = verb
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    text.push_str(&format!("{}.\n", escape(&about)));
    // Nodes and units are the same for all verbs, and are described above.
    let is_common = |arg: &clap::Arg| matches!(arg.get_id().as_str(), "node" | "units" | "every");
    let own = verb.clone().disable_help_subcommand(true);
    let own = own.mut_args(|arg| {
        let is_common = is_common(&arg) && !arg.is_required_set();
        let is_of_all = arg.is_global_set() && arg.get_id() != "wait" || arg.get_id() == "help";
        let hide = is_common || is_of_all;
        arg.hide(hide)
    });
    if own.get_arguments().any(|arg| !arg.is_hide_set()) {
        text.push_str(&options(own));
    }
    text
}

/// What the generator says of options, without its heading.
fn options(command: clap::Command) -> String {
    let command = command
        .disable_help_flag(true)
        .disable_version_flag(true)
        .after_help("");
    let mut text = Vec::new();
    Man::new(command)
        .render_options_section(&mut text)
        .expect("written");
    let text = String::from_utf8(text).expect("text");
    let lines = text
        .lines()
        .filter(|line| !line.starts_with(".SH") && !line.starts_with(".ie"));
    lines
        .filter(|line| !line.starts_with(".el"))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
