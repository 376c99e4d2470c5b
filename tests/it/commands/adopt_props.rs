//! Adopting any pool, whatever others have left in it, under Route 53's rules as the memory provider has
//! them: nobody falls out of DNS, no owner is touched, and the daemon then has nothing left to do.

use std::collections::{BTreeMap, BTreeSet};

use nodedns::decide::adopt::{Adoption, Nothing, Refusal, Request, adopt};
use nodedns::decide::annotation::Said;
use nodedns::decide::fitness::Fitness;
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::{OwnerId, SetIdentifier};
use nodedns::decide::plan::{TypePlan, World, plan};
use nodedns::decide::policy::{Policy, RecordPolicy};
use nodedns::decide::pool;
use nodedns::decide::reason::{Intent, Reason};
use nodedns::decide::record::{Action, Change, Listing, Pool, RecordSet, RecordType, Target, Value};
use nodedns::decide::routing::{Coordinates, FailoverRole, Location, PolicyKind, Routing};
use nodedns::publish::Provider;
use nodedns::publish::memory::MemoryProvider;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::world;

const NAME: &str = "edge.example.com";
const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// The first three are the nodes' own.
fn address(index: u8) -> String {
    format!("185.12.64.{}", index + 1)
}

#[derive(Debug, Clone)]
struct Foreign {
    identifier: String,
    /// One bit for each address.
    values: u8,
    parameter: u8,
    checked: bool,
}

#[derive(Debug, Clone)]
struct Case {
    kind: PolicyKind,
    wanted: PolicyKind,
    ttl: u32,
    foreign: Vec<Foreign>,
    /// The owner, and one bit for each address.
    owners: Vec<(&'static str, u8)>,
    drop_others: bool,
}

fn kinds() -> impl Strategy<Value = PolicyKind> {
    use PolicyKind::{GeoProximity, Latency, MultiValue, Simple, Weighted};
    prop_oneof![2 => Just(Simple), 3 => Just(Weighted), 2 => Just(GeoProximity), 1 => Just(MultiValue), 1 => Just(Latency)]
}

fn wanted() -> impl Strategy<Value = PolicyKind> {
    use PolicyKind::{GeoProximity, Latency, MultiValue, Weighted};
    prop_oneof![3 => Just(Weighted), 2 => Just(GeoProximity), 1 => Just(MultiValue), 1 => Just(Latency)]
}

/// Names that others give, some of them made to be mistaken for what adopting gives.
fn identifiers() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => (0u8..4).prop_map(|index| format!("by-hand-{index}")),
        2 => (0u8..4).prop_map(|index| format!("geoproximity-coords:52.5,{index}")),
        1 => (0u8..6).prop_map(|index| format!("simple@{}", address(index))),
        1 => (0u8..6).prop_map(|index| format!("by-hand-0@{}", address(index))),
        1 => Just("nodedns/v1/home".to_owned()),
        1 => Just("x".repeat(128)),
        1 => Just(format!("{}y", "x".repeat(127))),
    ]
}

fn cases() -> impl Strategy<Value = Case> {
    let foreign = (identifiers(), 1u8.., 0u8..6, any::<bool>())
        .prop_map(|(identifier, values, parameter, checked)| Foreign { identifier, values, parameter, checked });
    let owner = prop_oneof![Just("nodedns/v1/home/n1"), Just("nodedns/v1/home/n2"), Just("nodedns/v1/other/n9")];
    let owners = prop_oneof![2 => Just(Vec::new()), 1 => vec((owner, 1u8..), 0..3)];
    (kinds(), wanted(), prop_oneof![Just(60), Just(300)], vec(foreign, 0..6), owners, prop::bool::weighted(0.2))
        .prop_map(|(kind, wanted, ttl, foreign, owners, drop_others)| Case {
            kind,
            wanted,
            ttl,
            foreign,
            owners,
            drop_others,
        })
}

fn routing(kind: PolicyKind, parameter: u8) -> Routing {
    match kind {
        PolicyKind::Simple => Routing::Simple,
        PolicyKind::MultiValue => Routing::MultiValue,
        PolicyKind::Latency => Routing::Latency(format!("eu-west-{parameter}")),
        PolicyKind::GeoProximity => Routing::GeoProximity {
            location: Location::Coordinates(Coordinates::listed("52.50", &parameter.to_string()).expect("a point")),
            bias: 0,
        },
        _ => Routing::Weighted(parameter),
    }
}

