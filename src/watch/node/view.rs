//! What is watched: the own Node, or all of them.

use std::fmt;

use kube::runtime::watcher;

use super::NodeWatchSettings;
use super::failure::{Asked, Cause};
use super::identity::NodeName;
use super::object::Node;
use crate::decide::node::NodeState;

/// Which Nodes the API server is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The own one, by its name.
    Own,
    /// All of them.
    All,
}

impl Scope {
    /// What a watch on this node asks for, again and again.
    pub(super) fn asked(self, node: &NodeName) -> Asked<'_> {
        match self {
            Scope::Own => Asked::Own { node, again: true },
            Scope::All => Asked::All { again: true },
        }
    }
}

/// What a list and the watches after it add up to.
pub(super) trait View: Send + Sized + 'static {
    /// What is told whenever it has changed.
    type State: fmt::Debug + Clone + PartialEq + Send + 'static;

    /// Which Nodes are asked for.
    const SCOPE: Scope;

    /// What it is called in the log.
    const SUBJECT: &'static str;

    /// A view that has seen nothing yet.
    fn new(settings: &NodeWatchSettings) -> Self;

    /// What to ask for, but for the time that a watch may last.
    fn request(&self) -> watcher::Config;

    /// Takes in what the server has said. The state, whole, when there is one and it may have changed.
    ///
    /// # Errors
    /// What was said cannot be the truth, and the session is of no use.
    fn take_in(&mut self, event: watcher::Event<Node>) -> Result<Option<Self::State>, Cause>;
}

/// The own Node.
pub(super) struct OwnNode {
    node: NodeName,
    /// What the list has said so far.
    listing: NodeState,
}

impl View for OwnNode {
    type State = NodeState;
    const SCOPE: Scope = Scope::Own;
    const SUBJECT: &'static str = "the node's state";

    fn new(settings: &NodeWatchSettings) -> Self {
        OwnNode { node: settings.node.clone(), listing: NodeState::Absent }
    }

    fn request(&self) -> watcher::Config {
        watcher::Config::default().fields(&format!("metadata.name={}", self.node))
    }

    fn take_in(&mut self, event: watcher::Event<Node>) -> Result<Option<NodeState>, Cause> {
        use watcher::Event;
        let is_own = |node: &Node| node.name() == Some(self.node.as_str());
        let present = |node: Node| NodeState::Present(node.into());
        let mut state = None;
        match event {
            Event::Init => self.listing = NodeState::Absent,
            Event::InitApply(node) if is_own(&node) => self.listing = present(node),
            Event::InitDone => state = Some(std::mem::replace(&mut self.listing, NodeState::Absent)),
            Event::Apply(node) if is_own(&node) => state = Some(present(node)),
            Event::Delete(node) if is_own(&node) => state = Some(NodeState::Absent),
            // A server that ignores the field selector tells of others, too.
            Event::InitApply(_) | Event::Apply(_) | Event::Delete(_) => {}
        }
        Ok(state)
    }
}
