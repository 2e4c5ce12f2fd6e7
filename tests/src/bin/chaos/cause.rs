//! Whether what ended had a reason to. Every end of a run of a unit, a proxy or a hold must come after
//! something that explains it: a stop or a kill by the driver, the end of what it needs, the end of the
//! last one that needed it, or the loss of a node for longer than the grace.

use std::time::Duration;

use crate::history::{History, Micros, Run};
use crate::layout::{Layout, NODES, NodeId, Role, Unit, UnitId};

/// How long the controller waits before a node that is out of sight has no needs any more, and before
/// what needs its units is stopped.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// An agent that found no controller for a while asks again after five seconds at most; its attempts
/// take time, too.
const RECONNECT: Duration = Duration::from_secs(7);

/// A cause is written down before what it leads to. But a driver notes the time of what it does with
/// less precision, and what begins on one node may be stopped for what began on another just before.
const SLACK: Micros = 200_000;

/// A stop by hand may have to wait: for a start that is under way, for what is ordered before it.
const STOP_MAX: Micros = 30_000_000;

/// The driver has stopped, restarted or killed a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) unit: UnitId,
    pub(crate) at: Micros,
}

/// A node could not be reached, or its agent did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) node: NodeId,
    pub(crate) from: Micros,
    pub(crate) to: Micros,
}

/// All that is known when it is asked why something ended.
pub(crate) struct Inquest<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) history: &'a History,
    pub(crate) orders: &'a [Order],
    pub(crate) outages: &'a [Outage],
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Runs that ended.
    pub(crate) ends: usize,
    /// Those without a cause, in words.
    pub(crate) without_cause: Vec<(Micros, String)>,
}

impl Inquest<'_> {
    /// Looks at all runs that have ended since a time.
    pub(crate) fn since(&self, from: Micros) -> Findings {
        let mut findings = Findings::default();
        for (id, unit) in self.layout.units.iter().enumerate() {
            self.look(&mut findings, from, unit.node, &unit.name, |run, at| {
                self.may_unit_end(id, run, at)
            });
            self.look(&mut findings, from, unit.node, &unit.hold(), |run, at| {
                self.may_hold_end(id, run, at)
            });
        }
        for (node, of) in self.layout.proxies() {
            let proxy = self.layout.units[of].proxy();
            self.look(&mut findings, from, node, &proxy, |run, at| {
                self.may_proxy_end(node, of, run, at)
            });
        }
        findings.without_cause.sort();
        findings
    }

    fn look(
        &self,
        findings: &mut Findings,
        from: Micros,
        node: NodeId,
        name: &str,
        is_explained: impl Fn(&Run, Micros) -> bool,
    ) {
        for run in self.history.runs(node, name) {
            let Some(at) = run.ended.filter(|at| *at >= from) else {
                continue;
            };
            findings.ends += 1;
            if !run.has_died && !is_explained(run, at) {
                let what = if run.up.is_some() {
                    "ended"
                } else {
                    "did not start"
                };
                findings.without_cause.push((
                    at,
                    format!("{name} on {} {what} without a cause", NODES[node]),
                ));
            }
        }
    }

    fn may_unit_end(&self, id: UnitId, run: &Run, at: Micros) -> bool {
        self.would_end(id, run.begun, at)
            || self.layout.units[id].role == Role::Target && !self.is_held(id, at)
    }

    /// Whether a unit had to end though it was needed. It stops before what it needs does, so what
    /// counts is that the proxy had to.
    fn would_end(&self, id: UnitId, begun: Micros, at: Micros) -> bool {
        let unit = &self.layout.units[id];
        self.is_ordered(id, at)
            || unit
                .needs
                .iter()
                .filter(|need| need.tie.is_strict())
                .any(|need| {
                    let proxy = self.layout.units[need.of].proxy();
                    let runs = self.history.runs(unit.node, &proxy);
                    runs.iter()
                        .filter(|run| {
                            run.has_ended(begun.saturating_sub(SLACK), Micros::MAX)
                                || run.ended.is_none()
                        })
                        .any(|run| self.would_proxy_end(need.of, run, at))
                })
    }

    /// A stop by hand explains one end, the first that follows it.
    fn is_ordered(&self, id: UnitId, at: Micros) -> bool {
        let unit = &self.layout.units[id];
        let runs = self.history.runs(unit.node, &unit.name);
        self.orders
            .iter()
            .filter(|order| order.unit == id)
            .filter(|order| order.at <= at + SLACK && at <= order.at + STOP_MAX)
            .any(|order| {
                !runs
                    .iter()
                    .any(|run| run.has_ended(order.at + 1, at.saturating_sub(1)))
            })
    }

    fn is_held(&self, id: UnitId, at: Micros) -> bool {
        let unit = &self.layout.units[id];
        self.is_open(unit.node, &unit.hold(), at)
    }

    fn may_hold_end(&self, id: UnitId, run: &Run, at: Micros) -> bool {
        let unit = &self.layout.units[id];
        let begun = run.begun.saturating_sub(SLACK);
        // It stops before what it holds, so the end of that may be written after its own.
        self.has_ended(unit.node, &unit.name, begun, at)
            || self.would_end(id, run.begun, at)
            || self
                .layout
                .proxies()
                .into_iter()
                .filter(|(_, of)| *of == id)
                .filter(|(node, _)| self.is_needed(*node, id, at))
                .all(|(node, _)| self.is_lost(node, at))
    }

    fn may_proxy_end(&self, node: NodeId, of: UnitId, run: &Run, at: Micros) -> bool {
        self.would_proxy_end(of, run, at)
            || !self
                .layout
                .needers(node, of)
                .any(|needer: &Unit| self.is_open(node, &needer.name, at))
    }

    /// Whether a proxy had to end though it was needed: for what happened to the unit.
    fn would_proxy_end(&self, of: UnitId, run: &Run, at: Micros) -> bool {
        let unit = &self.layout.units[of];
        let begun = run.begun.saturating_sub(SLACK);
        self.has_ended(unit.node, &unit.name, begun, at)
            || self.has_ended(unit.node, &unit.hold(), begun, at)
            || self.is_lost(unit.node, at)
    }

    /// Whether a node was out of sight for the grace at this time. An outage that begins before its
    /// agent is back from the one before is the same to the controller.
    fn is_lost(&self, node: NodeId, at: Micros) -> bool {
        let reconnect = micros(RECONNECT);
        let mut outages: Vec<_> = self
            .outages
            .iter()
            .filter(|it| it.node == node && it.from <= at)
            .collect();
        outages.sort_by_key(|it| it.from);
        let mut current: Option<(Micros, Micros)> = None;
        for it in outages {
            current = match current {
                Some((from, to)) if it.from <= to + reconnect => Some((from, to.max(it.to))),
                Some(_) | None => Some((it.from, it.to)),
            };
        }
        current.is_some_and(|(from, to)| {
            at <= to + reconnect && at.saturating_sub(from) + reconnect >= micros(GRACE)
        })
    }

    fn has_ended(&self, node: NodeId, name: &str, from: Micros, to: Micros) -> bool {
        let runs = self.history.runs(node, name);
        runs.iter().any(|run| run.has_ended(from, to))
    }

    fn is_open(&self, node: NodeId, name: &str, at: Micros) -> bool {
        let runs = self.history.runs(node, name);
        runs.iter().any(|run| run.is_open(at))
    }

    /// Whether a proxy is up for a unit that has not ended since: one that was up for a run that has ended
    /// is about to be stopped, and needs nothing any more.
    fn is_needed(&self, node: NodeId, of: UnitId, at: Micros) -> bool {
        let runs = self.history.runs(node, &self.layout.units[of].proxy());
        runs.iter()
            .any(|run| run.is_up(at) && !self.would_proxy_end(of, run, at.saturating_sub(1)))
    }
}

