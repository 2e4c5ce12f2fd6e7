//! What is known of the terminal, as systemd's programs find it out: the environment comes first.

use std::{
    env,
    io::{IsTerminal as _, Stdout},
};

use anstream::{AutoStream, ColorChoice};

use crate::cli::Color;

/// The size of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// The size of the terminal on standard output; nothing if there is none.
pub(crate) fn terminal() -> Option<Size> {
    let out: Stdout = std::io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&out).ok();
    let (rows, columns) = size.map_or((0, 0), |size| (size.ws_row, size.ws_col));
    let read = |name| env::var(name).ok();
    Some(Size {
        rows: lines(read("LINES"), rows, 24),
        columns: lines(read("COLUMNS"), columns, 80),
    })
}

/// What the environment says, or what the terminal says, or what terminals always had.
fn lines(said: Option<String>, known: u16, otherwise: usize) -> usize {
    let said = said.and_then(|text| text.parse().ok());
    let known = Some(usize::from(known)).filter(|n| *n > 0);
    said.filter(|n| *n > 0).or(known).unwrap_or(otherwise)
}

/// Whether to use colours on a stream.
pub(crate) fn has_colour(wish: Color, stream: &impl anstream::stream::RawStream) -> bool {
    match wish {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => of_systemd(env::var("SYSTEMD_COLORS").ok().as_deref())
            .unwrap_or_else(|| AutoStream::choice(stream) != ColorChoice::Never),
    }
}

/// What `SYSTEMD_COLORS` says, if it is one of the words of systemctl(1).
fn of_systemd(word: Option<&str>) -> Option<bool> {
    match word?.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" | "16" | "256" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(None, 0, 80; "neither knows")]
    #[test_case(None, 120, 120; "the terminal knows")]
    #[test_case(Some("100"), 120, 100; "the environment comes first")]
    #[test_case(Some("wide"), 120, 120; "unless it is no number")]
    #[test_case(Some("0"), 120, 120; "or none that is possible")]
    fn the_width_is_found(said: Option<&str>, known: u16, columns: usize) {
        assert_eq!(lines(said.map(str::to_owned), known, 80), columns);
    }

    #[test_case(None, None)]
    #[test_case(Some("1"), Some(true))]
    #[test_case(Some("256"), Some(true))]
    #[test_case(Some("off"), Some(false))]
    #[test_case(Some("auto-16"), None; "what leaves it to the terminal")]
    fn colours_are_those_of_systemd(word: Option<&str>, colour: Option<bool>) {
        assert_eq!(of_systemd(word), colour);
    }
}
