//! What to ask the kernel, and how to read its answers.
//!
//! Only the attributes that matter are looked at, by their numbers in the kernel's own headers: a
//! decoder of everything would drop a whole message, and with it an address, for one attribute that
//! a newer kernel or an unusual driver writes differently.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{DecodeError, NlaBuffer, NlasIterator};

use super::WatchError;
use super::request::{Question, Requester};
use crate::decide::address::{AddressFlags, HostAddress, Interface, Scope, Snapshot};

/// Reads everything, on a socket of its own: nothing that an earlier reading left behind can be
/// taken for an answer.
pub(super) async fn snapshot() -> Result<Snapshot, WatchError> {
    let mut requester = Requester::open()?;
    let addresses = requester.all(ADDRESSES, &[0; ADDRESS_HEADER], read_address).await?;
    let interfaces = requester.all(LINKS, &every_link(), read_link).await?;
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
    match requester.one(ROUTE, &route_to(destination), read_route).await {
        Ok(link) => Ok(link.flatten()),
        // Whatever the kernel's words for it (unreachable, prohibited, no IPv6 at all), there is no
        // way; unless it could not even look.
        Err(WatchError::Refused { source, .. }) if !matches!(source.raw_os_error(), Some(ENOMEM | ENOBUFS)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Any address would do that is reached by the default route and by nothing more specific. These
/// are well known and in nobody's own network.
const INTERNET_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1));
const INTERNET_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111));

// linux/rtnetlink.h
const LINKS: Question = Question { what: "links", request: 18, reply: 16 };
const ADDRESSES: Question = Question { what: "addresses", request: 22, reply: 20 };
const ROUTE: Question = Question { what: "the default route", request: 26, reply: 24 };
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const ROUTE_HEADER: usize = 12;

// linux/if_link.h, linux/if.h
const LINK_HEADER: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_EXT_MASK: u16 = 29;
const RTEXT_FILTER_SKIP_STATS: u32 = 8;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;
const IFF_RUNNING: u32 = 0x40;

// linux/if_addr.h
const ADDRESS_HEADER: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_F_SECONDARY: u32 = 0x01;
const IFA_F_OPTIMISTIC: u32 = 0x04;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_DEPRECATED: u32 = 0x20;
const IFA_F_TENTATIVE: u32 = 0x40;
const IFA_F_PERMANENT: u32 = 0x80;
const IFA_F_MANAGETEMPADDR: u32 = 0x100;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const ENOMEM: i32 = 12;
const ENOBUFS: i32 = 105;

fn every_link() -> Vec<u8> {
    let mut body = vec![0; LINK_HEADER];
    // Traffic counters are half of each message, and nobody here counts.
    push_attribute(&mut body, IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
    body
}

fn route_to(destination: IpAddr) -> Vec<u8> {
    let mut body = vec![0; ROUTE_HEADER];
    match destination {
        IpAddr::V4(address) => {
            body[..2].copy_from_slice(&[AF_INET, 32]);
            push_attribute(&mut body, RTA_DST, &address.octets());
        }
        IpAddr::V6(address) => {
            body[..2].copy_from_slice(&[AF_INET6, 128]);
            push_attribute(&mut body, RTA_DST, &address.octets());
        }
    }
    body
}

/// Appends an attribute whose value's length is a multiple of four.
fn push_attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
}

