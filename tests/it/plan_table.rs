//! The decision table: every combination of what can be known, one row each, for an operator to read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use nodedns::decide::address::Snapshot;
use nodedns::decide::annotation::{self, Annotations, Said};
use nodedns::decide::fitness::Fitness;
use nodedns::decide::health_check::HealthCheck;
use nodedns::decide::node::NodeState;
use nodedns::decide::observed::Observed;
use nodedns::decide::plan::{TypePlan, World, plan};
use nodedns::decide::policy::{Policy, RecordPolicy, RoutingRule, Signal};
use nodedns::decide::reason::{Intent, Reason};
use nodedns::decide::record::{Action, Change, Listing, RecordSet, RecordType, Target, Value};
use nodedns::decide::routing::{Coordinates, FailoverRole, Location, Origin, Routing};

use crate::support::world::{self, FOREIGN, OWN, SIBLING, V4, V4_OTHER};

fn describe(plan: &TypePlan) -> String {
    let change = |change: &Change| {
        let own = change.set.set_identifier.as_ref().is_some_and(|id| id.0 == OWN);
        let values: Vec<_> = change.set.addresses().iter().map(ToString::to_string).collect();
        format!("{} {} {}", change.action.as_str(), if own { "own" } else { "witness" }, values.join(","))
    };
    let changes: Vec<_> = plan.changes.iter().map(change).collect();
    let sync = if plan.in_sync { "in sync" } else { "" };
    format!("{:<8} {:<20} {:<8} {}", plan.intent.as_str(), plan.intent.reason().as_str(), sync, changes.join("; "))
}

fn decide(
    record: RecordPolicy,
    addresses: Observed<&Snapshot>,
    confirmed: bool,
    fitness: &Fitness,
    listing: Observed<&Listing>,
) -> TypePlan {
    let policy = world::policy(vec![record]);
    decide_with(&policy, addresses, confirmed, fitness, listing)
}

fn decide_with(
    policy: &Policy,
    addresses: Observed<&Snapshot>,
    confirmed: bool,
    fitness: &Fitness,
    listing: Observed<&Listing>,
) -> TypePlan {
    let absence_confirmed = if confirmed { BTreeSet::from(RecordType::ALL) } else { BTreeSet::new() };
    let world = World {
        addresses,
        absence_confirmed: &absence_confirmed,
        fitness,
        said: Said { known: true, annotations: None },
        listing,
        failures: &BTreeMap::new(),
        checks: &BTreeMap::new(),
    };
    let mut plans = plan(policy, &policy.records[0], world);
    assert_eq!(plans.len(), 1, "only type A is configured");
    plans.remove(0)
}

fn a_record() -> RecordPolicy {
    RecordPolicy { types: BTreeSet::from([RecordType::A]), ..world::record("edge.example.com", "Z1") }
}

