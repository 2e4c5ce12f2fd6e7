//! The helpers of proxies: `unitlink-proxy`, as far as its agent and its unit can tell.

use std::time::Duration;

use node::{FromHelper, HelperAnswer, Waiter};
use proto::{model::Token, name::UnitName};

use super::{Event, World};
use crate::check::{Oracle, Rule};

/// How long a helper waits for the first word of its agent, and how much longer than its agent says
/// it waits later (`limits.rs` of the helper).
const FIRST_WORD: Duration = Duration::from_secs(90);
const RESERVE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) proxy: UnitName,
    pub(crate) token: Token,
    /// Its connection to the agent.
    pub(crate) waiter: Option<Waiter>,
    /// Which of the moments at which it gives up counts.
    stamp: u64,
}

impl World {
    pub(super) fn helper_starts(&mut self, at: usize, proxy: UnitName, token: Token) {
        let id = self.new_run();
        let Some(machine) = self.machines.get_mut(at) else {
            return;
        };
        let boot = machine.boot;
        let helper = Helper {
            proxy,
            token,
            waiter: None,
            stamp: 0,
        };
        machine.helpers.insert(id, helper);
        let wait = self.rng.millis(1, 5);
        self.after(
            wait,
            Event::HelperAsks {
                at,
                boot,
                helper: id,
            },
        );
        self.helper_patient(at, id, FIRST_WORD);
    }

    /// From now on the helper gives up after this time.
    fn helper_patient(&mut self, at: usize, id: u64, time: Duration) {
        let Some(machine) = self.machines.get_mut(at) else {
            return;
        };
        let boot = machine.boot;
        let Some(helper) = machine.helpers.get_mut(&id) else {
            return;
        };
        helper.stamp += 1;
        let stamp = helper.stamp;
        self.after(
            time,
            Event::HelperGivesUp {
                at,
                boot,
                helper: id,
                stamp,
            },
        );
    }

    pub(super) fn helper_asks(&mut self, at: usize, boot: u64, id: u64) {
        let waiter = Waiter(self.new_run());
        let Some(machine) = self.machine(at, boot) else {
            return;
        };
        let (Some(agent), Some(helper)) = (&mut machine.agent, machine.helpers.get_mut(&id)) else {
            // The socket is systemd's: the helper waits until there is an agent.
            return;
        };
        if helper
            .waiter
            .is_some_and(|waiter| agent.waiters.contains_key(&waiter))
        {
            return;
        }
        helper.waiter = Some(waiter);
        agent.waiters.insert(waiter, id);
        let asks = FromHelper::Asks {
            proxy: helper.proxy.to_string(),
            token: helper.token.to_string(),
        };
        self.helper_says(at, waiter, asks);
    }

    pub(super) fn helper_told(&mut self, at: usize, waiter: Waiter, answer: HelperAnswer) {
        let Some(machine) = self.machines.get_mut(at) else {
            return;
        };
        let boot = machine.boot;
        let Some(agent) = &mut machine.agent else {
            return;
        };
        let Some(id) = agent.waiters.get(&waiter).copied() else {
            return;
        };
        let up = match answer {
            HelperAnswer::Wait { left, what } => {
                let policy = self.plan.settings.policy(&machine.name).unwrap_or_default();
                // Before its first welcome an agent has systemd's own.
                let most = policy.start_timeout.max(node::limits::START_TIMEOUT);
                if what.text.is_empty() || left > most {
                    let name = machine.name.clone();
                    let wrong = format!("a helper of {name} waits {left:?} for {what:?}");
                    self.violated(Rule::Named, wrong);
                }
                return self.helper_patient(at, id, left.saturating_add(RESERVE));
            }
            HelperAnswer::Up | HelperAnswer::Done => true,
            HelperAnswer::Failed(_) => false,
        };
        agent.waiters.remove(&waiter);
        if let Some(helper) = machine.helpers.remove(&id) {
            if up {
                Oracle::helper_up(self, at, &helper.proxy, helper.token);
            }
            let wait = self.rng.millis(0, 3);
            self.after(
                wait,
                Event::HelperEnds {
                    at,
                    boot,
                    proxy: helper.proxy,
                    token: helper.token,
                    up,
                },
            );
        }
    }

    pub(super) fn helper_gives_up(&mut self, at: usize, boot: u64, id: u64, stamp: u64) {
        let Some(machine) = self.machine(at, boot) else {
            return;
        };
        let Some(helper) = machine.helpers.get(&id).filter(|h| h.stamp == stamp) else {
            return;
        };
        let (proxy, token) = (helper.proxy.clone(), helper.token);
        self.helper_leaves(at, id);
        self.after(
            Duration::ZERO,
            Event::HelperEnds {
                at,
                boot,
                proxy,
                token,
                up: false,
            },
        );
    }

    pub(super) fn helper_killed(&mut self, at: usize, proxy: &UnitName) {
        let Some(machine) = self.machines.get_mut(at) else {
            return;
        };
        let ids = machine.helpers.iter().filter(|(_, h)| h.proxy == *proxy);
        let ids: Vec<u64> = ids.map(|(id, _)| *id).collect();
        for id in ids {
            self.helper_leaves(at, id);
        }
    }

    fn helper_leaves(&mut self, at: usize, id: u64) {
        let Some(machine) = self.machines.get_mut(at) else {
            return;
        };
        let Some(helper) = machine.helpers.remove(&id) else {
            return;
        };
        let Some(agent) = &mut machine.agent else {
            return;
        };
        let run = agent.run;
        let known = helper.waiter.filter(|w| agent.waiters.remove(w).is_some());
        if let Some(waiter) = known {
            self.after(Duration::ZERO, Event::HelperGone { at, run, waiter });
        }
    }
}
