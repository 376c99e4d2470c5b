//! What happens on the wire: schema violations, signatures, listings, faults, limits, and the log of it all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::client::{AUTHORIZATION, ZONE, batch, change, fields, request, send, send_with};
use route53_sim::{Action, ChangeConditions, Count, Fault, Operation, Options, RecordSet, Sim, Target, Throttle};

fn sim() -> Sim {
    Sim::builder().zone("example.com", ZONE).start()
}

fn set(id: &str) -> RecordSet {
    RecordSet::new("www.example.com", "A").set_identifier(id).weight(10).ttl(60).value("192.0.2.1")
}

fn path() -> String {
    format!("/2013-04-01/hostedzone/{ZONE}/rrset")
}

fn xml_change(set: &str) -> String {
    format!(
        "<ChangeBatch><Changes><Change><Action>CREATE</Action><ResourceRecordSet>{set}</ResourceRecordSet></Change>\
         </Changes></ChangeBatch>"
    )
}

/// Where the parser stood, and what it found.
fn violation(sim: &Sim, content: &str) -> (String, String) {
    let response = send(sim, "POST", &path(), &request(content));
    let (code, message) = response.error();
    assert_eq!((response.status, code.as_str()), (400, "InvalidInput"), "{message}");
    let start = "Invalid XML ; javax.xml.stream.XMLStreamException: org.xml.sax.SAXParseException; ";
    let rest = message.strip_prefix(start).unwrap_or_else(|| panic!("{message}"));
    let at = rest.find("cvc-").unwrap_or_else(|| panic!("{message}"));
    (rest[..at].to_owned(), rest[at..].to_owned())
}

