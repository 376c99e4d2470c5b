//! What the operator wants, in this module's words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::decide::health_check::HealthCheck;
use crate::decide::name::DnsName;
use crate::decide::owner::OwnerId;
use crate::decide::probe::Probe;
use crate::decide::record::{RecordType, ZoneRef};
use crate::decide::routing::{PolicyKind, Routing};
use crate::decide::select::{AddressClass, AddressRules};
use crate::decide::selector::LabelSelector;

/// Everything the engine needs to be told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whose record sets these are.
    pub owner: OwnerId,
    /// Whether the Node object is watched. Without Kubernetes a host is eligible by its own signals alone.
    pub kubernetes: bool,
    /// Only a Node whose labels match is eligible, see [`Signal::Excluded`].
    pub node_selector: LabelSelector,
    /// Which of the host's addresses may be published at all.
    pub addresses: AddressRules,
    /// How long to wait for what.
    pub timing: Timing,
    /// Whether the record sets of dead siblings are removed; `None`: they are left alone.
    pub survivors: Option<SurvivorsPolicy>,
    /// The records, at most one per (zone, name).
    pub records: Vec<RecordPolicy>,
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Quiet time after an address event before the addresses are read.
    pub settle: Duration,
    /// The longest that a stream of events can put that off.
    pub settle_max: Duration,
    /// How often a pool is read again though nothing has happened; jittered by a tenth either way.
    pub resync: Duration,
}

/// How the record sets of dead siblings are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SurvivorsPolicy {
    /// How long a Node must have been seen as not Ready or gone, without a break, before it counts as dead.
    pub grace: Duration,
}

/// The shortest [`SurvivorsPolicy::grace`]. A node that comes back must find out by itself that it may
/// have been removed meanwhile ([`crate::decide::engine`]); it notices a broken connection up to 43 s
/// after it broke, the cluster a dead node 40 to 50 s after it died. With this on top of the latter,
/// there is always time left in which the node knew that it did not know.
pub const LEAST_GRACE: Duration = Duration::from_secs(30);

/// One `[[record]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPolicy {
    /// The name, expanded.
    pub name: DnsName,
    /// The hosted zone.
    pub zone: ZoneRef,
    /// The types to publish.
    pub types: BTreeSet<RecordType>,
    /// Which addresses are fit for it.
    pub class: AddressClass,
    /// Every fit address in one record set, instead of the first.
    pub all_addresses: bool,
    /// Published instead of the host's addresses of the same type.
    pub static_addresses: BTreeSet<IpAddr>,
    /// Time to live in seconds, unless the weighted pool already has another.
    pub ttl: u32,
    /// No withdrawal leaves the pool with fewer record sets than this.
    pub keep_min: u32,
    /// Where the routing of the own record set is taken from.
    pub routing: RoutingRule,
    /// A check of what the node serves, for the signal [`Signal::ProbeFailed`].
    pub probe: Option<Probe>,
    /// The keys of the taints that count, for the signal [`Signal::Tainted`].
    pub taint_keys: BTreeSet<String>,
    /// The health check to attach.
    pub health_check: Option<HealthCheck>,
    /// What each signal does to this record.
    pub signals: BTreeMap<Signal, SignalPolicy>,
}

impl RecordPolicy {
    /// Whether nodedns creates and deletes the health checks of its record sets.
    pub fn has_managed_check(&self) -> bool {
        matches!(self.health_check, Some(HealthCheck::Managed(_)))
    }
}

/// Where the routing of a record set is taken from. Annotations of the Node may go before it, see
/// [`annotation::routing`](crate::decide::annotation::routing).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoutingRule {
    /// This one.
    Fixed(Routing),
    /// Geoproximity; where the node is says an annotation of the Node alone.
    CoordinatesOfTheNode {
        /// -99 to 99.
        bias: i8,
    },
}

impl RoutingRule {
    /// The policy without its parameters.
    pub fn kind(&self) -> PolicyKind {
        match self {
            RoutingRule::Fixed(routing) => routing.kind(),
            RoutingRule::CoordinatesOfTheNode { .. } => PolicyKind::GeoProximity,
        }
    }
}

