//! From a fault to everything settled.

mod nodes;

use std::{thread, time::Duration};

use anyhow::Result;

use crate::{
    plain::{Agents, Plain},
    sample::{Sample, ratio},
    table::{Cell, Report, Table},
};

/// How long a controller lives before it is killed.
const LIFE: Duration = Duration::from_millis(500);

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let mut table = Table::new(
        "A controller is killed and started again, until all agents are online",
        &[
            "agents",
            "runs",
            "p50",
            "worst",
            "of it, until it answers",
            "beside 10",
        ],
    );
    let mut first: Option<Duration> = None;
    for count in report.size.pick(&[10, 500][..], &[10, 100][..]) {
        let mut plain = Plain::new(*count)?;
        plain.connect(Agents {
            count: *count,
            services: 10,
            of_bluechi: false,
        })?;
        let (mut all, mut answers) = (Sample::default(), Sample::default());
        for _ in 0..report.size.pick(20, 3) {
            // Who is dropped at once each time calls less and less, which is not what is measured.
            thread::sleep(LIFE);
            plain.kill();
            let (answered, online) = plain.recover()?;
            answers.push(answered);
            all.push(online);
        }
        let floor = *first.get_or_insert(all.median());
        table.row(
            &count.to_string(),
            [
                Cell::Count(u64::try_from(all.count())?),
                Cell::time(all.median()),
                Cell::time(all.percentile(100)),
                Cell::time(answers.median()),
                Cell::Ratio(ratio(all.median(), floor)),
            ],
        );
    }
    report.add(table);
    nodes::measure(report)
}
