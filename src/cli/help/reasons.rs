//! Every reason that `nodedns status` shows.

use std::time::Duration;

use crate::decide::policy::Signal;
use crate::decide::reason::Reason;
use crate::decide::routing::PolicyKind;

/// One of each kind.
pub fn examples() -> Vec<Reason> {
    vec![
        Reason::Eligible,
        Reason::Stopping,
        Reason::Drained,
        Reason::Deleting,
        Reason::NodeAbsent,
        Reason::NotReady(Some("KubeletNotReady".to_owned())),
        Reason::Cordoned,
        Reason::Excluded("node.kubernetes.io/exclude-from-external-load-balancers".to_owned()),
        Reason::NotSelected,
        Reason::Tainted("node.kubernetes.io/out-of-service".to_owned()),
        Reason::ProbeFailed("connection refused".to_owned()),
        Reason::ApiUnreachable,
        Reason::Recovering(Signal::Cordoned),
        Reason::Damped { signal: Signal::NotReady, times: 3, wait: Duration::from_secs(40) },
        Reason::NoAddress,
        Reason::TypeNotConfigured,
        Reason::KeepMin(1),
        Reason::AddressUnconfirmed,
        Reason::AddressesFiltered,
        Reason::CnameConflict,
        Reason::SimpleConflict,
        Reason::PolicyConflict { found: PolicyKind::Latency, wanted: PolicyKind::Weighted },
        Reason::LocationTaken("eu-central-1".to_owned()),
        Reason::PoolFull(30),
        Reason::CoordinatesMissing(None),
        Reason::AddressesUnknown,
        Reason::NodeUnknown,
        Reason::ProbeUnknown,
        Reason::DrainUnknown,
        Reason::PoolUnknown,
        Reason::Pending(Signal::Cordoned),
    ]
}

/// The intent that a reason leads to where nothing else stands in the way.
pub fn intent(reason: &Reason) -> &'static str {
    match reason {
        Reason::Eligible => "publish",
        Reason::Stopping
        | Reason::Drained
        | Reason::Deleting
        | Reason::NodeAbsent
        | Reason::NotReady(_)
        | Reason::Cordoned
        | Reason::Excluded(_)
        | Reason::NotSelected
        | Reason::Tainted(_)
        | Reason::ProbeFailed(_)
        | Reason::ApiUnreachable
        | Reason::Recovering(_)
        | Reason::Damped { .. }
        | Reason::NoAddress
        | Reason::TypeNotConfigured => "withdraw",
        Reason::KeepMin(_)
        | Reason::AddressUnconfirmed
        | Reason::AddressesFiltered
        | Reason::CnameConflict
        | Reason::SimpleConflict
        | Reason::PolicyConflict { .. }
        | Reason::LocationTaken(_)
        | Reason::PoolFull(_)
        | Reason::CoordinatesMissing(_) => "hold",
        Reason::AddressesUnknown
        | Reason::NodeUnknown
        | Reason::ProbeUnknown
        | Reason::DrainUnknown
        | Reason::PoolUnknown
        | Reason::Pending(_) => "preserve",
    }
}
