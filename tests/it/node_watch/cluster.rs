//! The watch of all Nodes: whole or unknown, never shorter.

use std::path::Path;
use std::time::{Duration, Instant};

use nodedns::decide::node::{Cluster, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::watch::node::identity::NodeName;
use nodedns::watch::node::kubeconfig::KubeconfigSource;
use nodedns::watch::node::{ClusterEvent, NodeWatchSettings, Reader, Timing, watch_cluster};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{LONG, environment, lists, timing, watches};
use crate::support::api_server::{Answer, ApiServer, kubeconfig, token_kubeconfig};
use crate::support::pki::Pki;

struct Watching {
    events: UnboundedReceiver<ClusterEvent>,
    readers: UnboundedSender<Reader<Cluster>>,
    task: JoinHandle<()>,
    directory: TempDir,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watching {
    /// Watches all Nodes from the host `n1`.
    fn start(server: &ApiServer, timing: Timing) -> Self {
        Self::start_with(&token_kubeconfig(&server.url(), "SECRET-TOKEN"), timing)
    }

    fn start_with(text: &str, timing: Timing) -> Self {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("kubeconfig");
        std::fs::write(&path, text).expect("written");
        let settings = NodeWatchSettings {
            node: NodeName::parse("n1").expect("a name"),
            kubeconfig: KubeconfigSource::Path(path),
            environment: environment(Path::new("/nonexistent")),
            timing,
        };
        let ((sender, events), (readers, requests)) = (unbounded_channel(), unbounded_channel());
        let task = tokio::spawn(watch_cluster(settings, requests, sender));
        Watching { events, readers, task, directory }
    }

    async fn event(&mut self) -> ClusterEvent {
        timeout(LONG, self.events.recv()).await.expect("an event within the time").expect("the watch runs")
    }

    /// The next event, whose state must be known.
    async fn cluster(&mut self) -> Vec<(String, bool)> {
        let event = self.event().await;
        assert!(event.detail.connected && event.detail.error.is_none(), "{event:?}");
        match &event.state {
            Observed::Known(cluster) => plain(cluster),
            Observed::Unknown => panic!("not known: {event:?}"),
        }
    }

    /// The next event, whose state must be unknown: why.
    async fn error(&mut self) -> String {
        let event = self.event().await;
        assert_eq!(event.state, Observed::Unknown, "{event:?}");
        event.detail.error.expect("a reason")
    }

    /// Fails if an event comes within `time`.
    async fn nothing_for(&mut self, time: Duration) {
        if let Ok(event) = timeout(time, self.events.recv()).await {
            panic!("no event should have come: {event:?}");
        }
    }

    /// A fresh reading.
    async fn read(&self) -> Observed<Cluster> {
        let (reader, answer) = oneshot::channel();
        self.readers.send(reader).expect("the watch runs");
        let answer = timeout(LONG, answer).await.expect("an answer within the time");
        answer.unwrap_or(Observed::Unknown)
    }
}

fn plain(cluster: &Cluster) -> Vec<(String, bool)> {
    cluster.iter().map(|(name, readiness)| (name.clone(), *readiness == Readiness::Ready)).collect()
}

fn nodes(nodes: &[(&str, bool)]) -> Vec<(String, bool)> {
    nodes.iter().map(|(name, ready)| ((*name).to_owned(), *ready)).collect()
}

fn node(name: &str, ready: &str) -> Value {
    let mut node = super::node(ready);
    node["metadata"]["name"] = json!(name);
    node
}

const THREE: [(&str, bool); 3] = [("n1", true), ("n2", true), ("n3", true)];

/// A server with `n1`, `n2` and `n3`, all Ready.
async fn server() -> ApiServer {
    let server = ApiServer::start().await;
    for name in ["n1", "n2", "n3"] {
        server.set_node(node(name, "True"));
    }
    server
}

/// The same, and a watch that has told its first state.
async fn watching() -> (ApiServer, Watching) {
    let server = server().await;
    let mut watching = Watching::start(&server, timing());
    assert_eq!(watching.cluster().await, nodes(&THREE));
    (server, watching)
}

#[tokio::test]
async fn each_change_is_told_at_once_and_whole() {
    let (server, mut watching) = watching().await;
    server.set_node(node("n2", "Unknown"));
    assert_eq!(watching.cluster().await, nodes(&[("n1", true), ("n2", false), ("n3", true)]));
    server.delete("n3");
    assert_eq!(watching.cluster().await, nodes(&[("n1", true), ("n2", false)]));
    server.set_node(node("n2", "True"));
    assert_eq!(watching.cluster().await, nodes(&[("n1", true), ("n2", true)]));
    server.set_node(node("n3", "False"));
    assert_eq!(watching.cluster().await, nodes(&[("n1", true), ("n2", true), ("n3", false)]));
    for request in server.seen() {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/api/v1/nodes"), "{request:?}");
        assert_eq!(request.parameter("fieldSelector"), None, "{request:?}");
    }
}

#[tokio::test]
async fn heartbeats_labels_and_the_end_of_a_watch_are_no_news() {
    let (server, mut watching) = watching().await;
    for beat in 0..5 {
        let mut beating = node("n2", "True");
        beating["status"]["conditions"][1]["lastHeartbeatTime"] = json!(format!("2026-01-01T00:00:0{beat}Z"));
        beating["metadata"]["labels"] = json!({"beat": beat.to_string()});
        server.set_node(beating);
        watching.nothing_for(Duration::from_millis(500)).await;
    }
    assert!(watches(&server) >= 2);
    assert_eq!(lists(&server), 1, "a watch that ends is resumed, not listed anew");
}

/// There may be many, and a fresh reading is made before anybody is removed.
#[tokio::test]
async fn all_nodes_are_not_listed_anew_for_their_age() {
    let server = server().await;
    let mut watching = Watching::start(&server, Timing { relist: Duration::from_millis(500), ..timing() });
    assert_eq!(watching.cluster().await, nodes(&THREE));
    let started = Instant::now();
    while watches(&server) < 4 {
        assert!(started.elapsed() < LONG, "it is not watched again");
        watching.nothing_for(Duration::from_millis(50)).await;
    }
    assert_eq!(lists(&server), 1);
}

#[tokio::test]
async fn a_list_in_pages_is_put_together() {
    let server = server().await;
    for number in 10..17 {
        server.set_node(node(&format!("n{number}"), "True"));
    }
    server.page(3);
    let mut watching = Watching::start(&server, timing());
    assert_eq!(watching.cluster().await.len(), 10);
    assert_eq!(lists(&server), 4);
    let tokens: Vec<_> =
        server.seen().iter().filter(|s| !s.is_watch()).map(|s| s.parameter("continue").map(str::to_owned)).collect();
    assert_eq!(tokens, [None, Some("3".into()), Some("6".into()), Some("9".into())]);
    assert_eq!(server.seen()[0].parameter("limit"), Some("100"));
}

/// Whatever happens to the second page, what is told is all or nothing.
#[tokio::test]
async fn a_page_that_fails_makes_no_shorter_list() {
    let expired = "The provided continue parameter is too old to display a consistent list result.";
    for (what, answer, expected) in [
        ("it breaks off", Answer::BreaksOff, "cannot reach the API server"),
        ("its token has expired", Answer::Error(410, expired.into()), "answered 410: The provided continue"),
        ("the server fails", Answer::Error(500, "etcd is gone".into()), "answered 500: etcd is gone"),
        ("it is not a list", Answer::Body("{\"kind\": \"No".into()), "does not speak as a Kubernetes API server"),
        ("it never comes", Answer::Hang, "does not answer (waited 5 s)"),
    ] {
        let server = server().await;
        server.page(2);
        // Two attempts follow each other at once; every second page of both fails.
        for _ in 0..2 {
            server.next_list(Answer::Serve);
            server.next_list(answer.clone());
        }
        let mut watching = Watching::start(&server, timing());
        let error = watching.error().await;
        assert!(error.contains(expected), "{what}: {error}");
        assert_eq!(watching.cluster().await, nodes(&THREE), "{what}");
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_is_none() {
    let (server, mut watching) = watching().await;
    // Without this node: the watch ends, and so does every attempt after it.
    server.delete("n1");
    let error = watching.error().await;
    assert!(error.contains("is without this node, 'n1'"), "{error}");
    server.delete("n2");
    server.delete("n3");
    let error = watching.error().await;
    assert!(error.contains("gives an empty list of nodes"), "{error}");
    server.set_node(node("n1", "True"));
    assert_eq!(watching.cluster().await, nodes(&[("n1", true)]));
}

#[tokio::test]
async fn who_may_not_list_is_told_the_rule() {
    let server = server().await;
    let message = "nodes is forbidden: User \"system:node:n1\" cannot list resource \"nodes\" in API group \"\" at the cluster scope: node 'n1' cannot read all nodes, only its own Node object";
    server.always(Answer::Error(403, message.into()));
    let mut watching = Watching::start(&server, timing());
    let error = watching.error().await;
    assert!(error.starts_with("this identity may not list nodes, says the API server at http://"), "{error}");
    assert!(error.contains(message), "{error}");
    assert!(
        error.contains("{apiGroups: [\"\"], resources: [\"nodes\"], verbs: [\"get\", \"list\", \"watch\"]}"),
        "{error}"
    );
    assert!(!error.contains("SECRET"), "{error}");
    // With the rule in place it goes on by itself.
    server.always(Answer::Serve);
    assert_eq!(watching.cluster().await, nodes(&THREE));
}

#[tokio::test]
async fn a_server_that_falls_silent_is_noticed_within_the_worst_case() {
    let (server, mut watching) = watching().await;
    server.fall_silent();
    let silent_since = Instant::now();
    assert!(watching.error().await.contains("does not answer"));
    let took = silent_since.elapsed();
    assert!(took <= timing().worst_case() + Duration::from_secs(5), "{took:?}");
    assert!(!matches!(watching.read().await, Observed::Known(_)), "nothing can be read meanwhile");
    server.always(Answer::Serve);
    // The attempt that hangs meanwhile may be told, too.
    let back = loop {
        let event = watching.event().await;
        if let Observed::Known(cluster) = event.state {
            break plain(&cluster);
        }
    };
    assert_eq!(back, nodes(&THREE));
}

#[tokio::test]
async fn a_fresh_reading_is_a_list_of_its_own() {
    let (server, mut watching) = watching().await;
    let before = lists(&server);
    let Observed::Known(cluster) = watching.read().await else { panic!("it can be read") };
    assert_eq!(plain(&cluster), nodes(&THREE));
    assert_eq!(lists(&server) - before, 1);
    // It knows what the watch does not: no event of this one has come.
    server.silence_watches();
    server.set_node(node("n3", "False"));
    let Observed::Known(cluster) = watching.read().await else { panic!("it can be read") };
    assert_eq!(plain(&cluster), nodes(&[("n1", true), ("n2", true), ("n3", false)]));
    // And the watch goes on from there.
    assert_eq!(watching.cluster().await, nodes(&[("n1", true), ("n2", true), ("n3", false)]));
    server.set_node(node("n3", "True"));
    assert_eq!(watching.cluster().await, nodes(&THREE));
}

#[tokio::test]
async fn a_fresh_reading_that_fails_is_none_and_the_watch_goes_on() {
    let (server, mut watching) = watching().await;
    let empty = json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "200"}, "items": []});
    for answer in [
        Answer::Error(403, "no".into()),
        Answer::Error(503, "no".into()),
        Answer::BreaksOff,
        Answer::Body(empty.to_string()),
        Answer::Hang,
    ] {
        server.next_list(answer.clone());
        assert_eq!(watching.read().await, Observed::Unknown, "{answer:?}");
        watching.nothing_for(Duration::from_millis(100)).await;
    }
    server.set_node(node("n3", "False"));
    assert_eq!(watching.cluster().await, nodes(&[("n1", true), ("n2", true), ("n3", false)]));
    assert!(watching.read().await.is_known());
}

#[tokio::test]
async fn where_there_is_no_connection_a_reading_is_refused_at_once() {
    let (mut server, mut watching) = watching().await;
    server.stop();
    watching.error().await;
    for _ in 0..3 {
        assert_eq!(watching.read().await, Observed::Unknown);
    }
}

#[tokio::test]
async fn a_certificate_that_rotates_is_taken_up_by_a_fresh_reading_too() {
    let pki = Pki::new();
    let server = ApiServer::start_tls(&pki).await;
    for name in ["n1", "n2", "n3"] {
        server.set_node(node(name, "True"));
    }
    let files = TempDir::new().expect("a directory");
    let path = |name: &str| files.path().join(name);
    let identity = pki.kubelet("n1");
    std::fs::write(path("ca"), &pki.authority_pem).expect("written");
    std::fs::write(path("crt"), &identity.certificate_pem).expect("written");
    std::fs::write(path("key"), &identity.key_pem).expect("written");
    let text = kubeconfig(&server.url(), Some(&path("ca")), &path("crt"), &path("key"));
    let slow = Timing { watch: Duration::from_secs(60), ..timing() };
    let mut watching = Watching::start_with(&text, slow);
    assert_eq!(watching.cluster().await, nodes(&THREE));
    let new = pki.kubelet("n1");
    std::fs::write(path("crt"), &new.certificate_pem).expect("written");
    std::fs::write(path("key"), &new.key_pem).expect("written");
    server.want_certificate(&new.der);
    assert!(watching.read().await.is_known(), "the files are read anew");
    assert!(server.seen().last().is_some_and(|seen| seen.certificate.as_ref() == Some(&new.der)));
    assert!(watching.directory.path().exists());
}

#[tokio::test]
async fn the_watch_ends_with_its_receiver() {
    let (_server, mut watching) = watching().await;
    watching.events.close();
    let mut task = std::mem::replace(&mut watching.task, tokio::spawn(async {}));
    timeout(LONG, &mut task).await.expect("it ends").expect("it does not panic");
}
