//! A cluster to compare in: its nodes as everybody can see them, and what each ought to have published.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use route53_sim::Request;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::column::Column;
use crate::cluster::fixture::{Cluster, NODES, in_cluster};

/// Where what runs once in a cluster is.
pub(super) const PUBLISHER: &str = "hub";

/// What the service commonly takes until a change has reached all of its name servers.
pub(super) const INSYNC: Duration = Duration::from_secs(30);

/// Addresses by node and family.
type Addresses = BTreeMap<(&'static str, &'static str), String>;

pub(super) struct Lab {
    pub(super) cluster: Cluster,
    nodes: Api<Node>,
    /// What each node has got.
    addresses: RefCell<Addresses>,
}

/// Runs something in a new cluster whose nodes are set up for all columns, and in which none runs yet.
pub(super) fn in_lab<F: Future<Output = ()>>(test: impl FnOnce(Lab) -> F + Send + 'static) {
    in_cluster(async |cluster| test(Lab::new(cluster).await).await);
}

impl Lab {
    async fn new(cluster: Cluster) -> Lab {
        let file = Kubeconfig::read_from(cluster.directory().join("pki/admin.kubeconfig")).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.expect("it is whole");
        let nodes = Api::all(Client::try_from(config).expect("a client"));
        let lab = Lab { cluster, nodes, addresses: RefCell::default() };
        fs::create_dir_all(lab.files()).expect("a directory");
        lab.cluster.sim.set_options(|options| options.insync_after = INSYNC);
        for column in Column::ALL {
            let (name, id) = column.zone();
            lab.cluster.sim.add_zone(&name, &id, false);
        }
        // A kubelet reports when there is news, and otherwise every 5 minutes; here it would every second.
        let quiet = "echo 'nodeStatusReportFrequency: 5m' >>/var/lib/kubelet/config.yaml";
        lab.cluster.must("n1", &["sh", "-c", quiet]).await;
        for node in ["n2/kubelet", "n3/kubelet"] {
            lab.cluster.set_flags(node, &["300"]);
        }
        let kubelets = NODES.map(|node| format!("{node}/kubelet"));
        lab.cluster.service("stop", &kubelets.each_ref().map(String::as_str)).await;
        lab.cluster.service("start", &kubelets.each_ref().map(String::as_str)).await;
        // For survivors; everybody else is an administrator here.
        lab.cluster.kubectl("create clusterrole all-nodes --verb=get,list,watch --resource=nodes").await;
        lab.cluster.kubectl("create clusterrolebinding all-nodes --clusterrole=all-nodes --group=system:nodes").await;
        for node in NODES {
            for (family, address) in original(node) {
                lab.addresses.borrow_mut().insert((node, family), address);
            }
            lab.patch(node, json!({"metadata": {"labels": {"serve-public": "true"}}})).await;
            lab.tell_kubernetes(node).await;
        }
        lab.all_ready().await;
        lab
    }

    fn files(&self) -> PathBuf {
        self.cluster.directory().join("compare")
    }

    pub(super) async fn patch(&self, node: &str, patch: Value) {
        self.nodes.patch(node, &PatchParams::default(), &Patch::Merge(patch)).await.expect("the API server takes it");
    }

    /// Has the Node's annotations, from which ExternalDNS knows public addresses, say what the node has.
    pub(super) async fn tell_kubernetes(&self, node: &'static str) {
        let address = |family| self.addresses.borrow().get(&(node, family)).cloned();
        let both: Vec<_> = ["A", "AAAA"].into_iter().filter_map(address).collect();
        let target = (!both.is_empty()).then(|| both.join(","));
        self.patch(
            node,
            json!({"metadata": {"annotations": {"external-dns.kubernetes.io/target": target,
                "example.com/v4": address("A"), "example.com/v6": address("AAAA")}}}),
        )
        .await;
    }

    /// Each node's Ready condition: `True`, `False`, `Unknown`.
    pub(super) async fn ready(&self) -> BTreeMap<String, String> {
        let Ok(nodes) = self.nodes.list(&ListParams::default()).await else { return BTreeMap::new() };
        let ready = |node: Node| {
            let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
            let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
            (node.metadata.name.unwrap_or_default(), ready.map(|ready| ready.status).unwrap_or_default())
        };
        nodes.items.into_iter().map(ready).collect()
    }

    pub(super) async fn all_ready(&self) {
        self.cluster
            .until("all nodes are ready", async |_| {
                let ready = self.ready().await;
                ready.len() == NODES.len() && ready.values().all(|status| status == "True")
            })
            .await;
    }

    pub(super) async fn cordon(&self, node: &str, cordoned: bool) {
        self.patch(node, json!({"spec": {"unschedulable": cordoned}})).await;
    }

    /// The kubelet's word that its node is not ready, or is again. A stand-in's stays until it starts anew.
    pub(super) async fn set_ready(&self, node: &str, ready: bool) {
        let status = if ready { "True" } else { "False" };
        let patch = json!({"status": {"conditions": [{"type": "Ready", "status": status, "reason": "Compared"}]}});
        let patch = Patch::Strategic(patch);
        self.nodes.patch_status(node, &PatchParams::default(), &patch).await.expect("the API server takes it");
    }

