//! Whose record sets a pool holds, and how their nodes are: pools joined with the cluster's Nodes.
//!
//! Nothing is called gone while the list of Nodes is not known, and no node of another cluster ever is:
//! its Nodes are in another list.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::decide::glob::Globs;
use crate::decide::name::DnsName;
use crate::decide::node::{NodeSummary, Nodes, Readiness};
use crate::decide::observed::Observed;
use crate::decide::owner::OwnerId;
use crate::decide::policy::{Signal, SignalAction, SignalPolicy};
use crate::decide::record::{Pool, RecordSet, RecordType};

/// A pool, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The hosted zone's id, without `/hostedzone/`.
    pub zone_id: String,
    /// The name.
    pub name: DnsName,
    /// The type.
    pub rtype: RecordType,
    /// Everything there.
    pub pool: Pool,
    /// What takes a node out of it, where that is configured here; a signal that is missing does what it
    /// does by default.
    pub signals: BTreeMap<Signal, SignalPolicy>,
}

/// From where the pools are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Viewpoint<'a> {
    /// The own cluster; without one, every owner is of another.
    pub cluster: Option<&'a str>,
    /// The own node; without one, every owner of the own cluster is a sibling.
    pub node: Option<&'a str>,
    /// Hosts that need not be Nodes, and are then not gone; `None`: there are no such hosts.
    pub keep_nodes: Option<&'a Globs>,
}

impl Viewpoint<'_> {
    fn keeps(&self, node: &str) -> bool {
        self.keep_nodes.is_some_and(|globs| globs.matches(node))
    }
}

/// Whose a record set is, as seen from the own node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// The own node's.
    Own,
    /// That of another node of the own cluster.
    Sibling,
    /// That of a node of another cluster.
    ForeignCluster,
    /// Not written by nodedns.
    Foreign,
}

impl Relation {
    /// The word for it in `--output json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Relation::Own => "own",
            Relation::Sibling => "sibling",
            Relation::ForeignCluster => "foreign_cluster",
            Relation::Foreign => "foreign",
        }
    }
}

/// How the node is that a record set belongs to. Of several that hold, the first here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeCondition {
    /// The list of Nodes is known, and it is not in it.
    Gone,
    /// Its Ready condition is not `True`.
    NotReady,
    /// Unschedulable.
    Cordoned,
    /// Ready, and schedulable.
    Ready,
    /// The list of Nodes is not known, or is not the one that would have it, or it is said to be none.
    Unknown,
}

impl NodeCondition {
    /// The word for it in `--output json`.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeCondition::Gone => "gone",
            NodeCondition::NotReady => "not_ready",
            NodeCondition::Cordoned => "cordoned",
            NodeCondition::Ready => "ready",
            NodeCondition::Unknown => "unknown",
        }
    }
}

/// Why somebody should look at a record set. In the order of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attention {
    /// Its node has left the cluster, and nobody is left to remove it.
    Gone,
    /// Its node is not Ready, and it ought to have left.
    NotReady,
    /// Its Node is being deleted, and it ought to have left.
    Deleting,
    /// Its node is cordoned, and it ought to have left.
    Cordoned,
}

impl Attention {
    /// The word for it in `--output json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Attention::Gone => "gone",
            Attention::NotReady => "not_ready",
            Attention::Deleting => "deleting",
            Attention::Cordoned => "cordoned",
        }
    }
}

/// A record set, whose it is, and how its node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The record set.
    pub set: RecordSet,
    /// Whose it is, where nodedns has written it.
    pub owner: Option<OwnerId>,
    /// Whose it is, as seen from here.
    pub relation: Relation,
    /// How its node is.
    pub condition: NodeCondition,
    /// The list of Nodes is known, and it is said not to be one of them.
    pub is_no_node: bool,
    /// For how long its node has not been Ready, where it is not and that is known.
    pub not_ready_for: Option<Duration>,
    /// Its Node is being deleted.
    pub deleting: bool,
    /// Why somebody should look at it, if somebody should.
    pub attention: Option<Attention>,
    /// Enough is known to say whether somebody should, or it is for others to know: those of another
    /// cluster, or whoever has written it by hand.
    pub is_judged: bool,
}

