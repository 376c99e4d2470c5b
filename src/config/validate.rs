//! What the types of the file cannot say: ranges, shapes, what goes with what, by Route 53's own
//! rules wherever they can be applied offline.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::problem::{Origin, Problem};
use crate::config::raw::{self, RawConfig, RawRecord, RawSignal, RecordType as RawType};
use crate::config::tree::{Node, Path};
use crate::config::{Config, KubernetesSettings, LogSettings, RecordTemplate, Route53Settings, Span, expand, routing};
use crate::decide::name::DnsName;
use crate::decide::owner::{OwnerError, OwnerId};
use crate::decide::policy::{RecordPolicy, Signal, SignalPolicy, Timing};
use crate::decide::record::{RecordType, ZoneRef};
use crate::decide::routing::{FailoverRole, Routing};
use crate::decide::select::{AddressClass, AddressRules};

/// Stands for the node's name until it is known: a label that nobody's node has.
const SAMPLE_NODE: &str = "nodedns-sample-node";

/// The longest path of a unix socket: `sun_path` less its terminating zero, unix(7).
const SOCKET_PATH_MAX: usize = 107;

/// A day: nothing that is waited for is longer.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The configuration, and everything that is wrong with it. Only with no problem is it meant to be
/// used. Of an `incomplete` one, a layer is known not to have been read.
pub(super) fn validate(raw: &RawConfig, tree: &Node, incomplete: bool) -> (Config, Vec<Problem>) {
    let mut judge = Judge { tree, incomplete, problems: Vec::new() };
    let cluster = cluster(raw, &mut judge);
    let config = Config {
        node: node(raw, &mut judge, &cluster),
        kubernetes: kubernetes(raw, &mut judge),
        route53: route53(raw, &mut judge),
        socket: socket(raw, &mut judge),
        log: LogSettings { level: raw.log.level, format: raw.log.format },
        addresses: addresses(raw, &mut judge),
        timing: timing(raw, &mut judge),
        records: records(raw, &mut judge, &cluster),
        cluster,
    };
    (config, judge.problems)
}

/// Collects problems and finds out where each was written.
pub(super) struct Judge<'a> {
    tree: &'a Node,
    incomplete: bool,
    problems: Vec<Problem>,
}

impl Judge<'_> {
    /// Reports a problem, unless its value has already been reported as broken.
    pub(super) fn complain(&mut self, path: &Path, message: impl Into<String>) {
        self.report(path, message.into(), None);
    }

    /// Reports a problem and what to do about it.
    pub(super) fn advise(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.report(path, message.into(), Some(hint.into()));
    }

    /// Reports that something is nowhere to be found.
    fn miss(&mut self, path: &Path, message: &str, hint: &str) {
        if !self.incomplete {
            self.advise(path, message, hint);
        }
    }

    fn report(&mut self, path: &Path, message: String, hint: Option<String>) {
        let place = self.tree.locate(path);
        if !place.broken {
            self.problems.push(Problem { source: place.origin, path: place.path.to_string(), message, hint });
        }
    }

    fn origin(&self, path: &Path) -> (Origin, String) {
        let place = self.tree.locate(path);
        (place.origin, place.path.to_string())
    }

    /// Whether the key is there, rather than left at its default.
    fn is_set(&self, path: &Path) -> bool {
        self.tree.locate(path).found
    }

    fn within(&mut self, path: &Path, span: Span, least: Duration, most: Duration) {
        if span.0 < least || span.0 > most {
            self.complain(path, format!("{span} is not between {} and {}", Span(least), Span(most)));
        }
    }
}

fn cluster(raw: &RawConfig, judge: &mut Judge<'_>) -> String {
    let path = Path::default().key("cluster");
    let Some(cluster) = &raw.cluster else {
        judge.miss(&path, "missing", "name the cluster, for example cluster = \"home\"");
        return String::new();
    };
    match OwnerId::new(cluster, "n") {
        Ok(_) => {}
        Err(OwnerError::TooLong(_)) => judge.complain(&path, "too long for a set identifier, of which it is a part"),
        Err(error @ OwnerError::BadToken(..)) => judge.complain(&path, error.to_string()),
    }
    cluster.clone()
}

