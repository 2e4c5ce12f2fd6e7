use std::{fs, path::PathBuf, sync::atomic::AtomicU32};

use super::*;
use crate::{
    config::{
        options::{Effect, Group, Key, Value},
        parse_duration,
    },
    scope::Scope,
};

const OPTIONS: Options = Options {
    file: "test",
    of: "a test",
    groups: &[Group {
        name: "",
        about: "",
        keys: &[Key {
            name: "wait",
            value: Value::Default("\"1s\""),
            effect: Effect::Live,
            about: "How long.",
        }],
    }],
    example: "",
};

struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("host-reload-{}-{number}.toml", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        fs::write(&self.0, text).expect("written");
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn prove(root: &Section<'_>) -> Duration {
    let wait = root.duration("wait", Duration::ZERO..=Duration::from_secs(60));
    wait.map_or(Duration::from_secs(1), |it| it.value)
}

fn reload_of(file: &File, prove: fn(&Section<'_>) -> Duration) -> Reload<Duration, u32> {
    let sources = Sources::file(&file.0, &Scope::System);
    let loaded = load(&sources, self::prove).expect("valid");
    let rules = Rules {
        sources,
        options: &OPTIONS,
        prove,
    };
    Reload::new(rules, loaded.entries)
}

/// Reads and concludes as a daemon does that can apply everything.
async fn turn(reload: &mut Reload<Duration, u32>) -> (Outcome, Vec<u32>) {
    let ended = match reload.read().await {
        Read::Changed(loaded) => Ended::Applied {
            digest: reload.digest_of(&loaded.entries),
            entries: loaded.entries,
        },
        Read::Unchanged(loaded) => Ended::Unchanged(loaded.entries),
        Read::Invalid(errors) => Ended::Invalid(errors),
        Read::TimedOut => Ended::TimedOut,
    };
    let waited = reload.conclude(ended, "fine");
    (reload.last().outcome, waited)
}

#[tokio::test]
async fn a_change_is_applied_once_and_what_means_the_same_is_none() {
    let file = File::new("wait = \"1s\"\n");
    let mut reload = reload_of(&file, prove);
    let before = reload.digest();
    file.write("# said in another way\n\nwait = '1s'\n");
    reload.ask(Some(1));
    assert_eq!(turn(&mut reload).await, (Outcome::Unchanged, vec![1]));
    assert_eq!((reload.digest(), reload.last().generation), (before, 1));
    assert!(reload.in_force()[0].source.ends_with(":3:8"));

    file.write("wait = \"2s\"\n");
    reload.ask(Some(2));
    assert_eq!(turn(&mut reload).await, (Outcome::Applied, vec![2]));
    assert_ne!(reload.digest(), before);
    assert_eq!(reload.last().generation, 2);
    assert_eq!(reload.status("fine"), "fine");
    assert_eq!(parse_duration("2s"), Ok(Duration::from_secs(2)));
}

#[tokio::test]
async fn what_is_not_valid_changes_nothing_and_is_told() {
    let file = File::new("");
    let mut reload = reload_of(&file, prove);
    let before = reload.digest();
    file.write("wait = 1\nwiat = 2\n");
    reload.ask(None);
    assert_eq!(turn(&mut reload).await.0, Outcome::Invalid);
    assert_eq!((reload.digest(), reload.last().generation), (before, 1));
    let places: Vec<_> = reload
        .last()
        .problems
        .iter()
        .map(|it| (it.line, it.column, it.key.as_str()))
        .collect();
    assert_eq!(places, [(1, 8, "wait"), (2, 1, "wiat")]);
    let status = reload.status("fine");
    assert!(status.starts_with("reload rejected (2 errors), configuration of "));
    assert!(status.ends_with(" in use; fine"), "{status}");
    file.write("");
    reload.ask(None);
    assert_eq!(turn(&mut reload).await.0, Outcome::Unchanged);
    assert_eq!(reload.status("fine"), "fine");
}

#[tokio::test]
async fn those_who_ask_meanwhile_get_the_files_as_they_are_then() {
    let file = File::new("");
    let mut reload = reload_of(&file, prove);
    file.write("wait = \"2s\"\n");
    reload.ask(Some(1));
    for who in 2..100 {
        reload.ask(Some(who));
    }
    assert_eq!(turn(&mut reload).await, (Outcome::Applied, vec![1]));
    let (outcome, waited) = turn(&mut reload).await;
    assert_eq!((outcome, waited.len()), (Outcome::Unchanged, 98));
    assert!(reload.reading.is_none());
}

#[tokio::test]
async fn more_than_may_wait_are_given_back() {
    let file = File::new("");
    let mut reload = reload_of(&file, prove);
    let refused = (0..300).filter_map(|who| reload.ask(Some(who))).count();
    assert_eq!(refused, 300 - RELOAD_WAITERS_MAX);
    turn(&mut reload).await;
    turn(&mut reload).await;
}

#[tokio::test]
async fn files_that_cannot_be_read_in_time_change_nothing() {
    let file = File::new("");
    let mut reload = reload_of(&file, |root| {
        std::thread::sleep(Duration::from_millis(200));
        prove(root)
    });
    reload.ask(Some(1));
    // The clock of the runtime is put forward; the thread has none.
    tokio::time::pause();
    tokio::time::advance(RELOAD_TIME + Duration::from_secs(1)).await;
    assert_eq!(turn(&mut reload).await, (Outcome::TimedOut, vec![1]));
    let status = reload.status("fine");
    assert!(
        status.starts_with("reload rejected (not read within 20 s), "),
        "{status}"
    );
}

#[test]
fn what_is_said_about_a_key_names_the_place_of_its_value_or_the_key_alone() {
    let file = File::new("wait = \"1s\"\n");
    let sources = Sources::file(&file.0, &Scope::System);
    let entries = load(&sources, prove).expect("valid").entries;
    let said = |key| Problem::about(key, &entries, "it is so".to_owned()).to_string();
    assert!(said("wait").ends_with(":1:8: wait: it is so"));
    // A default that does not hold here: nothing in a file could be pointed at.
    assert_eq!(said("other"), "other: it is so");
}
