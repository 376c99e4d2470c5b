//! All Nodes of the cluster: which of them are Ready?
//!
//! The same list and watches as for the own Node, without the field selector, so that what is said
//! there of trust, time and certificates holds here too. The state is only ever the whole cluster. A
//! list that fails half way, is empty or lacks the own Node is none: then the state is `Unknown`,
//! never a shorter list.
//!
//! A fresh reading, for whoever is about to act on it, is a second session beside the running one: it
//! lists anew, by the files as they are now, and takes the running one's place.

use kube::runtime::watcher;
use tokio::sync::mpsc;

use super::failure::Cause;
use super::identity::NodeName;
use super::object::Node;
use super::view::{Scope, View};
use super::{NodeWatchSettings, Reader, WatchEvent, watch_view};
use crate::decide::node::{Cluster, Readiness};

/// What is known of the cluster's Nodes, whole.
pub type ClusterEvent = WatchEvent<Cluster>;

/// How many Nodes a page of the list holds. They come with everything that is in them, tens of
/// kilobytes each, and a page is in memory at once.
pub(super) const PAGE: u32 = 100;

/// Watches all Nodes, and sends an event for every change of one's Ready condition, as
/// [`watch`](super::watch) does for the own Node. Each of the `readers` is answered with a list that
/// was made after it asked, or dropped where there is none. Returns only when the receiver of the
/// events is gone.
pub async fn watch_cluster(
    settings: NodeWatchSettings,
    readers: mpsc::UnboundedReceiver<Reader<Cluster>>,
    events: mpsc::UnboundedSender<ClusterEvent>,
) {
    watch_view::<AllNodes>(settings, Some(readers), events).await;
}

/// All Nodes.
pub(super) struct AllNodes {
    own: NodeName,
    /// What the list has said so far.
    listing: Cluster,
    cluster: Cluster,
}

impl AllNodes {
    fn whole(&self) -> Result<Option<Cluster>, Cause> {
        if self.cluster.is_empty() {
            return Err(Cause::NoNodes);
        }
        if !self.cluster.contains_key(self.own.as_str()) {
            return Err(Cause::OwnNodeMissing(self.own.clone()));
        }
        Ok(Some(self.cluster.clone()))
    }

    fn replace(cluster: &mut Cluster, node: Node) -> bool {
        let Some(name) = node.name().map(str::to_owned) else { return false };
        let readiness = node.readiness();
        let before = cluster.insert(name, readiness.clone());
        before != Some(readiness)
    }
}

impl View for AllNodes {
    type State = Cluster;
    const SCOPE: Scope = Scope::All;
    const SUBJECT: &'static str = "the list of nodes";

    fn new(settings: &NodeWatchSettings) -> Self {
        AllNodes { own: settings.node.clone(), listing: Cluster::new(), cluster: Cluster::new() }
    }

    fn request(&self) -> watcher::Config {
        watcher::Config::default().page_size(PAGE)
    }

    fn take_in(&mut self, event: watcher::Event<Node>) -> Result<Option<Cluster>, Cause> {
        use watcher::Event;
        let changed = match event {
            Event::Init => {
                self.listing.clear();
                false
            }
            Event::InitApply(node) => {
                Self::replace(&mut self.listing, node);
                false
            }
            Event::InitDone => {
                self.cluster = std::mem::take(&mut self.listing);
                true
            }
            // Heartbeats, which are most of it, change nothing.
            Event::Apply(node) => Self::replace(&mut self.cluster, node),
            Event::Delete(node) => {
                let before: Option<Readiness> = node.name().and_then(|name| self.cluster.remove(name));
                before.is_some()
            }
        };
        if changed { self.whole() } else { Ok(None) }
    }
}
