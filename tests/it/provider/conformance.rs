//! What every provider must do alike: accept and refuse the same batches, in the same words, and
//! hold afterwards what [`Listing::apply`] says.

use std::cell::Cell;
use std::collections::BTreeMap;

use nodedns::decide::provider::{ChangeId, ChangeStatus, ErrorKind, ProviderError};
use nodedns::decide::record::{Action, Change, Listing, Pool, RecordSet, RecordType, ZoneRef};
use nodedns::decide::routing::{Coordinates, FailoverRole, Location, Origin, Routing};
use nodedns::publish::{AnyProvider, Provider};
use proptest::prelude::*;

use super::*;

/// What every name should hold.
type Model = BTreeMap<DnsName, BTreeMap<RecordType, Pool>>;

fn apply_to(model: &mut Model, changes: &[Change]) {
    for change in changes {
        let pools = model.entry(change.name.clone()).or_default();
        let mut listing = Listing { pools: std::mem::take(pools), ..Listing::default() };
        listing.apply(change);
        *pools = listing.pools;
    }
}

/// Applies a batch, and compares what is listed with the model.
async fn step(
    provider: &AnyProvider,
    zone: &ZoneRef,
    model: &mut Model,
    changes: &[Change],
) -> Result<ChangeId, ProviderError> {
    let outcome = provider.apply(zone, changes).await;
    if outcome.is_ok() {
        apply_to(model, changes);
    }
    for (name, pools) in model.iter() {
        let listing = provider.list(zone, name).await.expect("a listing");
        assert_eq!(listing.pools, *pools, "{name} after {outcome:?} of {changes:#?}");
    }
    outcome
}

fn coordinates(text: &str) -> Routing {
    Routing::GeoProximity { location: Location::Coordinates(Coordinates::parse_pair(text).expect(text)), bias: 0 }
}

