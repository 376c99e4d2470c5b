//! Deciding anew, for every name, on everything that is known.

use std::collections::BTreeMap;

use crate::decide::drain;
use crate::decide::engine::name::TypeState;
use crate::decide::engine::{Engine, Notice, Target, annotations, as_ref, target_of};
use crate::decide::fitness::Rules;
use crate::decide::plan::{self, TypePlan, World};
use crate::decide::policy::RecordPolicy;
use crate::decide::reason::Reason;
use crate::decide::record::RecordType;
use crate::decide::time::Moment;

impl Engine {
    /// Counts, per (name, type), the readings in a row that show nothing fit to publish. `readings`
    /// is 1 after a reading; after a change of policy, which is none, what was read counts once.
    pub(super) fn count_absences(&mut self, readings: u32) {
        for record in &self.policy.records {
            let Some(name) = self.names.get_mut(&target_of(record)) else { continue };
            for rtype in &record.types {
                let snapshot = as_ref(&self.addresses.snapshot);
                let selection = plan::selection(&self.policy, record, snapshot, *rtype);
                let absent = selection.is_some_and(|selection| selection.addresses.is_empty());
                let count = &mut name.types.entry(*rtype).or_default().absent_readings;
                *count = if absent { count.saturating_add(readings).max(1) } else { 0 };
            }
        }
    }

    /// Decides anew for every name; `looked` is the one that has just been read.
    pub(super) fn refresh(&mut self, looked: Option<&Target>, now: Moment) {
        let mut unconfirmed = false;
        for record in &self.policy.records {
            let target = target_of(record);
            let Some(name) = self.names.get_mut(&target) else { continue };
            let rules = Rules { record, node_selector: &self.policy.node_selector };
            name.signals.update(rules, &self.conditions, now);
            let fitness = name.signals.fitness(rules, &self.conditions, now);
            let confirmed = |(rtype, state): (&RecordType, &TypeState)| (state.absent_readings >= 2).then_some(*rtype);
            let absence_confirmed = name.types.iter().filter_map(confirmed).collect();
            let world = World {
                addresses: as_ref(&self.addresses.snapshot),
                absence_confirmed: &absence_confirmed,
                fitness: &fitness,
                said: annotations::said(&self.conditions, &self.annotations),
                listing: as_ref(&name.listing),
                failures: &name.failures(),
                checks: &BTreeMap::new(),
            };
            let forced = drain::forced(record, &fitness, &self.conditions, now);
            let planned = forced.as_ref().unwrap_or(record);
            let plans = self.checks.plan(&self.policy, planned, world, &mut self.random, now);
            let mut newly_held = false;
            for plan in &plans {
                let reason = plan.intent.reason();
                unconfirmed |= reason == Reason::AddressUnconfirmed;
                let before = name.plans.iter().find(|before| before.rtype == plan.rtype);
                newly_held |= reason.lies_in_the_pool()
                    && before.is_some_and(|before| !before.intent.reason().lies_in_the_pool());
                if plan.ttl != record.ttl && before.is_none_or(|before| before.ttl != plan.ttl) {
                    self.notices.push(Notice::TtlAdopted {
                        target: target.clone(),
                        rtype: plan.rtype,
                        configured: record.ttl,
                        pool: plan.ttl,
                    });
                }
                let told = |before: &TypePlan| {
                    before.intent.as_str() == plan.intent.as_str()
                        && before.intent.reason() == reason
                        && before.desired == plan.desired
                };
                if before.is_some_and(told) {
                    continue;
                }
                name.types.entry(plan.rtype).or_default().since = now;
                self.notices.push(Notice::Intent {
                    target: target.clone(),
                    rtype: plan.rtype,
                    intent: plan.intent.as_str(),
                    reason,
                    desired: plan.desired.clone(),
                });
            }
            name.plans = plans;
            let looked = looked == Some(&target);
            if newly_held && !looked {
                name.begins_to_be_held();
            }
            let failures = name.decided(looked, now);
            if looked && failures > 0 {
                self.notices.push(Notice::Recovered { target, failures });
            }
        }
        self.checks.decided(&self.policy, &mut self.names, now);
        if unconfirmed {
            self.addresses.read_by(now + self.policy.timing.settle);
        }
    }

    pub(super) fn signal_deadline(&self) -> Option<Moment> {
        let node_selector = &self.policy.node_selector;
        let deadline = |record: &RecordPolicy| {
            self.names.get(&target_of(record))?.signals.deadline(Rules { record, node_selector })
        };
        self.policy.records.iter().filter_map(deadline).chain(self.checks.patience()).min()
    }
}
