//! Requests that have a name, and jobs that there are already for them. Which these are says the agent: it outlives
//! controllers, and was asked by all of them.

use proto::{
    message::{Named, PROTOCOL_COOKIES, Standing},
    model::{Cookie, JobId},
    name::NodeName,
    time::Moment,
};

use super::{Asker, EndedJob, Phase};
use crate::{
    Fleet,
    input::PeerId,
    output::{Answer, RequestError},
};

/// A request that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    cookie: Cookie,
    /// When it was made for the first time, where this is not it.
    first: Option<Moment>,
}

impl Request {
    pub(super) fn made(named: Named, now: Moment) -> Self {
        let Named { cookie, age } = named;
        let first = (!age.is_zero()).then(|| now.before(age));
        Self { cookie, first }
    }
}

impl Fleet {
    /// How a request is told to an agent: `Some(None)` is without its name to one that knows none, and `None` not at
    /// all, since it may have been told before.
    pub(super) fn named_for(
        &self,
        peer: PeerId,
        request: Request,
        now: Moment,
    ) -> Option<Option<Named>> {
        let Request { cookie, first } = request;
        let name = self.peers.get(&peer);
        let agent = name.and_then(|name| self.nodes.get(name)?.peer());
        let knows = agent.is_some_and(|agent| agent.hello.protocol >= PROTOCOL_COOKIES);
        match (knows, first) {
            (true, first) => {
                let age = first.map(|first| now.since(first)).unwrap_or_default();
                Some(Some(Named { cookie, age }))
            }
            (false, None) => Some(None),
            (false, Some(_)) => None,
        }
    }

    /// A request that is repeated cannot be told to the agent.
    pub(super) fn job_unsendable(&mut self, id: JobId) {
        if let Some(job) = self.take_job(id) {
            self.answer(job.asker, &Err(RequestError::NoCookies(job.node)));
        }
    }

    /// The agent has not begun a job, since there is another for the same request: whoever asked for the one has the
    /// other.
    pub(crate) fn job_is(
        &mut self,
        now: Moment,
        node: &NodeName,
        asked: JobId,
        (job, standing): (JobId, Standing),
    ) {
        let is_asked = |fleet: &mut Self, id| {
            let job = fleet.job_of(node, id);
            job.is_some_and(|job| job.phase == Phase::Asked)
        };
        if asked == job || !is_asked(self, asked) {
            return self.job_unknown(node, asked);
        }
        let Some(repeated) = self.take_job(asked) else {
            return;
        };
        if is_asked(self, job) {
            // It is answered when the agent has said what becomes of it.
            let it = self.jobs.open.get_mut(&job).map(|it| &mut it.asker);
            if let (Some(Asker::Clients(all)), Asker::Clients(more)) = (it, repeated.asker) {
                all.extend(more);
            }
            return;
        }
        let is_known = self.jobs.get(job).is_some() || self.jobs.ended.get(job).is_some();
        let result = match standing {
            Standing::Ended(result, reason) if !is_known => {
                // More ends came after it than are remembered here.
                let ended = EndedJob::of(&repeated, result, reason);
                let (id, since) = (job, now);
                self.jobs.ended.keep(EndedJob { id, since, ..ended });
                Ok(Answer::Job(job))
            }
            Standing::Open(_) if !is_known => Err(RequestError::UnknownJob(job)),
            Standing::Open(_) | Standing::Ended(..) => Ok(Answer::Job(job)),
        };
        self.answer(repeated.asker, &result);
    }

    fn answer(&mut self, asker: Asker, result: &Result<Answer, RequestError>) {
        match asker {
            Asker::Clients(requests) => self.answer_all(requests, result),
            // What agents order has no name.
            Asker::Agent(..) | Asker::Nobody => {}
        }
    }
}
