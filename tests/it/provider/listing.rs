//! Reading names of any size and spelling out of a zone that holds much else.

use nodedns::decide::provider::ErrorKind;
use nodedns::decide::record::{Action, RecordType, Target};
use nodedns::publish::Provider;
use route53_sim::{Operation, RecordSet as Sent};

use super::*;

fn sent(at: &str, rtype: &str, identifier: &str) -> Sent {
    Sent::new(at, rtype).set_identifier(identifier).ttl(60)
}

#[test]
fn a_small_pool_takes_one_request_whatever_the_zone_holds() {
    let sim = sim();
    for number in 0..500 {
        sim.put(ZONE, Sent::new(&format!("x{number}.example.com"), "A").ttl(60).value("192.0.2.1"));
    }
    sim.put(ZONE, sent("edge.example.com", "A", "a").weight(1).value("192.0.2.1"));
    sim.put(ZONE, sent("edge.example.com", "AAAA", "a").weight(1).value("2001:db8::1"));
    let provider = route53(&sim);
    let listing = run(provider.list(&zone(), &name("Edge.example.com"))).expect("a listing");
    assert_eq!(listing.zone_id, ZONE);
    assert_eq!(listing.get(RecordType::A, &id("a")), Some(&weighted("a", 1, "192.0.2.1")));
    assert_eq!(listing.get(RecordType::Aaaa, &id("a")), Some(&weighted("a", 1, "2001:db8::1")));
    // The last name of the zone, and one behind all others.
    assert_eq!(run(provider.list(&zone(), &name("x99.example.com"))).map(|listing| listing.pools.len()), Ok(1));
    assert_eq!(run(provider.list(&zone(), &name("zz.example.com"))).map(|listing| listing.pools.len()), Ok(0));
    let requests = sim.requests();
    assert_eq!(requests.len(), 3, "{requests:#?}");
    assert!(requests.iter().all(|request| request.operation == Operation::ListResourceRecordSets));
}

#[test]
fn a_name_larger_than_a_page_is_read_whole_at_any_page_size() {
    let sim = sim();
    for number in 0..100 {
        let identifier = format!("nodedns/v1/home/n{number}");
        sim.put(ZONE, sent("edge.example.com", "A", &identifier).weight(1).value(&format!("192.0.2.{number}")));
        sim.put(ZONE, sent("edge.example.com", "AAAA", &identifier).weight(1).value(&format!("2001:db8::{number}")));
        sim.put(ZONE, sent("edge.example.com", "MX", &identifier).weight(1).value("10 mail.example.com."));
        sim.put(ZONE, sent("edge.example.com", "TXT", &identifier).multi_value_answer().value("\"text\""));
    }
    for (before, behind) in [("edg.example.com", "edge0.example.com"), ("a.edge.example.com", "edge-.example.com")] {
        sim.put(ZONE, sent(before, "A", "nodedns/v1/home/n1").weight(9).value("198.51.100.1"));
        sim.put(ZONE, sent(behind, "A", "nodedns/v1/home/n1").weight(9).value("198.51.100.1"));
    }
    let provider = route53(&sim);
    for (page_size, requests) in [(300, 2), (100, 4), (99, 5), (7, 58)] {
        sim.set_options(|options| options.page_size = page_size);
        sim.clear_requests();
        let listing = run(provider.list(&zone(), &name("edge.example.com"))).expect("a listing");
        for rtype in RecordType::ALL {
            let pool = listing.pool(rtype).expect("a pool");
            assert_eq!(pool.len(), 100, "{rtype} in pages of {page_size}");
            assert!(pool.values().all(|set| set.routing == Routing::Weighted(1)));
        }
        assert_eq!(sim.requests().len(), requests, "pages of {page_size}");
    }
}

#[test]
fn a_wildcard_is_one_name_in_both_spellings() {
    let sim = sim();
    let provider = route53(&sim);
    run(async {
        let wild = change(Action::Create, "*.edge.example.com", RecordType::A, weighted("a", 1, "192.0.2.1"));
        provider.apply(&zone(), std::slice::from_ref(&wild)).await.expect("accepted");
        assert_eq!(sim.pool(ZONE, "\\052.edge.example.com", "A").len(), 1);
        let listing = provider.list(&zone(), &name("\\052.edge.example.com")).await.expect("a listing");
        assert_eq!(listing.get(RecordType::A, &id("a")), Some(&wild.set));
        let apex = provider.list(&zone(), &name("edge.example.com")).await.expect("a listing");
        assert_eq!(apex.pools.len(), 0);
        provider.apply(&zone(), &[Change { action: Action::Delete, ..wild }]).await.expect("accepted");
        assert_eq!(sim.pool(ZONE, "*.edge.example.com", "A").len(), 0);
    });
}

