//! The words of the domain: jobs, claims and why something is not as it should be.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{message::PROTOCOL_ENDINGS, wave::Wave};

/// Writes an enum of words that stand for themselves on a wire and in a table.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word on a wire and in a table.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| UnknownWord {
                    found: text.to_owned(),
                    known: Self::ALL.iter().map(|v| v.as_str()).collect::<Vec<_>>().join("', '"),
                })
            }
        }
    };
}

/// A word that is not one of those that are known here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{found}' is not known; known are '{known}'")]
pub struct UnknownWord {
    found: String,
    known: String,
}

/// The number of a job, unique in the fleet while the controller runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u32);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

words! {
    /// What a job does with its unit; the words are those of the property `JobType`.
    JobKind {
        /// Start the unit.
        Start = "start",
        /// Stop the unit.
        Stop = "stop",
        /// Stop the unit, then start it; start it if it was not running.
        Restart = "restart",
        /// Reload the unit's configuration.
        Reload = "reload",
    }
}

words! {
    /// How far a job is, as the property `State` says it.
    JobState {
        /// The job is not yet at work.
        Waiting = "waiting",
        /// systemd works on it.
        Running = "running",
    }
}

words! {
    /// How a job ended; the words of the signal `JobRemoved` of org.freedesktop.systemd1(5).
    JobResult {
        /// It did what it should.
        Done = "done",
        /// Somebody took it back.
        Canceled = "canceled",
        /// It ran into its limit.
        Timeout = "timeout",
        /// The unit could not be brought into its state.
        Failed = "failed",
        /// A job that this one needed did not succeed.
        Dependency = "dependency",
        /// The unit did not need it.
        Skipped = "skipped",
        /// A reload of a unit that is not active.
        Invalid = "invalid",
        /// An `Assert…=` of the unit did not hold.
        Assert = "assert",
        /// The unit cannot do this.
        Unsupported = "unsupported",
        /// The unit was referenced by nobody any more.
        Collected = "collected",
        /// The unit runs only once and has run.
        Once = "once",
        /// The unit is frozen.
        Frozen = "frozen",
    }
}

words! {
    /// How a new job deals with the jobs that are queued already; the modes of systemctl(1)
    /// `--job-mode=`.
    JobMode {
        /// Replace a conflicting job.
        Replace = "replace",
        /// Fail if there is a conflicting job.
        Fail = "fail",
        /// As `replace`, and later jobs cannot replace this one.
        ReplaceIrreversibly = "replace-irreversibly",
        /// Start this unit and stop all others.
        Isolate = "isolate",
        /// Do not look at the unit's dependencies.
        IgnoreDependencies = "ignore-dependencies",
        /// Do not look at the unit's requirements.
        IgnoreRequirements = "ignore-requirements",
        /// Cancel all other jobs first.
        Flush = "flush",
        /// Also start what was to be triggered.
        Triggering = "triggering",
        /// Also restart what depends on it.
        RestartDependencies = "restart-dependencies",
    }
}

words! {
    /// Whether a node is connected.
    NodeStatus {
        /// Its agent is connected and answers.
        Online = "online",
        /// It is not.
        Offline = "offline",
    }
}

words! {
    /// Why a claim is not up, or a job failed: one word for each thing an operator would do next.
    Cause {
        /// The agent has no connection to the controller.
        ControllerUnreachable = "controller-unreachable",
        /// The controller does not know a node of this name.
        NodeUnknown = "node-unknown",
        /// The configuration does not allow this node to depend on that one.
        NotAllowed = "not-allowed",
        /// The node is known and not connected.
        NodeOffline = "node-offline",
        /// The node went out of sight while it was needed.
        NodeLost = "node-lost",
        /// There is no such unit on the node, or its file is broken or masked.
        UnitNotFound = "unit-not-found",
        /// The unit could not be started, or failed.
        UnitFailed = "unit-failed",
        /// The unit was stopped.
        UnitStopped = "unit-stopped",
        /// The unit was up, and has ended by itself, well.
        UnitEnded = "unit-ended",
        /// The unit was up, and has failed by itself.
        UnitDied = "unit-died",
        /// The unit was up, has ended by itself, and its systemd starts it again (`Restart=`).
        UnitRestarts = "unit-restarts",
        /// The need closes a circle over nodes.
        Cycle = "cycle",
        /// It took longer than it may.
        Timeout = "timeout",
        /// A name is not valid.
        InvalidName = "invalid-name",
        /// Somebody took it back.
        Canceled = "canceled",
        /// A bound was reached; the text says which.
        Limit = "limit",
        /// The service manager refused; the text says what it said.
        Manager = "manager",
    }
}

/// Why something is not as it should be: a word for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason {
    /// The kind.
    pub cause: Cause,
    /// A lower-case fragment without a full stop that names the objects.
    pub text: String,
}

impl Reason {
    /// A reason of this kind. Text beyond [`Self::TEXT_BYTES_MAX`] is cut.
    pub fn new(cause: Cause, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.len() > Self::TEXT_BYTES_MAX {
            let end = (0..=Self::TEXT_BYTES_MAX)
                .rev()
                .find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
        }
        Self { cause, text }
    }

    /// The longest text in bytes: it is shown in a status line of systemd, whose messages are
    /// short, and kept for each claim.
    pub const TEXT_BYTES_MAX: usize = 512;
}

