//! `nodedns prune`, the program itself, guard by guard.

mod decision;
mod pipeline;
mod shown;

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use route53_sim::{Count, Fault, Operation, RecordSet, Sim};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::node_watch::node;
use crate::support::api_server::{Answer, ApiServer};
use crate::support::desk::{Desk, Said, finish};
use crate::support::skip;

pub(super) const ZONE: &str = "Z0123456789ABC";
const NAMES: [&str; 3] = ["a.example.com", "b.example.com", "c.example.com"];

/// A desk whose cluster has these Nodes, and three configured names.
pub(super) async fn desk(nodes: &[Value]) -> (Desk, ApiServer) {
    let server = ApiServer::start().await;
    nodes.iter().for_each(|node| server.set_node(node.clone()));
    let records: String =
        NAMES.iter().map(|name| format!("[[record]]\nname = \"{name}\"\nzone_id = \"{ZONE}\"\n")).collect();
    let sim = Sim::builder().zone("example.com", ZONE).start();
    (Desk::new(sim, &records).with_kubernetes(&server), server)
}

pub(super) fn ready(name: &str) -> Value {
    let mut node = node("True");
    node["metadata"]["name"] = json!(name);
    node
}

/// A Node that has not been Ready for so many seconds.
fn down(name: &str, seconds: i64) -> Value {
    let mut node = node("False");
    node["metadata"]["name"] = json!(name);
    let since = Timestamp::now() - SignedDuration::from_secs(seconds);
    node["status"]["conditions"][1]["lastTransitionTime"] = json!(format!("{since:.0}"));
    node
}

const HOURS: i64 = 2 * 3600;

pub(super) fn set(name: &str, identifier: &str, value: &str) -> RecordSet {
    RecordSet::new(name, "A").set_identifier(identifier).weight(10).ttl(60).value(value)
}

/// A record set of the own cluster for each of these nodes, at this name.
pub(super) fn publish(desk: &Desk, name: &str, nodes: &[&str]) {
    for (number, node) in (1..).zip(nodes) {
        desk.sim.put(ZONE, set(name, &format!("nodedns/v1/home/{node}"), &format!("198.51.100.{number}")));
    }
}

/// The set identifiers at a name, without what they have in common.
pub(super) fn left(desk: &Desk, name: &str) -> Vec<String> {
    let sets = desk.sim.pool(ZONE, name, "A").into_iter();
    let text = |set: RecordSet| set.set_identifier.unwrap_or_default();
    sets.map(|set| text(set).trim_start_matches("nodedns/v1/home/").to_owned()).collect()
}

pub(super) fn writes(desk: &Desk) -> usize {
    let requests = desk.sim.requests();
    requests.iter().filter(|request| !request.operation.name().starts_with("List")).count()
}

/// The only undo file.
pub(super) fn undo_file(desk: &Desk) -> String {
    let files: Vec<_> = std::fs::read_dir(desk.path("state/undo")).expect("a directory").collect();
    let [file] = &files[..] else { panic!("one undo file: {files:?}") };
    file.as_ref().expect("a file").path().display().to_string()
}

struct Running {
    pid: Pid,
    ended: JoinHandle<Said>,
}

impl Running {
    fn start(command: Command) -> Self {
        Self::telling(Stdio::piped(), command)
    }

    /// One whose errors go somewhere else, where they can be read while it runs.
    fn telling(errors: impl Into<Stdio>, mut command: Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(errors).spawn().expect("the program starts");
        let pid = Pid::from_child(&child);
        let ended = tokio::task::spawn_blocking(move || {
            let output = child.wait_with_output().expect("it ends");
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
            Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
        });
        Running { pid, ended }
    }

    fn kill(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("it runs");
    }

