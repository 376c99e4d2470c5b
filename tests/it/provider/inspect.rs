//! What `check` asks: of an identity, of a zone, and of rights, without changing anything.

use std::collections::BTreeSet;

use nodedns::decide::provider::{ErrorKind, ProviderError};
use nodedns::decide::record::{Action, RecordType};
use nodedns::publish::route53::inspect::{Caller, Limit, between};
use nodedns::publish::route53::rights::{ChangeRights, Right};
use route53_sim::{Action as Sent, ChangeConditions, Count, Fault, Operation, RecordSet as Put};

use super::faults::canned;
use super::*;

const OWN: &str = "nodedns/v1/home/n1";
const BOTH: [RecordType; 2] = RecordType::ALL;

async fn rights(provider: &Route53, at: &str, types: &[RecordType]) -> Result<ChangeRights, ProviderError> {
    provider.try_rights(ZONE, &name(at), &types.iter().copied().collect::<BTreeSet<_>>(), &id(OWN)).await
}

fn only(sim: &Sim, names: &[&str], types: &[&str], actions: &[&str]) {
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let conditions = ChangeConditions { names: list(names), types: list(types), actions: list(actions) };
    sim.set_options(|options| options.change_conditions = Some(conditions));
}

#[test]
fn a_zone_is_told_with_its_servers_and_its_limit() {
    let sim = sim();
    let provider = route53(&sim);
    run(async {
        let public = provider.zone_details(ZONE).await.expect("a zone");
        assert_eq!((public.zone.id.as_str(), public.zone.name.to_string().as_str()), (ZONE, "example.com"));
        assert_eq!((public.zone.private, public.name_servers.len(), public.record_sets), (false, 4, 2));
        assert_eq!(provider.zone_details(&format!("/hostedzone/{ZONE}")).await.as_ref(), Ok(&public));
        let private = provider.zone_details(PRIVATE).await.expect("a zone");
        assert_eq!((private.zone.private, private.name_servers.len()), (true, 0));
        assert_eq!(provider.zone_limit(ZONE).await, Ok(Limit { used: 2, allowed: 10_000 }));
        assert_eq!(provider.health_check_limit().await, Ok(Limit { used: 0, allowed: 200 }));
        sim.set_options(|options| options.foreign_zones.extend(["ZFOREIGN".to_owned()]));
        for (zone, kind) in [("ZNOWHERE", ErrorKind::NoSuchZone), ("ZFOREIGN", ErrorKind::Denied)] {
            assert_eq!(provider.zone_details(zone).await.map_err(|error| error.kind), Err(kind), "{zone}");
            assert_eq!(provider.zone_limit(zone).await.map_err(|error| error.kind), Err(kind), "{zone}");
        }
        for operation in [Operation::GetHostedZone, Operation::GetHostedZoneLimit, Operation::GetAccountLimit] {
            sim.inject(operation, Fault::Truncate, Count::Next(1));
        }
        assert_eq!(provider.zone_details(ZONE).await.map_err(|error| error.kind), Err(ErrorKind::Unavailable));
        assert_eq!(provider.zone_limit(ZONE).await.map_err(|error| error.kind), Err(ErrorKind::Unavailable));
        assert_eq!(provider.health_check_limit().await.map_err(|error| error.kind), Err(ErrorKind::Unavailable));
    });
}

#[test]
fn answers_that_break_off_are_no_zone_and_no_limit() {
    const START: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<?xml version=\"1.0\"?>";
    for body in ["<GetHostedZoneResponse><HostedZone><Id>/hostedzone/Z1</Id>", "<GetHostedZoneResponse/>"] {
        let (endpoint, server) = canned(Box::leak(format!("{START}{body}").into_boxed_str()));
        let error = run(route53_with(settings(endpoint)).zone_details("Z1")).expect_err(body);
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        server.join().expect("the server");
    }
    let (endpoint, server) = canned(Box::leak(format!("{START}<GetHostedZoneLimitResponse><Count>5</Count>").into()));
    let error = run(route53_with(settings(endpoint)).zone_limit("Z1")).expect_err("no limit");
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    server.join().expect("the server");
}

