//! What comes along to remove what dead nodes have left.

use route53_sim::RecordSet;
use serde_json::{Value, json};

use super::site::{EDGE, Site};
use crate::node::{ZONE, kubeconfig};
use crate::support::api_server::ApiServer;

on_each_debian!(pruning_is_off_and_works_when_it_is_wanted);

fn node(name: &str, ready: &str, since: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "uid": name },
        "spec": {},
        "status": { "conditions": [
            { "type": "Ready", "status": ready, "reason": "Test", "lastTransitionTime": since },
        ] },
    })
}

async fn pruning_is_off_and_works_when_it_is_wanted(site: Site) {
    let api = ApiServer::start().await;
    for name in ["n1", "n3"] {
        api.set_node(node(name, "True", "2026-01-01T00:00:00Z"));
    }
    api.set_node(node("n2", "Unknown", "2026-01-02T00:00:00Z"));
    let living = RecordSet::new(EDGE, "A").set_identifier("nodedns/v1/home/n3").ttl(60).value("185.12.64.3");
    site.sim.put(ZONE, living.weight(10));

    site.serve().await;
    for (property, value) in [("UnitFileState", "disabled"), ("ActiveState", "inactive")] {
        assert_eq!(site.machine.property("nodedns-prune.timer", property).await, value);
    }
    let is_there = |id: &str| site.sim.record_set(ZONE, EDGE, "A", Some(id)).is_some();
    // Without a kubeconfig that may list nodes nothing is deleted.
    let configuration = site.configuration().replace("enabled = false", "enabled = true");
    site.machine.write("/etc/nodedns/nodedns.toml", &configuration).await;
    let ran = site.machine.run("systemctl start nodedns-prune.service").await;
    assert!(!ran.succeeded() && is_there("nodedns/v1/home/n2"), "{ran:?}");
    let log = site.machine.log("nodedns-prune.service").await;
    assert!(log.contains("kubeconfig"), "{log}");

    site.machine.write("/etc/credstore/nodedns-prune.kubeconfig", &kubeconfig(&api.url())).await;
    site.machine.must("chmod 0600 /etc/credstore/nodedns-prune.kubeconfig").await;
    site.machine.must("systemctl start nodedns-prune.service").await;
    let ids = ["n1", "n2", "n3"].map(|node| is_there(&format!("nodedns/v1/home/{node}")));
    assert_eq!(ids, [true, false, true]);
    let log = site.machine.log("nodedns-prune.service").await;
    assert!(log.contains("nodedns/v1/home/n2"), "{log}");
    // What brings it back is where the daemon keeps its own things.
    let undo =
        site.machine.must("find /var/lib/nodedns -name '*.json' -newer /etc/credstore/nodedns-prune.kubeconfig").await;
    assert_eq!(undo.lines().count(), 1, "{undo}");

    site.machine.must("systemctl enable --now nodedns-prune.timer").await;
    let next = site.machine.property("nodedns-prune.timer", "NextElapseUSecRealtime").await;
    assert!(!next.is_empty() && next != "n/a", "{next:?}");
}
