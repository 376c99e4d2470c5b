//! What is lost when something goes wrong, and how long it takes until DNS is right again.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use route53_sim::{Count, Fault, Operation, RecordSet};
use tokio::time::sleep;

use super::column::Column;
use super::lab::{Lab, STRANGER};
use super::report::{Results, seconds};
use super::times::{INTERVAL, settle};
use crate::cluster::fixture::NODES;

/// What is tried.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// Each request fails so, for [`HELD`], while a node is cordoned.
    Held(fn() -> Fault),
    /// One request fails so, while a node is cordoned: which operation, and the how manieth of it.
    Once(Operation, u32, Fault),
    /// Somebody else's record set is at the name when the program starts.
    Stranger {
        weighted: bool,
    },
    ApiServer,
    AllCordoned,
    AllUnknown,
    Killed,
    NoAddress,
}

pub(super) const ROWS: [(&str, Trouble); 13] = [
    ("throttled", Trouble::Held(|| Fault::Throttling)),
    ("unavailable", Trouble::Held(|| Fault::Status(503))),
    ("denied", Trouble::Held(|| Fault::AccessDenied)),
    ("lost-answer", Trouble::Once(Operation::ChangeResourceRecordSets, 1, Fault::DropAfterCommit)),
    ("half-listing", Trouble::Once(Operation::ListResourceRecordSets, 2, Fault::Truncate)),
    ("weighted", Trouble::Stranger { weighted: true }),
    ("simple", Trouble::Stranger { weighted: false }),
    ("api-server", Trouble::ApiServer),
    ("all-cordoned", Trouble::AllCordoned),
    ("all-unknown", Trouble::AllUnknown),
    ("killed", Trouble::Killed),
    ("no-address", Trouble::NoAddress),
    ("silence", Trouble::Once(Operation::ChangeResourceRecordSets, 1, Fault::HangAfterCommit)),
];

pub(super) fn title(row: &str) -> &'static str {
    match row {
        "throttled" => "every call throttled for 30 s, a node is cordoned",
        "unavailable" => "every call answered 503 for 30 s, a node is cordoned",
        "denied" => "AccessDenied for 30 s, a node is cordoned",
        "lost-answer" => "a node is cordoned; connection closed after the change was made, before its answer",
        "half-listing" => "a node is cordoned; the listing's second page breaks off, once",
        "weighted" => "somebody's weighted set at the name, when it starts",
        "simple" => "a hand-made simple record at the name, when it starts",
        "api-server" => "API server killed for a minute; then a node is cordoned",
        "all-cordoned" => "all nodes cordoned at once",
        "all-unknown" => "all kubelets silent for 30 s (Ready=Unknown)",
        "killed" => "killed between its change and the answer; the node is uncordoned meanwhile",
        "no-address" => "a node loses all its public addresses",
        "silence" => "a node is cordoned; no answer to the change, the connection stays open",
        _ => "",
    }
}

/// How long what lasts lasts.
const HELD: Duration = Duration::from_secs(30);

/// What is not right by then never is.
const PATIENCE: Duration = Duration::from_secs(300);

/// Longer than any interval and first attempt.
const FIRST: Duration = Duration::from_secs(90);

/// Looks at the pool, all the time, for what ought not to be missing.
struct Watch<'a> {
    lab: &'a Lab,
    column: Column,
    keep: BTreeSet<String>,
    lost: BTreeSet<String>,
    least: usize,
}

impl<'a> Watch<'a> {
    fn new(lab: &'a Lab, column: Column, keep: &[&str]) -> Self {
        Watch { lab, column, keep: lab.expected(keep), lost: BTreeSet::new(), least: usize::MAX }
    }

