//! What to ask the kernel, and how to read its answers.
//!
//! Of each message, the header and only the attributes that matter are read. The parsers of whole
//! messages in `netlink-packet-route` would refuse one, and with it an address, for an attribute
//! that does not matter: a label that is not UTF-8, what a driver or a newer kernel writes
//! differently, a route's encapsulation.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::address::{
    AddressAttribute, AddressFlags as Flag, AddressHeader, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkInfo, LinkMessage, Prop,
};
use netlink_packet_route::route::{RouteAttribute, RouteHeader, RouteMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::packet_core::{DecodeError, Emitable, NLA_TYPE_MASK, Nla, NlaBuffer, NlasIterator, parse_ip, parse_u32};
use rustix::io::Errno;

use super::WatchError;
use super::request::{Question, Requester};
use crate::decide::address::{AddressFlags, HostAddress, Interface, Scope, Snapshot};

/// Reads everything, on a socket of its own: nothing that an earlier reading left behind can be
/// taken for an answer.
pub(super) async fn snapshot() -> Result<Snapshot, WatchError> {
    let mut requester = Requester::open()?;
    let addresses = requester.all(&every_address(), read_address).await?;
    let interfaces = requester.all(&every_link(), read_link).await?;
    let mut snapshot = Snapshot {
        interfaces: interfaces.into_iter().collect(),
        addresses: addresses.into_iter().collect(),
        default_v4: way_to(&mut requester, INTERNET_V4).await?,
        default_v6: way_to(&mut requester, INTERNET_V6).await?,
    };
    // A link that went in between has taken its addresses with it.
    snapshot.addresses.retain(|address| snapshot.interfaces.contains_key(&address.interface));
    Ok(snapshot)
}

/// The link by which the kernel would send to the address. One look-up, where a list of all routes
/// could be a million entries long; it sends no packet.
async fn way_to(requester: &mut Requester, destination: IpAddr) -> Result<Option<u32>, WatchError> {
    match requester.one(&route_to(destination), read_route).await {
        Ok(link) => Ok(link.flatten()),
        // Whatever the kernel's words for it (unreachable, prohibited, no IPv6 at all), there is no
        // way; unless it could not even look.
        Err(WatchError::Refused { source, .. })
            if !matches!(Errno::from_io_error(&source), Some(Errno::NOMEM | Errno::NOBUFS)) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Any address would do that is reached by the default route and by nothing more specific. These
/// are well known and in nobody's own network.
const INTERNET_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1));
const INTERNET_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111));

fn every_address() -> Question {
    Question {
        what: "addresses",
        request: RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        reply: RouteNetlinkMessage::NewAddress(AddressMessage::default()).message_type(),
    }
}

fn every_link() -> Question {
    let mut message = LinkMessage::default();
    // Traffic counters are half of each message, and nobody here counts.
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    Question {
        what: "links",
        request: RouteNetlinkMessage::GetLink(message),
        reply: RouteNetlinkMessage::NewLink(LinkMessage::default()).message_type(),
    }
}