#[test]
fn every_combination_of_what_can_be_known() {
    let some = world::snapshot(&[V4]);
    let none = world::snapshot(&[]);
    let addresses = [
        ("unknown", Observed::Unknown, false),
        ("none", Observed::Known(&none), false),
        ("none twice", Observed::Known(&none), true),
        (V4, Observed::Known(&some), false),
    ];
    let fitness = [
        ("unknown", Fitness::Unknown(Reason::NodeUnknown)),
        ("fit", Fitness::Fit),
        ("cordoned", Fitness::Unfit(Reason::Cordoned)),
        ("returning", Fitness::Recovering(Reason::Recovering(Signal::Cordoned))),
    ];
    let sibling = || (RecordType::A, world::weighted(SIBLING, "185.12.64.9"));
    let own = |address| (RecordType::A, world::weighted(OWN, address));
    let pools = [
        ("unknown", Observed::Unknown),
        ("empty", Observed::Known(world::listing(vec![]))),
        ("own", Observed::Known(world::listing(vec![own(V4)]))),
        ("own, old address", Observed::Known(world::listing(vec![own(V4_OTHER)]))),
        ("sibling", Observed::Known(world::listing(vec![sibling()]))),
        ("own + sibling", Observed::Known(world::listing(vec![own(V4), sibling()]))),
        ("own, old + sibling", Observed::Known(world::listing(vec![own(V4_OTHER), sibling()]))),
    ];
    let mut table = String::new();
    for (fitness_text, fitness) in &fitness {
        for (addresses_text, addresses, confirmed) in &addresses {
            for (pool_text, pool) in &pools {
                let listing = pool.known().map_or(Observed::Unknown, Observed::Known);
                let plan = decide(a_record(), *addresses, *confirmed, fitness, listing);
                let row = format!("{fitness_text:<9} {addresses_text:<12} {pool_text:<19} {}", describe(&plan));
                writeln!(table, "{}", row.trim_end()).expect("writes");
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// What the rest of the name means for us: one row per rule of Route 53.
#[test]
fn what_else_is_at_the_name() {
    let snapshot = world::snapshot(&[V4]);
    let fit = |record: RecordPolicy, listing: &Listing| {
        decide(record, Observed::Known(&snapshot), false, &Fitness::Fit, Observed::Known(listing))
    };
    let set = |routing: Routing, identifier: Option<&str>| {
        let mut set = world::weighted(identifier.unwrap_or_default(), "185.12.64.9");
        set.routing = routing;
        if identifier.is_none() {
            set.set_identifier = None;
        }
        (RecordType::A, set)
    };
    let with_ttl = |ttl, (rtype, set): (RecordType, RecordSet)| {
        (
            rtype,
            RecordSet { target: Target::Values { ttl, values: BTreeSet::from([Value::new("185.12.64.9")]) }, ..set },
        )
    };
    let geo = |text: &str| Routing::GeoProximity {
        location: Location::Coordinates(Coordinates::parse_pair(text).expect("coordinates")),
        bias: 0,
    };
    let many = |count: usize, routing: &Routing| {
        world::listing((0..count).map(|n| set(routing.clone(), Some(&format!("other-{n}")))).collect())
    };
    let wants = |routing: Routing| RecordPolicy { routing: routing.into(), ..a_record() };
    let weighted = || Routing::Weighted(1);

    let mut cname = world::listing(vec![]);
    cname.has_cname = true;
    let latency = |region: &str| Routing::Latency(region.into());
    let rows = [
        ("a CNAME", a_record(), cname),
        ("a simple record set", a_record(), world::listing(vec![set(Routing::Simple, None)])),
        ("another policy", a_record(), world::listing(vec![set(geo("1,2"), Some(FOREIGN))])),
        ("another TTL, weighted", a_record(), world::listing(vec![with_ttl(300, set(weighted(), Some(FOREIGN)))])),
        (
            "another TTL, geoproximity",
            wants(geo("1,2")),
            world::listing(vec![with_ttl(300, set(geo("3,4"), Some(FOREIGN)))]),
        ),
        ("99 weighted", a_record(), many(99, &weighted())),
        ("100 weighted", a_record(), many(100, &weighted())),
        ("29 geoproximity", wants(geo("1,2")), many(29, &geo("3,4"))),
        ("30 geoproximity", wants(geo("1,2")), many(30, &geo("3,4"))),
        ("the same coordinates", wants(geo("1,2")), world::listing(vec![set(geo("1,2"), Some(FOREIGN))])),
        (
            "the same Region",
            wants(latency("eu-west-1")),
            world::listing(vec![set(latency("eu-west-1"), Some(FOREIGN))]),
        ),
        ("another Region", wants(latency("eu-west-1")), world::listing(vec![set(latency("eu-west-2"), Some(FOREIGN))])),
        (
            "the same country",
            wants(Routing::Geolocation(Origin::Country("DE".into()))),
            world::listing(vec![set(Routing::Geolocation(Origin::Country("DE".into())), Some(FOREIGN))]),
        ),
        (
            "the same failover role",
            wants(Routing::Failover(FailoverRole::Secondary)),
            world::listing(vec![set(Routing::Failover(FailoverRole::Secondary), Some(FOREIGN))]),
        ),
        (
            "the other failover role",
            wants(Routing::Failover(FailoverRole::Secondary)),
            world::listing(vec![set(Routing::Failover(FailoverRole::Primary), Some(FOREIGN))]),
        ),
        ("own, alone, with the old policy", wants(geo("1,2")), world::listing(vec![set(weighted(), Some(OWN))])),
        (
            "own and others with the old policy",
            wants(geo("1,2")),
            world::listing(vec![set(weighted(), Some(OWN)), set(weighted(), Some(FOREIGN))]),
        ),
    ];
    let mut table = String::new();
    for (what, record, listing) in rows {
        let plan = fit(record, &listing);
        writeln!(table, "{what:<35} ttl {:<4} {}", plan.ttl, describe(&plan).trim_end()).expect("writes");
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_filter_that_leaves_nothing_holds_instead_of_deleting() {
    let mut policy = world::policy(vec![a_record()]);
    policy.addresses.exclude_interfaces = vec!["eth0".into()];
    let snapshot = world::snapshot(&[V4]);
    let listing = world::listing(vec![
        (RecordType::A, world::weighted(OWN, V4)),
        (RecordType::A, world::weighted(SIBLING, V4_OTHER)),
    ]);
    let plan = decide_with(&policy, Observed::Known(&snapshot), true, &Fitness::Fit, Observed::Known(&listing));
    assert_eq!((plan.intent.as_str(), plan.intent.reason()), ("hold", Reason::AddressesFiltered));
    assert_eq!(plan.changes, []);
}

#[test]
fn static_addresses_need_no_host_addresses() {
    let record =
        RecordPolicy { static_addresses: BTreeSet::from([V4_OTHER.parse().expect("an address")]), ..a_record() };
    let plan = decide(record, Observed::Unknown, false, &Fitness::Fit, Observed::Known(&world::listing(vec![])));
    assert_eq!(describe(&plan).trim_end(), format!("publish  eligible                      UPSERT own {V4_OTHER}"));
}

#[test]
fn a_health_check_goes_with_the_record_set() {
    let record = RecordPolicy { health_check: Some(HealthCheck::Existing("hc-1".into())), ..a_record() };
    let snapshot = world::snapshot(&[V4]);
    let plan = |listing: &Listing| {
        decide(record.clone(), Observed::Known(&snapshot), false, &Fitness::Fit, Observed::Known(listing))
    };
    let published = plan(&world::listing(vec![])).changes[0].set.clone();
    assert_eq!(published.health_check_id.as_deref(), Some("hc-1"));
    assert!(plan(&world::listing(vec![(RecordType::A, published)])).in_sync);
    assert!(!plan(&world::listing(vec![(RecordType::A, world::weighted(OWN, V4))])).in_sync);
}

#[test]
fn several_addresses_are_published_only_when_asked_for() {
    let snapshot = world::snapshot(&[V4, V4_OTHER]);
    let listing = world::listing(vec![]);
    let published = |all_addresses| {
        let record = RecordPolicy { all_addresses, ..a_record() };
        decide(record, Observed::Known(&snapshot), false, &Fitness::Fit, Observed::Known(&listing)).changes[0]
            .set
            .addresses()
            .len()
    };
    assert_eq!((published(false), published(true)), (1, 2));
}

#[test]
fn a_type_that_is_no_longer_configured_is_withdrawn() {
    let policy = world::policy(vec![a_record()]);
    let snapshot = world::snapshot(&[V4]);
    let aaaa = |identifier| (RecordType::Aaaa, world::weighted(identifier, "2a01:4ff:f0::9"));
    let listing = world::listing(vec![aaaa(OWN), aaaa(SIBLING)]);
    let world = World {
        addresses: Observed::Known(&snapshot),
        absence_confirmed: &BTreeSet::new(),
        fitness: &Fitness::Fit,
        said: Said::default(),
        listing: Observed::Known(&listing),
        failures: &BTreeMap::new(),
        checks: &BTreeMap::new(),
    };
    let plans = plan(&policy, &policy.records[0], world);
    assert_eq!(plans.iter().map(|plan| plan.rtype).collect::<Vec<_>>(), RecordType::ALL);
    assert_eq!(plans[1].intent.reason(), Reason::TypeNotConfigured);
    assert_eq!(plans[1].changes[0].action, Action::Delete);
    assert_eq!(plans[1].changes[0].set.set_identifier.as_ref().map(|id| id.0.as_str()), Some(OWN));
}

/// The routing by what the annotations say, by whether they are known, and by what is there.
#[test]
fn annotations_go_before_the_file_and_what_is_there_before_what_is_unknown() {
    let snapshot = world::snapshot(&[V4]);
    let geo = |text: &str| Routing::GeoProximity {
        location: Location::Coordinates(Coordinates::parse_pair(text).expect("coordinates")),
        bias: 0,
    };
    let said = |pairs: &[(&str, &str)]| match world::annotated(pairs) {
        NodeState::Present(node) => Annotations::read(&node),
        NodeState::Absent => Annotations::default(),
    };
    let nothing = said(&[]);
    let weight = said(&[(annotation::WEIGHT, "50")]);
    let place = said(&[(annotation::COORDINATES, "50.11,8.68"), (annotation::BIAS, "-5")]);
    let theirs = said(&[(annotation::COORDINATES_OF_KUBE_NODE_DNS, " 50.11 , 8.68 ")]);
    let wrong = said(&[(annotation::WEIGHT, "a lot"), (annotation::COORDINATES, "50.1109,8.6821")]);
    let annotations = [
        ("nothing", true, Some(&nothing)),
        ("weight 50", true, Some(&weight)),
        ("50.11,8.68 -5", true, Some(&place)),
        ("kube-node-dns's", true, Some(&theirs)),
        ("nonsense", true, Some(&wrong)),
        ("unknown", false, None),
        ("unknown, was 50", false, Some(&weight)),
        ("no Kubernetes", true, None),
    ];
    let rules = [
        RoutingRule::Fixed(Routing::Weighted(10)),
        RoutingRule::Fixed(geo("1,2")),
        RoutingRule::CoordinatesOfTheNode { bias: 7 },
        RoutingRule::Fixed(Routing::Latency("eu-west-1".into())),
    ];
    let own =
        |routing: Routing| world::listing(vec![(RecordType::A, RecordSet { routing, ..world::weighted(OWN, V4) })]);
    let pools =
        [("empty", world::listing(vec![])), ("weighted 77", own(Routing::Weighted(77))), ("7,8", own(geo("7,8")))];
    let mut table = String::new();
    for rule in &rules {
        for (text, known, annotations) in &annotations {
            let mut row = format!("{:<24} {text:<15}", rule.to_string());
            for (pool, listing) in &pools {
                let policy = world::policy(vec![RecordPolicy { routing: rule.clone(), ..a_record() }]);
                let world = World {
                    addresses: Observed::Known(&snapshot),
                    absence_confirmed: &BTreeSet::new(),
                    fitness: &Fitness::Fit,
                    said: Said { known: *known, annotations: *annotations },
                    listing: Observed::Known(listing),
                    failures: &BTreeMap::new(),
                    checks: &BTreeMap::new(),
                };
                let plan = plan(&policy, &policy.records[0], world).remove(0);
                let outcome = match &plan.intent {
                    Intent::Publish(set) => set.routing.to_string(),
                    other => format!("{} {}", other.as_str(), other.reason().as_str()),
                };
                let _ = write!(row, " | {pool}: {outcome:<36}");
            }
            writeln!(table, "{}", row.trim_end()).expect("writes");
        }
    }
    insta::assert_snapshot!(table);
}
