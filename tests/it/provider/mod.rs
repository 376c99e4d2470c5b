//! The providers, each against the same expectations; Route 53's against the simulator.

mod cases;
mod conformance;
mod delegation;
mod environment;
mod faults;
mod health_checks;
mod inspect;
mod listing;
mod observer;
mod properties;
mod zone_scan;
mod zones;

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use aws_sdk_route53::config::Credentials;
use nodedns::decide::name::DnsName;
use nodedns::decide::owner::SetIdentifier;
use nodedns::decide::record::{Action, Change, RecordSet, RecordType, Target, Value, ZoneRef};
use nodedns::decide::routing::{Coordinates, Location, Routing};
use nodedns::publish::memory::MemoryProvider;
use nodedns::publish::route53::{Route53, Settings};
use nodedns::publish::zone::HostedZone;
use nodedns::publish::{AnyProvider, Provider};
use route53_sim::{Operation, Sim};

/// The zone of most tests, `example.com`.
const ZONE: &str = "Z0123456789ABC";
/// A private zone, `lan`.
const PRIVATE: &str = "Z0PRIVATE";

/// Runs a test's future on this thread.
fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn sim() -> Sim {
    Sim::builder().zone("example.com", ZONE).private_zone("lan", PRIVATE).start()
}

/// No rate limit: these tests are about everything else.
fn settings(endpoint: String) -> Settings {
    Settings { endpoint_url: Some(endpoint), requests_per_second: f64::INFINITY, ..Settings::default() }
}

fn route53_with(settings: Settings) -> Route53 {
    Route53::with_credentials(settings, Credentials::new("AKIATEST", "secret", None, None, "test"))
}

fn route53(sim: &Sim) -> Route53 {
    route53_with(settings(sim.endpoint()))
}

fn memory() -> MemoryProvider {
    MemoryProvider::with_zones([
        HostedZone { id: ZONE.to_owned(), name: name("example.com"), private: false },
        HostedZone { id: PRIVATE.to_owned(), name: name("lan"), private: true },
    ])
}

/// Both providers with the same zones, and the simulator behind the second.
fn providers() -> (Sim, [AnyProvider; 2]) {
    let sim = sim();
    let providers = [AnyProvider::Memory(memory()), AnyProvider::Route53(route53(&sim))];
    (sim, providers)
}

fn name(text: &str) -> DnsName {
    DnsName::parse(text).expect(text)
}

fn zone() -> ZoneRef {
    ZoneRef::Id(ZONE.to_owned())
}

fn id(text: &str) -> SetIdentifier {
    SetIdentifier(text.to_owned())
}

fn values(ttl: u32, values: &[&str]) -> Target {
    Target::Values { ttl, values: values.iter().map(|value| Value::new(*value)).collect::<BTreeSet<_>>() }
}

fn set(identifier: &str, routing: Routing, target: Target) -> RecordSet {
    RecordSet { set_identifier: Some(id(identifier)), routing, target, health_check_id: None }
}

fn weighted(identifier: &str, weight: u8, address: &str) -> RecordSet {
    set(identifier, Routing::Weighted(weight), values(60, &[address]))
}

fn simple(address: &str) -> RecordSet {
    RecordSet { set_identifier: None, routing: Routing::Simple, target: values(300, &[address]), health_check_id: None }
}

fn coordinates(text: &str) -> Routing {
    Routing::GeoProximity { location: Location::Coordinates(Coordinates::parse_pair(text).expect(text)), bias: 0 }
}

fn change(action: Action, at: &str, rtype: RecordType, set: RecordSet) -> Change {
    Change { action, name: name(at), rtype, set }
}

fn create(set: RecordSet) -> Change {
    change(Action::Create, "edge.example.com", RecordType::A, set)
}

fn upsert(set: RecordSet) -> Change {
    change(Action::Upsert, "edge.example.com", RecordType::A, set)
}

fn delete(set: RecordSet) -> Change {
    change(Action::Delete, "edge.example.com", RecordType::A, set)
}

/// How many requests of an operation the simulator has seen.
fn count(sim: &Sim, operation: Operation) -> usize {
    sim.requests().iter().filter(|request| request.operation == operation).count()
}

/// Long enough for a request on a busy machine, short enough to wait for.
const SHORT: Duration = Duration::from_secs(1);

#[test]
fn an_empty_batch_is_refused_without_a_request() {
    let (sim, providers) = providers();
    for provider in providers {
        let error = run(provider.apply(&zone(), &[])).expect_err("refused");
        assert_eq!(error.to_string(), "the change batch is empty");
    }
    assert_eq!(sim.requests().len(), 0);
}
