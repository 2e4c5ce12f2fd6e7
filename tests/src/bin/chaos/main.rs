//! `make chaos`: five real systemd nodes with fifty proxies, a driver that starts and stops what needs
//! them while it breaks whatever can break, and what must hold, looked at through systemd itself.
//! `docs/reference/faults.md` says what is done and what is checked.
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
