//! What `status` says of probes.

use nodedns::cli::status::render;
use nodedns::control::protocol::Status;
use nodedns::control::translate::{self, WallTime};
use nodedns::decide::record::RecordType;
use nodedns::decide::report::Report;
use nodedns::decide::time::Moment;
use serde_json::json;

use super::*;
use crate::control::{healthy_record, noon, status_of};

fn status() -> Status {
    let now = Moment::new(Duration::from_secs(90_000));
    let earlier = Moment::new(Duration::from_secs(90_000 - 120));
    let address: SocketAddr = ([127, 0, 0, 1], 443).into();
    let of = |check: ProbeCheck, said: Option<ProbeOutcome>| {
        let probe = often(check, 3);
        translate::probe(&probe, said.map(|said| (said, earlier)).as_ref(), WallTime::new(now, noon()))
    };
    let https = HttpProbe { tls: true, ..http(address) };
    let plain = HttpProbe { host: "127.0.0.1:443".into(), ..http(address) };
    let failing = ProbeOutcome::Failing("127.0.0.1:443 answered with status 503".into());
    let records = vec![healthy_record("edge.example.com", RecordType::A, "203.0.113.7")];
    let report = Report { records, survivors: None };
    Status {
        probes: vec![
            of(ProbeCheck::Tcp(address), Some(ProbeOutcome::Passing)),
            of(ProbeCheck::Http(https), Some(failing)),
            of(ProbeCheck::Http(plain), None),
        ],
        ..status_of(&report)
    }
}

#[test]
fn json_has_every_probe() {
    let since = "2026-11-21T11:58:00Z";
    let expected = json!([
        {"check": "tcp 127.0.0.1:443", "outcome": "passing", "since": since, "error": null},
        {
            "check": "https://127.0.0.1:443/healthz as edge.example.com", "outcome": "failing", "since": since,
            "error": "127.0.0.1:443 answered with status 503",
        },
        {"check": "http://127.0.0.1:443/healthz", "outcome": "unknown", "since": null, "error": null},
    ]);
    let mut whole = serde_json::to_value(status()).expect("plain data");
    assert_eq!(whole["probes"], expected);
    assert_eq!(serde_json::from_value::<Status>(whole.clone()).expect("our own words"), status());
    // An older daemon says nothing of probes.
    whole.as_object_mut().expect("an object").remove("probes");
    assert_eq!(serde_json::from_value::<Status>(whole).expect("an older daemon's words").probes, []);
}

#[test]
fn a_failing_probe_is_a_line_and_others_are_none() {
    let text = render(&status(), noon(), None);
    let lines: Vec<_> = text.lines().filter(|line| line.contains("probe")).collect();
    assert_eq!(
        lines,
        ["the probe https://127.0.0.1:443/healthz as edge.example.com has failed for 2m: 127.0.0.1:443 answered with \
          status 503"]
    );
}