    /// Until something holds; whether it did in that time.
    async fn until(&mut self, patience: Duration, mut holds: impl AsyncFnMut(&BTreeSet<String>) -> bool) -> bool {
        let start = Instant::now();
        loop {
            let published = self.lab.published(self.column);
            self.least = self.least.min(published.len());
            self.lost.extend(self.keep.difference(&published).cloned());
            if holds(&published).await {
                return true;
            }
            if start.elapsed() > patience {
                return false;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn during(&mut self, time: Duration) {
        self.until(time, async |_| false).await;
    }

    /// How long until the pool is right, as text.
    async fn right(&mut self, nodes: &[&str], patience: Duration) -> String {
        let expected = self.lab.expected(nodes);
        let start = Instant::now();
        if self.until(patience, async |published| *published == expected).await {
            format!("right {}", after(start.elapsed()))
        } else {
            format!("**not right within {} min**", patience.as_secs() / 60)
        }
    }

    fn lost(&self) -> String {
        if self.lost.is_empty() {
            "lost nothing".to_owned()
        } else {
            format!("**lost {} of {} addresses**", self.lost.len(), self.keep.len())
        }
    }
}

pub(super) async fn measure(lab: &Lab, column: Column, rows: &[(&'static str, Trouble)], results: &Mutex<Results>) {
    for (row, trouble) in rows {
        fresh(lab, column, trouble).await;
        let mut text = try_out(lab, column, trouble).await;
        let ends = lab.ends(column);
        // One of them is the test's own doing.
        let ends = if matches!(trouble, Trouble::Killed) { ends.saturating_sub(1) } else { ends };
        if ends > 0 {
            text.push_str(&format!("; exited {ends}×"));
        }
        results.lock().expect("nobody panics with it").put("faults", row, column, text);
    }
    column.stop(lab).await;
}

/// An empty zone, but for a stranger; all nodes as they were at first; the program started anew.
async fn fresh(lab: &Lab, column: Column, trouble: &Trouble) {
    column.stop(lab).await;
    lab.cluster.sim.clear_faults();
    let page_size = if matches!(trouble, Trouble::Once(Operation::ListResourceRecordSets, ..)) { 2 } else { 300 };
    lab.cluster.sim.set_options(|options| options.page_size = page_size);
    for node in NODES {
        lab.cordon(node, false).await;
    }
    lab.all_ready().await;
    let (name, id) = column.zone();
    lab.cluster.sim.add_zone(&name, &id, false);
    if let Trouble::Stranger { weighted } = trouble {
        lab.cluster.sim.put(&id, stranger(column, *weighted));
        column.start(lab, INTERVAL).await;
        return;
    }
    column.start(lab, INTERVAL).await;
    lab.until_right(column, &NODES, PATIENCE).await.expect("all nodes are published at first");
    settle(column).await;
}

fn stranger(column: Column, weighted: bool) -> RecordSet {
    let set = RecordSet::new(&column.pool(), "A").ttl(60).value(STRANGER);
    if weighted { set.set_identifier("by hand").weight(1) } else { set }
}

async fn try_out(lab: &Lab, column: Column, trouble: &Trouble) -> String {
    let sim = &lab.cluster.sim;
    let mut watch = Watch::new(lab, column, &["n1", "n2"]);
    match trouble {
        Trouble::Held(fault) => {
            sim.inject(route53_sim::Target::any(), fault(), Count::Always);
            lab.cordon("n3", true).await;
            watch.during(HELD).await;
            sim.clear_faults();
            let right = watch.right(&["n1", "n2"], PATIENCE).await;
            format!("{}, {right}", watch.lost())
        }
        Trouble::Once(operation, number, fault) => {
            sim.inject(*operation, fault.clone(), Count::Nth(*number));
            let since = SystemTime::now();
            lab.cordon("n3", true).await;
            let mut right = watch.right(&["n1", "n2"], PATIENCE).await;
            let struck = lab.requests(column, since).iter().filter(|request| request.operation == *operation).count();
            if struck < *number as usize {
                right.push_str(" (without such a request)");
            }
            if lab.published(column) != lab.expected(&["n1", "n2"]) {
                return format!("{}, {right}", watch.lost());
            }
            // Being right now says nothing about the next change.
            lab.cordon("n3", false).await;
            let next = watch.right(&NODES, PATIENCE).await;
            format!("{}, {right}, the next change {next}", watch.lost())
        }
        Trouble::Stranger { weighted } => {
            let all = lab.expected(&NODES);
            let mut watch = Watch::new(lab, column, &[]);
            let published = watch.until(FIRST, async |published| *published == all).await;
            let left = sim.record_sets(&column.zone().1).contains(&stranger(column, *weighted));
            let left = if left { "left as it is" } else { "**deleted**" };
            let ours = lab.published(column);
            let ours = match (published, ours.is_empty()) {
                (true, _) => "own published".to_owned(),
                (false, true) => format!("own not published within {} s", FIRST.as_secs()),
                (false, false) => format!("{} of {} own addresses published", ours.len(), all.len()),
            };
            format!("it is {left}, {ours}")
        }
        Trouble::ApiServer => {
            let mut watch = Watch::new(lab, column, &NODES);
            lab.cluster.service("kill", &["hub/kube-apiserver"]).await;
            watch.during(Duration::from_secs(60)).await;
            // The controller manager may have given up.
            lab.cluster.service("start", &["hub/kube-apiserver", "hub/kube-controller-manager"]).await;
            watch
                .until(PATIENCE, async |_| lab.ready().await.values().filter(|ready| *ready == "True").count() == 3)
                .await;
            let mut lost = watch.lost();
            watch.lost.clear();
            let again = watch.right(&NODES, PATIENCE).await;
            lost.push_str(&format!(", {again}"));
            let mut watch = Watch::new(lab, column, &["n1", "n2"]);
            lab.cordon("n3", true).await;
            let right = watch.right(&["n1", "n2"], PATIENCE).await;
            format!("{lost}; the cordon {right}")
        }
        Trouble::AllCordoned => {
            let mut watch = Watch::new(lab, column, &[]);
            for node in NODES {
                lab.cordon(node, true).await;
            }
            watch.during(HELD).await;
            let left = left(watch.least);
            for node in NODES {
                lab.cordon(node, false).await;
            }
            format!("{left}; uncordoned: {}", watch.right(&NODES, PATIENCE).await)
        }
        Trouble::AllUnknown => {
            let mut watch = Watch::new(lab, column, &[]);
            let kubelets = ["n1/kubelet", "n2/kubelet", "n3/kubelet"];
            lab.cluster.service("stop", &kubelets).await;
            let unknown = async |_: &BTreeSet<String>| lab.ready().await.values().all(|ready| ready == "Unknown");
            assert!(watch.until(Duration::from_secs(60), unknown).await, "no node is Unknown");
            watch.during(HELD).await;
            let left = left(watch.least);
            lab.cluster.service("start", &kubelets).await;
            lab.all_ready().await;
            format!("{left}; Ready again: {}", watch.right(&NODES, PATIENCE).await)
        }
        Trouble::Killed => {
            sim.inject(Operation::ChangeResourceRecordSets, Fault::HangAfterCommit, Count::Next(1));
            let since = SystemTime::now();
            lab.cordon("n3", true).await;
            let asked = async |_: &BTreeSet<String>| {
                let requests = lab.requests(column, since);
                requests.iter().any(|request| request.operation == Operation::ChangeResourceRecordSets)
            };
            assert!(watch.until(PATIENCE, asked).await, "nobody changes anything");
            let writer = if column == Column::Nodedns { "nodedns-n3" } else { column.name() };
            lab.kill(writer).await;
            lab.cordon("n3", false).await;
            let right = watch.right(&NODES, PATIENCE).await;
            format!("{}, {right}", watch.lost())
        }
        Trouble::NoAddress => {
            lab.set_addressed("n3", false).await;
            let right = watch.right(&["n1", "n2"], PATIENCE).await;
            let lost = watch.lost();
            lab.set_addressed("n3", true).await;
            let again = watch.right(&NODES, PATIENCE).await;
            format!("{lost}, {right}; addresses back: {again}")
        }
    }
}

fn after(time: Duration) -> String {
    if time < Duration::from_millis(100) { "at once".to_owned() } else { format!("after {}", seconds(time)) }
}

fn left(least: usize) -> String {
    if least == 0 { "**nothing is left in DNS**".to_owned() } else { format!("{least} of 6 addresses stay in DNS") }
}