    async fn said(self) -> Said {
        self.ended.await.expect("a thread")
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what} has not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn listings(desk: &Desk) -> usize {
    desk.sim.requests().iter().filter(|r| r.operation == Operation::ListResourceRecordSets).count()
}

#[tokio::test]
async fn what_dead_nodes_have_left_goes_and_nothing_else() {
    let mut cordoned = ready("cordoned");
    cordoned["spec"]["unschedulable"] = json!(true);
    let mut unknown = down("unknown", HOURS);
    unknown["status"]["conditions"][1]["lastTransitionTime"] = Value::Null;
    let (desk, _server) =
        desk(&[ready("n1"), cordoned, down("dead", HOURS), down("lately", 30), unknown, ready("n5"), ready("n6")])
            .await;
    publish(&desk, NAMES[0], &["n1", "cordoned", "dead", "lately", "unknown"]);
    for (number, other) in (100..).zip([
        "nodedns/v1/home-2/dead",
        "nodedns/v1/ho/dead",
        "nodedns/v2/home/dead",
        "nodedns/v1/home/dead/x",
        "dead",
    ]) {
        desk.sim.put(ZONE, set(NAMES[0], other, &format!("198.51.100.{number}")));
    }
    // The same name in another zone entry, at another configured name without anything dead.
    publish(&desk, NAMES[1], &["n1"]);
    let before = desk.sim.record_sets(ZONE);
    let (code, shown) = desk.json(&["prune", "--yes"]).await;
    assert_eq!(code, Some(0), "{shown}");
    let gone: Vec<_> = before.into_iter().filter(|set| !desk.sim.record_sets(ZONE).contains(set)).collect();
    let gone: Vec<_> = gone.iter().map(|set| set.set_identifier.as_deref().unwrap_or_default()).collect();
    assert_eq!(gone, ["nodedns/v1/home/dead"]);
    assert_eq!(shown["pools"][0]["outcome"], "done");
    assert_eq!(shown["pools"][0]["changes"][0]["owner"], json!({"cluster": "home", "node": "dead"}));
    assert_eq!(shown["nodes"][0]["node"], "dead");
    let kept: Vec<_> = shown["kept"].as_array().expect("a list").iter().collect();
    let why = |identifier: &str| {
        let found = kept.iter().find(|kept| kept["set_identifier"] == identifier && kept["name"] == NAMES[0]);
        found.map(|kept| kept["reason"].as_str().unwrap_or_default().to_owned()).unwrap_or_default()
    };
    for (identifier, reason) in [
        ("nodedns/v1/home/n1", "live"),
        ("nodedns/v1/home/cordoned", "cordoned"),
        ("nodedns/v1/home/lately", "not_ready_within_grace"),
        ("nodedns/v1/home/unknown", "not_ready_since_unknown"),
        ("nodedns/v1/home-2/dead", "other_cluster"),
        ("nodedns/v1/ho/dead", "other_cluster"),
        ("nodedns/v2/home/dead", "foreign"),
        ("nodedns/v1/home/dead/x", "foreign"),
        ("dead", "foreign"),
    ] {
        assert_eq!(why(identifier), reason, "{identifier}");
    }
    // The batch leaned on a live one, byte for byte.
    let requests = desk.sim.requests();
    let change = requests.iter().find(|request| !request.changes.is_empty()).expect("a change");
    let said: Vec<_> = change.changes.iter().map(|(action, set)| (action.to_string(), set.clone())).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert_eq!((said[1].0.as_str(), said[2].0.as_str(), &said[1].1), ("DELETE", "CREATE", &said[2].1));
    assert_eq!(said[1].1.set_identifier.as_deref(), Some("nodedns/v1/home/n1"));
}

#[tokio::test]
async fn a_node_that_is_gone_is_looked_for_twice() {
    let (desk, server) = desk(&[ready("n1"), ready("n2")]).await;
    publish(&desk, NAMES[0], &["n1", "n2", "gone"]);
    let begin = Instant::now();
    let said = desk.run(&["prune", "--yes", "--grace", "1s"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert!(said.out.starts_with("gone is gone: the cluster has no Node of this name\n"), "{}", said.out);
    assert!(said.out.contains("  - nodedns/v1/home/gone: 198.51.100.3, ttl 60, weighted 10\n"), "{}", said.out);
    assert!(said.err.contains("looking again in 1s"), "{}", said.err);
    assert_eq!(server.seen().len(), 2);
    assert_eq!(left(&desk, NAMES[0]), ["n1", "n2"]);
    let again = desk.run(&["prune", "--yes"]).await;
    assert_eq!((again.code, again.out.as_str()), (Some(0), "dead nodes have left nothing that may be deleted\n"));
}

#[tokio::test]
async fn without_a_yes_nothing_is_changed() {
    let (desk, _server) = desk(&[ready("n1"), ready("n2")]).await;
    publish(&desk, NAMES[0], &["n1", "n2", "gone"]);
    let dry = desk.run(&["prune", "--dry-run"]).await;
    let unasked = desk.run(&["prune"]).await;
    assert_eq!((dry.code, unasked.code), (Some(2), Some(2)));
    assert!(dry.out.contains("- nodedns/v1/home/gone") && dry.out == unasked.out);
    assert_eq!(unasked.err, "nothing was changed\nhint: 'nodedns prune --yes'\n");
    let (code, shown) = desk.json(&["prune", "--dry-run"]).await;
    assert_eq!((code, &shown["dry_run"], &shown["undo_file"]), (Some(2), &json!(true), &Value::Null));
    assert_eq!(shown["pools"][0]["outcome"], "shown");
    assert_eq!(writes(&desk), 0);
    assert!(!desk.path("state").exists());
}

/// Runs it, and nothing may have been changed.
async fn refused(desk: &Desk, args: &[&str], code: i32, why: &str) {
    let before = desk.sim.record_sets(ZONE);
    let said = desk.run(&[&["prune", "--yes"], args].concat()).await;
    assert_eq!(said.code, Some(code), "{said:?}");
    assert!(said.err.contains(why), "{why:?} is not in {}", said.err);
    assert_eq!((desk.sim.record_sets(ZONE), writes(desk)), (before, 0));
    assert!(!desk.path("state").exists(), "no undo file");
}

#[tokio::test]
async fn a_list_of_nodes_that_is_not_whole_deletes_nothing() {
    let (desk, server) = desk(&[ready("n1"), ready("n2")]).await;
    publish(&desk, NAMES[0], &["n1", "n2", "gone"]);
    let empty = json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []});
    for (answer, code, why) in [
        (Answer::Error(403, "nodes is forbidden".into()), 77, "hint: "),
        (Answer::Error(500, "out of order".into()), 69, "out of order"),
        (Answer::BreaksOff, 69, "whole list of nodes"),
        (Answer::Body(empty.to_string()), 1, "whole list of nodes"),
        (Answer::Hang, 69, "does not answer"),
    ] {
        server.next_list(answer);
        refused(&desk, &["--grace", "0s"], code, why).await;
    }
    // Whole at the first look, and not at the second.
    server.next_list(Answer::Serve);
    server.next_list(Answer::BreaksOff);
    let said = desk.run(&["prune", "--yes", "--grace", "0s"]).await;
    assert_eq!((said.code, writes(&desk)), (Some(1), 0), "{said:?}");
    assert!(said.out.contains("a.example.com A: failed: nothing is deleted without the whole list"), "{}", said.out);
}

#[tokio::test]
async fn without_kubernetes_nobody_is_dead() {
    let (desk, _server) = desk(&[ready("n1")]).await;
    publish(&desk, NAMES[0], &["n1", "gone"]);
    desk.replace("enabled = true", "enabled = false");
    refused(&desk, &["--grace", "0s"], 1, "hint: name the kubeconfig of one who may list nodes with --kubeconfig")
        .await;
}

#[tokio::test]
async fn another_cluster_s_nodes_prove_nothing() {
    let (desk, server) = desk(&[ready("x1"), ready("x2"), ready("x3"), ready("x4")]).await;
    publish(&desk, NAMES[0], &["n2", "n3"]);
    let args = ["--grace", "0s", "--keep-min", "0", "--allow-majority-down"];
    refused(&desk, &args, 1, "this looks like another cluster").await;
    // That there is a Node of the own node's name proves nothing, unless it owns something.
    server.set_node(ready("n1"));
    refused(&desk, &args, 1, "this looks like another cluster").await;
    publish(&desk, NAMES[1], &["n1"]);
    refused(&desk, &args[..4], 1, "2 of the 3 nodes that own record sets are not among the cluster's (n2, n3)").await;
    // What it owns at another name counts, although only this one is asked for.
    let said = desk.run(&[&["prune", "--yes", NAMES[0]], &args[..]].concat()).await;
    assert_eq!((said.code, left(&desk, NAMES[0]).len()), (Some(0), 0), "{said:?}");
}

#[tokio::test]
async fn more_than_half_of_the_nodes_down_is_not_believed() {
    let (desk, _server) = desk(&[ready("n1"), down("n2", HOURS), down("n3", HOURS)]).await;
    publish(&desk, NAMES[0], &["n1", "n2", "n3"]);
    refused(&desk, &[], 1, "2 of 3 nodes are not Ready or gone (0 gone)").await;
    let said = desk.run(&["prune", "--yes", "--allow-majority-down"]).await;
    assert_eq!((said.code, left(&desk, NAMES[0])), (Some(0), vec!["n1".to_owned()]), "{said:?}");
}

#[tokio::test]
async fn more_than_max_delete_deletes_nothing_at_all() {
    let (desk, _server) = desk(&[ready("n1"), ready("n2"), ready("n3"), down("d1", HOURS), down("d2", HOURS)]).await;
    publish(&desk, NAMES[0], &["n1", "d1", "d2"]);
    publish(&desk, NAMES[1], &["n1", "d1"]);
    refused(&desk, &["--max-delete", "2"], 1, "3 record sets would be deleted, and --max-delete allows 2").await;
    let said = desk.run(&["prune", "--yes", "--max-delete", "2", "--node", "d1"]).await;
    assert_eq!((said.code, left(&desk, NAMES[0])), (Some(0), vec!["d2".to_owned(), "n1".to_owned()]), "{said:?}");
    let said = desk.run(&["prune", "--yes", "--max-delete", "1"]).await;
    assert_eq!((said.code, left(&desk, NAMES[0])), (Some(0), vec!["n1".to_owned()]), "{said:?}");
}

#[tokio::test]
async fn as_many_live_ones_as_keep_min_asks_for_stay() {
    let (desk, _server) = desk(&[ready("n1"), ready("n2"), down("d1", HOURS), down("lately", 1)]).await;
    desk.replace("name = \"b.example.com\"", "name = \"b.example.com\"\nkeep_min = 2");
    desk.replace("name = \"c.example.com\"", "name = \"{node}.example.com\"");
    publish(&desk, NAMES[0], &["d1", "lately"]);
    publish(&desk, NAMES[1], &["n1", "d1"]);
    publish(&desk, "d1.example.com", &["d1"]);
    publish(&desk, "n1.example.com", &["n1"]);
    // Not what the record would be called on that node.
    publish(&desk, "x.example.com", &["d1"]);
    let before = desk.sim.record_sets(ZONE);
    let said = desk.run(&["prune", "--yes"]).await;
    assert_eq!((said.code, writes(&desk)), (Some(0), 0), "{said:?}");
    assert_eq!(desk.sim.record_sets(ZONE), before);
    for name in [NAMES[0], NAMES[1], "d1.example.com"] {
        let line = said.out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{}", said.out));
        assert!(line.contains("keep_min") || line.contains("lately"), "{line}");
    }
    let hint = "hint: 'nodedns prune a.example.com b.example.com d1.example.com --keep-min 0'";
    assert!(said.out.contains(hint), "{}", said.out);
    let (_, shown) = desk.json(&["prune", "--dry-run", "b.example.com"]).await;
    let kept = shown["kept"].as_array().expect("a list").iter().find(|kept| kept["reason"] == "keep_min");
    let kept = kept.expect("one that keep_min keeps");
    assert_eq!(kept["condition"], "not_ready");
    assert!((HOURS..HOURS + 60).contains(&kept["for_seconds"].as_i64().expect("seconds")), "{kept}");
    assert!(kept["explanation"].as_str().is_some_and(|text| text.starts_with("its node has not been Ready for 2h")));
    let said = desk.run(&["prune", "{node}.example.com", "--yes", "--keep-min", "0"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(left(&desk, "d1.example.com"), [""; 0]);
    assert_eq!(left(&desk, "n1.example.com"), ["n1"]);
    assert_eq!(left(&desk, "x.example.com"), ["d1"]);
    assert_eq!(left(&desk, NAMES[0]), ["d1", "lately"]);
}

#[tokio::test]
async fn hosts_without_kubernetes_are_kept_by_the_configuration() {
    let (desk, _server) = desk(&[ready("n1"), ready("n2")]).await;
    desk.replace("cluster = \"home\"", "cluster = \"home\"\nprune.keep_nodes = [\"nas\", \"vm-*\"]");
    publish(&desk, NAMES[0], &["n1", "gone", "nas", "vm-1"]);
    let said = desk.run(&["prune", "--yes", "--grace", "0s", "--node", "nas", "--node", "gone"]).await;
    assert_eq!(
        (said.code, left(&desk, NAMES[0])),
        (Some(0), vec!["n1".into(), "nas".into(), "vm-1".into()]),
        "{said:?}"
    );
    let (code, shown) = desk.json(&["prune"]).await;
    assert_eq!((code, &shown["nodes"]), (Some(0), &json!([])));
    assert_eq!(shown["kept"][1]["reason"], "not_a_node");
    assert_eq!(shown["kept"][1]["explanation"], "not a Kubernetes node, by prune.keep_nodes");
}

/// A name may be one record's own, and what another makes for a node.
#[tokio::test]
async fn of_two_records_that_make_one_name_the_more_patient_is_heard() {
    // The first of the names is what a record for each node would make for a node of the name "a".
    for (of_node, of_name, left_of_a) in [("3h", "0s", true), ("0s", "3h", false)] {
        let (desk, _server) = desk(&[ready("n1"), ready("n2"), ready("n3"), down("d1", HOURS)]).await;
        let record =
            |name: &str, after: &str| format!("name = \"{name}\"\nsignals.not_ready = {{ after = \"{after}\" }}");
        desk.replace("name = \"b.example.com\"", &record("{node}.example.com", of_node));
        desk.replace("name = \"c.example.com\"", &record("d1.example.com", of_name));
        let names = [NAMES[0], "d1.example.com"];
        names.iter().for_each(|name| publish(&desk, name, &["n1", "d1"]));
        let (code, shown) = desk.json(&["prune", "--yes", "--grace", "0s"]).await;
        assert_eq!(code, Some(0), "{shown}");
        assert_eq!(names.map(|name| left(&desk, name).contains(&"d1".to_owned())), [left_of_a, true], "{shown}");
    }
}

#[tokio::test]
async fn what_the_record_says_of_not_ready_nodes_holds_for_list_and_prune_alike() {
    let (desk, _server) = desk(&[ready("n1"), ready("n2"), ready("n3"), down("d1", HOURS)]).await;
    let waits = "name = \"b.example.com\"\nsignals.not_ready = { after = \"3h\" }";
    desk.replace("name = \"b.example.com\"", waits);
    let ignores = "name = \"c.example.com\"\nsignals.not_ready = { action = \"ignore\" }";
    desk.replace("name = \"c.example.com\"", ignores);
    NAMES.iter().for_each(|name| publish(&desk, name, &["n1", "d1"]));
    publish(&desk, NAMES[2], &["n1", "d1", "gone"]);
    let (_, listed) = desk.json(&["list"]).await;
    let attention: std::collections::BTreeMap<_, _> = listed["pools"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|pool| {
            let sets = pool["sets"].as_array().expect("a list");
            let of_d1 = sets.iter().find(|set| set["set_identifier"] == "nodedns/v1/home/d1").expect("there");
            (pool["name"].as_str().unwrap_or_default(), of_d1["attention"].clone())
        })
        .collect();
    assert_eq!(NAMES.map(|name| attention[name].clone()), [json!("not_ready"), Value::Null, Value::Null]);
    let (code, shown) = desk.json(&["prune", "--yes", "--grace", "0s"]).await;
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(NAMES.map(|name| left(&desk, name).contains(&"d1".to_owned())), [false, true, true]);
    let why = |name: &str, identifier: &str| {
        let kept = shown["kept"].as_array().expect("a list");
        let found = kept.iter().find(|kept| kept["set_identifier"] == identifier && kept["name"] == name);
        found.map(|kept| kept["reason"].clone()).unwrap_or_default()
    };
    assert_eq!(why(NAMES[1], "nodedns/v1/home/d1"), "not_ready_within_grace");
    assert_eq!(why(NAMES[2], "nodedns/v1/home/d1"), "not_ready_ignored");
    // As survivors do: its daemon, if it runs, does not leave for that either.
    assert_eq!(why(NAMES[2], "nodedns/v1/home/gone"), "not_ready_ignored");
}

#[tokio::test]
async fn since_when_a_node_is_not_ready_goes_by_the_api_server_s_clock() {
    let since = |name: &str, at: &str| {
        let mut node = down(name, 0);
        node["status"]["conditions"][1]["lastTransitionTime"] = json!(at);
        node
    };
    // By this host's clock, both have been down for years.
    let lately = since("lately", "2020-12-31T23:59:30Z");
    let (desk, server) = desk(&[ready("n1"), ready("n2"), lately, since("d1", "2020-12-31T20:00:00Z")]).await;
    server.show_date(Some("Fri, 01 Jan 2021 00:00:00 GMT"));
    publish(&desk, NAMES[0], &["n1", "lately", "d1"]);
    let said = desk.run(&["prune", "--yes"]).await;
    assert_eq!((said.code, left(&desk, NAMES[0])), (Some(0), vec!["lately".to_owned(), "n1".to_owned()]), "{said:?}");
    assert!(said.out.contains("d1 has not been Ready for 4h"), "{said:?}");
    assert!(said.out.contains("its node has not been Ready for 30s only"), "{said:?}");
}

#[tokio::test]
async fn only_the_names_that_were_asked_for_are_touched() {
    let (desk, _server) = desk(&[ready("n1"), ready("n2"), down("d1", HOURS)]).await;
    NAMES.iter().for_each(|name| publish(&desk, name, &["n1", "d1"]));
    let said = desk.run(&["prune", "--yes", NAMES[1]]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(NAMES.map(|name| left(&desk, name).len()), [2, 1, 2]);
    let said = desk.run(&["prune", "--yes", "elsewhere.example.com"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(64), ""));
    assert_eq!(
        said.err,
        "error: elsewhere.example.com is not a configured name\nhint: configured: a.example.com, b.example.com, c.example.com\n"
    );
}

#[tokio::test]
async fn whoever_is_back_by_the_second_look_stays() {
    for rewritten in [false, true] {
        let (desk, server) = desk(&[ready("n1"), ready("n2"), ready("n3")]).await;
        publish(&desk, NAMES[0], &["n1", "back", "gone"]);
        publish(&desk, NAMES[1], &["n2"]);
        let running = Running::start(desk.command(&["prune", "--yes", "--grace", "6s", "--output", "json"]));
        until("the first look", || listings(&desk) >= 3).await;
        match rewritten {
            false => server.set_node(ready("back")),
            // Its daemon has changed it, though the Node is not there yet.
            true => desk.sim.put(ZONE, set(NAMES[0], "nodedns/v1/home/back", "203.0.113.9")),
        }
        let said = running.said().await;
        assert_eq!((said.code, left(&desk, NAMES[0])), (Some(0), vec!["back".to_owned(), "n1".to_owned()]), "{said:?}");
        let shown: Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(shown["pools"][0]["left"], json!(["nodedns/v1/home/back"]));
    }
}

#[tokio::test]
async fn whoever_dies_after_the_diff_was_shown_stays() {
    let (desk, server) = desk(&[ready("n1"), ready("n2"), ready("n3"), ready("late")]).await;
    publish(&desk, NAMES[0], &["n1", "late", "gone"]);
    publish(&desk, NAMES[1], &["n1", "late"]);
    let running = Running::start(desk.command(&["prune", "--yes", "--grace", "6s"]));
    until("the first look", || listings(&desk) >= 3).await;
    server.set_node(down("late", HOURS));
    let said = running.said().await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        (left(&desk, NAMES[0]), left(&desk, NAMES[1])),
        (vec!["late".into(), "n1".into()], vec!["late".into(), "n1".into()])
    );
}

#[tokio::test]
async fn whoever_was_back_once_is_not_gone_for_that_long() {
    let (desk, server) = desk(&[ready("n1"), ready("n2")]).await;
    NAMES.iter().for_each(|name| publish(&desk, name, &["n1", "back"]));
    let items = [ready("n1"), ready("n2"), ready("back")];
    let list = json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": items});
    // There before the first batch, and not before the others.
    server.next_list(Answer::Serve);
    server.next_list(Answer::Body(list.to_string()));
    let said = desk.run(&["prune", "--yes", "--grace", "0s"]).await;
    assert_eq!((said.code, writes(&desk), server.seen().len()), (Some(0), 0, 4), "{said:?}");
    assert!(said.out.contains("back stays: its node is gone, but was there by the first look"), "{}", said.out);
}

#[tokio::test]
async fn a_node_that_owns_nothing_was_misspelt() {
    let (desk, _server, before) = three().await;
    let said = desk.run(&["prune", "--yes", "--node", "d1", "--node", "d2"]).await;
    assert_eq!((said.code, desk.sim.record_sets(ZONE)), (Some(64), before), "{said:?}");
    assert!(
        said.err.starts_with("error: no record set of node 'd2' is at these names\nhint: 'nodedns list'"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_refusal_is_told_to_programs_and_too_many_are_shown() {
    let (desk, _server, before) = three().await;
    let (code, shown) = desk.json(&["prune", "--yes", "--max-delete", "2"]).await;
    assert_eq!((code, &shown["refused"]["code"]), (Some(1), &json!("too_many")), "{shown}");
    assert_eq!(shown["refused"]["message"], "3 record sets would be deleted, and --max-delete allows 2");
    assert!(shown["refused"]["hint"].as_str().is_some_and(|hint| hint.contains("--node")), "{shown}");
    assert_eq!(shown["pools"].as_array().map(Vec::len), Some(3), "{shown}");
    assert_eq!((&shown["pools"][0]["outcome"], &shown["undo_file"]), (&json!("shown"), &Value::Null));
    assert_eq!(shown["pools"][0]["witnesses"], json!(["nodedns/v1/home/n1"]));
    let said = desk.run(&["prune", "--yes", "--max-delete", "2"]).await;
    assert_eq!(said.out.matches("  - nodedns/v1/home/d1: ").count(), 3, "{said:?}");
    let witnesses = "  (deleted and created again unchanged, as witnesses: nodedns/v1/home/n1)\n";
    assert_eq!(said.out.matches(witnesses).count(), 3, "{said:?}");
    assert_eq!((writes(&desk), desk.sim.record_sets(ZONE)), (0, before));
    let (_, shown) = desk.json(&["prune", "--dry-run"]).await;
    assert_eq!(shown["refused"], Value::Null);
}

#[tokio::test]
async fn one_name_that_cannot_be_read_holds_up_no_other() {
    let (desk, _server, _) = three().await;
    desk.sim.inject(Operation::ListResourceRecordSets, Fault::AccessDenied, Count::Next(1));
    let (code, shown) = desk.json(&["prune", "--yes"]).await;
    assert_eq!(code, Some(1), "{shown}");
    assert_eq!(pruned(&desk).iter().filter(|pruned| **pruned).count(), 2);
    assert_eq!(shown["unread"].as_array().map(Vec::len), Some(1), "{shown}");
    // Nothing at all that can be read is an error of its own.
    desk.sim.inject(Operation::ListResourceRecordSets, Fault::AccessDenied, Count::Next(3));
    let said = desk.run(&["prune", "--yes"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(77), ""), "{said:?}");
}

#[tokio::test]
async fn a_signal_while_it_waits_changes_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let (desk, server) = desk(&[ready("n1"), ready("n2")]).await;
        publish(&desk, NAMES[0], &["n1", "gone"]);
        let errors = File::create(desk.path("errors")).expect("a file");
        let err = || std::fs::read_to_string(desk.path("errors")).expect("text");
        let command = desk.command(&["prune", "--yes", "--grace", "2h30m", "--output", "json"]);
        let running = Running::telling(errors, command);
        // It listens for signals from before it says so.
        until("the pause", || err().contains("looking again in 2h 30m, then")).await;
        running.kill(signal);
        let said = running.said().await;
        assert_eq!(said.code, Some(1), "{said:?}{}", err());
        assert!(err().ends_with("interrupted: nothing was changed\n"), "{said:?}{}", err());
        let shown: Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!((&shown["interrupted"], &shown["dry_run"]), (&json!(true), &json!(false)));
        assert_eq!(shown["pools"][0]["outcome"], "not_tried");
        assert_eq!((writes(&desk), server.seen().len(), desk.path("state").exists()), (0, 1, false));
    }
}

/// Runs it with an output that nobody reads.
async fn unread(desk: &Desk, args: &[&str]) -> Said {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = desk.command(args);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(command);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("a thread");
    let output = output.expect("it ends");
    let err = String::from_utf8(output.stderr).expect("text");
    Said { code: output.status.code(), out: String::new(), err }
}

#[tokio::test]
async fn what_it_came_to_counts_although_nobody_reads_it() {
    let (desk, _server, before) = three().await;
    // It has not been shown, so it is not done.
    let said = unread(&desk, &["prune", "--yes"]).await;
    assert_eq!((said.code, writes(&desk)), (Some(1), 0), "{said:?}");
    assert!(said.err.contains("so nothing was changed"), "{said:?}");
    assert_eq!(unread(&desk, &["prune", "--dry-run"]).await.code, Some(2));
    // For programs it is shown at the end.
    let fault = Fault::AccessDenied;
    desk.sim.inject(Operation::ChangeResourceRecordSets, fault, Count::Nth(2));
    let said = unread(&desk, &["prune", "--yes", "--output", "json"]).await;
    assert_eq!((said.code, pruned(&desk)), (Some(77), [true, false, false]), "{said:?}");
    desk.sim.clear_faults();
    let file = undo_file(&desk);
    let said = unread(&desk, &["restore", &file, "--yes"]).await;
    assert_eq!((said.code, pruned(&desk)), (Some(1), [true, false, false]), "{said:?}");
    let said = unread(&desk, &["restore", &file, "--yes", "--output", "json"]).await;
    assert_eq!((said.code, desk.sim.record_sets(ZONE)), (Some(0), before), "{said:?}");
    // Nothing to do, and nobody was told so.
    let said = unread(&desk, &["restore", &file, "--yes"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
}

/// Three names with a dead node each.
async fn three() -> (Desk, ApiServer, Vec<RecordSet>) {
    let (desk, server) = desk(&[ready("n1"), ready("n2"), down("d1", HOURS)]).await;
    NAMES.iter().for_each(|name| publish(&desk, name, &["n1", "d1"]));
    let before = desk.sim.record_sets(ZONE);
    (desk, server, before)
}

fn pruned(desk: &Desk) -> [bool; 3] {
    NAMES.map(|name| left(desk, name) == ["n1"])
}

/// The undo file puts everything back, byte for byte.
async fn is_restored(desk: &Desk, before: &[RecordSet]) {
    desk.sim.clear_faults();
    let said = desk.run(&["restore", &undo_file(desk), "--yes", "--undo-file", "undo-of-restore.json"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(desk.sim.record_sets(ZONE), before);
}

#[tokio::test]
async fn a_signal_ends_it_between_two_batches_and_the_undo_file_has_everything() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let (desk, server, before) = three().await;
        // The first look, and the one before the first batch; it waits before the second one.
        server.next_list(Answer::Serve);
        server.next_list(Answer::Serve);
        server.next_list(Answer::Hang);
        let running = Running::start(desk.command(&["prune", "--yes"]));
        until("the first batch", || server.seen().len() >= 3).await;
        running.kill(signal);
        let said = running.said().await;
        assert_eq!(pruned(&desk), [true, false, false]);
        if signal != Signal::KILL {
            assert_eq!(said.code, Some(1), "{said:?}");
            assert!(said.out.contains("b.example.com A: not done: interrupted\n"), "{}", said.out);
            assert!(said.out.contains("interrupted: 1 of 3 done; 'nodedns restore "), "{}", said.out);
            assert!(said.out.contains(&undo_file(&desk)), "{}", said.out);
        }
        is_restored(&desk, &before).await;
    }
}

#[tokio::test]
async fn a_signal_during_a_batch_waits_for_its_outcome() {
    let (desk, _server, before) = three().await;
    desk.sim.inject(Operation::ChangeResourceRecordSets, Fault::Delay(Duration::from_secs(5)), Count::Next(1));
    let running = Running::start(desk.command(&["prune", "--yes"]));
    until("the first batch", || writes(&desk) >= 1).await;
    running.kill(Signal::INT);
    let said = running.said().await;
    assert_eq!((said.code, pruned(&desk), writes(&desk)), (Some(1), [true, false, false], 1), "{said:?}");
    assert!(said.out.contains("a.example.com A: done, change "), "{}", said.out);
    is_restored(&desk, &before).await;
}

#[tokio::test]
async fn one_pool_that_fails_holds_up_no_other() {
    let (desk, _server, before) = three().await;
    let (code, message) = ("InvalidChangeBatch".to_owned(), "[it does not please]".to_owned());
    // Refused each time, also when it leans on another.
    desk.sim.inject(Operation::ChangeResourceRecordSets, Fault::Error { status: 400, code, message }, Count::Nth(2));
    let said = desk.run(&["prune", "--yes"]).await;
    assert_eq!((said.code, pruned(&desk)), (Some(1), [true, false, true]), "{said:?}");
    assert!(said.out.contains("b.example.com A: failed: ") && said.out.contains("it does not please"), "{}", said.out);
    assert!(said.out.contains("2 of 3 done; 'nodedns restore "), "{}", said.out);
    is_restored(&desk, &before).await;
}

#[tokio::test]
async fn what_is_denied_is_not_asked_for_again() {
    let (desk, _server, before) = three().await;
    desk.sim.inject(Operation::ChangeResourceRecordSets, Fault::AccessDenied, Count::Nth(2));
    let (code, shown) = desk.json(&["prune", "--yes"]).await;
    assert_eq!((code, pruned(&desk), writes(&desk)), (Some(77), [true, false, false], 2), "{shown}");
    let outcomes: Vec<_> = (0..3).map(|index| shown["pools"][index]["outcome"].clone()).collect();
    assert_eq!(outcomes, ["done", "failed", "not_tried"]);
    is_restored(&desk, &before).await;
}

#[tokio::test]
async fn what_was_certainly_not_carried_out_is_tried_again() {
    for fault in [Fault::Throttling, Fault::PriorRequestNotComplete] {
        let (desk, server, before) = three().await;
        desk.sim.inject(Operation::ChangeResourceRecordSets, fault, Count::Next(2));
        desk.sim.inject(Operation::ListResourceRecordSets, Fault::Throttling, Count::Next(2));
        let said = desk.run(&["prune", "--yes"]).await;
        assert_eq!((said.code, pruned(&desk), writes(&desk)), (Some(0), [true; 3], 5), "{said:?}");
        // Decided anew before each attempt.
        assert_eq!(server.seen().len(), 1 + 5);
        is_restored(&desk, &before).await;
    }
}

#[tokio::test]
async fn an_unclear_outcome_is_looked_at() {
    let (desk, _server, before) = three().await;
    desk.sim.inject(Operation::ChangeResourceRecordSets, Fault::DropAfterCommit, Count::Next(1));
    desk.sim.inject(Operation::ChangeResourceRecordSets, Fault::Status(500), Count::Next(1));
    let said = desk.run(&["prune", "--yes"]).await;
    assert_eq!((said.code, pruned(&desk), writes(&desk)), (Some(1), [true, false, true], 3), "{said:?}");
    assert!(said.out.contains("a.example.com A: done: confirmed by reading the name again\n"), "{}", said.out);
    assert!(said.out.contains("b.example.com A: could not confirm: "), "{}", said.out);
    assert!(said.out.contains("by now nothing has changed at the name"), "{}", said.out);
    is_restored(&desk, &before).await;
}

#[tokio::test]
async fn a_witness_that_route_53_does_not_take_again_is_replaced_by_another() {
    let (desk, _server) = desk(&[ready("n1"), ready("n2"), down("d1", HOURS)]).await;
    publish(&desk, NAMES[0], &["n1", "n2", "d1"]);
    desk.sim.put(
        ZONE,
        set(NAMES[0], "nodedns/v1/home/n1", "198.51.100.1").health_check("11111111-2222-3333-4444-555555555555"),
    );
    let said = desk.run(&["prune", "--yes"]).await;
    assert_eq!((said.code, left(&desk, NAMES[0])), (Some(0), vec!["n1".into(), "n2".into()]), "{said:?}");
    assert_eq!(writes(&desk), 2);
}

#[tokio::test]
async fn no_undo_file_no_change() {
    let (desk, _server, before) = three().await;
    std::fs::write(desk.path("mine.json"), "mine").expect("written");
    for path in ["mine.json", "no-such-directory/undo.json", "/proc/undo.json"] {
        let said = desk.run(&["prune", "--yes", "--undo-file", path]).await;
        assert_eq!((said.code, writes(&desk)), (Some(1), 0), "{said:?}");
        assert!(said.err.contains(path) && said.err.contains("hint: name another place with --undo-file"), "{said:?}");
    }
    assert_eq!(std::fs::read_to_string(desk.path("mine.json")).expect("a file"), "mine");
    assert_eq!(desk.sim.record_sets(ZONE), before);
    // Where the state directory cannot be, the current one serves.
    std::fs::write(desk.path("state"), "a file").expect("written");
    let said = desk.run(&["prune", "--yes"]).await;
    assert_eq!((said.code, pruned(&desk)), (Some(0), [true; 3]), "{said:?}");
    let line = said.err.lines().find_map(|line| line.strip_prefix("undo file: ")).expect("it is named");
    let path = std::path::Path::new(line);
    let is_here =
        path.parent().is_some_and(|parent| parent.ends_with(desk.directory.path().file_name().expect("a name")));
    assert!(is_here && path.exists(), "{line}");
}

#[tokio::test]
async fn a_person_at_a_terminal_is_asked() {
    if !std::path::Path::new("/usr/bin/script").exists() {
        return skip("script(1), which makes a terminal, is not installed");
    }
    let (desk, _server, before) = three().await;
    for (answer, pruned_by_then) in [("n", [false; 3]), ("", [false; 3]), ("yes", [true; 3])] {
        let program = desk.command(&[]);
        let mut command = Command::new("/usr/bin/script");
        command.env_clear().envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.env("TERM", "dumb").current_dir(desk.directory.path());
        let line = format!("stty cols 80; {} prune", env!("CARGO_BIN_EXE_nodedns"));
        command.env("PATH", "/usr/bin:/bin").args(["-qefc", &line, "/dev/null"]);
        std::fs::write(desk.path("typed"), format!("{answer}\n")).expect("written");
        command.stdin(std::fs::File::open(desk.path("typed")).expect("a file"));
        let said = finish(command).await;
        let text = said.out.replace('\r', "");
        assert!(text.contains("delete 3 record sets of 1 dead node? [y/N]"), "{text}");
        assert!(text.find("- nodedns/v1/home/d1") < text.find("delete 3 record sets"), "{text}");
        assert_eq!((pruned(&desk), said.code), (pruned_by_then, Some(if pruned_by_then[0] { 0 } else { 2 })), "{text}");
    }
    is_restored(&desk, &before).await;
}
