//! The control socket: daemon and client over a real one, and clients that mean no good.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodedns::control::client::{self, Error};
use nodedns::control::protocol::{AddressStatus, KubernetesStatus, Status};
use nodedns::control::server::{BindError, Limits, Server};
use nodedns::control::translate::{self, Identity, WallTime};
use nodedns::decide::name::DnsName;
use nodedns::decide::node::{NodeObject, NodeState, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::OwnerId;
use nodedns::decide::policy::{RoutingRule, Signal};
use nodedns::decide::provider::{ChangeId, ChangeStatus, ErrorKind, ProviderError};
use nodedns::decide::reason::{Intent, Reason};
use nodedns::decide::record::{RecordSet, RecordType, Target, ZoneRef};
use nodedns::decide::report::{LastChange, LastError, RecordReport, Report};
use nodedns::decide::routing::{Coordinates, Location, Routing};
use nodedns::decide::survivors::{DeadNode, Outlook, SurvivorsReport};
use nodedns::decide::time::Moment;
use tokio::sync::watch;

/// Long enough for a busy machine, and never waited for when things work.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the clock on the wall shows in the examples, one day and an hour after the daemon's start.
pub(crate) fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().expect("a timestamp")
}

fn ago(seconds: u64) -> Moment {
    Moment::new(Duration::from_secs(90_000 - seconds))
}

fn record_set(routing: &Routing, addresses: &[&str]) -> RecordSet {
    let values = addresses.iter().map(|text| text.parse::<IpAddr>().expect("an address").into()).collect();
    RecordSet {
        set_identifier: Some(OwnerId::new("home", "node-1").expect("valid").set_identifier()),
        routing: routing.clone(),
        target: Target::Values { ttl: 60, values },
        health_check_id: None,
    }
}

/// A record that is published and in sync.
pub(crate) fn healthy_record(name: &str, rtype: RecordType, address: &str) -> RecordReport {
    let routing = Routing::GeoProximity {
        location: Location::Coordinates(Coordinates::parse("50.11", "8.68").expect("valid")),
        bias: 0,
    };
    let set = record_set(&routing, &[address]);
    RecordReport {
        name: DnsName::parse(name).expect("valid"),
        rtype,
        zone: ZoneRef::Id("Z0123456789ABC".to_owned()),
        zone_id: Some("Z0123456789ABC".to_owned()),
        set_identifier: OwnerId::new("home", "node-1").expect("valid").set_identifier(),
        routing: routing.into(),
        ttl: 60,
        ttl_configured: None,
        intent: Intent::Publish(set.clone()),
        held_back: None,
        since: ago(3 * 3600),
        desired: vec![address.parse().expect("an address")],
        actual: Observed::Known(Some(set)),
        others: Some(2),
        follows_drain: true,
        health_check: None,
        in_sync: true,
        last_change: Some(LastChange { id: ChangeId("C01".to_owned()), status: ChangeStatus::InSync, at: ago(10_799) }),
        last_error: None,
    }
}

