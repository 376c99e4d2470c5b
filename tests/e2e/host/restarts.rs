//! A daemon that ends or stands still is started again, and DNS does not notice.

use route53_sim::Operation;

use super::site::{EDGE, SOLE, Site, until};

on_each_debian!(a_killed_daemon_is_started_again, a_daemon_that_stands_still_is_started_again);

async fn a_killed_daemon_is_started_again(site: Site) {
    site.serve().await;
    let pid = site.pid().await;
    site.sim.clear_requests();
    site.machine.must(&format!("kill -KILL {pid}")).await;
    comes_back(&site, pid).await;
    assert_eq!(site.machine.property("nodedns.service", "Restart").await, "on-failure");
}

async fn a_daemon_that_stands_still_is_started_again(site: Site) {
    site.serve().await;
    assert_eq!(site.machine.property("nodedns.service", "WatchdogUSec").await, "1min");
    site.drop_in("nodedns.service", "[Service]\nWatchdogSec=5s\n").await;
    site.machine.must("systemctl restart nodedns.service").await;
    until("in force", async || !site.sim.requests().is_empty()).await;
    let pid = site.pid().await;
    // As long as it goes round it is left alone.
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    assert_eq!(site.pid().await, pid);
    site.sim.clear_requests();
    site.machine.must(&format!("kill -STOP {pid}")).await;
    comes_back(&site, pid).await;
    let systemd = site.machine.journal(&["UNIT=nodedns.service"]).await;
    let timeouts = systemd
        .iter()
        .filter(|entry| entry["MESSAGE"].as_str().is_some_and(|message| message.contains("Watchdog timeout")));
    assert_eq!(timeouts.count(), 1);
}

/// Waits until another daemon answers, which has read the pools and changed nothing.
async fn comes_back(site: &Site, before: u32) {
    until("another daemon", async || ![0, before].contains(&site.pid().await)).await;
    until("the pools are read again", async || site.sim.requests().len() >= 2).await;
    site.says("2 published, 0 withdrawn").await;
    assert_eq!(site.machine.property("nodedns.service", "NRestarts").await, "1");
    let reads = site.sim.requests().iter().all(|request| request.operation == Operation::ListResourceRecordSets);
    assert!(reads && site.is_published(EDGE) && site.is_published(SOLE), "{:?}", site.sim.requests());
}
