//! What the units of this node have done, once, with units of other nodes: a reload, when a proxy is
//! reloaded, and a stop, for a unit that conflicts with a remote one.
//!
//! An order is given to the controller, which has the other node do it and says how it ended. One
//! that was not answered when the connection ended is given again on the next: to stop or reload a unit twice
//! does what once does. While there is no controller the helper waits, at most for the start timeout.

use std::{collections::BTreeMap, time::Duration};

use proto::{
    message::{OrderId, PROTOCOL_ORDERS, StartTimeouts, ToController, Welcome},
    model::{Cause, JobKind, Reason},
    name::{ProxyName, UnitName},
    time::Moment,
};

use crate::{
    call::{Cx, Retry},
    input::Waiter,
    limits::{RELOAD_EVERY, RELOADS_BURST, START_TIMEOUT, WAITERS_MAX},
    output::{Event, HelperAnswer, Output},
    reason::waited,
};

/// The orders of this node that are open.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Orders {
    open: BTreeMap<Waiter, Order>,
    /// Until when the reloads of a proxy so far would have taken at the pace that is kept for good.
    reloads: BTreeMap<UnitName, Moment>,
    last: u64,
    start_timeouts: StartTimeouts,
    /// Whether the controller takes orders, as far as there is one.
    taken: bool,
}

#[derive(Clone, Debug, Hash)]
struct Order {
    kind: JobKind,
    proxy: ProxyName,
    since: Moment,
    /// Its number, where it was given on the present connection.
    given: Option<OrderId>,
    /// When to give it again to a controller that could not carry it out.
    retry: Option<Retry>,
    told: Option<Reason>,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            open: BTreeMap::new(),
            reloads: BTreeMap::new(),
            last: 0,
            start_timeouts: StartTimeouts::all(START_TIMEOUT),
            taken: false,
        }
    }
}

impl Orders {
    /// A helper has an order. Whether its proxy is active does not matter here: systemd runs it.
    pub(crate) fn asks(&mut self, waiter: Waiter, kind: JobKind, proxy: &str, cx: &mut Cx<'_>) {
        if self.open.contains_key(&waiter) {
            return;
        }
        let proxy = match ProxyName::parse(proxy) {
            Ok(proxy) => proxy,
            Err(error) => {
                let reason = Reason::new(Cause::InvalidName, error.to_string());
                return tell(waiter, HelperAnswer::Failed(reason), cx);
            }
        };
        if self.open.len() >= WAITERS_MAX {
            cx.event(Event::Limit {
                what: "helpers with an order",
            });
            let text = format!("{WAITERS_MAX} orders are open on this node already");
            let answer = HelperAnswer::Failed(Reason::new(Cause::Limit, text));
            return tell(waiter, answer, cx);
        }
        if kind == JobKind::Reload && self.reloads_too_often(proxy.name(), cx.now) {
            let text = format!(
                "{} was reloaded {RELOADS_BURST} times in a row; if units of several nodes propagate reloads to each \
                 other, one of them must not",
                proxy.name()
            );
            let reason = Reason::new(Cause::Limit, text);
            cx.event(Event::OrderFailed {
                kind,
                proxy: proxy.name().clone(),
                reason: reason.clone(),
            });
            return tell(waiter, HelperAnswer::Failed(reason), cx);
        }
        let order = Order {
            kind,
            proxy,
            since: cx.now,
            given: None,
            retry: None,
            told: None,
        };
        self.open.insert(waiter, order);
    }

    /// Counts a reload of this proxy, unless it is one too many. Units that propagate a reload to each
    /// other's proxies are, to each systemd, reloaded once more each time: none of them sees the circle.
    fn reloads_too_often(&mut self, proxy: &UnitName, now: Moment) -> bool {
        self.reloads.retain(|_, until| *until > now);
        let until = self.reloads.get(proxy).copied().unwrap_or(now);
        let until = until.plus(RELOAD_EVERY);
        let too_often = until.since(now) > RELOAD_EVERY.saturating_mul(RELOADS_BURST);
        if !too_often {
            self.reloads.insert(proxy.clone(), until);
        }
        too_often
    }

    /// A helper has gone. What was ordered is done all the same.
    pub(crate) fn gone(&mut self, waiter: Waiter) {
        self.open.remove(&waiter);
    }

    /// A new connection.
    pub(crate) fn registered(&mut self, welcome: &Welcome) {
        self.taken = welcome.protocol >= PROTOCOL_ORDERS;
    }

    /// Orders may take as long as claims.
    pub(crate) fn allow(&mut self, start_timeouts: StartTimeouts) {
        self.start_timeouts = start_timeouts;
    }

    pub(crate) fn disconnected(&mut self) {
        for order in self.open.values_mut() {
            order.given = None;
            order.retry = None;
        }
    }

