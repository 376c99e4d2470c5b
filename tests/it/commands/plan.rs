//! `nodedns plan`, and that it agrees with the daemon that then runs.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nodedns::cli::exit::Exit;
use nodedns::cli::plan::{Plan, render};
use nodedns::cli::world::{Outlook, Unread};
use nodedns::decide::fitness::{Conditions, NodeKnowledge};
use nodedns::decide::forecast::{Facts, forecast};
use nodedns::decide::health_check::{
    CheckListing, CheckProbe, CheckSpec, HealthCheck, ManagedCheck, NewCheck, Place, Reference, tags,
};
use nodedns::decide::node::Readiness;
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::OwnerId;
use nodedns::decide::policy::RecordPolicy;
use nodedns::decide::record::{self as decide, RecordType};
use nodedns::decide::routing::Routing;
use nodedns::decide::time::Moment;
use nodedns::publish::Provider;
use nodedns::publish::route53::{Route53, Settings};
use nodedns::state::{SavedDrain, Store};
use route53_sim::{Count, Fault, Operation, RecordSet, Sim};
use serde_json::{Value, json};

use crate::support::api_server::{Answer, ApiServer};
use crate::support::desk::{Desk, finish};
use crate::support::port::Port;
use crate::support::{skip, world};

const ZONE: &str = "Z1";
const NAME: &str = "edge.example.com";
const V4: &str = "185.12.64.1";
const V6: &str = "2a01:4ff:f0::1";
const OWN: &str = "nodedns/v1/home/n1";

/// One record with an address of each of its types; `more` is added to it.
fn record(name: &str, more: &str) -> String {
    let addresses = if more.contains("types = [\"A\"]") { format!("{V4:?}") } else { format!("{V4:?}, {V6:?}") };
    format!("[[record]]\nname = {name:?}\nzone_id = {ZONE:?}\nstatic_addresses = [{addresses}]\n{more}\n")
}

fn desk(more: &str) -> Desk {
    Desk::new(Sim::builder().zone("example.com", ZONE).start(), &record(NAME, more))
}

fn set(identifier: &str, rtype: &str, value: &str) -> RecordSet {
    RecordSet::new(NAME, rtype).set_identifier(identifier).weight(10).ttl(60).value(value)
}

/// What n1 and two siblings publish.
fn published(desk: &Desk) {
    for (identifier, v4, v6) in [
        (OWN, V4, V6),
        ("nodedns/v1/home/n2", "185.12.64.2", "2a01:4ff:f0::2"),
        ("nodedns/v1/home/n3", "185.12.64.3", "2a01:4ff:f0::3"),
    ] {
        desk.sim.put(ZONE, set(identifier, "A", v4));
        desk.sim.put(ZONE, set(identifier, "AAAA", v6));
    }
}

fn node(ready: &str, unschedulable: bool) -> Value {
    json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": {"name": "n1", "uid": "u1"},
        "spec": {"unschedulable": unschedulable},
        "status": {"conditions": [{"type": "Ready", "status": ready, "reason": "KubeletReady"}]},
    })
}

/// Intent, reason and actions of every record and type.
fn told(plan: &Value) -> Vec<String> {
    let record = |record: &Value| {
        let actions: Vec<_> =
            record["changes"].as_array().expect("a list").iter().map(|c| c["action"].as_str().expect("text")).collect();
        let text = |key: &str| record[key].as_str().expect("text").to_owned();
        format!("{} {} {} [{}]", text("type"), text("intent"), text("reason"), actions.join(" "))
    };
    plan["records"].as_array().expect("a list").iter().map(record).collect()
}

fn is_changed(desk: &Desk) -> bool {
    let reading = [
        Operation::ListResourceRecordSets,
        Operation::ListHealthChecks,
        Operation::ListHostedZones,
        Operation::ListTagsForResources,
    ];
    desk.sim.requests().iter().any(|request| !reading.contains(&request.operation))
}

async fn plans(desk: &Desk, code: i32, expected: &[&str]) -> Value {
    let (found, plan) = desk.json(&["plan"]).await;
    assert_eq!(told(&plan), expected, "{plan:#}");
    assert_eq!(found, Some(code), "{plan:#}");
    assert_eq!(
        (&plan["complete"], &plan["differences"]),
        (&json!(!matches!(code, 1 | 69 | 77)), &json!(told_differs(&plan)))
    );
    assert!(!is_changed(desk));
    plan
}

