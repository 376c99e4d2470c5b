//! Intents and the reasons for them.

use std::fmt;
use std::time::Duration;

use crate::decide::annotation::COORDINATES;
use crate::decide::policy::Signal;
use crate::decide::record::RecordSet;
use crate::decide::routing::PolicyKind;

/// What we want for one (record, type).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// This record set is to be in the pool.
    Publish(RecordSet),
    /// Our record set is to leave the pool.
    Withdraw(Reason),
    /// We know what we would like, but a guard forbids it: leave things as they are and say so.
    Hold(Reason),
    /// We do not know enough to want anything: leave things as they are.
    Preserve(Reason),
}

impl Intent {
    /// `publish`, `withdraw`, `hold` or `preserve`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Intent::Publish(_) => "publish",
            Intent::Withdraw(_) => "withdraw",
            Intent::Hold(_) => "hold",
            Intent::Preserve(_) => "preserve",
        }
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        match self {
            Intent::Publish(_) => Reason::Eligible,
            Intent::Withdraw(reason) | Intent::Hold(reason) | Intent::Preserve(reason) => reason.clone(),
        }
    }
}

/// Why an intent is what it is: one value for the decision, the log line, `status`, the metric
/// label and the test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The node is fit to serve and has an address to publish.
    Eligible,

    /// The host's addresses have not been read.
    AddressesUnknown,
    /// The Node's state has not been read.
    NodeUnknown,
    /// The probe has not said anything yet.
    ProbeUnknown,
    /// Whether the operator has drained the node could not be read.
    DrainUnknown,
    /// What the pool holds has not been read.
    PoolUnknown,
    /// The signal was up when we first looked, but not yet for as long as its `after` asks.
    Pending(Signal),

    /// The host has no address that is fit for the record.
    NoAddress,
    /// The cluster has no Node object of this name.
    NodeAbsent,
    /// The Node's Ready condition is not `True`; the condition's reason, where it has one.
    NotReady(Option<String>),
    /// The Node is unschedulable.
    Cordoned,
    /// The Node is being deleted.
    Deleting,
    /// The label or annotation that excludes the Node; its key.
    Excluded(String),
    /// The configured label selector does not match the Node.
    NotSelected,
    /// The Node has a taint that counts; its key.
    Tainted(String),
    /// What the node serves does not answer; what went wrong.
    ProbeFailed(String),
    /// The operator has drained the node.
    Drained,
    /// The system is shutting down.
    Stopping,
    /// The Kubernetes API cannot be reached and the configuration says to withdraw then.
    ApiUnreachable,
    /// The signal is gone, but not yet for as long as `recover_after` asks.
    Recovering(Signal),
    /// The signal is gone, but has come and gone too often for its `recover_after` to be enough.
    Damped {
        /// The signal.
        signal: Signal,
        /// How often the node had become unfit within ten minutes when it last did.
        times: u32,
        /// How long the signal must be gone.
        wait: Duration,
    },
    /// The record is no longer configured for this type.
    TypeNotConfigured,

    /// One reading shows no address; it takes two equal ones to withdraw for that.
    AddressUnconfirmed,
    /// The host has addresses, but the configured filters leave none.
    AddressesFiltered,
    /// The name holds a CNAME, beside which Route 53 allows nothing.
    CnameConflict,
    /// The pool holds a record set without routing policy.
    SimpleConflict,
    /// The pool has another routing policy than the one configured.
    PolicyConflict {
        /// The pool's policy.
        found: PolicyKind,
        /// The configured policy.
        wanted: PolicyKind,
    },
    /// Another record set in the pool already has this Region or location; which.
    LocationTaken(String),
    /// The pool has as many record sets as Route 53 allows for its policy.
    PoolFull(usize),
    /// Leaving would make the pool smaller than `keep_min`.
    KeepMin(u32),
    /// The annotation that is to say where the node is does not; what is wrong with it, where it is there.
    CoordinatesMissing(Option<String>),
}

impl Reason {
    /// The reason in snake case, stable for scripts.
    pub fn as_str(&self) -> &'static str {
        match self {
            Reason::Eligible => "eligible",
            Reason::AddressesUnknown => "addresses_unknown",
            Reason::NodeUnknown => "node_unknown",
            Reason::ProbeUnknown => "probe_unknown",
            Reason::DrainUnknown => "drain_unknown",
            Reason::PoolUnknown => "pool_unknown",
            Reason::Pending(_) => "pending",
            Reason::NoAddress => "no_address",
            Reason::NodeAbsent => "node_absent",
            Reason::NotReady(_) => "not_ready",
            Reason::Cordoned => "cordoned",
            Reason::Deleting => "deleting",
            Reason::Excluded(_) => "excluded",
            Reason::NotSelected => "not_selected",
            Reason::Tainted(_) => "tainted",
            Reason::ProbeFailed(_) => "probe_failed",
            Reason::Drained => "drained",
            Reason::Stopping => "stopping",
            Reason::ApiUnreachable => "api_unreachable",
            Reason::Recovering(_) => "recovering",
            Reason::Damped { .. } => "damped",
            Reason::TypeNotConfigured => "type_not_configured",
            Reason::AddressUnconfirmed => "address_unconfirmed",
            Reason::AddressesFiltered => "addresses_filtered",
            Reason::CnameConflict => "cname_conflict",
            Reason::SimpleConflict => "simple_conflict",
            Reason::PolicyConflict { .. } => "policy_conflict",
            Reason::LocationTaken(_) => "location_taken",
            Reason::PoolFull(_) => "pool_full",
            Reason::KeepMin(_) => "keep_min",
            Reason::CoordinatesMissing(_) => "coordinates_missing",
        }
    }
}

