//! The watch of the own Node, against a scripted API server over real HTTP(S).

mod changes;
mod cluster;
mod discovery;
mod failures;
mod identity;
mod once;
pub(crate) mod rotation;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodedns::decide::node::{NodeObject, NodeState, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::watch::node::identity::NodeName;
use nodedns::watch::node::kubeconfig::{Environment, KubeconfigSource};
use nodedns::watch::node::{NodeEvent, NodeWatchSettings, Timing, watch};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::api_server::{ApiServer, token_kubeconfig};

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(40);

/// Short, but for the limits that a stalled machine must not reach.
fn timing() -> Timing {
    Timing {
        watch: Duration::from_secs(1),
        end_grace: Duration::from_secs(3),
        answer: Duration::from_secs(5),
        steady: Duration::from_millis(200),
        longest_pause: Duration::from_millis(300),
        relist: Duration::MAX,
    }
}

fn environment(root: &Path) -> Environment {
    Environment { root: root.to_owned(), credentials_directory: None, kubeconfig: None, hostname: "Host.lan".into() }
}

/// A running watch of the node `n1` and what it has said.
pub(crate) struct Watching {
    events: UnboundedReceiver<NodeEvent>,
    task: JoinHandle<()>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watching {
    pub(crate) fn start(kubeconfig: PathBuf, timing: Timing) -> Self {
        let (sender, events) = unbounded_channel();
        let settings = NodeWatchSettings {
            node: NodeName::parse("n1").expect("a name"),
            kubeconfig: KubeconfigSource::Path(kubeconfig),
            environment: environment(Path::new("/nonexistent")),
            timing,
        };
        Watching { events, task: tokio::spawn(watch(settings, sender)) }
    }

    pub(crate) async fn event(&mut self) -> NodeEvent {
        timeout(LONG, self.events.recv()).await.expect("an event within the time").expect("the watch runs")
    }

    /// The next event, whose state must be known.
    async fn state(&mut self) -> NodeState {
        let event = self.event().await;
        assert!(event.detail.connected && event.detail.error.is_none(), "{event:?}");
        assert!(event.detail.last_contact.is_some(), "{event:?}");
        match event.state {
            Observed::Known(state) => state,
            Observed::Unknown => panic!("not known: {event:?}"),
        }
    }

    async fn object(&mut self) -> NodeObject {
        match self.state().await {
            NodeState::Present(object) => object,
            NodeState::Absent => panic!("the Node is there"),
        }
    }

    /// The next event with a known state, after any number of others.
    async fn recovery(&mut self) -> NodeEvent {
        loop {
            let event = self.event().await;
            if event.state.is_known() {
                return event;
            }
        }
    }

    /// The next event, whose state must be unknown: why.
    async fn error(&mut self) -> String {
        let event = self.event().await;
        assert_eq!(event.state, Observed::Unknown, "{event:?}");
        assert!(!event.detail.connected, "{event:?}");
        event.detail.error.expect("a reason")
    }

    /// Fails if an event comes within `time`, other than a state that was listed anew after a break.
    /// How many of those have come.
    async fn nothing_for(&mut self, time: Duration) -> u32 {
        let end = tokio::time::Instant::now() + time;
        let mut anew = 0;
        while let Ok(event) = tokio::time::timeout_at(end, self.events.recv()).await {
            let event = event.expect("the watch runs");
            assert!(event.anew && event.state.is_known(), "no event should have come: {event:?}");
            anew += 1;
        }
        anew
    }
}

/// A server over plain HTTP with a Ready node `n1`, and a watch of it that has told its first state.
async fn watching() -> (ApiServer, Watching, TempDir) {
    let server = ApiServer::start().await;
    server.set_node(node("True"));
    let (mut watching, directory) = watch_of(&server, timing());
    assert_eq!(watching.object().await.ready, Readiness::Ready);
    (server, watching, directory)
}

fn watch_of(server: &ApiServer, timing: Timing) -> (Watching, TempDir) {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("kubeconfig");
    std::fs::write(&path, token_kubeconfig(&server.url(), "SECRET-TOKEN")).expect("written");
    (Watching::start(path, timing), directory)
}

/// A Node `n1` with this status of its Ready condition.
pub(crate) fn node(ready: &str) -> Value {
    json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": {"name": "n1", "labels": {"zone": "a"}},
        "spec": {},
        "status": {"conditions": [
            {"type": "MemoryPressure", "status": "False", "reason": "Enough"},
            {"type": "Ready", "status": ready, "reason": if ready == "True" { "KubeletReady" } else { "KubeletNotReady" }}
        ]}
    })
}

fn watches(server: &ApiServer) -> usize {
    server.seen().iter().filter(|seen| seen.is_watch()).count()
}

fn lists(server: &ApiServer) -> usize {
    server.seen().iter().filter(|seen| !seen.is_watch()).count()
}

/// The Node authorizer lets nothing else pass.
fn assert_asked_for_own_node_only(server: &ApiServer) {
    let seen = server.seen();
    assert!(!seen.is_empty());
    for request in seen {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/api/v1/nodes"), "{request:?}");
        assert_eq!(request.parameter("fieldSelector"), Some("metadata.name=n1"), "{request:?}");
        // The identity may be the kubelet's, so that is what the audit log has to tell them apart.
        assert_eq!(request.agent.as_deref(), Some(concat!("nodedns/", env!("CARGO_PKG_VERSION"))), "{request:?}");
    }
}

/// Does what breaks the watch, and again until it has led to a new list: at a moment when no watch runs it
/// has no effect.
async fn break_until_listed(server: &ApiServer, breaks: impl Fn()) {
    let (before, started) = (lists(server), Instant::now());
    while lists(server) == before {
        assert!(started.elapsed() < LONG, "the state is not read again");
        breaks();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
