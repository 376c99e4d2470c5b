//! The socket that listens.
//!
//! `rtnetlink`'s multicast connection decodes every notification and leaves out those that it
//! cannot decode, so that a change could go unseen; here nothing is decoded, so that nothing is left
//! out. It also joins the groups before a filter can be set, keeps a queue that only memory bounds,
//! and ends without telling the error that ended it.

use std::future::poll_fn;
use std::io;

use futures::FutureExt;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::RouteMessage;
use rtnetlink::MulticastGroup;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, TokioSocket};
use rustix::io::Errno;
use socket2::{SockFilter, SockRef};

use super::WatchError;

/// A socket that the kernel notifies of changes to links, addresses and default routes. Nothing is
/// ever sent on it.
pub(super) struct Subscription {
    socket: TokioSocket,
    buffer: Vec<u8>,
}

/// What a notification is about, as far as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An address has come, gone or changed.
    Address,
    /// The same of a link.
    Link,
    /// The same of a default route.
    Route,
    /// Something that is not known here.
    Other,
}

impl Kind {
    /// All of them, each at its own number.
    pub const ALL: [Kind; 4] = [Kind::Address, Kind::Link, Kind::Route, Kind::Other];

    /// The kind in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Address => "address",
            Kind::Link => "link",
            Kind::Route => "route",
            Kind::Other => "other",
        }
    }

    /// By the type in the message's header, which stands behind its length.
    fn of(message: &[u8]) -> Self {
        let Some([low, high]) = message.get(4..6) else { return Kind::Other };
        let found = u16::from_ne_bytes([*low, *high]);
        let address = [RouteNetlinkMessage::NewAddress, RouteNetlinkMessage::DelAddress]
            .map(|wrap| wrap(AddressMessage::default()).message_type());
        let link = [RouteNetlinkMessage::NewLink, RouteNetlinkMessage::DelLink]
            .map(|wrap| wrap(LinkMessage::default()).message_type());
        let route = [RouteNetlinkMessage::NewRoute, RouteNetlinkMessage::DelRoute]
            .map(|wrap| wrap(RouteMessage::default()).message_type());
        match found {
            _ if address.contains(&found) => Kind::Address,
            _ if link.contains(&found) => Kind::Link,
            _ if route.contains(&found) => Kind::Route,
            _ => Kind::Other,
        }
    }
}

/// What was waiting.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// Notifications of each [`Kind`].
    pub(super) events: [u64; Kind::ALL.len()],
    /// How often the kernel said that it had dropped some.
    pub(super) overruns: u64,
}

impl Subscription {
    /// Subscribes. Every change that the kernel makes from now on is notified of, or an overrun is.
    pub(super) fn open(receive_buffer_bytes: usize) -> Result<Self, WatchError> {
        Self::try_open(receive_buffer_bytes).map_err(|source| WatchError::Socket { action: "subscribe", source })
    }

    fn try_open(receive_buffer_bytes: usize) -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        let plain = socket.socket_mut();
        SockRef::from(&*plain).set_recv_buffer_size(receive_buffer_bytes)?;
        // Before the groups are joined: what has been queued is not filtered any more.
        SockRef::from(&*plain).attach_filter(&default_routes_only())?;
        plain.bind_auto()?;
        for group in GROUPS {
            plain.add_membership(group as u32)?;
        }
        Ok(Subscription { socket, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Waits for a notification, then takes all that are waiting with it.
    ///
    /// Cancel safe: what has been taken is returned without waiting again.
    pub(super) async fn next_burst(&mut self) -> Result<Burst, WatchError> {
        let mut burst = Burst::default();
        let mut next = Some(self.receive().await);
        while let Some(received) = next {
            match received {
                Ok(()) => burst.events[Kind::of(&self.buffer) as usize] += 1,
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => burst.overruns += 1,
                Err(source) => return Err(WatchError::Socket { action: "receive", source }),
            }
            next = self.receive().now_or_never();
        }
        Ok(burst)
    }

    /// One datagram, which is one notification; left in the buffer.
    async fn receive(&mut self) -> io::Result<()> {
        self.buffer.clear();
        poll_fn(|context| self.socket.poll_recv(context, &mut self.buffer)).await
    }
}

/// What does not fit is cut off, which is as well, as nobody looks beyond the header.
const BUFFER: usize = 4096;

/// Links too, because an address stays when its link loses its carrier, and an IPv4 address even
/// when the link is switched off. Routes too, because on a host with two uplinks the default route
/// decides which address comes first, and it can move without any other sign.
const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv6Route,
];

/// Lets the kernel drop the notifications of all routes but default routes (`rtm_dst_len` 0), so
/// that a host with the whole Internet's routes neither wakes us for each nor fills the buffer.
///
/// The filter sees the message from its header on, and reads numbers in network byte order.
fn default_routes_only() -> [SockFilter; 7] {
    let [new, deleted] = [RouteNetlinkMessage::NewRoute, RouteNetlinkMessage::DelRoute]
        .map(|message| u32::from(message(RouteMessage::default()).message_type().to_be()));
    [
        SockFilter::new(LOAD_U16, 0, 0, 4),
        SockFilter::new(JUMP_EQUAL, 1, 0, new),
        SockFilter::new(JUMP_EQUAL, 0, 2, deleted),
        SockFilter::new(LOAD_U8, 0, 0, 16 + 1),
        SockFilter::new(JUMP_EQUAL, 0, 1, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// `BPF_LD | BPF_H | BPF_ABS`
const LOAD_U16: u16 = 0x28;
/// `BPF_LD | BPF_B | BPF_ABS`
const LOAD_U8: u16 = 0x30;
/// `BPF_JMP | BPF_JEQ | BPF_K`
const JUMP_EQUAL: u16 = 0x15;
/// `BPF_RET | BPF_K`
const RETURN: u16 = 0x06;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_counted_by_its_type() {
        // The kernel's numbers (linux/rtnetlink.h), so that the library's are tested with the rest.
        for (number, kind) in [
            (16, Kind::Link),
            (17, Kind::Link),
            (20, Kind::Address),
            (21, Kind::Address),
            (24, Kind::Route),
            (25, Kind::Route),
            (18, Kind::Other),
            (28, Kind::Other),
        ] {
            let header = [&[32, 0, 0, 0], &u16::to_ne_bytes(number)[..], &[0; 10]].concat();
            assert_eq!(Kind::of(&header), kind, "{number}");
        }
        assert_eq!(Kind::of(&[16, 0]), Kind::Other);
        assert!(Kind::ALL.iter().enumerate().all(|(index, kind)| *kind as usize == index));
    }
}
