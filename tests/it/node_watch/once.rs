//! One reading of the Nodes for a command: whole, or an error that says what to do.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use nodedns::decide::node::{NodeState, Readiness};
use nodedns::watch::node::NodeWatchSettings;
use nodedns::watch::node::identity::NodeName;
use nodedns::watch::node::kubeconfig::{KubeconfigOrigin, KubeconfigSource};
use nodedns::watch::node::once::{NodeList, ReadError, ReadErrorKind, nodes, own_node};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LONG, assert_asked_for_own_node_only, environment, lists, timing, watches};
use crate::support::api_server::{Answer, ApiServer, kubeconfig, token_kubeconfig};
use crate::support::pki::Pki;

fn node(name: &str, ready: &str) -> Value {
    let mut node = super::node(ready);
    node["metadata"]["name"] = json!(name);
    node
}

/// A node whose Ready condition is of `seconds` ago.
fn node_since(name: &str, ready: &str, seconds: i64) -> Value {
    let mut node = node(name, ready);
    let since = Timestamp::now() - SignedDuration::from_secs(seconds);
    node["status"]["conditions"][1]["lastTransitionTime"] = json!(format!("{since:.0}"));
    node
}

/// A server with as many Ready nodes, from `n1` on.
async fn server(count: usize) -> ApiServer {
    let server = ApiServer::start().await;
    for number in 1..=count {
        server.set_node(node(&format!("n{number}"), "True"));
    }
    server
}

fn written(directory: &TempDir, text: &str) -> KubeconfigSource {
    let path = directory.path().join("kubeconfig");
    std::fs::write(&path, text).expect("written");
    KubeconfigSource::Path(path)
}

async fn read_within(server: &ApiServer, limit: Duration) -> Result<NodeList, ReadError> {
    let directory = TempDir::new().expect("a directory");
    let source = written(&directory, &token_kubeconfig(&server.url(), "SECRET-TOKEN"));
    let result = nodes(&source, &environment(Path::new("/nonexistent")), limit).await;
    assert!(!format!("{result:?}").contains("SECRET"), "{result:?}");
    result
}

async fn read(server: &ApiServer) -> Result<NodeList, ReadError> {
    read_within(server, LONG).await
}

fn settings(source: KubeconfigSource) -> NodeWatchSettings {
    NodeWatchSettings {
        node: NodeName::parse("n1").expect("a name"),
        kubeconfig: source,
        environment: environment(Path::new("/nonexistent")),
        timing: timing(),
    }
}

async fn read_own(server: &ApiServer) -> Result<NodeState, ReadError> {
    let directory = TempDir::new().expect("a directory");
    let source = written(&directory, &token_kubeconfig(&server.url(), "SECRET-TOKEN"));
    let read = own_node(&settings(source)).await?;
    assert_eq!(read.1.server.as_deref(), Some(server.url().as_str()));
    assert_eq!(read.1.origin, KubeconfigOrigin::Configured);
    Ok(read.0)
}

