//! Survivors that do not know how the others are, and what they then leave alone.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::fixture::{NODES, in_cluster};
use super::observer::{none, ready};
use super::survivors::{GRACE, RULE, is_removed, permit, removals, returns, start_survivors, survivors, watching};

#[test]
fn an_api_server_that_restarts_within_the_grace_has_nobody_removed_early() {
    in_cluster(async |cluster| {
        permit(&cluster, RULE).await;
        let observer = start_survivors(&cluster).await;
        watching(&cluster, &NODES).await;

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
        cluster.may_be_removed(None);
        let on = Instant::now();
        cluster.service("start", &["n3"]).await;
        returns(&cluster, &observer, "n3", on).await;
        cluster.judge("n3 has power again");
    });
}

#[test]
fn a_survivor_that_was_cut_off_itself_removes_nobody_by_what_it_knew() {
    in_cluster(async |cluster| {
        permit(&cluster, RULE).await;
        let observer = start_survivors(&cluster).await;
        watching(&cluster, &NODES).await;

        // n1 sees n3 die, and is then cut off in the middle of the grace.
        let off = Instant::now();
        cluster.service("stop", &["n3"]).await;
        cluster
            .until("n1 knows that n3 is dead", async |cluster| survivors(cluster, "n1").await["not_ready"] == 1)
            .await;
        sleep(GRACE / 6).await;
        let cut = Instant::now();
        cluster.service("stop", &["n1/network"]).await;
        // n2 is left alone with two that are down.
        cluster.until("n2 is frozen", async |cluster| survivors(cluster, "n2").await["state"] == "frozen").await;

        // By what n1 knew, it is time to remove n3, and long past it.
        let quiet = GRACE + Duration::from_secs(5);
        cluster.stays(quiet, "nobody is removed", async |cluster| cluster.all_are_published()).await;
        cluster.until("n1 knows nothing", async |cluster| survivors(cluster, "n1").await["state"] == "unknown").await;
        none(&cluster.requests_of("n1", cut + Duration::from_secs(1)), "n1 is cut off");

        // n3 comes back before n1, which is the one that is away too long now.
        cluster.may_be_removed(Some("n1"));
        cluster.service("start", &["n3"]).await;
        cluster.until("n1 is removed", async |cluster| cluster.is_withdrawn("n1")).await;
        cluster.may_be_removed(None);
        let back = Instant::now();
        cluster.service("start", &["n1/network"]).await;
        returns(&cluster, &observer, "n1", back).await;
        watching(&cluster, &NODES).await;
        let quiet = Duration::from_secs(10);
        cluster.stays(quiet, "all stay", async |cluster| cluster.all_are_published()).await;
        for node in ["n2", "n3"] {
            assert_eq!(removals(&cluster, node, off).iter().filter(|(by, _, _)| *by != node).count(), 0, "{node}");
        }
        cluster.judge("n1 is back and has removed nobody");
    });
}
