//! The metrics: the whole exposition, over a real socket and in a real file, and clients that mean no good.

use std::fs;
use std::io::{ErrorKind as IoError, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nodedns::control::protocol::{
    AddressStatus, DrainState, HealthCheckState, HealthCheckStatus, Intent, KubernetesStatus, NodeCondition,
    ProbeOutcome, ProbeStatus, RecordStatus, Status, SurvivorsState, SurvivorsStatus,
};
use nodedns::decide::engine::{Notice, Target};
use nodedns::decide::name::DnsName;
use nodedns::decide::owner::OwnerId;
use nodedns::decide::provider::{ChangeId, ErrorKind};
use nodedns::decide::record::{Action, RecordType, ZoneRef};
use nodedns::decide::report::Report;
use nodedns::metrics::definitions::ALL;
use nodedns::metrics::server::{Limits, Server};
use nodedns::metrics::textfile::{Pace, Textfile};
use nodedns::metrics::{Counts, Exposition, Netlink};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::control::{healthy_record, noon, status_of, troubled_report};
use crate::support::scrape::{Answer, answer, ask, complaints, families, samples, try_ask};
use crate::support::skip;

/// Long enough for a busy machine, and never waited for when things work.
const PATIENCE: Duration = Duration::from_secs(30);

const NETLINK: Netlink = Netlink { events: [("address", 7), ("link", 3), ("route", 2), ("other", 0)], overruns: 1 };

fn healthy() -> Status {
    let record = healthy_record("edge.example.com", RecordType::A, "203.0.113.7");
    status_of(&Report { records: vec![record], survivors: None })
}

/// What a daemon tells at its start.
fn unknown() -> Status {
    let mut status = status_of(&Report { records: Vec::new(), survivors: None });
    let record = RecordStatus {
        intent: Intent::Preserve,
        reason: "addresses_unknown".to_owned(),
        explanation: "the host's addresses have not been read yet".to_owned(),
        zone_id: None,
        desired: Vec::new(),
        actual: None,
        others: None,
        in_sync: false,
        healthy: false,
        last_change: None,
        ..healthy().records.remove(0)
    };
    status.records = vec![record];
    status.healthy = false;
    status.addresses = Vec::new();
    status.kubernetes = KubernetesStatus { enabled: true, ..KubernetesStatus::disabled() };
    status.drain.state = DrainState::Unknown;
    status.drain.warning = Some("it cannot be read; 'nodedns drain' decides it".to_owned());
    status.probes = vec![ProbeStatus {
        check: "tcp 127.0.0.1:443".into(),
        outcome: ProbeOutcome::Unknown,
        since: None,
        error: None,
    }];
    status.survivors = Some(SurvivorsStatus {
        state: SurvivorsState::Unknown,
        explanation: "the list of nodes is not known".to_owned(),
        nodes: 0,
        not_ready: 0,
        dead: Vec::new(),
    });
    status
}

/// Something of everything.
fn full() -> Status {
    let mut status = status_of(&troubled_report());
    let address = |text: &str, class: &str, publishable: bool, reason: &str| AddressStatus {
        address: text.parse().expect("an address"),
        class: class.to_owned(),
        publishable,
        reason: reason.to_owned(),
        ..status.addresses[0].clone()
    };
    status.addresses = vec![
        address("203.0.113.7", "global", true, "first"),
        address("203.0.113.8", "global", true, "fit"),
        address("203.0.113.9", "global", true, "fit"),
        address("10.0.0.1", "global", false, "not_of_class"),
        address("10.0.0.1", "private", true, "first"),
        address("2001:db8:1:2::7", "global", true, "first"),
        address("fe80::1", "global", false, "link_local"),
    ];
    status.probes = [("tcp 127.0.0.1:443", ProbeOutcome::Passing), ("http://127.0.0.1/\"x\"", ProbeOutcome::Failing)]
        .map(|(check, outcome)| ProbeStatus { check: check.to_owned(), outcome, since: Some(noon()), error: None })
        .into();
    status.records[0].health_check =
        Some(HealthCheckStatus { state: HealthCheckState::Attached, checks: "tcp".to_owned(), last_error: None });
    status.reload_refused = Some("2:1: bad".to_owned());
    status
}

fn target(zone: ZoneRef) -> Target {
    Target { zone, name: DnsName::parse("edge.example.com").expect("a name") }
}

fn drift(zone: ZoneRef) -> Notice {
    Notice::Drift { target: target(zone), rtype: RecordType::A, expected: Vec::new(), found: Vec::new() }
}

/// A bit of everything that happens.
fn happen(counts: &Counts) {
    let zone = || ZoneRef::Id("Z0123456789ABC".to_owned());
    let id = ChangeId("C01".to_owned());
    let changes = vec![
        (Action::Delete, RecordType::A, Vec::new()),
        (Action::Create, RecordType::A, Vec::new()),
        (Action::Upsert, RecordType::Aaaa, Vec::new()),
        (Action::Upsert, RecordType::A, Vec::new()),
    ];
    counts.notice(&Notice::Applied { target: target(zone()), changes, id: id.clone() });
    counts.notice(&Notice::InSync { target: target(zone()), id: id.clone(), took: Duration::from_secs(25) });
    counts.notice(&drift(zone()));
    counts.notice(&Notice::Removed {
        target: target(zone()),
        rtype: RecordType::A,
        set_identifier: OwnerId::new("home", "node-2").expect("valid").set_identifier(),
        addresses: Vec::new(),
        down_for: Duration::from_secs(300),
        id,
    });
    counts.notice(&Notice::DrainEnded);
    let took = Duration::from_millis(80);
    counts.request("ListResourceRecordSets", Ok(()), took, noon());
    counts.request("ChangeResourceRecordSets", Err(ErrorKind::Throttled), took, noon());
    counts.request("ChangeResourceRecordSets", Err(ErrorKind::Throttled), took, noon());
}

/// A daemon's state, and what is told of it.
struct Daemon {
    status: watch::Sender<Arc<Status>>,
    counts: Arc<Counts>,
    exposition: Arc<Exposition>,
    /// How often it has been told.
    told: Arc<AtomicUsize>,
}

impl Daemon {
    fn new(status: Status) -> Self {
        let (status, receiver) = watch::channel(Arc::new(status));
        let (counts, told) = (Arc::new(Counts::new().expect("valid definitions")), Arc::new(AtomicUsize::new(0)));
        let count = told.clone();
        let netlink = move || {
            count.fetch_add(1, Ordering::Relaxed);
            NETLINK
        };
        let exposition = Arc::new(Exposition::new(receiver, counts.clone(), netlink));
        Daemon { status, counts, exposition, told }
    }

    fn tell(&self, status: Status) {
        self.status.send_replace(Arc::new(status));
    }

    fn text(&self) -> String {
        self.exposition.text().expect("valid definitions")
    }

    fn listen(&self, limits: Limits) -> Listener {
        let server = Server::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = server.address().expect("an address");
        Listener { address, task: tokio::spawn(server.run(self.exposition.clone(), limits)) }
    }
}

struct Listener {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    /// A client that says what it likes, from a thread that may block; what it is told until it is hung up on.
    async fn raw(&self, talk: impl FnOnce(&mut TcpStream) + Send + 'static) -> String {
        let address = self.address;
        let client = spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).expect("somebody listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
            stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
            talk(&mut stream);
            let mut told = Vec::new();
            match stream.read_to_end(&mut told) {
                Ok(_) => {}
                Err(error) if error.kind() == IoError::ConnectionReset => {}
                Err(error) => panic!("it is not hung up on: {error}"),
            }
            String::from_utf8(told).expect("text")
        });
        client.await.expect("the client")
    }
}

