//! `nodedns check`, the program itself, against the simulators.

mod kubernetes;
mod pure;

use std::ops::Deref;
use std::process::Command;
use std::sync::Arc;

use nodedns::cli::check::ids::Id;
use nodedns::control::protocol::Status;
use nodedns::control::server::{Limits, Server};
use nodedns::decide::record::RecordType;
use nodedns::decide::report::Report;
use route53_sim::Sim;
use serde_json::Value;
use tokio::sync::watch;

use crate::control::{healthy_record, status_of, troubled_report};
use crate::node_watch::node;
use crate::support::api_server::{Answer, ApiServer};
use crate::support::desk::{Desk, Said, finish};
use crate::support::name_server::{NameServer, Says};

const ZONE: &str = "Z0123456789ABC";

/// What JSON and YAML say of each check.
const KEYS: [&str; 6] = ["id", "section", "subject", "outcome", "text", "remedy"];

/// Addresses of no host, so that it does not matter on which this runs.
const RECORD: &str = "[[record]]\nname = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"\n\
                      static_addresses = [\"203.0.113.7\", \"2001:db8::7\"]\n";

/// What the API server says to who may list a Node and not watch it.
const NO_WATCH: &str = "nodes \"n1\" is forbidden: User \"system:serviceaccount:dns:nodedns\" cannot watch resource \"nodes\" in \
                        API group \"\" at the cluster scope";

/// A desk at which nothing is wrong, but that no daemon runs; and a resolver that agrees.
struct Bench {
    desk: Desk,
    resolver: NameServer,
}

impl Deref for Bench {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

impl Bench {
    fn new(record: &str, server: Option<&ApiServer>) -> Self {
        let desk = Desk::new(Sim::builder().zone("example.com", ZONE).start(), record);
        let servers = desk.sim.pool(ZONE, "example.com", "NS").into_iter().flat_map(|set| set.values).collect();
        let resolver = NameServer::start(&[("example.com", Says::Ns(servers))]);
        let socket = desk.path("nodedns.sock");
        desk.replace("[route53]", &format!("[control]\nsocket = \"{}\"\n[route53]", socket.display()));
        let desk = match server {
            Some(server) => desk.with_kubernetes(server),
            None => desk,
        };
        Bench { desk, resolver }
    }

    fn check(&self) -> Command {
        let mut command = self.command(&["check", "--resolver", &self.resolver.address.to_string()]);
        // Also where the configuration cannot say it.
        command.env("AWS_ENDPOINT_URL", self.sim.endpoint());
        command
    }

    async fn checked(&self) -> Said {
        finish(self.check()).await
    }
}

async fn good(record: &str) -> (Bench, ApiServer) {
    let server = ApiServer::start().await;
    server.set_node(node("True"));
    (Bench::new(record, Some(&server)), server)
}

/// One check, as JSON shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Check {
    id: String,
    section: String,
    subject: String,
    outcome: String,
    text: String,
    remedy: Option<String>,
}

struct Checked {
    code: Option<i32>,
    ok: bool,
    checks: Vec<Check>,
}

impl Checked {
    async fn of(bench: &Bench) -> Self {
        let mut command = bench.check();
        command.args(["--output", "json"]);
        let said = finish(command).await;
        let (code, value) = (said.code, serde_json::from_str::<Value>(&said.out).expect("JSON"));
        let text =
            |check: &Value, key: &str| check[key].as_str().unwrap_or_else(|| panic!("{key}: {check}")).to_owned();
        let check = |check: &Value| Check {
            id: text(check, "id"),
            section: text(check, "section"),
            subject: text(check, "subject"),
            outcome: text(check, "outcome"),
            text: text(check, "text"),
            remedy: check["remedy"].as_str().map(str::to_owned),
        };
        let mut checks: Vec<_> = value["checks"].as_array().expect("checks").iter().map(check).collect();
        for outcome in ["ok", "warning", "failed", "skipped"] {
            let count = checks.iter().filter(|check: &&Check| check.outcome == outcome).count();
            assert_eq!(value["counts"][outcome], count, "{outcome}: {value:#}");
        }
        assert!(checks.iter().any(|check: &Check| check.id == "user"));
        // Each is told where the manual says.
        for check in checks.iter().filter(|check| check.id != "configuration") {
            let id = Id::ALL.iter().find(|id| id.as_str() == check.id).unwrap_or_else(|| panic!("{}", check.id));
            assert_eq!(serde_json::to_value(id.section()).expect("a word"), check.section, "{}", check.id);
        }
        // What the daemon's user may read depends on whether this host has one.
        checks.retain(|check| !["user", "configuration_file"].contains(&check.id.as_str()));
        for check in &checks {
            assert!(check.outcome != "failed" || check.remedy.is_some(), "without a remedy: {check:?}");
        }
        let checked = Checked { code, ok: value["ok"].as_bool().expect("a verdict"), checks };
        assert!(!value.to_string().contains("SECRET-TOKEN"), "{value}");
        checked
    }

    /// The ids of the checks that came to this.
    fn ids(&self, outcome: &str) -> Vec<&str> {
        self.checks.iter().filter(|check| check.outcome == outcome).map(|check| check.id.as_str()).collect()
    }

    /// The one check of this id.
    fn the(&self, id: &str) -> &Check {
        let found: Vec<_> = self.checks.iter().filter(|check| check.id == id).collect();
        let [check] = found[..] else { panic!("one {id}: {:?}", self.checks) };
        check
    }

    /// Asserts that these have failed and nothing else, that every failure says what to do, and that all
    /// else is as it was when nothing was wrong, but for what is `hidden` because it depends on it.
    fn assert_failed(&self, failed: &[&str], hidden: &[&str], good: &Checked) {
        assert_eq!(self.ids("failed"), failed, "{:#?}", self.checks);
        assert_eq!((self.code, self.ok), (Some(2), false));
        for check in &good.checks {
            if failed.contains(&check.id.as_str()) {
                continue;
            }
            let same = self.checks.iter().find(|found| found.id == check.id && found.subject == check.subject);
            let outcome = same.map(|found| found.outcome.as_str());
            // That a Node is not asked for at all is told once.
            let is_whole = !(hidden.contains(&"own_node_list") && hidden.contains(&"own_node_watch"));
            if !is_whole && ["own_node_list", "own_node_watch"].contains(&check.id.as_str()) {
                assert_eq!(outcome, None, "{check:?} of {:#?}", self.checks);
                continue;
            }
            let expected = if hidden.contains(&check.id.as_str()) { "skipped" } else { &check.outcome };
            assert_eq!(outcome, Some(expected), "{check:?} of {:#?}", self.checks);
        }
    }
}

/// What was said, without what is different from run to run and from host to host.
fn settled(text: &str, desk: &Bench, server: &ApiServer) -> String {
    let text = text.replace(&desk.directory.path().display().to_string(), "DESK");
    let text = text.replace(&server.url(), "http://API").replace(&desk.sim.endpoint(), "http://ROUTE53");
    let version = format!(" {}, ", env!("CARGO_PKG_VERSION"));
    text.replace(&version, " VERSION, ")
}

/// The lines before those of AWS.
fn until_aws(said: &Said) -> String {
    without_this_host(said.out.split("\nAWS\n").next().unwrap_or_default())
}

/// Without what depends on whether this host has the daemon's user, and without the last line, which counts
/// that too; and without the clock, which a busy machine may find a moment late.
fn without_this_host(text: &str) -> String {
    let is_user = |line: &str| {
        let subject = line.trim_start_matches([' ', '✓', '-']);
        ["uid ", "root: ", "nodedns: "].iter().any(|user| subject.starts_with(user))
    };
    let told = ["nodedns.toml: ", " clock: ", "chgrp", "as root for the whole", " good, "];
    let lines = text.lines().filter(|line| !is_user(line) && !told.iter().any(|told| line.contains(told)));
    lines.map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn where_all_is_well_every_line_is_good() {
    let (desk, server) = good(RECORD).await;
    let said = desk.checked().await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
    assert!(!said.out.contains('✗') && !said.out.contains("SECRET-TOKEN"), "{}", said.out);
    assert!(said.out.lines().last().expect("a line").contains("nothing to mend"), "{}", said.out);
    insta::assert_snapshot!("check_all_is_well", settled(&without_this_host(&said.out), &desk, &server));
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.ok, checked.ids("failed").len()), (Some(0), true, 0));
    let section = |id| checked.the(id).section.as_str();
    assert_eq!((section("owner_id"), section("own_node")), ("node", "kubernetes"));
    // YAML says the same.
    let mut command = desk.check();
    command.args(["--output", "yaml"]);
    let yaml = finish(command).await;
    let yaml: Value = serde_saphyr::from_str(&yaml.out).expect("YAML");
    assert!(yaml["checks"].as_array().is_some_and(|checks| checks.len() >= checked.checks.len()), "{yaml}");
    assert_eq!(yaml["checks"][0].as_object().expect("a check").keys().collect::<Vec<_>>(), KEYS);
}

