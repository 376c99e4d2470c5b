//! The API server restarts, and forgets what it has said; or it is set back to what it once was.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::control_plane::{API_SERVER, BACK_AGAIN, ETCD};
use super::fixture::{Cluster, NODES, in_cluster};

/// How many versions the present is ahead of the backup.
const LATER: u64 = 5000;

/// A watch that ends within its first 5 s is not resumed: the Node is listed anew.
const TOO_YOUNG: Duration = Duration::from_secs(6);

/// Stops the API server, in this way, and starts it again. When it was ready.
async fn restart(cluster: &Cluster, how: &str) -> Instant {
    cluster.controllers_leave().await;
    stop_and_start(cluster, how).await;
    let returned = Instant::now();
    cluster.controllers_return().await;
    returned
}

async fn stop_and_start(cluster: &Cluster, how: &str) {
    cluster.service(how, &[API_SERVER]).await;
    cluster.service("start", &[API_SERVER]).await;
}

/// Has an API server that is told to stop end every watch properly, as one behind a load balancer is set up to.
/// Without it, it waits for them, and they never end.
fn end_watches_at_a_stop(cluster: &Cluster) {
    cluster.set_flags(API_SERVER, &["--shutdown-watch-termination-grace-period=2s"]);
}

async fn version_of(cluster: &Cluster, node: &str) -> u64 {
    let version = cluster.kubectl(&format!("get node {node} --output=jsonpath={{.metadata.resourceVersion}}")).await;
    version.trim().parse().expect("a number, as etcd counts")
}

/// Halts a daemon shortly after its watch has begun, so that the watch is not overdue when it goes on.
async fn halt_in_a_young_watch(cluster: &Cluster, node: &str) {
    let service = format!("{node}/nodedns");
    cluster.service("stop", &[&service]).await;
    cluster.service("start", &[&service]).await;
    cluster.until("it watches", async |cluster| cluster.is_connected(node).await).await;
    cluster.service("pause", &[&service]).await;
}

