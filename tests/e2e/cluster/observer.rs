//! The Nodes as the API server tells them to whoever watches, each change with the moment at which it arrived:
//! the daemons hear of it at the same moment.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use kube::{Api, Client, Config};
use tokio::task::JoinHandle;

use super::fixture::{Cluster, owner_id};
use route53_sim::{Action, Request};

/// Watches all Nodes as an administrator, for as long as it lives.
pub(crate) struct Observer {
    seen: Arc<Mutex<Vec<(Instant, Node)>>>,
    task: JoinHandle<()>,
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Observer {
    pub(crate) async fn start(cluster: &Cluster) -> Self {
        let kubeconfig = Kubeconfig::read_from(cluster.directory().join("pki/admin.kubeconfig")).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a configuration");
        let nodes: Api<Node> = Api::all(Client::try_from(config).expect("a client"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut events = watcher::watcher(nodes, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                if let Ok(watcher::Event::Apply(node) | watcher::Event::InitApply(node)) = event {
                    theirs.lock().expect("no panic").push((Instant::now(), node));
                }
            }
        });
        let observer = Observer { seen, task };
        let all = |seen: &[(Instant, Node)]| seen.len() >= 3;
        cluster.until("the Nodes are watched", async |_| all(&observer.seen.lock().expect("no panic"))).await;
        observer
    }

    /// When a Node was first told to be so, after some moment; waits for it.
    pub(crate) async fn when(
        &self,
        cluster: &Cluster,
        node: &str,
        since: Instant,
        is_so: impl Fn(&Node) -> bool,
    ) -> Instant {
        let first = || self.first(node, since, &is_so).map(|(at, _)| at);
        cluster.until(&format!("{node} is told to be so"), async |_| first().is_some()).await;
        first().expect("just seen")
    }

    /// The Node as it was first told to be so, after some moment.
    pub(crate) fn find(&self, node: &str, since: Instant, is_so: impl Fn(&Node) -> bool) -> Option<Node> {
        self.first(node, since, is_so).map(|(_, node)| node)
    }

    fn first(&self, node: &str, since: Instant, is_so: impl Fn(&Node) -> bool) -> Option<(Instant, Node)> {
        let seen = self.seen.lock().expect("no panic");
        let so = |(at, object): &&(Instant, Node)| {
            *at >= since && object.metadata.name.as_deref() == Some(node) && is_so(object)
        };
        seen.iter().find(so).cloned()
    }
}

fn condition(node: &Node) -> Option<&NodeCondition> {
    let mut conditions = node.status.as_ref()?.conditions.as_deref()?.iter();
    conditions.find(|condition| condition.type_ == "Ready")
}

/// The Node's Ready condition, its status and reason.
pub(crate) fn ready(node: &Node) -> Option<(&str, &str)> {
    let ready = condition(node)?;
    Some((ready.status.as_str(), ready.reason.as_deref().unwrap_or_default()))
}

/// Since when the Node's Ready condition has its status, by the API server's clock, in whole seconds.
pub(crate) fn ready_since(node: &Node) -> Option<SystemTime> {
    condition(node)?.last_transition_time.as_ref().map(|time| time.0.into())
}

/// The batches of a node since some moment. Listings are another matter: half a minute after its start, and
/// after each absence, a daemon looks whether somebody has taken it for dead.
pub(crate) fn batches(cluster: &Cluster, node: &str, since: Instant) -> Vec<Request> {
    let requests = cluster.requests_of(node, since).into_iter();
    requests.filter(|request| !request.changes.is_empty()).collect()
}

/// The batches by which a node has removed record sets of its own since some moment.
pub(crate) fn withdrawals(cluster: &Cluster, node: &str, since: Instant) -> Vec<Request> {
    let owner = owner_id(node);
    let removes = |request: &Request| {
        let mut changes = request.changes.iter();
        changes.any(|(action, set)| *action == Action::Delete && set.set_identifier.as_ref() == Some(&owner))
    };
    let batches = batches(cluster, node, since).into_iter();
    batches.filter(|request| request.change_id.is_some() && removes(request)).collect()
}

/// There is no such request.
pub(crate) fn none(requests: &[Request], what: &str) {
    assert!(requests.is_empty(), "{what}: {requests:#?}");
}

/// Prints the least, the middle and the most of some durations, which must not exceed `bound`.
pub(crate) fn sum_up(what: &str, mut samples: Vec<Duration>, bound: Duration) {
    samples.sort_unstable();
    let (least, most) = (samples[0], samples[samples.len() - 1]);
    let median = samples[samples.len() / 2];
    println!("{what}: {} samples, min {least:.1?}, median {median:.1?}, max {most:.1?}", samples.len());
    assert!(most <= bound, "{what}: {most:?}");
}