#[test]
fn bodies_are_held_against_the_schema() {
    let sim = sim();
    let ns = |names: &[&str]| {
        let names: Vec<_> =
            names.iter().map(|name| format!("\"https://route53.amazonaws.com/doc/2013-04-01/\":{name}")).collect();
        format!("'{{{}}}'", names.join(", "))
    };
    let near = |latitude: &str, longitude: &str, bias: &str| {
        let set = fields(&RecordSet::new("www.example.com", "A").set_identifier("s1").ttl(60).value("192.0.2.1"));
        xml_change(&format!(
            "{set}<GeoProximityLocation><Coordinates><Latitude>{latitude}</Latitude><Longitude>{longitude}</Longitude>\
             </Coordinates>{bias}</GeoProximityLocation>"
        ))
    };
    let simple = fields(&RecordSet::new("www.example.com", "A").ttl(60).value("192.0.2.1"));
    let latitude = r"[-+]?(90|[0-8]{0,1}[0-9](\.[0-9]{0,2})?)";
    let longitude = r"[-+]?(180|(1[0-7][0-9]|[0-9]{1,2})(\.[0-9]{0,2})?)";
    let pattern = |value: &str, pattern: &str, name: &str| {
        format!(
            "cvc-pattern-valid: Value '{value}' is not facet-valid with respect to pattern '{pattern}' for type '{name}'."
        )
    };
    let long = "x".repeat(129);
    let cases = [
        (near("95", "1", ""), pattern("95", latitude, "Latitude")),
        (near("90.0", "1", ""), pattern("90.0", latitude, "Latitude")),
        (near("40.7128", "1", ""), pattern("40.7128", latitude, "Latitude")),
        (near("1", "180.00", ""), pattern("180.00", longitude, "Longitude")),
        (near("1", "-74.006", ""), pattern("-74.006", longitude, "Longitude")),
        (
            near("1", "1", "<Bias>150</Bias>"),
            "cvc-maxInclusive-valid: Value '150' is not facet-valid with respect to maxInclusive '99' for type 'Bias'".to_owned(),
        ),
        (
            near("1", "1", "<Bias>-100</Bias>"),
            "cvc-minInclusive-valid: Value '-100' is not facet-valid with respect to minInclusive '-99' for type 'Bias'"
                .to_owned(),
        ),
        (
            near("1", "1", "<Bias>much</Bias>"),
            "cvc-datatype-valid.1.2.1: 'much' is not a valid value for 'integer'.".to_owned(),
        ),
        (
            xml_change(&simple.replace("</Type>", &format!("</Type><SetIdentifier>{long}</SetIdentifier>"))),
            format!(
                "cvc-maxLength-valid: Value '{long}' with length = '129' is not facet-valid with respect to maxLength '128' \
                 for type 'SetIdentifier'"
            ),
        ),
        (
            xml_change(&simple.replace("</Type>", "</Type><SetIdentifier></SetIdentifier>")),
            "cvc-minLength-valid: Value '' with length = '0' is not facet-valid with respect to minLength '1' for type \
             'SetIdentifier'"
                .to_owned(),
        ),
        (
            xml_change("<Name>www.example.com</Name><Type>A</Type><TTL>60</TTL><ResourceRecords></ResourceRecords>"),
            format!(
                "cvc-complex-type.2.4.b: The content of element 'ResourceRecords' is not complete. One of {} is expected.",
                ns(&["ResourceRecord"])
            ),
        ),
        (
            "<HostedZoneId>Z1</HostedZoneId>".to_owned(),
            format!(
                "cvc-complex-type.2.4.a: Invalid content was found starting with element 'HostedZoneId'. One of {} is \
                 expected.",
                ns(&["ChangeBatch"])
            ),
        ),
        (
            "<ChangeBatch><Changes/></ChangeBatch>".to_owned(),
            format!(
                "cvc-complex-type.2.4.b: The content of element 'Changes' is not complete. One of {} is expected.",
                ns(&["Change"])
            ),
        ),
        (
            xml_change(&simple).replace("CREATE", "REPLACE"),
            "cvc-enumeration-valid: Value 'REPLACE' is not facet-valid with respect to enumeration '[CREATE, DELETE, \
             UPSERT]'. It must be a value from the enumeration."
                .to_owned(),
        ),
        (
            xml_change(&simple.replace(
                "</Type>",
                "</Type><SetIdentifier>s</SetIdentifier><GeoLocation><ContinentCode>Default</ContinentCode></GeoLocation>",
            )),
            "cvc-length-valid: Value 'Default' with length = '7' is not facet-valid with respect to length '2' for type \
             'ContinentCode'."
                .to_owned(),
        ),
        (
            xml_change(&format!("{simple}{simple}")),
            format!(
                "cvc-complex-type.2.4.a: Invalid content was found starting with element 'Name'. One of {} is expected.",
                ns(&[
                    "SetIdentifier", "Weight", "Region", "GeoLocation", "Failover", "MultiValueAnswer", "AliasTarget",
                    "HealthCheckId", "TrafficPolicyInstanceId", "CidrRoutingConfig", "GeoProximityLocation",
                ])
            ),
        ),
        (
            xml_change(&simple.replace("<Type>A</Type>", "")),
            format!(
                "cvc-complex-type.2.4.b: The content of element 'ResourceRecordSet' is not complete. One of {} is expected.",
                ns(&[
                    "Type", "SetIdentifier", "Weight", "Region", "GeoLocation", "Failover", "MultiValueAnswer",
                    "AliasTarget", "HealthCheckId", "TrafficPolicyInstanceId", "CidrRoutingConfig",
                    "GeoProximityLocation",
                ])
            ),
        ),
    ];
    for (content, expected) in cases {
        assert_eq!(violation(&sim, &content).1, expected);
    }
    assert_eq!(sim.record_sets(ZONE).len(), 2);
}

#[test]
fn a_violation_says_where_it_is() {
    let sim = sim();
    let content = "<ChangeBatch>\n<Changes><Change><Action>X</Action></Change></Changes></ChangeBatch>";
    // Behind the end tag of the offending element, as the parser counts.
    let column = "<Changes><Change><Action>X</Action>".len() + 1;
    assert_eq!(violation(&sim, content).0, format!("lineNumber: 2; columnNumber: {column}; "));
}

#[test]
fn the_order_of_elements_matters_on_request_only() {
    let sim = sim();
    let set = "<Type>A</Type><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords>\
               <TTL>60</TTL><Name>www.example.com</Name>";
    let content = xml_change(set);
    sim.set_options(|options| options.strict_element_order = true);
    let (_, text) = violation(&sim, &content);
    assert_eq!(
        text,
        "cvc-complex-type.2.4.a: Invalid content was found starting with element 'Type'. One of \
         '{\"https://route53.amazonaws.com/doc/2013-04-01/\":Name}' is expected."
    );
    sim.set_options(|options| options.strict_element_order = false);
    assert_eq!(send(&sim, "POST", &path(), &request(&content)).status, 200);
}

