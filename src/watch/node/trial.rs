//! The daemon's own list and watch, tried once, for a command that says whether they are allowed.
//!
//! It is the session that the daemon itself makes: a right to list without the right to watch shows
//! here as it would there.

use super::NodeWatchSettings;
use super::cluster::AllNodes;
use super::failure::Asked;
use super::once::ReadError;
use super::opener::Opener;
use super::view::{OwnNode, Scope, View};
use crate::decide::node::{Cluster, NodeState};

/// Lists the own Node and begins to watch it. Each answer may take [`Timing::answer`](super::Timing::answer).
///
/// Needs to be called on a Tokio runtime.
///
/// # Errors
/// When the daemon would not come to know the Node.
pub async fn own_node(settings: &NodeWatchSettings) -> Result<NodeState, ReadError> {
    first_state::<OwnNode>(settings).await
}

/// Lists all Nodes and begins to watch them, likewise.
///
/// # Errors
/// When the daemon would not come to know them.
pub async fn cluster(settings: &NodeWatchSettings) -> Result<Cluster, ReadError> {
    first_state::<AllNodes>(settings).await
}

/// A session tells of no state before a watch has been answered.
async fn first_state<V: View>(settings: &NodeWatchSettings) -> Result<V::State, ReadError> {
    let mut opener: Opener<V> = Opener::new(settings.clone());
    let first = opener.first_state().await;
    let asked = match V::SCOPE {
        Scope::Own => Asked::Own { node: &settings.node, again: false },
        Scope::All => Asked::All { again: false },
    };
    first.map(|(_, state)| state).map_err(|failure| ReadError::new(&failure, asked, &settings.kubeconfig))
}
