//! How a process ended, in the words of systemctl(1).

use crate::{details::Ended, signal};

/// As in `code=exited, status=1/FAILURE`.
pub(super) fn how(ended: &Ended) -> String {
    let Ended { code, status, .. } = ended;
    match code {
        1 => format!("code=exited, status={}", exit_status(*status)),
        2 => format!("code=killed, signal={}", signal_name(*status)),
        3 => format!("code=dumped, signal={}", signal_name(*status)),
        code => format!("code={code}, status={status}"),
    }
}

/// Whether that is a success for all services, systemd.service(5).
pub(super) fn is_good(ended: &Ended) -> bool {
    match ended.code {
        1 => ended.status == 0,
        2 => matches!(
            signal_name(ended.status).as_str(),
            "HUP" | "INT" | "TERM" | "PIPE"
        ),
        _ => false,
    }
}

fn signal_name(number: i32) -> String {
    signal::name(number).map_or_else(|| number.to_string(), str::to_owned)
}

fn exit_status(status: i32) -> String {
    let name = match status {
        200..=245 => usize::try_from(status - 200)
            .ok()
            .and_then(|at| OF_SYSTEMD.get(at).copied())
            .unwrap_or(""),
        0 => "SUCCESS",
        1 => "FAILURE",
        2 => "INVALIDARGUMENT",
        3 => "NOTIMPLEMENTED",
        4 => "NOPERMISSION",
        5 => "NOTINSTALLED",
        6 => "NOTCONFIGURED",
        7 => "NOTRUNNING",
        _ => "",
    };
    if name.is_empty() {
        return format!("{status}/n/a");
    }
    format!("{status}/{name}")
}

/// From 200 on, systemd.exec(5).
const OF_SYSTEMD: [&str; 46] = [
    "CHDIR",
    "NICE",
    "FDS",
    "EXEC",
    "MEMORY",
    "LIMITS",
    "OOM_ADJUST",
    "SIGNAL_MASK",
    "STDIN",
    "STDOUT",
    "CHROOT",
    "IOPRIO",
    "TIMERSLACK",
    "SECUREBITS",
    "SETSCHEDULER",
    "CPUAFFINITY",
    "GROUP",
    "USER",
    "CAPABILITIES",
    "CGROUP",
    "SETSID",
    "CONFIRM",
    "STDERR",
    "",
    "PAM",
    "NETWORK",
    "NAMESPACE",
    "NO_NEW_PRIVILEGES",
    "SECCOMP",
    "SELINUX_CONTEXT",
    "PERSONALITY",
    "APPARMOR_PROFILE",
    "ADDRESS_FAMILIES",
    "RUNTIME_DIRECTORY",
    "",
    "CHOWN",
    "SMACK_PROCESS_LABEL",
    "KEYRING",
    "STATE_DIRECTORY",
    "CACHE_DIRECTORY",
    "LOGS_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "NUMA_POLICY",
    "CREDENTIALS",
    "",
    "BPF",
];

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(1, 1, "code=exited, status=1/FAILURE", false)]
    #[test_case(1, 0, "code=exited, status=0/SUCCESS", true)]
    #[test_case(1, 203, "code=exited, status=203/EXEC", false)]
    #[test_case(1, 217, "code=exited, status=217/USER", false)]
    #[test_case(1, 237, "code=exited, status=237/KEYRING", false)]
    #[test_case(1, 42, "code=exited, status=42/n/a", false)]
    #[test_case(2, 15, "code=killed, signal=TERM", true)]
    #[test_case(3, 11, "code=dumped, signal=SEGV", false)]
    fn ends_are_told_as_systemctl_does(code: i32, status: i32, text: &str, good: bool) {
        let ended = Ended {
            pid: 7,
            code,
            status,
        };
        assert_eq!((how(&ended).as_str(), is_good(&ended)), (text, good));
    }
}
