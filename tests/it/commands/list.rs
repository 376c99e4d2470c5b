//! `nodedns list`: whose the record sets are and how their nodes are, and what it says where it cannot know.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use nodedns::cli::list::{Failure, Listed, NodesError, NodesView, PoolView, render};
use nodedns::config::{Sources, load};
use nodedns::decide::glob::Globs;
use nodedns::decide::inventory::{Place, Viewpoint, inventory};
use nodedns::decide::name::DnsName;
use nodedns::decide::node::{NodeSummary, Nodes, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::SetIdentifier;
use nodedns::decide::record::{self, RecordType, Target};
use nodedns::decide::routing::{Coordinates, Location, Routing};
use route53_sim::{Count, Fault, Operation, RecordSet, Sim, Target as Requests};
use serde_json::{Value, json};

use crate::support::api_server::{Answer, ApiServer};
use crate::support::desk::{Desk, finish, without_kubernetes};

const ZONE: &str = "Z0123456789ABC";
const EDGE: &str = "[[record]]\nname = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"\n";
const OF_EACH_NODE: &str = "[[record]]\nname = \"{node}.nodes.example.com\"\nzone_id = \"Z0123456789ABC\"\n";

fn sim() -> Sim {
    Sim::builder().zone("example.com", ZONE).start()
}

fn weighted(name: &str, identifier: &str) -> RecordSet {
    RecordSet::new(name, "A").set_identifier(identifier).weight(10).ttl(60).value("185.12.64.1")
}

/// Puts a record set of the cluster `home` for each node.
fn put(sim: &Sim, name: &str, nodes: &[&str]) {
    nodes.iter().for_each(|node| sim.put(ZONE, weighted(name, &format!("nodedns/v1/home/{node}"))));
}

/// A Node whose Ready condition has been as it is for three hours, and half a minute.
fn node(name: &str, ready: &str) -> Value {
    let since = Timestamp::now() - SignedDuration::from_secs(3 * 3600 + 20);
    json!({
        "kind": "Node", "apiVersion": "v1", "metadata": {"name": name}, "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": format!("{since:.0}")}]}
    })
}

async fn cluster(nodes: &[&str]) -> ApiServer {
    let server = ApiServer::start().await;
    nodes.iter().for_each(|name| server.set_node(node(name, "True")));
    server
}

/// Of each record set: where, set identifier, relation, state of the node, attention.
fn told(listed: &Value) -> Vec<[String; 5]> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let pools = listed["pools"].as_array().expect("pools").iter();
    pools
        .flat_map(|pool| {
            let place = format!("{} {}", text(&pool["name"]), text(&pool["type"]));
            let sets = pool["sets"].as_array().expect("sets").iter();
            sets.map(move |set| {
                let [identifier, relation, state, attention] =
                    ["set_identifier", "relation", "node_state", "attention"].map(|key| text(&set[key]));
                [place.clone(), identifier, relation, state, attention]
            })
        })
        .collect()
}

fn rows(expected: &[[&str; 5]]) -> Vec<[String; 5]> {
    expected.iter().map(|row| row.map(str::to_owned)).collect()
}

