//! Who the daemon may be, under an authorizer that refuses everything else.

use super::checked::{Checked, printed};
use super::control_plane::A_MINUTE;
use super::fixture::{Cluster, NODES, in_cluster};
use super::node_state::is_eligible;

/// Where each node's kubelet has its kubeconfig: kubeadm's, k3s's and RKE2's layout.
const KUBELETS: [(&str, &str, &str); 3] = [
    ("n1", "n2", "/etc/kubernetes/kubelet.conf"),
    ("n2", "n3", "/var/lib/rancher/k3s/agent/kubelet.kubeconfig"),
    ("n3", "n1", "/var/lib/rancher/rke2/agent/kubelet.kubeconfig"),
];

/// Where the operator puts what goes before all that is found.
const OWN: &str = "/etc/credstore/nodedns.kubeconfig";

/// `kubectl` with a file of the node's, which must be refused with these words.
async fn is_refused(cluster: &Cluster, node: &str, kubeconfig: &str, arguments: &[&str], words: &str) {
    let command: Vec<_> = ["kubectl", "--kubeconfig", kubeconfig].iter().chain(arguments).copied().collect();
    let ran = cluster.run(node, &command).await;
    assert!(!ran.succeeded() && ran.stderr.contains("Forbidden"), "{node}: {command:?}: {ran:#?}");
    assert!(ran.stderr.contains(words), "{node}: {command:?}: {ran:#?}");
}

#[test]
fn the_kubelets_own_identity_is_enough_and_nothing_else_is_asked_for() {
    in_cluster(async |cluster| {
        cluster.audit().await;
        cluster.configure_all("[kubernetes]", "[log]\nlevel = \"debug\"").await;
        cluster.start_daemons().await;
        for (node, other, kubeconfig) in KUBELETS {
            let get = |what| ["get", "node", what];
            cluster.must(node, &["kubectl", "--kubeconfig", kubeconfig, "get", "node", node]).await;
            let own = format!("node '{node}' cannot read '{other}', only its own Node object");
            is_refused(&cluster, node, kubeconfig, &get(other), &own).await;
            let all = format!("node '{node}' cannot read all nodes, only its own Node object");
            is_refused(&cluster, node, kubeconfig, &["get", "nodes"], &all).await;
            is_refused(&cluster, node, kubeconfig, &["get", "nodes", "--watch-only"], &all).await;
            let lease = ["get", "lease", "--namespace=kube-node-lease", other];
            let own = "can only access node lease with the same name as the requesting node";
            is_refused(&cluster, node, kubeconfig, &lease, own).await;
            is_refused(&cluster, node, kubeconfig, &["get", "secrets", "--all-namespaces"], "secrets").await;
        }
        for node in NODES {
            cluster.follows_a_cordon(node).await;
        }
        // Another watch has to follow the first, without another list.
        let user = |node: &str| format!("system:node:{node}");
        let watches = |cluster: &Cluster, node: &str| {
            cluster.asked_by(&user(node)).iter().filter(|asked| asked.verb == "watch").count()
        };
        let second = async |cluster: &Cluster| NODES.iter().all(|node| watches(cluster, node) >= 2);
        cluster.until("each watches again", second).await;

        let asked = cluster.asked();
        let refused = asked.iter().filter(|asked| asked.agent.starts_with("kubectl/") && asked.code == 403);
        assert!(refused.count() >= 15, "the log holds what is refused: {asked:#?}");
        let known = ["nodedns/", "kubelet/", "curl/", "kubectl/"];
        let unknown = asked.iter().find(|asked| !known.iter().any(|agent| asked.agent.starts_with(agent)));
        assert!(unknown.is_none(), "who is that? {unknown:#?}");
        for node in NODES {
            let ours = cluster.asked_by(&user(node));
            let scope = format!("fieldSelector=metadata.name%3D{node}");
            for asked in &ours {
                let path = asked.uri.split('?').next();
                assert_eq!((path, asked.code), (Some("/api/v1/nodes"), 200), "{asked:#?}");
                assert!(asked.uri.split(['?', '&']).any(|parameter| parameter == scope), "{asked:#?}");
            }
            let verbs: Vec<_> = ours.iter().map(|asked| asked.verb.as_str()).collect();
            assert_eq!(verbs.first(), Some(&"list"), "{ours:#?}");
            assert!(verbs.iter().all(|verb| ["list", "watch"].contains(verb)), "{ours:#?}");
            // One list, then watches; a busy machine may break one, which the daemon says, and lists again.
            let broken = cluster.log(&format!("{node}/nodedns")).matches("the watch is interrupted").count();
            let lists = verbs.iter().filter(|verb| **verb == "list").count();
            assert!(lists <= 1 + broken && broken <= 2, "{broken} breaks: {ours:#?}");
        }
        println!("asked in all: {:?}", NODES.map(|node| cluster.asked_by(&user(node)).len()));

        for (node, _, kubeconfig) in KUBELETS {
            let checked = Checked::of(&cluster, node).await;
            assert_eq!((checked.code, checked.ids("failed"), checked.ids("warning")), (Some(0), vec![], vec![]));
            assert_eq!(checked.the("kubeconfig")["subject"], kubeconfig);
            assert_eq!(checked.ids("skipped"), ["state_directory", "nodes_list"], "{:#}", checked.report);
            // So it should be, and nothing is to be applied.
            let remedy = checked.the("nodes_list")["remedy"].as_str().expect("a remedy");
            assert!(remedy.contains("--kubeconfig") && !remedy.contains("kubectl"), "{remedy}");
        }
        cluster.kubectl("cordon n1").await;
        let cordoned = async |cluster: &Cluster| Checked::of(cluster, "n1").await.ids("warning") == ["own_node"];
        cluster.until("check says that n1 is cordoned", cordoned).await;
        assert_eq!(Checked::of(&cluster, "n1").await.code, Some(0));
        cluster.service("stop", &["n2/load-balancer"]).await;
        let checked = Checked::of(&cluster, "n2").await;
        assert_eq!(
            (checked.code, checked.ids("failed").last()),
            (Some(2), Some(&"api_server")),
            "{:#}",
            checked.report
        );
        cluster.judge("the end");
    });
}

