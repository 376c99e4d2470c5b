//! One attempt.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::failure::{Failure, Stage};
use super::{exchange, tls};
use crate::decide::probe::{Probe, ProbeCheck};

/// How long a server is given after its answer, so that the connection can be closed in order.
pub(super) const LINGER: Duration = Duration::from_millis(200);

/// When an attempt must be over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    timeout: Duration,
    deadline: Instant,
}

impl Limit {
    fn new(timeout: Duration) -> Self {
        Limit { timeout, deadline: Instant::now() + timeout }
    }

    /// What comes of `future`, unless the time is over first.
    pub(super) async fn keep<F: Future>(self, stage: Stage, future: F) -> Result<F::Output, Failure> {
        timeout_at(self.deadline, future).await.map_err(|_| Failure::TimedOut { stage, limit: self.timeout })
    }
}

/// Everything that one probe's attempts have in common.
pub(super) struct Attempts {
    address: SocketAddr,
    timeout: Duration,
    http: Option<Http>,
}

struct Http {
    request: Request<String>,
    contains: Option<String>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Attempts {
    /// # Errors
    /// When the request cannot be put at all.
    pub(super) fn new(probe: &Probe) -> Result<Self, Failure> {
        let http = match &probe.check {
            ProbeCheck::Tcp(_) => None,
            ProbeCheck::Http(http) => {
                let connector = http.tls.then(tls::connector).transpose();
                let connector = connector.map_err(|error| Failure::Unaskable(error.to_string()))?;
                let name = || tls::server_name(&http.host, http.address.ip());
                Some(Http {
                    request: exchange::request(http)?,
                    contains: http.contains.clone(),
                    tls: connector.map(|connector| (connector, name())),
                })
            }
        };
        Ok(Attempts { address: probe.check.address(), timeout: probe.timeout, http })
    }

    /// One attempt, which takes no longer than the timeout and [`LINGER`].
    pub(super) async fn make(&self) -> Result<(), Failure> {
        let limit = Limit::new(self.timeout);
        let connection = limit.keep(Stage::Connection, TcpStream::connect(self.address)).await?;
        let stream = connection.map_err(|error| Failure::of_connect(&error))?;
        if is_its_own_peer(&stream) {
            return Err(Failure::Refused);
        }
        let Some(http) = &self.http else {
            part(stream).await;
            return Ok(());
        };
        let (request, contains) = (http.request.clone(), http.contains.as_deref());
        let Some((connector, name)) = &http.tls else {
            return exchange::ask(stream, request, contains, limit).await;
        };
        let handshake = connector.connect(name.clone(), stream);
        let stream = limit.keep(Stage::Handshake, handshake).await?.map_err(|error| Failure::of_io(&error))?;
        exchange::ask(stream, request, contains, limit).await
    }
}

/// Where nobody listens on a port of the range that outgoing connections take theirs from, one in
/// some thirty thousand attempts gets that very port and is connected to itself.
fn is_its_own_peer(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}

/// Closes a connection in order. With something unread, as a server's greeting, that would be a
/// reset, which many servers write to their log.
async fn part(mut stream: TcpStream) {
    const LONGEST_GREETING: u64 = 64 * 1024;
    let parting = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(LONGEST_GREETING), &mut tokio::io::sink()).await
    };
    // However that ends, the connection was accepted.
    let _ = timeout(LINGER, parting).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    #[tokio::test]
    async fn a_connection_to_itself_is_noticed() {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let address = socket.local_addr().expect("an address");
        let stream = socket.connect(address).await.expect("the kernel allows it");
        assert!(is_its_own_peer(&stream));

        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a listener");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        assert!(!is_its_own_peer(&stream));
    }
}
