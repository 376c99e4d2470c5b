//! What Route 53 refuses, and how it says so.
//!
//! The rules and texts are those recorded from the live service, as far as they can concern address
//! records; texts marked "unverified" follow the pattern of their neighbours. Not checked is what
//! needs the service's own tables: health checks, alias targets, AWS Regions, the quota of a zone.

use std::collections::BTreeMap;

use crate::decide::name::DnsName;
use crate::decide::owner::SET_IDENTIFIER_MAX;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::record::{Action, Change, Listing, RecordSet, RecordType, Target};
use crate::decide::routing::{FailoverRole, Origin, Routing};
use crate::publish::zone::HostedZone;

/// Values in one batch, those of an UPSERT counted twice.
const MAX_ELEMENTS: usize = 1000;
/// Characters of all values in one batch, those of an UPSERT counted twice.
const MAX_CHARACTERS: usize = 32_000;
/// Values in one record set.
const MAX_VALUES: usize = 400;

/// Applies a batch to `names`, which hold everything at each name of the batch. On an error they
/// are in disorder, and to be thrown away.
pub(super) fn apply(
    zone: Option<&HostedZone>,
    names: &mut BTreeMap<DnsName, Listing>,
    changes: &[Change],
) -> Result<(), ProviderError> {
    for change in changes {
        structure(change).map_err(|message| refused("InvalidInput", message))?;
    }
    for refusals in [counters(changes), repeated_keys(changes)] {
        if !refusals.is_empty() {
            return Err(invalid_change_batch(&refusals));
        }
    }
    let mut refusals = Vec::new();
    for change in changes {
        let listing = names.entry(change.name.clone()).or_default();
        let refusal = match change.action {
            Action::Delete => outside(zone, change).or_else(|| refuse_delete(listing, change)),
            Action::Create | Action::Upsert => outside(zone, change).or_else(|| refuse_write(zone, listing, change)),
        };
        match refusal {
            Some(message) => refusals.push(message),
            None => listing.apply(change),
        }
    }
    if refusals.is_empty() { Ok(()) } else { Err(invalid_change_batch(&refusals)) }
}

fn refused(code: &str, message: String) -> ProviderError {
    ProviderError { kind: ErrorKind::Refused, code: Some(code.to_owned()), message }
}

/// All messages in one bracket, as the service sends them.
fn invalid_change_batch(messages: &[String]) -> ProviderError {
    refused("InvalidChangeBatch", format!("[{}]", messages.join(", ")))
}

/// What is wrong with a change whatever the zone holds. The service gives up at the first.
fn structure(change: &Change) -> Result<(), String> {
    let Change { action, name, rtype, set } = change;
    let identifier = set.set_identifier.as_ref().map_or("null", |id| id.0.as_str());
    let place = format!(
        "Change with [Action={}, Name={}, Type={rtype}, SetIdentifier={identifier}]",
        action.as_str(),
        name.as_str()
    );
    let too_long = |length: &usize| !(1..=SET_IDENTIFIER_MAX).contains(length);
    if let Some(length) = set.set_identifier.as_ref().map(|id| id.0.chars().count()).filter(too_long) {
        let bound = if length == 0 { "minLength '1'" } else { "maxLength '128'" };
        return Err(format!(
            "Invalid XML ; cvc-length-valid: Value '{identifier}' with length = '{length}' is not facet-valid with \
             respect to {bound} for type 'SetIdentifier'"
        ));
    }
    if let Routing::GeoProximity { bias, .. } = set.routing
        && !(-99..=99).contains(&bias)
    {
        let bound = if bias > 0 { "cvc-maxInclusive-valid: Value" } else { "cvc-minInclusive-valid: Value" };
        return Err(format!("Invalid XML ; {bound} '{bias}' is not facet-valid for type 'Bias'"));
    }
    if let Some(ttl) = set.ttl().filter(|ttl| i32::try_from(*ttl).is_err()) {
        return Err(format!(
            "1 validation error detected: Value '{ttl}' at 'changeBatch.changes.1.member.resourceRecordSet.tTL' failed \
             to satisfy constraint: Member must have value less than or equal to 2147483647"
        ));
    }
    match (&set.set_identifier, set.routing == Routing::Simple) {
        (None, false) => return Err(format!("Invalid request: Missing field 'SetIdentifier' in {place}")),
        (Some(_), true) => {
            return Err(format!(
                "Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, MultiValueAnswer, \
                 GeoProximityLocation, or CidrRoutingConfig], but found none in {place}"
            ));
        }
        (None, true) | (Some(_), false) => {}
    }
    match &set.target {
        Target::Values { values, .. } if values.is_empty() => Err(format!(
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
             TrafficPolicyInstanceId], but found none in {place}"
        )),
        _ => Ok(()),
    }
}

