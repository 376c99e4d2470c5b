//! Local checks of what the node serves.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::decide::policy::{Policy, Signal, SignalAction};

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

impl ProbeCheck {
    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        match self {
            ProbeCheck::Tcp(address) => *address,
            ProbeCheck::Http(http) => http.address,
        }
    }
}

impl fmt::Display for ProbeCheck {
    /// `tcp 127.0.0.1:443`, or `https://127.0.0.1:443/healthz` and the host where that is another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProbeCheck::Tcp(address) => write!(f, "tcp {address}"),
            ProbeCheck::Http(HttpProbe { tls, address, host, path, contains: _ }) => {
                write!(f, "{}://{address}{path}", if *tls { "https" } else { "http" })?;
                let same = *host == address.to_string() || *host == address.ip().to_string();
                if same { Ok(()) } else { write!(f, " as {host}") }
            }
        }
    }
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

/// The probes that something depends on: one that a record ignores decides nothing there.
pub fn wanted(policy: &Policy) -> BTreeSet<Probe> {
    let counting = policy.records.iter().filter(|record| {
        let signal = record.signals.get(&Signal::ProbeFailed).copied();
        signal.unwrap_or_else(|| Signal::ProbeFailed.default_policy()).action == SignalAction::Withdraw
    });
    counting.filter_map(|record| record.probe.clone()).collect()
}
