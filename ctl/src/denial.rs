//! What the bus says when its policy does not let a message pass, for people.

use proto::dbus::agent;

/// Who may not call what, and which rule says so; nothing if the text is not one of dbus-daemon(1):
///
/// ```text
/// Rejected send message, 3 matched rules; type="method_call", sender=":1.14" (uid=1000 pid=66
/// comm="ctl status") interface="org.unitlink.Fleet1" member="ListNodes" … destination="org.unitlink"
/// (uid=0 …)
/// ```
pub(crate) fn explained(text: &str) -> Option<String> {
    if !text.starts_with("Rejected send message") {
        return None;
    }
    let between = |begin: &str, end: &str| {
        let (_, rest) = text.split_once(begin)?;
        rest.split(end).next()
    };
    let user = between("(uid=", " ")?;
    let member = between("member=\"", "\"")?;
    let to = between("destination=\"", "\"")?;
    let file = if to == agent::BUS_NAME {
        AGENT_POLICY
    } else {
        "org.eclipse.bluechi.conf"
    };
    Some(format!(
        "the user with the id {user} may not call {member} of {to}, \
         by the rule deny send_destination=\"{to}\" of the bus's policy {file}"
    ))
}

/// What to do next, after [`explained`].
pub(crate) fn next(text: &str) -> &'static str {
    if text.contains(AGENT_POLICY) {
        "try as root; nobody else may"
    } else {
        "try as root, or as a member of the group 'unitlink'"
    }
}

const AGENT_POLICY: &str = "org.eclipse.bluechi.Agent.conf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_a_denial_is_named() {
        let of = |to: &str| {
            format!(
                "Rejected send message, 3 matched rules; type=\"method_call\", sender=\":1.14\" \
                 (uid=1000 pid=66 comm=\"ctl status\") interface=\"org.unitlink.Fleet1\" \
                 member=\"ListNodes\" error name=\"(unset)\" requested_reply=\"0\" \
                 destination=\"{to}\" (uid=0 pid=30 comm=\"x\")"
            )
        };
        let text = explained(&of("org.eclipse.bluechi")).expect("of the bus");
        assert_eq!(
            text,
            "the user with the id 1000 may not call ListNodes of org.eclipse.bluechi, by the rule \
             deny send_destination=\"org.eclipse.bluechi\" of the bus's policy \
             org.eclipse.bluechi.conf"
        );
        assert_eq!(
            next(&text),
            "try as root, or as a member of the group 'unitlink'"
        );
        let text = explained(&of("org.eclipse.bluechi.Agent")).expect("of the bus");
        assert_eq!(next(&text), "try as root; nobody else may");
        assert_eq!(explained("not for you"), None);
    }
}
