//! What the engine says of itself.

use crate::decide::drain;
use crate::decide::engine::{Engine, target_of};
use crate::decide::observed::Observed;
use crate::decide::plan::{TypePlan, own_set};
use crate::decide::policy::RecordPolicy;
use crate::decide::report::{RecordReport, Report};

impl Engine {
    /// The state of every (record, type).
    pub fn report(&self) -> Report {
        let records = self.policy.records.iter().flat_map(|record| self.report_record(record)).collect();
        Report { records, survivors: self.report_survivors() }
    }

    fn report_record(&self, record: &RecordPolicy) -> Vec<RecordReport> {
        let Some(name) = self.names.get(&target_of(record)) else { return Vec::new() };
        let report = |plan: &TypePlan| {
            let state = name.types.get(&plan.rtype);
            let pool = name.listing.known().map(|listing| listing.pool(plan.rtype));
            let own = |pool| own_set(pool, &self.policy.owner);
            let present = pool.and_then(own);
            RecordReport {
                name: record.name.clone(),
                rtype: plan.rtype,
                zone: record.zone.clone(),
                zone_id: name.listing.known().map(|listing| listing.zone_id.clone()),
                set_identifier: self.policy.owner.set_identifier(),
                routing: plan.routing.clone(),
                ttl: plan.ttl,
                ttl_configured: (plan.ttl != record.ttl).then_some(record.ttl),
                intent: plan.intent.clone(),
                held_back: plan.held_back.clone(),
                since: state.map(|state| state.since).unwrap_or_default(),
                desired: plan.desired.clone(),
                actual: pool.map_or(Observed::Unknown, |pool| Observed::Known(own(pool).cloned())),
                others: pool.map(|pool| pool.map_or(0, |all| all.len() - usize::from(own(pool).is_some()))),
                follows_drain: drain::is_followed_by(record),
                health_check: self.checks.report(&target_of(record), plan.rtype, present),
                in_sync: plan.in_sync && name.is_read(plan.rtype),
                last_change: state.and_then(|state| state.last_change.clone()),
                last_error: name.last_error(plan.rtype),
            }
        };
        name.plans.iter().map(report).collect()
    }
}