#[tokio::test]
async fn the_nodes_are_read_whole_with_what_matters_of_each() {
    let server = ApiServer::start().await;
    server.set_node(node_since("fresh", "True", 90));
    server.set_node(node_since("down", "Unknown", 3 * 3600));
    server.set_node(node_since("early", "False", -600));
    server.set_node(node("mute", "True"));
    let mut odd = node("odd", "True");
    odd["status"]["conditions"][1]["lastTransitionTime"] = json!("yesterday");
    server.set_node(odd);
    let mut null = node("null", "True");
    null["status"]["conditions"][1]["lastTransitionTime"] = Value::Null;
    server.set_node(null);
    server.set_node(json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "bare"}}));
    let mut leaving = node_since("leaving", "True", 90);
    leaving["spec"]["unschedulable"] = json!(true);
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    server.set_node(leaving);

    let list = read(&server).await.expect("a list");
    assert_eq!((list.server, list.origin), (server.url(), KubeconfigOrigin::Configured));
    assert!(list.kubeconfig.ends_with("kubeconfig"), "{:?}", list.kubeconfig);
    let about = |seconds: u64| Duration::from_secs(seconds)..Duration::from_secs(seconds) + LONG;
    let reason = |text: &str| Readiness::NotReady(Some(text.to_owned()));
    for (name, ready, ready_for, leaves) in [
        ("fresh", Readiness::Ready, Some(about(89)), false),
        ("down", reason("KubeletNotReady"), Some(about(3 * 3600 - 1)), false),
        ("early", reason("KubeletNotReady"), None, false),
        ("mute", Readiness::Ready, None, false),
        ("odd", Readiness::Ready, None, false),
        ("null", Readiness::Ready, None, false),
        ("bare", Readiness::NotReady(None), None, false),
        ("leaving", Readiness::Ready, Some(about(89)), true),
    ] {
        let node = &list.nodes[name];
        assert_eq!(node.ready, ready, "{name}");
        match (node.ready_for, ready_for) {
            (None, None) => {}
            (Some(found), Some(expected)) => assert!(expected.contains(&found), "{name}: {found:?}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
        assert_eq!((node.unschedulable, node.deleting), (leaves, leaves), "{name}");
    }
    assert_eq!(list.nodes.len(), 8);
    assert_eq!((lists(&server), watches(&server)), (1, 0));
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/api/v1/nodes"));
    assert_eq!((seen.parameter("fieldSelector"), seen.parameter("limit")), (None, Some("100")));
}

#[tokio::test]
async fn pages_are_put_together() {
    let server = server(250).await;
    assert_eq!(read(&server).await.expect("a list").nodes.len(), 250);
    let tokens: Vec<_> = server.seen().iter().map(|seen| seen.parameter("continue").map(str::to_owned)).collect();
    assert_eq!(tokens, [None, Some("100".to_owned()), Some("200".to_owned())]);
    for page in [1, 7, 249, 250, 251] {
        server.page(page);
        assert_eq!(read(&server).await.expect("a list").nodes.len(), 250, "in pages of {page}");
    }
}

/// Whichever page it is that goes wrong, there is no shorter list.
#[tokio::test]
async fn a_page_that_fails_is_an_error_and_no_shorter_list() {
    use ReadErrorKind::{NotPermitted, Unreachable, WrongAnswer};
    let server = server(7).await;
    server.page(2);
    for (answer, kind, expected) in [
        (Answer::BreaksOff, Unreachable, "cannot reach the API server at http://127"),
        (Answer::Error(500, "etcd is gone".into()), Unreachable, "answered 500: etcd is gone"),
        (Answer::Error(503, "not yet".into()), Unreachable, "answered 503: not yet"),
        (Answer::Plain(429, "retry-after", "7".into()), Unreachable, "asks to be left alone for a while (429)"),
        (Answer::Error(404, "no such thing".into()), WrongAnswer, "answered 404: no such thing"),
        (Answer::Error(401, "Unauthorized".into()), NotPermitted, "does not accept the credentials of "),
        (Answer::Error(403, "nodes is forbidden".into()), NotPermitted, "may not list nodes"),
        (Answer::Body("{\"kind\": \"No".into()), WrongAnswer, "does not speak as a Kubernetes API server"),
    ] {
        for page in 0..4 {
            (0..page).for_each(|_| server.next_list(Answer::Serve));
            server.next_list(answer.clone());
            let before = lists(&server);
            let error = read(&server).await.expect_err("no list");
            assert_eq!(error.kind, kind, "page {page}: {error}");
            assert!(error.to_string().contains(expected), "page {page}: {error}");
            assert_eq!(lists(&server) - before, page + 1, "{error}");
            assert!(error.kubeconfig.is_some_and(|info| info.server == Some(server.url())));
        }
    }
}

#[tokio::test]
async fn pages_that_have_expired_are_listed_anew_once() {
    let server = server(7).await;
    server.page(2);
    let expired = || Answer::Error(410, "The provided continue parameter is too old".into());
    for page in 1..4 {
        (0..page).for_each(|_| server.next_list(Answer::Serve));
        server.next_list(expired());
        let before = server.seen().len();
        assert_eq!(read(&server).await.expect("a list").nodes.len(), 7);
        let seen = server.seen();
        let tokens: Vec<_> = seen[before..].iter().map(|seen| seen.parameter("continue").is_some()).collect();
        let mut expected = vec![true; page + 5];
        (expected[0], expected[page + 1]) = (false, false);
        assert_eq!(tokens, expected, "from the beginning");

        (0..page).for_each(|_| server.next_list(Answer::Serve));
        server.next_list(expired());
        server.next_list(Answer::Serve);
        server.next_list(expired());
        let error = read(&server).await.expect_err("no list");
        assert_eq!(error.kind, ReadErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains("answered 410: The provided continue"), "{error}");
    }
    server.next_list(expired());
    let before = lists(&server);
    assert!(read(&server).await.is_err(), "nothing to begin anew with");
    assert_eq!(lists(&server) - before, 1);
}

#[tokio::test]
async fn an_empty_list_is_an_error() {
    let server = ApiServer::start().await;
    let error = read(&server).await.expect_err("no list");
    assert_eq!(error.kind, ReadErrorKind::WrongAnswer);
    assert!(error.to_string().contains("gives an empty list of nodes, which cannot be"), "{error}");
    // An empty page is none.
    server.set_node(node("n1", "True"));
    let empty = json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "200", "continue": "0"}, "items": []});
    server.next_list(Answer::Body(empty.to_string()));
    assert_eq!(read(&server).await.expect("a list").nodes.len(), 1);
}

