//! Certificates and authorities that are replaced while the daemon runs: no restart, no gap.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use route53_sim::{Operation, Request};
use serde_json::Value;
use tokio::time::sleep;

use super::control_plane::A_MINUTE;
use super::fixture::{Cluster, NODES, expected, in_cluster};

/// Where k3s keeps what its kubelet has.
const AGENT: &str = "/var/lib/rancher/k3s/agent";

/// How the daemons are while something is replaced: always published, and never started anew.
struct Steady {
    since: Instant,
    pids: BTreeMap<&'static str, String>,
}

impl Steady {
    fn new(cluster: &Cluster) -> Self {
        let pids = NODES.map(|node| (node, cluster.pid(&format!("{node}/nodedns"))));
        Steady { since: Instant::now(), pids: pids.into() }
    }

    /// The record sets are as they were. To be called again and again.
    fn look(&self, cluster: &Cluster) {
        for node in NODES {
            assert_eq!(cluster.own(node), expected(node), "{node}, {:?} after the start", self.since.elapsed());
        }
    }

    /// Nobody has asked Route 53 for anything but what is due: one more look at each of the two names after
    /// the start, and two after each break of the watch, in which somebody may have taken the node for dead.
    /// One watch may have been broken by a busy machine. And nobody was started.
    fn end(&self, cluster: &Cluster, breaks: [usize; 3]) {
        self.look(cluster);
        for (node, breaks) in NODES.iter().zip(breaks) {
            let requests = cluster.requests_of(node, self.since);
            println!("{node}: {} listings in {:?}", requests.len(), self.since.elapsed());
            let listed = |request: &&Request| request.operation == Operation::ListResourceRecordSets;
            assert_eq!(requests.iter().filter(listed).count(), requests.len(), "{node}: {requests:#?}");
            assert!(requests.len() <= 2 * (1 + 2 * (breaks + 1)), "{node}: {requests:#?}");
        }
        assert_eq!(Steady::new(cluster).pids, self.pids);
    }
}

/// A packaged daemon is started anew with each credential: it finds the record sets as they are to be, and
/// writes nothing.
async fn writes_nothing_at_a_restart(cluster: &Cluster) {
    let since = Instant::now();
    for node in NODES {
        let daemon = format!("{node}/nodedns");
        let before = cluster.pid(&daemon);
        cluster.service("stop", &[&daemon]).await;
        cluster.service("start", &[&daemon]).await;
        assert_ne!(cluster.pid(&daemon), before);
        let listed = async |cluster: &Cluster| {
            assert_eq!(cluster.own(node), expected(node), "{node}, {:?} after the restarts began", since.elapsed());
            // Each of the two names is looked at, and the Node is known.
            cluster.requests_of(node, since).len() >= 2 && cluster.is_connected(node).await
        };
        cluster.until_within(A_MINUTE, &format!("{node} is back"), listed).await;
    }
    cluster.stays(Duration::from_secs(5), "published", async |cluster| cluster.all_are_published()).await;
    cluster.nothing_was_written(since, "restarted after the rotation");
}

/// With which certificates a node's daemon was answered, and how often, in the order of the first time.
fn certificates(cluster: &Cluster, node: &str) -> Vec<String> {
    let asked = cluster.asked_by(&format!("system:node:{node}")).into_iter();
    let mut certificates: Vec<String> = Vec::new();
    for asked in asked.filter(|asked| asked.code == 200) {
        if !certificates.contains(&asked.credential) {
            certificates.push(asked.credential);
        }
    }
    certificates
}

