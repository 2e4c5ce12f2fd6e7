//! Lines for the journal: on the standard error, with the level before them as sd-daemon(3) has it
//! where the journal reads it, and without it for people.

use std::{env, io::Write as _, os::linux::fs::MetadataExt as _, sync::OnceLock};

use generations::Level;

/// Writes a line. One that cannot be written is lost: there is nobody to be told.
pub(crate) fn line(level: Level, text: &str) {
    static IS_JOURNAL: OnceLock<bool> = OnceLock::new();
    let mut lines = String::new();
    for part in text.lines() {
        if *IS_JOURNAL.get_or_init(is_journal) {
            lines.push_str(match level {
                Level::Info => "<6>",
                Level::Warning => "<4>",
                Level::Error => "<3>",
            });
        } else {
            lines.push_str("unitlink-launcher: ");
        }
        lines.push_str(part);
        lines.push('\n');
    }
    let _ = std::io::stderr().write_all(lines.as_bytes());
}

/// Whether the standard error is that of the journal: systemd says which file it is, systemd.exec(5).
fn is_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    let own = std::fs::metadata("/proc/self/fd/2");
    own.is_ok_and(|it| stream == format!("{}:{}", it.st_dev(), it.st_ino()))
}

pub(crate) fn info(text: &str) {
    line(Level::Info, text);
}

pub(crate) fn warn(text: &str) {
    line(Level::Warning, text);
}

pub(crate) fn error(text: &str) {
    line(Level::Error, text);
}
