//! Finding the hosted zone of a name.

use nodedns::decide::provider::ErrorKind;
use nodedns::publish::Provider;
use route53_sim::{Operation, Sim};

use super::*;

const PUBLIC: ZoneRef = ZoneRef::Longest { private: false };

fn named(zone: &str, private: bool) -> ZoneRef {
    ZoneRef::Name { name: name(zone), private }
}

/// `example.com` public and private, a zone below it, twins, and neighbours in name.
fn crowded() -> Sim {
    Sim::builder()
        .zone("example.com", "ZPUB")
        .private_zone("example.com", "ZPRIV")
        .zone("sub.example.com", "ZSUB")
        .zone("twin.net", "ZTWIN1")
        .zone("twin.net", "ZTWIN2")
        .zone("example.co", "ZCO")
        .zone("bexample.com", "ZB")
        .start()
}

#[test]
fn an_explicit_id_needs_no_look_up() {
    let sim = sim();
    let prefixed = ZoneRef::Id(format!("/hostedzone/{ZONE}"));
    run(async {
        let provider = route53(&sim);
        assert_eq!(provider.list(&prefixed, &name("edge.example.com")).await.map(|l| l.zone_id), Ok(ZONE.to_owned()));
        provider.apply(&zone(), &[create(weighted("a", 1, "192.0.2.1"))]).await.expect("accepted");
    });
    assert_eq!(sim.requests().len(), 2);
    assert_eq!(count(&sim, Operation::ListHostedZonesByName), 0);
}

#[test]
fn a_zone_is_found_by_name_and_kind_or_by_the_longest_match_and_looked_up_once() {
    let sim = crowded();
    run(async {
        let provider = route53(&sim);
        for (wanted, record, expected) in [
            (named("example.com", false), "edge.example.com", "ZPUB"),
            (named("example.com", true), "edge.example.com", "ZPRIV"),
            (named("sub.example.com", false), "a.sub.example.com", "ZSUB"),
            (PUBLIC, "edge.example.com", "ZPUB"),
            (PUBLIC, "a.b.sub.example.com", "ZSUB"),
            (PUBLIC, "a.bexample.com", "ZB"),
            (ZoneRef::Longest { private: true }, "a.sub.example.com", "ZPRIV"),
        ] {
            for _ in 0..2 {
                let listing = provider.list(&wanted, &name(record)).await.expect("a listing");
                assert_eq!(listing.zone_id, expected, "{wanted} for {record}");
            }
        }
    });
    // Two names, and the list of all.
    assert_eq!(count(&sim, Operation::ListHostedZonesByName), 3);
    assert_eq!(count(&sim, Operation::ListHostedZones), 0);
}

#[test]
fn a_zone_that_is_not_one_is_an_error_that_says_what_to_do() {
    let sim = crowded();
    run(async {
        let provider = route53(&sim);
        for (wanted, record, text) in [
            (named("twin.net", false), "a.twin.net", "ZTWIN1, ZTWIN2"),
            (PUBLIC, "a.twin.net", "ZTWIN1, ZTWIN2"),
            (named("sub.example.com", true), "a.sub.example.com", "only public: ZSUB"),
            (named("gone.org", false), "a.gone.org", "was not found"),
            (PUBLIC, "a.gone.org", "was not found"),
        ] {
            let error = provider.list(&wanted, &name(record)).await.expect_err("no zone");
            assert_eq!(error.kind, ErrorKind::NoSuchZone, "{error}");
            assert!(error.message.contains(text) && error.message.contains("hint: set zone_id"), "{error}");
        }
    });
    assert_eq!(count(&sim, Operation::ListResourceRecordSets), 0);
}

#[test]
fn a_zone_that_was_made_anew_or_late_is_found() {
    let sim = crowded();
    run(async {
        let provider = route53(&sim);
        for wanted in [named("example.com", false), PUBLIC] {
            let edge = name("edge.example.com");
            let first = provider.list(&wanted, &edge).await.expect("a listing").zone_id;
            sim.delete_zone(&first);
            let error = provider.list(&wanted, &edge).await.expect_err("deleted");
            assert_eq!(error.kind, ErrorKind::NoSuchZone);
            let error = provider.list(&wanted, &edge).await.expect_err("not made yet");
            assert_eq!((error.kind, error.code), (ErrorKind::NoSuchZone, None));
            let again = format!("{first}2");
            sim.add_zone("example.com", &again, false);
            assert_eq!(provider.list(&wanted, &edge).await.expect("a listing").zone_id, again);
        }
    });
}

