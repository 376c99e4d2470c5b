//! The host's addresses → the addresses that may be published, and why the rest may not.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::decide::address::{HostAddress, Interface, Scope, Snapshot};
use crate::decide::glob;
use crate::decide::record::RecordType;
use crate::decide::registry;

mod refusal;

pub use refusal::Refusal;

/// Which addresses are fit for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum AddressClass {
    /// Globally reachable by the IANA special-purpose registries.
    #[default]
    Global,
    /// RFC 1918 and unique local addresses (RFC 4193).
    Private,
    /// The shared address space 100.64.0.0/10 (RFC 6598), which mesh VPNs use.
    Shared,
    /// Any unicast address that means the same host beyond its own link.
    Any,
}

impl AddressClass {
    /// The class as the configuration file spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            AddressClass::Global => "global",
            AddressClass::Private => "private",
            AddressClass::Shared => "shared",
            AddressClass::Any => "any",
        }
    }

    /// Whether the address is of this class.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self, address) {
            (AddressClass::Global, _) => registry::publishable(address),
            (AddressClass::Private, IpAddr::V4(address)) => address.is_private(),
            (AddressClass::Private, IpAddr::V6(address)) => address.is_unique_local(),
            (AddressClass::Shared, IpAddr::V4(address)) => address.octets()[0] == 100 && address.octets()[1] >> 6 == 1,
            (AddressClass::Shared, IpAddr::V6(_)) => false,
            (AddressClass::Any, IpAddr::V4(v4)) => is_unicast(address) && !v4.is_broadcast() && !v4.is_link_local(),
            (AddressClass::Any, IpAddr::V6(v6)) => is_unicast(address) && !v6.is_unicast_link_local(),
        }
    }
}

fn is_unicast(address: IpAddr) -> bool {
    !(address.is_multicast() || address.is_unspecified() || address.is_loopback())
}

/// Which of the host's addresses may be published at all: the `[addresses]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRules {
    /// Globs over interface names and alternative names; one must match.
    pub include_interfaces: Vec<String>,
    /// Globs none of which may match.
    pub exclude_interfaces: Vec<String>,
    /// Whether the built-in exclusions (container, VPN and similar interfaces) apply too. An
    /// interface that `include_interfaces` names by more than wildcards is not subject to them.
    pub exclude_defaults: bool,
    /// Published though their class is not asked for.
    pub allow: Vec<IpNet>,
    /// Never published.
    pub deny: Vec<IpNet>,
    /// Whether temporary IPv6 addresses (RFC 8981) may be published.
    pub temporary: bool,
}

impl Default for AddressRules {
    fn default() -> Self {
        AddressRules {
            include_interfaces: vec!["*".to_owned()],
            exclude_interfaces: Vec::new(),
            exclude_defaults: true,
            allow: Vec::new(),
            deny: Vec::new(),
            temporary: false,
        }
    }
}

/// One address of the host, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The address.
    pub address: HostAddress,
    /// Its interface's name.
    pub interface: String,
    /// Whether it may be published, and the first thing that forbids it.
    pub verdict: Result<(), Refusal>,
}

/// What there is to publish for one record and type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// The addresses without duplicates, the best first.
    pub addresses: Vec<IpAddr>,
    /// Whether the operator's own filters refused an address that would else have been published.
    pub filtered: bool,
}

/// Judges every address of the host: those to publish first and in that order, then the rest by
/// interface and number.
pub fn assess(snapshot: &Snapshot, rules: &AddressRules, class: AddressClass) -> Vec<Assessment> {
    judge(snapshot, rules, class).into_iter().map(|judged| judged.assessment).collect()
}

/// The addresses to publish in a record of the type.
pub fn select(snapshot: &Snapshot, rules: &AddressRules, class: AddressClass, rtype: RecordType) -> Selection {
    let mut selection = Selection::default();
    for Judged { assessment, fit } in judge(snapshot, rules, class) {
        let address = assessment.address.address;
        if RecordType::of(address) != rtype {
            continue;
        }
        match assessment.verdict {
            // An address on two links is one value.
            Ok(()) if selection.addresses.contains(&address) => {}
            Ok(()) => selection.addresses.push(address),
            Err(refusal) => selection.filtered |= fit && refusal.is_operator_filter(),
        }
    }
    selection
}

/// Names of interfaces that are not the host's own way to the world, with the software that makes
/// them. A bridge `br-…` of Docker's has exactly twelve digits; `br-ex` or `br-lan` may be an uplink.
const EXCLUDED_NAMES: &[&str] = &[
    // Kubernetes networks: CNI plugins, flannel, Calico, Cilium, Weave, Antrea, OVN-Kubernetes.
    "cni*",
    "flannel*",
    "cali*",
    "*.cali",
    "*.calico",
    "tunl*",
    "vxlan*",
    "cilium_*",
    "lxc*",
    "weave",
    "vethwe*",
    "antrea-*",
    "ovn-*",
    "ovs-*",
    "genev*",
    // Kubernetes' own: kube-ipvs0 and kube-dummy-if hold every Service's external address.
    "kube-*",
    "nodelocaldns",
    // Containers and virtual machines.
    "veth*",
    "docker*",
    "br-????????????",
    "podman*",
    "nerdctl*",
    "lxdbr*",
    "incusbr*",
    "virbr*",
    "vnet*",
    "vboxnet*",
    "vmnet*",
    // VPNs and meshes: Tailscale, NetBird, ZeroTier, WireGuard, Nebula, Cloudflare WARP, OpenVPN.
    "tailscale*",
    "wt*",
    "zt*",
    "wg*",
    "nebula*",
    "CloudflareWARP",
    "nordlynx",
    "tun*",
    "tap*",
];

