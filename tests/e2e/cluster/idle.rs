//! What it costs when nobody does anything.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use super::fixture::{Cluster, NODES, in_cluster};
use super::rolling::{DAEMONS, at_rest, process, started};
use crate::node::words;

#[test]
fn at_rest_nothing_is_asked_of_route_53_and_nothing_listed_in_kubernetes() {
    const POLICY: &str =
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n";
    in_cluster(async |cluster| {
        let directory = cluster.directory();
        let (policy, audit) = (directory.join("audit-policy"), directory.join("log/audit"));
        fs::write(&policy, POLICY).expect("a file");
        let flags =
            [format!("--audit-policy-file={}", policy.display()), format!("--audit-log-path={}", audit.display())];
        cluster.set_flags("hub/kube-apiserver", &flags.each_ref().map(String::as_str));
        cluster.service("kill", &["hub/kube-apiserver"]).await;
        cluster.service("start", &["hub/kube-apiserver"]).await;
        cluster.kubectl("wait node --all --for=condition=Ready --timeout=60s").await;
        let begin = Instant::now();
        started(&cluster).await;
        // What the daemons have asked so far: what comes with a node's identity, but not from its kubelet.
        let asked = || -> Vec<Value> {
            let text = fs::read_to_string(&audit).expect("the API server's log");
            let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let is_daemons = |event: &Value| {
                let user = event["user"]["username"].as_str().unwrap_or_default();
                let agent = event["userAgent"].as_str().unwrap_or_default();
                user.starts_with("system:node:") && !agent.starts_with("kubelet") && !agent.starts_with("curl")
            };
            events.filter(is_daemons).collect()
        };
        assert!(asked().iter().any(|event| event["verb"] == "list" || event["verb"] == "watch"), "they are seen");
        // After the start there is one more look, 30 s later.
        let looks = |cluster: &Cluster, node: &str| {
            words(&cluster.requests_of(node, begin)).iter().filter(|word| **word == "list").count()
        };
        cluster.until("the second look", async |cluster| NODES.iter().all(|node| looks(cluster, node) >= 6)).await;
        at_rest(&cluster).await;
        let (route53, kubernetes) = (cluster.sim.requests().len(), asked().len());
        let ticks = async || {
            let mut all = Vec::new();
            for daemon in DAEMONS {
                all.push(processor_time(&cluster, daemon).await);
            }
            all
        };
        let before = ticks().await;
        sleep(Duration::from_secs(60)).await;
        println!("processor time in 60 s: {before:?} to {:?} hundredths of a second", ticks().await);
        let requests = cluster.sim.requests().split_off(route53);
        assert!(requests.is_empty(), "{requests:#?}");
        let events = asked().split_off(kubernetes);
        println!("asked of Kubernetes in 60 s: {} requests", events.len());
        assert!(events.iter().all(|event| event["verb"] == "watch"), "{events:#?}");
        assert!(events.len() <= 3 * 8, "{events:#?}");
        for service in DAEMONS.into_iter().chain(["n1/kubelet"]) {
            let status = format!("/proc/{}/status", process(&cluster, service).await);
            let status = cluster.must("hub", &["cat", &status]).await;
            let memory = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
            println!("{service}: {memory}");
        }
    });
}

/// The processor time that a service has taken, in hundredths of a second.
async fn processor_time(cluster: &Cluster, service: &str) -> u64 {
    let stat = format!("/proc/{}/stat", process(cluster, service).await);
    let stat = cluster.must("hub", &["cat", &stat]).await;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}
