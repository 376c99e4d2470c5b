//! What the lines about Kubernetes say, and what they do not hide.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Bench, Checked, NO_WATCH, RECORD, good, settled, until_aws};
use crate::node_watch::node;
use crate::support::api_server::{Answer, kubeconfig, token_kubeconfig};
use crate::support::desk::{Desk, finish};
use crate::support::pki::Pki;

/// What the API server says to who may not list one Node, and who may not list all.
const NO_LIST: &str = "nodes \"n1\" is forbidden: User \"nodedns-n1\" cannot list resource \"nodes\" in API group \"\" at the \
                       cluster scope";
const NOT_ALL: &str = "nodes is forbidden: User \"system:node:n1\" cannot list resource \"nodes\" in API group \"\" at the \
                       cluster scope: node 'n1' cannot read all nodes, only its own Node object";

/// The YAML of a remedy, below its first line.
fn yaml(remedy: Option<&str>) -> Value {
    let remedy = remedy.expect("a remedy");
    let (first, objects) = remedy.split_once('\n').expect("several lines");
    assert!(first.contains("kubectl apply -f -"), "{first}");
    serde_saphyr::from_str(objects).unwrap_or_else(|error| panic!("{error}: {objects}"))
}

/// The kubeconfig is one with this client certificate.
fn log_in_with(desk: &Desk, server: &str, certificate_pem: &str, key_pem: &str) {
    let (certificate, key) = (desk.path("client.crt"), desk.path("client.key"));
    std::fs::write(&certificate, certificate_pem).expect("written");
    std::fs::write(&key, key_pem).expect("written");
    std::fs::write(desk.path("kubeconfig"), kubeconfig(server, None, &certificate, &key)).expect("written");
}

#[tokio::test]
async fn a_right_to_list_without_the_right_to_watch_is_found_out() {
    let (desk, server) = good(RECORD).await;
    let well = Checked::of(&desk).await;
    server.always_watch(Answer::Error(403, NO_WATCH.into()));
    let checked = Checked::of(&desk).await;
    checked.assert_failed(&["own_node_watch"], &[], &well);
    let list = yaml(checked.the("own_node_watch").remedy.as_deref());
    assert_eq!(list["items"][0]["rules"][0]["resourceNames"], json!(["n1"]));
    assert_eq!(list["items"][0]["rules"][0]["verbs"], json!(["get", "list", "watch"]));
    let account = json!([{"kind": "ServiceAccount", "name": "nodedns", "namespace": "dns"}]);
    assert_eq!(list["items"][1]["subjects"], account);
    // The request was the daemon's own.
    let watches: Vec<_> = server.seen().into_iter().filter(|seen| seen.is_watch()).collect();
    assert!(watches.iter().all(|seen| seen.parameter("fieldSelector") == Some("metadata.name=n1")), "{watches:?}");
    let said = desk.checked().await;
    insta::assert_snapshot!("check_watch_refused", settled(&until_aws(&said), &desk, &server));
}

#[tokio::test]
async fn an_identity_that_may_not_read_its_node_is_told_what_to_apply() {
    let (desk, server) = good(RECORD).await;
    let well = Checked::of(&desk).await;
    server.always(Answer::Error(403, NO_LIST.into()));
    server.always_list_all(Answer::Error(403, NOT_ALL.into()));
    let checked = Checked::of(&desk).await;
    checked.assert_failed(&["own_node_list"], &["own_node_watch", "own_node", "nodes_list"], &well);
    let list = yaml(checked.the("own_node_list").remedy.as_deref());
    assert_eq!(
        list["items"][1]["subjects"],
        json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nodedns-n1"}])
    );
    // All Nodes are for 'list' and 'prune', and for nobody that anybody needs.
    let all = yaml(checked.the("nodes_list").remedy.as_deref());
    assert_eq!(all["items"][0]["rules"][0].get("resourceNames"), None);
    assert_eq!(all["items"][1]["subjects"][0]["name"], "system:node:n1");
}

