//! Health checks, with both providers; Route 53's in all its troubles.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aws_sdk_route53::types::{HealthCheckConfig, HealthCheckType};
use nodedns::decide::health_check::{
    CheckListing, CheckProbe, CheckSpec, FoundCheck, HttpCheck, ManagedCheck, NewCheck, OWNER_TAG, Place, Reference,
    tags,
};
use nodedns::decide::owner::OwnerId;
use nodedns::decide::provider::{ErrorKind, ProviderError};
use route53_sim::{Count, Fault};

use super::*;

fn tcp(address: &str) -> CheckSpec {
    let check = ManagedCheck { probe: CheckProbe::Tcp, port: 6443, interval: 30, failure_threshold: 3 };
    CheckSpec { address: address.parse::<IpAddr>().expect("an address"), check }
}

fn https(address: &str) -> CheckSpec {
    let http = HttpCheck {
        path: "/healthz?a=1&b=2".into(),
        host: Some("edge.example.com".into()),
        search: Some("\"ok\" <&> it's".into()),
    };
    let check = ManagedCheck { probe: CheckProbe::Https(http), port: 443, interval: 10, failure_threshold: 10 };
    CheckSpec { check, ..tcp(address) }
}

fn new(nonce: u64, spec: CheckSpec) -> NewCheck {
    let owner = OwnerId::new("home", "n1").expect("an owner");
    let record = name("*.example.com");
    let place = Place::new(&owner, ZONE, &record, RecordType::A);
    NewCheck { reference: Reference::new(place, nonce << 8), spec, tags: tags(&owner, ZONE, &record, RecordType::A) }
}

fn found(id: &str, new: &NewCheck) -> FoundCheck {
    FoundCheck { id: id.to_owned(), reference: new.reference.clone(), spec: Some(new.spec.clone()) }
}

async fn ours(provider: &impl Provider) -> Vec<FoundCheck> {
    let mut ours = provider.health_checks().await.expect("a listing").ours;
    ours.sort_by(|a, b| a.reference.cmp(&b.reference));
    ours
}

fn client(sim: &Sim) -> aws_sdk_route53::Client {
    let config = aws_sdk_route53::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_route53::config::Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIATEST", "secret", None, None, "test"))
        .endpoint_url(sim.endpoint())
        .build();
    aws_sdk_route53::Client::from_conf(config)
}

async fn somebody_elses(sim: &Sim, reference: &str) -> String {
    let check = HealthCheckConfig::builder().r#type(HealthCheckType::Tcp).ip_address("8.8.8.8").port(443).build();
    let request = client(sim).create_health_check().caller_reference(reference);
    let made = request.health_check_config(check.expect("a config")).send().await.expect("created");
    made.health_check().expect("a health check").id().to_owned()
}

#[test]
fn a_reference_stands_for_one_health_check_with_both_providers() {
    let (_sim, providers) = providers();
    run(async {
        for provider in &providers {
            let (first, second) = (new(1, tcp("185.12.64.1")), new(2, https("2a01:4ff:f0::1")));
            let id = provider.create_health_check(&first).await.expect("created");
            assert_eq!(provider.create_health_check(&first).await, Ok(id.clone()), "repeated, it is the same");
            let other = provider.create_health_check(&second).await.expect("created");
            assert_eq!(ours(provider).await, [found(&id, &first), found(&other, &second)]);
            let all = provider.health_check_tags(&[id.clone(), other.clone(), "gone".to_owned()]).await.expect("tags");
            assert_eq!(all, BTreeMap::from([(id.clone(), first.tags.clone()), (other.clone(), second.tags)]));
            assert_eq!(all[&id].get(OWNER_TAG).map(String::as_str), Some("nodedns/v1/home/n1"));

            let taken = |result: Result<String, ProviderError>| {
                let error = result.expect_err("taken");
                assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Refused, Some("HealthCheckAlreadyExists")));
            };
            taken(provider.create_health_check(&NewCheck { spec: tcp("185.12.64.2"), ..first.clone() }).await);
            for _ in 0..2 {
                assert_eq!(provider.delete_health_check(&id).await, Ok(()), "what is gone has been deleted");
            }
            taken(provider.create_health_check(&first).await);
            assert_eq!(ours(provider).await, [found(&other, &new(2, https("2a01:4ff:f0::1")))]);
        }
    });
}

#[test]
fn an_address_that_nobody_can_check_is_refused_by_both_providers() {
    let (_sim, providers) = providers();
    run(async {
        for provider in &providers {
            for (address, family) in [("10.0.0.10", "IPv4"), ("203.0.113.10", "IPv4"), ("fd00::1", "IPv6")] {
                let error = provider.create_health_check(&new(1, tcp(address))).await.expect_err(address);
                assert_eq!(error.to_string(), format!("InvalidInput: {family} address {address} is forbidden"));
                assert_eq!(error.kind, ErrorKind::Refused);
            }
        }
    });
}