/// `ifaddrmsg` and its attributes. `None` for other families than IP.
fn read_address(payload: &[u8]) -> Result<Option<HostAddress>, DecodeError> {
    let (header, attributes) = split::<ADDRESS_HEADER>(payload)?;
    let [family, prefix_len, old_flags, scope, index @ ..] = *header;
    if family != AF_INET && family != AF_INET6 {
        return Ok(None);
    }
    let mut address = None;
    let mut local = None;
    let mut bits = u32::from(old_flags);
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        match attribute.kind() {
            IFA_ADDRESS => address = Some(read_ip(attribute.value())?),
            IFA_LOCAL => local = Some(read_ip(attribute.value())?),
            // The header has room for eight flags only.
            IFA_FLAGS => bits = read_u32(attribute.value())?,
            _ => {}
        }
    }
    // On a point-to-point link `IFA_ADDRESS` is the other end.
    let address = local.or(address).ok_or_else(|| DecodeError::from("an entry has no address"))?;
    let has = |flag| bits & flag != 0;
    let v6 = family == AF_INET6;
    Ok(Some(HostAddress {
        interface: u32::from_ne_bytes(index),
        address,
        prefix_len,
        scope: match scope {
            0 => Scope::Universe,
            200 => Scope::Site,
            253 => Scope::Link,
            254 => Scope::Host,
            other => Scope::Other(other),
        },
        flags: AddressFlags {
            tentative: has(IFA_F_TENTATIVE),
            optimistic: has(IFA_F_OPTIMISTIC),
            dad_failed: has(IFA_F_DADFAILED),
            deprecated: has(IFA_F_DEPRECATED),
            // One bit, two meanings: `IFA_F_TEMPORARY` is `IFA_F_SECONDARY`.
            temporary: v6 && has(IFA_F_SECONDARY),
            secondary: !v6 && has(IFA_F_SECONDARY),
            permanent: has(IFA_F_PERMANENT),
            manage_temporary: has(IFA_F_MANAGETEMPADDR),
        },
    }))
}

/// `ifinfomsg` and its attributes: the link's index and the link.
fn read_link(payload: &[u8]) -> Result<Option<(u32, Interface)>, DecodeError> {
    let (header, attributes) = split::<LINK_HEADER>(payload)?;
    let index = read_u32(&header[4..8])?;
    let flags = read_u32(&header[8..12])?;
    let mut name = None;
    let mut kind = None;
    let mut alternative_names = BTreeSet::new();
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        match attribute.kind() {
            IFLA_IFNAME => name = Some(read_text(attribute.value())),
            IFLA_PROP_LIST => alternative_names.extend(read_texts(attribute.value(), IFLA_ALT_IFNAME)?),
            IFLA_LINKINFO => kind = read_texts(attribute.value(), IFLA_INFO_KIND)?.pop(),
            _ => {}
        }
    }
    let link = Interface {
        name: name.ok_or_else(|| DecodeError::from("a link has no name"))?,
        alternative_names,
        kind,
        up: flags & IFF_UP != 0,
        running: flags & IFF_RUNNING != 0,
        loopback: flags & IFF_LOOPBACK != 0,
    };
    Ok(Some((index, link)))
}

/// `rtmsg` and its attributes: the outgoing link, where the route has one.
fn read_route(payload: &[u8]) -> Result<Option<Option<u32>>, DecodeError> {
    let (_, attributes) = split::<ROUTE_HEADER>(payload)?;
    let mut link = None;
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        if attribute.kind() == RTA_OIF {
            link = Some(read_u32(attribute.value())?);
        }
    }
    Ok(Some(link))
}

fn split<const N: usize>(payload: &[u8]) -> Result<(&[u8; N], &[u8]), DecodeError> {
    payload.split_first_chunk().ok_or_else(|| DecodeError::from("an entry is cut short"))
}

fn read_u32(value: &[u8]) -> Result<u32, DecodeError> {
    value.try_into().map(u32::from_ne_bytes).map_err(|_| DecodeError::from("a number has not four bytes"))
}

fn read_ip(value: &[u8]) -> Result<IpAddr, DecodeError> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        Ok(octets.into())
    } else if let Ok(octets) = <[u8; 16]>::try_from(value) {
        Ok(octets.into())
    } else {
        Err(DecodeError::from("an address has neither four nor sixteen bytes"))
    }
}

/// Text up to its NUL. A name may be any bytes; what is not UTF-8 is replaced, not refused.
fn read_text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// The texts of one kind within a nested attribute.
fn read_texts(value: &[u8], kind: u16) -> Result<Vec<String>, DecodeError> {
    NlasIterator::new(value)
        .filter(|attribute: &Result<NlaBuffer<&[u8]>, _>| attribute.as_ref().map_or(true, |a| a.kind() == kind))
        .map(|attribute| attribute.map(|attribute| read_text(attribute.value())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
