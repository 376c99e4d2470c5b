//! The units that the packages install: facts that whoever runs them relies on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodedns::cli::exit::Exit;
use nodedns::publish::route53::files;
use nodedns::watch::node::kubeconfig::{CredentialSet, Distribution};

use crate::support::skip;

const DAEMON: &str = "nodedns.service";
const PRUNE: &str = "nodedns-prune.service";

/// What decides what the processes of a service may do, and not what they are for.
const HARDENING: &[&str] = &[
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "DeviceAllow",
    "DevicePolicy",
    "Group",
    "IPAddressAllow",
    "IPAddressDeny",
    "InaccessiblePaths",
    "KeyringMode",
    "LimitCORE",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateIPC",
    "PrivateMounts",
    "PrivateNetwork",
    "PrivateTmp",
    "PrivateUsers",
    "ProcSubset",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "ReadWritePaths",
    "RemoveIPC",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "StateDirectory",
    "StateDirectoryMode",
    "SystemCallArchitectures",
    "SystemCallErrorNumber",
    "SystemCallFilter",
    "UMask",
    "User",
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

fn text(name: &str) -> String {
    fs::read_to_string(directory().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A unit's assignments, section by section, as systemd.syntax(7) has them.
struct Unit {
    sections: BTreeMap<String, Vec<(String, String)>>,
}

impl Unit {
    fn read(name: &str) -> Self {
        let mut sections: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let mut section = None;
        let text = text(name).replace("\\\n", " ");
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
            match (line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')), line.split_once('=')) {
                (Some(name), _) => section = Some(name.to_owned()),
                (None, Some((key, value))) => {
                    let section = section.clone().expect("a section before the first assignment");
                    sections.entry(section).or_default().push((key.trim().to_owned(), value.trim().to_owned()));
                }
                (None, None) => panic!("{name}: {line}"),
            }
        }
        Unit { sections }
    }

    fn all(&self, section: &str, key: &str) -> Vec<&str> {
        let assignments = self.sections.get(section).into_iter().flatten();
        assignments.filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
    }

    fn words(&self, section: &str, key: &str) -> BTreeSet<&str> {
        self.all(section, key).into_iter().flat_map(str::split_whitespace).collect()
    }

    #[track_caller]
    fn one(&self, section: &str, key: &str) -> &str {
        let [value] = self.all(section, key)[..] else { panic!("not one {key}=") };
        value
    }

    /// The credentials that are taken from the store, by the name that the process sees: plain and encrypted.
    fn credentials(&self) -> (BTreeMap<&str, &str>, BTreeSet<&str>) {
        let plain = self.all("Service", "LoadCredential");
        let plain: Vec<_> = plain.into_iter().map(|value| value.split_once(':').unwrap_or((value, value))).collect();
        let encrypted = self.all("Service", "LoadCredentialEncrypted");
        assert_eq!(plain.iter().collect::<BTreeSet<_>>().len(), plain.len(), "each once");
        (plain.into_iter().collect(), encrypted.into_iter().collect())
    }
}

/// All files that are units.
fn units() -> Vec<String> {
    let names = fs::read_dir(directory()).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let is_unit = |name: &String| [".service", ".path", ".timer"].iter().any(|suffix| name.ends_with(suffix));
    let units: Vec<String> = names.filter(is_unit).collect();
    assert!(units.len() >= 5, "{units:?}");
    units
}

/// The links that tmpfiles makes: in the credential store, to where.
fn links() -> BTreeMap<String, String> {
    let text = text("nodedns.tmpfiles");
    let lines = text.lines().filter(|line| line.starts_with('L'));
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .map(|words| {
            let [_, link, "-", "-", "-", "-", target] = words[..] else { panic!("{words:?}") };
            let name = link.strip_prefix("/run/credstore/").unwrap_or_else(|| panic!("{link} is not in the store"));
            (name.to_owned(), target.to_owned())
        })
        .collect()
}

#[test]
fn what_prunes_is_confined_as_the_daemon_is() {
    let (daemon, prune) = (Unit::read(DAEMON), Unit::read(PRUNE));
    let mut compared = 0;
    for key in HARDENING {
        assert_eq!(daemon.all("Service", key), prune.all("Service", key), "{key}=");
        compared += daemon.all("Service", key).len();
    }
    assert!(compared > 30, "{compared}");
    // Whatever is new in one of them is confinement or is named here.
    let purpose = [
        "EnvironmentFile",
        "ExecReload",
        "ExecStart",
        "LoadCredential",
        "LoadCredentialEncrypted",
        "LogFilterPatterns",
        "Restart",
        "RestartPreventExitStatus",
        "RestartSec",
        "RuntimeDirectory",
        "Type",
        "WatchdogSec",
    ];
    assert_eq!(daemon.one("Service", "LogFilterPatterns"), prune.one("Service", "LogFilterPatterns"));
    for unit in [&daemon, &prune] {
        for (key, _) in &unit.sections["Service"] {
            assert!(HARDENING.contains(&key.as_str()) || purpose.contains(&key.as_str()), "{key}=");
        }
    }
    assert_eq!(daemon.all("Service", "EnvironmentFile"), prune.all("Service", "EnvironmentFile"));
}

#[test]
fn the_daemon_is_given_every_credential_that_it_looks_for_and_no_other() {
    let unit = Unit::read(DAEMON);
    let (plain, encrypted) = unit.credentials();
    let given: BTreeSet<&str> = plain.keys().copied().chain(encrypted.iter().copied()).collect();
    let kubernetes = CredentialSet::ALL.iter().flat_map(CredentialSet::names);
    let wanted: BTreeSet<&str> =
        kubernetes.chain([files::ENCRYPTED_CREDENTIALS, files::CREDENTIALS, files::CONFIG]).collect();
    assert_eq!(given, wanted);
    assert_eq!(encrypted, BTreeSet::from([files::ENCRYPTED_CREDENTIALS]));
    for (id, name) in plain {
        // A path would make the unit fail where there is no file.
        assert_eq!(name, format!("nodedns.{id}"), "{id} is not looked for in the store");
    }
}

#[test]
fn what_prunes_has_the_daemons_aws_credentials_and_a_kubeconfig_of_its_own() {
    let (daemon, prune) = (Unit::read(DAEMON), Unit::read(PRUNE));
    let ((of_daemon, encrypted), (plain, also_encrypted)) = (daemon.credentials(), prune.credentials());
    assert_eq!(encrypted, also_encrypted);
    let [own, ..] = &CredentialSet::ALL;
    let wanted: BTreeSet<&str> = own.names().chain([files::CREDENTIALS, files::CONFIG]).collect();
    assert_eq!(plain.keys().copied().collect::<BTreeSet<_>>(), wanted);
    for (id, name) in plain {
        match own.names().any(|own| own == id) {
            true => assert_eq!(name, format!("nodedns-prune.{id}")),
            false => assert_eq!(name, of_daemon[id]),
        }
    }
}

#[test]
fn the_kubelets_files_are_linked_handed_over_and_watched() {
    let unit = Unit::read(DAEMON);
    let (plain, _) = unit.credentials();
    let taken: BTreeSet<&str> = plain.values().copied().collect();
    let path = Unit::read("nodedns-credentials.path");
    let watched: BTreeSet<&str> = path.words("Path", "PathChanged");
    let links = links();
    let is_watched = |file: &str| {
        // A directory is watched for what appears and is replaced in it.
        watched.contains(file)
            || Path::new(file).parent().is_some_and(|above| watched.contains(above.to_str().unwrap()))
    };
    for (link, target) in &links {
        assert!(taken.contains(link.as_str()), "{link} is handed to nobody");
        assert!(is_watched(target), "nobody notices when {target} is replaced");
    }
    for set in &CredentialSet::ALL {
        let names = set.names().map(|id| plain[id]);
        match set.distribution {
            Some(maker) => {
                for name in names {
                    assert!(links.contains_key(name), "{name} of {maker} is not linked");
                }
                assert_eq!(links[plain[set.kubeconfig]], maker.kubelet());
            }
            // What the operator gives is in the store itself.
            None => names.for_each(|name| assert!(is_watched(&format!("/etc/credstore/{name}")), "{name}")),
        }
    }
    for id in [files::CREDENTIALS, files::CONFIG] {
        assert!(is_watched(&format!("/etc/credstore/{}", plain[id])), "{id}");
    }
    assert!(is_watched(&format!("/etc/credstore.encrypted/{}", files::ENCRYPTED_CREDENTIALS)));
    for maker in Distribution::ALL {
        assert!(links.values().any(|target| target == maker.kubelet()), "{maker}");
    }
    // A link that is swung is no change to systemd.path(5), if it is the link that is watched.
    assert!(watched.contains("/var/lib/kubelet/pki") && watched.contains("/etc/credstore"));
    // A link whose end is still to come is not followed.
    let daemon = include_str!("../../src/cli/help/daemon.txt");
    let admins = ["/etc/rancher/k3s/k3s.yaml", "/etc/rancher/rke2/rke2.yaml", "/etc/kubernetes/admin.conf"];
    assert!(daemon.contains(admins[0]));
    for file in admins {
        assert!(watched.contains(file), "nobody notices when {file} is there");
    }
    // Nobody but root may look into the store.
    for directory in ["/run/credstore", "/etc/credstore", "/etc/credstore.encrypted"] {
        let line = format!("d {directory} 0700 root root -");
        assert!(text("nodedns.tmpfiles").lines().any(|found| found == line), "{directory}");
    }
}

#[test]
fn rotation_starts_the_daemon_again_if_it_runs() {
    let (daemon, path) = (Unit::read(DAEMON), Unit::read("nodedns-credentials.path"));
    assert!(daemon.words("Unit", "Wants").contains("nodedns-credentials.path"));
    // What is written while the daemon starts is noticed.
    assert!(daemon.words("Unit", "After").contains("nodedns-credentials.path"));
    assert_eq!(path.all("Path", "Unit"), [""; 0], "the service of the same name");
    let service = Unit::read("nodedns-credentials.service");
    let command = service.one("Service", "ExecStart");
    assert!(command.ends_with(" try-restart nodedns.service"), "{command}");
    // A path unit fails for good when its service is started too often.
    assert_eq!(service.one("Unit", "StartLimitIntervalSec"), "0");
    // Nobody waits for new credentials when the daemon is gone.
    assert_eq!(path.one("Unit", "StopWhenUnneeded"), "yes");
    assert_eq!(service.one("Service", "SuccessExitStatus"), "SIGTERM");
}

#[test]
fn the_daemon_says_when_it_is_ready_and_a_bad_configuration_is_final() {
    let unit = Unit::read(DAEMON);
    // notify-reload came with systemd 253, and an older one would take it for simple.
    assert_eq!(unit.one("Service", "Type"), "notify");
    let final_codes = unit.words("Service", "RestartPreventExitStatus");
    for exit in [Exit::BadConfig, Exit::Usage] {
        assert!(final_codes.contains(exit.code().to_string().as_str()), "{exit:?}");
    }
    assert_eq!(final_codes.len(), 2, "all else may mend itself");
    assert_eq!(unit.one("Service", "Restart"), "on-failure");
    assert_eq!(unit.one("Unit", "StartLimitIntervalSec"), "0");
    assert_eq!(unit.all("Service", "DynamicUser"), [""; 0], "dbus-daemon turns dynamic users away");
    let user = unit.one("Service", "User");
    assert!(text("nodedns.sysusers").lines().any(|line| line.starts_with(&format!("u {user} "))), "{user}");
}

#[test]
fn the_daemon_leaves_dns_before_what_it_needs_and_serves_is_stopped() {
    let unit = Unit::read(DAEMON);
    let after = unit.words("Unit", "After");
    for other in [
        "network.target",
        "network-online.target",
        "nss-lookup.target",
        "dbus.service",
        "k3s.service",
        "k3s-agent.service",
        "rke2-server.service",
        "rke2-agent.service",
        "kubelet.service",
    ] {
        assert!(after.contains(other), "{other}");
    }
    for name in units() {
        let unit = Unit::read(&name);
        for key in ["Wants", "Requires", "BindsTo", "PartOf", "Requisite"] {
            let pulled: Vec<_> =
                unit.words("Unit", key).into_iter().filter(|unit| !unit.starts_with("nodedns")).collect();
            // A link that does not come up would hold up the boot, and k3s is not ours to start or to follow.
            assert!(pulled.is_empty(), "{name}: {key}={pulled:?}");
        }
    }
}

#[test]
fn only_the_daemon_and_a_timer_that_was_switched_on_are_started_at_boot() {
    let mut installed = Vec::new();
    for name in units() {
        let unit = Unit::read(&name);
        installed.extend(unit.sections.contains_key("Install").then(|| name.clone()));
        for key in ["Wants", "Requires", "Also"] {
            let pulled: Vec<_> = ["Unit", "Install"].iter().flat_map(|section| unit.all(section, key)).collect();
            assert!(!pulled.iter().any(|units| units.contains("prune")), "{name}: {key}={pulled:?}");
        }
    }
    installed.sort_unstable();
    assert_eq!(installed, ["nodedns-prune.timer", DAEMON]);
    // Without a word of ours a first boot would enable them.
    let preset = text("nodedns.preset");
    let lines: BTreeSet<&str> = preset.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        lines,
        installed.iter().map(|unit| format!("disable {unit}")).collect::<Vec<_>>().iter().map(String::as_str).collect()
    );
    let timer = Unit::read("nodedns-prune.timer");
    assert_eq!(timer.one("Install", "WantedBy"), "timers.target");
    assert_eq!(timer.one("Timer", "Persistent"), "yes");
}

#[test]
fn the_commands_of_the_units_exist() {
    let mut commands = Vec::new();
    for name in units() {
        let unit = Unit::read(&name);
        for key in ["ExecStartPre", "ExecStart", "ExecReload"] {
            commands.extend(unit.all("Service", key).into_iter().map(str::to_owned));
        }
    }
    let own: Vec<&String> = commands.iter().filter(|command| command.starts_with("/usr/bin/nodedns ")).collect();
    assert_eq!(own.len(), 3, "{commands:?}");
    for command in own {
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        let mut program = Command::new(env!("CARGO_BIN_EXE_nodedns"));
        let output = program.args(&words).arg("--help").output().expect("it runs");
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "{command}: {help}");
        }
    }
    for command in commands.iter().filter(|command| !command.contains("nodedns ")) {
        let program = command.split_whitespace().next().expect("a program");
        assert!(Path::new(program).is_absolute(), "{command}");
    }
}

