//! Local checks of what the node serves.

use std::net::SocketAddr;
use std::time::Duration;

/// [`Probe::interval`] when the configuration does not say.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// [`Probe::timeout`] when the configuration does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// [`Probe::failures`] when the configuration does not say.
pub const DEFAULT_FAILURES: u32 = 3;

/// A check of what the node serves, made again and again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    /// What is asked, and what answer is good.
    pub check: ProbeCheck,
    /// From the start of one attempt to the start of the next.
    pub interval: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How many attempts in a row must fail before the probe has.
    pub failures: u32,
}

/// What a probe asks, and what answer is good.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeCheck {
    /// A TCP connection is accepted.
    Tcp(SocketAddr),
    /// An HTTP or HTTPS request is answered with a status of 200 to 399.
    Http(HttpProbe),
}

/// An HTTP or HTTPS request. The certificate is not verified, as Route 53's own health checks do
/// not: what is asked is whether the node serves, and the name it serves is not the address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpProbe {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Where to connect to.
    pub address: SocketAddr,
    /// The `Host` header, and the name that TLS asks for.
    pub host: String,
    /// The request target: path and query.
    pub path: String,
    /// What the beginning of the body must contain.
    pub contains: Option<String>,
}

/// What the attempts so far add up to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeOutcome {
    /// The last attempt succeeded, or too few have failed since.
    Passing,
    /// As many attempts in a row as it takes have failed; what went wrong with the last one.
    Failing(String),
}
