//! A service that is restarted leaves the record sets where they are; a system that stops takes them along.

use std::time::Duration;

use route53_sim::{Count, Fault, Operation};

use super::site::{EDGE, SOLE, Site, until};

on_each_debian!(a_restart_leaves_the_record_sets, a_shutdown_withdraws_them_before_the_network_stops);

async fn a_restart_leaves_the_record_sets(site: Site) {
    site.serve().await;
    site.sim.clear_requests();
    site.machine.must("systemctl restart nodedns.service").await;
    // It is ready before it has read them.
    until("the pools are read", async || site.sim.requests().len() >= 2).await;
    for verb in ["stop", "start"] {
        site.machine.must(&format!("systemctl {verb} nodedns.service")).await;
    }
    until("the pools are read again", async || site.sim.requests().len() >= 4).await;
    let reads = site.sim.requests().iter().all(|request| request.operation == Operation::ListResourceRecordSets);
    assert!(reads && site.is_published(EDGE) && site.is_published(SOLE), "{:?}", site.sim.requests());
    let log = site.machine.log("nodedns.service").await;
    assert_eq!(log.matches("while the system is running: record sets stay as they are").count(), 2, "{log}");
}

async fn a_shutdown_withdraws_them_before_the_network_stops(mut site: Site) {
    site.serve().await;
    site.drop_in("nodedns.service", "[Service]\nTimeoutStopSec=2s\n").await;
    // Longer than that, so that without an extension it would be killed.
    site.sim.inject(Operation::ChangeResourceRecordSets, Fault::Delay(Duration::from_secs(4)), Count::Next(1));
    site.machine.must("systemctl reboot").await;
    site.machine.is_off().await;
    assert_withdrawn("reboot", &site);

    site.machine.boot_again().await;
    until("published after the reboot", async || site.is_published(EDGE)).await;
    site.sim.inject(Operation::ChangeResourceRecordSets, Fault::Throttling, Count::Next(3));
    site.machine.must("systemctl poweroff").await;
    site.machine.is_off().await;
    assert_withdrawn("poweroff", &site);
}

/// What the machine leaves behind when it goes: nothing but the record set that `keep_min` keeps,
/// and that before the network and what the node serves have stopped.
fn assert_withdrawn(what: &str, site: &Site) {
    assert!(!site.is_published(EDGE), "{what}: still there");
    assert!(site.is_published(SOLE), "{what}: the pool is empty");
    for file in ["log-when-the-network-stopped", "log-when-k3s-stopped"] {
        let log = site.machine.lab(file);
        let outcome =
            "stopped with the system; out of DNS: edge.example.com A; not withdrawn: sole.example.com A (leaving would";
        assert!(log.contains(outcome), "{what}: {file}: {log:?}");
    }
}
