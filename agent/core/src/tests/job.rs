mod repeat;

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
fn a_reload_that_failed_says_why_in_the_words_of_the_service() {
    Stage::registered("").plays(
        "job 5 reload t.service
         > 1: ReloadUnit t.service replace
         answer 1 job 30
         > job 5 waiting
         removed 30 t.service failed
         > 2: describe t.service
         answer 2 not-reloaded gen 2 failed
         > job 5 failed: unit-failed unit t.service on node b was not reloaded: exit-code; it says: gen 2 failed",
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
fn a_job_outlives_its_connection_and_is_told_on_the_next() {
    Stage::registered("").plays(
        "job 5 start t.service
         > 1: StartUnit t.service replace
         link closed reset
         answer 1 job 30
         at 20
         > connect 2 to 0
         link up
         > hello b
         > jobs 5 start t.service waiting 20
         > hold-states whole
         > claims whole
         job-running 30
         > job 5 running
         removed 30 t.service done
         > job 5 done",
    );
}

#[test]
fn an_end_is_told_on_each_connection_until_it_is_acknowledged() {
    Stage::registered("").plays(
        "job 5 stop t.service
         > 1: StopUnit t.service replace
         answer 1 job 30
         > job 5 waiting
         link closed reset
         removed 30 t.service done
         at 20
         > connect 2 to 0
         link up
         > hello b
         > jobs 5 stop t.service running 20
         > job 5 done
         > hold-states whole
         > claims whole
         link closed reset
         at 60
         > connect 3 to 0
         link up
         > hello b
         > jobs 5 stop t.service running 60
         > job 5 done
         > hold-states whole
         > claims whole
         heard 5
         link closed reset
         at 140
         > connect 4 to 0
         link up
         > hello b
         > jobs 5 stop t.service was done 140
         > hold-states whole
         > claims whole",
    );
}

#[test]
fn an_end_that_was_acknowledged_is_forgotten_after_a_while() {
    Stage::registered("").plays(
        "job 5 stop t.service
         > 1: StopUnit t.service replace
         answer 1 job 30
         > job 5 waiting
         removed 30 t.service done
         > job 5 done
         heard 5
         link closed reset
         at 60000
         > connect 2 to 0
         link up
         > hello b
         > hold-states whole
         > claims whole",
    );
}

#[test]
fn a_command_whose_number_is_known_is_answered_and_not_carried_out_again() {
    Stage::registered("").plays(
        "job 5 restart t.service
         > 1: RestartUnit t.service replace
         job 5 restart t.service
         answer 1 job 30
         > job 5 waiting
         job-running 30
         > job 5 running
         job 5 restart t.service
         > job 5 waiting
         > job 5 running
         removed 30 t.service done
         > job 5 done
         job 5 restart t.service
         > job 5 done",
    );
}

#[test]
fn a_controller_of_the_version_before_is_told_of_no_job_that_it_did_not_give() {
    Stage::registered("").plays(
        "job 5 start t.service
         > 1: StartUnit t.service replace
         job 6 stop u.service
         > 2: StopUnit u.service replace
         answer 2 job 31
         > job 6 waiting
         removed 31 u.service done
         > job 6 done
         link closed reset
         answer 1 job 30
         at 20
         > connect 2 to 0
         link connected
         > hello b
         old-welcome
         > forget jobs
         > hold-states whole
         > claims whole
         removed 30 t.service done
         job 5 stop u.service
         > 3: StopUnit u.service replace
         answer 3 job 32
         > job 5 waiting
         removed 32 u.service done
         > job 5 done",
    );
}

#[test]
fn what_is_noted_of_a_job_is_what_a_restarted_agent_needs() {
    Stage::registered("").with_notes().plays(
        "job 5 start t.service
         > note 5 start t.service replace open -
         > 1: StartUnit t.service replace
         answer 1 job 30
         > note 5 start t.service replace open 30
         > job 5 waiting
         removed 30 t.service done
         > note 5 start t.service replace ended done -
         > job 5 done
         heard 5
         > note 5 removed",
    );
}

#[test]
fn a_restarted_agent_finds_its_jobs_by_their_numbers() {
    Stage::new("")
        .with_jobs(&[
            "5 start t.service replace open 30",
            "6 stop u.service replace ended failed manager no",
        ])
        .plays(
            "manager job 30
             > connect 1 to 0
             link up
             > hello b
             > jobs 5 start t.service waiting 0, 6 stop u.service running 0
             > job 6 failed: manager no
             > hold-states whole
             > claims whole
             removed 30 t.service done
             > job 5 done",
        );
}

#[test_case("start", "active success 0 0", "done"; "started")]
#[test_case("start", "failed exit-code 1 3", "failed: unit-failed unit t.service on node b failed: exit-code (status 3)"; "not started")]
#[test_case("start", "inactive success 0 0", "failed: unit-failed unit t.service on node b could not be started"; "stopped since")]
#[test_case("stop", "inactive success 0 0", "done"; "stopped")]
#[test_case("stop", "failed signal 0 0", "done"; "stopped by force")]
#[test_case("stop", "active success 0 0", "canceled: canceled unit t.service on node b is active: its job was taken back"; "not stopped")]
#[test_case("restart", "active success 0 0", "done"; "restarted")]
#[test_case("reload", "active success 0 0", "done"; "reloaded")]
#[test_case("reload", "inactive success 0 0", "failed: unit-failed unit t.service on node b is inactive"; "not reloaded")]
fn a_job_that_ended_while_there_was_no_agent_ends_as_its_unit_says(
    kind: &str,
    unit: &str,
    end: &str,
) {
    let note = format!("5 {kind} t.service replace open 30");
    Stage::new("").with_jobs(&[&note]).plays(&format!(
        "manager
         > 1: describe t.service
         > connect 1 to 0
         link up
         > hello b
         > jobs 5 {kind} t.service waiting 0
         > hold-states whole
         > claims whole
         answer 1 described loaded {unit}
         > job 5 {end}"
    ));
}

#[test]
fn a_start_that_systemd_may_not_have_heard_of_is_asked_for_again_and_a_restart_is_not() {
    Stage::new("")
        .with_jobs(&[
            "5 start t.service replace open -",
            "6 restart u.service replace open -",
        ])
        .plays(
            "manager
             > 1: StartUnit t.service replace
             > connect 1 to 0
             link up
             > hello b
             > jobs 5 start t.service waiting 0, 6 restart u.service running 0
             > job 6 failed: manager the agent of node b was restarted while it asked systemd to restart u.service; whether that was done is not known
             > hold-states whole
             > claims whole
             answer 1 job 30
             > job 5 waiting
             removed 30 t.service done
             > job 5 done",
        );
}

#[test]
fn jobs_are_nobodys_when_the_agent_is_given_another_controller() {
    Stage::registered("").plays(
        "job 5 start t.service
         > 1: StartUnit t.service replace
         configure tcp:host=d,port=842
         > forget jobs
         > disconnect 1
         > connect 2 to 0
         link up
         > hello b
         > hold-states whole
         > claims whole
         answer 1 job 30
         removed 30 t.service done",
    );
}

#[test]
fn a_lost_manager_ends_what_it_was_asked_and_its_units_say_what_became_of_the_rest() {
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
         > 4: describe u.service
         manager-lost
         manager job 31
         > 5: describe u.service
         answer 5 described loaded active success 0 0
         > job 6 done
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
