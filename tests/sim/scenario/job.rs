//! What becomes of jobs when those who are to do and to tell them are away.

use proto::model::{JobKind, JobResult};
use test_case::test_case;

use super::{
    SILENT,
    stage::{Stage, ms, secs, unit},
};
use crate::{
    systemd::State,
    world::{Action, Net},
};

/// A service that takes three seconds to start is being started by an operator.
fn starting() -> Stage {
    let mut stage = Stage::new(&["a", "b"])
        .start_takes("b", "slow.service", secs(3))
        .begin();
    let action = Action::Ctl(stage.at("b"), JobKind::Start, unit("slow.service"));
    stage.act(action);
    stage.run(secs(1));
    assert_eq!(stage.job_results(), [[]; 1], "it is under way");
    stage
}

#[test_case(|s| vec![Action::KillController(s.ms(100))]; "the controller is restarted")]
#[test_case(|s| vec![Action::KillController(s.ms(5_000))]; "the controller is away until after it")]
#[test_case(|s| vec![Action::KillAgent(s.at("b"), s.ms(50))]; "the agent is restarted")]
#[test_case(|s| vec![Action::StopAgent(s.at("b"), s.ms(50))]; "the agent is stopped and started")]
#[test_case(|s| vec![Action::KillController(s.ms(100)), Action::KillAgent(s.at("b"), s.ms(50))]; "both are restarted")]
#[test_case(|s| vec![Action::KillController(s.ms(5_000)), Action::KillAgent(s.at("b"), s.ms(3_000))]; "both are away until after it")]
#[test_case(|s| vec![Action::Reexec(s.at("b"))]; "systemd executes itself")]
fn a_job_ends_once_and_with_its_own_result_when(faults: fn(&Stage) -> Vec<Action>) {
    let mut stage = starting();
    for fault in faults(&stage) {
        stage.act(fault);
    }
    stage.run(secs(30));
    let stopped = matches!(faults(&stage).as_slice(), [Action::StopAgent(..)]);
    if stopped {
        // Whoever stops on purpose is offline at once, and says so to those who wait.
        assert_eq!(stage.job_results(), [[JobResult::Failed]]);
    } else {
        assert_eq!(stage.job_results(), [[JobResult::Done]]);
    }
    stage.is("b", "slow.service", State::Active);
    stage.is_quiet();
}

#[test]
fn a_link_that_is_back_within_the_window_is_not_noticed() {
    let mut stage = starting();
    let before = stage.reports();
    stage.net("b", Net::Cut);
    stage.run(ms(1_500));
    stage.net("b", Net::Open);
    stage.run(secs(10));
    assert_eq!(stage.reports(), before, "nothing was said of the node");
    assert_eq!(stage.job_results(), [[JobResult::Done]]);
    stage.is_quiet();
}

#[test_case(Net::Cut; "its link is cut")]
#[test_case(SILENT; "it is silent")]
fn a_job_fails_when_its_node_is_lost_and_does_not_end_again_when(net: Net) {
    let mut stage = starting();
    stage.net("b", net);
    stage.run(secs(10));
    assert_eq!(stage.job_results(), [[JobResult::Failed]]);
    stage.net("b", Net::Open);
    stage.run(secs(30));
    assert_eq!(stage.job_results(), [[JobResult::Failed]]);
    stage.is("b", "slow.service", State::Active);
    stage.is_quiet();
}

#[test]
fn a_job_of_a_node_that_loses_power_fails() {
    let mut stage = starting();
    let action = Action::Crash(stage.at("b"), secs(5));
    stage.act(action);
    stage.run(secs(40));
    assert_eq!(stage.job_results(), [[JobResult::Failed]]);
    stage.is_quiet();
}

/// The controller ends at any moment between the first word about two equal requests and their ends: each has a job of its
/// own, which ends once.
#[test]
fn two_equal_requests_have_two_jobs_whenever_the_controller_is_lost() {
    for outputs in 0..12 {
        let mut stage = Stage::new(&["a", "b"])
            .start_takes("b", "slow.service", ms(20))
            .begin();
        stage.act(Action::KillControllerAmid(outputs));
        for _ in 0..2 {
            let restart = Action::Ctl(stage.at("b"), JobKind::Restart, unit("slow.service"));
            stage.act(restart);
        }
        stage.run(secs(30));
        let jobs = stage.clients_jobs();
        let [Some(one), Some(other)] = jobs.as_slice() else {
            stage.fail(&format!(
                "after {outputs} outputs the clients have {jobs:?}"
            ));
        };
        assert_ne!(one, other, "after {outputs} outputs");
        stage.is_quiet();
    }
}