#[test]
fn who_is_asking_and_what_time_it_is_are_told_in_one_answer_good_or_bad() {
    let sim = sim();
    let provider = route53(&sim);
    let here = || i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()).expect("soon");
    run(async {
        let expected =
            Caller { account: "123456789012".to_owned(), arn: "arn:aws:iam::123456789012:user/simulated".to_owned() };
        assert_eq!(provider.caller().await.0, Ok(expected));
        sim.inject(Operation::GetCallerIdentity, Fault::ExpiredToken, Count::Next(1));
        let (caller, time) = provider.caller().await;
        assert_eq!(caller.map_err(|error| error.kind), Err(ErrorKind::Credentials));
        assert!(time.is_some());
        for offset in [0, 200, 3600, -3600] {
            sim.set_options(|options| options.clock_offset_s = offset);
            let (caller, time) = provider.caller().await;
            let told = i64::try_from(time.expect("a time").since_epoch.as_secs()).expect("soon");
            assert!((told - here() - offset).abs() < 20, "{told} is not {offset} off");
            match caller {
                Ok(_) => assert!(offset.abs() < 300),
                Err(error) => {
                    assert!(offset.abs() > 300 && error.kind == ErrorKind::Credentials, "{error}");
                    assert!(error.message.contains("clock"), "{error}");
                }
            }
        }
        sim.set_options(|options| options.clock_offset_s = 0);
        sim.inject(Operation::GetCallerIdentity, Fault::Reset, Count::Next(1));
        let (caller, time) = provider.caller().await;
        assert_eq!((caller.map_err(|error| error.kind), time), (Err(ErrorKind::Unavailable), None));
    });
    // The same endpoint is asked for it.
    assert_eq!(count(&sim, Operation::GetCallerIdentity), 7);
}

/// Pools of every kind, each at a name of its own.
fn every_pool(sim: &Sim) -> Vec<String> {
    let routed = |at: &str, rtype: &str, identifier: &str| Put::new(at, rtype).set_identifier(identifier).ttl(60);
    let mut names = vec!["empty.example.com".to_owned()];
    let mut put = |at: &str, sets: Vec<Put>| {
        sets.into_iter().for_each(|set| sim.put(ZONE, set));
        names.push(at.to_owned());
    };
    let at = "simple.example.com";
    put(at, vec![Put::new(at, "A").ttl(300).value("192.0.2.1"), Put::new(at, "AAAA").ttl(300).value("2001:db8::1")]);
    let at = "weighted.example.com";
    put(at, vec![routed(at, "A", "a").weight(1).value("192.0.2.1"), routed(at, "A", OWN).weight(0).value("192.0.2.1")]);
    let at = "cname.example.com";
    put(at, vec![Put::new(at, "CNAME").ttl(60).value("elsewhere.example.org")]);
    let at = "latency.example.com";
    let mut latency = routed(at, "AAAA", "a").value("2001:db8::1");
    latency.region = Some("eu-west-1".to_owned());
    put(at, vec![latency]);
    let at = "geo.example.com";
    put(at, vec![routed(at, "A", "a").geoproximity("52.5", "13.4", 0).value("192.0.2.1")]);
    let at = "multi.example.com";
    put(at, vec![routed(at, "A", "a").multi_value_answer().value("192.0.2.1")]);
    let at = "alias.example.com";
    let mut alias = Put::new(at, "A").alias("ZELSEWHERE", "lb.example.org", true);
    alias.ttl = None;
    put(at, vec![alias]);
    let at = "full.example.com";
    put(at, (0..100).map(|n| routed(at, "A", &format!("s{n}")).weight(1).value("192.0.2.1")).collect());
    let at = "*.wild.example.com";
    put(at, vec![routed(at, "A", "a").weight(1).value("192.0.2.1")]);
    names
}

