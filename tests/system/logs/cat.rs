//! `ctl cat`.

use anyhow::{Context, ensure};

use crate::world::{ctl_ok, ctl_says, scene, three};

#[test]
fn unit_files_and_drop_ins_are_those_of_systemctl() {
    scene(three("logs"), |fleet| {
        let worker1 = fleet.node("worker1");
        let drop_in = "/etc/systemd/system/say@.service.d/10-more.conf";
        worker1.write(drop_in, "[Service]\nNice=5\n")?;
        let other = r"/etc/systemd/system/say@a\x2db.service.d/20-even-more.conf";
        worker1.write(other, "[Service]\nNice=7")?;
        worker1.systemctl(&["daemon-reload"])?;
        for unit in [
            "say@1.service",
            r"say@a\x2db.service",
            "unitlink-agent.service",
        ] {
            let ours = ctl_ok(fleet, &format!("cat worker1 {unit}"))?;
            let theirs = worker1.systemctl(&["cat", unit])?;
            ensure!(
                ours.trim_end() == theirs.trim_end(),
                "{ours}\ninstead of\n{theirs}"
            );
        }
        let both = ctl_ok(fleet, "cat worker1,worker2 say@1")?;
        let heads: Vec<&str> = both
            .lines()
            .filter(|line| line.starts_with("# worker"))
            .collect();
        let file = "/etc/systemd/system/say@.service";
        let expected = [
            format!("# worker1: {file}"),
            format!("# worker1: {drop_in}"),
            format!("# worker2: {file}"),
        ];
        ensure!(heads == expected, "{both}");

        worker1.systemctl(&["start", "stay.service"])?;
        let stay = "/etc/systemd/system/stay.service";
        let text = worker1.read(stay)?;
        worker1.write(stay, &format!("# Another one.\n{text}"))?;
        let says = [
            "have changed since",
            "ctl daemon-reload worker1",
            "# /etc/systemd/system/stay.service",
        ];
        ctl_says(fleet, "cat worker1 stay", 0, &says)?;
        let json = ctl_ok(fleet, "-o json cat worker1 say@1")?;
        let json: serde_json::Value = serde_json::from_str(&json)?;
        let files = json["units"][0]["files"].as_array().context("no files")?;
        ensure!(files.len() == 2 && files[1]["path"] == drop_in, "{json}");
        Ok(())
    });
}

#[test]
fn what_has_no_files_is_said() {
    scene(three("logs"), |fleet| {
        let worker1 = fleet.node("worker1");
        ctl_says(
            fleet,
            "cat worker1 nosuch",
            4,
            &["there is no unit nosuch.service on worker1"],
        )?;
        ctl_says(fleet, "cat worker1 nosuch say@1", 4, &["[Service]"])?;
        worker1.systemctl(&["mask", "hidden.service"])?;
        worker1.systemctl(&["daemon-reload"])?;
        ctl_says(
            fleet,
            "cat worker1 hidden",
            0,
            &["# Unit hidden.service is masked."],
        )?;
        worker1.freeze("unitlink-agent.service")?;
        ctl_says(
            fleet,
            "cat worker1,worker2 say@1",
            6,
            &["worker1 is offline", "# worker2: "],
        )?;
        worker1.thaw("unitlink-agent.service")
    });
}
