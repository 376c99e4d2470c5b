//! The words for what a prune decides.

use std::collections::BTreeSet;
use std::fmt;

use super::{Dead, NOT_A_NODE, Refusal, Why};
use crate::decide::time::Lasting;

impl Why {
    /// The reason in snake case, stable for scripts.
    pub fn as_str(&self) -> &'static str {
        match self {
            Why::Live => "live",
            Why::Cordoned => "cordoned",
            Why::NotReadyFor(_) => "not_ready_within_grace",
            Why::Ignored => "not_ready_ignored",
            Why::SinceUnknown => "not_ready_since_unknown",
            Why::GoneLately => "gone_within_grace",
            Why::NotAsked => "not_asked",
            Why::Changed => "changed",
            Why::KeepMin(..) => "keep_min",
            Why::NotANode => "not_a_node",
            Why::KeepNode => "keep_nodes",
            Why::OtherCluster => "other_cluster",
            Why::Foreign => "foreign",
            Why::TrafficPolicy => "traffic_policy",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Live => f.write_str("its node is Ready"),
            Why::Cordoned => f.write_str("its node is Ready, and cordoned"),
            Why::NotReadyFor(lasts) => {
                write!(f, "its node has not been Ready for {} only", Lasting(*lasts))
            }
            Why::Ignored => {
                f.write_str("its node is not Ready or gone, which the record ignores, by signals.not_ready")
            }
            Why::SinceUnknown => f.write_str("its node is not Ready, but since when the cluster does not say"),
            Why::GoneLately => f.write_str("its node is gone, but was there by the first look"),
            Why::NotAsked => f.write_str("its node is dead, but not one of those asked for"),
            Why::Changed => f.write_str("its node is dead, but it has changed since it was shown"),
            Why::KeepMin(count, dead) => write!(
                f,
                "its node {dead}, but keep_min = {count} asks for as many others at the name whose nodes may be alive"
            ),
            Why::NotANode => f.write_str(NOT_A_NODE),
            Why::KeepNode => f.write_str("its node is dead, but prune.keep_nodes names it"),
            Why::OtherCluster => f.write_str("it belongs to another cluster"),
            Why::Foreign => f.write_str("not written by nodedns"),
            Why::TrafficPolicy => f.write_str("a traffic policy has made it"),
        }
    }
}

impl fmt::Display for Dead {
    /// What follows "the node".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dead::Gone => f.write_str("is gone"),
            Dead::NotReady(lasts, None) => write!(f, "has not been Ready for {}", Lasting(*lasts)),
            Dead::NotReady(lasts, Some(reason)) => {
                write!(f, "has not been Ready for {} ({reason})", Lasting(*lasts))
            }
        }
    }
}

impl Refusal {
    /// The refusal in snake case, stable for scripts.
    pub fn as_str(&self) -> &'static str {
        match self {
            Refusal::NoNodes => "no_nodes",
            Refusal::WrongCluster { .. } => "wrong_cluster",
            Refusal::OwnersGone { .. } => "owners_gone",
            Refusal::Majority { .. } => "majority_down",
            Refusal::TooMany { .. } => "too_many",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoNodes => f.write_str("the cluster says that it has no nodes, which cannot be"),
            Refusal::WrongCluster { owners, nodes } => {
                write!(
                    f,
                    "this looks like another cluster: none of the nodes that own record sets ({}) is among its \
                     {nodes} nodes\nhint: check the kubeconfig and 'cluster'",
                    some(owners)
                )
            }
            Refusal::OwnersGone { gone, owners } => write!(
                f,
                "{} of the {owners} nodes that own record sets are not among the cluster's ({}): it may be another \
                 cluster\nhint: check the kubeconfig and 'cluster'; if they really are gone, --allow-majority-down \
                 goes on all the same",
                gone.len(),
                some(gone)
            ),
            Refusal::Majority { down, gone, known } => write!(
                f,
                "{down} of {known} nodes are not Ready or gone ({gone} gone): it may be the control plane that is \
                 wrong\nhint: if they really are, --allow-majority-down goes on all the same"
            ),
            Refusal::TooMany { would, may, .. } => write!(
                f,
                "{would} record sets would be deleted, and --max-delete allows {may}\nhint: look at them with \
                 'nodedns list', then raise --max-delete or name nodes with --node"
            ),
        }
    }
}

/// The first few of them.
fn some(nodes: &BTreeSet<String>) -> String {
    const SAID: usize = 5;
    let more = if nodes.len() > SAID { ", …" } else { "" };
    nodes.iter().map(String::as_str).take(SAID).collect::<Vec<_>>().join(", ") + more
}

impl std::error::Error for Refusal {}