#[test]
fn trying_rights_changes_nothing_whatever_the_name_holds_and_whatever_is_allowed() {
    let sim = sim();
    let provider = route53(&sim);
    let names = every_pool(&sim);
    let before = sim.record_sets(ZONE);
    let subsets: Vec<Option<Vec<&str>>> = std::iter::once(None)
        .chain((1..8).map(|bits| {
            let actions = ["DELETE", "CREATE", "UPSERT"].into_iter().enumerate();
            Some(actions.filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, action)| action).collect())
        }))
        .collect();
    let mut probes = BTreeSet::new();
    run(async {
        for subset in &subsets {
            match subset {
                None => sim.set_options(|options| options.change_conditions = None),
                Some(actions) => only(&sim, &[], &[], actions),
            }
            for at in &names {
                for types in [&BOTH[..], &BOTH[..1], &BOTH[1..]] {
                    sim.clear_requests();
                    let found = rights(&provider, at, types).await.unwrap_or_else(|error| panic!("{at}: {error}"));
                    let expected = |action: &str| subset.as_ref().is_none_or(|allowed| allowed.contains(&action));
                    for rtype in types {
                        let right = |action| &found.found[&(*rtype, action)];
                        let is_denied = |action| matches!(right(action), Right::Denied(_));
                        assert_eq!(is_denied(Action::Delete), !expected("DELETE"), "{at} {subset:?}");
                        for (action, word) in [(Action::Create, "CREATE"), (Action::Upsert, "UPSERT")] {
                            match expected("DELETE") {
                                true => assert_eq!(is_denied(action), !expected(word), "{at} {subset:?}"),
                                false => assert_eq!(*right(action), Right::NotTold, "{at} {subset:?}"),
                            }
                        }
                    }
                    let requests = sim.requests();
                    assert!(requests.len() <= 1 + 3 * types.len(), "{}", requests.len());
                    assert_eq!(requests.len() == 1, found.are_all_allowed() && !found.found.is_empty());
                    for request in &requests {
                        assert_eq!(request.operation, Operation::ChangeResourceRecordSets);
                        assert_eq!(request.change_id, None, "accepted: {request:?}");
                        let (first, set) = &request.changes[0];
                        assert_eq!(*first, Sent::Delete, "{request:?}");
                        probes.insert(set.set_identifier.clone().expect("routed"));
                    }
                    assert_eq!(sim.record_sets(ZONE), before, "{at} {subset:?}");
                }
            }
        }
    });
    assert!(probes.iter().all(|probe| probe.starts_with(&format!("{OWN}/check:"))), "{probes:?}");
    assert_eq!(probes.len(), subsets.len() * names.len() * 3, "a new one for every attempt");
}

#[test]
fn a_right_to_a_type_or_a_name_that_is_missing_is_named() {
    let sim = sim();
    let provider = route53(&sim);
    run(async {
        only(&sim, &["edge.example.com"], &["A"], &[]);
        let found = rights(&provider, "edge.example.com", &BOTH).await.expect("told");
        assert_eq!(found.denied().collect::<Vec<_>>(), [(RecordType::Aaaa, Action::Delete)]);
        assert_eq!(found.found[&(RecordType::A, Action::Upsert)], Right::Allowed);
        let words = found.words().expect("the service's");
        assert!(words.contains("not authorized to perform: route53:ChangeResourceRecordSets"), "{words}");
        assert!(!words.contains("hint"), "{words}");
        let found = rights(&provider, "other.example.com", &BOTH[..1]).await.expect("told");
        assert_eq!(found.denied().count(), 1);
        assert_eq!(rights(&provider, "edge.example.com", &[]).await, Ok(ChangeRights::default()));
    });
}

#[test]
fn an_answer_that_tells_nothing_of_rights_is_an_error() {
    let sim = sim();
    let provider = route53(&sim);
    let impatient = route53_with(Settings { attempt_timeout: SHORT, ..settings(sim.endpoint()) });
    let odd = |status, code: &str| Fault::Error { status, code: code.into(), message: "text".into() };
    run(async {
        for (fault, kind) in [
            (Fault::Throttling, ErrorKind::Throttled),
            (Fault::PriorRequestNotComplete, ErrorKind::Busy),
            (Fault::ExpiredToken, ErrorKind::Credentials),
            (odd(400, "InvalidInput"), ErrorKind::Refused),
            (odd(404, "NoSuchHealthCheck"), ErrorKind::Refused),
            // Nothing can have come of it, so there is nothing to confirm.
            (Fault::Status(500), ErrorKind::Unavailable),
            // The refusal itself, broken off before its code.
            (Fault::Truncate, ErrorKind::Refused),
            (Fault::DropAfterCommit, ErrorKind::Unavailable),
            (Fault::Hang, ErrorKind::Unavailable),
        ] {
            let provider = if fault == Fault::Hang { &impatient } else { &provider };
            sim.inject(Operation::ChangeResourceRecordSets, fault.clone(), Count::Next(1));
            let error = rights(provider, "edge.example.com", &BOTH).await.expect_err("no answer");
            assert_eq!(error.kind, kind, "{fault:?}: {error}");
        }
        // Denied, and then not told why.
        sim.inject(Operation::ChangeResourceRecordSets, Fault::AccessDenied, Count::Next(1));
        sim.inject(Operation::ChangeResourceRecordSets, Fault::Throttling, Count::Next(1));
        let error = rights(&provider, "edge.example.com", &BOTH).await.expect_err("no answer");
        assert_eq!(error.kind, ErrorKind::Throttled);
        // Denied as a batch alone.
        sim.inject(Operation::ChangeResourceRecordSets, Fault::AccessDenied, Count::Next(1));
        let error = rights(&provider, "edge.example.com", &BOTH).await.expect_err("odd");
        assert!(error.kind == ErrorKind::Denied && error.message.contains("one by one"), "{error}");
        sim.inject(Operation::ChangeResourceRecordSets, Fault::AccessDenied, Count::Always);
        let found = rights(&provider, "edge.example.com", &BOTH).await.expect("told");
        assert_eq!(found.denied().count(), 2);
    });
}

