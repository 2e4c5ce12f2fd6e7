//! The table of the source agent: what follows for one proxy from how its claim stands.

use std::time::Duration;

use proto::{
    message::{Claim, TokenState},
    model::{Cause, ClaimState, JobMode, Reason},
    name::UnitName,
    time::Moment,
    wave::Wave,
};

use super::{
    Claims,
    proxy::{Phase, Proof, Proxy},
    superseded,
};
use crate::{
    call::{Cx, Purpose, Step},
    input::Waiter,
    limits::START_SETTLE,
    output::{Event, HelperAnswer, Output, Request, Verb},
    reason::waited,
};

/// What follows from how a claim stands.
enum Verdict {
    /// Helpers wait for this.
    Wait(Reason),
    /// Helpers are told that the unit is up.
    Up,
    /// The same, and an active proxy is restarted: its unit was, because of these.
    Restart(Wave),
    /// Helpers are told that it is not, and an active proxy is stopped.
    Stop(Reason),
}

/// What systemd is asked to do with a proxy.
enum How {
    /// Stop it, with what requires it.
    Stop,
    /// See [`Request::StopAlone`].
    StopAlone,
    /// See [`Request::Restart`]; these have led to it.
    Restart(Wave),
}

impl Claims {
    /// Settles what has changed. Returns whether anything has.
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>) -> bool {
        let touched = !self.dirty.is_empty();
        while let Some(unit) = self.dirty.pop_first() {
            let Some(mut proxy) = self.proxies.remove(&unit) else {
                continue;
            };
            let claim = Claim {
                token: proxy.token,
                up: proxy.up,
            };
            self.told.put(proxy.key(), claim);
            let state = self.heard.entries().get(&proxy.key());
            let state = state.filter(|state| state.token == proxy.token);
            let verdict = verdict(&proxy, state.map(|TokenState { state, .. }| state), cx);
            proxy.note_loss(state, cx);
            for (waiter, answer) in
                proxy.answers(&verdict, self.start_timeouts.of(proxy.name.unit()), cx)
            {
                match &answer {
                    HelperAnswer::Wait { .. } | HelperAnswer::Done => {}
                    HelperAnswer::Up => {
                        proxy.told_up = Some(cx.now);
                        self.forget(&mut proxy, waiter);
                        cx.failures.forget(&unit);
                    }
                    HelperAnswer::Failed(reason) => {
                        self.forget(&mut proxy, waiter);
                        cx.failures.note(&unit, reason);
                        let (proxy, reason) = (unit.to_string(), reason.clone());
                        cx.event(Event::StartFailed { proxy, reason });
                    }
                }
                cx.out.push(Output::Helper { waiter, answer });
            }
            proxy.act(&unit, &verdict, cx);
            self.proxies.insert(unit, proxy);
        }
        self.agains.act(cx);
        touched
    }

    fn forget(&mut self, proxy: &mut Proxy, waiter: Waiter) {
        self.waiters.remove(&waiter);
        proxy.waiters.remove(&waiter);
    }
}

impl Proxy {
    /// What is to be told to those that wait.
    fn answers(
        &mut self,
        verdict: &Verdict,
        start_timeout: Duration,
        cx: &Cx<'_>,
    ) -> Vec<(Waiter, HelperAnswer)> {
        let asked = self.asked.unwrap_or(cx.now);
        let until = asked.plus(start_timeout);
        let (token, proof) = (self.token, self.proof);
        let mut answers = Vec::new();
        for (waiter, waiting) in &mut self.waiters {
            if waiting.token != token {
                // Until systemd has told which run it is in, the other may be the right one.
                if proof == Proof::Seen {
                    let reason = superseded(self.name.name());
                    answers.push((*waiter, HelperAnswer::Failed(reason)));
                }
                continue;
            }
            match verdict {
                Verdict::Up | Verdict::Restart(_) => answers.push((*waiter, HelperAnswer::Up)),
                Verdict::Stop(reason) => {
                    answers.push((*waiter, HelperAnswer::Failed(reason.clone())));
                }
                Verdict::Wait(what) if cx.now >= until => {
                    let reason = waited(what, start_timeout);
                    answers.push((*waiter, HelperAnswer::Failed(reason)));
                }
                Verdict::Wait(what) if waiting.told.as_ref() != Some(what) => {
                    waiting.told = Some(what.clone());
                    let left = until.since(cx.now);
                    answers.push((
                        *waiter,
                        HelperAnswer::Wait {
                            left,
                            what: what.clone(),
                        },
                    ));
                }
                Verdict::Wait(_) => {}
            }
        }
        answers
    }