fn told_differs(plan: &Value) -> bool {
    let records = plan["records"].as_array().expect("a list");
    records.iter().any(|record| record["changes"] != json!([]) || record["health_check"]["state"] == json!("missing"))
}

#[tokio::test]
async fn what_is_not_there_would_come_and_what_is_there_would_stay() {
    let desk = desk("");
    let plan = plans(&desk, 2, &["A publish eligible [create]", "AAAA publish eligible [create]"]).await;
    assert_eq!((&plan["node"], &plan["cluster"]), (&json!("n1"), &json!("home")));
    let first = &plan["records"][0];
    assert_eq!((&first["desired"], &first["actual"], &first["in_sync"]), (&json!([V4]), &json!([]), &json!(false)));
    assert_eq!(first["changes"][0]["after"]["values"], json!([V4]));
    published(&desk);
    let plan = plans(&desk, 0, &["A publish eligible []", "AAAA publish eligible []"]).await;
    assert_eq!((&plan["records"][1]["actual"], &plan["records"][1]["in_sync"]), (&json!([V6]), &json!(true)));
    desk.sim.put(ZONE, set(OWN, "A", "185.12.64.77"));
    plans(&desk, 2, &["A publish eligible [update]", "AAAA publish eligible []"]).await;
}

#[tokio::test]
async fn what_the_node_says_counts_at_once_and_a_guard_holds() {
    let server = ApiServer::start().await;
    server.set_node(node("True", true));
    let desk = desk("ttl = 60").with_kubernetes(&server);
    published(&desk);
    plans(&desk, 2, &["A withdraw cordoned [delete]", "AAAA withdraw cordoned [delete]"]).await;
    for identifier in ["nodedns/v1/home/n2", "nodedns/v1/home/n3"] {
        desk.sim.remove(ZONE, NAME, "A", Some(identifier));
    }
    let plan = plans(&desk, 2, &["A hold keep_min []", "AAAA withdraw cordoned [delete]"]).await;
    assert_eq!(plan["records"][0]["held_back"], json!("cordoned"));
    // However long the daemon would wait before it believes it.
    desk.replace("ttl = 60", "signals = { not_ready = { action = \"withdraw\", after = \"1h\" } }");
    server.set_node(node("False", false));
    plans(&desk, 2, &["A hold keep_min []", "AAAA withdraw not_ready [delete]"]).await;
    server.delete_node();
    plans(&desk, 2, &["A hold keep_min []", "AAAA withdraw node_absent [delete]"]).await;
}

/// A plan that lacks something is no plan without differences.
#[tokio::test]
async fn what_cannot_be_read_makes_the_plan_incomplete_and_says_so() {
    let mut server = ApiServer::start().await;
    server.set_node(node("True", false));
    let desk = desk("signals = { api_unreachable = \"ignore\" }").with_kubernetes(&server);
    published(&desk);
    plans(&desk, 0, &["A publish eligible []", "AAAA publish eligible []"]).await;
    server.always(Answer::Error(403, "nodes is forbidden".to_owned()));
    let plan = plans(&desk, 77, &["A preserve node_unknown []", "AAAA preserve node_unknown []"]).await;
    assert_eq!(plan["unread"][0]["what"], json!("the Node"), "{plan}");
    assert!(plan["unread"][0]["hint"].is_string(), "{plan}");
    // Where the node is unknown its record sets still follow the address.
    desk.sim.put(ZONE, set(OWN, "A", "185.12.64.77"));
    plans(&desk, 77, &["A preserve node_unknown [update]", "AAAA preserve node_unknown []"]).await;
    server.stop();
    plans(&desk, 69, &["A preserve node_unknown [update]", "AAAA preserve node_unknown []"]).await;
    // A server that does not answer does not answer the daemon either.
    desk.replace("api_unreachable = \"ignore\"", "api_unreachable = \"withdraw\"");
    plans(&desk, 2, &["A withdraw api_unreachable [delete]", "AAAA withdraw api_unreachable [delete]"]).await;
    server.resume().await;
    server.always(Answer::Error(403, "nodes is forbidden".to_owned()));
    plans(&desk, 77, &["A preserve node_unknown [update]", "AAAA preserve node_unknown []"]).await;
    server.always(Answer::Serve);
    desk.sim.inject(Operation::ListResourceRecordSets, Fault::AccessDenied, Count::Always);
    let plan = plans(&desk, 77, &["A preserve pool_unknown []", "AAAA preserve pool_unknown []"]).await;
    assert_eq!((&plan["records"][0]["zone_id"], &plan["records"][0]["actual"]), (&Value::Null, &Value::Null));
    assert_eq!(plan["unread"][0]["what"], json!("what Route 53 has at edge.example.com"));
    // Where both are the cause, what is denied stays so however often it is tried.
    server.stop();
    desk.replace("api_unreachable = \"withdraw\"", "api_unreachable = \"ignore\"");
    plans(&desk, 77, &["A preserve pool_unknown []", "AAAA preserve pool_unknown []"]).await;
    desk.sim.clear_faults();
    desk.sim.inject(Operation::ListResourceRecordSets, Fault::AccessDenied, Count::Always);
    let said = desk.run(&["plan"]).await;
    assert!(
        said.out.contains("? not known") && said.out.contains("the plan is incomplete: 2 of 2 could not be told"),
        "{}",
        said.out
    );
}

