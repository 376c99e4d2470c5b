//! The NAME arguments, and `--kubeconfig`: the same for every command that takes them.

use std::fs;

use route53_sim::{RecordSet, Sim};
use serde_json::json;

use crate::node_watch::node;
use crate::support::api_server::{Answer, ApiServer, token_kubeconfig};
use crate::support::desk::Desk;

const ZONE: &str = "Z0123456789ABC";

fn record(name: &str, more: &str) -> String {
    format!("[[record]]\nname = \"{name}\"\nzone_id = \"{ZONE}\"\ntypes = [\"A\"]\n{more}\n")
}

fn ready(name: &str) -> serde_json::Value {
    let mut node = node("True");
    node["metadata"]["name"] = json!(name);
    node
}

fn put(sim: &Sim, name: &str, owner: &str) {
    let set = RecordSet::new(name, "A").set_identifier(owner).weight(10).ttl(60).value("198.51.100.1");
    sim.put(ZONE, set);
}

#[tokio::test]
async fn a_name_that_is_of_no_use_is_told_in_the_same_words_everywhere() {
    let records = record("edge.example.com", "") + &record("{node}.nodes.example.com", "");
    let sim = Sim::builder().zone("example.com", ZONE).start();
    let desk = Desk::new(sim, &records);
    let configured = "configured: edge.example.com, {node}.nodes.example.com\n";
    for command in ["list", "prune", "adopt"] {
        for (name, expected) in [
            ("a..b", "error: 'a..b' is not a name: ".to_owned()),
            (
                "Egde.example.com.",
                format!(
                    "error: egde.example.com is not a configured name\nhint: did you mean edge.example.com? {configured}"
                ),
            ),
            (
                "n.nodes.example.com.example.com",
                format!("error: n.nodes.example.com.example.com is not a configured name\nhint: {configured}"),
            ),
            ("{nod}.nodes.example.com", "error: ".to_owned()),
        ] {
            let said = desk.run(&[command, "edge.example.com", name]).await;
            assert_eq!((said.code, said.out.as_str()), (Some(64), ""), "{command} {name}: {said:?}");
            assert!(said.err.starts_with(&expected), "{command} {name}: {}", said.err);
        }
    }
    assert_eq!(desk.sim.requests().len(), 0);
    // Another node's is for others to adopt.
    let said = desk.run(&["adopt", "n2.nodes.example.com"]).await;
    assert_eq!(said.code, Some(64), "{said:?}");
    let said = desk.run(&["list", "n2.nodes.example.com"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// `list` and `prune` find the same names of other nodes.
#[tokio::test]
async fn names_of_other_nodes_are_the_same_for_list_and_prune() {
    let server = ApiServer::start().await;
    ["n1", "n2", "n3"].iter().for_each(|name| server.set_node(ready(name)));
    let sim = Sim::builder().zone("example.com", ZONE).start();
    for (name, owner) in [
        ("n2.nodes.example.com", "nodedns/v1/home/n2"),
        ("gone.nodes.example.com", "nodedns/v1/home/gone"),
        // In the way of a node that there is, and of one that there is not.
        ("n3.nodes.example.com", "by hand"),
        ("n4.nodes.example.com", "by hand"),
        // Not what the record makes for the owner.
        ("xgone.nodes.example.com", "nodedns/v1/home/gone"),
    ] {
        put(&sim, name, owner);
    }
    let records = record("{node}.nodes.example.com", "keep_min = 0");
    let desk = Desk::new(sim, &records).with_kubernetes(&server);
    let (_, listed) = desk.json(&["list"]).await;
    let mut names: Vec<_> =
        listed["pools"].as_array().expect("pools").iter().map(|pool| pool["name"].clone()).collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["gone.nodes.example.com", "n2.nodes.example.com", "n3.nodes.example.com"]);
    let (code, shown) = desk.json(&["prune", "--dry-run"]).await;
    assert_eq!((code, &shown["pools"][0]["name"]), (Some(2), &json!("gone.nodes.example.com")), "{shown}");
    let kept: Vec<_> = shown["kept"].as_array().expect("kept").iter().map(|kept| kept["name"].clone()).collect();
    assert_eq!(kept, ["n2.nodes.example.com", "n3.nodes.example.com"]);

    // A single name of another node needs no scan of the whole zone.
    desk.sim.clear_requests();
    let (code, shown) = desk.json(&["prune", "--dry-run", "gone.nodes.example.com"]).await;
    assert_eq!((code, shown["pools"].as_array().map(Vec::len)), (Some(2), Some(1)), "{shown}");
    // Unless it says nothing of whether this is the right cluster: then the other names do.
    assert_eq!(desk.sim.requests().len(), 3);
    desk.sim.clear_requests();
    let (code, shown) = desk.json(&["prune", "--dry-run", "n2.nodes.example.com"]).await;
    assert_eq!((code, &shown["kept"][0]["reason"]), (Some(0), &json!("live")), "{shown}");
    assert_eq!(desk.sim.requests().len(), 1);
}

/// A name that two records make, one of them for a node, is one pool under the higher bound.
#[tokio::test]
async fn a_name_of_two_records_is_pruned_once_and_under_the_higher_bound() {
    let server = ApiServer::start().await;
    ["n1", "n2", "n3"].iter().for_each(|name| server.set_node(ready(name)));
    let sim = Sim::builder().zone("example.com", ZONE).start();
    for owner in ["n2", "gone"] {
        put(&sim, "gone.example.com", &format!("nodedns/v1/home/{owner}"));
    }
    let records = record("{node}.example.com", "keep_min = 0") + &record("gone.example.com", "keep_min = 2");
    let desk = Desk::new(sim, &records).with_kubernetes(&server);
    let (code, shown) = desk.json(&["prune", "--dry-run"]).await;
    assert_eq!(code, Some(0), "{shown}");
    let reasons: Vec<_> = shown["kept"].as_array().expect("kept").iter().map(|kept| kept["reason"].clone()).collect();
    assert_eq!(reasons, ["keep_min", "live"]);
}

#[tokio::test]
async fn a_kubeconfig_on_the_command_line_goes_before_the_configuration() {
    let (servers, mine) = (ApiServer::start().await, ApiServer::start().await);
    let words = "nodes is forbidden: User \"system:node:n1\" cannot list resource \"nodes\"";
    servers.always(Answer::Error(403, words.into()));
    ["n1", "n2"].iter().for_each(|name| mine.set_node(ready(name)));
    let sim = Sim::builder().zone("example.com", ZONE).start();
    ["n1", "n2", "gone"].iter().for_each(|node| put(&sim, "edge.example.com", &format!("nodedns/v1/home/{node}")));
    let desk = Desk::new(sim, &record("edge.example.com", "")).with_kubernetes(&servers);
    fs::write(desk.path("mine.yaml"), token_kubeconfig(&mine.url(), "SECRET-TOKEN")).expect("written");

    let said = desk.run(&["list"]).await;
    assert!(said.err.contains("name the kubeconfig of one who may with --kubeconfig"), "{}", said.err);
    let said = desk.run(&["prune", "--dry-run"]).await;
    assert_eq!(said.code, Some(77));
    assert!(said.err.contains("name the kubeconfig of one who may with --kubeconfig"), "{}", said.err);

    // Also where the configuration switches Kubernetes off; and the path is one of this directory.
    for enabled in ["enabled = true", "enabled = false"] {
        if enabled == "enabled = false" {
            desk.replace("enabled = true", enabled);
        }
        let (code, listed) = desk.json(&["list", "--kubeconfig", "mine.yaml"]).await;
        assert_eq!((code, &listed["nodes"]["count"]), (Some(0), &json!(2)), "{listed}");
        assert_eq!(listed["nodes"]["kubeconfig"], desk.path("mine.yaml").display().to_string());
        let (code, shown) = desk.json(&["prune", "--dry-run", "--kubeconfig", "mine.yaml"]).await;
        assert_eq!((code, &shown["nodes"][0]["node"]), (Some(2), &json!("gone")), "{shown}");
        let (_, checked) = desk.json(&["check", "--kubeconfig", "mine.yaml"]).await;
        let checks = checked["checks"].as_array().expect("checks");
        let of = |id: &str| checks.iter().find(|check| check["id"] == id).cloned().unwrap_or_default();
        assert_eq!(of("nodes_list")["outcome"], "ok", "{checked}");
        assert_eq!(of("kubeconfig")["subject"], desk.path("mine.yaml").display().to_string());
    }

    let said = desk.run(&["prune", "--dry-run", "--kubeconfig", "none.yaml"]).await;
    assert_eq!(said.code, Some(78), "{said:?}");
    assert!(said.err.contains("none.yaml"), "{}", said.err);
}

#[tokio::test]
async fn the_hint_is_the_command_to_type() {
    let server = ApiServer::start().await;
    ["n1", "n2"].iter().for_each(|name| server.set_node(ready(name)));
    let sim = Sim::builder().zone("example.com", ZONE).start();
    ["n1", "n2", "gone"].iter().for_each(|node| put(&sim, "edge.example.com", &format!("nodedns/v1/home/{node}")));
    let desk = Desk::new(sim, &record("edge.example.com", "")).with_kubernetes(&server);
    let said = desk.run(&["prune", "edge.example.com", "--grace", "0s"]).await;
    assert_eq!(said.err, "nothing was changed\nhint: 'nodedns prune edge.example.com --grace 0s --yes'\n");
    let said = desk.run(&["prune", "--yes", "--grace", "0s", "--undo-file", "undo.json"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = desk.run(&["restore", "undo.json"]).await;
    assert_eq!(said.err, "nothing was changed\nhint: 'nodedns restore undo.json --yes'\n");
}
