//! A machine: a Debian with systemd as its first process, booted in a container whose network is
//! the test's own.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::node::binary;

/// How long a boot or a shutdown may take. Nothing is timed by it.
const PATIENCE: Duration = Duration::from_secs(90);

/// A booted machine. It is switched off hard when it is dropped.
pub(crate) struct Machine {
    container: Child,
    /// Shared with the machine, as `/lab`.
    directory: TempDir,
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(pid) = self.first_process() {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.container.kill();
        let _ = self.container.wait();
        if std::thread::panicking() {
            eprintln!("--- console ---\n{}\n--- log ---\n{}--- end ---", self.read("console"), self.read("log"));
        }
    }
}

/// The file system to boot, or why there is none.
pub(crate) fn image() -> Result<PathBuf, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can boot a machine".to_owned());
    }
    for tool in ["systemd-nspawn", "debootstrap", "nsenter"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(format!("{tool} is not installed (packages systemd-container, debootstrap, util-linux)"));
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/host/image.sh");
    let output = Command::new(script).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("no image can be made: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

impl Machine {
    /// Boots the image with nodedns as the service that the README describes, in the network of the
    /// calling thread.
    pub(crate) async fn boot(image: &Path, configuration: &str) -> Result<Machine, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("a file");
        write("nodedns.toml", configuration);
        write("nodedns.service", readme_unit());
        let network = fs::File::open("/proc/thread-self/ns/net").expect("a namespace");
        let network = (format!("/proc/{}/fd/{}", std::process::id(), network.as_raw_fd()), network);
        let console = fs::File::create(directory.path().join("console")).expect("a file");
        let here = directory.path().display();
        let units = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/host");
        let container = Command::new("systemd-nspawn")
            .args(["--quiet", "--boot", "--register=no", "--keep-unit", "--console=read-only"])
            .arg(format!("--directory={}", image.display()))
            .arg(format!("--machine=nodedns-{}", std::process::id()))
            .args(["--volatile=overlay", &format!("--network-namespace-path={}", network.0)])
            // So that its network can stop.
            .arg("--capability=CAP_NET_ADMIN")
            .args([format!("--bind={here}:/lab"), format!("--bind-ro={}:/usr/bin/nodedns", binary().display())])
            .arg(format!("--bind-ro={here}/nodedns.toml:/etc/nodedns/nodedns.toml"))
            .arg(format!("--bind-ro={here}/nodedns.service:/etc/systemd/system/nodedns.service"))
            .arg(format!("--bind-ro={units}/lab.conf:/etc/systemd/system/nodedns.service.d/lab.conf"))
            .args(
                ["k3s", "lab-network"]
                    .map(|unit| format!("--bind-ro={units}/{unit}.service:/etc/systemd/system/{unit}.service")),
            )
            .args(["lab-network", "k3s", "nodedns"].map(|unit| format!("systemd.wants={unit}.service")))
            .stdin(Stdio::null())
            .stdout(console.try_clone().expect("a file"))
            .stderr(console)
            .spawn()
            .map_err(|error| format!("systemd-nspawn: {error}"))?;
        let mut machine = Machine { container, directory };
        machine.is_up().await?;
        let runs = machine.run("/usr/bin/nodedns --version");
        if !runs.status.success() {
            return Err(format!("the program does not run in the image: {}", String::from_utf8_lossy(&runs.stderr)));
        }
        Ok(machine)
    }

    /// Waits until everything has been started; `Err` when the machine does not boot.
    async fn is_up(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = self.container.try_wait() {
                return Err(format!("the machine does not boot here ({status}): {}", self.read("console").trim()));
            }
            if self.first_process().is_some() {
                let state = self.run("systemctl is-system-running");
                if String::from_utf8_lossy(&state.stdout).trim() == "running" {
                    return Ok(());
                }
            }
            assert!(Instant::now() < deadline, "the machine does not come up");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Runs a command in the machine.
    pub(crate) fn run(&self, command: &str) -> Output {
        let pid = self.first_process().map_or(0, |pid| pid.as_raw_nonzero().get());
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--target", &pid.to_string(), "--all"]).args(command.split_whitespace());
        nsenter.stdin(Stdio::null()).output().expect("nsenter runs")
    }

    /// Waits until the machine is off, which it also is when it is to boot again.
    pub(crate) async fn is_off(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.container.try_wait().expect("the container can be waited for").is_none() {
            assert!(Instant::now() < deadline, "the machine does not go off");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A file of `/lab`; empty when it is not there.
    pub(crate) fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.directory.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The machine's systemd, as seen from here.
    fn first_process(&self) -> Option<Pid> {
        let pid = self.container.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let first = children.split_whitespace().next_back()?;
        let name = fs::read_to_string(format!("/proc/{first}/comm")).ok()?;
        (name.trim() == "systemd").then(|| first.parse().ok().and_then(Pid::from_raw)).flatten()
    }
}

/// The unit that the README gives, word for word.
fn readme_unit() -> &'static str {
    let readme = include_str!("../../../README.md");
    let unit = readme.split("```ini\n").nth(1).and_then(|rest| rest.split("```").next());
    unit.filter(|unit| unit.starts_with("[Unit]")).expect("the README has a unit")
}
