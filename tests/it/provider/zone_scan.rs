//! Reading a whole zone, and all zones: complete, or an error.

use std::collections::BTreeMap;
use std::sync::Mutex;

use nodedns::decide::provider::{ErrorKind, ProviderError};
use nodedns::decide::record::{RecordType, ZoneListing};
use nodedns::publish::Provider;
use nodedns::publish::zone::HostedZone;
use route53_sim::{Count, Fault, Operation, RecordSet as Sent, Target as Aim};

use super::*;

/// Reads a zone; what it holds, and what was said of the progress.
async fn scan(provider: &impl Provider, zone_id: &str) -> (Result<ZoneListing, ProviderError>, Vec<usize>) {
    let told = Mutex::new(Vec::new());
    let outcome = provider.zone(zone_id, &|count| told.lock().expect("not poisoned").push(count)).await;
    (outcome, told.into_inner().expect("not poisoned"))
}

fn sent(at: &str, rtype: &str, identifier: &str) -> Sent {
    Sent::new(at, rtype).set_identifier(identifier).ttl(60)
}

/// 49 names with 100 record sets of either type, and 198 of another type: with SOA and NS 10,000.
fn full() -> Sim {
    let sim = sim();
    for pool in 0..49 {
        let at = format!("pool{pool}.example.com");
        for node in 0..100 {
            let identifier = format!("nodedns/v1/home/n{node}");
            sim.put(ZONE, sent(&at, "A", &identifier).weight(1).value(&format!("192.0.{pool}.{node}")));
            sim.put(ZONE, sent(&at, "AAAA", &identifier).weight(1).value(&format!("2001:db8::{pool}:{node}")));
        }
    }
    for number in 0..198 {
        sim.put(ZONE, Sent::new(&format!("pool{number}.example.com"), "TXT").ttl(60).value("\"text\""));
    }
    assert_eq!(sim.record_sets(ZONE).len(), 10_000);
    sim
}

#[test]
fn ten_thousand_record_sets_are_read_whole_at_any_page_size() {
    let sim = full();
    let provider = route53(&sim);
    for (page_size, requests) in [(300, 34), (97, 104)] {
        sim.set_options(|options| options.page_size = page_size);
        sim.clear_requests();
        let (outcome, told) = run(scan(&provider, ZONE));
        let listing = outcome.expect("a zone");
        assert_eq!((listing.zone_id.as_str(), listing.names.len()), (ZONE, 49));
        assert!(listing.unreadable.is_empty(), "{:?}", listing.unreadable);
        for pool in 0..49 {
            let at = &listing.names[&name(&format!("pool{pool}.example.com"))];
            assert_eq!((at.zone_id.as_str(), at.has_cname), (ZONE, false));
            for rtype in RecordType::ALL {
                assert_eq!(at.pool(rtype).map(BTreeMap::len), Some(100), "{pool} {rtype}");
            }
            let last = at.get(RecordType::A, &id("nodedns/v1/home/n99")).expect("the last of the pool");
            assert_eq!(*last, weighted("nodedns/v1/home/n99", 1, &format!("192.0.{pool}.99")));
        }
        assert_eq!(sim.requests().len(), requests);
        let expected: Vec<usize> = (1..=requests).map(|page| (page * page_size).min(10_000)).collect();
        assert_eq!(told, expected);
    }
}

#[test]
fn what_is_read_of_the_zone_is_what_is_read_of_each_name() {
    let sim = sim();
    for number in 0..40 {
        let at = format!("n{}.example.com", number % 7);
        sim.put(ZONE, sent(&at, "A", &format!("s{number}")).weight(1).value(&format!("192.0.2.{number}")));
        sim.put(ZONE, sent(&at, "TXT", &format!("s{number}")).weight(1).value("\"text\""));
    }
    sim.put(ZONE, Sent::new("c.example.com", "CNAME").ttl(60).value("elsewhere.example.org"));
    let provider = route53(&sim);
    run(async {
        // Every size, so that a page ends at every place within a pool.
        for page_size in 1..=20 {
            sim.set_options(|options| options.page_size = page_size);
            let listing = scan(&provider, ZONE).await.0.expect("a zone");
            assert_eq!(listing.names.len(), 8, "pages of {page_size}");
            for (name, at) in &listing.names {
                assert_eq!(provider.list(&zone(), name).await.as_ref(), Ok(at), "{name}, pages of {page_size}");
            }
        }
    });
}

