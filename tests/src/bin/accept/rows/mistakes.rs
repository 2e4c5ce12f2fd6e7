//! Files with mistakes under load: each is told with its place, and nothing changes.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{held, ms, sum_up, under_load};
use crate::{row::Table, world::World};

/// What is not valid, and what `ctl daemon reload` has to say about it after the name of the file.
const INVALID: [(&str, &str); 18] = [
    ("[heartbeat", ":1:11: broken TOML"),
    ("[claims]\n[claims]", ":2:2: broken TOML: duplicate key"),
    (
        "[log]\nlevel = \"info\"\nlevel = \"warn\"",
        ":3:1: broken TOML: duplicate key",
    ),
    ("x = \"\\q\"", ":1:7: broken TOML"),
    ("[heartbeet]", ":1:2: heartbeet: unknown table"),
    (
        "[heartbeat]\nintervall = \"1s\"",
        ":2:1: heartbeat.intervall: unknown key",
    ),
    ("heartbeat = 3", ":1:13: heartbeat: found 3"),
    (
        "[heartbeat]\ninterval = 2",
        ":2:12: heartbeat.interval: found 2",
    ),
    (
        "[heartbeat]\ninterval = \"2 parsecs\"",
        ":2:12: heartbeat.interval: found \"2 parsecs\"",
    ),
    (
        "[heartbeat]\ninterval = \"1us\"",
        ":2:12: heartbeat.interval: found \"1us\"",
    ),
    (
        "[heartbeat]\ninterval = \"4s\"\nthreshold = \"6s\"",
        ":3:13: heartbeat.threshold",
    ),
    (
        "[claims]\non_loss = \"panic\"",
        ":2:11: claims.on_loss: found \"panic\"",
    ),
    (
        "[nodes]\nallowed = [\"a\", \"b/c\"]",
        ":2:17: nodes.allowed[1]: found \"b/c\"",
    ),
    (
        "[node.other]\nallow_dependencies_on = [\"nobody\"]",
        ":2:26: node.other.allow_dependencies_on[0]",
    ),
    (
        "[node.other]\nlabels = [\"\"]",
        ":2:11: node.other.labels[0]",
    ),
    (
        "[limits]\njob_timeout = \"-1s\"",
        ":2:15: limits.job_timeout: found \"-1s\"",
    ),
    (
        "[tcp]\nkeepalife = \"9s\"",
        ":2:1: tcp.keepalife: unknown key",
    ),
    (
        "graceful_shutdown_timeout = 60",
        ":1:29: graceful_shutdown_timeout: found 60",
    ),
];

/// Exit codes of `ctl daemon reload`.
const NOT_VALID: i32 = 3;
const NOT_POSSIBLE: i32 = 4;

/// Each mistake, reloaded under load; and two addresses that cannot be listened on.
pub(crate) fn mistakes(table: &mut Table, agents: usize) -> Result<()> {
    let of = "mistakes";
    let (world, traffic) = under_load(agents)?;
    let digest = digest(&world)?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = format!(
        "listen.unix = \"\"\nlisten.tcp = [\"{}\"]",
        taken.local_addr()?
    );
    let impossible = [
        (taken.as_str(), ":2:14: listen.tcp"),
        (
            "listen.unix = \"/nonexistent/controller.sock\"",
            ":1:15: listen.unix",
        ),
    ];
    let invalid = INVALID.map(|(text, said)| (text, said, NOT_VALID));
    let impossible = impossible.map(|(text, said)| (text, said, NOT_POSSIBLE));
    let mut took = Vec::new();
    for (text, said, exit) in invalid.into_iter().chain(impossible) {
        world.configure(text)?;
        let began = Instant::now();
        let output = world.commands.ctl(&["daemon", "reload"])?;
        took.push(began.elapsed());
        let told = String::from_utf8_lossy(&output.stderr);
        let wanted = format!("{}{said}", world.file().display());
        let as_it_should = told.contains(&wanted) && output.status.code() == Some(exit);
        if !as_it_should {
            let what = format!("{text:?} was told as: {told} ({})", output.status);
            table.count(of, &what, 1, 0);
        }
    }
    world.configure("")?;
    let output = world.commands.ctl(&["daemon", "reload"])?;
    ensure!(output.status.success(), "what was valid before is valid");
    let sum = traffic.end()?;
    table.time(
        of,
        &format!("each of {} mistakes is told with its place", took.len()),
        took,
        ms(1_000),
    );
    table.count(
        of,
        "digest of what is in force",
        self::digest(&world)?,
        digest,
    );
    table.count(of, "agents that lost their connection", world.lost(), 0);
    sum_up(table, of, &world, &sum);
    held(table, of, &world, agents)
}

/// The digest of the configuration in force.
fn digest(world: &World) -> Result<String> {
    let args = ["--output", "json", "daemon", "config"];
    let output = world.commands.ctl(&args)?;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let digest = said.get("digest").and_then(|it| it.as_str());
    Ok(digest.context("no digest")?.to_owned())
}