impl Entry {
    fn urgency(&self) -> (bool, Option<Attention>, Reverse<Option<Duration>>) {
        let lasted = self.not_ready_for.filter(|_| self.attention == Some(Attention::NotReady));
        (self.attention.is_none(), self.attention, Reverse(lasted))
    }
}

/// A pool with what is known of each record set: what needs attention first, then by set identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolInventory {
    /// The hosted zone's id, without `/hostedzone/`.
    pub zone_id: String,
    /// The name.
    pub name: DnsName,
    /// The type.
    pub rtype: RecordType,
    /// The record sets; at least one.
    pub entries: Vec<Entry>,
}

impl PoolInventory {
    /// Whether somebody should look at one of its record sets; `None` where that is not known, as it is not
    /// how one of the nodes is.
    pub fn needs_attention(&self) -> Option<bool> {
        if self.entries.iter().any(|entry| entry.attention.is_some()) {
            return Some(true);
        }
        self.entries.iter().all(|entry| entry.is_judged).then_some(false)
    }
}

/// Joins pools with the cluster's Nodes. What needs attention comes first: what nodes that are gone have
/// left, then what belongs to nodes that are not Ready, the longest first. Then by zone, name and type.
/// Empty pools are left out.
pub fn inventory(places: Vec<Place>, from: Viewpoint<'_>, nodes: Observed<&Nodes>) -> Vec<PoolInventory> {
    let mut pools: Vec<PoolInventory> = places
        .into_iter()
        .filter(|place| !place.pool.is_empty())
        .map(|place| {
            let Place { zone_id, name, rtype, pool, signals } = place;
            let mut entries: Vec<Entry> = pool.into_values().map(|set| entry(set, from, nodes, &signals)).collect();
            // The sort is stable, and a pool is in the order of its set identifiers.
            entries.sort_by_key(Entry::urgency);
            PoolInventory { zone_id, name, rtype, entries }
        })
        .collect();
    pools.sort_by(|a, b| {
        let urgency = |pool: &PoolInventory| pool.entries.first().map(Entry::urgency);
        let place = |pool: &PoolInventory| (pool.zone_id.clone(), pool.name.clone(), pool.rtype);
        urgency(a).cmp(&urgency(b)).then_with(|| place(a).cmp(&place(b)))
    });
    pools
}

fn entry(
    set: RecordSet,
    from: Viewpoint<'_>,
    nodes: Observed<&Nodes>,
    signals: &BTreeMap<Signal, SignalPolicy>,
) -> Entry {
    let owner = set.set_identifier.as_ref().and_then(OwnerId::parse);
    let relation = match &owner {
        None => Relation::Foreign,
        Some(owner) if Some(owner.cluster()) != from.cluster => Relation::ForeignCluster,
        Some(owner) if Some(owner.node()) == from.node => Relation::Own,
        Some(_) => Relation::Sibling,
    };
    let of_cluster = owner.as_ref().filter(|_| matches!(relation, Relation::Own | Relation::Sibling));
    let (condition, node) = match (of_cluster, nodes) {
        (None, _) | (_, Observed::Unknown) => (NodeCondition::Unknown, None),
        (Some(owner), Observed::Known(nodes)) => match nodes.get(owner.node()) {
            None if from.keeps(owner.node()) => (NodeCondition::Unknown, None),
            None => (NodeCondition::Gone, None),
            Some(node) => (condition(node), Some(node)),
        },
    };
    let is_no_node = nodes.known().is_some() && of_cluster.is_some() && condition == NodeCondition::Unknown;
    let not_ready_for = node.filter(|node| node.ready != Readiness::Ready).and_then(|node| node.ready_for);
    let deleting = node.is_some_and(|node| node.deleting);
    let attention = attention(condition, node, signals);
    // Without a cluster, an owner may be of this one.
    let may_be_ours = of_cluster.is_some() || owner.is_some() && from.cluster.is_none();
    let is_judged = !may_be_ours || is_no_node || condition != NodeCondition::Unknown;
    Entry { set, owner, relation, condition, is_no_node, not_ready_for, deleting, attention, is_judged }
}

