//! The D-Bus bodies of the messages between agent and controller that go beyond BlueChi's, and
//! their conversions. `docs/design/wire.md` has the table of members and signatures.

mod job;
mod wait;

use std::{collections::HashMap, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zbus::wire::{OwnedVariant, Type, Variant};

use crate::{
    message::{Attempt, Claim, ClaimKey, Hello, Hold, HoldKey, StartTimeouts, TokenState, Welcome},
    model::{Cause, ClaimState, Reason, Token, TokenError, UnknownWord},
    name::{NodeName, NodeNameError, UnitName, UnitNameError, UnitPattern, UnitPatternError},
    sync::{Delta, Generation},
    wave::WaveError,
};

pub use job::{
    EnqueuedBody, JobBody, enqueued_from_wire, enqueued_to_wire, jobs_from_wire, jobs_to_wire,
};
pub use wait::{WaitBody, WaitsBody, waits_from_wire, waits_to_wire};

/// A message about a set: generation, whether it is whole, what is put, what is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct SetBody<P: Type, D: Type> {
    /// Its number.
    pub generation: u64,
    /// Whether it is the whole set.
    pub full: bool,
    /// New and changed entries.
    pub put: Vec<P>,
    /// Keys of entries that are gone.
    pub drop: Vec<D>,
}

/// `(s node, s unit)` or `(s unit, s source)`.
pub type KeyBody = (String, String);
/// `(s, s, s token, b)`: a claim with its `up`, or a hold with whether it is to be started.
pub type NeedBody = (String, String, String, bool);
/// `(s, s, s token, s state, s cause, s text)`.
pub type StateBody = (String, String, String, String, String, String);
/// Body of `Claims` and `Holds`.
pub type NeedsBody = SetBody<NeedBody, KeyBody>;
/// Body of `ClaimStates` and `HoldStates`.
pub type StatesBody = SetBody<StateBody, KeyBody>;
/// `a{sv}`, for what may grow.
pub type Facts = HashMap<String, OwnedVariant>;