fn save_drain(desk: &Desk, force: bool) {
    let since = "2026-01-01T00:00:00Z".parse().expect("a timestamp");
    let drain = SavedDrain::new(since, None, force, None, 0);
    Store::new(&desk.path("state")).keep(Some(&drain)).expect("saved");
}

#[tokio::test]
async fn a_drain_counts_and_one_that_cannot_be_read_is_not_taken_for_none() {
    let desk = desk("");
    published(&desk);
    save_drain(&desk, false);
    plans(&desk, 2, &["A withdraw drained [delete]", "AAAA withdraw drained [delete]"]).await;
    for identifier in ["nodedns/v1/home/n2", "nodedns/v1/home/n3"] {
        desk.sim.remove(ZONE, NAME, "A", Some(identifier));
    }
    plans(&desk, 2, &["A hold keep_min []", "AAAA withdraw drained [delete]"]).await;
    save_drain(&desk, true);
    plans(&desk, 2, &["A withdraw drained [delete]", "AAAA withdraw drained [delete]"]).await;
    std::fs::write(desk.path("state").join("drain.json"), "{").expect("written");
    let plan = plans(&desk, 1, &["A preserve drain_unknown []", "AAAA preserve drain_unknown []"]).await;
    assert_eq!(plan["unread"][0]["what"], json!("whether the node is drained"));
    desk.replace("[[record]]", "[signals]\ndrained = \"ignore\"\n[[record]]");
    plans(&desk, 0, &["A publish eligible []", "AAAA publish eligible []"]).await;
}

/// Whoever may not read the daemon's file is told so, and what follows.
#[tokio::test]
async fn being_unprivileged_does_not_make_the_plan_wrong() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can become somebody else");
    }
    let desk = desk("");
    published(&desk);
    save_drain(&desk, false);
    std::fs::set_permissions(desk.directory.path(), PermissionsExt::from_mode(0o755)).expect("ours");
    std::fs::set_permissions(desk.path("state"), PermissionsExt::from_mode(0o700)).expect("ours");
    let mut command = desk.command(&["plan", "--output", "json"]);
    command.uid(65534).gid(65534);
    let said = finish(command).await;
    let plan: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.err));
    assert_eq!(told(&plan), ["A preserve drain_unknown []", "AAAA preserve drain_unknown []"]);
    assert_eq!((said.code, &plan["complete"]), (Some(77), &json!(false)));
    assert!(plan["unread"][0]["error"].as_str().expect("text").contains("drain.json cannot be read"), "{plan}");
}

#[tokio::test]
async fn probes_are_made_until_they_have_a_verdict() {
    let port = Port::new();
    let listener = TcpListener::bind(port.address()).expect("a listener");
    let probe = format!("{{ tcp = \"{}\", interval = \"1s\", timeout = \"1s\", failures = 2 }}", port.address());
    let desk = desk(&format!("signals = {{ probe = {probe} }}"));
    published(&desk);
    plans(&desk, 0, &["A publish eligible []", "AAAA publish eligible []"]).await;
    drop(listener);
    let start = Instant::now();
    let plan = plans(&desk, 2, &["A withdraw probe_failed [delete]", "AAAA withdraw probe_failed [delete]"]).await;
    assert!(start.elapsed() >= Duration::from_secs(1), "two attempts, a second apart");
    assert!(plan["records"][0]["explanation"].as_str().expect("text").contains("refused the connection"), "{plan}");
}

