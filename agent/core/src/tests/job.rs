use super::Stage;
use test_case::test_case;

#[test]
fn a_job_is_queued_runs_and_ends() {
    Stage::registered("").plays(
        "job 5 start t.service
         > 1: StartUnit t.service replace
         answer 1 job 30
         > job 5 waiting
         job-running 30
         > job 5 running
         removed 30 t.service done
         > job 5 done
         removed 30 t.service done",
    );
}

#[test]
fn the_end_of_a_job_may_be_told_before_the_answer_that_names_it() {
    Stage::registered("").plays(
        "job 5 stop t.service
         > 1: StopUnit t.service replace
         removed 30 t.service done
         answer 1 job 30
         > job 5 waiting
         > job 5 done",
    );
}

#[test]
fn two_jobs_that_systemd_made_one_end_together() {
    Stage::registered("").plays(
        "job 5 start t.service
         > 1: StartUnit t.service replace
         job 6 start t.service
         > 2: StartUnit t.service replace
         answer 1 job 30
         > job 5 waiting
         answer 2 job 30
         > job 6 waiting
         removed 30 t.service done
         > job 5 done
         > job 6 done",
    );
}

#[test_case("NoSuchUnit Unit t.service not found.", "unit-not-found Unit t.service not found."; "no unit")]
#[test_case("UnitMasked Unit t.service is masked.", "unit-not-found Unit t.service is masked."; "masked")]
#[test_case("TransactionIsDestructive Transaction is destructive.", "manager Transaction is destructive."; "anything else")]
fn an_error_of_systemd_is_the_end_of_the_job(error: &str, reason: &str) {
    Stage::registered("").plays(&format!(
        "job 5 start t.service
         > 1: StartUnit t.service replace
         answer 1 error {error}
         > job 5 failed: {reason}"
    ));
}

#[test]
fn a_start_that_failed_says_why() {
    Stage::registered("").plays(
        "job 5 restart t.service
         > 1: RestartUnit t.service replace
         answer 1 job 30
         > job 5 waiting
         removed 30 t.service failed
         > 2: describe t.service
         answer 2 described loaded failed exit-code 1 3
         > job 5 failed: unit-failed unit t.service on node b failed: exit-code (status 3)",
    );
}

#[test]
fn a_job_is_taken_back_before_and_after_it_is_queued() {
    Stage::registered("").plays(
        "job 5 start t.service
         > 1: StartUnit t.service replace
         cancel 5
         answer 1 job 30
         > job 5 waiting
         > 2: cancel 30
         answer 2 done
         removed 30 t.service canceled
         > job 5 canceled
         job 6 reload t.service
         > 3: ReloadUnit t.service replace
         answer 3 job 31
         > job 6 waiting
         cancel 6
         > 4: cancel 31
         cancel 7",
    );
}

#[test]
fn a_job_outlives_its_connection_in_silence_and_its_number_may_come_again() {
    Stage::registered("").plays(
        "job 5 start t.service
         > 1: StartUnit t.service replace
         link closed reset
         answer 1 job 30
         at 20
         > connect 2 to 0
         link up
         > hello b
         > hold-states whole
         > claims whole
         job 5 stop u.service
         > 2: StopUnit u.service replace
         removed 30 t.service done
         answer 2 job 31
         > job 5 waiting
         removed 31 u.service done
         > job 5 done",
    );
}

#[test]
fn a_lost_manager_ends_what_it_was_asked_and_what_is_not_there_any_more() {
    let lost = "failed: manager the connection to systemd of node b was lost while the job was \
                under way";
    Stage::registered("").plays(&format!(
        "job 5 start t.service
         > 1: StartUnit t.service replace
         job 6 start u.service
         > 2: StartUnit u.service replace
         job 7 start v.service
         > 3: StartUnit v.service replace
         answer 2 job 30
         > job 6 waiting
         answer 3 job 31
         > job 7 waiting
         manager-lost
         > job 5 {lost}
         manager job 31
         > job 6 {lost}
         removed 31 v.service done
         > job 7 done"
    ));
}

#[test]
fn a_job_without_a_manager_fails_at_once() {
    Stage::registered("").plays(
        "manager-lost
         job 5 start t.service
         > job 5 failed: manager systemd of node b is not reachable",
    );
}

#[test]
fn an_agent_that_drains_refuses_new_jobs_and_tells_the_end_of_old_ones() {
    let mut stage = Stage::registered("");
    stage.plays(
        "job 5 start t.service
         > 1: StartUnit t.service replace
         answer 1 job 30
         > job 5 waiting
         drain
         job 6 start u.service
         > job 6 failed: canceled the agent of node b is stopping, and takes no new jobs",
    );
    assert_eq!(stage.node.jobs().count(), 1);
    stage.plays("removed 30 t.service done\n> job 5 done");
    assert_eq!(stage.node.jobs().count(), 0);
}