    /// The controller says how an order has ended.
    pub(crate) fn ended(&mut self, id: OrderId, result: Result<(), Reason>, cx: &mut Cx<'_>) {
        let mut open = self.open.iter_mut();
        let Some((waiter, order)) = open.find(|(_, order)| order.given == Some(id)) else {
            return;
        };
        let waiter = *waiter;
        order.given = None;
        match result {
            // A node that is offline may come, as for the start of a proxy: after a restart of the
            // controller it does within milliseconds.
            Err(reason) if matches!(reason.cause, Cause::NodeOffline | Cause::NodeLost) => {
                order.retry = Some(Retry::after(order.retry, cx.now));
                order.wait(
                    waiter,
                    reason,
                    self.start_timeouts.of(order.proxy.unit()),
                    cx,
                );
            }
            Ok(()) => self.answer(waiter, HelperAnswer::Done, cx),
            Err(reason) => self.answer(waiter, HelperAnswer::Failed(reason), cx),
        }
    }

    pub(crate) fn deadline(&self, link: bool) -> Option<(Moment, &'static str)> {
        let ends = self.open.values().map(|order| self.gives_up(order)).min();
        let idle = self.open.values().filter(|order| order.given.is_none());
        let again = idle.filter_map(|order| order.retry).map(|retry| retry.at);
        let again = again.min().filter(|_| link);
        let ends = ends.map(|at| (at, "end of an order"));
        let again = again.map(|at| (at, "give an order again"));
        ends.into_iter().chain(again).min()
    }

    /// Gives what is to be given, and gives up what took too long.
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>) {
        let late = |order: &Order| cx.now >= self.gives_up(order);
        let late = self.open.iter().filter(|(_, order)| late(order));
        for waiter in late.map(|(waiter, _)| *waiter).collect::<Vec<_>>() {
            let Some(order) = self.open.get(&waiter) else {
                continue;
            };
            let told = order.told.clone();
            let told = told.unwrap_or_else(|| Reason::new(Cause::Timeout, "the order is not done"));
            let reason = waited(&told, self.start_timeouts.of(order.proxy.unit()));
            self.answer(waiter, HelperAnswer::Failed(reason), cx);
        }
        if cx.link.is_some() && !self.taken {
            let old = |order: &&Order| order.given.is_none();
            let all = self.open.iter().filter(|(_, order)| old(order));
            for waiter in all.map(|(waiter, _)| *waiter).collect::<Vec<_>>() {
                let text = "the controller is too old to have a unit stopped or reloaded";
                let reason = Reason::new(Cause::Manager, text);
                self.answer(waiter, HelperAnswer::Failed(reason), cx);
            }
            return;
        }
        for (waiter, order) in &mut self.open {
            let timeout = self.start_timeouts.of(order.proxy.unit());
            let due = order.retry.is_none_or(|retry| cx.now >= retry.at);
            if order.given.is_some() || !due {
                continue;
            }
            if cx.link.is_none() {
                let controllers = cx.settings.live.controllers.join(" or ");
                let text = format!("controller not reachable at {controllers}");
                let reason = Reason::new(Cause::ControllerUnreachable, text);
                order.wait(*waiter, reason, timeout, cx);
                continue;
            }
            self.last = self.last.saturating_add(1);
            let id = OrderId(self.last);
            order.given = Some(id);
            let (node, unit) = (order.proxy.node(), order.proxy.unit());
            let doing = match order.kind {
                JobKind::Stop => "stopped",
                JobKind::Reload => "reloaded",
                JobKind::Start => "started",
                JobKind::Restart => "restarted",
            };
            cx.say(ToController::Order {
                order: id,
                kind: order.kind,
                node: node.clone(),
                unit: unit.clone(),
            });
            let text = format!("unit {unit} on node {node} is being {doing}");
            let reason = Reason::new(Cause::Timeout, text);
            order.wait(*waiter, reason, timeout, cx);
        }
    }

    /// When an order has taken too long.
    fn gives_up(&self, order: &Order) -> Moment {
        order.since.plus(self.start_timeouts.of(order.proxy.unit()))
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    fn answer(&mut self, waiter: Waiter, answer: HelperAnswer, cx: &mut Cx<'_>) {
        if let Some(order) = self.open.remove(&waiter)
            && let HelperAnswer::Failed(reason) = &answer
        {
            cx.event(Event::OrderFailed {
                kind: order.kind,
                proxy: order.proxy.name().clone(),
                reason: reason.clone(),
            });
        }
        tell(waiter, answer, cx);
    }
}

impl Order {
    /// Says what is waited for, where that is news.
    fn wait(&mut self, waiter: Waiter, what: Reason, start_timeout: Duration, cx: &mut Cx<'_>) {
        if self.told.as_ref() != Some(&what) {
            self.told = Some(what.clone());
            let left = self.since.plus(start_timeout).since(cx.now);
            tell(waiter, HelperAnswer::Wait { left, what }, cx);
        }
    }
}

fn tell(waiter: Waiter, answer: HelperAnswer, cx: &mut Cx<'_>) {
    cx.out.push(Output::Helper { waiter, answer });
}
