//! World × policy → what we want, and the changes that bring it about. No time, no state.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::decide::address::Snapshot;
use crate::decide::annotation::{self, Said};
use crate::decide::fitness::Fitness;
use crate::decide::guard;
use crate::decide::health_check::{Attach, CheckSpec, HealthCheck};
use crate::decide::observed::Observed;
use crate::decide::owner::OwnerId;
use crate::decide::policy::{Policy, RecordPolicy, RoutingRule};
use crate::decide::pool;
use crate::decide::reason::{Intent, Reason};
use crate::decide::record::{Action, Change, Listing, Pool, RecordSet, RecordType, Target, Value};
use crate::decide::routing::Routing;
use crate::decide::select::{self, Selection};

/// What is known, as far as one record goes.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// The host's links and addresses.
    pub addresses: Observed<&'a Snapshot>,
    /// The types for which two readings in a row showed no address that is fit for the record.
    pub absence_confirmed: &'a BTreeSet<RecordType>,
    /// Whether the node is fit to be in DNS.
    pub fitness: &'a Fitness,
    /// What the Node's annotations say of routing.
    pub said: Said<'a>,
    /// What Route 53 has at the record's name.
    pub listing: Observed<&'a Listing>,
    /// How many batches in a row have failed, per type.
    pub failures: &'a BTreeMap<RecordType, u32>,
    /// What each type's record set is given for a managed health check; one that is not here waits for it.
    pub checks: &'a BTreeMap<RecordType, Attach>,
}

/// What we want for one (record, type), and how to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypePlan {
    /// The type.
    pub rtype: RecordType,
    /// What we want.
    pub intent: Intent,
    /// Why our record set would leave, where a guard holds it back.
    pub held_back: Option<Reason>,
    /// The addresses we would publish, were nothing in the way.
    pub desired: Vec<IpAddr>,
    /// The routing to publish with; the rule itself while that gives none.
    pub routing: RoutingRule,
    /// The TTL to publish with: the weighted pool's, where others already have one.
    pub ttl: u32,
    /// The managed health check that our record set is to have, while there is or is to be one.
    pub check: Option<CheckSpec>,
    /// The changes, in order; empty when there is nothing to do or nothing that may be done.
    pub changes: Vec<Change>,
    /// Whether what Route 53 has is known to be what we would publish, or known to be nothing where we want nothing.
    pub in_sync: bool,
}

/// Plans one record: every configured type, and every type that still holds our record set though
/// it is no longer configured. A before AAAA.
pub fn plan(policy: &Policy, record: &RecordPolicy, world: World<'_>) -> Vec<TypePlan> {
    let own_in =
        |rtype| world.listing.known().is_some_and(|listing| own_set(listing.pool(rtype), &policy.owner).is_some());
    RecordType::ALL
        .into_iter()
        .filter(|rtype| record.types.contains(rtype) || own_in(*rtype))
        .map(|rtype| plan_type(policy, record, world, rtype))
        .collect()
}

/// The addresses to publish for one (record, type); `None` while the host's addresses are unknown.
pub fn selection(
    policy: &Policy,
    record: &RecordPolicy,
    addresses: Observed<&Snapshot>,
    rtype: RecordType,
) -> Option<Selection> {
    let fixed: Vec<IpAddr> =
        record.static_addresses.iter().copied().filter(|address| RecordType::of(*address) == rtype).collect();
    if !fixed.is_empty() {
        return Some(Selection { addresses: fixed, filtered: false });
    }
    let Observed::Known(snapshot) = addresses else { return None };
    let mut selection = select::select(snapshot, &policy.addresses, record.class, rtype);
    if !record.all_addresses {
        selection.addresses.truncate(1);
    }
    Some(selection)
}

