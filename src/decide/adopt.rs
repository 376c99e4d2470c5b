//! Taking over a pool that hand-made records or another tool have left: which changes make it one that
//! nodedns can share, and which pools are better left to a person.
//!
//! | a record set of the pool | what becomes of it |
//! |---|---|
//! | has an owner id | nothing, byte for byte |
//! | foreign, of our policy, without an address of ours | nothing |
//! | foreign, of our policy, with some | deleted, and created again with the rest |
//! | foreign, of our policy or another, with nothing else | deleted |
//! | foreign, of another policy, with a rest | deleted; weighted or multivalue: each value of the rest becomes a record set of our policy |
//! | foreign, of another policy, with a rest, a standby | refused, unless it is to be dropped |
//!
//! A standby answers only when others do not: a failover secondary, or weight 0 beside others with more
//! (Developer Guide, "Failover routing" and "Values specific for weighted records"). As one of our policy it
//! would answer at once.
//!
//! An address of ours is one that we are about to publish, or that an owner of the pool publishes already:
//! the rest stays in DNS until its own nodes adopt it. Where nodes are, as the other policies must be told,
//! nobody knows; so there a rest of another policy is refused, unless it is to be dropped.
//!
//! Deletions come first, so that what is created finds nothing in its way: Route 53 works through a batch
//! in order, and commits it whole or not at all. Nobody ever sees a state in between.

mod refusal;

use std::collections::BTreeSet;
use std::fmt;

pub use refusal::Refusal;

use crate::decide::fitness::Fitness;
use crate::decide::owner::{OwnerId, SET_IDENTIFIER_MAX, SetIdentifier};
use crate::decide::plan::TypePlan;
use crate::decide::policy::{RecordPolicy, RoutingRule};
use crate::decide::pool;
use crate::decide::reason::{Intent, Reason};
use crate::decide::record::{Action, Change, Listing, Pool, RecordSet, Target, Value};
use crate::decide::routing::{FailoverRole, PolicyKind, Routing};

/// The most values in one batch. Source: Route 53 API reference, ChangeResourceRecordSets.
const ELEMENTS_MAX: usize = 1000;
/// The most characters of all values in one batch; same source.
const CHARACTERS_MAX: usize = 32_000;

/// One name and type, and how it is to be taken over.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who takes it over.
    pub owner: &'a OwnerId,
    /// The record.
    pub record: &'a RecordPolicy,
    /// What the name holds.
    pub listing: &'a Listing,
    /// What our daemon wants there.
    pub plan: &'a TypePlan,
    /// Whether the node is fit to be in DNS.
    pub fitness: &'a Fitness,
    /// The health check that our record set is to have, as far as there is one.
    pub health_check_id: Option<&'a str>,
    /// Whether the values leave that are neither ours nor an owner's.
    pub drop_others: bool,
    /// Whether a node is let in that is not fit, and whether others' values may leave a pool below `keep_min`.
    /// Never both.
    pub force: bool,
}

/// What adopting a pool comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adoption {
    /// Nothing is to be done.
    Nothing(Nothing),
    /// One batch, in order.
    Change(Vec<Change>),
}

/// Why nothing is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// The record is not configured for the type.
    NotConfigured,
    /// The node has no address of the type.
    NoAddress,
    /// The pool is empty.
    Empty,
    /// The daemon can share the pool as it is.
    Shared,
}

impl Nothing {
    /// For programs: a word in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Nothing::NotConfigured => "type_not_configured",
            Nothing::NoAddress => "no_address",
            Nothing::Empty => "empty",
            Nothing::Shared => "shared",
        }
    }
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Nothing::NotConfigured => "the record's 'types' do not name this type",
            Nothing::NoAddress => "this node has no address of this type to publish",
            Nothing::Empty => "there is no record set yet",
            Nothing::Shared => "what is there can be shared as it is",
        })
    }
}

