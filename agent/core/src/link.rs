//! The link to the controller: connecting, waiting between attempts, registering, heartbeats.
//!
//! | state | true in it | leaves it |
//! |---|---|---|
//! | idle | the service manager was never reached: there is nothing true to tell yet | its first snapshot |
//! | waiting | the last attempt failed | its time |
//! | connecting | the shell was asked to connect | connected, failed, ten seconds |
//! | greeting | the hello is sent | welcome, rejected, closed, the same ten seconds |
//! | registered | the controller knows this node | closed, silence, a breach of the protocol |
//! | stopped | the agent ends | nothing |
//!
//! Attempts never end. Addresses are tried in order without a wait between them, and each round
//! waits longer than the last. The count begins anew with a connection on which the node was registered,
//! and is called again at once when it ends; but connections of which each is shorter than the wait that it
//! costs count as failed, so a controller that takes connections and drops them is not called in a
//! hot loop ([`proto::backoff::Backoff::too_short`]).

use std::{collections::BTreeSet, time::Duration};

use proto::{
    message::{Hello, PROTOCOL, ToController, Welcome},
    model::Reason,
    rhythm::Rhythm,
    time::Moment,
};

use crate::{
    Settings,
    call::Cx,
    input::{LinkId, Live},
    limits::{COMPLAINTS_MAX, REGISTRATION},
    output::{Event, Output},
};

/// The link and all that is remembered between its connections.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Link {
    state: State,
    last: u64,
    attempt: u32,
    /// Connections in a row on which the node was registered, and which ended too soon.
    too_short: u32,
    random: u64,
    /// What was logged in this outage.
    complaints: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Idle,
    Waiting {
        until: Moment,
    },
    Connecting {
        on: Attempt,
    },
    Greeting {
        on: Attempt,
    },
    Registered {
        on: Attempt,
        since: Moment,
        heard: Moment,
        beat: Rhythm,
    },
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Attempt {
    link: LinkId,
    address: usize,
    since: Moment,
}

/// Whether there is a controller, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkStatus {
    /// There is none yet, or not any more.
    Unreachable,
    /// The node is registered.
    Registered {
        /// The address of the controller.
        address: String,
    },
}

