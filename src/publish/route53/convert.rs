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
            Coordinates::listed(point.latitude(), point.longitude())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::name::DnsName;
    use types::builders::ResourceRecordSetBuilder;

    fn weighted() -> RecordSet {
        RecordSet {
            set_identifier: Some(SetIdentifier("s".into())),
            routing: Routing::Weighted(0),
            target: Target::Values { ttl: 60, values: BTreeSet::from([Value::new("192.0.2.1")]) },
            health_check_id: None,
        }
    }

    fn round_trip(set: &RecordSet) -> Result<RecordSet, String> {
        let name = DnsName::parse("*.example.com").map_err(|error| error.to_string())?;
        let ours = Change { action: Action::Delete, name, rtype: RecordType::A, set: set.clone() };
        let sent = change(&ours).map_err(|error| error.to_string())?;
        let sent_set = sent.resource_record_set().ok_or("no set")?;
        assert_eq!(sent_set.name(), "\\052.example.com.");
        record_set(sent_set)
    }

    #[test]
    fn every_routing_and_target_survives_the_round_trip() -> Result<(), Box<dyn std::error::Error>> {
        let point = Coordinates::parse_pair("-90,0.05")?;
        let proximity = |location, bias| Routing::GeoProximity { location, bias };
        for routing in [
            Routing::Weighted(0),
            Routing::Weighted(255),
            proximity(Location::Coordinates(point), -99),
            proximity(Location::AwsRegion("eu-central-1".into()), 0),
            proximity(Location::LocalZoneGroup("us-west-2-den-1".into()), 99),
            Routing::MultiValue,
            Routing::Latency("mars-north-1".into()),
            Routing::Geolocation(Origin::Continent("EU".into())),
            Routing::Geolocation(Origin::Country("*".into())),
            Routing::Geolocation(Origin::Subdivision { country: "US".into(), subdivision: "CA".into() }),
            Routing::Failover(FailoverRole::Primary),
            Routing::Failover(FailoverRole::Secondary),
            Routing::Cidr { collection_id: "c".into(), location_name: "*".into() },
        ] {
            let set = RecordSet { routing, health_check_id: Some("h".into()), ..weighted() };
            assert_eq!(round_trip(&set)?, set);
        }
        let alias = Target::Alias {
            hosted_zone_id: "Z2".into(),
            dns_name: "Dualstack.LB.example.".into(),
            evaluate_target_health: true,
        };
        for target in [alias, Target::TrafficPolicyInstance("t".into())] {
            let set = RecordSet { target, routing: Routing::Simple, set_identifier: None, health_check_id: None };
            assert_eq!(round_trip(&set)?, set);
        }
        Ok(())
    }

    #[test]
    fn a_value_goes_out_as_it_was_listed() -> Result<(), Box<dyn std::error::Error>> {
        let values = BTreeSet::from([Value::new("2001:DB8:0:0::1")]);
        let set = RecordSet { target: Target::Values { ttl: 60, values }, ..weighted() };
        let name = DnsName::parse("a.example.com")?;
        let sent = change(&Change { action: Action::Delete, name, rtype: RecordType::Aaaa, set })?;
        let records = sent.resource_record_set().map(|set| set.resource_records()).unwrap_or_default();
        assert_eq!(records.iter().map(|record| record.value()).collect::<Vec<_>>(), ["2001:DB8:0:0::1"]);
        Ok(())
    }

    #[test]
    fn a_bias_is_sent_even_when_it_is_zero_and_read_even_when_it_is_missing() -> Result<(), Box<dyn std::error::Error>>
    {
        let location = Location::AwsRegion("eu-west-1".into());
        assert_eq!(geoproximity(&location, 0)?.bias(), Some(0));
        let listed = types::GeoProximityLocation::builder().aws_region("eu-west-1").build();
        assert_eq!(listed_proximity(&listed)?, Routing::GeoProximity { location, bias: 0 });
        Ok(())
    }

    /// A listed A record set with a value and a TTL, and what `with` adds.
    fn listed(with: impl FnOnce(ResourceRecordSetBuilder) -> ResourceRecordSetBuilder) -> Result<RecordSet, String> {
        let record = types::ResourceRecord::builder().value("192.0.2.1").build().map_err(|error| error.to_string())?;
        let set =
            types::ResourceRecordSet::builder().name("a.").r#type(types::RrType::A).ttl(60).resource_records(record);
        record_set(&with(set).build().map_err(|error| error.to_string())?)
    }

    #[test]
    fn what_cannot_be_kept_is_an_error_that_says_why() {
        let record = |value: &str| types::ResourceRecord::builder().value(value).build().expect("a value");
        let place = |text: &str| {
            let point = types::Coordinates::builder().latitude(text).longitude("0").build().expect("a point");
            types::GeoProximityLocation::builder().coordinates(point).build()
        };
        assert!(listed(|set| set).is_ok());
        for (result, why) in [
            (listed(|set| set.set_identifier("s")), "no routing policy known here"),
            (listed(|set| set.weight(1)), "weighted 1 but has no set identifier"),
            (listed(|set| set.set_identifier("s").weight(256)), "weight is 256"),
            (listed(|set| set.set_identifier("s").weight(1).multi_value_answer(true)), "more than one routing policy"),
            (listed(|set| set.set_identifier("s").failover("TERTIARY".into())), "failover role is TERTIARY"),
            (listed(|set| set.set_identifier("s").geo_location(types::GeoLocation::builder().build())), "geolocation"),
            (listed(|set| set.set_identifier("s").geo_proximity_location(place("1.234"))), "more than two decimals"),
            (
                listed(|set| {
                    set.set_identifier("s").geo_proximity_location(types::GeoProximityLocation::builder().build())
                }),
                "exactly one geoproximity location",
            ),
            (listed(|set| set.set_ttl(None)), "neither values with a TTL"),
            (listed(|set| set.set_resource_records(None)), "neither values with a TTL"),
            (listed(|set| set.ttl(-1)), "TTL is -1"),
            (listed(|set| set.resource_records(record("192.0.2.1"))), "one address in two spellings"),
        ] {
            let error = result.expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_multivalue_answer_of_false_is_none() {
        assert_eq!(listed(|set| set.multi_value_answer(false)).map(|set| set.routing), Ok(Routing::Simple));
    }
}
