use toml::de::{DeString, DeValue};

/// A key as TOML writes it.
pub(super) fn quoted(key: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !key.is_empty() && key.bytes().all(bare) {
        return key.to_owned();
    }
    format!("{key:?}")
}

/// What a value is, as it is written but never long.
pub(super) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => shortened(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(array) => match array.len() {
            0 => "an empty array".to_owned(),
            _ => "an array".to_owned(),
        },
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A value as TOML writes it, on one line, always in the same way.
pub(super) fn written(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => string(text),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            match i64::from_str_radix(&digits, number.radix()) {
                Ok(number) => number.to_string(),
                Err(_) => digits,
            }
        }
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(array) => {
            let values = array.iter().map(|value| written(value.get_ref()));
            format!("[{}]", values.collect::<Vec<_>>().join(", "))
        }
        DeValue::Table(table) => {
            let mut pairs: Vec<_> = table
                .iter()
                .map(|(key, value)| {
                    format!("{} = {}", quoted(key.get_ref()), written(value.get_ref()))
                })
                .collect();
            pairs.sort();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

/// A basic string, <https://toml.io/en/v1.0.0#string>.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn shortened(text: &DeString<'_>) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// `a, b or c`.
pub(super) fn either(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<_> = words.collect();
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} or {last}", words.join(", ")),
        None => String::new(),
    }
}
