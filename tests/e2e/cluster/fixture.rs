//! A cluster, as a test holds it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use route53_sim::{Operation, Options, RecordSet, Request, Sim};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::sleep;

use super::evidence;
use crate::host::machine::Ran;
use crate::node::{ZONE, binary};
use crate::support::referee::Referee;
use crate::support::skip;

pub(crate) const NODES: [&str; 3] = ["n1", "n2", "n3"];
pub(crate) const EDGE: &str = "edge.example.com.";
pub(crate) const GEO: &str = "geo.example.com.";

/// How long anything may take here that is to take seconds. Nothing is timed by it.
const PATIENCE: Duration = Duration::from_secs(90);

/// So many at once: each of them has a control plane to start.
static PLACES: Semaphore = Semaphore::const_new(4);
static CLUSTERS: AtomicU32 = AtomicU32::new(0);

/// Runs a test in a new cluster, whose daemons are still to be started; skips it where that cannot be.
pub(crate) fn in_cluster<F: Future<Output = ()>>(test: impl FnOnce(Cluster) -> F + Send + 'static) {
    let run = move || -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let _place = PLACES.acquire().await.expect("it is never closed");
            test(Cluster::up().await?).await;
            Ok(())
        })
    };
    // Of its own, as it moves into the cluster's network.
    let thread = thread::Builder::new().name("cluster".to_owned()).spawn(run).expect("a thread");
    match thread.join() {
        Ok(Ok(())) => {}
        Ok(Err(why)) => skip(&why),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Waits until there may be one more cluster; says why if there can be none.
pub(crate) fn place() -> Result<SemaphorePermit<'static>, String> {
    unable()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    Ok(runtime.block_on(PLACES.acquire()).expect("it is never closed"))
}

/// Three nodes, a control plane, and Route 53 in this process, which is in the network of the hub. Whatever
/// happens, the cluster ends with this.
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) sim: Sim,
    referee: RefCell<Referee>,
    others: Vec<RecordSet>,
    /// While this is open the cluster lives, also when the test is killed.
    lifeline: Option<ChildStdin>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- Route 53 ---\n{:#?}", self.sim.record_sets(ZONE));
            eprintln!("--- requests ---\n{}", evidence::lines(&self.sim.requests()));
            let nodes = [("hub", &["kubectl", "get", "nodes", "--output=yaml"][..])];
            for (place, command) in nodes.into_iter().chain(NODES.map(|node| (node, &["nodedns", "status"][..]))) {
                eprintln!("--- {place}: {} ---", command.join(" "));
                let ran = bounded(&script("in", &self.name), 20).arg(place).args(command).output();
                let ran = ran.map(|ran| [ran.stdout, ran.stderr].concat()).unwrap_or_default();
                eprintln!("{}", String::from_utf8_lossy(&ran));
            }
            evidence::print_logs(&self.directory());
            if std::env::var_os("NODEDNS_TEST_KEEP").is_some() {
                return evidence::keep(&self.name, &self.directory(), self.lifeline.take());
            }
        }
        let _ = bounded(&script("down", &self.name), 120).status();
    }
}

fn script(command: &str, name: &str) -> Command {
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/cluster").join(command));
    script.env("NODEDNS_TEST_CLUSTER", name).env("NODEDNS_BIN", binary()).stdin(Stdio::null());
    script
}

/// A script that is ended after so many seconds, so that one that hangs fails.
pub(crate) fn bounded(script: &Command, seconds: u32) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=10").arg(seconds.to_string()).arg(script.get_program()).args(script.get_args());
    for (name, value) in script.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(directory) = script.get_current_dir() {
        command.current_dir(directory);
    }
    command.stdin(Stdio::null());
    command
}

