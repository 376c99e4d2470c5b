//! `nodedns iam-policy`: its policies are policies, allow what is done and nothing besides.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use nodedns::cli::iam_policy::document::{Names, Needs, Partition, PoolNeed, policy};
use nodedns::cli::iam_policy::{INLINE_MAX, MANAGED_MAX, size_note};
use nodedns::decide::record::RecordType;
use route53_sim::{Count, Fault, Operation, RecordSet, Sim};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::desk::Desk;
use crate::support::iam::{Ask, CHANGES, allows, mistakes};
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
