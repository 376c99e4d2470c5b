//! Survivors need a right that a kubelet has not: who says so, and that it is enough to do what is said.

use std::time::Duration;

use super::checked::{Checked, printed};
use super::fixture::{Cluster, NODES, in_cluster};
use super::node_state::is_eligible;
use super::survivors::{RULE, enable_survivors};

/// What `nodedns status` says of the survivors: their state, its explanation, and the exit code.
async fn said(cluster: &Cluster, node: &str) -> (String, String, Option<i32>) {
    let (status, code) = cluster.status(node).await;
    let text = |key: &str| status["survivors"][key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("explanation"), code)
}

#[test]
fn survivors_begin_when_what_check_prints_for_them_is_applied() {
    in_cluster(async |cluster| {
        enable_survivors(&cluster).await;
        cluster.start_daemons().await;
        let blind = async |cluster: &Cluster| {
            let mut all = true;
            for node in NODES {
                all &= said(cluster, node).await.1.contains("(403)");
            }
            all
        };
        cluster.until("each says that it may not", blind).await;
        let mut manifests = Vec::new();
        for node in NODES {
            let (state, explanation, code) = said(&cluster, node).await;
            assert_eq!((state.as_str(), code), ("unknown", Some(2)), "{explanation}");
            assert!(explanation.contains("may not list nodes"), "{explanation}");
            assert!(explanation.contains(RULE) && explanation.contains("'nodedns check'"), "{explanation}");
            // The own Node is another matter.
            assert_eq!(cluster.reasons(node).await, ["eligible"]);
            let shown = cluster.run(node, &["nodedns", "status"]).await.stdout;
            assert!(shown.lines().any(|line| line.starts_with("hint: bind a ClusterRole")), "{shown}");

            let checked = Checked::of(&cluster, node).await;
            assert_eq!((checked.code, checked.ids("failed")), (Some(2), vec!["daemon_health", "nodes_list"]));
            let text = checked.the("nodes_list")["text"].as_str().expect("a text");
            assert!(text.contains("[survivors] needs that"), "{text}");
            let printed = printed(&cluster, node).await;
            assert_eq!(printed.len(), 1, "{printed:#?}");
            manifests.extend(printed);
        }
        let pids = NODES.map(|node| cluster.pid(&format!("{node}/nodedns")));
        for manifest in &manifests {
            cluster.apply(manifest).await;
        }
        let all_watch = async |cluster: &Cluster| {
            let mut all = true;
            for node in NODES {
                all &= said(cluster, node).await.0 == "watching";
            }
            all
        };
        let took = cluster.until_within(Duration::from_secs(70), "all watch", all_watch).await;
        println!("survivors watch {took:?} after the rights were given");
        assert_eq!(NODES.map(|node| cluster.pid(&format!("{node}/nodedns"))), pids);
        for node in NODES {
            is_eligible(&cluster, node).await;
            let checked = Checked::of(&cluster, node).await;
            assert_eq!((checked.code, checked.ids("failed"), checked.ids("warning")), (Some(0), vec![], vec![]));
            assert_eq!(checked.the("nodes_watch")["outcome"], "ok");
        }
        cluster.judge("the end");
    });
}
