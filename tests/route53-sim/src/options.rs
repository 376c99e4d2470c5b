//! What can be set while the simulator runs.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::iam::ChangeConditions;
use crate::model::Operation;
use crate::xsd::Order;

/// Whether something of which the live service's answer is unknown is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// The service is taken to accept it.
    Allow,
    /// The service is taken to refuse it.
    Reject,
}

/// How requests are limited.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Throttle {
    /// Not at all.
    Off,
    /// Five requests in any second, for the whole account (the limit documented until 2025).
    Legacy,
    /// A bucket of 50 tokens refilled at 10 a second for the account, and one for each operation; some operations
    /// have smaller ones (Developer Guide, "Throttling of API requests", 2026).
    TokenBucket,
    /// As [`Throttle::TokenBucket`] with another bucket for the account.
    Account {
        /// Tokens in the full bucket.
        burst: f64,
        /// Tokens a second.
        rate: f64,
    },
}

/// The settings of a simulator. [`Options::default`] is the service on a quiet day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Two geoproximity record sets of one name and type at the same location. Unknown of the service.
    pub geoproximity_duplicates: Switch,
    /// More than one value in a routed record set. The guide and the API reference disagree.
    pub multi_value: Switch,
    /// Whether a DELETE that omits the bias matches a stored bias of 0. Unknown of the service.
    pub delete_missing_bias_matches_zero: Switch,
    /// Answer InvalidChangeBatch with the root element that the model documents and the service no longer sends.
    pub legacy_error_root: bool,
    /// Refuse request bodies whose elements are not in the order of the schema. The API reference asks for the order;
    /// the service does not insist, or botocore and the Go SDK could not talk to it.
    pub strict_element_order: bool,
    /// How long a change stays PENDING.
    #[serde(rename = "insync_after_ms", with = "milliseconds")]
    pub insync_after: Duration,
    /// How long after an accepted change its zone answers PriorRequestNotComplete.
    #[serde(rename = "busy_for_ms", with = "milliseconds")]
    pub busy_for: Duration,
    /// The request-rate limit. Setting it to another model starts it with full buckets.
    pub throttle: Throttle,
    /// The second limit, on single changes over all changing operations. The service's numbers are not published.
    pub change_throughput: Option<Throughput>,
    /// Record sets on a page of ListResourceRecordSets, at most: 300, or fewer, as the service may. Health checks on a
    /// page of ListHealthChecks are no more, though the service gives up to 1000.
    pub page_size: usize,
    /// Record sets in a zone.
    pub max_record_sets: usize,
    /// Health checks in the account.
    pub max_health_checks: usize,
    /// Operations that the caller may not use.
    pub denied_operations: BTreeSet<Operation>,
    /// What the caller may do to record sets; anything, if absent.
    pub change_conditions: Option<ChangeConditions>,
    /// By how many seconds the service's clock is ahead of this host's. It shows in the `Date` of every answer, and a
    /// request that is signed more than five minutes off is refused.
    pub clock_offset_s: i64,
    /// Zones that belong to another account.
    pub foreign_zones: BTreeSet<String>,
    /// The account of the caller.
    pub account_id: String,
    /// The caller's ARN.
    pub caller_arn: String,
}

/// A limit on changes a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throughput {
    /// Changes in the full bucket.
    pub burst: f64,
    /// Changes a second.
    pub rate: f64,
}

impl Options {
    pub(crate) fn element_order(&self) -> Order {
        if self.strict_element_order { Order::Listed } else { Order::Any }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            geoproximity_duplicates: Switch::Allow,
            multi_value: Switch::Allow,
            delete_missing_bias_matches_zero: Switch::Reject,
            legacy_error_root: false,
            strict_element_order: false,
            insync_after: Duration::from_millis(50),
            busy_for: Duration::ZERO,
            throttle: Throttle::Off,
            change_throughput: None,
            page_size: 300,
            max_record_sets: 10_000,
            max_health_checks: 200,
            denied_operations: BTreeSet::new(),
            change_conditions: None,
            clock_offset_s: 0,
            foreign_zones: BTreeSet::new(),
            account_id: "123456789012".to_owned(),
            caller_arn: "arn:aws:iam::123456789012:user/simulated".to_owned(),
        }
    }
}

pub(crate) mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
