//! What daemons say of themselves.

use serde::Serialize;

use super::{Look, Page, clean, json, known, message::Message, plain, table, usec};
use crate::{
    cli::{Output, Which},
    exit::Exit,
    fleet::{Key, Problem, Reloaded},
};

/// What became of a reload.
pub(crate) fn reloaded(of: &Which, reloaded: &Reloaded, look: &Look) -> Page {
    let Reloaded {
        result,
        generation,
        took,
        problems,
        more,
    } = reloaded;
    let (text, exit) = match result.as_str() {
        "applied" => {
            let took = took.as_secs_f64() * 1000.0;
            let text =
                format!("{of}: configuration {generation} is in force, after {took:.1} ms\n");
            (text, Exit::Done)
        }
        "unchanged" => (format!("{of}: configuration has not changed\n"), Exit::Done),
        "invalid" => (String::new(), Exit::CONFIG_INVALID),
        "failed" => (String::new(), Exit::RELOAD_FAILED),
        "timeout" => (String::new(), Exit::RELOAD_LATE),
        _ => (String::new(), Exit::Other),
    };
    let mut messages: Vec<_> = problems
        .iter()
        .map(|problem| Message::error(problem.to_string(), None))
        .collect();
    if exit != Exit::Done {
        let count = problems.len() + usize::try_from(*more).unwrap_or(usize::MAX);
        let why = match (result.as_str(), count) {
            ("timeout", _) => "its files were not read in time".to_owned(),
            (_, 1) => "1 error".to_owned(),
            (_, count) => format!("{count} errors"),
        };
        let whose = match of {
            Which::Controller => "the controller".to_owned(),
            Which::Agent => "the agent of this machine".to_owned(),
            Which::Node(node) => format!("the agent of {node}"),
        };
        let text = format!("reload of {whose} rejected: {why}");
        let hint = format!("configuration {generation} stays in force, nothing was changed");
        messages.push(Message::error(text, Some(hint)));
    }
    let data = match look.output {
        Output::Table => text,
        Output::Json => json(&ReloadJson {
            daemon: &of.to_string(),
            result,
            generation: *generation,
            duration_usec: usec(*took),
            errors: problems.iter().map(ProblemJson::of).collect(),
            more_errors: *more,
        }),
        Output::Plain => plain([[of.to_string(), result.clone(), generation.to_string()]]),
    };
    Page {
        data,
        messages,
        exit,
    }
}

/// What is in force.
pub(crate) fn config(digest: &str, keys: &[Key], look: &Look) -> Page {
    Page::text(match look.output {
        Output::Table => {
            let rows = keys.iter().map(|key| {
                [&key.key, &key.value, &key.effect, &key.source].map(|cell| clean(cell))
            });
            let digest = if look.legend {
                format!("\ndigest {digest}\n")
            } else {
                String::new()
            };
            table::write(["KEY", "VALUE", "A CHANGE IS", "FROM"], rows, look) + &digest
        }
        Output::Json => json(&ConfigJson {
            digest,
            keys: keys.iter().map(KeyJson::of).collect(),
        }),
        Output::Plain => plain(
            keys.iter()
                .map(|key| [&key.key, &key.value, &key.effect, &key.source].map(Clone::clone)),
        ),
    })
}

/// The state of a daemon.
pub(crate) fn state(text: &str, look: &Look) -> Page {
    let lines = text.lines().map(clean);
    Page::text(match look.output {
        Output::Json => json(&StateJson {
            state: lines.collect(),
        }),
        Output::Table | Output::Plain => lines.map(|line| line + "\n").collect(),
    })
}

/// What is wrong with files, as the daemon says it: one error on each line.
pub(crate) fn invalid(complaint: &str) -> Page {
    let own = ["unitlink-controller: ", "unitlink-agent: "];
    let lines = complaint.lines().map(|line| {
        let stripped = own.iter().find_map(|own| line.strip_prefix(own));
        stripped.unwrap_or(line)
    });
    Page {
        data: String::new(),
        messages: lines.map(|line| Message::error(line, None)).collect(),
        exit: Exit::CONFIG_INVALID,
    }
}