/// Who may read every Node reads the wrong one without a word.
#[tokio::test]
async fn a_certificate_of_another_node_is_told_though_all_is_allowed() {
    let (desk, server) = good(RECORD).await;
    let pki = Pki::new();
    let with_certificate = |name: &str| {
        // For a month, so that nothing is said of its end.
        let identity = pki.issue(&format!("system:node:{name}"), Duration::from_hours(30 * 24));
        log_in_with(&desk, &server.url(), &identity.certificate_pem, &identity.key_pem);
    };
    with_certificate("n1");
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.ids("warning")), (Some(0), vec![]));
    with_certificate("n2");
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.ids("warning")), (Some(0), vec!["certificate_node"]));
    let found = checked.the("certificate_node");
    assert!(found.text.contains("belongs to node 'n2'") && found.text.contains("as those of 'n1'"), "{found:?}");
    assert!(found.remedy.as_deref().is_some_and(|remedy| remedy.contains("set node = \"n2\"")), "{found:?}");
    // Where it is refused, the refusal says so, and once is enough.
    server.always(Answer::Error(403, NO_LIST.replace("nodedns-n1", "system:node:n2")));
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.ids("warning")), (Some(2), vec![]));
    let found = checked.the("own_node_list");
    assert!(found.remedy.as_deref().is_some_and(|remedy| remedy.contains("credentials of node 'n2'")), "{found:?}");
    // Nor is the wrong identity given more rights.
    desk.replace("[[record]]", "[survivors]\nenabled = true\n[[record]]");
    server.always_list_all(Answer::Error(403, NOT_ALL.replace("system:node:n1", "system:node:n2")));
    let checked = Checked::of(&desk).await;
    for id in ["own_node_list", "nodes_list"] {
        let found = checked.the(id);
        let remedy = found.remedy.as_deref().unwrap_or_default();
        assert_eq!(found.outcome, "failed");
        assert!(remedy.contains("credentials of node 'n2'") && !remedy.contains("ClusterRole"), "{found:?}");
    }
}

/// Whoever is nobody is given no right, as everybody would have it.
#[tokio::test]
async fn credentials_that_the_server_does_not_know_are_no_matter_of_rights() {
    let (desk, server) = good(RECORD).await;
    let well = Checked::of(&desk).await;
    server.always(Answer::Error(403, NO_LIST.replace("nodedns-n1", "system:anonymous")));
    server.always_list_all(Answer::Error(403, NOT_ALL.replace("system:node:n1", "system:anonymous")));
    let checked = Checked::of(&desk).await;
    let hidden = ["own_node_list", "own_node_watch", "own_node", "nodes_list"];
    checked.assert_failed(&["api_server"], &hidden, &well);
    let found = checked.the("api_server");
    assert!(found.text.contains("has no credentials that the API server at"), "{found:?}");
    let remedy = found.remedy.as_deref().expect("a remedy");
    assert!(remedy.contains("a client certificate or a token") && !remedy.contains("ClusterRole"), "{remedy}");
    let said = desk.run(&["list"]).await;
    assert!(said.err.contains("has no credentials") && !said.err.contains("ClusterRole"), "{}", said.err);
}

/// It would have refused a certificate that it does not know with 401.
#[tokio::test]
async fn a_certificate_that_does_not_reach_the_server_is_not_asked_for_again() {
    let (desk, server) = good(RECORD).await;
    let identity = Pki::new().kubelet("n1");
    log_in_with(&desk, &server.url(), &identity.certificate_pem, &identity.key_pem);
    server.always(Answer::Error(403, NO_LIST.replace("nodedns-n1", "system:anonymous")));
    let checked = Checked::of(&desk).await;
    let found = checked.the("api_server");
    assert!(found.text.contains("has not reached the API server"), "{found:?}");
    let remedy = found.remedy.as_deref().expect("a remedy");
    assert!(remedy.contains("ends TLS") && !remedy.contains("a client certificate or a token"), "{remedy}");
}

/// A proxy's refusal is none of the API server's.
#[tokio::test]
async fn what_is_no_api_server_refuses_no_rights() {
    let (desk, server) = good(RECORD).await;
    let well = Checked::of(&desk).await;
    for code in [401, 403] {
        server.always(Answer::Plain(code, "server", "a-proxy".into()));
        let checked = Checked::of(&desk).await;
        let hidden = ["own_node_list", "own_node_watch", "own_node", "nodes_list"];
        checked.assert_failed(&["api_server"], &hidden, &well);
        let found = checked.the("api_server");
        assert!(found.text.contains(&format!("({code}), and not as an API server does")), "{found:?}");
        let remedy = found.remedy.as_deref().expect("a remedy");
        assert!(remedy.contains("'server' in ") && !remedy.contains("ClusterRole"), "{remedy}");
    }
}