#[test]
fn a_restart_of_the_api_server_is_no_news_and_what_was_missed_is_followed() {
    in_cluster(async |cluster| {
        end_watches_at_a_stop(&cluster);
        cluster.configure_all("[kubernetes]", "[log]\nlevel = \"debug\"").await;
        cluster.start_daemons().await;
        let since = Instant::now();
        let returned = restart(&cluster, "kill").await;
        cluster.until_connected(&NODES, returned, "killed").await;
        let returned = restart(&cluster, "stop").await;
        cluster.until_connected(&NODES, returned, "stopped").await;
        for how in ["kill", "stop"] {
            restart(&cluster, how).await;
        }
        let returned = restart(&cluster, "kill").await;
        cluster.nothing_was_written(since, "restarted again and again");

        // What is cordoned before anybody watches again.
        cluster.kubectl("cordon n1").await;
        cluster.until("n1 is withdrawn", async |cluster| cluster.is_withdrawn("n1")).await;
        let took = returned.elapsed();
        println!("restarted three times in a row: a cordon is followed {took:.1?} after the return");
        assert!(took < BACK_AGAIN, "{took:?}");
        cluster.until_connected(&NODES, returned, "restarted three times in a row").await;
        cluster.kubectl("uncordon n1").await;
        cluster.until("n1 is back", async |cluster| cluster.is_published("n1")).await;
        for node in ["n2", "n3"] {
            assert!(cluster.writes_of(node, since).is_empty(), "{node} wrote");
        }
        cluster.judge("a cordon after restarts");

        // A watch that ended in good order is resumed where it was, and that is not known any more.
        let mut expired = false;
        for _ in 0..3 {
            // The controllers leave before and return afterwards: meanwhile nothing is to make the watch overdue.
            cluster.controllers_leave().await;
            halt_in_a_young_watch(&cluster, "n2").await;
            let halted = Instant::now();
            let seen = version_of(&cluster, "n2").await;
            let said = cluster.log("n2/nodedns").len();
            stop_and_start(&cluster, "stop").await;
            cluster.kubectl("cordon n2").await;
            let watch = format!("/api/v1/nodes?watch=1&timeoutSeconds=1&resourceVersion={seen}");
            let answer = cluster.must("hub", &["kubectl", "get", "--raw", &watch]).await;
            assert!(answer.contains(r#""code":410"#), "the API server remembers: {answer}");
            sleep(TOO_YOUNG.saturating_sub(halted.elapsed())).await;
            let resumed = Instant::now();
            cluster.service("resume", &["n2/nodedns"]).await;
            cluster.until("n2 is withdrawn", async |cluster| cluster.is_withdrawn("n2")).await;
            let took = resumed.elapsed();
            assert!(took < BACK_AGAIN, "{took:?}");
            expired = cluster.log("n2/nodedns")[said..].contains("answered 410: too old resource version");
            println!("a watch resumed at an old version (410: {expired}): a cordon is followed after {took:.1?}");
            cluster.controllers_return().await;
            cluster.kubectl("uncordon n2").await;
            cluster.until("n2 is back", async |cluster| cluster.is_published("n2")).await;
            if expired {
                break;
            }
        }
        assert!(expired, "the daemon was never told that its version is too old");
        for node in ["n1", "n3"] {
            let writes = cluster.writes_of(node, since);
            assert_eq!(writes.is_empty(), node == "n3", "{node}: {writes:#?}");
        }
        cluster.judge("a watch cache that is cold");
    });
}

#[test]
fn a_control_plane_that_is_set_back_to_a_backup_is_followed() {
    in_cluster(async |cluster| {
        end_watches_at_a_stop(&cluster);
        cluster.configure_all("[kubernetes]", "[log]\nlevel = \"debug\"").await;
        cluster.start_daemons().await;
        // From now on it ends its watches at a stop.
        let returned = restart(&cluster, "kill").await;
        cluster.until_connected(&NODES, returned, "restarted").await;
        let backup = cluster.directory().join("backup");
        let backup = backup.to_str().expect("plain characters");
        cluster.kubectl("cordon n3").await;
        cluster.until("n3 is withdrawn", async |cluster| cluster.is_withdrawn("n3")).await;
        cluster.must("hub", &["env", "ETCDCTL_API=3", "etcdctl", "snapshot", "save", backup]).await;
        // So much happens afterwards that it takes the past minutes to come as far.
        let put = format!("http://127.0.0.1:2379/v3/kv/put?[1-{LATER}]");
        let busy =
            ["curl", "--silent", "--fail", "--output", "/dev/null", "--data", r#"{"key":"YQ==","value":"YQ=="}"#, &put];
        cluster.must("hub", &busy).await;
        cluster.kubectl("uncordon n3").await;
        cluster.kubectl("cordon n2").await;
        let present = async |cluster: &Cluster| cluster.is_published("n3") && cluster.is_withdrawn("n2");
        cluster.until("n3 is back and n2 is withdrawn", present).await;
        cluster.judge("before it is set back");

        let version = version_of(&cluster, "n2").await;
        cluster.controllers_leave().await;
        cluster.service("stop", &[API_SERVER]).await;
        cluster.service("stop", &[ETCD]).await;
        let etcd = cluster.directory().join("layers/etcd");
        let restore = format!(
            "rm -rf {etcd}; ETCDCTL_API=3 etcdctl snapshot restore {backup} --data-dir {etcd}",
            etcd = etcd.display()
        );
        cluster.must("hub", &["sh", "-ec", &restore]).await;
        cluster.service("start", &[ETCD, API_SERVER]).await;
        let returned = Instant::now();
        let restored = version_of(&cluster, "n2").await;
        assert!(restored + LATER <= version, "{restored} is not long before {version}");
        cluster.controllers_return().await;
        let past = async |cluster: &Cluster| cluster.is_withdrawn("n3") && cluster.is_published("n2");
        cluster.until("n3 is withdrawn again and n2 is back", past).await;
        let took = returned.elapsed();
        println!("set back from version {version} to {restored}: DNS is right {took:.1?} after the return");
        assert!(took < BACK_AGAIN, "{took:?}");
        cluster.judge("set back");
    });
}
