use super::world::{World, name, unit};
use crate::{
    Choice, ClientId, Input, MonitorId, MonitorRequest, Occasion, Request, RequestId,
    SubscriptionId, UnitNews,
    limits::{MONITORS_PER_CLIENT_MAX, UNITS_PER_MONITOR_MAX},
};

impl World {
    fn monitor(&mut self, id: u64, request: MonitorRequest) {
        self.request(id, Request::Monitor(request));
    }

    /// A subscription of monitor `n`, as `NODE UNIT`.
    fn subscribe(&mut self, id: u64, n: u32, what: &str) {
        let (node, units) = what.split_once(' ').expect("node and units");
        let node = match node {
            "*" => Choice::All,
            node => Choice::One(name(node)),
        };
        let units = units.split(' ').map(|text| match text {
            "*" => Choice::All,
            text => Choice::One(unit(text)),
        });
        let units = units.collect();
        let monitor = MonitorId(n);
        self.monitor(
            id,
            MonitorRequest::Subscribe {
                monitor,
                node,
                units,
            },
        );
    }

    fn news(&mut self, node: &str, unit_name: &str, news: UnitNews) {
        let (peer, unit) = (self.peer(node), unit(unit_name));
        self.give(Input::Unit { peer, unit, news });
    }

    /// A fleet with monitors 1 and 2.
    fn monitored(nodes: &str) -> Self {
        let mut world = Self::online(nodes);
        world.monitor(1, MonitorRequest::Create);
        world.monitor(2, MonitorRequest::Create);
        world.take();
        world
    }
}

fn state(active: &str, sub: &str, occasion: Occasion) -> UnitNews {
    UnitNews::State {
        active: active.into(),
        sub: sub.into(),
        occasion,
    }
}

#[test]
fn an_agent_is_asked_once_however_many_want_to_know() {
    let mut world = World::monitored("a b");
    world.subscribe(3, 1, "a t.service");
    assert_eq!(
        world.take(),
        [
            "1 < watch t.service",
            "answer 3: Subscription(SubscriptionId(1))"
        ]
    );
    world.subscribe(4, 2, "a t.service");
    world.subscribe(5, 2, "* t.service");
    assert_eq!(
        world.take(),
        [
            "answer 4: Subscription(SubscriptionId(1))",
            "2 < watch t.service",
            "answer 5: Subscription(SubscriptionId(2))"
        ]
    );
    world.monitor(
        6,
        MonitorRequest::Unsubscribe(MonitorId(1), SubscriptionId(1)),
    );
    world.monitor(
        7,
        MonitorRequest::Unsubscribe(MonitorId(2), SubscriptionId(1)),
    );
    assert_eq!(world.take(), ["answer 6: Done", "answer 7: Done"]);
    world.give(Input::MonitorGone(MonitorId(2)));
    assert_eq!(
        world.take(),
        ["1 < unwatch t.service", "2 < unwatch t.service"]
    );
}

#[test]
fn every_monitor_that_wants_it_is_told_once() {
    let mut world = World::monitored("a b");
    world.subscribe(3, 1, "* *");
    world.subscribe(4, 1, "a t.service");
    world.subscribe(5, 2, "a t.service u.service");
    world.take();
    world.news("a", "t.service", state("active", "running", Occasion::Real));
    world.news("a", "x.service", UnitNews::Properties);
    world.news("b", "t.service", UnitNews::New(Occasion::Real));
    assert_eq!(
        world.take(),
        [
            "monitors 1,2: a/t.service active running real",
            "monitors 1: a/x.service properties",
            "monitors 1: b/t.service new real"
        ]
    );
}

#[test]
fn a_subscription_begins_with_what_is_known_and_what_is_repeated_is_no_news() {
    let mut world = World::monitored("a");
    world.subscribe(3, 1, "a t.service");
    world.news("a", "t.service", UnitNews::New(Occasion::Virtual));
    world.news(
        "a",
        "t.service",
        state("active", "running", Occasion::Virtual),
    );
    world.take();
    world.subscribe(4, 2, "* *");
    assert_eq!(
        world.take(),
        [
            "1 < watch *",
            "answer 4: Subscription(SubscriptionId(1))",
            "monitors 2: a/* new virtual",
            "monitors 2: a/t.service new virtual",
            "monitors 2: a/t.service active running virtual"
        ]
    );
    // The agent repeats it for the second of its subscriptions.
    world.news("a", "t.service", UnitNews::New(Occasion::Virtual));
    world.news(
        "a",
        "t.service",
        state("active", "running", Occasion::Virtual),
    );
    world.news("a", "u.service", UnitNews::New(Occasion::Virtual));
    assert_eq!(world.take(), ["monitors 2: a/u.service new virtual"]);
}