/// The names in `text` are those of the definitions, in their order, and nothing else is there.
#[test]
fn every_metric_is_there_and_no_other() {
    let daemon = Daemon::new(full());
    happen(&daemon.counts);
    let text = daemon.text();
    let expected: Vec<_> = ALL.iter().map(|metric| (metric.name.to_owned(), metric.kind.to_string())).collect();
    assert_eq!(families(&text), expected);
    for metric in ALL {
        let help = format!("# HELP {} {}\n", metric.name, metric.help);
        assert!(text.contains(&help), "{help}");
        let series = samples(&text).into_keys().find(|series| {
            series.starts_with(&format!("{}{{", metric.name)) || series.split('{').next() == Some(metric.name)
        });
        let Some(series) = series else { continue };
        for label in metric.labels {
            assert!(series.contains(&format!("{label}=\"")), "{series} has no {label}");
        }
        assert_eq!(series.matches("=\"").count(), metric.labels.len(), "{series}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    let daemon = Daemon::new(full());
    happen(&daemon.counts);
    match complaints(&daemon.text()) {
        Some(said) => assert_eq!(said, ""),
        None => skip("there is no promtool here"),
    }
    assert!(complaints("nodedns_x_total 1\nnodedns_x_total 1\n").is_some_and(|said| !said.is_empty()), "it can fail");
}

#[test]
fn what_is_not_known_is_absent() {
    let daemon = Daemon::new(unknown());
    let text = daemon.text();
    let found: Vec<_> = families(&text).into_iter().map(|(name, _)| name).collect();
    for absent in [
        "nodedns_drained",
        "nodedns_kube_last_contact_timestamp_seconds",
        "nodedns_node_ready",
        "nodedns_node_unschedulable",
        "nodedns_addresses",
        "nodedns_record_desired_addresses",
        "nodedns_record_actual_addresses",
        "nodedns_record_others",
        "nodedns_record_last_error",
        "nodedns_record_last_change_timestamp_seconds",
        "nodedns_record_health_check",
        "nodedns_probe_passing",
        "nodedns_survivors_nodes",
        "nodedns_survivors_not_ready",
        "nodedns_survivors_dead_nodes",
        "nodedns_route53_last_success_timestamp_seconds",
        "nodedns_route53_requests_total",
        "nodedns_route53_request_seconds",
    ] {
        assert!(!found.iter().any(|name| name == absent), "{absent} is there:\n{text}");
        assert!(ALL.iter().any(|metric| metric.name == absent), "{absent} is never there");
    }
    let samples = samples(&text);
    for (series, value) in [
        ("nodedns_healthy", 0.0),
        ("nodedns_kube_enabled", 1.0),
        ("nodedns_kube_connected", 0.0),
        ("nodedns_survivors{state=\"unknown\"}", 1.0),
        ("nodedns_record_in_sync{name=\"edge.example.com\",type=\"A\",zone_id=\"Z0123456789ABC\"}", 0.0),
        // A count begins at 0, so that the first one can be seen to have come.
        ("nodedns_changes_total{action=\"create\"}", 0.0),
        ("nodedns_drift_total{name=\"edge.example.com\",type=\"A\",zone_id=\"Z0123456789ABC\"}", 0.0),
        ("nodedns_change_insync_seconds_count", 0.0),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}\n{text}");
    }
    // Without Kubernetes there is no Node that could be ready.
    let mut status = unknown();
    status.kubernetes = KubernetesStatus { state: NodeCondition::Ready, ..KubernetesStatus::disabled() };
    daemon.tell(status);
    let text = daemon.text();
    assert!(!text.contains("nodedns_node_ready") && !text.contains("nodedns_kube_connected"), "{text}");
    assert!(text.contains("\nnodedns_kube_enabled 0\n"), "{text}");
    // That there is no Node is known, and it is not ready.
    let mut status = unknown();
    status.kubernetes.state = NodeCondition::Absent;
    daemon.tell(status);
    assert!(daemon.text().contains("\nnodedns_node_ready 0\n"));
}

#[test]
fn what_happens_is_counted() {
    let daemon = Daemon::new(healthy());
    happen(&daemon.counts);
    happen(&daemon.counts);
    let samples = samples(&daemon.text());
    let record = "name=\"edge.example.com\",type=\"A\",zone_id=\"Z0123456789ABC\"";
    let request = |operation: &str, result: &str| {
        format!("nodedns_route53_requests_total{{operation=\"{operation}\",result=\"{result}\"}}")
    };
    let seconds = "nodedns_route53_request_seconds";
    for (series, value) in [
        ("nodedns_changes_total{action=\"create\"}".to_owned(), 2.0),
        ("nodedns_changes_total{action=\"upsert\"}".to_owned(), 4.0),
        ("nodedns_changes_total{action=\"delete\"}".to_owned(), 2.0),
        ("nodedns_survivors_removed_total".to_owned(), 2.0),
        (format!("nodedns_drift_total{{{record}}}"), 2.0),
        ("nodedns_change_insync_seconds_count".to_owned(), 2.0),
        ("nodedns_change_insync_seconds_sum".to_owned(), 50.0),
        ("nodedns_change_insync_seconds_bucket{le=\"20\"}".to_owned(), 0.0),
        ("nodedns_change_insync_seconds_bucket{le=\"30\"}".to_owned(), 2.0),
        (request("ListResourceRecordSets", "ok"), 2.0),
        (request("ListResourceRecordSets", "throttled"), 0.0),
        (request("ChangeResourceRecordSets", "throttled"), 4.0),
        (format!("{seconds}_count{{operation=\"ChangeResourceRecordSets\"}}"), 4.0),
        (format!("{seconds}_bucket{{operation=\"ListResourceRecordSets\",le=\"0.05\"}}"), 0.0),
        (format!("{seconds}_bucket{{operation=\"ListResourceRecordSets\",le=\"0.1\"}}"), 2.0),
        ("nodedns_route53_last_success_timestamp_seconds".to_owned(), noon().as_second() as f64),
        ("nodedns_netlink_events_total{kind=\"address\"}".to_owned(), 7.0),
        ("nodedns_netlink_overruns_total".to_owned(), 1.0),
    ] {
        assert_eq!(samples.get(&series), Some(&value), "{series}\n{samples:#?}");
    }
    // Nothing has ever succeeded there.
    assert!(!samples.contains_key(&request("ChangeResourceRecordSets", "ok")), "{samples:#?}");
}

/// It asks Route 53 nothing, so it has nothing to say about it.
#[test]
fn a_dry_run_tells_nothing_of_route_53() {
    let daemon = Daemon::new(full());
    happen(&daemon.counts);
    let whole = families(&daemon.text());
    daemon.tell(Status { dry_run: true, ..full() });
    let text = daemon.text();
    let kept = families(&text);
    let absent: Vec<_> = whole.iter().filter(|family| !kept.contains(family)).map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        absent,
        [
            "nodedns_record_actual_addresses",
            "nodedns_record_others",
            "nodedns_record_in_sync",
            "nodedns_record_last_error",
            "nodedns_record_last_change_timestamp_seconds",
            "nodedns_record_health_check",
            "nodedns_drift_total",
            "nodedns_survivors_dead_nodes",
            "nodedns_survivors_removed_total",
            "nodedns_changes_total",
            "nodedns_change_insync_seconds",
            "nodedns_route53_requests_total",
            "nodedns_route53_request_seconds",
            "nodedns_route53_last_success_timestamp_seconds",
        ]
    );
    let addresses = |text: &str, state: &str| {
        let of_state = format!("state=\"{state}\"");
        let counts = samples(text).into_iter();
        let counts =
            counts.filter(|(series, _)| series.starts_with("nodedns_addresses{") && series.contains(&of_state));
        counts.map(|(_, count)| count).sum::<f64>()
    };
    assert_eq!((addresses(&text, "published"), addresses(&text, "eligible")), (0.0, 5.0), "{text}");
    daemon.tell(full());
    assert!(addresses(&daemon.text(), "published") > 0.0, "otherwise nothing is shown above");
    // Nor has it found a zone; one that is configured it knows.
    let mut status = Status { dry_run: true, ..healthy() };
    let seen = |status: &Status| {
        daemon.tell(status.clone());
        samples(&daemon.text()).into_keys().find(|series| series.starts_with("nodedns_record_healthy{"))
    };
    let series =
        |zone: &str| Some(format!("nodedns_record_healthy{{name=\"edge.example.com\",type=\"A\",zone_id=\"{zone}\"}}"));
    status.records[0].zone_id = Some("made-up".to_owned());
    status.records[0].zone = ZoneRef::Longest { private: false }.to_string();
    assert_eq!(seen(&status), series(""));
    status.records[0].zone = ZoneRef::Id("ZCONFIGURED".to_owned()).to_string();
    assert_eq!(seen(&status), series("ZCONFIGURED"));
}

