//! Connections with a controller and a systemd that are played by hand.

use std::{collections::HashMap, time::Duration};

use host::stream::Identity;
use proto::{
    message::{Hello, Named, OrderId, PROTOCOL, Standing, Welcome},
    model::{Cause, Cookie, JobKind, JobResult, JobState, Reason},
    sync::{Delta, Generation},
    wire::{EnqueuedBody, NeedsBody, SetBody, enqueued_from_wire, needs_to_wire, welcome_to_wire},
};
use tokio::io::duplex;
use zbus::{
    message::Type,
    wire::{DynamicType, ObjectPath, Variant},
};

use super::*;
use crate::systemd::{
    Way,
    tests::{Scene, scene},
};

/// A connection, and the controller at its other end.
struct Stage {
    connection: Connection,
    ours: LinkReceiver,
    controller: Link,
    around: Surroundings,
    scene: Scene,
}

impl Stage {
    async fn new() -> Self {
        let identity = Identity::Unix {
            uid: 0,
            gid: 0,
            pid: None,
        };
        let (ours, theirs) = duplex(64 * 1024);
        let ours = Link::start(Box::new(ours), identity, Vec::new(), Limits::TRUSTED);
        let controller = Link::start(Box::new(theirs), identity, Vec::new(), Limits::TRUSTED);
        let mut scene = scene(Way::Private);
        scene.systemd.begin().await;
        let connection = Connection {
            link: LinkId(1),
            task: tokio::spawn(async {}),
            sender: Some(ours.sender),
            calls: Calls::default(),
            watched: BTreeSet::new(),
            measures: Measures::default(),
            reads: JoinSet::new(),
        };
        let around = Surroundings::new(scene.manager.clone(), None, false);
        Self {
            connection,
            ours: ours.receiver,
            controller,
            around,
            scene,
        }
    }

    /// The controller calls; what the core is told of it.
    async fn calls<B>(
        &mut self,
        interface: &str,
        member: &str,
        body: &B,
    ) -> Result<Option<ToAgent>, String>
    where
        B: serde::Serialize + DynamicType,
    {
        let method = link::Method {
            destination: None,
            path: internal::AGENT_PATH,
            interface,
            member,
        };
        let serial = self.controller.sender.next_serial();
        self.sends(link::call(serial, method, body).expect("valid"))
            .await
    }

    async fn sends(&mut self, message: Message) -> Result<Option<ToAgent>, String> {
        self.controller.sender.try_send(message).expect("open");
        let message = self.ours.recv().await.expect("open").expect("valid");
        let heard = self.connection.heard(message, &self.around)?;
        Ok(heard.map(|heard| match heard {
            ForUs::Core(message) => message,
            ForUs::Asked(asked, _) => panic!("{asked:?} is not for the core"),
        }))
    }

    /// What the controller hears.
    async fn hears(&mut self) -> Message {
        self.controller
            .receiver
            .recv()
            .await
            .expect("open")
            .expect("valid")
    }

    /// The error that the controller hears.
    async fn hears_error(&mut self) -> (String, String) {
        let message = self.hears().await;
        assert_eq!(message.message_type(), Type::Error);
        let error = crate::systemd::error_of(&message);
        (error.name, error.text)
    }
}

