//! The manual page of a configuration file, from its table of keys.

use super::options::{Effect, Group, Key, Options, Value};

impl Options {
    /// The page in man(7), section 5. `version` is that of the program.
    pub fn manual(&self, version: &str) -> String {
        let Self { file, of, .. } = *self;
        let upper = escape(&file.to_uppercase());
        let mut page = format!(
            ".\\\" Made of the table of keys in the program: UPDATE_MANUAL=1 cargo test manual\n\
             .TH UNITLINK\\-{upper}.TOML 5 \"\" \"unitlink {version}\" \"unitlink\"\n\
             .SH NAME\nunitlink\\-{file}.toml, {file}.toml \\- configuration of {of}\n\
             .SH SYNOPSIS\n.nf\n/usr/lib/unitlink/{file}.toml.d/*.toml\n/etc/unitlink/{file}.toml\n\
             /etc/unitlink/{file}.toml.d/*.toml\n.PP\n\
             /usr/lib/unitlink/user/{file}.toml.d/*.toml\n/etc/unitlink/user/{file}.toml\n\
             /etc/unitlink/user/{file}.toml.d/*.toml\n$XDG_CONFIG_HOME/unitlink/{file}.toml\n\
             $XDG_CONFIG_HOME/unitlink/{file}.toml.d/*.toml\n.fi\n"
        );
        page.push_str(include_str!("manual/description.roff"));
        for group in self.groups {
            page.push_str(&of_group(group));
        }
        page.push_str(".SH EXAMPLE\n.nf\n");
        page.push_str(&escape(self.example));
        page.push_str(".fi\n.SH SEE ALSO\n");
        let other = if file == "agent" {
            "controller"
        } else {
            "agent"
        };
        page.push_str(&format!(
            ".BR unitlink\\-{file} (8),\n.BR unitlink\\-{other}.toml (5),\n.BR unitlinkctl (1)\n"
        ));
        page
    }
}

fn of_group(group: &Group) -> String {
    let mut text = match group.name {
        "" => ".SH KEYS\n".to_owned(),
        name => format!(".SH [{}]\n", escape(name)),
    };
    text.push_str(&paragraph(group.about));
    for key in group.keys {
        text.push_str(&of_key(key));
    }
    text
}

fn of_key(key: &Key) -> String {
    let effect = match key.effect {
        Effect::Live => "live",
        Effect::Reconnect => "reconnect",
    };
    let shown = match key.value {
        Value::Default(value) | Value::ByScope { system: value, .. } => {
            format!("{} = {value}", key.name)
        }
        Value::Example(value) => format!("{}, such as {value}", key.name),
    };
    let mut about = key.about.to_owned();
    if let Value::ByScope { user, .. } = key.value {
        let user = user.replace("%t", "$XDG_RUNTIME_DIR");
        about.push_str(&format!(" With --user the default is {user}."));
    }
    format!(
        ".TP\n.BR \"{}\" \" ({effect})\"\n{}",
        escape(&shown),
        paragraph(&about)
    )
}

/// Sentences, one on each line as man(7) wants it.
fn paragraph(sentences: &str) -> String {
    let words: Vec<_> = sentences.split_whitespace().collect();
    let mut text = escape(&words.join(" "));
    for end in [". ", ": "] {
        let broken = format!("{}\n", end.trim_end());
        text = text.replace(end, &broken);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    // A line that begins with a point or an apostrophe would be a request.
    let guarded = text.lines().map(|line| match line.as_bytes().first() {
        Some(b'.' | b'\'') => format!("\\&{line}\n"),
        Some(_) | None => format!("{line}\n"),
    });
    guarded.collect()
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('"', "\\(dq")
        .replace('~', "\\(ti")
}
