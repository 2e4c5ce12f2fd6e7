//! The log: what the core says that has happened, as lines with fields. A line about a unit of this node
//! stands in the journal of that unit too (`at.unit`).

use node::Event;
use proto::{model::ClaimState, name::UnitName};
use tracing::{debug, info, warn};

/// Writes an event.
pub(crate) fn log(event: &Event) {
    match event {
        Event::Registered { address, version } => {
            info!(address, version, "registered with the controller");
        }
        Event::LinkLost { why } => warn!(why, "lost the controller, units stay as they are"),
        Event::Unreachable { address, why } => {
            warn!(address, why, "controller not reachable, trying again");
        }
        Event::Rejected { address, reason } => {
            warn!(address, %reason, "controller refused this node, trying again");
        }
        Event::Breach { why } => {
            warn!(
                why,
                "controller does not follow the protocol, connecting again"
            );
        }
        Event::ManagerReached { units } => info!(units, "systemd is reached"),
        Event::ManagerLost => warn!("lost systemd, connecting again"),
        Event::Hold {
            unit,
            source,
            state,
        } => hold(unit.as_str(), source.as_str(), state),
        Event::Releasing { unit } => {
            info!(at.unit = %unit, %unit, "released, no node needs it any more")
        }
        Event::ClaimLost { proxy, reason } => {
            warn!(at.unit = %proxy, %proxy, %reason, "unit of another node is out of sight, proxy stays active");
        }
        Event::ProxyStopping { proxy, reason } => {
            warn!(at.unit = %proxy, %proxy, %reason, "unit of another node is down, stopping its proxy");
        }
        Event::ProxyRestarting { proxy, spared } if spared.is_empty() => {
            info!(at.unit = %proxy, %proxy, "unit of another node has restarted, restarting its proxy");
        }
        Event::ProxyRestarting { proxy, spared } => {
            let spared: Vec<&str> = spared.iter().map(UnitName::as_str).collect();
            info!(
                at.unit = %proxy, %proxy, spared = spared.join(" "),
                "unit of another node has restarted because one of this node has, restarting its proxy"
            );
        }
        Event::StartFailed { proxy, reason } => {
            warn!(at.unit = proxy, proxy, %reason, cause = %reason.cause, "proxy does not start");
        }
        Event::OrderFailed {
            kind,
            proxy,
            reason,
        } => {
            warn!(at.unit = %proxy, %kind, %proxy, %reason, cause = %reason.cause, "unit of another node was not stopped or reloaded");
        }
        Event::Overlooked { proxy } => {
            info!(at.unit = %proxy, %proxy, "proxy is down and a unit upholds it, having systemd look whether it is to be started");
        }
        Event::Retrying { unit, why } => {
            warn!(at.unit = %unit, %unit, why, "systemd refused, trying again")
        }
        Event::RecordDamaged { line, why } => {
            warn!(line, why, "a record of a hold is damaged, ignoring it");
        }
        Event::JobRefused { job, error } => {
            debug!(%job, name = error.name, text = error.text, "systemd refused a job");
        }
        Event::Limit { what } => warn!(what, "a bound is reached"),
    }
}

fn hold(unit: &str, source: &str, state: &ClaimState) {
    match state {
        ClaimState::Up => info!(at.unit = unit, unit, source, "held for another node"),
        ClaimState::Down(reason) | ClaimState::Refused(reason) => {
            warn!(at.unit = unit, unit, source, %reason, "not up for the node that needs it");
        }
        ClaimState::Restarted(wave) if wave.is_empty() => {
            info!(at.unit = unit, unit, source, "has restarted under a hold");
        }
        ClaimState::Restarted(wave) => {
            info!(at.unit = unit, unit, source, after = %wave, "has restarted under a hold");
        }
        ClaimState::Starting | ClaimState::Waiting(_) | ClaimState::Lost(_) => {
            debug!(unit, source, state = state.as_str(), "hold");
        }
    }
}
