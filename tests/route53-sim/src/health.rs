//! Health checks.

use std::collections::BTreeMap;

/// The account's health checks, by id.
#[derive(Debug, Default)]
pub struct HealthChecks {
    checks: BTreeMap<String, ()>,
}

impl HealthChecks {
    /// A health check.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&()> {
        self.checks.get(id)
    }
}
