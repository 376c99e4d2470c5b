//! Any pools, nodes and terms at all: what the pure decision of a prune may never come to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nodedns::decide::batch::{Edit, is_same_text, is_within};
use nodedns::decide::glob::Globs;
use nodedns::decide::node::{NodeSummary, Nodes, Readiness};
use nodedns::decide::owner::{OwnerId, SetIdentifier};
use nodedns::decide::prune::{Place, Refusal, Terms, Why, decide, gone};
use nodedns::decide::record::{Action, Pool, RecordSet, RecordType, Target, Value};
use nodedns::decide::routing::Routing;
use proptest::prelude::*;

use crate::support::world;

const NODES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
static NONE: Globs = Globs(Vec::new());
const GRACE: Duration = Duration::from_secs(300);

fn a_node() -> impl Strategy<Value = NodeSummary> {
    let ready = prop_oneof![4 => Just(Readiness::Ready), 2 => Just(Readiness::NotReady(None))];
    let lasts = prop::sample::select(vec![None, Some(0), Some(299), Some(300), Some(10_000)]);
    (ready, lasts, any::<bool>(), any::<bool>()).prop_map(|(ready, lasts, unschedulable, deleting)| NodeSummary {
        ready,
        ready_for: lasts.map(Duration::from_secs),
        unschedulable,
        deleting,
    })
}

fn some_nodes() -> impl Strategy<Value = Nodes> {
    prop::collection::btree_map(prop::sample::select(NODES.map(str::to_owned).to_vec()), a_node(), 0..6)
}

fn a_set() -> impl Strategy<Value = RecordSet> {
    let ours =
        (prop::sample::select(vec!["home", "home", "home", "home-2", "ho"]), prop::sample::select(NODES.to_vec()));
    let identifier = prop_oneof![
        6 => ours.prop_map(|(cluster, node)| format!("nodedns/v1/{cluster}/{node}")),
        1 => prop::sample::select(vec!["by hand", "nodedns/v2/home/a", "a"]).prop_map(str::to_owned),
    ];
    let value = prop::sample::select(vec!["2001:db8::1", "2001:DB8::1", "2001:db8::2"]);
    (identifier, value, 0_u8..20).prop_map(|(identifier, value, odd)| RecordSet {
        set_identifier: Some(SetIdentifier(identifier)),
        routing: Routing::Weighted(10),
        target: match odd {
            0 => Target::TrafficPolicyInstance("tpi".to_owned()),
            _ => Target::Values { ttl: 60, values: BTreeSet::from([Value::new(value)]) },
        },
        health_check_id: None,
    })
}

fn a_pool() -> impl Strategy<Value = Pool> {
    prop::collection::vec(a_set(), 0..8)
        .prop_map(|sets| sets.into_iter().map(|set| (set.set_identifier.clone(), set)).collect())
}

fn place(number: usize, pool: Pool, keep_min: u32) -> Place {
    let name = world::name(&format!("n{number}.example.com"));
    Place { zone_id: "Z1".to_owned(), name, rtype: RecordType::Aaaa, keep_min, pool, shown: None }
}

fn terms<'a>(nodes: &'a Nodes, only: &'a BTreeSet<String>) -> Terms<'a> {
    Terms {
        cluster: "home",
        own: None,
        nodes,
        gone_before: None,
        grace: GRACE,
        only,
        keep_nodes: &NONE,
        max_delete: 100,
        despite_majority: true,
        refusals: 0,
    }
}

/// The node of the own cluster that the set belongs to, by its text alone.
fn node_of(set: &RecordSet) -> Option<String> {
    let id = OwnerId::parse(set.set_identifier.as_ref()?)?;
    (id.cluster() == "home").then(|| id.node().to_owned())
}

fn is_dead(node: &str, nodes: &Nodes) -> bool {
    nodes
        .get(node)
        .is_none_or(|found| found.ready != Readiness::Ready && found.ready_for.is_some_and(|lasts| lasts >= GRACE))
}

/// May be alive: of a Ready node, or nothing is known of it.
fn may_be_alive(set: &RecordSet, nodes: &Nodes) -> bool {
    !matches!(set.target, Target::TrafficPolicyInstance(_))
        && node_of(set).is_none_or(|node| nodes.get(&node).is_some_and(|found| found.ready == Readiness::Ready))
}

