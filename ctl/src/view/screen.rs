//! A page that is drawn over the one before, without a flicker.

use std::fmt::Write as _;

use super::look;

/// Draws a page, as much of it as the terminal has rows for, and a note in the last row.
pub(crate) fn draw(page: &str, note: &str) -> String {
    let rows = look::terminal().map_or(24, |size| size.rows);
    drawn(page, note, rows)
}

fn drawn(page: &str, note: &str, rows: usize) -> String {
    // An empty line, the note, and a line for the prompt that comes after.
    let room = rows.saturating_sub(3);
    let lines: Vec<&str> = page.lines().collect();
    let mut text = String::from("\x1b[H");
    for line in lines.iter().take(room) {
        let _ = write!(text, "{line}\x1b[K\r\n");
    }
    let left = lines.len().saturating_sub(room);
    let more = if left > 0 {
        format!("{left} more lines; ")
    } else {
        String::new()
    };
    // What is below is cleared only after everything is written.
    let _ = write!(text, "\x1b[K\r\n{more}{note}\x1b[K\r\n\x1b[J");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_too_long_says_how_much_is_missing() {
        let text = drawn("a\nb\nc\n", "note", 5).replace('\x1b', "^");
        assert_eq!(
            text,
            "^[Ha^[K\r\nb^[K\r\n^[K\r\n1 more lines; note^[K\r\n^[J"
        );
    }
}