fn condition(node: &NodeSummary) -> NodeCondition {
    match (&node.ready, node.unschedulable) {
        (Readiness::NotReady(_), _) => NodeCondition::NotReady,
        (Readiness::Ready, true) => NodeCondition::Cordoned,
        (Readiness::Ready, false) => NodeCondition::Ready,
    }
}

/// A node whose record set ought to have left, by what is configured, and has not: its daemon does not run,
/// or a guard holds the record set.
fn attention(
    condition: NodeCondition,
    node: Option<&NodeSummary>,
    signals: &BTreeMap<Signal, SignalPolicy>,
) -> Option<Attention> {
    let withdraws = |signal: Signal, lasted: Option<Duration>| {
        let policy = signals.get(&signal).copied().unwrap_or_else(|| signal.default_policy());
        policy.action == SignalAction::Withdraw && lasted.is_none_or(|lasted| lasted >= policy.after)
    };
    if condition == NodeCondition::Gone {
        return Some(Attention::Gone);
    }
    let node = node?;
    if node.ready != Readiness::Ready && withdraws(Signal::NotReady, node.ready_for) {
        return Some(Attention::NotReady);
    }
    if node.deleting && withdraws(Signal::Deleting, None) {
        return Some(Attention::Deleting);
    }
    (node.unschedulable && withdraws(Signal::Cordoned, None)).then_some(Attention::Cordoned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decide::owner::SetIdentifier;
    use crate::decide::record::Target;
    use crate::decide::routing::Routing;

    const HERE: Viewpoint<'static> = Viewpoint { cluster: Some("home"), node: Some("n1"), keep_nodes: None };
    const HOUR: Duration = Duration::from_secs(3600);

    fn set(identifier: &str) -> RecordSet {
        RecordSet {
            set_identifier: (!identifier.is_empty()).then(|| SetIdentifier(identifier.to_owned())),
            routing: if identifier.is_empty() { Routing::Simple } else { Routing::Weighted(10) },
            target: Target::Values {
                ttl: 60,
                values: ["192.0.2.1".parse::<std::net::IpAddr>().expect("one").into()].into(),
            },
            health_check_id: None,
        }
    }

    fn place(zone_id: &str, name: &str, rtype: RecordType, identifiers: &[&str]) -> Place {
        Place {
            zone_id: zone_id.to_owned(),
            name: DnsName::parse(name).expect(name),
            rtype,
            pool: identifiers.iter().map(|id| set(id)).map(|set| (set.set_identifier.clone(), set)).collect(),
            signals: BTreeMap::new(),
        }
    }

    fn node(ready: bool, hours: Option<u32>, unschedulable: bool, deleting: bool) -> NodeSummary {
        let ready = if ready { Readiness::Ready } else { Readiness::NotReady(None) };
        NodeSummary { ready, ready_for: hours.map(|hours| hours * HOUR), unschedulable, deleting }
    }

    fn nodes(nodes: &[(&str, NodeSummary)]) -> Nodes {
        nodes.iter().map(|(name, node)| ((*name).to_owned(), node.clone())).collect()
    }

    fn only(place: Place, from: Viewpoint<'_>, nodes: Observed<&Nodes>) -> Entry {
        let mut pools = inventory(vec![place], from, nodes);
        let mut pool = pools.pop().expect("a pool");
        assert_eq!((pools.len(), pool.entries.len()), (0, 1));
        pool.entries.pop().expect("an entry")
    }

    #[test]
    fn whose_a_record_set_is_goes_by_tokens() {
        use Relation::{Foreign, ForeignCluster, Own, Sibling};
        let desk = Viewpoint { node: None, ..HERE };
        let nowhere = Viewpoint::default();
        for (identifier, here, from_a_desk, from_nowhere) in [
            ("nodedns/v1/home/n1", Own, Sibling, ForeignCluster),
            ("nodedns/v1/home/n12", Sibling, Sibling, ForeignCluster),
            ("nodedns/v1/home/n", Sibling, Sibling, ForeignCluster),
            ("nodedns/v1/home-2/n1", ForeignCluster, ForeignCluster, ForeignCluster),
            ("nodedns/v1/hom/n1", ForeignCluster, ForeignCluster, ForeignCluster),
            ("nodedns/v1/home", Foreign, Foreign, Foreign),
            ("nodedns/v2/home/n1", Foreign, Foreign, Foreign),
            ("geoproximity-coords:1,2", Foreign, Foreign, Foreign),
            ("", Foreign, Foreign, Foreign),
        ] {
            for (from, expected) in [(HERE, here), (desk, from_a_desk), (nowhere, from_nowhere)] {
                let found = only(place("Z1", "e.example", RecordType::A, &[identifier]), from, Observed::Unknown);
                assert_eq!(found.relation, expected, "{identifier} from {from:?}");
                assert_eq!(found.owner.is_some(), expected != Foreign);
            }
        }
    }

    #[test]
    fn how_a_node_is_and_whether_that_needs_attention() {
        use NodeCondition::{Cordoned, Gone, NotReady, Ready, Unknown};
        let cluster = nodes(&[
            ("up", node(true, Some(3), false, false)),
            ("down", node(false, Some(3), false, false)),
            ("mute", node(false, None, true, true)),
            ("cordoned", node(true, Some(3), true, false)),
            ("leaving", node(true, Some(3), true, true)),
        ]);
        for (owner, condition, not_ready_for, deleting, attention) in [
            ("home/up", Ready, None, false, None),
            ("home/down", NotReady, Some(3 * HOUR), false, Some(Attention::NotReady)),
            ("home/mute", NotReady, None, true, Some(Attention::NotReady)),
            ("home/cordoned", Cordoned, None, false, Some(Attention::Cordoned)),
            ("home/leaving", Cordoned, None, true, Some(Attention::Deleting)),
            ("home/nobody", Gone, None, false, Some(Attention::Gone)),
            ("home/n1", Gone, None, false, Some(Attention::Gone)),
            ("other/nobody", Unknown, None, false, None),
            ("other/down", Unknown, None, false, None),
            ("?/down", Unknown, None, false, None),
        ] {
            let at = || place("Z1", "e.example", RecordType::A, &[&format!("nodedns/v1/{owner}")]);
            let found = only(at(), HERE, Observed::Known(&cluster));
            let (state, lasted) = (found.condition, found.not_ready_for);
            assert_eq!((state, lasted, found.deleting), (condition, not_ready_for, deleting), "{owner}");
            assert_eq!(found.attention, attention, "{owner}");
            let found = only(at(), HERE, Observed::Unknown);
            assert_eq!((found.condition, found.attention, found.deleting), (Unknown, None, false), "{owner}");
        }
    }

    #[test]
    fn a_host_that_is_said_to_be_no_node_is_not_gone() {
        let cluster = nodes(&[("up", node(true, None, false, false)), ("vm-down", node(false, Some(3), false, false))]);
        let globs = Globs(vec!["nas".to_owned(), "vm-*".to_owned(), "n1".to_owned()]);
        let from = Viewpoint { keep_nodes: Some(&globs), ..HERE };
        use NodeCondition::{Gone, NotReady, Ready, Unknown};
        for (owner, condition, is_no_node, attention) in [
            ("home/nas", Unknown, true, None),
            ("home/vm-1", Unknown, true, None),
            ("home/n1", Unknown, true, None),
            ("home/nas2", Gone, false, Some(Attention::Gone)),
            ("home/up", Ready, false, None),
            // It is one after all.
            ("home/vm-down", NotReady, false, Some(Attention::NotReady)),
            ("other/nas", Unknown, false, None),
            ("?/nas", Unknown, false, None),
        ] {
            let at = || place("Z1", "e.example", RecordType::A, &[&format!("nodedns/v1/{owner}")]);
            let found = only(at(), from, Observed::Known(&cluster));
            assert_eq!(
                (found.condition, found.is_no_node, found.attention),
                (condition, is_no_node, attention),
                "{owner}"
            );
            assert!(!only(at(), from, Observed::Unknown).is_no_node, "{owner}");
        }
    }

    #[test]
    fn what_the_record_ignores_or_waits_for_needs_no_attention() {
        let cluster = nodes(&[
            ("down", node(false, Some(3), true, true)),
            ("mute", node(false, None, false, false)),
            ("cordoned", node(true, None, true, false)),
        ]);
        let found = |owner: &str, signals: &[(Signal, SignalAction, u32)]| {
            let mut at = place("Z1", "e.example", RecordType::A, &[&format!("nodedns/v1/home/{owner}")]);
            at.signals = signals
                .iter()
                .map(|(signal, action, hours)| {
                    (*signal, SignalPolicy { action: *action, after: *hours * HOUR, recover_after: HOUR })
                })
                .collect();
            only(at, HERE, Observed::Known(&cluster)).attention
        };
        use SignalAction::{Ignore, Withdraw};
        let ignored = [(Signal::NotReady, Ignore, 0), (Signal::Deleting, Ignore, 0), (Signal::Cordoned, Ignore, 0)];
        assert_eq!(found("down", &ignored), None);
        assert_eq!(found("down", &ignored[..2]), Some(Attention::Cordoned));
        assert_eq!(found("down", &ignored[..1]), Some(Attention::Deleting));
        assert_eq!(found("cordoned", &ignored), None);
        assert_eq!(found("gone", &ignored), Some(Attention::Gone));
        assert_eq!(found("down", &[(Signal::NotReady, Withdraw, 3)]), Some(Attention::NotReady));
        assert_eq!(found("down", &[(Signal::NotReady, Withdraw, 4)]), Some(Attention::Deleting));
        assert_eq!(found("mute", &[(Signal::NotReady, Withdraw, 4)]), Some(Attention::NotReady));

        let mut at = place("Z1", "e.example", RecordType::A, &["nodedns/v1/home/cordoned", "nodedns/v1/home/down"]);
        let ignore = |signal: Signal| (signal, SignalPolicy { action: Ignore, ..signal.default_policy() });
        at.signals = ignored.map(|(signal, ..)| ignore(signal)).into();
        let pools = inventory(vec![at], HERE, Observed::Known(&cluster));
        let order: Vec<_> = pools[0].entries.iter().map(|entry| entry.not_ready_for.is_some()).collect();
        assert_eq!(order, [false, true], "in the order of their set identifiers");
    }

    #[test]
    fn what_needs_attention_comes_first() {
        let cluster = nodes(&[
            ("a", node(true, None, false, false)),
            ("day", node(false, Some(24), false, false)),
            ("hour", node(false, Some(1), false, false)),
            ("mute", node(false, None, false, false)),
            ("out", node(true, None, true, false)),
        ]);
        let own = |node: &str| format!("nodedns/v1/home/{node}");
        let (a, day, hour, mute, out, gone) =
            (own("a"), own("day"), own("hour"), own("mute"), own("out"), own("zz-gone"));
        let full = [&*a, &*day, &*hour, &*mute, &*out, &*gone, "", "nodedns/v1/other/x"];
        let places = vec![
            place("Z1", "a.example", RecordType::A, &[&a]),
            place("Z1", "b.example", RecordType::A, &[&a, &out]),
            place("Z2", "c.example", RecordType::Aaaa, &[&a, &gone]),
            place("Z1", "c.example", RecordType::Aaaa, &[&a, &hour]),
            place("Z0", "d.example", RecordType::A, &[]),
            place("Z1", "a.example", RecordType::Aaaa, &["nodedns/v1/other/x"]),
            place("Z0", "z.example", RecordType::A, &[&a]),
            place("Z3", "f.example", RecordType::A, &full),
            place("Z1", "d.example", RecordType::A, &[&day, &a]),
        ];
        let pools = inventory(places, HERE, Observed::Known(&cluster));
        let order: Vec<_> = pools.iter().map(|pool| format!("{} {} {}", pool.zone_id, pool.name, pool.rtype)).collect();
        assert_eq!(
            order,
            [
                "Z2 c.example AAAA",
                "Z3 f.example A",
                "Z1 d.example A",
                "Z1 c.example AAAA",
                "Z1 b.example A",
                "Z0 z.example A",
                "Z1 a.example A",
                "Z1 a.example AAAA",
            ]
        );
        let within: Vec<_> =
            pools[1].entries.iter().map(|entry| entry.set.set_identifier.clone().map(|id| id.0)).collect();
        let expected = [&*gone, &*day, &*hour, &*mute, &*out, "", &*a, "nodedns/v1/other/x"];
        assert_eq!(within, expected.map(|id| (!id.is_empty()).then(|| id.to_owned())));
        let alarming: Vec<_> = pools.iter().map(PoolInventory::needs_attention).collect();
        let expected = [true, true, true, true, true, false, false, false];
        assert_eq!(alarming, expected.map(Some));
    }

    #[test]
    fn whether_something_needs_attention_may_not_be_known() {
        let cluster = nodes(&[("a", node(true, None, false, false)), ("out", node(true, None, true, false))]);
        let keep_nodes = Globs(vec!["nas".to_owned()]);
        let from = Viewpoint { keep_nodes: Some(&keep_nodes), ..HERE };
        let nowhere = Viewpoint { cluster: None, ..HERE };
        let found = |from, identifiers: &[&str], nodes| {
            let places = vec![place("Z1", "e.example", RecordType::A, identifiers)];
            inventory(places, from, nodes)[0].needs_attention()
        };
        let (known, unknown) = (Observed::Known(&cluster), Observed::Unknown);
        let (own, sibling, kept) = ("nodedns/v1/home/n1", "nodedns/v1/home/a", "nodedns/v1/home/nas");
        assert_eq!(found(from, &[sibling, kept, "nodedns/v1/lab/x", "hand-made"], known), Some(false));
        assert_eq!(found(from, &[sibling, "nodedns/v1/home/out"], known), Some(true));
        for identifier in [own, sibling, kept] {
            assert_eq!(found(from, &[identifier, "hand-made"], unknown), None, "{identifier}");
        }
        assert_eq!(found(from, &["nodedns/v1/lab/x", "hand-made", ""], unknown), Some(false));
        assert_eq!(found(nowhere, &["nodedns/v1/lab/x"], unknown), None, "it may be of this cluster");
        assert_eq!(found(nowhere, &["hand-made", ""], unknown), Some(false));
    }

    proptest! {
        /// Whatever there is, nothing is lost, and nothing is called gone that may be there.
        #[test]
        fn nothing_is_lost_and_nothing_is_gone_without_proof(
            identifiers in proptest::collection::btree_set("(nodedns/v1/(home|home-2|hom)/n[1-6]|x{0,2})", 0..20),
            listed in proptest::option::of(proptest::collection::btree_set("n[1-6]", 0..6)),
            down in proptest::collection::btree_set("n[1-6]", 0..6),
        ) {
            let identifiers: Vec<&str> = identifiers.iter().map(String::as_str).collect();
            let cluster: Option<Nodes> = listed.map(|listed| {
                listed.into_iter().map(|name| (name.clone(), node(!down.contains(&name), None, false, false))).collect()
            });
            let known = cluster.as_ref().map_or(Observed::Unknown, Observed::Known);
            let places = vec![
                place("Z1", "e.example", RecordType::A, &identifiers),
                place("Z1", "f.example", RecordType::A, &identifiers),
            ];
            let pools = inventory(places, HERE, known);
            prop_assert_eq!(pools.len(), if identifiers.is_empty() { 0 } else { 2 });
            for pool in &pools {
                let mut found: Vec<_> =
                    pool.entries.iter().map(|e| e.set.set_identifier.as_ref().map_or("", |id| id.0.as_str())).collect();
                found.sort_unstable();
                prop_assert_eq!(&found, &identifiers);
                for entry in &pool.entries {
                    let ours = matches!(entry.relation, Relation::Own | Relation::Sibling);
                    let is_listed = |nodes: &Nodes| entry.owner.as_ref().is_some_and(|o| nodes.contains_key(o.node()));
                    let is_missing = cluster.as_ref().is_some_and(|nodes| !is_listed(nodes));
                    prop_assert_eq!(entry.condition == NodeCondition::Gone, ours && is_missing);
                    prop_assert!(entry.attention.is_none() || (ours && cluster.is_some()));
                    prop_assert_eq!(entry.condition == NodeCondition::Unknown, !ours || cluster.is_none());
                }
                let first_calm = pool.entries.iter().position(|e| e.attention.is_none()).unwrap_or(pool.entries.len());
                prop_assert!(pool.entries.iter().skip(first_calm).all(|e| e.attention.is_none()));
            }
        }
    }
}
