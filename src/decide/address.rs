//! The host's links and addresses, as one netlink dump shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// Everything the kernel says of links and addresses, read whole. Two equal snapshots mean that
/// nothing that matters has changed in between.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Links by their index.
    pub interfaces: BTreeMap<u32, Interface>,
    /// Every address of every link.
    pub addresses: BTreeSet<HostAddress>,
    /// The index of the link by which the kernel would send an IPv4 packet to the Internet: that
    /// of the default route, policy routing included. `None` without such a route. A preference
    /// among addresses, no more.
    pub default_v4: Option<u32>,
    /// The same for IPv6.
    pub default_v6: Option<u32>,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface {
    /// `IFLA_IFNAME`.
    pub name: String,
    /// `IFLA_ALT_IFNAME`.
    pub alternative_names: BTreeSet<String>,
    /// `IFLA_INFO_KIND`, e.g. `veth`, `wireguard`; `None` for hardware.
    pub kind: Option<String>,
    /// `IFF_UP`: switched on by the administrator.
    pub up: bool,
    /// `IFF_RUNNING`: the kernel holds it operational (also where it cannot tell, as with WireGuard).
    pub running: bool,
    /// `IFF_LOOPBACK`.
    pub loopback: bool,
}

/// One address on one link.
///
/// Lifetimes are left out on purpose: every router advertisement refreshes them, and whether they
/// have run out the kernel says with `deprecated` and by removing the address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostAddress {
    /// The link's index.
    pub interface: u32,
    /// The local address: `IFA_LOCAL` where there is one (on a point-to-point link `IFA_ADDRESS` is the peer's).
    pub address: IpAddr,
    /// The prefix length.
    pub prefix_len: u8,
    /// The kernel's scope.
    pub scope: Scope,
    /// The kernel's flags.
    pub flags: AddressFlags,
}

/// `ifa_scope`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `RT_SCOPE_UNIVERSE`: `ip` calls it global, which says nothing about reachability.
    Universe,
    /// `RT_SCOPE_SITE`.
    Site,
    /// `RT_SCOPE_LINK`.
    Link,
    /// `RT_SCOPE_HOST`.
    Host,
    /// `RT_SCOPE_NOWHERE`, or a number of the administrator's own.
    Other(u8),
}

/// The address flags that decide something (`IFA_F_*`, 32 bit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct AddressFlags {
    /// `IFA_F_TENTATIVE`: duplicate address detection has not finished.
    pub tentative: bool,
    /// `IFA_F_OPTIMISTIC`: usable while still tentative (RFC 4429).
    pub optimistic: bool,
    /// `IFA_F_DADFAILED`: another host has it; the kernel keeps listing it for ever.
    pub dad_failed: bool,
    /// `IFA_F_DEPRECATED`: the preferred lifetime has run out; not for new connections (RFC 4862).
    pub deprecated: bool,
    /// Bit 0x01 on an IPv6 address (`IFA_F_TEMPORARY`): a privacy address (RFC 8981).
    pub temporary: bool,
    /// Bit 0x01 on an IPv4 address (`IFA_F_SECONDARY`): not the subnet's first.
    pub secondary: bool,
    /// `IFA_F_PERMANENT`: no lifetime.
    pub permanent: bool,
    /// `IFA_F_MANAGETEMPADDR`: the stable address of a SLAAC prefix that also makes temporary ones.
    pub manage_temporary: bool,
}

impl fmt::Display for Scope {
    /// As `ip address` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Universe => f.write_str("global"),
            Scope::Site => f.write_str("site"),
            Scope::Link => f.write_str("link"),
            Scope::Host => f.write_str("host"),
            Scope::Other(number) => write!(f, "{number}"),
        }
    }
}
