//! Bodies of `Jobs` and of the answer to `Enqueue`.

use std::time::Duration;

use super::WireError;
use crate::{
    message::{KnownJob, Standing},
    model::{JobId, Reason},
};

/// `(u job, s kind, s unit, s mode, t age µs, s state, s result, s cause, s text)`: the state is empty
/// for a job that has ended, the rest for one that has not.
pub type JobBody = (
    u32,
    String,
    String,
    String,
    u64,
    String,
    String,
    String,
    String,
);

/// `(u job, s state, s result, s cause, s text)`: the job that is carried out, and how it stands, as in
/// [`JobBody`].
pub type EnqueuedBody = (u32, String, String, String, String);

/// Writes which job is carried out.
pub fn enqueued_to_wire(job: JobId, standing: &Standing) -> EnqueuedBody {
    let (state, result, cause, text) = standing_to_wire(standing);
    (job.0, state, result, cause, text)
}

/// Reads which job is carried out.
///
/// # Errors
///
/// Says which part is not valid.
pub fn enqueued_from_wire(body: &EnqueuedBody) -> Result<(JobId, Standing), WireError> {
    let (job, state, result, cause, text) = body;
    let standing = standing_from_wire([state, result, cause, text])?;
    Ok((JobId(*job), standing))
}

/// State, result, cause and text.
fn standing_to_wire(standing: &Standing) -> (String, String, String, String) {
    let (state, result, reason) = match standing {
        Standing::Open(state) => (state.as_str(), "", None),
        Standing::Ended(result, reason) => ("", result.as_str(), reason.as_ref()),
    };
    let cause = reason.map_or_else(String::new, |it| it.cause.to_string());
    let text = reason.map_or_else(String::new, |it| it.text.clone());
    (state.to_owned(), result.to_owned(), cause, text)
}

fn standing_from_wire([state, result, cause, text]: [&str; 4]) -> Result<Standing, WireError> {
    let reason = match cause {
        "" => None,
        cause => Some(Reason::new(cause.parse()?, text)),
    };
    Ok(match state {
        "" => Standing::Ended(result.parse()?, reason),
        state => Standing::Open(state.parse()?),
    })
}

/// Writes the jobs that an agent knows of.
pub fn jobs_to_wire(jobs: &[KnownJob]) -> Vec<JobBody> {
    let bodies = jobs.iter().map(|known| {
        let (state, result, cause, text) = standing_to_wire(&known.standing);
        (
            known.job.0,
            known.kind.to_string(),
            known.unit.to_string(),
            known.mode.to_string(),
            u64::try_from(known.age.as_micros()).unwrap_or(u64::MAX),
            state,
            result,
            cause,
            text,
        )
    });
    bodies.collect()
}

/// Reads the jobs that an agent knows of.
///
/// # Errors
///
/// Says which part is not valid; the message as a whole is refused.
pub fn jobs_from_wire(bodies: &[JobBody]) -> Result<Vec<KnownJob>, WireError> {
    bodies.iter().map(job_from_wire).collect()
}

fn job_from_wire(body: &JobBody) -> Result<KnownJob, WireError> {
    let (job, kind, unit, mode, age, state, result, cause, text) = body;
    Ok(KnownJob {
        job: JobId(*job),
        kind: kind.parse()?,
        unit: unit.parse()?,
        mode: mode.parse()?,
        age: Duration::from_micros(*age),
        standing: standing_from_wire([state, result, cause, text])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cause, JobKind, JobMode, JobResult, JobState};

    fn known(standing: Standing) -> KnownJob {
        KnownJob {
            job: JobId(7),
            kind: JobKind::Restart,
            unit: "t.service".parse().expect("unit"),
            mode: JobMode::Replace,
            age: Duration::from_millis(1500),
            standing,
        }
    }

    #[test]
    fn jobs_are_read_as_they_are_written() {
        let reason = Some(Reason::new(Cause::UnitFailed, "exit-code"));
        let jobs = [
            known(Standing::Open(JobState::Running)),
            known(Standing::Ended(JobResult::Done, None)),
            known(Standing::Ended(JobResult::Failed, reason)),
        ];
        assert_eq!(jobs_from_wire(&jobs_to_wire(&jobs)), Ok(jobs.to_vec()));
    }

    #[test]
    fn the_job_of_a_request_is_read_as_it_is_written() {
        let reason = Some(Reason::new(Cause::UnitFailed, "exit-code"));
        for standing in [
            Standing::Open(JobState::Waiting),
            Standing::Ended(JobResult::Done, None),
            Standing::Ended(JobResult::Failed, reason),
        ] {
            let body = enqueued_to_wire(JobId(7), &standing);
            assert_eq!(enqueued_from_wire(&body), Ok((JobId(7), standing)));
        }
        let nothing = (
            7,
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        );
        assert!(
            enqueued_from_wire(&nothing).is_err(),
            "neither open nor ended"
        );
    }

    #[test]
    fn a_job_with_a_bad_part_is_refused() {
        let mut body = jobs_to_wire(&[known(Standing::Ended(JobResult::Done, None))]);
        body[0].6.clear();
        assert!(jobs_from_wire(&body).is_err(), "neither open nor ended");
    }
}
