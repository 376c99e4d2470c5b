//! A port of one's own, on loopback.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A bound socket that never listens. As long as it is there nobody else is given its port, and connections
/// are refused whenever nobody listens at its address.
pub(crate) struct Port(TcpSocket);

impl Port {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        // A listener that says the same may be bound beside it.
        socket.set_reuseaddr(true).expect("a socket option");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        Port(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("bound")
    }
}
