//! Every key of `controller.toml`, for the sample, the manual page and what is in force.

use host::config::options::{
    Effect::Live,
    Group, Key, Options,
    Value::{ByScope, Default, Example},
};

/// The keys.
pub(crate) const OPTIONS: Options = Options {
    file: "controller",
    of: "the controller of a fleet",
    groups: GROUPS,
    example: "# /etc/unitlink/controller.toml.d/fleet.toml\n\
              [listen]\n\
              tcp = [\"[::]:842\"]\n\n\
              [node.worker1]\n\
              allow_dependencies_on = [\"worker2\"]\n\n\
              [node.worker2]\n",
};

const GROUPS: &[Group] = &[
    Group {
        name: "",
        about: "",
        keys: &[Key {
            name: "graceful_shutdown_timeout",
            value: Default("\"60s\""),
            effect: Live,
            about: "How long a stop waits for jobs to end; meanwhile new ones are refused. A job that is \
                    still open then goes on at its node. \"0s\" is without a limit.",
        }],
    },
    Group {
        name: "listen",
        about: "Where agents connect. A new address is listened on before an old one is closed, and \
                one that cannot be listened on rejects the whole reload; connections stay in any case.",
        keys: &[
            Key {
                name: "unix",
                value: ByScope {
                    system: "\"/run/unitlink/controller.sock\"",
                    user: "\"%t/unitlink/controller.sock\"",
                },
                effect: Live,
                about: "The socket for agents on this machine; \"\" turns it off. Where \
                        unitlink-controller.socket is in use, the socket of systemd stays open \
                        whatever is said here.",
            },
            Key {
                name: "tcp",
                value: Default("[]"),
                effect: Live,
                about: "Addresses for agents on other machines, such as \"[::]:842\". There is no \
                        encryption and no proof of who a node is yet: a network that can reach this \
                        port must be one that you trust.",
            },
            Key {
                name: "backlog",
                value: Default("4096"),
                effect: Live,
                about: "How many connections may wait to be accepted on each address; \
                        net.core.somaxconn is the most that the kernel grants.",
            },
        ],
    },
    Group {
        name: "nodes",
        about: "",
        keys: &[Key {
            name: "allowed",
            value: Default("[]"),
            effect: Live,
            about: "The names of the nodes that may register. A [node.NAME] table allows its node as \
                    well. Names have 1 to 64 letters, digits, \"-\", \"_\" and \".\"; the first is a \
                    letter or a digit. A node that is taken away is disconnected. With --user, where no node \
                    is named at all, the one with the host name of this machine may register.",
        }],
    },
    Group {
        name: "node.NAME",
        about: "One table for each node that has something of its own. A name with a dot is quoted, as \
                in [node.\"a.example\"].",
        keys: &[
            Key {
                name: "allow_dependencies_on",
                value: Example("[\"worker2\"]"),
                effect: Live,
                about: "The nodes whose units it may need, or [\"*\"]. None by default: a node starts \
                        and stops nothing on others unless told that it may.",
            },
            Key {
                name: "labels",
                value: Example("[\"front\"]"),
                effect: Live,
                about: "Words that describe it, by which nodes can be chosen.",
            },
            Key {
                name: "claims.source_grace",
                value: Example("\"1min\""),
                effect: Live,
                about: "What is different from [claims] for the needs of this node: this key and those \
                        that follow.",
            },
            Key {
                name: "claims.loss_grace",
                value: Example("\"30s\""),
                effect: Live,
                about: "As in [claims].",
            },
            Key {
                name: "claims.on_loss",
                value: Example("\"keep\""),
                effect: Live,
                about: "As in [claims].",
            },
            Key {
                name: "claims.start_timeout",
                value: Example("\"5min\""),
                effect: Live,
                about: "As in [claims].",
            },
        ],
    },
    Group {
        name: "heartbeat",
        about: "",
        keys: &[
            Key {
                name: "interval",
                value: Default("\"2s\""),
                effect: Live,
                about: "How often a sign of life is sent to each node.",
            },
            Key {
                name: "threshold",
                value: Default("\"6s\""),
                effect: Live,
                about: "A node from which nothing was heard for so long is offline; at least twice the \
                        interval.",
            },
            Key {
                name: "resume_window",
                value: Default("\"2s\""),
                effect: Live,
                about: "A node whose connection breaks is online for so long while its agent comes back, and \
                        its jobs go on. \"0s\" calls it offline at once.",
            },
        ],
    },
    Group {
        name: "claims",
        about: "What holds for the needs of nodes.",
        keys: &[
            Key {
                name: "source_grace",
                value: Default("\"15s\""),
                effect: Live,
                about: "How long the needs of a node that is out of sight are kept, and with them what \
                        runs for it.",
            },
            Key {
                name: "loss_grace",
                value: Default("\"10s\""),
                effect: Live,
                about: "How long a node that is needed may be out of sight before on_loss decides.",
            },
            Key {
                name: "on_loss",
                value: Default("\"stop\""),
                effect: Live,
                about: "\"stop\": what needs a unit of that node is stopped, as if the unit had stopped. \
                        \"keep\": it goes on, and when the node is back without the unit, the unit is \
                        started again.",
            },
            Key {
                name: "start_timeout",
                value: Default("\"90s\""),
                effect: Live,
                about: "How long a start waits for the other node and its unit before it fails.",
            },
        ],
    },
    Group {
        name: "claims.unit.UNIT",
        about: "What is different for needs of some units. UNIT is a unit, as in \
                [claims.unit.\"lidar.service\"], or a pattern, as in [claims.unit.\"lidar*\"]: \"*\" stands for any \
                text, \"?\" for one character. The same within a node, as in \
                [node.worker1.claims.unit.\"lidar*\"], is for the needs of that node. For each key the first of these \
                that has it decides: the tables of units of the node, those of all nodes, claims of the node, [claims]; of several \
                tables that fit a unit, its name before all patterns, then the pattern with more characters \
                besides \"*\" and \"?\", then the one that is later in the alphabet.",
        keys: &[
            Key {
                name: "source_grace",
                value: Example("\"1min\""),
                effect: Live,
                about: "As in [claims].",
            },
            Key {
                name: "loss_grace",
                value: Example("\"30s\""),
                effect: Live,
                about: "As in [claims].",
            },
            Key {
                name: "on_loss",
                value: Example("\"keep\""),
                effect: Live,
                about: "As in [claims].",
            },
            Key {
                name: "start_timeout",
                value: Example("\"5min\""),
                effect: Live,
                about: "As in [claims].",
            },
        ],
    },
    Group {
        name: "node.NAME.claims.unit.UNIT",
        about: "The same for the needs of one node.",
        keys: &[
            Key {
                name: "source_grace",
                value: Example("\"1min\""),
                effect: Live,
                about: "As in [claims].",
            },
            Key {
                name: "loss_grace",
                value: Example("\"30s\""),
                effect: Live,
                about: "As in [claims].",
            },
            Key {
                name: "on_loss",
                value: Example("\"stop\""),
                effect: Live,
                about: "As in [claims].",
            },
            Key {
                name: "start_timeout",
                value: Example("\"5min\""),
                effect: Live,
                about: "As in [claims].",
            },
        ],
    },
    Group {
        name: "limits",
        about: "",
        keys: &[
            Key {
                name: "call_timeout",
                value: Default("\"30s\""),
                effect: Live,
                about: "How long a node may take to answer a question.",
            },
            Key {
                name: "job_timeout",
                value: Default("\"0s\""),
                effect: Live,
                about: "How long a job may take; \"0s\" is as long as systemd on the node lets it.",
            },
        ],
    },
    Group {
        name: "tcp",
        about: "What the kernel does for connections over TCP, also for those that are open.",
        keys: &[
            Key {
                name: "keepalive",
                value: Default("\"10s\""),
                effect: Live,
                about: "How long a connection is silent before the kernel asks whether the other side \
                        is there.",
            },
            Key {
                name: "user_timeout",
                value: Default("\"20s\""),
                effect: Live,
                about: "How long what was sent may go unacknowledged before the kernel gives the \
                        connection up.",
            },
        ],
    },
    Group {
        name: "log",
        about: "",
        keys: &[
            Key {
                name: "level",
                value: Default("\"info\""),
                effect: Live,
                about: "\"error\", \"warn\", \"info\", \"debug\" or \"trace\".",
            },
            Key {
                name: "target",
                value: Default("\"auto\""),
                effect: Live,
                about: "\"journal\", \"stderr\", or \"auto\": the journal when started by systemd.",
            },
            Key {
                name: "format",
                value: Default("\"text\""),
                effect: Live,
                about: "What lines to stderr look like: \"text\", or \"json\" for one object on each \
                        line. The journal has fields in any case.",
            },
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;
    use crate::settings::tests::load_text;
    use host::scope::Scope;

    const SAMPLE: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../units/config/controller.toml"
    );
    const MANUAL: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/man/unitlink-controller.toml.5"
    );

    /// `UPDATE_MANUAL=1 cargo test -p unitlink-controller manual` writes both anew.
    #[test]
    fn the_installed_file_and_the_manual_page_are_what_the_table_says() {
        let made = [
            (SAMPLE, OPTIONS.sample(&[], &Scope::System).expect("all")),
            (MANUAL, OPTIONS.manual(env!("CARGO_PKG_VERSION"))),
        ];
        for (path, text) in made {
            if std::env::var_os("UPDATE_MANUAL").is_some() {
                std::fs::write(path, &text).expect("written");
            }
            let committed = std::fs::read_to_string(Path::new(path)).expect("read");
            assert!(
                committed == text,
                "{path} is not what the table says: UPDATE_MANUAL=1 cargo test -p unitlink-controller manual"
            );
        }
    }

    #[test]
    fn the_table_has_every_key_that_is_asked_for_and_no_other() {
        // Every line of the sample that is a key, also those of the example of a node.
        let sample = OPTIONS.sample(&[], &Scope::System).expect("all");
        let lines = sample.lines().filter_map(|line| {
            let key = line
                .strip_prefix("#     ")
                .or_else(|| line.strip_prefix('#'))?;
            (!key.starts_with([' ', '#'])).then_some(key)
        });
        let all: String = lines.map(|line| format!("{line}\n")).collect();
        let all = format!("{all}[node.worker2]\n");
        let loaded = load_text("all", &all).expect(&all);
        let set: BTreeSet<&str> = loaded
            .entries
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        for key in &loaded.asked {
            let known = OPTIONS.key(key).is_some()
                || key == "node.worker1"
                || key == "node.worker2"
                || key.ends_with(".unit.\"lidar*\"");
            assert!(known, "{key} is read and not in the table");
            let example = key.starts_with("node.worker2.");
            assert!(
                example || set.contains(key.as_str()),
                "{key} is not in the sample"
            );
        }
    }

    #[test]
    fn the_defaults_of_the_table_are_those_of_the_program() {
        let sample = OPTIONS.sample(&[], &Scope::System).expect("all");
        let lines = sample.lines().filter_map(|line| {
            let key = line.strip_prefix('#')?;
            (!key.starts_with([' ', '#']) && !key.is_empty()).then(|| format!("{key}\n"))
        });
        let written = load_text("written", &lines.collect::<String>()).expect("valid");
        let nothing = load_text("none", "").expect("valid");
        assert_eq!(written.settings, nothing.settings);
        assert_eq!(
            OPTIONS.digest(&written.entries, &Scope::System),
            OPTIONS.digest(&nothing.entries, &Scope::System)
        );
    }
}