#[test]
fn what_others_left_can_be_echoed_into_a_deletion() {
    let sim = sim();
    let at = "edge.example.com";
    sim.put(ZONE, sent(at, "A", "alias").weight(3).alias("ZELSEWHERE", "dualstack.lb.example.org", true));
    let mut alias = sim.pool(ZONE, at, "A").pop().expect("an alias");
    alias.ttl = None;
    sim.put(ZONE, alias);
    sim.put(
        ZONE,
        sent(at, "AAAA", "loud").geoproximity("+52.5", "13.4", -7).value("2001:DB8:0::1").value("2001:db8::2"),
    );
    let provider = route53(&sim);
    run(async {
        let listing = provider.list(&zone(), &name(at)).await.expect("a listing");
        let alias = listing.get(RecordType::A, &id("alias")).expect("an alias");
        assert_eq!(
            alias.target,
            Target::Alias {
                hosted_zone_id: "ZELSEWHERE".into(),
                dns_name: "dualstack.lb.example.org.".into(),
                evaluate_target_health: true
            }
        );
        let changes: Vec<Change> = listing
            .pools
            .iter()
            .flat_map(|(rtype, pool)| pool.values().map(|set| change(Action::Delete, at, *rtype, set.clone())))
            .collect();
        assert_eq!(changes.len(), 2);
        provider.apply(&zone(), &changes).await.expect("accepted");
        assert_eq!(provider.list(&zone(), &name(at)).await.map(|listing| listing.pools.len()), Ok(0));
    });
}

#[test]
fn a_cname_and_a_traffic_policy_are_seen_and_refused_alike() {
    let (sim, providers) = providers();
    sim.put(ZONE, Sent::new("edge.example.com", "CNAME").ttl(60).value("elsewhere.example.org"));
    let mut policy = Sent::new("policy.example.com", "A");
    policy.traffic_policy_instance_id = Some("t-1".to_owned());
    sim.put(ZONE, policy);
    let made = RecordSet {
        set_identifier: None,
        routing: Routing::Simple,
        target: Target::TrafficPolicyInstance("t-1".into()),
        health_check_id: None,
    };
    run(async {
        for provider in &providers {
            if let AnyProvider::Memory(memory) = provider {
                memory.insert_cname(ZONE, &name("edge.example.com"));
                memory.insert(ZONE, &name("policy.example.com"), RecordType::A, made.clone());
            }
            let listing = provider.list(&zone(), &name("edge.example.com")).await.expect("a listing");
            assert!(listing.has_cname && listing.pools.is_empty());
            let error = provider.apply(&zone(), &[create(weighted("a", 1, "192.0.2.1"))]).await.expect_err("refused");
            assert_eq!(error.kind, ErrorKind::Refused);
            assert_eq!(
                error.message,
                "[RRSet of type A with DNS name edge.example.com. is not permitted because a conflicting RRSet of type \
                 CNAME with the same DNS name already exists in zone example.com.]"
            );
            let listing = provider.list(&zone(), &name("policy.example.com")).await.expect("a listing");
            assert_eq!(listing.pool(RecordType::A).and_then(|pool| pool.get(&None)), Some(&made));
        }
    });
}

#[test]
fn a_record_set_that_cannot_be_kept_makes_the_listing_an_error_and_no_other() {
    let sim = sim();
    // A routing policy of the future is one whose field we do not see.
    sim.put(ZONE, sent("edge.example.com", "A", "future").value("192.0.2.1"));
    sim.put(ZONE, sent("other.example.com", "A", "a").weight(1).value("192.0.2.1"));
    let provider = route53(&sim);
    let error = run(provider.list(&zone(), &name("edge.example.com"))).expect_err("cannot be kept");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(
        error.message.contains("the A record set 'future' cannot be kept as it is: it has a set identifier but no")
    );
    assert!(run(provider.list(&zone(), &name("other.example.com"))).is_ok());
}

#[test]
fn bias_and_coordinates_go_over_the_wire_in_the_form_that_the_service_takes() {
    let sim = sim();
    let provider = route53(&sim);
    let point = nodedns::decide::routing::Coordinates::parse_pair("90.00,8.6").expect("a point");
    let location = nodedns::decide::routing::Location::Coordinates(point);
    let near = set("a", Routing::GeoProximity { location, bias: 0 }, values(60, &["192.0.2.1"]));
    run(provider.apply(&zone(), &[upsert(near)])).expect("accepted");
    let requests = sim.requests();
    let [(_, sent)] = requests[0].changes.as_slice() else { panic!("{requests:#?}") };
    let location = sent.geoproximity.as_ref().expect("a location");
    let at = location.coordinates.as_ref().expect("coordinates");
    assert_eq!((at.latitude.as_str(), at.longitude.as_str(), location.bias), ("90", "8.60", Some(0)));
}
