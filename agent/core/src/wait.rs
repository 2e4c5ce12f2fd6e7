//! What the starts of held units wait for: the information from which the controller finds circles.
//!
//! A circle over nodes always runs through holds: on each node of it a held unit is being started and
//! waits, perhaps over other units of the node, for a proxy of the node. systemd knows this from
//! its queue of jobs, so it is asked, and only where there is something to find: while a held unit
//! is starting and a proxy is starting as well. All that are starting are asked about at once, so a
//! boot with hundreds of both costs a few questions and not their product.
//!
//! What is told is true as long as the attempts that it names are under way: a start that waits
//! for another waits until that one has ended.

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    message::{ClaimKey, HoldKey, HoldWait, PROTOCOL_WAITS, WaitOn, Welcome},
    model::Token,
    name::{ProxyName, UnitName},
    sync::{Delta, Generation, SyncError, Teller},
    time::Moment,
};

use crate::{
    call::{Calls, Cx, Purpose},
    claim::Claims,
    hold::Holds,
    input::{Answer, CallId, ManagerError, Waited},
    limits::{WAITS_AGAIN, WAITS_GAP, WAITS_MAX, WAITS_SETTLE, WAITS_VIA_MAX},
    output::{Event, Request},
    unit::{ManagerJob, Units},
};

/// What the starts of held units wait for.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Waits {
    told: Teller<HoldKey, HoldWait>,
    /// Whether the controller of this connection wants to know.
    wanted: bool,
    /// Whether it was told anything on this connection. Nothing is the usual case, and costs nothing.
    telling: bool,
    asked: Option<Asked>,
    due: Option<Moment>,
    /// When systemd was asked last.
    last: Option<Moment>,
    /// What was asked about last, with an answer.
    known: Option<Basis>,
}

/// A question that is not answered.
#[derive(Clone, Debug, Hash)]
struct Asked {
    call: CallId,
    jobs: BTreeMap<ManagerJob, UnitName>,
    about: Basis,
}

/// Attempts that are under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Basis {
    holds: BTreeMap<HoldKey, Token>,
    claims: BTreeMap<ClaimKey, Token>,
}

impl Waits {
    /// A new connection.
    pub(crate) fn registered(&mut self, welcome: &Welcome) {
        self.wanted = welcome.protocol >= PROTOCOL_WAITS;
    }

    /// There is nobody to tell.
    pub(crate) fn disconnected(&mut self) {
        *self = Self::default();
    }

    /// The service manager is out of reach; what it was asked, it will not answer.
    pub(crate) fn manager_lost(&mut self) {
        self.asked = None;
        self.known = None;
    }

    pub(crate) fn acknowledged(&mut self, generation: Generation) -> Result<(), SyncError> {
        self.told.acknowledged(generation)
    }

    /// The next message about what is waited for.
    pub(crate) fn poll(&mut self) -> Option<Delta<HoldKey, HoldWait>> {
        self.told.poll()
    }

    pub(crate) fn deadline(&self, units: &Units) -> Option<(Moment, &'static str)> {
        let due = self.due.filter(|_| units.connected && self.asked.is_none());
        due.map(|at| (at, "ask what starts wait for"))
    }

    /// Looks at what has changed: `touched` is whether any claim or hold has.
    pub(crate) fn settle(
        &mut self,
        touched: bool,
        claims: &Claims,
        holds: &Holds,
        cx: &mut Cx<'_>,
    ) {
        if !self.wanted {
            return;
        }
        let over = |key: &HoldKey, wait: &HoldWait| holds.starting(key) != Some(wait.token);
        let entries = self.told.entries().iter();
        let gone = entries.filter(|(key, wait)| over(key, wait));
        for key in gone.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.told.drop(&key);
        }
        if touched {
            let settled = cx.now.plus(WAITS_SETTLE);
            let at = self
                .last
                .map_or(settled, |last| last.plus(WAITS_GAP).max(settled));
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
        if self.asked.is_none() && cx.units.connected && self.due.is_some_and(|due| due <= cx.now) {
            self.ask(claims, holds, cx);
        }
    }

