//! Between the SDK's record sets and ours, without a loss.

use std::collections::BTreeSet;

use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types;

use crate::decide::owner::SetIdentifier;
use crate::decide::record::{Action, Change, RecordSet, RecordType, Target, Value};
use crate::decide::routing::{Coordinates, FailoverRole, Location, Origin, Routing};

/// A change as the SDK sends it.
pub(super) fn change(change: &Change) -> Result<types::Change, BuildError> {
    let action = match change.action {
        Action::Create => types::ChangeAction::Create,
        Action::Upsert => types::ChangeAction::Upsert,
        Action::Delete => types::ChangeAction::Delete,
    };
    let rtype = match change.rtype {
        RecordType::A => types::RrType::A,
        RecordType::Aaaa => types::RrType::Aaaa,
    };
    let mut set = types::ResourceRecordSet::builder()
        .name(change.name.as_str())
        .r#type(rtype)
        .set_set_identifier(change.set.set_identifier.as_ref().map(|id| id.0.clone()))
        .set_health_check_id(change.set.health_check_id.clone());
    set = match &change.set.routing {
        Routing::Simple => set,
        Routing::Weighted(weight) => set.weight((*weight).into()),
        Routing::GeoProximity { location, bias } => set.geo_proximity_location(geoproximity(location, *bias)?),
        Routing::MultiValue => set.multi_value_answer(true),
        Routing::Latency(region) => set.region(region.as_str().into()),
        Routing::Geolocation(origin) => set.geo_location(geolocation(origin)),
        Routing::Failover(FailoverRole::Primary) => set.failover(types::ResourceRecordSetFailover::Primary),
        Routing::Failover(FailoverRole::Secondary) => set.failover(types::ResourceRecordSetFailover::Secondary),
        Routing::Cidr { collection_id, location_name } => set.cidr_routing_config(
            types::CidrRoutingConfig::builder().collection_id(collection_id).location_name(location_name).build()?,
        ),
    };
    set = match &change.set.target {
        Target::Values { ttl, values } => {
            let records: Result<Vec<_>, _> =
                values.iter().map(|value| types::ResourceRecord::builder().value(value.as_str()).build()).collect();
            set.ttl((*ttl).into()).set_resource_records(Some(records?).filter(|records| !records.is_empty()))
        }
        Target::Alias { hosted_zone_id, dns_name, evaluate_target_health } => set.alias_target(
            types::AliasTarget::builder()
                .hosted_zone_id(hosted_zone_id)
                .dns_name(dns_name)
                .evaluate_target_health(*evaluate_target_health)
                .build()?,
        ),
        Target::TrafficPolicyInstance(id) => set.traffic_policy_instance_id(id),
    };
    types::Change::builder().action(action).resource_record_set(set.build()?).build()
}

/// The bias is always explicit: Route 53 lists a missing one as 0, and whether a deletion without
/// one would match that 0 is not documented.
fn geoproximity(location: &Location, bias: i8) -> Result<types::GeoProximityLocation, BuildError> {
    let builder = types::GeoProximityLocation::builder().bias(bias.into());
    Ok(match location {
        Location::Coordinates(point) => builder.coordinates(
            types::Coordinates::builder().latitude(point.latitude()).longitude(point.longitude()).build()?,
        ),
        Location::AwsRegion(region) => builder.aws_region(region),
        Location::LocalZoneGroup(group) => builder.local_zone_group(group),
    }
    .build())
}

fn geolocation(origin: &Origin) -> types::GeoLocation {
    let builder = types::GeoLocation::builder();
    match origin {
        Origin::Continent(code) => builder.continent_code(code),
        Origin::Country(code) => builder.country_code(code),
        Origin::Subdivision { country, subdivision } => builder.country_code(country).subdivision_code(subdivision),
    }
    .build()
}

/// A record set as it was listed.
///
/// # Errors
/// What about it our words cannot say. Such a set must not be taken for another one: a deletion
/// that echoes it would be refused, and one that replaces it would change what we cannot see.
pub(super) fn record_set(set: &types::ResourceRecordSet) -> Result<RecordSet, String> {
    let routing = routing(set)?;
    let identifier = set.set_identifier().map(|id| SetIdentifier(id.to_owned()));
    if identifier.is_some() != (routing != Routing::Simple) {
        return Err(match routing {
            Routing::Simple => "it has a set identifier but no routing policy known here".to_owned(),
            routing => format!("it is {routing} but has no set identifier"),
        });
    }
    Ok(RecordSet {
        set_identifier: identifier,
        routing,
        target: target(set)?,
        health_check_id: set.health_check_id().map(str::to_owned),
    })
}

