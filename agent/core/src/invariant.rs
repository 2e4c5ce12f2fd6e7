//! What must be true of a node between any two inputs. Tests and simulations check it after each.

use crate::{
    Node,
    limits::{
        CLAIMS_MAX, EARLY_MAX, ENDS_MAX, HOLDS_MAX, JOBS_MAX, UNITS_MAX, WAITERS_MAX, WAITS_MAX,
    },
};

impl Node {
    /// Checks everything that must be true between two inputs, after all outputs were taken.
    ///
    /// # Errors
    ///
    /// Says what is not true.
    pub fn check(&self) -> Result<(), String> {
        self.holds.check(&self.units, &self.calls)?;
        self.claims.check(&self.calls)?;
        self.upheld.check(&self.units)?;
        self.waits.check(&self.holds, &self.calls)?;
        if !self.jobs.are_requests_right() {
            return Err("requests are known by jobs that are not, or the other way round".into());
        }
        let bounds = [
            ("claims", self.claims.len(), CLAIMS_MAX),
            (
                "held units",
                self.holds.len(),
                HOLDS_MAX.saturating_add(UNITS_MAX),
            ),
            ("jobs", self.jobs.len(), JOBS_MAX),
            ("ends of jobs", self.jobs.ended_len(), ENDS_MAX),
            ("early ends of jobs", self.calls.early(), EARLY_MAX),
            ("units", self.units.len(), UNITS_MAX),
            ("orders", self.orders.len(), WAITERS_MAX),
            ("starts that wait", self.waits.len(), WAITS_MAX),
        ];
        match bounds.into_iter().find(|(_, there, max)| there > max) {
            Some((what, there, max)) => Err(format!("there are {there} {what}, at most {max}")),
            None => Ok(()),
        }
    }
}
