//! This host: which node it is, what it would publish, and the daemon on it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::process::geteuid;

use crate::cli::check::account::{Account, DAEMON};
use crate::cli::check::findings::{Finding, Findings, Outcome};
use crate::cli::check::ids::Id;
use crate::config::Config;
use crate::control::client::{self, Error};
use crate::control::protocol::Status;
use crate::decide::address::Snapshot;
use crate::decide::owner::{OwnerId, SET_IDENTIFIER_MAX};
use crate::decide::policy::{Policy, RecordPolicy};
use crate::decide::record::RecordType;
use crate::decide::select::{AddressRules, Assessment, Refusal, Selection, assess, select};
use crate::watch::addresses::snapshot;
use crate::watch::identity::Identity;

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

const DAEMON_LOG: &str = "'systemctl status nodedns' and 'journalctl -u nodedns' say more";

/// Finds out which node this is.
pub fn identity(config: &Config, findings: &mut Findings<'_>) -> Option<Identity> {
    match Identity::find(config) {
        Ok(identity) => {
            let finding = Finding::ok(Id::NodeName, identity.node(), format!("the node's name, {}", identity.source));
            findings.add(match identity.doubts.as_slice() {
                [] => finding,
                doubts => {
                    let text = format!("{}, but it may be another: {}", finding.text, doubts.join("; "));
                    Finding::warning(Id::NodeName, identity.node(), text)
                        .remedy("run this as root or as the daemon's user, or set 'node' to the name in Kubernetes")
                }
            });
            Some(identity)
        }
        Err(error) => {
            let text = error.to_string();
            let (text, hint) = text.split_once("\nhint: ").unwrap_or((&text, "set 'node' in the configuration"));
            findings.add(Finding::failed(Id::NodeName, "node", text).remedy(hint));
            None
        }
    }
}

/// The set identifier that all of this node's record sets have.
pub fn owner(owner: &OwnerId) -> Finding {
    let owner = owner.to_string();
    let text = format!("the set identifier, {} of {SET_IDENTIFIER_MAX} characters", owner.len());
    Finding::ok(Id::OwnerId, owner, text)
}

/// Which addresses would be published under each name, and where probes go.
pub async fn addresses(policy: &Policy, findings: &mut Findings<'_>) {
    let read = findings.wait("reading the host's addresses", snapshot()).await;
    match read.map_err(anyhow::Error::from).and_then(|read| read.map_err(anyhow::Error::from)) {
        Ok(snapshot) => {
            let found = of_records(&policy.records, &policy.addresses, &snapshot).into_iter();
            found.chain(probes(policy, &snapshot)).for_each(|finding| findings.add(finding));
        }
        Err(error) => {
            let text = format!("the host's addresses cannot be read: {error:#}");
            findings.add(
                Finding::failed(Id::HostAddresses, "addresses", text)
                    .remedy("'ip address' shows whether the kernel tells them"),
            );
            for record in &policy.records {
                let text = "not known without the host's addresses";
                findings.add(Finding::skipped(Id::RecordAddress, record.name.to_string(), text));
            }
        }
    }
}

/// What would be published for each record, type by type. What there is nothing for is told once for each type
/// and reason, with the names.
pub fn of_records(records: &[RecordPolicy], rules: &AddressRules, snapshot: &Snapshot) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    // Where the names of each stand, and which they are.
    let mut nothing: Vec<(usize, Vec<String>, RecordType)> = Vec::new();
    for record in records {
        for (rtype, finding) in of_record(record, rules, snapshot) {
            let is_same = |(at, _, of): &&mut (usize, Vec<String>, RecordType)| {
                let other = found.get(*at);
                *of == rtype && other.is_some_and(|o| (o.outcome, &o.text) == (finding.outcome, &finding.text))
            };
            match nothing.iter_mut().find(is_same) {
                _ if finding.outcome == Outcome::Ok => found.push(finding),
                Some((_, names, _)) => names.push(record.name.to_string()),
                None => {
                    nothing.push((found.len(), vec![record.name.to_string()], rtype));
                    found.push(finding);
                }
            }
        }
    }
    for (at, names, rtype) in nothing {
        if let Some(finding) = found.get_mut(at) {
            finding.subject = format!("{} {rtype}", names.join(", "));
        }
    }
    found
}

