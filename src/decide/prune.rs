//! What a person may have deleted of what dead nodes have left: the guards of `nodedns prune`.
//!
//! As with [`survivors`](crate::decide::survivors), but from one list of the Nodes, and by the word of a
//! person who has seen what would go. Whatever is not known to be dead stays.

mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::decide::batch::{Batch, is_same_text};
use crate::decide::glob::Globs;
use crate::decide::guard::failures_after;
use crate::decide::name::DnsName;
use crate::decide::node::{Nodes, Readiness};
use crate::decide::owner::{OwnerId, SetIdentifier};
use crate::decide::policy::{SignalAction, SignalPolicy};
use crate::decide::record::{Pool, RecordSet, RecordType, Target};
use crate::decide::survivors::{Part, is_majority, witnessed};

/// One pool of a configured name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The hosted zone's id, without `/hostedzone/`.
    pub zone_id: String,
    /// The name.
    pub name: DnsName,
    /// The type.
    pub rtype: RecordType,
    /// How many record sets that may be alive must stay.
    pub keep_min: u32,
    /// What a node that is not Ready, or gone, means to the record, as for survivors.
    pub not_ready: SignalPolicy,
    /// What it holds.
    pub pool: Pool,
    /// Only these may go, and only as they are here, byte for byte: those that were shown. `None`: any.
    pub shown: Option<Vec<RecordSet>>,
}

/// What a prune goes by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The own cluster.
    pub cluster: &'a str,
    /// The nodes of the own cluster that own record sets at other configured names, as far as they were
    /// read. They only say whether this is the right cluster.
    pub elsewhere: &'a BTreeSet<String>,
    /// Every Node of the cluster as it is now.
    pub nodes: &'a Nodes,
    /// Those that were gone by a look a grace earlier. `None` before the second look: then those that are
    /// gone now count as dead, to be shown.
    pub gone_before: Option<&'a BTreeSet<String>>,
    /// How long a Node must not have been Ready; longer where a record waits longer.
    pub grace: Duration,
    /// Only the record sets of these nodes; of all, if there is none.
    pub only: &'a BTreeSet<String>,
    /// Nothing of these nodes is deleted: hosts without Kubernetes that share the cluster's name.
    pub keep_nodes: &'a Globs,
    /// Nothing is deleted if it would be more record sets than this.
    pub max_delete: usize,
    /// Whether to go on although more than half of the nodes are down.
    pub despite_majority: bool,
    /// How often Route 53 has refused what this came to.
    pub refusals: u32,
}

/// What is to be deleted, and what stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// A batch for each place from which something goes: the place's index, and the batch.
    pub removals: Vec<(usize, Batch)>,
    /// Why the nodes of which something goes are dead.
    pub dead: BTreeMap<String, Dead>,
    /// Everything else.
    pub kept: Vec<Kept>,
}

/// Why a node is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dead {
    /// There is no Node of its name.
    Gone,
    /// It has not been Ready for this long; the condition's reason, where it has one.
    NotReady(Duration, Option<String>),
}

/// A record set that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The index of its place.
    pub place: usize,
    /// Its set identifier; `None` for a simple one.
    pub set_identifier: Option<SetIdentifier>,
    /// Why.
    pub why: Why,
}

/// Why a record set stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Its node is Ready.
    Live,
    /// Its node is Ready and cordoned: what to do about that is for its own daemon.
    Cordoned,
    /// Its node has not been Ready for this long, which is less than the grace, or than the record waits.
    NotReadyFor(Duration),
    /// Its node is not Ready or gone, and the record ignores that.
    Ignored,
    /// Its node is not Ready, and since when is not known.
    SinceUnknown,
    /// Its node is gone, but was not a grace ago.
    GoneLately,
    /// Its node is dead, but not one of those that were asked for.
    NotAsked,
    /// Its node is dead, but the record set has changed since it was shown.
    Changed,
    /// Its node is dead, but with it fewer than so many would stay whose nodes may be alive.
    KeepMin(u32, Dead),
    /// Its node is one of those to be kept, and not among the cluster's Nodes.
    NotANode,
    /// Its node is one of those to be kept, and a dead Node.
    KeepNode,
    /// It belongs to another cluster.
    OtherCluster,
    /// It was not written by nodedns.
    Foreign,
    /// A traffic policy instance has made it, which a change batch cannot delete.
    TrafficPolicy,
}

/// Why nothing is known of a host that is to be kept.
pub const NOT_A_NODE: &str = "not a Kubernetes node, by prune.keep_nodes";

