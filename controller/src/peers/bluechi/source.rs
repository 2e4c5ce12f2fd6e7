//! What the units of a node of BlueChi's need: each proxy that its agent announces is a claim.

use std::collections::{BTreeMap, VecDeque};

use fleet::limits::CLAIMS_PER_SOURCE_MAX;
use proto::{
    message::{Claim, ClaimKey, TokenState},
    model::{Cause, ClaimState, Reason, Token},
    sync::{Delta, Generation, SyncError, Teller},
    time::Moment,
};

use super::{Act, Terms, Told};

/// The proxies of a node.
#[derive(Debug, Default)]
pub(super) struct Source {
    proxies: BTreeMap<ClaimKey, Proxy>,
    claims: Teller<ClaimKey, Claim>,
    terms: Option<Terms>,
    /// Attempts of this connection.
    attempts: u64,
    /// Whether all proxies were announced that were there before the connection.
    begun: bool,
}

#[derive(Debug)]
struct Proxy {
    path: String,
    token: Token,
    stage: Stage,
    /// When a start is given up.
    until: Moment,
    /// What a start waits for.
    waits_for: Option<Reason>,
    /// Whether it was announced on this connection.
    announced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The helper of the proxy waits.
    Starting,
    /// The proxy is active.
    Up,
}