/// The series are the same ones before Route 53 has answered and after.
#[test]
fn a_zone_that_is_configured_is_known_from_the_start() {
    let zone_of = |zone: &ZoneRef, id: Option<&str>| {
        let mut status = unknown();
        status.records[0].zone = zone.to_string();
        status.records[0].zone_id = id.map(str::to_owned);
        let text = Daemon::new(status).text();
        let zone = text.split_once("\nnodedns_record_since_timestamp_seconds{").and_then(|(_, rest)| {
            let (_, rest) = rest.split_once("zone_id=\"")?;
            Some(rest.split('"').next()?.to_owned())
        });
        zone.expect("the record")
    };
    let configured = ZoneRef::Id("Z0123456789ABC".to_owned());
    assert_eq!(zone_of(&configured, None), "Z0123456789ABC");
    assert_eq!(zone_of(&configured, Some("Z0123456789ABC")), "Z0123456789ABC");
    let name = DnsName::parse("example.com").expect("a name");
    for zone in [ZoneRef::Longest { private: true }, ZoneRef::Name { name, private: false }] {
        assert_eq!(zone_of(&zone, None), "");
        assert_eq!(zone_of(&zone, Some("ZFOUND")), "ZFOUND");
    }
}

#[test]
fn two_zones_of_one_name_are_told_apart_or_left_out() {
    let (public, private) = (ZoneRef::Longest { private: false }, ZoneRef::Longest { private: true });
    let record = |zone: &ZoneRef, id: Option<&str>| RecordStatus {
        zone: zone.to_string(),
        zone_id: id.map(str::to_owned),
        ..healthy().records.remove(0)
    };
    let with = |a: Option<&str>, b: Option<&str>| Status {
        records: vec![record(&public, a), record(&private, b)],
        ..healthy()
    };
    let daemon = Daemon::new(with(None, None));
    daemon.counts.notice(&drift(private.clone()));
    assert!(!daemon.text().contains("nodedns_record_healthy{"), "{}", daemon.text());
    daemon.tell(with(Some("ZPUBLIC"), Some("ZPRIVATE")));
    let samples = samples(&daemon.text());
    let drifts = |zone: &str| {
        let series = format!("nodedns_drift_total{{name=\"edge.example.com\",type=\"A\",zone_id=\"{zone}\"}}");
        samples.get(&series).copied()
    };
    assert_eq!((drifts("ZPUBLIC"), drifts("ZPRIVATE")), (Some(0.0), Some(1.0)));
}

