//! Three nodes, of which one loses power: the others take its record set out of DNS.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use route53_sim::{Action, Count, Fault, Operation, Options, RecordSet, Sim};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::node::{EDGE, ZONE, binary, kubeconfig};
use crate::support::api_server::{Answer, ApiServer};
use crate::support::netns::{Lab, in_lab};
use crate::support::referee::Referee;
use crate::support::world::DEAD;

/// The shortest that the configuration takes. It cannot be shorter: a node that comes back has to
/// have noticed meanwhile that it was away.
const GRACE: Duration = Duration::from_secs(30);

/// How long anything may take here. Nothing is timed by it: it only ends what would wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);

const NODES: [(&str, &str); 3] = [("n1", "185.12.64.1"), ("n2", "185.12.64.2"), ("n3", "185.12.64.3")];

struct Fleet {
    sim: Sim,
    api: ApiServer,
    directory: TempDir,
    daemons: BTreeMap<&'static str, Child>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for daemon in self.daemons.values_mut() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if std::thread::panicking() {
            for (node, _) in NODES {
                eprintln!("--- the log of {node} ---\n{}--- end of the log ---", self.log(node));
            }
        }
    }
}

impl Fleet {
    /// Three Nodes that are Ready, and record sets of others in their pool.
    async fn new() -> Self {
        let sim = Sim::builder()
            .zone("example.com", ZONE)
            .options(Options { insync_after: Duration::ZERO, ..Options::default() })
            .start();
        for (id, value) in [
            ("nodedns/v1/home/a-host-without-kubernetes", "185.12.64.101"),
            ("nodedns/v1/home-2/n3", "185.12.64.102"),
            ("by hand", "185.12.64.103"),
        ] {
            sim.put(ZONE, RecordSet::new(EDGE, "A").set_identifier(id).ttl(60).value(value).weight(10));
        }
        let fleet = Fleet {
            sim,
            api: ApiServer::start().await,
            directory: TempDir::new().expect("a directory"),
            daemons: BTreeMap::new(),
        };
        fs::write(fleet.path("kubeconfig"), kubeconfig(&fleet.api.url())).expect("a file");
        for (node, address) in NODES {
            fleet.set_node(node, "True");
            fs::write(fleet.path(&format!("{node}.toml")), fleet.configuration(node, address)).expect("a file");
        }
        fleet
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn configuration(&self, node: &str, address: &str) -> String {
        format!(
            r#"cluster = "home"
node = "{node}"

[kubernetes]
kubeconfig = "{}"

[signals]
not_ready = {{ action = "withdraw", recover_after = "1s" }}

[survivors]
enabled = true
grace = "{}s"

[route53]
endpoint_url = "{}"
attempt_timeout = "2s"
requests_per_second = 50

[control]
socket = "{}"

[[record]]
name = "edge.example.com"
zone_id = "{ZONE}"
types = ["A"]
static_addresses = ["{address}"]
"#,
            self.path("kubeconfig").display(),
            GRACE.as_secs(),
            self.sim.endpoint(),
            self.path(&format!("{node}.sock")).display()
        )
    }

    /// The program with an environment of its own, so that nothing of the machine's leaks in.
    fn program(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "AKIDTESTTESTTESTTEST")
            .env("AWS_SECRET_ACCESS_KEY", "planted-secret-that-must-not-show")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", self.directory.path());
        command
    }

    fn start(&mut self, node: &'static str) {
        let log = fs::File::options().create(true).append(true).open(self.path(&format!("{node}.log")));
        let log = log.expect("a log file");
        let mut command = self.program();
        command.args(["run", "--config"]).arg(self.path(&format!("{node}.toml")));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
        self.daemons.insert(node, command.spawn().expect("the daemon starts"));
    }

    /// SIGKILL: like the loss of power, nothing is said to anybody.
    fn kill(&mut self, node: &str) {
        let mut daemon = self.daemons.remove(node).expect("it runs");
        daemon.kill().expect("it can be killed");
        daemon.wait().expect("it ends");
    }

    /// Edits the node's configuration and sends SIGHUP.
    fn reload(&self, node: &str, from: &str, to: &str) {
        let path = self.path(&format!("{node}.toml"));
        let text = fs::read_to_string(&path).expect("the configuration");
        assert!(text.contains(from), "no {from:?} in the configuration");
        fs::write(path, text.replace(from, to)).expect("a file");
        let pid = Pid::from_raw(self.daemons[node].id().cast_signed()).expect("a process id");
        kill_process(pid, Signal::HUP).expect("it runs");
    }