/// The time is bounded, and what has been found out before stands on the screen while it runs.
#[tokio::test]
async fn mistakes_in_the_configuration_are_told_and_all_else_is_still_checked() {
    let (desk, _server) = good(&format!("{RECORD}ttl = \"long\"\n")).await;
    desk.replace("cluster = \"home\"", "clutser = \"home\"");
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.ok), (Some(78), false));
    assert_eq!(checked.ids("failed"), ["configuration", "configuration"]);
    for id in ["node_name", "api_server", "own_node_watch", "own_node", "nodes_list", "aws_identity", "clock"] {
        assert_eq!(checked.the(id).outcome, "ok", "{id}");
    }
    assert_eq!(checked.the("record_address").outcome, "skipped");
    // In the words of 'config check'.
    let said = desk.checked().await;
    assert_eq!(said.code, Some(78));
    let told = desk.run(&["config", "check"]).await;
    let mistakes: Vec<_> = told.err.lines().filter(|line| !line.starts_with("error:")).map(str::trim).collect();
    assert!(mistakes.len() >= 3, "{mistakes:?}");
    for mistake in mistakes {
        assert!(said.out.contains(mistake), "{mistake:?} is not in {}", said.out);
    }
    // Nothing at all, or nothing that is TOML.
    for text in [None, Some("cluster = \"home\"\n[[record]\n")] {
        let path = desk.path("nodedns.toml");
        std::fs::remove_file(&path).expect("there");
        if let Some(text) = text {
            std::fs::write(&path, text).expect("written");
        }
        let checked = Checked::of(&desk).await;
        assert_eq!((checked.code, checked.ids("failed")), (Some(78), vec!["configuration"]), "{text:?}");
        assert_eq!(checked.the("node_name").outcome, "ok", "{text:?}");
        std::fs::write(&path, "").expect("written");
    }
}

