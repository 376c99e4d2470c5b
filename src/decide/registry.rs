//! The IANA special-purpose address registries (RFC 6890), and the two questions asked of them.
//!
//! The table is our own because no library answers both questions rightly; `tests/it/registry.rs`
//! compares every boundary of it with the registries' published file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// When both registries were last updated, as of this table.
pub const UPDATED: &str = "2025-10-09";

/// One row of a special-purpose registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// The address block.
    pub prefix: IpNet,
    /// IANA's name for it.
    pub name: &'static str,
    /// The column "Globally Reachable": `True`. `False`, `N/A` and blank are all not reachable.
    pub globally_reachable: bool,
}

/// The registry's row for an address: the longest prefix that contains it (RFC 6890 §2.2.1).
pub fn special_block(address: IpAddr) -> Option<&'static Block> {
    BLOCKS.iter().filter(|block| block.prefix.contains(&address)).max_by_key(|block| block.prefix.prefix_len())
}

/// Whether packets to the address can cross the Internet, as far as the registries know.
///
/// What they do not list is reachable when it can be unicast at all: IPv4 but for multicast
/// (224.0.0.0/4), IPv6 inside the one range that is handed out for it (2000::/3, RFC 4291 §2.4).
pub fn globally_reachable(address: IpAddr) -> bool {
    match (special_block(address), address) {
        (Some(block), _) => block.globally_reachable,
        (None, IpAddr::V4(address)) => !address.is_multicast(),
        (None, IpAddr::V6(address)) => GLOBAL_UNICAST.contains(&address),
    }
}

/// Whether the address is globally reachable and can be a host's own.
///
/// The special blocks that are globally reachable are anycast services (PCP, TURN, AS112, AMT),
/// translated IPv4 (NAT64) and identifiers (ORCHIDv2, drone ids): to publish one as the address
/// of a node would be wrong.
pub fn publishable(address: IpAddr) -> bool {
    special_block(address).is_none() && globally_reachable(address)
}

/// Both registries, row by row in IANA's order.
pub fn blocks() -> &'static [Block] {
    &BLOCKS
}

const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

const BLOCKS: [Block; 51] = [
    unreachable(v4(0, 0, 0, 0, 8), "This network"),
    unreachable(v4(0, 0, 0, 0, 32), "This host on this network"),
    unreachable(v4(10, 0, 0, 0, 8), "Private-Use"),
    unreachable(v4(100, 64, 0, 0, 10), "Shared Address Space"),
    unreachable(v4(127, 0, 0, 0, 8), "Loopback"),
    unreachable(v4(169, 254, 0, 0, 16), "Link Local"),
    unreachable(v4(172, 16, 0, 0, 12), "Private-Use"),
    unreachable(v4(192, 0, 0, 0, 24), "IETF Protocol Assignments"),
    unreachable(v4(192, 0, 0, 0, 29), "IPv4 Service Continuity Prefix"),
    unreachable(v4(192, 0, 0, 8, 32), "IPv4 dummy address"),
    reachable(v4(192, 0, 0, 9, 32), "Port Control Protocol Anycast"),
    reachable(v4(192, 0, 0, 10, 32), "Traversal Using Relays around NAT Anycast"),
    unreachable(v4(192, 0, 0, 170, 32), "NAT64/DNS64 Discovery"),
    unreachable(v4(192, 0, 0, 171, 32), "NAT64/DNS64 Discovery"),
    unreachable(v4(192, 0, 2, 0, 24), "Documentation (TEST-NET-1)"),
    reachable(v4(192, 31, 196, 0, 24), "AS112-v4"),
    reachable(v4(192, 52, 193, 0, 24), "AMT"),
    unreachable(v4(192, 88, 99, 0, 24), "Deprecated (6to4 Relay Anycast)"),
    unreachable(v4(192, 88, 99, 2, 32), "6a44-relay anycast address"),
    unreachable(v4(192, 168, 0, 0, 16), "Private-Use"),
    reachable(v4(192, 175, 48, 0, 24), "Direct Delegation AS112 Service"),
    unreachable(v4(198, 18, 0, 0, 15), "Benchmarking"),
    unreachable(v4(198, 51, 100, 0, 24), "Documentation (TEST-NET-2)"),
    unreachable(v4(203, 0, 113, 0, 24), "Documentation (TEST-NET-3)"),
    unreachable(v4(240, 0, 0, 0, 4), "Reserved"),
    unreachable(v4(255, 255, 255, 255, 32), "Limited Broadcast"),
    unreachable(v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "Loopback Address"),
    unreachable(v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "Unspecified Address"),
    unreachable(v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), "IPv4-mapped Address"),
    reachable(v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "IPv4-IPv6 Translat."),
    unreachable(v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "IPv4-IPv6 Translat."),
    unreachable(v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "Discard-Only Address Block"),
    unreachable(v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64), "Dummy IPv6 Prefix"),
    unreachable(v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "IETF Protocol Assignments"),
    unreachable(v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "TEREDO"),
    reachable(v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128), "Port Control Protocol Anycast"),
    reachable(v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128), "Traversal Using Relays around NAT Anycast"),
    reachable(v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128), "DNS-SD Service Registration Protocol Anycast"),
    unreachable(v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), "Benchmarking"),
    reachable(v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32), "AMT"),
    reachable(v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48), "AS112-v6"),
    unreachable(v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28), "Deprecated (previously ORCHID)"),
    reachable(v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), "ORCHIDv2"),
    reachable(v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28), "Drone Remote ID Protocol Entity Tags (DETs) Prefix"),
    unreachable(v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "Documentation"),
    unreachable(v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4"),
    reachable(v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), "Direct Delegation AS112 Service"),
    unreachable(v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "Documentation"),
    unreachable(v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), "Segment Routing (SRv6) SIDs"),
    unreachable(v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "Unique-Local"),
    unreachable(v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "Link-Local Unicast"),
];

const fn reachable(prefix: IpNet, name: &'static str) -> Block {
    Block { prefix, name, globally_reachable: true }
}

const fn unreachable(prefix: IpNet, name: &'static str) -> Block {
    Block { prefix, name, globally_reachable: false }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix_len: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_len))
}

const fn v6(s: [u16; 8], prefix_len: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), prefix_len))
}
