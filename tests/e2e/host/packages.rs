//! The .deb in the hands of dpkg: installed, upgraded, removed, installed again, purged.

use std::collections::BTreeSet;

use route53_sim::Operation;

use super::machine::{Machine, Suite};
use super::site::{EDGE, SOLE, Site, until};

on_each_debian!(
    an_install_makes_the_user_and_starts_nothing,
    started_before_it_is_configured_it_says_so_and_stays_down,
    an_upgrade_restarts_what_runs_and_writes_nothing,
    an_example_that_was_edited_is_kept_and_one_that_was_not_is_renewed,
    removing_keeps_the_configuration_and_purging_leaves_nothing,
);

const CONFIGURATION: &str = "/etc/nodedns/nodedns.toml";
const UNITS: [&str; 5] = [
    "nodedns.service",
    "nodedns-credentials.path",
    "nodedns-credentials.service",
    "nodedns-prune.timer",
    "nodedns-prune.service",
];

async fn an_install_makes_the_user_and_starts_nothing(site: Site) {
    let machine = &site.machine;
    assert!(!machine.run("getent passwd nodedns").await.succeeded(), "the user is there before");
    site.install().await;

    let user = machine.must("getent passwd nodedns").await;
    assert!(user.ends_with(":/var/lib/nodedns:/usr/sbin/nologin\n"), "{user}");
    assert_eq!(machine.must("id --name --groups nodedns").await, "nodedns\n");

    let shown = "stat --format='%a %U:%G %F %n'";
    for (path, is) in [
        ("/usr/bin/nodedns", "755 root:root regular file"),
        ("/etc/nodedns", "755 root:root directory"),
        (CONFIGURATION, "644 root:root regular file"),
        ("/etc/nodedns/nodedns.toml.d", "755 root:root directory"),
        ("/usr/lib/systemd/system/nodedns.service", "644 root:root regular file"),
        ("/usr/share/man/man1/nodedns-status.1.gz", "644 root:root regular file"),
        ("/usr/share/man/man5/nodedns.toml.5.gz", "644 root:root regular file"),
        ("/usr/share/man/man8/nodedns.8.gz", "644 root:root regular file"),
        ("/usr/share/bash-completion/completions/nodedns", "644 root:root regular file"),
        ("/usr/share/zsh/vendor-completions/_nodedns", "644 root:root regular file"),
        ("/usr/share/fish/vendor_completions.d/nodedns.fish", "644 root:root regular file"),
        ("/usr/share/doc/nodedns/copyright", "644 root:root regular file"),
        ("/usr/share/doc/nodedns/THIRD-PARTY.gz", "644 root:root regular file"),
        ("/etc/credstore", "700 root:root directory"),
        ("/etc/credstore.encrypted", "700 root:root directory"),
        ("/run/credstore", "700 root:root directory"),
        ("/run/credstore/nodedns.k3s.kubeconfig", "777 root:root symbolic link"),
    ] {
        assert_eq!(machine.must(&format!("{shown} {path}")).await.trim(), format!("{is} {path}"));
    }
    assert!(!machine.run("test -e /var/lib/nodedns").await.succeeded(), "there is state before the first start");

    for unit in UNITS {
        assert_eq!(machine.property(unit, "LoadState").await, "loaded", "{unit}");
        assert_eq!(machine.property(unit, "ActiveState").await, "inactive", "{unit}");
        let state = machine.property(unit, "UnitFileState").await;
        let installable = ["nodedns.service", "nodedns-prune.timer"].contains(&unit);
        assert_eq!(state, if installable { "disabled" } else { "static" }, "{unit}");
    }
    let verified = machine.run(&format!("systemd-analyze verify --man=no {}", UNITS.join(" "))).await;
    // The one key that systemd 252 does not know yet.
    let is_too_new = |line: &str| site.suite == Suite::Bookworm && line.contains("'LogFilterPatterns'");
    let says = verified.stderr.lines().any(|line| line.contains("nodedns") && !is_too_new(line));
    assert!(!says && (verified.succeeded() || site.suite == Suite::Bookworm), "{verified:#?}");
    // What a first boot does.
    machine.must("systemctl preset-all --preset-mode=enable-only").await;
    for unit in ["nodedns.service", "nodedns-prune.timer"] {
        assert_eq!(machine.property(unit, "UnitFileState").await, "disabled", "{unit}");
    }
    assert_eq!(machine.must("dpkg --audit").await, "");
    assert_eq!(machine.must("dpkg --verify nodedns").await, "");
}

