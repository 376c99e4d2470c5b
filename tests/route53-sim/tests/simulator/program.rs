//! The program: started as a person would, driven through its admin endpoint, ended by a signal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{AUTHORIZATION, ZONE};

/// Killed when a test fails.
struct Program {
    child: Child,
    address: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_route53-sim"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let address = first
            .strip_prefix("route53-sim listens on http://")
            .expect("the address comes first")
            .to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nAuthorization: {AUTHORIZATION}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }

    fn admin(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, answer) = self.call(method, &format!("/_sim/{path}"), &body);
        (status, serde_json::from_str(&answer).unwrap())
    }

    fn end(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("still running after {signal}");
    }
}

fn program() -> Program {
    Program::start(&[
        "--zone",
        &format!("example.com={ZONE}"),
        "--private-zone",
        "internal.example=ZPRIVATE",
    ])
}

#[test]
fn signals_end_it_cleanly() {
    assert_eq!(program().end("-TERM"), Some(0));
    assert_eq!(program().end("-INT"), Some(0));
}

#[test]
fn bad_arguments_are_told_apart_from_bad_luck() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_route53-sim"))
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, text) = run(&["--zone", "example.com"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("not of the form NAME=ID"), "{text}");
    let taken = program();
    let (code, text) = run(&["--listen", &taken.address]);
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with(&format!("error: listening on {}: ", taken.address)),
        "{text}"
    );
}

#[test]
fn switches_reach_the_rules() {
    let zone = format!("example.com={ZONE}");
    let program = Program::start(&[
        "--zone",
        &zone,
        "--foreign-zone",
        "ZFOREIGN",
        "--geoproximity-duplicates",
        "reject",
        "--multi-value",
        "reject",
        "--delete-missing-bias-matches-zero",
        "allow",
        "--throttle",
        "token-bucket",
        "--insync-after",
        "7",
        "--busy-for",
        "9",
        "--page-size",
        "100",
    ]);
    let (_, options) = program.admin("GET", "options", Value::Null);
    assert_eq!(options["geoproximity_duplicates"], "reject");
    assert_eq!(options["multi_value"], "reject");
    assert_eq!(options["delete_missing_bias_matches_zero"], "allow");
    assert_eq!(options["throttle"], "token-bucket");
    assert_eq!(
        (&options["insync_after_ms"], &options["busy_for_ms"]),
        (&json!(7), &json!(9))
    );
    assert_eq!(options["page_size"], 100);
    assert_eq!(
        program
            .call("GET", "/2013-04-01/hostedzone/ZFOREIGN/rrset", "")
            .0,
        403
    );
}

#[test]
fn the_admin_endpoint_seeds_and_shows_record_sets() {
    let program = program();
    let set = json!({
        "name": "WWW.example.com", "type": "A", "set_identifier": "n1", "ttl": 60, "values": ["192.0.2.1"],
        "geoproximity": { "coordinates": { "latitude": "52.52", "longitude": "13.41" } },
    });
    let stored = json!({
        "name": "www.example.com.", "type": "A", "set_identifier": "n1", "ttl": 60, "values": ["192.0.2.1"],
        "geoproximity": { "coordinates": { "latitude": "52.52", "longitude": "13.41" }, "bias": 0 },
    });
    let sets = format!("zones/{ZONE}/record-sets");
    assert_eq!(
        program.admin("POST", &sets, set.clone()),
        (200, json!({ "put": 1 }))
    );
    let mut second = set.clone();
    second["set_identifier"] = json!("n2");
    assert_eq!(
        program.admin("POST", &sets, json!([set, second])),
        (200, json!({ "put": 2 }))
    );
    let (_, listed) = program.admin("GET", &sets, Value::Null);
    assert_eq!(listed.as_array().unwrap().len(), 4);
    assert_eq!(listed[2], stored);
    assert!(
        program
            .call("GET", &format!("/2013-04-01/hostedzone/{ZONE}/rrset"), "")
            .1
            .contains("<Latitude>52.52<")
    );
    let one = format!("{sets}?name=www.example.com&type=A&identifier=n1");
    assert_eq!(program.admin("DELETE", &one, Value::Null), (200, stored));
    assert_eq!(program.admin("DELETE", &one, Value::Null).0, 404);
    let (_, state) = program.admin("GET", "state", Value::Null);
    assert_eq!(
        state["zones"][0]["record_sets"].as_array().unwrap().len(),
        3
    );
    assert_eq!(state["zones"][1]["private"], true);
    let misspelt = json!({ "name": "a.example.com", "type": "A", "tll": 60 });
    assert_eq!(program.admin("POST", &sets, misspelt).0, 400);
    assert_eq!(program.admin("POST", "zones/ZNONE/record-sets", set).0, 404);
}

