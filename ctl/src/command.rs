//! The verbs: each asks the controller and gives what it heard to a view.

mod act;
mod cat;
mod choose;
mod complete;
mod daemon;
mod deps;
mod each;
mod explore;
mod follow;
mod job;
mod list_files;
mod list_jobs;
mod list_units;
mod logs;
mod metrics;
mod monitor;
mod online;
mod progress;
mod show;
mod status;
mod switch;
mod tell;
mod verify;
mod watch;
mod why;

use std::collections::BTreeMap;

use proto::{dbus::public, model::JobKind, name::NodeName};
use zbus::{
    Message,
    wire::{OwnedObjectPath, OwnedVariant},
};

pub(crate) use each::Done;

use crate::{
    bus::{self, Answer, Bus},
    cli::{Cli, Options, Verb},
    exit::Exit,
    facts::Facts,
    fault::{self, Fault},
    fleet::Node,
    view::{self, Look, Page, tell::Question},
};

/// `aa{sv}`.
type Dictionaries = Vec<BTreeMap<String, OwnedVariant>>;

/// Carries out a verb that needs nobody else; `None` if it does need the controller.
pub(crate) fn alone(verb: &Verb, look: &Look) -> Option<Result<Page, Fault>> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the verbs that need nobody are the few"
    )]
    match verb {
        Verb::Version => Some(Ok(view::version(look))),
        Verb::Escape { node, unit } => Some(view::names::escape(node, unit, look)),
        Verb::Unescape { proxy } => Some(view::names::unescape(proxy, look)),
        Verb::Completion { shell } => Some(Ok(view::completion::page(*shell))),
        _ => None,
    }
}

/// Carries out a verb with the controller.
pub(crate) async fn run(cli: &Cli, look: &Look) -> Result<Page, Fault> {
    let options = &cli.options;
    let draws = matches!(cli.verb, Verb::Deps(_) | Verb::ListDependencies(_));
    if options.is_dot() && !draws {
        let text = "only deps and list-dependencies can be drawn: --output dot is for them";
        return Err(Fault::Usage(text.into()));
    }
    match &cli.verb {
        Verb::Verify(with) => verify::run(options, with, look).await,
        Verb::Why(of) => why::run(options, of, look).await,
        Verb::Deps(with) => deps::deps(options, with, look).await,
        Verb::ListDependencies(with) => deps::list(options, with, look).await,
        Verb::Job(job) => {
            let (kind, of) = job.parts();
            job::run(options, kind, of, look).await
        }
        Verb::Status(with) if with.watch => watch::run(options, &with.of, look).await,
        Verb::Status(with) => {
            let of = &with.of;
            let mut bus = connect(options).await?;
            match &of.nodes {
                None => status::fleet(&mut bus, look).await,
                Some(nodes) if of.units.is_empty() => status::nodes(&mut bus, nodes, look).await,
                Some(nodes) => {
                    let tail = status::Tail::of(options, with, look);
                    status::units(&mut bus, nodes, &of.units, tail, look).await
                }
            }
        }
        Verb::ListUnits(which) => list_units::run(&mut connect(options).await?, which, look).await,
        Verb::ListUnitFiles(which) => {
            list_files::run(&mut connect(options).await?, which, look).await
        }
        Verb::ListJobs(which) => list_jobs::run(&mut connect(options).await?, which, look).await,
        Verb::Logs(with) => logs::run(options, with, look).await,
        Verb::Cat(of) => cat::run(options, of, look).await,
        Verb::Show(with) => show::run(options, with, look).await,
        Verb::IsActive(of) => tell::state(options, Question::IsActive, of, look).await,
        Verb::IsFailed(of) => tell::state(options, Question::IsFailed, of, look).await,
        Verb::IsEnabled(of) => tell::enabled(options, of, look).await,
        Verb::GetDefault(of) => tell::default_target(options, of, look).await,
        Verb::IsOnline(asked) => online::run(options, asked, look).await,
        Verb::Monitor(with) => monitor::run(options, with, look).await,
        Verb::Metrics(with) => metrics::run(options, with.what, look).await,
        Verb::SwitchController { address } => switch::run(options, address, look).await,
        Verb::Freeze(of) => {
            act::on_units(options, "freeze", of, look, |node, unit| {
                bus::node_call(node, public::NODE, "FreezeUnit", &unit.as_str())
            })
            .await
        }
        Verb::Thaw(of) => {
            act::on_units(options, "thaw", of, look, |node, unit| {
                bus::node_call(node, public::NODE, "ThawUnit", &unit.as_str())
            })
            .await
        }
        Verb::Kill(with) => {
            act::on_units(options, "kill", &with.of, look, |node, unit| {
                let body = (unit.as_str(), with.kill_whom.as_str(), with.signal);
                bus::node_call(node, public::NODE, "KillUnit", &body)
            })
            .await
        }
        Verb::DaemonReload(of) => {
            act::on_nodes(options, "daemon-reload", &of.nodes, look, |node| {
                bus::node_call(node, public::NODE, "Reload", &())
            })
            .await
        }
        Verb::ResetFailed(of) => act::reset_failed(options, of, look).await,
        Verb::Enable(with) => {
            let files = act::enable(options, with, look).await?;
            if !with.now || files.exit != Exit::Done {
                return Ok(files);
            }
            act::now(options, JobKind::Start, &with.of, files, look).await
        }
        Verb::Disable(with) => {
            let files = act::disable(options, with, look).await?;
            if !with.now || files.exit != Exit::Done {
                return Ok(files);
            }
            act::now(options, JobKind::Stop, &with.of, files, look).await
        }
        Verb::SetDefault(with) => act::set_default(options, with, look).await,
        Verb::Daemon(with) => daemon::run(options, &with.what, look).await,
        Verb::SetLoglevel(with) => {
            act::set_log_level(options, with.of.as_ref(), with.level, look).await
        }
        Verb::Cancel { jobs } => act::cancel(options, jobs, look).await,
        Verb::Complete(complete) => Ok(Page::text(complete::run(options, &complete.words).await)),
        Verb::Escape { .. } | Verb::Unescape { .. } | Verb::Completion { .. } | Verb::Version => {
            Ok(view::version(look))
        }
    }
}

