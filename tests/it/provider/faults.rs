//! Everything that can go wrong on the way, and what the caller is told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Instant;

use nodedns::decide::provider::{ChangeId, ErrorKind, ProviderError};
use nodedns::publish::Provider;
use nodedns::publish::route53::{Route53, messages};
use route53_sim::{Count, Fault, Operation};

use super::*;
use crate::support::port::Port;

/// A provider that does not wait long for an answer.
fn impatient(endpoint: String) -> Route53 {
    route53_with(Settings { attempt_timeout: SHORT, ..settings(endpoint) })
}

async fn list(provider: &Route53) -> Result<(), ProviderError> {
    provider.list(&zone(), &name("edge.example.com")).await.map(|_| ())
}

async fn apply(provider: &Route53) -> Result<(), ProviderError> {
    provider.apply(&zone(), &[upsert(weighted("a", 1, "192.0.2.1"))]).await.map(|_| ())
}

#[test]
fn every_fault_has_its_kind_one_request_and_no_effect_on_the_next() {
    let error = |status, code: &str| Fault::Error { status, code: code.into(), message: "text".into() };
    use ErrorKind::{Busy, Credentials, Denied, Refused, Throttled, Unavailable, Unconfirmed};
    // What it means for a listing, and for a change.
    let faults = [
        (Fault::Throttling, Throttled, Throttled),
        (error(400, "ThrottlingException"), Throttled, Throttled),
        (error(429, "TooManyRequestsException"), Throttled, Throttled),
        (Fault::PriorRequestNotComplete, Busy, Busy),
        (Fault::AccessDenied, Denied, Denied),
        (Fault::ExpiredToken, Credentials, Credentials),
        (error(403, "InvalidClientTokenId"), Credentials, Credentials),
        (error(403, "SignatureDoesNotMatch"), Credentials, Credentials),
        (error(400, "InvalidInput"), Refused, Refused),
        (error(404, "NoSuchHealthCheck"), Refused, Refused),
        (Fault::Status(500), Unavailable, Unconfirmed),
        (Fault::Status(503), Unavailable, Unconfirmed),
        (Fault::Hang, Unavailable, Unconfirmed),
        (Fault::HangAfterCommit, Unavailable, Unconfirmed),
        (Fault::Reset, Unavailable, Unconfirmed),
        (Fault::DropAfterCommit, Unavailable, Unconfirmed),
        (Fault::Truncate, Unavailable, Unconfirmed),
    ];
    let sim = sim();
    run(async {
        let patient = route53(&sim);
        for (fault, listing, change) in faults {
            let hangs = matches!(fault, Fault::Hang | Fault::HangAfterCommit);
            let provider = if hangs { impatient(sim.endpoint()) } else { patient.clone() };
            for (operation, expected) in
                [(Operation::ListResourceRecordSets, listing), (Operation::ChangeResourceRecordSets, change)]
            {
                sim.clear_requests();
                sim.inject(operation, fault.clone(), Count::Always);
                let outcome = match operation {
                    Operation::ListResourceRecordSets => list(&provider).await,
                    _ => apply(&provider).await,
                };
                let error = outcome.expect_err("a fault");
                assert_eq!(error.kind, expected, "{operation} with {fault:?}: {error}");
                assert!(!error.message.is_empty() && !error.message.contains("dispatch failure"), "{error}");
                assert_eq!(sim.requests().len(), 1, "{operation} with {fault:?}: no hidden retry");
                sim.clear_faults();
                list(&patient).await.expect("a listing after the fault");
                apply(&patient).await.expect("a change after the fault");
            }
        }
    });
}

#[test]
fn a_change_that_was_made_without_an_answer_is_there_on_the_next_listing() {
    let sim = sim();
    run(async {
        let provider = impatient(sim.endpoint());
        for fault in [Fault::DropAfterCommit, Fault::HangAfterCommit, Fault::Truncate] {
            sim.add_zone("example.com", ZONE, false);
            sim.inject(Operation::ChangeResourceRecordSets, fault, Count::Next(1));
            let error = apply(&provider).await.expect_err("no answer");
            assert_eq!(error.kind, ErrorKind::Unconfirmed);
            assert_eq!(error.code, None);
            let listing = route53(&sim).list(&zone(), &name("edge.example.com")).await.expect("a listing");
            assert!(listing.get(RecordType::A, &id("a")).is_some());
        }
    });
}

#[test]
fn a_change_that_cannot_have_left_is_no_unconfirmed_one() {
    // A port without a listener, and one that does not speak TLS.
    let port = Port::new();
    let sim = sim();
    let plain = sim.endpoint().replace("http://", "https://");
    run(async {
        for endpoint in [format!("http://{}", port.address()), plain] {
            let provider = route53_with(settings(endpoint.clone()));
            for error in [list(&provider).await, apply(&provider).await].map(|outcome| outcome.expect_err("no way")) {
                assert_eq!(error.kind, ErrorKind::Unavailable, "{endpoint}: {error}");
                assert!(error.message.starts_with("no connection: "), "{error}");
            }
        }
    });
    assert_eq!(sim.requests().len(), 0);
}

#[test]
fn no_answer_is_waited_for_as_long_as_told_and_no_longer() {
    let sim = sim();
    sim.inject(Operation::ListResourceRecordSets, Fault::Hang, Count::Always);
    let start = Instant::now();
    let error = run(list(&impatient(sim.endpoint()))).expect_err("no answer");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("timeout"), "{error}");
    assert!(start.elapsed() >= SHORT && start.elapsed() < SHORT * 10, "{:?}", start.elapsed());
}