#[test]
fn a_fault_in_the_middle_is_an_error_and_never_a_shorter_zone() {
    let sim = full();
    let patient = route53(&sim);
    // The pages before the one that hangs have no longer to come.
    let impatient = route53_with(Settings { attempt_timeout: SHORT * 4, ..settings(sim.endpoint()) });
    for (fault, kind) in [
        (Fault::Throttling, ErrorKind::Throttled),
        (Fault::AccessDenied, ErrorKind::Denied),
        (Fault::ExpiredToken, ErrorKind::Credentials),
        (Fault::Status(503), ErrorKind::Unavailable),
        (Fault::Reset, ErrorKind::Unavailable),
        (Fault::Truncate, ErrorKind::Unavailable),
        (Fault::DropAfterCommit, ErrorKind::Unavailable),
        (Fault::Hang, ErrorKind::Unavailable),
    ] {
        let provider = if fault == Fault::Hang { &impatient } else { &patient };
        sim.clear_faults();
        sim.clear_requests();
        sim.inject(Operation::ListResourceRecordSets, fault.clone(), Count::Nth(3));
        let (outcome, told) = run(scan(provider, ZONE));
        let error = outcome.expect_err("a fault");
        assert_eq!(error.kind, kind, "{fault:?}: {error}");
        assert_eq!((sim.requests().len(), told), (3, vec![300, 600]), "{fault:?}: no hidden retry");
        sim.clear_requests();
        sim.inject(Operation::ListResourceRecordSets, fault.clone(), Count::Nth(3));
        assert_eq!(run(provider.health_checks_in_use(ZONE)).map_err(|error| error.kind), Err(kind), "{fault:?}");
        assert_eq!(sim.requests().len(), 3, "{fault:?}");
    }
}

#[test]
fn what_our_words_cannot_say_is_told_and_hides_nothing_else() {
    let sim = sim();
    // A routing policy of the future is one whose field we do not see.
    sim.put(ZONE, sent("edge.example.com", "A", "future").value("192.0.2.1"));
    sim.put(ZONE, sent("edge.example.com", "A", "a").weight(1).value("192.0.2.2"));
    sim.put(ZONE, sent("a*b.example.com", "AAAA", "b").weight(1).value("2001:db8::1"));
    sim.put(ZONE, Sent::new("a*b.example.com", "CNAME").ttl(60).value("elsewhere.example.org"));
    let listing = run(scan(&route53(&sim), ZONE)).0.expect("a zone");
    let [(first, why), (second, reason)] = listing.unreadable.as_slice() else { panic!("{:?}", listing.unreadable) };
    assert_eq!((first.as_str(), second.as_str()), ("a\\052b.example.com.", "edge.example.com."));
    assert!(why.starts_with("the AAAA record set 'b': '*' in the label"), "{why}");
    assert!(reason.starts_with("the A record set 'future': it has a set identifier but no"), "{reason}");
    let names: Vec<String> = listing.names.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["edge.example.com"]);
    let edge = &listing.names[&name("edge.example.com")];
    assert_eq!(edge.pool(RecordType::A).map(BTreeMap::len), Some(1));
}

#[test]
fn odd_names_and_other_types_are_in_their_places() {
    let sim = sim();
    for at in ["*.example.com", "_Sip._tcp.example.com", "a@b.example.com", "example.com", "xn--strae-oqa.example.com"]
    {
        sim.put(ZONE, Sent::new(at, "A").ttl(300).value("192.0.2.1"));
    }
    sim.put(ZONE, Sent::new("c.example.com", "CNAME").ttl(60).value("elsewhere.example.org"));
    sim.put(ZONE, Sent::new("m.example.com", "MX").ttl(60).value("10 mail.example.com."));
    let mut policy = Sent::new("policy.example.com", "A");
    policy.traffic_policy_instance_id = Some("t-1".to_owned());
    sim.put(ZONE, policy);
    let mut alias = Sent::new("alias.example.com", "AAAA").alias("ZELSEWHERE", "lb.example.org", true);
    alias.ttl = None;
    sim.put(ZONE, alias);
    let listing = run(scan(&route53(&sim), ZONE)).0.expect("a zone");
    let told: Vec<(String, Vec<String>, bool)> = listing
        .names
        .iter()
        .map(|(name, at)| (name.to_string(), at.pools.keys().map(ToString::to_string).collect(), at.has_cname))
        .collect();
    let told: Vec<(&str, Vec<&str>, bool)> = told
        .iter()
        .map(|(name, types, cname)| (name.as_str(), types.iter().map(String::as_str).collect(), *cname))
        .collect();
    assert_eq!(
        told,
        [
            ("*.example.com", vec!["A"], false),
            ("_sip._tcp.example.com", vec!["A"], false),
            ("a\\100b.example.com", vec!["A"], false),
            ("alias.example.com", vec!["AAAA"], false),
            ("c.example.com", vec![], true),
            ("example.com", vec!["A"], false),
            ("policy.example.com", vec!["A"], false),
            ("xn--strae-oqa.example.com", vec!["A"], false),
        ]
    );
    assert_eq!(listing.unreadable, []);
}

