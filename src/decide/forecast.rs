//! What a daemon of this node would come to if everything stays as it is: the engine's decisions without
//! its time. Two looks then agree, every `after` and `recover_after` has passed, what has changed has
//! settled, and no request has failed.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::address::Snapshot;
use crate::decide::annotation::{Annotations, Said};
use crate::decide::drain;
use crate::decide::fitness::{Conditions, Fitness, Rules, settled};
use crate::decide::health_check::{Attach, CheckListing, CheckSpec, Place};
use crate::decide::node::NodeState;
use crate::decide::observed::Observed;
use crate::decide::plan::{TypePlan, World, own_set, plan};
use crate::decide::policy::{Policy, RecordPolicy};
use crate::decide::reason::{Intent, Reason};
use crate::decide::record::{Listing, RecordSet, RecordType};
use crate::decide::time::Moment;

/// What is known, as far as one record goes.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The host's links and addresses.
    pub addresses: Observed<&'a Snapshot>,
    /// What the signals are read off.
    pub conditions: &'a Conditions,
    /// What Route 53 has at the record's name.
    pub listing: Observed<&'a Listing>,
    /// The account's health checks; only looked at for a managed one.
    pub checks: Observed<&'a CheckListing>,
    /// Now, for the drain that ends by itself.
    pub now: Moment,
}

/// What becomes of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// Whether the node is fit to be in DNS for it.
    pub fitness: Fitness,
    /// Every type that is configured, or still holds our record set. A before AAAA.
    pub types: Vec<TypeForecast>,
}

/// What becomes of one (record, type).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeForecast {
    /// What is wanted, and the changes that bring it about. Where a managed health check is missing, the
    /// record set without it.
    pub plan: TypePlan,
    /// Its managed health check.
    pub check: Check,
    /// Whether everything that decides about it is known.
    pub known: bool,
}

/// The managed health check of a record set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// There is to be none.
    Nothing,
    /// It is there; its id.
    Found(CheckSpec, String),
    /// It would be created.
    Missing(CheckSpec),
    /// Route 53 checks no address of this kind.
    Impossible(CheckSpec),
    /// The health checks could not be read.
    Unknown(CheckSpec),
}

/// What becomes of one record.
pub fn forecast(policy: &Policy, record: &RecordPolicy, facts: Facts<'_>) -> Forecast {
    let rules = Rules { record, node_selector: &policy.node_selector };
    let fitness = settled(rules, facts.conditions, facts.now);
    let forced = drain::forced(record, &fitness, facts.conditions, facts.now);
    let planned = forced.as_ref().unwrap_or(record);
    let annotations = facts.conditions.node.as_ref().and_then(|node| match node.state.known()? {
        NodeState::Absent => Some(Annotations::default()),
        NodeState::Present(node) => Some(Annotations::read(node)),
    });
    let node_known = facts.conditions.node.as_ref().is_none_or(|node| node.state.is_known());
    let world = World {
        addresses: facts.addresses,
        absence_confirmed: &BTreeSet::from(RecordType::ALL),
        fitness: &fitness,
        said: Said { known: node_known, annotations: annotations.as_ref() },
        listing: facts.listing,
        failures: &BTreeMap::new(),
        checks: &BTreeMap::new(),
    };
    let checks: BTreeMap<RecordType, Check> =
        plan(policy, planned, world).iter().map(|plan| (plan.rtype, check(policy, record, plan, facts))).collect();
    let attach = checks.iter().map(|(rtype, check)| (*rtype, attach(policy, *rtype, check, facts))).collect();
    let plans = plan(policy, planned, World { checks: &attach, ..world });
    let of_type = |plan: TypePlan| {
        let check = checks.get(&plan.rtype).cloned().unwrap_or(Check::Nothing);
        // A drain by force would not be held back.
        let may_be_forced = plan.intent == Intent::Hold(Reason::KeepMin(record.keep_min))
            && !facts.conditions.drain.is_known()
            && drain::is_followed_by(record);
        let known =
            !matches!(plan.intent, Intent::Preserve(_)) && !matches!(check, Check::Unknown(_)) && !may_be_forced;
        TypeForecast { plan, check, known }
    };
    let types = plans.into_iter().map(of_type).collect();
    Forecast { fitness, types }
}

fn own<'a>(policy: &Policy, rtype: RecordType, facts: Facts<'a>) -> Option<&'a RecordSet> {
    match facts.listing {
        Observed::Known(listing) => own_set(listing.pool(rtype), &policy.owner),
        Observed::Unknown => None,
    }
}

/// Finds the health check that the plan asks for.
fn check(policy: &Policy, record: &RecordPolicy, plan: &TypePlan, facts: Facts<'_>) -> Check {
    let (Some(wanted), Observed::Known(listing)) = (plan.check.clone(), facts.listing) else { return Check::Nothing };
    let Observed::Known(checks) = facts.checks else { return Check::Unknown(wanted) };
    let place = Place::new(&policy.owner, &listing.zone_id, &record.name, plan.rtype);
    let fitting =
        || checks.ours.iter().filter(|check| check.reference.place == place && check.spec.as_ref() == Some(&wanted));
    let attached = own(policy, plan.rtype, facts).and_then(|own| own.health_check_id.as_ref());
    match fitting().find(|check| Some(&check.id) == attached).or_else(|| fitting().min_by_key(|check| &check.id)) {
        Some(found) => Check::Found(wanted, found.id.clone()),
        None if wanted.is_possible() => Check::Missing(wanted),
        None => Check::Impossible(wanted),
    }
}

/// What the record set is given of it.
fn attach(policy: &Policy, rtype: RecordType, check: &Check, facts: Facts<'_>) -> Attach {
    match check {
        Check::Found(_, id) => Attach::Check(id.clone()),
        Check::Nothing | Check::Missing(_) => Attach::Nothing,
        Check::Unknown(_) => Attach::Wait,
        Check::Impossible(wanted) => {
            // Somebody else's, who may know better, stays.
            let is_others = |id: &&String| facts.checks.known().is_some_and(|checks| checks.others.contains(*id));
            let stays = own(policy, rtype, facts).filter(|own| own.addresses() == BTreeSet::from([wanted.address]));
            let id = stays.and_then(|own| own.health_check_id.as_ref()).filter(is_others);
            id.map_or(Attach::Nothing, |id| Attach::Check(id.clone()))
        }
    }
}
