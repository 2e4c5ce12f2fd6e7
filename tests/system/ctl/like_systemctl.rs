//! Side by side with systemctl on the same node: what somebody knows of the one is true of the other.

use anyhow::{Result, ensure};
use tests::fleet::Fleet;

use crate::world::{ctl, ctl_ok, scene, three};

/// What a command printed, and its code.
type Said = (String, Option<i32>);

fn both(fleet: &Fleet, verb: &str, rest: &str) -> Result<(Said, Said)> {
    let ours = ctl(fleet, format!("{verb} worker2 {rest}").trim())?;
    let mut args = vec!["systemctl", verb];
    args.extend(rest.split(' ').filter(|word| !word.is_empty()));
    let theirs = fleet.node("worker2").run(&args)?;
    let code = (ours.code(), theirs.code());
    Ok(((ours.stdout, code.0), (theirs.stdout, code.1)))
}

#[test]
fn questions_are_answered_in_the_same_words_and_with_the_same_codes() {
    scene(three("ctl"), |fleet| {
        ctl_ok(fleet, "start worker2 plain.service")?;
        ctl(fleet, "start worker2 bad.service")?;
        let mut wrong = Vec::new();
        for (verb, rest) in [
            ("is-active", "plain.service"),
            ("is-active", "skipped.service"),
            ("is-active", "bad.service plain.service"),
            ("is-failed", "bad.service"),
            ("is-failed", "plain.service"),
            ("is-enabled", "plain.service"),
            ("is-enabled", "slow.service"),
            ("is-enabled", "dbus.service"),
            ("get-default", ""),
            ("show", "plain.service -p ActiveState -p SubState,MainPID"),
            (
                "show",
                "plain.service -p TimeoutStartUSec,UMask,After,Type,KillSignal",
            ),
            ("show", "plain.service -p Id --value"),
            ("enable", "plain.service"),
            ("is-enabled", "plain.service"),
            ("kill", "plain.service"),
        ] {
            let (ours, theirs) = both(fleet, verb, rest)?;
            // What has been done once is done: the second has nothing to say.
            let is_same = match verb {
                "enable" => ours.0.starts_with("Created symlink") && ours.1 == theirs.1,
                "kill" => ours.1 == theirs.1,
                _ => words(&ours.0) == words(&theirs.0) && ours.1 == theirs.1,
            };
            if !is_same {
                wrong.push(format!("{verb} {rest}: {ours:?} is not {theirs:?}"));
            }
        }
        ensure!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    });
}

/// The words of a text in no order: systemd tells lists in the order of a hash table, and properties
/// as they are stored.
fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split([' ', '=', '\n']).collect();
    words.sort_unstable();
    words
}

#[test]
fn the_same_units_are_listed() {
    scene(three("ctl"), |fleet| {
        for options in [
            "",
            "--all",
            "--type=service",
            "--state=failed",
            "--type=target --all",
        ] {
            let line = format!("list-units worker2 -o plain {options}");
            let ours = ctl_ok(fleet, line.trim())?;
            let mut args = vec!["list-units", "--plain", "--no-legend", "--full"];
            args.extend(options.split(' ').filter(|word| !word.is_empty()));
            let theirs = fleet.node("worker2").systemctl(&args)?;
            let ours: Vec<&str> = ours
                .lines()
                .filter_map(|line| line.split(' ').nth(1))
                .collect();
            let mut theirs: Vec<&str> = theirs
                .lines()
                .filter_map(|line| line.split(' ').next())
                .collect();
            theirs.sort_unstable();
            let missing: Vec<_> = theirs.iter().filter(|unit| !ours.contains(unit)).collect();
            let more: Vec<_> = ours.iter().filter(|unit| !theirs.contains(unit)).collect();
            ensure!(
                missing.is_empty() && more.is_empty(),
                "with '{options}', {missing:?} are missing, {more:?} are too many"
            );
        }
        Ok(())
    });
}