/// The changes that make the pool one that nodedns can share, our record set among them.
///
/// # Errors
/// [`Refusal`] says what stands in the way.
pub fn adopt(request: Request<'_>) -> Result<Adoption, Refusal> {
    let Request { owner, record, listing, plan, .. } = request;
    if !record.types.contains(&plan.rtype) {
        return Ok(Adoption::Nothing(Nothing::NotConfigured));
    }
    if plan.intent == Intent::Preserve(Reason::AddressesUnknown) {
        return Err(Refusal::Unknown(Reason::AddressesUnknown));
    }
    if plan.desired.is_empty() {
        return Ok(Adoption::Nothing(Nothing::NoAddress));
    }
    if listing.has_cname {
        return Err(Refusal::InTheWay(Reason::CnameConflict));
    }
    let empty = Pool::new();
    let pool = listing.pool(plan.rtype).unwrap_or(&empty);
    let kind = record.routing.kind();
    let identifier = owner.set_identifier();
    let is_foreign = |set: &&RecordSet| owner_of(set).is_none();
    let foreign: Vec<&RecordSet> = pool.values().filter(is_foreign).collect();
    if foreign.is_empty() {
        return Ok(Adoption::Nothing(if pool.is_empty() { Nothing::Empty } else { Nothing::Shared }));
    }
    if let Some((other, set)) = pool::others(pool, &identifier)
        .find_map(|set| Some((owner_of(set)?, set)).filter(|(_, set)| set.routing.kind() != kind))
    {
        return Err(Refusal::Owner { owner: other, found: set.routing.kind(), wanted: kind });
    }
    let ours: BTreeSet<Value> = plan.desired.iter().copied().map(Value::from).collect();
    let owners = pool::others(pool, &identifier).filter(|set| owner_of(set).is_some());
    let taken: BTreeSet<Value> = owners.flat_map(values).chain(&ours).cloned().collect();
    let fates = fates(&foreign, kind, &taken, request.drop_others);
    if fates.iter().all(|fate| matches!(fate, Fate::Stays)) {
        return Ok(Adoption::Nothing(Nothing::Shared));
    }
    understood(&foreign)?;
    let drops = request.drop_others && foreign.iter().flat_map(|set| values(set)).any(|value| !taken.contains(value));
    match request.fitness {
        // It would leave the name with the one node that is not fit.
        Fitness::Unfit(reason) | Fitness::Unknown(reason) if request.force && drops => {
            return Err(Refusal::ForcedDrop(reason.clone()));
        }
        Fitness::Unfit(reason) if !request.force => return Err(Refusal::Unfit(reason.clone())),
        Fitness::Unknown(reason) if !request.force => return Err(Refusal::Unknown(reason.clone())),
        Fitness::Fit | Fitness::Recovering(_) | Fitness::Unfit(_) | Fitness::Unknown(_) => {}
    }
    let routing = match (&plan.routing, &plan.intent) {
        (RoutingRule::Fixed(routing), _) => routing.clone(),
        (RoutingRule::CoordinatesOfTheNode { .. }, Intent::Hold(reason) | Intent::Preserve(reason)) => {
            return Err(Refusal::InTheWay(reason.clone()));
        }
        (RoutingRule::CoordinatesOfTheNode { .. }, Intent::Publish(_) | Intent::Withdraw(_)) => {
            return Err(Refusal::InTheWay(Reason::CoordinatesMissing(None)));
        }
    };
    if routing == Routing::Failover(FailoverRole::Primary) && request.health_check_id.is_none() {
        return Err(Refusal::PrimaryUnchecked);
    }
    let stays = remaining(pool, &fates);
    let own = RecordSet {
        set_identifier: Some(identifier.clone()),
        routing,
        target: Target::Values { ttl: pool::ttl(&stays, &identifier, record), values: ours },
        health_check_id: request.health_check_id.map(str::to_owned),
    };
    let changes = changes(request, pool, &fates, &own)?;
    accepted(request, &own, &changes, drops)?;
    Ok(Adoption::Change(changes))
}

