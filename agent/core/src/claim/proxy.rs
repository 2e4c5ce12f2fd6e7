//! One proxy unit that claims, and what systemd and its helpers say about it.

use std::collections::BTreeMap;

use proto::{
    message::ClaimKey,
    model::{Reason, Token},
    name::{ProxyName, UnitName},
    time::Moment,
};

use crate::{
    call::{Cx, Purpose, Retry, Step},
    input::{CallId, Waiter},
    output::Request,
    unit::{ActiveState, UnitState},
};

/// One proxy unit that claims.
#[derive(Clone, Debug, Hash)]
pub(super) struct Proxy {
    pub(super) name: ProxyName,
    /// What systemd calls it: its name, or the alias.
    pub(super) unit: UnitName,
    pub(super) token: Token,
    pub(super) phase: Phase,
    /// Whether it was active under this token.
    pub(super) up: bool,
    pub(super) proof: Proof,
    pub(super) waiters: BTreeMap<Waiter, Waiting>,
    /// When a helper first asked under this token.
    pub(super) asked: Option<Moment>,
    pub(super) work: Option<Step>,
    pub(super) retry: Option<Retry>,
    /// Whether a start has taken the place of the stop that was asked for: somebody needs the proxy
    /// again, and it is still in its old run.
    pub(super) wanted_again: bool,
    /// Whether it is stopped only to be restarted, because its unit is.
    pub(super) again: bool,
    /// The run that is restarted without what requires it.
    pub(super) alone: Option<Token>,
    /// When a helper was told that the unit is up, in this run and to this agent.
    pub(super) told_up: Option<Moment>,
    /// Whether the log says that its unit is out of sight.
    pub(super) lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Activating,
    Active,
    Leaving,
}

/// How it is known that the proxy is in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Proof {
    /// systemd said so.
    Seen,
    /// Its helper said so; systemd is to be asked.
    Unasked,
    /// Its helper said so; systemd was asked.
    Asked(CallId),
}

/// A helper that waits.
#[derive(Clone, Debug, Hash)]
pub(super) struct Waiting {
    pub(super) token: Token,
    pub(super) since: Moment,
    pub(super) told: Option<Reason>,
}

/// What systemd says about a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Claims(Phase),
    Gone,
}

impl Proxy {
    pub(super) fn new(
        name: ProxyName,
        unit: UnitName,
        token: Token,
        phase: Phase,
        proof: Proof,
    ) -> Self {
        Self {
            name,
            unit,
            token,
            phase,
            up: phase != Phase::Activating,
            proof,
            waiters: BTreeMap::new(),
            asked: None,
            work: None,
            retry: None,
            wanted_again: false,
            again: false,
            alone: None,
            told_up: None,
            lost: false,
        }
    }

    pub(super) fn key(&self) -> ClaimKey {
        ClaimKey {
            node: self.name.node().clone(),
            unit: self.name.unit().clone(),
        }
    }

    /// It is in this run, which may be a new one.
    pub(super) fn run(&mut self, token: Token) {
        if self.token == token {
            self.proof = Proof::Seen;
            return;
        }
        self.token = token;
        self.up = false;
        self.asked = self.of_token(token).map(|waiting| waiting.since).min();
        self.work = None;
        self.retry = None;
        self.wanted_again = false;
        self.again = false;
        self.told_up = None;
        self.lost = false;
    }

    pub(super) fn be(&mut self, phase: Phase) {
        self.phase = phase;
        self.up |= phase == Phase::Active;
        if phase != Phase::Active {
            self.retry = None;
        }
    }

    /// Asks systemd how the proxy is, where only its helper has said so.
    pub(super) fn look(&mut self, cx: &mut Cx<'_>) {
        self.proof = Proof::Unasked;
        if cx.units.connected {
            let purpose = Purpose::Proxy(self.name.name().clone());
            let call = cx.call(purpose, Request::Look(self.unit.clone()));
            self.proof = Proof::Asked(call);
        }
    }

    pub(super) fn of_token(&self, token: Token) -> impl Iterator<Item = &Waiting> {
        self.waiters
            .values()
            .filter(move |waiting| waiting.token == token)
    }
}

pub(super) fn seen(state: &UnitState) -> Seen {
    match (state.active, state.job) {
        (ActiveState::Active, _) => Seen::Claims(Phase::Active),
        (ActiveState::Activating, _) => Seen::Claims(Phase::Activating),
        (ActiveState::Deactivating, _) => Seen::Claims(Phase::Leaving),
        (ActiveState::Inactive | ActiveState::Failed, Some(_)) => Seen::Claims(Phase::Leaving),
        (ActiveState::Inactive | ActiveState::Failed, None) => Seen::Gone,
    }
}
