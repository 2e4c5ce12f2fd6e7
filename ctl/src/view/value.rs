//! Values of D-Bus, as systemctl(1) prints properties, and as JSON.

use std::time::Duration;

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeSeq as _},
};
use zbus::wire::Variant;

use super::detail;
use crate::span;

/// The value of a property. What systemd counts has no unit; that of a span, a moment or a mode is
/// known by the end of its name.
pub(super) fn text(name: &str, value: &Variant<'_>) -> String {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is not shown in a way of its own"
    )]
    match value {
        Variant::U64(u64::MAX) if is_limit(name) => "infinity".into(),
        Variant::U64(u64::MAX) => "[not set]".into(),
        Variant::U64(0) if name.ends_with("Timestamp") => String::new(),
        Variant::U64(usec) if name.ends_with("Timestamp") => {
            let moment = Duration::from_micros(*usec);
            detail::date(moment, &detail::zone()).unwrap_or_else(|| usec.to_string())
        }
        Variant::U64(usec) if name.ends_with("USec") => usec_text(*usec),
        Variant::Array(commands) if name.starts_with("Exec") => {
            let commands = commands.inner().iter();
            let text = |value| command(value).unwrap_or_else(|| plain(value));
            commands.map(text).collect::<Vec<_>>().join(" ")
        }
        Variant::U32(mode) if name.ends_with("Mode") || name == "UMask" => format!("{mode:04o}"),
        _ => plain(value),
    }
}

/// A command of a service, org.freedesktop.systemd1(5): what is run, with which flags, when it began
/// and ended by both clocks, and how.
fn command(value: &Variant<'_>) -> Option<String> {
    let Variant::Structure(fields) = value else {
        return None;
    };
    let [path, words, flags, began, _, ended, _, pid, code, status] = fields.fields() else {
        return None;
    };
    let name = if matches!(flags, Variant::Bool(_)) {
        "ignore_errors"
    } else {
        "flags"
    };
    let flags = format!("{name}={}", plain(flags));
    let moment = |value: &Variant<'_>| match text("Timestamp", value) {
        text if text.is_empty() => "n/a".to_owned(),
        text => text,
    };
    // The codes of waitid(2), as systemd names them.
    let code = match plain(code).as_str() {
        "0" => "(null)",
        "1" => "exited",
        "2" => "killed",
        "3" => "dumped",
        _ => "unknown",
    };
    Some(format!(
        "{{ path={} ; argv[]={} ; {flags} ; start_time=[{}] ; stop_time=[{}] ; pid={} ; \
         code={code} ; status={} }}",
        plain(path),
        plain(words),
        moment(began),
        moment(ended),
        plain(pid),
        plain(status)
    ))
}

/// Whether the largest number means that there is no limit, rather than that it is not known.
fn is_limit(name: &str) -> bool {
    name.ends_with("USec") || name.ends_with("Max") || name.starts_with("Limit")
}

/// A span; with microseconds if it has no more than these.
fn usec_text(usec: u64) -> String {
    match usec {
        0 => "0".into(),
        1..1_000 => format!("{usec}us"),
        _ => span::display(Duration::from_micros(usec)),
    }
}

fn plain(value: &Variant<'_>) -> String {
    match value {
        Variant::U8(n) => n.to_string(),
        Variant::Bool(true) => "yes".into(),
        Variant::Bool(false) => "no".into(),
        Variant::I16(n) => n.to_string(),
        Variant::U16(n) => n.to_string(),
        Variant::I32(n) => n.to_string(),
        Variant::U32(n) => n.to_string(),
        Variant::I64(n) => n.to_string(),
        Variant::U64(n) => n.to_string(),
        Variant::F64(n) => n.to_string(),
        Variant::Str(text) => text.to_string(),
        Variant::Signature(signature) => signature.to_string(),
        Variant::ObjectPath(path) => path.to_string(),
        Variant::Variant(inner) => plain(inner),
        // A list of structs has one in each pair of braces, a list of anything else has spaces.
        Variant::Array(items) => joined(items.inner().iter(), " "),
        Variant::Dict(entries) => {
            let entry = |(key, value)| format!("{}={}", plain(key), plain(value));
            entries.iter().map(entry).collect::<Vec<_>>().join(" ")
        }
        Variant::Structure(fields) => format!("{{ {} }}", joined(fields.fields().iter(), " ; ")),
        Variant::Fd(_) => "[file descriptor]".into(),
    }
}