fn plan_type(policy: &Policy, record: &RecordPolicy, world: World<'_>, rtype: RecordType) -> TypePlan {
    let selection = selection(policy, record, world.addresses, rtype);
    let desired = selection.as_ref().map(|selection| selection.addresses.clone()).unwrap_or_default();
    let mut plan = TypePlan {
        rtype,
        intent: Intent::Preserve(Reason::PoolUnknown),
        held_back: None,
        desired,
        routing: record.routing.clone(),
        ttl: record.ttl,
        check: None,
        changes: Vec::new(),
        in_sync: false,
    };
    let Observed::Known(listing) = world.listing else {
        if selection.is_none() {
            plan.intent = Intent::Preserve(Reason::AddressesUnknown);
        }
        return plan;
    };
    let empty = Pool::new();
    let pool = listing.pool(rtype).unwrap_or(&empty);
    let own = own_set(Some(pool), &policy.owner);
    plan.ttl = pool::ttl(pool, &policy.owner.set_identifier(), record);
    let routing = annotation::routing(&record.routing, world.said, own.map(|own| &own.routing));
    if let Ok(routing) = &routing {
        plan.routing = RoutingRule::Fixed(routing.clone());
    }

    let Some(selection) = selection else {
        plan.intent = Intent::Preserve(Reason::AddressesUnknown);
        return plan;
    };
    plan.in_sync =
        own.map(RecordSet::addresses) == (!plan.desired.is_empty()).then(|| plan.desired.iter().copied().collect());

    let attach = attach(record, world.checks.get(&rtype));
    let follow = |own| follow(record, rtype, own, &plan.desired, &attach);
    let mut held_back = None;
    let mut absence = |reason: Reason| match withdraw(policy, record, rtype, world, pool, own, reason.clone()) {
        (Intent::Hold(guard), _) => {
            held_back = Some(reason);
            (Intent::Hold(guard), follow(own))
        }
        withdrawn => withdrawn,
    };
    let (intent, changes) = match world.fitness {
        Fitness::Unknown(reason) => (Intent::Preserve(reason.clone()), follow(own)),
        _ if !record.types.contains(&rtype) => absence(Reason::TypeNotConfigured),
        Fitness::Unfit(reason) => absence(reason.clone()),
        Fitness::Recovering(reason) if own.is_none() => (Intent::Withdraw(reason.clone()), Vec::new()),
        _ if plan.desired.is_empty() && selection.filtered => (Intent::Hold(Reason::AddressesFiltered), Vec::new()),
        _ if plan.desired.is_empty() && own.is_some() && !world.absence_confirmed.contains(&rtype) => {
            (Intent::Hold(Reason::AddressUnconfirmed), Vec::new())
        }
        _ if plan.desired.is_empty() => absence(Reason::NoAddress),
        Fitness::Fit | Fitness::Recovering(_) => match routing {
            Err(reason @ Reason::NodeUnknown) => (Intent::Preserve(reason), follow(own)),
            Err(reason) => (Intent::Hold(reason), follow(own)),
            Ok(routing) => match pool::conflict(listing, pool, &policy.owner.set_identifier(), &routing) {
                Some(reason) => (Intent::Hold(reason), follow(own)),
                None => publish(policy, record, own, &plan, routing, &attach),
            },
        },
    };
    match &intent {
        Intent::Publish(set) => plan.in_sync = own == Some(set) && attach != Attach::Wait,
        Intent::Withdraw(_) => plan.in_sync = own.is_none(),
        Intent::Hold(_) | Intent::Preserve(_) => {}
    }
    let stays = matches!(intent, Intent::Publish(_)) || (own.is_some() && !matches!(intent, Intent::Withdraw(_)));
    plan.check = check(record, &plan.desired).filter(|_| stays);
    TypePlan { intent, held_back, changes, ..plan }
}

/// The managed health check of a record set with these addresses: it asks the first.
fn check(record: &RecordPolicy, desired: &[IpAddr]) -> Option<CheckSpec> {
    match &record.health_check {
        Some(HealthCheck::Managed(check)) => {
            desired.first().map(|address| CheckSpec { address: *address, check: check.clone() })
        }
        Some(HealthCheck::Existing(_)) | None => None,
    }
}

