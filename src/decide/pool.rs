//! What the other record sets of a pool mean for ours, by Route 53's own rules.

use crate::decide::owner::SetIdentifier;
use crate::decide::policy::RecordPolicy;
use crate::decide::reason::Reason;
use crate::decide::record::{Listing, Pool, RecordSet};
use crate::decide::routing::{PolicyKind, Routing};

/// The TTL to publish with. Route 53 refuses a weighted record set whose TTL differs from the
/// pool's, so where others already have one it is adopted; other policies allow any.
pub fn ttl(pool: &Pool, own: &SetIdentifier, record: &RecordPolicy) -> u32 {
    let theirs = || others(pool, own).filter(|set| set.routing.kind() == PolicyKind::Weighted).find_map(RecordSet::ttl);
    match record.routing.kind() {
        PolicyKind::Weighted => theirs().unwrap_or(record.ttl),
        PolicyKind::Simple
        | PolicyKind::GeoProximity
        | PolicyKind::MultiValue
        | PolicyKind::Latency
        | PolicyKind::Geolocation
        | PolicyKind::Failover
        | PolicyKind::Cidr => record.ttl,
    }
}

/// Why Route 53 would refuse our record set beside what the name holds; `None` when nothing is in the way.
pub fn conflict(listing: &Listing, pool: &Pool, own: &SetIdentifier, routing: &Routing) -> Option<Reason> {
    if listing.has_cname {
        return Some(Reason::CnameConflict);
    }
    let wanted = routing.kind();
    for other in others(pool, own) {
        match other.routing.kind() {
            PolicyKind::Simple => return Some(Reason::SimpleConflict),
            found if found != wanted => return Some(Reason::PolicyConflict { found, wanted }),
            _ => {}
        }
        if is_exclusive(routing) && other.routing == *routing {
            return Some(Reason::LocationTaken(routing.to_string()));
        }
    }
    let limit = wanted.pool_limit();
    let is_in = pool.contains_key(&Some(own.clone()));
    (!is_in && pool.len() >= limit).then_some(Reason::PoolFull(limit))
}

/// Every record set of the pool but ours.
pub fn others<'a>(pool: &'a Pool, own: &SetIdentifier) -> impl Iterator<Item = &'a RecordSet> {
    let own = Some(own.clone());
    pool.iter().filter(move |(identifier, _)| **identifier != own).map(|(_, set)| set)
}

/// Whether Route 53 takes only one record set with exactly these parameters in a pool. Whether
/// geoproximity belongs here is not documented; the service decides.
fn is_exclusive(routing: &Routing) -> bool {
    match routing {
        Routing::Latency(_) | Routing::Geolocation(_) | Routing::Failover(_) => true,
        Routing::Simple
        | Routing::Weighted(_)
        | Routing::GeoProximity { .. }
        | Routing::MultiValue
        | Routing::Cidr { .. } => false,
    }
}
