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
use tokio::time::sleep;

use super::fixture::{Cluster, EDGE, GEO, owner_id};
use route53_sim::{Action, Request};

/// Watches all Nodes as an administrator, for as long as it lives.
pub(crate) struct Observer {
    seen: Arc<Mutex<Vec<(Instant, Node)>>>,
    /// The names of Nodes that are no more.
    gone: Arc<Mutex<Vec<(Instant, String)>>>,
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
        let gone = Arc::new(Mutex::new(Vec::new()));
        let (theirs, no_more) = (Arc::clone(&seen), Arc::clone(&gone));
        let task = tokio::spawn(async move {
            let mut events = watcher::watcher(nodes, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Apply(node) | watcher::Event::InitApply(node)) => {
                        theirs.lock().expect("no panic").push((Instant::now(), node));
                    }
                    Ok(watcher::Event::Delete(node)) => {
                        let name = node.metadata.name.unwrap_or_default();
                        no_more.lock().expect("no panic").push((Instant::now(), name));
                    }
                    Ok(_) => {}
                    // It asks again at once, again and again, while the API server is away.
                    Err(_) => sleep(Duration::from_secs(1)).await,
                }
            }
        });
        let observer = Observer { seen, gone, task };
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

    /// When a Node was first told to be no more, after some moment; waits for it.
    pub(crate) async fn when_gone(&self, cluster: &Cluster, node: &str, since: Instant) -> Instant {
        let first = || {
            let gone = self.gone.lock().expect("no panic");
            gone.iter().find(|(at, name)| *at >= since && name == node).map(|(at, _)| *at)
        };
        cluster.until(&format!("{node} is told to be no more"), async |_| first().is_some()).await;
        first().expect("just seen")
    }

    /// Since when a Node's Ready condition has had the status that it has where the Node was first told to be so, after
    /// some moment; waits for it. By the API server's clock, as whoever watches here may hear of it later than the
    /// daemons, and a little early, by less than a second, as that is in whole seconds.
    pub(crate) async fn ready_since(
        &self,
        cluster: &Cluster,
        node: &str,
        since: Instant,
        is_so: impl Fn(&Node) -> bool,
    ) -> SystemTime {
        self.when(cluster, node, since, &is_so).await;
        let (_, object) = self.first(node, since, &is_so).expect("just seen");
        let condition = condition(&object).expect("a Ready condition");
        condition.last_transition_time.as_ref().expect("it has a time").0.into()
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

/// The batches by which a node has removed record sets of its own since some moment.
pub(crate) fn withdrawals(cluster: &Cluster, node: &str, since: Instant) -> Vec<Request> {
    let owner = owner_id(node);
    let removes = |request: &Request| {
        let mut changes = request.changes.iter();
        changes.any(|(action, set)| *action == Action::Delete && set.set_identifier.as_ref() == Some(&owner))
    };
    let batches = cluster.writes_of(node, since).into_iter();
    batches.filter(|request| request.change_id.is_some() && removes(request)).collect()
}

/// Waits until a node has withdrawn all that is its own after `since`. For each name, how long after `told`, the moment
/// at which the API server told of the cause, it first asked for that: who leaves at the same moment as others may have
/// to ask again.
pub(crate) async fn withdrawn(cluster: &Cluster, node: &str, since: Instant, told: Instant) -> Vec<Duration> {
    cluster.until(&format!("{node} is withdrawn"), async |cluster| cluster.is_withdrawn(node)).await;
    let owner = owner_id(node);
    let batches = cluster.writes_of(node, since);
    let asks = |request: &Request, name: &str| {
        let mut changes = request.changes.iter();
        changes.any(|(action, set)| {
            *action == Action::Delete && set.name == name && set.set_identifier.as_ref() == Some(&owner)
        })
    };
    let first = |name: &str| batches.iter().find(|request| asks(request, name)).map(|request| request.at);
    let first = |name| first(name).unwrap_or_else(|| panic!("{node} has not withdrawn itself from {name}"));
    // The daemon may have heard of it before we did.
    [EDGE, GEO].map(|name| first(name).saturating_duration_since(told)).into()
}

/// The nodes' `recover_after`, of whatever signal.
pub(crate) const RECOVER_AFTER: Duration = Duration::from_secs(1);

/// There is no such request.
pub(crate) fn none(requests: &[Request], what: &str) {
    assert!(requests.is_empty(), "{what}: {requests:#?}");
}

/// Prints the least, the middle and the most of what it took to write to Route 53 from the moment at which the API
/// server told of the cause. L2 promises 50 ms; a busy machine adds some to each, and much to a few: where there are
/// not many, to most of them.
pub(crate) fn sum_up(what: &str, mut samples: Vec<Duration>) {
    const MANY: usize = 6;
    const MIDDLE: Duration = Duration::from_millis(250);
    const MOST: Duration = Duration::from_secs(3);
    samples.sort_unstable();
    let (least, most) = (samples[0], samples[samples.len() - 1]);
    let median = samples[samples.len() / 2];
    println!("{what}: {} samples, min {least:.1?}, median {median:.1?}, max {most:.1?}", samples.len());
    let soon = if samples.len() < MANY { least } else { median };
    assert!(soon <= MIDDLE && most <= MOST, "{what}: min {least:?}, median {median:?}, max {most:?}");
}
