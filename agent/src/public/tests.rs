//! The interface on a bus that is played by hand.

use std::{collections::HashMap, time::Duration};

use host::{
    link::{Limits, Link},
    stream::Identity,
};
use node::{FromHelper, HelperAnswer};
use proto::{
    dbus::systemd,
    model::{Cause, Reason},
};
use test_case::test_case;
use tokio::io::duplex;
use zbus::{
    OwnedVariant, Variant,
    message::Type,
    wire::{DynamicType, ObjectPath},
};

use super::*;
use crate::systemd::{
    Way,
    tests::{Scene, scene},
};

struct Stage {
    public: Public,
    client: Link,
    helpers: mpsc::Receiver<HelperEvent>,
    scene: Scene,
    now: Moment,
}

impl Stage {
    async fn new() -> Self {
        let identity = Identity::Unix {
            uid: 0,
            gid: 0,
            pid: None,
        };
        let (ours, theirs) = duplex(64 * 1024);
        let start = |stream| Link::start(Box::new(stream), identity, Vec::new(), Limits::TRUSTED);
        let (events, helpers) = mpsc::channel(4);
        let now = Moment::at(Duration::from_secs(1));
        let mut public = Public::new(now, events);
        public.up(start(ours).sender);
        let mut scene = scene(Way::Private);
        scene.systemd.begin().await;
        let client = start(theirs);
        Self {
            public,
            client,
            helpers,
            scene,
            now,
        }
    }

    fn call<B: serde::Serialize + DynamicType>(
        &mut self,
        of: &str,
        member: &str,
        body: &B,
    ) -> Todo {
        let call = Message::method_call(agent::PATH, member)
            .interface(of)
            .sender(":1.7")
            .serial(std::num::NonZeroU32::MIN)
            .build(body)
            .expect("built");
        let present = Present {
            now: self.now,
            level: tracing::Level::INFO,
            manager: &self.scene.manager,
        };
        self.public.call(present, call)
    }

    async fn next(&mut self) -> Message {
        let message = self.client.receiver.recv().await;
        message.expect("open").expect("valid")
    }

    async fn all(&mut self) -> HashMap<String, OwnedVariant> {
        let of = "org.freedesktop.DBus.Properties";
        self.call(of, "GetAll", &agent::AGENT);
        self.next().await.body().deserialize().expect("properties")
    }

    /// systemd says in which run the proxy is.
    async fn says_run(&mut self, id: &[u8]) {
        let call = self.scene.systemd.call("LoadUnit").await;
        let path = ObjectPath::try_from("/org/freedesktop/systemd1/unit/x").expect("path");
        self.scene.systemd.reply(&call, &path);
        let call = self.scene.systemd.call("Get").await;
        let (interface, property): (String, String) = call.body().deserialize().expect("body");
        assert_eq!(
            (interface.as_str(), property.as_str()),
            (systemd::UNIT, "InvocationID")
        );
        self.scene.systemd.reply(&call, &Variant::from(id.to_vec()));
    }
}

fn error_of(message: &Message) -> (String, String) {
    assert_eq!(message.message_type(), Type::Error);
    let node::ManagerError { name, text } = crate::systemd::error_of(message);
    (name, text)
}