/// Also where the mistake itself has no advice.
#[tokio::test]
async fn a_cluster_that_is_no_token_is_told_with_what_to_do() {
    let desk = Bench::new(RECORD, None);
    desk.replace("cluster = \"home\"", "cluster = \"ho/me\"");
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.ids("failed")), (Some(78), vec!["configuration"]));
    let mistake = checked.the("configuration");
    assert!(mistake.text.starts_with("cluster: ") && mistake.remedy.is_some(), "{mistake:?}");
}

/// What only shows when the node's name is known is a mistake in the configuration, too: here it is the
/// host's, for which the cluster's leaves a single character.
#[tokio::test]
async fn a_node_name_that_makes_no_owner_id_is_a_mistake() {
    let desk = Bench::new(RECORD, None);
    desk.replace("cluster = \"home\"", &format!("cluster = \"{}\"", "c".repeat(115)));
    desk.replace("node = \"n1\"\n", "");
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.ids("failed")), (Some(78), vec!["configuration"]));
    assert_eq!(checked.the("node_name").outcome, "ok");
    assert!(checked.the("configuration").text.contains("Route 53 takes 128"), "{:?}", checked.the("configuration"));
}

#[tokio::test]
async fn what_is_allowed_and_probably_not_meant_is_a_warning() {
    let record = format!(
        "[signals]\nnot_ready = \"ignore\"\napi_unreachable = \"withdraw\"\nprobe = {{ tcp = \"192.0.2.9:443\" }}\n\
         {RECORD}ttl = 3600\n[[record]]\nname = \"{{node}}.example.com\"\nzone_id = \"{ZONE}\"\nttl = 0\n\
         static_addresses = [\"203.0.113.7\", \"2001:db8::7\"]\n"
    );
    let (desk, server) = good(&record).await;
    desk.replace("node = \"n1\"", "node = \"n1\"\nresync = \"2h\"");
    let checked = Checked::of(&desk).await;
    let mut expected = vec!["ttl", "ttl", "record_keep_min", "not_ready_ignored"];
    expected.extend(["api_unreachable_withdraws", "resync", "probe_address"]);
    assert_eq!((checked.code, checked.ids("warning")), (Some(0), expected));
    let said = desk.checked().await;
    insta::assert_snapshot!("check_warnings", settled(&until_aws(&said), &desk, &server));
    // Each has an end: what is meant, or as good as meant, is not warned of.
    desk.replace("ttl = 3600", "ttl = 300");
    desk.replace("ttl = 0", "ttl = 60\nkeep_min = 0");
    desk.replace("not_ready = \"ignore\"\napi_unreachable = \"withdraw\"\n", "");
    desk.replace("192.0.2.9:443", "127.0.0.1:443");
    desk.replace("2h", "1h");
    assert_eq!(Checked::of(&desk).await.ids("warning"), [""; 0]);
}

