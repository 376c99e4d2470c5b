//! What the cluster says, and when it is worth an event.

use std::time::{Duration, Instant};

use nodedns::decide::node::{NodeState, Readiness};
use nodedns::watch::node::Timing;
use serde_json::json;

use super::{
    LONG, assert_asked_for_own_node_only, break_until_listed, lists, node, timing, watch_of, watches, watching,
};
use crate::support::api_server::{Answer, ApiServer};

#[tokio::test]
async fn each_change_is_told_at_once_and_whole() {
    let (server, mut watching, _directory) = watching().await;

    server.set_node(node("False"));
    let object = watching.object().await;
    assert_eq!(object.ready, Readiness::NotReady(Some("KubeletNotReady".into())));
    assert_eq!(object.labels.get("zone").map(String::as_str), Some("a"));

    let mut cordoned = node("True");
    cordoned["spec"] = json!({"unschedulable": true, "taints": [{"key": "k", "effect": "NoSchedule"}]});
    cordoned["metadata"]["annotations"] = json!({"nodedns.io/weight": "7"});
    server.set_node(cordoned);
    let object = watching.object().await;
    assert_eq!((object.ready, object.unschedulable), (Readiness::Ready, true));
    assert_eq!(object.taints, [("k".to_owned(), "NoSchedule".to_owned())]);
    assert_eq!(object.annotations.get("nodedns.io/weight").map(String::as_str), Some("7"));

    server.delete_node();
    assert_eq!(watching.state().await, NodeState::Absent);

    server.set_node(node("True"));
    let object = watching.object().await;
    assert_eq!((object.ready, object.unschedulable), (Readiness::Ready, false));
    assert_asked_for_own_node_only(&server);
}

#[tokio::test]
async fn heartbeats_bookmarks_and_the_end_of_a_watch_are_no_news() {
    let (server, mut watching, _directory) = watching().await;
    for beat in 0..6 {
        let mut node = node("True");
        node["status"]["conditions"][1]["lastHeartbeatTime"] = json!(format!("2026-01-01T00:00:0{beat}Z"));
        node["status"]["images"] = json!([{"names": [format!("image-{beat}")], "sizeBytes": beat}]);
        node["metadata"]["annotations"] = json!({"elsewhere.example/noise": beat.to_string()});
        server.set_node(node);
        server.bookmark();
        watching.nothing_for(Duration::from_millis(600)).await;
    }
    assert!(watches(&server) >= 2, "watches of 1 s in 3.6 s: {}", watches(&server));
    assert_eq!(lists(&server), 1, "a watch that ends is resumed, not listed anew");
    assert_asked_for_own_node_only(&server);
}

/// It resumes at a version that is yet to come, and is told of nothing until then.
#[tokio::test]
async fn a_control_plane_that_was_set_back_behind_the_watch_is_followed_after_a_while() {
    let server = ApiServer::start().await;
    server.set_node(node("True"));
    let (mut watching, _directory) = watch_of(&server, Timing { relist: Duration::from_secs(2), ..timing() });
    assert!(!watching.object().await.unschedulable);
    let mut cordoned = node("True");
    cordoned["spec"] = json!({"unschedulable": true});
    server.set_back(cordoned);
    assert!(watching.object().await.unschedulable);
    assert!(lists(&server) >= 2, "it is listed anew");
    // From there on it is as ever.
    server.set_node(node("True"));
    assert!(!watching.object().await.unschedulable);
    assert_asked_for_own_node_only(&server);
}

#[tokio::test]
async fn a_list_that_fails_though_the_watch_runs_is_no_news_and_tried_again() {
    let server = ApiServer::start().await;
    server.set_node(node("True"));
    let (mut watching, _directory) = watch_of(&server, Timing { relist: Duration::from_millis(500), ..timing() });
    assert!(!watching.object().await.unschedulable);
    let before = lists(&server);
    for _ in 0..2 {
        server.next_list(Answer::Error(500, "etcd is gone".into()));
    }
    let started = Instant::now();
    while lists(&server) < before + 3 {
        assert!(started.elapsed() < LONG, "it is not listed anew");
        assert_eq!(watching.nothing_for(Duration::from_millis(50)).await, 0, "the watch goes on");
    }
}

#[tokio::test]
async fn a_quiet_node_costs_one_request_per_watch() {
    let (server, mut watching, _directory) = watching().await;
    let before = server.seen().len();
    watching.nothing_for(Duration::from_millis(3_300)).await;
    let requests = server.seen().len() - before;
    assert!((1..=4).contains(&requests), "{requests} requests in 3.3 s of watches of 1 s");
}

#[tokio::test]
async fn a_node_that_is_not_there_is_known_to_be_absent() {
    let server = ApiServer::start().await;
    let (mut watching, _directory) = watch_of(&server, timing());
    assert_eq!(watching.state().await, NodeState::Absent);
    server.set_node(node("True"));
    assert_eq!(watching.object().await.ready, Readiness::Ready);
}

#[tokio::test]
async fn a_node_without_a_ready_condition_is_not_ready() {
    let server = ApiServer::start().await;
    let mut bare = node("True");
    bare["status"] = json!({});
    server.set_node(bare);
    let (mut watching, _directory) = watch_of(&server, timing());
    assert_eq!(watching.object().await.ready, Readiness::NotReady(None));
}

#[tokio::test]
async fn what_happens_between_two_watches_is_told() {
    let (server, mut watching, _directory) = watching().await;
    // The watch is open and silent: the change shows when it is overdue and made anew.
    server.silence_watches();
    server.set_node(node("False"));
    assert!(matches!(watching.object().await.ready, Readiness::NotReady(_)));
    server.silence_watches();
    server.delete_node();
    assert_eq!(watching.state().await, NodeState::Absent);
}

#[tokio::test]
async fn another_node_in_the_answer_is_not_ours() {
    let (server, mut watching, _directory) = watching().await;
    let mut other = node("False");
    other["metadata"]["name"] = json!("n10");
    let version = server.version();
    other["metadata"]["resourceVersion"] = json!(version);
    server.push("MODIFIED", &other);
    server.push("DELETED", &other);
    watching.nothing_for(Duration::from_millis(500)).await;
    let list =
        json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": [other]});
    server.next_list(Answer::Body(list.to_string()));
    // Garbage ends the session, so the list is asked for.
    break_until_listed(&server, || server.push_line("garbage".into())).await;
    assert_eq!(watching.state().await, NodeState::Absent);
}

#[tokio::test]
async fn the_watch_ends_with_its_receiver() {
    let (_server, mut watching, _directory) = watching().await;
    watching.events.close();
    let mut task = std::mem::replace(&mut watching.task, tokio::spawn(async {}));
    tokio::time::timeout(super::LONG, &mut task).await.expect("it ends").expect("it does not panic");
}
