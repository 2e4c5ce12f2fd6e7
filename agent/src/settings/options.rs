//! Every key of `agent.toml`, for the sample, the manual page and what is in force.

use host::config::options::{
    Effect::{Live, Reconnect},
    Group, Key, Options,
    Value::{ByScope, Default, Example},
};

/// The keys.
pub(crate) const OPTIONS: Options = Options {
    file: "agent",
    of: "the agent of a node",
    groups: GROUPS,
    example: "# /etc/unitlink/agent.toml.d/fleet.toml\n\
              node_name = \"worker1\"\n\
              controller = [\"tcp:host=10.0.0.1,port=842\"]\n",
};

const GROUPS: &[Group] = &[
    Group {
        name: "",
        about: "",
        keys: &[
            Key {
                name: "node_name",
                value: Example("\"worker1\""),
                effect: Reconnect,
                about: "The name of this node in the fleet. The default is the host name of the machine.",
            },
            Key {
                name: "controller",
                value: ByScope {
                    system: "[\"unix:path=/run/unitlink/controller.sock\"]",
                    user: "[\"unix:path=%t/unitlink/controller.sock\"]",
                },
                effect: Reconnect,
                about: "Addresses of the controller as D-Bus writes them, tried in order, such as \
                        \"tcp:host=10.0.0.1,port=842\". The default is the controller on this machine.",
            },
            Key {
                name: "graceful_shutdown_timeout",
                value: Default("\"60s\""),
                effect: Live,
                about: "How long a stop waits for the jobs of the controller to end; meanwhile new ones \
                        are refused. A job that is still open then goes on, and so does every unit. \
                        \"0s\" is without a limit. When the machine shuts down nothing is waited for.",
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
                about: "How often a sign of life is sent to the controller.",
            },
            Key {
                name: "threshold",
                value: Default("\"6s\""),
                effect: Live,
                about: "A controller from which nothing was heard for so long is gone: the connection is \
                        closed and made again, and what runs stays as it is. At least twice the interval.",
            },
        ],
    },
    Group {
        name: "reconnect",
        about: "How soon the controller is called again after it could not be reached. A connection that \
                breaks is made again at once; a pause comes before each attempt after that.",
        keys: &[
            Key {
                name: "first",
                value: Default("\"20ms\""),
                effect: Live,
                about: "The first pause. Each further one is twice as long, less up to a quarter, so that \
                        nodes do not come in step.",
            },
            Key {
                name: "max",
                value: Default("\"5s\""),
                effect: Live,
                about: "The longest pause. At least the first one.",
            },
        ],
    },
    Group {
        name: "tcp",
        about: "What the kernel does for the connection to the controller over TCP, also for one that \
                is open.",
        keys: &[
            Key {
                name: "keepalive",
                value: Default("\"10s\""),
                effect: Live,
                about: "How long the connection is silent before the kernel asks whether the other side \
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
    use std::path::Path;

    use super::*;
    use crate::settings::tests::load_text;
    use host::scope::Scope;

    const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../units/config/agent.toml");
    const MANUAL: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/man/unitlink-agent.toml.5"
    );

    /// `UPDATE_MANUAL=1 cargo test -p unitlink-agent manual` writes both anew.
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
                "{path} is not what the table says: UPDATE_MANUAL=1 cargo test -p unitlink-agent manual"
            );
        }
    }

    /// The sample with its keys in force; `example` also those that are only examples.
    fn written(example: bool) -> String {
        let sample = OPTIONS.sample(&[], &Scope::System).expect("all");
        let lines = sample.lines().filter_map(|line| {
            let indented = example.then(|| line.strip_prefix("#     ")).flatten();
            let key = indented.or_else(|| line.strip_prefix('#'))?;
            (!key.starts_with([' ', '#']) && !key.is_empty()).then(|| format!("{key}\n"))
        });
        lines.collect()
    }

    #[test]
    fn the_table_has_every_key_that_is_asked_for_and_no_other() {
        let loaded = load_text(&written(true)).expect("valid");
        for key in &loaded.asked {
            assert!(
                OPTIONS.key(key).is_some(),
                "{key} is read and not in the table"
            );
            let set = loaded.entries.iter().any(|entry| entry.key == *key);
            assert!(set, "{key} is not in the sample");
        }
    }

    #[test]
    fn the_defaults_of_the_table_are_those_of_the_program() {
        let written = load_text(&written(false)).expect("valid");
        let nothing = load_text("").expect("valid");
        assert_eq!(written.settings, nothing.settings);
        assert_eq!(
            OPTIONS.digest(&written.entries, &Scope::System),
            OPTIONS.digest(&nothing.entries, &Scope::System)
        );
    }
}
