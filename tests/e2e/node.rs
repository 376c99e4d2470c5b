//! A host: a namespace with a wire, the daemon in it, and what it talks to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use route53_sim::{Operation, Options, RecordSet, Request, Sim};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::api_server::ApiServer;
use crate::support::netns::Lab;
use crate::support::referee::{Referee, is_own};

pub(crate) const ZONE: &str = "Z0123456789ABC";
pub(crate) const OWN: &str = "nodedns/v1/home/n1";
pub(crate) const EDGE: &str = "edge.example.com.";
pub(crate) const GEO: &str = "geo.example.com.";

/// How long anything may take here. Nothing is timed by it: it only ends what would wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// The quiet time after which the daemon is taken to have come to rest: several settle times.
const QUIET: Duration = Duration::from_millis(1500);

pub(crate) struct Host {
    pub(crate) lab: Lab,
    pub(crate) sim: Sim,
    pub(crate) api: ApiServer,
    pub(crate) directory: TempDir,
    daemon: Option<Child>,
    referee: RefCell<Referee>,
    /// Everything in Route 53 that is not ours, as it was at the beginning.
    others: Vec<RecordSet>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.wait();
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.log_path()).unwrap_or_default();
            eprintln!("--- the daemon's log ---\n{log}--- end of the daemon's log ---");
        }
    }
}

/// What the name's pools hold of ours, and what the request log may then show beside change-status
/// questions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) v4: Option<&'a str>,
    pub(crate) v6: Option<&'a str>,
}

impl Host {
    /// A host with a wire, a Node that is Ready, and pools that siblings and strangers share with it.
    pub(crate) async fn new(lab: Lab) -> Self {
        lab.wire("eth0");
        let sim = Sim::builder()
            .zone("example.com", ZONE)
            .options(Options { insync_after: Duration::ZERO, ..Options::default() })
            .start();
        let sibling = |name: &str, rtype: &str, id: &str, value: &str| {
            RecordSet::new(name, rtype).set_identifier(id).ttl(60).value(value)
        };
        for set in [
            sibling(EDGE, "A", "nodedns/v1/home/n2", "185.12.64.102").weight(10),
            sibling(EDGE, "AAAA", "nodedns/v1/home/n2", "2a01:4ff:f0::102").weight(10),
            sibling(EDGE, "A", "by hand", "185.12.64.103").weight(1),
            sibling(GEO, "A", "nodedns/v1/home-2/n1", "185.12.64.104").geoproximity("1", "2", 0),
            sibling(GEO, "AAAA", "nodedns/v1/home-2/n1", "2a01:4ff:f0::104").geoproximity("1", "2", 0),
            RecordSet::new("apex.example.com.", "TXT").ttl(300).value("\"somebody's\""),
        ] {
            sim.put(ZONE, set);
        }
        let others = sim.record_sets(ZONE);
        let api = ApiServer::start().await;
        let directory = TempDir::new().expect("a directory");
        let referee = RefCell::new(Referee::new(others.clone(), &sim, 1));
        let host = Host { lab, sim, api, directory, daemon: None, referee, others };
        host.set_node("True", false);
        host.write("kubeconfig", &kubeconfig(&host.api.url()));
        host.write("nodedns.toml", &host.configuration());
        host
    }

