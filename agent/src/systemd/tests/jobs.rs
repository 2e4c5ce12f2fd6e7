//! What jobs wait for, and what systemd is made to do of its own accord.

use test_case::test_case;

use super::*;

#[tokio::test(start_paused = true)]
async fn what_a_job_waits_for_is_followed_from_job_to_job() {
    let mut scene = Scene::reached(Way::Private).await;
    scene.ask(Request::WaitsOf(vec![ManagerJob(40)]));
    let job = |id: u32, unit: &'static str, state: &'static str| {
        (id, unit, "start", state, path("/j"), path("/u"))
    };
    // Two ways to the proxy, a circle, and a job at work, which is not asked.
    for jobs in [
        vec![job(41, "t.service", "waiting")],
        vec![
            job(42, "x.service", "waiting"),
            job(43, "proxy@c_u.service", "running"),
        ],
        vec![
            job(41, "t.service", "waiting"),
            job(43, "proxy@c_u.service", "running"),
        ],
    ] {
        let call = scene.systemd.call("GetBefore").await;
        scene.systemd.reply(&call, &jobs);
    }
    let waited = node::Waited {
        job: ManagerJob(40),
        proxy: "proxy@c_u.service".parse().expect("name"),
        via: vec!["t.service".parse().expect("name")],
    };
    assert_eq!(scene.answered().await, Ok(CoreAnswer::Waits(vec![waited])));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_ended_waits_for_nothing() {
    let mut scene = Scene::reached(Way::Private).await;
    scene.ask(Request::WaitsOf(vec![ManagerJob(40)]));
    let call = scene.systemd.call("GetBefore").await;
    let name = "org.freedesktop.DBus.Error.UnknownObject";
    scene.systemd.error(&call, name, "no such job");
    assert_eq!(scene.answered().await, Ok(CoreAnswer::Waits(Vec::new())));
}

#[tokio::test(start_paused = true)]
async fn systemd_is_made_to_look_again_by_a_unit_that_wants_what_is_looked_at() {
    let mut scene = Scene::reached(Way::Private).await;
    let units = ["proxy@b_t.service", "proxy@c_u.service"];
    scene.ask(Request::LookAgain(
        units.map(|unit| unit.parse().expect("name")).to_vec(),
    ));
    let call = scene.systemd.call("StartTransientUnit").await;
    assert_eq!(call.body().signature().to_string(), "(ssa(sv)a(sa(sv)))");
    let body = call.body();
    let (name, mode, properties, _): Made<'_> = body.deserialize().expect("body");
    assert_eq!(
        (name, mode),
        ("unitlink-look-again.service", "ignore-dependencies")
    );
    let of = |name: &str| {
        let mut properties = properties.iter();
        properties
            .find(|it| it.0 == name)
            .map(|it| it.1.to_string())
    };
    assert_eq!(
        of("Wants").as_deref(),
        Some("[\"proxy@b_t.service\", \"proxy@c_u.service\"]")
    );
    assert_eq!(
        of("ExecStart").as_deref(),
        Some("[(\"/bin/true\", [\"/bin/true\"], true)]")
    );
    scene
        .systemd
        .reply(&call, &path("/org/freedesktop/systemd1/job/7"));
    assert_eq!(scene.answered().await, Ok(CoreAnswer::Job(ManagerJob(7))));
}

#[tokio::test(start_paused = true)]
async fn systemd_is_made_to_look_whether_a_unit_is_upheld_by_a_job_that_does_nothing() {
    let mut scene = Scene::reached(Way::Private).await;
    let proxy: proto::name::UnitName = "proxy@b_t.service".parse().expect("name");
    scene.ask(Request::UpheldBy(proxy.clone()));
    let call = scene.systemd.call("Get").await;
    let header = call.header();
    let path_of_unit = "/org/freedesktop/systemd1/unit/proxy_40b_5ft_2eservice";
    assert_eq!(header.path().map(|it| it.as_str()), Some(path_of_unit));
    let body = call.body();
    let asked: (&str, &str) = body.deserialize().expect("body");
    assert_eq!(asked, (systemd::UNIT, "UpheldBy"));
    scene
        .systemd
        .reply(&call, &Variant::from(vec!["source.service"]));
    let units = vec!["source.service".parse().expect("name")];
    assert_eq!(scene.answered().await, Ok(CoreAnswer::Units(units)));

    scene.ask(Request::LookUpheld(proxy.clone()));
    let call = scene.systemd.call("EnqueueUnitJob").await;
    let body = call.body();
    let said: (&str, &str, &str) = body.deserialize().expect("body");
    assert_eq!(said, (proxy.as_str(), "nop", "fail"));
    let (job, unit) = ("/org/freedesktop/systemd1/job/7", path(path_of_unit));
    let others: Vec<(u32, Path, &str, Path, &str)> = Vec::new();
    scene.systemd.reply(
        &call,
        &(7_u32, path(job), proxy.as_str(), unit, "nop", others),
    );
    assert_eq!(scene.answered().await, Ok(CoreAnswer::Job(ManagerJob(7))));
}

#[tokio::test(start_paused = true)]
async fn jobs_of_all_units_are_told() {
    let mut scene = Scene::reached(Way::Private).await;
    let job = path("/org/freedesktop/systemd1/job/7");
    scene
        .systemd
        .manager("JobNew", &(7_u32, job, "source.service"));
    let unit = "source.service".parse().expect("name");
    let job = ManagerJob(7);
    assert_eq!(scene.said().await, FromManager::JobNew { job, unit });
}

/// What systemd does with units that follow another one is done for a proxy: before its stop, and
/// instead of a reload.
#[test_case(true, "PropagatesStopTo", "StopUnit", "replace"; "stop")]
#[test_case(false, "PropagatesReloadTo", "ReloadUnit", "ignore-dependencies"; "reload")]
#[tokio::test(start_paused = true)]
async fn what_follows_a_proxy_is_dealt_with(
    stops: bool,
    property: &str,
    method: &'static str,
    mode: &str,
) {
    let mut scene = Scene::reached(Way::Private).await;
    let proxy: proto::name::UnitName = "proxy@b_t.service".parse().expect("name");
    if stops {
        scene.ask(Request::StopAlone(proxy.clone()));
    } else {
        scene.ask(Request::ReloadFollowers(proxy.clone()));
        assert_eq!(scene.answered().await, Ok(CoreAnswer::Done));
    }
    let call = scene.systemd.call("Get").await;
    let body = call.body();
    let (_, asked): (&str, &str) = body.deserialize().expect("body");
    assert_eq!(asked, property);
    scene
        .systemd
        .reply(&call, &Variant::from(vec!["x.service", "y.service"]));
    for follower in ["x.service", "y.service"] {
        let call = scene.systemd.call(method).await;
        let body = call.body();
        let said: (&str, &str) = body.deserialize().expect("body");
        assert_eq!(said, (follower, mode));
        scene.systemd.error(&call, "org.example.No", "not now");
    }
    if stops {
        let call = scene.systemd.call("StopUnit").await;
        let body = call.body();
        let said: (&str, &str) = body.deserialize().expect("body");
        assert_eq!(said, (proxy.as_str(), "ignore-requirements"));
        scene
            .systemd
            .reply(&call, &path("/org/freedesktop/systemd1/job/7"));
        assert_eq!(scene.answered().await, Ok(CoreAnswer::Job(ManagerJob(7))));
    }
}

/// Arguments of `StartTransientUnit`.
type Made<'a> = (
    &'a str,
    &'a str,
    Vec<(&'a str, Variant<'a>)>,
    Vec<(&'a str, Vec<(&'a str, Variant<'a>)>)>,
);