#[tokio::test]
async fn a_server_that_never_answers_costs_the_limit_and_no_more() {
    let server = server(3).await;
    server.page(2);
    let limit = Duration::from_secs(4);
    for (pages, expected) in [(0, "does not answer (waited 4 s)"), (1, "is not complete after 4 s")] {
        (0..pages).for_each(|_| server.next_list(Answer::Serve));
        server.next_list(Answer::Hang);
        let started = Instant::now();
        let error = read_within(&server, limit).await.expect_err("no list");
        assert!(started.elapsed() >= limit && started.elapsed() < LONG, "{:?}", started.elapsed());
        assert_eq!(error.kind, ReadErrorKind::Unreachable);
        assert!(error.to_string().contains(expected), "{error}");
    }
    // A list without an end ends with the limit, too.
    let again = json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "200", "continue": "0"}, "items": []});
    server.always(Answer::Body(again.to_string()));
    let error = read_within(&server, limit).await.expect_err("no list");
    assert!(error.to_string().contains("is not complete after 4 s"), "{error}");
}

#[tokio::test]
async fn who_may_not_list_is_told_the_rule() {
    let server = server(1).await;
    let message =
        "nodes is forbidden: User \"alice\" cannot list resource \"nodes\" in API group \"\" at the cluster scope";
    server.always(Answer::Error(403, message.into()));
    let error = read(&server).await.expect_err("no list");
    assert_eq!(error.kind, ReadErrorKind::NotPermitted);
    assert!(
        error.summary().starts_with("this identity may not list nodes, says the API server at http://")
            && error.summary().ends_with(message),
        "{error}"
    );
    let hint = error.hint().expect("a hint");
    assert!(
        hint.contains("{apiGroups: [\"\"], resources: [\"nodes\"], verbs: [\"get\", \"list\", \"watch\"]}"),
        "{error}"
    );
    assert!(hint.contains("--kubeconfig"), "{error}");
    assert_eq!(format!("{}\nhint: {hint}", error.summary()), error.to_string());

    // A kubelet's may never, whatever it logs in with.
    server.always_list_all(Answer::Error(403, message.replace("alice", "system:node:n1")));
    let error = read(&server).await.expect_err("no list");
    assert!(error.hint().is_some_and(|hint| hint.contains("1.32") && !hint.contains("ClusterRole")), "{error}");

    let error = read_own(&server).await.expect_err("no node");
    assert_eq!(error.kind, ReadErrorKind::NotPermitted);
    assert!(error.to_string().contains("resourceNames: [\"n1\"], verbs: [\"get\", \"list\", \"watch\"]"), "{error}");
}

#[tokio::test]
async fn the_own_node_is_asked_for_as_the_watch_asks() {
    let server = server(3).await;
    assert!(matches!(read_own(&server).await, Ok(NodeState::Present(own)) if own.ready == Readiness::Ready));
    server.set_node(node("n1", "False"));
    assert!(matches!(read_own(&server).await, Ok(NodeState::Present(own)) if own.ready != Readiness::Ready));
    server.delete("n1");
    assert_eq!(read_own(&server).await, Ok(NodeState::Absent));
    // A server that ignores the selector does not make another one's state ours.
    let others = json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "200"}, "items": [node("n2", "True")]});
    server.next_list(Answer::Body(others.to_string()));
    assert_eq!(read_own(&server).await, Ok(NodeState::Absent));
    server.next_list(Answer::Error(500, "etcd is gone".into()));
    assert!(matches!(read_own(&server).await, Err(error) if error.kind == ReadErrorKind::Unreachable));
    server.next_list(Answer::BreaksOff);
    assert!(matches!(read_own(&server).await, Err(error) if error.kind == ReadErrorKind::Unreachable));
    assert_asked_for_own_node_only(&server);
    assert_eq!(watches(&server), 0);
}

