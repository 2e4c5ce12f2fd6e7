//! `make chaos`: five real systemd nodes with fifty proxies, a driver that starts and stops what needs
//! them while it breaks whatever can break, and what must hold, looked at through systemd itself.
//! `docs/reference/chaos.md` says what is done and what is checked.
//!
//! All that is done comes from a seed, and is done again with the same seed.

mod cause;
mod drive;
mod history;
mod layout;
mod options;
mod plan;
mod quiet;
mod report;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = match options::read(&arguments) {
        Ok(options) => options,
        Err(error) => {
            report::say(&format!("chaos: {error:#}\n\n{}", options::USAGE));
            return ExitCode::from(2);
        }
    };
    if let Err(reason) = ::tests::case::prerequisites(true) {
        report::say(&format!("chaos: skipped: {reason:#}"));
        let is_required = std::env::var_os("UNITLINK_REQUIRE_SYSTEM").is_some_and(|it| it == "1");
        return if options.is_optional && !is_required {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(3)
        };
    }
    match run::run(&options) {
        Ok(summary) => {
            summary.print(options.format);
            if summary.violations.is_empty() {
                ExitCode::SUCCESS
            } else {
                report::say(&format!("chaos: again with {}", options.again()));
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            report::end_progress();
            report::say(&format!(
                "chaos: {error:#}\nchaos: again with {}",
                options.again()
            ));
            ExitCode::from(3)
        }
    }
}
