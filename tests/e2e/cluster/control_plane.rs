//! The control plane, as it goes and comes back, and what DNS promises meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use route53_sim::Request;
use serde_json::Value;

use super::fixture::{Cluster, NODES, expected, reasons_in};
use crate::node::ZONE;

/// A name that nobody publishes but the three nodes.
pub(crate) const SOLE: &str = "sole.example.com.";

/// L3: one backoff step, and an attempt that was under way.
pub(crate) const BACK_AGAIN: Duration = Duration::from_secs(30 + 10 + 5);

/// What Kubernetes may take for its own part.
pub(crate) const KUBERNETES: Duration = Duration::from_secs(90);

/// What has to be noticed within a minute may be told of a little later.
pub(crate) const A_MINUTE: Duration = Duration::from_secs(60 + 5);

const CONTROLLERS: &str = "hub/kube-controller-manager";
pub(crate) const API_SERVER: &str = "hub/kube-apiserver";
pub(crate) const ETCD: &str = "hub/etcd";

/// What a node publishes that is eligible, with the name that only the three have.
pub(crate) fn with_sole(node: &str) -> BTreeMap<(String, String), Vec<String>> {
    let mut sets = expected(node);
    let sole = sets.iter().map(|((_, rtype), values)| ((SOLE.to_owned(), rtype.clone()), values.clone())).collect();
    sets.append(&mut { sole });
    sets
}

impl Cluster {
    /// Adds to every node's configuration, before a table or a record that is there.
    pub(crate) async fn configure_all(&self, before: &str, text: &str) {
        for node in NODES {
            self.configure(node, before, &format!("{text}\n\n{before}")).await;
        }
    }

    /// Has all nodes publish a name that nobody else does, and starts the daemons.
    pub(crate) async fn start_daemons_with_sole(&self) {
        let record = format!("[[record]]\nname = \"{}\"\nzone_id = \"{ZONE}\"", SOLE.trim_end_matches('.'));
        self.configure_all("[[record]]\nname = \"edge", &record).await;
        self.service("start", &["n1/nodedns", "n2/nodedns", "n3/nodedns"]).await;
        self.until("all are published", async |cluster| cluster.all_have_sole()).await;
        self.judge("all are published");
    }

    pub(crate) fn all_have_sole(&self) -> bool {
        NODES.iter().all(|node| self.own(node) == with_sole(node))
    }

    /// Whose record sets of a type the name has that only the three nodes publish.
    pub(crate) fn owners_of_sole(&self, rtype: &str) -> Vec<String> {
        let sets = self.sim.record_sets(ZONE).into_iter();
        sets.filter(|set| set.name == SOLE && set.rtype == rtype).filter_map(|set| set.set_identifier).collect()
    }

    /// How many record sets that name has: (A, AAAA).
    pub(crate) fn sole(&self) -> (usize, usize) {
        (self.owners_of_sole("A").len(), self.owners_of_sole("AAAA").len())
    }

    /// The controllers leave first, as they do when they lose their lease: what they would say of a node whose
    /// kubelet could not reach the API server either is another matter.
    pub(crate) async fn controllers_leave(&self) {
        self.service("kill", &[CONTROLLERS]).await;
    }

    /// The controllers return once every kubelet has been heard of again.
    pub(crate) async fn controllers_return(&self) {
        let before = self.leases().await;
        self.until("the kubelets renew their leases", async |cluster| {
            let leases = cluster.leases().await;
            leases.len() == NODES.len() && before.iter().all(|(node, renewed)| leases.get(node) > Some(renewed))
        })
        .await;
        self.service("start", &[CONTROLLERS]).await;
    }

    /// The controllers return whoever else does.
    pub(crate) async fn controllers_return_at_once(&self) {
        self.service("start", &[CONTROLLERS]).await;
    }

    /// When each node's lease was renewed.
    async fn leases(&self) -> BTreeMap<String, String> {
        let ran = self.run("hub", &["kubectl", "get", "leases", "--namespace=kube-node-lease", "--output=json"]).await;
        let list: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let lease = |lease: &Value| {
            Some((lease["metadata"]["name"].as_str()?.to_owned(), lease["spec"]["renewTime"].as_str()?.to_owned()))
        };
        list["items"].as_array().into_iter().flatten().filter_map(lease).collect()
    }

