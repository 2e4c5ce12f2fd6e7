//! A table: a header, a line, and columns between `|`.

use tabled::{
    builder::Builder,
    settings::{Padding, Style, object::Columns, style::HorizontalLine},
};

use super::{Look, fit};

/// Writes a table. Cells may have colours.
pub(super) fn write<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    look: &Look,
) -> String {
    records(&header, rows.into_iter().map(Vec::from), look)
}

/// As [`write`]; where it does not fit onto the terminal, these columns are left out one by one.
pub(super) fn write_without<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    less: &[&str],
    look: &Look,
) -> String {
    let mut header = header.to_vec();
    let mut rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    for name in less {
        let natural = natural(&header, &rows, look);
        let Some(at) = header.iter().position(|column| column == name) else {
            continue;
        };
        if look.width.is_none_or(|width| total(&natural) < width) {
            break;
        }
        header.remove(at);
        rows.iter_mut().for_each(|row| drop(row.remove(at)));
    }
    records(&header, rows.into_iter(), look)
}

/// As [`write`]; nothing where it does not fit onto the terminal.
pub(super) fn write_whole<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    look: &Look,
) -> Option<String> {
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    let natural = natural(&header, &rows, look);
    let fits = look.width.is_none_or(|width| total(&natural) < width);
    fits.then(|| records(&header, rows.into_iter(), look))
}

/// Names of columns that hold sentences.
const FREE: [&str; 3] = ["DESCRIPTION", "REASON", "VALUE"];

/// The widths of columns that need not be cut.
fn natural(header: &[&str], rows: &[Vec<String>], look: &Look) -> Vec<usize> {
    let of_column = |(at, name): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        let name = if look.legend { name.chars().count() } else { 0 };
        cells.map(|cell| fit::seen(cell)).fold(name, usize::max)
    };
    header.iter().enumerate().map(of_column).collect()
}

/// The width of a table: between columns there is ` | `.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + widths.len().saturating_sub(1) * 3
}

fn records(header: &[&str], rows: impl Iterator<Item = Vec<String>>, look: &Look) -> String {
    let mut rows: Vec<Vec<String>> = rows.collect();
    let mut header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    if let Some(width) = look.width {
        let names: Vec<&str> = header.iter().map(String::as_str).collect();
        let is_free = names.last().is_some_and(|name| FREE.contains(name));
        // The line below the header goes on behind the last column.
        let between = names.len().saturating_sub(1) * 3 + 1;
        let natural = natural(&names, &rows, look);
        let last = names.len().saturating_sub(1);
        let widths = fit::widths(natural, is_free, width.saturating_sub(between));
        for row in rows.iter_mut().chain([&mut header]) {
            for (at, (cell, width)) in row.iter_mut().zip(&widths).enumerate() {
                *cell = fit::cell(cell, *width, is_free && at == last);
            }
        }
    }
    let mut builder = Builder::default();
    if look.legend {
        builder.push_record(header);
    }
    for row in rows {
        builder.push_record(row);
    }
    if builder.count_records() == 0 {
        return String::new();
    }
    let mut table = builder.build();
    if look.legend {
        let line = HorizontalLine::new('-').intersection('-');
        table.with(Style::empty().vertical('|').horizontals([(1, line)]));
    } else {
        table.with(Style::empty().vertical('|'));
    }
    table.modify(Columns::first(), Padding::new(0, 1, 0, 0));
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Writes a table whose first column is the node, which is left out where it is always the same
/// because one node was asked for.
pub(super) fn write_nodes<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    several: bool,
    look: &Look,
) -> String {
    if several {
        return write(header, rows, look);
    }
    let without = |row: [String; N]| row.into_iter().skip(1).collect::<Vec<_>>();
    records(
        header.get(1..).unwrap_or_default(),
        rows.into_iter().map(without),
        look,
    )
}