#[test]
fn a_node_that_goes_takes_its_units_along_and_is_asked_again_when_it_comes() {
    let mut world = World::monitored("a");
    world.subscribe(3, 1, "a t.service u.service");
    world.news("a", "t.service", UnitNews::New(Occasion::Real));
    world.news("a", "t.service", state("active", "running", Occasion::Real));
    world.news("a", "u.service", UnitNews::New(Occasion::Real));
    world.take();
    world.cut("a");
    assert_eq!(
        world.take(),
        [
            "a is offline",
            "fleet is down",
            "monitors 1: a/t.service inactive agent-offline virtual",
            "monitors 1: a/t.service removed virtual",
            "monitors 1: a/u.service removed virtual"
        ]
    );
    world.join("a");
    let lines = world.take();
    let asked: Vec<_> = lines.iter().filter(|line| line.contains("watch")).collect();
    assert_eq!(asked, ["2 < watch t.service", "2 < watch u.service"]);
}

#[test]
fn who_wants_all_units_is_told_of_nodes_that_come_and_go() {
    let mut world = World::monitored("a b");
    world.subscribe(3, 1, "* *");
    world.subscribe(4, 2, "b *");
    world.subscribe(5, 2, "a t.service");
    let lines = world.take();
    let told: Vec<_> = lines
        .iter()
        .filter(|it| it.starts_with("monitors"))
        .collect();
    assert_eq!(
        told,
        [
            "monitors 1: a/* new virtual",
            "monitors 1: b/* new virtual",
            "monitors 2: b/* new virtual"
        ]
    );
    world.cut("a");
    world.cut("b");
    let lines = world.take();
    let told: Vec<_> = lines
        .iter()
        .filter(|it| it.starts_with("monitors"))
        .collect();
    assert_eq!(
        told,
        [
            "monitors 1: a/* inactive agent-offline virtual",
            "monitors 1: a/* removed virtual",
            "monitors 1,2: b/* inactive agent-offline virtual",
            "monitors 1,2: b/* removed virtual"
        ]
    );
    world.join("b");
    let lines = world.take();
    assert!(
        lines.contains(&"monitors 1,2: b/* new virtual".to_owned()),
        "{lines:?}"
    );
    // There is nobody to tell of a node that is not there.
    world.subscribe(6, 2, "a *");
    assert_eq!(world.take(), ["answer 6: Subscription(SubscriptionId(3))"]);
}

#[test]
fn a_monitor_whose_owner_is_gone_wants_nothing() {
    let mut world = World::monitored("a");
    world.subscribe(3, 1, "* *");
    world.take();
    world.give(Input::MonitorGone(MonitorId(1)));
    assert_eq!(world.take(), ["1 < unwatch *"]);
    // It was on its way.
    world.news("a", "t.service", UnitNews::New(Occasion::Real));
    assert!(world.take().is_empty());
    world.subscribe(4, 1, "* *");
    assert_eq!(
        world.take(),
        ["answer 4: error: there is no monitor 1; it may have been closed"]
    );
}

#[test]
fn what_is_not_there_is_an_error() {
    let mut world = World::monitored("a");
    world.subscribe(3, 1, "z t.service");
    world.monitor(
        4,
        MonitorRequest::Unsubscribe(MonitorId(1), SubscriptionId(9)),
    );
    world.subscribe(5, 9, "a t.service");
    assert_eq!(
        world.take(),
        [
            "answer 3: error: node z is unknown; the controller's configuration does not name it",
            "answer 4: error: there is no subscription 9 of this monitor",
            "answer 5: error: there is no monitor 9; it may have been closed"
        ]
    );
}

#[test]
fn one_client_cannot_take_all_monitors_nor_one_monitor_all_units() {
    let mut world = World::monitored("a");
    for n in 2..=MONITORS_PER_CLIENT_MAX {
        world.monitor(u64::try_from(n).expect("small"), MonitorRequest::Create);
    }
    let lines = world.take();
    assert_eq!(
        lines.last().map(String::as_str),
        Some("answer 64: error: monitors of this client are open; at most 64 may be")
    );
    world.give(Input::Request {
        id: RequestId(100),
        client: ClientId(2),
        request: Request::Monitor(MonitorRequest::Create),
    });
    assert_eq!(world.take(), ["answer 100: Monitor(MonitorId(65))"]);
    let units = (0..=UNITS_PER_MONITOR_MAX).map(|n| Choice::One(unit(&format!("{n}.service"))));
    let (monitor, node, units) = (MonitorId(1), Choice::All, units.collect());
    world.monitor(
        101,
        MonitorRequest::Subscribe {
            monitor,
            node,
            units,
        },
    );
    assert_eq!(
        world.take(),
        ["answer 101: error: subscribed units of this monitor are open; at most 4096 may be"]
    );
}