impl From<Routing> for RoutingRule {
    fn from(routing: Routing) -> Self {
        RoutingRule::Fixed(routing)
    }
}

impl fmt::Display for RoutingRule {
    /// One short phrase, e.g. `geoproximity auto`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoutingRule::Fixed(routing) => routing.fmt(f),
            RoutingRule::CoordinatesOfTheNode { bias: 0 } => write!(f, "geoproximity auto"),
            RoutingRule::CoordinatesOfTheNode { bias } => write!(f, "geoproximity auto bias {bias}"),
        }
    }
}

/// Something that can make a node unfit to be in DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// The system is shutting down, which a restart of the service is not.
    Stopping,
    /// The operator has drained the node.
    Drained,
    /// The Node is being deleted (`metadata.deletionTimestamp`).
    Deleting,
    /// The Node is absent, or its Ready condition is not `True`.
    NotReady,
    /// The Node is unschedulable.
    Cordoned,
    /// A label or an annotation excludes the Node, or the configured selector does not match it.
    Excluded,
    /// The Node has one of the taints that count.
    Tainted,
    /// What the node serves does not answer.
    ProbeFailed,
    /// The Kubernetes API cannot be reached, so the Node's state is unknown.
    ApiUnreachable,
}

impl Signal {
    /// All signals, the one that explains most first.
    pub const ALL: [Signal; 9] = [
        Signal::Stopping,
        Signal::Drained,
        Signal::Deleting,
        Signal::NotReady,
        Signal::Cordoned,
        Signal::Excluded,
        Signal::Tainted,
        Signal::ProbeFailed,
        Signal::ApiUnreachable,
    ];

    /// The signal's key in the configuration file.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Stopping => "stopping",
            Signal::Drained => "drained",
            Signal::Deleting => "deleting",
            Signal::NotReady => "not_ready",
            Signal::Cordoned => "cordoned",
            Signal::Excluded => "excluded",
            Signal::Tainted => "tainted",
            Signal::ProbeFailed => "probe",
            Signal::ApiUnreachable => "api_unreachable",
        }
    }

    /// What the signal does when the configuration does not say.
    pub fn default_policy(self) -> SignalPolicy {
        let action = match self {
            // An outage of the control plane must not become an outage of the data plane.
            Signal::ApiUnreachable => SignalAction::Ignore,
            Signal::Stopping
            | Signal::Drained
            | Signal::Deleting
            | Signal::NotReady
            | Signal::Cordoned
            | Signal::Excluded
            | Signal::Tainted
            | Signal::ProbeFailed => SignalAction::Withdraw,
        };
        let recover_after = match self {
            // Whoever resumes a node means now.
            Signal::Drained => Duration::ZERO,
            _ => Duration::from_secs(10),
        };
        SignalPolicy { action, after: Duration::ZERO, recover_after }
    }

    /// Whether it is read off the Node object, so that it cannot be told while the Node is unknown.
    pub fn is_of_the_node(self) -> bool {
        match self {
            Signal::Deleting | Signal::NotReady | Signal::Cordoned | Signal::Excluded | Signal::Tainted => true,
            Signal::Stopping | Signal::Drained | Signal::ProbeFailed | Signal::ApiUnreachable => false,
        }
    }
}

/// The keys of the taints that count when the configuration does not say: that of a node which the
/// cluster autoscaler is about to remove, and that of one which an operator has declared shut down.
/// The taints `not-ready`, `unreachable` and `unschedulable` are not among them: the cluster sets
/// those by what the Node object says itself, and later.
pub const DEFAULT_TAINT_KEYS: [&str; 2] = ["ToBeDeletedByClusterAutoscaler", "node.kubernetes.io/out-of-service"];

/// What a signal does, and how patiently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalPolicy {
    /// What it does.
    pub action: SignalAction,
    /// How long it must last before it counts.
    pub after: Duration,
    /// How long it must be gone before it no longer counts.
    pub recover_after: Duration,
}

/// What a signal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignalAction {
    /// Nothing.
    Ignore,
    /// The record set leaves the pool.
    Withdraw,
}
