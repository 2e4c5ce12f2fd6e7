//! What may be typed next on a command line, as far as only the controller knows it. The shells give
//! all words up to the cursor, and what these mean is decided here, once for all of them. Pure.

use clap::{Arg, Command, CommandFactory as _};

use crate::cli::Cli;

/// Verbs that take units of nodes, unit files of nodes, and nodes alone.
const OF_UNITS: [&str; 16] = [
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
    "is-active",
    "is-failed",
    "list-units",
    "monitor",
];
const OF_FILES: [&str; 4] = ["enable", "disable", "is-enabled", "list-unit-files"];
const OF_NODES: [&str; 4] = ["verify", "daemon-reload", "get-default", "list-jobs"];

/// Verbs that take one unit of one node.
const OF_ONE_UNIT: [&str; 4] = ["why", "deps", "list-dependencies", "escape"];

pub(crate) const DAEMONS: [&str; 2] = ["controller", "agent"];

const LEVELS: [&str; 4] = ["debug", "info", "warn", "error"];

/// Whose names may come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// Nothing that would have to be asked for.
    None,
    /// Nodes, by their names alone.
    Node,
    /// The controller, the agent of this machine, and nodes.
    Daemons,
    /// Nodes and labels, behind what is typed of a list already; and the controller, where that is meant too.
    Nodes { list: String, controller: bool },
    /// The units that nodes have loaded, as these are typed.
    Units { nodes: String },
    /// Unit files of nodes, with this end.
    Files { nodes: String, end: &'static str },
    /// Jobs.
    Jobs,
    /// These words.
    Words(&'static [&'static str]),
}

/// Reads the words after the command's own name, of which the last is being typed: whose names may be
/// there, and whether on the bus of the user.
pub(crate) fn read(words: &[String]) -> (Names, bool) {
    let Some((typed, before)) = words.split_last() else {
        return (Names::None, false);
    };
    let mut command = Cli::command();
    command.build();
    let mut line = Line::default();
    let mut rest = before.iter();
    while let Some(word) = rest.next() {
        if line.is_positional_only || !word.starts_with('-') || word == "-" {
            line.positional(word);
        } else if word == "--" {
            line.is_positional_only = true;
        } else if let Some(option) = line.option(&command, word) {
            line.is_user |= option.get_id() == "user";
            line.is_of_all_nodes |= option.get_id() == "every";
            let has_value = option.get_action().takes_values() && !option.is_require_equals_set();
            if has_value && !has_value_itself(word) && rest.next().is_none() {
                // What is typed is the value.
                return (Names::None, line.is_user);
            }
        }
    }
    if typed.starts_with('-') && !line.is_positional_only {
        return (Names::None, line.is_user);
    }
    (line.next(typed), line.is_user)
}

/// Whether the value of an option is in the same word.
fn has_value_itself(word: &str) -> bool {
    if word.starts_with("--") {
        word.contains('=')
    } else {
        word.chars().count() > 2
    }
}

/// What is typed before the last word.
#[derive(Debug, Default)]
struct Line<'w> {
    verb: &'w str,
    /// What comes after the verb, without options.
    words: Vec<&'w str>,
    is_user: bool,
    is_of_all_nodes: bool,
    is_positional_only: bool,
}

impl<'w> Line<'w> {
    fn positional(&mut self, word: &'w str) {
        if self.verb.is_empty() {
            self.verb = word;
        } else {
            self.words.push(word);
        }
    }

