//! The `[[record]]` tables of the file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RawRecordSignals;
use super::health_check::RawHealthCheck;
use super::word::words;

words!(PolicyName, Role, RecordType, Class, Addresses);

/// One `[[record]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
#[schemars(extend("required" = ["name"]))]
pub struct RawRecord {
    /// The domain name. `{node}` and `{cluster}` stand for the node's and the cluster's name. A
    /// leading `*.` is a wildcard. Required.
    #[schemars(example = &"edge.example.com")]
    pub name: Option<String>,

    /// The id of the hosted zone that holds the name. Recommended: the identity then needs no
    /// right to list hosted zones.
    #[schemars(example = &"Z0123456789ABC")]
    pub zone_id: Option<String>,

    /// The name of the hosted zone, in place of `zone_id`. Without either, the hosted zone with
    /// the longest name that contains the record's is used.
    #[schemars(example = &"example.com")]
    pub zone: Option<String>,

    /// Whether the private or the public hosted zone is meant, where `zone_id` does not say.
    pub private: bool,

    /// The record types to publish: `A` for IPv4, `AAAA` for IPv6.
    pub types: Vec<RecordType>,

    /// Which addresses are fit: `"global"` (globally reachable, by the IANA registries),
    /// `"private"` (RFC 1918, and unique local IPv6), `"shared"` (100.64.0.0/10, which mesh VPNs
    /// use) or `"any"`.
    pub class: Class,

    /// The time to live in seconds. All record sets of one weighted name have one TTL; where the
    /// name already has another, that is kept and the difference reported.
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub ttl: i64,

    /// The fewest record sets that a withdrawal may leave at the name, over all nodes. 0 lets the
    /// last one go.
    #[schemars(range(min = 0, max = 100))]
    pub keep_min: i64,

    /// Which of the fit addresses are published: `"first"`, one address, as Route 53 asks of
    /// record sets with a routing policy, or `"all"`.
    pub addresses: Addresses,

    /// Addresses to publish in place of the host's own of the same type, e.g. the public side of a
    /// one-to-one NAT.
    #[schemars(example = ["203.0.113.7"])]
    pub static_addresses: Vec<String>,

    /// The id of an existing Route 53 health check to attach to the record set.
    #[schemars(example = &"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")]
    pub health_check_id: Option<String>,

    /// A Route 53 health check of the address, in place of `health_check_id`: created, attached,
    /// replaced when the address changes, and deleted by nodedns. It takes a node that has lost
    /// power or its network out of DNS without anybody's help. `type` is `tcp` (with `port`),
    /// `http` or `https` (with `port`, `path`, `host` and `search`); `interval` and
    /// `failure_threshold` say how soon. For example
    /// `health_check = { type = "https", port = 443, path = "/healthz" }`.
    ///
    /// It costs money, for each record set: $0.75 a month for an address outside AWS ($0.50
    /// inside), and $2.00 ($1.00) more for each of HTTPS, `search` and an interval of `"10s"`; so
    /// `https` every 10 seconds, on one node, for A and AAAA, is $9.50 a month. An account has 200
    /// health checks unless that is raised. The firewall has to let the checkers in
    /// (`ROUTE53_HEALTHCHECKS` in AWS's ip-ranges.json). Only for addresses that are globally
    /// reachable, and not with `addresses = "all"`. As long as the health check cannot be had, the
    /// record set is published without it. Keep `ttl` at 60 or less. The account's health checks are
    /// listed at every `resync`.
    #[schemars(example = RawHealthCheck::example())]
    pub health_check: Option<RawHealthCheck>,

    /// The routing policy, one for all record sets of the name. `policy` is one of `weighted`
    /// (with `weight`), `geoproximity` (with `coordinates`, `region` or `local_zone_group`, and
    /// `bias`), `latency` (with `region`), `geolocation` (with `continent`, or `country` and
    /// perhaps `subdivision`), `failover` (with `role`) and `multivalue`. For example
    /// `routing = { policy = "geoproximity", coordinates = "50.11,8.68" }`. Annotations of the Node
    /// go before `weight`, `bias` and where a `geoproximity` node is, see ANNOTATIONS in
    /// nodedns.toml(5).
    pub routing: RawRouting,