#[test]
fn a_listing_is_read_whole_and_tells_ours_from_others() {
    let sim = sim();
    sim.set_options(|options| options.page_size = 3);
    run(async {
        let provider = route53(&sim);
        let mut others = BTreeSet::new();
        let mut expected = Vec::new();
        for nonce in 1..=7 {
            let check = new(nonce, tcp("185.12.64.1"));
            let id = provider.create_health_check(&check).await.expect("created");
            expected.push(found(&id, &check));
            others.insert(somebody_elses(&sim, &format!("octodns:{nonce}")).await);
        }
        expected.sort_by(|a, b| a.reference.cmp(&b.reference));
        sim.clear_requests();
        let listing = provider.health_checks().await.expect("a listing");
        assert_eq!(listing.others, others);
        assert_eq!(ours(&provider).await, expected);
        assert_eq!(count(&sim, Operation::ListHealthChecks), 2 * 5, "14 on pages of 3");
        // A page that fails is no shorter list.
        sim.inject(Operation::ListHealthChecks, Fault::Throttling, Count::Nth(4));
        let error = provider.health_checks().await.expect_err("throttled");
        assert_eq!(error.kind, ErrorKind::Throttled);
    });
}

#[test]
fn what_somebody_edited_is_ours_and_not_what_we_asked_for() {
    let sim = sim();
    run(async {
        let provider = route53(&sim);
        let check = new(1, https("185.12.64.1"));
        let id = provider.create_health_check(&check).await.expect("created");
        client(&sim).update_health_check().health_check_id(&id).failure_threshold(1).send().await.expect("updated");
        let spec = ours(&provider).await[0].spec.clone().expect("still of a kind we know");
        assert_eq!(spec.check.failure_threshold, 1);
        client(&sim).update_health_check().health_check_id(&id).disabled(true).send().await.expect("updated");
        assert_eq!(ours(&provider).await, [FoundCheck { spec: None, ..found(&id, &check) }]);
    });
}

#[test]
fn every_fault_of_every_request_is_told_for_what_it_is() {
    use ErrorKind::{Credentials, Denied, Refused, Throttled, Unavailable, Unconfirmed};
    let error = |status, code: &str| Fault::Error { status, code: code.into(), message: "text".into() };
    // What it means for a request that only reads, and for one that writes.
    let faults = [
        (Fault::Throttling, Throttled, Throttled),
        (Fault::AccessDenied, Denied, Denied),
        (Fault::ExpiredToken, Credentials, Credentials),
        (error(400, "TooManyHealthChecks"), Refused, Refused),
        (error(400, "InvalidInput"), Refused, Refused),
        (Fault::Status(500), Unavailable, Unconfirmed),
        (Fault::Reset, Unavailable, Unconfirmed),
        (Fault::DropAfterCommit, Unavailable, Unconfirmed),
        (Fault::Truncate, Unavailable, Unconfirmed),
    ];
    let sim = sim();
    run(async {
        let provider = route53(&sim);
        let mut nonce = 10;
        for (fault, reads, writes) in faults {
            for operation in [
                Operation::ListHealthChecks,
                Operation::CreateHealthCheck,
                Operation::ChangeTagsForResource,
                Operation::DeleteHealthCheck,
                Operation::ListTagsForResources,
            ] {
                nonce += 1;
                let check = new(nonce, tcp("185.12.64.1"));
                let id = provider.create_health_check(&new(nonce + 1000, tcp("185.12.64.1"))).await.expect("created");
                sim.inject(operation, fault.clone(), Count::Next(1));
                let (outcome, expected) = match operation {
                    Operation::ListHealthChecks => (provider.health_checks().await.map(drop), reads),
                    Operation::DeleteHealthCheck => (provider.delete_health_check(&id).await, writes),
                    Operation::ListTagsForResources => (provider.health_check_tags(&[id]).await.map(drop), reads),
                    _ => (provider.create_health_check(&check).await.map(drop), writes),
                };
                let error = outcome.expect_err("a fault");
                assert_eq!(error.kind, expected, "{operation} with {fault:?}: {error}");
                if error.kind == Denied {
                    assert!(error.message.contains(&format!("route53:{operation} on ")), "{operation}: {error}");
                }
                if error.code.as_deref() == Some("TooManyHealthChecks") {
                    assert!(error.message.contains("nodedns health-checks gc"), "{error}");
                }
                // Whatever became of it, the same again completes it.
                let id = provider.create_health_check(&check).await.expect("completed");
                assert_eq!(sim.health_check_tags(&id), check.tags, "{operation} with {fault:?}");
                for check in ours(&provider).await {
                    provider.delete_health_check(&check.id).await.expect("deleted");
                }
            }
        }
        assert_eq!(provider.health_checks().await, Ok(CheckListing::default()));
    });
}
