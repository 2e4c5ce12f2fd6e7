//! What is known to have come to an end only by nothing happening any more.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::fleet::Fleet;

/// What `systemctl show` says of a unit that matters here.
pub(crate) type Shown = BTreeMap<String, String>;

/// By node and unit.
pub(crate) type All = BTreeMap<(String, String), Shown>;

/// The units of all nodes that match one of the patterns.
pub(crate) fn show_all(fleet: &Fleet, patterns: &[&str]) -> Result<All> {
    let mut args = vec!["show", "--property=Id,ActiveState,InvocationID,Job"];
    args.extend(patterns);
    let mut all = All::new();
    for node in fleet.nodes() {
        for unit in node.systemctl(&args)?.split("\n\n") {
            let shown: Shown = unit
                .lines()
                .filter_map(|line| line.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            if let Some(id) = shown.get("Id") {
                all.insert((node.name().to_owned(), id.clone()), shown);
            }
        }
    }
    Ok(all)
}

/// How long nothing may happen before it is believed that nothing will: many times what a change
/// takes from one node to the other.
const STILL: Duration = Duration::from_millis(1500);

/// Waits until nothing happens to these units any more on any node.
pub(crate) fn quiet(fleet: &Fleet, patterns: &[&str]) -> Result<All> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut last = All::new();
    let mut since = Instant::now();
    loop {
        let now = show_all(fleet, patterns)?;
        let moving = now.values().any(|unit| {
            let is = |key: &str| unit.get(key).map_or("", String::as_str);
            matches!(
                is("ActiveState"),
                "activating" | "deactivating" | "reloading"
            ) || !matches!(is("Job"), "" | "0")
        });
        if moving || now != last {
            last = now;
            since = Instant::now();
        } else if since.elapsed() >= STILL {
            return Ok(now);
        }
        ensure!(Instant::now() < end, "it never becomes quiet: {last:#?}");
        sleep(Duration::from_millis(50));
    }
}
