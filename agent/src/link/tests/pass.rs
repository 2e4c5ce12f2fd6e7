//! Calls that pass through to systemd, and what is read of units.

use super::*;

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