fn node(raw: &RawConfig, judge: &mut Judge<'_>, cluster: &str) -> Option<String> {
    if raw.node == "auto" {
        return None;
    }
    // A bad cluster has been reported at its own key.
    let cluster = if OwnerId::new(cluster, "n").is_ok() { cluster } else { "c" };
    if let Err(error) = OwnerId::new(cluster, &raw.node) {
        judge.complain(&Path::default().key("node"), error.to_string());
    }
    Some(raw.node.clone())
}

fn timing(raw: &RawConfig, judge: &mut Judge<'_>) -> Timing {
    let root = Path::default();
    judge.within(&root.key("settle_max"), raw.settle_max, Duration::ZERO, Duration::from_secs(5 * 60));
    judge.within(&root.key("resync"), raw.resync, Duration::from_secs(10), DAY);
    if raw.settle > raw.settle_max {
        let key = if judge.is_set(&root.key("settle")) { "settle" } else { "settle_max" };
        judge.complain(
            &root.key(key),
            format!("settle = \"{}\" is longer than settle_max = \"{}\"", raw.settle, raw.settle_max),
        );
    }
    Timing { settle: raw.settle.0, settle_max: raw.settle_max.0, resync: raw.resync.0 }
}

fn kubernetes(raw: &RawConfig, judge: &mut Judge<'_>) -> KubernetesSettings {
    let path = Path::default().key("kubernetes").key("kubeconfig");
    let kubeconfig = match raw.kubernetes.kubeconfig.as_str() {
        "auto" => None,
        "" => {
            judge.complain(&path, "must be \"auto\" or the path of a kubeconfig file");
            None
        }
        file => Some(PathBuf::from(file)),
    };
    KubernetesSettings { enabled: raw.kubernetes.enabled, kubeconfig }
}

fn addresses(raw: &RawConfig, judge: &mut Judge<'_>) -> AddressRules {
    let path = Path::default().key("addresses");
    let rules = &raw.addresses;
    for (key, globs) in
        [("include_interfaces", &rules.include_interfaces), ("exclude_interfaces", &rules.exclude_interfaces)]
    {
        for (index, glob) in globs.iter().enumerate() {
            if glob.is_empty() {
                judge.complain(&path.key(key).index(index), "an empty pattern matches no interface");
            }
        }
    }
    if rules.include_interfaces.is_empty() {
        judge.advise(
            &path.key("include_interfaces"),
            "without a pattern there is no interface to publish from",
            "[\"*\"] is every interface",
        );
    }
    AddressRules {
        include_interfaces: rules.include_interfaces.clone(),
        exclude_interfaces: rules.exclude_interfaces.clone(),
        exclude_defaults: rules.exclude_defaults,
        allow: networks(&rules.allow, &path.key("allow"), judge),
        deny: networks(&rules.deny, &path.key("deny"), judge),
        temporary: rules.temporary,
    }
}

fn networks(texts: &[String], path: &Path, judge: &mut Judge<'_>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let path = path.index(index);
        match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
            (Ok(network), _) if network.addr() == network.network() => networks.push(network),
            (Ok(network), _) => judge.advise(
                &path,
                format!("{text:?} has bits set beyond its prefix"),
                format!("{:?} is the network, {:?} the one address", network.trunc().to_string(), host(network.addr())),
            ),
            (Err(_), Ok(address)) => judge.advise(
                &path,
                format!("{text:?} is an address, not a network"),
                format!("write {:?} for just this address", host(address)),
            ),
            (Err(_), Err(_)) => judge.advise(
                &path,
                format!("{text:?} is not a network in CIDR notation"),
                "write it like \"203.0.113.0/24\" or \"2001:db8::/32\"",
            ),
        }
    }
    networks
}

