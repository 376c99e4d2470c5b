//! Whoever counts requests is told of each, once, and what became of it.

use std::sync::{Arc, Mutex};

use nodedns::decide::provider::ErrorKind;
use nodedns::publish::route53::{Ending, Observer};
use route53_sim::{Count, Fault};
use tokio::time::timeout;

use super::*;

/// A request, and what became of it.
type Request = (&'static str, Result<(), ErrorKind>);

/// What was told, in the order of the endings.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Request>>>);

impl Observer for Told {
    fn begins(&self, operation: &'static str) -> Ending {
        let told = self.clone();
        Box::new(move |result| told.0.lock().expect("told").push((operation, result)))
    }
}

impl Told {
    fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.0.lock().expect("told"))
    }
}

fn observed(sim: &Sim) -> (Route53, Told) {
    let told = Told::default();
    (route53(sim).observed_by(Arc::new(told.clone())), told)
}

#[test]
fn every_request_is_told_once_by_its_operations_name() {
    let sim = sim();
    let (provider, told) = observed(&sim);
    run(async {
        let by_name = ZoneRef::Name { name: name("example.com"), private: false };
        provider.list(&by_name, &name("edge.example.com")).await.expect("a listing");
        let change = provider.apply(&zone(), &[upsert(weighted("a", 1, "192.0.2.1"))]).await.expect("a change");
        provider.change_status(&change).await.expect("a status");
        provider.health_checks().await.expect("a listing");
        provider.delete_health_check("0f1e2d3c-0000-0000-0000-000000000000").await.expect("not there");
        provider.zones().await.expect("zones");
        provider.zone(ZONE, &|_| {}).await.expect("a zone");
    });
    let told = told.take();
    let operations: Vec<_> = told.iter().map(|(operation, _)| (*operation).to_owned()).collect();
    let requests: Vec<_> = sim.requests().iter().map(|request| request.operation.to_string()).collect();
    assert_eq!(operations, requests);
    assert!(operations.len() >= 8, "{operations:?}");
    let failed: Vec<_> = told.iter().filter(|(_, result)| result.is_err()).collect();
    // What is not there cannot be deleted, and that is as well.
    assert_eq!(failed, [&("DeleteHealthCheck", Err(ErrorKind::Refused))]);
}

#[test]
fn a_failure_is_told_with_its_kind() {
    let sim = sim();
    let (provider, told) = observed(&sim);
    run(async {
        for (fault, listing, change) in [
            (Fault::Throttling, ErrorKind::Throttled, ErrorKind::Throttled),
            (Fault::AccessDenied, ErrorKind::Denied, ErrorKind::Denied),
            (Fault::Reset, ErrorKind::Unavailable, ErrorKind::Unconfirmed),
        ] {
            sim.inject(route53_sim::Target::any(), fault, Count::Always);
            provider.list(&zone(), &name("edge.example.com")).await.expect_err("a fault");
            provider.apply(&zone(), &[upsert(weighted("a", 1, "192.0.2.1"))]).await.expect_err("a fault");
            let expected = [("ListResourceRecordSets", Err(listing)), ("ChangeResourceRecordSets", Err(change))];
            assert_eq!(told.take(), expected);
            sim.clear_faults();
        }
    });
}

/// It may have been carried out, and nobody will ever know.
#[test]
fn a_request_that_is_given_up_is_told_as_not_confirmed() {
    let sim = sim();
    let (provider, told) = observed(&sim);
    run(async {
        sim.inject(route53_sim::Target::any(), Fault::Hang, Count::Always);
        let change = [upsert(weighted("a", 1, "192.0.2.1"))];
        let (target, edge) = (zone(), name("edge.example.com"));
        timeout(SHORT, provider.apply(&target, &change)).await.expect_err("it hangs");
        timeout(SHORT, provider.list(&target, &edge)).await.expect_err("it hangs");
    });
    let expected = [
        ("ChangeResourceRecordSets", Err(ErrorKind::Unconfirmed)),
        ("ListResourceRecordSets", Err(ErrorKind::Unavailable)),
    ];
    assert_eq!(told.take(), expected);
}