#[test]
fn other_bodies_are_no_change_batches() {
    let sim = sim();
    let expected =
        ("MalformedInput".to_owned(), "ChangeBatch is not valid, expected ChangeResourceRecordSetsRequest".to_owned());
    let foreign = batch(&[(Action::Create, set("s1"))]).replace("2013-04-01", "2012-12-12");
    let other = "<ChangeBatch xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"/>";
    for body in [foreign.as_str(), other, "<ChangeResourceRecordSetsRequest/>"] {
        assert_eq!(send(&sim, "POST", &path(), body).error(), expected, "{body}");
    }
    for body in ["", "nonsense", "<a>", "<a></b>", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"] {
        let (code, message) = send(&sim, "POST", &path(), body).error();
        assert_eq!(code, "InvalidInput", "{body}");
        assert!(message.starts_with("Invalid XML ; "), "{message}");
    }
}

#[test]
fn unsigned_requests_are_turned_away() {
    let sim = sim();
    let answer = |headers: &[(&str, &str)]| send_with(&sim, "GET", "/2013-04-01/hostedzone", "", headers).unwrap();
    let unsigned = answer(&[]);
    assert_eq!((unsigned.status, unsigned.error().0.as_str()), (403, "MissingAuthenticationToken"));
    for header in
        ["Basic YTpi", "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0", "AWS4-HMAC-SHA256"]
    {
        assert_eq!(answer(&[("Authorization", header)]).error().0, "IncompleteSignature", "{header}");
    }
    assert_eq!(answer(&[("Authorization", AUTHORIZATION)]).status, 200);
    let keys: Vec<_> = sim.requests().into_iter().map(|request| request.access_key).collect();
    assert_eq!(keys.last().unwrap().as_deref(), Some("AKIASIMULATED"));
    assert_eq!(keys.first().unwrap().as_deref(), None);
}

#[test]
fn zones_that_are_not_there_and_zones_of_others() {
    let sim = sim();
    sim.set_options(|options| {
        options.foreign_zones.insert("ZFOREIGN".to_owned());
    });
    let list = |zone: &str| send(&sim, "GET", &format!("/2013-04-01/hostedzone/{zone}/rrset"), "");
    let missing = list("ZMISSING");
    assert_eq!(missing.status, 404);
    assert_eq!(missing.error(), ("NoSuchHostedZone".to_owned(), "No hosted zone found with ID: ZMISSING".to_owned()));
    let foreign = list("ZFOREIGN");
    assert_eq!(foreign.status, 403);
    let text = "User: arn:aws:iam::123456789012:user/simulated is not authorized to access this resource";
    assert_eq!(foreign.error(), ("AccessDenied".to_owned(), text.to_owned()));
    sim.delete_zone(ZONE);
    assert_eq!(change(&sim, &[(Action::Create, set("s1"))]).error().0, "NoSuchHostedZone");
}

#[test]
fn the_zone_comes_before_the_body_and_the_body_before_its_meaning() {
    let sim = sim();
    let wrong = request("<Wrong/>");
    let code =
        |zone: &str, body: &str| send(&sim, "POST", &format!("/2013-04-01/hostedzone/{zone}/rrset"), body).error().0;
    assert_eq!(code("ZMISSING", &wrong), "NoSuchHostedZone");
    sim.keep_busy(ZONE, Duration::from_secs(3600));
    assert_eq!(code(ZONE, &wrong), "InvalidInput");
    assert_eq!(code(ZONE, &batch(&[(Action::Delete, set("s1"))])), "PriorRequestNotComplete");
}

