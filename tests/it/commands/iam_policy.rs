//! `nodedns iam-policy`: its policies are policies, allow what is done and nothing besides.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use nodedns::cli::iam_policy::document::{Names, Needs, Partition, PoolNeed, policy};
use nodedns::cli::iam_policy::{INLINE_MAX, MANAGED_MAX, size_note};
use nodedns::decide::node::Readiness;
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::OwnerId;
use nodedns::decide::record::{Action, Pool, RecordType, Target, Value as RecordValue};
use nodedns::decide::routing::Routing;
use nodedns::decide::survivors::{Ledger, Terms, removal};
use nodedns::decide::time::Moment;
use route53_sim::{Count, Fault, Operation, RecordSet, Sim};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::prune::{ready, undo_file};
use crate::support::api_server::ApiServer;
use crate::support::desk::Desk;
use crate::support::iam::{Ask, CHANGES, allows, mistakes};
use crate::support::name_server::{NameServer, Says};
use crate::support::world::name;

const ZONE: &str = "Z0123456789ABC";

const RECORDS: &str = "
[[record]]
name = \"Edge.Example.com\"
zone_id = \"Z0123456789ABC\"
health_check = { type = \"tcp\", port = 443 }
[[record]]
name = \"*.apps.example.com\"
zone_id = \"Z0123456789ABC\"
[[record]]
name = \"four.example.com\"
zone_id = \"Z0123456789ABC\"
types = [\"A\"]
[[record]]
name = \"{node}.{cluster}.example.com\"
zone_id = \"Z0123456789ABC\"
[[record]]
name = \"edge.example.org\"
zone_id = \"ZORG\"
";

fn desk(records: &str) -> Desk {
    Desk::new(Sim::builder().zone("example.com", ZONE).zone("example.org", "ZORG").start(), records)
}

async fn printed(desk: &Desk, args: &[&str]) -> (Value, String) {
    let said = desk.run(&[&["iam-policy"], args].concat()).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    (serde_json::from_str(&said.out).expect("JSON"), said.err)
}

#[tokio::test]
async fn without_anything_to_look_up_nobody_is_asked() {
    let desk = desk(RECORDS);
    for (role, args) in [("daemon", &[][..]), ("one_node", &["--node", "N1"]), ("operator", &["--role", "operator"])] {
        let said = desk.run(&[&["iam-policy"], args].concat()).await;
        assert_eq!(said.code, Some(0));
        let policy: Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(mistakes(&policy), Vec::<String>::new());
        insta::assert_snapshot!(format!("iam_policy_{role}"), format!("{}\n{}", said.out, said.err));
    }
    assert!(desk.sim.requests().is_empty(), "it works offline");
}

#[tokio::test]
async fn only_what_is_configured_is_allowed() {
    let desk = desk(RECORDS);
    let (fleet, _) = printed(&desk, &[]).await;
    let (one, _) = printed(&desk, &["--node", "n1"]).await;
    let (operator, _) = printed(&desk, &["--role", "operator"]).await;
    let change = |zone, action, name, rtype| Ask::change(zone, &[(action, name, rtype)]);
    for (ask, by_fleet, by_one) in [
        (change(ZONE, "UPSERT", "edge.example.com", "A"), true, true),
        (change(ZONE, "DELETE", "EDGE.example.com.", "AAAA"), true, true),
        (change(ZONE, "CREATE", "edge.example.com", "TXT"), false, false),
        (change(ZONE, "CREATE", "edge.example.com", "CNAME"), false, false),
        (change("ZORG", "CREATE", "edge.example.com", "A"), false, false),
        (change("ZORG", "CREATE", "edge.example.org", "A"), true, true),
        (change(ZONE, "CREATE", "edge.example.org", "A"), false, false),
        (change(ZONE, "CREATE", "www.example.com", "A"), false, false),
        (change(ZONE, "CREATE", "example.com", "A"), false, false),
        (change(ZONE, "CREATE", "x.edge.example.com", "A"), false, false),
        (change(ZONE, "CREATE", "*.apps.example.com", "A"), true, true),
        (change(ZONE, "CREATE", "www.apps.example.com", "A"), false, false),
        (change(ZONE, "CREATE", "four.example.com", "A"), true, true),
        (change(ZONE, "CREATE", "four.example.com", "AAAA"), false, false),
        (change(ZONE, "CREATE", "n1.home.example.com", "AAAA"), true, true),
        (change(ZONE, "CREATE", "n2.home.example.com", "AAAA"), true, false),
        // What a pattern allows beside nodes, as the manual says.
        (change(ZONE, "CREATE", "a.n2.home.example.com", "A"), true, false),
        (change(ZONE, "CREATE", "*.home.example.com", "A"), true, false),
        (change(ZONE, "CREATE", "home.example.com", "A"), false, false),
        // One that is not allowed spoils a batch.
        (Ask::change(ZONE, &[("DELETE", "edge.example.com", "A"), ("CREATE", "www.example.com", "A")]), false, false),
        (Ask::new("ListResourceRecordSets", "hostedzone/ZORG"), true, true),
        (Ask::new("ListResourceRecordSets", "hostedzone/ZOTHER"), false, false),
        (Ask::new("GetChange", "change/C1"), true, true),
        (Ask::new("CreateHealthCheck", "*"), true, true),
        (Ask::new("DeleteHealthCheck", "healthcheck/h"), true, true),
        (Ask::new("UpdateHealthCheck", "healthcheck/h"), false, false),
        (Ask::new("ListHostedZonesByName", "*"), false, false),
        (Ask::new("GetHostedZone", &format!("hostedzone/{ZONE}")), false, false),
    ] {
        assert_eq!(allows(&fleet, &ask), by_fleet, "{ask:?}");
        assert_eq!(allows(&one, &ask), by_one, "{ask:?}");
        assert!(allows(&operator, &ask) || !by_fleet, "an operator may do what a node may: {ask:?}");
    }
    for (ask, allowed) in [
        (Ask::new("ListResourceRecordSets", "hostedzone/ZOTHER"), true),
        (Ask::new("ListHostedZonesByName", "*"), true),
        (Ask::new("GetHostedZone", &format!("hostedzone/{ZONE}")), true),
        (Ask::new("GetHostedZoneLimit", "hostedzone/ZORG"), true),
        (Ask::new("GetHostedZone", "hostedzone/ZOTHER"), true),
        (Ask::new("GetHostedZoneLimit", "hostedzone/ZOTHER"), false),
        (Ask::new("GetAccountLimit", "*"), true),
        (change("ZOTHER", "DELETE", "edge.example.com", "A"), false),
        (change(ZONE, "DELETE", "www.example.com", "A"), false),
    ] {
        assert_eq!(allows(&operator, &ask), allowed, "{ask:?}");
    }
}

/// Somebody else's health check is only named in the record set, which needs no right to it.
#[tokio::test]
async fn a_health_check_of_somebody_else_needs_no_rights() {
    let record = "[[record]]\nname = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"\n";
    for (more, managed) in [
        ("health_check_id = \"01234567-89ab-cdef-0123-456789abcdef\"", false),
        ("health_check = { type = \"tcp\", port = 443 }", true),
    ] {
        let (policy, _) = printed(&desk(&format!("{record}{more}\n")), &["--role", "operator"]).await;
        assert_eq!(policy.to_string().contains("HealthCheck"), managed, "{more}: {policy:#}");
    }
}

/// What a survivor removes is at the names that it publishes to itself, and so are those that it leans on.
#[tokio::test]
async fn a_survivors_removal_needs_nothing_more() {
    let desk = desk(&format!("[survivors]\nenabled = true\n{RECORDS}"));
    desk.replace("[kubernetes]\nenabled = false", "[kubernetes]\nenabled = true");
    let (policy, said) = printed(&desk, &[]).await;
    assert!(said.contains("note: [survivors] needs nothing more"), "{said}");
    let nodes = ["n1", "n2", "n3", "dead", "gone"];
    let owner = |node: &str| OwnerId::new("home", node).expect("an owner id");
    let cluster = |names: &[&str]| {
        let state = |name: &str| if name == "dead" { Readiness::NotReady(None) } else { Readiness::Ready };
        Observed::Known(names.iter().map(|name| ((*name).to_owned(), state(name))).collect())
    };
    let mut ledger = Ledger::default();
    ledger.update(cluster(&nodes), Moment::default());
    ledger.update(cluster(&nodes[..4]), Moment::default());
    let set = |node: &str| nodedns::decide::record::RecordSet {
        set_identifier: Some(owner(node).set_identifier()),
        routing: Routing::Weighted(10),
        target: Target::Values { ttl: 60, values: BTreeSet::from([RecordValue::new("185.12.64.1")]) },
        health_check_id: None,
    };
    let pool: Pool = nodes.iter().map(|node| (Some(owner(node).set_identifier()), set(node))).collect();
    let dead = BTreeSet::from(["dead".to_owned(), "gone".to_owned()]);
    for (zone, at, rtype) in [
        (ZONE, "edge.example.com", RecordType::A),
        (ZONE, "*.apps.example.com", RecordType::Aaaa),
        (ZONE, "four.example.com", RecordType::A),
        ("ZORG", "edge.example.org", RecordType::A),
    ] {
        for keep_min in 0..=3 {
            let terms = Terms { owner: &owner("n1"), keep_min, failures: 0, ledger: &ledger };
            let batch = removal(&name(at), rtype, &pool, &dead, terms).expect("enough are left");
            let count = |action| batch.iter().filter(|change| change.action == action).count();
            let witnesses = usize::try_from(keep_min).expect("a few");
            assert_eq!((count(Action::Delete), count(Action::Create)), (2 + witnesses, witnesses));
            let changes: Vec<_> = batch
                .iter()
                .map(|change| (change.action.as_str(), change.name.as_str(), change.rtype.as_str()))
                .collect();
            assert!(allows(&policy, &Ask::change(zone, &changes)), "{changes:?}");
            assert!(!allows(&policy, &Ask::change("ZOTHER", &changes)), "{changes:?}");
        }
    }
    let (_, said) = printed(&self::desk(RECORDS), &[]).await;
    assert!(!said.contains("survivors"), "{said}");
}

/// Every combination of needs is a policy by IAM's grammar.
#[test]
fn every_policy_keeps_to_the_grammar() {
    let exactly = |text: &str| Names::exactly(&name(text));
    let both: BTreeSet<_> = RecordType::ALL.into();
    let pool = |zone: &str, names: Names, types: &BTreeSet<RecordType>| PoolNeed {
        zone_id: zone.to_owned(),
        names,
        types: types.clone(),
    };
    let pools = [
        pool("Z1", exactly("a.example.com"), &both),
        pool("Z1", exactly("*.example.com"), &[RecordType::A].into()),
        pool("Z1", Names::like("*.{node}.Example.com."), &both),
        pool("Z2", Names::like("{node}.{node}.example.org"), &[RecordType::Aaaa].into()),
    ];
    let mut count = 0;
    for some in 1..1 << pools.len() {
        for flags in 0..8 {
            for partition in [Partition::Aws, Partition::China, Partition::GovCloud] {
                let chosen = pools.iter().enumerate().filter(|(index, _)| some & (1 << index) != 0);
                let needs = Needs {
                    partition,
                    pools: chosen.map(|(_, pool)| pool.clone()).collect(),
                    looks_up: flags & 1 != 0,
                    health_checks: flags & 2 != 0,
                    operator: flags & 4 != 0,
                };
                let policy = policy(&needs);
                let value = serde_json::to_value(&policy).expect("JSON");
                assert_eq!(mistakes(&value), Vec::<String>::new(), "{needs:?}");
                let text = value.to_string();
                assert_eq!(text.len(), policy.size());
                assert_eq!(text.matches("arn:aws:").count() == 0, partition != Partition::Aws);
                count += 1;
            }
        }
    }
    assert_eq!(count, 15 * 8 * 3);
}

#[test]
fn names_and_partitions_are_written_as_aws_does() {
    assert_eq!(Names::like("*.{node}.Example.com."), Names::Like("\\052.*.example.com".to_owned()));
    assert_eq!(Names::exactly(&name("*.Example.com")), Names::Exactly("\\052.example.com".to_owned()));
    for (region, partition) in [
        (None, "aws"),
        (Some("us-east-1"), "aws"),
        (Some("cn-north-1"), "aws-cn"),
        (Some("us-gov-west-1"), "aws-us-gov"),
    ] {
        assert_eq!(Partition::of(region).as_str(), partition, "{region:?}");
    }
}

#[test]
fn a_policy_that_is_too_long_is_told() {
    assert_eq!(size_note(INLINE_MAX), "");
    assert!(size_note(INLINE_MAX + 1).starts_with("note: 2,049 characters"));
    assert!(size_note(MANAGED_MAX).starts_with("note: 6,144 characters"));
    assert!(size_note(MANAGED_MAX + 1).starts_with("warning: 6,145 characters"));
}

#[tokio::test]
async fn a_zone_that_is_named_is_looked_up_and_may_be_looked_up() {
    let desk = desk(
        "[[record]]\nname = \"{node}.example.com\"\nzone = \"example.com\"\n[[record]]\nname = \"edge.example.org\"\n",
    );
    let (policy, _) = printed(&desk, &[]).await;
    assert_eq!(mistakes(&policy), Vec::<String>::new());
    assert!(allows(&policy, &Ask::change(ZONE, &[("UPSERT", "n7.example.com", "A")])));
    assert!(allows(&policy, &Ask::change("ZORG", &[("UPSERT", "edge.example.org", "A")])));
    assert!(allows(&policy, &Ask::new("ListHostedZonesByName", "*")));
    assert!(desk.sim.requests().iter().all(|request| request.operation == Operation::ListHostedZonesByName));
    desk.sim.inject(Operation::ListHostedZonesByName, Fault::AccessDenied, Count::Always);
    let said = desk.run(&["iam-policy"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(77), ""));
    assert!(said.err.starts_with("error: cannot look up the hosted zone of "), "{}", said.err);
    assert!(said.err.ends_with("hint: set 'zone_id' in every [[record]], then nothing has to be looked up\n"));
}

/// What the daemon and the commands really do: the policy allows each request, none of its statements
/// can go, and it names no action that is not used.
#[tokio::test]
async fn the_policy_allows_what_is_done_and_no_more() {
    let desk = desk(
        "[[record]]\nname = \"edge.example.com\"\nzone = \"example.com\"\nstatic_addresses = [\"185.12.64.1\"]\n\
         types = [\"A\"]\nhealth_check = { type = \"tcp\", port = 443 }\n",
    );
    let socket = desk.path("nodedns.sock");
    desk.replace("[route53]", &format!("[control]\nsocket = \"{}\"\n[route53]", socket.display()));
    let sibling = RecordSet::new("edge.example.com", "A").set_identifier("nodedns/v1/home/n2").weight(10).ttl(60);
    desk.sim.put(ZONE, sibling.value("185.12.64.2"));
    let (policy, _) = printed(&desk, &[]).await;
    desk.sim.clear_requests();
    let mut daemon = desk.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while desk.sim.record_set(ZONE, "edge.example.com", "A", Some("nodedns/v1/home/n1")).is_none() {
        assert!(std::time::Instant::now() < deadline, "published: {:?}", desk.sim.requests());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for args in [&["drain", "--wait"][..], &["resume", "--wait"], &["health-checks", "list"]] {
        let said = desk.run(args).await;
        assert_eq!(said.code, Some(0), "{args:?}: {}{}", said.out, said.err);
    }
    let pid = Pid::from_raw(i32::try_from(daemon.id()).expect("a process id")).expect("a process id");
    kill_process(pid, Signal::INT).expect("running");
    daemon.wait().expect("ends");
    // What is left for the process that collects.
    let check = desk.sim.health_checks().into_iter().next().expect("a health check").id;
    desk.sim.remove(ZONE, "edge.example.com", "A", Some("nodedns/v1/home/n1"));
    let said = desk.run(&["health-checks", "gc", "--yes", "--grace", "1s"]).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(desk.sim.health_checks().iter().all(|left| left.id != check));

    let asked: BTreeSet<Ask> = desk.sim.requests().iter().filter_map(Ask::of).collect();
    for ask in &asked {
        assert!(allows(&policy, ask), "{ask:?}");
    }
    let statements = policy["Statement"].as_array().expect("a list").clone();
    for (index, statement) in statements.iter().enumerate() {
        let mut less = policy.clone();
        less["Statement"].as_array_mut().expect("a list").remove(index);
        assert!(!asked.iter().all(|ask| allows(&less, ask)), "nobody needs {}", statement["Sid"]);
    }
    let used: BTreeSet<&str> = asked.iter().map(|ask| ask.action.as_str()).collect();
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().expect("a list"));
    assert_eq!(used, actions.map(|action| action.as_str().expect("text")).collect());
    let changes: BTreeSet<&str> =
        asked.iter().filter_map(|ask| ask.keys.get(CHANGES)).flatten().map(String::as_str).collect();
    assert_eq!(changes, BTreeSet::from(["CREATE", "DELETE", "UPSERT"]));
}

/// What the commands of an operator really do: the policy of that role allows each request, and none of the
/// statements that reading and changing needs can go.
#[tokio::test]
async fn the_policy_of_an_operator_allows_what_the_commands_do() {
    let server = ApiServer::start().await;
    server.set_node(ready("n1"));
    let desk = desk(
        "[[record]]\nname = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"\nstatic_addresses = [\"185.12.64.1\"]\n\
         types = [\"A\"]\nhealth_check = { type = \"tcp\", port = 443 }\n\
         [[record]]\nname = \"old.example.com\"\nzone_id = \"Z0123456789ABC\"\nstatic_addresses = [\"185.12.64.1\"]\n\
         types = [\"A\"]\n",
    )
    .with_kubernetes(&server);
    // A zone that nobody has configured, of the same name, and one with another.
    desk.sim.add_zone("example.com", "ZTWIN", false);
    for node in ["n1", "gone"] {
        let set = RecordSet::new("edge.example.com", "A").set_identifier(&format!("nodedns/v1/home/{node}"));
        desk.sim.put(ZONE, set.weight(10).ttl(60).value("185.12.64.1"));
        let set = RecordSet::new("a.example.org", "A").set_identifier(&format!("nodedns/v1/home/{node}"));
        desk.sim.put("ZORG", set.weight(10).ttl(60).value("185.12.64.1"));
    }
    desk.sim.put(ZONE, RecordSet::new("old.example.com", "A").ttl(60).value("185.12.64.1"));
    let (policy, _) = printed(&desk, &["--role", "operator"]).await;
    desk.sim.clear_requests();
    let twin: Vec<_> = desk.sim.pool("ZTWIN", "example.com", "NS").into_iter().flat_map(|set| set.values).collect();
    let resolver = NameServer::start(&[("example.com", Says::Ns(twin))]);
    let resolver = resolver.address.to_string();
    let check = desk.run(&["check", "--resolver", &resolver]).await;
    assert!(check.out.contains("ZTWIN"), "{check:?}");
    for args in [
        &["list", "--all-zones"][..],
        &["plan"],
        &["prune", "--yes", "--grace", "0s"],
        &["restore", "--yes", "UNDO"],
        &["adopt", "--yes", "old.example.com"],
    ] {
        let file = if args.contains(&"UNDO") { undo_file(&desk) } else { String::new() };
        let args: Vec<&str> = args.iter().map(|arg| if *arg == "UNDO" { file.as_str() } else { arg }).collect();
        let said = desk.run(&args).await;
        assert!(matches!(said.code, Some(0 | 2)), "{args:?}: {said:?}");
    }
    let accepted = desk.sim.requests().iter().filter(|request| request.change_id.is_some()).count();
    assert_eq!(accepted, 3, "prune, restore and adopt have changed something");
    let asked: BTreeSet<Ask> = desk.sim.requests().iter().filter_map(Ask::of).collect();
    for ask in &asked {
        assert!(allows(&policy, ask), "{ask:?}");
    }
    let statements = policy["Statement"].as_array().expect("a list").clone();
    for (index, statement) in statements.iter().enumerate() {
        let mut less = policy.clone();
        less["Statement"].as_array_mut().expect("a list").remove(index);
        // Health checks are created by the daemon, and collected by 'health-checks gc'.
        let is_needed = !asked.iter().all(|ask| allows(&less, ask));
        assert!(is_needed || statement["Sid"] == "ManageHealthChecks", "nobody needs {}", statement["Sid"]);
    }
}
