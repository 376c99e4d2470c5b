//! Everything is down at once: the API server and what it stores in, or all kubelets, or both.

use std::time::{Duration, Instant};

use route53_sim::Action;

use super::control_plane::{API_SERVER, BACK_AGAIN, ETCD, KUBERNETES, with_sole};
use super::fixture::{Cluster, EDGE, GEO, NODES, owner_id};
use super::node_state::is_well;
use super::survivors::{RULE, enable_survivors, permit, survivors, watching};

/// How long the control plane and all kubelets are dead.
const OUTAGE: Duration = Duration::from_secs(5 * 60);

/// How long the node that asks for it stays without an API server.
const AFTER: Duration = Duration::from_secs(15);

const KUBELETS: [&str; 3] = ["n1/kubelet", "n2/kubelet", "n3/kubelet"];

const MOVED: &str = "185.12.64.112";

/// Whether each node is in each of its pools, with the second one's new address.
fn all_are_there(cluster: &Cluster, second: &str) -> bool {
    NODES.iter().all(|node| {
        let mut sets = with_sole(node);
        if *node == "n2" {
            for ((_, _), values) in sets.iter_mut().filter(|((_, rtype), _)| rtype == "A") {
                *values = vec![second.to_owned()];
            }
        }
        cluster.own(node) == sets
    })
}

/// Gives the second node another address in place of the one that it has.
async fn move_address(cluster: &Cluster, from: &str, to: &str) {
    // The kernel takes the default route away with the last address of its network.
    let commands = format!(
        "address del {from}/24 dev eth0\naddress add {to}/24 dev eth0\nroute replace default via 185.12.64.254\n"
    );
    // All of it at once, so that there is no time without an address.
    let ran = cluster.run_with("n2", &["ip", "-batch", "-"], &commands).await;
    assert!(ran.succeeded(), "{commands}{ran:#?}");
}

/// What a node says of its survivors' part.
async fn state(cluster: &Cluster, node: &str) -> String {
    survivors(cluster, node).await["state"].as_str().unwrap_or_default().to_owned()
}

async fn healthz(cluster: &Cluster, node: &str) -> String {
    let ask = ["curl", "--silent", "--write-out", "\n%{http_code}", "http://127.0.0.1:9797/healthz"];
    cluster.must(node, &ask).await
}

/// Waits until the name that only the three publish is down to its last record set of either type.
async fn until_the_last(cluster: &Cluster) {
    cluster
        .until("one of each type is left", async |cluster| {
            let (a, aaaa) = cluster.sole();
            assert!(a >= 1 && aaaa >= 1, "the name has lost a type: {a} A, {aaaa} AAAA");
            (a, aaaa) == (1, 1)
        })
        .await;
}