async fn started_before_it_is_configured_it_says_so_and_stays_down(site: Site) {
    site.install().await;
    let machine = &site.machine;
    assert!(!machine.run("systemctl start nodedns.service").await.succeeded(), "it starts");
    for (property, is) in
        [("ActiveState", "failed"), ("Result", "exit-code"), ("ExecMainStatus", "78"), ("NRestarts", "0")]
    {
        assert_eq!(machine.property("nodedns.service", property).await, is, "{property}");
    }
    let log = machine.log("nodedns.service").await;
    assert!(log.contains(CONFIGURATION) && log.contains("cluster"), "{log}");
    assert_eq!(site.sim.requests().len(), 0);
}

async fn an_upgrade_restarts_what_runs_and_writes_nothing(site: Site) {
    let machine = &site.machine;
    let changes = "sed -i 's/^Description=.*/Description=As it was before/' usr/lib/systemd/system/nodedns.service";
    dpkg(machine, &repacked(&site, "0.0.1-1", changes).await, "").await;
    site.configure().await;
    machine.must("systemctl enable --now nodedns.service nodedns-prune.timer").await;
    until("published", async || site.is_published(EDGE) && site.is_published(SOLE)).await;
    assert_eq!(machine.property("nodedns.service", "Description").await, "As it was before");
    let entered = async |unit| machine.property(unit, "ActiveEnterTimestampMonotonic").await;
    let (pid, path, timer) =
        (site.pid().await, entered("nodedns-credentials.path").await, entered("nodedns-prune.timer").await);
    let configuration = machine.read(CONFIGURATION).await;

    site.sim.clear_requests();
    site.install().await;
    let running = ["nodedns.service", "nodedns-credentials.path", "nodedns-prune.timer"];
    for unit in running {
        assert_eq!(machine.property(unit, "ActiveState").await, "active", "{unit}");
        assert_eq!(machine.property(unit, "NeedDaemonReload").await, "no", "{unit}");
    }
    assert_ne!(site.pid().await, pid, "the old one still runs");
    assert_ne!(entered("nodedns-credentials.path").await, path, "the old paths are still watched");
    assert_ne!(entered("nodedns-prune.timer").await, timer, "the old times still hold");
    assert_ne!(machine.property("nodedns.service", "Description").await, "As it was before");
    until("healthy again", async || machine.run("nodedns status").await.succeeded()).await;
    assert_untouched(&site);
    assert_eq!(machine.read(CONFIGURATION).await, configuration);

    // What was stopped and switched off stays so.
    machine.must("systemctl stop nodedns.service nodedns-credentials.path").await;
    machine.must("systemctl disable --now nodedns-prune.timer").await;
    dpkg(machine, &repacked(&site, "99-1", "true").await, "").await;
    for unit in running {
        assert_eq!(machine.property(unit, "ActiveState").await, "inactive", "{unit}");
    }
    assert_eq!(machine.property("nodedns.service", "UnitFileState").await, "enabled");
    assert_eq!(machine.property("nodedns-prune.timer", "UnitFileState").await, "disabled");
}

async fn an_example_that_was_edited_is_kept_and_one_that_was_not_is_renewed(site: Site) {
    let machine = &site.machine;
    let old = repacked(&site, "0.0.1-1", "echo '# as it was' >>etc/nodedns/nodedns.toml").await;
    dpkg(machine, &old, "").await;
    assert!(machine.read(CONFIGURATION).await.ends_with("# as it was\n"));
    // Settings of one's own in a file of one's own: no question is asked.
    machine.write("/etc/nodedns/nodedns.toml.d/site.toml", &site.configuration()).await;
    site.install().await;
    assert!(!machine.read(CONFIGURATION).await.contains("# as it was"));
    assert_eq!(machine.read("/etc/nodedns/nodedns.toml.d/site.toml").await, site.configuration());
    machine.must("nodedns config check").await;

    machine.must(&format!("echo '# mine' >>{CONFIGURATION}")).await;
    // The example is the same in both: again no question.
    dpkg(machine, &repacked(&site, "98-1", "true").await, "").await;
    assert!(machine.read(CONFIGURATION).await.ends_with("# mine\n"));
    // It is another one: dpkg asks, and keeps the old one where it was told to.
    let new = repacked(&site, "99-1", "echo '# as it will be' >>etc/nodedns/nodedns.toml").await;
    dpkg(machine, &new, "--force-confold").await;
    assert!(machine.read(CONFIGURATION).await.ends_with("# mine\n"));
    assert!(machine.read(&format!("{CONFIGURATION}.dpkg-dist")).await.ends_with("# as it will be\n"));
    assert_eq!(machine.must("dpkg --audit").await, "");
}

