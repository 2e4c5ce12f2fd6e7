//! How long jobs took, as a stream.

use std::time::Duration;

use serde::Serialize;

use super::{
    Mood, known,
    stream::{Row, Stream},
    usec,
};
use crate::measured::Measured;

/// The columns beside the time.
pub(crate) const HEADER: &[&str] = &["NODE", "UNIT", "JOB", "MEASURED"];

/// One measurement as the next row.
pub(crate) fn row(stream: &mut Stream, time: Duration, measured: &Measured) -> String {
    let json = MeasuredJson::of(time, measured);
    let (job, text) = match measured {
        Measured::Start {
            id,
            job,
            unit_start,
            ..
        } => {
            let id = id.map(|id| format!(" {id}")).unwrap_or_default();
            let text = format!("{} in all, unit up in {}", ms(*job), ms(*unit_start));
            (format!("start{id}"), text)
        }
        Measured::Systemd { method, took, .. } => {
            (method.clone(), format!("{} in systemd", ms(*took)))
        }
    };
    let (node, unit) = measured.place();
    let plain = [
        json.metric.to_owned(),
        node.to_owned(),
        unit.to_owned(),
        job.clone(),
        optional(json.job_usec),
        optional(json.unit_start_usec),
        optional(json.systemd_job_usec),
    ];
    let cells = [node.to_owned(), unit.to_owned(), job, text];
    stream.row(&Row {
        time: json.time_usec,
        cells: cells.map(|cell| (cell, Mood::Neutral)).to_vec(),
        plain: plain.to_vec(),
        json: &json,
    })
}

fn optional(usec: Option<u64>) -> String {
    usec.map(|usec| usec.to_string()).unwrap_or_default()
}

/// Milliseconds with what systemd can tell apart, as systemd-analyze(1) has them.
fn ms(span: Duration) -> String {
    let usec = span.as_micros();
    format!("{}.{:03}ms", usec / 1000, usec % 1000)
}

#[derive(Serialize)]
struct MeasuredJson<'a> {
    metric: &'static str,
    time_usec: u64,
    node: &'a str,
    unit: &'a str,
    job_id: Option<u32>,
    method: Option<&'a str>,
    job_usec: Option<u64>,
    unit_start_usec: Option<u64>,
    systemd_job_usec: Option<u64>,
}

impl<'a> MeasuredJson<'a> {
    fn of(time: Duration, measured: &'a Measured) -> Self {
        let (node, unit) = measured.place();
        let none = Self {
            metric: "",
            time_usec: usec(time),
            node,
            unit,
            job_id: None,
            method: None,
            job_usec: None,
            unit_start_usec: None,
            systemd_job_usec: None,
        };
        match measured {
            Measured::Start {
                id,
                job,
                unit_start,
                ..
            } => Self {
                metric: "start-unit-job",
                job_id: *id,
                job_usec: Some(usec(*job)),
                unit_start_usec: Some(usec(*unit_start)),
                ..none
            },
            Measured::Systemd { method, took, .. } => Self {
                metric: "agent-job",
                method: known(method),
                systemd_job_usec: Some(usec(*took)),
                ..none
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_to_the_microsecond() {
        assert_eq!(ms(Duration::from_micros(12_034)), "12.034ms");
    }
}
