//! What monitoring sees while the daemon works, and while it cannot.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use route53_sim::{Count, Fault, Target};
use rustix::process::{Pid, Signal, kill_process};

use crate::node::{Expected, Host, ZONE};
use crate::support::netns::in_lab;
use crate::support::scrape::{Answer, ask, complaints, families, samples};
use crate::support::skip;

const V4: &str = "185.12.64.1";
const IN: Expected<'_> = Expected { v4: Some(V4), v6: None };
const OUT: Expected<'_> = Expected { v4: None, v6: None };

/// In the host's own namespace, where nobody else has it.
const LISTEN: &str = "127.0.0.1:9797";

async fn scrape() -> String {
    let address: SocketAddr = LISTEN.parse().expect("an address");
    let Answer { status, body, .. } = ask(address, "GET", "/metrics").await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn health() -> (u16, String) {
    let Answer { status, body, .. } = ask(LISTEN.parse().expect("an address"), "GET", "/healthz").await;
    (status, body)
}

async fn values() -> BTreeMap<String, f64> {
    samples(&scrape().await)
}

/// A series of the record set at edge.example.com.
fn edge(metric: &str, more: &str) -> String {
    // Labels are sorted: those that stand before `name` come first.
    let (before, after) = more.split_once('|').unwrap_or((more, ""));
    format!("{metric}{{{before}name=\"edge.example.com\",{after}type=\"A\",zone_id=\"{ZONE}\"}}")
}

fn requests(operation: &str, result: &str) -> String {
    format!("nodedns_route53_requests_total{{operation=\"{operation}\",result=\"{result}\"}}")
}

#[test]
fn the_numbers_move_with_what_happens() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        let textfile = host.directory.path().join("nodedns.prom");
        host.replace_in_configuration(
            "[control]",
            &format!("[metrics]\nlisten = \"{LISTEN}\"\ntextfile = \"{}\"\n\n[control]", textfile.display()),
        );
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        // Until Route 53 answers, nobody knows what it has.
        host.sim.inject(Target::any(), Fault::Status(503), Count::Always);
        host.start();
        host.until("it is up", async |host| host.status().await.1.is_some_and(|code| code < 3)).await;
        host.until("a request has failed", async |_| {
            values().await.get(&requests("ListResourceRecordSets", "unavailable")).is_some_and(|count| *count >= 1.0)
        })
        .await;
        let (code, why) = health().await;
        assert_eq!((code, why.lines().count()), (503, 4), "{why}");
        let seen = values().await;
        assert_eq!(seen.get("nodedns_healthy"), Some(&0.0));
        assert!(!seen.keys().any(|series| series.starts_with("nodedns_record_actual_addresses")), "{seen:#?}");
        assert!(!seen.contains_key("nodedns_route53_last_success_timestamp_seconds"), "{seen:#?}");
        host.sim.clear_faults();

        // Published.
        host.comes_to("published", IN).await;
        host.until("it is healthy", async |_| health().await == (200, "ok\n".to_owned())).await;
        let published = values().await;
        let address = |state: &str, reason: &str| {
            format!("nodedns_addresses{{class=\"global\",family=\"ipv4\",reason=\"{reason}\",state=\"{state}\"}}")
        };
        for (series, value) in [
            ("nodedns_healthy".to_owned(), 1.0),
            ("nodedns_node_info{cluster=\"home\",node=\"n1\"}".to_owned(), 1.0),
            ("nodedns_node_ready".to_owned(), 1.0),
            ("nodedns_node_unschedulable".to_owned(), 0.0),
            ("nodedns_kube_connected".to_owned(), 1.0),
            (address("published", "first"), 1.0),
            (edge("nodedns_record_intent", "intent=\"publish\",|reason=\"eligible\","), 1.0),
            (edge("nodedns_record_actual_addresses", ""), 1.0),
            (edge("nodedns_record_others", ""), 2.0),
            (edge("nodedns_record_in_sync", ""), 1.0),
            ("nodedns_changes_total{action=\"upsert\"}".to_owned(), 2.0),
            ("nodedns_changes_total{action=\"delete\"}".to_owned(), 0.0),
            (requests("ChangeResourceRecordSets", "ok"), 2.0),
            (requests("ListResourceRecordSets", "ok"), 2.0),
        ] {
            assert_eq!(published.get(&series), Some(&value), "{series}\n{published:#?}");
        }
        assert!(published.contains_key("nodedns_route53_last_success_timestamp_seconds"));
        match complaints(&scrape().await) {
            Some(said) => assert_eq!(said, ""),
            None => skip("there is no promtool here"),
        }

        host.until("every name server has them", async |_| {
            values().await["nodedns_change_insync_seconds_count"] == 2.0
        })
        .await;

        // An address that comes is told by netlink.
        let events = "nodedns_netlink_events_total{kind=\"address\"}";
        host.lab.ip("addr add 185.12.64.9/24 dev eth0");
        host.until("netlink is counted", async |_| values().await[events] > published[events]).await;
        host.until("there is another one", async |_| values().await.contains_key(&address("eligible", "fit"))).await;
        host.lab.ip("addr del 185.12.64.9/24 dev eth0");

        // The file says the same.
        host.until("the file is written", async |_| textfile.exists()).await;
        let text = fs::read_to_string(&textfile).expect("the file");
        assert_eq!(fs::metadata(&textfile).expect("a file").permissions().mode() & 0o777, 0o644);
        assert_eq!(families(&text), families(&scrape().await));

        // Cordoned.
        host.set_node("True", true);
        host.comes_to("cordoned", OUT).await;
        let cordoned = values().await;
        for (series, value) in [
            ("nodedns_node_unschedulable".to_owned(), 1.0),
            (edge("nodedns_record_intent", "intent=\"withdraw\",|reason=\"cordoned\","), 1.0),
            (edge("nodedns_record_actual_addresses", ""), 0.0),
            (edge("nodedns_record_desired_addresses", ""), 0.0),
            ("nodedns_changes_total{action=\"delete\"}".to_owned(), 2.0),
            (address("eligible", "first"), 1.0),
        ] {
            assert_eq!(cordoned.get(&series), Some(&value), "{series}\n{cordoned:#?}");
        }
        assert!(!cordoned.contains_key(&edge("nodedns_record_intent", "intent=\"publish\",|reason=\"eligible\",")));
        assert_eq!(health().await.0, 200, "a node that is out of DNS as it should be is no trouble");

        // Route 53 refuses.
        host.sim.inject(Target::any(), Fault::Throttling, Count::Always);
        host.set_node("True", false);
        let throttled = requests("ChangeResourceRecordSets", "throttled");
        host.until("it is throttled", async |_| values().await[&throttled] >= 1.0).await;
        let failing = edge("nodedns_record_last_error", "kind=\"throttled\",");
        host.until("the error shows", async |_| values().await.contains_key(&failing)).await;
        let (code, why) = health().await;
        assert!(code == 503 && why.contains("edge.example.com A: Rate exceeded\n"), "{code}: {why}");
        host.sim.clear_faults();
        host.comes_to("published again", IN).await;
        host.until("it is healthy again", async |_| health().await.0 == 200).await;
        let seen = values().await;
        assert!(!seen.contains_key(&failing), "{seen:#?}");
        assert_eq!(seen[&requests("ChangeResourceRecordSets", "ok")], 6.0);

        // What is settled at the start stays so.
        host.replace_in_configuration("listen = \"127.0.0.1:9797\"", "listen = \"127.0.0.1:9798\"");
        host.signal(Signal::HUP);
        host.until("the reload is refused", async |_| values().await["nodedns_reload_refused"] == 1.0).await;
        let (code, why) = health().await;
        let said = "reload refused, the old configuration stays in force: metrics: cannot be changed by a reload";
        assert!(code == 503 && why.contains(said) && !why.contains("  "), "{code}: {why}");

        assert!(host.stop(Signal::TERM).await.success());
        assert!(!textfile.exists(), "it goes with the daemon");
    });
}

