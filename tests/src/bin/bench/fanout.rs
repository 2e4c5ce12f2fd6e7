//! One change of a unit, told to ever more subscribers.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use proto::dbus::public;
use zbus::wire::OwnedObjectPath;

use crate::{
    client::{Call, Client, controller},
    plain::{Agents, Plain},
    sample::{Sample, ratio},
    table::{Cell, Report, Table},
};

/// Monitors of one client. The controller allows so many to each.
const EACH: usize = 50;

/// A fleet whose clients have monitors on one unit.
struct Audience {
    plain: Plain,
    /// Not one of those that listen: it passes over signals while it waits for its answer.
    caller: Client,
    clients: Vec<Client>,
    count: usize,
}

impl Audience {
    fn new(count: usize) -> Result<Self> {
        let mut plain = Plain::new(1)?;
        plain.connect(Agents {
            count: 1,
            services: 1,
            of_bluechi: false,
        })?;
        let mut clients = Vec::new();
        for first in (0..count).step_by(EACH) {
            let mut client = Client::connect(&plain.address)?;
            for _ in first..count.min(first + EACH) {
                let answer = client.call(&controller("CreateMonitor"), &())?;
                let path: OwnedObjectPath = answer.body().deserialize()?;
                let subscribe = Call {
                    path: path.as_str(),
                    interface: public::MONITOR,
                    ..controller("Subscribe")
                };
                client.call(&subscribe, &("fake00001", "app1.service"))?;
            }
            clients.push(client);
        }
        Ok(Self {
            caller: Client::connect(&plain.address)?,
            plain,
            clients,
            count,
        })
    }

    /// Stops or starts the unit; until the last subscriber has heard of it.
    fn change(&mut self, up: bool) -> Result<Duration> {
        let path = format!("{}fake00001", public::NODE_PATH_PREFIX);
        let call = Call {
            path: &path,
            interface: public::NODE,
            ..controller(if up { "StartUnit" } else { "StopUnit" })
        };
        let wanted = if up { "active" } else { "inactive" };
        let began = Instant::now();
        self.caller.call(&call, &("app1.service", "replace"))?;
        let mut heard = 0;
        let count = self.count;
        for (number, client) in self.clients.iter_mut().enumerate() {
            for _ in 0..EACH.min(count - number * EACH) {
                // What a subscription begins with may still be on the way.
                loop {
                    let signal = client.hear("UnitStateChanged")?;
                    let (_, _, active, _, reason): (String, String, String, String, String) =
                        signal.body().deserialize()?;
                    if active == wanted && reason == "real" {
                        heard += 1;
                        break;
                    }
                }
            }
        }
        ensure!(heard == count, "{heard} of {count} have heard of it");
        Ok(began.elapsed())
    }
}

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let mut table = Table::new(
        "A unit changes its state, until the last subscriber has heard of it",
        &[
            "subscribers",
            "runs",
            "p50",
            "p99",
            "beside 1",
            "controller",
            "each",
        ],
    );
    let mut first = None;
    for count in report.size.pick(&[1, 100, 1_000][..], &[1, 100][..]) {
        let mut audience = Audience::new(*count)?;
        let process = audience.plain.process()?;
        let mut sample = Sample::default();
        let times = report.size.pick(20, 4);
        let begun = process.processor()?;
        for time in 0..times {
            sample.push(audience.change(time % 2 == 1)?);
        }
        let spent = (process.processor()? - begun) / times;
        let floor = *first.get_or_insert(sample.median());
        table.row(
            &count.to_string(),
            [
                Cell::Count(u64::from(times)),
                Cell::time(sample.median()),
                Cell::time(sample.percentile(99)),
                Cell::Ratio(ratio(sample.median(), floor)),
                Cell::time(spent),
                Cell::time(spent / u32::try_from(*count)?),
            ],
        );
    }
    report.add(table);
    Ok(())
}
