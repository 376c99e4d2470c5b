//! `systemctl reload`: what it brings in, and what it must not.

use route53_sim::Operation;

use super::site::{Site, until};
use crate::node::ZONE;

on_each_debian!(
    a_reload_brings_in_records_without_a_restart,
    a_reload_with_a_bad_configuration_fails_and_changes_nothing,
    a_reload_does_not_change_what_is_settled_at_the_start,
);

const CONFIGURATION: &str = "/etc/nodedns/nodedns.toml";
const NEW: &str = "new.example.com.";

/// The configuration with a record more.
fn with_another(site: &Site) -> String {
    format!("{}\n[[record]]\nname = \"new.example.com\"\nzone_id = \"{ZONE}\"\ntypes = [\"A\"]\n", site.configuration())
}

async fn a_reload_brings_in_records_without_a_restart(site: Site) {
    site.serve().await;
    let pid = site.pid().await;
    site.machine.write(CONFIGURATION, &with_another(&site)).await;
    site.machine.must("systemctl reload nodedns.service").await;
    until("published", async || site.is_published(NEW)).await;
    site.says("3 published, 0 withdrawn").await;
    assert_eq!(site.pid().await, pid);
}

async fn a_reload_with_a_bad_configuration_fails_and_changes_nothing(site: Site) {
    site.serve().await;
    let pid = site.pid().await;
    let bad = with_another(&site).replace("[[record]]\nname = \"edge", "[[record]]\nttl = -1\nname = \"edge");
    site.machine.write(CONFIGURATION, &bad).await;
    site.sim.clear_requests();
    let ran = site.machine.run("systemctl reload nodedns.service").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let log = site.machine.log("nodedns.service").await;
    assert!(log.contains("/etc/nodedns/nodedns.toml:") && log.contains("ttl"), "{log}");
    let text = site.machine.must("systemctl status nodedns.service").await;
    assert!(text.contains("ExecReload=/usr/bin/nodedns config check (code=exited, status=78"), "{text}");

    // The daemon goes on with what it has, and does not even know.
    assert_eq!(site.machine.property("nodedns.service", "ActiveState").await, "active");
    assert_eq!(site.status_line().await, "2 published, 0 withdrawn");
    let status = site.status().await;
    assert_eq!((&status["healthy"], status["records"].as_array().map(Vec::len)), (&true.into(), Some(2)), "{status:#}");
    assert_eq!(site.pid().await, pid);
    // It may still have asked after the changes of its start.
    let requests = site.sim.requests();
    let nothing_else = requests.iter().all(|request| request.operation == Operation::GetChange);
    assert!(!site.is_published(NEW) && nothing_else, "{requests:?}");

    // Whoever goes past systemd is told by the daemon itself.
    site.machine.must(&format!("kill -HUP {pid}")).await;
    site.says("reload refused, the old configuration stays in force: ").await;
    site.machine.write(CONFIGURATION, &with_another(&site)).await;
    site.machine.must("systemctl reload nodedns.service").await;
    until("published", async || site.is_published(NEW)).await;
    until("no word of it", async || site.status_line().await == "3 published, 0 withdrawn").await;
    assert_eq!(site.pid().await, pid);
}

async fn a_reload_does_not_change_what_is_settled_at_the_start(site: Site) {
    site.serve().await;
    let pid = site.pid().await;
    let other = with_another(&site).replace("cluster = \"home\"", "cluster = \"away\"");
    site.machine.write(CONFIGURATION, &other).await;
    // Nothing is wrong with the file, so that only the daemon can say so.
    site.machine.must("nodedns config check").await;
    site.machine.must("systemctl reload nodedns.service").await;
    let line = site.says("reload refused, the old configuration stays in force: ").await;
    assert!(line.contains("cluster: cannot be changed by a reload") && line.contains("restart the service"), "{line}");
    let ran = site.machine.run("nodedns status").await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stdout.contains("reload refused"), "{}", ran.stdout);
    let refusals = site.machine.journal(&["SYSLOG_IDENTIFIER=nodedns", "PRIORITY=3"]).await;
    assert!(refusals.iter().any(|entry| entry["MESSAGE"].as_str().is_some_and(|m| m.contains("reload refused"))));
    assert_eq!(site.pid().await, pid);
    assert!(!site.is_published(NEW));
    let away = site.sim.record_sets(ZONE).into_iter().filter_map(|set| set.set_identifier);
    assert_eq!(away.filter(|id| id.contains("away")).count(), 0);
}
