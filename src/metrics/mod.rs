//! The metrics, for whoever watches many nodes: over HTTP, or as a file for node_exporter.
//!
//! What is true now comes out of the [`Status`] that `nodedns status` shows, at the moment of asking, so
//! that the two cannot differ. What has happened is counted as it happens. What is not known is not there:
//! a 0 would be a claim.

mod counts;
pub mod definitions;
mod exposition;
pub mod server;
pub mod textfile;

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::control::protocol::Status;

pub use counts::Counts;

/// What netlink has told of since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Netlink {
    /// Notifications, by what they were about.
    pub events: [(&'static str, u64); 4],
    /// How often the kernel had to drop some.
    pub overruns: u64,
}

/// Everything that there is to tell, put together when somebody asks.
pub struct Exposition {
    status: watch::Receiver<Arc<Status>>,
    counts: Arc<Counts>,
    netlink: Box<dyn Fn() -> Netlink + Send + Sync>,
}

impl Exposition {
    /// Tells of these. `netlink` is asked each time.
    pub fn new(
        status: watch::Receiver<Arc<Status>>,
        counts: Arc<Counts>,
        netlink: impl Fn() -> Netlink + Send + Sync + 'static,
    ) -> Self {
        Exposition { status, counts, netlink: Box::new(netlink) }
    }

    /// The metrics in Prometheus's text format 0.0.4.
    ///
    /// # Errors
    /// When the definitions are not what Prometheus allows, which the tests rule out.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        exposition::text(&self.status(), &self.counts, &(self.netlink)())
    }

    fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").field("counts", &self.counts).finish_non_exhaustive()
    }
}