/// Why nothing at all is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The list of Nodes is empty.
    NoNodes,
    /// None of the nodes that own record sets is among the cluster's: these, of so many.
    WrongCluster {
        /// The nodes that own record sets.
        owners: BTreeSet<String>,
        /// How many Nodes the cluster has.
        nodes: usize,
    },
    /// More than half of the nodes that own record sets are not among the cluster's, however many Nodes it has
    /// besides.
    OwnersGone {
        /// Those that are not.
        gone: BTreeSet<String>,
        /// How many own record sets.
        owners: usize,
    },
    /// More than half of the nodes are not Ready or gone.
    Majority {
        /// How many are not Ready or gone.
        down: usize,
        /// How many of them are gone.
        gone: usize,
        /// How many there are.
        known: usize,
    },
    /// More record sets would go than may.
    TooMany {
        /// How many would go.
        would: usize,
        /// How many may.
        may: usize,
        /// What would be done, to be shown.
        decision: Box<Decision>,
    },
}

/// How a node of the own cluster is.
enum Standing {
    Ready(Why),
    Down(Why),
    Dead(Dead),
}

/// What may be deleted at these places.
///
/// # Errors
/// [`Refusal`] when the whole does not look as it should: then nothing may be deleted.
pub fn decide(places: &[Place], terms: Terms<'_>) -> Result<Decision, Refusal> {
    if terms.nodes.is_empty() {
        return Err(Refusal::NoNodes);
    }
    // A host that is no Node says nothing of the cluster.
    let is_node = |node: &String| !is_kept_host(node, terms);
    let sets = places.iter().flat_map(|place| place.pool.values());
    let here: BTreeSet<String> = sets.filter_map(|set| owner(set, terms.cluster)).filter(is_node).collect();
    if here.is_empty() {
        return Ok(Decision { kept: everything(places, terms), ..Decision::default() });
    }
    let elsewhere = terms.elsewhere.iter().filter(|node| is_node(node));
    let owners: BTreeSet<String> = here.iter().chain(elsewhere).cloned().collect();
    let gone: BTreeSet<String> = owners.iter().filter(|node| !terms.nodes.contains_key(*node)).cloned().collect();
    if gone.len() == owners.len() {
        return Err(Refusal::WrongCluster { owners, nodes: terms.nodes.len() });
    }
    let not_ready = terms.nodes.values().filter(|node| node.ready != Readiness::Ready).count();
    let (down, known) = (not_ready + gone.len(), terms.nodes.len() + gone.len());
    let any_dead = places.iter().any(|place| {
        let mut owners = place.pool.values().filter_map(|set| owner(set, terms.cluster));
        owners.any(|node| matches!(standing(place, &node, terms), Standing::Dead(_)))
    });
    if any_dead && !terms.despite_majority {
        if is_majority(down, known) {
            return Err(Refusal::Majority { down, gone: gone.len(), known });
        }
        // Another cluster's own Nodes would outvote what its list lacks.
        if is_majority(gone.len(), owners.len()) {
            return Err(Refusal::OwnersGone { gone, owners: owners.len() });
        }
    }
    let decision = everywhere(places, terms);
    match decision.deletions(places) {
        would if would > terms.max_delete => {
            Err(Refusal::TooMany { would, may: terms.max_delete, decision: Box::new(decision) })
        }
        _ => Ok(decision),
    }
}

fn everywhere(places: &[Place], terms: Terms<'_>) -> Decision {
    let mut decision = Decision::default();
    for (index, place) in places.iter().enumerate() {
        let part = |set: &RecordSet| match judge(place, set, terms) {
            Err(_) => Part::Goes,
            // What the nodes say of themselves is better than what nothing is known of.
            Ok(Why::Live) => Part::Witness(0),
            Ok(Why::Cordoned) => Part::Witness(1),
            Ok(Why::NotANode) => Part::Witness(2),
            Ok(Why::OtherCluster) => Part::Witness(3),
            Ok(Why::Foreign) => Part::Witness(4),
            Ok(
                Why::NotReadyFor(_)
                | Why::Ignored
                | Why::SinceUnknown
                | Why::GoneLately
                | Why::NotAsked
                | Why::Changed
                | Why::KeepMin(..)
                | Why::KeepNode
                | Why::TrafficPolicy,
            ) => Part::None,
        };
        let failures = failures_after(terms.refusals);
        let changes = witnessed(&place.name, place.rtype, &place.pool, place.keep_min, failures, part);
        for (identifier, set) in &place.pool {
            match (judge(place, set, terms), &changes) {
                (Ok(why), _) => decision.kept.push(Kept { place: index, set_identifier: identifier.clone(), why }),
                (Err((_, dead)), Err(_)) => {
                    let why = Why::KeepMin(place.keep_min, dead);
                    decision.kept.push(Kept { place: index, set_identifier: identifier.clone(), why });
                }
                (Err((node, dead)), Ok(_)) => {
                    decision.dead.insert(node, dead);
                }
            }
        }
        if let Ok(changes) = changes
            && !changes.is_empty()
        {
            let (zone_id, name) = (place.zone_id.clone(), place.name.clone());
            decision.removals.push((index, Batch { zone_id, name, rtype: place.rtype, changes }));
        }
    }
    decision
}