fn check(address: &str) -> NewCheck {
    let owner = OwnerId::new("home", "n1").expect("an owner");
    let (name, rtype) = (world::name(NAME), RecordType::A);
    let check = ManagedCheck { probe: CheckProbe::Tcp, port: 443, interval: 30, failure_threshold: 3 };
    NewCheck {
        reference: Reference::new(Place::new(&owner, ZONE, &name, rtype), 1 << 40),
        spec: CheckSpec { address: address.parse().expect("an address"), check },
        tags: tags(&owner, ZONE, &name, rtype),
    }
}

#[tokio::test]
async fn a_managed_health_check_is_attached_or_would_be_created() {
    let desk = desk("types = [\"A\"]\nhealth_check = { type = \"tcp\", port = 443 }");
    published(&desk);
    let missing = plans(&desk, 2, &["A publish eligible []", "AAAA withdraw type_not_configured [delete]"]).await;
    let outlook = &missing["records"][0]["health_check"];
    assert_eq!((&outlook["state"], &outlook["checks"]), (&json!("missing"), &json!("tcp://185.12.64.1:443")));
    let said = desk.run(&["plan"]).await;
    assert!(said.out.contains("a health check would be created for tcp://185.12.64.1:443"), "{}", said.out);
    // One of the same place that asks something else is not taken for it.
    let settings = Settings { endpoint_url: Some(desk.sim.endpoint()), ..Settings::default() };
    let credentials = aws_credential_types::Credentials::new("AKIATEST", "secret", None, None, "test");
    let provider = Route53::with_credentials(settings, credentials);
    let other = NewCheck { reference: Reference::new(check(V4).reference.place, 2 << 40), ..check("185.12.64.9") };
    provider.create_health_check(&other).await.expect("created");
    desk.sim.clear_requests();
    plans(&desk, 2, &["A publish eligible []", "AAAA withdraw type_not_configured [delete]"]).await;
    let id = provider.create_health_check(&check(V4)).await.expect("created");
    desk.sim.clear_requests();
    let plan = plans(&desk, 2, &["A publish eligible [update]", "AAAA withdraw type_not_configured [delete]"]).await;
    assert_eq!(plan["records"][0]["changes"][0]["after"]["health_check_id"], json!(id));
    desk.sim.put(ZONE, set(OWN, "A", V4).health_check(&id));
    desk.sim.remove(ZONE, NAME, "AAAA", Some(OWN));
    let plan = plans(&desk, 0, &["A publish eligible []"]).await;
    assert_eq!(
        plan["records"][0]["health_check"],
        json!({"state": "found", "checks": "tcp://185.12.64.1:443", "id": id})
    );
    desk.sim.inject(Operation::ListHealthChecks, Fault::AccessDenied, Count::Always);
    let plan = plans(&desk, 77, &["A publish eligible []"]).await;
    assert_eq!(plan["records"][0]["health_check"]["state"], json!("unknown"));
}

#[tokio::test]
async fn health_checks_are_only_read_for_those_who_have_some() {
    let desk = desk("");
    desk.sim.inject(Operation::ListHealthChecks, Fault::AccessDenied, Count::Always);
    plans(&desk, 2, &["A publish eligible [create]", "AAAA publish eligible [create]"]).await;
}

#[tokio::test]
async fn what_is_in_the_way_is_told_and_is_no_difference() {
    let desk = desk("");
    desk.sim.put(ZONE, RecordSet::new(NAME, "A").ttl(300).value("185.12.64.9"));
    desk.sim.put(ZONE, RecordSet::new(NAME, "AAAA").set_identifier("a").weight(1).ttl(300).value("2a01:4ff:f0::9"));
    let plan = plans(&desk, 2, &["A hold simple_conflict []", "AAAA publish eligible [create]"]).await;
    assert_eq!((&plan["records"][1]["ttl"], &plan["records"][1]["ttl_configured"]), (&json!(300), &json!(60)));
    desk.sim.put(ZONE, set(OWN, "AAAA", V6).ttl(300));
    plans(&desk, 0, &["A hold simple_conflict []", "AAAA publish eligible []"]).await;
}

