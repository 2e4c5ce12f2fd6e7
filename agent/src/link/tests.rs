//! Connections with a controller and a systemd that are played by hand.

mod pass;

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