/// One record of every kind of trouble, after a healthy one.
pub(crate) fn troubled_report() -> Report {
    let base = healthy_record("edge.example.com", RecordType::A, "203.0.113.7");
    let weighted = Routing::Weighted(10);
    let failure = |kind, code: Option<&str>, message: &str| {
        let error = ProviderError { kind, code: code.map(str::to_owned), message: message.to_owned() };
        Some(LastError { error, at: ago(12), retry_at: Moment::new(Duration::from_secs(90_008)) })
    };
    Report {
        records: vec![
            base.clone(),
            RecordReport {
                rtype: RecordType::Aaaa,
                intent: Intent::Publish(record_set(&weighted, &["2001:db8:1:2:211:22ff:fe33:4455"])),
                since: ago(12),
                desired: vec!["2001:db8:1:2:211:22ff:fe33:4455".parse().expect("an address")],
                actual: Observed::Known(Some(record_set(&weighted, &["2001:db8:1:2::7"]))),
                in_sync: false,
                last_change: Some(LastChange {
                    id: ChangeId("C02".to_owned()),
                    status: ChangeStatus::Pending,
                    at: ago(15),
                }),
                last_error: failure(ErrorKind::Throttled, Some("Throttling"), "Rate exceeded"),
                routing: weighted.clone().into(),
                ttl_configured: Some(30),
                ..base.clone()
            },
            RecordReport {
                name: DnsName::parse("www.example.com").expect("valid"),
                intent: Intent::Hold(Reason::CnameConflict),
                since: ago(86_400),
                actual: Observed::Known(None),
                in_sync: false,
                last_change: None,
                others: Some(0),
                ..base.clone()
            },
            RecordReport {
                name: DnsName::parse("*.apps.example.com").expect("valid"),
                intent: Intent::Withdraw(Reason::Cordoned),
                since: ago(40),
                desired: vec![],
                actual: Observed::Known(None),
                ..base.clone()
            },
            RecordReport {
                name: DnsName::parse("internal.example.com").expect("valid"),
                zone: ZoneRef::Longest { private: true },
                zone_id: None,
                intent: Intent::Preserve(Reason::PoolUnknown),
                since: ago(90_000),
                actual: Observed::Unknown,
                others: None,
                in_sync: false,
                last_change: None,
                last_error: failure(
                    ErrorKind::Denied,
                    Some("AccessDenied"),
                    "User: arn:aws:iam::123456789012:user/edge is not authorized to perform: route53:ListHostedZones",
                ),
                ..base.clone()
            },
            RecordReport {
                name: DnsName::parse("backup.example.com").expect("valid"),
                intent: Intent::Withdraw(Reason::Recovering(Signal::NotReady)),
                since: ago(4),
                in_sync: false,
                ..base.clone()
            },
            RecordReport {
                name: DnsName::parse("geo.example.com").expect("valid"),
                routing: RoutingRule::CoordinatesOfTheNode { bias: 5 },
                intent: Intent::Hold(Reason::CoordinatesMissing(None)),
                since: ago(5),
                actual: Observed::Known(None),
                in_sync: false,
                last_change: None,
                ..base.clone()
            },
            RecordReport {
                name: DnsName::parse("shaky.example.com").expect("valid"),
                intent: Intent::Withdraw(Reason::Damped {
                    signal: Signal::ProbeFailed,
                    times: 5,
                    wait: Duration::from_secs(160),
                }),
                since: ago(30),
                in_sync: false,
                ..base
            },
        ],
        survivors: Some(SurvivorsReport {
            outlook: Outlook::Watching { down: 2, known: 5 },
            nodes: 5,
            not_ready: 2,
            dead: vec![
                DeadNode {
                    node: "node-2".into(),
                    gone: true,
                    since: ago(120),
                    removal_at: Some(Moment::new(Duration::from_secs(90_180))),
                },
                DeadNode { node: "node-3".into(), gone: false, since: ago(4000), removal_at: None },
            ],
        }),
    }
}

pub(crate) fn kubernetes() -> KubernetesStatus {
    let node = NodeObject {
        ready: Readiness::Ready,
        ready_message: None,
        unschedulable: true,
        deleting: false,
        labels: Default::default(),
        annotations: Default::default(),
        taints: Vec::new(),
    };
    KubernetesStatus {
        enabled: true,
        node: Some("node-1".to_owned()),
        node_name_source: Some("client certificate".to_owned()),
        kubeconfig: Some("/var/lib/rancher/k3s/agent/kubelet.kubeconfig".to_owned()),
        server: Some("https://127.0.0.1:6444".to_owned()),
        connected: true,
        last_contact: Some(noon()),
        ..KubernetesStatus::disabled()
    }
    .with_node(&Observed::Known(NodeState::Present(node)))
}

pub(crate) fn status_of(report: &Report) -> Status {
    let identity =
        Identity { cluster: "home".to_owned(), node: "node-1".to_owned(), dry_run: false, since: ago(90_000) };
    let address = AddressStatus {
        address: "203.0.113.7".parse().expect("an address"),
        prefix_len: 24,
        interface: "eth0".to_owned(),
        class: "global".to_owned(),
        publishable: true,
        chosen: true,
        reason: "publishable".to_owned(),
        explanation: "fit to be published".to_owned(),
    };
    translate::status(&identity, report, vec![address], kubernetes(), WallTime::new(ago(0), noon()))
}

/// A daemon's end of a socket in a temporary directory.
pub(crate) struct Daemon {
    directory: tempfile::TempDir,
    pub(crate) status: watch::Sender<Arc<Status>>,
    server: tokio::task::JoinHandle<()>,
}

