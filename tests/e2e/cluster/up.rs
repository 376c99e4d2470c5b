//! The cluster itself: what `up` makes, and that nothing of it is left.

use super::fixture::{NODES, in_cluster};

#[test]
fn each_node_runs_with_its_own_kubelets_identity() {
    in_cluster(async |cluster| {
        cluster.start_daemons().await;
        for (node, origin) in NODES.iter().zip(["/etc/kubernetes/kubelet.conf", "k3s", "rke2"]) {
            let (status, code) = cluster.status(node).await;
            assert_eq!(code, Some(0), "{status:#}");
            assert_eq!(status["node"], *node, "{status:#}");
            let kubernetes = status["kubernetes"].to_string();
            assert!(kubernetes.contains(origin), "{kubernetes}");
            assert_eq!(cluster.reasons(node).await, ["eligible"]);
        }
    });
}
