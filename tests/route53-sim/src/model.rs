//! The words of the API as values: record sets, changes, operations, errors.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::record_set::{AliasTarget, CidrRouting, Coordinates, GeoLocation, GeoProximity, Policy, RecordSet};

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are those of the API")]
pub enum Action {
    Create,
    Delete,
    Upsert,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "CREATE",
            Self::Delete => "DELETE",
            Self::Upsert => "UPSERT",
        })
    }
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What to do.
    pub action: Action,
    /// With which record set, as it was sent.
    pub record_set: RecordSet,
}

/// The body of a ChangeResourceRecordSets request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChangeBatch {
    /// Echoed in the answer.
    pub comment: Option<String>,
    /// In the order they are to be applied.
    pub changes: Vec<Change>,
}

/// A refusal as the service words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// `InvalidChangeBatch`, `Throttling`, ...
    pub code: String,
    /// The text of `<Message>`.
    pub message: String,
}

impl ApiError {
    /// A refusal with a status of its own.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// A structural refusal of the whole request.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidInput", message)
    }

    /// All messages of a batch, in the one bracketed text the service sends.
    #[must_use]
    pub fn invalid_change_batch(messages: &[String]) -> Self {
        Self::new(400, "InvalidChangeBatch", format!("[{}]", messages.join(", ")))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.message)
    }
}

impl std::error::Error for ApiError {}

macro_rules! operations {
    ($($name:ident),* $(,)?) => {
        /// Every operation the simulator answers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "the names are those of the API")]
        pub enum Operation {
            $($name,)*
            /// A request to no operation that the simulator knows.
            Unknown,
        }

        impl Operation {
            /// The name of the operation.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Unknown => "Unknown",
                }
            }
        }
    };
}

operations! {
    ListHostedZones,
    ListHostedZonesByName,
    GetHostedZone,
    CreateHostedZone,
    DeleteHostedZone,
    GetHostedZoneCount,
    GetHostedZoneLimit,
    GetAccountLimit,
    ListResourceRecordSets,
    ChangeResourceRecordSets,
    GetChange,
    CreateHealthCheck,
    GetHealthCheck,
    ListHealthChecks,
    UpdateHealthCheck,
    DeleteHealthCheck,
    GetHealthCheckStatus,
    GetHealthCheckLastFailureReason,
    GetHealthCheckCount,
    ChangeTagsForResource,
    ListTagsForResource,
    ListTagsForResources,
    GetCheckerIpRanges,
    GetCallerIdentity,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
