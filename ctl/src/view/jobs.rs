//! A list of jobs.

use serde::Serialize;

use super::{Look, Mood, Page, clean, json, plain, table};
use crate::{cli::Output, fleet::ListedJob};

/// The jobs that the controller has under way.
pub(crate) fn page(jobs: &[ListedJob], look: &Look) -> Page {
    Page::text(match look.output {
        Output::Table => {
            let rows = jobs.iter().map(|job| {
                let mood = match job.state.as_str() {
                    "running" => Mood::Good,
                    _ => Mood::Idle,
                };
                [
                    clean(&job.node),
                    clean(&job.unit),
                    job.id.to_string(),
                    clean(&job.kind),
                    look.paint.mood(mood, &clean(&job.state)),
                ]
            });
            let summary = match jobs.len() {
                _ if !look.legend => String::new(),
                0 => return Page::text("No jobs running.\n".into()),
                1 => "\n1 job\n".into(),
                count => format!("\n{count} jobs\n"),
            };
            table::write(["NODE", "UNIT", "ID", "JOB", "STATE"], rows, look) + &summary
        }
        Output::Json => json(&JobsJson {
            jobs: jobs.iter().map(JobJson::of).collect(),
        }),
        Output::Plain => plain(jobs.iter().map(|job| {
            let id = job.id.to_string();
            let cells = [&job.node, &job.unit, &id, &job.kind, &job.state];
            cells.map(Clone::clone)
        })),
    })
}

#[derive(Serialize)]
struct JobsJson<'a> {
    jobs: Vec<JobJson<'a>>,
}

#[derive(Serialize)]
struct JobJson<'a> {
    node: &'a str,
    unit: &'a str,
    id: u32,
    job: &'a str,
    state: &'a str,
}

impl<'a> JobJson<'a> {
    fn of(job: &'a ListedJob) -> Self {
        Self {
            node: &job.node,
            unit: &job.unit,
            id: job.id,
            job: &job.kind,
            state: &job.state,
        }
    }
}