#[test]
fn a_kubelet_that_rotates_its_certificate_takes_the_daemon_with_it() {
    in_cluster(async |cluster| {
        /// A kubelet asks for the next certificate when 70 to 90 % of the time are over: then there are 15 s left
        /// at the least.
        const GOOD_FOR: Duration = Duration::from_secs(150);
        cluster.audit().await;
        cluster.be_patient_with_nodes().await;
        cluster.service("stop", &["n1/kubelet"]).await;
        let until = format!("{} seconds", GOOD_FOR.as_secs());
        cluster.certificate_of("pki", &["short", "/O=system:nodes/CN=system:node:n1", "", "now", &until]).await;
        let made = Instant::now();
        let pem = cluster.must("hub", &["cat", &cluster.pki("short.crt"), &cluster.pki("short.key")]).await;
        let current = "/var/lib/kubelet/pki/kubelet-client-current.pem";
        let short = "/var/lib/kubelet/pki/kubelet-client-2026-01-01-00-00-00.pem";
        cluster.write("n1", short, &pem).await;
        cluster.must("n1", &["ln", "-sfn", short, current]).await;
        cluster.service("start", &["n1/kubelet"]).await;
        cluster.start_daemons().await;
        let steady = Steady::new(&cluster);
        assert_eq!(certificates(&cluster, "n1").len(), 1);
        assert_eq!(cluster.must("n1", &["readlink", current]).await.trim(), short);
        let patience = GOOD_FOR + Duration::from_secs(20);
        cluster
            .until_within(patience, "the kubelet has moved its link", async |cluster| {
                steady.look(cluster);
                cluster.must("n1", &["readlink", current]).await.trim() != short
            })
            .await;
        println!("rotated {:?} after the certificate was made, which is good for {GOOD_FOR:?}", made.elapsed());
        let rotated = Instant::now();
        cluster
            .until_within(A_MINUTE, "the daemon has the new one", async |cluster| {
                steady.look(cluster);
                certificates(cluster, "n1").len() == 2
            })
            .await;
        println!("the daemon has the new certificate {:?} after the kubelet", rotated.elapsed());
        while made.elapsed() < GOOD_FOR + Duration::from_secs(3) {
            steady.look(&cluster);
            sleep(Duration::from_millis(50)).await;
        }
        // Between the old one's end and the next look at the files there may be one question that is refused.
        steady.end(&cluster, [1, 0, 0]);
        let (status, code) = cluster.status("n1").await;
        assert_eq!((status["kubernetes"]["connected"].as_bool(), code), (Some(true), Some(0)), "{status:#}");
        cluster.follows_a_cordon("n1").await;
        assert_eq!(certificates(&cluster, "n1").len(), 2);
        writes_nothing_at_a_restart(&cluster).await;
    });
}

#[test]
fn the_files_that_k3s_writes_when_it_starts_are_taken_up() {
    in_cluster(async |cluster| {
        cluster.audit().await;
        cluster.be_patient_with_nodes().await;
        cluster.start_daemons().await;
        let steady = Steady::new(&cluster);
        let taken_up = async |cluster: &Cluster, what: &str, before: usize| {
            let took = cluster
                .until_within(A_MINUTE, what, async |cluster| {
                    steady.look(cluster);
                    certificates(cluster, "n2").len() > before
                })
                .await;
            println!("{what}: {took:?} later");
        };

        // A restart of k3s: another key, another certificate, while the old one is still good.
        cluster.service("stop", &["n2/kubelet"]).await;
        cluster.service("start", &["n2/kubelet"]).await;
        taken_up(&cluster, "the new files are in use", 1).await;

        // A torn one: the certificate is there and its key is not yet, for more than a cycle of the watch.
        cluster.certificate("torn", "/O=system:nodes/CN=system:node:n2").await;
        let certificate = cluster.must("hub", &["cat", &cluster.pki("torn.crt")]).await;
        let key = cluster.must("hub", &["cat", &cluster.pki("torn.key")]).await;
        cluster.write("n2", &format!("{AGENT}/client-kubelet.crt"), &certificate).await;
        const SAID: &str = "cannot be read yet with the credentials that have changed";
        cluster
            .until_within(A_MINUTE, "it is noticed", async |cluster| {
                steady.look(cluster);
                cluster.log("n2/nodedns").contains(SAID)
            })
            .await;
        let (status, code) = cluster.status("n2").await;
        assert_eq!((status["kubernetes"]["connected"].as_bool(), code), (Some(true), Some(0)), "{status:#}");
        // And now the running watch breaks off, too: nothing is known any more, and nothing is done.
        cluster.service("kill", &["n2/load-balancer"]).await;
        cluster.service("start", &["n2/load-balancer"]).await;
        cluster
            .until_within(A_MINUTE, "it cannot ask", async |cluster| {
                steady.look(cluster);
                cluster.status("n2").await.0["kubernetes"]["connected"] == false
            })
            .await;
        let error = cluster.status("n2").await.0["kubernetes"]["error"].as_str().unwrap_or_default().to_owned();
        println!("meanwhile: {error}");
        assert!(error.contains(AGENT) && error.contains("do not belong together"), "{error}");
        cluster.stays(Duration::from_secs(12), "published", async |cluster| cluster.is_published("n2")).await;
        cluster.write("n2", &format!("{AGENT}/client-kubelet.key"), &key).await;
        taken_up(&cluster, "the pair that is whole is in use", 2).await;
        cluster
            .until_within(A_MINUTE, "it is connected", async |cluster| {
                cluster.status("n2").await.0["kubernetes"]["connected"] == true
            })
            .await;
        steady.end(&cluster, [0, 1, 0]);
        for node in NODES {
            cluster.follows_a_cordon(node).await;
        }
        assert_eq!(Steady::new(&cluster).pids, steady.pids);
        writes_nothing_at_a_restart(&cluster).await;
    });
}

