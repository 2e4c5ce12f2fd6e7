//! One request for a job, under a name of its own.

use std::time::Instant;

use proto::{
    dbus::public,
    model::{Cookie, JobKind},
};
use rustix::rand::{GetRandomFlags, getrandom};
use zbus::Message;

use crate::{bus, fault::Fault, fleet::Target};

/// A request, and how it was made.
#[derive(Debug)]
pub(super) struct Call {
    cookie: Cookie,
    made: Made,
}

/// How a request was made last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    /// Under its name, once.
    First,
    /// Under its name, and not for the first time.
    Again,
    /// Without a name: whoever was asked knows none.
    Plainly,
}

impl Call {
    /// A request that is about to be made for the first time.
    pub(super) fn new() -> Result<Self, Fault> {
        let mut bits = [0; 16];
        // So many bytes are never given in part, getrandom(2).
        getrandom(&mut bits, GetRandomFlags::empty()).map_err(|error| Fault::Refused {
            name: "random".into(),
            text: format!("there are no random bits for the name of a request: {error}"),
        })?;
        let (cookie, made) = (Cookie(bits), Made::First);
        Ok(Self { cookie, made })
    }

    /// The call that makes it for the first time.
    pub(super) fn first(&self, kind: JobKind, target: &Target) -> Result<Message, Fault> {
        self.enqueue(kind, target, 0)
    }

    /// The call that repeats it; none, if it was made without its name. It was made for the first time at `began` or
    /// later.
    pub(super) fn again(
        &mut self,
        kind: JobKind,
        target: &Target,
        began: Instant,
    ) -> Result<Option<Message>, Fault> {
        match self.made {
            Made::First | Made::Again => {
                self.made = Made::Again;
                let age = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.enqueue(kind, target, age.max(1)).map(Some)
            }
            Made::Plainly => Ok(None),
        }
    }

    fn enqueue(&self, kind: JobKind, target: &Target, age: u64) -> Result<Message, Fault> {
        let Target { node, unit } = target;
        let cookie = self.cookie.to_string();
        let body = (
            kind.as_str(),
            unit.as_str(),
            "replace",
            cookie.as_str(),
            age,
        );
        bus::node_call(node, public::NODE_OWN, "Enqueue", &body)
    }

    /// The call that makes it without its name.
    pub(super) fn plainly(&mut self, kind: JobKind, target: &Target) -> Result<Message, Fault> {
        self.made = Made::Plainly;
        let Target { node, unit } = target;
        let method = match kind {
            JobKind::Start => "StartUnit",
            JobKind::Stop => "StopUnit",
            JobKind::Restart => "RestartUnit",
            JobKind::Reload => "ReloadUnit",
        };
        bus::node_call(node, public::NODE, method, &(unit.as_str(), "replace"))
    }

    /// Whoever was asked knows no names, so from now on it is looked for without its own.
    pub(super) fn knows_no_cookies(&mut self) {
        self.made = Made::Plainly;
    }

    pub(super) fn is_first(&self) -> bool {
        self.made == Made::First
    }

    pub(super) fn is_repeated(&self) -> bool {
        self.made == Made::Again
    }
}