async fn removing_keeps_the_configuration_and_purging_leaves_nothing(site: Site) {
    let machine = &site.machine;
    let before = files(machine).await;
    site.serve().await;
    machine.must("systemctl enable --now nodedns-prune.timer").await;
    machine.must("touch /var/lib/nodedns/a-file").await;
    let configuration = machine.read(CONFIGURATION).await;
    site.sim.clear_requests();

    machine.must("dpkg --remove nodedns").await;
    for unit in UNITS {
        assert_ne!(machine.property(unit, "ActiveState").await, "active", "{unit}");
        assert_eq!(machine.property(unit, "LoadState").await, "not-found", "{unit}");
    }
    assert!(!machine.run("pidof nodedns").await.succeeded(), "it still runs");
    assert_untouched(&site);
    assert_eq!(machine.read(CONFIGURATION).await, configuration);
    machine.must("test -e /var/lib/nodedns/a-file").await;
    assert_eq!(machine.must("ls /run/credstore").await, "");

    // Whether it is enabled is configuration, too.
    site.install().await;
    assert_eq!(machine.property("nodedns.service", "UnitFileState").await, "enabled");
    assert_eq!(machine.property("nodedns.service", "ActiveState").await, "inactive");
    machine.must("systemctl start nodedns.service").await;

    machine.must("dpkg --remove nodedns").await;
    machine.must("dpkg --purge nodedns").await;
    assert_eq!(machine.must("ls -A /etc/nodedns").await, "environment\n", "what is not the package's");
    machine.must("rm -r /etc/nodedns").await;
    assert_left_nothing(machine, &before).await;

    // All in one, and nobody has put anything there.
    site.install().await;
    assert_eq!(machine.property("nodedns.service", "UnitFileState").await, "disabled");
    machine.must("dpkg --purge nodedns").await;
    assert_left_nothing(machine, &before).await;
    assert_eq!(machine.must("dpkg --audit").await, "");
}

/// That nothing has been written since the requests were last cleared, and the record sets are there.
fn assert_untouched(site: &Site) {
    let requests = site.sim.requests();
    let writes = requests.iter().any(|request| request.operation == Operation::ChangeResourceRecordSets);
    assert!(!writes && site.is_published(EDGE) && site.is_published(SOLE), "{requests:?}");
}

async fn assert_left_nothing(machine: &Machine, before: &BTreeSet<String>) {
    let after = files(machine).await;
    // Where there are none the package makes them, and they may be systemd's or another's by now.
    let stores = ["/etc/credstore", "/etc/credstore.encrypted"];
    let left: Vec<_> = after.difference(before).filter(|path| !stores.contains(&path.as_str())).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(machine.must("ls -A /run/credstore").await, "");
    assert!(!machine.run("dpkg --status nodedns").await.succeeded(), "dpkg still knows it");
}

/// All files of the machine's disk but those that say what happened, dpkg's own notes, and the former
/// versions of the lists of users.
async fn files(machine: &Machine) -> BTreeSet<String> {
    let left_out = ["/var/log", "/var/cache", "/var/lib/dpkg", "/tmp", "/var/tmp"];
    let left_out = left_out.map(|path| format!("-path {path} -prune")).join(" -o ");
    let found = machine.must(&format!("find / -xdev \\( {left_out} \\) -o -print")).await;
    let users = ["/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-"];
    found.lines().filter(|path| !users.contains(path)).map(str::to_owned).collect()
}

/// The package under another version and changed by a command that is run where it is unpacked; where it is.
async fn repacked(site: &Site, version: &str, change: &str) -> String {
    let name = site.machine.lend(&site.package);
    let (tree, package) = (format!("/tmp/{version}"), format!("/tmp/{version}.deb"));
    let commands = [
        format!("dpkg-deb --raw-extract /lab/{name} {tree}"),
        format!("cd {tree}"),
        format!("sed -i 's/^Version: .*/Version: {version}/' DEBIAN/control"),
        change.to_owned(),
        format!("dpkg-deb --root-owner-group -Zgzip -z1 --build {tree} {package}"),
    ];
    site.machine.must(&commands.join(" && ")).await;
    package
}

/// Installs a package of the machine as one without anybody at the keyboard would.
async fn dpkg(machine: &Machine, package: &str, options: &str) {
    machine.must(&format!("DEBIAN_FRONTEND=noninteractive dpkg {options} --install {package} </dev/null")).await;
}