/// What becomes of a foreign record set.
enum Fate<'a> {
    Stays,
    Leaves(&'a RecordSet),
    /// It stays with fewer values.
    Shrinks(&'a RecordSet, BTreeSet<Value>),
    /// It leaves; these values of it become record sets of our policy.
    Turns(&'a RecordSet, BTreeSet<Value>),
}

fn fates<'a>(foreign: &[&'a RecordSet], kind: PolicyKind, taken: &BTreeSet<Value>, drop_others: bool) -> Vec<Fate<'a>> {
    let mut turned = taken.clone();
    let fate = |set: &&'a RecordSet| {
        let set = *set;
        let same = set.routing.kind() == kind;
        let rest: BTreeSet<Value> =
            values(set).filter(|value| !if same { taken } else { &turned }.contains(value)).cloned().collect();
        let whole = !matches!(set.target, Target::Values { .. }) || rest.len() == values(set).count();
        if drop_others {
            Fate::Leaves(set)
        } else if same && whole {
            Fate::Stays
        } else if rest.is_empty() && matches!(set.target, Target::Values { .. }) {
            Fate::Leaves(set)
        } else if same {
            Fate::Shrinks(set, rest)
        } else {
            // A value that stands in two record sets is answered for once.
            turned.extend(rest.iter().cloned());
            Fate::Turns(set, rest)
        }
    };
    foreign.iter().map(fate).collect()
}

/// Refuses what must not be changed, or cannot be told in values.
fn understood(foreign: &[&RecordSet]) -> Result<(), Refusal> {
    for set in foreign {
        match &set.target {
            Target::TrafficPolicyInstance(id) => return Err(Refusal::TrafficPolicy(name_of(set), id.clone())),
            Target::Alias { .. } => return Err(Refusal::Alias(name_of(set))),
            Target::Values { .. } if set.routing.kind() == PolicyKind::Cidr => return Err(Refusal::Cidr(name_of(set))),
            Target::Values { .. } => {}
        }
    }
    Ok(())
}

fn name_of(set: &RecordSet) -> String {
    match &set.set_identifier {
        Some(identifier) => format!("the record set {:?}", identifier.0),
        None => "the record set without routing policy".to_owned(),
    }
}

/// The pool without the record sets that leave, whatever comes in their place.
fn remaining(pool: &Pool, fates: &[Fate<'_>]) -> Pool {
    let mut pool = pool.clone();
    for fate in fates {
        if let Fate::Leaves(set) | Fate::Turns(set, _) = fate {
            pool.remove(&set.set_identifier);
        }
    }
    pool
}

fn changes(request: Request<'_>, pool: &Pool, fates: &[Fate<'_>], own: &RecordSet) -> Result<Vec<Change>, Refusal> {
    let (mut deleted, mut created) = (Vec::new(), vec![own.clone()]);
    deleted.extend(pool.get(&own.set_identifier).cloned());
    if deleted.first() == Some(own) {
        (deleted, created) = (Vec::new(), Vec::new());
    }
    let mut lost = Vec::new();
    for fate in fates {
        match fate {
            Fate::Stays => {}
            Fate::Leaves(set) => deleted.push((*set).clone()),
            Fate::Shrinks(set, rest) => {
                deleted.push((*set).clone());
                created.push(with_values(set, set.ttl().unwrap_or(request.record.ttl), rest.clone()));
            }
            Fate::Turns(set, _) if is_standby(set, pool) => return Err(Refusal::Standby(name_of(set))),
            Fate::Turns(set, rest) => {
                deleted.push((*set).clone());
                for value in rest {
                    let (routing, ttl) = match &own.routing {
                        // All of a weighted pool have one TTL, and as one value each of a simple record
                        // set gets its share, each of its record sets has the same weight.
                        Routing::Weighted(weight) => (Routing::Weighted(*weight), own.ttl()),
                        Routing::MultiValue => (Routing::MultiValue, set.ttl()),
                        _ => {
                            lost.push(value.clone());
                            continue;
                        }
                    };
                    let identifier = Some(derived(set.set_identifier.as_ref(), value));
                    let turned = RecordSet { set_identifier: identifier, routing, ..(*set).clone() };
                    let ttl = ttl.unwrap_or(request.record.ttl);
                    created.push(with_values(&turned, ttl, BTreeSet::from([value.clone()])));
                }
            }
        }
    }
    if !lost.is_empty() {
        return Err(Refusal::Place { wanted: own.routing.kind(), values: lost });
    }
    let change = |action, set| Change { action, name: request.record.name.clone(), rtype: request.plan.rtype, set };
    let deleted = deleted.into_iter().map(|set| change(Action::Delete, set));
    Ok(deleted.chain(created.into_iter().map(|set| change(Action::Create, set))).collect())
}