/// Why each record set stays where none is of the own cluster.
fn everything(places: &[Place], terms: Terms<'_>) -> Vec<Kept> {
    everywhere(places, terms).kept
}

/// Why a record set stays, or whose it is and why that node is dead.
fn judge(place: &Place, set: &RecordSet, terms: Terms<'_>) -> Result<Why, (String, Dead)> {
    if matches!(set.target, Target::TrafficPolicyInstance(_)) {
        return Ok(Why::TrafficPolicy);
    }
    let Some(id) = set.set_identifier.as_ref().and_then(OwnerId::parse) else { return Ok(Why::Foreign) };
    if id.cluster() != terms.cluster {
        return Ok(Why::OtherCluster);
    }
    match standing(place, id.node(), terms) {
        Standing::Ready(why) | Standing::Down(why) => Ok(why),
        Standing::Dead(_) if !terms.only.is_empty() && !terms.only.contains(id.node()) => Ok(Why::NotAsked),
        Standing::Dead(_) if place.shown.as_ref().is_some_and(|shown| !shown.iter().any(|s| is_same_text(s, set))) => {
            Ok(Why::Changed)
        }
        Standing::Dead(dead) => Err((id.node().to_owned(), dead)),
    }
}

/// How a node of the own cluster is, and what that means at this place.
fn standing(place: &Place, node: &str, terms: Terms<'_>) -> Standing {
    let ignores = place.not_ready.action == SignalAction::Ignore;
    let Some(found) = terms.nodes.get(node) else {
        return match terms.gone_before {
            _ if is_kept_host(node, terms) => Standing::Down(Why::NotANode),
            _ if ignores => Standing::Down(Why::Ignored),
            Some(gone) if !gone.contains(node) => Standing::Down(Why::GoneLately),
            Some(_) | None => Standing::Dead(Dead::Gone),
        };
    };
    match (&found.ready, found.ready_for) {
        (Readiness::Ready, _) if found.unschedulable => Standing::Ready(Why::Cordoned),
        (Readiness::Ready, _) => Standing::Ready(Why::Live),
        (Readiness::NotReady(_), _) if ignores => Standing::Down(Why::Ignored),
        (Readiness::NotReady(_), None) => Standing::Down(Why::SinceUnknown),
        (Readiness::NotReady(_), Some(lasts)) if lasts < patience(place, terms.grace) => {
            Standing::Down(Why::NotReadyFor(lasts))
        }
        (Readiness::NotReady(_), Some(_)) if terms.keep_nodes.matches(node) => Standing::Down(Why::KeepNode),
        (Readiness::NotReady(reason), Some(lasts)) => Standing::Dead(Dead::NotReady(lasts, reason.clone())),
    }
}

/// How long a node must have been dead at a place.
pub fn patience(place: &Place, grace: Duration) -> Duration {
    grace.max(place.not_ready.after)
}

/// Whether it is one of those to be kept, and not among the Nodes.
fn is_kept_host(node: &str, terms: Terms<'_>) -> bool {
    terms.keep_nodes.matches(node) && !terms.nodes.contains_key(node)
}

/// The node that the record set belongs to, if it is one of this cluster.
fn owner(set: &RecordSet, cluster: &str) -> Option<String> {
    let id = OwnerId::parse(set.set_identifier.as_ref()?)?;
    (id.cluster() == cluster).then(|| id.node().to_owned())
}

impl Decision {
    /// How many record sets go.
    pub fn deletions(&self, places: &[Place]) -> usize {
        let edits = |(index, batch): &(usize, Batch)| places.get(*index).map_or(0, |p| batch.edits(&p.pool).len());
        self.removals.iter().map(edits).sum()
    }
}

/// The nodes of the cluster that own record sets at these places and are not among its Nodes.
pub fn gone(places: &[Place], cluster: &str, nodes: &Nodes) -> BTreeSet<String> {
    let owners = places.iter().flat_map(|place| owners(&place.pool, cluster));
    owners.filter(|node| !nodes.contains_key(node)).collect()
}

/// The nodes of the cluster that own record sets in the pool.
pub fn owners(pool: &Pool, cluster: &str) -> impl Iterator<Item = String> {
    pool.values().filter_map(move |set| owner(set, cluster))
}
