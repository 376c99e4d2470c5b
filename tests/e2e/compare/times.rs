//! How long each takes to publish and to withdraw, what that costs in calls, and what it takes in memory.

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tokio::join;
use tokio::time::sleep;

use super::column::Column;
use super::lab::{INSYNC, Lab, PUBLISHER};
use super::report::{Results, by_operation, seconds};
use crate::cluster::fixture::NODES;

pub(super) const ROWS: [&str; 5] = ["address", "cordon", "notready", "dead", "memory"];

/// kube-node-dns looks at the addresses so often here; its README has 5 minutes, which `idle` measures.
pub(super) const INTERVAL: &str = "10s";

/// Far beyond what any of them takes that sees the event at all.
const START: Duration = Duration::from_secs(180);

/// Measured durations of one event; `None` where nothing came of it.
#[derive(Default)]
struct Times(Vec<Option<Duration>>);

impl Times {
    fn add(&mut self, from: SystemTime, until: Option<SystemTime>) {
        let time = until.map(|until| until.duration_since(from).unwrap_or_default());
        println!("  {time:?}");
        self.0.push(time);
    }

    fn text(&self, patience: Duration) -> String {
        let mut seen: Vec<_> = self.0.iter().flatten().copied().collect();
        seen.sort_unstable();
        let never = self.0.len() - seen.len();
        match (seen.get(seen.len() / 2), seen.last()) {
            (Some(median), Some(worst)) if seen.len() > 1 => {
                let never =
                    if never > 0 { format!("; {never}× not within {} s", patience.as_secs()) } else { String::new() };
                format!("{} (worst of {}: {}){never}", seconds(*median), self.0.len(), seconds(*worst))
            }
            (Some(only), _) => format!("{} (once)", seconds(*only)),
            _ => format!("not within {} s", patience.as_secs()),
        }
    }
}

/// How long it may be before a column looks again: events are spread over that time.
fn beat(column: Column) -> Duration {
    Duration::from_secs(match column {
        Column::Nodedns => 1,
        Column::KubeNodeDns => 10,
        Column::ExternalDns => 60,
        Column::ExternalDnsBest => 6,
    })
}

/// After this nothing of the last event goes on.
pub(super) async fn settle(column: Column) {
    sleep(Duration::from_secs(if column.is_external_dns() { 8 } else { 3 })).await;
}

pub(super) async fn measure(lab: &Lab, column: Column, rows: &[&str], results: &Mutex<Results>) {
    let put = |row: &str, text: String| results.lock().expect("nobody panics with it").put("times", row, column, text);
    column.start(lab, INTERVAL).await;
    lab.until_right(column, &NODES, START).await.expect("all nodes are published at first");
    if column == Column::Nodedns {
        // Daemons that started at one moment have not seen each other yet: each would hold the last place in the pool.
        sleep(Duration::from_secs(35)).await;
    }
    settle(column).await;
    if rows.contains(&"address") {
        let times = addresses(lab, column).await;
        put("address", times.text(START));
    }
    if rows.contains(&"cordon") {
        let (cordon, uncordon, calls) = cordons(lab, column).await;
        put("cordon", cordon.text(START));
        put("uncordon", uncordon.text(START));
        put("calls", calls);
    }
    if rows.contains(&"notready") {
        let (gone, back, patience) = not_ready(lab, column).await;
        put("notready", gone.text(patience));
        if back.0.iter().any(Option::is_some) {
            put("ready", back.text(START));
        }
    }
    if rows.contains(&"dead") {
        let (times, patience) = dead(lab, column).await;
        put("dead", times.text(patience));
    }
    if rows.contains(&"memory") {
        put("memory", memory(lab, column).await);
        put("binary", binary_size(column));
    }
    column.stop(lab).await;
}

async fn spread(column: Column, turn: u32, turns: u32) {
    sleep(beat(column) * (2 * turn + 1) / (2 * turns)).await;
}

async fn addresses(lab: &Lab, column: Column) -> Times {
    let mut times = Times::default();
    for turn in 0..3 {
        spread(column, turn, 3).await;
        if column.is_external_dns() {
            // It sees no interface: from the moment on that somebody tells the Node.
            lab.readdress("n2").await;
            let from = SystemTime::now();
            let ((), right) = join!(lab.tell_kubernetes("n2"), lab.until_right(column, &NODES, START));
            times.add(from, right);
        } else {
            let (from, right) = join!(lab.readdress("n2"), lab.until_right(column, &NODES, START));
            times.add(from, right);
        }
        settle(column).await;
    }
    times
}

