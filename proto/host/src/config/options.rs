//! Every key that a daemon knows, as a table: what the sample, the manual page and the list of what is
//! in force are made of. What a key is read as is in the daemon's `prove`; tests hold both together.

use std::fmt::Write as _;

use super::{digest::Digest, error::Place};
use crate::scope::Scope;

/// The keys of a daemon.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The file without its ending: `controller`.
    pub file: &'static str,
    /// What it configures: `the controller of a fleet`.
    pub of: &'static str,
    /// Tables and keys, in the order in which they are shown.
    pub groups: &'static [Group],
    /// A file as people write it, for the manual page.
    pub example: &'static str,
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Dotted, empty for keys outside of tables. An element in capitals is a name of the user's
    /// choice, as in `node.NAME`; such a table is shown as an example.
    pub name: &'static str,
    /// What it is about, in sentences; may be empty.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name within the table; dotted for a key of an inline table.
    pub name: &'static str,
    /// What is written for it.
    pub value: Value,
    /// What a change of it does.
    pub effect: Effect,
    /// What it means, in sentences.
    pub about: &'static str,
}

/// What is shown as the value of a key, as TOML writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// What holds when nothing is said.
    Default(&'static str),
    /// The same, where it is another one for a user. [`Scope::expand`] has its specifier.
    ByScope {
        /// For the machine.
        system: &'static str,
        /// With `--user`.
        user: &'static str,
    },
    /// Something one could say; what holds otherwise is in the sentences.
    Example(&'static str),
}

impl Value {
    /// What holds when nothing is said, if that can be written.
    fn default(self, scope: &Scope) -> Option<String> {
        match self {
            Self::Default(value) => Some(value.to_owned()),
            Self::ByScope { system, .. } if !scope.is_user() => Some(scope.expand(system)),
            Self::ByScope { user, .. } => Some(scope.expand(user)),
            Self::Example(_) => None,
        }
    }

    /// What is shown for it in an example.
    fn shown(self) -> &'static str {
        match self {
            Self::Default(value) | Self::Example(value) | Self::ByScope { system: value, .. } => {
                value
            }
        }
    }
}

/// What a reload does with a key that has changed. None needs a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is in force at once, and no connection notices.
    Live,
    /// This agent connects anew, and nothing that runs notices.
    Reconnect,
}

impl Effect {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Reconnect => "reconnect",
        }
    }
}

/// A value that files set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key, dotted.
    pub key: String,
    /// As TOML writes it.
    pub value: String,
    /// Where it is written.
    pub place: Place,
}

/// A key with what is in force for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its key, dotted.
    pub key: String,
    /// As TOML writes it; empty where there is no default that could be written.
    pub value: String,
    /// `FILE:LINE:COLUMN`, or `default`.
    pub source: String,
    /// What a change of it does.
    pub effect: Effect,
}

/// The width of comments in the sample.
const COLUMNS: usize = 100;

impl Options {
    /// The commented sample for `scope`: all tables, or only these.
    ///
    /// # Errors
    ///
    /// Names a table that there is not, and those that there are.
    pub fn sample(&self, only: &[String], scope: &Scope) -> Result<String, String> {
        for name in only {
            if !self.groups.iter().any(|group| group.is(name)) {
                let known = self
                    .groups
                    .iter()
                    .map(|group| format!("'{}'", group.title()));
                let known = known.collect::<Vec<_>>().join(", ");
                return Err(format!("there is no section '{name}'; there are {known}"));
            }
        }
        let mut text = String::new();
        if only.is_empty() {
            let file = self.file;
            let option = if scope.is_user() { " --user" } else { "" };
            let folder = match scope.config_folders().pop() {
                Some(folder) => folder.display().to_string(),
                None => String::new(),
            };
            comment(
                &mut text,
                &format!(
                    "Configuration of unitlink-{file}(8); unitlink-{file}.toml(5) is its reference."
                ),
            );
            text.push_str("#\n");
            comment(
                &mut text,
                &format!(
                    "A line that begins with # and no space is a key with its default. It is better to \
                     leave this file as it is and to put a file with the few keys that differ into \
                     {folder}/{file}.toml.d/: tables are merged key by key, and what is read later \
                     replaces what was read earlier. `systemctl{option} reload unitlink-{file}` puts every \
                     change into force; `unitlinkctl{option} daemon check-config` says beforehand what is \
                     wrong."
                ),
            );
        }
        let wanted = |group: &&Group| only.is_empty() || only.iter().any(|name| group.is(name));
        for group in self.groups.iter().filter(wanted) {
            group.write(&mut text, scope);
        }
        Ok(text)
    }

