//! The `[prune]` table of the file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[prune]` table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawPrune {
    /// Globs (`*`, `?`) over the names of nodes whose record sets `nodedns prune` never deletes: hosts
    /// that publish under this cluster's name without being Kubernetes nodes, which look as if they
    /// were gone. `nodedns list` shows them as unknown. Survivors need no such list, as they remove
    /// nothing of an owner that they have never seen among the nodes.
    #[schemars(example = &["nas", "vm-*"])]
    pub keep_nodes: Vec<String>,
}
