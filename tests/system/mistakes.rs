//! Files with mistakes, given to an agent that runs: each is told with its place, and nothing changes.

use anyhow::{Result, ensure};

use crate::world::{agent_drop_in, ctl_ok, scene, three};

const AGENT: &str = "unitlink-agent.service";

/// What may be wrong, below a first line that is right, with what is said about it after the name of the
/// file.
const BAD: [(&str, &str); 20] = [
    (
        "[heartbeat]\nintervall = \"1s\"",
        ":3:1: heartbeat.intervall: unknown key, did you mean 'interval'?",
    ),
    (
        "[heartbeet]",
        ":2:2: heartbeet: unknown table, did you mean 'heartbeat'?",
    ),
    (
        "[log]\nlevel = \"info\"\nlevel = \"warn\"",
        ":4:1: broken TOML: duplicate key",
    ),
    ("[log", ":2:5: broken TOML: unclosed table, expected `]`"),
    (
        "log = 3",
        ":2:7: log: found 3, expected a table, write [log]",
    ),
    (
        "[heartbeat]\ninterval = 2",
        ":3:12: heartbeat.interval: found 2, expected a time with its unit, write \"2s\"",
    ),
    (
        "[heartbeat]\ninterval = \"1us\"",
        ":3:12: heartbeat.interval: found \"1us\", expected a time from \"100ms\" to \"1d\"",
    ),
    (
        "[log]\nlevel = \"loud\"",
        ":3:9: log.level: found \"loud\", expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
    ),
    (
        "[log]\ntarget = true",
        ":3:10: log.target: found true, expected \"journal\", \"stderr\" or \"auto\"",
    ),
    (
        "[log]\nformat = \"xml\"",
        ":3:10: log.format: found \"xml\", expected \"text\" or \"json\"",
    ),
    (
        "controller = \"tcp:host=a,port=1\"",
        ":2:14: controller: found \"tcp:host=a,port=1\", expected an array of strings",
    ),
    (
        "controller = [1]",
        ":2:15: controller[0]: found 1, expected a string",
    ),
    (
        "controller = []",
        ":2:14: controller: found an empty array, expected at least one address of the controller",
    ),
    (
        "controller = [\"10.0.0.1\"]",
        ":2:15: controller[0]: found \"10.0.0.1\", no transport in front, expected 'unix:path=…' or 'tcp:host=…,port=…'",
    ),
    (
        "controller = [\"tcp:port=842\"]",
        ":2:15: controller[0]: found \"tcp:port=842\", 'host' is missing",
    ),
    (
        "node_name = \"a b\"",
        ":2:13: node_name: found \"a b\", a node name has ' '; only letters, digits, '-', '_' and '.' are allowed",
    ),
    (
        "node_name = \"\"",
        ":2:13: node_name: found \"\", a node name is empty; it has 1 to 64 letters, digits, '-', '_' or '.'",
    ),
    (
        "[reconnect]\nfirst = \"1s\"\nmax = \"20ms\"",
        ":4:7: reconnect.max: found \"20ms\", expected at least reconnect.first",
    ),
    (
        "[tcp]\nkeepalive = \"0s\"",
        ":3:13: tcp.keepalive: found \"0s\", expected a time from \"1s\" to \"1d\"",
    ),
    (
        "graceful_shutdown_timeout = 60",
        ":2:29: graceful_shutdown_timeout: found 60, expected a time with its unit, write \"60s\"",
    ),
];

#[test]
fn an_agent_that_runs_tells_each_mistake_with_its_place_and_changes_nothing() {
    scene(three("mistakes"), |fleet| {
        let worker1 = fleet.node("worker1");
        let config = || -> Result<String> { worker1.ok(&["ctl", "daemon", "config", "agent"]) };
        let (before, pid) = (config()?, worker1.main_pid(AGENT)?);
        let online = || ctl_ok(fleet, "daemon debug");
        let session = |state: &str| {
            let session = state.lines().find(|line| line.contains(" of worker1:"));
            session.and_then(|line| line.split(" of ").next().map(str::to_owned))
        };
        let connected = session(&online()?);
        ensure!(connected.is_some());
        let path = agent_drop_in("90-new");
        for (text, told) in BAD {
            worker1.write(&path, &format!("# one\n{text}\n"))?;
            let output = worker1.run(&["ctl", "daemon", "reload", "agent"])?;
            let wanted = format!("{path}{told}");
            let errors = output.stderr.lines().filter(|line| line.contains(&path));
            ensure!(
                output.code() == Some(3) && output.stderr.contains(&wanted) && errors.count() == 1,
                "{text:?} was told as: {}",
                output.stderr
            );
        }
        ensure!(config()? == before && worker1.main_pid(AGENT)? == pid);
        ensure!(session(&online()?) == connected, "it was disconnected");
        worker1.remove(&path)?;
        worker1.ok(&["ctl", "daemon", "reload", "agent"])?;
        Ok(())
    });
}
