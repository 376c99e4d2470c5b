//! Any batches at all: the providers agree with each other and with the reference.

use std::cell::Cell;

use nodedns::decide::record::{Action, Change, RecordSet, RecordType};
use nodedns::decide::routing::{FailoverRole, Origin, Routing};
use nodedns::publish::AnyProvider;
use proptest::prelude::*;

use super::conformance::{Model, step};
use super::*;

/// A record set of a small world, in which most batches are nearly right.
fn a_set() -> impl Strategy<Value = RecordSet> {
    let routing = prop_oneof![
        6 => (0_u8..2).prop_map(Routing::Weighted),
        2 => Just(Routing::MultiValue),
        2 => prop::sample::select(vec!["us-east-1", "eu-west-1"]).prop_map(|region| Routing::Latency(region.into())),
        2 => prop::sample::select(vec!["1,1", "2,2"]).prop_map(coordinates),
        1 => Just(Routing::Failover(FailoverRole::Secondary)),
        1 => Just(Routing::Geolocation(Origin::Continent("EU".into()))),
        2 => Just(Routing::Simple),
    ];
    let identifier = prop::sample::select(vec![None, Some("a"), Some("b"), Some("nodedns/v1/home/n")]);
    let ttl = prop_oneof![9 => Just(60_u32), 1 => Just(61)];
    (routing, identifier, ttl, 1_u8..3, any::<bool>()).prop_map(|(routing, identifier, ttl, host, odd)| {
        // The identifier goes with the routing, except now and then.
        let identifier = match (&routing, identifier, odd && host == 2 && ttl == 61) {
            (Routing::Simple, _, false) => None,
            (Routing::Simple, identifier, true) => identifier,
            (_, identifier, false) => Some(identifier.unwrap_or("c")),
            (_, identifier, true) => identifier,
        };
        RecordSet {
            set_identifier: identifier.map(id),
            routing,
            target: values(ttl, &[&format!("192.0.2.{host}")]),
            health_check_id: None,
        }
    })
}

/// What to do in a batch, before it is known what is there to do it to.
fn a_batch() -> impl Strategy<Value = Vec<(u8, bool, RecordSet, prop::sample::Index)>> {
    prop::collection::vec((0_u8..10, any::<bool>(), a_set(), any::<prop::sample::Index>()), 1..5)
}

/// Turns a plan into changes: half of the deletions echo something that is there.
fn changes_of(plan: &[(u8, bool, RecordSet, prop::sample::Index)], model: &Model) -> Vec<Change> {
    plan.iter()
        .map(|(action, elsewhere, set, index)| {
            let at = if *elsewhere { "other.example.com" } else { "edge.example.com" };
            let there: Vec<&RecordSet> = model
                .get(&name(at))
                .and_then(|pools| pools.get(&RecordType::A))
                .map(|pool| pool.values().collect())
                .unwrap_or_default();
            match action {
                0..=2 => change(Action::Create, at, RecordType::A, set.clone()),
                3..=5 => change(Action::Upsert, at, RecordType::A, set.clone()),
                6..=8 if !there.is_empty() => change(Action::Delete, at, RecordType::A, (*index.get(&there)).clone()),
                _ => change(Action::Delete, at, RecordType::A, set.clone()),
            }
        })
        .collect()
}

#[test]
fn the_providers_agree_with_each_other_and_with_the_reference_on_any_batches() {
    let sim = sim();
    let remote = AnyProvider::Route53(route53(&sim));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (accepted, refused) = (Cell::new(0_u32), Cell::new(0_u32));
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let result = runner.run(&prop::collection::vec(a_batch(), 1..8), |plans| {
        sim.add_zone("example.com", ZONE, false);
        let local = AnyProvider::Memory(memory());
        let mut model = Model::default();
        runtime.block_on(async {
            for plan in &plans {
                let changes = changes_of(plan, &model);
                let mut twin = model.clone();
                let here = step(&local, &zone(), &mut model, &changes).await;
                let there = step(&remote, &zone(), &mut twin, &changes).await;
                assert_eq!(model, twin, "{here:?} {there:?} {changes:#?}");
                match (here, there) {
                    (Ok(_), Ok(_)) => accepted.set(accepted.get() + 1),
                    (Err(here), Err(there)) => {
                        refused.set(refused.get() + 1);
                        assert_eq!((here.kind, &here.code), (there.kind, &there.code), "{here} {there}");
                        // The simulator knows the countries' names.
                        if !there.message.contains("GEO RRSet") {
                            assert_eq!(here.message, there.message, "{changes:#?}");
                        }
                    }
                    (here, there) => panic!("{here:?} but {there:?}: {changes:#?}"),
                }
            }
        });
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let (accepted, refused) = (accepted.get(), refused.get());
    assert!(accepted > 50 && refused > 50, "a one-sided test: {accepted} accepted, {refused} refused");
}