/// A kubeconfig that an operator would write: n1's names the files beside it, as the README says.
fn own_kubeconfig(user: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: home
  cluster: {{server: \"https://10.77.0.1:6443\", certificate-authority: /etc/credstore/nodedns.kube-ca.crt}}
users:
- name: nodedns
  user: {user}
contexts:
- name: home
  context: {{cluster: home, user: nodedns}}
current-context: home
"
    )
}

/// Gives a node's daemon an identity of its own, which has no right yet.
async fn give_own(cluster: &Cluster, node: &str, user: &str) {
    let authority = cluster.must("hub", &["cat", &cluster.pki("ca.crt")]).await;
    cluster.write(node, "/etc/credstore/nodedns.kube-ca.crt", &authority).await;
    cluster.write(node, OWN, &own_kubeconfig(user)).await;
}

/// Applies what `nodedns check` prints for the right to the own Node, as it prints it.
async fn apply_what_check_prints(cluster: &Cluster, node: &str) {
    let checked = Checked::of(cluster, node).await;
    assert_eq!((checked.code, checked.ids("failed")), (Some(2), vec!["own_node_list"]), "{:#}", checked.report);
    let manifests = printed(cluster, node).await;
    // The other one says of itself that it is not for this.
    assert_eq!(manifests.len(), 2, "{manifests:#?}");
    let for_all = checked.the("nodes_list")["remedy"].as_str().expect("a remedy");
    assert!(for_all.starts_with("only if one of these is to use this identity, "), "{for_all}");
    cluster.apply(&manifests[0]).await;
    let well = async |cluster: &Cluster| Checked::of(cluster, node).await.code == Some(0);
    cluster.until("check has nothing left to mend", well).await;
}

#[test]
fn an_identity_for_one_node_and_an_administrators_file_are_enough() {
    in_cluster(async |cluster| {
        cluster.audit().await;

        // n1: a certificate for a user of its own.
        cluster.certificate("nodedns-n1", "/CN=nodedns:n1").await;
        for (from, to) in [("nodedns-n1.crt", "kube-client.crt"), ("nodedns-n1.key", "kube-client.key")] {
            let text = cluster.must("hub", &["cat", &cluster.pki(from)]).await;
            cluster.write("n1", &format!("/etc/credstore/nodedns.{to}"), &text).await;
        }
        // Where the files were when the kubeconfig was written is no matter.
        give_own(&cluster, "n1", "{client-certificate: /home/me/n1.crt, client-key: /home/me/n1.key}").await;
        apply_what_check_prints(&cluster, "n1").await;

        // n2: a k3s server's administrator, linked as the README says.
        let relay = "TCP-LISTEN:6443,bind=127.0.0.1,reuseaddr,fork TCP:10.77.0.1:6443";
        let relay = format!("setsid --fork socat {relay} </dev/null >/dev/null 2>&1");
        cluster.must("n2", &["sh", "-c", &relay]).await;
        let admin = ["kubectl", "config", "view", "--flatten", "--output=yaml"];
        let admin = cluster.must("hub", &admin).await.replace("https://10.77.0.1:6443", "https://127.0.0.1:6443");
        assert!(admin.contains("client-key-data: ") && admin.contains("https://127.0.0.1:6443"), "{admin}");
        cluster.write("n2", "/etc/rancher/k3s/k3s.yaml", &admin).await;
        cluster.must("n2", &["ln", "-s", "/etc/rancher/k3s/k3s.yaml", OWN]).await;
        let ask = ["curl", "--silent", "--insecure", "https://127.0.0.1:6443/livez"];
        cluster.until("the relay listens", async |cluster| cluster.run("n2", &ask).await.succeeded()).await;
        let checked = Checked::of(&cluster, "n2").await;
        assert_eq!((checked.code, checked.ids("failed"), checked.ids("warning")), (Some(0), vec![], vec![]));
        assert_eq!(checked.the("nodes_list")["outcome"], "ok");

        // n3: a service account, whose token is in a file.
        cluster.kubectl("create namespace dns").await;
        cluster.kubectl("create serviceaccount --namespace=dns nodedns-n3").await;
        let token = async |cluster: &Cluster| cluster.kubectl("create token --namespace=dns nodedns-n3").await;
        let first = token(&cluster).await;
        cluster.write("n3", "/etc/credstore/nodedns.token", &first).await;
        give_own(&cluster, "n3", "{tokenFile: /etc/credstore/nodedns.token}").await;
        apply_what_check_prints(&cluster, "n3").await;

        cluster.start_daemons().await;
        let account = "system:serviceaccount:dns:nodedns-n3";
        for node in NODES {
            let status = is_eligible(&cluster, node).await;
            assert_eq!(status["kubernetes"]["kubeconfig"], OWN, "{status:#}");
        }
        for (node, user) in [("n1", "nodedns:n1"), ("n3", account)] {
            // What the paths stand for only nodedns knows.
            let kubeconfig = if node == "n1" { "/etc/n1.kubeconfig" } else { OWN };
            if node == "n1" {
                let user = "{client-certificate: /etc/credstore/nodedns.kube-client.crt, \
                            client-key: /etc/credstore/nodedns.kube-client.key}";
                cluster.write(node, kubeconfig, &own_kubeconfig(user)).await;
            }
            cluster.must(node, &["kubectl", "--kubeconfig", kubeconfig, "get", "node", node]).await;
            let words = format!("User \"{user}\" cannot");
            is_refused(&cluster, node, kubeconfig, &["get", "nodes"], &words).await;
            is_refused(&cluster, node, kubeconfig, &["get", "node", "n2"], &words).await;
            is_refused(&cluster, node, kubeconfig, &["get", "pods"], &words).await;
        }
        for node in NODES {
            cluster.follows_a_cordon(node).await;
        }

        // The token that n3 has is void from now on, and then there is a new one.
        let pid = cluster.pid("n3/nodedns");
        cluster.kubectl("delete serviceaccount --namespace=dns nodedns-n3").await;
        cluster.kubectl("create serviceaccount --namespace=dns nodedns-n3").await;
        let second = token(&cluster).await;
        cluster.write("n3", "/etc/credstore/nodedns.token", &second).await;
        let before = cluster.asked_by(account).last().expect("it has asked").credential.clone();
        let with_the_new = |cluster: &Cluster| {
            let asked = cluster.asked_by(account).into_iter();
            asked.filter(|asked| asked.credential != before && asked.verb == "watch" && asked.code == 200).count() > 0
        };
        let took = cluster
            .until("n3 watches with its new token", async |cluster| {
                assert!(cluster.is_published("n3"), "it is published all the while");
                with_the_new(cluster)
            })
            .await;
        println!("the new token is in use {took:?} after it was written");
        assert!(took < A_MINUTE, "{took:?}");
        cluster.follows_a_cordon("n3").await;
        assert_eq!(cluster.pid("n3/nodedns"), pid);
        // The kubelets' identities, which are there as well, were never used.
        for node in NODES {
            let asked = cluster.asked_by(&format!("system:node:{node}"));
            assert!(asked.is_empty(), "{asked:#?}");
        }
    });
}
