//! Signals by name and number, signal(7).

/// The standard signals of Linux, from 1 on. The numbers are those of all machines that systemd is
/// shipped for today; MIPS and SPARC have others.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The first and the last real-time signal as the C library numbers them.
const REAL_TIME: (i32, i32) = (34, 64);

/// The number of a signal: `SIGTERM`, `term`, `15`, `SIGRTMIN+3`, `RTMAX-1`.
///
/// # Errors
///
/// Says that there is no such signal.
pub(crate) fn parse(text: &str) -> Result<i32, String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = || {
        let at = NAMES.iter().position(|known| *known == name)?;
        i32::try_from(at + 1).ok()
    };
    let (first, last) = REAL_TIME;
    let relative = |rest: &str| match rest {
        "" => Some(0),
        signed => signed.parse::<i32>().ok(),
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => relative(rest).and_then(|n| first.checked_add(n)),
        (None, Some(rest)) => relative(rest).and_then(|n| last.checked_add(n)),
        (None, None) => named().or_else(|| text.parse().ok()),
    };
    number
        .filter(|number| (1..=last).contains(number))
        .ok_or_else(|| {
            format!("'{text}' is no signal; it looks like 'SIGTERM', 'HUP', '9' or 'SIGRTMIN+3'")
        })
}

/// The name of a standard signal, without `SIG`.
pub(crate) fn name(number: i32) -> Option<&'static str> {
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    NAMES.get(at).copied()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("SIGTERM", 15)]
    #[test_case("term", 15)]
    #[test_case("9", 9)]
    #[test_case("SIGHUP", 1)]
    #[test_case("SYS", 31)]
    #[test_case("SIGRTMIN+3", 37)]
    #[test_case("RTMAX-1", 63)]
    #[test_case("RTMIN", 34)]
    fn signals_are_read(text: &str, number: i32) {
        assert_eq!(parse(text), Ok(number));
    }

    #[test_case("0"; "not a signal")]
    #[test_case("65"; "beyond the last")]
    #[test_case("SIG15"; "a number with a prefix")]
    #[test_case("RTMAX+1"; "relative and beyond")]
    #[test_case("NOSUCH"; "no name")]
    #[test_case(""; "nothing")]
    fn what_is_no_signal_is_refused(text: &str) {
        assert!(parse(text).is_err());
    }
}