/// Whether a record set answers only when others of its pool do not. Where all weights are 0, all answer alike.
fn is_standby(set: &RecordSet, pool: &Pool) -> bool {
    let is_active = |other: &RecordSet| matches!(other.routing, Routing::Weighted(weight) if weight > 0);
    match &set.routing {
        Routing::Failover(FailoverRole::Secondary) => true,
        Routing::Weighted(0) => pool.values().any(is_active),
        _ => false,
    }
}

/// Refuses beforehand what Route 53 would refuse, and a pool that others' values leave and that becomes too
/// small by that. Whether it takes two geoproximity record sets at one
/// location is not documented, so that it is asked.
fn accepted(request: Request<'_>, own: &RecordSet, changes: &[Change], drops: bool) -> Result<(), Refusal> {
    let sizes = || changes.iter().flat_map(|change| values(&change.set)).map(|value| value.as_str().chars().count());
    let (elements, characters) = (sizes().count(), sizes().sum());
    if elements > ELEMENTS_MAX || characters > CHARACTERS_MAX {
        return Err(Refusal::TooLarge { elements, characters });
    }
    let mut after = request.listing.clone();
    changes.iter().for_each(|change| after.apply(change));
    let empty = Pool::new();
    let pool = after.pool(request.plan.rtype).unwrap_or(&empty);
    let limit = own.routing.kind().pool_limit();
    if pool.len() > limit {
        return Err(Refusal::InTheWay(Reason::PoolFull(limit)));
    }
    let minimum = request.record.keep_min;
    if drops && !request.force && u32::try_from(pool.len()).is_ok_and(|left| left < minimum) {
        return Err(Refusal::KeepMin { left: pool.len(), minimum });
    }
    match pool::conflict(&after, pool, &request.owner.set_identifier(), &own.routing) {
        Some(reason) => Err(Refusal::InTheWay(reason)),
        None => Ok(()),
    }
}

/// A set identifier that tells where the value was before. It is nobody else's: no value is turned twice, all
/// foreign record sets of the pool leave then, and its `@` stands in no owner id.
fn derived(before: Option<&SetIdentifier>, value: &Value) -> SetIdentifier {
    let before = before.map_or("simple", |identifier| identifier.0.as_str());
    let end = format!("@{}", value.as_str());
    let room = SET_IDENTIFIER_MAX.saturating_sub(end.chars().count());
    SetIdentifier(before.chars().take(room).chain(end.chars()).collect())
}

fn with_values(set: &RecordSet, ttl: u32, values: BTreeSet<Value>) -> RecordSet {
    RecordSet { target: Target::Values { ttl, values }, ..set.clone() }
}

fn owner_of(set: &RecordSet) -> Option<OwnerId> {
    set.set_identifier.as_ref().and_then(OwnerId::parse)
}

fn values(set: &RecordSet) -> impl Iterator<Item = &Value> {
    let values = match &set.target {
        Target::Values { values, .. } => Some(values),
        Target::Alias { .. } | Target::TrafficPolicyInstance(_) => None,
    };
    values.into_iter().flatten()
}
