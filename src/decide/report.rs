//! What the engine can say of itself at any moment.

use std::net::IpAddr;

use crate::decide::health_check::CheckSpec;
use crate::decide::name::DnsName;
use crate::decide::observed::Observed;
use crate::decide::owner::SetIdentifier;
use crate::decide::policy::RoutingRule;
use crate::decide::provider::{ChangeId, ChangeStatus, ProviderError};
use crate::decide::reason::{Intent, Reason};
use crate::decide::record::{RecordSet, RecordType, ZoneRef};
use crate::decide::survivors::SurvivorsReport;
use crate::decide::time::Moment;

/// The state of every (record, type).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In configuration order, A before AAAA.
    pub records: Vec<RecordReport>,
    /// The watch over the siblings; `None` when it is off.
    pub survivors: Option<SurvivorsReport>,
}

/// The state of one (record, type).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordReport {
    /// The name.
    pub name: DnsName,
    /// The type.
    pub rtype: RecordType,
    /// The hosted zone as configured.
    pub zone: ZoneRef,
    /// The hosted zone's id, once known.
    pub zone_id: Option<String>,
    /// The set identifier of our record set.
    pub set_identifier: SetIdentifier,
    /// The routing that is or would be published; the configured rule while that gives none.
    pub routing: RoutingRule,
    /// The TTL that is or would be published: the pool's where that had to be adopted.
    pub ttl: u32,
    /// The configured TTL, when the pool's had to be adopted instead.
    pub ttl_configured: Option<u32>,
    /// What we want.
    pub intent: Intent,
    /// Why our record set would leave, where a guard holds it back.
    pub held_back: Option<Reason>,
    /// Since when we have wanted it for this reason.
    pub since: Moment,
    /// What we would publish, the first first.
    pub desired: Vec<IpAddr>,
    /// Our record set as Route 53 has it; `Known(None)` when the pool does not hold one.
    pub actual: Observed<Option<RecordSet>>,
    /// How many other record sets the pool holds; `None` when unknown.
    pub others: Option<usize>,
    /// Whether a drain withdraws it.
    pub follows_drain: bool,
    /// Our record set's managed health check; `None` where there is to be none.
    pub health_check: Option<CheckReport>,
    /// Whether what we want is what Route 53 has.
    pub in_sync: bool,
    /// The last change that Route 53 accepted.
    pub last_change: Option<LastChange>,
    /// The last request's failure; gone when a later request succeeded.
    pub last_error: Option<LastError>,
}

impl RecordReport {
    /// Whether nobody needs to look at this: what we want is known and is what Route 53 has.
    pub fn is_healthy(&self) -> bool {
        let is_checked = self.health_check.as_ref().is_none_or(|check| check.state == CheckState::Attached);
        let is_settled = matches!(self.intent, Intent::Publish(_) | Intent::Withdraw(_));
        self.in_sync && self.last_error.is_none() && is_settled && is_checked
    }
}

/// A managed health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// How far it is.
    pub state: CheckState,
    /// What it asks or would ask.
    pub wanted: CheckSpec,
    /// Why there is none.
    pub error: Option<LastError>,
}

/// How far a managed health check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// Created, and attached to our record set.
    Attached,
    /// On its way.
    Waiting,
    /// It could not be had, and is tried again; the record set goes without it meanwhile.
    Failing,
    /// Route 53 checks no address of this kind; the record set goes without it.
    Impossible,
}

/// An accepted change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastChange {
    /// Its id.
    pub id: ChangeId,
    /// How far it has come.
    pub status: ChangeStatus,
    /// When it was accepted.
    pub at: Moment,
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// What went wrong.
    pub error: ProviderError,
    /// When.
    pub at: Moment,
    /// When it is tried again.
    pub retry_at: Moment,
}
