//! How things end, and the line that is shown until they do.

use test_case::test_case;

use super::*;

#[test_case(&[0], Exit::Done; "active")]
#[test_case(&[0, 2], Exit::Done; "activating")]
#[test_case(&[0, 1], Exit::NotActive; "failed")]
#[test_case(&[3], Exit::NotActive; "inactive")]
#[test_case(&[1, 4], Exit::NoSuchUnit; "missing")]
fn status_ends_as_that_of_systemctl(of: &[usize], exit: Exit) {
    let all = units();
    let units: Vec<Unit> = of.iter().map(|at| all[*at].clone()).collect();
    assert_eq!(of_node(&units, &look(Output::Table)).exit, exit);
}

#[test_case("done", "", Exit::Done)]
#[test_case("skipped", "", Exit::Done)]
#[test_case("failed", "unit-failed", Exit::JobFailed)]
#[test_case("canceled", "", Exit::JobFailed)]
#[test_case("dependency", "", Exit::JobFailed)]
#[test_case("dependency", "unit-not-found", Exit::JobFailed; "a unit that it needs is not there")]
#[test_case("timeout", "", Exit::Timeout)]
#[test_case("failed", "timeout", Exit::Timeout)]
#[test_case("failed", "unit-not-found", Exit::NoSuchUnit)]
#[test_case("canceled", "node-lost", Exit::NodeOffline)]
#[test_case("something-new", "", Exit::JobFailed)]
fn jobs_end_with_codes(result: &str, cause: &str, exit: Exit) {
    let ends = vec![("target.service", ended(result, cause, ""))];
    let page = jobs(JobKind::Start, ends, Output::Table);
    assert_eq!(page.exit, exit);
    assert_eq!(page.messages.is_empty(), exit == Exit::Done);
}

#[test]
fn progress_is_one_line() {
    let targets: Vec<Target> = (0..30)
        .map(|n| target(&format!("unit{n}.service")))
        .collect();
    let asked = |targets| Asked {
        kind: JobKind::Start,
        targets,
        several: false,
    };
    let line = asked(&targets[..2]).progress([1].into_iter(), Duration::from_secs(12));
    assert_eq!(
        line,
        "start: 1 of 2 done, 12s (Ctrl-C leaves, the job goes on): unit1.service on work"
    );
    let line = asked(&targets).progress(0..30, Duration::from_secs(12));
    assert_eq!(line.chars().count(), 79);
}