#[test]
fn the_admin_endpoint_adds_and_deletes_zones() {
    let program = program();
    let zone = json!({ "id": "ZNEW", "name": "example.org", "private": false });
    assert_eq!(program.admin("POST", "zones", zone).0, 200);
    assert_eq!(
        program.call("GET", "/2013-04-01/hostedzone/ZNEW", "").0,
        200
    );
    assert_eq!(program.admin("DELETE", "zones/ZNEW", Value::Null).0, 200);
    assert_eq!(
        program.call("GET", "/2013-04-01/hostedzone/ZNEW", "").0,
        404
    );
    assert_eq!(program.admin("DELETE", "zones/ZNEW", Value::Null).0, 404);
}

#[test]
fn the_admin_endpoint_injects_faults_and_shows_requests() {
    let program = program();
    let list = format!("/2013-04-01/hostedzone/{ZONE}/rrset");
    let status = || program.call("GET", &list, "").0;
    for (fault, expected) in [
        (json!("throttling"), 400),
        (json!({ "status": 503 }), 503),
        (
            json!({ "error": { "status": 418, "code": "Teapot", "message": "short" } }),
            418,
        ),
        (json!("access-denied"), 403),
    ] {
        let injection = json!({ "operation": "ListResourceRecordSets", "fault": fault, "count": { "next": 2 } });
        assert_eq!(program.admin("POST", "faults", injection).0, 200);
        assert_eq!([status(), status(), status()], [expected, expected, 200]);
    }
    let delayed = json!({ "zone": ZONE, "fault": { "delay-ms": 30 }, "count": "always" });
    assert_eq!(program.admin("POST", "faults", delayed).0, 200);
    assert_eq!(
        program
            .admin("GET", "faults", Value::Null)
            .1
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(program.admin("DELETE", "faults", Value::Null).0, 200);
    assert_eq!(program.admin("GET", "faults", Value::Null).1, json!([]));
    assert_eq!(
        program
            .admin(
                "POST",
                "faults",
                json!({ "opration": "GetChange", "fault": "reset" })
            )
            .0,
        400
    );

    let (_, requests) = program.admin("GET", "requests", Value::Null);
    let requests = requests.as_array().unwrap();
    assert_eq!(requests.len(), 12);
    assert_eq!(requests[0]["operation"], "ListResourceRecordSets");
    assert_eq!(
        (&requests[0]["status"], &requests[0]["code"]),
        (&json!(400), &json!("Throttling"))
    );
    let times: Vec<_> = requests
        .iter()
        .map(|request| request["at_ms"].as_f64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(requests[0]["at"].as_str().unwrap().ends_with('Z'));
    let after = requests[9]["sequence"].as_u64().unwrap();
    let (_, later) = program.admin("GET", &format!("requests?after={after}"), Value::Null);
    assert_eq!(later.as_array().unwrap().len(), 2);
    program.admin("DELETE", "requests", Value::Null);
    assert_eq!(program.admin("GET", "requests", Value::Null).1, json!([]));
}

#[test]
fn the_admin_endpoint_sets_options_and_syncs_changes() {
    let program = program();
    let (status, options) =
        program.admin("PATCH", "options", json!({ "insync_after_ms": 3_600_000 }));
    assert_eq!(
        (status, &options["insync_after_ms"]),
        (200, &json!(3_600_000))
    );
    assert_eq!(
        program
            .admin("PATCH", "options", json!({ "insync_after": 1 }))
            .0,
        400
    );
    let body = "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch>\
                <Comment>first</Comment><Changes><Change><Action>CREATE</Action><ResourceRecordSet><Name>a.example.com\
                </Name><Type>A</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value>\
                </ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch>\
                </ChangeResourceRecordSetsRequest>";
    let path = format!("/2013-04-01/hostedzone/{ZONE}/rrset");
    assert_eq!(program.call("POST", &path, body).0, 200);
    let change = || program.admin("GET", "state", Value::Null).1["changes"][0].clone();
    assert_eq!(
        (&change()["status"], &change()["comment"]),
        (&json!("PENDING"), &json!("first"))
    );
    program.admin("POST", "insync", Value::Null);
    assert_eq!(change()["status"], "INSYNC");
    assert_eq!(
        program
            .admin(
                "POST",
                &format!("zones/{ZONE}/busy"),
                json!({ "ms": 3_600_000 })
            )
            .0,
        200
    );
    assert!(
        program
            .call("POST", &path, body)
            .1
            .contains("PriorRequestNotComplete")
    );
    assert_eq!(program.admin("GET", "nothing", Value::Null).0, 404);
    let (_, index) = program.admin("GET", "", Value::Null);
    assert!(index["endpoints"].as_array().unwrap().len() > 8);
}