#[test]
fn neither_a_port_that_is_taken_nor_a_lost_directory_keeps_it_from_dns() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        let directory = host.directory.path().join("late");
        host.replace_in_configuration(
            "[control]",
            &format!(
                "[metrics]\nlisten = \"{LISTEN}\"\ntextfile = \"{}\"\n\n[control]",
                directory.join("nodedns.prom").display()
            ),
        );
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        let taken = std::net::TcpListener::bind(LISTEN).expect("a free port");
        host.start();
        host.comes_to("published", IN).await;
        let said = "which metrics.listen names; stop the program that listens there";
        assert_eq!(host.log().matches(said).count(), 1, "{}", host.log());
        drop(taken);
        let comes = "which metrics.listen names, is listened on now";
        host.until("it listens", async |host| host.log().contains(comes)).await;
        assert_eq!(health().await, (200, "ok\n".to_owned()));
        assert_eq!(host.log().matches(said).count(), 1, "once: {}", host.log());
        assert_eq!(host.log().matches("cannot be written").count(), 1, "once: {}", host.log());
        fs::create_dir(&directory).expect("a directory");
        host.set_node("True", true);
        host.comes_to("cordoned", OUT).await;
        host.until("the file is there", async |_| directory.join("nodedns.prom").exists()).await;
        host.until("that is told", async |host| host.log().contains("can be written again")).await;
    });
}

/// Somebody who only looks leaves the running daemon its file.
#[test]
fn a_dry_run_beside_the_daemon_leaves_its_file_alone() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        let textfile = host.directory.path().join("nodedns.prom");
        host.replace_in_configuration(
            "[control]",
            &format!("[metrics]\ntextfile = \"{}\"\n\n[control]", textfile.display()),
        );
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        host.start();
        host.comes_to("published", IN).await;
        let is_the_daemons = || fs::read_to_string(&textfile).is_ok_and(|text| text.contains("\nnodedns_dry_run 0\n"));
        host.until("the daemon's file", async |_| is_the_daemons()).await;

        // It shows what it would do in its own file, so that it is known to be through with its start.
        let shown = host.directory.path().join("shown");
        let mut dry_run = tokio::process::Command::from(host.program());
        dry_run.args(["run", "--dry-run", "--config"]).arg(host.directory.path().join("nodedns.toml"));
        dry_run.stdout(fs::File::create(&shown).expect("a file")).kill_on_drop(true);
        let mut dry_run = dry_run.spawn().expect("it starts");
        host.until("it shows something", async |_| fs::read_to_string(&shown).is_ok_and(|text| text.contains(V4)))
            .await;
        assert!(is_the_daemons());
        let pid = dry_run.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("it runs");
        kill_process(pid, Signal::TERM).expect("it can be ended");
        assert!(dry_run.wait().await.expect("it ends").success());
        assert!(is_the_daemons(), "it has not taken the file along");
    });
}
