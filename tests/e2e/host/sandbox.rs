//! The sandbox: what it lets the daemon do, and what it does not.

use super::site::{ADDRESS, EDGE, Site, until};
use crate::node::{OWN, ZONE};

on_each_debian!(the_sandbox_is_tight, the_daemon_can_do_its_work_in_it);

async fn the_sandbox_is_tight(site: Site) {
    site.serve().await;
    for unit in ["nodedns.service", "nodedns-prune.service"] {
        // In tenths.
        let ran = site.machine.run(&format!("systemd-analyze security --no-pager --threshold=15 {unit}")).await;
        assert!(ran.succeeded(), "{}", ran.stdout);
        let level = ran.stdout.lines().last().unwrap_or_default();
        assert!(level.contains("Overall exposure level"), "{}", ran.stdout);
        println!("{:?}: {level}", site.suite);
    }

    // Not on paper alone: of the process itself.
    let pid = site.pid().await;
    let status = site.machine.read(&format!("/proc/{pid}/status")).await;
    let fields: Vec<Vec<&str>> = status.lines().map(|line| line.split_whitespace().collect()).collect();
    let field = |name: &str| fields.iter().find(|words| words[0] == name).map_or("", |words| words[1]);
    for (name, value) in [
        ("NoNewPrivs:", "1"),
        ("Seccomp:", "2"),
        ("CapEff:", "0000000000000000"),
        ("CapPrm:", "0000000000000000"),
        ("CapBnd:", "0000000000000000"),
        ("CapAmb:", "0000000000000000"),
    ] {
        assert_eq!(field(name), value, "{name} {status}");
    }
    let uid = site.machine.must("id --user nodedns").await;
    assert_eq!(field("Uid:"), uid.trim());
    // Even root could not write there, or see that, from where the daemon is.
    let inside =
        async |command: &str| site.machine.run(&format!("nsenter --target {pid} --mount -- sh -c '{command}'")).await;
    for path in ["/usr/probe", "/etc/nodedns/probe", "/root/probe", "/var/lib/probe"] {
        let ran = inside(&format!("touch {path}")).await;
        assert!(
            ran.stderr.contains("Read-only file system") || ran.stderr.contains("Permission denied"),
            "{path}: {ran:?}"
        );
    }
    assert!(inside("touch /var/lib/nodedns/probe && rm /var/lib/nodedns/probe").await.succeeded());
    site.machine.write("/home/somebody/secret", "").await;
    assert!(!inside("cat /home/somebody/secret").await.succeeded());
    assert!(!inside("ls /dev/kmsg").await.succeeded());
}

async fn the_daemon_can_do_its_work_in_it(site: Site) {
    site.serve().await;
    // It hears the kernel.
    let value = || site.sim.record_set(ZONE, EDGE, "A", Some(OWN)).map(|set| set.values);
    assert_eq!(value(), Some(vec![ADDRESS.to_owned()]));
    site.lab.ip(&format!("addr del {ADDRESS}/24 dev eth0"));
    site.lab.ip("addr add 185.12.64.7/24 dev eth0");
    until("it follows", async || value() == Some(vec!["185.12.64.7".to_owned()])).await;
    // It keeps what it has to keep.
    assert_eq!(site.machine.run("nodedns drain").await.code, Some(2));
    assert_eq!(
        site.machine.must("stat --format=%U:%G:%a /var/lib/nodedns/drain.json").await.trim(),
        "nodedns:nodedns:600"
    );
    site.machine.must("nodedns resume").await;
    // The journal's own socket has it, not the pipe of the standard error.
    let entries = site.machine.journal(&["_SYSTEMD_UNIT=nodedns.service", "_TRANSPORT=journal"]).await;
    assert!(!entries.is_empty());
    let entries = site.machine.journal(&["_SYSTEMD_UNIT=nodedns.service", "_TRANSPORT=stdout"]).await;
    assert!(entries.is_empty(), "{entries:#?}");
    // The bus answers it.
    site.machine.must("systemctl stop nodedns.service").await;
    let log = site.machine.log("nodedns.service").await;
    assert!(log.contains("stopping, while the system is running: record sets stay as they are"), "{log}");
    // No call that it needs is forbidden: that would show as an error of the program, and in the kernel's log.
    assert!(!log.contains("not permitted") && !log.contains("ermission denied"), "{log}");
}