/// A record of n1 at this name, and what becomes of it; `None`: the name could not be read.
fn outlook(record: RecordPolicy, cordoned: bool, sets: Option<Vec<(RecordType, decide::RecordSet)>>) -> Outlook {
    let node = NodeKnowledge {
        state: Observed::Known(if cordoned { world::node(Readiness::Ready, true) } else { world::ready() }),
        reported: true,
    };
    let conditions = Conditions { node: Some(node), drain: Observed::Known(None), ..Conditions::default() };
    let listing = sets.map_or(Observed::Unknown, |sets| Observed::Known(world::listing(sets)));
    let policy = world::policy(vec![record.clone()]);
    let facts = Facts {
        addresses: Observed::Known(&world::snapshot(&[V4, V6])),
        conditions: &conditions,
        listing: match &listing {
            Observed::Known(listing) => Observed::Known(listing),
            Observed::Unknown => Observed::Unknown,
        },
        checks: Observed::Known(&CheckListing::default()),
        now: Moment::default(),
    };
    Outlook { forecast: forecast(&policy, &record, facts), record, listing, unread: None }
}

#[test]
fn the_plan_as_text() {
    use RecordType::{A, Aaaa};
    let named = |name: &str| world::record(name, ZONE);
    let only_a = |name: &str| RecordPolicy { types: BTreeSet::from([A]), ..named(name) };
    let probe = ManagedCheck { probe: CheckProbe::Tcp, port: 443, interval: 30, failure_threshold: 3 };
    let probed = RecordPolicy { health_check: Some(HealthCheck::Managed(probe)), ..only_a("probed.example.com") };
    let simple =
        decide::RecordSet { set_identifier: None, routing: Routing::Simple, ..world::weighted("x", "185.12.64.9") };
    let sibling = || world::weighted(world::SIBLING, "185.12.64.9");
    let own = || (A, world::weighted(world::OWN, V4));
    let outlooks = [
        outlook(named(NAME), false, Some(vec![(A, world::weighted(world::OWN, "185.12.64.77")), (A, sibling())])),
        outlook(only_a("cordoned.example.com"), true, Some(vec![own(), (A, sibling())])),
        outlook(only_a("last.example.com"), true, Some(vec![own()])),
        outlook(only_a("same.example.com"), false, Some(vec![own()])),
        outlook(only_a("taken.example.com"), false, Some(vec![(A, simple)])),
        outlook(probed, false, Some(vec![own(), (Aaaa, world::weighted(world::SIBLING, "2a01:4ff:f0::9"))])),
        outlook(only_a("unread.example.com"), false, None),
    ];
    let unread = Unread {
        what: "what Route 53 has at unread.example.com".to_owned(),
        error: "AccessDenied: not authorized to perform: route53:ListResourceRecordSets".to_owned(),
        hint: Some("allow the action on this hosted zone".to_owned()),
        exit: Exit::NotPermitted,
    };
    let policy = world::policy(Vec::new());
    let plan = Plan::of(&policy, &outlooks, vec![unread], false);
    insta::assert_snapshot!("plan_wide", render(&plan, None));
    insta::assert_snapshot!("plan_80", render(&plan, Some(80)));
    let nothing = Plan::of(&policy, &outlooks[3..5], Vec::new(), false);
    assert!(render(&nothing, None).ends_with("\n\nnothing would change\n"));
    assert!((nothing.complete, nothing.differences) == (true, false));
    // What is sure of n1 is of no use where this may be n2.
    let doubtful = Plan::of(&policy, &outlooks[3..5], Vec::new(), true);
    assert!(render(&doubtful, None).ends_with("the plan is incomplete: this may be another node\n"));
    assert!(!doubtful.complete);
    let because = |exits: &[Exit]| {
        let unread = |exit: &Exit| Unread { what: "x".to_owned(), error: "y".to_owned(), hint: None, exit: *exit };
        Plan::of(&policy, &outlooks[5..], exits.iter().map(unread).collect(), false).exit()
    };
    for (exits, expected) in [
        (&[Exit::Unavailable][..], Exit::Unavailable),
        (&[Exit::NotPermitted], Exit::NotPermitted),
        (&[Exit::Unavailable, Exit::NotPermitted, Exit::Unavailable], Exit::NotPermitted),
        (&[Exit::Unavailable, Exit::Failed], Exit::Failed),
        (&[], Exit::Failed),
    ] {
        assert_eq!(because(exits), expected, "{exits:?}");
    }
}

