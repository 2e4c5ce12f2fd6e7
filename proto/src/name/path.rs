/// Writes any text as one element of a D-Bus object path, as sd_bus_path_encode(3) does: letters
/// and digits stay (a digit not at the beginning), every other byte becomes `_` and two
/// hexadecimal digits, and nothing becomes `_`.
pub fn path_element(text: &str) -> String {
    if text.is_empty() {
        return "_".to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("_{byte:02x}"));
        }
    }
    out
}

/// The text that [`path_element`] wrote; `None` where it cannot have written this.
pub fn path_element_decode(element: &str) -> Option<String> {
    if element == "_" {
        return Some(String::new());
    }
    let mut out = Vec::with_capacity(element.len());
    let mut bytes = element.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'_' {
            let (high, low) = (bytes.next()?, bytes.next()?);
            let digit = |b: u8| {
                char::from(b)
                    .to_digit(16)
                    .and_then(|d| u8::try_from(d).ok())
            };
            out.push(digit(high)? << 4 | digit(low)?);
        } else {
            out.push(byte);
        }
    }
    let text = String::from_utf8(out).ok()?;
    (path_element(&text) == element).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("worker1", "worker1")]
    #[test_case("1a", "_31a"; "a digit first")]
    #[test_case("node-foo_2.b", "node_2dfoo_5f2_2eb")]
    #[test_case("", "_")]
    fn elements_are_those_of_sd_bus(text: &str, element: &str) {
        assert_eq!(path_element(text), element);
        assert_eq!(path_element_decode(element).as_deref(), Some(text));
    }

    #[test_case("_zz"; "no digits")]
    #[test_case("a_2"; "cut off")]
    #[test_case("_41"; "a letter that needs no escape")]
    fn what_was_never_written_is_not_read(element: &str) {
        assert_eq!(path_element_decode(element), None);
    }
}