#[test]
fn a_denial_says_what_to_check_and_so_does_a_zone_of_another_account() {
    let sim = sim();
    sim.set_options(|options| options.foreign_zones.extend(["ZFOREIGN".to_owned()]));
    sim.inject(Operation::ChangeResourceRecordSets, Fault::AccessDenied, Count::Always);
    run(async {
        let provider = route53(&sim);
        let error = apply(&provider).await.expect_err("denied");
        assert!(error.message.contains("is not authorized to perform: route53:ChangeResourceRecordSets on resource"));
        assert!(error.message.contains("\nhint: "), "{error}");
        sim.inject(Operation::GetChange, Fault::AccessDenied, Count::Always);
        let error = provider.change_status(&ChangeId("C1".into())).await.expect_err("denied");
        assert!(error.message.ends_with("hint: allow route53:GetChange on arn:aws:route53:::change/*"), "{error}");
        sim.inject(Operation::ListHostedZonesByName, Fault::AccessDenied, Count::Always);
        let longest = ZoneRef::Longest { private: false };
        let error = provider.list(&longest, &name("edge.example.com")).await.expect_err("denied");
        assert!(error.kind == ErrorKind::Denied && error.message.contains("hint: set zone_id"), "{error}");
        let foreign = ZoneRef::Id("ZFOREIGN".into());
        let error = provider.list(&foreign, &name("edge.example.com")).await.expect_err("denied");
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(error.message.contains("hint: ") && error.message.contains("zone of another account"), "{error}");
    });
}

#[test]
fn several_refusals_come_in_one_message_that_can_be_taken_apart() {
    let sim = sim();
    let batch = [delete(weighted("x", 1, "192.0.2.1")), delete(weighted("y", 1, "192.0.2.1"))];
    let error = run(route53(&sim).apply(&zone(), &batch)).expect_err("refused");
    let parts = messages(&error.message);
    assert_eq!(parts.len(), 2, "{error}");
    assert!(parts[0].contains("set-identifier='x'") && parts[1].contains("set-identifier='y'"));
}

#[test]
fn a_refusal_in_the_form_of_old_is_still_a_refusal() {
    let sim = sim();
    sim.set_options(|options| options.legacy_error_root = true);
    let error = run(route53(&sim).apply(&zone(), &[delete(weighted("x", 1, "192.0.2.1"))])).expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
}

#[test]
fn requests_wait_their_turn_at_the_rate_that_was_set() {
    let sim = sim();
    let slow = Settings { requests_per_second: 20.0, burst: 2, ..settings(sim.endpoint()) };
    run(async {
        let provider = route53_with(slow);
        let start = Instant::now();
        let clones = (0..8).map(|_| {
            let provider = provider.clone();
            async move { list(&provider).await }
        });
        for outcome in futures::future::join_all(clones).await {
            outcome.expect("a listing");
        }
        // Two at once, six more at 50 ms each.
        assert!(start.elapsed() >= std::time::Duration::from_millis(290), "{:?}", start.elapsed());
    });
    assert_eq!(sim.requests().len(), 8);
}

/// A server of one answer, whatever is asked: what proxies and captive portals say. The first
/// request's head comes back when it is joined.
pub(super) fn canned(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        // Whoever closes with unread input resets the connection.
        stream.read_exact(&mut vec![0; length.unwrap_or_default()]).expect("a body");
        stream.write_all(answer.as_bytes()).expect("an answer");
        head
    });
    (endpoint, server)
}

#[test]
fn answers_that_are_not_the_service_s_are_never_taken_for_one() {
    use ErrorKind::{Denied, Refused, Throttled, Unavailable, Unconfirmed};
    const LIST: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<?xml version=\"1.0\"?><ListResourceRecordSetsResponse \
                        xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ResourceRecordSets><ResourceRecordSet>\
                        <Name>edge.example.com.</Name><Type>A</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>\
                        192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>";
    for (answer, listing, change) in [
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<html><body>Welcome to our hotel</body></html>",
            Unavailable,
            Unconfirmed,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Unavailable, Unconfirmed),
        // Nothing but the end of the connection says that this is not all.
        (LIST, Unavailable, Unconfirmed),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<ChangeResourceRecordSetsResponse><ChangeInfo>",
            Unavailable,
            Unconfirmed,
        ),
        ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n", Unavailable, Unconfirmed),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\n<html>", Denied, Denied),
        ("HTTP/1.1 400 Bad Request\r\ncontent-length: 15\r\n\r\n<ErrorResponse>", Refused, Refused),
        ("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n", Throttled, Throttled),
        ("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\n\r\nbad", Unavailable, Unconfirmed),
        ("SSH-2.0-OpenSSH_9.9\r\n", Unavailable, Unconfirmed),
    ] {
        for (expected, is_list) in [(listing, true), (change, false)] {
            let (endpoint, server) = canned(answer);
            let provider = route53_with(settings(endpoint));
            let outcome = run(async { if is_list { list(&provider).await } else { apply(&provider).await } });
            let error = outcome.expect_err(answer);
            assert_eq!(error.kind, expected, "{error} for {answer:?}");
            assert!(!error.message.contains('\n'), "{error}");
            server.join().expect("the server");
        }
    }
}

#[test]
fn requests_are_signed_for_the_region_that_was_set() {
    let (endpoint, server) = canned("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    let settings = Settings { region: Some("cn-northwest-1".to_owned()), ..settings(endpoint) };
    run(list(&route53_with(settings))).expect_err("no service");
    let head = server.join().expect("the server");
    assert!(head.contains("/cn-northwest-1/route53/aws4_request"), "{head}");
    assert!(head.starts_with("GET /2013-04-01/hostedzone/Z0123456789ABC/rrset?"), "{head}");
    assert!(head.contains("name=edge.example.com.") && head.contains("maxitems=300"), "{head}");
}