fn names(listed: &Value) -> Vec<String> {
    let mut names: Vec<_> =
        told(listed).into_iter().map(|[place, identifier, ..]| format!("{place} {identifier}")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn every_relation_and_every_state() {
    let (sim, server) = (sim(), cluster(&["n1", "n6"]).await);
    let mut cordoned = node("n2", "True");
    cordoned["spec"]["unschedulable"] = json!(true);
    server.set_node(cordoned);
    server.set_node(node("n3", "Unknown"));
    let mut leaving = node("n4", "True");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    server.set_node(leaving);
    put(&sim, "edge.example.com", &["n1", "n2", "n3", "n4", "n5", "n6"]);
    sim.put(ZONE, weighted("edge.example.com", "nodedns/v1/home-2/n5"));
    sim.put(ZONE, weighted("edge.example.com", "nodedns/v1/home/n5/x"));
    let desk = Desk::new(sim, EDGE).with_kubernetes(&server);

    let (code, listed) = desk.json(&["list"]).await;
    let edge = "edge.example.com A";
    assert_eq!(
        told(&listed),
        rows(&[
            [edge, "nodedns/v1/home/n5", "sibling", "gone", "gone"],
            [edge, "nodedns/v1/home/n3", "sibling", "not_ready", "not_ready"],
            [edge, "nodedns/v1/home/n4", "sibling", "ready", "deleting"],
            [edge, "nodedns/v1/home/n2", "sibling", "cordoned", "cordoned"],
            [edge, "nodedns/v1/home-2/n5", "foreign_cluster", "unknown", "-"],
            [edge, "nodedns/v1/home/n1", "own", "ready", "-"],
            [edge, "nodedns/v1/home/n5/x", "foreign", "unknown", "-"],
            [edge, "nodedns/v1/home/n6", "sibling", "ready", "-"],
        ])
    );
    assert_eq!(code, Some(0), "what it shows is no failure");
    assert_eq!(
        (&listed["needs_attention"], &listed["cluster"], &listed["node"]),
        (&json!(true), &json!("home"), &json!("n1"))
    );
    assert_eq!(listed["nodes"]["count"], 5);
    assert_eq!((&listed["nodes_error"], &listed["errors"], &listed["remarks"]), (&Value::Null, &json!([]), &json!([])));
    let sets = &listed["pools"][0]["sets"];
    assert_eq!(sets[0]["owner"], json!({"cluster": "home", "node": "n5"}));
    assert_eq!(sets[6]["owner"], Value::Null);
    assert_eq!((&sets[2]["deleting"], &sets[3]["deleting"]), (&json!(true), &json!(false)));
    let seconds = sets[1]["not_ready_seconds"].as_u64().expect("a number");
    assert!((10_800..11_400).contains(&seconds), "{seconds}");
    assert!(sets[0]["not_ready_seconds"].is_null() && sets[2]["not_ready_seconds"].is_null());

    let said = desk.run(&["list"]).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(
        said.out.starts_with("edge.example.com A (Z0123456789ABC, weighted, 8 record sets, TTL 60)\nNODE"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains(
            "8 record sets in 1 pool: 3 live, 1 cordoned, 1 not ready for 3h, 1 gone, 1 of other clusters, 1 foreign\n"
        ),
        "{}",
        said.out
    );
    assert!(said.out.ends_with("hint: 'nodedns prune' removes what nodes that are gone have left\n"), "{}", said.out);
    assert!(server.seen().iter().all(|seen| seen.method == "GET" && !seen.is_watch()));
    assert!(desk.sim.requests().iter().all(|request| request.operation == Operation::ListResourceRecordSets));

    let yaml = desk.run(&["list", "-o", "yaml"]).await.out;
    let yaml: Value = serde_saphyr::from_str(&yaml).expect("YAML");
    assert_eq!(told(&yaml), told(&listed));
}

#[tokio::test]
async fn whether_something_needs_attention_is_not_known_without_the_nodes() {
    let sim = sim();
    put(&sim, "edge.example.com", &["n1", "n9"]);
    sim.put(ZONE, weighted("hand.example.com", "hand-made"));
    let records = format!("{EDGE}{}", EDGE.replace("edge", "hand"));
    let desk = Desk::new(sim, &records);
    let (code, listed) = desk.json(&["list"]).await;
    let attention = |pool: usize| &listed["pools"][pool]["needs_attention"];
    assert_eq!((code, &listed["pools"][0]["name"]), (Some(0), &json!("edge.example.com")));
    assert_eq!((&listed["needs_attention"], attention(0), attention(1)), (&Value::Null, &Value::Null, &json!(false)));
    // What could not be read may need it as well.
    desk.sim.remove(ZONE, "edge.example.com", "A", Some("nodedns/v1/home/n1"));
    desk.sim.remove(ZONE, "edge.example.com", "A", Some("nodedns/v1/home/n9"));
    let (_, listed) = desk.json(&["list"]).await;
    assert_eq!(listed["needs_attention"], false);
    desk.sim.inject(Operation::ListResourceRecordSets, Fault::AccessDenied, Count::Next(1));
    let (code, listed) = desk.json(&["list"]).await;
    assert_eq!((code, &listed["needs_attention"]), (Some(1), &Value::Null), "{listed}");
}

#[tokio::test]
async fn what_the_record_ignores_is_shown_and_needs_no_attention() {
    let (sim, server) = (sim(), cluster(&["n1"]).await);
    server.set_node(node("n3", "False"));
    put(&sim, "edge.example.com", &["n1", "n3"]);
    let desk = Desk::new(sim, &format!("{EDGE}signals = {{ not_ready = \"ignore\" }}\n")).with_kubernetes(&server);
    for args in [&["list"][..], &["list", "--all-zones"]] {
        let (_, listed) = desk.json(args).await;
        assert_eq!(listed["needs_attention"], false);
        assert_eq!(listed["pools"][0]["sets"][1]["node_state"], "not_ready");
    }
}

#[tokio::test]
async fn names_of_other_nodes_are_found_by_what_the_record_makes_of_them() {
    let (sim, server) = (sim(), cluster(&["n1", "n2", "rack.n3"]).await);
    for name in ["n1", "n9", "rack.n3"] {
        put(&sim, &format!("{name}.nodes.example.com"), &[name]);
    }
    // Not what the record makes for the owner.
    put(&sim, "xn1.nodes.example.com", &["n1"]);
    put(&sim, "n8.nodes.example.com.example.com", &["n8"]);
    put(&sim, "n7.others.example.com", &["n7"]);
    put(&sim, "nodes.example.com", &["n7"]);
    let simple = |name: &str| RecordSet::new(name, "A").ttl(60).value("185.12.64.9");
    sim.put(ZONE, simple("n2.nodes.example.com"));
    sim.put(ZONE, simple("www.nodes.example.com"));
    let desk = Desk::new(sim, &format!("{EDGE}{OF_EACH_NODE}")).with_kubernetes(&server);
    let (code, listed) = desk.json(&["list"]).await;
    assert_eq!(code, Some(0));
    assert_eq!(
        told(&listed),
        rows(&[
            ["n9.nodes.example.com A", "nodedns/v1/home/n9", "sibling", "gone", "gone"],
            ["n1.nodes.example.com A", "nodedns/v1/home/n1", "own", "ready", "-"],
            // In the way of a node that there is.
            ["n2.nodes.example.com A", "-", "foreign", "unknown", "-"],
            ["rack.n3.nodes.example.com A", "nodedns/v1/home/rack.n3", "sibling", "ready", "-"],
        ])
    );
    // Each configured name, and the zone once.
    assert_eq!(desk.sim.requests().len(), 3, "{:?}", desk.sim.requests());

    // Names restrict, and then nothing is read that nobody asked for.
    for (name, requests, expected) in [
        ("N9.nodes.example.com.", 1, &["n9.nodes.example.com A nodedns/v1/home/n9"][..]),
        ("www.nodes.example.com", 1, &["www.nodes.example.com A -"]),
        ("n1.nodes.example.com", 1, &["n1.nodes.example.com A nodedns/v1/home/n1"]),
        ("edge.example.com", 1, &[]),
    ] {
        desk.sim.clear_requests();
        let (code, listed) = desk.json(&["list", name]).await;
        assert_eq!(
            (code, names(&listed)),
            (Some(0), expected.iter().map(|name| (*name).to_owned()).collect()),
            "{name}"
        );
        assert_eq!(desk.sim.requests().len(), requests, "{name}");
    }
    desk.sim.clear_requests();
    for (name, expected) in [
        (
            "www.example.com",
            "error: www.example.com is not a configured name\nhint: configured: \
             edge.example.com, {node}.nodes.example.com\n",
        ),
        ("nodes.example.com", "error: nodes.example.com is not a configured name\nhint: "),
        ("a..b", "error: 'a..b' is not a name: "),
    ] {
        let said = desk.run(&["list", "edge.example.com", name]).await;
        assert_eq!((said.code, said.out.as_str()), (Some(64), ""), "{name}");
        assert!(said.err.starts_with(expected), "{}", said.err);
    }
    assert_eq!(desk.sim.requests().len(), 0);
}

#[tokio::test]
async fn without_the_own_nodes_name_the_names_of_the_others_are_found_all_the_same() {
    let sim = sim();
    put(&sim, "n2.nodes.example.com", &["n2"]);
    let desk = Desk::new(sim, OF_EACH_NODE);
    // No node can be called so, and then no name is the own one.
    desk.replace("node = \"n1\"", "node = \"n_1\"");
    let (code, listed) = desk.json(&["list"]).await;
    assert_eq!((code, &listed["node"]), (Some(0), &Value::Null));
    assert_eq!(names(&listed), ["n2.nodes.example.com A nodedns/v1/home/n2"]);
}

#[tokio::test]
async fn full_pools_and_many_records() {
    let (sim, server) = (sim(), cluster(&[]).await);
    let node_names: Vec<String> = (1..=100).map(|number| format!("n{number}")).collect();
    node_names.iter().for_each(|name| server.set_node(node(name, "True")));
    let all: Vec<&str> = node_names.iter().map(String::as_str).collect();
    put(&sim, "s1.example.com", &all);
    put(&sim, "s2.example.com", &all);
    let records: String = (1..=40)
        .map(|number| format!("[[record]]\nname = \"s{number}.example.com\"\nzone_id = \"{ZONE}\"\n"))
        .collect();
    (3..=40).for_each(|number| put(&sim, &format!("s{number}.example.com"), &["n1"]));
    put(&sim, "s40.example.com", &["gone"]);
    let desk = Desk::new(sim, &records).with_kubernetes(&server);
    let (code, listed) = desk.json(&["list"]).await;
    assert_eq!((code, listed["pools"].as_array().map(Vec::len)), (Some(0), Some(40)));
    assert_eq!(told(&listed).len(), 2 * 100 + 38 + 1);
    assert_eq!(listed["pools"][0]["name"], "s40.example.com", "what needs attention comes first");
    assert_eq!(desk.sim.requests().len(), 40);
    let said = desk.run(&["list"]).await;
    assert!(said.out.contains("239 record sets in 40 pools: 238 live, 1 gone\n"), "{}", said.out);
    assert_eq!(said.out.lines().filter(|line| line.starts_with("n50 ")).count(), 2);
}

/// Two zones that can be read and one that cannot, with record sets of two clusters and of others.
fn account() -> Sim {
    let zones = Sim::builder().zone("example.com", ZONE).zone("example.org", "ZORG").private_zone("lan", "ZLAN");
    let sim = zones.zone("denied.example", "ZDENIED").start();
    put(&sim, "edge.example.com", &["n1", "n9"]);
    sim.put(ZONE, RecordSet::new("www.example.com", "A").ttl(60).value("185.12.64.9"));
    sim.put(ZONE, weighted("hand.example.com", "nodedns/v1/home"));
    sim.put("ZORG", weighted("a.example.org", "nodedns/v1/other/n9"));
    sim.put("ZORG", weighted("a.example.org", "hand-made"));
    sim.put("ZLAN", weighted("x.lan", "nodedns/v1/home/n1"));
    sim
}

#[tokio::test]
async fn every_zone_of_the_account_and_one_that_is_denied() {
    let (sim, server) = (account(), cluster(&["n1"]).await);
    let desk = Desk::new(sim, EDGE).with_kubernetes(&server);
    let expected = rows(&[
        ["edge.example.com A", "nodedns/v1/home/n9", "sibling", "gone", "gone"],
        ["edge.example.com A", "nodedns/v1/home/n1", "own", "ready", "-"],
        ["x.lan A", "nodedns/v1/home/n1", "own", "ready", "-"],
        ["a.example.org A", "hand-made", "foreign", "unknown", "-"],
        ["a.example.org A", "nodedns/v1/other/n9", "foreign_cluster", "unknown", "-"],
    ]);
    let (code, listed) = desk.json(&["list", "--all-zones"]).await;
    assert_eq!((code, told(&listed)), (Some(0), expected.clone()));

    desk.sim.inject(Requests::zone("ZDENIED"), Fault::AccessDenied, Count::Always);
    let (code, listed) = desk.json(&["list", "--all-zones"]).await;
    assert_eq!((code, told(&listed)), (Some(1), expected));
    let error = &listed["errors"][0];
    assert_eq!(
        (&error["what"], &error["kind"]),
        (&json!("the hosted zone ZDENIED (denied.example)"), &json!("denied"))
    );
    let said = desk.run(&["list", "--all-zones"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("5 record sets in 3 pools: "), "{}", said.out);
    assert!(
        said.err.starts_with("error: cannot read the hosted zone ZDENIED (denied.example): AccessDenied"),
        "{}",
        said.err
    );

    let (code, listed) = desk.json(&["list", "--all-zones", "x.lan"]).await;
    assert_eq!((code, names(&listed)), (Some(1), vec!["x.lan A nodedns/v1/home/n1".to_owned()]));

    desk.sim.inject(Operation::ListResourceRecordSets, Fault::AccessDenied, Count::Always);
    assert_eq!(desk.run(&["list", "--all-zones"]).await.code, Some(77), "nothing at all");
    desk.sim.clear_faults();
    desk.sim.inject(Operation::ListHostedZonesByName, Fault::AccessDenied, Count::Always);
    let said = desk.run(&["list", "--all-zones"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(77), ""));
    assert!(said.err.starts_with("error: cannot list the hosted zones\n"), "{}", said.err);
    assert!(said.err.contains("\nhint: 'nodedns iam-policy --role operator'"), "{}", said.err);
    assert!(!said.err.contains("zone_id"), "{}", said.err);
}

#[tokio::test]
async fn the_account_is_shown_without_a_configuration_file() {
    let desk = Desk::new(account(), EDGE);
    let run = async |output: &str, cluster: Option<&str>| {
        let mut command = desk.command(&["list", "--all-zones", "--output", output]);
        command.env_remove("NODEDNS_CONFIG").env("NODEDNS_ROUTE53__ENDPOINT_URL", desk.sim.endpoint());
        cluster.map(|cluster| command.env("NODEDNS_CLUSTER", cluster).env("NODEDNS_KUBERNETES__ENABLED", "false"));
        finish(command).await
    };
    let said = run("json", None).await;
    let listed: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert_eq!(said.code, Some(0));
    assert_eq!((&listed["cluster"], &listed["nodes_error"]["kind"]), (&Value::Null, &json!("no_cluster")));
    assert!(told(&listed).iter().all(|[_, _, relation, state, attention]| {
        matches!(relation.as_str(), "foreign_cluster" | "foreign") && state == "unknown" && attention == "-"
    }));
    let said = run("table", None).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(
        said.out.contains("which record sets are of this cluster is not known: no cluster is configured\n"),
        "{}",
        said.out
    );

    // A cluster may well be called as the one that stands in for none.
    let listed: Value = serde_json::from_str(&run("json", Some("default")).await.out).expect("JSON");
    assert_eq!(listed["cluster"], "default");
    let listed: Value = serde_json::from_str(&run("json", Some("other")).await.out).expect("JSON");
    let siblings = told(&listed).into_iter().filter(|[_, _, relation, ..]| relation == "sibling").count();
    assert_eq!((siblings, &listed["nodes_error"]["kind"]), (1, &json!("switched_off")));
}

#[tokio::test]
async fn without_kubernetes_nothing_is_gone_and_it_says_what_it_cannot_know() {
    let sim = sim();
    put(&sim, "edge.example.com", &["n1", "n9"]);
    let desk = Desk::new(sim, EDGE);
    let expected = rows(&[
        ["edge.example.com A", "nodedns/v1/home/n1", "own", "unknown", "-"],
        ["edge.example.com A", "nodedns/v1/home/n9", "sibling", "unknown", "-"],
    ]);
    let (code, listed) = desk.json(&["list"]).await;
    assert_eq!((code, told(&listed)), (Some(0), expected.clone()));
    assert_eq!(listed["nodes_error"]["kind"], "switched_off");
    let said = desk.run(&["list"]).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(
        said.out.contains(
            "2 record sets in 1 pool: 2 unknown\nhow the nodes are is not known: kubernetes.enabled is false\n"
        ),
        "{}",
        said.out
    );
    assert!(!said.out.contains("prune"), "{}", said.out);

    // Nothing is said of Kubernetes, and there is none.
    desk.replace("enabled = false", "enabled = \"auto\"");
    let said = finish(without_kubernetes(desk.command(&["list", "--output", "json"]))).await;
    let listed: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert_eq!((said.code, told(&listed)), (Some(0), expected.clone()));
    assert_eq!(listed["nodes_error"]["kind"], "no_kubeconfig");

    // It is wanted, and there is none, or none of use: that is something to warn of.
    desk.replace("enabled = \"auto\"", "enabled = true\nkubeconfig = \"/nonexistent/kubeconfig\"");
    let said = desk.run(&["list"]).await;
    assert_eq!(said.code, Some(0));
    assert!(
        said.err.starts_with("warning: how the nodes are is not known: no kubeconfig found; looked for /nonexistent"),
        "{}",
        said.err
    );
    let (code, listed) = desk.json(&["list"]).await;
    assert_eq!((code, told(&listed)), (Some(0), expected));
    assert_eq!(listed["nodes_error"]["kind"], "bad_configuration");
}

/// A host without Kubernetes that publishes under the cluster's name is not gone.
#[tokio::test]
async fn hosts_that_are_no_nodes_need_no_attention() {
    let (sim, server) = (sim(), cluster(&["n1"]).await);
    put(&sim, "edge.example.com", &["n1", "nas", "vm-7", "gone"]);
    let keep_nodes = "[prune]\nkeep_nodes = [\"nas\", \"vm-*\"]\n";
    let desk = Desk::new(sim, &format!("{EDGE}{keep_nodes}")).with_kubernetes(&server);
    let edge = "edge.example.com A";
    let (_, listed) = desk.json(&["list"]).await;
    assert_eq!(
        told(&listed),
        rows(&[
            [edge, "nodedns/v1/home/gone", "sibling", "gone", "gone"],
            [edge, "nodedns/v1/home/n1", "own", "ready", "-"],
            [edge, "nodedns/v1/home/nas", "sibling", "unknown", "-"],
            [edge, "nodedns/v1/home/vm-7", "sibling", "unknown", "-"],
        ])
    );
    let reasons: Vec<_> = (0..4).map(|at| listed["pools"][0]["sets"][at]["node_state_reason"].clone()).collect();
    let reason = "not a Kubernetes node, by prune.keep_nodes";
    assert_eq!(reasons, [Value::Null, Value::Null, json!(reason), json!(reason)]);
    let said = desk.run(&["list"]).await;
    assert!(said.out.contains(reason), "{}", said.out);
    assert!(said.out.contains("4 record sets in 1 pool: 1 live, 1 gone, 2 unknown\n"), "{}", said.out);
}

#[tokio::test]
async fn where_the_nodes_cannot_be_read_whole_nothing_is_gone() {
    let (sim, server) = (sim(), cluster(&["n1", "n2", "n3"]).await);
    server.page(2);
    put(&sim, "edge.example.com", &["n1", "n9"]);
    let desk = Desk::new(sim, EDGE).with_kubernetes(&server);
    let forbidden = "nodes is forbidden: User \"alice\" cannot list resource \"nodes\"";
    let empty = json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "200"}, "items": []});
    for (answer, kind) in [
        (Answer::Error(403, forbidden.into()), "not_permitted"),
        (Answer::Error(500, "etcd is gone".into()), "unreachable"),
        (Answer::BreaksOff, "unreachable"),
        (Answer::Body(empty.to_string()), "wrong_answer"),
    ] {
        for page in [0, 1] {
            if kind == "wrong_answer" && page == 1 {
                continue;
            }
            (0..page).for_each(|_| server.next_list(Answer::Serve));
            server.next_list(answer.clone());
            let (code, listed) = desk.json(&["list"]).await;
            assert_eq!(code, Some(0), "{answer:?}");
            assert_eq!((&listed["nodes"], &listed["nodes_error"]["kind"]), (&Value::Null, &json!(kind)), "{answer:?}");
            assert!(told(&listed).iter().all(|row| row[3] == "unknown" && row[4] == "-"), "{listed}");
        }
    }
    server.always(Answer::Error(403, forbidden.into()));
    let said = desk.run(&["list"]).await;
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("2 record sets in 1 pool: 2 unknown\n"), "{}", said.out);
    assert!(
        said.err.starts_with("warning: how the nodes are is not known: this identity may not list nodes"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains(
            "\nhint: name the kubeconfig of one who may with --kubeconfig; or bind a ClusterRole with this rule: \
             {apiGroups: [\"\"], resources: [\"nodes\"]"
        ),
        "{}",
        said.err
    );
    assert!(!said.err.contains("SECRET"), "{}", said.err);
}

#[tokio::test]
async fn the_nodes_of_another_cluster_are_doubted() {
    let (sim, server) = (sim(), cluster(&["a", "b"]).await);
    put(&sim, "edge.example.com", &["n1", "n2"]);
    let desk = Desk::new(sim, EDGE).with_kubernetes(&server);
    let said = desk.run(&["list"]).await;
    let doubt = format!("none of the owners is among the 2 nodes that the API server at {} lists: is ", server.url());
    assert!(said.out.contains(&doubt) && !said.out.contains("prune"), "{}", said.out);
    let (_, listed) = desk.json(&["list"]).await;
    assert!(listed["remarks"][0].as_str().is_some_and(|remark| remark.starts_with(&doubt)), "{listed}");
    server.set_node(node("n2", "True"));
    assert!(!desk.run(&["list"]).await.out.contains("none of the owners"));
}

#[tokio::test]
async fn one_name_that_cannot_be_read_does_not_hold_up_the_others() {
    let sim = Sim::builder().zone("example.com", ZONE).zone("example.org", "ZORG").start();
    put(&sim, "edge.example.com", &["n1"]);
    sim.put(ZONE, RecordSet::new("alias.example.com", "CNAME").ttl(60).value("edge.example.com"));
    let records = "[[record]]\nname = \"a.example.org\"\nzone_id = \"ZORG\"\n\
                   [[record]]\nname = \"alias.example.com\"\nzone_id = \"Z0123456789ABC\"\n";
    let desk = Desk::new(sim, &format!("{EDGE}{records}"));
    desk.sim.inject(Requests::zone("ZORG"), Fault::AccessDenied, Count::Always);
    // What may pass is tried again.
    desk.sim.inject(Requests::zone(ZONE), Fault::Throttling, Count::Next(1));
    let (code, listed) = desk.json(&["list"]).await;
    assert_eq!((code, names(&listed)), (Some(1), vec!["edge.example.com A nodedns/v1/home/n1".to_owned()]));
    assert_eq!(listed["errors"][0]["what"], "a.example.org in ZORG");
    assert_eq!(
        listed["remarks"],
        json!(["alias.example.com holds a CNAME, so that no address can be published there"])
    );
    desk.sim.inject(Requests::zone(ZONE), Fault::AccessDenied, Count::Always);
    let said = desk.run(&["list"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(77), ""));
    assert!(said.err.contains("caused by: AccessDenied"), "{}", said.err);
}

#[test]
fn a_template_says_for_which_node_a_name_is_made() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("nodedns.toml");
    for (template, name, expected) in [
        ("{node}.nodes.example.com", "n1.nodes.example.com", Some("n1")),
        ("{node}.nodes.example.com", "rack.n1.nodes.example.com", Some("rack.n1")),
        ("{node}.nodes.example.com", "nodes.example.com", None),
        ("{node}.nodes.example.com", "x.nodes.example.com.example.com", None),
        ("{node}.nodes.example.com", "n1.xnodes.example.com", None),
        ("{Node}.nodes.example.com", "n1.nodes.example.com", None),
        ("{node}.Nodes.example.com.", "n1.nodes.example.com", Some("n1")),
        ("edge-{node}.example.com", "edge-n1.example.com", Some("n1")),
        ("edge-{node}.example.com", "edge-.example.com", None),
        ("edge-{node}.example.com", "edge.example.com", None),
        ("{node}.{cluster}.example.com", "n1.home.example.com", Some("n1")),
        ("{node}.{cluster}.example.com", "n1.home-2.example.com", None),
        ("{node}.a.{node}.example.com", "n1.a.n1.example.com", Some("n1")),
        ("{node}.a.{node}.example.com", "n1.a.n2.example.com", None),
        ("{node}.a.{node}.example.com", "n1.a.n12.example.com", None),
        ("*.{node}.example.com", "*.n1.example.com", Some("n1")),
        ("*.{node}.example.com", "a.n1.example.com", None),
        ("edge.example.com", "edge.example.com", None),
    ] {
        let text = format!("cluster = \"home\"\n[[record]]\nname = \"{template}\"\nzone_id = \"Z1\"\n");
        std::fs::write(&path, text).expect("written");
        let Ok(loaded) = load(&Sources { file: Some(path.clone()), ..Sources::default() }) else {
            assert_eq!((template, expected), ("{Node}.nodes.example.com", None));
            continue;
        };
        let found = loaded.config.records[0].node_of("home", &DnsName::parse(name).expect(name));
        assert_eq!(found.as_deref(), expected, "{template} of {name}");
        assert_eq!(loaded.config.records[0].is_of_each_node(), template != "edge.example.com");
    }
}