/// A unit file whose commands are there, so that systemd has nothing to say of this machine.
fn installed(name: &str, directory: &Path) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text(name).replace("/usr/bin/nodedns", env!("CARGO_BIN_EXE_nodedns"))).expect("written");
    path
}

#[test]
fn systemd_understands_every_line_and_rates_the_services_well() {
    let analyze = |arguments: &[&str], paths: &[PathBuf]| {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).args(paths).env("SYSTEMD_LOG_LEVEL", "warning").env("LC_ALL", "C");
        command.output()
    };
    let version = match analyze(&["--version"], &[]) {
        // systemd 252 (252.39-1~deb12u1)
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.split_whitespace().nth(1).and_then(|word| word.parse::<u32>().ok()).expect("a version")
        }
        Ok(output) => return skip(&format!("systemd-analyze does not run: {}", output.status)),
        Err(error) => return skip(&format!("systemd-analyze: {error}")),
    };
    let directory = tempfile::tempdir().expect("a directory");
    let paths: Vec<PathBuf> = units().iter().map(|name| installed(name, directory.path())).collect();
    let output = analyze(&["verify", "--man=no", "--recursive-errors=no"], &paths).expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    // The one key that 252 does not know yet, in two units.
    let is_too_new = |line: &&str| version < 253 && line.contains("'LogFilterPatterns'") && line.contains("ignoring");
    let own = said.lines().filter(|line| line.contains("nodedns"));
    let (too_new, own): (Vec<&str>, Vec<&str>) = own.partition(is_too_new);
    assert!(own.is_empty() && (output.status.success() || !too_new.is_empty()), "{said}");
    assert_eq!(too_new.len(), if version < 253 { 2 } else { 0 }, "{said}");
    for name in [DAEMON, PRUNE, "nodedns-credentials.service"] {
        let path = directory.path().join(name);
        let output = analyze(&["security", "--offline=yes", "--threshold=15", "--no-pager"], &[path]).expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