/// What is wrong with the kubeconfig or with the cluster is not blamed on the network.
#[tokio::test]
async fn errors_that_are_not_of_the_network_are_told_what_helps() {
    let (desk, server) = good(&format!("[survivors]\nenabled = true\n{RECORD}")).await;
    let well = Checked::of(&desk).await;
    let pki = Pki::new();
    let https = server.url().replace("http://", "https://");
    let with_certificate = |certificate_pem: &str, key_pem: &str| log_in_with(&desk, &https, certificate_pem, key_pem);
    let (one, other) = (pki.kubelet("n1"), pki.kubelet("n1"));
    with_certificate(&one.certificate_pem, &other.key_pem);
    let checked = Checked::of(&desk).await;
    let found = checked.the("api_server");
    assert!(found.text.contains("do not belong together"), "{found:?}");
    assert!(found.remedy.as_deref().is_some_and(|remedy| remedy.contains("made together")), "{found:?}");
    // The frame of a certificate, with nothing in it that is one.
    let broken = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    with_certificate(broken, &one.key_pem);
    let checked = Checked::of(&desk).await;
    let found = checked.the("api_server");
    assert!(found.text.contains("its client certificate cannot be read") && !found.text.contains("peer"), "{found:?}");
    assert!(found.remedy.as_deref().is_some_and(|remedy| remedy.contains("issued anew")), "{found:?}");

    std::fs::write(desk.path("kubeconfig"), token_kubeconfig(&server.url(), "x")).expect("written");
    let mut another = node("True");
    another["metadata"]["name"] = json!("n2");
    server.delete_node();
    server.set_node(another);
    let checked = Checked::of(&desk).await;
    checked.assert_failed(&["own_node", "nodes_watch"], &[], &well);
    let remedy = checked.the("nodes_watch").remedy.as_deref().expect("a remedy");
    assert!(remedy.contains("restart its kubelet") && !remedy.contains("drops packets"), "{remedy}");
}

#[tokio::test]
async fn survivors_need_to_list_and_to_watch_all_nodes() {
    let (desk, server) = good(&format!("[survivors]\nenabled = true\n{RECORD}")).await;
    let well = Checked::of(&desk).await;
    assert_eq!((well.code, well.the("nodes_watch").outcome.as_str()), (Some(0), "ok"));
    server.always_watch_all(Answer::Error(403, NOT_ALL.replace("list", "watch")));
    let checked = Checked::of(&desk).await;
    checked.assert_failed(&["nodes_watch"], &[], &well);
    assert_eq!(yaml(checked.the("nodes_watch").remedy.as_deref())["items"][0]["metadata"]["name"], "nodedns-nodes");
    server.always_list_all(Answer::Error(403, NOT_ALL.into()));
    Checked::of(&desk).await.assert_failed(&["nodes_list"], &["nodes_watch"], &well);
}

#[tokio::test]
async fn a_node_is_there_or_not_and_says_what_keeps_it_out() {
    let (desk, server) = good(RECORD).await;
    let well = Checked::of(&desk).await;
    let mut cordoned = node("True");
    cordoned["spec"]["unschedulable"] = json!(true);
    cordoned["metadata"]["annotations"] = json!({"nodedns.io/weight": "heavy"});
    server.set_node(cordoned);
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.ids("warning")), (Some(0), vec!["own_node", "annotation"]));
    assert!(checked.the("own_node").text.contains("cordoned"), "{:?}", checked.the("own_node"));
    server.set_node(node("False"));
    let checked = Checked::of(&desk).await;
    assert!(checked.the("own_node").text.contains("not Ready (KubeletNotReady)"), "{:?}", checked.the("own_node"));
    server.delete_node();
    let mut other = node("True");
    other["metadata"]["name"] = json!("n2");
    server.set_node(other);
    let checked = Checked::of(&desk).await;
    checked.assert_failed(&["own_node"], &[], &well);
    let remedy = checked.the("own_node").remedy.as_deref().expect("a remedy");
    assert!(remedy.contains("kubectl get nodes") && remedy.contains("restart its kubelet"), "{remedy}");
}

