//! The cluster itself: what `up` makes and says, by hand, and that nothing of it is left.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{PipeReader, PipeWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use super::evidence;
use super::fixture::{NODES, bounded, in_cluster, place};
use super::node_state::is_eligible;
use crate::host::machine::Ran;
use crate::node::binary;
use crate::support::skip;

#[test]
fn each_node_runs_with_its_own_kubelets_identity() {
    in_cluster(async |cluster| {
        cluster.start_daemons().await;
        for (node, origin) in NODES.iter().zip(["/etc/kubernetes/kubelet.conf", "k3s", "rke2"]) {
            let status = is_eligible(&cluster, node).await;
            assert_eq!(status["node"], *node, "{status:#}");
            let kubernetes = status["kubernetes"].to_string();
            assert!(kubernetes.contains(origin), "{kubernetes}");
        }
    });
}

/// The scripts as somebody has them who has checked out below a directory with a blank in its name, which the
/// nodes have one of their own of, and who keeps the clusters there too.
struct Checkout {
    directory: TempDir,
    /// What clusters have as their standard input: when a test is killed, it ends, and they with it.
    input: PipeReader,
    _lifeline: PipeWriter,
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if thread::panicking() {
            for cluster in self.left() {
                eprintln!("--- {cluster} ---");
                evidence::print_logs(&self.clusters().join(&cluster));
            }
        }
        let _ = bounded(self.script("one", "down").arg("--all"), 120).status();
    }
}

impl Checkout {
    fn new() -> Checkout {
        let directory =
            tempfile::Builder::new().prefix("nodedns cluster ").tempdir_in("/var/tmp").expect("a directory");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("a mode");
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/cluster");
        let (input, lifeline) = std::io::pipe().expect("a pipe");
        let checkout = Checkout { directory, input, _lifeline: lifeline };
        let copied = Command::new("cp").arg("-r").arg(scripts).arg(checkout.scripts()).status();
        assert!(copied.is_ok_and(|status| status.success()), "a copy");
        checkout
    }

    fn scripts(&self) -> PathBuf {
        self.directory.path().join("scripts")
    }

    fn clusters(&self) -> PathBuf {
        self.directory.path().join("all clusters")
    }

    fn script(&self, name: &str, script: &str) -> Command {
        let mut command = Command::new(self.scripts().join(script));
        command.env("NODEDNS_TEST_CLUSTER", name).env("NODEDNS_TEST_CLUSTERS", self.clusters());
        command.env("NODEDNS_BIN", binary()).current_dir("/var").stdin(Stdio::null());
        command
    }

    /// Runs a script to its end.
    fn run(&self, name: &str, line: &[&str]) -> Ran {
        let mut script = bounded(self.script(name, line[0]).args(&line[1..]), 300);
        if *line == ["up"] {
            script.arg("--with-stdin").stdin(self.input.try_clone().expect("a pipe"));
        }
        finish(&mut script)
    }

    /// What a script prints that must succeed.
    fn must(&self, name: &str, line: &[&str]) -> String {
        let ran = self.run(name, line);
        assert!(ran.succeeded(), "{name}: {line:?}: {ran:#?}");
        ran.stdout
    }

    /// The services of a cluster and their processes.
    fn list(&self, name: &str) -> BTreeSet<String> {
        self.must(name, &["service", "list"]).lines().map(str::to_owned).collect()
    }

    fn all_run(&self, name: &str) -> bool {
        self.list(name).iter().all(|line| line.contains(" runs as process "))
    }

    /// The directories of clusters.
    fn left(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.clusters()).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// The command lines of what runs with a file of a cluster of ours, or of the scripts.
    fn processes(&self, below: &Path) -> Vec<String> {
        let below = below.to_string_lossy();
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains(&*below)).collect()
    }

    fn nothing_runs(&self, what: &str, below: &Path) {
        until(what, || self.processes(below).is_empty(), || format!("{:#?}", self.processes(below)));
    }
}

fn finish(command: &mut Command) -> Ran {
    let output = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn until(what: &str, holds: impl Fn() -> bool, why: impl Fn() -> String) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}: {}", why());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a test that makes clusters by hand, or skips it.
fn by_hand(test: impl FnOnce(&Checkout)) {
    match place() {
        Ok(_place) => {
            build_simulator();
            test(&Checkout::new());
        }
        Err(why) => skip(&why),
    }
}