#[test]
fn three_cursors_page_through_a_pool() {
    let sim = sim();
    for n in 0..25 {
        sim.put(ZONE, set(&format!("node/{n:02} & <co>")));
    }
    for maxitems in [1, 7, 10, 300] {
        let (mut query, mut seen) = (String::new(), Vec::new());
        loop {
            let page = send(&sim, "GET", &format!("{}?maxitems={maxitems}{query}", path()), "");
            assert_eq!(page.text("MaxItems"), Some(maxitems.to_string()));
            let ids = page.body.split("<SetIdentifier>").skip(1).filter_map(|rest| rest.split_once('<'));
            seen.extend(ids.map(|(id, _)| id.to_owned()));
            assert!(seen.len() <= 25, "a cursor goes round in circles: {seen:?}");
            if page.text("IsTruncated").as_deref() == Some("false") {
                assert_eq!(page.text("NextRecordName"), None);
                break;
            }
            let name = page.text("NextRecordName").unwrap();
            let id = page.text("NextRecordIdentifier").unwrap_or_default();
            let id = id.replace('&', "%26").replace(' ', "+").replace('<', "%3C").replace('>', "%3E");
            query = format!("&name={name}&type={}&identifier={id}", page.text("NextRecordType").unwrap());
        }
        assert_eq!(seen.len(), 25, "pages of {maxitems}");
        assert!(seen.is_sorted(), "{seen:?}");
    }
    let error = |query: &str| send(&sim, "GET", &format!("{}?{query}", path()), "").error().0;
    assert_eq!(error("type=A"), "InvalidInput");
    assert_eq!(error("name=a.example.com&identifier=x"), "InvalidInput");
    assert_eq!(error("name=a.example.com&type=B"), "InvalidInput");
    assert_eq!(error("maxitems=0"), "InvalidInput");
    assert_eq!(error("name=a..example.com"), "InvalidInput");
}

#[test]
fn a_page_has_at_most_300_record_sets() {
    let sim = sim();
    for n in 0..400 {
        sim.put(ZONE, RecordSet::new(&format!("n{n:03}.example.com"), "A").ttl(60).value("192.0.2.1"));
    }
    let page = send(&sim, "GET", &format!("{}?maxitems=1000", path()), "");
    assert_eq!(page.body.matches("<ResourceRecordSet>").count(), 300);
    assert_eq!(page.text("IsTruncated").as_deref(), Some("true"));
    assert_eq!(page.text("NextRecordIdentifier"), None);
    sim.set_options(|options| options.page_size = 100);
    let page = send(&sim, "GET", &path(), "");
    assert_eq!(page.body.matches("<ResourceRecordSet>").count(), 100);
}

#[test]
fn a_change_is_pending_until_it_is_insync() {
    let options = Options { insync_after: Duration::from_secs(3600), ..Options::default() };
    let sim = Sim::builder().zone("example.com", ZONE).options(options).start();
    let accepted = change(&sim, &[(Action::Create, set("s1"))]);
    assert_eq!(accepted.text("Status").as_deref(), Some("PENDING"));
    let submitted = accepted.text("SubmittedAt").unwrap();
    assert!(submitted.len() == 24 && submitted.ends_with('Z'), "{submitted}");
    let id = accepted.text("Id").unwrap();
    let status = || send(&sim, "GET", &format!("/2013-04-01{id}"), "").text("Status").unwrap();
    assert_eq!(status(), "PENDING");
    sim.sync_all();
    assert_eq!(status(), "INSYNC");
    sim.set_options(|options| options.insync_after = Duration::ZERO);
    let accepted = change(&sim, &[(Action::Create, set("s2"))]);
    assert_eq!(accepted.text("Status").as_deref(), Some("INSYNC"));
    let missing = send(&sim, "GET", "/2013-04-01/change/C0", "");
    assert_eq!((missing.status, missing.error().0.as_str()), (404, "NoSuchChange"));
}

