//! Sessions with a systemd that is played by hand, over an in-process stream, with a clock that is
//! moved by hand.

mod jobs;
mod restart;

use std::collections::HashMap;

use host::{
    alarm::Alarm,
    link::{self, Limits, Link},
    stream::Identity,
};
use node::{Answer as CoreAnswer, ManagerJob, Verb};
use proto::model::{JobMode, JobResult};
use tokio::{io::duplex, task::JoinHandle};
use zbus::wire::{DynamicType, ObjectPath, Variant};

use super::*;

const UNIT: &str = "/org/freedesktop/systemd1/unit/dep_40t_2eservice";

/// A systemd that is played.
pub(crate) struct Played {
    pub(crate) link: Link,
}

impl Played {
    /// The next call, which has to be of this member.
    pub(crate) async fn call(&mut self, member: &str) -> Message {
        let message = self
            .link
            .receiver
            .recv()
            .await
            .expect("open")
            .expect("valid");
        assert_eq!(message.header().member().expect("a call"), member);
        message
    }

    pub(crate) fn reply<B: serde::Serialize + DynamicType>(&self, call: &Message, body: &B) {
        let reply = link::reply(call, body).expect("valid");
        self.link.sender.try_send(reply).expect("open");
    }

    pub(crate) fn error(&self, call: &Message, name: &str, text: &str) {
        let error = link::error(call, name, text).expect("valid");
        self.link.sender.try_send(error).expect("open");
    }

    fn signal<B: serde::Serialize + DynamicType>(
        &self,
        path: &str,
        of: &str,
        name: &str,
        body: &B,
    ) {
        let signal = link::signal(path, of, name, body).expect("valid");
        self.link.sender.try_send(signal).expect("open");
    }

    fn manager<B: serde::Serialize + DynamicType>(&self, name: &str, body: &B) {
        self.signal(systemd::MANAGER_PATH, systemd::MANAGER, name, body);
    }

    pub(crate) fn removed(&self, job: u32, unit: &str, result: &str) {
        self.manager(
            "JobRemoved",
            &(
                job,
                path(&format!("/org/freedesktop/systemd1/job/{job}")),
                unit,
                result,
            ),
        );
    }

    fn changed(&self, active: &'static str) {
        let changed = HashMap::from([("ActiveState", Variant::from(active))]);
        let body = (systemd::UNIT, changed, Vec::<&str>::new());
        self.signal(
            UNIT,
            "org.freedesktop.DBus.Properties",
            "PropertiesChanged",
            &body,
        );
    }

    /// Answers what a session begins with, when no unit is loaded.
    pub(crate) async fn begin(&mut self) {
        let call = self.call("Subscribe").await;
        self.reply(&call, &());
        let call = self.call("ListUnitsByPatterns").await;
        self.reply(&call, &Vec::<Listed>::new());
        let call = self.call("ListJobs").await;
        self.reply(&call, &Vec::<ListedJob>::new());
    }
}

pub(crate) type Path = ObjectPath<'static>;
pub(crate) type Listed = (
    String,
    String,
    String,
    String,
    String,
    String,
    Path,
    u32,
    String,
    Path,
);
pub(crate) type ListedJob = (u32, String, String, String, Path, Path);

pub(crate) fn path(text: &str) -> Path {
    ObjectPath::try_from(text.to_owned()).expect("a path")
}

/// A unit as it is listed, without a job.
pub(crate) fn listed(name: &str, active: &str) -> Listed {
    let empty = String::new;
    let at = path(UNIT);
    (
        name.into(),
        empty(),
        "loaded".into(),
        active.into(),
        empty(),
        empty(),
        at,
        0,
        empty(),
        path("/"),
    )
}

/// The answer to a question for the run that a unit is in.
pub(crate) fn run() -> Variant<'static> {
    Variant::from(vec![7_u8; 16])
}

/// A manager whose session 1 is with a played systemd.
pub(crate) struct Scene {
    pub(crate) manager: Manager,
    pub(crate) systemd: Played,
    pub(crate) events: mpsc::Receiver<ManagerEvent>,
    session: JoinHandle<String>,
}