    /// systemd has answered, or failed to.
    pub(crate) fn answered(
        &mut self,
        call: CallId,
        result: Result<Answer, ManagerError>,
        claims: &Claims,
        holds: &Holds,
        cx: &mut Cx<'_>,
    ) {
        let Some(asked) = self.asked.take_if(|asked| asked.call == call) else {
            return;
        };
        let waited = match result {
            Ok(Answer::Waits(waited)) => waited,
            Ok(
                Answer::Job(_)
                | Answer::Restarting(_)
                | Answer::Done
                | Answer::Unit(_)
                | Answer::Description(_)
                | Answer::Units(_),
            )
            | Err(_) => return,
        };
        let now = claims.activating();
        let mut on: BTreeMap<&UnitName, BTreeMap<ClaimKey, WaitOn>> = BTreeMap::new();
        for Waited { job, proxy, via } in waited {
            let (Some(unit), Ok(proxy)) = (asked.jobs.get(&job), ProxyName::parse(proxy.as_str()))
            else {
                continue;
            };
            let key = ClaimKey {
                node: proxy.node().clone(),
                unit: proxy.unit().clone(),
            };
            // The same attempt before and after the question, so it is this one that is waited for.
            let token = asked.about.claims.get(&key).copied();
            if let Some(token) = token.filter(|token| now.get(&key) == Some(token)) {
                let via = via.into_iter().filter(|it| it != unit);
                let via = via.take(WAITS_VIA_MAX).collect();
                on.entry(unit)
                    .or_default()
                    .insert(key, WaitOn { token, via });
            }
        }
        for (key, token) in &asked.about.holds {
            let on = on.get(&key.unit).cloned().unwrap_or_default();
            let proxies = on
                .keys()
                .filter_map(|claim| ProxyName::of(&claim.node, &claim.unit).ok());
            let proxies = proxies.map(|proxy| proxy.name().clone()).collect();
            cx.failures.waits(&key.unit, proxies);
            if on.is_empty() || holds.starting(key) != Some(*token) {
                self.told.drop(key);
                continue;
            }
            if self.told.entries().len() >= WAITS_MAX && !self.told.entries().contains_key(key) {
                cx.event(Event::Limit {
                    what: "starts that wait for proxies",
                });
                break;
            }
            if !self.telling {
                self.telling = true;
                self.told.connected();
            }
            let token = *token;
            self.told.put(key.clone(), HoldWait { token, on });
        }
        self.known = Some(asked.about);
    }

    /// What must be true between two inputs; see [`crate::Node::check`].
    pub(crate) fn check(&self, holds: &Holds, calls: &Calls) -> Result<(), String> {
        if let Some(asked) = &self.asked
            && !calls.is_open(asked.call)
        {
            return Err("an answer about waits is waited for in vain".to_owned());
        }
        let mut told = self.told.entries().iter();
        match told.find(|(key, wait)| holds.starting(key) != Some(wait.token)) {
            Some((key, _)) => Err(format!("{key:?} is not starting and is said to wait")),
            None => Ok(()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.told.entries().len()
    }

    fn ask(&mut self, claims: &Claims, holds: &Holds, cx: &mut Cx<'_>) {
        self.due = None;
        let jobs = holds.starting_jobs(cx.units);
        if jobs.is_empty() {
            return;
        }
        let about = Basis {
            holds: holds.all_starting(&jobs.values().collect::<BTreeSet<_>>()),
            claims: claims.activating(),
        };
        if about.claims.is_empty() {
            return;
        }
        // A job that is queued later may come in between two that were there: asked again at leisure.
        let again = self.last.map(|last| last.plus(WAITS_AGAIN));
        if self.known.as_ref() == Some(&about) && again.is_some_and(|again| again > cx.now) {
            self.due = again;
            return;
        }
        let request = Request::WaitsOf(jobs.keys().copied().collect());
        let call = cx.call(Purpose::Waits, request);
        self.asked = Some(Asked { call, jobs, about });
        self.last = Some(cx.now);
        self.due = Some(cx.now.plus(WAITS_AGAIN));
    }
}