fn routing(set: &types::ResourceRecordSet) -> Result<Routing, String> {
    let mut policies = Vec::new();
    if let Some(weight) = set.weight() {
        policies.push(Routing::Weighted(u8::try_from(weight).map_err(|_| format!("its weight is {weight}"))?));
    }
    if let Some(region) = set.region() {
        policies.push(Routing::Latency(region.as_str().to_owned()));
    }
    if let Some(origin) = set.geo_location() {
        policies.push(Routing::Geolocation(listed_origin(origin)?));
    }
    match set.failover() {
        None => {}
        Some(types::ResourceRecordSetFailover::Primary) => policies.push(Routing::Failover(FailoverRole::Primary)),
        Some(types::ResourceRecordSetFailover::Secondary) => policies.push(Routing::Failover(FailoverRole::Secondary)),
        Some(other) => return Err(format!("its failover role is {}", other.as_str())),
    }
    if set.multi_value_answer() == Some(true) {
        policies.push(Routing::MultiValue);
    }
    if let Some(cidr) = set.cidr_routing_config() {
        policies.push(Routing::Cidr {
            collection_id: cidr.collection_id().to_owned(),
            location_name: cidr.location_name().to_owned(),
        });
    }
    if let Some(location) = set.geo_proximity_location() {
        policies.push(listed_proximity(location)?);
    }
    match (policies.pop(), policies.is_empty()) {
        (None, _) => Ok(Routing::Simple),
        (Some(routing), true) => Ok(routing),
        (Some(_), false) => Err("it has more than one routing policy".to_owned()),
    }
}

fn listed_origin(origin: &types::GeoLocation) -> Result<Origin, String> {
    match (origin.continent_code(), origin.country_code(), origin.subdivision_code()) {
        (Some(continent), None, None) => Ok(Origin::Continent(continent.to_owned())),
        (None, Some(country), None) => Ok(Origin::Country(country.to_owned())),
        (None, Some(country), Some(part)) => {
            Ok(Origin::Subdivision { country: country.to_owned(), subdivision: part.to_owned() })
        }
        _ => Err("its geolocation is neither a continent nor a country nor a part of one".to_owned()),
    }
}

fn listed_proximity(location: &types::GeoProximityLocation) -> Result<Routing, String> {
    let bias = location.bias().unwrap_or_default();
    let bias = i8::try_from(bias).map_err(|_| format!("its bias is {bias}"))?;
    let location = match (location.aws_region(), location.local_zone_group(), location.coordinates()) {
        (Some(region), None, None) => Location::AwsRegion(region.to_owned()),
        (None, Some(group), None) => Location::LocalZoneGroup(group.to_owned()),
        (None, None, Some(point)) => Location::Coordinates(
            Coordinates::parse(point.latitude(), point.longitude())
                .map_err(|error| format!("its coordinate {error}"))?,
        ),
        _ => return Err("it is not at exactly one geoproximity location".to_owned()),
    };
    Ok(Routing::GeoProximity { location, bias })
}

fn target(set: &types::ResourceRecordSet) -> Result<Target, String> {
    // Whatever else is listed of such a set is the traffic policy's, and never written from here.
    if let Some(id) = set.traffic_policy_instance_id() {
        return Ok(Target::TrafficPolicyInstance(id.to_owned()));
    }
    match (set.alias_target(), set.ttl(), set.resource_records()) {
        (Some(alias), None, []) => Ok(Target::Alias {
            hosted_zone_id: alias.hosted_zone_id().to_owned(),
            dns_name: alias.dns_name().to_owned(),
            evaluate_target_health: alias.evaluate_target_health(),
        }),
        (None, Some(ttl), records @ [_, ..]) => {
            let ttl = u32::try_from(ttl).map_err(|_| format!("its TTL is {ttl}"))?;
            let values: BTreeSet<Value> = records.iter().map(|record| Value::new(record.value())).collect();
            if values.len() != records.len() {
                return Err("it lists one address in two spellings".to_owned());
            }
            Ok(Target::Values { ttl, values })
        }
        _ => Err("it has neither values with a TTL nor an alias target alone".to_owned()),
    }
}