async fn connect(options: &Options) -> Result<Bus, Fault> {
    Bus::connect(options.user, options.question_timeout()).await
}

/// The call that asks for all nodes.
fn nodes_call() -> Result<Message, Fault> {
    bus::fleet_call(public::FLEET, "ListNodes", &())
}

/// All nodes, by name. A controller that does not know our interface is asked by BlueChi's.
async fn nodes(bus: &mut Bus) -> Result<Vec<Node>, Fault> {
    let [answer] = bus.ask([nodes_call()?]).await?;
    nodes_from(bus, answer).await
}

async fn nodes_from(bus: &mut Bus, answer: Answer) -> Result<Vec<Node>, Fault> {
    let mut nodes: Vec<Node> = match answer {
        Ok(answer) => dictionaries(&answer, "ListNodes")?
            .iter()
            .map(Node::from_facts)
            .collect(),
        Err(refusal) if fault::is_not_there(&refusal) => {
            let call = bus::fleet_call(public::CONTROLLER, "ListNodes", &())?;
            let [answer] = bus.ask([call]).await?;
            let answer = answer.map_err(|refusal| Fault::refused(refusal, bus.name()))?;
            let listed: Vec<(String, OwnedObjectPath, String, String)> =
                bus::read(&answer, "ListNodes")?;
            let node = |(name, _, status, address)| Node::from_listing(name, status, address);
            listed.into_iter().map(node).collect()
        }
        Err(refusal) => return Err(Fault::refused(refusal, bus.name())),
    };
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}

fn dictionaries(answer: &Message, asked: &'static str) -> Result<Vec<Facts>, Fault> {
    let read: Dictionaries = bus::read(answer, asked)?;
    Ok(read.into_iter().map(Facts).collect())
}

fn find(nodes: &[Node], name: &NodeName) -> Option<Node> {
    nodes
        .iter()
        .find(|node| node.name == name.as_str())
        .cloned()
}

fn no_node(node: &NodeName, nodes: &[Node]) -> Fault {
    Fault::NoNode {
        node: node.to_string(),
        known: nodes.iter().map(|node| node.name.clone()).collect(),
    }
}

/// The number of a job, from the path of its object.
fn job_id(path: &str) -> Option<proto::model::JobId> {
    let element = path.strip_prefix(public::JOB_PATH_PREFIX)?;
    // A digit at the beginning is escaped by some and not by others; both are read.
    let text = proto::name::path_element_decode(element).unwrap_or_else(|| element.to_owned());
    text.parse().ok().map(proto::model::JobId)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    #[test_case("/org/eclipse/bluechi/job/12", Some(12); "plain")]
    #[test_case("/org/eclipse/bluechi/job/_312", Some(12); "escaped")]
    #[test_case("/org/eclipse/bluechi/job/x", None; "no number")]
    #[test_case("/org/freedesktop/systemd1/job/12", None; "another object")]
    fn jobs_are_known_by_their_paths(path: &str, id: Option<u32>) {
        assert_eq!(super::job_id(path).map(|id| id.0), id);
    }
}
