//! What a shell needs to complete command lines: the words that are known here, and how to ask for
//! names that only the controller knows.

use clap::CommandFactory as _;
use clap_complete::{Generator, Shell as Known, generate};

use super::Page;
use crate::cli::{Cli, Shell};

/// The script for a shell.
pub(crate) fn page(shell: Shell) -> Page {
    Page::text(match shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh(),
        Shell::Fish => fish(),
    })
}

fn bash() -> String {
    let script = known(Known::Bash);
    // What is registered at the end of the script is registered by ours instead.
    let script = script
        .split("\nif [[ \"${BASH_VERSINFO")
        .next()
        .unwrap_or(&script);
    let names = include_str!("completion/names.bash");
    format!("{}\n{names}", script.trim_end())
}

fn zsh() -> String {
    let known = known(Known::Zsh).replacen("#compdef ctl", "#compdef ctl unitlinkctl", 1);
    let mut script = String::new();
    for line in known.lines() {
        // A positional argument, whose values would be names of files.
        let is_positional =
            line.starts_with("'::") || line.starts_with("':") || line.starts_with("'*::");
        let live = line.strip_suffix(":_default' \\").filter(|_| is_positional);
        match live {
            Some(line) => script.push_str(&format!("{line}:_ctl_live' \\\n")),
            None => script.push_str(&format!("{line}\n")),
        }
    }
    // The function has to be there before the last lines of the script run it; and what is made of the
    // words on the way to it is not what was typed.
    let names = include_str!("completion/names.zsh");
    let words = r#"local -a ctl_words=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")"#;
    match script.split_once("\n_ctl() {") {
        Some((head, rest)) => format!("{head}\n{names}\n_ctl() {{\n    {words}{rest}")
            // The file is installed under another name, and the first call has to complete too.
            .replacen(
                FUNCTION,
                "if [[ \"$funcstack[1]\" == (_ctl|_unitlinkctl) ]]; then",
                1,
            )
            .replacen("compdef _ctl ctl\n", "compdef _ctl ctl unitlinkctl\n", 1),
        None => script,
    }
}

/// How the script asks whether it is called to complete, or only read.
const FUNCTION: &str = "if [ \"$funcstack[1]\" = \"_ctl\" ]; then";

fn fish() -> String {
    known(Known::Fish) + include_str!("completion/names.fish")
}

/// What is known without asking.
fn known(shell: impl Generator) -> String {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "ctl", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(Shell::Bash, &["__complete --", "complete -F _ctl_live"])]
    #[test_case(Shell::Zsh, &["__complete --", ":_ctl_live'", "local -a ctl_words=", "(_ctl|_unitlinkctl)", "compdef _ctl ctl unitlinkctl"])]
    #[test_case(Shell::Fish, &["__complete --", "complete -c ctl -a \"(__ctl_names)\""])]
    fn names_are_asked_for(shell: Shell, calls: &[&str]) {
        let script = page(shell).data;
        for call in calls {
            assert!(script.contains(call), "{call}");
        }
    }
}
