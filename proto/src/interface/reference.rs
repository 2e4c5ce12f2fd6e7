//! The tables of `docs/reference/dbus-api.md`: names and types are those of the committed interfaces,
//! what a member means is written by hand beside them, and stays.

use std::{collections::BTreeMap, fs};

use super::{ALL, Interface, attribute};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/dbus-api.md");
const HEAD: &str = "| member | takes | gives | |\n|---|---|---|---|\n";

/// A row: the first cell, which names the member, and the next two.
fn rows(interface: &Interface) -> Vec<(String, String)> {
    let elements = interface.elements().split("\n    <").skip(1);
    elements.filter_map(row).collect()
}

fn row(element: &str) -> Option<(String, String)> {
    let name = attribute(element, "name")?;
    let (kind, _) = element.split_once(' ')?;
    let arguments = |direction: Option<&str>| {
        let arguments = element.split("<arg ").skip(1);
        let arguments = arguments.filter(|arg| attribute(arg, "direction") == direction);
        let texts = arguments.filter_map(|arg| {
            let (of, name) = (attribute(arg, "type")?, attribute(arg, "name")?);
            Some(format!("`{of}` {name}"))
        });
        texts.collect::<Vec<_>>().join(", ")
    };
    let (member, takes, gives) = match kind {
        "method" => (
            format!("`{name}`"),
            arguments(Some("in")),
            arguments(Some("out")),
        ),
        "signal" => (format!("signal `{name}`"), String::new(), arguments(None)),
        "property" => {
            let of = attribute(element, "type")?;
            let changes = match element.split_once("EmitsChangedSignal\" value=\"") {
                Some((_, rest)) if rest.starts_with("const") => ", never changes",
                Some(_) => "",
                None => ", changes are emitted",
            };
            let gives = format!("`{of}`{changes}");
            (format!("property `{name}`"), String::new(), gives)
        }
        _ => return None,
    };
    let cell = |text: String| match text.as_str() {
        "" => " |".to_owned(),
        text => format!(" {text} |"),
    };
    Some((member, cell(takes) + &cell(gives)))
}

/// The document with its tables made anew; what has no meaning yet has an empty cell.
fn generate(document: &str) -> String {
    let mut made = document.to_owned();
    for interface in ALL {
        let title = format!(": `{}`\n", interface.name);
        let at = made
            .find(&title)
            .unwrap_or_else(|| panic!("no section {title}"));
        let begin = at + made[at..].find("| member |").expect("a table");
        let end = begin
            + made[begin..]
                .find("\n\n")
                .map_or(made.len() - begin, |it| it + 1);
        let meanings: BTreeMap<String, String> = made[begin..end]
            .lines()
            .skip(2)
            .filter_map(|line| {
                let cells: Vec<&str> = line.trim_matches('|').split(" |").collect();
                let (first, last) = (cells.first()?, cells.last()?);
                Some((first.trim().to_owned(), last.trim().to_owned()))
            })
            .collect();
        let mut table = HEAD.to_owned();
        for (member, cells) in rows(interface) {
            let meaning = meanings.get(&member).map_or("", String::as_str);
            table.push_str(&format!("| {member} |{cells} {meaning} |\n"));
        }
        made.replace_range(begin..end, &table);
    }
    made
}

#[test]
fn the_reference_has_every_member_with_its_types_and_what_it_means() {
    let document = fs::read_to_string(PATH).expect("the reference");
    let made = generate(&document);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(PATH, &made).expect("written");
    } else {
        assert!(
            made == document,
            "docs/reference/dbus-api.md is not what the interfaces are; \
             UPDATE_REFERENCE=1 cargo test -p proto reference makes its tables anew"
        );
    }
    let silent = made.lines().filter(|line| line.ends_with("|  |"));
    let silent: Vec<&str> = silent.collect();
    assert!(silent.is_empty(), "say what these mean: {silent:#?}");
}
