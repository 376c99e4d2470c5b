//! What a person may have deleted of what dead nodes have left: the guards of `nodedns prune`.
//!
//! As with [`survivors`](crate::decide::survivors), but from one list of the Nodes, and by the word of a
//! person who has seen what would go. Whatever is not known to be dead stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::decide::batch::{Batch, is_same_text};
use crate::decide::glob::Globs;
use crate::decide::name::DnsName;
use crate::decide::node::{Nodes, Readiness};
use crate::decide::owner::{OwnerId, SetIdentifier};
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
    /// The node of this host, where it is known.
    pub own: Option<&'a str>,
    /// Every Node of the cluster as it is now.
    pub nodes: &'a Nodes,
    /// Those that were gone by a look a grace earlier. `None` before the second look: then those that are
    /// gone now count as dead, to be shown.
    pub gone_before: Option<&'a BTreeSet<String>>,
    /// How long a Node must not have been Ready.
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
    /// Its node has not been Ready for this long, which is less than the grace.
    NotReadyFor(Duration),
    /// Its node is not Ready, and since when is not known.
    SinceUnknown,
    /// Its node is gone, but was not a grace ago.
    GoneLately,
    /// Its node is dead, but not one of those that were asked for.
    NotAsked,
    /// Its node is dead, but the record set has changed since it was shown.
    Changed,
    /// Its node is dead, but with it fewer than so many would stay whose nodes may be alive.
    KeepMin(u32),
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
    let sets = || places.iter().flat_map(|place| place.pool.values());
    // A host that is no Node says nothing of the cluster.
    let is_node = |node: &String| !is_kept_host(node, terms);
    let owners: BTreeSet<String> = sets().filter_map(|set| owner(set, terms.cluster)).filter(is_node).collect();
    if owners.is_empty() {
        return Ok(Decision { kept: everything(places, terms), ..Decision::default() });
    }
    let own = terms.own.into_iter();
    if !owners.iter().map(String::as_str).chain(own).any(|node| terms.nodes.contains_key(node)) {
        return Err(Refusal::WrongCluster { owners, nodes: terms.nodes.len() });
    }
    let gone = owners.iter().filter(|node| !terms.nodes.contains_key(*node)).count();
    let not_ready = terms.nodes.values().filter(|node| node.ready != Readiness::Ready).count();
    let (down, known) = (not_ready + gone, terms.nodes.len() + gone);
    let any_dead = owners.iter().any(|node| matches!(standing(node, terms), Standing::Dead(_)));
    if any_dead && is_majority(down, known) && !terms.despite_majority {
        return Err(Refusal::Majority { down, gone, known });
    }
    let decision = everywhere(places, terms);
    match decision.deletions(places) {
        would if would > terms.max_delete => Err(Refusal::TooMany { would, may: terms.max_delete }),
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
            Ok(Why::NotANode | Why::OtherCluster | Why::Foreign) => Part::Witness(2),
            Ok(
                Why::NotReadyFor(_)
                | Why::SinceUnknown
                | Why::GoneLately
                | Why::NotAsked
                | Why::Changed
                | Why::KeepMin(_)
                | Why::KeepNode
                | Why::TrafficPolicy,
            ) => Part::None,
        };
        // Whoever was refused leans on others at once: a person waits.
        let failures = if terms.refusals == 0 { 0 } else { terms.refusals.saturating_add(1) };
        let changes = witnessed(&place.name, place.rtype, &place.pool, place.keep_min, failures, part);
        for (identifier, set) in &place.pool {
            match (judge(place, set, terms), &changes) {
                (Ok(why), _) => decision.kept.push(Kept { place: index, set_identifier: identifier.clone(), why }),
                (Err(_), Err(_)) => {
                    let why = Why::KeepMin(place.keep_min);
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
    match standing(id.node(), terms) {
        Standing::Ready(why) | Standing::Down(why) => Ok(why),
        Standing::Dead(_) if !terms.only.is_empty() && !terms.only.contains(id.node()) => Ok(Why::NotAsked),
        Standing::Dead(_) if place.shown.as_ref().is_some_and(|shown| !shown.iter().any(|s| is_same_text(s, set))) => {
            Ok(Why::Changed)
        }
        Standing::Dead(dead) => Err((id.node().to_owned(), dead)),
    }
}

/// How a node of the own cluster is.
fn standing(node: &str, terms: Terms<'_>) -> Standing {
    match terms.nodes.get(node) {
        None if is_kept_host(node, terms) => Standing::Down(Why::NotANode),
        None if terms.gone_before.is_none_or(|gone| gone.contains(node)) => Standing::Dead(Dead::Gone),
        None => Standing::Down(Why::GoneLately),
        Some(found) => match (&found.ready, found.ready_for) {
            (Readiness::Ready, _) if found.unschedulable => Standing::Ready(Why::Cordoned),
            (Readiness::Ready, _) => Standing::Ready(Why::Live),
            (Readiness::NotReady(_), None) => Standing::Down(Why::SinceUnknown),
            (Readiness::NotReady(_), Some(lasts)) if lasts < terms.grace => Standing::Down(Why::NotReadyFor(lasts)),
            (Readiness::NotReady(_), Some(_)) if terms.keep_nodes.matches(node) => Standing::Down(Why::KeepNode),
            (Readiness::NotReady(reason), Some(lasts)) => Standing::Dead(Dead::NotReady(lasts, reason.clone())),
        },
    }
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
    let owners = places.iter().flat_map(|place| place.pool.values()).filter_map(|set| owner(set, cluster));
    owners.filter(|node| !nodes.contains_key(node)).collect()
}

impl Why {
    /// The reason in snake case, stable for scripts.
    pub fn as_str(&self) -> &'static str {
        match self {
            Why::Live => "live",
            Why::Cordoned => "cordoned",
            Why::NotReadyFor(_) => "not_ready_within_grace",
            Why::SinceUnknown => "not_ready_since_unknown",
            Why::GoneLately => "gone_within_grace",
            Why::NotAsked => "not_asked",
            Why::Changed => "changed",
            Why::KeepMin(_) => "keep_min",
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
                write!(f, "its node has not been Ready for {}s only", lasts.as_secs())
            }
            Why::SinceUnknown => f.write_str("its node is not Ready, but since when the cluster does not say"),
            Why::GoneLately => f.write_str("its node is gone, but was there by the first look"),
            Why::NotAsked => f.write_str("its node is dead, but not one of those asked for"),
            Why::Changed => f.write_str("its node is dead, but it has changed since it was shown"),
            Why::KeepMin(count) => write!(
                f,
                "its node is dead, but keep_min = {count} asks for as many others at the name whose nodes may be alive"
            ),
            Why::NotANode => f.write_str(NOT_A_NODE),
            Why::KeepNode => f.write_str("its node is dead, but prune.keep_nodes names it"),
            Why::OtherCluster => f.write_str("it belongs to another cluster"),
            Why::Foreign => f.write_str("not written by nodedns"),
            Why::TrafficPolicy => f.write_str("a traffic policy has made it"),
        }
    }
}

impl Refusal {
    /// The refusal in snake case, stable for scripts.
    pub fn as_str(&self) -> &'static str {
        match self {
            Refusal::NoNodes => "no_nodes",
            Refusal::WrongCluster { .. } => "wrong_cluster",
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
                let owners = owners.iter().map(String::as_str).take(5).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "this looks like another cluster: none of the nodes that own record sets ({owners}) is among its \
                     {nodes} nodes\nhint: check kubernetes.kubeconfig and 'cluster'"
                )
            }
            Refusal::Majority { down, gone, known } => write!(
                f,
                "{down} of {known} nodes are not Ready or gone ({gone} gone): it may be the control plane that is \
                 wrong\nhint: if they really are, --allow-majority-down goes on all the same"
            ),
            Refusal::TooMany { would, may } => write!(
                f,
                "{would} record sets would be deleted, and --max-delete allows {may}\nhint: look at them with \
                 'nodedns list', then raise --max-delete or name nodes with --node"
            ),
        }
    }
}

impl std::error::Error for Refusal {}