pub(crate) fn scene(way: Way) -> Scene {
    let identity = Identity::Unix {
        uid: 0,
        gid: 0,
        pid: None,
    };
    let (ours, theirs) = duplex(64 * 1024);
    let ours = Link::start(Box::new(ours), identity, Vec::new(), Limits::TRUSTED);
    let theirs = Link::start(Box::new(theirs), identity, Vec::new(), Limits::TRUSTED);
    let (sender, mut commands) = mpsc::unbounded_channel();
    let (events, receiver) = mpsc::channel(64);
    let session = tokio::spawn(async move {
        Session::new(1, ours, way, Watch::default())
            .run(&mut commands, &events, &mut Alarm::of_runtime())
            .await
    });
    Scene {
        manager: Manager { commands: sender },
        systemd: Played { link: theirs },
        events: receiver,
        session,
    }
}

impl Scene {
    async fn said(&mut self) -> FromManager {
        match self.events.recv().await.expect("a session").said {
            Said::Core(said) => said,
            Said::Unit(signal) => panic!("{signal:?}"),
        }
    }

    async fn reached(way: Way) -> Self {
        let mut scene = scene(way);
        scene.systemd.begin().await;
        assert!(matches!(scene.said().await, FromManager::Connected(_)));
        scene
    }

    fn ask(&self, request: Request) {
        self.manager.ask(1, CallId(1), request);
    }

    async fn answered(&mut self) -> Result<CoreAnswer, ManagerError> {
        let FromManager::Answered(CallId(1), answer) = self.said().await else {
            panic!("no answer");
        };
        answer
    }
}

#[test]
fn who_is_let_in_takes_the_bus_only_after_a_while_and_others_always() {
    let root = Ways::of(&Scope::System, true);
    let ways: Vec<_> = (5..10).map(|attempt| root.next(attempt)).collect();
    assert_eq!(
        ways,
        [Way::Private, Way::Private, Way::Bus, Way::Private, Way::Bus]
    );
    let other = Ways::of(&Scope::System, false);
    assert_eq!(other.next(0), Way::Bus);
    assert_eq!(other.address(Way::Private), other.bus);
    let user = Scope::of(true).expect("valid");
    assert_eq!(Ways::of(&user, false).next(0), Way::Private);
}