#[test]
fn a_busy_zone_refuses_changes_and_no_other_zone_does() {
    let sim = Sim::builder().zone("example.com", ZONE).zone("example.net", "ZOTHER").start();
    sim.keep_busy(ZONE, Duration::from_secs(3600));
    let refused = change(&sim, &[(Action::Create, set("s1"))]);
    assert_eq!(refused.status, 400);
    let text = "The request was rejected because Route 53 was still processing a prior request.";
    assert_eq!(refused.error(), ("PriorRequestNotComplete".to_owned(), text.to_owned()));
    let mut other = set("s1");
    other.name = "www.example.net.".to_owned();
    let body = batch(&[(Action::Create, other)]);
    assert_eq!(send(&sim, "POST", "/2013-04-01/hostedzone/ZOTHER/rrset/", &body).status, 200);
    assert_eq!(send(&sim, "GET", &path(), "").status, 200);
    sim.keep_busy(ZONE, Duration::ZERO);
    sim.set_options(|options| options.busy_for = Duration::from_secs(3600));
    assert_eq!(change(&sim, &[(Action::Create, set("s1"))]).status, 200);
    assert_eq!(change(&sim, &[(Action::Create, set("s2"))]).error().0, "PriorRequestNotComplete");
}

#[test]
fn limits_answer_throttling() {
    let options = Options { throttle: Throttle::Legacy, ..Options::default() };
    let sim = Sim::builder().zone("example.com", ZONE).options(options).start();
    let refused: Vec<_> = (0..40).map(|_| send(&sim, "GET", &path(), "")).filter(|r| r.status != 200).collect();
    let first = refused.first().expect("forty requests at once are too many");
    assert_eq!(first.status, 400);
    assert_eq!(first.error(), ("Throttling".to_owned(), "Rate exceeded".to_owned()));
}

#[test]
fn errors_on_demand() {
    let sim = sim();
    let teapot = Fault::Error { status: 418, code: "Teapot".to_owned(), message: "short & stout".to_owned() };
    let arn = "User: arn:aws:iam::123456789012:user/simulated is not authorized to perform: \
               route53:ListResourceRecordSets on resource: arn:aws:route53:::hostedzone/Z0123456789ABC";
    let prior = "The request was rejected because Route 53 was still processing a prior request.";
    for (fault, status, code, message) in [
        (teapot, 418, "Teapot", "short & stout"),
        (Fault::Throttling, 400, "Throttling", "Rate exceeded"),
        (Fault::PriorRequestNotComplete, 400, "PriorRequestNotComplete", prior),
        (Fault::AccessDenied, 403, "AccessDenied", arn),
        (Fault::ExpiredToken, 403, "ExpiredToken", "The security token included in the request is expired"),
        (Fault::Status(503), 503, "ServiceUnavailable", "Service is unavailable. Please try again."),
    ] {
        sim.clear_requests();
        sim.inject(Operation::ListResourceRecordSets, fault, Count::Next(1));
        assert_eq!(send(&sim, "GET", "/2013-04-01/hostedzone", "").status, 200);
        let struck = send(&sim, "GET", &path(), "");
        assert_eq!((struck.status, struck.error()), (status, (code.to_owned(), message.to_owned())));
        assert_eq!(send(&sim, "GET", &path(), "").status, 200);
        let log: Vec<_> =
            sim.requests().into_iter().map(|request| (request.operation, request.status, request.code)).collect();
        let expected = [
            (Operation::ListHostedZones, Some(200), None),
            (Operation::ListResourceRecordSets, Some(status), Some(code.to_owned())),
            (Operation::ListResourceRecordSets, Some(200), None),
        ];
        assert_eq!(log, expected);
    }
}

#[test]
fn a_refused_request_changes_nothing_and_a_lost_answer_does() {
    let sim = sim();
    let lost = |fault: Fault, id: &str| {
        sim.inject(Operation::ChangeResourceRecordSets, fault, Count::Next(1));
        let body = batch(&[(Action::Create, set(id))]);
        let answer = send_with(&sim, "POST", &path(), &body, &[("Authorization", AUTHORIZATION)]);
        let kind = answer.err().map(|error| error.kind());
        let request = sim.requests().pop().unwrap();
        assert_eq!(request.status, None);
        assert_eq!(request.changes, [(Action::Create, set(id))]);
        (kind, request.change_id.is_some(), sim.record_set(ZONE, "www.example.com", "A", Some(id)).is_some())
    };
    assert_eq!(lost(Fault::Reset, "s1"), (Some(std::io::ErrorKind::ConnectionReset), false, false));
    assert_eq!(lost(Fault::DropAfterCommit, "s2"), (Some(std::io::ErrorKind::UnexpectedEof), true, true));
    sim.inject(Operation::ChangeResourceRecordSets, Fault::Throttling, Count::Next(1));
    assert_eq!(change(&sim, &[(Action::Create, set("s3"))]).status, 400);
    assert_eq!(sim.record_set(ZONE, "www.example.com", "A", Some("s3")), None);
}