fn micros(span: Duration) -> Micros {
    Micros::try_from(span.as_micros()).unwrap_or(Micros::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Word;

    const SECOND: Micros = 1_000_000;

    /// A unit, its hold and a proxy for it with all that needs it are up from the second second on.
    fn running(layout: &Layout) -> (History, NodeId, UnitId) {
        let (node, of) = layout.proxies().into_iter().next().unwrap();
        let unit = &layout.units[of];
        let mut history = History::default();
        for (node, name) in [
            (unit.node, unit.name.clone()),
            (unit.node, unit.hold()),
            (node, unit.proxy()),
        ] {
            history.take(node, &name, Word::Started, 2 * SECOND);
        }
        for needer in layout.needers(node, of) {
            history.take(node, &needer.name, Word::Started, 2 * SECOND);
        }
        (history, node, of)
    }

    fn without_cause(layout: &Layout, history: &History, orders: &[Order]) -> Vec<String> {
        let inquest = Inquest {
            layout,
            history,
            orders,
            outages: &[],
        };
        let found = inquest.since(0).without_cause;
        found.into_iter().map(|(_, what)| what).collect()
    }

    #[test]
    fn a_hold_that_ends_while_it_is_needed_has_no_cause() {
        let layout = Layout::of(1);
        let (mut history, _, of) = running(&layout);
        let unit = &layout.units[of];
        history.take(unit.node, &unit.hold(), Word::Ends, 5 * SECOND);
        let found = without_cause(&layout, &history, &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&unit.hold()), "{found:?}");
    }

    #[test]
    fn a_stop_by_hand_is_the_cause_of_all_that_follows() {
        let layout = Layout::of(1);
        let (mut history, node, of) = running(&layout);
        let unit = &layout.units[of];
        history.take(unit.node, &unit.hold(), Word::Ends, 5 * SECOND);
        history.take(unit.node, &unit.name, Word::Ends, 5 * SECOND + 1);
        history.take(node, &unit.proxy(), Word::Ends, 5 * SECOND + 2);
        let order = Order {
            unit: of,
            at: 5 * SECOND - 1,
        };
        assert_eq!(without_cause(&layout, &history, &[order]), [""; 0]);
    }

    #[test]
    fn a_proxy_that_ends_while_its_unit_runs_has_no_cause() {
        let layout = Layout::of(1);
        let (mut history, node, of) = running(&layout);
        history.take(node, &layout.units[of].proxy(), Word::Ends, 5 * SECOND);
        assert_eq!(without_cause(&layout, &history, &[]).len(), 1);
    }
}
