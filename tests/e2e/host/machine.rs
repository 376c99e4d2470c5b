//! A machine: a Debian with systemd as its first process, booted in a container whose network is
//! the test's own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use super::cgroup::Groups;

/// How long a boot, a shutdown or a command may take. Nothing is timed by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where programs are, here and in the machine.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Suite {
    /// Debian 12, systemd 252.
    Bookworm,
    /// Debian 13, systemd 257.
    Trixie,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Suite::Bookworm => "bookworm",
            Suite::Trixie => "trixie",
        }
    }
}

/// The file system of a Debian, or why there is none. Making it takes the network that there is
/// outside of a lab.
pub(crate) fn image(suite: Suite) -> Result<PathBuf, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can boot a machine".to_owned());
    }
    for tool in ["systemd-nspawn", "debootstrap", "nsenter", "journalctl"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(format!("{tool} is not installed (packages systemd-container, debootstrap, util-linux)"));
        }
    }
    let output = script("image.sh").arg(suite.name()).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("no image can be made: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn script(name: &str) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/host").join(name));
    command.stdin(Stdio::null());
    command
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs a command that is called `what`, with something to read, and waits for its end.
    pub(crate) async fn of(mut command: tokio::process::Command, input: &str, patience: Duration, what: &str) -> Ran {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the command starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // Who does not want it may hang up.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = timeout(patience, child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("does not end: {what}")).expect("it can be waited for");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// A machine that has been booted. It is switched off hard when it is dropped, and its disk is gone.
pub(crate) struct Machine {
    /// Keeps the disk mounted, in a mount namespace of its own.
    disk: Child,
    /// `None` while it is off.
    container: Option<Child>,
    name: String,
    /// Given up after the last of its processes has ended.
    groups: Groups,
    /// Has `lab`, which the machine sees as `/lab`, its journal, its console and the disk.
    directory: TempDir,
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.journalctl(&["--output=short-monotonic"]);
            eprintln!("--- console ---\n{}\n--- journal ---\n{journal}--- end ---", self.console());
        }
        if let Some(pid) = self.first_process() {
            let _ = kill_process(pid, Signal::KILL);
        }
        // It clears away what it has made, and only then nobody is left in the groups.
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.container.as_mut().is_some_and(|container| matches!(container.try_wait(), Ok(None)))
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        for child in self.container.iter_mut().chain([&mut self.disk]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Machine {
    /// Boots a new machine, with nothing on it but what the image has and two units: a network, and what
    /// stands in for k3s. Its network is the one of the calling thread.
    ///
    /// `Err` when machines cannot be booted here.
    pub(crate) async fn boot(image: &Path) -> Result<Machine, String> {
        static MACHINES: AtomicU32 = AtomicU32::new(0);
        let number = MACHINES.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["lab", "journal", "disk"] {
            fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        let name = format!("nodedns-{}-{number}", std::process::id());
        let groups = Groups::new(&name)?;
        let disk = mount(image, directory.path())?;
        let mut machine = Machine { disk, container: None, name, groups, directory };
        machine.switch_on().await?;
        Ok(machine)
    }

    /// Switches it on again after it has gone off, with the disk that it has.
    pub(crate) async fn boot_again(&mut self) {
        assert!(self.container.is_none(), "the machine is on");
        self.switch_on().await.expect("it boots again");
    }

    async fn switch_on(&mut self) -> Result<(), String> {
        let here = self.directory.path().display();
        let network = fs::File::open("/proc/thread-self/ns/net").expect("a namespace");
        let console = fs::File::create(self.directory.path().join("console")).expect("a file");
        let units = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/host");
        let mut container = child_of_this_thread();
        self.groups.start_in(&mut container);
        let container = container
            .args(["nsenter", &format!("--mount=/proc/{}/ns/mnt", self.disk.id())])
            .args(["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--console=read-only"])
            .args([format!("--directory={here}/disk/root"), format!("--machine={}", self.name)])
            .arg(format!("--network-namespace-path=/proc/{}/fd/{}", std::process::id(), network.as_raw_fd()))
            // So that its network can stop.
            .arg("--capability=CAP_NET_ADMIN")
            .args([format!("--bind={here}/lab:/lab"), format!("--bind={here}/journal:/var/log/journal")])
            .args(
                ["k3s", "lab-network"]
                    .map(|unit| format!("--bind-ro={units}/{unit}.service:/etc/systemd/system/{unit}.service")),
            )
            .args(["lab-network", "k3s"].map(|unit| format!("systemd.wants={unit}.service")))
            .stdout(console.try_clone().expect("a file"))
            .stderr(console)
            .spawn()
            .map_err(|error| format!("systemd-nspawn: {error}"))?;
        self.container = Some(container);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(Ok(Some(status))) = self.container.as_mut().map(Child::try_wait) {
                return Err(format!("the machine does not boot here ({status}): {}", self.console().trim()));
            }
            if self.first_process().is_some() {
                let state = self.run("systemctl is-system-running").await.stdout;
                if ["running", "degraded"].contains(&state.trim()) {
                    return Ok(());
                }
            }
            assert!(Instant::now() < deadline, "the machine does not come up");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the machine is off, which it also is when it is to boot again.
    pub(crate) async fn is_off(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let mut container = self.container.take().expect("a machine that is on");
        while container.try_wait().expect("the container can be waited for").is_none() {
            if Instant::now() > deadline {
                self.container = Some(container);
                panic!("the machine does not go off");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Has a shell in the machine run a command, as root.
    pub(crate) async fn run(&self, command: &str) -> Ran {
        self.run_with(command, "").await
    }

    /// The same, with something to read.
    async fn run_with(&self, command: &str, input: &str) -> Ran {
        let pid = self.first_process().map_or(0, |pid| pid.as_raw_nonzero().get());
        let mut nsenter = tokio::process::Command::new("nsenter");
        nsenter.args(["--target", &pid.to_string(), "--all", "sh", "-c", command]);
        nsenter.env_clear().env("PATH", PATH).env("HOME", "/root").env("LC_ALL", "C.UTF-8");
        Ran::of(nsenter, input, PATIENCE, command).await
    }

    /// Has a shell run a command that must succeed, as root; what it prints.
    pub(crate) async fn must(&self, command: &str) -> String {
        let ran = self.run(command).await;
        assert!(ran.succeeded(), "{command}: {ran:#?}");
        ran.stdout
    }

    /// Has a shell run a command as a user of the machine, with the groups that the user is in.
    pub(crate) async fn run_as(&self, user: &str, command: &str) -> Ran {
        self.run_with(&format!("exec runuser --user {user} -- sh"), command).await
    }

    /// Writes a file of the machine and the directories that lead to it.
    pub(crate) async fn write(&self, path: &str, text: &str) {
        let ran = self.run_with(&format!("mkdir -p \"$(dirname {path})\" && cat >{path}"), text).await;
        assert!(ran.succeeded(), "{path}: {ran:?}");
    }

    /// A file of the machine.
    pub(crate) async fn read(&self, path: &str) -> String {
        self.must(&format!("cat {path}")).await
    }

    /// Installs a package.
    pub(crate) async fn install_deb(&self, package: &Path) -> Ran {
        let name = self.lend(package);
        self.run(&format!("DEBIAN_FRONTEND=noninteractive dpkg --install /lab/{name}")).await
    }

    /// Puts a copy of a file into `/lab`; its name there.
    pub(crate) fn lend(&self, file: &Path) -> String {
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        fs::copy(file, self.directory.path().join("lab").join(&name)).expect("a copy of the file");
        name
    }

    /// A property of a unit, as `systemctl show` has it.
    pub(crate) async fn property(&self, unit: &str, property: &str) -> String {
        self.must(&format!("systemctl show --property={property} --value {unit}")).await.trim().to_owned()
    }

    /// What the journal has of all boots, oldest first, for matches such as `SYSLOG_IDENTIFIER=nodedns` or
    /// options such as `--unit=nodedns.service`. Also when the machine is off.
    pub(crate) async fn journal(&self, matches: &[&str]) -> Vec<Value> {
        if self.container.is_some() {
            self.must("journalctl --sync").await;
        }
        let text = self.journalctl(&[&["--output=json", "--all"], matches].concat());
        text.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect()
    }

    /// The messages of one unit's processes, a line each.
    pub(crate) async fn log(&self, unit: &str) -> String {
        let entries = self.journal(&[&format!("_SYSTEMD_UNIT={unit}")]).await;
        entries.iter().map(|entry| format!("{}\n", entry["MESSAGE"].as_str().unwrap_or_default())).collect()
    }

    fn journalctl(&self, arguments: &[&str]) -> String {
        let mut journalctl = Command::new("journalctl");
        journalctl.arg(format!("--directory={}/journal", self.directory.path().display()));
        let output = journalctl.args(["--quiet", "--no-pager"]).args(arguments).stdin(Stdio::null()).output();
        output.map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A file of `/lab`; empty when it is not there. Also when the machine is off.
    pub(crate) fn lab(&self, name: &str) -> String {
        let bytes = fs::read(self.directory.path().join("lab").join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn console(&self) -> String {
        let bytes = fs::read(self.directory.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The machine's systemd, as seen from here.
    fn first_process(&self) -> Option<Pid> {
        let pid = self.container.as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let first = children.split_whitespace().next_back()?;
        let name = fs::read_to_string(format!("/proc/{first}/comm")).ok()?;
        (name.trim() == "systemd").then(|| first.parse().ok().and_then(Pid::from_raw)).flatten()
    }
}

/// Puts a layer over the image at `disk/root`, seen by nobody but whoever joins the process's mount namespace.
pub(crate) fn mount(image: &Path, directory: &Path) -> Result<Child, String> {
    let mut disk = child_of_this_thread()
        .args(["unshare", "--mount"])
        .arg(script("disk.sh").get_program())
        .args([image, &directory.join("disk")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("unshare: {error}"))?;
    let mut line = String::new();
    let read = disk.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
    if !matches!(read, Some(Ok(_))) || line != "mounted\n" {
        let _ = disk.kill();
        let output = disk.wait_with_output().map_err(|error| error.to_string())?;
        return Err(format!("no disk can be mounted: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(disk)
}

/// Runs the program that its arguments name, and has it killed with the thread that has started it, also when
/// that has no time to clean up.
pub(crate) fn child_of_this_thread() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).stdin(Stdio::null());
    command
}