/// Why there can be no cluster here, if so.
fn unable() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can make a cluster".to_owned());
    }
    // Long before the first cluster, as it may take minutes.
    let mut binaries = bounded(&script("binaries", "none"), 3600);
    // What it says is let through, as one waits.
    let made = binaries.stdout(Stdio::null()).status().map_err(|error| error.to_string())?;
    if !made.success() {
        return Err("no cluster can be made: tests/e2e/cluster/binaries has said why".to_owned());
    }
    Ok(())
}

impl Cluster {
    async fn up() -> Result<Cluster, String> {
        unable()?;
        let name = format!("test-{}-{}", std::process::id(), CLUSTERS.fetch_add(1, Ordering::Relaxed));
        let mut up = script("up", &name);
        up.args(["--with-stdin", "--without", "route53", "--without", "nodedns"]);
        let mut up = bounded(&up, 300)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let lifeline = up.stdin.take().expect("a pipe");
        let output = up.wait_with_output().expect("up can be waited for");
        if !output.status.success() {
            evidence::print_logs(&directory(&name));
            let _ = bounded(&script("down", &name), 120).status();
        }
        assert!(output.status.success(), "no cluster: {}", String::from_utf8_lossy(&output.stderr));

        let directory = directory(&name);
        let first = fs::read_to_string(directory.join("outer.pid")).expect("a process");
        let hub = fs::File::open(format!("/proc/{}/ns/net", first.trim())).expect("a network");
        move_into_link_name_space(hub.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may");
        let listen: SocketAddr = "10.77.0.1:4580".parse().expect("an address");
        let sim = Sim::builder()
            .zone("example.com", ZONE)
            .options(Options { insync_after: Duration::ZERO, ..Options::default() })
            .listen(listen)
            .start();
        let set = |name: &str, rtype: &str, id: &str, value: &str| {
            RecordSet::new(name, rtype).set_identifier(id).ttl(60).value(value)
        };
        for set in [
            set(EDGE, "A", "by hand", "185.12.64.101").weight(1),
            set(EDGE, "AAAA", "nodedns/v1/home-2/n1", "2a01:4ff:f0::101").weight(10),
            set(GEO, "A", "nodedns/v1/home-2/n1", "185.12.64.102").geoproximity("1", "2", 0),
            set(GEO, "AAAA", "by hand", "2a01:4ff:f0::102").geoproximity("3", "4", 0),
            RecordSet::new("apex.example.com.", "TXT").ttl(300).value("\"somebody's\""),
        ] {
            sim.put(ZONE, set);
        }
        let others = sim.record_sets(ZONE);
        let writers = NODES.map(|node| (access_key(node), owner_id(node)));
        let referee = RefCell::new(Referee::new(others.clone(), &sim, 1).with_writers(writers.into()));
        Ok(Cluster { name, sim, referee, others, lifeline: Some(lifeline) })
    }

    pub(crate) fn directory(&self) -> PathBuf {
        directory(&self.name)
    }

    /// Runs a command on a node, or in the hub, where `kubectl` is an administrator's.
    pub(crate) async fn run(&self, place: &str, command: &[&str]) -> Ran {
        self.run_with(place, command, "").await
    }

    /// The same, with something to read.
    pub(crate) async fn run_with(&self, place: &str, command: &[&str], input: &str) -> Ran {
        let mut script = script("in", &self.name);
        script.arg(place).args(command);
        finish(script, input, &format!("{place}: {command:?}")).await
    }

    /// Runs a command that must succeed; what it prints.
    pub(crate) async fn must(&self, place: &str, command: &[&str]) -> String {
        let ran = self.run(place, command).await;
        assert!(ran.succeeded(), "{place}: {command:?}: {ran:#?}");
        ran.stdout
    }

    /// `kubectl` with these words as arguments, as an administrator.
    pub(crate) async fn kubectl(&self, arguments: &str) -> String {
        let command: Vec<_> = ["kubectl"].into_iter().chain(arguments.split_whitespace()).collect();
        self.must("hub", &command).await
    }

    /// Has the API server take what a manifest says.
    pub(crate) async fn apply(&self, manifest: &str) {
        let ran = self.run_with("hub", &["kubectl", "apply", "--filename=-"], manifest).await;
        assert!(ran.succeeded(), "{manifest}\n{ran:#?}");
    }

    /// `service start n2/nodedns` and the like; what there is: `service list`.
    pub(crate) async fn service(&self, action: &str, services: &[&str]) {
        let mut script = script("service", &self.name);
        script.arg(action).args(services);
        let ran = finish(script, "", &format!("{action} {services:?}")).await;
        assert!(ran.succeeded(), "{action} {services:?}: {ran:#?}");
    }

    /// Further arguments of a service, from its next start on.
    pub(crate) fn set_flags(&self, service: &str, flags: &[&str]) {
        let path = self.directory().join("flags").join(service.replace('/', "."));
        fs::write(path, flags.iter().map(|flag| format!("{flag}\n")).collect::<String>()).expect("a file");
    }

    /// What a service has printed.
    pub(crate) fn log(&self, service: &str) -> String {
        let bytes = fs::read(self.directory().join("log").join(service.replace('/', "."))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Writes a file of a node.
    pub(crate) async fn write(&self, node: &str, path: &str, text: &str) {
        let command = format!("mkdir -p \"$(dirname {path})\" && umask 077 && cat >{path}");
        let ran = self.run_with(node, &["sh", "-c", &command], text).await;
        assert!(ran.succeeded(), "{path}: {ran:#?}");
    }

    /// Changes the configuration of a node's daemon, which does not hear of it.
    pub(crate) async fn configure(&self, node: &str, from: &str, to: &str) {
        const FILE: &str = "/etc/nodedns/nodedns.toml";
        let text = self.must(node, &["cat", FILE]).await;
        assert!(text.contains(from), "no {from:?} in {text}");
        self.write(node, FILE, &text.replace(from, to)).await;
    }

    /// Starts the daemons, all at once, and waits until each has published all that it has.
    pub(crate) async fn start_daemons(&self) {
        self.service("start", &["n1/nodedns", "n2/nodedns", "n3/nodedns"]).await;
        self.until("all are published", async |cluster| cluster.all_are_published()).await;
        self.judge("all are published");
    }

    pub(crate) fn all_are_published(&self) -> bool {
        NODES.iter().all(|node| self.is_published(node))
    }

    /// A node is in each of its four pools, with its own addresses.
    pub(crate) fn is_published(&self, node: &str) -> bool {
        self.own(node) == expected(node)
    }

    /// A node is in none of the pools.
    pub(crate) fn is_withdrawn(&self, node: &str) -> bool {
        self.own(node).is_empty()
    }

    /// The record sets of a node: (name, type) → values.
    pub(crate) fn own(&self, node: &str) -> BTreeMap<(String, String), Vec<String>> {
        let owner = owner_id(node);
        let sets = self.sim.record_sets(ZONE).into_iter();
        let own = sets.filter(|set| set.set_identifier.as_deref() == Some(owner.as_str()));
        own.map(|set| ((set.name, set.rtype), set.values)).collect()
    }

    /// What `nodedns status --output json` says on a node, and its exit code.
    pub(crate) async fn status(&self, node: &str) -> (Value, Option<i32>) {
        let ran = self.run(node, &["nodedns", "status", "--output", "json"]).await;
        (serde_json::from_str(&ran.stdout).unwrap_or(Value::Null), ran.code)
    }

    /// The reason of each record on a node, without repetition: `eligible`, `cordoned`.
    pub(crate) async fn reasons(&self, node: &str) -> Vec<String> {
        reasons_in(&self.status(node).await.0)
    }

    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFnMut(&Self) -> bool) -> Duration {
        self.until_within(PATIENCE, what, holds).await
    }

    /// Waits until something holds; how long it took.
    pub(crate) async fn until_within(
        &self,
        patience: Duration,
        what: &str,
        mut holds: impl AsyncFnMut(&Self) -> bool,
    ) -> Duration {
        let start = Instant::now();
        loop {
            let looked = Instant::now();
            if holds(self).await {
                return start.elapsed();
            }
            assert!(start.elapsed() < patience, "waited in vain: {what}");
            // A look may take many processes, which are not to keep the machine from what is waited for.
            let pause = (3 * looked.elapsed()).clamp(Duration::from_millis(20), Duration::from_secs(1));
            sleep(pause).await;
        }
    }

    /// Something holds, all that time, and at its end: however little is left of it, it is looked at.
    pub(crate) async fn stays(&self, time: Duration, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let start = Instant::now();
        loop {
            let over = start.elapsed() >= time;
            assert!(holds(self).await, "{what}: not after {:?}", start.elapsed());
            if over {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// From now on the record sets of this node may be removed by the others, or of nobody.
    pub(crate) fn may_be_removed(&self, node: Option<&'static str>) {
        self.judge("before a node may be removed");
        let owner = |node| match node {
            "n1" => "nodedns/v1/home/n1",
            "n2" => "nodedns/v1/home/n2",
            _ => "nodedns/v1/home/n3",
        };
        self.referee.borrow_mut().set_dead(node.map(owner));
    }

    /// Holds every request since the last call to the rules: each daemon wrote only its own record sets, and no
    /// pool was ever left with less than `keep_min`; and what is nobody's of the cluster is as it was.
    pub(crate) fn judge(&self, what: &str) {
        let mut referee = self.referee.borrow_mut();
        referee.judge(what, &self.sim.requests());
        let zone = self.sim.record_sets(ZONE);
        referee.agrees(what, zone.clone());
        let others: Vec<_> = zone.into_iter().filter(|set| !is_ours(set)).collect();
        assert_eq!(others, self.others, "{what}: somebody else's record sets were touched");
    }

    /// The requests of a node since some moment, without the questions after changes.
    pub(crate) fn requests_of(&self, node: &str, since: Instant) -> Vec<Request> {
        let key = access_key(node);
        let requests = self.sim.requests().into_iter();
        requests
            .filter(|request| request.at >= since && request.access_key.as_ref() == Some(&key))
            .filter(|request| request.operation != Operation::GetChange)
            .collect()
    }
}

async fn finish(script: Command, input: &str, what: &str) -> Ran {
    Ran::of(script.into(), input, PATIENCE, what).await
}

fn directory(name: &str) -> PathBuf {
    let clusters = std::env::var_os("NODEDNS_TEST_CLUSTERS").unwrap_or_else(|| "/tmp/nodedns-clusters".into());
    Path::new(&clusters).join(name)
}

pub(crate) fn owner_id(node: &str) -> String {
    format!("nodedns/v1/home/{node}")
}

/// Whether a record set belongs to one of the three nodes.
pub(crate) fn is_ours(set: &RecordSet) -> bool {
    set.set_identifier.as_ref().is_some_and(|id| NODES.map(owner_id).contains(id))
}

/// The reason of each record in a status, without repetition.
pub(crate) fn reasons_in(status: &Value) -> Vec<String> {
    let records = status["records"].as_array().into_iter().flatten();
    let mut reasons: Vec<_> = records.map(|record| record["reason"].as_str().unwrap_or_default().to_owned()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

/// Each node has a key of its own.
pub(crate) fn access_key(node: &str) -> String {
    format!("AKIDTESTTESTTESTTE{}", node.to_uppercase())
}

/// What a node publishes that is eligible.
pub(crate) fn expected(node: &str) -> BTreeMap<(String, String), Vec<String>> {
    let number = node.trim_start_matches('n');
    let values = [("A", format!("185.12.64.1{number}")), ("AAAA", format!("2a01:4ff:f0::1{number}"))];
    let pools = [EDGE, GEO].into_iter().flat_map(|name| values.clone().map(|(rtype, value)| (name, rtype, value)));
    pools.map(|(name, rtype, value)| ((name.to_owned(), rtype.to_owned()), vec![value])).collect()
}