#[test]
fn a_truncated_answer_is_shorter_than_it_says() {
    let sim = sim();
    let whole = send(&sim, "GET", &path(), "");
    sim.inject(Operation::ListResourceRecordSets, Fault::Truncate, Count::Next(1));
    let broken = send(&sim, "GET", &path(), "");
    let length = |head: &str| {
        let line =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        line.unwrap().parse::<usize>().unwrap()
    };
    assert_eq!((broken.status, length(&broken.head)), (200, whole.body.len()));
    assert_eq!(broken.body, whole.body[..whole.body.len() / 2]);
    assert!(!broken.body.contains("IsTruncated"));
    assert_eq!(sim.requests().pop().unwrap().status, None);
}

fn until(holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_hanging_request_is_never_answered_and_a_delayed_one_late() {
    let sim = sim();
    let ask = |wait: Duration| {
        let mut stream = TcpStream::connect(sim.address()).unwrap();
        stream.set_read_timeout(Some(wait)).unwrap();
        let request = format!("GET {} HTTP/1.1\r\nHost: sim\r\nAuthorization: {AUTHORIZATION}\r\n\r\n", path());
        stream.write_all(request.as_bytes()).unwrap();
        stream.read(&mut [0; 64])
    };
    sim.inject(Operation::ListResourceRecordSets, Fault::Hang, Count::Next(1));
    let error = ask(Duration::from_millis(200)).unwrap_err();
    assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
    until(|| sim.requests().len() == 1);
    sim.inject(Operation::ListResourceRecordSets, Fault::Delay(Duration::from_millis(150)), Count::Next(1));
    let start = Instant::now();
    assert!(ask(Duration::from_secs(20)).unwrap() > 0);
    assert!(start.elapsed() >= Duration::from_millis(150));
    let body = batch(&[(Action::Create, set("s1"))]);
    sim.inject(Operation::ChangeResourceRecordSets, Fault::HangAfterCommit, Count::Next(1));
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: sim\r\nAuthorization: {AUTHORIZATION}\r\nContent-Length: {}\r\n\r\n{body}",
        path(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    until(|| sim.record_set(ZONE, "www.example.com", "A", Some("s1")).is_some());
    assert!(stream.read(&mut [0; 64]).is_err());
}

#[test]
fn faults_can_be_narrowed_to_a_zone_and_spread_out() {
    let sim = Sim::builder().zone("example.com", ZONE).zone("example.net", "ZOTHER").start();
    sim.inject(Target::zone("ZOTHER"), Fault::AccessDenied, Count::Always);
    assert_eq!(send(&sim, "GET", &path(), "").status, 200);
    assert_eq!(send(&sim, "GET", "/2013-04-01/hostedzone/ZOTHER/rrset", "").status, 403);
    sim.clear_faults();
    assert_eq!(send(&sim, "GET", "/2013-04-01/hostedzone/ZOTHER/rrset", "").status, 200);
    sim.inject(Operation::ListResourceRecordSets, Fault::Status(500), Count::Of { faults: 1, calls: 3 });
    let statuses: Vec<_> = (0..5).map(|_| send(&sim, "GET", &path(), "").status).collect();
    assert_eq!(statuses, [500, 200, 200, 200, 200]);
}

#[test]
fn bodies_may_be_chunked_and_announced_and_paths_may_end_in_a_slash() {
    let sim = sim();
    let body = batch(&[(Action::Create, set("s1"))]);
    let (first, second) = body.split_at(100);
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "POST {}/ HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nAuthorization: {AUTHORIZATION}\r\nExpect: 100-continue\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        path()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    let chunks = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    stream.write_all(chunks.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(send(&sim, "GET", &format!("{}/?maxitems=1", path()), "").status, 200);
    let head = send(&sim, "HEAD", &path(), "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(send(&sim, "GET", "/2013-04-01/trafficpolicies", "").status, 404);
}

#[test]
fn the_log_tells_what_happened_when() {
    let sim = sim();
    let before = Instant::now();
    let changes = [(Action::Upsert, set("s1")), (Action::Delete, set("s2"))];
    change(&sim, &changes);
    let requests = sim.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert!(before <= request.at && request.at <= request.answered_at.unwrap());
    assert_eq!(request.operation, Operation::ChangeResourceRecordSets);
    assert_eq!(request.zone.as_deref(), Some(ZONE));
    assert_eq!((request.status, request.code.as_deref()), (Some(400), Some("InvalidChangeBatch")));
    assert_eq!(request.changes, changes);
    assert_eq!(request.change_id, None);
    sim.clear_requests();
    assert_eq!(sim.requests().len(), 0);
}

#[test]
fn the_documented_error_root_can_be_had() {
    let options = Options { legacy_error_root: true, ..Options::default() };
    let sim = Sim::builder().zone("example.com", ZONE).options(options).start();
    let response = change(&sim, &[(Action::Delete, set("s1"))]);
    assert_eq!(response.status, 400);
    assert!(response.body.contains("<InvalidChangeBatch xmlns="), "{}", response.body);
    assert!(response.text("Message").unwrap().starts_with("Tried to delete"), "{}", response.body);
}

#[test]
fn sts_says_who_is_asking() {
    let sim = sim();
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let answer = send(&sim, "POST", "/", form);
    assert_eq!(answer.text("Account").as_deref(), Some("123456789012"));
    assert_eq!(answer.text("Arn").as_deref(), Some("arn:aws:iam::123456789012:user/simulated"));
    assert_eq!(send(&sim, "GET", &format!("/?{form}"), "").status, 200);
    let other = send(&sim, "POST", "/", "Action=AssumeRole&Version=2011-06-15");
    assert_eq!((other.status, other.error().0.as_str()), (400, "InvalidAction"));
}

#[test]
fn a_signature_is_good_for_five_minutes_of_the_service_s_clock() {
    let sim = sim();
    let stamp = |seconds: i64| {
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        (at.strftime("%Y%m%dT%H%M%SZ").to_string(), at)
    };
    for (offset, signed, refused) in [
        (0, 0, None),
        (0, -280, None),
        (0, 280, None),
        (0, -320, Some("Signature expired: ")),
        (0, 320, Some("Signature not yet current: ")),
        (3600, 0, Some("Signature expired: ")),
        (3600, 3500, None),
        (-3600, 0, Some("Signature not yet current: ")),
    ] {
        sim.set_options(|options| options.clock_offset_s = offset);
        let headers = [("Authorization", AUTHORIZATION), ("X-Amz-Date", &stamp(signed).0)];
        let response = send_with(&sim, "GET", &path(), "", &headers).expect("an answer");
        match refused {
            None => assert_eq!(response.status, 200, "{offset} {signed}: {}", response.body),
            Some(why) => {
                let (code, message) = response.error();
                assert_eq!((response.status, code.as_str()), (403, "SignatureDoesNotMatch"));
                assert!(message.starts_with(why), "{message}");
            }
        }
        let date = response.head.lines().find_map(|line| line.strip_prefix("date: ")).expect("a date");
        let told = jiff::fmt::rfc2822::parse(&date.replace("GMT", "+0000")).expect("a date").timestamp();
        let apart = told.duration_since(stamp(offset).1).abs();
        assert!(apart <= jiff::SignedDuration::from_secs(20), "{date} is {apart} off");
    }
}

#[test]
fn what_is_denied_is_denied_before_it_is_looked_at() {
    let sim = sim();
    let denied = |response: &crate::client::Response| {
        response.status == 403
            && response.error().0 == "AccessDenied"
            && response.error().1.contains("ResourceRecordSets")
    };
    sim.set_options(|options| options.denied_operations.extend([Operation::ListResourceRecordSets]));
    assert!(denied(&send(&sim, "GET", &path(), "")));
    assert!(denied(&send(&sim, "GET", &path().replace(ZONE, "ZNOWHERE"), "")));
    assert_eq!(send(&sim, "POST", &path(), &batch(&[(Action::Create, set("a"))])).status, 200);
    let only = |names: &[&str], types: &[&str], actions: &[&str]| {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let conditions = ChangeConditions { names: list(names), types: list(types), actions: list(actions) };
        sim.set_options(|options| options.change_conditions = Some(conditions));
    };
    let wild = RecordSet::new("*.Example.com.", "AAAA").ttl(60).value("2001:db8::1");
    let changes = [(Action::Upsert, set("a")), (Action::Upsert, wild)];
    for (names, types, actions, allowed) in [
        (&[][..], &[][..], &[][..], true),
        (&["www.example.com", "\\052.example.com"][..], &["A", "AAAA"][..], &["UPSERT"][..], true),
        (&["www.example.com"][..], &[][..], &[][..], false),
        (&["www.example.com", "*.example.com"][..], &[][..], &[][..], false),
        (&[][..], &["A"][..], &[][..], false),
        (&[][..], &[][..], &["CREATE", "DELETE"][..], false),
    ] {
        only(names, types, actions);
        let response = change(&sim, &changes);
        assert_eq!(denied(&response), !allowed, "{names:?} {types:?} {actions:?}: {}", response.body);
        assert_eq!(response.status == 200, allowed);
    }
    // A body that is none is denied by no condition.
    assert_eq!(send(&sim, "POST", &path(), "nonsense").status, 400);
}

#[test]
fn health_checks_are_held_against_schema_and_rules() {
    let sim = sim();
    let create = |reference: &str, config: &str| {
        let body = format!(
            "<CreateHealthCheckRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><CallerReference>{reference}\
             </CallerReference><HealthCheckConfig>{config}</HealthCheckConfig></CreateHealthCheckRequest>"
        );
        send(&sim, "POST", "/2013-04-01/healthcheck", &body)
    };
    let ip = "<IPAddress>8.8.8.8</IPAddress>";
    let created = create("ref", &format!("{ip}<Type>HTTPS</Type>"));
    let id = created.text("Id").unwrap();
    assert_eq!(created.status, 201);
    assert!(created.head.contains(&format!("location: https://route53.amazonaws.com/2013-04-01/healthcheck/{id}")));
    for (field, value) in [("Port", "443"), ("RequestInterval", "30"), ("FailureThreshold", "3"), ("EnableSNI", "true")]
    {
        assert_eq!(created.text(field).as_deref(), Some(value), "{field}");
    }
    assert_eq!(create("ref", &format!("{ip}<Type>HTTPS</Type>")).text("Id"), Some(id.clone()));
    let taken = create("ref", &format!("{ip}<Type>HTTP</Type>"));
    let text = "A different health check has already been created with the specified caller reference.";
    assert_eq!((taken.status, taken.error()), (409, ("HealthCheckAlreadyExists".to_owned(), text.to_owned())));
    let message = |config: &str| create("other", config).error().1;
    assert_eq!(message("<IPAddress>10.0.0.10</IPAddress><Type>HTTP</Type>"), "IPv4 address 10.0.0.10 is forbidden");
    assert_eq!(
        message("<Type>HTTP</Type>"),
        "Invalid parameter : IP address and fully qualified domain name can not be both empty."
    );
    let interval = message(&format!("{ip}<Type>HTTP</Type><RequestInterval>20</RequestInterval>"));
    let facet = "cvc-enumeration-valid: Value '20' is not facet-valid with respect to enumeration '[10, 30]'. It must be a \
                 value from the enumeration.";
    assert!(interval.ends_with(facet), "{interval}");
    assert!(message(&format!("{ip}<Port>0</Port><Type>HTTP</Type>")).contains("cvc-minInclusive-valid"));
    let two = "<Regions><Region>us-east-1</Region><Region>us-west-1</Region></Regions>";
    assert!(message(&format!("{ip}<Type>HTTP</Type>{two}")).contains("cvc-complex-type.2.4.b"));
    sim.set_options(|options| options.max_health_checks = 1);
    assert_eq!(create("other", &format!("{ip}<Type>HTTP</Type>")).error().0, "TooManyHealthChecks");
    assert_eq!(sim.health_checks().len(), 1);
}
