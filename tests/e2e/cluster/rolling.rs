//! What an operator does to all three nodes, one after the other: restarts, upgrades, drains and reboots.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use route53_sim::{Action, Operation, RecordSet, Request};
use serde_json::Value;
use tokio::time::sleep;

use super::control_plane::{SOLE, with_sole};
use super::evidence;
use super::fixture::{Cluster, EDGE, GEO, NODES, access_key, in_cluster, is_ours};
use crate::node::{ZONE, words};

const POOLS: [(&str, &str); 6] = [(EDGE, "A"), (EDGE, "AAAA"), (GEO, "A"), (GEO, "AAAA"), (SOLE, "A"), (SOLE, "AAAA")];
const NAMES: [&str; 3] = [EDGE, GEO, SOLE];
pub(super) const DAEMONS: [&str; 3] = ["n1/nodedns", "n2/nodedns", "n3/nodedns"];

/// All three are in all pools, that of their own included.
pub(super) async fn started(cluster: &Cluster) {
    let sole = format!(
        "\n[[record]]\nname = \"sole.example.com\"\nzone_id = \"{ZONE}\"\n\
         routing = {{ policy = \"weighted\", weight = 10 }}\n"
    );
    for node in NODES {
        let ran = cluster.run_with(node, &["sh", "-c", "cat >>/etc/nodedns/nodedns.toml"], &sole).await;
        assert!(ran.succeeded(), "{ran:#?}");
    }
    // One after the other, so that each knows those before it and none of those after it.
    for (node, daemon) in NODES.iter().zip(DAEMONS) {
        cluster.service("start", &[daemon]).await;
        cluster.until("it is published", async |cluster| is_in(cluster, node)).await;
    }
    for node in NODES {
        cluster.until("it is known", async |cluster| is_settled(cluster, node).await).await;
    }
    cluster.judge("all are published");
}

/// In all pools, with its own addresses.
fn is_in(cluster: &Cluster, node: &str) -> bool {
    cluster.own(node) == with_sole(node)
}

/// The daemon answers, has compared everything with Route 53, and every change is on all name servers.
async fn is_settled(cluster: &Cluster, node: &str) -> bool {
    let (status, code) = cluster.status(node).await;
    let records = status["records"].as_array().cloned().unwrap_or_default();
    let settled = |record: &Value| {
        record["in_sync"] == true && record["intent"] != "preserve" && record["last_change"]["status"] != "PENDING"
    };
    code == Some(0) && !records.is_empty() && records.iter().all(settled)
}

/// How many of these are of the three nodes, in the pool that has the fewest.
fn fewest(sets: &[RecordSet]) -> usize {
    let size = |(name, rtype): &(&str, &str)| {
        sets.iter().filter(|set| is_ours(set) && set.name == *name && set.rtype == *rtype).count()
    };
    POOLS.iter().map(size).min().unwrap_or_default()
}

/// Does something, while no pool has fewer of the three than `least`, in what Route 53 holds all the time and in
/// what each accepted batch of the log has left; who has asked what for it, by the log.
async fn never_below<T>(cluster: &Cluster, least: usize, what: &str, action: impl Future<Output = T>) -> (T, Log) {
    let from = cluster.sim.requests().len();
    let mut held = cluster.sim.record_sets(ZONE);
    tokio::pin!(action);
    let out = loop {
        let now = cluster.sim.record_sets(ZONE);
        assert!(fewest(&now) >= least, "{what}: {now:#?}");
        tokio::select! {
            out = &mut action => break out,
            () = sleep(Duration::from_millis(10)) => {}
        }
    };
    let requests = cluster.sim.requests().split_off(from);
    for request in requests.iter().filter(|request| request.change_id.is_some()) {
        for (action, set) in &request.changes {
            let is_it = |other: &RecordSet| {
                (&other.name, &other.rtype, &other.set_identifier) == (&set.name, &set.rtype, &set.set_identifier)
            };
            held.retain(|other| !is_it(other));
            if *action != Action::Delete {
                held.push(set.clone());
            }
        }
        assert!(fewest(&held) >= least, "{what}: {held:#?} after {request:#?}");
    }
    cluster.judge(what);
    (out, Log(requests))
}