/// What is expected of a batch: that it is accepted, or a code and the whole text.
type Expected = Result<(), (&'static str, String)>;

fn batch_refused(messages: &str) -> Expected {
    Err(("InvalidChangeBatch", format!("[{messages}]")))
}

/// Batches, applied one after another to an empty name. `check` is a health check.
fn cases(check: &str) -> Vec<(&'static str, Vec<(Vec<Change>, Expected)>)> {
    const EDGE: &str = "RRSet with DNS name edge.example.com., type A";
    const KEY: &str = "[name='edge.example.com.', type='A', set-identifier='a']";
    let a = || weighted("a", 10, "192.0.2.1");
    let b = || weighted("b", 10, "192.0.2.2");
    let other_ttl = || set("b", Routing::Weighted(1), values(120, &["192.0.2.2"]));
    let latency = |identifier: &str| set(identifier, Routing::Latency("us-east-1".into()), values(60, &["192.0.2.3"]));
    let multivalue = |identifier: &str| set(identifier, Routing::MultiValue, values(60, &["192.0.2.4"]));
    let invalid = |text: &str| -> Expected { Err(("InvalidInput", text.to_owned())) };
    let repeated = || {
        batch_refused("The request contains an invalid set of changes for a resource record set 'A edge.example.com.'")
    };
    vec![
        (
            "a record set is created, replaced and deleted",
            vec![
                (vec![create(a())], Ok(())),
                (vec![upsert(weighted("a", 0, "192.0.2.9"))], Ok(())),
                (vec![delete(weighted("a", 0, "192.0.2.9"))], Ok(())),
            ],
        ),
        (
            "what exists cannot be created",
            vec![
                (vec![create(a())], Ok(())),
                (
                    vec![create(a())],
                    batch_refused(&format!("Tried to create resource record set {KEY} but it already exists")),
                ),
            ],
        ),
        (
            "a deletion is a compare-and-swap",
            vec![
                (vec![create(a())], Ok(())),
                (
                    vec![delete(weighted("a", 11, "192.0.2.1"))],
                    batch_refused(&format!(
                        "Tried to delete resource record set {KEY} but the values provided do not match the current values"
                    )),
                ),
                (
                    vec![delete(set("a", Routing::Weighted(10), values(61, &["192.0.2.1"])))],
                    batch_refused(&format!(
                        "Tried to delete resource record set {KEY} but the values provided do not match the current values"
                    )),
                ),
                (vec![delete(a())], Ok(())),
                (
                    vec![delete(a())],
                    batch_refused(&format!("Tried to delete resource record set {KEY} but it was not found")),
                ),
                (
                    vec![delete(simple("192.0.2.1"))],
                    batch_refused(
                        "Tried to delete resource record set [name='edge.example.com.', type='A'] but it was not found",
                    ),
                ),
            ],
        ),
        (
            "a batch is applied whole or not at all, and says everything that is wrong with it",
            vec![
                (vec![create(a())], Ok(())),
                (
                    vec![create(b()), delete(weighted("x", 1, "192.0.2.7")), create(a())],
                    batch_refused(&format!(
                        "Tried to delete resource record set [name='edge.example.com.', type='A', set-identifier='x'] \
                         but it was not found, Tried to create resource record set {KEY} but it already exists"
                    )),
                ),
            ],
        ),
        (
            "a witness is deleted and created again in the batch that deletes another",
            vec![
                (vec![create(a()), create(b())], Ok(())),
                (vec![delete(b()), create(b()), delete(a())], Ok(())),
                (vec![create(a())], Ok(())),
                (vec![delete(b())], Ok(())),
                // The witness has gone meanwhile: nothing happens.
                (
                    vec![delete(b()), create(b()), delete(a())],
                    batch_refused(
                        "Tried to delete resource record set [name='edge.example.com.', type='A', set-identifier='b'] \
                         but it was not found",
                    ),
                ),
            ],
        ),
        (
            "one key is changed once, or deleted and then created",
            vec![
                (vec![create(a()), create(a())], repeated()),
                (vec![create(a()), delete(a())], repeated()),
                (vec![upsert(a()), upsert(a())], repeated()),
                (vec![create(a())], Ok(())),
                (vec![delete(a()), delete(a())], repeated()),
                (vec![delete(a()), upsert(a())], repeated()),
                (vec![delete(a()), create(a()), delete(a())], repeated()),
                (vec![delete(a()), create(weighted("a", 77, "192.0.2.77"))], Ok(())),
            ],
        ),
        (
            "a simple record set has the pool to itself",
            vec![
                (vec![create(simple("192.0.2.1"))], Ok(())),
                (
                    vec![create(a())],
                    batch_refused(&format!(
                        "{EDGE}, SetIdentifier a cannot be created as a non-weighted set exists with the same name and type."
                    )),
                ),
                (vec![delete(simple("192.0.2.1")), create(a())], Ok(())),
                (
                    vec![create(simple("192.0.2.1"))],
                    batch_refused(&format!(
                        "{EDGE} cannot be created as other RRSets exist with the same name and type."
                    )),
                ),
            ],
        ),
        (
            "a pool has one policy, unless the batch takes it over whole",
            vec![
                (vec![create(a()), create(b())], Ok(())),
                (
                    vec![create(latency("l"))],
                    batch_refused(&format!(
                        "{EDGE}, SetIdentifier l, and Region Name=us-east-1 cannot be created because a non-latency RRSet \
                         with the same name and type already exists."
                    )),
                ),
                (
                    vec![create(multivalue("m"))],
                    batch_refused(&format!(
                        "{EDGE}, SetIdentifier m cannot be created because a non multivalue answer rrset exists with the \
                         same name and type."
                    )),
                ),
                (vec![delete(a()), delete(b()), create(multivalue("a")), create(multivalue("b"))], Ok(())),
            ],
        ),
        (
            "weighted record sets share one TTL",
            vec![
                (vec![create(a())], Ok(())),
                (
                    vec![create(other_ttl())],
                    batch_refused(&format!(
                        "{EDGE}, SetIdentifier b cannot be created as weighted sets must contain the same TTL."
                    )),
                ),
                (vec![upsert(set("a", Routing::Weighted(10), values(120, &["192.0.2.1"])))], Ok(())),
                (vec![create(other_ttl())], Ok(())),
            ],
        ),
        (
            "the TTL is no matter of other policies, or of the other type",
            vec![
                (
                    vec![create(multivalue("m")), create(set("n", Routing::MultiValue, values(61, &["192.0.2.5"])))],
                    Ok(()),
                ),
                (
                    vec![change(
                        Action::Create,
                        "edge.example.com",
                        RecordType::Aaaa,
                        set("m", Routing::Weighted(1), values(7, &["2001:db8::1"])),
                    )],
                    Ok(()),
                ),
            ],
        ),
        (
            "a Region has one latency record set",
            vec![
                (vec![create(latency("l"))], Ok(())),
                (
                    vec![create(latency("k"))],
                    batch_refused(&format!(
                        "{EDGE}, SetIdentifier k, and Region Name=us-east-1 cannot be created because a latency RRSet with \
                         the same name, type and region already exists."
                    )),
                ),
            ],
        ),
        (
            "a health check needs a policy, and a primary needs a health check",
            vec![
                (
                    vec![create(RecordSet { health_check_id: Some(check.into()), ..simple("192.0.2.1") })],
                    batch_refused(
                        "DNS name must have alternate ResourceRecordSet responses configured via a routing policy (e.g., \
                         Weight, Region, etc.) if a health check is attached. No changes made.",
                    ),
                ),
                (
                    vec![create(set("p", Routing::Failover(FailoverRole::Primary), values(60, &["192.0.2.1"])))],
                    batch_refused(
                        "A non-alias primary ResourceRecordSet must have an associated health check. No changes made.",
                    ),
                ),
            ],
        ),
        (
            "a set identifier goes with a policy",
            vec![
                (
                    vec![create(RecordSet { set_identifier: None, ..a() })],
                    invalid(
                        "Invalid request: Missing field 'SetIdentifier' in Change with [Action=CREATE, \
                         Name=edge.example.com., Type=A, SetIdentifier=null]",
                    ),
                ),
                (
                    vec![create(RecordSet { routing: Routing::Simple, ..a() })],
                    invalid(
                        "Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, \
                         MultiValueAnswer, GeoProximityLocation, or CidrRoutingConfig], but found none in Change with \
                         [Action=CREATE, Name=edge.example.com., Type=A, SetIdentifier=a]",
                    ),
                ),
            ],
        ),
        (
            "a record set has values, of its own type",
            vec![
                (
                    vec![upsert(set("a", Routing::Weighted(1), values(60, &[])))],
                    invalid(
                        "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
                         TrafficPolicyInstanceId], but found none in Change with [Action=UPSERT, Name=edge.example.com., \
                         Type=A, SetIdentifier=a]",
                    ),
                ),
                (
                    vec![create(weighted("a", 1, "2001:db8::1"))],
                    batch_refused(
                        "Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 \
                         address) encountered with '2001:db8::1''",
                    ),
                ),
                (
                    vec![create(set("a", Routing::Weighted(1), values(1 << 31, &["192.0.2.1"])))],
                    invalid(
                        "1 validation error detected: Value '2147483648' at \
                         'changeBatch.changes.1.member.resourceRecordSet.tTL' failed to satisfy constraint: Member must \
                         have value less than or equal to 2147483647",
                    ),
                ),
                (vec![create(set("a", Routing::Weighted(1), values(0, &["192.0.2.1", "192.0.2.2"])))], Ok(())),
            ],
        ),
        (
            "a name lies in its zone",
            vec![(
                vec![change(Action::Create, "edge.example.net", RecordType::A, a())],
                batch_refused("RRSet with DNS name edge.example.net. is not permitted in zone example.com."),
            )],
        ),
        (
            "1000 values make a batch, an UPSERT's counted twice",
            vec![
                (
                    (0..3)
                        .map(|n| {
                            let addresses: Vec<String> =
                                (0..200).map(|host| format!("10.{n}.{}.{}", host / 200, host % 200)).collect();
                            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
                            upsert(set(&format!("s{n}"), Routing::MultiValue, values(60, &addresses)))
                        })
                        .collect(),
                    batch_refused("Number of records limit of 1000 exceeded."),
                ),
                (
                    (0..5)
                        .map(|n| {
                            let addresses: Vec<String> = (0..200).map(|host| format!("10.{n}.0.{host}")).collect();
                            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
                            create(set(&format!("s{n}"), Routing::MultiValue, values(60, &addresses)))
                        })
                        .collect(),
                    Ok(()),
                ),
            ],
        ),
        (
            "100 weighted record sets make a pool",
            vec![
                ((0..100).map(|n| create(weighted(&format!("w{n:03}"), 1, &format!("192.0.2.{n}")))).collect(), Ok(())),
                (
                    vec![create(a())],
                    batch_refused(
                        "Exceeded limit on number of weighted RRSets for edge.example.com., type A in this zone.",
                    ),
                ),
                (vec![upsert(weighted("w007", 9, "192.0.2.207"))], Ok(())),
                (vec![delete(weighted("w000", 1, "192.0.2.0")), create(a())], Ok(())),
            ],
        ),
        (
            "30 geoproximity record sets make a pool",
            vec![
                (
                    (0..30)
                        .map(|n| {
                            create(set(&format!("g{n}"), coordinates(&format!("{n},0")), values(60, &["192.0.2.1"])))
                        })
                        .collect(),
                    Ok(()),
                ),
                (
                    vec![create(set("a", coordinates("-1,0"), values(60, &["192.0.2.1"])))],
                    batch_refused(
                        "Exceeded limit on number of geo-proximity RRSets for edge.example.com., type A in this zone.",
                    ),
                ),
            ],
        ),
    ]
}

