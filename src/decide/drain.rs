//! The operator's word that a node shall leave DNS.

use crate::decide::time::Moment;

/// A drain that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drain {
    /// When it ends by itself; `None` when only a resume ends it.
    pub until: Option<Moment>,
    /// Whether it may leave a pool with fewer than `keep_min` record sets.
    pub force: bool,
}

impl Drain {
    /// Whether it is in force at `now`.
    pub fn is_in_force(&self, now: Moment) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}