#[tokio::test(start_paused = true)]
async fn properties_are_those_of_the_interface_and_say_when_the_link_was_lost() {
    let mut stage = Stage::new().await;
    let all = stage.all().await;
    let mut names: Vec<_> = interface::AGENT.properties().collect();
    names.sort_unstable();
    let mut served: Vec<_> = all.keys().map(String::as_str).collect();
    served.sort_unstable();
    assert_eq!(served, names);
    let word = |value: &OwnedVariant| value.to_string();
    assert_eq!(word(&all["Status"]), "\"offline\"");
    assert_ne!(word(&all["DisconnectTimestamp"]), "uint64 0");
    assert_eq!(word(&all["LastSeenTimestamp"]), "uint64 0");

    let online = LinkState {
        online: true,
        address: "tcp:host=a,port=1".into(),
    };
    stage.public.heard(stage.now);
    stage.public.set_link(stage.now, online.clone());
    let changed = stage.next().await;
    let body = changed.body();
    let (of, values, _): (&str, HashMap<&str, Variant<'_>>, Vec<&str>) =
        body.deserialize().expect("body");
    assert_eq!((of, values.len()), (agent::AGENT, 2));
    let all = stage.all().await;
    assert_eq!(word(&all["Status"]), "\"online\"");
    assert_eq!(word(&all["DisconnectTimestamp"]), "uint64 0");
    assert_ne!(word(&all["LastSeenTimestampMonotonic"]), "uint64 0");
    // Nothing has changed, and nothing is said.
    stage.public.set_link(stage.now, online);
    assert_eq!(stage.all().await.len(), names.len());
}

#[tokio::test(start_paused = true)]
async fn a_controller_can_be_switched_to_another_one_by_its_address() {
    let mut stage = Stage::new().await;
    let todo = stage.call(
        agent::AGENT,
        "SwitchController",
        &"tcp:host=10.0.0.9,port=842",
    );
    let address = "tcp:host=10.0.0.9,port=842".parse().expect("address");
    assert!(matches!(todo, Todo::Switch(to) if to == address));
    assert_eq!(stage.next().await.message_type(), Type::MethodReturn);
    let todo = stage.call(agent::AGENT, "SwitchController", &"nowhere");
    assert!(matches!(todo, Todo::Done));
    assert_eq!(error_of(&stage.next().await).0, error::INVALID_ARGS);
}

#[test_case(HelperAnswer::Up, None; "up")]
#[test_case(HelperAnswer::Failed(Reason::new(Cause::UnitFailed, "it failed")), Some("it failed"); "failed")]
#[tokio::test(start_paused = true)]
async fn a_proxy_is_asked_for_as_a_helper_does(answer: HelperAnswer, error: Option<&str>) {
    let mut stage = Stage::new().await;
    let proxy = "bluechi-proxy@b_t.service";
    stage.call(agent::AGENT, "CreateProxy", &(proxy, "b", "t.service"));
    stage.says_run(&[7; 16]).await;
    let Some(HelperEvent::Asks {
        waiter,
        request: FromHelper::Asks {
            proxy: asked,
            token,
        },
        answers,
    }) = stage.helpers.recv().await
    else {
        panic!("nobody asks");
    };
    assert_eq!((asked.as_str(), token), (proxy, "07".repeat(16)));
    answers.send(answer).await.expect("waits");
    stage.public.answered(waiter);
    let reply = stage.next().await;
    match error {
        None => assert_eq!(reply.message_type(), Type::MethodReturn),
        Some(text) => {
            let expected = (error::ACTIVATION_FAILED.to_owned(), text.to_owned());
            assert_eq!(error_of(&reply), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_waits_for_no_proxy() {
    let mut stage = Stage::new().await;
    let arguments = ("proxy@b_t.service", "b", "t.service");
    stage.call(agent::AGENT, "CreateProxy", &arguments);
    stage.says_run(&[7; 16]).await;
    let Some(HelperEvent::Asks { waiter, .. }) = stage.helpers.recv().await else {
        panic!("nobody asks");
    };
    assert_eq!(stage.public.left(":1.8"), []);
    assert_eq!(stage.public.left(":1.7"), [waiter]);
    assert_eq!(stage.public.down(), []);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_is_not_being_started_fails() {
    let mut stage = Stage::new().await;
    let arguments = ("proxy@b_t.service", "b", "t.service");
    stage.call(agent::AGENT, "CreateProxy", &arguments);
    stage.says_run(&[]).await;
    assert_eq!(error_of(&stage.next().await).0, error::ACTIVATION_FAILED);
    assert!(matches!(
        stage.helpers.recv().await,
        Some(HelperEvent::Gone(_))
    ));
    stage.call(
        agent::AGENT,
        "CreateProxy",
        &("proxy@b_t.service", "b", "u.service"),
    );
    assert_eq!(error_of(&stage.next().await).0, error::INVALID_ARGS);
}

#[tokio::test(start_paused = true)]
async fn every_method_of_the_interface_is_served() {
    let mut stage = Stage::new().await;
    for (method, signature) in interface::AGENT.methods() {
        assert!(!signature.is_empty());
        stage.call(agent::AGENT, method, &());
        assert_eq!(
            error_of(&stage.next().await).0,
            error::INVALID_ARGS,
            "{method}"
        );
    }
    for (method, _) in interface::AGENT_OWN.methods() {
        let todo = stage.call(agent::AGENT_OWN, method, &());
        assert!(matches!(todo, Todo::Asked(..)), "{method}");
    }
    stage.call(agent::AGENT, "Other", &());
    assert_eq!(error_of(&stage.next().await).0, error::UNKNOWN_METHOD);
}