fn counters(changes: &[Change]) -> Vec<String> {
    let sum = |count: fn(&RecordSet) -> usize| -> usize {
        changes.iter().map(|change| count(&change.set) * if change.action == Action::Upsert { 2 } else { 1 }).sum()
    };
    let elements = sum(|set| match &set.target {
        Target::Values { values, .. } => values.len(),
        Target::Alias { .. } | Target::TrafficPolicyInstance(_) => 1,
    });
    let characters = sum(|set| match &set.target {
        Target::Values { values, .. } => values.iter().map(|value| value.as_str().chars().count()).sum(),
        Target::Alias { .. } | Target::TrafficPolicyInstance(_) => 0,
    });
    let mut messages = Vec::new();
    if elements > MAX_ELEMENTS {
        messages.push(format!("Number of records limit of {MAX_ELEMENTS} exceeded."));
    }
    if characters > MAX_CHARACTERS {
        messages.push(format!("RDATA character limit of {MAX_CHARACTERS} exceeded."));
    }
    messages
}

/// One record set may be changed once, or deleted and then created.
fn repeated_keys(changes: &[Change]) -> Vec<String> {
    let mut actions: BTreeMap<_, Vec<Action>> = BTreeMap::new();
    let mut messages = Vec::new();
    for Change { action, name, rtype, set } in changes {
        let seen = actions.entry((name, *rtype, &set.set_identifier)).or_default();
        seen.push(*action);
        if !matches!(seen.as_slice(), [_] | [Action::Delete, Action::Create]) {
            let message = format!(
                "The request contains an invalid set of changes for a resource record set '{rtype} {}'",
                name.as_str()
            );
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
    }
    messages
}

fn outside(zone: Option<&HostedZone>, change: &Change) -> Option<String> {
    let zone = zone.filter(|zone| !change.name.is_within(&zone.name))?;
    Some(format!("RRSet with DNS name {} is not permitted in zone {}", change.name.as_str(), zone.name.as_str()))
}

/// A deletion is a compare-and-swap on every field.
fn refuse_delete(listing: &Listing, change: &Change) -> Option<String> {
    let why = match listing.pool(change.rtype).and_then(|pool| pool.get(&change.set.set_identifier)) {
        None => "it was not found",
        Some(current) if *current != change.set => "the values provided do not match the current values",
        Some(_) => return None,
    };
    Some(format!("Tried to delete resource record set {} but {why}", key(change)))
}

fn key(change: &Change) -> String {
    let Change { name, rtype, set, .. } = change;
    match &set.set_identifier {
        None => format!("[name='{}', type='{rtype}']", name.as_str()),
        Some(id) => format!("[name='{}', type='{rtype}', set-identifier='{id}']", name.as_str()),
    }
}

fn refuse_write(zone: Option<&HostedZone>, listing: &Listing, change: &Change) -> Option<String> {
    let Change { action, name, rtype, set } = change;
    let exists = || listing.pool(*rtype).is_some_and(|pool| pool.contains_key(&set.set_identifier));
    by_itself(zone, change)
        .or_else(|| value(change))
        .or_else(|| {
            (*action == Action::Create && exists())
                .then(|| format!("Tried to create resource record set {} but it already exists", key(change)))
        })
        .or_else(|| pool(listing, change))
        .or_else(|| {
            listing.has_cname.then(|| {
                format!(
                    "RRSet of type {rtype} with DNS name {} is not permitted because a conflicting RRSet of type CNAME \
                     with the same DNS name already exists in zone {}",
                    name.as_str(),
                    zone.map_or(listing.zone_id.as_str(), |zone| zone.name.as_str())
                )
            })
        })
}

/// What can be said of a record set and its zone alone.
fn by_itself(zone: Option<&HostedZone>, change: &Change) -> Option<String> {
    let set = &change.set;
    let alias = matches!(set.target, Target::Alias { .. });
    match &set.routing {
        // Unverified text.
        _ if matches!(set.target, Target::TrafficPolicyInstance(_)) => Some(format!(
            "Resource record set {} can only be changed through its traffic policy instance.",
            key(change)
        )),
        Routing::Simple if set.health_check_id.is_some() => Some(
            "DNS name must have alternate ResourceRecordSet responses configured via a routing policy (e.g., Weight, \
             Region, etc.) if a health check is attached. No changes made."
                .to_owned(),
        ),
        Routing::Cidr { .. } if zone.is_some_and(|zone| zone.private) => Some(format!(
            "{} cannot be created because CIDR RRSet is not supported with private hosted zone.",
            rrset(change)
        )),
        Routing::MultiValue if alias => {
            Some("Multivalue answer rrset should not be an alias rrset. No changes made.".to_owned())
        }
        Routing::Failover(FailoverRole::Primary) if !alias && set.health_check_id.is_none() => Some(
            "A non-alias primary ResourceRecordSet must have an associated health check. No changes made.".to_owned(),
        ),
        _ => None,
    }
}

fn value(change: &Change) -> Option<String> {
    let Target::Values { values, .. } = &change.set.target else { return None };
    if values.len() > MAX_VALUES {
        return Some(format!("Cannot have more than {MAX_VALUES} records in a RRSet."));
    }
    let wrong = values.iter().find(|value| value.address().map(RecordType::of) != Some(change.rtype))?;
    let problem = match change.rtype {
        RecordType::A => "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)",
        // Unverified text.
        RecordType::Aaaa => "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)",
    };
    Some(format!("Invalid Resource Record: 'FATAL problem: {problem} encountered with '{}''", wrong.as_str()))
}

fn rrset(change: &Change) -> String {
    let identifier = change.set.set_identifier.as_ref().map_or("", |id| id.0.as_str());
    format!("RRSet with DNS name {}, type {}, SetIdentifier {identifier}", change.name.as_str(), change.rtype)
}

/// What the other record sets of the pool forbid.
fn pool(listing: &Listing, change: &Change) -> Option<String> {
    let set = &change.set;
    let others: Vec<&RecordSet> = listing
        .pool(change.rtype)?
        .iter()
        .filter(|(identifier, _)| **identifier != set.set_identifier)
        .map(|(_, other)| other)
        .collect();
    if others.is_empty() {
        return None;
    }
    let kind = set.routing.kind();
    if others.iter().any(|other| other.routing.kind() != kind) || set.routing == Routing::Simple {
        return Some(other_policy(change));
    }
    let rrset = rrset(change);
    let twin = others.iter().any(|other| other.routing == set.routing);
    let duplicate = match &set.routing {
        Routing::Weighted(_) => {
            let differs = |other: &&RecordSet| matches!((other.ttl(), set.ttl()), (Some(a), Some(b)) if a != b);
            others
                .iter()
                .any(differs)
                .then(|| format!("{rrset} cannot be created as weighted sets must contain the same TTL."))
        }
        Routing::Latency(region) if twin => Some(format!(
            "{rrset}, and Region Name={region} cannot be created because a latency RRSet with the same name, type and \
             region already exists."
        )),
        Routing::Geolocation(origin) if twin => {
            let place = place(origin);
            Some(format!(
                "{rrset}, and routing to {place} cannot be created because a GEO RRSet with the same name, type and \
                 routing to {place} already exists."
            ))
        }
        // Unverified texts.
        Routing::Failover(_) if twin => Some(format!(
            "{rrset} cannot be created because a failover RRSet with the same name, type and role already exists."
        )),
        Routing::Cidr { .. } if twin => Some(format!(
            "{rrset} cannot be created because a CIDR RRSet with the same name, type and location already exists."
        )),
        // Whether two geoproximity sets may share a location is not documented; taken to be allowed.
        _ => None,
    };
    duplicate.or_else(|| {
        (others.len() >= kind.pool_limit()).then(|| {
            let kind = match set.routing {
                Routing::GeoProximity { .. } => "geo-proximity",
                Routing::MultiValue => "multivalue answer",
                _ => kind.as_str(),
            };
            format!(
                "Exceeded limit on number of {kind} RRSets for {}, type {} in this zone.",
                change.name.as_str(),
                change.rtype
            )
        })
    })
}

/// One pool has one policy, and a simple record set has the pool to itself.
fn other_policy(change: &Change) -> String {
    let rrset = rrset(change);
    let unverified = |kind: &str| {
        format!("{rrset} cannot be created because a non-{kind} RRSet with the same name and type already exists.")
    };
    match &change.set.routing {
        Routing::Simple => format!(
            "RRSet with DNS name {}, type {} cannot be created as other RRSets exist with the same name and type.",
            change.name.as_str(),
            change.rtype
        ),
        Routing::Weighted(_) => {
            format!("{rrset} cannot be created as a non-weighted set exists with the same name and type.")
        }
        Routing::Latency(region) => format!(
            "{rrset}, and Region Name={region} cannot be created because a non-latency RRSet with the same name and \
             type already exists."
        ),
        Routing::MultiValue => format!(
            "{rrset} cannot be created because a non multivalue answer rrset exists with the same name and type."
        ),
        Routing::GeoProximity { .. } => unverified("geoproximity"),
        Routing::Geolocation(_) => unverified("GEO"),
        Routing::Failover(_) => unverified("failover"),
        Routing::Cidr { .. } => unverified("CIDR"),
    }
}

/// The service adds the country's name, and closes with the other bracket.
fn place(origin: &Origin) -> String {
    match origin {
        Origin::Continent(code) => format!("[continent = ({code})}}"),
        Origin::Country(code) => format!("[country = ({code})}}"),
        Origin::Subdivision { country, subdivision } => {
            format!("[country = ({country}), subdivision = ({subdivision})}}")
        }
    }
}