#[tokio::test]
async fn a_scrape_is_answered_and_nothing_else_is() {
    let daemon = Daemon::new(full());
    happen(&daemon.counts);
    let listener = daemon.listen(Limits::default());
    let Answer { status, head, body } = ask(listener.address, "GET", "/metrics?x=1").await;
    assert_eq!((status, &body), (200, &daemon.text()));
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4"), "{head}");
    let length = format!("\r\ncontent-length: {}", body.len());
    assert!(head.contains(&length), "{head}");
    let only_head = ask(listener.address, "HEAD", "/metrics").await;
    assert_eq!((only_head.status, only_head.body.as_str()), (200, ""));
    assert!(only_head.head.contains(&length), "{}", only_head.head);
    assert_eq!(ask(listener.address, "HEAD", "/healthz").await.status, 503);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        for path in ["/metrics", "/healthz"] {
            let refused = ask(listener.address, method, path).await;
            assert_eq!(refused.status, 405, "{method} {path}");
            assert!(refused.head.contains("\r\nallow: get, head"), "{}", refused.head);
        }
    }
    for path in ["/", "/metrics/", "/metrics/x", "/healthz/", "/../etc/passwd", "/METRICS", "/%6detrics"] {
        let missing = ask(listener.address, "GET", path).await;
        assert_eq!((missing.status, missing.body.as_str()), (404, "there are /metrics and /healthz\n"), "{path}");
    }
    drop(daemon.status);
    listener.task.await.expect("it ends with the daemon");
}