fn route_to(destination: IpAddr) -> Question {
    let mut message = RouteMessage::default();
    (message.header.address_family, message.header.destination_prefix_length) = match destination {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    message.attributes.push(RouteAttribute::Destination(destination.into()));
    Question {
        what: "the default route",
        request: RouteNetlinkMessage::GetRoute(message),
        reply: RouteNetlinkMessage::NewRoute(RouteMessage::default()).message_type(),
    }
}

/// `None` for other families than IP.
fn read_address(payload: &[u8]) -> Result<Option<HostAddress>, DecodeError> {
    let header = AddressHeader::parse(payload)?;
    let v6 = match header.family {
        AddressFamily::Inet => false,
        AddressFamily::Inet6 => true,
        _ => return Ok(None),
    };
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let [local, address, flags] = attributes(
        &payload[header.buffer_len()..],
        [AddressAttribute::Local(any), AddressAttribute::Address(any), AddressAttribute::Flags(Flag::empty())],
    )?;
    // On a point-to-point link `IFA_ADDRESS` is the other end.
    let address = local.or(address).ok_or_else(|| DecodeError::from("an entry has no address"))?;
    // The header has room for eight flags only.
    let flags = match flags {
        Some(wide) => parse_u32(wide.value())?,
        None => header.flags.bits().into(),
    };
    let flags = Flag::from_bits_retain(flags);
    Ok(Some(HostAddress {
        interface: header.index,
        address: parse_ip(address.value())?,
        prefix_len: header.prefix_len,
        scope: match header.scope {
            AddressScope::Universe => Scope::Universe,
            AddressScope::Site => Scope::Site,
            AddressScope::Link => Scope::Link,
            AddressScope::Host => Scope::Host,
            other => Scope::Other(other.into()),
        },
        flags: AddressFlags {
            tentative: flags.contains(Flag::Tentative),
            optimistic: flags.contains(Flag::Optimistic),
            dad_failed: flags.contains(Flag::Dadfailed),
            deprecated: flags.contains(Flag::Deprecated),
            // One bit, two meanings: `IFA_F_TEMPORARY` is `IFA_F_SECONDARY`.
            temporary: v6 && flags.contains(Flag::Secondary),
            secondary: !v6 && flags.contains(Flag::Secondary),
            permanent: flags.contains(Flag::Permanent),
            manage_temporary: flags.contains(Flag::Managetempaddr),
        },
    }))
}

/// The link's index and the link.
fn read_link(payload: &[u8]) -> Result<Option<(u32, Interface)>, DecodeError> {
    let header = LinkHeader::parse(payload)?;
    let [name, info, properties] = attributes(
        &payload[header.buffer_len()..],
        [LinkAttribute::IfName(String::new()), LinkAttribute::LinkInfo(vec![]), LinkAttribute::PropList(vec![])],
    )?;
    let kind = match info {
        Some(info) => attributes(info.value(), [LinkInfo::Kind(InfoKind::Dummy)])?[0].map(read_text),
        None => None,
    };
    let mut alternative_names = BTreeSet::new();
    if let Some(properties) = properties {
        let alternative_name = Prop::AltIfName(String::new()).kind();
        for property in NlasIterator::new(properties.value()) {
            let property = property?;
            if property.kind() == alternative_name {
                alternative_names.insert(read_text(property));
            }
        }
    }
    let link = Interface {
        name: name.map(read_text).ok_or_else(|| DecodeError::from("a link has no name"))?,
        alternative_names,
        kind,
        up: header.flags.contains(LinkFlags::Up),
        running: header.flags.contains(LinkFlags::Running),
        loopback: header.flags.contains(LinkFlags::Loopback),
    };
    Ok(Some((header.index, link)))
}

/// The outgoing link, where the route has one.
fn read_route(payload: &[u8]) -> Result<Option<Option<u32>>, DecodeError> {
    let header = RouteHeader::parse(payload)?;
    let [link] = attributes(&payload[header.buffer_len()..], [RouteAttribute::Oif(0)])?;
    link.map(|link| parse_u32(link.value())).transpose().map(Some)
}

type Attribute<'a> = NlaBuffer<&'a [u8]>;

/// For each sample the attribute of the same kind, where there is one. What the samples hold is of
/// no matter: they stand for the kernel's numbers, which the library keeps to itself.
fn attributes<T: Nla, const N: usize>(
    bytes: &[u8],
    samples: [T; N],
) -> Result<[Option<Attribute<'_>>; N], DecodeError> {
    let kinds = samples.map(|sample| sample.kind() & NLA_TYPE_MASK);
    let mut found = [None; N];
    for attribute in NlasIterator::new(bytes) {
        let attribute = attribute?;
        if let Some(place) = kinds.iter().position(|kind| *kind == attribute.kind()) {
            found[place] = Some(attribute);
        }
    }
    Ok(found)
}

/// Text up to its NUL. A name may be any bytes; what is not UTF-8 is replaced, not refused.
fn read_text(attribute: Attribute) -> String {
    let value = attribute.value();
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The kernel's numbers (linux/if_addr.h, linux/if_link.h, linux/if.h, linux/rtnetlink.h), so
    // that the library's are tested with the rest.
    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_FLAGS: u16 = 8;
    const IFLA_IFNAME: u16 = 3;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_PROP_LIST: u16 = 52;
    const IFLA_ALT_IFNAME: u16 = 53;
    const IFF_UP: u32 = 0x1;
    const IFF_RUNNING: u32 = 0x40;
    const RTA_OIF: u16 = 4;
    const ROUTE_HEADER: usize = 12;

    fn message(header: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = header.to_vec();
        for (kind, value) in attributes {
            bytes.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(*value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    fn address_header(family: u8, flags: u8) -> Vec<u8> {
        [[family, 24, flags, 0], 7u32.to_ne_bytes()].concat()
    }

    fn link_header(flags: u32) -> Vec<u8> {
        [[0; 4], 7u32.to_ne_bytes(), flags.to_ne_bytes(), [0; 4]].concat()
    }

    #[test]
    fn the_wide_flags_win_over_the_narrow_ones() {
        let narrow = message(&address_header(AF_INET, 0x80), &[(IFA_ADDRESS, &[11, 0, 0, 1])]);
        let entry = read_address(&narrow).unwrap().unwrap();
        assert_eq!((entry.interface, entry.address), (7, IpAddr::from([11, 0, 0, 1])));
        assert_eq!(entry.flags, AddressFlags { permanent: true, ..AddressFlags::default() });

        let wide = 0x101u32.to_ne_bytes();
        let attributes: [(u16, &[u8]); 2] = [(IFA_ADDRESS, &[0x26; 16]), (IFA_FLAGS, &wide)];
        let entry = read_address(&message(&address_header(AF_INET6, 0x80), &attributes)).unwrap().unwrap();
        assert_eq!(entry.flags, AddressFlags { temporary: true, manage_temporary: true, ..AddressFlags::default() });
    }

    #[test]
    fn an_address_of_another_family_is_passed_over() {
        const AF_MCTP: u8 = 45;
        assert_eq!(read_address(&message(&address_header(AF_MCTP, 0), &[(IFA_LOCAL, &[8])])).unwrap(), None);
    }

    #[test]
    fn what_does_not_matter_may_be_anything() {
        let attributes: [(u16, &[u8]); 5] = [
            (IFLA_IFNAME, b"eth0\0"),
            (23, &[1, 2, 3]),
            (0x7fff, &[]),
            (IFLA_LINKINFO | 0x8000, &message(&[], &[(2, &[9; 3]), (IFLA_INFO_KIND, b"vlan\0")])),
            (IFLA_PROP_LIST | 0x8000, &message(&[], &[(IFLA_ALT_IFNAME, b"uplink\0"), (IFLA_ALT_IFNAME, b"\xff\0")])),
        ];
        let (index, link) = read_link(&message(&link_header(IFF_UP | IFF_RUNNING), &attributes)).unwrap().unwrap();
        assert_eq!((index, link.name.as_str(), link.kind.as_deref()), (7, "eth0", Some("vlan")));
        assert_eq!(link.alternative_names, BTreeSet::from(["uplink".to_owned(), "\u{fffd}".to_owned()]));
        assert!(link.up && link.running && !link.loopback);
    }

    #[test]
    fn what_matters_must_be_there_and_whole() {
        assert!(read_address(&address_header(AF_INET, 0)[..6]).is_err());
        assert!(read_address(&message(&address_header(AF_INET, 0), &[])).is_err());
        assert!(read_address(&message(&address_header(AF_INET, 0), &[(IFA_LOCAL, &[1, 2, 3])])).is_err());
        let cut = message(&address_header(AF_INET, 0), &[(IFA_LOCAL, &[11, 0, 0, 1])]);
        assert!(read_address(&cut[..cut.len() - 2]).is_err());
        assert!(read_link(&message(&link_header(0), &[])).is_err());
        assert!(read_route(&message(&[0; ROUTE_HEADER], &[(RTA_OIF, &[1])])).is_err());
        assert_eq!(read_route(&[0; ROUTE_HEADER]).unwrap(), Some(None));
    }
}
