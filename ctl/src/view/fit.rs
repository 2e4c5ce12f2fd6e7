//! How a table fits onto a terminal.

/// No column gets narrower than this: less says nothing.
const NARROW: usize = 6;

/// A column of free text gives way first, down to this.
const FREE: usize = 12;

/// Widths of columns that fit together into `room`, as far as that is possible: the last gives way
/// first if it is free text, then always the widest.
pub(super) fn widths(mut natural: Vec<usize>, is_last_free: bool, room: usize) -> Vec<usize> {
    let last = natural.len().saturating_sub(1);
    let mut over = natural.iter().sum::<usize>().saturating_sub(room);
    while over > 0 {
        let is_last = |at: usize| is_last_free && at == last;
        let free = natural
            .get(last)
            .is_some_and(|width| is_last(last) && *width > FREE);
        let widest = if free {
            Some(last)
        } else {
            let columns = natural.iter().enumerate();
            let wide = columns.filter(|(_, width)| **width > NARROW);
            wide.max_by_key(|(_, width)| **width).map(|(at, _)| at)
        };
        let Some(width) = widest.and_then(|at| natural.get_mut(at)) else {
            break;
        };
        *width -= 1;
        over -= 1;
    }
    natural
}

/// How many letters are seen of a text that may have colours.
pub(super) fn seen(text: &str) -> usize {
    anstream::adapter::strip_str(text)
        .to_string()
        .chars()
        .count()
}

/// A text that may have colours, with at most so many letters. What is cut has none.
pub(super) fn cell(text: &str, width: usize, is_free: bool) -> String {
    if seen(text) <= width {
        return text.to_owned();
    }
    let text = anstream::adapter::strip_str(text).to_string();
    if !is_free {
        return cut(&text, width);
    }
    let head: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}\u{2026}", head.trim_end())
}

/// A text with at most so many letters; what is cut out is in the middle, because the ends of names
/// tell them apart.
pub(super) fn cut(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let tail = kept / 2;
    let head: String = text.chars().take(kept - tail).collect();
    let tail: String = text.chars().skip(count - tail).collect();
    format!("{head}\u{2026}{tail}")
}

/// A sentence in lines of at most so many letters, which are broken between words; all but the first begin
/// with `indent`. A word that is longer than a line is a line.
pub(super) fn wrapped(text: &str, indent: &str, width: Option<usize>) -> String {
    let Some(width) = width else {
        return text.to_owned();
    };
    let sentence = text.trim_start_matches(' ');
    let mut used = text.len() - sentence.len();
    let mut lines = " ".repeat(used);
    for (at, word) in sentence.split(' ').enumerate() {
        let wide = word.chars().count();
        if at > 0 && used + 1 + wide > width {
            lines.push('\n');
            lines.push_str(indent);
            used = indent.chars().count();
        } else if at > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += wide;
    }
    lines
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("target.service", 14, "target.service"; "it fits")]
    #[test_case("target.service", 9, "targ\u{2026}vice"; "the middle is cut out")]
    #[test_case("ab", 1, "\u{2026}"; "next to nothing")]
    #[test_case("ab", 0, "\u{2026}"; "nothing")]
    fn texts_are_cut(text: &str, width: usize, shown: &str) {
        assert_eq!(cut(text, width), shown);
    }

    #[test_case(&[7, 20, 6], false, 40, &[7, 20, 6]; "it fits")]
    #[test_case(&[7, 20, 6], false, 30, &[7, 17, 6]; "the widest gives way")]
    #[test_case(&[7, 20, 30], true, 40, &[7, 20, 13]; "free text gives way first")]
    #[test_case(&[7, 20, 30], true, 36, &[7, 17, 12]; "and then the widest")]
    #[test_case(&[7, 20, 30], false, 5, &[6, 6, 6]; "there is an end to it")]
    fn columns_give_way(natural: &[usize], is_last_free: bool, room: usize, fit: &[usize]) {
        assert_eq!(widths(natural.to_vec(), is_last_free, room), fit);
    }

    #[test_case("a bc def", Some(8), "a bc def"; "it fits")]
    #[test_case("a bc def", Some(5), "a bc\n> def"; "between words")]
    #[test_case("a bcdefgh i", Some(4), "a\n> bcdefgh\n> i"; "a long word")]
    #[test_case("  a bc", Some(4), "  a\n> bc"; "what begins with spaces")]
    #[test_case("a bc def", None, "a bc def"; "no terminal")]
    fn sentences_are_broken(text: &str, width: Option<usize>, lines: &str) {
        assert_eq!(wrapped(text, "> ", width), lines);
    }

    #[test]
    fn colours_take_no_room() {
        assert_eq!(
            cell("\u{1b}[32mactive\u{1b}[0m", 6, false),
            "\u{1b}[32mactive\u{1b}[0m"
        );
        assert_eq!(cell("what it is all about", 9, true), "what it\u{2026}");
    }
}
