//! Requests that are repeated.

use crate::limits::ENDS_MAX;
use crate::tests::Stage;

#[test]
fn a_request_that_is_repeated_is_answered_with_the_job_that_was_made_for_it() {
    Stage::registered("").plays(
        "job 5 restart t.service as 7
         > 1: RestartUnit t.service replace
         job 6 restart t.service as 7 1
         > job 6 is 5 waiting
         answer 1 job 30
         > job 5 waiting
         job-running 30
         > job 5 running
         job 7 restart t.service as 7 2
         > job 7 is 5 running
         removed 30 t.service failed
         > 2: describe t.service
         answer 2 described loaded failed exit-code 1 3
         > job 5 failed: unit-failed unit t.service on node b failed: exit-code (status 3)
         job 8 restart t.service as 7 3
         > job 8 is 5 failed: unit-failed unit t.service on node b failed: exit-code (status 3)
         heard 5
         job 9 restart t.service as 7 4
         > job 9 is 5 failed: unit-failed unit t.service on node b failed: exit-code (status 3)",
    );
}

#[test]
fn two_equal_requests_are_two_jobs() {
    Stage::registered("").plays(
        "job 5 restart t.service as 7
         > 1: RestartUnit t.service replace
         job 6 restart t.service as 8
         > 2: RestartUnit t.service replace
         job 7 restart t.service as 9 1
         > 3: RestartUnit t.service replace",
    );
}

#[test]
fn a_cookie_names_one_request() {
    let refused = "failed: manager the cookie is that of another request";
    Stage::registered("").plays(&format!(
        "job 5 restart t.service as 7
         > 1: RestartUnit t.service replace
         job 6 start t.service as 7 1
         > job 6 {refused}
         job 7 restart u.service as 7 1
         > job 7 {refused}"
    ));
}

#[test]
fn a_repeated_request_is_known_after_a_restart_of_the_agent() {
    let cookie = "07".repeat(16);
    Stage::registered("").with_notes().plays(
        "job 5 restart t.service as 7
         > note 5 restart t.service replace open -
         > 1: RestartUnit t.service replace
         answer 1 job 30
         > note 5 restart t.service replace open 30
         > job 5 waiting
         removed 30 t.service done
         > note 5 restart t.service replace ended done -
         > job 5 done
         heard 5
         > note 5 restart t.service replace heard done -
         link closed reset
         at 60000
         > connect 2 to 0
         link up
         > hello b
         > note 5 removed
         > hold-states whole
         > claims whole",
    );
    let heard = format!("5 restart t.service replace heard done -\n{cookie}");
    Stage::new("").with_jobs(&[&heard]).plays(
        "manager
         > connect 1 to 0
         link up
         > hello b
         > jobs 5 restart t.service was done 0
         > hold-states whole
         > claims whole
         job 6 restart t.service as 7 2
         > job 6 is 5 done",
    );
}

#[test]
fn a_request_that_may_have_been_forgotten_is_not_carried_out() {
    let forgotten = "failed: node-lost the agent of node b does not know any more whether it was \
                     asked to restart t.service";
    Stage::new("").with_jobs(&[]).plays(&format!(
        "at 60000
         manager
         > connect 1 to 0
         link up
         > hello b
         > hold-states whole
         > claims whole
         job 5 restart t.service as 7 31
         > job 5 {forgotten}
         job 6 restart t.service as 7 29
         > 1: RestartUnit t.service replace"
    ));
    Stage::registered("").plays(&format!(
        "job 5 restart t.service as 7 60
         > job 5 {forgotten}
         job 6 restart t.service as 7 59
         > 1: RestartUnit t.service replace"
    ));
}

#[test]
fn what_is_repeated_is_known_while_the_agent_drains() {
    Stage::registered("").plays(
        "job 5 start t.service as 7
         > 1: StartUnit t.service replace
         answer 1 job 30
         > job 5 waiting
         drain
         job 6 start t.service as 7 1
         > job 6 is 5 waiting
         job 7 start t.service as 8 1
         > job 7 failed: canceled the agent of node b is stopping, and takes no new jobs",
    );
}

#[test]
fn a_request_for_which_there_was_no_room_is_forgotten_and_the_next_agent_knows_that() {
    let mut stage = Stage::registered("");
    for job in 1..=ENDS_MAX + 1 {
        let cookie = job % 200;
        let kind = if job == 1 { "reload" } else { "start" };
        // Only the first has a name.
        let named = if job == 1 {
            format!(" as {cookie}")
        } else {
            String::new()
        };
        let unit = format!("t{job}.service");
        let verb = if job == 1 { "ReloadUnit" } else { "StartUnit" };
        let forgets = if job > ENDS_MAX {
            "> forget jobs\n"
        } else {
            ""
        };
        stage.plays(&format!(
            "job {job} {kind} {unit}{named}
             > {job}: {verb} {unit} replace
             answer {job} job {job}
             > job {job} waiting
             removed {job} {unit} done
             {forgets}> job {job} done"
        ));
    }
    stage.plays("job 9999 reload t1.service as 1 1\n> job 9999 failed: node-lost the agent of node b does not know any more whether it was asked to reload t1.service");
}