fn host(address: IpAddr) -> String {
    IpNet::from(address).to_string()
}

fn route53(raw: &RawConfig, judge: &mut Judge<'_>) -> Route53Settings {
    let path = Path::default().key("route53");
    let table = &raw.route53;
    if !table.endpoint_url.is_empty() {
        let rest = table.endpoint_url.strip_prefix("https://").or_else(|| table.endpoint_url.strip_prefix("http://"));
        match rest.map(|rest| rest.split('/').next().unwrap_or_default()) {
            None | Some("") => judge.advise(
                &path.key("endpoint_url"),
                format!("{:?} is not a URL", table.endpoint_url),
                "write it like \"https://route53.example.com\"",
            ),
            // The value is left out: it would hold the password.
            Some(host) if host.contains('@') => {
                judge.complain(&path.key("endpoint_url"), "user and password do not belong in the URL");
            }
            Some(_) => {}
        }
    }
    routing::region(&table.region, &path.key("region"), judge);
    if !(table.requests_per_second > 0.0 && table.requests_per_second <= 1000.0) {
        judge.complain(
            &path.key("requests_per_second"),
            format!("{} is not above 0 and at most 1000", table.requests_per_second),
        );
    }
    judge.within(&path.key("attempt_timeout"), table.attempt_timeout, Duration::from_secs(1), Duration::from_secs(300));
    let non_empty = |text: &String| (!text.is_empty()).then(|| text.clone());
    Route53Settings {
        endpoint_url: non_empty(&table.endpoint_url),
        region: table.region.clone(),
        profile: non_empty(&table.profile),
        requests_per_second: table.requests_per_second,
        burst: number(table.burst, 1, 1000, &path.key("burst"), judge),
        attempt_timeout: table.attempt_timeout.0,
    }
}

fn socket(raw: &RawConfig, judge: &mut Judge<'_>) -> PathBuf {
    let path = Path::default().key("control").key("socket");
    let socket = PathBuf::from(&raw.control.socket);
    if !socket.is_absolute() {
        judge.complain(&path, format!("{:?} is not an absolute path", raw.control.socket));
    } else if raw.control.socket.len() > SOCKET_PATH_MAX {
        judge.complain(
            &path,
            format!("{} bytes are too long for a unix socket, which takes {SOCKET_PATH_MAX}", raw.control.socket.len()),
        );
    }
    socket
}

fn records(raw: &RawConfig, judge: &mut Judge<'_>, cluster: &str) -> Vec<RecordTemplate> {
    let path = Path::default().key("record");
    if raw.record.is_empty() {
        judge.miss(&path, "missing: there is nothing to publish", "add a [[record]] with a 'name'");
    }
    let mut records: Vec<RecordTemplate> = Vec::new();
    for (index, table) in raw.record.iter().enumerate() {
        let path = path.index(index);
        let Some(record) = record(raw, table, &path, cluster, judge) else { continue };
        if let Some(first) =
            records.iter().find(|r| r.policy.zone == record.policy.zone && r.policy.name == record.policy.name)
        {
            judge.advise(
                &path.key("name"),
                format!("{:?} is configured twice", record.name),
                format!("it is already at {}; one [[record]] for each name of a zone", first.source),
            );
        }
        records.push(record);
    }
    records
}

