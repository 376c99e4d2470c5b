//! Tags of zones and health checks.

/// The account's tags.
#[derive(Debug, Default)]
pub struct Tags {}