#[test]
fn every_provider_accepts_and_refuses_the_same_in_the_same_words() {
    let (sim, providers) = providers();
    run(async {
        let check = health_check(&sim).await;
        for provider in &providers {
            for (what, batches) in cases(&check) {
                sim.add_zone("example.com", ZONE, false);
                let provider = match provider {
                    AnyProvider::Memory(_) => &AnyProvider::Memory(memory()),
                    route53 => route53,
                };
                let mut model = Model::from([(name("edge.example.com"), BTreeMap::new())]);
                for (number, (changes, expected)) in batches.into_iter().enumerate() {
                    let outcome = step(provider, &zone(), &mut model, &changes).await;
                    let outcome = outcome.map(|_| ()).map_err(|error| {
                        assert_eq!(error.kind, ErrorKind::Refused, "{what}: {error}");
                        (error.code.unwrap_or_default(), error.message)
                    });
                    let expected = expected.map_err(|(code, text)| (code.to_owned(), text));
                    assert_eq!(outcome, expected, "{provider:?}: {what}, batch {number}");
                }
            }
        }
    });
}

/// A health check in the simulator, which gives it an id of its own.
async fn health_check(sim: &Sim) -> String {
    use aws_sdk_route53::types::{HealthCheckConfig, HealthCheckType};
    let config = aws_sdk_route53::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_route53::config::Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIATEST", "secret", None, None, "test"))
        .endpoint_url(sim.endpoint())
        .build();
    let check = HealthCheckConfig::builder().r#type(HealthCheckType::Tcp).ip_address("8.8.8.8").port(443).build();
    let made = aws_sdk_route53::Client::from_conf(config)
        .create_health_check()
        .caller_reference("test")
        .health_check_config(check.expect("a config"))
        .send()
        .await
        .expect("a health check");
    made.health_check().expect("a health check").id().to_owned()
}