/// The daemon, for as long as this lives.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What both `plan` and `status` say of each record and type.
fn in_common(records: &Value) -> Vec<Value> {
    let keys = [
        "name",
        "type",
        "zone_id",
        "intent",
        "reason",
        "explanation",
        "held_back",
        "desired",
        "actual",
        "ttl",
        "ttl_configured",
        "routing",
        "in_sync",
    ];
    let record = |record: &Value| keys.iter().map(|key| ((*key).to_owned(), record[*key].clone())).collect();
    records.as_array().expect("a list").iter().map(record).collect()
}

/// Once the daemon has come to rest it and the plan say the same, and before, the plan says what it will do.
#[tokio::test]
async fn the_plan_and_the_daemon_agree() {
    let server = ApiServer::start().await;
    server.set_node(node("True", false));
    let records = [
        record(NAME, "keep_min = 2"),
        record("taken.example.com", ""),
        record("always.example.com", "signals = { cordoned = \"ignore\", drained = \"ignore\" }\nttl = 30"),
        record("here.example.com", "routing = { policy = \"geoproximity\", coordinates = \"auto\" }"),
        record("checked.example.com", "health_check = { type = \"tcp\", port = 443 }\nkeep_min = 0"),
    ];
    let desk = Desk::new(Sim::builder().zone("example.com", ZONE).start(), &records.concat()).with_kubernetes(&server);
    std::fs::create_dir(desk.path("nodedns.toml.d")).expect("a directory");
    let socket = desk.path("control.sock");
    let drop_in = format!("settle = \"10ms\"\n[control]\nsocket = \"{}\"\n", socket.display());
    std::fs::write(desk.path("nodedns.toml.d").join("control.toml"), drop_in).expect("written");
    desk.sim.put(ZONE, RecordSet::new("taken.example.com", "A").ttl(300).value("185.12.64.9"));
    desk.sim.put(ZONE, set("nodedns/v1/home/n2", "A", "185.12.64.2").ttl(120));

    let (_, before) = desk.json(&["plan"]).await;
    let mut command = desk.command(&["run"]);
    let _daemon = Daemon(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts"));
    agrees(&desk, "fresh").await;
    let (_, after) = desk.json(&["plan"]).await;
    let intents = |plan: &Value| {
        told(plan).iter().map(|line| line.split(" [").next().unwrap_or_default().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(intents(&before), intents(&after), "what it has foretold has come true");

    server.set_node(node("True", true));
    agrees(&desk, "cordoned").await;
    desk.sim.remove(ZONE, "taken.example.com", "A", None);
    // What is in the way of some of them may keep it from being a good end.
    let drained = desk.run(&["drain", "--force"]).await;
    assert!(matches!(drained.code, Some(0 | 2)), "{}{}", drained.out, drained.err);
    agrees(&desk, "drained by force").await;
    // The daemon knows, whatever has become of its file.
    std::fs::remove_file(desk.path("state").join("drain.json")).expect("a file");
    agrees(&desk, "drained, by its word alone").await;
    let resumed = desk.run(&["resume"]).await;
    assert!(matches!(resumed.code, Some(0 | 2)), "{}{}", resumed.out, resumed.err);
    server.set_node(node("True", false));
    agrees(&desk, "resumed").await;
}

/// Waits until the daemon has come to rest, which is when plan has nothing to change and both say the same.
async fn agrees(desk: &Desk, when: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let said = desk.run(&["status", "--output", "json"]).await;
        let status: Value = serde_json::from_str(&said.out).unwrap_or_default();
        let (code, plan) = desk.json(&["plan"]).await;
        let rests = status["records"].is_array() && in_common(&status["records"]) == in_common(&plan["records"]);
        if rests && code == Some(0) {
            return;
        }
        let why = format!("{when}: {code:?}\n{status:#}\n{plan:#}\n{}", said.err);
        assert!(Instant::now() < end, "{why}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
