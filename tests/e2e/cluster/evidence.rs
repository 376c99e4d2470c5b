//! What a failed test leaves, to judge it by.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use route53_sim::Request;

/// Requests to Route 53, a line for each, with the time since the first.
pub(super) fn lines(requests: &[Request]) -> String {
    let first = requests.first().map(|request| request.at);
    let line = |request: &Request| {
        let after = first.map(|first| request.at - first).unwrap_or_default();
        let who = request.access_key.as_deref().unwrap_or_default();
        let changes = request.changes.iter().map(|(action, set)| {
            let owner = set.set_identifier.as_deref().unwrap_or_default();
            format!(" {action:?} {} {} {owner} {:?}", set.name, set.rtype, set.values)
        });
        let changes: String = changes.collect();
        format!("{after:?} {who} {} {:?} {:?}{changes}\n", request.line, request.status, request.code)
    };
    requests.iter().map(line).collect()
}

/// Prints what a cluster's services have printed: of the daemons everything, of the rest the end.
pub(super) fn print_logs(directory: &Path) {
    let mut logs: Vec<_> = fs::read_dir(directory.join("log")).into_iter().flatten().flatten().collect();
    logs.sort_unstable_by_key(fs::DirEntry::path);
    for log in logs {
        let text = String::from_utf8_lossy(&fs::read(log.path()).unwrap_or_default()).into_owned();
        let lines: Vec<_> = text.lines().collect();
        let whole = log.file_name().to_string_lossy().ends_with(".nodedns");
        let from = if whole { 0 } else { lines.len().saturating_sub(30) };
        eprintln!("--- {} ---\n{}", log.path().display(), lines.get(from..).unwrap_or_default().join("\n"));
    }
}

/// Leaves a cluster as it is, for somebody to look at. Route 53 ends with the test.
pub(super) fn keep(name: &str, directory: &Path, lifeline: Option<ChildStdin>) {
    let first = fs::read_to_string(directory.join("outer.pid")).unwrap_or_default();
    // Holds the lifeline for as long as the cluster is there.
    let mut holder = Command::new("tail");
    holder.arg(format!("--pid={}", first.trim())).args(["--follow", "/dev/null"]).process_group(0);
    let lifeline = lifeline.map_or_else(Stdio::null, Stdio::from);
    match holder.stdin(Stdio::null()).stdout(lifeline).stderr(Stdio::null()).spawn() {
        Ok(_) => eprintln!(
            "the cluster is kept, without Route 53: NODEDNS_TEST_CLUSTER={name} tests/e2e/cluster/{{in,service,down}}"
        ),
        Err(error) => eprintln!("the cluster cannot be kept: {error}"),
    }
}