#[test]
fn five_minutes_without_control_plane_and_kubelets_take_nothing_out_of_dns() {
    in_cluster_with_survivors(async |cluster| {
        let died = Instant::now();
        cluster.controllers_leave().await;
        cluster.service("kill", &[API_SERVER, ETCD]).await;
        cluster.service("kill", &KUBELETS).await;
        for node in NODES {
            let status = cluster.until_noticed(node, died, "everything is dead").await;
            let kubernetes = &status["kubernetes"];
            assert!(kubernetes["last_contact"].is_string(), "since when is not told: {kubernetes:#}");
            let error = kubernetes["error"].as_str().unwrap_or_default();
            assert!(error.contains("cannot reach the API server at https://") && error.contains("hint: "), "{error}");
            // The list of nodes has a watch of its own.
            cluster.until("survivors notice", async |cluster| state(cluster, node).await == "unknown").await;
            let text = cluster.run(node, &["nodedns", "status"]).await.stdout;
            assert!(text.contains("is unknown; out of touch with https://"), "{text}");
            let health = healthz(&cluster, node).await;
            assert!(health.ends_with("\n503"), "{health}");
        }
        assert!(cluster.all_have_sole());
        cluster.nothing_was_written(died, "everything is dead");

        // An address is followed all the same, by exchanging what is there for what is to be.
        let moved = Instant::now();
        move_address(&cluster, "185.12.64.12", MOVED).await;
        let took = cluster.until("the address is followed", async |cluster| all_are_there(cluster, MOVED)).await;
        println!("in the outage: a new address is in DNS after {took:.1?}");
        for request in cluster.writes_of("n2", moved) {
            let own = owner_id("n2");
            let actions = request.changes.iter().filter(|(_, set)| set.set_identifier.as_ref() == Some(&own));
            let actions: Vec<_> = actions.map(|(action, set)| (*action, set.values.join(" "))).collect();
            let swap = [(Action::Delete, "185.12.64.12".to_owned()), (Action::Create, MOVED.to_owned())];
            assert_eq!(actions, swap, "{request:#?}");
        }
        assert!(cluster.writes_of("n1", died).is_empty() && cluster.writes_of("n3", died).is_empty());

        // Nor does a daemon need to know its node to leave alone what is there.
        let restarted = Instant::now();
        cluster.service("stop", &["n3/nodedns"]).await;
        cluster.service("start", &["n3/nodedns"]).await;
        let status = cluster.until_noticed("n3", restarted, "started in the outage").await;
        assert!(status["kubernetes"]["last_contact"].is_null(), "{status:#}");

        let rest = OUTAGE.saturating_sub(died.elapsed());
        cluster.stays(rest, "all are in DNS", async |cluster| all_are_there(cluster, MOVED)).await;
        for node in ["n1", "n3"] {
            assert!(cluster.writes_of(node, died).is_empty(), "{node} wrote");
        }
        cluster.judge("for 5 minutes");

        // Back is the control plane alone: for it, all nodes are dead.
        cluster.service("start", &[ETCD, API_SERVER]).await;
        let returned = Instant::now();
        println!("the API server is ready again {:.0?} after everything died", died.elapsed());
        let verdict = async {
            cluster.controllers_return_at_once().await;
            cluster.until("all nodes are Unknown", async |cluster| cluster.all_are("Unknown").await).await;
            println!("Kubernetes calls all nodes Unknown {:.1?} after the return", returned.elapsed());
            Instant::now()
        };
        let connected = cluster.until_connected(&NODES, returned, "back without kubelets");
        let (verdict, ()) = tokio::join!(verdict, connected);
        // The list of nodes has a watch of its own, with pauses of its own.
        for node in NODES {
            let state = async |cluster: &Cluster| state(cluster, node).await == "not_fit";
            cluster.until(&format!("{node} knows that it is not fit"), state).await;
            let took = verdict.elapsed();
            println!("back without kubelets: the survivor {node} knows that it is not fit after {took:.1?}");
            assert!(took < BACK_AGAIN, "{node} took {took:?}");
        }
        until_the_last(&cluster).await;
        cluster
            .stays(Duration::from_secs(5), "one of each type is left", async |cluster| cluster.sole() == (1, 1))
            .await;
        cluster.judge("back without kubelets");

        cluster.service("start", &KUBELETS).await;
        let ready =
            cluster.until_within(KUBERNETES, "all are Ready", async |cluster| cluster.all_are("True").await).await;
        let took = cluster
            .until_within(BACK_AGAIN, "all are published again", async |cluster| all_are_there(cluster, MOVED))
            .await;
        println!("kubelets back: Kubernetes calls all nodes Ready after {ready:.1?}, DNS is right {took:.1?} later");
        for node in NODES {
            cluster.until("survivors watch", async |cluster| state(cluster, node).await == "watching").await;
            cluster.until("all is well", async |cluster| healthz(cluster, node).await.ends_with("\n200")).await;
        }
        let calm = Instant::now();
        move_address(&cluster, MOVED, "185.12.64.12").await;
        cluster.until("the address is followed", async |cluster| cluster.all_have_sole()).await;
        cluster.stays(Duration::from_secs(5), "all are in DNS", async |cluster| cluster.all_have_sole()).await;
        assert!(cluster.writes_of("n1", calm).is_empty() && cluster.writes_of("n3", calm).is_empty());
        // Survivors have removed nothing, during it or after.
        cluster.judge("after the outage");
    });
}

fn in_cluster_with_survivors<F: Future<Output = ()>>(test: impl FnOnce(Cluster) -> F + Send + 'static) {
    super::fixture::in_cluster(async |cluster| {
        cluster.configure_all("[kubernetes]", "[metrics]\nlisten = \"127.0.0.1:9797\"").await;
        enable_survivors(&cluster).await;
        permit(&cluster, RULE).await;
        cluster.start_daemons_with_sole().await;
        watching(&cluster, &NODES).await;
        test(cluster).await;
    });
}