impl Daemon {
    pub(crate) fn start(status: Status) -> Self {
        Daemon::with_limits(status, Limits { patience: PATIENCE, ..Limits::default() })
    }

    fn with_limits(status: Status, limits: Limits) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let server = Server::bind(&socket_in(&directory)).expect("a free path");
        let (status, receiver) = watch::channel(Arc::new(status));
        let server = tokio::spawn(server.run(receiver, limits));
        Daemon { directory, status, server }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(&self.directory)
    }

    /// A client that says what it likes, from a thread that may block.
    async fn raw<T: Send + 'static>(&self, talk: impl FnOnce(UnixStream) -> T + Send + 'static) -> T {
        let socket = self.socket();
        let talk = tokio::task::spawn_blocking(move || {
            let stream = UnixStream::connect(socket).expect("the daemon listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
            stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
            talk(stream)
        });
        talk.await.expect("the client does not panic")
    }

    /// What the daemon answers to this text, until it hangs up.
    async fn answer(&self, text: impl Into<Vec<u8>>) -> String {
        let text = text.into();
        self.raw(move |mut stream| {
            // The daemon may hang up before it has heard everything.
            let _ = stream.write_all(&text);
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        })
        .await
    }
}

fn socket_in(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("control.sock")
}

fn healthy_status() -> Status {
    status_of(&Report {
        records: vec![healthy_record("edge.example.com", RecordType::A, "203.0.113.7")],
        survivors: None,
    })
}

/// A status that no socket buffer holds.
fn huge_status() -> Status {
    let mut status = healthy_status();
    status.records = vec![status.records[0].clone(); 3_000];
    status
}

#[tokio::test]
async fn a_status_arrives_as_it_was_sent() {
    let status = status_of(&troubled_report());
    let daemon = Daemon::start(status.clone());
    assert_eq!(client::status(&daemon.socket(), PATIENCE).await.expect("an answer"), status);
    let huge = huge_status();
    daemon.status.send_replace(Arc::new(huge.clone()));
    assert_eq!(client::status(&daemon.socket(), PATIENCE).await.expect("an answer"), huge);
}

#[test]
fn the_status_is_the_documented_json() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&status_of(&troubled_report())).expect("plain data"));
}

/// What the kubelet says of itself reaches the JSON.
#[test]
fn what_keeps_a_node_from_being_ready_is_told_in_the_kubelets_words() {
    let node = NodeObject {
        ready: Readiness::NotReady(Some("KubeletNotReady".to_owned())),
        ready_message: Some("container runtime is down".to_owned()),
        unschedulable: false,
        deleting: false,
        labels: Default::default(),
        annotations: Default::default(),
        taints: Vec::new(),
    };
    let status = kubernetes().with_node(&Observed::Known(NodeState::Present(node)));
    let json = serde_json::to_value(status).expect("plain data");
    assert_eq!(
        (&json["ready_reason"], &json["ready_message"]),
        (&"KubeletNotReady".into(), &"container runtime is down".into())
    );
}

#[test]
fn unhealthy_is_said_when_one_record_is() {
    assert!(healthy_status().healthy);
    let all: Vec<_> = status_of(&troubled_report()).records.iter().map(|record| record.healthy).collect();
    assert_eq!(all, [true, false, false, true, false, false, false, false]);
    assert!(!status_of(&troubled_report()).healthy);
}

#[tokio::test]
async fn a_watcher_hears_of_every_change_and_of_the_end() {
    let mut status = healthy_status();
    let daemon = Daemon::start(status.clone());
    let mut watcher = client::watch(&daemon.socket(), PATIENCE).await.expect("an answer");
    assert!(watcher.next().await.expect("the present status").healthy);
    for healthy in [false, true, false] {
        status.healthy = healthy;
        daemon.status.send_replace(Arc::new(status.clone()));
        assert_eq!(watcher.next().await.expect("the change").healthy, healthy);
    }
    let socket = daemon.socket();
    drop(daemon.status);
    assert!(matches!(watcher.next().await, Err(Error::Closed)));
    daemon.server.await.expect("the server ends");
    assert!(!socket.exists(), "the socket is left behind");
    assert!(matches!(client::status(&socket, PATIENCE).await, Err(Error::NotRunning(path)) if path == socket));
}