#[tokio::test]
async fn nobody_listens_and_the_wrong_one_listens() {
    let mut server = server(1).await;
    server.stop();
    let error = read(&server).await.expect_err("no list");
    assert_eq!(error.kind, ReadErrorKind::Unreachable);
    assert!(error.summary().contains("onnection refused"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("its service must run") && !hint.contains("trying")));

    // Another cluster's authority, as after a server was made anew at the same address.
    let (pki, other) = (Pki::new(), Pki::new());
    let server = ApiServer::start_tls(&pki).await;
    server.set_node(node("n1", "True"));
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let identity = pki.kubelet("n1");
    std::fs::write(path("crt"), &identity.certificate_pem).expect("written");
    std::fs::write(path("key"), &identity.key_pem).expect("written");
    let read = async |authority: &Pki| {
        std::fs::write(path("ca"), &authority.authority_pem).expect("written");
        let text = kubeconfig(&server.url(), Some(&path("ca")), &path("crt"), &path("key"));
        nodes(&written(&directory, &text), &environment(Path::new("/nonexistent")), LONG).await
    };
    let error = read(&other).await.expect_err("no list");
    assert_eq!(error.kind, ReadErrorKind::Unreachable);
    assert!(error.summary().contains("certificate"), "{error}");
    assert!(server.seen().is_empty(), "nothing was asked of the wrong server");
    assert_eq!(read(&pki).await.expect("a list").nodes.len(), 1);
}

#[tokio::test]
async fn a_kubeconfig_of_no_use_is_told_apart_from_none() {
    let root = TempDir::new().expect("a directory");
    let environment = environment(root.path());
    let path = |name: &str| root.path().join(name);
    let error = async |source: KubeconfigSource| nodes(&source, &environment, LONG).await.expect_err("no list");

    let none = error(KubeconfigSource::Auto).await;
    assert_eq!(none.kind, ReadErrorKind::NoKubeconfig);
    assert!(none.to_string().contains("no kubeconfig found") && none.hint().is_some_and(|h| h.contains("$KUBECONFIG")));
    assert!(!none.to_string().contains("again"), "nobody looks again: {none}");

    let absent = error(KubeconfigSource::Path(path("nothing"))).await;
    assert_eq!(absent.kind, ReadErrorKind::BadConfiguration);
    std::fs::write(path("broken"), "apiVersion: [").expect("written");
    let broken = error(KubeconfigSource::Path(path("broken"))).await;
    assert_eq!(broken.kind, ReadErrorKind::BadConfiguration);
    assert!(broken.to_string().contains("cannot be used"), "{broken}");

    let k3s: PathBuf = path("etc/rancher/k3s");
    std::fs::create_dir_all(&k3s).expect("made");
    std::fs::write(k3s.join("k3s.yaml"), "apiVersion: [").expect("written");
    assert_eq!(error(KubeconfigSource::Auto).await.kind, ReadErrorKind::BadKubeconfig);

    let hangs = token_kubeconfig("http://127.0.0.1:1", "x").replace(
        "token: \"x\"",
        "exec: {apiVersion: client.authentication.k8s.io/v1, command: sleep, args: [\"60\"], interactiveMode: Never}",
    );
    let limit = Duration::from_millis(500);
    let hangs = nodes(&written(&root, &hangs), &environment, limit).await.expect_err("no list");
    assert_eq!(hangs.kind, ReadErrorKind::Unreachable);
    assert!(hangs.to_string().contains("the kubeconfig's exec plugin does not return"), "{hangs}");

    let fails = token_kubeconfig("http://127.0.0.1:1", "x").replace(
        "token: \"x\"",
        "exec: {apiVersion: client.authentication.k8s.io/v1, command: \"false\", interactiveMode: Never}",
    );
    let fails = nodes(&written(&root, &fails), &environment, LONG).await.expect_err("no list");
    assert_eq!(fails.kind, ReadErrorKind::NotPermitted, "{fails}");
}