#[test]
fn a_zone_that_is_missing_makes_no_other_be_looked_up_again() {
    for (good, bad) in [
        (named("example.com", false), named("gone.org", false)),
        (named("example.com", false), PUBLIC),
        (PUBLIC, named("gone.org", false)),
        (PUBLIC, PUBLIC),
    ] {
        let sim = crowded();
        run(async {
            let provider = route53(&sim);
            for round in 0..5 {
                let before = count(&sim, Operation::ListHostedZonesByName);
                let listing = provider.list(&good, &name("edge.example.com")).await.expect("a listing");
                assert_eq!(listing.zone_id, "ZPUB");
                let looked = count(&sim, Operation::ListHostedZonesByName) - before;
                assert_eq!(looked, usize::from(round == 0), "{good} beside {bad}, round {round}");
                let error = provider.list(&bad, &name("a.gone.org")).await.expect_err("no zone");
                assert_eq!(error.kind, ErrorKind::NoSuchZone);
                // The missing one itself is looked for each time.
                assert!(count(&sim, Operation::ListHostedZonesByName) > before + looked, "{good} beside {bad}");
            }
        });
    }
}

#[test]
fn a_zone_that_is_gone_is_forgotten_alone() {
    let sim = crowded();
    run(async {
        let provider = route53(&sim);
        let (kept, gone) = (named("example.com", false), named("sub.example.com", false));
        provider.list(&kept, &name("edge.example.com")).await.expect("a listing");
        provider.list(&gone, &name("a.sub.example.com")).await.expect("a listing");
        sim.delete_zone("ZSUB");
        provider.list(&gone, &name("a.sub.example.com")).await.expect_err("deleted");
        provider.list(&kept, &name("edge.example.com")).await.expect("a listing");
    });
    assert_eq!(count(&sim, Operation::ListHostedZonesByName), 2);
}

#[test]
fn more_zones_than_a_page_holds_are_all_seen() {
    let sim = crowded();
    for number in 0..150 {
        sim.add_zone(&format!("z{number}.net"), &format!("ZN{number}"), false);
        sim.add_zone("many.org", &format!("ZM{number}"), number != 149);
    }
    run(async {
        let provider = route53(&sim);
        let listing = provider.list(&PUBLIC, &name("a.z149.net")).await.expect("a listing");
        assert_eq!(listing.zone_id, "ZN149");
        assert_eq!(count(&sim, Operation::ListHostedZonesByName), 4);
        let listing = provider.list(&named("many.org", false), &name("a.many.org")).await.expect("a listing");
        assert_eq!(listing.zone_id, "ZM149");
        assert_eq!(count(&sim, Operation::ListHostedZonesByName), 6);
    });
}

#[test]
fn look_ups_at_the_same_moment_are_one() {
    let sim = crowded();
    run(async {
        let provider = AnyProvider::Route53(route53(&sim));
        let lists = (0..10).map(|number| {
            let provider = provider.clone();
            tokio::spawn(async move { provider.list(&PUBLIC, &name(&format!("e{number}.example.com"))).await })
        });
        for outcome in futures::future::join_all(lists).await {
            outcome.expect("a task").expect("a listing");
        }
    });
    assert_eq!(count(&sim, Operation::ListHostedZonesByName), 1);
}

#[test]
fn memory_knows_zones_too_or_takes_any() {
    let zones = [("ZPUB", "example.com", false), ("ZSUB", "sub.example.com", false)];
    let strict = MemoryProvider::with_zones(zones.map(|(id, zone, private)| HostedZone {
        id: id.to_owned(),
        name: name(zone),
        private,
    }));
    run(async {
        let found = strict.list(&PUBLIC, &name("a.sub.example.com")).await.map(|listing| listing.zone_id);
        assert_eq!(found.as_deref(), Ok("ZSUB"));
        let error = strict.list(&named("gone.org", false), &name("a.gone.org")).await.expect_err("no zone");
        assert_eq!(error.kind, ErrorKind::NoSuchZone);
        let open = MemoryProvider::new();
        for wanted in [zone(), named("gone.org", true), PUBLIC] {
            open.apply(&wanted, &[create(weighted("a", 1, "192.0.2.1"))]).await.expect("accepted");
            let listing = open.list(&wanted, &name("edge.example.com")).await.expect("a listing");
            assert_eq!((listing.zone_id, listing.pools.len()), (wanted.to_string(), 1));
        }
    });
}