/// What reached Route 53.
struct Log(Vec<Request>);

impl Log {
    /// The requests of a node.
    fn of(&self, node: &str) -> Vec<Request> {
        let key = access_key(node);
        self.0.iter().filter(|request| request.access_key.as_ref() == Some(&key)).cloned().collect()
    }

    /// Since these starts each node has listed each of its names once, and once more 30 s later, as it may have
    /// been taken for dead while it was away; and nobody has asked anything else.
    fn is_these_starts(&self, what: &str, starts: &[(&str, Instant)]) {
        assert!(words(&self.0).iter().all(|word| *word == "list"), "{what}: {}", self.lines());
        for (at, (node, start)) in starts.iter().enumerate() {
            let next = starts[at + 1..].iter().find(|(other, _)| other == node).map(|(_, next)| *next);
            for name in NAMES {
                let of_name = format!("name={name}&");
                let lists: Vec<_> =
                    self.of(node).into_iter().filter(|request| request.line.contains(&of_name)).collect();
                let lists = lists.iter().map(|request| request.at);
                let lists: Vec<_> = lists.filter(|at| at > start && next.is_none_or(|next| *at < next)).collect();
                let is_right = match lists[..] {
                    [_] => true,
                    [first, second] => second - first > Duration::from_secs(25),
                    _ => false,
                };
                assert!(is_right, "{what}: {node} lists {name} {} times: {}", lists.len(), self.lines());
            }
        }
    }

    /// One node has made so many changes, each of which it has asked after once; whoever has asked anything else
    /// has looked at a name.
    fn is_changes_of(&self, what: &str, node: &str, changes: usize) {
        let requests = self.of(node);
        let count = |requests: &[Request], operation: Operation| {
            requests.iter().filter(|request| request.operation == operation).count()
        };
        let (change, ask, look) =
            (Operation::ChangeResourceRecordSets, Operation::GetChange, Operation::ListResourceRecordSets);
        assert_eq!([count(&requests, change), count(&requests, ask)], [changes; 2], "{what}: {}", self.lines());
        assert_eq!(self.0.len(), 2 * changes + count(&self.0, look), "{what}: {}", self.lines());
        assert!(self.0.iter().all(|request| request.status == Some(200)), "{what}: {}", self.lines());
    }

    /// A line for each, to read.
    fn lines(&self) -> String {
        evidence::lines(&self.0)
    }
}

/// All three daemons are at rest again, and nothing more comes of it.
pub(super) async fn at_rest(cluster: &Cluster) {
    for node in NODES {
        cluster.until("it is at rest", async |cluster| is_settled(cluster, node).await).await;
    }
    sleep(Duration::from_secs(2)).await;
}

#[test]
fn a_restart_of_the_daemons_lists_each_name_once_and_writes_nothing() {
    in_cluster(async |cluster| {
        started(&cluster).await;
        let mut starts = Vec::new();
        let mut all = Log(Vec::new());
        let ((), log) =
            never_below(&cluster, 3, "one after the other", one_after_the_other(&cluster, &mut starts)).await;
        all.0.extend(log.0);
        for (what, how) in [("all at once", "stop"), ("all killed", "kill")] {
            let ((), log) = never_below(&cluster, 3, what, async {
                cluster.service(how, &DAEMONS).await;
                starts.extend(NODES.map(|node| (node, Instant::now())));
                cluster.service("start", &DAEMONS).await;
                at_rest(&cluster).await;
            })
            .await;
            all.0.extend(log.0);
        }
        // Another program in place of the first, as a package's upgrade does.
        let installed = cluster.directory().join("bin/nodedns");
        let new = installed.with_extension("new");
        fs::copy(&installed, &new).expect("a copy");
        File::options().append(true).open(&new).and_then(|mut file| file.write_all(b"\n")).expect("another one");
        fs::set_permissions(&new, Permissions::from_mode(0o755)).expect("a mode");
        fs::rename(&new, &installed).expect("it is installed");
        for daemon in DAEMONS {
            let program = program(&cluster, daemon).await;
            assert!(program.ends_with(" (deleted)"), "{program}");
        }
        let ((), log) = never_below(&cluster, 3, "upgraded", one_after_the_other(&cluster, &mut starts)).await;
        for daemon in DAEMONS {
            let program = program(&cluster, daemon).await;
            assert!(program.ends_with("/bin/nodedns"), "{program}");
        }
        all.0.extend(log.0);
        all.is_these_starts("four restarts of each", &starts);
    });
}