#[test]
fn who_asks_for_it_leaves_without_an_api_server_after_the_time_asked_for() {
    super::fixture::in_cluster(async |cluster| {
        let withdraw = format!(
            "[signals]\napi_unreachable = {{ action = \"withdraw\", after = \"{}s\", recover_after = \"1s\" }}",
            AFTER.as_secs()
        );
        cluster.configure("n1", "[signals]", &withdraw).await;
        cluster.start_daemons_with_sole().await;
        cluster.controllers_leave().await;
        let died = Instant::now();
        cluster.service("kill", &[API_SERVER, ETCD]).await;
        cluster.until("n1 is withdrawn", async |cluster| cluster.is_withdrawn("n1")).await;
        let writes = cluster.writes_of("n1", died);
        let took = writes.first().expect("a write").at - died;
        println!("api_unreachable = withdraw, after {AFTER:?}: left after {took:.1?}");
        assert!(took >= AFTER, "too early: {took:?}");
        assert!(took < AFTER + BACK_AGAIN, "too late: {took:?}");
        // As it was asked for.
        is_well(&cluster, "n1", "api_unreachable").await;
        cluster
            .stays(Duration::from_secs(5), "the others stay", async |cluster| {
                cluster.is_withdrawn("n1") && ["n2", "n3"].iter().all(|node| cluster.own(node) == with_sole(node))
            })
            .await;
        for node in ["n2", "n3"] {
            assert!(cluster.writes_of(node, died).is_empty(), "{node} wrote");
        }
        cluster.service("start", &[ETCD, API_SERVER]).await;
        let returned = Instant::now();
        cluster.controllers_return().await;
        cluster.until_connected(&NODES, returned, "back").await;
        cluster.until_within(BACK_AGAIN, "n1 is back", async |cluster| cluster.all_have_sole()).await;
        println!("back in DNS {:.1?} after the API server", returned.elapsed());
        cluster.judge("one has left and come back");

        // All three ask for it. A restart with other signals is no reason to write.
        let restarted = Instant::now();
        for node in ["n2", "n3"] {
            cluster.configure(node, "[signals]", &withdraw).await;
            cluster.service("stop", &[&format!("{node}/nodedns")]).await;
            cluster.service("start", &[&format!("{node}/nodedns")]).await;
        }
        cluster.until_connected(&["n2", "n3"], restarted, "restarted").await;
        cluster.nothing_was_written(restarted, "restarted");
        cluster.controllers_leave().await;
        let died = Instant::now();
        cluster.service("kill", &[API_SERVER, ETCD]).await;
        until_the_last(&cluster).await;
        assert!(died.elapsed() >= AFTER, "too early");
        // Of these others have record sets too: a stranger's is as good as a sibling's.
        let has_left = |node| !cluster.own(node).keys().any(|(name, _)| name == EDGE || name == GEO);
        cluster.until("the other names are left", async |_| NODES.iter().all(|node| has_left(node))).await;
        cluster
            .stays(Duration::from_secs(5), "one of each type is left", async |cluster| cluster.sole() == (1, 1))
            .await;
        let mut held = 0;
        for node in NODES {
            let (status, _) = cluster.status(node).await;
            for record in status["records"].as_array().expect("records") {
                if record["reason"] == "keep_min" {
                    assert_eq!(record["held_back"], "api_unreachable", "{record:#}");
                    held += 1;
                }
            }
        }
        assert_eq!(held, 2, "an A and an AAAA");
        cluster.judge("all three want to leave");
        cluster.service("start", &[ETCD, API_SERVER]).await;
        let returned = Instant::now();
        cluster.controllers_return().await;
        cluster.until_connected(&NODES, returned, "back").await;
        cluster.until_within(BACK_AGAIN, "all are back", async |cluster| cluster.all_have_sole()).await;
        println!("all back in DNS {:.1?} after the API server", returned.elapsed());
        cluster.judge("all three are back");
    });
}

#[test]
fn when_all_kubelets_stop_at_once_the_last_record_set_of_a_name_stays() {
    super::fixture::in_cluster(async |cluster| {
        cluster.start_daemons_with_sole().await;
        let stopped = Instant::now();
        cluster.service("stop", &KUBELETS).await;
        cluster.until("all nodes are Unknown", async |cluster| cluster.all_are("Unknown").await).await;
        println!("Kubernetes calls all nodes Unknown after {:.1?}", stopped.elapsed());
        until_the_last(&cluster).await;
        cluster
            .stays(Duration::from_secs(10), "one of each type is left", async |cluster| cluster.sole() == (1, 1))
            .await;
        for node in NODES {
            let text = cluster.run(node, &["nodedns", "status"]).await.stdout;
            assert!(text.contains(&format!("{node} is not Ready (NodeStatusUnknown: ")), "{text}");
        }
        cluster.judge("all kubelets stopped");
        cluster.service("start", &KUBELETS).await;
        let ready =
            cluster.until_within(KUBERNETES, "all are Ready", async |cluster| cluster.all_are("True").await).await;
        let took = cluster.until_within(BACK_AGAIN, "all are back", async |cluster| cluster.all_have_sole()).await;
        println!("kubelets back: Kubernetes calls all nodes Ready after {ready:.1?}, DNS is right {took:.1?} later");
        cluster.judge("all kubelets are back");
    });
}
