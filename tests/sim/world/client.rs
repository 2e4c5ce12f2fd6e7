//! Clients of the controller that wait for their jobs, as `ctl` does: one that loses its controller repeats its request
//! under the same name when there is another.

use std::collections::BTreeMap;

use fleet::{Answer, Request, RequestError, RequestId};
use proto::{
    message::Named,
    model::{Cookie, JobId, JobKind, JobMode},
    name::UnitName,
    time::Moment,
};

use super::World;
use crate::check::Rule;

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    at: usize,
    kind: JobKind,
    unit: UnitName,
    since: Moment,
    /// Its call that is not answered.
    open: Option<RequestId>,
    /// The job that it was told of.
    pub(crate) job: Option<JobId>,
    /// It waits for nothing any more: the job has ended, or there is none.
    over: bool,
}

/// All clients, by their requests.
pub(crate) type Clients = BTreeMap<Cookie, Client>;

impl World {
    /// `ctl` asks for a job.
    pub(super) fn ctl(&mut self, at: usize, kind: JobKind, unit: UnitName) {
        let number = u128::try_from(self.clients.len()).unwrap_or_default();
        let client = Client {
            at,
            kind,
            unit,
            since: self.now,
            open: None,
            job: None,
            over: false,
        };
        self.client_asks(Cookie(number.to_be_bytes()), client);
    }

    /// There is no controller any more.
    pub(super) fn clients_lose_their_controller(&mut self) {
        for client in self.clients.values_mut() {
            client.open = None;
        }
    }

    /// There is another controller.
    pub(super) fn clients_ask_again(&mut self) {
        let waiting = self.clients.iter().filter(|(_, client)| !client.over);
        let waiting: Vec<_> = waiting.map(|(cookie, it)| (*cookie, it.clone())).collect();
        for (cookie, client) in waiting {
            self.client_asks(cookie, client);
        }
    }

    fn client_asks(&mut self, cookie: Cookie, mut client: Client) {
        let Some(node) = self.machines.get(client.at).map(|it| it.name.clone()) else {
            return;
        };
        let age = self.now.since(client.since);
        let request = Request::Job {
            node,
            kind: client.kind,
            unit: client.unit.clone(),
            mode: JobMode::Replace,
            named: Some(Named { cookie, age }),
        };
        let id = self.next_request();
        client.open = id;
        match id {
            Some(id) => {
                self.clients.insert(cookie, client);
                self.request(id, request);
            }
            // It waits for the next one.
            None if self.controller.core.is_none() => drop(self.clients.insert(cookie, client)),
            None => {}
        }
    }

    /// A client is answered: it has one job, and no other client has it.
    pub(super) fn client_answered(&mut self, id: RequestId, result: &Result<Answer, RequestError>) {
        let mut clients = self.clients.iter_mut();
        let Some((cookie, client)) = clients.find(|(_, client)| client.open == Some(id)) else {
            return;
        };
        client.open = None;
        let &Ok(Answer::Job(job)) = result else {
            client.over = true;
            return;
        };
        let before = client.job.replace(job);
        let cookie = *cookie;
        let ended = self.controller.core.as_ref();
        let ended = ended.is_some_and(|core| core.ended_job(job).is_some());
        if ended {
            self.client_ended(job);
        }
        if before.is_some_and(|before| before != job) {
            let text = format!("request {cookie} had job {before:?} and has job {job}");
            self.violated(Rule::Answered, text);
        }
        let others = self.clients.iter();
        let other = others.filter(|(_, client)| client.job == Some(job)).count() > 1;
        if other {
            let text = format!("request {cookie} has job {job}, as another one has");
            self.violated(Rule::Answered, text);
        }
    }

    /// A job has ended, and whoever waits for it hears so.
    pub(super) fn client_ended(&mut self, job: JobId) {
        let clients = self.clients.values_mut();
        for client in clients.filter(|client| client.job == Some(job)) {
            client.over = true;
        }
    }
}