/// Something in a body that means nothing here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// A node name is not valid.
    #[error(transparent)]
    Node(#[from] NodeNameError),
    /// A unit name is not valid.
    #[error(transparent)]
    Unit(#[from] UnitNameError),
    /// A token is not valid.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A cause is not known.
    #[error(transparent)]
    Word(#[from] UnknownWord),
    /// A state is not known.
    #[error("'{0}' is no state of a claim")]
    State(String),
    /// What has led to a restart is not valid.
    #[error(transparent)]
    Wave(#[from] WaveError),
    /// A fact has another type.
    #[error("'{0}' is missing or has another type")]
    Fact(&'static str),
}

/// Something that is written as a key of two strings.
pub trait WireKey: Sized {
    /// Writes it.
    fn to_wire(&self) -> KeyBody;
    /// Reads it.
    fn from_wire(first: &str, second: &str) -> Result<Self, WireError>;
}

impl WireKey for ClaimKey {
    fn to_wire(&self) -> KeyBody {
        (self.node.to_string(), self.unit.to_string())
    }

    fn from_wire(first: &str, second: &str) -> Result<Self, WireError> {
        Ok(Self {
            node: first.parse()?,
            unit: second.parse()?,
        })
    }
}

impl WireKey for HoldKey {
    fn to_wire(&self) -> KeyBody {
        (self.unit.to_string(), self.source.to_string())
    }

    fn from_wire(first: &str, second: &str) -> Result<Self, WireError> {
        Ok(Self {
            unit: first.parse()?,
            source: second.parse()?,
        })
    }
}

/// Something that is written as a token and a flag.
pub trait WireNeed: Sized {
    /// Writes it.
    fn to_wire(&self) -> (Token, bool);
    /// Reads it.
    fn from_wire(token: Token, flag: bool) -> Self;
}

impl WireNeed for Claim {
    fn to_wire(&self) -> (Token, bool) {
        (self.token, self.up)
    }

    fn from_wire(token: Token, up: bool) -> Self {
        Self { token, up }
    }
}

impl WireNeed for Hold {
    fn to_wire(&self) -> (Token, bool) {
        (self.token, self.attempt == Attempt::Start)
    }

    fn from_wire(token: Token, start: bool) -> Self {
        Self {
            token,
            attempt: if start { Attempt::Start } else { Attempt::Keep },
        }
    }
}

/// Writes a message about claims or holds.
pub fn needs_to_wire<K: WireKey, V: WireNeed>(delta: &Delta<K, V>) -> NeedsBody {
    let put = delta.put.iter().map(|(key, value)| {
        let ((first, second), (token, flag)) = (key.to_wire(), value.to_wire());
        (first, second, token.to_string(), flag)
    });
    SetBody {
        generation: delta.generation.0,
        full: delta.full,
        put: put.collect(),
        drop: delta.drop.iter().map(WireKey::to_wire).collect(),
    }
}

/// Reads a message about claims or holds.
///
/// # Errors
///
/// Says which part is not valid; the message as a whole is refused.
pub fn needs_from_wire<K: WireKey, V: WireNeed>(
    body: &NeedsBody,
) -> Result<Delta<K, V>, WireError> {
    let put = body.put.iter().map(|(first, second, token, flag)| {
        Ok((
            K::from_wire(first, second)?,
            V::from_wire(token.parse()?, *flag),
        ))
    });
    Ok(Delta {
        generation: Generation(body.generation),
        full: body.full,
        put: put.collect::<Result<_, WireError>>()?,
        drop: keys_from_wire(&body.drop)?,
    })
}

/// Writes a message about how claims or holds stand.
pub fn states_to_wire<K: WireKey>(delta: &Delta<K, TokenState>) -> StatesBody {
    let put = delta.put.iter().map(|(key, TokenState { token, state })| {
        let (first, second) = key.to_wire();
        let (cause, text) = match state.reason() {
            Some(reason) => (reason.cause.to_string(), reason.text.clone()),
            // Peers that know of no waves read no text here.
            None => {
                let wave = state.wave().map(ToString::to_string);
                (String::new(), wave.unwrap_or_default())
            }
        };
        (
            first,
            second,
            token.to_string(),
            state.as_str().to_owned(),
            cause,
            text,
        )
    });
    SetBody {
        generation: delta.generation.0,
        full: delta.full,
        put: put.collect(),
        drop: delta.drop.iter().map(WireKey::to_wire).collect(),
    }
}

/// Reads a message about how claims or holds stand.
///
/// # Errors
///
/// Says which part is not valid; the message as a whole is refused.
pub fn states_from_wire<K: WireKey>(body: &StatesBody) -> Result<Delta<K, TokenState>, WireError> {
    let put = body
        .put
        .iter()
        .map(|(first, second, token, state, cause, text)| {
            let state = state_from_wire(state, cause, text)?;
            Ok((
                K::from_wire(first, second)?,
                TokenState {
                    token: token.parse()?,
                    state,
                },
            ))
        });
    Ok(Delta {
        generation: Generation(body.generation),
        full: body.full,
        put: put.collect::<Result<_, WireError>>()?,
        drop: keys_from_wire(&body.drop)?,
    })
}

fn keys_from_wire<K: WireKey>(keys: &[KeyBody]) -> Result<Vec<K>, WireError> {
    keys.iter()
        .map(|(first, second)| K::from_wire(first, second))
        .collect()
}

fn state_from_wire(state: &str, cause: &str, text: &str) -> Result<ClaimState, WireError> {
    let reason = || Ok::<_, WireError>(Reason::new(cause.parse::<Cause>()?, text));
    match state {
        "waiting" => Ok(ClaimState::Waiting(reason()?)),
        "starting" => Ok(ClaimState::Starting),
        "up" => Ok(ClaimState::Up),
        "restarted" => Ok(ClaimState::Restarted(text.parse()?)),
        "down" => Ok(ClaimState::Down(reason()?)),
        "refused" => Ok(ClaimState::Refused(reason()?)),
        "lost" => Ok(ClaimState::Lost(reason()?)),
        other => Err(WireError::State(other.chars().take(32).collect())),
    }
}

/// Writes a hello: the name, and facts that may grow.
pub fn hello_to_wire(hello: &Hello) -> (String, Facts) {
    let facts = [
        ("protocol", variant(hello.protocol)),
        ("version", variant(hello.version.as_str())),
        ("boot_id", variant(hello.boot_id.as_str())),
        ("incarnation", variant(hello.incarnation)),
    ];
    (hello.node.to_string(), facts_from(facts))
}

/// Reads a hello. Facts that are not known are ignored, so that a newer agent is understood.
///
/// # Errors
///
/// Says which part is missing or not valid.
pub fn hello_from_wire(name: &str, facts: &Facts) -> Result<Hello, WireError> {
    Ok(Hello {
        node: name.parse::<NodeName>()?,
        protocol: fact(facts, "protocol", u32_of)?,
        version: fact(facts, "version", text_of)?,
        boot_id: fact(facts, "boot_id", text_of)?,
        incarnation: fact(facts, "incarnation", u64_of)?,
    })
}

/// Writes a welcome.
pub fn welcome_to_wire(welcome: &Welcome) -> Facts {
    let timeout_us = u64::try_from(welcome.start_timeout.as_micros()).unwrap_or(u64::MAX);
    facts_from([
        ("protocol", variant(welcome.protocol)),
        ("version", variant(welcome.version.as_str())),
        ("start_timeout_us", variant(timeout_us)),
    ])
}

/// Reads a welcome. Facts that are not known are ignored, so that a newer controller is understood.
///
/// # Errors
///
/// Says which part is missing.
pub fn welcome_from_wire(facts: &Facts) -> Result<Welcome, WireError> {
    Ok(Welcome {
        protocol: fact(facts, "protocol", u32_of)?,
        version: fact(facts, "version", text_of)?,
        start_timeout: Duration::from_micros(fact(facts, "start_timeout_us", u64_of)?),
    })
}

/// Times for claims in microseconds: of all, and of units or patterns of them.
pub type TimeoutsBody = (u64, Vec<(String, u64)>);

/// Writes the times for claims.
pub fn timeouts_to_wire(timeouts: &StartTimeouts) -> TimeoutsBody {
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let units = timeouts.units.iter();
    let units = units.map(|(units, timeout)| (units.to_string(), us(*timeout)));
    (us(timeouts.other), units.collect())
}

/// Reads the times for claims.
///
/// # Errors
///
/// Says which pattern is none.
pub fn timeouts_from_wire(
    (other, units): &TimeoutsBody,
) -> Result<StartTimeouts, UnitPatternError> {
    let one = |(units, timeout): &(String, u64)| {
        Ok((
            units.parse::<UnitPattern>()?,
            Duration::from_micros(*timeout),
        ))
    };
    Ok(StartTimeouts {
        other: Duration::from_micros(*other),
        units: units.iter().map(one).collect::<Result<_, _>>()?,
    })
}

/// The longest text of a fact in bytes: a version or an id of a boot is far shorter.
const FACT_BYTES_MAX: usize = 256;

fn variant<'a>(value: impl Into<Variant<'a>>) -> Option<OwnedVariant> {
    // Only a file descriptor can fail to be owned, and there is none here.
    value.into().try_into().ok()
}

fn facts_from<const N: usize>(facts: [(&str, Option<OwnedVariant>); N]) -> Facts {
    facts
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

fn fact<T>(
    facts: &Facts,
    key: &'static str,
    read: fn(&OwnedVariant) -> Option<T>,
) -> Result<T, WireError> {
    facts.get(key).and_then(read).ok_or(WireError::Fact(key))
}

fn u32_of(value: &OwnedVariant) -> Option<u32> {
    u32::try_from(value).ok()
}

fn u64_of(value: &OwnedVariant) -> Option<u64> {
    u64::try_from(value).ok()
}

fn text_of(value: &OwnedVariant) -> Option<String> {
    let text = <&str>::try_from(value).ok()?;
    (text.len() <= FACT_BYTES_MAX).then(|| text.to_owned())
}

/// The name of a unit as a client or a peer sent it.
///
/// # Errors
///
/// Says what is wrong with it.
pub fn unit_from_wire(text: &str) -> Result<UnitName, WireError> {
    Ok(text.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wave::Wave;
    use zbus::wire::{LE, serialized::Context, to_bytes};

    fn key() -> ClaimKey {
        ClaimKey {
            node: "b".parse().expect("name"),
            unit: "t.service".parse().expect("name"),
        }
    }

    #[test]
    fn signatures_are_those_of_the_document() {
        assert_eq!(NeedsBody::SIGNATURE.to_string(), "(tba(sssb)a(ss))");
        assert_eq!(StatesBody::SIGNATURE.to_string(), "(tba(ssssss)a(ss))");
    }

    #[test]
    fn needs_are_read_as_they_are_written() {
        let delta = Delta {
            generation: Generation(7),
            full: false,
            put: vec![(
                key(),
                Claim {
                    token: Token([3; 16]),
                    up: true,
                },
            )],
            drop: vec![key()],
        };
        let body = needs_to_wire(&delta);
        let bytes = to_bytes(Context::new(LE, 0), &body).expect("encodes");
        let (read, _): (NeedsBody, _) = bytes.deserialize().expect("decodes");
        assert_eq!(needs_from_wire(&read), Ok(delta));
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        let reason = Reason::new(Cause::NodeOffline, "node b is offline");
        let states = [
            ClaimState::Waiting(reason.clone()),
            ClaimState::Starting,
            ClaimState::Up,
            ClaimState::Restarted(Wave::default()),
            ClaimState::Restarted("a/t.service b/u.mount".parse().expect("wave")),
            ClaimState::Down(reason.clone()),
            ClaimState::Refused(reason.clone()),
            ClaimState::Lost(reason),
        ];
        for state in states {
            let delta = Delta {
                generation: Generation(1),
                full: true,
                put: vec![(
                    key(),
                    TokenState {
                        token: Token([9; 16]),
                        state,
                    },
                )],
                drop: vec![],
            };
            assert_eq!(states_from_wire(&states_to_wire(&delta)), Ok(delta));
        }
    }

    #[test]
    fn a_body_with_a_bad_part_is_refused_as_a_whole() {
        let good = (
            "b".into(),
            "t.service".into(),
            Token([1; 16]).to_string(),
            true,
        );
        let bad = (
            "b/c".into(),
            "t.service".into(),
            Token([1; 16]).to_string(),
            true,
        );
        let body = SetBody {
            generation: 1,
            full: true,
            put: vec![good, bad],
            drop: vec![],
        };
        assert!(needs_from_wire::<ClaimKey, Claim>(&body).is_err());
    }

    #[test]
    fn a_hello_is_read_as_it_is_written_and_may_grow() {
        let hello = Hello {
            node: "a".parse().expect("name"),
            protocol: 1,
            version: "0.1.0".into(),
            boot_id: "x".into(),
            incarnation: u64::MAX,
        };
        let (name, mut facts) = hello_to_wire(&hello);
        facts.extend(facts_from([("colour", variant("red"))]));
        assert_eq!(hello_from_wire(&name, &facts), Ok(hello));
        facts.remove("boot_id");
        assert_eq!(
            hello_from_wire(&name, &facts),
            Err(WireError::Fact("boot_id"))
        );
    }

    #[test]
    fn a_welcome_is_read_as_it_is_written() {
        let welcome = Welcome {
            protocol: 1,
            version: "0.1.0".into(),
            start_timeout: Duration::from_secs(90),
        };
        assert_eq!(welcome_from_wire(&welcome_to_wire(&welcome)), Ok(welcome));
    }
}