#[tokio::test]
async fn health_is_what_status_says_with_its_reasons() {
    let daemon = Daemon::new(unknown());
    let listener = daemon.listen(Limits::default());
    let health = async || {
        let Answer { status, body, .. } = ask(listener.address, "GET", "/healthz").await;
        (status, body)
    };
    let said = "edge.example.com A: the host's addresses have not been read yet\n\
                drain: it cannot be read; 'nodedns drain' decides it\n\
                survivors: the list of nodes is not known\n";
    assert_eq!(health().await, (503, said.to_owned()));
    daemon.tell(healthy());
    assert_eq!(health().await, (200, "ok\n".to_owned()));
    for (refused, said) in [
        ("1:2: bad\n  hint: mend it", "1:2: bad; hint: mend it"),
        (
            "default: metrics: cannot be changed by a reload: why\n  hint: restart\ndefault: log: no",
            "metrics: cannot be changed by a reload: why; hint: restart; log: no",
        ),
    ] {
        daemon.tell(Status { healthy: false, reload_refused: Some(refused.to_owned()), ..healthy() });
        let said = format!("reload refused, the old configuration stays in force: {said}\n");
        assert_eq!(health().await, (503, said));
    }
    daemon.tell(status_of(&troubled_report()));
    let (code, said) = health().await;
    assert_eq!(code, 503);
    insta::assert_snapshot!(said);
    // Whatever else may make it unhealthy one day, it says so.
    daemon.tell(Status { healthy: false, ..healthy() });
    assert_eq!(health().await, (503, "unhealthy; 'nodedns status' says more\n".to_owned()));
    let check = |state, in_sync| {
        let mut status = Status { healthy: false, ..healthy() };
        status.records[0].healthy = false;
        status.records[0].in_sync = in_sync;
        status.records[0].health_check =
            Some(HealthCheckStatus { state, checks: "tcp://203.0.113.7:443".to_owned(), last_error: None });
        status
    };
    for (state, in_sync, said) in [
        (HealthCheckState::Waiting, true, "no health check of tcp://203.0.113.7:443: it is on its way"),
        (
            HealthCheckState::Impossible,
            true,
            "no health check of tcp://203.0.113.7:443: Route 53 checks only globally reachable addresses",
        ),
        (HealthCheckState::Waiting, false, "the change is on its way"),
    ] {
        daemon.tell(check(state, in_sync));
        assert_eq!(health().await, (503, format!("edge.example.com A: {said}\n")));
    }
}

