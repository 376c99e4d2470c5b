//! `nodedns health-checks`, the program itself, against the simulator; and what `status` says of health checks.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

use aws_sdk_route53::config::Credentials;
use nodedns::cli::status;
use nodedns::control::protocol::Status;
use nodedns::decide::health_check::{CheckProbe, CheckSpec, ManagedCheck, NewCheck, Place, Reference, tags};
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::OwnerId;
use nodedns::decide::provider::{ErrorKind, ProviderError};
use nodedns::decide::record::RecordType;
use nodedns::decide::report::{CheckReport, CheckState, LastError, Report};
use nodedns::publish::Provider;
use nodedns::publish::route53::{Route53, Settings};
use route53_sim::{Count, Fault, Operation, RecordSet, Request, Sim};
use serde_json::Value;
use tempfile::TempDir;

use crate::control::{healthy_record, noon, status_of};
use crate::support::world;

const ZONE: &str = "Z0123456789ABC";

struct Setup {
    sim: Sim,
    directory: TempDir,
}

impl Setup {
    /// A cluster with a shared name and one for each node.
    fn new() -> Self {
        let sim = Sim::builder().zone("example.com", ZONE).start();
        let directory = TempDir::new().expect("a directory");
        let text = format!(
            "cluster = \"home\"\n[route53]\nendpoint_url = \"{}\"\nrequests_per_second = 1000\nburst = 100\n\
             [[record]]\nname = \"edge.example.com\"\nzone_id = \"{ZONE}\"\n\
             [[record]]\nname = \"{{node}}.nodes.example.com\"\nzone_id = \"{ZONE}\"\n",
            sim.endpoint()
        );
        std::fs::write(directory.path().join("nodedns.toml"), text).expect("written");
        Setup { sim, directory }
    }

    /// A health check as the node's daemon makes it; untagged, it was killed in between.
    fn check(&self, cluster: &str, node: &str, name: &str, nonce: u64, tagged: bool) -> String {
        let owner = OwnerId::new(cluster, node).expect("an owner");
        let tags = tags(&owner, ZONE, &world::name(name), RecordType::A);
        self.check_with_tags(cluster, node, name, nonce, tags, tagged)
    }

