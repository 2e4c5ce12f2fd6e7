use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::RangeInclusive,
    time::Duration,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    duration::{DurationError, parse_duration, show_duration},
    error::{ConfigError, Located, Place, Problem, Report},
    nearest::nearest,
    options::Entry,
    show::{either, found, quoted, written},
    source::Text,
};
use crate::{limits::CONFIG_LIST_MAX, scope::Scope};

/// A table of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    pub(super) text: &'a Text,
    pub(super) table: &'a DeTable<'a>,
}

/// A table as all files together have it.
///
/// Every method that reads a key notes that the key is known, checks the value in each file that has
/// it, and yields that of the last one: `None` when no file has it or the last one is wrong.
#[derive(Debug)]
pub struct Section<'a> {
    /// Dotted, empty for the whole.
    name: String,
    layers: Vec<Layer<'a>>,
    known: RefCell<BTreeSet<String>>,
    report: &'a Report,
    scope: &'a Scope,
}

/// A value or a part of it, with what a message about it needs.
struct Item<'a> {
    text: &'a Text,
    key: String,
    value: &'a Spanned<DeValue<'a>>,
}

/// What would be right.
type Refusal = String;

impl<'a> Section<'a> {
    pub(super) fn root(layers: Vec<Layer<'a>>, report: &'a Report, scope: &'a Scope) -> Self {
        Self {
            name: String::new(),
            layers,
            known: RefCell::default(),
            report,
            scope,
        }
    }

    /// For whom the configuration is: some defaults are other ones for a user.
    pub fn scope(&self) -> &Scope {
        self.scope
    }

