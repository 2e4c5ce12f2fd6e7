//! What systemd has said since an attempt began.
//!
//! An agent that was frozen, or is merely late, has news of systemd before it that are older than the attempt it
//! has just heard of: a hold unit may have been up all that time in its eyes, and gone in truth. So no attempt is
//! called up before a call that was made after it came is answered: what is told with the answer and after it
//! is newer than the attempt. The start of the hold unit is such a call; where it is not started, it is looked at.

use std::collections::BTreeSet;

use proto::name::NodeName;

use crate::{call::Calls, input::CallId};

/// The sources whose present attempt has not seen such an answer.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Proof {
    /// Nothing was asked for since they came.
    wanted: BTreeSet<NodeName>,
    /// This call was made since they came.
    asked: Option<(CallId, BTreeSet<NodeName>)>,
}

impl Proof {
    /// A source has a new attempt.
    pub(super) fn want(&mut self, source: NodeName) {
        self.wanted.insert(source);
    }

    /// Whether what systemd has said last is newer than the attempt of a source.
    pub(super) fn is_there(&self, source: &NodeName) -> bool {
        let asked = self.asked.as_ref();
        !self.wanted.contains(source) && asked.is_none_or(|(_, sources)| !sources.contains(source))
    }

    /// Whether something is to be asked for: one call at a time, which is enough for all that came before it.
    pub(super) fn is_to_ask(&self) -> bool {
        self.asked.is_none() && !self.wanted.is_empty()
    }

    /// A call was made.
    pub(super) fn asked(&mut self, call: CallId) {
        if self.asked.is_none() {
            self.asked = Some((call, std::mem::take(&mut self.wanted)));
        }
    }

    /// A call was answered. Returns whether it was the one that was waited for. An error is an answer too.
    pub(super) fn answered(&mut self, call: CallId) -> bool {
        self.asked.take_if(|(asked, _)| *asked == call).is_some()
    }

    /// systemd is out of reach, and will not answer.
    pub(super) fn lost(&mut self) {
        if let Some((_, sources)) = self.asked.take() {
            self.wanted.extend(sources);
        }
    }

    /// Forgets sources for which it is of no matter any more.
    pub(super) fn retain(&mut self, matters: impl Fn(&NodeName) -> bool) {
        self.wanted.retain(&matters);
    }

    pub(super) fn is_alive(&self, calls: &Calls) -> bool {
        self.asked
            .as_ref()
            .is_none_or(|(call, _)| calls.is_open(*call))
    }
}
