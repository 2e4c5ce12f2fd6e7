//! Proxies that are started again after they were stopped, because the remote unit is.
//!
//! On one machine, a service that has ended and that systemd starts again (`Restart=`) restarts what
//! requires it, and what is bound to it has stopped before. So a proxy is stopped when its unit ends, without
//! what requires it, and then restarted: what is bound to it has stopped by then, what requires it is
//! restarted, and what wants it has it again.

use std::collections::BTreeMap;

use proto::{
    dbus::systemd::TRANSACTION_IS_DESTRUCTIVE, message::ClaimKey, name::UnitName, time::Moment,
    wave::Wave,
};

use crate::{
    call::{Cx, Purpose, Retry, Step, job_of},
    input::{Answer, CallId, ManagerError},
    limits::CLAIMS_MAX,
    output::Event,
    reason::one_line,
};

/// The proxies that are to be restarted, by their own names. None of them claims.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Agains(BTreeMap<UnitName, Again>);

#[derive(Clone, Debug, Hash)]
struct Again {
    /// What systemd calls it.
    unit: UnitName,
    /// What it stands for.
    key: ClaimKey,
    step: Option<Step>,
    retry: Option<Retry>,
}

impl Agains {
    /// A proxy has stopped because its unit is started again.
    pub(super) fn insert(&mut self, name: UnitName, unit: UnitName, key: ClaimKey) {
        if self.0.len() < CLAIMS_MAX {
            let again = Again {
                unit,
                key,
                step: None,
                retry: None,
            };
            self.0.insert(name, again);
        }
    }

    /// It claims again.
    pub(super) fn remove(&mut self, name: &UnitName) {
        self.0.remove(name);
    }

    /// What the service manager was asked, it will not answer.
    pub(super) fn manager_lost(&mut self) {
        for again in self.0.values_mut() {
            again.step = None;
        }
    }

    /// Asks for what is due. Something that is queued stands against a restart until it has ended,
    /// such as the stop of what is bound to the proxy: that is not called off.
    pub(super) fn act(&mut self, cx: &mut Cx<'_>) {
        if !cx.units.connected {
            return;
        }
        for (name, again) in &mut self.0 {
            let due = again.retry.is_none_or(|retry| cx.now >= retry.at);
            if again.step.is_none() && due {
                let purpose = Purpose::Again(name.clone());
                let led = (Wave::default(), again.key.clone());
                let (call, spared) = cx.restart(purpose, again.unit.clone(), true, led);
                again.step = Some(Step::Called(call));
                if again.retry.is_none() {
                    let proxy = name.clone();
                    cx.event(Event::ProxyRestarting { proxy, spared });
                }
            }
        }
    }

    /// The call was answered. Once the job is queued, the proxy is on its way, and what becomes of it
    /// is seen from its state.
    pub(super) fn answered(
        &mut self,
        name: &UnitName,
        call: CallId,
        result: Result<Answer, ManagerError>,
        cx: &mut Cx<'_>,
    ) {
        let Some(again) = self.0.get_mut(name) else {
            return;
        };
        if again.step != Some(Step::Called(call)) {
            return;
        }
        match job_of(result) {
            Err(error) if error.name == TRANSACTION_IS_DESTRUCTIVE => {
                again.step = None;
                again.retry = Some(Retry::after(again.retry, cx.now));
                cx.event(Event::Retrying {
                    unit: name.clone(),
                    why: one_line(&error.text),
                });
            }
            Ok(_) | Err(_) => drop(self.0.remove(name)),
        }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        let idle = self.0.values().filter(|again| again.step.is_none());
        idle.filter_map(|again| again.retry)
            .map(|retry| retry.at)
            .min()
    }
}
