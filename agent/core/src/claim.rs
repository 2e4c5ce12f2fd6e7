//! The source's side: what the proxies of this node need of other nodes.
//!
//! A claim is made from what systemd says about a proxy, or from the first word of its helper,
//! which proves that the proxy is being started in this very run. systemd's own word may come later
//! than the helper's, so until a look at the unit was answered, what is said about other runs
//! is not believed.
//!
//! | phase | true in it | leaves it |
//! |---|---|---|
//! | activating | the proxy is being started; a helper asks or will ask | active; inactive: the claim is gone |
//! | active | the unit was up for this token | stopped, restarted |
//! | leaving | the proxy is being stopped, or its restart is queued | a new run; inactive without a job: gone |

mod again;
mod helper;
mod proxy;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    message::{Claim, ClaimKey, StartTimeouts, TokenState},
    model::{Cause, JobResult, Reason, Token},
    name::{ProxyName, UnitName},
    sync::{Delta, Generation, Listener, SyncError, Teller},
    time::Moment,
};

use again::Agains;
use proxy::{Phase, Proof, Proxy, Seen, seen};

use crate::{
    call::{Calls, Cx, Purpose, Retry, Step, job_of},
    input::{Answer, CallId, ManagerError, Restarting, Waiter},
    limits::{CLAIM_STATES_MAX, CLAIMS_MAX, START_TIMEOUT},
    output::{Event, HelperAnswer, Output, Request},
    reason,
    unit::{ActiveState, ManagerJob, UnitState, Units},
};

/// All claims of this node.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Claims {
    /// By their own name, also where systemd knows one by its alias.
    proxies: BTreeMap<UnitName, Proxy>,
    /// Which proxy each helper asks for.
    waiters: BTreeMap<Waiter, UnitName>,
    told: Teller<ClaimKey, Claim>,
    heard: Listener<ClaimKey, TokenState>,
    dirty: BTreeSet<UnitName>,
    agains: Agains,
    start_timeouts: StartTimeouts,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            proxies: BTreeMap::new(),
            waiters: BTreeMap::new(),
            told: Teller::default(),
            heard: Listener::default(),
            dirty: BTreeSet::new(),
            agains: Agains::default(),
            start_timeouts: StartTimeouts::all(START_TIMEOUT),
        }
    }
}

impl Claims {
    /// Takes in a message about how the claims stand.
    pub(crate) fn hear(
        &mut self,
        delta: Delta<ClaimKey, TokenState>,
    ) -> Result<Generation, SyncError> {
        let generation = delta.generation;
        let changes = self.heard.hear(delta, CLAIM_STATES_MAX)?;
        let dropped = changes.dropped.into_iter().map(|(key, _)| key);
        for key in changes.put.into_iter().chain(dropped) {
            if let Ok(name) = ProxyName::of(&key.node, &key.unit) {
                self.dirty.insert(name.name().clone());
            }
        }
        Ok(generation)
    }

    /// A new connection: the whole set will be told, both ways.
    pub(crate) fn registered(&mut self) {
        self.heard.connected();
        self.told.connected();
        self.mark_all();
    }

    pub(crate) fn disconnected(&mut self) {
        self.told.disconnected();
        self.mark_all();
    }

    /// Claims may take so long from now on, also those that wait already.
    pub(crate) fn allow(&mut self, start_timeouts: StartTimeouts) {
        self.start_timeouts = start_timeouts;
        self.mark_all();
    }

    /// A unit of another node was reloaded: what wants to know is reloaded with it.
    pub(crate) fn reloaded(&self, key: &ClaimKey, cx: &mut Cx<'_>) {
        let name = ProxyName::of(&key.node, &key.unit).ok();
        let proxy = name.and_then(|name| self.proxies.get(name.name()));
        if let Some(proxy) = proxy.filter(|proxy| proxy.phase == Phase::Active)
            && cx.units.connected
        {
            let request = Request::ReloadFollowers(proxy.unit.clone());
            cx.call(Purpose::Followers, request);
        }
    }