    fn check_with_tags(
        &self,
        cluster: &str,
        node: &str,
        name: &str,
        nonce: u64,
        tags: BTreeMap<String, String>,
        tagged: bool,
    ) -> String {
        let owner = OwnerId::new(cluster, node).expect("an owner");
        let name = world::name(name);
        let check = ManagedCheck { probe: CheckProbe::Tcp, port: 443, interval: 30, failure_threshold: 3 };
        let new = NewCheck {
            reference: Reference::new(Place::new(&owner, ZONE, &name, RecordType::A), nonce << 8),
            spec: CheckSpec { address: "185.12.64.1".parse().expect("an address"), check },
            tags,
        };
        let settings = Settings { endpoint_url: Some(self.sim.endpoint()), ..Settings::default() };
        let provider = Route53::with_credentials(settings, Credentials::new("AKIATEST", "secret", None, None, "test"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        if !tagged {
            self.sim.inject(Operation::ChangeTagsForResource, Fault::AccessDenied, Count::Next(1));
        }
        let made = runtime.block_on(provider.create_health_check(&new));
        assert_eq!(made.is_ok(), tagged);
        let reference = new.reference.to_string();
        let mut checks = self.sim.health_checks().into_iter();
        checks.find(|check| check.caller_reference == reference).expect("created").id
    }

    fn attach(&self, name: &str, identifier: &str, id: &str) {
        let set = RecordSet::new(name, "A").set_identifier(identifier).weight(10).ttl(60).value("185.12.64.1");
        self.sim.put(ZONE, RecordSet { health_check_id: Some(id.to_owned()), ..set });
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodedns"));
        command.env_clear().args(["health-checks"]).args(args).arg("--config");
        command.arg(self.directory.path().join("nodedns.toml")).stdin(Stdio::null());
        command.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "secret");
        command
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        said(self.command(args).output().expect("the program starts"))
    }

    fn start(&self, args: &[&str]) -> JoinHandle<(Option<i32>, String, String)> {
        let mut command = self.command(args);
        std::thread::spawn(move || said(command.output().expect("the program starts")))
    }

    /// Every health check's state, or what was done to it, by id.
    fn json(&self, args: &[&str], key: &str) -> (Option<i32>, Vec<(String, String)>) {
        let (code, out, err) = self.run(&[args, &["--output", "json"]].concat());
        let value: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let entries = value["health_checks"].as_array().expect("a list").iter();
        let mut shown: Vec<_> = entries.map(|entry| (text(entry, "id"), text(entry, key))).collect();
        shown.sort();
        (code, shown)
    }

    fn left(&self) -> Vec<String> {
        self.sim.health_checks().into_iter().map(|check| check.id).collect()
    }
}

fn said(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn sorted<const N: usize>(pairs: [(&String, &str); N]) -> Vec<(String, String)> {
    let mut pairs = pairs.map(|(id, state)| (id.clone(), state.to_owned())).to_vec();
    pairs.sort();
    pairs
}

#[test]
fn every_health_check_of_the_cluster_is_listed_with_what_it_is_for() {
    let setup = Setup::new();
    assert_eq!(setup.run(&["list"]), (Some(0), "the cluster has no health checks\n".to_owned(), String::new()));
    let used = setup.check("home", "n1", "edge.example.com", 1, true);
    setup.attach("edge.example.com", "nodedns/v1/home/n1", &used);
    let own_name = setup.check("home", "n2", "n2.nodes.example.com", 2, true);
    let untagged = setup.check("home", "n3", "edge.example.com", 3, false);
    let unplaced = setup.check("home", "n3", "n3.nodes.example.com", 4, false);
    let other_name = setup.check("home", "n1", "other.example.com", 5, true);
    setup.check("home-2", "n1", "edge.example.com", 6, true);
    let states = [
        (&used, "attached"),
        (&own_name, "unattached"),
        (&untagged, "unattached"),
        (&unplaced, "unknown"),
        (&other_name, "unknown"),
    ];
    assert_eq!(setup.json(&["list"], "state"), (Some(0), sorted(states)));
    let nodes = [(&used, "n1"), (&own_name, "n2"), (&untagged, ""), (&unplaced, ""), (&other_name, "n1")];
    assert_eq!(setup.json(&["list"], "node").1, sorted(nodes));
    let (code, table, _) = setup.run(&["list"]);
    assert_eq!(code, Some(0));
    let row = table.lines().find(|line| line.starts_with(&own_name)).expect("a row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[1..], ["n2", "n2.nodes.example.com", "A", "tcp://185.12.64.1:443", "unattached"]);
}

#[test]
fn only_what_nothing_refers_to_is_collected_and_only_when_told() {
    let setup = Setup::new();
    let used = setup.check("home", "n1", "edge.example.com", 1, true);
    // By whomever, and under whatever name of those that are configured.
    setup.attach("edge.example.com", "hand-made", &used);
    let loose = setup.check("home", "n1", "edge.example.com", 2, true);
    let unplaced = setup.check("home", "n1", "other.example.com", 3, true);
    let others = setup.check("home-2", "n1", "edge.example.com", 4, true);

    let (code, out, err) = setup.run(&["gc"]);
    assert_eq!(code, Some(2), "{out}{err}");
    assert!(out.contains(&loose) && !out.contains(&used) && !out.contains(&unplaced), "{out}");
    assert!(err.contains("nothing was deleted\nhint: 'nodedns health-checks gc --yes'"), "{err}");
    assert_eq!(setup.json(&["gc"], "outcome"), (Some(2), sorted([(&loose, "would_delete")])));
    assert_eq!(setup.left().len(), 4);

    assert_eq!(setup.json(&["gc", "--yes", "--grace", "1s"], "outcome"), (Some(0), sorted([(&loose, "deleted")])));
    let mut left = [used, unplaced, others].to_vec();
    left.sort();
    assert_eq!(setup.left(), left);
    assert_eq!(setup.json(&["gc", "--yes"], "outcome"), (Some(0), Vec::new()));
}

/// A record set of any name counts, also far down a zone that takes several pages to read.
#[test]
fn what_a_name_that_is_not_configured_refers_to_is_in_use() {
    let setup = Setup::new();
    let first = setup.check("home", "n1", "edge.example.com", 1, true);
    let last = setup.check("home", "n2", "edge.example.com", 2, true);
    let loose = setup.check("home", "n3", "edge.example.com", 3, true);
    setup.attach("aaa.example.com", "hand-made", &first);
    for index in 0..700 {
        let name = format!("host-{index}.example.com");
        setup.sim.put(ZONE, RecordSet::new(&name, "A").ttl(60).value("185.12.64.1"));
    }
    setup.attach("zzz.example.com", "hand-made", &last);
    let states = [(&first, "attached"), (&last, "attached"), (&loose, "unattached")];
    assert_eq!(setup.json(&["list"], "state"), (Some(0), sorted(states)));
    assert_eq!(setup.json(&["gc", "--yes", "--grace", "1s"], "outcome"), (Some(0), sorted([(&loose, "deleted")])));
}

/// Nor is anything deleted when a later page of the zone cannot be read.
#[test]
fn a_zone_that_cannot_be_read_whole_deletes_nothing() {
    let setup = Setup::new();
    setup.check("home", "n1", "edge.example.com", 1, true);
    for index in 0..400 {
        let name = format!("host-{index}.example.com");
        setup.sim.put(ZONE, RecordSet::new(&name, "A").ttl(60).value("185.12.64.1"));
    }
    let operation = Operation::ListResourceRecordSets;
    setup.sim.clear_requests();
    assert_eq!(setup.run(&["gc"]).0, Some(2));
    let reads = setup.sim.requests().iter().filter(|request| request.operation == operation).count();
    for read in 1..=u32::try_from(reads).expect("few") {
        for fault in [Fault::Status(503), Fault::Truncate] {
            setup.sim.inject(operation, fault, Count::Nth(read));
            assert_eq!(setup.run(&["gc", "--yes", "--grace", "1s"]).0, Some(69), "{read} of {reads}");
            assert_eq!(setup.left().len(), 1);
        }
    }
}

/// Its reference says where it belongs, and its tags say another hosted zone: it is not ours to judge.
#[test]
fn what_says_that_it_is_of_another_zone_is_left_alone() {
    let setup = Setup::new();
    let owner = OwnerId::new("home", "n1").expect("an owner");
    let name = world::name("edge.example.com");
    let other = tags(&owner, "ZOTHER", &name, RecordType::A);
    let id = setup.check_with_tags("home", "n1", "edge.example.com", 1, other, true);
    assert_eq!(setup.json(&["list"], "state"), (Some(0), sorted([(&id, "unknown")])));
    assert_eq!(setup.json(&["gc", "--yes", "--grace", "1s"], "outcome"), (Some(0), Vec::new()));
    assert_eq!(setup.left(), [id]);
}

#[test]
fn what_is_attached_between_the_two_looks_is_left() {
    let setup = Setup::new();
    let (new, loose) = (
        setup.check("home", "n1", "edge.example.com", 1, true),
        setup.check("home", "n2", "edge.example.com", 2, true),
    );
    setup.sim.clear_requests();
    let gc = setup.start(&["gc", "--yes", "--grace", "6s", "--output", "json"]);
    // The first look is over once the names of both nodes, and then the zone, have been answered.
    let is_read = |r: &&Request| r.operation == Operation::ListResourceRecordSets && r.status == Some(200);
    while setup.sim.requests().iter().filter(is_read).count() < 4 {
        std::thread::yield_now();
    }
    setup.attach("edge.example.com", "nodedns/v1/home/n1", &new);
    let (code, out, err) = gc.join().expect("no panic");
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("\"left\"") && out.contains("\"deleted\""), "{out}");
    assert_eq!(setup.left(), [new]);
    assert!(!setup.left().contains(&loose));
}

#[test]
fn what_cannot_be_read_deletes_nothing_and_says_what_to_do() {
    for (operation, code, hint) in [
        (Operation::ListHealthChecks, 77, "hint: managed health checks need route53:ListHealthChecks on *"),
        (Operation::ListTagsForResources, 77, "hint: allow route53:ListTagsForResources on"),
        (Operation::ListResourceRecordSets, 77, "hint: allow the action on this hosted zone"),
        (Operation::DeleteHealthCheck, 77, "hint: managed health checks need route53:DeleteHealthCheck on"),
    ] {
        let setup = Setup::new();
        setup.check("home", "n1", "edge.example.com", 1, true);
        setup.sim.inject(operation, Fault::AccessDenied, Count::Always);
        let (exit, out, err) = setup.run(&["gc", "--yes", "--grace", "1s"]);
        assert_eq!(exit, Some(code), "{operation}: {out}{err}");
        assert!(
            err.contains(hint) && err.starts_with(if code == 77 && out.is_empty() { "error: " } else { "looking" }),
            "{err}"
        );
        assert_eq!(setup.left().len(), 1);
    }
    let setup = Setup::new();
    setup.sim.inject(Operation::ListHealthChecks, Fault::Status(503), Count::Always);
    assert_eq!(setup.run(&["list"]).0, Some(69));
    assert_eq!(setup.run(&["gc", "--grace", "0s"]).0, Some(64));
}

/// The status of a record whose health check is in this state.
fn status_with(state: CheckState, id: Option<&str>) -> Status {
    let mut record = healthy_record("edge.example.com", RecordType::A, "185.12.64.1");
    let check = ManagedCheck { probe: CheckProbe::Tcp, port: 443, interval: 30, failure_threshold: 3 };
    let at = record.since;
    let error = ProviderError {
        kind: ErrorKind::Refused,
        code: Some("TooManyHealthChecks".to_owned()),
        message: "You have reached the limit of 200 health checks.".to_owned(),
    };
    record.health_check = Some(CheckReport {
        state,
        wanted: CheckSpec { address: "185.12.64.1".parse().expect("an address"), check },
        error: (state == CheckState::Failing).then_some(LastError { error, at, retry_at: at }),
    });
    if let Observed::Known(Some(set)) = &mut record.actual {
        set.health_check_id = id.map(str::to_owned);
    }
    status_of(&Report { records: vec![record], survivors: None })
}

#[test]
fn the_status_says_how_far_the_health_check_is() {
    let check = "tcp://185.12.64.1:443";
    for (state, id, word, note) in [
        (CheckState::Attached, Some("0f1e"), "attached", None),
        (CheckState::Waiting, None, "waiting", Some(format!("the health check of {check} is on its way"))),
        (
            CheckState::Failing,
            None,
            "failing",
            Some(format!(
                "no health check of {check}; the record set is published without it: error 3h ago: \
                 TooManyHealthChecks: You have reached the limit of 200 health checks."
            )),
        ),
        (
            CheckState::Impossible,
            None,
            "impossible",
            Some(format!("no health check: Route 53 checks only globally reachable addresses, not {check}")),
        ),
    ] {
        let status = status_with(state, id);
        assert_eq!(status.healthy, state == CheckState::Attached, "{word}");
        let json = serde_json::to_value(&status.records[0]).expect("plain data");
        assert_eq!((json["health_check"]["state"].as_str(), json["health_check_id"].as_str()), (Some(word), id));
        assert_eq!(json["health_check"]["checks"].as_str(), Some(check));
        assert_eq!(json["health_check"]["last_error"].is_null(), state != CheckState::Failing);
        assert_eq!(
            serde_json::from_value::<Status>(serde_json::to_value(&status).expect("data")).expect("ours"),
            status
        );
        let text = status::render(&status, noon(), None);
        match note {
            Some(note) => assert!(text.contains(&note), "{word}: {text}"),
            None => assert!(!text.contains("health check"), "{text}"),
        }
    }
}