/// Of a host that is said to be no Node, and is none.
fn is_kept_host(set: &RecordSet, nodes: &Nodes, keep_nodes: &Globs) -> bool {
    !matches!(set.target, Target::TrafficPolicyInstance(_))
        && node_of(set).is_some_and(|node| keep_nodes.matches(&node) && !nodes.contains_key(&node))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_goes_that_should_not(
        before in prop::collection::vec((a_pool(), prop::option::of(a_pool()), 0_u32..3), 1..4),
        nodes in some_nodes(),
        later in some_nodes(),
        only in prop::collection::btree_set(prop::sample::select(NODES.map(str::to_owned).to_vec()), 0..3),
        max_delete in 0_usize..6,
        despite_majority in any::<bool>(),
        own in prop::sample::select(vec![None, Some("a"), Some("host")]),
        refusals in 0_u32..4,
        keep_nodes in prop::sample::select(vec![vec![], vec![], vec!["b"], vec!["[ab]", "c*", "?d"]]),
    ) {
        let keep_nodes = Globs(keep_nodes.into_iter().map(str::to_owned).collect());
        let places: Vec<Place> =
            before.iter().enumerate().map(|(n, (pool, _, keep_min))| place(n, pool.clone(), *keep_min)).collect();
        let first = Terms { max_delete, despite_majority, own, keep_nodes: &keep_nodes, ..terms(&nodes, &only) };
        let Ok(decision) = decide(&places, first) else { return Ok(()) };
        prop_assert!(!nodes.is_empty());
        prop_assert!(decision.deletions(&places) <= max_delete);
        for (at, batch) in &decision.removals {
            let witnesses: Vec<_> = batch.changes.iter().filter(|change| change.action == Action::Create).collect();
            prop_assert_eq!(witnesses.len(), places[*at].keep_min as usize);
            let is_alive = |set: &RecordSet| may_be_alive(set, &nodes) || is_kept_host(set, &nodes, &keep_nodes);
            prop_assert!(witnesses.iter().all(|witness| is_alive(&witness.set)), "alive");
        }
        let shown: BTreeMap<usize, Vec<Edit>> =
            decision.removals.iter().map(|(at, batch)| (*at, batch.edits(&places[*at].pool))).collect();
        for edits in shown.values() {
            for edit in edits {
                let Edit::Delete(set) = edit else { panic!("only deletions: {edit:?}") };
                let node = node_of(set).expect("of the own cluster");
                prop_assert!(is_dead(&node, &nodes) && (only.is_empty() || only.contains(&node)));
                prop_assert!(!keep_nodes.matches(&node));
            }
        }
        // What is neither deleted nor kept would be forgotten.
        let sets: usize = places.iter().map(|place| place.pool.len()).sum();
        prop_assert_eq!(decision.kept.len() + decision.deletions(&places), sets);

        // Later: other nodes, other pools.
        let gone_before = gone(&places, "home", &nodes);
        let places: Vec<Place> = before
            .iter()
            .enumerate()
            .map(|(n, (before, pool, keep_min))| {
                // Mostly nothing has changed.
                let pool = pool.as_ref().filter(|_| n > 0).unwrap_or(before);
                let edits = shown.get(&n).map(Vec::as_slice).unwrap_or_default();
                let shown = edits.iter().filter_map(|edit| edit.before().cloned()).collect();
                Place { shown: Some(shown), ..place(n, pool.clone(), *keep_min) }
            })
            .collect();
        let again = Terms { nodes: &later, gone_before: Some(&gone_before), refusals, ..first };
        let Ok(decision) = decide(&places, again) else { return Ok(()) };
        for (at, batch) in &decision.removals {
            let pool = &places[*at].pool;
            let edits = batch.edits(pool);
            prop_assert!(is_within(&edits, shown.get(at).map(Vec::as_slice).unwrap_or_default()));
            let mut after = pool.clone();
            for change in &batch.changes {
                match change.action {
                    Action::Delete => {
                        let found = after.remove(&change.set.set_identifier).expect("there");
                        prop_assert!(is_same_text(&found, &change.set), "by exact match");
                    }
                    Action::Create => {
                        prop_assert!(after.insert(change.set.set_identifier.clone(), change.set.clone()).is_none());
                    }
                    Action::Upsert => panic!("an upsert compares nothing"),
                }
            }
            let is_alive = |set: &RecordSet| may_be_alive(set, &later) || is_kept_host(set, &later, &keep_nodes);
            let live = after.values().filter(|set| is_alive(set)).count();
            prop_assert!(live >= places[*at].keep_min as usize, "{} live ones left", live);
            let witnesses: Vec<_> = batch.changes.iter().filter(|change| change.action == Action::Create).collect();
            prop_assert_eq!(witnesses.len(), places[*at].keep_min as usize);
            prop_assert!(witnesses.iter().all(|witness| is_alive(&witness.set)));
            for edit in &edits {
                let node = node_of(edit.before().expect("a deletion")).expect("of the own cluster");
                prop_assert!(is_dead(&node, &later) && !keep_nodes.matches(&node));
                prop_assert!(later.contains_key(&node) || gone_before.contains(&node), "gone by both looks");
            }
        }
    }
}

fn ready() -> NodeSummary {
    NodeSummary { ready: Readiness::Ready, ready_for: None, unschedulable: false, deleting: false }
}

fn of(nodes: &[&str]) -> Place {
    let pool = nodes.iter().map(|node| {
        let set = world::weighted(&format!("nodedns/v1/home/{node}"), "2001:db8::1");
        (set.set_identifier.clone(), set)
    });
    place(0, pool.collect(), 1)
}

fn nodes(names: &[&str]) -> Nodes {
    names.iter().map(|name| ((*name).to_owned(), ready())).collect()
}

