//! `list-jobs`: the objects of jobs that the controller has. There is no method that lists them; the
//! object above them says in its introspection which there are.

use std::collections::BTreeMap;

use proto::{dbus::public, name::NodeName};
use zbus::wire::OwnedVariant;

use super::choose;
use crate::{
    bus::{self, Bus},
    cli::ListJobs,
    facts::Facts,
    fault::{self, Fault},
    filter::Names,
    fleet::ListedJob,
    view::{self, Look, Page},
};

/// Lists jobs.
pub(crate) async fn run(bus: &mut Bus, which: &ListJobs, look: &Look) -> Result<Page, Fault> {
    let chosen = match &which.nodes {
        Some(nodes) => Some(choose::nodes(bus, nodes).await?),
        None => None,
    };
    let of_node = |job: &ListedJob| {
        let names = chosen.as_ref().map(|chosen| &chosen.names);
        names.is_none_or(|names| {
            names
                .iter()
                .map(NodeName::as_str)
                .any(|name| name == job.node)
        })
    };
    let names = Names::of(&[&which.patterns, &which.filters]);
    let mut jobs = all(bus).await?;
    jobs.retain(|job| of_node(job) && names.fit(&job.unit));
    jobs.sort_by(|a, b| (&a.node, &a.unit, a.id).cmp(&(&b.node, &b.unit, b.id)));
    Ok(view::jobs::page(&jobs, look))
}

/// All jobs. One that ends before it is asked about is left out.
async fn all(bus: &mut Bus) -> Result<Vec<ListedJob>, Fault> {
    let ids = ids(bus).await?;
    let calls = ids.iter().map(|id| {
        let properties = "org.freedesktop.DBus.Properties";
        bus::job_call(*id, properties, "GetAll", &public::JOB)
    });
    let calls = calls.collect::<Result<Vec<_>, _>>()?;
    let mut jobs = Vec::new();
    for (id, answer) in ids.into_iter().zip(bus.ask_all(&calls).await?) {
        match answer {
            Ok(answer) => {
                let facts: BTreeMap<String, OwnedVariant> = bus::read(&answer, "GetAll")?;
                let facts = Facts(facts);
                jobs.push(ListedJob {
                    id,
                    node: facts.text("Node"),
                    unit: facts.text("Unit"),
                    kind: facts.text("JobType"),
                    state: facts.text("State"),
                });
            }
            Err(refusal) if fault::is_not_there(&refusal) => {}
            Err(refusal) => return Err(Fault::refused(refusal, bus.name())),
        }
    }
    Ok(jobs)
}

/// The numbers of all jobs.
pub(super) async fn ids(bus: &mut Bus) -> Result<Vec<u32>, Fault> {
    let above = public::JOB_PATH_PREFIX.trim_end_matches('/');
    let introspectable = "org.freedesktop.DBus.Introspectable";
    let call = bus::object_call(above, introspectable, "Introspect", &())?;
    let [answer] = bus.ask([call]).await?;
    match answer {
        Ok(answer) => Ok(children(&bus::read::<String>(&answer, "Introspect")?)),
        // A controller that has no such object while there are no jobs.
        Err(refusal) if fault::is_not_there(&refusal) => Ok(Vec::new()),
        Err(refusal) => Err(Fault::refused(refusal, bus.name())),
    }
}

/// The numbers that an object says are below it. Only what is a path of a job counts.
fn children(xml: &str) -> Vec<u32> {
    let names = xml.split("<node").skip(1).filter_map(|rest| {
        let (tag, _) = rest.split_once('>')?;
        let (_, name) = tag.split_once("name=")?;
        let quote = name.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        name.get(1..)?.split(quote).next()
    });
    let id = |name: &str| super::job_id(&format!("{}{name}", public::JOB_PATH_PREFIX));
    names.filter_map(id).map(|id| id.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_the_children_of_the_object_above_them() {
        let xml = "<!DOCTYPE node PUBLIC \"x\">\n<node>\n  <interface name=\"a.b\"/>\n  \
                   <node name=\"7\"/>\n  <node name='12'/>\n <node name=\"x\"/> <node name=\"_38\"/>\n\
                   </node>\n";
        assert_eq!(children(xml), [7, 12, 8]);
        assert_eq!(children("<node"), [0u32; 0]);
    }
}