#[tokio::test]
async fn the_next_change_may_be_waited_for_in_pieces() {
    let daemon = Daemon::start(healthy_status());
    let mut watcher = client::watch(&daemon.socket(), PATIENCE).await.expect("an answer");
    watcher.next().await.expect("the present status");
    let huge = huge_status();
    daemon.status.send_replace(Arc::new(huge.clone()));
    let mut pieces = 0;
    let status = loop {
        match tokio::time::timeout(Duration::from_micros(200), watcher.next()).await {
            Ok(status) => break status,
            Err(_) => pieces += 1,
        }
    };
    assert_eq!(status.expect("the change"), huge);
    assert!(pieces > 0, "it came all at once, so nothing was tested");
}

#[tokio::test]
async fn the_socket_is_for_its_owner_and_group() {
    let daemon = Daemon::start(healthy_status());
    let mode = |path: &Path| std::fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&daemon.socket()), 0o660);
    assert_eq!(mode(&daemon.directory.path().join("control.sock.lock")), 0o600);
    assert!(!daemon.directory.path().join("control.sock.new").exists());
}

#[tokio::test]
async fn the_socket_of_a_dead_daemon_is_replaced_and_that_of_a_live_one_is_not() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = socket_in(&directory);
    drop(UnixListener::bind(&path).expect("a free path"));
    assert!(path.exists(), "a listener that is dropped leaves its file, as one that is killed does");
    assert!(matches!(client::status(&path, PATIENCE).await, Err(Error::NotRunning(_))));

    let live = Server::bind(&path).expect("nobody listens");
    let error = Server::bind(&path).expect_err("somebody listens");
    assert!(matches!(&error, BindError::InUse(_)), "{error}");
    assert!(path.exists(), "the refused one has removed the other's socket");
    drop(live);
    assert!(!path.exists());
    Server::bind(&path).expect("nobody listens any more");
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = socket_in(&directory);
    std::fs::write(&path, "precious").expect("a file");
    assert!(matches!(Server::bind(&path), Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).expect("the file"), "precious");
    let nowhere = directory.path().join("missing/control.sock");
    let error = Server::bind(&nowhere).expect_err("there is no directory");
    assert!(matches!(&error, BindError::NoDirectory { directory, .. } if directory.ends_with("missing")), "{error}");
    assert!(!error.to_string().contains(".lock"), "{error}");
    let below_a_file = path.join("control.sock");
    assert!(matches!(Server::bind(&below_a_file), Err(BindError::NoDirectory { .. })));
    assert!(matches!(Server::bind(directory.path()), Err(BindError::IsADirectory(_))));
    assert!(!directory.path().with_extension("lock").exists());
}

#[tokio::test]
async fn nonsense_is_refused_in_words() {
    let daemon = Daemon::start(healthy_status());
    for (text, code) in [
        ("\n".to_owned(), "bad_request"),
        ("{}\n".to_owned(), "bad_request"),
        ("{\"v\":1,\"request\":\"delete_everything\"}\n".to_owned(), "bad_request"),
        ("GET / HTTP/1.1\r\n".to_owned(), "bad_request"),
        ("x".repeat(100_000), "bad_request"),
        ("{\"v\":2,\"request\":\"status\"}\n".to_owned(), "unsupported_version"),
        ("{\"v\":2,\"request\":\"of_a_later_time\"}\n".to_owned(), "unsupported_version"),
    ] {
        let answer = daemon.answer(text.clone()).await;
        let prefix = format!("{{\"v\":1,\"error\":{{\"code\":\"{code}\",\"message\":\"");
        assert!(answer.starts_with(&prefix), "{text:.60} was answered with {answer}");
    }
    assert!(
        daemon.answer("{\"request\":\"status\",\"more\":true}\n").await.starts_with("{\"v\":1,\"status\":{\"version\"")
    );
}

#[tokio::test]
async fn a_later_daemon_is_told_apart_from_a_broken_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (answer, expected) in [
        ("{\"v\":2,\"condition\":\"splendid\"}\n", "version 2 of the control protocol"),
        ("{\"v\":1,\"status\":{}}\n", "not understood"),
        ("{\"v\":1,\"error\":{\"code\":\"too_many_clients\",\"message\":\"come back later\"}}\n", "come back later"),
        ("{\"v\":1,\"stat", "closed the connection"),
        ("", "closed the connection"),
    ] {
        let path = directory.path().join(format!("{}.sock", answer.len()));
        let listener = UnixListener::bind(&path).expect("a free path");
        let daemon = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            BufReader::new(&stream).read_line(&mut String::new()).expect("a request");
            stream.write_all(answer.as_bytes()).expect("the client listens");
        });
        let error = client::status(&path, PATIENCE).await.expect_err(answer);
        assert!(error.to_string().contains(expected), "{answer}: {error}");
        daemon.join().expect("the daemon does not panic");
    }
}