/// A record set for the pictures.
fn picture(identifier: &str, routing: Routing, values: &[&str], check: Option<&str>) -> record::RecordSet {
    let values = values.iter().map(|text| text.parse::<IpAddr>().expect("an address").into()).collect();
    record::RecordSet {
        set_identifier: (!identifier.is_empty()).then(|| SetIdentifier(identifier.to_owned())),
        routing,
        target: Target::Values { ttl: 60, values },
        health_check_id: check.map(str::to_owned),
    }
}

fn album() -> Listed {
    let place = |name: &str, rtype, sets: Vec<record::RecordSet>| Place {
        zone_id: ZONE.to_owned(),
        name: DnsName::parse(name).expect(name),
        rtype,
        pool: sets.into_iter().map(|set| (set.set_identifier.clone(), set)).collect(),
        signals: BTreeMap::new(),
    };
    let at = |latitude: &str, longitude: &str| Routing::GeoProximity {
        location: Location::Coordinates(Coordinates::parse(latitude, longitude).expect("coordinates")),
        bias: 10,
    };
    let own = |node: &str| format!("nodedns/v1/home/{node}");
    let check = Some("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
    let places = vec![
        place(
            "edge.example.com",
            RecordType::A,
            vec![
                picture(&own("frankfurt-1"), Routing::Weighted(10), &["185.12.64.1"], None),
                picture(&own("frankfurt-2"), Routing::Weighted(10), &["185.12.64.2"], None),
                picture(&own("helsinki-1"), Routing::Weighted(0), &["185.12.64.3"], None),
                picture(&own("nas"), Routing::Weighted(10), &["185.12.64.8"], None),
                picture("nodedns/v1/lab/n1", Routing::Weighted(10), &["185.12.64.4"], None),
                picture("hand-made", Routing::Weighted(1), &["185.12.64.5", "185.12.64.6"], None),
            ],
        ),
        place(
            "near.example.com",
            RecordType::Aaaa,
            vec![
                picture(&own("frankfurt-1"), at("50.11", "8.68"), &["2a01:4f8:c17:b0f0::1"], check),
                picture(&own("helsinki-1"), at("60.17", "24.94"), &["2a01:4f9:c17:b0f0:1234:5678:9abc:def0"], None),
            ],
        ),
        place("plain.example.com", RecordType::A, vec![picture("", Routing::Simple, &["185.12.64.7"], None)]),
    ];
    let node = |ready: bool, unschedulable| NodeSummary {
        ready: if ready { Readiness::Ready } else { Readiness::NotReady(None) },
        ready_for: Some(std::time::Duration::from_secs(11_000)),
        unschedulable,
        deleting: false,
    };
    let nodes: Nodes =
        [("frankfurt-1".to_owned(), node(true, false)), ("frankfurt-2".to_owned(), node(false, false))].into();
    let keep_nodes = Globs(vec!["nas*".to_owned()]);
    let from = Viewpoint { cluster: Some("home"), node: Some("frankfurt-1"), keep_nodes: Some(&keep_nodes) };
    let pools: Vec<PoolView> = inventory(places, from, Observed::Known(&nodes)).iter().map(PoolView::from).collect();
    Listed {
        cluster: Some("home".to_owned()),
        node: Some("frankfurt-1".to_owned()),
        needs_attention: Some(true),
        nodes: Some(NodesView {
            count: 2,
            server: "https://127.0.0.1:6443".to_owned(),
            kubeconfig: PathBuf::from("/etc/rancher/k3s/k3s.yaml"),
        }),
        nodes_error: None,
        pools,
        errors: Vec::new(),
        remarks: Vec::new(),
    }
}

#[test]
fn the_pools_at_several_widths() {
    let listed = album();
    insta::assert_snapshot!("list_wide", render(&listed, None));
    insta::assert_snapshot!("list_200", render(&listed, Some(200)));
    insta::assert_snapshot!("list_80", render(&listed, Some(80)));
    for line in render(&listed, Some(80)).lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_pools_for_programs() {
    let mut listed = album();
    insta::assert_snapshot!("list_json", serde_json::to_string_pretty(&listed).expect("plain data"));
    listed.nodes = None;
    listed.nodes_error =
        Some(NodesError { kind: "not_permitted", message: "no".to_owned(), hint: Some("ask".to_owned()) });
    listed.errors = vec![Failure { what: "the hosted zone Z2".to_owned(), kind: "denied", message: "no".to_owned() }];
    listed.remarks = vec!["one".to_owned()];
    listed.pools.clear();
    insta::assert_snapshot!("list_json_without_nodes", serde_json::to_string_pretty(&listed).expect("plain data"));
}