    pub(crate) fn acknowledged(&mut self, generation: Generation) -> Result<(), SyncError> {
        self.told.acknowledged(generation)
    }

    /// The next message about the claims.
    pub(crate) fn poll(&mut self) -> Option<Delta<ClaimKey, Claim>> {
        self.told.poll()
    }

    /// The claims as they are told.
    pub(crate) fn entries(&self) -> &BTreeMap<ClaimKey, Claim> {
        self.told.entries()
    }

    /// The attempts that are under way.
    pub(crate) fn activating(&self) -> BTreeMap<ClaimKey, Token> {
        let proxies = self.proxies.values();
        let activating = proxies.filter(|proxy| proxy.phase == Phase::Activating);
        activating.map(|proxy| (proxy.key(), proxy.token)).collect()
    }

    /// The service manager is reached, with these units. Proxies that are not among them are gone,
    /// except those that a helper has proved meanwhile.
    pub(crate) fn manager_reached(&mut self, cx: &mut Cx<'_>) {
        let unseen: Vec<_> = self
            .proxies
            .iter()
            .filter(|(_, proxy)| proxy.proof == Proof::Seen)
            .filter(|(_, proxy)| cx.units.get(&proxy.unit).is_none())
            .map(|(name, _)| name.clone())
            .collect();
        for name in unseen {
            self.remove(&name, cx.out);
        }
        for proxy in self.proxies.values_mut() {
            if proxy.proof == Proof::Unasked {
                proxy.look(cx);
            }
        }
        let states: Vec<_> = cx
            .units
            .names()
            .filter_map(|name| cx.units.get(name))
            .cloned()
            .collect();
        for state in states {
            self.unit_changed(&state, true, cx);
        }
        self.mark_all();
    }

    /// The service manager is out of reach; what it was asked, it will not answer.
    pub(crate) fn manager_lost(&mut self) {
        self.agains.manager_lost();
        for proxy in self.proxies.values_mut() {
            if matches!(proxy.work, Some(Step::Called(_))) {
                proxy.work = None;
            }
            if matches!(proxy.proof, Proof::Asked(_)) {
                proxy.proof = Proof::Unasked;
            }
        }
    }

    /// A job ended while the service manager was out of reach.
    pub(crate) fn job_lost(&mut self, unit: &UnitName, job: ManagerJob) {
        if let Some(proxy) = self.proxies.get_mut(unit)
            && proxy.work == Some(Step::Queued(job))
        {
            proxy.work = None;
            self.dirty.insert(unit.clone());
        }
    }

    /// A unit has changed. `snapshot` is whether this is how it is found rather than what happened.
    pub(crate) fn unit_changed(&mut self, state: &UnitState, snapshot: bool, cx: &mut Cx<'_>) {
        let Ok(name) = ProxyName::parse(state.name.as_str()) else {
            return;
        };
        let (seen, key) = (seen(state), name.name().clone());
        let Some(proxy) = self.proxies.get_mut(&key) else {
            let Seen::Claims(phase) = seen else {
                return;
            };
            // A proxy that is only leaving, and was not seen before, claims nothing new; but when
            // it is found so, it may be in the middle of a restart, and what it has is kept.
            let claims = phase != Phase::Leaving || snapshot;
            if let (true, Some(token)) = (claims, state.invocation) {
                let unit = state.name.clone();
                self.insert(Proxy::new(name, unit, token, phase, Proof::Seen), cx);
            }
            return;
        };
        let same_run = state.invocation == Some(proxy.token);
        if proxy.proof != Proof::Seen && !same_run {
            return;
        }
        proxy.unit = state.name.clone();
        self.dirty.insert(key.clone());
        match (seen, state.invocation) {
            (Seen::Gone, _) => {
                // What requires it was not restarted with it, so it has not failed with it either.
                proxy.again |= proxy.alone.is_some() && state.active == ActiveState::Failed;
                self.remove(&key, cx.out);
            }
            (Seen::Claims(phase @ (Phase::Activating | Phase::Active)), Some(token)) => {
                proxy.run(token);
                let is_new = proxy.alone.is_some_and(|old| old != token);
                if phase == Phase::Active && is_new {
                    proxy.alone = None;
                }
                proxy.be(phase);
            }
            (Seen::Claims(phase), _) => proxy.be(phase),
        }
    }

