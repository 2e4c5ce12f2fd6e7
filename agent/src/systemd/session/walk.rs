//! What jobs wait for: the queue of systemd followed from job to job (`GetBefore` of each,
//! org.freedesktop.systemd1(5)), until all proxies are found for which some jobs wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use host::link::Method;
use node::{Answer, CallId, ManagerJob, Waited};
use proto::name::{ProxyName, UnitName};
use zbus::{Message, wire::ObjectPath};

use super::{
    super::{cache::JOB_PATH_PREFIX, pending::Purpose},
    Ended, Session, read,
};
use crate::limits::JOBS_WALKED_MAX;

/// Interface of a job.
const JOB: &str = "org.freedesktop.systemd1.Job";

/// The jobs that have to end before this one begins: not what is queued before it in time, and not
/// `GetAfter`, which lists those that come after it (tried on systemd 252).
const BEFORE: &str = "GetBefore";

/// A job as `GetBefore` lists it: number, unit, type, state, its path, the path of its unit.
type ListedJob<'a> = (
    u32,
    &'a str,
    &'a str,
    &'a str,
    ObjectPath<'a>,
    ObjectPath<'a>,
);

/// A question that is followed.
#[derive(Debug)]
pub(super) struct Walk {
    call: CallId,
    from: Vec<ManagerJob>,
    /// Answers that are missing.
    missing: usize,
    /// Jobs that were asked.
    asked: BTreeSet<ManagerJob>,
    /// What each job waits for.
    after: BTreeMap<ManagerJob, Vec<ManagerJob>>,
    units: BTreeMap<ManagerJob, UnitName>,
}

impl Session {
    /// Begins to follow what these jobs wait for.
    pub(super) fn walk(&mut self, call: CallId, from: Vec<ManagerJob>) -> Result<(), Ended> {
        let mut walk = Walk {
            call,
            from: from.clone(),
            missing: 0,
            asked: BTreeSet::new(),
            after: BTreeMap::new(),
            units: BTreeMap::new(),
        };
        for job in from {
            self.follow(&mut walk, job)?;
        }
        self.walked(walk);
        Ok(())
    }

    /// A job has said what it waits for; nothing, if it has ended.
    pub(super) fn step(
        &mut self,
        call: CallId,
        job: ManagerJob,
        answer: Option<&Message>,
    ) -> Result<(), Ended> {
        let Some(mut walk) = self.walk.take_if(|walk| walk.call == call) else {
            return Ok(());
        };
        walk.missing = walk.missing.saturating_sub(1);
        if let Some(message) = answer {
            let body = message.body();
            for (id, unit, _, state, _, _) in read::<Vec<ListedJob<'_>>>(&body)? {
                let next = ManagerJob(id);
                // A name that is not valid here is of no unit that anybody needs.
                if let Ok(unit) = unit.parse() {
                    walk.units.insert(next, unit);
                    walk.after.entry(job).or_default().push(next);
                }
                // What is at work does not wait for another job.
                if state == "waiting" {
                    self.follow(&mut walk, next)?;
                }
            }
        }
        self.walked(walk);
        Ok(())
    }

    fn follow(&mut self, walk: &mut Walk, job: ManagerJob) -> Result<(), Ended> {
        if walk.asked.len() >= JOBS_WALKED_MAX || !walk.asked.insert(job) {
            return Ok(());
        }
        walk.missing = walk.missing.saturating_add(1);
        let path = format!("{JOB_PATH_PREFIX}{job}");
        let method = Method {
            destination: self.way.destination(),
            path: &path,
            interface: JOB,
            member: BEFORE,
        };
        self.call(method, &(), Purpose::Walk(walk.call, job))
    }

    /// Answers the question, if nothing is missing any more. A question that is asked before the
    /// last one was answered takes its place.
    fn walked(&mut self, walk: Walk) {
        if walk.missing == 0 {
            let waited = walk.from.iter().flat_map(|job| walk.proxies(*job));
            let answer = Answer::Waits(waited.collect());
            self.tell_answer(walk.call, Ok(answer));
        } else {
            self.walk = Some(walk);
        }
    }
}

impl Walk {
    /// The proxies for which a job waits, each over the shortest way.
    fn proxies(&self, from: ManagerJob) -> Vec<Waited> {
        let mut before: BTreeMap<ManagerJob, ManagerJob> = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        let mut found = Vec::new();
        while let Some(job) = next.pop_front() {
            for after in self.after.get(&job).into_iter().flatten() {
                if *after == from || before.contains_key(after) {
                    continue;
                }
                before.insert(*after, job);
                next.push_back(*after);
                if let Some(proxy) = self
                    .units
                    .get(after)
                    .filter(|unit| ProxyName::is_proxy(unit))
                {
                    found.push(Waited {
                        job: from,
                        proxy: proxy.clone(),
                        via: self.way(&before, from, job),
                    });
                }
            }
        }
        found
    }

    /// The units from the one after `from` to the one of `to`.
    fn way(
        &self,
        before: &BTreeMap<ManagerJob, ManagerJob>,
        from: ManagerJob,
        to: ManagerJob,
    ) -> Vec<UnitName> {
        let mut way = VecDeque::new();
        let mut at = to;
        while at != from {
            if let Some(unit) = self.units.get(&at) {
                way.push_front(unit.clone());
            }
            match before.get(&at) {
                Some(earlier) => at = *earlier,
                None => break,
            }
        }
        way.into()
    }
}