    /// The option of this name, of the verb or of all verbs.
    fn option<'c>(&self, command: &'c Command, word: &str) -> Option<&'c Arg> {
        let (name, _) = word.split_once('=').unwrap_or((word, ""));
        let is_it = |arg: &&Arg| match name.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long),
            None => arg.get_short().is_some() && arg.get_short() == name.chars().nth(1),
        };
        let verb = command.find_subcommand(self.verb);
        let of_verb = verb.and_then(|verb| verb.get_arguments().find(is_it));
        of_verb.or_else(|| command.get_arguments().find(is_it))
    }

    /// What may come next.
    fn next(&self, typed: &str) -> Names {
        let nodes = || {
            let list = typed.rfind(',').and_then(|at| typed.get(..=at));
            Names::Nodes {
                list: list.unwrap_or_default().to_owned(),
                controller: self.verb == "set-loglevel",
            }
        };
        let files = |nodes: &str, end| Names::Files {
            nodes: nodes.to_owned(),
            end,
        };
        let chosen = if self.is_of_all_nodes {
            Some("*")
        } else {
            self.words.first().copied()
        };
        // Units that come after the first.
        let has_unit = self.words.len() > usize::from(!self.is_of_all_nodes);
        match (self.verb, chosen) {
            (verb, None) if OF_UNITS.contains(&verb) || OF_FILES.contains(&verb) => nodes(),
            (verb, Some(of)) if OF_UNITS.contains(&verb) => Names::Units { nodes: of.into() },
            (verb, Some(of)) if OF_FILES.contains(&verb) => files(of, ""),
            ("set-loglevel" | "set-default", None) => nodes(),
            ("set-loglevel", Some(_)) if !has_unit => Names::Words(&LEVELS),
            ("set-default", Some(of)) if !has_unit => files(of, ".target"),
            (verb, None) if OF_NODES.contains(&verb) => nodes(),
            (verb, None) if OF_ONE_UNIT.contains(&verb) => Names::Node,
            (verb, Some(of)) if OF_ONE_UNIT.contains(&verb) && !has_unit => {
                Names::Units { nodes: of.into() }
            }
            ("is-online", Some("node")) if !has_unit => Names::Node,
            ("daemon", Some("reload" | "config")) if !has_unit => Names::Daemons,
            ("daemon", Some("debug")) if !has_unit => Names::Words(&DAEMONS),
            ("cancel", _) => Names::Jobs,
            (_, _) => Names::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn nodes(list: &str) -> Names {
        Names::Nodes {
            list: list.into(),
            controller: false,
        }
    }

    fn units(nodes: &str) -> Names {
        Names::Units {
            nodes: nodes.into(),
        }
    }

    fn files(nodes: &str, end: &'static str) -> Names {
        Names::Files {
            nodes: nodes.into(),
            end,
        }
    }

    #[test_case("", Names::None; "a verb")]
    #[test_case("sta", Names::None; "a part of a verb")]
    #[test_case("start ", nodes(""); "a node")]
    #[test_case("start w", nodes(""); "a part of a node")]
    #[test_case("start a,w", nodes("a,"); "a list")]
    #[test_case("start worker1 ", units("worker1"); "a unit")]
    #[test_case("start worker1 a b", units("worker1"); "one more unit")]
    #[test_case("start --all ", units("*"); "a unit of all nodes")]
    #[test_case("list-units --all ", nodes(""); "all units")]
    #[test_case("deps --all ", Names::Node; "all dependencies")]
    #[test_case("deps a t ", Names::None; "one unit is all")]
    #[test_case("start --", Names::None; "an option")]
    #[test_case("start -- -", nodes(""); "no option")]
    #[test_case("--timeout 30s start ", nodes(""); "a value of an option of all verbs")]
    #[test_case("--timeout=30s start ", nodes(""); "a value in the same word")]
    #[test_case("start --timeout ", Names::None; "a value")]
    #[test_case("logs -n 5 a ", units("a"); "a value of an option of the verb")]
    #[test_case("logs -n5 -f a ", units("a"); "a short option with its value")]
    #[test_case("logs -f a ", units("a"); "an option without one")]
    #[test_case("enable a ", files("a", ""); "unit files")]
    #[test_case("set-default a ", files("a", ".target"); "targets")]
    #[test_case("set-default --all ", files("*", ".target"); "targets of all")]
    #[test_case("set-default a b ", Names::None; "one target is all")]
    #[test_case("set-loglevel ", Names::Nodes { list: String::new(), controller: true }; "whose level")]
    #[test_case("set-loglevel a ", Names::Words(&LEVELS); "a level")]
    #[test_case("cancel 7 ", Names::Jobs; "jobs")]
    #[test_case("is-online ", Names::None; "what is to be online")]
    #[test_case("is-online node ", Names::Node; "the node that is to be online")]
    #[test_case("daemon-reload a ", Names::None; "nothing more")]
    #[test_case("daemon ", Names::None; "what is to be done to a daemon")]
    #[test_case("daemon reload ", Names::Daemons; "a daemon")]
    #[test_case("daemon reload a ", Names::None; "one daemon is all")]
    #[test_case("daemon debug ", Names::Words(&DAEMONS); "a daemon of this machine")]
    fn what_may_come_next(line: &str, names: Names) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        assert_eq!(read(&words), (names, false));
    }

    #[test]
    fn the_bus_of_the_user_is_asked_where_that_is_meant() {
        let words = ["--user", "start", "w"].map(str::to_owned);
        assert_eq!(read(&words), (nodes(""), true));
    }

    #[test]
    fn every_verb_that_takes_nodes_has_their_names() {
        let mut command = Cli::command();
        command.build();
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        for verb in verbs {
            let takes_nodes = verb.get_positionals().any(|arg| {
                let names = arg.get_value_names().unwrap_or_default();
                let is_node =
                    |name: &clap::builder::Str| name.to_ascii_uppercase().contains("NODE");
                names.iter().any(is_node)
            });
            let words = [verb.get_name(), ""].map(str::to_owned);
            let has_names = matches!(read(&words).0, Names::Node | Names::Nodes { .. });
            assert_eq!(has_names, takes_nodes, "{}", verb.get_name());
        }
    }
}