/// Files that are valid, and what a reload would change.
pub(crate) fn checked(
    of: &Which,
    digest: &str,
    keys: &[Key],
    running: Option<&(String, Vec<Key>)>,
    look: &Look,
) -> Page {
    let changes = running.map(|(_, running)| changes(running, keys));
    let data = match look.output {
        Output::Table => match &changes {
            None => {
                format!("valid; the {of} does not run here, so there is nothing to compare with\n")
            }
            Some(changes) if changes.is_empty() => {
                "valid; a reload would change nothing\n".to_owned()
            }
            Some(changes) => {
                let rows = changes.iter().map(|change| {
                    let cells = [&change.key, &change.from, &change.to, &change.effect];
                    cells.map(|cell| clean(cell))
                });
                let header = ["KEY", "IN FORCE", "IN THE FILES", "THE CHANGE IS"];
                let table = table::write(header, rows, look);
                format!("valid; a reload would change this:\n\n{table}")
            }
        },
        Output::Json => json(&CheckedJson {
            daemon: &of.to_string(),
            digest,
            changes: changes.as_deref(),
        }),
        Output::Plain => plain(changes.iter().flatten().map(|change| {
            [&change.key, &change.effect, &change.from, &change.to].map(Clone::clone)
        })),
    };
    Page::text(data)
}

fn changes(running: &[Key], files: &[Key]) -> Vec<Change> {
    let value = |of: &[Key], key: &str| {
        let found = of.iter().find(|it| it.key == key);
        found.map_or_else(String::new, |it| it.value.clone())
    };
    let all = running.iter().chain(files);
    let mut names: Vec<_> = all.clone().map(|key| key.key.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let changed = names.into_iter().filter_map(|name| {
        let (from, to) = (value(running, name), value(files, name));
        let effect = all.clone().find(|key| key.key == name)?.effect.clone();
        (from != to).then(|| Change {
            key: name.to_owned(),
            from,
            to,
            effect,
        })
    });
    changed.collect()
}

#[derive(Serialize)]
struct Change {
    key: String,
    from: String,
    to: String,
    effect: String,
}

#[derive(Serialize)]
struct ReloadJson<'a> {
    daemon: &'a str,
    result: &'a str,
    generation: u64,
    duration_usec: u64,
    errors: Vec<ProblemJson<'a>>,
    more_errors: u64,
}

#[derive(Serialize)]
struct ProblemJson<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    key: Option<&'a str>,
    reason: &'a str,
}

impl<'a> ProblemJson<'a> {
    fn of(problem: &'a Problem) -> Self {
        let number = |n: u32| (n > 0).then_some(n);
        Self {
            file: known(&problem.file),
            line: number(problem.line),
            column: number(problem.column),
            key: known(&problem.key),
            reason: &problem.reason,
        }
    }
}

#[derive(Serialize)]
struct ConfigJson<'a> {
    digest: &'a str,
    keys: Vec<KeyJson<'a>>,
}

#[derive(Serialize)]
struct KeyJson<'a> {
    key: &'a str,
    value: &'a str,
    effect: &'a str,
    source: &'a str,
}

impl<'a> KeyJson<'a> {
    fn of(key: &'a Key) -> Self {
        Self {
            key: &key.key,
            value: &key.value,
            effect: &key.effect,
            source: &key.source,
        }
    }
}

#[derive(Serialize)]
struct StateJson {
    state: Vec<String>,
}

#[derive(Serialize)]
struct CheckedJson<'a> {
    daemon: &'a str,
    digest: &'a str,
    changes: Option<&'a [Change]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str, value: &str) -> Key {
        Key {
            key: key.into(),
            value: value.into(),
            source: "default".into(),
            effect: "live".into(),
        }
    }

    #[test]
    fn what_differs_is_told_also_when_it_is_only_on_one_side() {
        let running = [key("a", "1"), key("b", "2"), key("c", "3")];
        let files = [key("a", "1"), key("b", "5"), key("d", "4")];
        let told: Vec<_> = changes(&running, &files)
            .iter()
            .map(|it| format!("{} {} {}", it.key, it.from, it.to))
            .collect();
        assert_eq!(told, ["b 2 5", "c 3 ", "d  4"]);
    }
}