    /// The table that a dotted key is in, and the key.
    pub fn key(&self, dotted: &str) -> Option<&'static Key> {
        let asked = elements(dotted);
        self.groups.iter().find_map(|group| {
            group.keys.iter().find(|key| {
                let mut known = elements(group.name);
                known.extend(elements(key.name));
                known.len() == asked.len()
                    && known
                        .iter()
                        .zip(&asked)
                        .all(|(known, asked)| is_any(known) || known == asked)
            })
        })
    }

    /// Everything that is in force when files set `entries`: their values, then the defaults of all
    /// other keys, by key.
    pub fn in_force(&self, entries: &[Entry], scope: &Scope) -> Vec<InForce> {
        let set = entries.iter().map(|entry| InForce {
            key: entry.key.clone(),
            value: entry.value.clone(),
            source: entry.place.to_string(),
            effect: self.key(&entry.key).map_or(Effect::Live, |key| key.effect),
        });
        let mut all: Vec<InForce> = set.collect();
        for group in self.groups.iter().filter(|group| !group.is_template()) {
            for key in group.keys {
                let dotted = group.dotted(key);
                if entries.iter().all(|entry| entry.key != dotted) {
                    all.push(InForce {
                        key: dotted,
                        value: key.value.default(scope).unwrap_or_default(),
                        source: "default".to_owned(),
                        effect: key.effect,
                    });
                }
            }
        }
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }

    /// What is in force, for programs: the digest on the first line, then key, value, source and
    /// effect on one line each, separated by tabs. None of them has a tab or a line feed in it but a
    /// source whose file has, and that one is the administrator's own.
    pub fn listing(&self, entries: &[Entry], scope: &Scope) -> String {
        let mut text = format!("{}\n", self.digest(entries, scope));
        for InForce {
            key,
            value,
            source,
            effect,
        } in self.in_force(entries, scope)
        {
            let _ = writeln!(text, "{key}\t{value}\t{source}\t{}", effect.as_str());
        }
        text
    }

    /// The digest of what is in force, wherever it is written.
    pub fn digest(&self, entries: &[Entry], scope: &Scope) -> Digest {
        Digest::of(
            self.in_force(entries, scope)
                .iter()
                .map(|it| (it.key.as_str(), it.value.as_str())),
        )
    }
}

impl Group {
    /// The name under which it can be asked for; keys outside of tables are `main`.
    pub fn title(&self) -> &'static str {
        if self.name.is_empty() {
            "main"
        } else {
            self.name
        }
    }

    fn is(&self, name: &str) -> bool {
        let asked = name.trim_matches(['[', ']']);
        let top = self.name.split('.').next().unwrap_or_default();
        asked == self.title() || self.is_template() && asked == top
    }

    fn is_template(&self) -> bool {
        self.name.split('.').any(is_any)
    }

    fn dotted(&self, key: &Key) -> String {
        match self.name {
            "" => key.name.to_owned(),
            name => format!("{name}.{}", key.name),
        }
    }

    fn write(&self, text: &mut String, scope: &Scope) {
        if !text.is_empty() {
            text.push('\n');
        }
        if self.is_template() {
            comment(text, self.about);
            text.push_str("#\n");
            let name = self.name.split('.').map(|element| match element {
                "NAME" => "worker1",
                "UNIT" => "\"lidar*\"",
                other => other,
            });
            let _ = writeln!(text, "#     [{}]", name.collect::<Vec<_>>().join("."));
            for key in self.keys {
                let value = key.value.shown();
                for line in wrap(key.about, COLUMNS - 8) {
                    let _ = writeln!(text, "#     # {line}");
                }
                let _ = writeln!(text, "#     {} = {value}", key.name);
            }
            return;
        }
        if !self.about.is_empty() {
            comment(text, self.about);
        }
        if !self.name.is_empty() {
            let _ = writeln!(text, "#[{}]", self.name);
        }
        for (number, key) in self.keys.iter().enumerate() {
            if self.name.is_empty() && number > 0 {
                text.push('\n');
            }
            comment(text, &key.sentences());
            let _ = match key.value.default(scope) {
                Some(value) => writeln!(text, "#{} = {value}", key.name),
                None => writeln!(text, "#\n#     {} = {}", key.name, key.value.shown()),
            };
        }
    }
}