    /// A unit is not loaded any more.
    pub(crate) fn unit_gone(&mut self, unit: &UnitName, out: &mut Vec<Output>) {
        let Ok(name) = ProxyName::parse(unit.as_str()) else {
            return;
        };
        let seen = |proxy: &Proxy| proxy.unit == *unit && proxy.proof == Proof::Seen;
        if self.proxies.get(name.name()).is_some_and(seen) {
            self.remove(name.name(), out);
        }
    }

    /// A call was answered.
    pub(crate) fn answered(
        &mut self,
        unit: &UnitName,
        call: CallId,
        result: Result<Answer, ManagerError>,
        cx: &mut Cx<'_>,
    ) {
        let Some(proxy) = self.proxies.get_mut(unit) else {
            return;
        };
        if proxy.proof == Proof::Asked(call) {
            proxy.proof = Proof::Seen;
            self.dirty.insert(unit.clone());
            match result {
                Ok(Answer::Unit(Some(state))) => self.unit_changed(&state, false, cx),
                Ok(Answer::Unit(None)) => self.remove(unit, cx.out),
                // The helper is a process of the proxy: while it is there, so is the run.
                Err(_) if !proxy.waiters.is_empty() => {}
                Err(_)
                | Ok(
                    Answer::Job(_)
                    | Answer::Restarting(_)
                    | Answer::Done
                    | Answer::Description(_)
                    | Answer::Waits(_)
                    | Answer::Units(_),
                ) => {
                    self.remove(unit, cx.out);
                }
            }
        } else if proxy.work == Some(Step::Called(call)) {
            if let Ok(Answer::Restarting(Restarting { alone: true, .. })) = result {
                proxy.alone = Some(proxy.token);
            }
            match job_of(result) {
                Ok(job) => {
                    proxy.work = Some(Step::Queued(job));
                    if let Some(result) = cx.calls.follow(job, Purpose::Proxy(unit.clone())) {
                        self.ended(unit, job, result, cx);
                    }
                }
                Err(error) => self.work_ended(unit, None, reason::one_line(&error.text), cx),
            }
        }
    }

    /// The restart of a proxy that had stopped was answered.
    pub(crate) fn again(
        &mut self,
        unit: &UnitName,
        call: CallId,
        result: Result<Answer, ManagerError>,
        cx: &mut Cx<'_>,
    ) {
        self.agains.answered(unit, call, result, cx);
    }

    /// A job has ended.
    pub(crate) fn ended(
        &mut self,
        unit: &UnitName,
        job: ManagerJob,
        result: JobResult,
        cx: &mut Cx<'_>,
    ) {
        if self
            .proxies
            .get(unit)
            .is_some_and(|proxy| proxy.work == Some(Step::Queued(job)))
        {
            self.work_ended(unit, Some(result), format!("its job ended as {result}"), cx);
        }
    }

    pub(crate) fn deadline(&self, units: &Units) -> Option<(Moment, &'static str)> {
        let start = self
            .proxies
            .values()
            .filter(|proxy| !proxy.waiters.is_empty());
        let start = start.filter_map(|proxy| self.gives_up(proxy)).min();
        let start = start.map(|at| (at, "start timeout"));
        let idle = self
            .proxies
            .values()
            .filter(|proxy| proxy.work.is_none() && units.connected);
        let retry = idle
            .filter_map(|proxy| proxy.retry)
            .map(|retry| retry.at)
            .min();
        let retry = retry.map(|at| (at, "stop or restart a proxy again"));
        let again = self.agains.deadline().filter(|_| units.connected);
        let again = again.map(|at| (at, "restart a proxy that has stopped"));
        start.into_iter().chain(retry).chain(again).min()
    }

    pub(crate) fn timeout(&mut self, now: Moment) {
        for (unit, proxy) in &self.proxies {
            let late = self.gives_up(proxy).is_some_and(|at| now >= at);
            let start = !proxy.waiters.is_empty() && late;
            if start || proxy.retry.is_some_and(|retry| now >= retry.at) {
                self.dirty.insert(unit.clone());
            }
        }
    }