fn record(
    raw: &RawConfig,
    table: &RawRecord,
    path: &Path,
    cluster: &str,
    judge: &mut Judge<'_>,
) -> Option<RecordTemplate> {
    let zone = zone(table, path, judge);
    let name = name(table, path, cluster, zone.as_ref(), judge);
    let types = types(table, path, judge);
    let static_addresses = static_addresses(table, &types, path, judge);
    let health_check_id = health_check_id(table, path, judge);
    let routing = routing::routing(&table.routing, &path.key("routing"), judge);
    if routing == Some(Routing::Failover(FailoverRole::Primary)) && health_check_id.is_none() {
        judge.advise(
            &path.key("health_check_id"),
            "missing: Route 53 wants a health check on a primary failover record set",
            "add the 'health_check_id' of an existing health check",
        );
    }
    let ttl = number(table.ttl, 0, i64::from(i32::MAX), &path.key("ttl"), judge);
    let most = routing.as_ref().map_or(100, |routing| routing.kind().pool_limit());
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let keep_min = number(table.keep_min, 0, most, &path.key("keep_min"), judge);
    let signals = signals(raw, table, path, judge);
    let (source, key) = judge.origin(&path.key("name"));
    let (name, sample) = name?;
    Some(RecordTemplate {
        name,
        policy: RecordPolicy {
            name: sample,
            zone: zone?,
            types,
            class: match table.class {
                raw::Class::Global => AddressClass::Global,
                raw::Class::Private => AddressClass::Private,
                raw::Class::Shared => AddressClass::Shared,
                raw::Class::Any => AddressClass::Any,
            },
            all_addresses: table.addresses == raw::Addresses::All,
            static_addresses,
            ttl,
            keep_min,
            routing: routing?,
            health_check_id,
            signals,
        },
        source,
        path: key,
    })
}

fn zone(table: &RawRecord, path: &Path, judge: &mut Judge<'_>) -> Option<ZoneRef> {
    match (&table.zone_id, &table.zone) {
        (Some(_), Some(_)) => {
            judge.complain(&path.key("zone"), "'zone_id' already says which hosted zone it is; remove one of them");
            None
        }
        (Some(id), None) => {
            let bare = id.strip_prefix("/hostedzone/").unwrap_or(id);
            if bare.is_empty() || bare.len() > 32 || !bare.bytes().all(|b| b.is_ascii_alphanumeric()) {
                judge.advise(
                    &path.key("zone_id"),
                    format!("{id:?} is not a hosted zone id"),
                    "it looks like \"Z0123456789ABC\"; the zone's name goes into 'zone'",
                );
                return None;
            }
            if table.private {
                judge
                    .complain(&path.key("private"), "'zone_id' already says which hosted zone it is; remove 'private'");
            }
            Some(ZoneRef::Id(bare.to_owned()))
        }
        (None, Some(zone)) => match DnsName::parse(zone) {
            Ok(name) => Some(ZoneRef::Name { name, private: table.private }),
            Err(error) => {
                judge.complain(&path.key("zone"), error.to_string());
                None
            }
        },
        (None, None) => Some(ZoneRef::Longest { private: table.private }),
    }
}

/// The name's template, and the name with the sample for the node's.
fn name(
    table: &RawRecord,
    path: &Path,
    cluster: &str,
    zone: Option<&ZoneRef>,
    judge: &mut Judge<'_>,
) -> Option<(String, DnsName)> {
    let path = path.key("name");
    let Some(template) = &table.name else {
        judge.advise(&path, "missing", "every [[record]] needs a name, for example name = \"edge.example.com\"");
        return None;
    };
    let text = expand(template, cluster, SAMPLE_NODE);
    if text.contains(['{', '}']) {
        judge.complain(&path, format!("{template:?}: only {{node}} and {{cluster}} stand for something"));
        return None;
    }
    let sample = match DnsName::parse(&text) {
        Ok(sample) => sample,
        Err(error) => {
            // An invalid cluster makes an invalid name; once is enough.
            if !template.contains("{cluster}") || OwnerId::new(cluster, "n").is_ok() {
                judge.complain(&path, error.to_string());
            }
            return None;
        }
    };
    if sample.label_count() < 2 {
        judge.advise(
            &path,
            format!("{template:?} is a single label"),
            "write the whole name, as in \"edge.example.com\"",
        );
        return None;
    }
    if let Some(ZoneRef::Name { name: zone, .. }) = zone
        && !sample.is_within(zone)
    {
        judge.complain(&path, format!("{template:?} is not in the zone {zone}"));
    }
    Some((template.clone(), sample))
}