#[test]
fn a_new_authority_of_the_servers_is_taken_up() {
    in_cluster(async |cluster| {
        cluster.start_daemons().await;
        // They trust what they have read, and nothing is to be said of the nodes.
        cluster.controllers_leave().await;
        let steady = Steady::new(&cluster);
        // What `k3s certificate rotate-ca` replaces: the authority of the servers, and what it has signed.
        cluster.server_certificate("pki-new", "apiserver").await;
        let new = |file: &str| cluster.directory().join("pki-new").join(file).display().to_string();
        let flag = |name: &str, file: &str| format!("--{name}={}", new(file));
        cluster.set_flags(
            "hub/kube-apiserver",
            &[&flag("tls-cert-file", "apiserver.crt"), &flag("tls-private-key-file", "apiserver.key")],
        );
        // In the hub both are trusted.
        let (old, authority) = (cluster.pki("ca.crt"), new("ca.crt"));
        cluster.must("hub", &["sh", "-c", &format!("cat {authority} >>{old}")]).await;
        cluster.service("kill", &["hub/kube-apiserver"]).await;
        cluster.service("start", &["hub/kube-apiserver"]).await;
        let all = async |cluster: &Cluster, are_so: fn(&Value) -> bool| {
            steady.look(cluster);
            let mut all = true;
            for node in NODES {
                all &= are_so(&cluster.status(node).await.0["kubernetes"]);
            }
            all
        };
        // At first it is only away.
        let distrusts = |kubernetes: &Value| {
            let error = kubernetes["error"].as_str().unwrap_or_default();
            kubernetes["connected"] == false
                && error.contains("cannot trust the API server")
                && error.contains("'certificate-authority'")
        };
        cluster.until_within(A_MINUTE, "nobody trusts it", async |cluster| all(cluster, distrusts).await).await;

        let authority = cluster.must("hub", &["cat", &authority]).await;
        cluster.write("n2", &format!("{AGENT}/server-ca.crt"), &authority).await;
        cluster.write("n3", "/var/lib/rancher/rke2/agent/server-ca.crt", &authority).await;
        // kubeadm's has it within.
        let in_base64 = cluster.must("hub", &["base64", "--wrap=0", &new("ca.crt")]).await;
        let edit = format!("s/certificate-authority-data: .*/certificate-authority-data: {in_base64}/");
        cluster.must("n1", &["sed", "-i", &edit, "/etc/kubernetes/kubelet.conf"]).await;
        let took = cluster
            .until_within(A_MINUTE, "all trust the new authority", async |cluster| {
                all(cluster, |kubernetes| kubernetes["connected"] == true).await
            })
            .await;
        println!("the new authority is in use {took:?} after it was written");
        steady.end(&cluster, [1, 1, 1]);
        for node in NODES {
            cluster.follows_a_cordon(node).await;
        }
        assert_eq!(Steady::new(&cluster).pids, steady.pids);
        writes_nothing_at_a_restart(&cluster).await;
    });
}