    /// A table within this one. `read` is called in any case, also when no file has it.
    pub fn section<T>(&self, key: &str, read: impl FnOnce(&Section<'a>) -> T) -> T {
        let layers = self.tables(key).collect();
        let inner = Section {
            name: self.dotted(key),
            layers,
            known: RefCell::default(),
            report: self.report,
            scope: self.scope,
        };
        let result = read(&inner);
        inner.finish();
        result
    }

    /// A table of tables with names of the user's choice, as `[node.worker1]`. `parse` makes the
    /// name a value; `read` reads the table of each.
    pub fn each<K: Ord + Clone, E: fmt::Display, T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<K, E>,
        mut read: impl FnMut(&Located<K>, &Section<'a>) -> T,
    ) -> Vec<(Located<K>, T)> {
        let mut named: BTreeMap<&str, (Place, Vec<Layer<'a>>)> = BTreeMap::new();
        for Layer { text, table } in self.tables(key) {
            for (name, value) in table {
                let place = text.place(name.span().start);
                let (_, layers) = named.entry(name.get_ref()).or_insert((place, Vec::new()));
                let item = Item {
                    text,
                    key: format!("{}.{}", self.dotted(key), quoted(name.get_ref())),
                    value,
                };
                if let Some(table) = self.table(&item) {
                    layers.push(Layer { text, table });
                }
            }
        }
        let mut result = Vec::new();
        for (name, (place, layers)) in named {
            let (found, key) = (
                format!("{name:?}"),
                format!("{}.{}", self.dotted(key), quoted(name)),
            );
            let value = match parse(name) {
                Ok(value) => value,
                Err(error) => {
                    let problem = Problem::Value {
                        found,
                        expected: error.to_string(),
                    };
                    self.report.add(ConfigError {
                        place,
                        key: Some(key),
                        problem,
                    });
                    continue;
                }
            };
            // A table without keys says something as well: its name.
            let entry = Entry {
                key: key.clone(),
                value: "{}".to_owned(),
                place: place.clone(),
            };
            self.report.note(key.clone(), Some(entry));
            let located = Located {
                value,
                place,
                key: key.clone(),
                found,
            };
            let inner = Section {
                name: key,
                layers,
                known: RefCell::default(),
                report: self.report,
                scope: self.scope,
            };
            let read = read(&located, &inner);
            inner.finish();
            result.push((located, read));
        }
        result
    }

    /// A string that `parse` makes a value. Its error says what would be right.
    pub fn text<T, E: fmt::Display>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Located<T>> {
        self.value(key, |value| text(value, &parse))
    }

    /// A string that is not empty.
    pub fn string(&self, key: &str) -> Option<Located<String>> {
        self.text(key, |text| match text {
            "" => Err("expected a string that is not empty"),
            text => Ok(text.to_owned()),
        })
    }

    /// A boolean.
    pub fn boolean(&self, key: &str) -> Option<Located<bool>> {
        self.value(key, |value| {
            value
                .as_bool()
                .ok_or_else(|| "expected true or false".to_owned())
        })
    }

    /// An integer within a range.
    pub fn integer(&self, key: &str, range: RangeInclusive<i64>) -> Option<Located<i64>> {
        self.value(key, |value| {
            let number = value.as_integer().and_then(|number| {
                let digits = number.as_str().replace('_', "");
                i64::from_str_radix(&digits, number.radix()).ok()
            });
            number
                .filter(|number| range.contains(number))
                .ok_or_else(|| {
                    format!(
                        "expected an integer from {} to {}",
                        range.start(),
                        range.end()
                    )
                })
        })
    }

    /// A time span within a range, written as [`parse_duration`] reads it.
    pub fn duration(
        &self,
        key: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Located<Duration>> {
        self.value(key, |value| {
            let duration = match value.as_integer().map(|number| number.as_str().parse()) {
                Some(Ok(number)) => Err(DurationError::NoUnit(number)),
                Some(Err(_)) => Err(DurationError::Form),
                None => parse_duration(value.as_str().unwrap_or_default()),
            };
            let duration = duration.map_err(|error| error.to_string())?;
            if range.contains(&duration) {
                return Ok(duration);
            }
            let (from, to) = (show_duration(*range.start()), show_duration(*range.end()));
            Err(format!("expected a time from \"{from}\" to \"{to}\""))
        })
    }

    /// One of some words.
    pub fn word<T: Clone>(&self, key: &str, words: &[(&str, T)]) -> Option<Located<T>> {
        self.value(key, |value| {
            let word = words.iter().find(|(word, _)| value.as_str() == Some(*word));
            word.map(|(_, meaning)| meaning.clone()).ok_or_else(|| {
                format!(
                    "expected {}",
                    either(words.iter().map(|(word, _)| format!("{word:?}")))
                )
            })
        })
    }

    /// An array of strings that `parse` makes values, each with its place; at most
    /// [`CONFIG_LIST_MAX`]. Wrong entries are left out (and reported).
    pub fn list<T, E: fmt::Display>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Located<Vec<Located<T>>>> {
        let mut last = None;
        self.note(key);
        for item in self.items(key) {
            last = None;
            let Some(array) = item.value.get_ref().as_array() else {
                self.add(&item, "expected an array of strings".to_owned());
                continue;
            };
            if array.len() > CONFIG_LIST_MAX {
                self.add(&item, format!("expected at most {CONFIG_LIST_MAX} entries"));
                continue;
            }
            let mut entries = Vec::new();
            for (index, value) in array.iter().enumerate() {
                let entry = Item {
                    text: item.text,
                    key: format!("{}[{index}]", item.key),
                    value,
                };
                entries.extend(self.check(&entry, |value| text(value, &parse)));
            }
            last = Some(item.located(entries));
        }
        last
    }

    /// Refuses a value that this or another section yielded, because of something that is seen only
    /// later. `expected` says what would be right.
    pub fn refuse<T>(&self, located: &Located<T>, expected: impl fmt::Display) {
        let (place, key) = (located.place.clone(), Some(located.key.clone()));
        let problem = Problem::Value {
            found: located.found.clone(),
            expected: expected.to_string(),
        };
        self.report.add(ConfigError {
            place,
            key,
            problem,
        });
    }

    /// Reports that a key must be there and is not; nothing when some file could not be read, since
    /// it may be in that one. It is about the last file.
    pub fn missing(&self, key: &str, expected: impl fmt::Display) {
        self.known.borrow_mut().insert(key.to_owned());
        if self.report.is_incomplete() {
            return;
        }
        let place = match self.layers.last() {
            Some(layer) => Place {
                position: None,
                ..layer.text.place(0)
            },
            None => Place {
                file: std::path::Path::new("configuration").into(),
                position: None,
                order: 0,
            },
        };
        let problem = Problem::Missing {
            expected: expected.to_string(),
        };
        self.report.add(ConfigError {
            place,
            key: Some(self.dotted(key)),
            problem,
        });
    }

    /// Reports all keys that nobody asked for.
    pub(super) fn finish(&self) {
        let known = self.known.borrow();
        for Layer { text, table } in &self.layers {
            for (key, value) in table
                .iter()
                .filter(|(key, _)| !known.contains(key.get_ref().as_ref()))
            {
                let kind = if value.get_ref().is_table() {
                    "table"
                } else {
                    "key"
                };
                let near = nearest(key.get_ref(), known.iter().map(String::as_str));
                let hint = match near {
                    Some(near) => format!("did you mean '{near}'?"),
                    None if known.is_empty() => "expected nothing here".to_owned(),
                    None => format!(
                        "expected {}",
                        either(known.iter().map(|it| format!("'{it}'")))
                    ),
                };
                let (place, key) = (text.place(key.span().start), self.dotted(key.get_ref()));
                let problem = Problem::Unknown { kind, hint };
                self.report.add(ConfigError {
                    place,
                    key: Some(key),
                    problem,
                });
            }
        }
    }

    fn value<T>(
        &self,
        key: &str,
        parse: impl Fn(&DeValue<'a>) -> Result<T, Refusal>,
    ) -> Option<Located<T>> {
        let mut last = None;
        self.note(key);
        for item in self.items(key) {
            last = self.check(&item, &parse);
        }
        last
    }

    /// Notes what the last file has for a key.
    fn note(&self, key: &str) {
        let entry = self.items(key).last().map(|item| Entry {
            key: item.key.clone(),
            value: written(item.value.get_ref()),
            place: item.text.place(item.value.span().start),
        });
        self.report.note(self.dotted(key), entry);
    }

    fn check<T>(
        &self,
        item: &Item<'a>,
        parse: impl Fn(&DeValue<'a>) -> Result<T, Refusal>,
    ) -> Option<Located<T>> {
        match parse(item.value.get_ref()) {
            Ok(value) => Some(item.located(value)),
            Err(expected) => {
                self.add(item, expected);
                None
            }
        }
    }

    /// What each file has for a key.
    fn items(&self, key: &str) -> impl Iterator<Item = Item<'a>> {
        self.known.borrow_mut().insert(key.to_owned());
        let dotted = self.dotted(key);
        let values = self.layers.iter().filter_map(|layer| {
            let (_, value) = layer.table.iter().find(|(name, _)| name.get_ref() == key)?;
            Some(Item {
                text: layer.text,
                key: dotted.clone(),
                value,
            })
        });
        values.collect::<Vec<_>>().into_iter()
    }

    fn tables(&self, key: &str) -> impl Iterator<Item = Layer<'a>> {
        self.items(key).filter_map(|item| {
            let table = self.table(&item)?;
            Some(Layer {
                text: item.text,
                table,
            })
        })
    }

    fn table(&self, item: &Item<'a>) -> Option<&'a DeTable<'a>> {
        let table = item.value.get_ref().as_table();
        if table.is_none() {
            self.add(item, format!("expected a table, write [{}]", item.key));
        }
        table
    }

    fn add(&self, item: &Item<'a>, expected: Refusal) {
        self.refuse(&item.located(()), expected);
    }

    fn dotted(&self, key: &str) -> String {
        match self.name.as_str() {
            "" => quoted(key),
            name => format!("{name}.{}", quoted(key)),
        }
    }
}

impl Item<'_> {
    fn located<T>(&self, value: T) -> Located<T> {
        Located {
            value,
            place: self.text.place(self.value.span().start),
            key: self.key.clone(),
            found: found(self.value.get_ref()),
        }
    }
}

fn text<T, E: fmt::Display>(
    value: &DeValue<'_>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Refusal> {
    let text = value.as_str().ok_or("expected a string")?;
    parse(text).map_err(|error| error.to_string())
}
