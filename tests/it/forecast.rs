//! What is foretold is what the signals come to once everything has stood still for long: every state of
//! everything that they are read off, under every action.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nodedns::decide::drain::Drain;
use nodedns::decide::fitness::{Conditions, Fitness, NodeKnowledge, Rules, Signals, settled};
use nodedns::decide::forecast::{Check, Facts, forecast};
use nodedns::decide::health_check::{
    CheckListing, CheckProbe, CheckSpec, FoundCheck, HealthCheck, ManagedCheck, Place, Reference,
};
use nodedns::decide::node::{NodeState, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::OwnerId;
use nodedns::decide::policy::{RecordPolicy, Signal, SignalAction};
use nodedns::decide::probe::{Probe, ProbeOutcome};
use nodedns::decide::reason::{Intent, Reason};
use nodedns::decide::record::{RecordSet, RecordType};
use nodedns::decide::selector::LabelSelector;
use nodedns::decide::time::Moment;

use crate::support::world::{self, OWN, SIBLING, V4};

fn at(seconds: u64) -> Moment {
    Moment::new(Duration::from_secs(seconds))
}

fn nodes() -> Vec<Option<NodeKnowledge>> {
    let known = |state| Some(NodeKnowledge { state: Observed::Known(state), reported: true });
    vec![
        None,
        Some(NodeKnowledge { state: Observed::Unknown, reported: false }),
        Some(NodeKnowledge { state: Observed::Unknown, reported: true }),
        known(NodeState::Absent),
        known(world::ready()),
        known(world::node(Readiness::NotReady(None), false)),
        known(world::node(Readiness::Ready, true)),
        known(world::deleting()),
        known(world::tainted("example.com/gone")),
        known(world::annotated(&[("nodedns.io/exclude", "true")])),
    ]
}

fn records() -> Vec<RecordPolicy> {
    let plain = RecordPolicy {
        probe: Some(world::probe()),
        taint_keys: BTreeSet::from(["example.com/gone".to_owned()]),
        ..world::record("edge.example.com", "Z1")
    };
    let mut records = vec![plain.clone()];
    for signal in Signal::ALL {
        for action in [SignalAction::Withdraw, SignalAction::Ignore] {
            let mut record = plain.clone();
            let mut policy = signal.default_policy();
            (policy.action, policy.after, policy.recover_after) =
                (action, Duration::from_secs(3600), Duration::from_secs(7200));
            record.signals.insert(signal, policy);
            records.push(record);
        }
    }
    records
}

#[test]
fn what_is_foretold_is_what_stands_still_comes_to() {
    let selector = LabelSelector::default();
    let mut seen = BTreeSet::new();
    for record in records() {
        for node in nodes() {
            for drain in [
                Observed::Unknown,
                Observed::Known(None),
                Observed::Known(Some(Drain { until: None, force: false })),
                Observed::Known(Some(Drain { until: Some(at(5)), force: false })),
            ] {
                for outcome in [None, Some(ProbeOutcome::Passing), Some(ProbeOutcome::Failing("x".into()))] {
                    let probes: BTreeMap<Probe, ProbeOutcome> =
                        outcome.into_iter().map(|outcome| (world::probe(), outcome)).collect();
                    let conditions = Conditions { node: node.clone(), probes, drain, stopping: false };
                    let rules = Rules { record: &record, node_selector: &selector };
                    let (mut signals, long) = (Signals::default(), at(100_000));
                    signals.update(rules, &conditions, at(10));
                    signals.update(rules, &conditions, long);
                    let lived = signals.fitness(rules, &conditions, long);
                    assert_eq!(settled(rules, &conditions, at(10)), lived, "{conditions:?} {:?}", record.signals);
                    seen.insert(format!("{lived:?}"));
                }
            }
        }
    }
    assert!(seen.len() > 10, "{seen:?}");
}

fn checked() -> ManagedCheck {
    ManagedCheck { probe: CheckProbe::Tcp, port: 443, interval: 30, failure_threshold: 3 }
}

fn found(id: &str, node: &str, address: &str, nonce: u64) -> FoundCheck {
    let owner = OwnerId::new("home", node).expect("an owner");
    let place = Place::new(&owner, "Z1", &world::name("edge.example.com"), RecordType::A);
    let spec = CheckSpec { address: address.parse().expect("an address"), check: checked() };
    FoundCheck { id: id.into(), reference: Reference::new(place, nonce << 40), spec: Some(spec) }
}

/// The health check of the record set with this id, among these; and the id that the record set would have.
fn check_of(own: Option<&str>, address: &str, ours: Vec<FoundCheck>, others: &[&str]) -> (Check, Option<String>) {
    let record = RecordPolicy {
        types: BTreeSet::from([RecordType::A]),
        health_check: Some(HealthCheck::Managed(checked())),
        static_addresses: BTreeSet::from([address.parse().expect("an address")]),
        ..world::record("edge.example.com", "Z1")
    };
    let policy = world::policy(vec![record.clone()]);
    let own = RecordSet { health_check_id: own.map(str::to_owned), ..world::weighted(OWN, address) };
    let listing = world::listing(vec![(RecordType::A, own), (RecordType::A, world::weighted(SIBLING, "185.12.64.9"))]);
    let conditions = Conditions { drain: Observed::Known(None), ..Conditions::default() };
    let checks = CheckListing { ours, others: others.iter().map(|id| (*id).to_owned()).collect() };
    let facts = Facts {
        addresses: Observed::Unknown,
        conditions: &conditions,
        listing: Observed::Known(&listing),
        checks: Observed::Known(&checks),
        now: at(10),
    };
    let mut forecast = forecast(&policy, &record, facts);
    assert_eq!(forecast.fitness, Fitness::Fit);
    let planned = forecast.types.remove(0);
    let Intent::Publish(set) = planned.plan.intent else { panic!("{:?}", planned.plan.intent) };
    (planned.check, set.health_check_id)
}

#[test]
fn the_health_check_of_a_record_set_is_found_by_its_place_and_what_it_asks() {
    let spec = |address: &str| CheckSpec { address: address.parse().expect("an address"), check: checked() };
    let id = |id: &str| Some(id.to_owned());
    let here = || Check::Found(spec(V4), "b".into());
    assert_eq!(check_of(None, V4, vec![found("b", "n1", V4, 1)], &[]), (here(), id("b")));
    // The one that is attached goes before others that would do as well.
    let both = || vec![found("a", "n1", V4, 1), found("b", "n1", V4, 2)];
    assert_eq!(check_of(Some("b"), V4, both(), &[]), (here(), id("b")));
    assert_eq!(check_of(Some("c"), V4, both(), &[]), (Check::Found(spec(V4), "a".into()), id("a")));
    let edited = FoundCheck { spec: None, ..found("d", "n1", V4, 3) };
    for others in [vec![found("b", "n2", V4, 1)], vec![found("b", "n1", "185.12.64.2", 1)], vec![edited]] {
        assert_eq!(check_of(None, V4, others, &["x"]), (Check::Missing(spec(V4)), None));
    }
    // Nobody can check a private address, but somebody else's health check may have its reasons.
    let private = "10.0.0.1";
    assert_eq!(check_of(Some("x"), private, vec![], &["x"]), (Check::Impossible(spec(private)), id("x")));
    assert_eq!(check_of(Some("x"), private, vec![], &[]), (Check::Impossible(spec(private)), None));
}

/// A drain that cannot be read might be one by force, which no guard holds back.
#[test]
fn what_a_drain_by_force_would_change_is_not_known_without_the_drain() {
    let record = RecordPolicy { types: BTreeSet::from([RecordType::A]), ..world::record("edge.example.com", "Z1") };
    let policy = world::policy(vec![record.clone()]);
    let listing = world::listing(vec![(RecordType::A, world::weighted(OWN, V4))]);
    let snapshot = world::snapshot(&[V4]);
    for (drain, expected) in [
        (Observed::Known(None), (Intent::Hold(Reason::KeepMin(1)), true)),
        (Observed::Unknown, (Intent::Hold(Reason::KeepMin(1)), false)),
        (Observed::Known(Some(Drain { until: None, force: true })), (Intent::Withdraw(Reason::Drained), true)),
    ] {
        let node = NodeKnowledge { state: Observed::Known(world::node(Readiness::Ready, true)), reported: true };
        let conditions = Conditions { node: Some(node), drain, ..Conditions::default() };
        let facts = Facts {
            addresses: Observed::Known(&snapshot),
            conditions: &conditions,
            listing: Observed::Known(&listing),
            checks: Observed::Unknown,
            now: at(10),
        };
        let planned = forecast(&policy, &record, facts).types.remove(0);
        assert_eq!((planned.plan.intent, planned.known), expected);
    }
}
