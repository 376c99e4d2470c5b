//! Nodes that die, are cut off or only hang, and who takes them out of DNS.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use route53_sim::{Action, RecordSet, Request};
use serde_json::{Value, json};

use super::fixture::{Cluster, NODES, in_cluster, owner_id};
use super::node_state::in_words;
use super::observer::{Observer, none, ready};

/// The shortest that the configuration takes.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// Two seconds are promised; what a busy machine adds is its own.
const LATE: Duration = Duration::from_secs(2 + 10);

/// Turns survivors on, on all nodes, from the next start of the daemons on.
pub(crate) async fn enable_survivors(cluster: &Cluster) {
    cluster.configure_all("[kubernetes]", "[survivors]\nenabled = true\ngrace = \"30s\"").await;
}

/// The same, and starts the daemons.
pub(crate) async fn start_survivors(cluster: &Cluster) -> Observer {
    enable_survivors(cluster).await;
    cluster.start_daemons().await;
    Observer::start(cluster).await
}

/// The same where the right is given before, so that all of them watch.
pub(crate) async fn start_permitted(cluster: &Cluster) -> Observer {
    permit(cluster, RULE).await;
    let observer = start_survivors(cluster).await;
    watching(cluster, &NODES).await;
    observer
}

/// Lets the kubelets' identities do what a rule says, in the form in which `status` prints it.
pub(crate) async fn permit(cluster: &Cluster, rule: &str) {
    let name = "nodedns-survivors";
    cluster
        .apply(&format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\nrules: [{rule}]\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {name}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}\n\
             subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: \"system:nodes\"}}]\n"
        ))
        .await;
}

/// What survivors need, beyond what a kubelet may.
pub(crate) const RULE: &str = r#"{apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"]}"#;

/// What `nodedns status` says on a node of the others.
pub(crate) async fn survivors(cluster: &Cluster, node: &str) -> Value {
    cluster.status(node).await.0["survivors"].clone()
}

/// Waits until every one of these nodes watches all Nodes and finds nothing amiss.
pub(crate) async fn watching(cluster: &Cluster, nodes: &[&str]) {
    for node in nodes {
        cluster
            .until(&format!("{node} watches"), async |cluster| {
                let said = survivors(cluster, node).await;
                said["state"] == "watching" && said["dead"] == json!([])
            })
            .await;
    }
}

/// Who has removed what of a node, since some moment: the batches that were carried out, of whomever.
pub(crate) fn removals(cluster: &Cluster, dead: &str, since: Instant) -> Vec<(&'static str, Request, Vec<RecordSet>)> {
    let owner = owner_id(dead);
    let removed = |request: &Request| -> Vec<RecordSet> {
        let created = |set: &RecordSet| request.changes.iter().any(|change| *change == (Action::Create, set.clone()));
        let gone = request.changes.iter().filter(|(action, set)| *action == Action::Delete && !created(set));
        gone.map(|(_, set)| set.clone()).filter(|set| set.set_identifier.as_ref() == Some(&owner)).collect()
    };
    let of = |node: &'static str| {
        let requests = cluster.requests_of(node, since).into_iter().filter(|request| request.change_id.is_some());
        requests.map(move |request| (node, request))
    };
    let all = NODES.into_iter().flat_map(of).map(|(node, request)| {
        let sets = removed(&request);
        (node, request, sets)
    });
    all.filter(|(_, _, sets)| !sets.is_empty()).collect()
}

/// Waits for Kubernetes' verdict on a node, and then until the survivors have removed it: not before the grace is
/// over, soon after it, each record set once.
pub(crate) async fn is_removed(cluster: &Cluster, observer: &Observer, dead: &str, since: Instant, late: Duration) {
    let unknown = |status: Option<(&str, &str)>| status.is_some_and(|(status, _)| status == "Unknown");
    let verdict = observer.when(cluster, dead, since, |node| unknown(ready(node))).await;
    let since_when = observer.ready_since(cluster, dead, since, |node| unknown(ready(node))).await;
    println!("{dead}: Kubernetes' verdict after {:.1} s", (verdict - since).as_secs_f64());
    cluster.until(&format!("{dead} is removed"), async |cluster| cluster.is_withdrawn(dead)).await;

    let removals = removals(cluster, dead, since);
    let first = removals.iter().map(|(_, request, _)| request).min_by_key(|request| request.at).expect("just seen");
    let last = removals.iter().map(|(_, request, _)| request.at).max().expect("just seen");
    let who: BTreeSet<_> = removals.iter().map(|(node, _, _)| *node).collect();
    println!(
        "{dead}: removed by {who:?}, {:.1} to {:.1} s after the verdict",
        (first.at - verdict).as_secs_f64(),
        (last - verdict).as_secs_f64()
    );
    let waited = first.wall.duration_since(since_when).expect("after it");
    assert!(waited >= GRACE, "{dead}: removed {waited:?} after the verdict");
    assert!(last - verdict <= GRACE + late, "{dead}: removed {:?} after the verdict", last - verdict);
    assert!(!who.contains(dead), "{dead} cannot have reached Route 53");
    let sets: Vec<_> = removals.iter().flat_map(|(_, _, sets)| sets).collect();
    assert_eq!(sets.len(), 4, "each once: {sets:#?}");
}