/// Cargo builds nodedns for these tests, and of the simulator the library alone; `up` wants the program beside it.
fn build_simulator() {
    static BUILT: Once = Once::new();
    let nodedns = binary();
    let profile = nodedns.parent().expect("a directory");
    if std::env::var_os("NODEDNS_BIN").is_some() {
        return;
    }
    BUILT.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "--package", "route53-sim", "--target-dir"]);
        cargo.arg(profile.parent().expect("a directory")).current_dir(env!("CARGO_MANIFEST_DIR"));
        if !profile.ends_with("debug") {
            cargo.arg("--profile").arg(profile.file_name().expect("a profile"));
        }
        assert!(cargo.status().is_ok_and(|status| status.success()), "the simulator can be built");
    });
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process")).expect("a process")
}

/// What a kubelet, containerd and a bridge may change on a machine: kernel parameters, links, firewall rules,
/// control groups.
fn machine() -> Vec<String> {
    let mut all = Vec::new();
    for parameter in [
        "vm/overcommit_memory",
        "vm/panic_on_oom",
        "kernel/panic",
        "kernel/panic_on_oops",
        "kernel/keys/root_maxkeys",
        "kernel/keys/root_maxbytes",
        "net/ipv4/ip_forward",
        "net/ipv6/conf/all/forwarding",
        "kernel/hostname",
    ] {
        let value = fs::read_to_string(Path::new("/proc/sys").join(parameter)).unwrap_or_default();
        all.push(format!("{parameter} = {}", value.trim()));
    }
    for link in ["br0", "n1", "n2", "n3", "eth0"] {
        all.push(format!("{link}: {}", Path::new("/sys/class/net").join(link).exists()));
    }
    for firewall in ["iptables-save", "ip6tables-save"] {
        let rules = Command::new(firewall).output().map(|output| output.stdout).unwrap_or_default();
        let rules = String::from_utf8_lossy(&rules).into_owned();
        all.extend(rules.lines().filter(|line| line.contains("KUBE")).map(str::to_owned));
    }
    let groups = Command::new("find").args(["/sys/fs/cgroup", "-name", "*kube*", "-o", "-name", "*k8s*"]).output();
    all.push(String::from_utf8_lossy(&groups.expect("find runs").stdout).into_owned());
    all
}

