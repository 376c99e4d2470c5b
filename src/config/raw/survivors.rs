//! The `[survivors]` table of the file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::duration::Span;

/// The `[survivors]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawSurvivors {
    /// Whether it does. Off by default, as it deletes what other nodes have written.
    pub enabled: bool,

    /// How long a node must have been not Ready, or gone, before its record sets are removed; counted
    /// from when this daemon saw it first, and anew after every time in which the list of nodes could
    /// not be read. It comes on top of the 40 to 50 s that Kubernetes takes to call a dead node not
    /// Ready. Between `30s` and `24h`: less could not be told from a node that comes back.
    /// From a record whose `signals.not_ready` waits for longer than that, it is removed after that wait.
    pub grace: Span,
}

impl Default for RawSurvivors {
    fn default() -> Self {
        RawSurvivors { enabled: false, grace: Span::seconds(5 * 60) }
    }
}