#[test]
fn every_routing_policy_is_kept_as_it_was_written() {
    let (sim, providers) = providers();
    run(async {
        let check = health_check(&sim).await;
        let proximity = |location, bias| Routing::GeoProximity { location, bias };
        let point = |text: &str| Location::Coordinates(Coordinates::parse_pair(text).expect(text));
        let origins = [
            Origin::Continent("EU".into()),
            Origin::Country("*".into()),
            Origin::Country("DE".into()),
            Origin::Subdivision { country: "US".into(), subdivision: "CA".into() },
        ];
        let pools: Vec<Vec<Routing>> = vec![
            vec![Routing::Weighted(0), Routing::Weighted(255)],
            vec![Routing::MultiValue, Routing::MultiValue],
            vec![Routing::Latency("us-east-1".into()), Routing::Latency("eu-central-1".into())],
            vec![Routing::Failover(FailoverRole::Primary), Routing::Failover(FailoverRole::Secondary)],
            origins.into_iter().map(Routing::Geolocation).collect(),
            vec![
                proximity(point("90,-180"), -99),
                proximity(point("-0.05,13.41"), 99),
                proximity(point("52.5,13"), 0),
                proximity(Location::AwsRegion("eu-central-1".into()), 0),
                proximity(Location::LocalZoneGroup("us-west-2-den-1".into()), 7),
            ],
        ];
        for provider in &providers {
            for (number, pool) in pools.iter().enumerate() {
                let at = format!("p{number}.example.com");
                let mut model = Model::default();
                let sets: Vec<RecordSet> = pool
                    .iter()
                    .enumerate()
                    .map(|(index, routing)| RecordSet {
                        health_check_id: Some(check.clone()),
                        ..set(&format!("s{index}"), routing.clone(), values(60, &["2001:db8::1"]))
                    })
                    .collect();
                for action in [Action::Create, Action::Upsert, Action::Delete] {
                    let changes: Vec<Change> =
                        sets.iter().map(|set| change(action, &at, RecordType::Aaaa, set.clone())).collect();
                    step(provider, &zone(), &mut model, &changes).await.expect("accepted");
                }
            }
        }
    });
}

