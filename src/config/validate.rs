//! What the types of the file cannot say: ranges, shapes, what goes with what, by Route 53's own
//! rules wherever they can be applied offline.

mod health_check;
mod metrics;
mod probe;
mod prune;
mod record;
mod signals;
mod survivors;

use std::net::IpAddr;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use http::Uri;
use ipnet::IpNet;

use crate::config::merged::Merged;
use crate::config::path::Path;
use crate::config::problem::{Origin, Problem};
use crate::config::raw::RawConfig;
use crate::config::{Config, KubernetesSettings, LogSettings, Route53Settings, Span, routing, selector};
use crate::decide::owner::{OwnerError, OwnerId};
use crate::decide::policy::Timing;
use crate::decide::select::AddressRules;
use crate::decide::selector::LabelSelector;

/// The longest path of a unix socket: `sun_path` less its terminating zero, unix(7), and less the
/// `.new` that the socket is called while it is made.
const SOCKET_PATH_MAX: usize = 107 - ".new".len();

/// A day: nothing that is waited for is longer.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The configuration, and everything that is wrong with it. Only with no problem is it meant to be
/// used. Of an `incomplete` one, a layer is known not to have been read.
pub(super) fn validate(raw: &RawConfig, merged: &Merged, incomplete: bool) -> (Config, Vec<Problem>) {
    let mut judge = Judge { merged, incomplete, problems: Vec::new() };
    let cluster = cluster(raw, &mut judge);
    let config = Config {
        node: node(raw, &mut judge, &cluster),
        kubernetes: kubernetes(raw, &mut judge),
        route53: route53(raw, &mut judge),
        socket: socket(raw, &mut judge),
        state_directory: state_directory(raw, &mut judge),
        metrics: metrics::metrics(&raw.metrics, &mut judge),
        log: LogSettings { level: raw.log.level, format: raw.log.format },
        addresses: addresses(raw, &mut judge),
        timing: timing(raw, &mut judge),
        survivors: survivors::survivors(raw, &mut judge),
        keep_nodes: prune::keep_nodes(raw, &mut judge),
        records: {
            signals::judge_global(&raw.signals, &mut judge);
            record::records(raw, &mut judge, &cluster)
        },
        cluster,
    };
    (config, judge.problems)
}

/// Collects problems and finds out where each was written.
pub(super) struct Judge<'a> {
    merged: &'a Merged,
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

    /// Reports a problem that may have been found before, in another table over the same one.
    pub(super) fn complain_once(&mut self, path: &Path, message: String) {
        let (origin, written) = self.origin(path);
        let known =
            |problem: &Problem| problem.source == origin && problem.path == written && problem.message == message;
        if !self.problems.iter().any(known) {
            self.complain(path, message);
        }
    }

    /// Reports that something is nowhere to be found.
    fn miss(&mut self, path: &Path, message: &str, hint: &str) {
        if !self.incomplete {
            self.advise(path, message, hint);
        }
    }

    fn report(&mut self, path: &Path, message: String, hint: Option<String>) {
        let place = self.merged.locate(path);
        if !place.broken {
            self.problems.push(Problem { source: place.origin, path: place.path.to_string(), message, hint });
        }
    }

    fn origin(&self, path: &Path) -> (Origin, String) {
        let place = self.merged.locate(path);
        (place.origin, place.path.to_string())
    }

    /// Whether there is something that could not be read, and has been reported.
    pub(super) fn is_broken(&self, path: &Path) -> bool {
        self.merged.locate(path).broken
    }

    /// Whether the key is there, rather than left at its default.
    fn is_set(&self, path: &Path) -> bool {
        self.merged.locate(path).value.is_some()
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
    let table = Path::default().key("kubernetes");
    let node_selector = selector::parse(&raw.kubernetes.label_selector).unwrap_or_else(|why| {
        judge.advise(
            &table.key("label_selector"),
            format!("not a label selector: {why}"),
            "write it as for 'kubectl get nodes --selector', for example \"region in (eu, us), !example.com/private\"",
        );
        LabelSelector::default()
    });
    let path = table.key("kubeconfig");
    let kubeconfig = match raw.kubernetes.kubeconfig.as_str() {
        "auto" => None,
        "" => {
            judge.complain(&path, "must be \"auto\" or the path of a kubeconfig file");
            None
        }
        file => {
            if !FilePath::new(file).is_absolute() {
                judge.advise(
                    &path,
                    format!("{file:?} is not an absolute path"),
                    "the daemon runs in another directory than you; write the whole path",
                );
            }
            Some(PathBuf::from(file))
        }
    };
    KubernetesSettings { enabled: raw.kubernetes.enabled, kubeconfig, node_selector }
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
        endpoint_url(&table.endpoint_url, &path.key("endpoint_url"), judge);
    }
    if !table.region.is_empty() {
        routing::region(&table.region, &path.key("region"), judge);
    }
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
        region: non_empty(&table.region),
        profile: non_empty(&table.profile),
        requests_per_second: table.requests_per_second,
        burst: number(table.burst, 1, 1000, &path.key("burst"), judge),
        attempt_timeout: table.attempt_timeout.0,
    }
}

const ENDPOINT_EXAMPLE: &str = "write it like \"https://route53.example.com\"";

fn endpoint_url(text: &str, path: &Path, judge: &mut Judge<'_>) {
    if text.contains('@') {
        // The value is left out: it would hold the password.
        return judge.complain(path, "user and password do not belong in the URL");
    }
    let is_fit = |url: &Uri| {
        let authority = url.authority().map_or("", |authority| authority.as_str());
        let port_is_fit = url.port().map_or(url.host() == Some(authority), |port| port.as_u16() > 0);
        matches!(url.scheme_str(), Some("http" | "https"))
            && url.host().is_some_and(|host| !host.is_empty())
            && port_is_fit
            && url.query().is_none()
            && !text.contains('#')
    };
    match text.parse::<Uri>().ok().as_ref().and_then(Uri::scheme_str) {
        None | Some("http" | "https") => {}
        Some(scheme) => {
            return judge.advise(
                path,
                format!("{text:?} is a URL of {scheme}, which is not http or https"),
                ENDPOINT_EXAMPLE,
            );
        }
    }
    if !text.parse().is_ok_and(|url| is_fit(&url)) {
        judge.advise(path, format!("{text:?} is not a URL of an http or https service"), ENDPOINT_EXAMPLE);
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
            format!(
                "{} bytes are too long for the path of a unix socket; it takes {SOCKET_PATH_MAX}",
                raw.control.socket.len()
            ),
        );
    }
    socket
}

fn state_directory(raw: &RawConfig, judge: &mut Judge<'_>) -> PathBuf {
    let directory = PathBuf::from(&raw.control.state_directory);
    if !directory.is_absolute() {
        let path = Path::default().key("control").key("state_directory");
        judge.complain(&path, format!("{:?} is not an absolute path", raw.control.state_directory));
    }
    directory
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
