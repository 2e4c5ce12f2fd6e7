//! The environment of a worker: that of the launcher without what is for the launcher alone, then the
//! files, then the settings, then who the worker is.

use std::{collections::BTreeMap, env, fs, io::Read as _, path::Path};

use generations::Spawn;

use crate::{limits::ENVIRONMENT_BYTES_MAX, settings::EnvironmentFile};

/// What the service manager tells the launcher, and nobody else. `LISTEN_*` are made anew for each
/// worker; what was set for the launcher would name descriptors and a process that the worker is not.
const OWN: [&str; 12] = [
    "NOTIFY_SOCKET",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "FDSTORE",
    "MAINPID",
    "MAINPIDFDID",
    "MANAGERPIDFDID",
    crate::handover::VARIABLE,
];

/// Which process of the launcher's this is, for finding what it has started.
pub(crate) const PROCESS: &str = "LAUNCHER_PROCESS";
/// The number of its generation.
pub(crate) const GENERATION: &str = "LAUNCHER_GENERATION";

pub(crate) type Variables = BTreeMap<String, String>;

/// What all workers of a generation have.
///
/// # Errors
///
/// Says which file is wrong, where, and what would be right.
pub(crate) fn of_generation(
    files: &[EnvironmentFile],
    set: &[(String, String)],
) -> Result<Variables, String> {
    let mut all: Variables = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !OWN.contains(&name.as_str()))
        .collect();
    for file in files {
        match read(&file.path) {
            Ok(text) => all.extend(parse(&file.path, &text)?),
            Err(error) if file.may_be_missing && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(format!("{}: cannot be read: {error}", file.path.display()));
            }
        }
    }
    all.extend(set.iter().cloned());
    Ok(all)
}

/// What one worker is told about itself.
pub(crate) fn of_worker(all: &mut Variables, spawn: &Spawn) {
    let mut set = |name: &str, value: String| drop(all.insert(name.to_owned(), value));
    set(GENERATION, spawn.generation.0.to_string());
    set("LAUNCHER_WORKER", spawn.worker.0.to_string());
    set("LAUNCHER_WORKERS", spawn.workers.to_string());
    set("LAUNCHER_REASON", spawn.reason.to_string());
    set(PROCESS, spawn.process.0.to_string());
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    file.take(ENVIRONMENT_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Lines as `EnvironmentFile=` in systemd.exec(5) has them: assignments, comments, quotes around a
/// value.
fn parse(path: &Path, text: &str) -> Result<Variables, String> {
    let mut all = Variables::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let Some((name, value)) = assignment(line) else {
            return Err(format!(
                "{}:{}: found {line:?}, expected NAME=VALUE",
                path.display(),
                index + 1
            ));
        };
        let value = value.trim();
        let quoted = |quote| {
            value
                .strip_prefix(quote)
                .and_then(|it| it.strip_suffix(quote))
        };
        let value = quoted('"').or(quoted('\'')).unwrap_or(value);
        all.insert(name, value.to_owned());
    }
    Ok(all)
}

/// `NAME=VALUE`, with a name that a shell could have.
pub(crate) fn assignment(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let is_name = name
        .bytes()
        .all(|it| it.is_ascii_alphanumeric() || it == b'_')
        && !name.is_empty()
        && !name.starts_with(|it: char| it.is_ascii_digit());
    (is_name && !value.contains('\0')).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_assignments_comments_and_quotes() {
        let path = Path::new("/e");
        let text = "# one\n\n A=1\nB=\"two words\"\nC='x'\nD=a=b\nA=2\n";
        let all = parse(path, text).expect("right");
        let pairs: Vec<_> = all.iter().map(|(k, v)| format!("{k}:{v}")).collect();
        assert_eq!(pairs, ["A:2", "B:two words", "C:x", "D:a=b"]);
        assert_eq!(
            parse(path, "A=1\nexport B=2").expect_err("wrong"),
            "/e:2: found \"export B=2\", expected NAME=VALUE"
        );
    }

    #[test]
    fn names_are_those_of_a_shell() {
        for wrong in ["=1", "1A=1", "A B=1", "A-B=1", "A"] {
            assert_eq!(assignment(wrong), None, "{wrong}");
        }
    }
}
