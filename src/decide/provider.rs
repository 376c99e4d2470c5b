//! What a DNS provider answers, in our words.

use std::fmt;

/// The id of a submitted change, without `/change/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeId(pub String);

/// How far a submitted change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeStatus {
    /// Accepted, on its way to the authoritative servers.
    Pending,
    /// On every authoritative server. Resolvers may still hold the old answer for a TTL.
    InSync,
}

/// Why a request did not bring what was asked. Never fatal: the caller backs off and tries again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// What it means for the caller.
    pub kind: ErrorKind,
    /// The service's own code, e.g. `Throttling`; `None` when no answer came.
    pub code: Option<String>,
    /// The service's or the connector's words, without secrets.
    pub message: String,
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ProviderError {}

/// What an error means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The account's request rate is used up.
    Throttled,
    /// The zone is still working on a prior request (`PriorRequestNotComplete`).
    Busy,
    /// The identity may not do this.
    Denied,
    /// No credentials, or expired ones.
    Credentials,
    /// The hosted zone does not exist, or none matches.
    NoSuchZone,
    /// The batch was refused for what it says; nothing was changed.
    Refused,
    /// The service failed, or could not be reached, before it took the request.
    Unavailable,
    /// No answer to a request that may have been carried out: could not confirm.
    Unconfirmed,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [ErrorKind; 8] = [
        ErrorKind::Throttled,
        ErrorKind::Busy,
        ErrorKind::Denied,
        ErrorKind::Credentials,
        ErrorKind::NoSuchZone,
        ErrorKind::Refused,
        ErrorKind::Unavailable,
        ErrorKind::Unconfirmed,
    ];

    /// The kind in snake case, for logs, metrics and `--output json`.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Throttled => "throttled",
            ErrorKind::Busy => "busy",
            ErrorKind::Denied => "denied",
            ErrorKind::Credentials => "credentials",
            ErrorKind::NoSuchZone => "no_such_zone",
            ErrorKind::Refused => "refused",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Unconfirmed => "unconfirmed",
        }
    }
}