    fn log(&self, node: &str) -> String {
        fs::read_to_string(self.path(&format!("{node}.log"))).unwrap_or_default()
    }

    fn set_node(&self, node: &str, ready: &str) {
        self.api.set_node(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": node },
            "status": { "conditions": [{ "type": "Ready", "status": ready, "reason": "Test" }] },
        }));
    }

    /// What `nodedns status --output json` says of the other nodes, and its exit code.
    async fn survivors(&self, node: &str) -> (Value, Option<i32>) {
        let mut command = tokio::process::Command::from(self.program());
        command.args(["status", "--output", "json", "--socket"]).arg(self.path(&format!("{node}.sock")));
        let output = command.output().await.expect("status runs");
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (status["survivors"].clone(), output.status.code())
    }

    /// The set identifiers in the pool.
    fn pool(&self) -> Vec<String> {
        let sets = self.sim.record_sets(ZONE).into_iter().filter(|set| set.name == EDGE);
        let mut pool: Vec<String> = sets.filter_map(|set| set.set_identifier).collect();
        pool.sort_unstable();
        pool
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self).await {
            assert!(Instant::now() < deadline, "waited in vain: {what}\npool: {:#?}", self.pool());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// These nodes and everybody else's.
fn with_others(nodes: &[&str]) -> Vec<String> {
    let mut pool: Vec<String> = nodes.iter().map(|node| format!("nodedns/v1/home/{node}")).collect();
    pool.extend(["by hand", "nodedns/v1/home-2/n3", "nodedns/v1/home/a-host-without-kubernetes"].map(str::to_owned));
    pool.sort_unstable();
    pool
}

async fn fleet(lab: &Lab) -> Fleet {
    // Only so that the host has a link that is up; the addresses are in the files.
    lab.wire("eth0");
    let mut fleet = Fleet::new().await;
    for (node, _) in NODES {
        fleet.start(node);
    }
    fleet.until("all are published", async |fleet| fleet.pool() == with_others(&["n1", "n2", "n3"])).await;
    fleet
}

#[test]
fn a_node_that_loses_power_leaves_dns_and_comes_back_with_it() {
    in_lab(async |lab| {
        let mut fleet = fleet(&lab).await;
        fleet.until("n1 watches", async |fleet| fleet.survivors("n1").await.0["state"] == "watching").await;
        fleet.sim.clear_requests();

        fleet.kill("n3");
        fleet.set_node("n3", "Unknown");
        let died = Instant::now();
        fleet.until("n1 knows that n3 is down", async |fleet| fleet.survivors("n1").await.0["not_ready"] == 1).await;
        assert_eq!(fleet.pool(), with_others(&["n1", "n2", "n3"]));
        fleet.until("n3 is removed", async |fleet| fleet.pool() == with_others(&["n1", "n2"])).await;
        let took = died.elapsed();
        println!("removed {:.3} s after the cluster called it not Ready", took.as_secs_f64());
        assert!(took >= GRACE, "{took:?}");
        // Two seconds are promised; what a busy machine adds is its own.
        assert!(took <= GRACE + Duration::from_secs(12), "{took:?}");

        // Once, by one of them, who says so; the other finds nothing to do.
        sleep(Duration::from_secs(3)).await;
        let batches = fleet.sim.requests().into_iter().filter(|r| r.operation == Operation::ChangeResourceRecordSets);
        let removals = batches.filter(|request| {
            let is_n3 = |set: &RecordSet| set.set_identifier.as_deref() == Some("nodedns/v1/home/n3");
            request.changes.iter().any(|(action, set)| *action == Action::Delete && is_n3(set))
        });
        assert!((1..=2).contains(&removals.count()));
        let told = |node| fleet.log(node).matches("removed nodedns/v1/home/n3 (185.12.64.3)").count();
        assert_eq!(told("n1") + told("n2"), 1);
        assert_eq!(fleet.pool(), with_others(&["n1", "n2"]));
        for node in ["n1", "n2"] {
            let (survivors, code) = fleet.survivors(node).await;
            assert_eq!((&survivors["state"], &survivors["dead"], code), (&json!("watching"), &json!([]), Some(0)));
        }

        // Power is back.
        fleet.start("n3");
        fleet.set_node("n3", "True");
        fleet.until("n3 is back", async |fleet| fleet.pool() == with_others(&["n1", "n2", "n3"])).await;
    });
}

/// The only survivor is killed when the request has arrived that meets the fault, and starts anew.
async fn killed_at(operation: Operation, fault: Fault) {
    let what = format!("{operation} with {fault:?}");
    let mut fleet = Fleet::new().await;
    fleet.sim.put(ZONE, RecordSet::new(EDGE, "A").set_identifier(DEAD).ttl(60).value("185.12.64.3").weight(10));
    let mut referee = Referee::new(fleet.sim.record_sets(ZONE), &fleet.sim, 1).with_dead(DEAD);
    fleet.start("n1");
    fleet.until("n1 is published", async |fleet| fleet.pool() == with_others(&["n1", "n3"])).await;
    fleet.until("n1 watches", async |fleet| fleet.survivors("n1").await.0["state"] == "watching").await;
    fleet.set_node("n3", "Unknown");
    fleet.until("n1 knows that n3 is down", async |fleet| fleet.survivors("n1").await.0["not_ready"] == 1).await;
    let requests = fleet.sim.requests().len();
    fleet.sim.inject(operation, fault, Count::Always);
    let arrived = |fleet: &Fleet| {
        let requests = fleet.sim.requests().into_iter().skip(requests);
        requests.into_iter().any(|request| request.operation == operation)
    };
    fleet.until("n1 is at it", async |fleet| arrived(fleet)).await;
    // What is carried out is so within this, and what is not answered will not be.
    sleep(Duration::from_millis(100)).await;
    fleet.kill("n1");
    fleet.sim.clear_faults();
    fleet.start("n1");
    let started = Instant::now();
    fleet.until("n3 is removed", async |fleet| fleet.pool() == with_others(&["n1"])).await;
    let took = started.elapsed();
    // It knows of nothing that was before, so the grace starts over, unless there is nothing left to do.
    assert!(took <= GRACE + Duration::from_secs(12), "{what}: {took:?}");
    sleep(Duration::from_secs(3)).await;
    referee.judge(&what, &fleet.sim.requests());
    referee.agrees(&what, fleet.sim.record_sets(ZONE));
    assert_eq!(referee.removed().len(), 1, "{what}: once");
    println!("survivor killed at {what}: removed once, {:.1} s after its new start", took.as_secs_f64());
}

#[test]
fn a_survivor_that_is_killed_at_it_removes_the_dead_and_nobody_twice() {
    in_lab(async |lab| {
        lab.wire("eth0");
        let (list, change) = (Operation::ListResourceRecordSets, Operation::ChangeResourceRecordSets);
        // All at once, as all of it is waiting.
        tokio::join!(
            killed_at(list, Fault::Hang),
            killed_at(change, Fault::Hang),
            killed_at(change, Fault::HangAfterCommit),
        );
    });
}

#[test]
fn what_keeps_survivors_from_acting_is_said() {
    in_lab(async |lab| {
        let fleet = fleet(&lab).await;
        fleet.set_node("n2", "Unknown");
        fleet.set_node("n3", "Unknown");
        fleet.until("n1 is frozen", async |fleet| fleet.survivors("n1").await.0["state"] == "frozen").await;
        let (survivors, _) = fleet.survivors("n1").await;
        assert_eq!(
            survivors["explanation"],
            "survivors frozen: 2 of 3 nodes are not Ready or gone, so nothing is removed"
        );
        assert!(fleet.log("n1").contains("survivors frozen: 2 of 3 nodes"));
        fleet.until("n2 is not fit", async |fleet| fleet.survivors("n2").await.0["state"] == "not_fit").await;

        // The grace can be reloaded; the watch is a matter of the start.
        fleet.reload("n1", "grace = \"30s\"", "grace = \"45s\"");
        fleet.until("it is reloaded", async |fleet| fleet.log("n1").contains("configuration reloaded")).await;
        fleet.reload("n1", "enabled = true", "enabled = false");
        let refused = "survivors.enabled: cannot be changed by a reload";
        fleet.until("it is refused", async |fleet| fleet.log("n1").contains(refused)).await;

        fleet.api.always(Answer::Error(403, "nodes is forbidden".into()));
        fleet.api.cut();
        fleet.until("n1 is blind", async |fleet| fleet.survivors("n1").await.0["state"] == "unknown").await;
        let (survivors, code) = fleet.survivors("n1").await;
        let explanation = survivors["explanation"].as_str().expect("a text").to_owned();
        assert!(explanation.contains("may not list nodes") && explanation.contains("ClusterRole"), "{explanation}");
        assert_eq!(code, Some(2), "a survivor that sees nothing needs attention");
    });
}