/// Kinds of link (`IFLA_INFO_KIND`) that are the same whatever they are called. Not `veth`: inside
/// a container that is the uplink.
const EXCLUDED_KINDS: &[&str] = &["wireguard", "tun", "vxlan", "geneve"];

struct Judged {
    assessment: Assessment,
    /// Whether nothing but the operator's filters could forbid the address.
    fit: bool,
}

fn judge(snapshot: &Snapshot, rules: &AddressRules, class: AddressClass) -> Vec<Judged> {
    let mut judged: Vec<Judged> = snapshot
        .addresses
        .iter()
        .map(|address| {
            let link = snapshot.interfaces.get(&address.interface);
            let interface = link.map_or_else(|| format!("if{}", address.interface), |link| link.name.clone());
            let defaults = default_exclusion(link, rules);
            let state = unusable(link, address, rules);
            let wrong_class = wrong_class(address.address, rules, class);
            let fit = defaults.is_none() && state.is_none() && wrong_class.is_none();
            let refusal = defaults
                .or_else(|| interface_filter(link, rules))
                .or(state)
                .or_else(|| denied(address.address, rules))
                .or(wrong_class);
            let verdict = refusal.map_or(Ok(()), Err);
            Judged { assessment: Assessment { address: address.clone(), interface, verdict }, fit }
        })
        .collect();
    judged.sort_by(|a, b| {
        let (a, b) = (&a.assessment, &b.assessment);
        let refused = |one: &Assessment| one.verdict.is_err();
        refused(a).cmp(&refused(b)).then_with(|| {
            if refused(a) {
                (&a.interface, &a.address.address, &a.address).cmp(&(&b.interface, &b.address.address, &b.address))
            } else {
                preference(snapshot, &a.address).cmp(&preference(snapshot, &b.address))
            }
        })
    });
    judged
}

/// Sorts the better address first. The uplink's comes first because answers leave by it; then what
/// stays longest: permanent, the stable one of a SLAAC prefix, neither secondary nor temporary;
/// then by number, so that equals always stand in the same order.
fn preference<'a>(snapshot: &Snapshot, address: &'a HostAddress) -> impl Ord + use<'a> {
    let rtype = RecordType::of(address.address);
    let uplink = match rtype {
        RecordType::A => snapshot.default_v4,
        RecordType::Aaaa => snapshot.default_v6,
    };
    let flags = address.flags;
    (
        rtype,
        uplink != Some(address.interface),
        !flags.permanent,
        !flags.manage_temporary,
        flags.secondary || flags.temporary,
        address.address,
        address,
    )
}

fn default_exclusion(link: Option<&Interface>, rules: &AddressRules) -> Option<Refusal> {
    let link = link?;
    let named = || rules.include_interfaces.iter().any(|glob| !glob::is_catch_all(glob) && matches_link(glob, link));
    if !rules.exclude_defaults || named() {
        return None;
    }
    let what = if link.loopback {
        Some(&"loopback")
    } else {
        let by_name = EXCLUDED_NAMES.iter().find(|glob| matches_link(glob, link));
        by_name.or_else(|| EXCLUDED_KINDS.iter().find(|kind| link.kind.as_deref() == Some(kind)))
    };
    what.copied().map(Refusal::ExcludedByDefault)
}

fn interface_filter(link: Option<&Interface>, rules: &AddressRules) -> Option<Refusal> {
    let link = link?;
    if !rules.include_interfaces.iter().any(|glob| matches_link(glob, link)) {
        return Some(Refusal::NotIncluded);
    }
    rules.exclude_interfaces.iter().find(|glob| matches_link(glob, link)).cloned().map(Refusal::Excluded)
}

fn matches_link(pattern: &str, link: &Interface) -> bool {
    glob::matches(pattern, &link.name) || link.alternative_names.iter().any(|name| glob::matches(pattern, name))
}

/// What the kernel says against the address. A link that has gone is down.
fn unusable(link: Option<&Interface>, address: &HostAddress, rules: &AddressRules) -> Option<Refusal> {
    let flags = address.flags;
    if !link.is_some_and(|link| link.up) {
        Some(Refusal::LinkDown)
    } else if !link.is_some_and(|link| link.running) {
        Some(Refusal::LinkNotRunning)
    } else if address.scope != Scope::Universe {
        Some(Refusal::Scope(address.scope))
    } else if flags.dad_failed {
        Some(Refusal::DadFailed)
    } else if flags.tentative && !flags.optimistic {
        Some(Refusal::Tentative)
    } else if flags.deprecated {
        Some(Refusal::Deprecated)
    } else if flags.temporary && !rules.temporary {
        Some(Refusal::Temporary)
    } else {
        None
    }
}

fn denied(address: IpAddr, rules: &AddressRules) -> Option<Refusal> {
    rules.deny.iter().find(|block| block.contains(&address)).copied().map(Refusal::Denied)
}

fn wrong_class(address: IpAddr, rules: &AddressRules, wanted: AddressClass) -> Option<Refusal> {
    let fits = wanted.contains(address) || rules.allow.iter().any(|block| block.contains(&address));
    (!fits).then(|| Refusal::Class { wanted, block: registry::special_block(address) })
}