/// Waits until a node is published again: by itself alone, and not before it is Ready again.
async fn returns(cluster: &Cluster, observer: &Observer, node: &str, since: Instant) {
    let is_ready = |status: Option<(&str, &str)>| status.is_some_and(|(status, _)| status == "True");
    cluster.until(&format!("{node} is published again"), async |cluster| cluster.is_published(node)).await;
    let told = observer.when(cluster, node, since, |object| is_ready(ready(object))).await;
    let since_when = observer.ready_since(cluster, node, since, |object| is_ready(ready(object))).await;
    let owner = owner_id(node);
    let publishes = |request: &Request| {
        let ours = |(action, set): &(Action, RecordSet)| {
            *action != Action::Delete && set.set_identifier.as_ref() == Some(&owner)
        };
        request.change_id.is_some() && request.changes.iter().any(ours)
    };
    for other in NODES.into_iter().filter(|other| *other != node) {
        let theirs: Vec<_> = cluster.requests_of(other, since).into_iter().filter(publishes).collect();
        assert!(theirs.is_empty(), "{other} has published {node}: {theirs:#?}");
    }
    let first = cluster.requests_of(node, since).into_iter().find(publishes).expect("it has published itself");
    println!(
        "{node}: Ready again after {:.1} s, published by itself after {:.1} s",
        (told - since).as_secs_f64(),
        (first.at - since).as_secs_f64()
    );
    assert!(first.wall >= since_when, "{node} was published before it was Ready: {first:#?}");
}

/// Brings back what a dead node was without, and waits until it is published. Nobody may remove it from then on.
pub(crate) async fn comes_back(cluster: &Cluster, observer: &Observer, node: &str, action: &str, service: &str) {
    cluster.may_be_removed(None);
    let since = Instant::now();
    cluster.service(action, &[service]).await;
    returns(cluster, observer, node, since).await;
    cluster.judge(&format!("{service} is back"));
}

#[test]
fn a_node_that_is_cut_off_or_loses_power_is_removed_by_survivors_and_comes_back_by_itself() {
    in_cluster(async |cluster| {
        let observer = start_survivors(&cluster).await;
        // What is missing is said, with the rule to add; that rule is enough.
        cluster.until("n1 may not list", async |cluster| survivors(cluster, "n1").await["state"] == "unknown").await;
        let missing = |said: &Value| said["explanation"].as_str().is_some_and(|said| said.contains("ClusterRole"));
        cluster.until("it says so", async |cluster| missing(&survivors(cluster, "n1").await)).await;
        let said = survivors(&cluster, "n1").await;
        let said = said["explanation"].as_str().expect("a text").to_owned();
        let start = said.find("{apiGroups").unwrap_or_else(|| panic!("no rule in {said}"));
        let end = start + said[start..].find('}').expect("its end") + 1;
        assert_eq!(&said[start..end], RULE);
        permit(&cluster, &said[start..end]).await;
        watching(&cluster, &NODES).await;

        cluster.may_be_removed(Some("n3"));
        let cut = Instant::now();
        cluster.service("stop", &["n3/network"]).await;
        let is_cut = Instant::now();
        is_removed(&cluster, &observer, "n3", cut, LATE).await;
        none(&cluster.requests_of("n3", is_cut), "n3 is cut off");
        let told = |node: &str| cluster.log(&format!("{node}/nodedns")).matches("removed nodedns/v1/home/n3").count();
        let both = |cluster: &Cluster| ["n1", "n2"].iter().all(|node| cluster.is_published(node));
        // The other finds nothing to do.
        cluster.stays(Duration::from_secs(3), "n1 and n2 stay", async |cluster| both(cluster)).await;
        assert_eq!(told("n1") + told("n2"), 4, "each record set is removed, and told, once");
        watching(&cluster, &["n1", "n2"]).await;

        comes_back(&cluster, &observer, "n3", "start", "n3/network").await;
        watching(&cluster, &NODES).await;

        cluster.may_be_removed(Some("n3"));
        let off = Instant::now();
        cluster.service("stop", &["n3"]).await;
        is_removed(&cluster, &observer, "n3", off, LATE).await;
        watching(&cluster, &["n1", "n2"]).await;
        comes_back(&cluster, &observer, "n3", "start", "n3").await;
    });
}