async fn one_after_the_other(cluster: &Cluster, starts: &mut Vec<(&'static str, Instant)>) {
    for (node, daemon) in NODES.into_iter().zip(DAEMONS) {
        cluster.service("stop", &[daemon]).await;
        starts.push((node, Instant::now()));
        cluster.service("start", &[daemon]).await;
        cluster.until("it is at rest", async |cluster| is_settled(cluster, node).await).await;
    }
    at_rest(cluster).await;
}

/// The program that a service is.
async fn program(cluster: &Cluster, service: &str) -> String {
    let link = format!("/proc/{}/exe", cluster.pid(service));
    cluster.must("hub", &["readlink", &link]).await.trim_end().to_owned()
}

#[test]
fn drained_and_rebooted_one_after_the_other_and_never_two_are_away() {
    /// Shorter than the first question after a change, so that one is enough.
    const INSYNC_AFTER: Duration = Duration::from_secs(5);
    in_cluster(async |cluster| {
        started(&cluster).await;
        cluster.sim.set_options(|options| options.insync_after = INSYNC_AFTER);
        let mut all = Log(Vec::new());
        for node in NODES {
            let (ran, log) =
                never_below(&cluster, 2, "drained", cluster.run(node, &["nodedns", "drain", "--wait"])).await;
            let now = Instant::now();
            assert!(ran.succeeded(), "{node}: {ran:#?}");
            assert!(cluster.own(node).is_empty(), "{node}: {:#?}", cluster.own(node));
            let changes = log.0.iter().filter(|request| !request.changes.is_empty());
            for change in changes {
                assert!(now - change.at >= INSYNC_AFTER, "{node}: not waited for {change:#?}");
            }
            // A change for each of the names, with a witness, and one question after each.
            log.is_changes_of("drained", node, 3);
            all.0.extend(log.0);

            let ((), log) = never_below(&cluster, 2, "rebooted", async {
                cluster.service("stop", &[node]).await;
                cluster.service("start", &[node]).await;
                cluster.until("it has looked", async |cluster| is_settled(cluster, node).await).await;
                cluster.kubectl(&format!("wait node {node} --for=condition=Ready --timeout=60s")).await;
                // Now it would be published, if it would.
                sleep(Duration::from_secs(3)).await;
            })
            .await;
            log.is_changes_of("rebooted", node, 0);
            all.0.extend(log.0);
            assert!(cluster.own(node).is_empty(), "{node}: {:#?}", cluster.own(node));
            assert_eq!(cluster.reasons(node).await, ["drained"]);

            let (ran, log) =
                never_below(&cluster, 2, "resumed", cluster.run(node, &["nodedns", "resume", "--wait"])).await;
            assert!(ran.succeeded(), "{node}: {ran:#?}");
            assert!(is_in(&cluster, node), "{node}: {:#?}", cluster.own(node));
            log.is_changes_of("resumed", node, 3);
            all.0.extend(log.0);
        }
        // The looks: one at the start after the reboot, one when the API server has called the node not ready and
        // it is back, and one 30 s after each of these and after the daemon's first start, as it may have been
        // taken for dead; and where it knew of nobody else in a pool, one before it stayed there.
        for (node, name) in NODES.into_iter().flat_map(|node| NAMES.map(|name| (node, name))) {
            let of_name = format!("name={name}&");
            let looks = all.of(node).iter().filter(|request| request.line.contains(&of_name)).count();
            let before_staying = usize::from(node == "n1" && name == SOLE);
            assert!((1..=5 + before_staying).contains(&looks), "{node}: {name}: {looks} looks: {}", all.lines());
            println!("{node} looked {looks} times at {name}");
        }
    });
}

#[test]
fn the_last_one_of_a_pool_stays_though_two_are_drained_at_the_same_moment() {
    in_cluster(async |cluster| {
        started(&cluster).await;
        let drain = ["nodedns", "drain", "--wait", "--timeout", "40s"];
        let (ran, _) = never_below(&cluster, 2, "the first", cluster.run("n1", &drain)).await;
        assert!(ran.succeeded(), "{ran:#?}");
        // One of each pool that has nobody else stays.
        let ((two, three), log) = never_below(&cluster, 0, "the last two", async {
            tokio::join!(cluster.run("n2", &drain), cluster.run("n3", &drain))
        })
        .await;
        println!("the last two at once:\n{}", log.lines());
        let sole = |cluster: &Cluster, rtype: &str| cluster.sim.pool(ZONE, SOLE, rtype).len();
        assert_eq!([sole(&cluster, "A"), sole(&cluster, "AAAA")], [1, 1], "{:#?}", cluster.sim.record_sets(ZONE));
        for (node, ran) in [("n2", &two), ("n3", &three)] {
            let held: Vec<_> = cluster.own(node).into_keys().collect();
            assert!(held.iter().all(|(name, _)| name == SOLE), "{node}: {held:?}");
            let code = if held.is_empty() { 0 } else { 2 };
            assert_eq!(ran.code, Some(code), "{node}: {ran:#?}");
            for (name, rtype) in &held {
                let name = name.trim_end_matches('.');
                let words = format!("{name} {rtype}: held: leaving would bring the name below keep_min = 1 record set");
                assert!(ran.stdout.contains(&words), "{node}: {ran:#?}");
                assert!(ran.stderr.contains("--force"), "{node}: {ran:#?}");
            }
        }
        // And it goes on staying.
        sleep(Duration::from_secs(3)).await;
        assert_eq!([sole(&cluster, "A"), sole(&cluster, "AAAA")], [1, 1], "{:#?}", cluster.sim.record_sets(ZONE));
        cluster.judge("the last two");
        // After this no judge is asked, as it is against the rule, and meant to be.
        for node in ["n2", "n3"] {
            let ran = cluster.run(node, &["nodedns", "drain", "--wait", "--force"]).await;
            assert!(ran.succeeded(), "{node}: {ran:#?}");
        }
        assert_eq!([sole(&cluster, "A"), sole(&cluster, "AAAA")], [0, 0], "{:#?}", cluster.sim.record_sets(ZONE));
        for node in NODES {
            let ran = cluster.run(node, &["nodedns", "resume"]).await;
            assert!(ran.code == Some(0), "{node}: {ran:#?}");
        }
        cluster.until("all are back", async |cluster| NODES.iter().all(|node| is_in(cluster, node))).await;
    });
}

#[test]
fn a_node_that_kubectl_has_drained_too_comes_back_after_both() {
    in_cluster(async |cluster| {
        started(&cluster).await;
        let ((ran, _), log) = never_below(&cluster, 2, "drained twice", async {
            tokio::join!(
                cluster.run("n1", &["nodedns", "drain", "--wait"]),
                cluster.kubectl("drain n1 --ignore-daemonsets --timeout=60s")
            )
        })
        .await;
        assert!(ran.succeeded(), "{ran:#?}");
        assert!(cluster.own("n1").is_empty(), "{:#?}", cluster.own("n1"));
        assert_eq!(words(&log.0).iter().filter(|word| **word == "change").count(), 3, "{:#?}", log.0);

        let (ran, log) = never_below(&cluster, 2, "resumed", cluster.run("n1", &["nodedns", "resume", "--wait"])).await;
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        assert!(ran.stdout.contains("stays out: the node is cordoned"), "{ran:#?}");
        log.is_changes_of("resumed", "n1", 0);
        assert_eq!(cluster.reasons("n1").await, ["cordoned"]);

        let ((), log) = never_below(&cluster, 2, "uncordoned", async {
            cluster.kubectl("uncordon n1").await;
            let took = cluster.until("it is back", async |cluster| is_in(cluster, "n1")).await;
            println!("published again {took:?} after kubectl uncordon, of which recover_after is 1 s");
        })
        .await;
        let changes = log.of("n1").iter().filter(|request| request.change_id.is_some()).count();
        assert_eq!(changes, 3, "{}", log.lines());
        assert!(
            log.0.len() - changes == words(&log.0).iter().filter(|word| **word == "list").count(),
            "{}",
            log.lines()
        );
    });
}
