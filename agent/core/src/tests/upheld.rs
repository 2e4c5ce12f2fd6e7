use test_case::test_case;

use super::Stage;

/// A node on which `source.service` upholds a proxy, and has job 50 when that ends.
fn overlooked() -> Stage {
    let mut stage = Stage::registered("");
    stage.plays(
        "unit proxy@b_t.service active 1
         > claims change b t.service 1 up
         job-new 50 source.service
         job-new 51 proxy@b_t.service
         unit proxy@b_t.service inactive 1 51
         removed 51 proxy@b_t.service done
         > claims change -b t.service",
    );
    stage
}

#[test]
fn a_proxy_that_ended_while_what_upholds_it_had_a_job_is_looked_at_when_that_has_ended() {
    overlooked().plays(
        "at 1000
         removed 50 source.service done
         at 1099
         at 1100
         > 1: who upholds proxy@b_t.service
         answer 1 units source.service
         > 2: look whether proxy@b_t.service is upheld
         job-new 52 proxy@b_t.service
         answer 2 job 52
         removed 52 proxy@b_t.service done
         job-new 53 proxy@b_t.service
         unit proxy@b_t.service activating 2 53
         > claims change b t.service 2
         at 1900",
    );
}

#[test]
fn a_proxy_that_nobody_upholds_is_asked_about_once() {
    overlooked().plays(
        "job-new 52 other.service
         removed 50 source.service done
         at 100
         > 1: who upholds proxy@b_t.service
         removed 49 third.service done
         answer 1 units
         removed 52 other.service done
         at 1900",
    );
}

#[test_case("removed 52 later.service done"; "a job that came after the end has hidden nothing")]
#[test_case("job-new 52 proxy@b_t.service\nremoved 50 source.service done"; "it is started by somebody")]
#[test_case("unit-gone proxy@b_t.service\nremoved 50 source.service done"; "it is not loaded any more")]
#[test_case("removed 50 source.service done\nunit proxy@b_t.service inactive 1 52"; "systemd has seen it itself")]
#[test_case("removed 50 source.service done\nstop\n> goodbye\n> disconnect 1"; "the agent stops")]
fn nothing_is_asked_for(script: &str) {
    overlooked().plays(&format!("{script}\nat 1900"));
}

#[test]
fn an_ordinary_end_is_not_asked_about() {
    Stage::registered("").plays(
        "unit proxy@b_t.service active 1
         > claims change b t.service 1 up
         job-new 50 source.service
         removed 50 source.service done
         job-new 51 proxy@b_t.service
         unit proxy@b_t.service inactive 1 51
         removed 51 proxy@b_t.service done
         > claims change -b t.service
         job-new 52 source.service
         removed 52 source.service done
         at 1900",
    );
}

#[test]
fn a_look_that_finds_another_job_is_repeated_when_that_has_ended() {
    overlooked().plays(
        "job-new 52 source.service
         removed 50 source.service canceled
         at 100
         > 1: who upholds proxy@b_t.service
         answer 1 units source.service other.service
         > 2: look whether proxy@b_t.service is upheld
         answer 2 job 53
         removed 54 third.service done
         at 1000
         removed 52 source.service done
         at 1100
         > 3: look whether proxy@b_t.service is upheld
         answer 3 error UnitMasked it is masked
         at 1900",
    );
}

#[test]
fn what_is_down_when_systemd_is_reached_may_have_been_overlooked() {
    let mut stage = Stage::registered(
        "proxy@b_t.service inactive 1, proxy@b_u.service failed 2, proxy@b_v.service active 3",
    );
    stage.plays(
        "at 100
         > 1: who upholds proxy@b_t.service
         answer 1 units source.service
         > 2: look whether proxy@b_t.service is upheld
         answer 2 job 50
         > 3: who upholds proxy@b_u.service
         answer 3 units",
    );
}

#[test]
fn units_that_were_read_again_may_uphold_others() {
    overlooked().plays(
        "removed 50 source.service done
         at 100
         > 1: who upholds proxy@b_t.service
         answer 1 units
         reloaded proxy@b_t.service inactive 1, job 60
         removed 60 other.service done
         at 200
         > 2: who upholds proxy@b_t.service",
    );
}