impl Source {
    pub(super) fn connected(&mut self, terms: Terms) {
        self.terms = Some(terms);
        self.attempts = 0;
        self.begun = false;
        for proxy in self.proxies.values_mut() {
            proxy.announced = false;
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.claims.disconnected();
        self.begun = false;
    }

    /// The agent has announced what it had: what was not among it is not needed any more.
    pub(super) fn begin(&mut self) {
        if self.begun {
            return;
        }
        self.begun = true;
        self.proxies.retain(|_, proxy| proxy.announced);
        let gone: Vec<_> = self.claims.entries().keys().cloned().collect();
        for key in gone {
            if !self.proxies.contains_key(&key) {
                self.claims.drop(&key);
            }
        }
        self.claims.connected();
    }

    /// There is a proxy. One that was there before is announced again on each connection.
    pub(super) fn announced(
        &mut self,
        now: Moment,
        (node, unit): (&str, &str),
        path: &str,
        acts: &mut VecDeque<Act>,
    ) {
        let mut refuse = |text: String| {
            let path = path.to_owned();
            let tell = Told::Error(text);
            acts.push_back(Act::Proxy { path, tell });
        };
        let key = match (node.parse(), unit.parse()) {
            (Ok(node), Ok(unit)) => ClaimKey { node, unit },
            (Err(error), _) => return refuse(error.to_string()),
            (_, Err(error)) => return refuse(error.to_string()),
        };
        if let Some(known) = self.proxies.get_mut(&key).filter(|it| it.path == path) {
            known.announced = true;
            if known.stage == Stage::Up {
                // Its agent may be another one by now, whose helper waits.
                acts.push_back(up(path, "virtual"));
            }
            return;
        }
        if self.proxies.len() >= CLAIMS_PER_SOURCE_MAX && !self.proxies.contains_key(&key) {
            let text = format!("this node has {CLAIMS_PER_SOURCE_MAX} proxies; no more may be");
            return refuse(text);
        }
        let proxy = Proxy {
            path: path.to_owned(),
            token: self.token(),
            stage: Stage::Starting,
            until: now.plus(self.terms.map(|it| it.start_timeout).unwrap_or_default()),
            waits_for: None,
            announced: true,
        };
        let claim = Claim {
            token: proxy.token,
            up: false,
        };
        self.claims.put(key.clone(), claim);
        self.proxies.insert(key, proxy);
    }

    /// A proxy is gone.
    pub(super) fn removed(&mut self, node: &str, unit: &str) {
        if let (Ok(node), Ok(unit)) = (node.parse(), unit.parse()) {
            self.forget(&ClaimKey { node, unit });
        }
    }

    /// How the claims stand.
    pub(super) fn states(&mut self, delta: &Delta<ClaimKey, TokenState>, acts: &mut VecDeque<Act>) {
        for (key, TokenState { token, state }) in &delta.put {
            let proxy = self.proxies.get_mut(key);
            let Some(proxy) = proxy.filter(|proxy| proxy.token == *token) else {
                continue;
            };
            let path = proxy.path.clone();
            match (proxy.stage, state) {
                (Stage::Starting, ClaimState::Waiting(reason) | ClaimState::Lost(reason)) => {
                    proxy.waits_for = Some(reason.clone());
                }
                (Stage::Starting, ClaimState::Starting) => proxy.waits_for = None,
                (Stage::Starting, ClaimState::Up) => {
                    proxy.stage = Stage::Up;
                    let claim = Claim {
                        token: *token,
                        up: true,
                    };
                    self.claims.put(key.clone(), claim);
                    acts.push_back(up(&path, "real"));
                }
                // It was up for a moment. Whether it is now, another attempt says.
                (Stage::Starting, ClaimState::Restarted(_)) => {
                    let token = self.token();
                    if let Some(proxy) = self.proxies.get_mut(key) {
                        proxy.token = token;
                    }
                    self.claims.put(key.clone(), Claim { token, up: false });
                }
                (Stage::Starting, ClaimState::Down(reason) | ClaimState::Refused(reason)) => {
                    let tell = Told::Error(reason.text.clone());
                    acts.push_back(Act::Proxy { path, tell });
                    self.forget(key);
                }
                (Stage::Up, ClaimState::Down(reason) | ClaimState::Refused(reason)) => {
                    let tell = if reason.cause == Cause::UnitFailed {
                        Told::State("failed", "failed", "real")
                    } else {
                        Told::State("inactive", "dead", "real")
                    };
                    acts.push_back(Act::Proxy { path, tell });
                    self.forget(key);
                }
                (Stage::Up, ClaimState::Restarted(_)) => {
                    let tell = Told::State("inactive", "dead", "real");
                    acts.push_back(Act::Proxy { path, tell });
                    self.forget(key);
                }
                // What is lost may come back; until then nothing is said, and nothing stops.
                (
                    Stage::Up,
                    ClaimState::Waiting(_)
                    | ClaimState::Starting
                    | ClaimState::Up
                    | ClaimState::Lost(_),
                ) => {}
            }
        }
    }

    pub(super) fn acknowledged(&mut self, generation: Generation) -> Result<(), SyncError> {
        self.claims.acknowledged(generation)
    }

    /// Gives up what has waited for too long: no start waits for ever.
    pub(super) fn tick(&mut self, now: Moment, acts: &mut VecDeque<Act>) {
        let late = self.proxies.iter();
        let late = late.filter(|(_, it)| it.stage == Stage::Starting && it.until <= now);
        let late: Vec<ClaimKey> = late.map(|(key, _)| key.clone()).collect();
        for key in late {
            let Some(proxy) = self.forget(&key) else {
                continue;
            };
            let what = match proxy.waits_for {
                Some(reason) => reason.text,
                None => format!("{} on node {} is being started", key.unit, key.node),
            };
            let tell = Told::Error(format!("gave up after the start timeout: {what}"));
            let path = proxy.path;
            acts.push_back(Act::Proxy { path, tell });
        }
    }

    pub(super) fn poll(&mut self) -> Option<Delta<ClaimKey, Claim>> {
        self.claims.poll()
    }

    fn forget(&mut self, key: &ClaimKey) -> Option<Proxy> {
        self.claims.drop(key);
        self.proxies.remove(key)
    }

    /// A token for an attempt, which nobody else ever had.
    fn token(&mut self) -> Token {
        self.attempts += 1;
        let unique = self.terms.map_or(0, |terms| terms.unique);
        let bits = u128::from(unique) << 64 | u128::from(self.attempts);
        Token(bits.to_be_bytes())
    }
}

fn up(path: &str, reason: &'static str) -> Act {
    Act::Proxy {
        path: path.to_owned(),
        tell: Told::State("active", "running", reason),
    }
}
