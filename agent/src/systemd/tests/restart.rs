//! Restarts of proxies, and what they spare.

use std::collections::HashMap;

use node::Restarting;
use test_case::test_case;

use super::*;

/// A job as `EnqueueUnitJob` answers it.
type Enqueued<'a> = (u32, Path, &'a str, Path, &'a str);

impl Scene {
    /// Answers the next job that is queued: this one, of this type and mode, and with it others of these units.
    async fn enqueues(&mut self, said: (&str, &str, &str), job: u32, others: &[(u32, &str)]) {
        let call = self.systemd.call("EnqueueUnitJob").await;
        let body = call.body();
        let asked: (&str, &str, &str) = body.deserialize().expect("body");
        assert_eq!(asked, said);
        let at = |job: u32| path(&format!("/org/freedesktop/systemd1/job/{job}"));
        let unit = || path("/org/freedesktop/systemd1/unit/x");
        let others = others.iter();
        let others = others.map(|(job, name)| (*job, at(*job), *name, unit(), "restart"));
        let others: Vec<Enqueued<'_>> = others.collect();
        self.systemd
            .reply(&call, &(job, at(job), said.0, unit(), "restart", others));
    }

    /// Says what is restarted with a proxy.
    async fn depend(&mut self, units: [(&'static str, Vec<&'static str>); 3]) {
        let call = self.systemd.call("GetAll").await;
        let body = call.body();
        let interface: &str = body.deserialize().expect("body");
        assert_eq!(interface, systemd::UNIT);
        let properties = units.map(|(key, units)| (key, Variant::from(units)));
        self.systemd.reply(&call, &HashMap::from(properties));
    }
}

fn restart(starts: bool, spared: &[&str]) -> Request {
    let spared = spared.iter().map(|unit| unit.parse().expect("name"));
    Request::Restart {
        unit: "proxy@b_t.service".parse().expect("name"),
        starts,
        spared: spared.collect(),
    }
}

fn restarting(job: u32, alone: bool, holds: &[(&str, u32)]) -> CoreAnswer {
    let holds = holds.iter();
    let holds = holds.map(|(unit, job)| (unit.parse().expect("name"), ManagerJob(*job)));
    CoreAnswer::Restarting(Restarting {
        job: ManagerJob(job),
        alone,
        holds: holds.collect(),
    })
}

#[test_case(false, "try-restart"; "that is active")]
#[test_case(true, "restart"; "whether active or not")]
#[tokio::test(start_paused = true)]
async fn the_holds_that_are_restarted_with_a_proxy_are_told(starts: bool, kind: &str) {
    let mut scene = Scene::reached(Way::Private).await;
    scene.ask(restart(starts, &[]));
    let others = [
        (8, "x.service"),
        (9, "dep@x.service"),
        (10, "dep-unit@y.socket.service"),
    ];
    scene
        .enqueues(("proxy@b_t.service", kind, "fail"), 7, &others)
        .await;
    let holds = [("dep@x.service", 9), ("dep-unit@y.socket.service", 10)];
    assert_eq!(scene.answered().await, Ok(restarting(7, false, &holds)));
}

#[tokio::test(start_paused = true)]
async fn what_is_spared_is_not_restarted_with_a_proxy_and_all_else_is() {
    let mut scene = Scene::reached(Way::Private).await;
    scene.ask(restart(false, &["x.service"]));
    let dependents = [
        ("RequiredBy", vec!["x.service", "y.service"]),
        ("ConsistsOf", vec!["y.service", "z.service"]),
        ("WantedBy", vec!["w.service"]),
    ];
    scene.depend(dependents).await;
    let one = [(12, "dep@y.service")];
    scene
        .enqueues(("y.service", "try-restart", "fail"), 11, &one)
        .await;
    scene
        .enqueues(("z.service", "try-restart", "fail"), 13, &[])
        .await;
    let alone = ("proxy@b_t.service", "try-restart", "ignore-requirements");
    scene.enqueues(alone, 14, &[]).await;
    let told = restarting(14, true, &[("dep@y.service", 12)]);
    assert_eq!(scene.answered().await, Ok(told));
}

#[tokio::test(start_paused = true)]
async fn a_restart_spares_nothing_where_what_is_to_be_spared_needs_something_else() {
    let mut scene = Scene::reached(Way::Private).await;
    scene.ask(restart(false, &["x.service"]));
    let dependents = [
        ("BoundBy", vec!["y.service"]),
        ("RequisiteOf", Vec::new()),
        ("WantedBy", vec!["x.service"]),
    ];
    scene.depend(dependents).await;
    let whole = ("proxy@b_t.service", "try-restart", "fail");
    scene.enqueues(whole, 7, &[]).await;
    assert_eq!(scene.answered().await, Ok(restarting(7, false, &[])));
}

/// The core asks again for all of it; what cannot be restarted at all keeps nothing else from it.
#[test_case(systemd::TRANSACTION_IS_DESTRUCTIVE, false; "for now")]
#[test_case("org.freedesktop.systemd1.UnitMasked", true; "at all")]
#[tokio::test(start_paused = true)]
async fn a_proxy_is_not_restarted_before_what_requires_it_can_be(error: &str, goes_on: bool) {
    let mut scene = Scene::reached(Way::Private).await;
    scene.ask(restart(false, &["x.service"]));
    let dependents = [
        ("RequiredBy", vec!["x.service", "y.service"]),
        ("BoundBy", Vec::new()),
        ("ConsistsOf", Vec::new()),
    ];
    scene.depend(dependents).await;
    let call = scene.systemd.call("EnqueueUnitJob").await;
    scene.systemd.error(&call, error, "not now");
    if goes_on {
        let alone = ("proxy@b_t.service", "try-restart", "ignore-requirements");
        scene.enqueues(alone, 7, &[]).await;
        assert_eq!(scene.answered().await, Ok(restarting(7, true, &[])));
    } else {
        let answer = scene.answered().await.map_err(|error| error.name);
        assert_eq!(answer, Err(error.to_owned()));
    }
}