    fn configuration(&self) -> String {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        format!(
            r#"cluster = "home"
node = "n1"

[kubernetes]
kubeconfig = "{}"

[signals]
not_ready = {{ action = "withdraw", recover_after = "1s" }}
cordoned = {{ action = "withdraw", recover_after = "1s" }}

[route53]
endpoint_url = "{}"
attempt_timeout = "2s"
requests_per_second = 50

[control]
socket = "{}"
state_directory = "{}"

[[record]]
name = "edge.example.com"
zone_id = "{ZONE}"

[[record]]
name = "geo.example.com"
zone_id = "{ZONE}"
routing = {{ policy = "geoproximity", coordinates = "50.11,8.68", bias = 5 }}
"#,
            path("kubeconfig"),
            self.sim.endpoint(),
            path("nodedns.sock"),
            path("state")
        )
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).expect("a file");
    }

    pub(crate) fn replace_in_configuration(&self, from: &str, to: &str) {
        let path = self.directory.path().join("nodedns.toml");
        let text = fs::read_to_string(&path).expect("the configuration");
        assert!(text.contains(from), "no {from:?} in the configuration");
        fs::write(path, text.replace(from, to)).expect("a file");
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The program with an environment of its own, so that nothing of the machine's leaks in.
    pub(crate) fn program(&self) -> Command {
        self.program_under(&[])
    }

    /// The program as the last argument of another one, so that it starts in circumstances of its own.
    fn program_under(&self, wrapper: &[&str]) -> Command {
        let mut command = match wrapper {
            [] => Command::new(binary()),
            [outer, arguments @ ..] => {
                let mut command = Command::new(outer);
                command.args(arguments).arg(binary());
                command
            }
        };
        command
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "AKIDTESTTESTTESTTEST")
            .env("AWS_SECRET_ACCESS_KEY", "planted-secret-that-must-not-show")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", self.directory.path());
        command
    }

    pub(crate) fn start(&mut self) {
        self.start_with(|command| command);
    }

    /// Starts the daemon with something added to its command line or environment.
    pub(crate) fn start_with(&mut self, add: impl FnOnce(&mut Command) -> &mut Command) {
        self.start_under(&[], add);
    }

    /// The same, as the last argument of another program that becomes it.
    pub(crate) fn start_under(&mut self, wrapper: &[&str], add: impl FnOnce(&mut Command) -> &mut Command) {
        let log = fs::File::options().create(true).append(true).open(self.log_path()).expect("a log file");
        let mut command = self.program_under(wrapper);
        command.args(["run", "--config"]).arg(self.directory.path().join("nodedns.toml"));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
        add(&mut command);
        self.daemon = Some(command.spawn().expect("the daemon starts"));
    }

    /// The daemon's process id; 0 when it does not run.
    pub(crate) fn pid(&self) -> u32 {
        self.daemon.as_ref().map_or(0, Child::id)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid().cast_signed()) {
            let _ = kill_process(pid, signal);
        }
    }

    pub(crate) async fn wait(&mut self) -> ExitStatus {
        let mut daemon = self.daemon.take().expect("a daemon");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match daemon.try_wait().expect("the daemon can be waited for") {
                Some(status) => return status,
                None if Instant::now() > deadline => panic!("the daemon does not end"),
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    pub(crate) async fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait().await
    }

    pub(crate) fn set_node(&self, ready: &str, unschedulable: bool) {
        self.api.set_node(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": "n1", "uid": "00000000-0000-0000-0000-000000000001" },
            "spec": { "unschedulable": unschedulable },
            "status": { "conditions": [{ "type": "Ready", "status": ready, "reason": "Test" }] },
        }));
    }

    /// What `nodedns status --output json` says, and its exit code.
    pub(crate) async fn status(&self) -> (Value, Option<i32>) {
        let mut command = tokio::process::Command::from(self.program());
        command.args(["status", "--output", "json", "--socket"]).arg(self.directory.path().join("nodedns.sock"));
        let output = command.output().await.expect("status runs");
        (serde_json::from_slice(&output.stdout).unwrap_or(Value::Null), output.status.code())
    }

    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self).await {
            assert!(Instant::now() < deadline, "waited in vain: {what}\npool: {:#?}", self.own());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a daemon that has just been started has read both names; before that they may be as they are to be
    /// without it.
    pub(crate) async fn reads_both(&self) {
        let lists = |host: &Self| {
            let requests = host.sim.requests().into_iter();
            requests.filter(|request| request.operation == Operation::ListResourceRecordSets).count()
        };
        self.until("both names are read", async |host| lists(host) >= 2).await;
    }

    /// Our own record sets: (name, type) → values.
    pub(crate) fn own(&self) -> BTreeMap<(String, String), Vec<String>> {
        let own = self.sim.record_sets(ZONE).into_iter().filter(is_own);
        own.map(|set| ((set.name, set.rtype), set.values)).collect()
    }

    /// Holds every request since the last call to the rules.
    pub(crate) fn judge(&self, what: &str) {
        self.referee.borrow_mut().judge(what, &self.sim.requests());
    }

    pub(crate) fn expected(addresses: Expected<'_>) -> BTreeMap<(String, String), Vec<String>> {
        let mut expected = BTreeMap::new();
        for name in [EDGE, GEO] {
            for (rtype, address) in [("A", addresses.v4), ("AAAA", addresses.v6)] {
                if let Some(address) = address {
                    expected.insert((name.to_owned(), rtype.to_owned()), vec![address.to_owned()]);
                }
            }
        }
        expected
    }

    /// Waits until both names hold exactly this of ours and the daemon has come to rest; then
    /// everything else in the zone must be as it always was. Returns the requests since the last
    /// call, without the questions after changes.
    pub(crate) async fn comes_to(&self, what: &str, addresses: Expected<'_>) -> Vec<Request> {
        let expected = Self::expected(addresses);
        self.until(what, async |host| host.own() == expected).await;
        let mut count = self.sim.requests().len();
        loop {
            sleep(QUIET).await;
            let now = self.sim.requests().len();
            if now == count {
                break;
            }
            count = now;
        }
        assert_eq!(self.own(), expected, "{what}: it did not stay so");
        let others: Vec<_> = self.sim.record_sets(ZONE).into_iter().filter(|set| !is_own(set)).collect();
        assert_eq!(others, self.others, "{what}: somebody else's record sets were touched");
        let requests: Vec<_> =
            self.sim.requests().into_iter().filter(|request| request.operation != Operation::GetChange).collect();
        self.judge(what);
        self.sim.clear_requests();
        requests
    }
}

/// The requests in one word each: `list` or `change`.
pub(crate) fn words(requests: &[Request]) -> Vec<&'static str> {
    let mut words: Vec<_> = requests
        .iter()
        .map(|request| match request.operation {
            Operation::ListResourceRecordSets => "list",
            Operation::ChangeResourceRecordSets => "change",
            _ => "something else",
        })
        .collect();
    words.sort_unstable_by_key(|word| std::cmp::Reverse(*word));
    words
}

pub(crate) fn binary() -> PathBuf {
    std::env::var_os("NODEDNS_BIN").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_nodedns")),
        |path| fs::canonicalize(path).expect("NODEDNS_BIN names the program"),
    )
}

pub(crate) fn kubeconfig(server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{name: c, cluster: {{server: \"{server}\"}}}}]\n\
         users: [{{name: u, user: {{}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
    )
}
