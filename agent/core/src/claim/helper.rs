//! The helpers of proxies that are being started: who asks, and who has gone. What they are answered is
//! settled with the claim.

use proto::{
    model::{Cause, Reason, Token},
    name::{ProxyName, UnitName},
};

use super::{
    Claims,
    proxy::{Phase, Proof, Proxy, Waiting},
};
use crate::{
    call::Cx,
    input::Waiter,
    limits::{CLAIMS_MAX, WAITERS_MAX},
    output::{Event, HelperAnswer, Output},
};

impl Claims {
    /// A helper asks.
    pub(crate) fn asks(&mut self, waiter: Waiter, proxy: &str, token: &str, cx: &mut Cx<'_>) {
        let refuse = |cause, text: String, cx: &mut Cx<'_>| {
            let reason = Reason::new(cause, text);
            cx.event(Event::StartFailed {
                proxy: proxy.chars().take(256).collect(),
                reason: reason.clone(),
            });
            cx.out.push(Output::Helper {
                waiter,
                answer: HelperAnswer::Failed(reason),
            });
        };
        if self.waiters.contains_key(&waiter) {
            return;
        }
        let name = match ProxyName::parse(proxy) {
            Ok(name) => name,
            Err(error) => return refuse(Cause::InvalidName, error.to_string(), cx),
        };
        let known_as: UnitName = proxy.parse().unwrap_or_else(|_| name.name().clone());
        let token = match token.parse::<Token>() {
            Ok(token) => token,
            Err(error) => return refuse(Cause::InvalidName, error.to_string(), cx),
        };
        if self.waiters.len() >= WAITERS_MAX {
            cx.event(Event::Limit {
                what: "helpers that wait",
            });
            let text = format!("{WAITERS_MAX} proxies are waiting on this node already");
            return refuse(Cause::Limit, text, cx);
        }
        let unit = name.name().clone();
        let full = self.proxies.len() >= CLAIMS_MAX;
        match self.proxies.get_mut(&unit) {
            Some(known) if known.token == token => {}
            Some(known) => {
                known.run(token);
                known.be(Phase::Activating);
                known.look(cx);
            }
            None if full => {
                let text = format!("{CLAIMS_MAX} proxies claim on this node already");
                return refuse(Cause::Limit, text, cx);
            }
            None => {
                let phase = Phase::Activating;
                let mut new = Proxy::new(name, known_as, token, phase, Proof::Unasked);
                new.look(cx);
                self.insert(new, cx);
            }
        }
        if let Some(proxy) = self.proxies.get_mut(&unit) {
            let waiting = Waiting {
                token,
                since: cx.now,
                told: None,
            };
            proxy.waiters.insert(waiter, waiting);
            cx.failures.forget(&unit);
            proxy.asked.get_or_insert(cx.now);
            self.waiters.insert(waiter, unit.clone());
        }
        self.dirty.insert(unit);
    }

    /// A helper has gone.
    pub(crate) fn gone(&mut self, waiter: Waiter) {
        if let Some(unit) = self.waiters.remove(&waiter)
            && let Some(proxy) = self.proxies.get_mut(&unit)
        {
            proxy.waiters.remove(&waiter);
        }
    }
}
