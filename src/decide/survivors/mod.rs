//! Dead siblings: who is dead, who steps in when, and what may then be removed. Pure tables; the
//! engine adds the requests.
//!
//! A node that loses power cannot withdraw itself. A daemon that may list nodes (a survivor) watches
//! them all and removes the record sets of a sibling that has been not Ready or gone for a grace.
//! There is no leader: survivors put themselves in an order for each dead node ([`rank`]) and step in
//! one after the other. The deletion is by exact match, so two at once do no harm.
//!
//! Who is never dead: an owner that this daemon has never seen in the list of nodes (it may be a host
//! without Kubernetes), the own node, and everybody while the list is unknown. A time in which nothing
//! was known proves nothing: then every wait starts over.

mod ledger;
mod order;
mod removal;

use std::fmt;
use std::time::Duration;

use crate::decide::node::{Cluster, Readiness};
use crate::decide::time::Moment;

pub use ledger::Ledger;
pub use order::{STEP, rank};
pub use removal::{Part, Terms, owned_by, removal, witnessed};

/// Whether this daemon may remove anything, by what the list of nodes says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// The list of nodes is not known.
    Unknown,
    /// The own node is not in the list, or not Ready: then it may be this node that is cut off.
    NotFit,
    /// More than half of the known nodes are not Ready or gone: then it is more likely the control
    /// plane that is wrong, or nobody is left to answer.
    Frozen {
        /// How many are not Ready or gone.
        down: usize,
        /// How many there are.
        known: usize,
    },
    /// Everything is as it must be for a dead node to be removed.
    Watching {
        /// How many are not Ready or gone.
        down: usize,
        /// How many there are.
        known: usize,
    },
}

impl Outlook {
    /// What `cluster` allows the daemon on the node `own`. `gone` is how many owners of record sets
    /// have been in the list before and are no longer.
    pub fn of(cluster: &Cluster, own: &str, gone: usize) -> Self {
        if cluster.get(own) != Some(&Readiness::Ready) {
            return Outlook::NotFit;
        }
        let not_ready = cluster.values().filter(|readiness| **readiness != Readiness::Ready).count();
        let (down, known) = (not_ready + gone, cluster.len() + gone);
        if is_majority(down, known) { Outlook::Frozen { down, known } } else { Outlook::Watching { down, known } }
    }

    /// The word for it in `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Outlook::Unknown => "unknown",
            Outlook::NotFit => "not_fit",
            Outlook::Frozen { .. } => "frozen",
            Outlook::Watching { .. } => "watching",
        }
    }

    /// Whether dead nodes may be removed.
    pub fn allows_removal(self) -> bool {
        matches!(self, Outlook::Watching { .. })
    }

    /// Whether it is the same but for the numbers.
    pub fn is_like(self, other: Outlook) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outlook::Unknown => f.write_str("the list of nodes is not known"),
            Outlook::NotFit => f.write_str("this node is not in the list of nodes, or not Ready"),
            Outlook::Frozen { down, known } => {
                write!(f, "survivors frozen: {down} of {known} nodes are not Ready or gone, so nothing is removed")
            }
            Outlook::Watching { down: 0, known } => write!(f, "all {known} nodes are Ready"),
            Outlook::Watching { down, known } => write!(f, "{down} of {known} nodes are not Ready or gone"),
        }
    }
}

/// What the engine can say of the survivors at any moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurvivorsReport {
    /// Whether anything may be removed.
    pub outlook: Outlook,
    /// How many nodes are known: those in the list, and the owners that are gone from it.
    pub nodes: usize,
    /// How many of them are not Ready or gone.
    pub not_ready: usize,
    /// Those that own a record set here, by name.
    pub dead: Vec<DeadNode>,
}

/// A sibling that is not Ready or gone, and owns a record set in one of our pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadNode {
    /// Its name.
    pub node: String,
    /// Whether its Node is gone, rather than not Ready.
    pub gone: bool,
    /// Since when this daemon has seen it so, without a break.
    pub since: Moment,
    /// When this daemon steps in, should nobody have been faster; `None` while it may not.
    pub removal_at: Option<Moment>,
}

/// Whether more of the known nodes are down than can be believed: then nothing is removed.
pub fn is_majority(down: usize, known: usize) -> bool {
    down * 2 > known
}

/// How long a fresh reading of the nodes may be leaned on.
pub const CONFIRMED_FOR: Duration = Duration::from_secs(10);

/// A removal that has not been answered this long after it was decided is given up: one that waits for
/// its turn must not reach Route 53 when its node has long been back.
pub const REMOVAL_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(nodes: &[(&str, bool)]) -> Cluster {
        let readiness = |ready| if ready { Readiness::Ready } else { Readiness::NotReady(None) };
        nodes.iter().map(|(name, ready)| ((*name).to_owned(), readiness(*ready))).collect()
    }

    #[test]
    fn more_than_half_down_freezes_and_half_does_not() {
        let (up, down) = (true, false);
        for (nodes, gone, expected) in [
            (&[("me", up)][..], 0, Outlook::Watching { down: 0, known: 1 }),
            (&[("me", up), ("a", down)], 0, Outlook::Watching { down: 1, known: 2 }),
            (&[("me", up), ("a", down), ("b", down)], 0, Outlook::Frozen { down: 2, known: 3 }),
            (&[("me", up)], 1, Outlook::Watching { down: 1, known: 2 }),
            (&[("me", up), ("a", down)], 1, Outlook::Frozen { down: 2, known: 3 }),
            (&[("me", up), ("a", up), ("b", down)], 1, Outlook::Watching { down: 2, known: 4 }),
            (&[("me", down), ("a", up)], 0, Outlook::NotFit),
            (&[("a", up), ("b", up)], 0, Outlook::NotFit),
            (&[], 0, Outlook::NotFit),
        ] {
            assert_eq!(Outlook::of(&cluster(nodes), "me", gone), expected, "{nodes:?} and {gone} gone");
        }
    }

    #[test]
    fn a_freeze_says_how_many() {
        let text = Outlook::Frozen { down: 3, known: 5 }.to_string();
        assert_eq!(text, "survivors frozen: 3 of 5 nodes are not Ready or gone, so nothing is removed");
    }
}
