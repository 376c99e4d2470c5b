//! How the service starts, and what systemd says of it.

use route53_sim::{Count, Fault, Target};

use super::site::{ADDRESS, EDGE, SOLE, Site, until};

on_each_debian!(
    it_has_started_when_it_answers,
    it_fails_where_it_cannot_work,
    it_starts_after_what_it_needs,
    systemctl_status_says_how_it_is,
);

async fn it_has_started_when_it_answers(site: Site) {
    site.install().await;
    site.configure().await;
    // A start that was over when the program is there would be over a second too early.
    let late = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'sleep 1; exec /usr/bin/nodedns run'\n";
    site.drop_in("nodedns.service", late).await;
    let status =
        site.machine.must("systemctl start nodedns.service && nodedns status --output json || [ $? = 2 ]").await;
    let status: serde_json::Value = serde_json::from_str(&status).expect("it answers");
    assert_eq!(status["addresses"][0]["address"], ADDRESS, "{status:#}");
    assert_eq!(site.machine.property("nodedns.service", "ActiveState").await, "active");
}

async fn it_fails_where_it_cannot_work(site: Site) {
    let state = async || {
        let property = async |name| site.machine.property("nodedns.service", name).await;
        [property("ActiveState").await, property("Result").await, property("ExecMainStatus").await]
    };
    let start = async || {
        let ran = site.machine.run("systemctl start nodedns.service").await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
    };
    // Installed, not yet configured. A service that systemd is about to start again would be activating.
    site.install().await;
    assert_eq!(site.machine.property("nodedns.service", "UnitFileState").await, "disabled");
    assert_eq!(site.machine.property("nodedns.service", "ActiveState").await, "inactive");
    start().await;
    assert_eq!(state().await, ["failed", "exit-code", "78"]);
    let log = site.machine.log("nodedns.service").await;
    assert!(log.contains("cluster") && log.contains("/etc/nodedns/nodedns.toml"), "{log}");

    // Nowhere to answer.
    site.configure().await;
    let nowhere = format!("{}[control]\nsocket = \"/run/nodedns/missing/socket\"\n", site.configuration());
    site.machine.write("/etc/nodedns/nodedns.toml", &nowhere).await;
    start().await;
    assert_eq!(state().await, ["failed", "exit-code", "78"]);
    let log = site.machine.log("nodedns.service").await;
    assert!(log.contains("there is no directory /run/nodedns/missing"), "{log}");

    // A wrong command line.
    site.configure().await;
    site.drop_in("nodedns.service", "[Service]\nExecStart=\nExecStart=/usr/bin/nodedns run --nonsense\n").await;
    start().await;
    assert_eq!(state().await, ["failed", "exit-code", "64"]);

    // No addresses to be had: it never gets ready, and systemd is out of patience.
    let deaf = "[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n\
                TimeoutStartSec=10s\nRestart=no\n";
    site.drop_in("nodedns.service", deaf).await;
    start().await;
    assert_eq!(state().await[..2], ["failed", "timeout"]);
    let log = site.machine.log("nodedns.service").await;
    assert!(log.contains("the host's addresses cannot be watched: netlink socket: cannot "), "{log}");
    assert_eq!(site.sim.requests().iter().filter(|request| !request.changes.is_empty()).count(), 0);
    assert!(!site.is_published(EDGE));
}

async fn it_starts_after_what_it_needs(mut site: Site) {
    site.serve().await;
    // The one after the other, so that waiting for the first is not waiting for both.
    for (slow, seconds) in [("lab-network.service", 1), ("k3s.service", 3)] {
        site.drop_in(slow, &format!("[Service]\nExecStartPre=/bin/sleep {seconds}\n")).await;
    }
    site.machine.must("systemctl reboot").await;
    site.machine.is_off().await;
    site.machine.boot_again().await;
    until("published after the reboot", async || site.is_published(EDGE)).await;

    let when = async |unit: &str, property: &str| -> u64 {
        let text = site.machine.property(unit, &format!("{property}TimestampMonotonic")).await;
        text.parse().unwrap_or_else(|_| panic!("{unit} {property}: {text:?}"))
    };
    let started = when("nodedns.service", "ExecMainStart").await;
    for before in ["lab-network.service", "network.target", "dbus.socket", "k3s.service"] {
        let there = when(before, "ActiveEnter").await;
        assert!(there > 0 && there <= started, "{before}: {there}, nodedns: {started}");
    }
    let after = site.machine.property("nodedns.service", "After").await;
    let after: Vec<_> = after.split_whitespace().collect();
    for unit in ["k3s-agent", "rke2-server", "rke2-agent", "kubelet"] {
        assert!(after.contains(&format!("{unit}.service").as_str()), "{unit}: {after:?}");
    }
    // Nobody waits until the network is configured, and nothing waits any more.
    assert_eq!(site.machine.property("network-online.target", "ActiveState").await, "inactive");
    assert!(site.machine.must("systemctl list-jobs").await.contains("No jobs"));
}

async fn systemctl_status_says_how_it_is(site: Site) {
    site.serve().await;
    site.says("2 published, 0 withdrawn").await;
    let text = site.machine.must("systemctl status nodedns.service").await;
    assert!(text.contains("Status: \"2 published, 0 withdrawn\""), "{text}");

    // Its address goes: the one pool has somebody else, the other one has not.
    site.lab.ip(&format!("addr del {ADDRESS}/24 dev eth0"));
    until("withdrawn", async || !site.is_published(EDGE)).await;
    let line = site.says("0 published, 1 withdrawn").await;
    assert!(line.contains("1 need attention; sole.example.com A: leaving would"), "{line}");
    site.lab.ip(&format!("addr add {ADDRESS}/24 dev eth0"));
    site.says("2 published, 0 withdrawn").await;

    site.sim.inject(Target::any(), Fault::Status(503), Count::Always);
    site.lab.ip(&format!("addr del {ADDRESS}/24 dev eth0"));
    site.lab.ip("addr add 185.12.64.7/24 dev eth0");
    let line = site.says("Service is unavailable").await;
    assert!(line.starts_with("0 published, 0 withdrawn, 2 need attention; edge.example.com A: "), "{line}");
    site.sim.clear_faults();
    site.says("2 published, 0 withdrawn").await;

    // The one record is held, which is a difference once that is the last word.
    assert_eq!(site.machine.run("nodedns drain --wait --reason kernel").await.code, Some(2));
    site.says(", drained").await;
    site.machine.must("nodedns resume").await;
    until("no longer drained", async || site.status_line().await == "2 published, 0 withdrawn").await;
    assert!(site.is_published(EDGE) && site.is_published(SOLE));
}
