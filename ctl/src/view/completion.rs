//! What a shell needs to complete command lines: the words that are known here, and how to ask for
//! names that only the controller knows.

use clap::CommandFactory as _;
use clap_complete::{Generator, Shell as Known, generate};

use super::Page;
use crate::cli::{Cli, Shell};

/// Verbs that take units of nodes, unit files of nodes, and nodes alone.
const OF_UNITS: [&str; 20] = [
    "start",
    "stop",
    "restart",
    "reload",
    "freeze",
    "thaw",
    "kill",
    "reset-failed",
    "status",
    "logs",
    "cat",
    "show",
    "why",
    "deps",
    "list-dependencies",
    "is-active",
    "is-failed",
    "list-units",
    "monitor",
    "escape",
];
const OF_FILES: [&str; 4] = ["enable", "disable", "is-enabled", "list-unit-files"];
const OF_NODES: [&str; 6] = [
    "verify",
    "daemon-reload",
    "get-default",
    "set-default",
    "set-loglevel",
    "list-jobs",
];

/// The script for a shell.
pub(crate) fn page(shell: Shell) -> Page {
    Page::text(match shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh(),
        Shell::Fish => fish(),
    })
}

fn bash() -> String {
    let script = known(Known::Bash);
    // What is registered at the end of the script is registered by ours instead.
    let script = script
        .split("\nif [[ \"${BASH_VERSINFO")
        .next()
        .unwrap_or(&script);
    let names = include_str!("completion/names.bash")
        .replace("@with_value@", &options_with_value().join(" | "))
        .replace("@of_units@", &OF_UNITS.join(" | "))
        .replace("@of_files@", &OF_FILES.join(" | "))
        .replace("@of_nodes@", &OF_NODES.join(" | "));
    format!("{}\n{names}", script.trim_end())
}

fn zsh() -> String {
    let mut script = String::new();
    let mut verb = "";
    let known = known(Known::Zsh);
    let known = known.replacen("#compdef ctl", "#compdef ctl unitlinkctl", 1);
    for line in known.lines() {
        let line_verb = line
            .trim()
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'));
        verb = line_verb.unwrap_or(verb);
        // A positional argument, whose values would be names of files.
        let is_positional =
            line.starts_with("'::") || line.starts_with("':") || line.starts_with("'*::");
        let names = match line
            .split(" -- ")
            .next()
            .unwrap_or("")
            .trim_matches(['\'', '*', ':'])
        {
            "node" | "nodes" | "name" => Some("nodes"),
            "of" => Some("logs"),
            "jobs" => Some("jobs"),
            "unit" | "units" | "patterns" if OF_UNITS.contains(&verb) => Some("units"),
            "units" | "patterns" if OF_FILES.contains(&verb) => Some("files"),
            _ => None,
        };
        match (
            names,
            line.strip_suffix(":_default' \\").filter(|_| is_positional),
        ) {
            (Some(names), Some(line)) => {
                script.push_str(&format!("{line}:_ctl_live_{names}' \\\n"));
            }
            (_, _) => script.push_str(&format!("{line}\n")),
        }
    }
    // The functions have to be there before the last lines of the script run them.
    let names = include_str!("completion/names.zsh");
    match script.split_once("\n_ctl() {") {
        Some((head, rest)) => format!("{head}\n{names}\n_ctl() {{{rest}"),
        None => script,
    }
}

fn fish() -> String {
    let names = include_str!("completion/names.fish")
        .replace("@of_units@", &OF_UNITS.join(" "))
        .replace("@of_files@", &OF_FILES.join(" "))
        .replace("@of_nodes@", &OF_NODES.join(" "));
    format!("{}{names}", known(Known::Fish))
}

/// What is known without asking.
fn known(shell: impl Generator) -> String {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "ctl", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Options whose value is the next word.
fn options_with_value() -> Vec<String> {
    let mut command = Cli::command();
    command.build();
    let verbs = command
        .get_subcommands()
        .flat_map(|verb| verb.get_arguments());
    let mut names: Vec<String> = command
        .get_arguments()
        .chain(verbs)
        .filter(|arg| !arg.is_positional() && arg.get_action().takes_values())
        .filter(|arg| !arg.is_require_equals_set())
        .flat_map(|arg| {
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            long.into_iter().chain(short)
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_that_takes_nodes_has_their_names_completed() {
        let mut command = Cli::command();
        command.build();
        let mut has_nodes: Vec<&str> = command
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .filter(|verb| {
                let mut positionals = verb.get_positionals();
                positionals.any(|arg| {
                    let names = arg.get_value_names().unwrap_or_default();
                    names
                        .iter()
                        .any(|name| name.to_ascii_uppercase().contains("NODE"))
                })
            })
            .map(clap::Command::get_name)
            .collect();
        let mut listed: Vec<&str> = [&OF_UNITS[..], &OF_FILES, &OF_NODES].concat();
        has_nodes.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, has_nodes);
    }

    #[test]
    fn names_of_nodes_and_units_are_asked_for() {
        for (script, calls) in [
            (bash(), &["_ctl_names nodes", "complete -F _ctl_live"][..]),
            (
                zsh(),
                &[
                    ":_ctl_live_nodes'",
                    ":_ctl_live_units'",
                    ":_ctl_live_files'",
                    ":_ctl_live_jobs'",
                ],
            ),
            (
                fish(),
                &["__ctl_names units", "__fish_seen_subcommand_from start"],
            ),
        ] {
            for call in calls {
                assert!(script.contains(call), "{call}");
            }
            assert!(!script.contains("@of_units@"));
        }
    }
}
