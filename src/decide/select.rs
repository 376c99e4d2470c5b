//! The host's addresses → the addresses that may be published, and why the rest may not.

use ipnet::IpNet;

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
    /// Any unicast address.
    Any,
}

/// Which of the host's addresses may be published at all: the `[addresses]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRules {
    /// Globs over interface names and alternative names; one must match.
    pub include_interfaces: Vec<String>,
    /// Globs none of which may match.
    pub exclude_interfaces: Vec<String>,
    /// Whether the built-in exclusions (container, VPN and similar interfaces) apply too.
    pub exclude_defaults: bool,
    /// Published though their class is not asked for.
    pub allow: Vec<IpNet>,
    /// Never published.
    pub deny: Vec<IpNet>,
    /// Whether temporary IPv6 addresses (RFC 8981) may be published.
    pub temporary: bool,
}