fn joined<'a, 'v: 'a>(values: impl Iterator<Item = &'a Variant<'v>>, between: &str) -> String {
    values.map(plain).collect::<Vec<_>>().join(between)
}

/// A value as JSON: numbers, texts, lists and objects as they are; a struct is a list.
pub(super) struct Value<'a>(pub(super) &'a Variant<'a>);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Variant::U8(n) => serializer.serialize_u8(*n),
            Variant::Bool(yes) => serializer.serialize_bool(*yes),
            Variant::I16(n) => serializer.serialize_i16(*n),
            Variant::U16(n) => serializer.serialize_u16(*n),
            Variant::I32(n) => serializer.serialize_i32(*n),
            Variant::U32(n) => serializer.serialize_u32(*n),
            Variant::I64(n) => serializer.serialize_i64(*n),
            Variant::U64(n) => serializer.serialize_u64(*n),
            Variant::F64(n) => serializer.serialize_f64(*n),
            Variant::Variant(inner) => Value(inner).serialize(serializer),
            Variant::Array(items) => list(items.inner(), serializer),
            Variant::Structure(fields) => list(fields.fields(), serializer),
            Variant::Dict(entries) => {
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in entries.iter() {
                    map.serialize_entry(&plain(key), &Value(value))?;
                }
                map.end()
            }
            Variant::Str(_) | Variant::Signature(_) | Variant::ObjectPath(_) | Variant::Fd(_) => {
                serializer.serialize_str(&plain(self.0))
            }
        }
    }
}

fn list<S: Serializer>(values: &[Variant<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(values.len()))?;
    for value in values {
        list.serialize_element(&Value(value))?;
    }
    list.end()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    /// `a(sasbttttuii)`.
    fn exec() -> Variant<'static> {
        let command = (
            "/bin/a",
            vec!["/bin/a", "b"],
            false,
            0u64,
            0u64,
            0u64,
            0u64,
            7u32,
            1,
            3,
        );
        Variant::from(vec![command])
    }

    #[test_case("Id", &Variant::from("a.service"), "a.service", "\"a.service\""; "a text")]
    #[test_case("CanStart", &Variant::from(true), "yes", "true"; "yes")]
    #[test_case("MainPID", &Variant::from(7u32), "7", "7"; "a number")]
    #[test_case("TimeoutStartUSec", &Variant::from(90_000_000u64), "1min 30s", "90000000"; "a span")]
    #[test_case("TimeoutStartUSec", &Variant::from(u64::MAX), "infinity", "18446744073709551615"; "forever")]
    #[test_case("TasksMax", &Variant::from(u64::MAX), "infinity", "18446744073709551615"; "no limit")]
    #[test_case("MemoryCurrent", &Variant::from(u64::MAX), "[not set]", "18446744073709551615"; "not counted")]
    #[test_case("ActiveEnterTimestamp", &Variant::from(0u64), "", "0"; "never")]
    #[test_case("UMask", &Variant::from(0o22u32), "0022", "18"; "a mode")]
    #[test_case("After", &Variant::from(vec!["a.target", "b.target"]), "a.target b.target", "[\"a.target\",\"b.target\"]"; "a list")]
    #[test_case("Job", &Variant::from((0u32, "x")), "{ 0 ; x }", "[0,\"x\"]"; "a struct")]
    #[test_case("Execs", &Variant::from(vec![("/bin/a", vec!["a", "b"], false)]), "{ /bin/a ; a b ; no }", "[[\"/bin/a\",[\"a\",\"b\"],false]]"; "a list of structs")]
    #[test_case("ExecStart", &exec(), "{ path=/bin/a ; argv[]=/bin/a b ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=7 ; code=exited ; status=3 }", "[[\"/bin/a\",[\"/bin/a\",\"b\"],false,0,0,0,0,7,1,3]]"; "a command")]
    fn values_are_written(name: &str, value: &Variant<'_>, told: &str, json: &str) {
        assert_eq!(text(name, value), told);
        assert_eq!(serde_json::to_string(&Value(value)).expect("written"), json);
    }
}