#[test]
fn both_providers_hold_the_same_zone() {
    let (sim, providers) = providers();
    let [AnyProvider::Memory(memory), _] = &providers else { panic!("memory comes first") };
    memory.insert_cname(ZONE, &name("c.example.com"));
    sim.put(ZONE, Sent::new("c.example.com", "CNAME").ttl(60).value("elsewhere.example.org"));
    run(async {
        let mut seen = Vec::new();
        for provider in &providers {
            let changes: Vec<Change> = (0..30)
                .map(|number| {
                    let (rtype, address) = match number % 3 {
                        0 => (RecordType::Aaaa, format!("2001:db8::{number}")),
                        _ => (RecordType::A, format!("192.0.2.{number}")),
                    };
                    let at = format!("n{}.example.com", number % 4);
                    change(Action::Create, &at, rtype, weighted(&format!("s{number}"), 1, &address))
                })
                .collect();
            provider.apply(&zone(), &changes).await.expect("accepted");
            let gone = Change { action: Action::Delete, ..changes[0].clone() };
            provider.apply(&zone(), &[gone]).await.expect("accepted");
            let (outcome, told) = scan(provider, &format!("/hostedzone/{ZONE}")).await;
            seen.push((outcome.expect("a zone"), told.last().copied()));
        }
        assert_eq!(seen[0].0, seen[1].0);
        assert_eq!(seen[0].0.names.len(), 5);
        // Route 53 has an SOA and an NS in every zone.
        assert_eq!((seen[0].1, seen[1].1), (Some(30), Some(32)));
        for provider in &providers {
            let (outcome, told) = scan(provider, PRIVATE).await;
            assert_eq!(outcome.map(|listing| listing.names.len()), Ok(0), "{told:?}");
            let error = scan(provider, "ZNOWHERE").await.0.expect_err("no zone");
            assert_eq!(error.kind, ErrorKind::NoSuchZone);
            assert_eq!(error.to_string(), "NoSuchHostedZone: No hosted zone found with ID: ZNOWHERE");
        }
    });
}

#[test]
fn all_zones_are_found_over_several_pages_by_both_providers() {
    let sim = sim();
    let mut zones = vec![
        HostedZone { id: ZONE.to_owned(), name: name("example.com"), private: false },
        HostedZone { id: PRIVATE.to_owned(), name: name("lan"), private: true },
    ];
    for number in 0..250 {
        // Twins too: a page may end between them.
        let (at, private) = (format!("z{}.example.net", number / 2), number % 2 == 1);
        let id = format!("ZN{number}");
        sim.add_zone(&at, &id, private);
        zones.push(HostedZone { id, name: name(&at), private });
    }
    run(async {
        let sorted = |mut zones: Vec<HostedZone>| {
            zones.sort_by(|a, b| a.id.cmp(&b.id));
            zones
        };
        let expected = sorted(zones.clone());
        let memory = AnyProvider::Memory(MemoryProvider::with_zones(zones));
        let route53 = AnyProvider::Route53(route53(&sim));
        for provider in [memory, route53.clone()] {
            assert_eq!(provider.zones().await.map(sorted).as_ref(), Ok(&expected), "{provider:?}");
        }
        assert_eq!(count(&sim, Operation::ListHostedZonesByName), 3);
        for (fault, kind) in [(Fault::Throttling, ErrorKind::Throttled), (Fault::Truncate, ErrorKind::Unavailable)] {
            sim.inject(Aim::from(Operation::ListHostedZonesByName), fault, Count::Nth(2));
            assert_eq!(route53.zones().await.map_err(|error| error.kind), Err(kind));
        }
    });
}

#[test]
fn the_health_checks_of_a_zone_of_many_pages_are_all_found() {
    let sim = sim();
    for number in 0..700 {
        let mut set = sent("edge.example.com", "A", &format!("s{number}")).weight(1).value("192.0.2.1");
        set.health_check_id = Some(format!("check{number}"));
        sim.put(ZONE, set);
        sim.put(ZONE, sent("other.example.com", "TXT", &format!("s{number}")).weight(1).value("\"text\""));
    }
    let used = run(route53(&sim).health_checks_in_use(ZONE)).expect("a zone");
    assert_eq!(used.len(), 700);
    assert_eq!(count(&sim, Operation::ListResourceRecordSets), 5);
}