#[test]
fn each_refusal_has_its_bound() {
    let none = BTreeSet::new();
    let refusal_at = |place: &Place, nodes: &Nodes, max_delete: usize| {
        let terms = Terms { despite_majority: false, max_delete, ..self::terms(nodes, &none) };
        decide(std::slice::from_ref(place), terms).err().map(|refusal| refusal.as_str())
    };
    let refusal = |place: &Place, nodes: &Nodes| refusal_at(place, nodes, 2);
    assert_eq!(refusal(&of(&["a", "b"]), &Nodes::new()), Some("no_nodes"));
    assert_eq!(refusal(&of(&["a", "b"]), &nodes(&["x", "y", "z"])), Some("wrong_cluster"));
    assert_eq!(refusal(&of(&[]), &nodes(&["x"])), None, "nobody owns anything");
    // One of two is gone: half is not more than half.
    assert_eq!(refusal(&of(&["a", "b"]), &nodes(&["a"])), None);
    assert_eq!(refusal(&of(&["a", "b", "c"]), &nodes(&["a"])), Some("majority_down"));
    assert_eq!(refusal(&of(&["a", "b", "c"]), &nodes(&["a", "x"])), None);
    assert_eq!(refusal_at(&of(&["a", "b", "c"]), &nodes(&["a", "x"]), 1), Some("too_many"));
    assert_eq!(refusal_at(&of(&["a", "b"]), &nodes(&["a", "x"]), 1), None);
}

#[test]
fn the_majority_counts_the_gone_and_says_so() {
    let none = BTreeSet::new();
    let mut cluster = nodes(&["a", "d"]);
    cluster.insert("b".to_owned(), NodeSummary { ready: Readiness::NotReady(None), ready_for: Some(GRACE), ..ready() });
    let terms = Terms { despite_majority: false, ..terms(&cluster, &none) };
    let refusal = decide(&[of(&["a", "b", "c", "e"])], terms);
    assert_eq!(refusal, Err(Refusal::Majority { down: 3, gone: 2, known: 5 }));
}

#[test]
fn who_was_there_by_the_first_look_is_not_gone_yet() {
    let (none, cluster) = (BTreeSet::new(), nodes(&["a", "x"]));
    for (before, removals) in [(vec!["b"], 1), (vec![], 0)] {
        let before = before.into_iter().map(str::to_owned).collect();
        let terms = Terms { gone_before: Some(&before), ..terms(&cluster, &none) };
        let decision = decide(&[of(&["a", "b"])], terms).expect("nothing is wrong");
        assert_eq!(decision.removals.len(), removals);
        assert_eq!(decision.kept.iter().any(|kept| kept.why == Why::GoneLately), removals == 0);
    }
}

#[test]
fn hosts_that_are_no_nodes_stay_and_prove_nothing() {
    let none = BTreeSet::new();
    let keep = Globs(vec!["nas".to_owned(), "vm-*".to_owned()]);
    let decide = |place: Place, nodes: &Nodes, keep_nodes: &Globs| {
        let terms = Terms { despite_majority: false, keep_nodes, ..terms(nodes, &none) };
        decide(&[place], terms).map(|decision| {
            let kept: Vec<_> = decision.kept.iter().map(|kept| kept.why.as_str()).collect();
            (decision.dead.into_keys().collect::<Vec<_>>(), kept)
        })
    };
    // They look gone, and would be a majority.
    let hosts = || of(&["a", "gone", "nas", "vm-1", "vm-2"]);
    assert!(matches!(decide(hosts(), &nodes(&["a", "x"]), &NONE), Err(Refusal::Majority { .. })));
    let expected = (vec!["gone".to_owned()], vec!["live", "not_a_node", "not_a_node", "not_a_node"]);
    assert_eq!(decide(hosts(), &nodes(&["a", "x"]), &keep), Ok(expected));
    // That they are not among the nodes does not make it another cluster.
    assert_eq!(decide(of(&["nas"]), &nodes(&["x"]), &keep), Ok((vec![], vec!["not_a_node"])));
    assert!(matches!(decide(of(&["nas", "gone"]), &nodes(&["x"]), &keep), Err(Refusal::WrongCluster { .. })));
    // They may be alive, as far as keep_min goes.
    let expected = (vec!["gone".to_owned()], vec!["not_a_node"]);
    let own = |nodes: &Nodes| {
        let terms = Terms { own: Some("x"), keep_nodes: &keep, despite_majority: false, ..terms(nodes, &none) };
        nodedns::decide::prune::decide(&[of(&["gone", "nas"])], terms).map(|decision| {
            let kept: Vec<_> = decision.kept.iter().map(|kept| kept.why.as_str()).collect();
            (decision.dead.into_keys().collect::<Vec<_>>(), kept)
        })
    };
    assert_eq!(own(&nodes(&["x"])), Ok(expected));
    // One that is a Node after all, and dead, is kept, but is nobody to lean on.
    let mut cluster = nodes(&["x", "y"]);
    cluster
        .insert("nas".to_owned(), NodeSummary { ready: Readiness::NotReady(None), ready_for: Some(GRACE), ..ready() });
    assert_eq!(own(&cluster), Ok((vec![], vec!["keep_min", "keep_nodes"])));
}