fn start() -> Request {
    let unit = "t.service".parse().expect("name");
    Request::Queue {
        verb: Verb::Start,
        unit,
        mode: JobMode::Replace,
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_begins_with_all_units_and_what_has_changed_meanwhile() {
    let mut scene = scene(Way::Private);
    let systemd = &mut scene.systemd;
    let subscribe = systemd.call("Subscribe").await;
    systemd.reply(&subscribe, &());
    let units = systemd.call("ListUnitsByPatterns").await;
    systemd.reply(&units, &vec![listed("dep@t.service", "activating")]);
    let jobs = systemd.call("ListJobs").await;
    systemd.removed(30, "t.service", "done");
    systemd.reply(&jobs, &Vec::<ListedJob>::new());
    let get = systemd.call("Get").await;
    systemd.reply(&get, &run());
    systemd.changed("active");
    let FromManager::Connected(snapshot) = scene.said().await else {
        panic!("no snapshot");
    };
    assert_eq!(snapshot.units.len(), 1);
    assert_eq!(snapshot.units[0].active, node::ActiveState::Activating);
    // The end of a job is told after the snapshot, which has the job: so it is not lost.
    assert_eq!(snapshot.jobs, [ManagerJob(30)]);
    let unit = "t.service".parse().expect("name");
    let (job, result) = (ManagerJob(30), JobResult::Done);
    assert_eq!(
        scene.said().await,
        FromManager::JobRemoved { job, unit, result }
    );
    let FromManager::Changed(state) = scene.said().await else {
        panic!("no change");
    };
    assert_eq!(state.active, node::ActiveState::Active);
    assert_eq!(state.invocation, Some(proto::model::Token([7; 16])));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_with_its_job_or_with_systemds_own_error() {
    let mut scene = Scene::reached(Way::Private).await;
    scene.ask(start());
    let call = scene.systemd.call("StartUnit").await;
    assert_eq!(
        call.body().deserialize::<(&str, &str)>().expect("body"),
        ("t.service", "replace")
    );
    scene
        .systemd
        .reply(&call, &path("/org/freedesktop/systemd1/job/17"));
    assert_eq!(scene.answered().await, Ok(CoreAnswer::Job(ManagerJob(17))));
    scene.ask(start());
    let call = scene.systemd.call("StartUnit").await;
    scene
        .systemd
        .error(&call, systemd::NO_SUCH_UNIT, "Unit t.service not found.");
    let error = scene.answered().await.expect_err("refused");
    assert_eq!(
        (error.name.as_str(), error.text.as_str()),
        (systemd::NO_SUCH_UNIT, "Unit t.service not found.")
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_answered_is_late_and_blocks_no_other() {
    let mut scene = Scene::reached(Way::Private).await;
    scene.ask(start());
    scene.systemd.call("StartUnit").await;
    let manager = scene.manager.clone();
    let other = tokio::spawn(async move {
        manager
            .call(|serial, destination| {
                let method = link::Method {
                    destination,
                    path: systemd::MANAGER_PATH,
                    interface: systemd::MANAGER,
                    member: "GetDefaultTarget",
                };
                link::call(serial, method, &())
            })
            .await
    });
    let call = scene.systemd.call("GetDefaultTarget").await;
    scene.systemd.reply(&call, &"multi-user.target");
    assert!(other.await.expect("ended").is_ok());
    assert_eq!(
        scene.answered().await.expect_err("late").name,
        error::TIMEOUT
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_of_an_earlier_session_is_never_made() {
    let mut scene = Scene::reached(Way::Private).await;
    scene.manager.ask(0, CallId(1), start());
    scene.ask(Request::Cancel(ManagerJob(4)));
    let call = scene.systemd.call("CancelJob").await;
    scene.systemd.reply(&call, &());
    assert_eq!(scene.answered().await, Ok(CoreAnswer::Done));
}

#[tokio::test(start_paused = true)]
async fn a_look_finds_the_unit_or_that_it_is_not_there() {
    let mut scene = Scene::reached(Way::Private).await;
    let look = || Request::Look("dep@t.service".parse().expect("name"));
    scene.ask(look());
    let call = scene.systemd.call("GetUnit").await;
    scene.systemd.reply(&call, &path(UNIT));
    let call = scene.systemd.call("ListUnitsByPatterns").await;
    scene
        .systemd
        .reply(&call, &vec![listed("dep@t.service", "active")]);
    let call = scene.systemd.call("Get").await;
    scene.systemd.reply(&call, &run());
    let Ok(CoreAnswer::Unit(Some(state))) = scene.answered().await else {
        panic!("no unit");
    };
    assert_eq!(state.active, node::ActiveState::Active);
    assert_eq!(state.invocation, Some(proto::model::Token([7; 16])));
    scene.ask(look());
    let call = scene.systemd.call("GetUnit").await;
    scene.systemd.reply(&call, &path(UNIT));
    let call = scene.systemd.call("ListUnitsByPatterns").await;
    scene.systemd.reply(&call, &Vec::<Listed>::new());
    let gone = FromManager::Gone("dep@t.service".parse().expect("name"));
    assert_eq!(scene.said().await, gone);
    assert_eq!(scene.answered().await, Ok(CoreAnswer::Unit(None)));
    scene.ask(look());
    let call = scene.systemd.call("GetUnit").await;
    scene
        .systemd
        .error(&call, systemd::NO_SUCH_UNIT, "not loaded");
    assert_eq!(scene.answered().await, Ok(CoreAnswer::Unit(None)));
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_is_not_loaded_is_described_all_the_same() {
    let mut scene = Scene::reached(Way::Private).await;
    scene.ask(Request::Describe("t.service".parse().expect("name")));
    let call = scene.systemd.call("LoadUnit").await;
    scene
        .systemd
        .reply(&call, &path("/org/freedesktop/systemd1/unit/t_2eservice"));
    let call = scene.systemd.call("GetAll").await;
    scene.systemd.reply(
        &call,
        &HashMap::from([("LoadState", Variant::from("not-found"))]),
    );
    let Ok(CoreAnswer::Description(description)) = scene.answered().await else {
        panic!("no description");
    };
    assert_eq!(description.load, "not-found");
}

#[tokio::test(start_paused = true)]
async fn jobs_and_units_that_come_and_go_are_told() {
    let mut scene = Scene::reached(Way::Private).await;
    scene
        .systemd
        .manager("UnitNew", &("dep@t.service", path(UNIT)));
    scene
        .systemd
        .manager("UnitNew", &("other.service", path("/o")));
    // What does nothing is not asked for more: to ask could load it again.
    let call = scene.systemd.call("ListUnitsByPatterns").await;
    scene
        .systemd
        .reply(&call, &vec![listed("dep@t.service", "inactive")]);
    assert!(matches!(scene.said().await, FromManager::Changed(_)));
    let job = path("/org/freedesktop/systemd1/job/3");
    scene
        .systemd
        .manager("JobNew", &(3_u32, job.clone(), "dep@t.service"));
    assert!(matches!(
        scene.said().await,
        FromManager::JobNew {
            job: ManagerJob(3),
            ..
        }
    ));
    let running = HashMap::from([("State", Variant::from("running"))]);
    let body = ("org.freedesktop.systemd1.Job", running, Vec::<&str>::new());
    scene.systemd.signal(
        job.as_str(),
        "org.freedesktop.DBus.Properties",
        "PropertiesChanged",
        &body,
    );
    assert_eq!(scene.said().await, FromManager::JobRunning(ManagerJob(3)));
    scene
        .systemd
        .manager("UnitRemoved", &("dep@t.service", path(UNIT)));
    assert!(matches!(scene.said().await, FromManager::Gone(_)));
}

#[tokio::test(start_paused = true)]
async fn a_session_over_the_bus_says_hello_and_ends_when_systemd_leaves_it() {
    let mut scene = scene(Way::Bus);
    for member in ["Hello", "AddMatch", "AddMatch"] {
        let call = scene.systemd.call(member).await;
        scene.systemd.reply(&call, &":1.1");
    }
    scene.systemd.begin().await;
    assert!(matches!(scene.said().await, FromManager::Connected(_)));
    let owner = |before: &'static str, after: &'static str| (systemd::BUS_NAME, before, after);
    let bus = "org.freedesktop.DBus";
    scene
        .systemd
        .signal("/", bus, "NameOwnerChanged", &owner("", ":1.2"));
    scene
        .systemd
        .signal("/", bus, "NameOwnerChanged", &owner(":1.2", ""));
    assert_eq!(scene.session.await.expect("ended"), "systemd left the bus");
}

#[tokio::test(start_paused = true)]
async fn what_systemd_says_while_it_reloads_is_not_told_but_how_units_are_afterwards() {
    let mut scene = Scene::reached(Way::Private).await;
    scene.ask(start());
    let call = scene.systemd.call("StartUnit").await;
    let systemd = &mut scene.systemd;
    systemd.manager("Reloading", &true);
    systemd.manager("UnitRemoved", &("dep@t.service", path(UNIT)));
    systemd.manager("UnitNew", &("dep@t.service", path(UNIT)));
    systemd.changed("inactive");
    systemd.reply(&call, &path("/org/freedesktop/systemd1/job/17"));
    systemd.manager("Reloading", &false);
    let units = systemd.call("ListUnitsByPatterns").await;
    systemd.reply(&units, &vec![listed("dep@t.service", "active")]);
    let jobs = systemd.call("ListJobs").await;
    systemd.reply(&jobs, &Vec::<ListedJob>::new());
    let get = systemd.call("Get").await;
    systemd.reply(&get, &run());
    assert_eq!(scene.answered().await, Ok(CoreAnswer::Job(ManagerJob(17))));
    let FromManager::Reloaded(snapshot) = scene.said().await else {
        panic!("no snapshot");
    };
    assert_eq!(snapshot.units[0].active, node::ActiveState::Active);
}

/// A hold unit that was masked, and with it what it is bound to.
#[tokio::test(start_paused = true)]
async fn how_a_unit_is_whose_hold_unit_is_masked_is_in_doubt_after_a_reload_and_when_it_ends() {
    let mut scene = Scene::reached(Way::Private).await;
    let systemd = &mut scene.systemd;
    systemd.manager("Reloading", &true);
    systemd.manager("Reloading", &false);
    let units = systemd.call("ListUnitsByPatterns").await;
    let mut masked = listed("dep@t.service", "active");
    masked.2 = "masked".into();
    systemd.reply(&units, &vec![masked]);
    let jobs = systemd.call("ListJobs").await;
    systemd.reply(&jobs, &Vec::<ListedJob>::new());
    let get = systemd.call("Get").await;
    systemd.reply(&get, &run());
    assert!(matches!(scene.said().await, FromManager::Reloaded(_)));
    let unbound = FromManager::Unbound("t.service".parse().expect("name"));
    assert_eq!(scene.said().await, unbound);
    let says = |active: &'static str| {
        let changed = HashMap::from([("ActiveState", Variant::from(active))]);
        (systemd::UNIT, changed, Vec::<&str>::new())
    };
    for (unit, active) in [("u", "failed"), ("t", "deactivating"), ("t", "failed")] {
        let at = format!("/org/freedesktop/systemd1/unit/{unit}_2eservice");
        let properties = "org.freedesktop.DBus.Properties";
        scene
            .systemd
            .signal(&at, properties, "PropertiesChanged", &says(active));
    }
    scene.systemd.removed(3, "t.service", "done");
    assert_eq!(scene.said().await, unbound);
    assert!(matches!(scene.said().await, FromManager::JobRemoved { .. }));
}