async fn cordons(lab: &Lab, column: Column) -> (Times, Times, String) {
    let (mut cordons, mut uncordons, mut calls) = (Times::default(), Times::default(), String::new());
    for (turn, node) in (0..).zip(NODES) {
        spread(column, turn, 3).await;
        let others: Vec<_> = NODES.into_iter().filter(|other| *other != node).collect();
        let from = SystemTime::now();
        let ((), right) = join!(lab.cordon(node, true), lab.until_right(column, &others, START));
        cordons.add(from, right);
        settle(column).await;
        if turn == 2 && column == Column::Nodedns {
            // It goes on to ask whether the change has reached all name servers.
            sleep(INSYNC * 2).await;
        }
        calls = by_operation(&lab.requests(column, from));
        spread(column, turn, 3).await;
        let from = SystemTime::now();
        let ((), right) = join!(lab.cordon(node, false), lab.until_right(column, &NODES, START));
        uncordons.add(from, right);
        settle(column).await;
    }
    (cordons, uncordons, calls)
}

async fn not_ready(lab: &Lab, column: Column) -> (Times, Times, Duration) {
    let (mut gone, mut back) = (Times::default(), Times::default());
    // Longer than an interval.
    let patience = Duration::from_secs(75);
    let turns = if column == Column::ExternalDns { 1 } else { 3 };
    // Not n1, whose kubelet would soon deny it.
    for (turn, node) in (0..turns).zip(["n2", "n3", "n2"]) {
        spread(column, turn, turns).await;
        let others: Vec<_> = NODES.into_iter().filter(|other| *other != node).collect();
        let from = SystemTime::now();
        let ((), right) = join!(lab.set_ready(node, false), lab.until_right(column, &others, patience));
        gone.add(from, right);
        settle(column).await;
        let from = SystemTime::now();
        let ((), again) = join!(lab.set_ready(node, true), lab.until_right(column, &NODES, START));
        if right.is_some() {
            back.add(from, again);
        }
        settle(column).await;
    }
    (gone, back, patience)
}

async fn dead(lab: &Lab, column: Column) -> (Times, Duration) {
    let mut times = Times::default();
    let patience = Duration::from_secs(120);
    let turns = if column == Column::ExternalDns { 1 } else { 2 };
    for turn in 0..turns {
        spread(column, turn, turns).await;
        let from = SystemTime::now();
        let ((), right) = join!(lab.cluster.service("stop", &["n3"]), lab.until_right(column, &["n1", "n2"], patience));
        times.add(from, right);
        lab.cluster.service("start", &["n3"]).await;
        // What the cluster itself would run there.
        lab.cluster.service("stop", &["n3/nodedns"]).await;
        for (place, name) in column.processes() {
            if place == "n3" {
                column.start_at(lab, place, &name, INTERVAL).await;
            }
        }
        lab.all_ready().await;
        lab.until_right(column, &NODES, START).await.expect("the node comes back");
        settle(column).await;
    }
    (times, patience)
}

async fn memory(lab: &Lab, column: Column) -> String {
    let megabytes = |kilobytes: u64| format!("{:.1} MB", kilobytes as f64 / 1000.0 * 1.024);
    let memory = lab.memory(column).await;
    let of = |hub: bool| memory.iter().filter(move |(place, _)| (*place == PUBLISHER) == hub).map(|(_, kb)| *kb);
    let mut words = Vec::new();
    if let Some(once) = of(true).max() {
        words.push(format!("{} once", megabytes(once)));
    }
    if let Some(each) = of(false).max() {
        words.push(format!("{} on each node", megabytes(each)));
    }
    words.join(" and ")
}

/// As it was given, and without symbols.
fn binary_size(column: Column) -> String {
    let program = column.program().expect("a column without program is left out");
    let megabytes =
        |path: &std::path::Path| format!("{:.1} MB", fs::metadata(path).expect("a file").len() as f64 / 1e6);
    let directory = tempfile::tempdir().expect("a directory");
    let stripped = directory.path().join("stripped");
    let done = Command::new("strip").arg("-o").arg(&stripped).arg(&program).status();
    if done.is_ok_and(|status| status.success()) {
        format!("{}, stripped {}", megabytes(&program), megabytes(&stripped))
    } else {
        megabytes(&program)
    }
}