impl Cause {
    /// The word for a peer that speaks this protocol: an older one knows less of them.
    pub fn for_protocol(self, protocol: u32) -> Self {
        if protocol >= PROTOCOL_ENDINGS {
            self
        } else if matches!(self, Self::UnitEnded | Self::UnitRestarts) {
            Self::UnitStopped
        } else if self == Self::UnitDied {
            Self::UnitFailed
        } else {
            self
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One attempt to have a unit up: the invocation id of the proxy unit that needs it (systemd.exec(5),
/// `$INVOCATION_ID`). systemd makes a new one for each start and remembers it while the unit runs,
/// so an attempt keeps its token over every restart of a daemon.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub [u8; 16]);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is no token; a token has 32 hexadecimal digits")]
pub struct TokenError(String);

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let error = || TokenError(text.chars().take(64).collect());
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(error());
        }
        u128::from_str_radix(text, 16)
            .map(|n| Self(n.to_be_bytes()))
            .map_err(|_| error())
    }
}

/// What a client calls one request for a job: 128 random bits, so that whoever is asked for it twice, because
/// the answer was lost, carries it out once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cookie(pub [u8; 16]);

impl fmt::Display for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Token(self.0).fmt(f)
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is no cookie; a cookie has 32 hexadecimal digits")]
pub struct CookieError(String);

impl FromStr for Cookie {
    type Err = CookieError;

    fn from_str(text: &str) -> Result<Self, CookieError> {
        let Token(bits) = text.parse().map_err(|TokenError(text)| CookieError(text))?;
        Ok(Self(bits))
    }
}

/// How a claim stands, as the node that needs the unit sees it.
///
/// ```text
/// Waiting ──▶ Starting ──▶ Up ──▶ Down | Restarted
///    ▲  └──────▶ Refused    └──▶ Lost ──▶ Up | Down
///    └── Starting (target out of sight)
/// ```
///
/// `Down`, `Restarted` and `Refused` are the end of a token: only a new attempt leaves them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimState {
    /// Nothing is done yet; the reason says what is waited for.
    Waiting(Reason),
    /// The unit is being started for it.
    Starting,
    /// The unit is up and held.
    Up,
    /// The unit was restarted, because of these; whoever needs it is to be restarted too, but for them.
    Restarted(Wave),
    /// The unit could not be started, or is not up any more.
    Down(Reason),
    /// It will never be up: a rule forbids it.
    Refused(Reason),
    /// It was up, and its node is out of sight.
    Lost(Reason),
}

impl ClaimState {
    /// The word on a wire and in a table.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting(_) => "waiting",
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Restarted(_) => "restarted",
            Self::Down(_) => "down",
            Self::Refused(_) => "refused",
            Self::Lost(_) => "lost",
        }
    }

    /// The reason, for the states that have one.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Waiting(reason)
            | Self::Down(reason)
            | Self::Refused(reason)
            | Self::Lost(reason) => Some(reason),
            Self::Starting | Self::Up | Self::Restarted(_) => None,
        }
    }

    /// What has led to a restart, for the state that is one.
    pub fn wave(&self) -> Option<&Wave> {
        match self {
            Self::Restarted(wave) => Some(wave),
            Self::Waiting(_)
            | Self::Starting
            | Self::Up
            | Self::Down(_)
            | Self::Refused(_)
            | Self::Lost(_) => None,
        }
    }

    /// The state for a peer that speaks this protocol.
    #[must_use]
    pub fn for_protocol(mut self, protocol: u32) -> Self {
        match &mut self {
            Self::Waiting(reason)
            | Self::Down(reason)
            | Self::Refused(reason)
            | Self::Lost(reason) => reason.cause = reason.cause.for_protocol(protocol),
            Self::Starting | Self::Up | Self::Restarted(_) => {}
        }
        self
    }

    /// Whether this is the end of its token.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Down(_) | Self::Restarted(_) | Self::Refused(_) => true,
            Self::Waiting(_) | Self::Starting | Self::Up | Self::Lost(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for kind in JobKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        for cause in Cause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(*cause));
        }
    }

    #[test]
    fn an_older_peer_is_told_words_that_it_knows() {
        for (cause, before) in [
            (Cause::UnitEnded, Cause::UnitStopped),
            (Cause::UnitRestarts, Cause::UnitStopped),
            (Cause::UnitDied, Cause::UnitFailed),
            (Cause::NodeLost, Cause::NodeLost),
        ] {
            let state = ClaimState::Down(Reason::new(cause, "why"));
            let told = state.clone().for_protocol(2);
            assert_eq!(told, ClaimState::Down(Reason::new(before, "why")));
            assert_eq!(state.clone().for_protocol(3), state);
        }
    }

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        let error = "stopp"
            .parse::<JobState>()
            .expect_err("unknown")
            .to_string();
        assert_eq!(
            error,
            "'stopp' is not known; known are 'waiting', 'running'"
        );
    }

    #[test]
    fn tokens_are_read_as_they_are_written() {
        let text = "00112233445566778899aabbccddeeff";
        assert_eq!(text.parse::<Token>().expect("valid").to_string(), text);
        for bad in [
            "",
            "0",
            "+0112233445566778899aabbccddeeff",
            "0x112233445566778899aabbccddeeff",
        ] {
            assert!(bad.parse::<Token>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let reason = Reason::new(Cause::Limit, "ä".repeat(400));
        assert_eq!(reason.text.len(), 512);
        let odd = Reason::new(Cause::Limit, format!("a{}", "ä".repeat(400)));
        assert_eq!(odd.text.len(), 511);
    }
}