#[tokio::test]
async fn the_daemon_is_asked_how_it_is() {
    let (desk, _server) = good(RECORD).await;
    let well = Checked::of(&desk).await;
    assert_eq!(well.the("daemon").outcome, "skipped");
    let record = healthy_record("edge.example.com", RecordType::A, "203.0.113.7");
    let report = Report { records: vec![record], ..troubled_report() };
    let status = Status {
        node: "n1".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        healthy: true,
        reload_refused: None,
        ..status_of(&report)
    };
    let (sender, receiver) = watch::channel(Arc::new(status.clone()));
    tokio::spawn(Server::bind(&desk.path("nodedns.sock")).expect("a free path").run(receiver, Limits::default()));
    let checked = Checked::of(&desk).await;
    assert_eq!(checked.code, Some(0));
    assert_eq!((checked.the("daemon").outcome.as_str(), checked.the("daemon_health").outcome.as_str()), ("ok", "ok"));
    let old = Status {
        version: "0.0.1".to_owned(),
        node: "n2".to_owned(),
        reload_refused: Some("x.toml:1:1: y".to_owned()),
        ..status.clone()
    };
    sender.send_replace(Arc::new(old));
    let checked = Checked::of(&desk).await;
    assert_eq!((checked.code, checked.ids("warning")), (Some(0), vec!["daemon", "daemon_identity", "daemon_reload"]));
    sender.send_replace(Arc::new(Status { healthy: false, ..status }));
    let checked = Checked::of(&desk).await;
    checked.assert_failed(&["daemon_health"], &["daemon"], &Checked { checks: Vec::new(), ..well });
    assert_eq!(checked.the("daemon").outcome, "ok");
}

#[tokio::test]
async fn a_state_directory_that_is_none_is_found_out() {
    let (desk, _server) = good(RECORD).await;
    let well = Checked::of(&desk).await;
    assert_eq!(well.the("state_directory").outcome, "skipped");
    std::fs::write(desk.path("state"), "").expect("written");
    let checked = Checked::of(&desk).await;
    checked.assert_failed(&["state_directory"], &[], &well);
    assert!(checked.the("state_directory").text.starts_with("not a directory"), "{:?}", checked.the("state_directory"));
    std::fs::remove_file(desk.path("state")).expect("there");
    std::fs::create_dir(desk.path("state")).expect("made");
    assert_eq!(Checked::of(&desk).await.the("state_directory").outcome, "ok");
}

#[tokio::test]
async fn where_signs_cannot_be_shown_words_stand_for_them() {
    let (desk, server) = good(RECORD).await;
    server.always_watch(Answer::Error(403, NO_WATCH.into()));
    for (variable, locale) in [("LC_ALL", "C"), ("LC_CTYPE", "de_DE.ISO-8859-1"), ("LANG", "POSIX")] {
        let mut command = desk.check();
        command.env(variable, locale);
        let said = finish(command).await;
        assert!(said.out.is_ascii(), "{}", said.out);
        assert!(said.out.contains("  ok      own") || said.out.contains("  ok      n1: "), "{}", said.out);
        assert!(said.out.contains("  FAILED  Node n1: "), "{}", said.out);
    }
}