    /// What takes this record out of DNS, where it differs from `[signals]`; what is left out is
    /// taken from there. For example `signals = { cordoned = "ignore" }` for a name that stays up
    /// during maintenance.
    pub signals: RawRecordSignals,
}

impl Default for RawRecord {
    fn default() -> Self {
        RawRecord {
            name: None,
            zone_id: None,
            zone: None,
            private: false,
            types: vec![RecordType::A, RecordType::Aaaa],
            class: Class::Global,
            ttl: 60,
            keep_min: 1,
            addresses: Addresses::First,
            static_addresses: Vec::new(),
            health_check_id: None,
            health_check: None,
            routing: RawRouting { weight: Some(DEFAULT_WEIGHT), ..RawRouting::default() },
            signals: RawRecordSignals::default(),
        }
    }
}

/// The weight of a weighted record set whose `weight` is not given.
pub(in crate::config) const DEFAULT_WEIGHT: i64 = 10;

/// The `routing` table of a `[[record]]`. Which keys go with which policy is checked on validation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table like { policy = \"weighted\", weight = 10 }")]
pub struct RawRouting {
    /// The policy.
    pub policy: PolicyName,

    /// `weighted`: the node's share is its weight over the sum of all, 0 to 255. With 0 it is
    /// never answered while another weight is above 0. Default: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 10, range(min = 0, max = 255))]
    pub weight: Option<i64>,

    /// `geoproximity`: where the node is, as `"latitude,longitude"` in degrees with up to two
    /// decimals, north and east positive. `"auto"`: as an annotation of the Node says; without one
    /// nothing is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"50.11,8.68")]
    pub coordinates: Option<String>,

    /// `geoproximity`: the AWS Region where, or near which, the node is. `latency`: the AWS Region
    /// whose latency is taken for the node's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"eu-central-1")]
    pub region: Option<String>,

    /// `geoproximity`: the AWS Local Zone Group where, or near which, the node is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"us-west-2-den-1")]
    pub local_zone_group: Option<String>,

    /// `geoproximity`: grows (1 to 99) or shrinks (-1 to -99) the area that the node answers for.
    /// Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 0, range(min = -99, max = 99))]
    pub bias: Option<i64>,

    /// `geolocation`: questions from this continent: `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"EU")]
    pub continent: Option<String>,

    /// `geolocation`: questions from this country (ISO 3166-1 alpha-2), or `*` for all that no
    /// other record set of the name answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"DE")]
    pub country: Option<String>,

    /// `geolocation`: questions from this state, beside `country = "US"` (or `"UA"`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"CO")]
    pub subdivision: Option<String>,

    /// `failover`: `"primary"`, which needs a health check, or `"secondary"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"primary")]
    pub role: Option<Role>,
}

/// The routing policies that nodedns writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "lowercase")]
#[schemars(inline)]
#[expect(missing_docs, reason = "each is the Route 53 routing policy of its name")]
pub enum PolicyName {
    #[default]
    Weighted,
    Geoproximity,
    Latency,
    Geolocation,
    Failover,
    Multivalue,
}

/// Which of the two a failover record set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "lowercase")]
#[schemars(inline)]
#[expect(missing_docs, reason = "each is the Route 53 failover role of its name")]
pub enum Role {
    Primary,
    Secondary,
}

/// A record type in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "UPPERCASE")]
#[schemars(inline)]
#[expect(missing_docs, reason = "each is the DNS record type of its name")]
pub enum RecordType {
    A,
    Aaaa,
}

/// An address class in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "lowercase")]
#[schemars(inline)]
#[expect(missing_docs, reason = "each is the AddressClass of its name")]
pub enum Class {
    Global,
    Private,
    Shared,
    Any,
}

/// How many of the fit addresses are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "lowercase")]
#[schemars(inline)]
pub enum Addresses {
    /// The first.
    First,
    /// All, in one record set.
    All,
}