fn values(bits: u8) -> BTreeSet<Value> {
    (0..8).filter(|bit| bits & (1 << bit) != 0).map(|bit| Value::new(address(bit))).collect()
}

fn values_of(set: &RecordSet) -> BTreeSet<Value> {
    match &set.target {
        Target::Values { values, .. } => values.clone(),
        _ => BTreeSet::new(),
    }
}

/// What others have left: as much of it as Route 53 would have taken.
fn left(case: &Case) -> MemoryProvider {
    let provider = MemoryProvider::new();
    let foreign = case.foreign.iter().map(|foreign| RecordSet {
        set_identifier: (case.kind != PolicyKind::Simple).then(|| SetIdentifier(foreign.identifier.clone())),
        routing: routing(case.kind, foreign.parameter),
        target: Target::Values { ttl: case.ttl, values: values(foreign.values) },
        health_check_id: (foreign.checked && case.kind != PolicyKind::Simple).then(|| "0f1e".to_owned()),
    });
    let owners = case.owners.iter().zip(10u8..).filter(|_| case.kind != PolicyKind::Simple);
    let owners = owners.map(|((owner, bits), parameter)| RecordSet {
        set_identifier: Some(SetIdentifier((*owner).to_owned())),
        routing: routing(case.kind, parameter),
        target: Target::Values { ttl: case.ttl, values: values(*bits) },
        health_check_id: None,
    });
    for set in foreign.chain(owners).collect::<Vec<_>>() {
        // What is refused is not there.
        let _ = block_on(provider.apply(&zone(), &[change(Action::Create, set)]));
    }
    provider
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn zone() -> nodedns::decide::record::ZoneRef {
    nodedns::decide::record::ZoneRef::Id("Z1".to_owned())
}

fn change(action: Action, set: RecordSet) -> Change {
    Change { action, name: world::name(NAME), rtype: RecordType::A, set }
}

fn listing(provider: &MemoryProvider) -> Listing {
    block_on(provider.list(&zone(), &world::name(NAME))).expect("a listing")
}

fn pool_of(provider: &MemoryProvider) -> Pool {
    listing(provider).pool(RecordType::A).cloned().unwrap_or_default()
}

/// A node of the cluster, fit, with one address.
struct Node {
    policy: Policy,
    address: String,
}

impl Node {
    fn new(index: u8, wanted: PolicyKind) -> Self {
        let parameter = 20 + index;
        let record = RecordPolicy {
            types: BTreeSet::from([RecordType::A]),
            routing: routing(wanted, parameter).into(),
            ..world::record(NAME, "Z1")
        };
        let owner = OwnerId::new("home", NODES[usize::from(index)]).expect("an owner");
        Node { policy: Policy { owner, ..world::policy(vec![record]) }, address: address(index) }
    }

    fn plan(&self, listing: &Listing) -> TypePlan {
        let snapshot = world::snapshot(&[&self.address]);
        let world = World {
            addresses: Observed::Known(&snapshot),
            absence_confirmed: &BTreeSet::new(),
            fitness: &Fitness::Fit,
            said: Said { known: true, annotations: None },
            listing: Observed::Known(listing),
            failures: &BTreeMap::new(),
            checks: &BTreeMap::new(),
        };
        plan(&self.policy, &self.policy.records[0], world).remove(0)
    }

    fn adopt(&self, listing: &Listing, drop_others: bool) -> Result<Adoption, Refusal> {
        adopt(Request {
            owner: &self.policy.owner,
            record: &self.policy.records[0],
            listing,
            plan: &self.plan(listing),
            fitness: &Fitness::Fit,
            health_check_id: None,
            drop_others,
            force: false,
        })
    }

    fn identifier(&self) -> Option<SetIdentifier> {
        Some(self.policy.owner.set_identifier())
    }
}

fn is_owned(identifier: &Option<SetIdentifier>) -> bool {
    identifier.as_ref().is_some_and(|identifier| OwnerId::parse(identifier).is_some())
}

/// The values of the record sets that this picks.
fn told(pool: &Pool, pick: impl Fn(&Option<SetIdentifier>) -> bool) -> Vec<Value> {
    pool.iter().filter(|(identifier, _)| pick(identifier)).flat_map(|(_, set)| values_of(set)).collect()
}

/// The same, however it is written: what Route 53 compares.
fn written(pool: &Pool) -> String {
    let text = |set: &RecordSet| values_of(set).iter().map(|value| value.as_str().to_owned()).collect::<Vec<_>>();
    pool.values().map(|set| format!("{set:?} {:?}\n", text(set))).collect()
}

fn holds(case: &Case) -> Result<(), TestCaseError> {
    let (provider, node) = (left(case), Node::new(0, case.wanted));
    let before = pool_of(&provider);
    let owners_differ = before.iter().any(|(identifier, set)| {
        *identifier != node.identifier() && is_owned(identifier) && set.routing.kind() != case.wanted
    });
    let has_foreign = before.keys().any(|identifier| !is_owned(identifier));
    let adoption = match node.adopt(&listing(&provider), case.drop_others) {
        Ok(adoption) => adoption,
        Err(refusal) => {
            let place = !matches!(case.wanted, PolicyKind::Weighted | PolicyKind::MultiValue);
            prop_assert!(has_foreign);
            match &refusal {
                Refusal::Owner { .. } => prop_assert!(owners_differ),
                Refusal::Place { values, .. } => {
                    prop_assert!(place && !case.drop_others && case.kind != case.wanted && !values.is_empty());
                }
                Refusal::Standby(_) => {
                    let weights = || before.values().map(|set| set.routing.clone());
                    prop_assert!(!case.drop_others && case.wanted != PolicyKind::Weighted);
                    prop_assert!(weights().any(|routing| routing == Routing::Weighted(0)));
                    prop_assert!(weights().any(|routing| matches!(routing, Routing::Weighted(1..))));
                }
                Refusal::InTheWay(Reason::LocationTaken(_)) => prop_assert_eq!(case.wanted, PolicyKind::Latency),
                other => prop_assert!(false, "{other:?}"),
            }
            return Ok(());
        }
    };
    prop_assert!(!(owners_differ && has_foreign));
    let changes = match adoption {
        Adoption::Nothing(why) => {
            prop_assert_eq!(why == Nothing::Empty, before.is_empty());
            if has_foreign {
                let conflict = pool::conflict(
                    &listing(&provider),
                    &before,
                    &node.policy.owner.set_identifier(),
                    &routing(case.wanted, 20),
                );
                prop_assert_eq!(conflict, None, "the daemon can share it");
            }
            return Ok(());
        }
        Adoption::Change(changes) => changes,
    };
    let accepted = block_on(provider.apply(&zone(), &changes));
    prop_assert!(accepted.is_ok(), "{accepted:?}\n{changes:?}");
    let after = pool_of(&provider);

    let own = node.identifier();
    prop_assert_eq!(values_of(&after[&own]), BTreeSet::from([Value::new(node.address.clone())]));
    for (identifier, set) in before.iter().filter(|(identifier, _)| is_owned(identifier) && **identifier != own) {
        prop_assert_eq!(after.get(identifier), Some(set));
    }
    let created = changes.iter().filter(|change| change.action == Action::Create && change.set.set_identifier != own);
    prop_assert!(created.clone().all(|change| !is_owned(&change.set.set_identifier)));
    let owned: BTreeSet<Value> = told(&after, is_owned).into_iter().collect();
    let others = told(&after, |identifier| !is_owned(identifier));
    prop_assert!(others.iter().all(|value| !owned.contains(value)), "what is owned has only its owner");
    if case.drop_others {
        prop_assert_eq!(others, []);
    } else {
        let known: BTreeSet<Value> = owned.iter().chain(&others).cloned().collect();
        let was = told(&before, |identifier| *identifier != own);
        prop_assert!(was.iter().all(|value| known.contains(value)), "nobody falls out of DNS");
        if case.kind != case.wanted {
            let (standby, active): (Vec<_>, Vec<_>) =
                before.values().partition(|set| set.routing == Routing::Weighted(0));
            let active: BTreeSet<Value> = active.into_iter().flat_map(values_of).collect();
            let woken = standby.into_iter().flat_map(values_of).filter(|value| others.contains(value));
            prop_assert!(
                active.is_empty() || woken.into_iter().all(|value| active.contains(&value)),
                "no standby answers"
            );
            let set: BTreeSet<&Value> = others.iter().collect();
            prop_assert_eq!(set.len(), others.len(), "nobody is answered for twice");
        }
    }
    let plan = node.plan(&listing(&provider));
    prop_assert!(matches!(plan.intent, Intent::Publish(_)) && plan.in_sync, "{plan:?}");
    prop_assert_eq!(node.adopt(&listing(&provider), case.drop_others), Ok(Adoption::Nothing(Nothing::Shared)));

    // And back.
    let gone = before.values().filter(|set| after.get(&set.set_identifier) != Some(set));
    let come = after.values().filter(|set| before.get(&set.set_identifier) != Some(set));
    let back: Vec<Change> = come
        .map(|set| change(Action::Delete, set.clone()))
        .chain(gone.map(|set| change(Action::Create, set.clone())))
        .collect();
    prop_assert!(block_on(provider.apply(&zone(), &back)).is_ok());
    prop_assert_eq!(written(&pool_of(&provider)), written(&before));
    Ok(())
}

/// All nodes, one after the other: nothing of theirs is left to anybody else.
fn all_adopt(case: &Case) -> Result<(), TestCaseError> {
    // What a node's own stale record set says, the node itself knows better.
    let is_stranger = |(owner, _): &&(&'static str, u8)| !owner.starts_with("nodedns/v1/home/");
    let provider = left(&Case { owners: case.owners.iter().filter(is_stranger).copied().collect(), ..case.clone() });
    let was = told(&pool_of(&provider), |identifier| !is_owned(identifier));
    for index in 0..3 {
        let node = Node::new(index, case.wanted);
        match node.adopt(&listing(&provider), case.drop_others) {
            Err(_) => return Ok(()),
            Ok(Adoption::Change(changes)) => {
                let accepted = block_on(provider.apply(&zone(), &changes));
                prop_assert!(accepted.is_ok(), "{accepted:?}\n{changes:?}");
            }
            // Then its daemon finds nothing in its way.
            Ok(Adoption::Nothing(_)) => {
                let changes = node.plan(&listing(&provider)).changes;
                prop_assert!(changes.is_empty() || block_on(provider.apply(&zone(), &changes)).is_ok());
            }
        }
    }
    let after = pool_of(&provider);
    let nodes: BTreeSet<Value> = (0..3).map(|index| Value::new(address(index))).collect();
    let others = told(&after, |identifier| !is_owned(identifier));
    prop_assert!(others.iter().all(|value| !nodes.contains(value)), "{after:?}");
    if !case.drop_others {
        let owned: BTreeSet<Value> = told(&after, is_owned).into_iter().collect();
        prop_assert!(was.iter().all(|value| owned.contains(value) || others.contains(value)), "{after:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_falls_out_of_dns_and_no_owner_is_touched(case in cases()) {
        holds(&case)?;
    }

    #[test]
    fn once_all_nodes_have_adopted_nothing_of_theirs_is_left_to_others(case in cases()) {
        all_adopt(&case)?;
    }
}

fn foreign(identifier: Option<&str>, routing: Routing, ttl: u32, addresses: &[String]) -> RecordSet {
    RecordSet {
        set_identifier: identifier.map(|text| SetIdentifier(text.to_owned())),
        routing,
        target: Target::Values { ttl, values: addresses.iter().map(Value::new).collect() },
        health_check_id: None,
    }
}

fn adopted(sets: Vec<RecordSet>, wanted: PolicyKind) -> Result<Adoption, Refusal> {
    let listing = world::listing(sets.into_iter().map(|set| (RecordType::A, set)).collect());
    Node::new(0, wanted).adopt(&listing, false)
}

#[test]
fn what_would_be_more_than_route_53_takes_is_refused_beforehand() {
    let addresses =
        |count: u16| (0..count).map(|i| format!("185.12.{}.{}", 64 + i / 250, 1 + i % 250)).collect::<Vec<_>>();
    // Ours is one of them, so that a pool of as many as Route 53 takes comes out.
    let simple = |count| vec![foreign(None, Routing::Simple, 300, &addresses(count))];
    assert!(
        matches!(adopted(simple(100), PolicyKind::Weighted), Ok(Adoption::Change(changes)) if changes.len() == 101)
    );
    assert_eq!(adopted(simple(101), PolicyKind::Weighted), Err(Refusal::InTheWay(Reason::PoolFull(100))));
    let weighted = |count| vec![foreign(Some("a"), Routing::Weighted(1), 300, &addresses(count))];
    assert!(matches!(adopted(weighted(400), PolicyKind::Weighted), Ok(Adoption::Change(_))));
    let two = |count| [weighted(400), vec![foreign(Some("b"), Routing::Weighted(1), 300, &addresses(count))]].concat();
    // 400 and 399, ours, `count` and `count` without ours.
    assert!(matches!(adopted(two(100), PolicyKind::Weighted), Ok(Adoption::Change(_))));
    let refused = adopted(two(101), PolicyKind::Weighted);
    assert!(matches!(refused, Err(Refusal::TooLarge { elements: 1001, .. })), "{refused:?}");
}

#[test]
fn what_nodedns_does_not_understand_is_refused_unless_it_is_in_nobodys_way() {
    let alias = |routing: Routing| RecordSet {
        target: Target::Alias {
            hosted_zone_id: "Z2".into(),
            dns_name: "lb.example.net.".into(),
            evaluate_target_health: false,
        },
        ..foreign((routing != Routing::Simple).then_some("a"), routing, 60, &[])
    };
    let made = |routing| RecordSet { target: Target::TrafficPolicyInstance("tpi".into()), ..alias(routing) };
    let cidr = Routing::Cidr { collection_id: "c".into(), location_name: "*".into() };
    let ours = || foreign(Some("b"), Routing::Weighted(1), 60, &[address(0)]);
    for (sets, expected) in [
        (vec![alias(Routing::Simple)], Err("alias")),
        (vec![made(Routing::Simple)], Err("traffic_policy")),
        (vec![foreign(Some("a"), cidr, 60, &[address(0)])], Err("ip_based")),
        (vec![alias(Routing::Weighted(1))], Ok(Adoption::Nothing(Nothing::Shared))),
        (vec![made(Routing::Weighted(1))], Ok(Adoption::Nothing(Nothing::Shared))),
        (vec![alias(Routing::Weighted(1)), ours()], Err("alias")),
        (vec![made(Routing::Weighted(1)), ours()], Err("traffic_policy")),
    ] {
        assert_eq!(adopted(sets, PolicyKind::Weighted).map_err(|refusal| refusal.as_str()), expected);
    }
}

#[test]
fn a_standby_is_refused_and_no_set_of_the_same_policy_is() {
    let primary = || foreign(Some("p"), Routing::Failover(FailoverRole::Primary), 60, &[address(1)]);
    let secondary = |index| foreign(Some("s"), Routing::Failover(FailoverRole::Secondary), 60, &[address(index)]);
    let weighted = |name, weight, index| foreign(Some(name), Routing::Weighted(weight), 60, &[address(index)]);
    let told = |sets, wanted| {
        let adopted = adopted(sets, wanted);
        adopted.map(|adoption| matches!(adoption, Adoption::Change(_))).map_err(|refusal| refusal.as_str())
    };
    use PolicyKind::{MultiValue, Weighted};
    for wanted in [Weighted, MultiValue] {
        assert_eq!(told(vec![primary(), secondary(2)], wanted), Err("standby"));
        assert_eq!(told(vec![primary()], wanted), Ok(true));
        // What it holds is ours, which the configuration says is to answer.
        assert_eq!(told(vec![primary(), secondary(0)], wanted), Ok(true));
    }
    assert_eq!(told(vec![weighted("a", 1, 1), weighted("b", 0, 2)], MultiValue), Err("standby"));
    assert_eq!(told(vec![weighted("a", 0, 1), weighted("b", 0, 2)], MultiValue), Ok(true));
    assert_eq!(told(vec![weighted("a", 1, 1), weighted("b", 0, 2)], Weighted), Ok(false));
    assert_eq!(told(vec![weighted("a", 1, 0), weighted("b", 0, 2)], Weighted), Ok(true));
    let before = vec![weighted("a", 1, 1), weighted("b", 0, 2)];
    let listing = world::listing(before.into_iter().map(|set| (RecordType::A, set)).collect());
    let dropped = Node::new(0, MultiValue).adopt(&listing, true);
    assert!(matches!(dropped, Ok(Adoption::Change(_))), "{dropped:?}");
}

/// The names of what is derived tell where a value was, and fit.
#[test]
fn derived_names_are_short_enough() {
    let identifiers = |sets: Vec<RecordSet>| -> Vec<String> {
        let Ok(Adoption::Change(changes)) = adopted(sets, PolicyKind::Weighted) else { panic!("it changes") };
        let created = changes.into_iter().filter(|change| change.action == Action::Create).skip(1);
        created.map(|change| change.set.set_identifier.expect("one").0).collect()
    };
    let others = [address(0), address(1), address(2)];
    assert_eq!(
        identifiers(vec![foreign(None, Routing::Simple, 300, &others)]),
        ["simple@185.12.64.2", "simple@185.12.64.3"]
    );
    let long = format!("{}é", "x".repeat(127));
    let shortened = identifiers(vec![foreign(Some(&long), Routing::MultiValue, 300, &others)]);
    assert!(shortened.iter().all(|text| text.chars().count() == 128 && text.starts_with("xxx")), "{shortened:?}");
    assert!(shortened[0].ends_with("@185.12.64.2") && shortened[1].ends_with("@185.12.64.3"));
}