#[test]
fn what_runs_is_left_alone_and_what_was_stopped_is_started_and_nothing_is_left_in_the_end() {
    by_hand(|checkout| {
        let before = machine();
        let said = checkout.must("one", &["up"]);
        assert!(checkout.all_run("one"), "{:#?}", checkout.list("one"));
        // Every command that it prints, as it stands there, from where it was printed.
        let commands: Vec<_> = said.lines().filter(|line| line.starts_with("  NODEDNS_TEST_CLUSTERS=")).collect();
        assert_eq!(commands.len(), 10, "{said}");
        for command in commands.iter().filter(|command| !command.ends_with("/down")) {
            let ran = finish(&mut bounded(Command::new("bash").args(["-c", command]).current_dir("/var"), 120));
            assert!(ran.succeeded(), "{command}: {ran:#?}");
            let wanted = match command {
                _ if command.contains("get nodes") => "n3     Ready",
                _ if command.contains("nodedns status") => "n1 in cluster home: healthy",
                _ if command.contains("nodedns list") => "12 record sets in 4 pools",
                _ if command.contains("curl") => "nodedns/v1/home/n3",
                _ if command.contains("service list") => "n3/nodedns does not run",
                _ => "",
            };
            assert!(ran.stdout.contains(wanted), "{command}: {ran:#?}");
        }
        // They have stopped a node and a kubelet; more is paused, killed and cut off here.
        checkout.must("one", &["service", "kill", "n1/containerd"]);
        checkout.must("one", &["service", "pause", "n2/nodedns"]);
        checkout.must("one", &["service", "stop", "n2/network", "hub/kube-controller-manager"]);
        let list = checkout.list("one");
        for words in ["n1/containerd does not run", "n2/nodedns is paused,", "n2 is cut off from the network,"] {
            assert!(list.iter().any(|line| line.starts_with(words)), "{words}: {list:#?}");
        }
        let running: Vec<_> =
            checkout.list("one").into_iter().filter(|line| line.contains(" runs as process ")).collect();
        checkout.must("one", &["up"]);
        let list = checkout.list("one");
        assert!(checkout.all_run("one") && running.iter().all(|line| list.contains(line)), "{running:#?} {list:#?}");
        checkout.must("one", &["in", "n2", "nodedns", "status"]);
        checkout.must("one", &["up"]);
        assert_eq!(checkout.list("one"), list);

        // Another build, in place of the daemons and of nothing else.
        let new = checkout.directory.path().join("nodedns");
        fs::copy(binary(), &new).expect("a copy");
        File::options().append(true).open(&new).and_then(|mut file| file.write_all(b"\n")).expect("another one");
        let mut up = bounded(checkout.script("one", "up").env("NODEDNS_BIN", &new), 300);
        let ran = finish(&mut up);
        assert!(ran.succeeded(), "{ran:#?}");
        let renewed = checkout.list("one");
        let changed: Vec<_> = renewed.difference(&list).filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(changed, ["n1/nodedns", "n2/nodedns", "n3/nodedns"]);
        let installed = fs::read(checkout.clusters().join("one/bin/nodedns")).expect("it is installed");
        assert!(fs::read(&new).is_ok_and(|new| new == installed), "the other build is there");
        let ran = checkout.run("one", &["up", "--without", "nodedns"]);
        assert!(ran.succeeded() && ran.stderr.contains("n2/nodedns runs already and is left alone"), "{ran:#?}");

        // A manifest, named as it is there; and all of the control plane gone at once.
        fs::write(checkout.directory.path().join("x.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n")
            .expect("a manifest");
        let mut apply = checkout.script("one", "in");
        apply.args(["hub", "kubectl", "apply", "-f", "x.yaml"]).current_dir(checkout.directory.path());
        let ran = finish(&mut bounded(&apply, 60));
        assert!(ran.succeeded(), "{ran:#?}");
        checkout.must("one", &["service", "restart", "hub/control-plane", "n1/nodedns"]);
        let again = checkout.list("one");
        assert!(checkout.all_run("one") && !again.is_superset(&renewed), "{again:#?}");
        assert!(checkout.must("one", &["in", "n2", "kubectl", "get", "namespaces"]).contains("\nx "));

        assert_eq!(machine(), before, "while it runs");
        checkout.must("one", &["down"]);
        checkout.nothing_runs("after down", &checkout.clusters());
        checkout.must("one", &["down"]);
        assert!(!checkout.clusters().exists(), "{:?}", checkout.left());
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
        assert!(!mounts.contains("nodedns\\040cluster"), "{mounts}");
        assert_eq!(machine(), before, "after down");
    });
}

#[test]
fn an_up_that_was_interrupted_can_be_taken_down_or_brought_up() {
    by_hand(|checkout| {
        let begin = |whole_group: bool, signal, after| {
            let mut up = checkout.script("half", "up");
            up.arg("--with-stdin").stdin(checkout.input.try_clone().expect("a pipe"));
            // Of its own, as in a terminal, in which Ctrl-C means all of them.
            let mut up = up.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
            thread::sleep(Duration::from_millis(after));
            let _ = if whole_group { kill_process_group(pid(&up), signal) } else { kill_process(pid(&up), signal) };
            up.wait().expect("it ends");
        };
        for (whole_group, signal, after) in [
            (false, Signal::KILL, 20),
            (true, Signal::INT, 60),
            (false, Signal::TERM, 150),
            (true, Signal::KILL, 300),
            (false, Signal::KILL, 1000),
            (true, Signal::INT, 2500),
            (false, Signal::TERM, 5000),
        ] {
            begin(whole_group, signal, after);
            checkout.must("half", &["down"]);
            // One that was not at its end yet may still begin; then it is there to be taken down, or is none.
            checkout.must("half", &["down"]);
            checkout.nothing_runs(&format!("{signal:?} after {after} ms"), &checkout.clusters());
            assert_eq!(checkout.left(), BTreeSet::new(), "{signal:?} after {after} ms");
        }
        // Again and again in the middle of what is there already.
        for (whole_group, signal, after) in [
            (true, Signal::INT, 1500),
            (false, Signal::KILL, 1500),
            (true, Signal::KILL, 3000),
            (true, Signal::TERM, 2000),
        ] {
            begin(whole_group, signal, after);
        }
        checkout.must("half", &["up"]);
        assert!(checkout.all_run("half"), "{:#?}", checkout.list("half"));
        checkout.must("half", &["in", "n3", "nodedns", "status"]);
        checkout.must("half", &["down"]);
        assert_eq!(checkout.left(), BTreeSet::new());
    });
}

#[test]
fn two_are_side_by_side_and_one_whose_test_is_killed_is_gone_and_collected() {
    by_hand(|checkout| {
        // Stands in for a test: it holds the other end of what `up` has as its standard input.
        let mut test = Command::new("sleep").arg("1000").stdout(Stdio::piped()).spawn().expect("it runs");
        let lifeline = test.stdout.take().expect("a pipe");
        let (mut one, two) = (checkout.script("one", "up"), checkout.script("two", "up"));
        let mut one = bounded(one.arg("--with-stdin"), 300);
        // Whose standard input says nothing, and so ends nothing.
        let mut two = bounded(&two, 300);
        let one = one.stdin(lifeline).stdout(Stdio::null()).spawn().expect("it runs");
        let two = two.stdout(Stdio::null()).spawn().expect("it runs");
        for mut up in [one, two] {
            assert!(up.wait().is_ok_and(|status| status.success()), "two at once");
        }
        let list = checkout.list("two");
        assert!(checkout.all_run("one") && checkout.all_run("two"), "{list:#?}");
        checkout.must("one", &["service", "stop", "n1"]);
        checkout.must("one", &["in", "n2", "ip", "address", "add", "185.12.64.21/24", "dev", "eth0"]);
        assert_eq!(checkout.list("two"), list);

        for (line, code, words) in [
            (&["service", "stop", "n4"][..], 1, "there is no n4; there are: hub/etcd"),
            (&["service", "start", "n1/kubelets"], 1, "there is no n1/kubelets"),
            (&["service", "pause", "n3"], 1, "n3 is no process"),
            (&["service", "pause", "n1/kubelet"], 1, "n1/kubelet does not run"),
            (&["service", "start", "n1/kubelet"], 1, "n1 has no power: service start n1"),
            (&["service", "destroy", "n1"], 64, "service list\n"),
            (&["service", "stop"], 64, "service list\n"),
            (&["in", "n4", "true"], 1, "there is no n4; there are hub, n1, n2, n3"),
            (&["in", "n1"], 64, "in hub|n1|n2|n3 COMMAND"),
            (&["up", "--without", "etcd"], 64, "up --without nodedns"),
            (&["down", "now"], 64, "down --all"),
        ] {
            let ran = checkout.run("one", line);
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{line:?}: {ran:#?}");
            assert!(ran.stderr.contains(words), "{line:?}: {ran:#?}");
        }
        for script in ["up", "down", "in", "service"] {
            let help = checkout.must("one", &[script, "--help"]);
            assert!(help.contains("NODEDNS_TEST_CLUSTER") && !help.contains('#'), "{help}");
        }
        let ran = checkout.run("no/name", &["up"]);
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        assert!(ran.stderr.contains("NODEDNS_TEST_CLUSTER=no/name is not of lower-case letters"), "{ran:#?}");
        let ran = checkout.run("three", &["in", "n1", "true"]);
        assert!(ran.code == Some(1) && ran.stderr.contains("cluster three is not up"), "{ran:#?}");
        let mut up = Command::new("setpriv");
        up.args(["--reuid", "65534", "--clear-groups"]).arg(checkout.scripts().join("up"));
        let ran = finish(&mut up);
        assert!(ran.code == Some(1) && ran.stderr.contains("error: a cluster takes root"), "{ran:#?}");

        kill_process(pid(&test), Signal::KILL).expect("it runs");
        test.wait().expect("it ends");
        checkout.nothing_runs("the test is killed", &checkout.clusters().join("one"));
        assert_eq!(checkout.list("two"), list);
        // Its directory goes with the next `up`; that of nobody's stays, and that of the living.
        fs::create_dir_all(checkout.clusters().join("photographs/2019")).expect("a directory");
        assert!(checkout.left().contains("one"));
        checkout.must("two", &["up"]);
        assert_eq!(checkout.left().into_iter().collect::<Vec<_>>(), ["photographs", "two"]);
        assert_eq!(checkout.list("two"), list);
        let ran = checkout.run("photographs", &["up"]);
        assert!(ran.code == Some(1) && ran.stderr.contains("is not a cluster's directory"), "{ran:#?}");
        let ran = checkout.run("photographs", &["down"]);
        assert!(ran.code == Some(1) && ran.stderr.contains("is not a cluster's directory"), "{ran:#?}");
        checkout.must("none", &["down", "--all"]);
        checkout.nothing_runs("all are down", &checkout.clusters());
        assert_eq!(checkout.left().into_iter().collect::<Vec<_>>(), ["photographs"]);
    });
}