/// What would be published for one record.
fn of_record(record: &RecordPolicy, rules: &AddressRules, snapshot: &Snapshot) -> Vec<(RecordType, Finding)> {
    let selected = |rtype: RecordType| {
        let fixed: Vec<IpAddr> =
            record.static_addresses.iter().copied().filter(|address| RecordType::of(*address) == rtype).collect();
        match fixed.is_empty() {
            true => select(snapshot, rules, record.class, rtype),
            false => Selection { addresses: fixed, filtered: false },
        }
    };
    let selections: Vec<_> = record.types.iter().map(|rtype| (*rtype, selected(*rtype))).collect();
    let nothing = selections.iter().all(|(_, selection)| selection.addresses.is_empty());
    let finding = |(rtype, selection): &(RecordType, Selection)| {
        let subject = format!("{} {rtype}", record.name);
        let addresses: Vec<_> = selection.addresses.iter().map(IpAddr::to_string).collect();
        match (addresses.as_slice(), record.all_addresses) {
            ([], _) => {
                let why = why_none(&assess(snapshot, rules, record.class), *rtype);
                let make = match (nothing, selection.filtered) {
                    (true, _) => Finding::failed,
                    (false, true) => Finding::warning,
                    (false, false) => Finding::skipped,
                };
                make(Id::RecordAddress, subject, format!("nothing to publish: {why}"))
                    .remedy("'nodedns addresses' shows every address of the host, and why it is not published")
            }
            ([first, ..], false) => Finding::ok(Id::RecordAddress, subject, format!("{first} would be published")),
            (all, true) => Finding::ok(Id::RecordAddress, subject, format!("{} would be published", all.join(", "))),
        }
    };
    selections.iter().map(|selection| (selection.0, finding(selection))).collect()
}

/// Why no address of this type can be published: the refusal of the one that comes nearest.
fn why_none(assessments: &[Assessment], rtype: RecordType) -> String {
    let family = match rtype {
        RecordType::A => "IPv4",
        RecordType::Aaaa => "IPv6",
    };
    // Loopback and link-local addresses are on every host, and nobody expects to see them published.
    let is_ordinary = |refusal: &Refusal| !matches!(refusal, Refusal::ExcludedByDefault(_) | Refusal::Scope(_));
    let nearest = assessments.iter().filter(|one| RecordType::of(one.address.address) == rtype).find_map(|one| {
        let refusal = one.verdict.as_ref().err().filter(|refusal| is_ordinary(refusal))?;
        Some(format!("{} on {}: {refusal}", one.address.address, one.interface))
    });
    nearest.unwrap_or_else(|| format!("the host has no {family} address that others could reach"))
}

/// Probes of an address that is not one of this host's.
pub fn probes(policy: &Policy, snapshot: &Snapshot) -> Vec<Finding> {
    let own: BTreeSet<IpAddr> = snapshot.addresses.iter().map(|address| address.address).collect();
    let checks: BTreeSet<_> = policy.records.iter().filter_map(|record| record.probe.as_ref()).collect();
    let is_elsewhere = |address: IpAddr| !address.is_loopback() && !own.contains(&address);
    let foreign = checks.into_iter().filter(|probe| is_elsewhere(probe.check.address().ip()));
    foreign
        .map(|probe| {
            let text = "not an address of this host: the node comes and goes with another one";
            Finding::warning(Id::ProbeAddress, format!("probe {}", probe.check), text)
                .remedy("set it to what this node serves, for example tcp = \"127.0.0.1:443\"")
        })
        .collect()
}

/// Where the daemon keeps what must survive a restart.
pub fn state_directory(directory: &Path, daemon: Option<&Account>) -> Finding {
    let subject = directory.display().to_string();
    let tell = |make: fn(Id, String, String) -> Finding, text: String| make(Id::StateDirectory, subject.clone(), text);
    let euid = geteuid().as_raw();
    let metadata = match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            return tell(Finding::failed, "not a directory, so that a drain would not outlive a restart".to_owned())
                .remedy("set control.state_directory to a directory");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return tell(Finding::skipped, "not there yet: it is made when there is something to keep".to_owned());
        }
        Err(error) => return tell(Finding::skipped, format!("cannot be looked at: {error}")),
    };
    let owner = metadata.uid();
    match daemon {
        Some(daemon) if daemon.uid != owner && euid != owner => {
            let text = format!(
                "belongs to uid {owner}, and not to the daemon's user {DAEMON}, who may not be able to write there"
            );
            return tell(Finding::warning, text).remedy(format!("'chown {DAEMON} {}'", directory.display()));
        }
        _ => {}
    }
    // Root may write anywhere but to a file system that is read-only, and then so may nobody.
    match access(directory, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if euid == owner || euid == 0 => tell(Finding::ok, "can be written".to_owned()),
        Ok(()) => tell(Finding::ok, format!("can be written, also by this user; it belongs to uid {owner}")),
        Err(error) if euid == owner || euid == 0 => {
            let text = format!("cannot be written ({error}), so that a drain would not outlive a restart");
            tell(Finding::failed, text).remedy("let the daemon's user write there, or set control.state_directory")
        }
        Err(_) => tell(
            Finding::skipped,
            format!("belongs to uid {owner}: only that user and root can tell whether it can be written"),
        ),
    }
}