impl Reason {
    /// Whether somebody else's record sets are the reason, so that reading the pool again may end it.
    pub fn lies_in_the_pool(&self) -> bool {
        match self {
            Reason::CnameConflict
            | Reason::SimpleConflict
            | Reason::PolicyConflict { .. }
            | Reason::LocationTaken(_)
            | Reason::PoolFull(_)
            | Reason::KeepMin(_) => true,
            Reason::Eligible
            | Reason::AddressesUnknown
            | Reason::NodeUnknown
            | Reason::ProbeUnknown
            | Reason::DrainUnknown
            | Reason::PoolUnknown
            | Reason::Pending(_)
            | Reason::NoAddress
            | Reason::NodeAbsent
            | Reason::NotReady(_)
            | Reason::Cordoned
            | Reason::Deleting
            | Reason::Excluded(_)
            | Reason::NotSelected
            | Reason::Tainted(_)
            | Reason::ProbeFailed(_)
            | Reason::Drained
            | Reason::Stopping
            | Reason::ApiUnreachable
            | Reason::Recovering(_)
            | Reason::Damped { .. }
            | Reason::CoordinatesMissing(_)
            | Reason::TypeNotConfigured
            | Reason::AddressUnconfirmed
            | Reason::AddressesFiltered => false,
        }
    }
}

impl fmt::Display for Reason {
    /// One sentence for people, without a final period, saying what to do where there is something to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Eligible => write!(f, "the node is fit to serve and has an address to publish"),
            Reason::AddressesUnknown => write!(f, "the host's addresses have not been read yet"),
            Reason::NodeUnknown => write!(f, "the Kubernetes API does not say how this node is"),
            Reason::ProbeUnknown => write!(f, "the local probe has not said yet whether the node serves"),
            Reason::DrainUnknown => {
                write!(
                    f,
                    "whether the node is drained could not be read; 'nodedns drain' or 'nodedns resume' decides it"
                )
            }
            Reason::PoolUnknown => write!(f, "Route 53 has not said what the name holds"),
            Reason::Pending(signal) => {
                write!(f, "'{}' is up, waiting until it has lasted for its after", signal.as_str())
            }
            Reason::NoAddress => write!(f, "the host has no publishable address of this type; see 'nodedns addresses'"),
            Reason::NodeAbsent => write!(
                f,
                "the cluster has no Node object of this name; if it was deleted, restart its kubelet (k3s-agent, rke2-agent): it registers itself again"
            ),
            Reason::NotReady(None) => write!(f, "the node is not Ready"),
            Reason::NotReady(Some(why)) => write!(f, "the node is not Ready ({why})"),
            Reason::Cordoned => write!(f, "the node is cordoned"),
            Reason::Deleting => write!(f, "the Node is being deleted"),
            Reason::Excluded(key) => write!(f, "{key} on the Node excludes it"),
            Reason::NotSelected => write!(f, "the Node's labels do not match kubernetes.label_selector"),
            Reason::Tainted(key) => write!(f, "the Node has the taint {key}"),
            Reason::ProbeFailed(why) => write!(f, "the local probe fails: {why}"),
            Reason::Drained => write!(f, "the operator has drained the node; 'nodedns resume' ends that"),
            Reason::Stopping => write!(f, "the system is shutting down"),
            Reason::ApiUnreachable => write!(f, "the Kubernetes API cannot be reached"),
            Reason::Recovering(signal) => {
                write!(f, "'{}' has cleared, waiting until it has stayed so for its recover_after", signal.as_str())
            }
            Reason::Damped { signal, times, wait } => {
                write!(
                    f,
                    "'{}' has cleared, but the node has become unfit {times} times in 10 minutes; waiting until it has stayed so for {wait:?}",
                    signal.as_str()
                )
            }
            Reason::TypeNotConfigured => write!(f, "the record's 'types' no longer name this type"),
            Reason::AddressUnconfirmed => write!(f, "the address is gone; reading once more before withdrawing"),
            Reason::AddressesFiltered => {
                write!(f, "the [addresses] filters leave none of the host's addresses; see 'nodedns addresses'")
            }
            Reason::CnameConflict => {
                write!(
                    f,
                    "the name holds a CNAME, which tolerates nothing beside it; 'nodedns adopt' takes over none, so delete it by hand first"
                )
            }
            Reason::SimpleConflict => write!(
                f,
                "the name holds a record set without routing policy, which nothing can stand beside; 'nodedns adopt' takes it over"
            ),
            Reason::PolicyConflict { found, wanted } => write!(
                f,
                "the name's record sets are {found}, this record is configured as {wanted}, and Route 53 allows one policy per name and type; 'nodedns adopt' takes over those that nodedns has not written"
            ),
            Reason::LocationTaken(what) => write!(f, "another record set of the name already answers for {what}"),
            Reason::PoolFull(limit) => {
                write!(f, "the name already has {limit} record sets, Route 53's limit for its policy")
            }
            Reason::CoordinatesMissing(None) => write!(
                f,
                "nothing says where the node is; annotate it with {COORDINATES}=\"LATITUDE,LONGITUDE\", or set 'coordinates' in the configuration"
            ),
            Reason::CoordinatesMissing(Some(mistake)) => {
                write!(f, "nothing says where the node is; {mistake}")
            }
            Reason::KeepMin(minimum) => {
                write!(
                    f,
                    "leaving would bring the name below keep_min = {minimum} record set{}",
                    if *minimum == 1 { "" } else { "s" }
                )
            }
        }
    }
}
