//! Survivors that do not know how the others are, and what they then leave alone.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::fixture::{NODES, in_cluster};
use super::observer::{none, ready};
use super::survivors::{GRACE, comes_back, is_removed, removals, start_permitted, survivors, watching};

#[test]
fn an_api_server_that_restarts_within_the_grace_has_nobody_removed_early() {
    in_cluster(async |cluster| {
        let observer = start_permitted(&cluster).await;

        cluster.may_be_removed(Some("n3"));
        let off = Instant::now();
        cluster.service("stop", &["n3"]).await;
        let unknown = |status: Option<(&str, &str)>| status.is_some_and(|(status, _)| status == "Unknown");
        observer.when(&cluster, "n3", off, |node| unknown(ready(node))).await;
        sleep(GRACE / 2).await;
        // It would wait half a minute for those who watch, were it told to stop.
        cluster.service("kill", &["hub/kube-apiserver"]).await;
        cluster.service("start", &["hub/kube-apiserver"]).await;
        // The wait starts over where the break was a long one; the promise of two seconds is for a cluster that can
        // be asked.
        is_removed(&cluster, &observer, "n3", off, GRACE + Duration::from_secs(30)).await;
        for node in ["n1", "n2"] {
            assert!(cluster.is_published(node), "{node} was Ready all the time");
        }
        watching(&cluster, &["n1", "n2"]).await;
        comes_back(&cluster, &observer, "n3", "start", "n3").await;
    });
}

#[test]
fn a_survivor_that_cannot_ask_the_api_server_removes_nobody_by_what_it_knew() {
    in_cluster(async |cluster| {
        let observer = start_permitted(&cluster).await;

        // n2 sees n3 die, and is then cut off from the API server, and from nothing else, in the middle of the grace.
        let off = Instant::now();
        cluster.service("stop", &["n3"]).await;
        cluster
            .until("n2 knows that n3 is dead", async |cluster| survivors(cluster, "n2").await["not_ready"] == 1)
            .await;
        sleep(GRACE / 6).await;
        let cut = Instant::now();
        cluster.service("pause", &["n2/load-balancer"]).await;
        // n1 is left alone with two that are down.
        cluster.until("n1 is frozen", async |cluster| survivors(cluster, "n1").await["state"] == "frozen").await;

        // By what n2 knew, it is time to remove n3, and long past it; and it could.
        let route53 = [
            "curl",
            "--silent",
            "--fail",
            "--max-time",
            "5",
            "http://10.77.0.1:4580/_sim/zones/Z0123456789ABC/record-sets",
        ];
        let api_server = ["curl", "--insecure", "--max-time", "2", "https://127.0.0.1:6444/livez"];
        let quiet = GRACE + Duration::from_secs(5);
        cluster.stays(quiet, "nobody is removed", async |cluster| cluster.all_are_published()).await;
        cluster.until("n2 knows nothing", async |cluster| survivors(cluster, "n2").await["state"] == "unknown").await;
        assert!(!cluster.run("n2", &api_server).await.succeeded(), "n2 is cut off");
        cluster.must("n2", &route53).await;
        none(&cluster.writes_of("n2", cut), "n2 cannot know");

        // n3 comes back before n2, which is the one that is away too long now.
        cluster.may_be_removed(Some("n2"));
        cluster.service("start", &["n3"]).await;
        cluster.until("n2 is removed", async |cluster| cluster.is_withdrawn("n2")).await;
        comes_back(&cluster, &observer, "n2", "resume", "n2/load-balancer").await;
        watching(&cluster, &NODES).await;
        let quiet = Duration::from_secs(10);
        cluster.stays(quiet, "all stay", async |cluster| cluster.all_are_published()).await;
        for node in ["n1", "n3"] {
            assert_eq!(removals(&cluster, node, off).iter().filter(|(by, _, _)| *by != node).count(), 0, "{node}");
        }
        cluster.judge("n2 is back and has removed nobody");
    });
}