/// Whoever is silent, slow, large or mad loses its own connection, and a scrape is answered meanwhile.
#[tokio::test]
async fn bad_clients_cost_nobody_anything() {
    let daemon = Daemon::new(healthy());
    // Those who are answered have no more time than those who are not.
    let listener = daemon.listen(Limits { patience: Duration::from_secs(5), ..Limits::default() });
    let silent = listener.raw(|_| {});
    let half = listener.raw(|stream| drop(stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ")));
    let garbage = listener.raw(|stream| drop(stream.write_all(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n")));
    let huge = listener.raw(|stream| {
        let header = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
        // It may be hung up on before it has said everything.
        drop(stream.write_all(header.as_bytes()));
    });
    let many = listener.raw(|stream| {
        let headers: String = (0..2000).map(|n| format!("X-{n}: x\r\n")).collect();
        drop(stream.write_all(format!("GET /metrics HTTP/1.1\r\n{headers}\r\n").as_bytes()));
    });
    let twice = listener.raw(|stream| {
        let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3);
        drop(stream.write_all(request.as_bytes()));
    });
    let scrape = async { ask(listener.address, "GET", "/metrics").await.status };
    let (silent, half, garbage, huge, many, twice, scrape) =
        tokio::join!(silent, half, garbage, huge, many, twice, scrape);
    assert_eq!((silent.as_str(), half.as_str()), ("", ""));
    assert!(garbage.is_empty() || answer(&garbage).status == 400, "{garbage}");
    for told in [huge, many] {
        assert!(told.is_empty() || answer(&told).status == 431, "{told}");
    }
    assert_eq!(twice.matches("HTTP/1.1 ").count(), 1, "one request for each connection: {twice}");
    assert_eq!(scrape, 200);
    assert_eq!(ask(listener.address, "GET", "/healthz").await.status, 200);
}

#[tokio::test]
async fn more_clients_than_there_are_places_are_turned_away() {
    let daemon = Daemon::new(healthy());
    let listener = daemon.listen(Limits { patience: PATIENCE, clients: 2 });
    let silent = || TcpStream::connect(listener.address).expect("somebody listens");
    let taken = [silent(), silent()];
    // Whoever has asked before it was turned away may be reset and not see why.
    let turned_away = async || match try_ask(listener.address, "GET", "/metrics").await {
        Ok(answer) => (answer.status, answer.body.as_str()) == (503, "too many clients\n"),
        Err(error) => error.kind() == IoError::ConnectionReset,
    };
    assert!(turned_away().await);
    let quiet = listener.raw(|_| {}).await;
    assert_eq!(answer(&quiet).status, 503, "{quiet}");
    drop(taken);
    // A place is free once it is known that its client has gone.
    while turned_away().await {}
    assert_eq!(ask(listener.address, "GET", "/metrics").await.status, 200);
}

#[tokio::test]
async fn a_port_that_cannot_be_had_is_told_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    let error = anyhow::Error::from(Server::bind(address).expect_err("it is taken"));
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on {address}, which metrics.listen names; stop the program that listens there, or name \
             another port"
        )
    );
    assert!(error.chain().count() == 2, "{error:?}");
}

/// The address of a tunnel or of a bridge comes when it comes, and the listener is there before it.
#[tokio::test]
async fn an_address_that_is_not_there_yet_can_be_had() {
    let listens = |address: &str| {
        let server = Server::bind(address.parse().expect("an address")).expect("nobody has it");
        server.address().expect("an address").ip().to_string()
    };
    assert_eq!(listens("192.0.2.1:0"), "192.0.2.1");
    if TcpListener::bind("[::1]:0").is_err() {
        return skip("there is no IPv6 here");
    }
    assert_eq!(listens("[2001:db8::1]:0"), "2001:db8::1");
}

#[tokio::test]
async fn a_port_that_is_taken_is_had_once_it_is_free() {
    let daemon = Daemon::new(healthy());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    let pause = Duration::from_millis(1);
    let waiting = tokio::spawn(Server::bind_at_last(address, pause));
    tokio::time::sleep(20 * pause).await;
    assert!(!waiting.is_finished());
    drop(taken);
    let server = waiting.await.expect("the listener");
    tokio::spawn(server.run(daemon.exposition.clone(), Limits::default()));
    assert_eq!(ask(address, "GET", "/healthz").await.status, 200);
}

/// Follows every change at once, and writes for no other reason.
const EAGER: Pace = Pace { least: Duration::ZERO, most: PATIENCE };

/// Writes again and again, whether or not anything changes.
const RESTLESS: Pace = Pace { least: Duration::ZERO, most: Duration::from_millis(10) };

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How long the end of the daemon waits for the disk. If in vain, the file goes a little later.
const FAREWELL: Duration = Duration::from_secs(1);

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    entries.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn the_file_is_whole_and_public_and_goes_with_the_daemon() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("nodedns.prom");
    // Left behind by one that was killed; the link by somebody who would have us write elsewhere.
    fs::write(&path, "old").expect("written");
    fs::write(directory.path().join("victim"), "theirs").expect("written");
    std::os::unix::fs::symlink("victim", directory.path().join("nodedns.prom.new")).expect("a link");
    let daemon = Daemon::new(healthy());
    let file = Textfile::new(path.clone()).expect("a thread");
    let task = tokio::spawn(file.run(daemon.exposition.clone(), EAGER));
    let holds = |text: &str| fs::read_to_string(&path).is_ok_and(|found| found == text);
    until("the first text", || holds(&daemon.text())).await;
    let mode = || fs::metadata(&path).expect("a file").permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o644);
    assert_eq!(fs::read_to_string(directory.path().join("victim")).expect("a file"), "theirs");
    assert!(fs::symlink_metadata(&path).expect("a file").is_file());

    // Nobody ever sees a part of it, nor another file that node_exporter would read.
    let whole = [daemon.text(), Daemon::new(full()).text()];
    let reading = {
        let (path, whole, directory) = (path.clone(), whole.clone(), directory.path().to_owned());
        std::thread::spawn(move || {
            let mut seen = [0, 0];
            while seen[1] == 0 {
                let found = fs::read_to_string(&path).expect("it is always there");
                let which = whole.iter().position(|text| *text == found).expect("whole");
                seen[which] += 1;
                assert!(names(&directory).iter().filter(|name| name.ends_with(".prom")).count() == 1);
            }
        })
    };
    daemon.tell(full());
    until("the next text", || holds(&whole[1])).await;
    until("the reader", || reading.is_finished()).await;
    reading.join().expect("only whole files");

    daemon.counts.request("GetChange", Ok(()), Duration::ZERO, noon());
    until("what is counted", || holds(&daemon.text())).await;
    let ending = std::time::Instant::now();
    drop(daemon.status);
    task.await.expect("it ends with the daemon");
    if ending.elapsed() >= FAREWELL {
        until("the end of the file", || names(directory.path()) == ["victim"]).await;
    }
    assert_eq!(names(directory.path()), ["victim"], "nothing of it is left");
}

