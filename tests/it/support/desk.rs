//! The program as an operator runs it, beside the Route 53 simulator and a scripted API server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use route53_sim::Sim;
use serde_json::Value;
use tempfile::TempDir;

use super::api_server::{ApiServer, token_kubeconfig};

/// What the program has said, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A host called `n1` in the cluster `home`, with a configuration that names the simulator.
pub(crate) struct Desk {
    pub(crate) sim: Sim,
    pub(crate) directory: TempDir,
}

impl Desk {
    /// Without Kubernetes; `records` is the rest of the configuration file.
    pub(crate) fn new(sim: Sim, records: &str) -> Self {
        let directory = TempDir::new().expect("a directory");
        let text = format!(
            "cluster = \"home\"\nnode = \"n1\"\n[kubernetes]\nenabled = false\n[route53]\nendpoint_url = \"{}\"\n\
             requests_per_second = 1000\nburst = 100\n{records}",
            sim.endpoint()
        );
        fs::write(directory.path().join("nodedns.toml"), text).expect("written");
        Desk { sim, directory }
    }

    /// The same with a kubeconfig for this API server.
    pub(crate) fn with_kubernetes(self, server: &ApiServer) -> Self {
        let path = self.path("kubeconfig");
        fs::write(&path, token_kubeconfig(&server.url(), "SECRET-TOKEN")).expect("written");
        self.replace("enabled = false", &format!("enabled = true\nkubeconfig = \"{}\"", path.display()));
        self
    }

    /// A path in the desk's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Changes the configuration file.
    pub(crate) fn replace(&self, from: &str, to: &str) {
        let path = self.path("nodedns.toml");
        let text = fs::read_to_string(&path).expect("a configuration");
        assert!(text.contains(from), "{from:?} is not in the configuration");
        fs::write(path, text.replace(from, to)).expect("written");
    }

    /// The program with these arguments, its configuration and credentials, and nothing else of this
    /// process's environment. Nobody sits at its terminal.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodedns"));
        command.env_clear().args(args).stdin(Stdio::null()).current_dir(self.directory.path());
        command.env("NODEDNS_CONFIG", self.path("nodedns.toml")).env("STATE_DIRECTORY", self.path("state"));
        command.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "secret");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("LANG", "C.UTF-8");
        command
    }

    /// Runs it to its end, while scripted servers of this test go on answering.
    pub(crate) async fn run(&self, args: &[&str]) -> Said {
        finish(self.command(args)).await
    }

    /// Runs it with `--output json`, and reads what it has printed.
    pub(crate) async fn json(&self, args: &[&str]) -> (Option<i32>, Value) {
        let said = self.run(&[args, &["--output", "json"]].concat()).await;
        let value = serde_json::from_str(&said.out);
        (said.code, value.unwrap_or_else(|error| panic!("{error}: {}{}", said.out, said.err)))
    }
}

/// The same command where none of the usual places has a kubeconfig, whatever there is on this machine.
pub(crate) fn without_kubernetes(command: Command) -> Command {
    const PLACES: [&str; 3] = ["/etc/rancher", "/var/lib/rancher", "/etc/kubernetes"];
    let places: Vec<_> = PLACES.into_iter().filter(|place| Path::new(place).exists()).collect();
    if places.is_empty() {
        return command;
    }
    // Root may be root in a container, which may have no user namespaces.
    let user: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    let hide: String = places.iter().map(|place| format!("mount -t tmpfs none {place} && ")).collect();
    let mut hidden = Command::new("unshare");
    hidden.env_clear().args(user).args(["--mount", "--", "/bin/sh", "-c", &format!("{hide}exec \"$@\""), "sh"]);
    hidden.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    hidden.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    hidden.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    if let Some(directory) = command.get_current_dir() {
        hidden.current_dir(directory);
    }
    hidden
}

/// Runs a command to its end, while scripted servers of this test go on answering.
pub(crate) async fn finish(mut command: Command) -> Said {
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread");
    let Output { status, stdout, stderr } = output.expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}
