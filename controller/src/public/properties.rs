use fleet::Fleet;
use host::{
    bus::object::{Facts, facts, variant},
    log::Target,
};
use proto::{dbus::public, time::Moment};

use super::{
    Public,
    body::{self, Times},
    object::Object,
    standing::own_properties,
};

impl Public {
    /// The properties of an object; `None` for an interface that has none here. Without an
    /// interface those of all are meant.
    pub(super) fn properties(
        &self,
        now: Moment,
        fleet: &Fleet,
        object: &Object,
        interface: &str,
    ) -> Option<Facts> {
        let times = Times {
            now,
            start_usec: self.start_usec,
        };
        let configuration = &self.configuration;
        match (object, interface) {
            (Object::Controller, public::CONTROLLER) => Some(facts([
                ("Status", variant(fleet.status().as_str())),
                ("LogLevel", variant(configuration.level.as_str())),
                ("LogTarget", variant(target_word(configuration.target))),
            ])),
            (Object::Controller, public::FLEET) => {
                let timeout = body::micros(fleet.settings().call_timeout);
                let mut own = facts([
                    ("Version", variant(fleet.settings().version.as_str())),
                    ("Warnings", variant(configuration.warnings.clone())),
                    ("LastReload", variant(configuration.last.facts())),
                    ("ConfigDigest", variant(configuration.digest.to_string())),
                    ("CallTimeoutUSec", variant(timeout)),
                ]);
                own.extend(body::running_facts(times));
                Some(own)
            }
            (Object::Node(name), public::NODE) => fleet
                .node(name)
                .map(|node| body::node_properties(&node, times)),
            (Object::Node(name), public::NODE_OWN) => fleet
                .node(name)
                .map(|node| body::own_node_properties(&node, times)),
            (Object::Job(id), public::JOB_OWN) => {
                fleet.job(*id).map(|job| own_properties(job, now))
            }
            (Object::Job(id), public::JOB) => fleet.job(*id).map(|job| {
                facts([
                    ("Id", variant(job.id.0)),
                    ("Node", variant(job.node.as_str())),
                    ("Unit", variant(job.unit.as_str())),
                    ("JobType", variant(job.kind.as_str())),
                    ("State", variant(job.state.as_str())),
                ])
            }),
            (Object::Controller, "") => {
                let mut all = self.properties(now, fleet, object, public::CONTROLLER)?;
                all.extend(self.properties(now, fleet, object, public::FLEET)?);
                Some(all)
            }
            (Object::Node(_), "") => {
                let mut all = self.properties(now, fleet, object, public::NODE)?;
                all.extend(self.properties(now, fleet, object, public::NODE_OWN)?);
                Some(all)
            }
            (Object::Job(_), "") => {
                let mut all = self.properties(now, fleet, object, public::JOB)?;
                all.extend(self.properties(now, fleet, object, public::JOB_OWN)?);
                Some(all)
            }
            (
                Object::Above(_)
                | Object::Controller
                | Object::Nodes
                | Object::Node(_)
                | Object::Jobs
                | Object::Job(_)
                | Object::Monitors
                | Object::Monitor(_)
                | Object::Metrics,
                _,
            ) => None,
        }
    }
}

fn target_word(of: Target) -> &'static str {
    host::log::TARGETS
        .iter()
        .find(|(_, target)| *target == of)
        .map_or("", |(word, _)| word)
}