#[tokio::test]
async fn the_file_comes_back_and_a_directory_may_come_late() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("late/nodedns.prom");
    let daemon = Daemon::new(healthy());
    let file = Textfile::new(path.clone()).expect("a thread");
    let task = tokio::spawn(file.run(daemon.exposition.clone(), RESTLESS));
    until("a try", || daemon.told.load(Ordering::Relaxed) > 1).await;
    assert!(!task.is_finished(), "the daemon lives on");
    fs::create_dir(directory.path().join("late")).expect("a directory");
    until("the file", || path.exists()).await;
    // Nothing changes, and still it is written: so a stale one shows.
    fs::remove_file(&path).expect("it is there");
    until("the file again", || path.exists()).await;
    let ending = std::time::Instant::now();
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    if ending.elapsed() >= FAREWELL {
        until("the end of the file", || !path.exists()).await;
    }
    assert!(!path.exists(), "a daemon that ends takes it along");
}

/// However many changes there are within the time that it is to rest, they are one.
#[tokio::test]
async fn a_storm_of_changes_does_not_become_one_of_writes() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::new(healthy());
    let file = Textfile::new(directory.path().join("nodedns.prom")).expect("a thread");
    let pace = Pace { least: Duration::from_secs(3600), most: Duration::from_secs(7200) };
    let task = tokio::spawn(file.run(daemon.exposition.clone(), pace));
    until("the first", || daemon.told.load(Ordering::Relaxed) == 1).await;
    for _ in 0..100 {
        daemon.status.send_modify(|_| {});
        daemon.counts.notice(&drift(ZoneRef::Longest { private: false }));
        tokio::task::yield_now().await;
    }
    assert_eq!(daemon.told.load(Ordering::Relaxed), 1);
    task.abort();
}

/// What the manual says.
#[test]
fn a_file_is_written_each_half_minute_and_at_most_each_second() {
    assert_eq!(Pace::default(), Pace { least: Duration::from_secs(1), most: Duration::from_secs(30) });
}