    /// When the start of a proxy has taken too long.
    fn gives_up(&self, proxy: &Proxy) -> Option<Moment> {
        let timeout = self.start_timeouts.of(proxy.name.unit());
        proxy.asked.map(|asked| asked.plus(timeout))
    }

    pub(crate) fn len(&self) -> usize {
        self.proxies.len()
    }

    /// What must be true between two inputs; see [`crate::Node::check`].
    pub(crate) fn check(&self, calls: &Calls) -> Result<(), String> {
        let mut claims = BTreeMap::new();
        for (unit, proxy) in &self.proxies {
            claims.insert(
                proxy.key(),
                Claim {
                    token: proxy.token,
                    up: proxy.up,
                },
            );
            let alive = match (proxy.work, proxy.proof) {
                (Some(Step::Called(call)), _) => calls.is_open(call),
                (Some(Step::Queued(job)), _) => calls.is_followed(job),
                (None, Proof::Asked(call)) => calls.is_open(call),
                (None, Proof::Seen | Proof::Unasked) => true,
            };
            if !alive {
                return Err(format!("the work on {unit} waits for nothing"));
            }
            for waiter in proxy.waiters.keys() {
                if self.waiters.get(waiter) != Some(unit) {
                    return Err(format!("{waiter:?} at {unit} is not known"));
                }
            }
        }
        let waiting: usize = self.proxies.values().map(|proxy| proxy.waiters.len()).sum();
        if waiting != self.waiters.len() {
            return Err("a helper waits for no proxy".to_owned());
        }
        if &claims != self.told.entries() {
            return Err("the claims that are told are not those of the proxies".to_owned());
        }
        Ok(())
    }

    fn insert(&mut self, proxy: Proxy, cx: &mut Cx<'_>) {
        if self.proxies.len() >= CLAIMS_MAX {
            cx.event(Event::Limit {
                what: "proxies that claim",
            });
            return;
        }
        let unit = proxy.name.name().clone();
        self.agains.remove(&unit);
        self.dirty.insert(unit.clone());
        self.proxies.insert(unit, proxy);
    }

    /// The proxy needs nothing any more.
    fn remove(&mut self, unit: &UnitName, out: &mut Vec<Output>) {
        let Some(proxy) = self.proxies.remove(unit) else {
            return;
        };
        self.told.drop(&proxy.key());
        if proxy.again {
            let key = proxy.key();
            self.agains.insert(unit.clone(), proxy.unit.clone(), key);
        }
        for waiter in proxy.waiters.into_keys() {
            self.waiters.remove(&waiter);
            let reason = superseded(unit);
            out.push(Output::Helper {
                waiter,
                answer: HelperAnswer::Failed(reason),
            });
        }
    }

    fn mark_all(&mut self) {
        self.dirty.extend(self.proxies.keys().cloned());
    }

    /// systemd has done, or not done, what it was asked for a proxy. If the proxy is still as it
    /// was, it is asked again, after a while.
    fn work_ended(
        &mut self,
        unit: &UnitName,
        result: Option<JobResult>,
        why: String,
        cx: &mut Cx<'_>,
    ) {
        let Some(proxy) = self.proxies.get_mut(unit) else {
            return;
        };
        proxy.work = None;
        let replaced = result == Some(JobResult::Canceled);
        let at_once = replaced && !proxy.wanted_again;
        proxy.wanted_again = replaced;
        self.dirty.insert(unit.clone());
        if at_once {
            // Before what was to be stopped has stopped and starts again without its unit.
            proxy.retry = None;
            return;
        }
        if proxy.phase == Phase::Active {
            proxy.retry = Some(Retry::after(proxy.retry, cx.now));
            cx.event(Event::Retrying {
                unit: unit.clone(),
                why,
            });
        }
    }
}

fn superseded(unit: &UnitName) -> Reason {
    Reason::new(Cause::Canceled, format!("the start of {unit} was given up"))
}