    /// The status of each node's Ready condition, as Kubernetes has it.
    pub(crate) async fn ready_conditions(&self) -> Vec<String> {
        const PATH: &str =
            r#"--output=jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
        let ran = self.run("hub", &["kubectl", "get", "nodes", PATH]).await;
        ran.stdout.lines().map(str::to_owned).collect()
    }

    /// Whether all three nodes have this as their Ready condition.
    pub(crate) async fn all_are(&self, ready: &str) -> bool {
        let conditions = self.ready_conditions().await;
        conditions.len() == NODES.len() && conditions.iter().all(|condition| condition == ready)
    }

    /// A cordon takes a node out, which says why, and its end brings it back.
    pub(crate) async fn follows_a_cordon(&self, node: &str) {
        /// It is a matter of milliseconds, and not of the list that is made again every half a minute.
        const AT_ONCE: Duration = Duration::from_secs(10);
        self.kubectl(&format!("cordon {node}")).await;
        let left = self.until_within(AT_ONCE, "withdrawn", async |cluster| cluster.is_withdrawn(node)).await;
        assert_eq!(self.reasons(node).await, ["cordoned"]);
        self.kubectl(&format!("uncordon {node}")).await;
        let back = self.until_within(AT_ONCE, "published", async |cluster| cluster.is_published(node)).await;
        println!("{node}: left {left:?} after the cordon, came back {back:?} after its end");
        self.judge("a cordon and its end");
    }

    /// Whether a daemon has a watch that runs.
    pub(crate) async fn is_connected(&self, node: &str) -> bool {
        let (status, _) = self.status(node).await;
        status["kubernetes"]["connected"] == true
    }

    /// Waits until daemons have their watch again; how long each took since `since`.
    pub(crate) async fn until_connected(&self, nodes: &[&str], since: Instant, what: &str) {
        for node in nodes {
            self.until(&format!("{node} is connected"), async |cluster| cluster.is_connected(node).await).await;
            let took = since.elapsed();
            println!("{what}: {node} has its watch again after {took:.1?}");
            assert!(took < BACK_AGAIN, "{what}: {node} took {took:?}");
        }
    }

    /// Waits until a node's daemon says that it does not know the node's state and leaves everything as it is, which
    /// one that has just been started has to read first; its status.
    pub(crate) async fn until_noticed(&self, node: &str, since: Instant, what: &str) -> Value {
        let mut said = (Value::Null, None);
        self.until(&format!("{node} notices"), async |cluster| {
            said = cluster.status(node).await;
            said.0["kubernetes"]["connected"] == false && reasons_in(&said.0) == ["node_unknown"]
        })
        .await;
        let took = since.elapsed();
        let (status, code) = said;
        println!("{what}: {node} says so after {took:.1?}: {}", status["kubernetes"]["error"]);
        assert!(took < A_MINUTE, "{what}: {node} took {took:?}");
        // What is unknown is for somebody to look at, and says since when.
        assert_eq!(code, Some(2), "{status:#}");
        assert_eq!(status["healthy"], false, "{status:#}");
        for record in status["records"].as_array().expect("records") {
            assert_eq!(record["intent"], "preserve", "{record:#}");
            assert_eq!(record["actual"], record["desired"], "{record:#}");
            assert!(record["since"].is_string(), "{record:#}");
        }
        status
    }

    /// The batches that a node has sent since some moment. Listings are another matter: half a minute after its
    /// start, and after each absence, a daemon looks whether somebody has taken it for dead.
    pub(crate) fn writes_of(&self, node: &str, since: Instant) -> Vec<Request> {
        self.requests_of(node, since).into_iter().filter(|request| !request.changes.is_empty()).collect()
    }

    /// Nobody has written anything since that moment.
    pub(crate) fn nothing_was_written(&self, since: Instant, what: &str) {
        for node in NODES {
            let writes = self.writes_of(node, since);
            assert!(writes.is_empty(), "{what}: {node} wrote {writes:#?}");
        }
        self.judge(what);
    }
}