#[tokio::test]
async fn keys_of_a_later_daemon_are_skipped() {
    let status = healthy_status();
    let mut json = serde_json::to_value(&status).expect("plain data");
    json["mood"] = "sunny".into();
    json["records"][0]["colour"] = "green".into();
    json["kubernetes"]["pods"] = 110.into();
    assert_eq!(serde_json::from_value::<Status>(json).expect("still a status"), status);
}

#[tokio::test]
async fn a_daemon_that_hangs_is_given_up() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = socket_in(&directory);
    let _hangs = UnixListener::bind(&path).expect("a free path");
    let patience = Duration::from_millis(50);
    let error = client::status(&path, patience).await.expect_err("nobody answers");
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert_eq!(error.to_string(), "the daemon did not answer within 0.05 s");
}

async fn ask(socket: PathBuf) -> Result<Status, Error> {
    client::status(&socket, PATIENCE).await
}

/// Asks again for as long as there is no place, which must not be long.
async fn let_in<T, F: Future<Output = Result<T, Error>>>(ask: impl Fn() -> F) -> T {
    let asking = async {
        loop {
            match ask().await {
                Err(Error::Refused(refusal)) if refusal.code == "too_many_clients" => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                other => return other.expect("an answer"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("a place becomes free")
}

#[tokio::test]
async fn clients_that_never_speak_or_never_read_are_dropped_and_hold_up_nobody() {
    for request in ["", "{\"request\":\"status\"}\n", "{\"request\":\"watch\"}\n"] {
        // The one who is let in has no more time than they to take its large answer.
        let limits = Limits { patience: Duration::from_secs(3), clients: 2, privileged: 2 };
        let daemon = Daemon::with_limits(huge_status(), limits);
        // They take all places. The next one gets in as soon as the patience with them is over.
        let idle = [0; 4].map(|_| {
            let mut stream = UnixStream::connect(daemon.socket()).expect("the daemon listens");
            stream.write_all(request.as_bytes()).expect("the daemon listens");
            stream
        });
        let status = let_in(|| ask(daemon.socket())).await;
        assert_eq!(status.records.len(), 3_000);
        drop(idle);
    }
}

#[tokio::test]
async fn a_thousand_clients_take_no_more_than_their_places() {
    let limits = Limits { patience: PATIENCE, clients: 32, privileged: 8 };
    let daemon = Daemon::with_limits(healthy_status(), limits);
    let socket = daemon.socket();
    let crowd = tokio::task::spawn_blocking(move || {
        let mut crowd: Vec<_> = (0..1000)
            .map(|_| UnixStream::connect(&socket).expect("the daemon lets in or turns away, but never ignores"))
            .collect();
        // Whoever has got a place hears nothing, as it has asked nothing; the others hear why not.
        let turned_away = crowd
            .iter_mut()
            .skip(40)
            .filter_map(|stream| {
                stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
                let mut answer = String::new();
                stream.read_to_string(&mut answer).ok().filter(|_| answer.contains("too_many_clients"))
            })
            .count();
        (crowd, turned_away)
    });
    let (crowd, turned_away) = crowd.await.expect("the crowd does not panic");
    assert_eq!(turned_away, 960);
    assert!(matches!(client::status(&daemon.socket(), PATIENCE).await, Err(Error::Refused(_))));
    drop(crowd);
    assert!(let_in(|| ask(daemon.socket())).await.healthy);
}

#[tokio::test]
async fn a_watcher_that_hangs_up_gives_its_place_free() {
    let limits = Limits { patience: PATIENCE, clients: 1, privileged: 0 };
    let daemon = Daemon::with_limits(healthy_status(), limits);
    for _ in 0..3 {
        let socket = daemon.socket();
        drop(let_in(|| client::watch(&socket, PATIENCE)).await);
    }
}
