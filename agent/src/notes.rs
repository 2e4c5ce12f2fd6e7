//! Notes of jobs: a file for each, so that a job costs the same however many there are; and beside them one that says
//! since when they are complete.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use node::{
    JobNote,
    limits::{ENDS_MAX, JOBS_MAX},
};
use proto::model::JobId;
use rustix::time::{ClockId, clock_gettime};
use tracing::warn;

use crate::replace::replace;

/// The longest note in bytes: a unit (255), a sentence, and some words.
const NOTE_BYTES_MAX: u64 = 4096;

/// The folder of notes.
#[derive(Clone, Debug)]
pub(crate) struct JobNotes {
    folder: PathBuf,
    /// Has `CLOCK_MONOTONIC` in microseconds, of when the folder was made, or something had to be left out of it. It
    /// is in `/run`, so both begin with the boot.
    since: PathBuf,
}

impl JobNotes {
    /// The notes in this folder, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be made.
    pub(crate) fn in_folder(folder: &Path) -> io::Result<Self> {
        let since = folder.join("jobs.since");
        let folder = folder.join("jobs");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let notes = Self { folder, since };
        if notes.begun().is_none() {
            notes.forget()?;
        }
        Ok(notes)
    }

    /// For how long nothing was left out of the notes.
    pub(crate) fn age(&self) -> Duration {
        let begun = self.begun();
        begun.map_or(Duration::ZERO, |begun| monotonic().saturating_sub(begun))
    }

    /// Something was left out of the notes.
    ///
    /// # Errors
    ///
    /// Fails when that cannot be written.
    pub(crate) fn forget(&self) -> io::Result<()> {
        replace(&self.since, &monotonic().as_micros().to_string())
    }

    fn begun(&self) -> Option<Duration> {
        let text = fs::read_to_string(&self.since).ok()?;
        text.parse().ok().map(Duration::from_micros)
    }

    /// Reads what there is, by number. What cannot be read costs that note and no other; it is removed, and said
    /// in the log.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be read.
    pub(crate) fn read(&self) -> io::Result<Vec<JobNote>> {
        let mut notes = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if notes.len() >= JOBS_MAX.saturating_add(ENDS_MAX) {
                break;
            }
            match read_note(&path) {
                Ok(note) => notes.push(note),
                Err(why) => {
                    // The agent ended while it wrote, or somebody else did.
                    if path.extension().is_none_or(|it| it != "new") {
                        warn!(file = %path.display(), why, "note of a job cannot be read, ignoring it");
                    }
                    fs::remove_file(&path)?;
                }
            }
        }
        notes.sort_by_key(|note| note.job);
        Ok(notes)
    }

    /// Replaces the note of a job, so that a reader finds the old text or the new one, or removes it.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written; the old text stays.
    pub(crate) fn keep(&self, job: JobId, text: Option<&str>) -> io::Result<()> {
        let path = self.folder.join(job.0.to_string());
        let Some(text) = text else {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            };
        };
        replace(&path, text)
    }
}

fn monotonic() -> Duration {
    // Neither part of this clock is ever negative.
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

fn read_note(path: &Path) -> Result<JobNote, String> {
    let text = || -> io::Result<String> {
        let mut bytes = Vec::new();
        let file = File::open(path)?;
        file.take(NOTE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let note: JobNote = text().map_err(|error| error.to_string())?.parse()?;
    let named = path
        .file_name()
        .is_some_and(|name| *name == *note.job.to_string());
    if named {
        Ok(note)
    } else {
        Err(format!("it is about job {}", note.job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_replaced_as_a_whole_and_what_is_damaged_is_removed() {
        let random = host::clock::random_u64().expect("random");
        let folder = std::env::temp_dir().join(format!("unitlink-notes-{random}"));
        let notes = JobNotes::in_folder(&folder).expect("folder");
        let text = "unitlink job 1\n7 start t.service replace open -\n";
        notes.keep(JobId(7), Some("cut off")).expect("written");
        notes.keep(JobId(7), Some(text)).expect("written");
        notes.keep(JobId(8), Some(text)).expect("written");
        notes.keep(JobId(9), Some("x")).expect("written");
        fs::write(notes.folder.join("10.new"), "x").expect("written");
        let numbers = |notes: &JobNotes| {
            let read = notes.read().expect("there");
            read.iter().map(|note| note.job.0).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&notes), [7]);
        let files = fs::read_dir(&notes.folder).expect("folder").count();
        assert_eq!(
            files, 1,
            "of another job, damaged and not finished are removed"
        );
        let again = JobNotes::in_folder(&folder).expect("folder");
        assert_eq!(again.begun(), notes.begun(), "nothing was left out");
        let begun = notes.begun();
        notes.forget().expect("written");
        assert!(notes.begun() > begun && notes.age() < Duration::from_secs(60));
        notes.keep(JobId(7), None).expect("removed");
        notes.keep(JobId(7), None).expect("removed already");
        assert_eq!(numbers(&notes), [0_u32; 0]);
        fs::remove_dir_all(folder).expect("removed");
    }
}
