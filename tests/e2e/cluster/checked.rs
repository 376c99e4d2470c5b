//! What `nodedns check` finds on a node, and what it prints there.

use serde_json::Value;

use super::fixture::Cluster;

/// What `nodedns check` finds on a node.
pub(crate) struct Checked {
    pub(crate) code: Option<i32>,
    pub(crate) report: Value,
}

impl Checked {
    pub(crate) async fn of(cluster: &Cluster, node: &str) -> Self {
        let ran = cluster.run(node, &["nodedns", "check", "--output", "json"]).await;
        let report = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"));
        Checked { code: ran.code, report }
    }

    /// The checks that came to this, without whom resolvers ask: there is none here.
    pub(crate) fn ids(&self, outcome: &str) -> Vec<&str> {
        let checks = self.report["checks"].as_array().expect("checks").iter();
        let of_it = checks.filter(|check| check["outcome"] == outcome && check["section"] != "hosted_zones");
        of_it.filter_map(|check| check["id"].as_str()).collect()
    }

    pub(crate) fn the(&self, id: &str) -> &Value {
        let checks = self.report["checks"].as_array().expect("checks");
        checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("no {id}: {:#}", self.report))
    }
}

/// The manifests that `nodedns check` shows to a person, as they stand there.
pub(crate) async fn printed(cluster: &Cluster, node: &str) -> Vec<String> {
    let shown = cluster.run(node, &["nodedns", "check"]).await.stdout;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut lines = shown.lines().peekable();
    let mut manifests = Vec::new();
    while let Some(line) = lines.next() {
        if line.contains("'kubectl apply -f -':") {
            let mut manifest = String::new();
            while let Some(next) = lines.next_if(|next| depth(next) > depth(line)) {
                manifest.push_str(&format!("{next}\n"));
            }
            manifests.push(manifest);
        }
    }
    assert!(!manifests.is_empty(), "no manifest in {shown}");
    manifests
}