impl Key {
    /// What it means, and what a change does where that is more than nothing.
    pub fn sentences(&self) -> String {
        match self.effect {
            Effect::Live => self.about.to_owned(),
            Effect::Reconnect => format!("{} A change makes this agent connect anew.", self.about),
        }
    }
}

/// Whether an element of a name is one of the user's choice.
fn is_any(element: &str) -> bool {
    !element.is_empty() && element.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The elements of a dotted key; those in quotes may have dots.
fn elements(dotted: &str) -> Vec<&str> {
    let (mut elements, mut begin, mut quoted) = (Vec::new(), 0, false);
    let mut escaped = false;
    for (at, c) in dotted.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            '.' if !quoted => {
                elements.extend(dotted.get(begin..at));
                begin = at + 1;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    elements.extend(dotted.get(begin..).filter(|rest| !rest.is_empty()));
    elements
}

fn comment(text: &mut String, sentences: &str) {
    for line in wrap(sentences, COLUMNS - 2) {
        let _ = writeln!(text, "# {line}");
    }
}

/// Lines of at most so many characters.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scope::User;
    use test_case::test_case;

    const OPTIONS: Options = Options {
        file: "c",
        of: "a test",
        groups: &[
            Group {
                name: "",
                about: "",
                keys: &[Key {
                    name: "name",
                    value: Value::Example("\"a\""),
                    effect: Effect::Reconnect,
                    about: "A name.",
                }],
            },
            Group {
                name: "node.NAME",
                about: "One for each.",
                keys: &[Key {
                    name: "claims.on_loss",
                    value: Value::Example("\"keep\""),
                    effect: Effect::Live,
                    about: "What.",
                }],
            },
            Group {
                name: "log",
                about: "",
                keys: &[Key {
                    name: "level",
                    value: Value::Default("\"info\""),
                    effect: Effect::Live,
                    about: "Which lines.",
                }],
            },
        ],
        example: "",
    };

    #[test_case("name" => Some("name"))]
    #[test_case("log.level" => Some("level"))]
    #[test_case("node.a.claims.on_loss" => Some("claims.on_loss"))]
    #[test_case("node.\"a.b\".claims.on_loss" => Some("claims.on_loss"); "a name with a dot")]
    #[test_case("node.a" => None; "a table")]
    #[test_case("log.levels" => None)]
    fn a_key_is_found_by_its_dotted_name(dotted: &str) -> Option<&'static str> {
        OPTIONS.key(dotted).map(|key| key.name)
    }

    #[test]
    fn a_default_may_be_another_one_for_a_user() {
        let value = Value::ByScope {
            system: "\"/run/a\"",
            user: "\"%t/a\"",
        };
        let user = User::with("/run/user/7", Path::new("/c"));
        let default = |scope| value.default(&scope).expect("there is one");
        assert_eq!(default(Scope::System), "\"/run/a\"");
        assert_eq!(default(Scope::User(user)), "\"/run/user/7/a\"");
    }

    #[test]
    fn a_sample_has_the_sections_that_are_asked_for() {
        let only = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            OPTIONS.sample(&names, &Scope::System)
        };
        assert_eq!(
            only(&["log"]).expect("there"),
            "#[log]\n# Which lines.\n#level = \"info\"\n"
        );
        let node = only(&["node"]).expect("there");
        assert!(
            node.contains("#     [node.worker1]\n#     # What.\n"),
            "{node}"
        );
        let all = only(&[]).expect("all");
        assert!(
            all.contains("connect anew.\n#\n#     name = \"a\"\n"),
            "{all}"
        );
        assert_eq!(
            only(&["lock"]).expect_err("unknown"),
            "there is no section 'lock'; there are 'main', 'node.NAME', 'log'"
        );
    }
}