    /// Stops or restarts an active proxy whose unit is not up any more.
    fn act(&mut self, unit: &UnitName, verdict: &Verdict, cx: &mut Cx<'_>) {
        let how = match verdict {
            // A start that came while the proxy was still active has ended at once, in the old run,
            // whose unit will never be up. To stop again would only stop what was started since; a
            // new run gives whoever asked for the start the attempt that it asked for.
            Verdict::Stop(_) if self.wanted_again => How::Restart(Wave::default()),
            Verdict::Stop(reason) => self.stopped_how(reason.cause, cx.now),
            Verdict::Restart(wave) => How::Restart(wave.clone()),
            Verdict::Wait(_) | Verdict::Up => {
                self.retry = None;
                return;
            }
        };
        let due = self.retry.is_none_or(|retry| cx.now >= retry.at);
        if self.phase != Phase::Active || self.work.is_some() || !cx.units.connected || !due {
            return;
        }
        let first = self.retry.is_none();
        let stops = !matches!(how, How::Restart(_));
        if let (Verdict::Stop(reason), true, true) = (verdict, first, stops) {
            let (proxy, reason) = (unit.clone(), reason.clone());
            cx.event(Event::ProxyStopping { proxy, reason });
        }
        if let Verdict::Stop(reason) = verdict
            && !is_well(reason.cause)
        {
            cx.failures.note(unit, reason);
            // Nothing that its helper asks for: a stop that waited for an agent would keep it from starting, since
            // systemd stops what comes after something before it starts that.
            if stops {
                let (token, reason) = (self.token, reason.clone());
                cx.out.push(Output::KeepReason { token, reason });
            }
        }
        self.again = matches!(verdict, Verdict::Stop(reason) if reason.cause == Cause::UnitRestarts)
            && stops;
        let (purpose, of_systemd) = (Purpose::Proxy(unit.clone()), self.unit.clone());
        let call = match how {
            How::Stop => {
                let request = Request::Queue {
                    verb: Verb::Stop,
                    unit: of_systemd,
                    mode: JobMode::Replace,
                };
                cx.call(purpose, request)
            }
            How::StopAlone => cx.call(purpose, Request::StopAlone(of_systemd)),
            How::Restart(wave) => {
                let led = (wave, self.key());
                let (call, spared) = cx.restart(purpose, of_systemd, false, led);
                if first {
                    let proxy = unit.clone();
                    cx.event(Event::ProxyRestarting { proxy, spared });
                }
                call
            }
        };
        self.work = Some(Step::Called(call));
    }

    /// How an active proxy is stopped. A unit that ends by itself does not stop what requires it, only
    /// what is bound to it; and one that is stopped stops both.
    fn stopped_how(&self, cause: Cause, now: Moment) -> How {
        let fresh = self.told_up.is_some_and(|at| now < at.plus(START_SETTLE));
        match cause {
            Cause::UnitDied if fresh => How::Stop,
            Cause::UnitEnded | Cause::UnitDied | Cause::UnitRestarts => How::StopAlone,
            Cause::ControllerUnreachable
            | Cause::NodeUnknown
            | Cause::NotAllowed
            | Cause::NodeOffline
            | Cause::NodeLost
            | Cause::UnitNotFound
            | Cause::UnitFailed
            | Cause::UnitStopped
            | Cause::Cycle
            | Cause::Timeout
            | Cause::InvalidName
            | Cause::Canceled
            | Cause::Limit
            | Cause::Manager => How::Stop,
        }
    }

    /// Says once that the unit is out of sight.
    fn note_loss(&mut self, state: Option<&TokenState>, cx: &mut Cx<'_>) {
        match state.map(|state| &state.state) {
            Some(ClaimState::Lost(reason)) if !self.lost => {
                self.lost = true;
                let proxy = self.name.name().clone();
                cx.event(Event::ClaimLost {
                    proxy,
                    reason: reason.clone(),
                });
            }
            Some(ClaimState::Lost(_)) => {}
            Some(
                ClaimState::Waiting(_)
                | ClaimState::Starting
                | ClaimState::Up
                | ClaimState::Restarted(_)
                | ClaimState::Down(_)
                | ClaimState::Refused(_),
            )
            | None => self.lost = false,
        }
    }
}

/// Whether nothing has gone wrong, so that the proxy has not failed either.
fn is_well(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::UnitStopped | Cause::UnitEnded | Cause::UnitRestarts | Cause::Canceled
    )
}

/// What follows from how the claim stands. What is final stays so without a connection; anything
/// else is only what was last heard.
fn verdict(proxy: &Proxy, state: Option<&ClaimState>, cx: &Cx<'_>) -> Verdict {
    let (node, unit) = (proxy.name.node(), proxy.name.unit());
    let wait = |cause, text: String| {
        if cx.link.is_some() {
            return Verdict::Wait(Reason::new(cause, text));
        }
        let controllers = cx.settings.live.controllers.join(" or ");
        let text = format!("controller not reachable at {controllers}");
        Verdict::Wait(Reason::new(Cause::ControllerUnreachable, text))
    };
    match state {
        None => wait(
            Cause::Timeout,
            format!("the controller is asked for unit {unit} on node {node}"),
        ),
        Some(ClaimState::Waiting(reason) | ClaimState::Lost(reason)) => {
            wait(reason.cause, reason.text.clone())
        }
        Some(ClaimState::Starting) => wait(
            Cause::Timeout,
            match proxy.name.rivalled() {
                Some(unit) => format!("unit {unit} on node {node} is being stopped"),
                None => format!("unit {unit} on node {node} is being started"),
            },
        ),
        Some(ClaimState::Up) => Verdict::Up,
        Some(ClaimState::Restarted(wave)) => Verdict::Restart(wave.clone()),
        Some(ClaimState::Down(reason) | ClaimState::Refused(reason)) => {
            Verdict::Stop(reason.clone())
        }
    }
}