    /// Gives a node another IPv6 address, or its first again; when.
    pub(super) async fn readdress(&self, node: &'static str) -> SystemTime {
        let first = original(node)[1].1.clone();
        let old = self.addresses.borrow()[&(node, "AAAA")].clone();
        let new = if old == first { first.replace("::1", "::2") } else { first };
        let command =
            format!("echo $EPOCHREALTIME; ip address add {new}/64 dev eth0 nodad && ip address del {old}/64 dev eth0");
        self.addresses.borrow_mut().insert((node, "AAAA"), new);
        let when = self.cluster.must(node, &["bash", "-c", &command]).await;
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(when.trim().parse().expect("a time"))
    }

    /// Takes both public addresses from a node, or gives it its first ones.
    pub(super) async fn set_addressed(&self, node: &'static str, addressed: bool) {
        let word = if addressed { "replace" } else { "del" };
        for (family, address) in original(node) {
            let length = if family == "A" { "24" } else { "64" };
            let more = if addressed && family == "AAAA" { " nodad" } else { "" };
            let command = format!("ip address {word} {address}/{length} dev eth0{more}");
            self.cluster.run(node, &["sh", "-c", &command]).await;
            let mut addresses = self.addresses.borrow_mut();
            if addressed {
                addresses.insert((node, family), address);
            } else {
                addresses.remove(&(node, family));
            }
        }
        self.tell_kubernetes(node).await;
    }

    /// What the pool ought to hold with these nodes in it.
    pub(super) fn expected(&self, nodes: &[&str]) -> BTreeSet<String> {
        let addresses = self.addresses.borrow();
        addresses.iter().filter(|((node, _), _)| nodes.contains(node)).map(|(_, value)| value.clone()).collect()
    }

    /// What the pool of a column does hold, apart from what is somebody else's.
    pub(super) fn published(&self, column: Column) -> BTreeSet<String> {
        let (pool, zone) = (column.pool(), column.zone().1);
        let sets = self.cluster.sim.record_sets(&zone).into_iter();
        let own = sets.filter(|set| set.name == pool && ["A", "AAAA"].contains(&set.rtype.as_str()));
        own.flat_map(|set| set.values).filter(|value| value != STRANGER).collect()
    }

    /// Waits until the pool holds just these nodes; when it did, unless it does not in that time.
    pub(super) async fn until_right(&self, column: Column, nodes: &[&str], patience: Duration) -> Option<SystemTime> {
        let start = Instant::now();
        while start.elapsed() < patience {
            if self.published(column) == self.expected(nodes) {
                return Some(SystemTime::now());
            }
            sleep(Duration::from_millis(2)).await;
        }
        None
    }

    pub(super) fn requests(&self, column: Column, since: SystemTime) -> Vec<Request> {
        let requests = self.cluster.sim.requests().into_iter();
        requests.filter(|request| request.wall >= since && column.asked(request)).collect()
    }

    /// Starts a program that is started again when it ends.
    pub(super) async fn supervise(&self, place: &str, name: &str, manner: &str, command: &[String]) {
        let supervise = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/compare/supervise");
        let files = self.files().display().to_string();
        let _ = fs::remove_file(self.files().join(format!("{name}.pid")));
        // What it leaves open may not keep whoever started it.
        let words =
            ["bash", "-c", "setsid --fork \"$@\" </dev/null >/dev/null 2>&1", "start", supervise, &files, name, manner];
        let words: Vec<_> = words.into_iter().chain(command.iter().map(String::as_str)).collect();
        self.cluster.must(place, &words).await;
        self.cluster.until(&format!("{name} runs"), async |_| self.pid(name, "pid").is_some()).await;
    }

    fn pid(&self, name: &str, what: &str) -> Option<u32> {
        fs::read_to_string(self.files().join(format!("{name}.{what}"))).ok()?.trim().parse().ok()
    }

    /// Ends a program, and who would start it again, as suddenly as can be.
    pub(super) async fn end(&self, name: &str) {
        if let Some(group) = self.pid(name, "self") {
            let command = format!("kill -KILL -{group}");
            self.cluster.run(PUBLISHER, &["bash", "-c", &command]).await;
        }
    }

    /// Ends a program as suddenly; it is started again in its time.
    pub(super) async fn kill(&self, name: &str) {
        let pid = self.pid(name, "pid").expect("it runs");
        self.cluster.must(PUBLISHER, &["bash", "-c", &format!("kill -KILL {pid}")]).await;
    }

    /// How often a column's programs have ended since they were last started.
    pub(super) fn ends(&self, column: Column) -> usize {
        let ends = |name: String| fs::read_to_string(self.files().join(format!("{name}.ends"))).unwrap_or_default();
        column.processes().into_iter().map(|(_, name)| ends(name).lines().count()).sum()
    }

    /// Resident memory of each of a column's programs, in kB.
    pub(super) async fn memory(&self, column: Column) -> Vec<(&'static str, u64)> {
        let mut memory = Vec::new();
        for (place, name) in column.processes() {
            let command = format!("grep VmRSS /proc/{}/status", self.pid(&name, "pid").expect("it runs"));
            let line = self.cluster.must(PUBLISHER, &["bash", "-c", &command]).await;
            memory.push((place, line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")));
        }
        memory
    }
}

/// An address that nobody here has, of record sets that somebody else has made.
pub(super) const STRANGER: &str = "185.12.64.101";

fn original(node: &str) -> [(&'static str, String); 2] {
    let number = node.trim_start_matches('n');
    [("A", format!("185.12.64.1{number}")), ("AAAA", format!("2a01:4ff:f0::1{number}"))]
}
