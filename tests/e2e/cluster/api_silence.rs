//! The API server lives or not, and cannot be reached: nobody listens, somebody listens and says nothing, or
//! packets go nowhere.

use std::time::{Duration, Instant};

use super::control_plane::{A_MINUTE, API_SERVER, BACK_AGAIN};
use super::fixture::{Cluster, NODES, in_cluster};

/// How long an address is dead.
const MINUTE: Duration = Duration::from_secs(60);

/// What has the hub drop, without a word, all that the first node sends to the API server. The kernel's own rule
/// for its addresses comes first otherwise.
const BLACK_HOLE: &str = "ip rule add pref 2 lookup local; ip rule del pref 0; \
                          ip rule add pref 1 iif br0 from 10.77.0.11 ipproto tcp dport 6443 blackhole";
const NO_BLACK_HOLE: &str = "ip rule del pref 1";

/// After these nodes have been cut off, in this way: noticed in time, and nothing leaves for a minute. Then they
/// are cordoned, and it is mended.
async fn a_dead_minute(
    cluster: &Cluster,
    what: &str,
    nodes: &[&str],
    cut: impl AsyncFnOnce(&Cluster),
    mend: impl AsyncFnOnce(&Cluster),
) {
    let since = Instant::now();
    cut(cluster).await;
    for node in nodes {
        let status = cluster.until_noticed(node, since, what).await;
        assert!(status["kubernetes"]["last_contact"].is_string(), "since when is not told: {status:#}");
        let error = status["kubernetes"]["error"].as_str().unwrap_or_default();
        assert!(error.contains("the API server at https://") && !error.contains("elapsed"), "{error}");
    }
    cluster
        .stays(MINUTE.saturating_sub(since.elapsed()), "all stay", async |cluster| cluster.all_are_published())
        .await;
    for node in nodes {
        cluster.kubectl(&format!("cordon {node}")).await;
    }
    cluster.nothing_was_written(since, what);
    mend(cluster).await;
    let mended = Instant::now();
    cluster
        .until("the cordons are followed", async |cluster| nodes.iter().all(|node| cluster.is_withdrawn(node)))
        .await;
    let took = mended.elapsed();
    println!("{what}: a cordon made meanwhile is followed {took:.1?} after it is mended");
    assert!(took < BACK_AGAIN, "{what}: {took:?}");
    for node in nodes {
        cluster.kubectl(&format!("uncordon {node}")).await;
    }
    cluster.until("all are back", async |cluster| cluster.all_are_published()).await;
    for node in NODES.iter().filter(|node| !nodes.contains(node)) {
        assert!(cluster.writes_of(node, since).is_empty(), "{what}: {node} wrote");
    }
    cluster.judge(what);
}

#[test]
fn a_dead_address_is_noticed_within_a_minute_and_takes_nothing_out_of_dns() {
    in_cluster(async |cluster| {
        cluster.start_daemons().await;
        // A kubelet behind a dead address cannot renew its lease, of which this is not about.
        cluster.controllers_leave().await;
        a_dead_minute(
            &cluster,
            "packets are lost, nobody listens",
            &["n2", "n1"],
            async |cluster| {
                cluster.service("stop", &["n2/load-balancer"]).await;
                cluster.must("hub", &["sh", "-ec", BLACK_HOLE]).await;
            },
            async |cluster| {
                cluster.must("hub", &["sh", "-ec", NO_BLACK_HOLE]).await;
                cluster.service("start", &["n2/load-balancer"]).await;
            },
        )
        .await;
        a_dead_minute(
            &cluster,
            "somebody listens and says nothing",
            &["n2"],
            async |cluster| cluster.service("pause", &["n2/load-balancer"]).await,
            async |cluster| cluster.service("resume", &["n2/load-balancer"]).await,
        )
        .await;
    });
}

#[test]
fn an_api_server_that_hangs_is_noticed_within_a_minute_and_followed_when_it_goes_on() {
    in_cluster(async |cluster| {
        cluster.start_daemons().await;
        cluster.controllers_leave().await;
        let since = Instant::now();
        cluster.service("pause", &[API_SERVER]).await;
        for node in NODES {
            cluster.until_noticed(node, since, "the API server hangs").await;
        }
        let rest = Duration::from_secs(90).saturating_sub(since.elapsed());
        cluster.stays(rest, "all stay", async |cluster| cluster.all_are_published()).await;
        // Before there is anything to follow: as soon as the cordon is taken, n2 may have left.
        cluster.nothing_was_written(since, "the API server hangs");
        cluster.service("resume", &[API_SERVER]).await;
        let resumed = Instant::now();
        cluster
            .until_within(A_MINUTE, "n2 is cordoned", async |cluster| {
                cluster.run("hub", &["kubectl", "cordon", "n2"]).await.succeeded()
            })
            .await;
        cluster.until("the cordon is followed", async |cluster| cluster.is_withdrawn("n2")).await;
        let took = resumed.elapsed();
        println!("the API server goes on: a cordon is followed {took:.1?} later");
        assert!(took < BACK_AGAIN, "{took:?}");
        cluster.until_connected(&NODES, resumed, "the API server goes on").await;
        cluster.kubectl("uncordon n2").await;
        cluster.until("all are back", async |cluster| cluster.all_are_published()).await;
        cluster.controllers_return().await;
        for node in ["n1", "n3"] {
            assert!(cluster.writes_of(node, since).is_empty(), "{node} wrote");
        }
        cluster.judge("it goes on");
    });
}