#[test]
fn an_accepted_change_comes_into_sync_and_an_unknown_one_is_refused() {
    let (sim, providers) = providers();
    run(async {
        for provider in &providers {
            let id = provider.apply(&zone(), &[create(weighted("a", 1, "192.0.2.1"))]).await.expect("accepted");
            assert!(!id.0.contains('/'), "{id:?}");
            let first = provider.change_status(&id).await.expect("a status");
            if matches!(provider, AnyProvider::Memory(_)) {
                assert_eq!(first, ChangeStatus::InSync);
            }
            sim.sync_all();
            assert_eq!(provider.change_status(&id).await, Ok(ChangeStatus::InSync));
            let error = provider.change_status(&ChangeId("C0".into())).await.expect_err("unknown");
            assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Refused, Some("NoSuchChange")));
        }
    });
}

#[test]
fn an_unknown_zone_is_told_apart() {
    let (_sim, providers) = providers();
    run(async {
        let nowhere = ZoneRef::Id("ZNOWHERE".into());
        for provider in &providers {
            for error in [
                provider.list(&nowhere, &name("edge.example.com")).await.expect_err("no zone"),
                provider.apply(&nowhere, &[create(weighted("a", 1, "192.0.2.1"))]).await.expect_err("no zone"),
            ] {
                assert_eq!(error.kind, ErrorKind::NoSuchZone);
                assert_eq!(error.to_string(), "NoSuchHostedZone: No hosted zone found with ID: ZNOWHERE");
            }
        }
    });
}

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
