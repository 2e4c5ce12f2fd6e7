//! A controller whose nodes need ever more of each other: what a claim costs it, with the hold that comes of it.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::{
    client::Client,
    plain::{Agents, Plain, SOON},
    table::{Cell, Report, Table},
};

const NODES: usize = 1_000;

/// Units of each node that others may need.
const SERVICES: usize = 1;

/// What was measured where each node needs a unit of so many others.
struct Row {
    /// How long it took until all nodes were online and all that they need was up.
    up: Duration,
    /// What nodes and claims take together; what is configured does not count.
    memory: u64,
    /// One question for all claims.
    list: Duration,
}

fn row(neighbours: usize) -> Result<Row> {
    let mut plain = Plain::with_needs(NODES, neighbours)?;
    let process = plain.process()?;
    let before = process.memory()?.anonymous;
    let began = Instant::now();
    plain.connect(Agents {
        count: NODES,
        services: SERVICES,
        of_bluechi: false,
    })?;
    let mut client = Client::connect(&plain.address)?;
    for number in 1..=NODES {
        // One node after the other: the answer for all is larger than all that is measured here.
        let node = format!("fake{number:05}");
        while client.claims_up(&node)? < neighbours {
            ensure!(began.elapsed() < SOON, "not all that {node} needs is up");
            thread::sleep(Duration::from_millis(5));
        }
    }
    let up = began.elapsed();
    let memory = process.memory()?.anonymous.saturating_sub(before);
    let asked = Instant::now();
    client.list_claims()?;
    Ok(Row {
        up,
        memory,
        list: asked.elapsed(),
    })
}

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let mut table = Table::new(
        "Claims of 1000 nodes, each of which needs a unit of so many others",
        &[
            "of each",
            "claims",
            "all up",
            "memory of each",
            "ListClaims",
        ],
    );
    let few = [0, 10];
    let counts = report.size.pick(&[0, 10, 30][..], &few[..]);
    let mut none = None;
    for neighbours in counts {
        let row = row(*neighbours)?;
        let claims = u64::try_from(NODES * neighbours)?;
        // What nodes alone take, with whatever was allocated to list that they need nothing.
        let none = *none.get_or_insert(row.memory);
        let each = row.memory.saturating_sub(none).checked_div(claims);
        table.row(
            &neighbours.to_string(),
            [
                Cell::Count(claims),
                Cell::time(row.up),
                each.map_or(Cell::Nothing, Cell::Bytes),
                Cell::time(row.list),
            ],
        );
        if let Some(each) = each {
            table.check(
                "bytes of memory for each claim and its hold",
                f64::from(u32::try_from(each)?),
                2000.0,
            );
        }
    }
    report.add(table);
    Ok(())
}