fn types(table: &RawRecord, path: &Path, judge: &mut Judge<'_>) -> BTreeSet<RecordType> {
    let path = path.key("types");
    let mut types = BTreeSet::new();
    for (index, rtype) in table.types.iter().enumerate() {
        let new = types.insert(match rtype {
            RawType::A => RecordType::A,
            RawType::Aaaa => RecordType::Aaaa,
        });
        if !new {
            judge.complain(&path.index(index), "named twice");
        }
    }
    if types.is_empty() {
        judge.advise(&path, "without a type there is nothing to publish", "[\"A\", \"AAAA\"] is both");
    }
    types
}

fn static_addresses(
    table: &RawRecord,
    types: &BTreeSet<RecordType>,
    path: &Path,
    judge: &mut Judge<'_>,
) -> BTreeSet<IpAddr> {
    let path = path.key("static_addresses");
    let mut addresses = BTreeSet::new();
    for (index, text) in table.static_addresses.iter().enumerate() {
        let path = path.index(index);
        let Ok(address) = text.parse::<IpAddr>() else {
            judge.complain(&path, format!("{text:?} is not an IP address"));
            continue;
        };
        let rtype = RecordType::of(address);
        if !types.contains(&rtype) && !types.is_empty() {
            judge.advise(
                &path,
                format!("{text} belongs into a record of type {rtype}, which is not among this record's types"),
                format!("add \"{rtype}\" to 'types', or remove the address"),
            );
        } else if address.is_unspecified() || address.is_multicast() {
            judge.complain(&path, format!("{text} is not an address of a host"));
        } else if !addresses.insert(address) {
            judge.complain(&path, format!("{text} is there twice"));
        }
    }
    for rtype in types {
        if table.addresses == raw::Addresses::First
            && addresses.iter().filter(|address| RecordType::of(**address) == *rtype).count() > 1
        {
            judge.advise(
                &path,
                format!("several addresses of type {rtype}, of which only the first would be published"),
                "set addresses = \"all\", or leave one",
            );
        }
    }
    addresses
}

fn health_check_id(table: &RawRecord, path: &Path, judge: &mut Judge<'_>) -> Option<String> {
    let id = table.health_check_id.as_ref()?;
    // 64 is the API model's limit; the ids are UUIDs.
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        judge.advise(
            &path.key("health_check_id"),
            format!("{id:?} is not a health check id"),
            "it looks like \"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\"",
        );
    }
    Some(id.clone())
}

fn signals(raw: &RawConfig, table: &RawRecord, path: &Path, judge: &mut Judge<'_>) -> BTreeMap<Signal, SignalPolicy> {
    let mut signals = BTreeMap::new();
    for signal in Signal::ALL {
        let global = raw.signals.get(signal);
        bounded(global, &Path::default().key("signals").key(signal.as_str()), judge);
        let entry = match table.signals.get(signal) {
            Some(own) => {
                bounded(own, &path.key("signals").key(signal.as_str()), judge);
                own.over(global)
            }
            None => global.clone(),
        };
        let default = signal.default_policy();
        signals.insert(
            signal,
            SignalPolicy {
                action: entry.action.map_or(default.action, Into::into),
                after: entry.after.map_or(default.after, |span| span.0),
                recover_after: entry.recover_after.map_or(default.recover_after, |span| span.0),
            },
        );
    }
    signals
}

fn bounded(signal: &RawSignal, path: &Path, judge: &mut Judge<'_>) {
    for (key, span) in [("after", signal.after), ("recover_after", signal.recover_after)] {
        if let Some(span) = span {
            judge.within(&path.key(key), span, Duration::ZERO, DAY);
        }
    }
}

/// A whole number within its bounds; out of them it is reported and the nearer bound goes on.
pub(super) fn number<T: TryFrom<i64> + Default>(
    value: i64,
    least: i64,
    most: i64,
    path: &Path,
    judge: &mut Judge<'_>,
) -> T {
    if value < least || value > most {
        judge.complain(path, format!("{value} is not between {least} and {most}"));
    }
    T::try_from(value.clamp(least, most)).unwrap_or_default()
}