impl Link {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: State::Idle,
            last: 0,
            attempt: 0,
            too_short: 0,
            random: seed,
            complaints: BTreeSet::new(),
        }
    }

    /// The connection on which the node is registered.
    pub(crate) fn registered(&self) -> Option<LinkId> {
        match &self.state {
            State::Registered { on, .. } => Some(on.link),
            State::Idle
            | State::Waiting { .. }
            | State::Connecting { .. }
            | State::Greeting { .. }
            | State::Stopped => None,
        }
    }

    /// Whether something that was told about a connection is about the present one.
    pub(crate) fn is_present(&self, link: LinkId) -> bool {
        self.present().is_some_and(|on| on.link == link)
    }

    pub(crate) fn status(&self, settings: &Settings) -> LinkStatus {
        match &self.state {
            State::Registered { on, .. } => LinkStatus::Registered {
                address: address(settings, on.address),
            },
            State::Idle
            | State::Waiting { .. }
            | State::Connecting { .. }
            | State::Greeting { .. }
            | State::Stopped => LinkStatus::Unreachable,
        }
    }

    pub(crate) fn deadline(&self, settings: &Settings) -> Option<(Moment, &'static str)> {
        match &self.state {
            State::Idle | State::Stopped => None,
            State::Waiting { until } => Some((*until, "connect again")),
            State::Connecting { on } => Some((on.since.plus(REGISTRATION), "connecting")),
            State::Greeting { on } => Some((on.since.plus(REGISTRATION), "registration")),
            State::Registered { heard, beat, .. } => {
                let silent = heard.plus(settings.live.heartbeat_threshold);
                match beat.due() {
                    Some(beat) if beat <= silent => Some((beat, "heartbeat")),
                    Some(_) | None => Some((silent, "controller is silent")),
                }
            }
        }
    }

    /// There is something to tell: connects at once.
    pub(crate) fn start(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::Idle {
            self.again(cx);
        }
    }

    /// Connects anew, because the addresses have changed.
    pub(crate) fn restart(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::Idle || self.state == State::Stopped {
            return;
        }
        self.hang_up(cx);
        (self.attempt, self.too_short) = (0, 0);
        self.complaints.clear();
        self.again(cx);
    }

    /// Says goodbye for good.
    pub(crate) fn stop(&mut self, cx: &mut Cx<'_>) {
        cx.say(ToController::Goodbye);
        self.hang_up(cx);
        self.state = State::Stopped;
    }

    /// The connection stands.
    pub(crate) fn connected(&mut self, cx: &mut Cx<'_>) {
        let State::Connecting { on } = &self.state else {
            return;
        };
        let on = *on;
        self.state = State::Greeting { on };
        cx.out.push(Output::Send {
            link: on.link,
            message: ToController::Hello(Hello {
                node: cx.settings.node.clone(),
                protocol: PROTOCOL,
                version: cx.settings.version.clone(),
                boot_id: cx.settings.boot_id.clone(),
                incarnation: cx.settings.incarnation,
            }),
        });
    }

    /// The controller has registered this node. Returns false where it has already.
    pub(crate) fn welcomed(&mut self, welcome: &Welcome, cx: &mut Cx<'_>) -> bool {
        let State::Greeting { on } = &self.state else {
            return false;
        };
        let on = *on;
        self.complaints.clear();
        self.state = State::Registered {
            on,
            since: cx.now,
            heard: cx.now,
            beat: Rhythm::after(cx.now, cx.settings.live.heartbeat_interval, self.random),
        };
        cx.event(Event::Registered {
            address: address(cx.settings, on.address),
            version: welcome.version.clone(),
        });
        true
    }

    /// The controller does not want this node.
    pub(crate) fn rejected(&mut self, reason: Reason, cx: &mut Cx<'_>) {
        let Some(on) = self.present() else {
            return;
        };
        cx.out.push(Output::Disconnect(on.link));
        if self.is_news(&format!("rejected {}", reason.text)) {
            let address = address(cx.settings, on.address);
            cx.event(Event::Rejected { address, reason });
        }
        self.again(cx);
    }

    /// The controller said something, whatever it was.
    pub(crate) fn heard(&mut self, now: Moment) {
        if let State::Registered { heard, .. } = &mut self.state {
            *heard = now;
        }
    }

    /// The connection could not be made, or has ended.
    pub(crate) fn closed(&mut self, why: String, cx: &mut Cx<'_>) {
        let Some(on) = self.present() else {
            return;
        };
        if self.ended(cx) {
            cx.event(Event::LinkLost { why });
        } else if self.is_news(&format!("{} {why}", on.address)) {
            let address = address(cx.settings, on.address);
            cx.event(Event::Unreachable { address, why });
        }
        self.again(cx);
    }

    /// Heartbeats may have another interval; the next ones are due by that.
    pub(crate) fn configured(&mut self, now: Moment, live: &Live) {
        if let State::Registered { beat, .. } = &mut self.state {
            beat.set_spacing(now, live.heartbeat_interval);
        }
    }

    /// The controller did not follow the protocol.
    pub(crate) fn breach(&mut self, why: String, cx: &mut Cx<'_>) {
        let Some(on) = self.present() else {
            return;
        };
        cx.out.push(Output::Disconnect(on.link));
        self.ended(cx);
        if self.is_news(&format!("breach {why}")) {
            cx.event(Event::Breach { why });
        }
        self.again(cx);
    }

    /// Time has passed. Returns true where the controller has been silent for too long, and the
    /// connection is given up.
    pub(crate) fn timeout(&mut self, cx: &mut Cx<'_>) -> bool {
        let now = cx.now;
        match &mut self.state {
            State::Idle | State::Stopped => {}
            State::Waiting { until } if now >= *until => self.connect(cx),
            State::Waiting { .. } => {}
            State::Connecting { on } | State::Greeting { on } => {
                if now >= on.since.plus(REGISTRATION) {
                    cx.out.push(Output::Disconnect(on.link));
                    self.closed(format!("no answer for {REGISTRATION:?}"), cx);
                }
            }
            State::Registered {
                on, heard, beat, ..
            } => {
                let threshold = cx.settings.live.heartbeat_threshold;
                if now >= heard.plus(threshold) {
                    cx.out.push(Output::Disconnect(on.link));
                    self.closed(format!("nothing was heard for {threshold:?}"), cx);
                    return true;
                }
                if beat.take(now) {
                    cx.say(ToController::Heartbeat);
                }
            }
        }
        false
    }

    fn present(&self) -> Option<Attempt> {
        match &self.state {
            State::Connecting { on } | State::Greeting { on } | State::Registered { on, .. } => {
                Some(*on)
            }
            State::Idle | State::Waiting { .. } | State::Stopped => None,
        }
    }

    fn hang_up(&mut self, cx: &mut Cx<'_>) {
        if let Some(on) = self.present() {
            cx.out.push(Output::Disconnect(on.link));
        }
    }

    /// Whether the node was registered on the connection that ends. The attempts before it are
    /// forgotten then, since there is a controller; not so the connections like it that were short.
    fn ended(&mut self, cx: &Cx<'_>) -> bool {
        let State::Registered { since, .. } = &self.state else {
            return false;
        };
        let live = &cx.settings.live;
        let lasted = cx.now.since(*since);
        self.too_short = live.reconnect.too_short(self.too_short, lasted);
        let addresses = u32::try_from(live.controllers.len()).unwrap_or(u32::MAX);
        self.attempt = self.too_short.saturating_mul(addresses);
        true
    }

    /// Waits for the next attempt as long as it takes, which may be no time.
    fn again(&mut self, cx: &mut Cx<'_>) {
        let Some((round, first)) = self.round(cx.settings) else {
            self.state = State::Idle;
            return;
        };
        let wait = if first {
            cx.settings.live.reconnect.wait(round, self.random())
        } else {
            Duration::ZERO
        };
        if wait.is_zero() {
            self.connect(cx);
        } else {
            self.state = State::Waiting {
                until: cx.now.plus(wait),
            };
        }
    }

    fn connect(&mut self, cx: &mut Cx<'_>) {
        let addresses = u32::try_from(cx.settings.live.controllers.len()).unwrap_or(u32::MAX);
        let address = self.attempt.checked_rem(addresses).unwrap_or(0) as usize;
        self.attempt = self.attempt.saturating_add(1);
        self.last = self.last.saturating_add(1);
        let link = LinkId(self.last);
        let on = Attempt {
            link,
            address,
            since: cx.now,
        };
        self.state = State::Connecting { on };
        cx.out.push(Output::Connect { link, address });
    }

    /// The round of the next attempt, and whether it is the first of it.
    fn round(&self, settings: &Settings) -> Option<(u32, bool)> {
        let addresses = u32::try_from(settings.live.controllers.len()).unwrap_or(u32::MAX);
        let round = self.attempt.checked_div(addresses)?;
        Some((round, self.attempt.checked_rem(addresses)? == 0))
    }

    /// Whether something was not said in this outage yet; a controller that is away for a week is
    /// not worth a million lines.
    fn is_news(&mut self, complaint: &str) -> bool {
        self.complaints.len() < COMPLAINTS_MAX && self.complaints.insert(complaint.to_owned())
    }

    /// The next number of a sequence that the seed decides (SplitMix64).
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn address(settings: &Settings, index: usize) -> String {
    settings
        .live
        .controllers
        .get(index)
        .cloned()
        .unwrap_or_default()
}
