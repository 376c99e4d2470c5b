//! What it costs when nobody does anything.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::audit::Asked;
use super::fixture::{Cluster, NODES, in_cluster};
use super::rolling::{DAEMONS, at_rest, started};
use crate::node::words;

#[test]
fn at_rest_nothing_is_asked_of_route_53_and_nothing_listed_in_kubernetes() {
    in_cluster(async |cluster| {
        cluster.audit().await;
        cluster.kubectl("wait node --all --for=condition=Ready --timeout=60s").await;
        let begin = Instant::now();
        started(&cluster).await;
        let asked = || -> Vec<Asked> { cluster.asked().into_iter().filter(Asked::is_ours).collect() };
        let of_node = |node: &&str| asked().iter().any(|asked| asked.user == format!("system:node:{node}"));
        assert!(NODES.iter().all(of_node), "they are seen");
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
        let requests = asked().split_off(kubernetes);
        println!("asked of Kubernetes in 60 s: {} requests", requests.len());
        assert!(requests.iter().all(|asked| asked.verb == "watch"), "{requests:#?}");
        // A watch lasts half a minute.
        assert!((NODES.len()..=4 * NODES.len()).contains(&requests.len()), "{requests:#?}");
        for service in DAEMONS.into_iter().chain(["n1/kubelet"]) {
            let status = format!("/proc/{}/status", cluster.pid(service));
            let status = cluster.must("hub", &["cat", &status]).await;
            let memory = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
            println!("{service}: {memory}");
        }
    });
}

/// The processor time that a service has taken, in hundredths of a second.
async fn processor_time(cluster: &Cluster, service: &str) -> u64 {
    let stat = format!("/proc/{}/stat", cluster.pid(service));
    let stat = cluster.must("hub", &["cat", &stat]).await;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}