/// Who runs this, which decides what can be read; and what systemd has handed over.
pub fn process(daemon: Option<&Account>, credentials: Option<&Path>) -> Vec<Finding> {
    let euid = geteuid().as_raw();
    let user = match daemon {
        _ if euid == 0 => Finding::ok(Id::User, "root", "may read everything, so that rights of files do not show"),
        Some(daemon) if daemon.uid == euid => Finding::ok(Id::User, DAEMON, "the daemon's own user"),
        Some(_) => {
            let text = format!("not the daemon's user {DAEMON}, who may be able to read other files than this one");
            Finding::skipped(Id::User, format!("uid {euid}"), text).remedy("run this as root for the whole picture")
        }
        None => Finding::ok(Id::User, format!("uid {euid}"), format!("there is no user {DAEMON} on this host")),
    };
    let handed = credentials.map(|directory| {
        let names = |entries: fs::ReadDir| {
            let mut names: Vec<_> =
                entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
            names.sort_unstable();
            names
        };
        let subject = directory.display().to_string();
        match fs::read_dir(directory).map(names) {
            Ok(names) if names.is_empty() => {
                Finding::warning(Id::CredentialsDirectory, subject, "systemd has handed over no credentials")
                    .remedy("see LoadCredential= of the unit")
            }
            Ok(names) => {
                let text = format!("credentials from systemd: {}", names.join(", "));
                Finding::ok(Id::CredentialsDirectory, subject, text)
            }
            Err(error) => Finding::failed(Id::CredentialsDirectory, subject, format!("cannot be read: {error}"))
                .remedy("$CREDENTIALS_DIRECTORY is set by systemd; unset it elsewhere"),
        }
    });
    [user].into_iter().chain(handed).collect()
}

/// What is kept for the service in this directory and can be read by everyone, by the modes of the files and of the
/// directories on the way. Certificates are no secrets.
pub fn exposed(store: &Path) -> Vec<Finding> {
    let everyone = Account { uid: u32::MAX, gids: Vec::new() };
    let entries = fs::read_dir(store).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort_unstable();
    let is_secret = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with("nodedns.") && !name.ends_with(".crt")
    };
    let open = files.iter().filter(|path| is_secret(path) && everyone.may_read(path) == Some(Ok(())));
    open.map(|path| {
        let subject = path.display().to_string();
        let remedy = format!("'chmod 0600 {subject}', and 'chmod 0700 {}'", store.display());
        Finding::warning(Id::CredentialExposed, subject, "every user of this host can read it").remedy(remedy)
    })
    .collect()
}

/// Asks the daemon on this host, if one runs.
pub async fn daemon(socket: &Path, owner: Option<&OwnerId>, findings: &mut Findings<'_>) {
    let answer = findings.wait("asking the daemon", client::status(socket, PATIENCE)).await;
    let subject = socket.display().to_string();
    let with_hint = |finding: Finding, error: &Error| finding.remedy(error.hint().unwrap_or(DAEMON_LOG));
    match answer {
        Err(no_answer) => findings.add(Finding::failed(Id::Daemon, subject, no_answer.to_string()).remedy(DAEMON_LOG)),
        // Before the service is started for the first time, that is how it should be.
        Ok(Err(Error::NotRunning(_))) => findings.add(Finding::skipped(Id::Daemon, subject, "no daemon runs")),
        Ok(Err(error @ Error::Denied(_))) => {
            findings.add(with_hint(Finding::skipped(Id::Daemon, subject, error.to_string()), &error));
        }
        Ok(Err(error)) => findings.add(with_hint(Finding::failed(Id::Daemon, subject, error.to_string()), &error)),
        Ok(Ok(status)) => of_daemon(&status, &subject, owner).into_iter().for_each(|finding| findings.add(finding)),
    }
}

/// What a daemon's status says of it, in a line or a few.
pub fn of_daemon(status: &Status, subject: &str, owner: Option<&OwnerId>) -> Vec<Finding> {
    let mut found = Vec::new();
    let own_version = env!("CARGO_PKG_VERSION");
    found.push(if status.version == own_version {
        Finding::ok(Id::Daemon, subject, format!("a daemon of this version, {own_version}, runs"))
    } else {
        let text = format!("the daemon is of version {}, this program of {own_version}", status.version);
        Finding::warning(Id::Daemon, subject, text).remedy("'systemctl restart nodedns'")
    });
    if let Some(owner) = owner
        && (owner.cluster(), owner.node()) != (status.cluster.as_str(), status.node.as_str())
    {
        let text =
            format!("it publishes node {} of cluster {}, and not what is configured here", status.node, status.cluster);
        found.push(Finding::warning(Id::DaemonIdentity, subject, text).remedy("'systemctl restart nodedns'"));
    }
    if let Some(refused) = &status.reload_refused {
        let text = format!("it has refused to reload its configuration: {}", refused.replace('\n', "; "));
        found
            .push(Finding::warning(Id::DaemonReload, subject, text).remedy("mend it, then 'systemctl reload nodedns'"));
    }
    let troubled = status.records.iter().filter(|record| !record.healthy).count();
    let dry = if status.dry_run { ", in a dry run" } else { "" };
    found.push(match (status.healthy, troubled) {
        (true, _) => {
            let text = format!("healthy{dry}, {} records and types", status.records.len());
            Finding::ok(Id::DaemonHealth, subject, text)
        }
        (false, 0) => {
            Finding::failed(Id::DaemonHealth, subject, format!("unhealthy{dry}")).remedy("'nodedns status' says why")
        }
        (false, troubled) => {
            let text = format!("unhealthy{dry}, {troubled} of {} need attention", status.records.len());
            Finding::failed(Id::DaemonHealth, subject, text).remedy("'nodedns status' says why")
        }
    });
    found
}