#[tokio::test]
async fn an_api_server_that_is_down_or_refuses_the_credentials_hides_nothing_else() {
    let (desk, mut server) = good(RECORD).await;
    let well = Checked::of(&desk).await;
    let hidden = ["own_node_list", "own_node_watch", "own_node", "nodes_list"];
    server.always(Answer::Error(401, "Unauthorized".into()));
    let checked = Checked::of(&desk).await;
    checked.assert_failed(&["api_server"], &hidden, &well);
    assert!(checked.the("api_server").text.contains("(401)"), "{:?}", checked.the("api_server"));
    server.always(Answer::Serve);
    server.stop();
    let checked = Checked::of(&desk).await;
    checked.assert_failed(&["api_server"], &hidden, &well);
    assert!(checked.the("api_server").text.contains("cannot reach"), "{:?}", checked.the("api_server"));
}

#[tokio::test]
async fn an_api_server_that_hangs_costs_seconds_and_lines_come_as_they_are_found() {
    let (desk, server) = good(RECORD).await;
    let well = Checked::of(&desk).await;
    server.fall_silent();
    let started = Instant::now();
    let mut child = desk.check().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let out = child.stdout.take().expect("a pipe");
    let (early, rest, child) = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(out).lines().map(|line| line.expect("a line"));
        let early: Vec<_> = lines.by_ref().take_while(|line| !line.contains("nodedns.sock")).collect();
        let running = child.try_wait().expect("a child").is_none();
        assert!(running, "it still waits: {early:?}");
        let rest: Vec<_> = lines.collect();
        let code = child.wait().expect("it ends").code();
        (early, rest, code)
    })
    .await
    .expect("a thread");
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert!(early.iter().any(|line| line.contains("203.0.113.7 would be published")), "{early:?}");
    assert!(rest.iter().any(|line| line.contains('✗') && line.contains("does not answer")), "{rest:?}");
    assert_eq!(child, Some(2));
    let hidden = ["own_node_list", "own_node_watch", "own_node", "nodes_list"];
    Checked::of(&desk).await.assert_failed(&["api_server"], &hidden, &well);
}

#[tokio::test]
async fn a_certificate_is_looked_at_before_it_ends() {
    let (desk, server) = good(RECORD).await;
    let pki = Pki::new();
    let with_certificate = |valid_for: Duration| {
        let identity = pki.issue("system:node:n1", valid_for);
        log_in_with(&desk, &server.url(), &identity.certificate_pem, &identity.key_pem);
    };
    const DAY: Duration = Duration::from_secs(86_400);
    with_certificate(30 * DAY);
    let well = Checked::of(&desk).await;
    assert_eq!((well.code, well.the("certificate").outcome.as_str()), (Some(0), "ok"));
    with_certificate(6 * DAY);
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.ids("warning")), (Some(0), vec!["certificate"]));
    with_certificate(Duration::ZERO);
    let checked = Checked::of(&desk).await;
    checked.assert_failed(&["certificate"], &[], &well);
    assert!(checked.the("certificate").text.contains("'system:node:n1' expired"), "{:?}", checked.the("certificate"));
}

#[tokio::test]
async fn without_kubernetes_it_is_not_missed_unless_survivors_need_it() {
    let desk = Bench::new(RECORD, None);
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.the("kubeconfig").outcome.as_str()), (Some(0), "skipped"));
    desk.replace("enabled = false", &format!("kubeconfig = \"{}\"", desk.path("none").display()));
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.ids("failed")), (Some(2), vec!["kubeconfig"]));
    assert_eq!(checked.the("own_node").outcome, "skipped");
}

/// A kubeconfig may carry a password in its server's URL, or its proxy's.
#[tokio::test]
async fn a_password_in_a_url_of_the_kubeconfig_is_never_shown() {
    let (desk, mut server) = good(RECORD).await;
    let url = server.url().replace("http://", "http://admin:SECRET-PASSWORD@");
    let text = token_kubeconfig(&url, "SECRET-TOKEN");
    let proxied = text.replace("server:", "proxy-url: \"http://admin:SECRET-PASSWORD@192.0.2.1:3128\", server:");
    assert!(text.contains("SECRET-PASSWORD") && text != proxied, "{proxied}");
    for (text, runs) in [(&text, true), (&proxied, true), (&text, false)] {
        if !runs {
            server.stop();
        }
        std::fs::write(desk.path("kubeconfig"), text).expect("written");
        for output in ["table", "json", "yaml"] {
            let mut check = desk.check();
            check.args(["--output", output]);
            for said in [finish(check).await, desk.run(&["list", "--output", output]).await] {
                assert!(!said.out.contains("SECRET") && !said.err.contains("SECRET"), "{said:?}");
            }
        }
    }
    let said = desk.checked().await;
    assert!(said.out.contains(&server.url()), "the server is named: {}", said.out);
}
