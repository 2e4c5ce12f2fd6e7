//! What unit files say of units of other nodes: text in, words out, by the syntax of systemd.syntax(7).
//! systemd itself says what it has made of the files; that it left out a name that is not valid, or
//! has not read a file because nothing has asked for it, only the files say.

mod folder;

pub(crate) use folder::{Reference, scan};

/// Settings that name other units, systemd.unit(5), and those of timers, paths and sockets that name
/// what they start.
const SETTINGS: &[&str] = &[
    "Wants",
    "Requires",
    "Requisite",
    "BindsTo",
    "PartOf",
    "Upholds",
    "Conflicts",
    "Before",
    "After",
    "OnFailure",
    "OnSuccess",
    "PropagatesReloadTo",
    "ReloadPropagatedFrom",
    "PropagatesStopTo",
    "StopPropagatedFrom",
    "JoinsNamespaceOf",
    "Unit",
    "Service",
];

/// How a word begins that names a unit of ours, well spelt or not.
const PREFIXES: &[&str] = &[
    "proxy@",
    "bluechi-proxy@",
    "conflict@",
    "dep@",
    "bluechi-dep@",
    "dep-unit@",
];

/// Whether a word of a unit file is about a unit of another node, or a hold of one.
fn is_reference(word: &str) -> bool {
    PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// Whether it is worth while to look at a file more closely.
fn may_refer(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.contains(prefix))
}

/// The settings of a unit file that name units of other nodes, with the words that do.
fn references(text: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for line in logical_lines(text) {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let Some(setting) = SETTINGS.iter().find(|setting| **setting == key.trim()) else {
            continue;
        };
        let words = value
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '\'']));
        let words = words.filter(|word| is_reference(word));
        found.extend(words.map(|word| (*setting, word.to_owned())));
    }
    found
}

/// The lines, joined where one ends in a backslash; comments within such a line are left out.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        let mut whole = open.take().map_or_else(String::new, |begun| begun + " ");
        whole.push_str(part);
        if goes_on {
            open = Some(whole);
        } else {
            lines.push(whole);
        }
    }
    lines.extend(open);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("[Unit]\nRequires=proxy@b_t.service\n", &[("Requires", "proxy@b_t.service")]; "a word")]
    #[test_case("[Unit]\nAfter = a.service proxy@b_t.service", &[("After", "proxy@b_t.service")]; "among others, with spaces")]
    #[test_case("Wants=a.service \\\n# not this: proxy@x_y.service\n  conflict@b_t.service", &[("Wants", "conflict@b_t.service")]; "over lines with a comment")]
    #[test_case("#Requires=proxy@b_t.service\n; After=proxy@b_t.service", &[]; "comments")]
    #[test_case("Description=needs proxy@b_t.service\nExecStart=/bin/echo proxy@b_t.service", &[]; "settings that name no unit")]
    #[test_case("BindsTo=\"proxy@b_t.service\"", &[("BindsTo", "proxy@b_t.service")]; "quoted")]
    #[test_case("Requires=proxy@my\\x5fnode_srv-a\\x2db.mount.service", &[("Requires", "proxy@my\\x5fnode_srv-a\\x2db.mount.service")]; "escapes stay")]
    #[test_case("Requires=proxy@b_a/b.service", &[("Requires", "proxy@b_a/b.service")]; "what systemd leaves out")]
    #[test_case("Wants=proxy@b_t.service\\", &[("Wants", "proxy@b_t.service")]; "a line that ends with the file")]
    fn words_are_found(text: &str, words: &[(&str, &str)]) {
        let found = references(text);
        let found: Vec<_> = found.iter().map(|(s, w)| (*s, w.as_str())).collect();
        assert_eq!(found, words);
    }
}