#[test]
fn who_lives_withdraws_itself_and_two_of_three_dead_freeze_the_third() {
    in_cluster(async |cluster| {
        let observer = start_permitted(&cluster).await;

        // The kubelet hangs, the daemon beside it does not.
        let since = Instant::now();
        cluster.service("pause", &["n3/kubelet"]).await;
        cluster.until("n3 withdraws itself", async |cluster| cluster.is_withdrawn("n3")).await;
        cluster.judge("n3 withdraws itself");
        let settled = Instant::now();
        let quiet = GRACE + Duration::from_secs(5);
        cluster
            .stays(quiet, "n1 and n2 stay", async |cluster| cluster.is_published("n1") && cluster.is_published("n2"))
            .await;
        for node in ["n1", "n2"] {
            let written = cluster.requests_of(node, since).into_iter().filter(|request| !request.changes.is_empty());
            assert_eq!(written.count(), 0, "{node} has nothing to do");
            let said = survivors(&cluster, node).await;
            assert_eq!((&said["state"], &said["dead"]), (&json!("watching"), &json!([])), "{said:#}");
        }
        println!("n3 withdrew itself {:.1} s after its kubelet hung", (settled - since).as_secs_f64());
        cluster.service("resume", &["n3/kubelet"]).await;
        cluster.until("n3 is back", async |cluster| cluster.is_published("n3")).await;
        watching(&cluster, &NODES).await;
        cluster.judge("n3 is back");

        // One that is left cannot tell whether it is not itself that is cut off.
        let since = Instant::now();
        cluster.service("stop", &["n2", "n3"]).await;
        cluster.until("n1 is frozen", async |cluster| survivors(cluster, "n1").await["state"] == "frozen").await;
        let words = "frozen: 2 of 3 nodes are not Ready or gone, so nothing is removed";
        let said = survivors(&cluster, "n1").await;
        assert!(said["explanation"].as_str().is_some_and(|said| said.contains(words)), "{said:#}");
        let dead: Vec<_> = said["dead"].as_array().expect("a list").iter().map(|dead| dead["node"].clone()).collect();
        // n3 was out of DNS when n1 last looked; that it is there now is found out before anything is removed.
        assert!(dead.contains(&json!("n2")), "{said:#}");
        let text = in_words(&cluster, "n1").await;
        assert!(text.contains(&format!("Survivors: {words}")) && text.contains("its record sets stay"), "{text}");
        assert!(cluster.log("n1/nodedns").contains(words));
        // Whether n1 is Ready meanwhile, its own affair, is up to the machine.
        let both = |cluster: &Cluster| ["n2", "n3"].iter().all(|node| cluster.is_published(node));
        cluster.stays(quiet, "nothing is removed", async |cluster| both(cluster)).await;
        assert_eq!(removals(&cluster, "n2", since).len() + removals(&cluster, "n3", since).len(), 0);

        // With n2 the grace of n3, which is long over, counts again.
        cluster.may_be_removed(Some("n3"));
        cluster.service("start", &["n2"]).await;
        is_removed(&cluster, &observer, "n3", since, Duration::from_secs(120)).await;
        watching(&cluster, &["n1", "n2"]).await;
        let both = |cluster: &Cluster| ["n1", "n2"].iter().all(|node| cluster.is_published(node));
        cluster.until("n1 and n2 are published", async |cluster| both(cluster)).await;
        assert!(removals(&cluster, "n2", since).iter().all(|(by, _, _)| *by == "n2"));
        cluster.judge("n3 is removed");
    });
}