/// What the record set is given for a health check.
fn attach(record: &RecordPolicy, managed: Option<&Attach>) -> Attach {
    match &record.health_check {
        None => Attach::Nothing,
        Some(HealthCheck::Existing(id)) => Attach::Check(id.clone()),
        Some(HealthCheck::Managed(_)) => managed.cloned().unwrap_or(Attach::Wait),
    }
}

/// Our record set in a pool.
pub fn own_set<'a>(pool: Option<&'a Pool>, owner: &OwnerId) -> Option<&'a RecordSet> {
    pool?.get(&Some(owner.set_identifier()))
}

fn publish(
    policy: &Policy,
    record: &RecordPolicy,
    own: Option<&RecordSet>,
    plan: &TypePlan,
    routing: Routing,
    attach: &Attach,
) -> (Intent, Vec<Change>) {
    let set = RecordSet {
        set_identifier: Some(policy.owner.set_identifier()),
        routing,
        target: Target::Values { ttl: plan.ttl, values: plan.desired.iter().copied().map(Value::from).collect() },
        health_check_id: match attach {
            Attach::Check(id) => Some(id.clone()),
            Attach::Nothing => None,
            Attach::Wait => own.and_then(|own| own.health_check_id.clone()),
        },
    };
    let change =
        |action, set: &RecordSet| Change { action, name: record.name.clone(), rtype: plan.rtype, set: set.clone() };
    let changes = match own {
        _ if *attach == Attach::Wait => Vec::new(),
        Some(own) if *own == set => Vec::new(),
        // An UPSERT that changes the kind of policy is checked against the record set it replaces.
        Some(own) if own.routing.kind() != set.routing.kind() => {
            vec![change(Action::Delete, own), change(Action::Create, &set)]
        }
        Some(_) | None => vec![change(Action::Upsert, &set)],
    };
    (Intent::Publish(set), changes)
}

fn withdraw(
    policy: &Policy,
    record: &RecordPolicy,
    rtype: RecordType,
    world: World<'_>,
    pool: &Pool,
    own: Option<&RecordSet>,
    reason: Reason,
) -> (Intent, Vec<Change>) {
    let Some(own) = own else { return (Intent::Withdraw(reason), Vec::new()) };
    let failures = world.failures.get(&rtype).copied().unwrap_or(0);
    match guard::withdrawal(&record.name, rtype, pool, own, &policy.owner, record.keep_min, failures) {
        Ok(changes) => (Intent::Withdraw(reason), changes),
        Err(guard) => (Intent::Hold(guard), Vec::new()),
    }
}

/// Where our record set must neither come nor go, it still follows the address: by
/// compare-and-swap, so that a record set that someone pruned is not brought back. A managed health
/// check of the old address does not stay on the new one.
fn follow(
    record: &RecordPolicy,
    rtype: RecordType,
    own: Option<&RecordSet>,
    desired: &[IpAddr],
    attach: &Attach,
) -> Vec<Change> {
    let wanted: BTreeSet<IpAddr> = desired.iter().copied().collect();
    let Some((own, ttl)) = own.and_then(|own| Some((own, own.ttl()?))) else { return Vec::new() };
    if wanted.is_empty() || own.addresses() == wanted {
        return Vec::new();
    }
    let health_check_id = match (&record.health_check, attach) {
        (Some(HealthCheck::Managed(_)), Attach::Wait) => return Vec::new(),
        (Some(HealthCheck::Managed(_)), Attach::Nothing) => None,
        (Some(HealthCheck::Managed(_)), Attach::Check(id)) => Some(id.clone()),
        (Some(HealthCheck::Existing(_)) | None, _) => own.health_check_id.clone(),
    };
    let target = Target::Values { ttl, values: wanted.into_iter().map(Value::from).collect() };
    let moved = RecordSet { target, health_check_id, ..own.clone() };
    let change = |action, set| Change { action, name: record.name.clone(), rtype, set };
    vec![change(Action::Delete, own.clone()), change(Action::Create, moved)]
}