fn member(message: &Message) -> String {
    message
        .header()
        .member()
        .map_or_else(String::new, |it| it.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_hello_is_answered_by_a_welcome_or_by_a_rejection() {
    let mut stage = Stage::new().await;
    let hello = ToController::Hello(Hello {
        node: "a".parse().expect("name"),
        protocol: PROTOCOL,
        version: "1".into(),
        boot_id: "boot".into(),
        incarnation: 1,
    });
    let welcome = Welcome {
        protocol: 1,
        version: "1".into(),
        start_timeout: Duration::from_secs(9),
    };
    stage.connection.say(&hello);
    let call = stage.hears().await;
    assert_eq!(member(&call), "Hello");
    let reply = link::reply(&call, &welcome_to_wire(&welcome)).expect("valid");
    assert_eq!(
        stage.sends(reply).await,
        Ok(Some(ToAgent::Welcome(welcome)))
    );
    stage.connection.say(&hello);
    let call = stage.hears().await;
    let error = link::error(&call, error::ACCESS_DENIED, "node a is not allowed").expect("valid");
    let reason = Reason::new(Cause::NotAllowed, "node a is not allowed");
    assert_eq!(
        stage.sends(error).await,
        Ok(Some(ToAgent::Rejected(reason)))
    );
}

#[tokio::test(start_paused = true)]
async fn the_call_of_a_job_is_answered_when_it_is_queued() {
    let mut stage = Stage::new().await;
    let heard = stage
        .calls(
            internal::AGENT,
            "StartUnit",
            &("t.service", "replace", 5_u32),
        )
        .await;
    assert!(matches!(
        heard,
        Ok(Some(ToAgent::Job { job: JobId(5), .. }))
    ));
    let (job, state) = (JobId(5), JobState::Waiting);
    stage.connection.say(&ToController::JobState { job, state });
    assert_eq!(stage.hears().await.message_type(), Type::MethodReturn);
    stage.connection.say(&ToController::JobDone {
        job,
        result: JobResult::Done,
        reason: None,
    });
    let done = stage.hears().await;
    let body: (u32, String, String, String) = done.body().deserialize().expect("body");
    assert_eq!(body, (5, "done".into(), String::new(), String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_request_with_a_name_is_answered_with_the_job_that_there_is_for_it() {
    let mut stage = Stage::new().await;
    let cookie = "0f".repeat(16);
    let mut answers = Vec::new();
    for (number, age) in [(5_u32, 0_u64), (6, 1_500_000)] {
        let call = (
            "restart",
            "t.service",
            "replace",
            number,
            cookie.as_str(),
            age,
        );
        let heard = stage.calls(internal::AGENT_OWN, "Enqueue", &call).await;
        let expected = Named {
            cookie: Cookie([15; 16]),
            age: Duration::from_micros(age),
        };
        let Ok(Some(ToAgent::Job {
            job, kind, named, ..
        })) = heard
        else {
            panic!("no job: {heard:?}");
        };
        assert_eq!(
            (job, kind, named),
            (JobId(number), JobKind::Restart, Some(expected))
        );
        let state = JobState::Waiting;
        let said = if number == 5 {
            ToController::JobState { job, state }
        } else {
            let standing = Standing::Ended(JobResult::Done, None);
            ToController::JobIs {
                asked: job,
                job: JobId(5),
                standing,
            }
        };
        stage.connection.say(&said);
        let answer = stage.hears().await;
        assert_eq!(answer.message_type(), Type::MethodReturn);
        let body: EnqueuedBody = answer.body().deserialize().expect("body");
        answers.push(enqueued_from_wire(&body).expect("valid"));
    }
    assert_eq!(
        answers,
        [
            (JobId(5), Standing::Open(JobState::Waiting)),
            (JobId(5), Standing::Ended(JobResult::Done, None))
        ]
    );
    let call = ("restart", "t.service", "replace", 7_u32, "no cookie", 0_u64);
    let heard = stage.calls(internal::AGENT_OWN, "Enqueue", &call).await;
    assert!(heard.is_err(), "only a controller that is broken says so");
}

#[tokio::test(start_paused = true)]
async fn a_refused_job_ends_with_its_reason_and_its_call_with_systemds_own_error() {
    let mut stage = Stage::new().await;
    let call = ("t.service", "replace", 5_u32);
    stage
        .calls(internal::AGENT, "StartUnit", &call)
        .await
        .expect("a job");
    let name = "org.freedesktop.systemd1.NoSuchUnit";
    let error = ManagerError {
        name: name.into(),
        text: "Unit t.service not found.".into(),
    };
    let reason = Some(Reason::new(
        Cause::UnitNotFound,
        "Unit t.service not found.",
    ));
    stage.connection.refused(JobId(5), error);
    let result = JobResult::Failed;
    stage.connection.say(&ToController::JobDone {
        job: JobId(5),
        result,
        reason,
    });
    assert_eq!(member(&stage.hears().await), "JobDone");
    assert_eq!(
        stage.hears_error().await,
        (name.into(), "Unit t.service not found.".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_set_is_acknowledged_by_the_reply_to_its_message() {
    let mut stage = Stage::new().await;
    let body: NeedsBody = SetBody {
        generation: 1,
        full: true,
        put: vec![],
        drop: vec![],
    };
    let heard = stage.calls(internal::AGENT_OWN, "Holds", &body).await;
    assert!(matches!(heard, Ok(Some(ToAgent::Holds(_)))));
    stage
        .connection
        .say(&ToController::Acknowledged(Stream::Holds, Generation(1)));
    assert_eq!(stage.hears().await.message_type(), Type::MethodReturn);

    let delta = Delta {
        generation: Generation(1),
        full: true,
        put: vec![],
        drop: vec![],
    };
    assert_eq!(needs_to_wire(&delta).generation, 1);
    stage.connection.say(&ToController::Claims(delta));
    let claims = stage.hears().await;
    let reply = link::reply(&claims, &()).expect("valid");
    let acknowledged = ToAgent::Acknowledged(Stream::Claims, Generation(1));
    assert_eq!(stage.sends(reply).await, Ok(Some(acknowledged)));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_valid_is_refused_and_ends_the_connection() {
    let mut stage = Stage::new().await;
    let put = vec![("no unit".into(), "a".into(), "0".into(), true)];
    let body: NeedsBody = SetBody {
        generation: 1,
        full: true,
        put,
        drop: vec![],
    };
    assert!(
        stage
            .calls(internal::AGENT_OWN, "Holds", &body)
            .await
            .is_err()
    );
    assert_eq!(stage.hears_error().await.0, error::INVALID_ARGS);
}

#[tokio::test(start_paused = true)]
async fn a_set_out_of_order_is_refused_when_the_connection_is_ended() {
    let mut stage = Stage::new().await;
    let body: NeedsBody = SetBody {
        generation: 9,
        full: true,
        put: vec![],
        drop: vec![],
    };
    stage
        .calls(internal::AGENT_OWN, "Holds", &body)
        .await
        .expect("readable");
    let ending = stage.connection.disconnect();
    ending.written().await;
    let message = stage
        .controller
        .receiver
        .recv()
        .await
        .expect("open")
        .expect("valid");
    assert_eq!(crate::systemd::error_of(&message).name, error::INVALID_ARGS);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_not_for_this_agent_say_why() {
    let mut stage = Stage::new().await;
    for (interface, member, name) in [
        (internal::AGENT, "Explode", error::UNKNOWN_METHOD),
        ("org.example.Else", "StartUnit", error::UNKNOWN_METHOD),
        (internal::AGENT, "StartDep", error::NOT_SUPPORTED),
    ] {
        assert_eq!(stage.calls(interface, member, &()).await, Ok(None));
        assert_eq!(stage.hears_error().await.0, name, "{member}");
    }
    let job = ("a b", "replace", 5_u32);
    assert_eq!(
        stage.calls(internal::AGENT, "StartUnit", &job).await,
        Ok(None)
    );
    assert_eq!(stage.hears_error().await.0, error::INVALID_ARGS);
    assert_eq!(
        stage.calls(internal::AGENT, "SetLogLevel", &"loud").await,
        Ok(None)
    );
    assert_eq!(stage.hears_error().await.0, error::INVALID_ARGS);
    assert_eq!(
        stage.calls(internal::AGENT, "SetLogLevel", &"DEBUG").await,
        Ok(None)
    );
    assert_eq!(stage.hears().await.message_type(), Type::MethodReturn);
}

#[tokio::test(start_paused = true)]
async fn what_passes_through_keeps_its_body_both_ways() {
    let mut stage = Stage::new().await;
    let arguments = (vec!["a.service", "b.service"], true, false);
    stage
        .calls(internal::AGENT, "EnableUnitFiles", &arguments)
        .await
        .expect("passes");
    let call = stage.scene.systemd.call("EnableUnitFiles").await;
    let (files, runtime, force): (Vec<String>, bool, bool) =
        call.body().deserialize().expect("body");
    assert_eq!((files.len(), runtime, force), (2, true, false));
    let changes = vec![("symlink", "/a", "/b")];
    stage.scene.systemd.reply(&call, &(true, changes.clone()));
    let answer = stage.hears().await;
    let body: (bool, Vec<(String, String, String)>) = answer.body().deserialize().expect("body");
    assert_eq!(body.1, [("symlink".into(), "/a".into(), "/b".into())]);

    stage
        .calls(internal::AGENT, "Reload", &())
        .await
        .expect("passes");
    let call = stage.scene.systemd.call("Reload").await;
    stage.scene.systemd.reply(&call, &());
    assert!(stage.hears().await.body().is_empty());
}

#[tokio::test(start_paused = true)]
async fn errors_of_systemd_pass_through_with_their_names() {
    let mut stage = Stage::new().await;
    stage
        .calls(internal::AGENT, "KillUnit", &("t.service", "main", 9))
        .await
        .expect("passes");
    let call = stage.scene.systemd.call("KillUnit").await;
    let name = "org.freedesktop.systemd1.NoSuchProcess";
    stage.scene.systemd.error(&call, name, "no main process");
    assert_eq!(
        stage.hears_error().await,
        (name.into(), "no main process".into())
    );
}

#[tokio::test(start_paused = true)]
async fn properties_are_those_of_the_unit_even_if_it_is_not_loaded() {
    let mut stage = Stage::new().await;
    let body = ("t.service", "org.freedesktop.systemd1.Unit");
    stage
        .calls(internal::AGENT, "GetUnitProperties", &body)
        .await
        .expect("passes");
    let call = stage.scene.systemd.call("LoadUnit").await;
    stage
        .scene
        .systemd
        .reply(&call, &ObjectPath::try_from("/t").expect("path"));
    let call = stage.scene.systemd.call("GetAll").await;
    stage
        .scene
        .systemd
        .reply(&call, &HashMap::from([("Id", Variant::from("t.service"))]));
    let answer = stage.hears().await;
    let body = answer.body();
    let properties: HashMap<&str, Variant<'_>> = body.deserialize().expect("body");
    assert_eq!(properties["Id"], Variant::from("t.service"));
}

#[tokio::test(start_paused = true)]
async fn the_status_of_units_has_the_age_of_their_state() {
    let mut stage = Stage::new().await;
    let units = vec!["t.service"];
    stage
        .calls(internal::AGENT_OWN, "UnitStatus", &units)
        .await
        .expect("passes");
    let call = stage.scene.systemd.call("LoadUnit").await;
    stage
        .scene
        .systemd
        .reply(&call, &ObjectPath::try_from("/t").expect("path"));
    let call = stage.scene.systemd.call("GetAll").await;
    let properties = HashMap::from([("StateChangeTimestampMonotonic", Variant::from(1_u64))]);
    stage.scene.systemd.reply(&call, &properties);
    let answer = stage.hears().await;
    let body = answer.body();
    let status: Vec<(&str, HashMap<&str, Variant<'_>>)> = body.deserialize().expect("body");
    assert_eq!(status[0].0, "t.service");
    assert!(status[0].1.contains_key(status::STATE_AGE));
}

/// `ReadProperties` of a unit, and the call that it makes first.
async fn reads(stage: &mut Stage, properties: &[&str]) -> Message {
    let body = (vec!["t.service"], properties.to_vec());
    stage
        .calls(internal::AGENT_OWN, "ReadProperties", &body)
        .await
        .expect("passes");
    stage.scene.systemd.call("GetUnit").await
}

#[tokio::test(start_paused = true)]
async fn properties_of_a_unit_that_is_loaded_are_asked_one_by_one() {
    let mut stage = Stage::new().await;
    let call = reads(&mut stage, &["Requires", "Upholds"]).await;
    let path = ObjectPath::try_from("/t").expect("path");
    stage.scene.systemd.reply(&call, &path);
    let call = stage.scene.systemd.call("Get").await;
    let needed = Variant::from(vec!["a.service"]);
    stage.scene.systemd.reply(&call, &needed);
    let call = stage.scene.systemd.call("Get").await;
    let error = error::UNKNOWN_PROPERTY;
    stage.scene.systemd.error(&call, error, "an older systemd");
    let answer = stage.hears().await;
    let body = answer.body();
    let read: Vec<(&str, HashMap<&str, Variant<'_>>)> = body.deserialize().expect("body");
    assert_eq!(read[0].0, "t.service");
    assert_eq!(read[0].1, HashMap::from([("Requires", needed)]));
}

#[tokio::test(start_paused = true)]
async fn properties_of_a_unit_that_is_not_loaded_are_asked_all_at_once() {
    let mut stage = Stage::new().await;
    let call = reads(&mut stage, &["LoadState"]).await;
    let error = proto::dbus::systemd::NO_SUCH_UNIT;
    stage.scene.systemd.error(&call, error, "not loaded");
    let call = stage.scene.systemd.call("LoadUnit").await;
    let path = ObjectPath::try_from("/t").expect("path");
    stage.scene.systemd.reply(&call, &path);
    let call = stage.scene.systemd.call("GetAll").await;
    let state = Variant::from("not-found");
    let properties = HashMap::from([("LoadState", state.clone()), ("Id", Variant::from("t"))]);
    stage.scene.systemd.reply(&call, &properties);
    let answer = stage.hears().await;
    let body = answer.body();
    let read: Vec<(&str, HashMap<&str, Variant<'_>>)> = body.deserialize().expect("body");
    assert_eq!(read[0].1, HashMap::from([("LoadState", state)]));
}

#[tokio::test(start_paused = true)]
async fn one_question_is_about_so_many_units() {
    let mut stage = Stage::new().await;
    let units = vec!["t.service"; crate::limits::STATUS_UNITS_MAX + 1];
    stage
        .calls(internal::AGENT_OWN, "ReadProperties", &(units, vec!["Id"]))
        .await
        .expect("passes");
    let (name, text) = stage.hears_error().await;
    assert_eq!(name, error::LIMITS_EXCEEDED);
    assert_eq!(text, "257 units were asked for, at most 256");
}

#[tokio::test(start_paused = true)]
async fn calls_that_pass_through_have_a_bound() {
    let mut stage = Stage::new().await;
    for _ in 0..PASSING_MAX {
        stage
            .calls(internal::AGENT, "ListUnits", &())
            .await
            .expect("passes");
    }
    stage
        .calls(internal::AGENT, "ListUnits", &())
        .await
        .expect("refused");
    assert_eq!(stage.hears_error().await.0, error::LIMITS_EXCEEDED);
}

#[test_case::test_case("", "", Ok(()); "done")]
#[test_case("unit-failed", "it failed", Err(Reason::new(Cause::UnitFailed, "it failed")); "failed")]
#[tokio::test(start_paused = true)]
async fn an_order_is_a_call_whose_reply_is_its_end(
    cause: &'static str,
    text: &'static str,
    result: Result<(), Reason>,
) {
    let mut stage = Stage::new().await;
    let order = OrderId(3);
    stage.connection.say(&ToController::Order {
        order,
        kind: JobKind::Reload,
        node: "b".parse().expect("name"),
        unit: "t.service".parse().expect("name"),
    });
    let call = stage.hears().await;
    assert_eq!(member(&call), "Order");
    let body = call.body();
    let words: (&str, &str, &str) = body.deserialize().expect("body");
    assert_eq!(words, ("reload", "b", "t.service"));
    let reply = link::reply(&call, &(cause, text)).expect("valid");
    let ended = ToAgent::Ordered { order, result };
    assert_eq!(stage.sends(reply).await, Ok(Some(ended)));
}
