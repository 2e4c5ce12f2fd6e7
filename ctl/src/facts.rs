//! Dictionaries of a D-Bus reply, read leniently: a fact that is missing or of another type is not
//! known, because controllers and agents of other versions have fewer or more.

use std::{collections::BTreeMap, time::Duration};

use zbus::wire::{OwnedVariant, Variant};

use crate::{details::Command, fleet::Problem};

/// `a{sv}`.
#[derive(Debug, Default)]
pub(crate) struct Facts(pub(crate) BTreeMap<String, OwnedVariant>);

impl Facts {
    /// A text; empty if it is not known.
    pub(crate) fn text(&self, key: &str) -> String {
        let text = self.0.get(key).and_then(|v| <&str>::try_from(v).ok());
        text.unwrap_or_default().to_owned()
    }

    /// Texts; none if they are not known.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        let texts = self.0.get(key).cloned();
        texts
            .and_then(|v| Vec::<String>::try_from(v).ok())
            .unwrap_or_default()
    }

    /// Commands of a service; none if they are not known.
    pub(crate) fn commands(&self, key: &str) -> Vec<Command> {
        self.items(key, Command::read)
    }

    /// Pairs of texts, as `SECOND (FIRST)`.
    pub(crate) fn pairs(&self, key: &str) -> Vec<String> {
        self.items(key, |value| {
            let Variant::Structure(fields) = value else {
                return None;
            };
            let [Variant::Str(first), Variant::Str(second)] = fields.fields() else {
                return None;
            };
            Some(format!("{second} ({first})"))
        })
    }

    fn items<T>(&self, key: &str, read: impl Fn(&Variant<'_>) -> Option<T>) -> Vec<T> {
        let Some(Variant::Array(items)) = self.0.get(key).map(|value| &**value) else {
            return Vec::new();
        };
        items.inner().iter().filter_map(read).collect()
    }

    /// Reasons why a reload was rejected.
    pub(crate) fn problems(&self, key: &str) -> Vec<Problem> {
        self.items(key, |value| {
            let Variant::Structure(fields) = value else {
                return None;
            };
            let [
                Variant::Str(file),
                Variant::U32(line),
                Variant::U32(column),
                Variant::Str(key),
                Variant::Str(reason),
            ] = fields.fields()
            else {
                return None;
            };
            Some(Problem {
                file: file.to_string(),
                line: *line,
                column: *column,
                key: key.to_string(),
                reason: reason.to_string(),
            })
        })
    }

    /// A yes or no.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.0.get(key).and_then(|v| bool::try_from(v).ok())
    }

    /// A number of 32 bits.
    pub(crate) fn u32(&self, key: &str) -> Option<u32> {
        self.0.get(key).and_then(|v| u32::try_from(v).ok())
    }

    /// A signed number of 32 bits.
    pub(crate) fn i32(&self, key: &str) -> Option<i32> {
        self.0.get(key).and_then(|v| i32::try_from(v).ok())
    }

    /// A number of 64 bits.
    pub(crate) fn u64(&self, key: &str) -> Option<u64> {
        self.0.get(key).and_then(|v| u64::try_from(v).ok())
    }

    /// A span in microseconds; `u64::MAX` means that there is none, as everywhere in systemd.
    pub(crate) fn span(&self, key: &str) -> Option<Duration> {
        let usec = self.u64(key).filter(|usec| *usec != u64::MAX);
        usec.map(Duration::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_of_another_type_is_not_known() {
        let value = OwnedVariant::try_from(Variant::from(7u32)).expect("owned");
        let facts = Facts(BTreeMap::from([("A".to_owned(), value)]));
        assert_eq!(facts.u32("A"), Some(7));
        assert_eq!((facts.text("A"), facts.u64("A")), (String::new(), None));
        assert_eq!((facts.flag("B"), facts.texts("B")), (None, vec![]));
    }
}
