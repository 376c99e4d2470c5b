//! What every provider must do alike: accept and refuse the same batches, in the same words, and
//! hold afterwards what [`Listing::apply`] says.

use std::collections::BTreeMap;

use nodedns::decide::provider::{ChangeId, ChangeStatus, ErrorKind, ProviderError};
use nodedns::decide::record::{Action, Change, Listing, Pool, RecordSet, RecordType, ZoneRef};
use nodedns::decide::routing::{Coordinates, FailoverRole, Location, Origin, Routing};
use nodedns::publish::{AnyProvider, Provider};

use super::cases::cases;
use super::*;

/// What every name should hold.
pub(super) type Model = BTreeMap<DnsName, BTreeMap<RecordType, Pool>>;

fn apply_to(model: &mut Model, changes: &[Change]) {
    for change in changes {
        let pools = model.entry(change.name.clone()).or_default();
        let mut listing = Listing { pools: std::mem::take(pools), ..Listing::default() };
        listing.apply(change);
        *pools = listing.pools;
    }
}

/// Applies a batch, and compares what is listed with the model.
pub(super) async fn step(
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