#[test]
fn a_batch_that_is_accepted_after_all_says_what_to_look_for() {
    let (endpoint, server) = canned(
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<?xml version=\"1.0\"?><ChangeResourceRecordSetsResponse>\
         <ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt>\
         </ChangeInfo></ChangeResourceRecordSetsResponse>",
    );
    let error = run(rights(&route53_with(settings(endpoint)), "edge.example.com", &BOTH)).expect_err("accepted");
    assert!(error.message.contains("accepted change C1"), "{error}");
    assert!(error.message.contains("Look at edge.example.com in zone Z0123456789ABC"), "{error}");
    assert!(error.message.contains(&format!("'{OWN}/check:")), "{error}");
    server.join().expect("the server");
}

#[test]
fn rights_to_read_are_told() {
    let sim = sim();
    let provider = route53(&sim);
    run(async {
        let all = async || [provider.try_get_change().await, provider.try_list_health_checks().await];
        assert_eq!(all().await, [const { Ok(Right::Allowed) }; 2]);
        let denied = [Operation::GetChange, Operation::ListHealthChecks];
        sim.set_options(|options| options.denied_operations.extend(denied));
        for right in all().await {
            assert!(matches!(&right, Ok(Right::Denied(words)) if words.contains("not authorized")), "{right:?}");
        }
        sim.set_options(|options| options.denied_operations.clear());
        sim.inject(Operation::GetChange, Fault::Throttling, Count::Next(1));
        assert_eq!(provider.try_get_change().await.map_err(|error| error.kind), Err(ErrorKind::Throttled));
    });
    assert_eq!(count(&sim, Operation::ListHealthChecks), 2);
}

#[test]
fn what_the_zone_gives_away_above_a_name_is_found() {
    let sim = sim();
    let put = |at: &str, rtype: &str| sim.put(ZONE, Put::new(at, rtype).ttl(300).value("ns.example.net."));
    put("sub.example.com", "NS");
    put("a.b.away.example.com", "NS");
    put("b.away.example.com", "TXT");
    put("zzz.example.com", "NS");
    let provider = route53(&sim);
    run(async {
        let zone = provider.zone_details(ZONE).await.expect("a zone").zone;
        for (at, expected) in [
            ("example.com", &[][..]),
            ("edge.example.com", &[]),
            ("sub.example.com", &["sub.example.com"]),
            ("x.y.sub.example.com", &["sub.example.com"]),
            ("*.sub.example.com", &["sub.example.com"]),
            ("xsub.example.com", &[]),
            ("b.away.example.com", &[]),
            ("c.a.b.away.example.com", &["a.b.away.example.com"]),
        ] {
            let mut found = Vec::new();
            for between in between(&zone.name, &name(at)) {
                if provider.at_name(ZONE, &between).await.expect("told").1 {
                    found.push(between);
                }
            }
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{at}");
        }
        sim.inject(Operation::ListResourceRecordSets, Fault::Truncate, Count::Next(1));
        let found = provider.at_name(ZONE, &name("edge.example.com")).await;
        assert_eq!(found.map_err(|error| error.kind), Err(ErrorKind::Unavailable));
    });
}

#[test]
fn zones_of_the_same_name_are_found() {
    let sim = sim();
    sim.add_zone("example.com", "ZTWIN", false);
    sim.add_zone("example.com", "ZPRIV", true);
    sim.add_zone("sub.example.com", "ZSUB", false);
    let provider = route53(&sim);
    run(async {
        let details = provider.zone_details(ZONE).await.expect("a zone");
        let twins = provider.twins(&details.zone).await.expect("told");
        assert_eq!(twins.iter().map(|twin| twin.zone.id.as_str()).collect::<Vec<_>>(), ["ZTWIN"]);
        assert!(twins[0].name_servers.is_disjoint(&details.name_servers));
    });
}
