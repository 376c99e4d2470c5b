//! A record set in the very words of Route 53's API, without a loss.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::decide::name::DnsName;
use crate::decide::owner::SetIdentifier;
use crate::decide::record::{RecordSet, RecordType, Target, Value};
use crate::decide::routing::{Coordinates, FailoverRole, Location, Origin, Routing};

/// A `ResourceRecordSet` of the API, as the AWS command line reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct ResourceRecordSet {
    name: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geo_location: Option<GeoLocation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failover: Option<Failover>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_answer: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cidr_routing_config: Option<CidrRoutingConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geo_proximity_location: Option<GeoProximityLocation>,
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_records: Option<Vec<ResourceRecord>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias_target: Option<AliasTarget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic_policy_instance_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct GeoLocation {
    #[serde(skip_serializing_if = "Option::is_none")]
    continent_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subdivision_code: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Failover {
    Primary,
    Secondary,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct CidrRoutingConfig {
    collection_id: String,
    location_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct GeoProximityLocation {
    #[serde(rename = "AWSRegion", skip_serializing_if = "Option::is_none")]
    aws_region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_zone_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coordinates: Option<Point>,
    bias: i8,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Point {
    latitude: String,
    longitude: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ResourceRecord {
    value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct AliasTarget {
    hosted_zone_id: String,
    #[serde(rename = "DNSName")]
    dns_name: String,
    evaluate_target_health: bool,
}

impl ResourceRecordSet {
    /// The record set at this name and type.
    pub fn new(name: &DnsName, rtype: RecordType, set: &RecordSet) -> Self {
        let mut listed = ResourceRecordSet {
            name: name.as_str().to_owned(),
            r#type: rtype.as_str().to_owned(),
            set_identifier: set.set_identifier.as_ref().map(|SetIdentifier(text)| text.clone()),
            health_check_id: set.health_check_id.clone(),
            ..ResourceRecordSet::default()
        };
        match &set.routing {
            Routing::Simple => {}
            Routing::Weighted(weight) => listed.weight = Some(*weight),
            Routing::GeoProximity { location, bias } => {
                listed.geo_proximity_location = Some(GeoProximityLocation::new(location, *bias));
            }
            Routing::MultiValue => listed.multi_value_answer = Some(true),
            Routing::Latency(region) => listed.region = Some(region.clone()),
            Routing::Geolocation(origin) => listed.geo_location = Some(GeoLocation::new(origin)),
            Routing::Failover(FailoverRole::Primary) => listed.failover = Some(Failover::Primary),
            Routing::Failover(FailoverRole::Secondary) => listed.failover = Some(Failover::Secondary),
            Routing::Cidr { collection_id, location_name } => {
                let (collection_id, location_name) = (collection_id.clone(), location_name.clone());
                listed.cidr_routing_config = Some(CidrRoutingConfig { collection_id, location_name });
            }
        }
        match &set.target {
            Target::Values { ttl, values } => {
                let record = |value: &Value| ResourceRecord { value: value.as_str().to_owned() };
                listed.ttl = Some(*ttl);
                listed.resource_records = Some(values.iter().map(record).collect());
            }
            Target::Alias { hosted_zone_id, dns_name, evaluate_target_health } => {
                listed.alias_target = Some(AliasTarget {
                    hosted_zone_id: hosted_zone_id.clone(),
                    dns_name: dns_name.clone(),
                    evaluate_target_health: *evaluate_target_health,
                });
            }
            Target::TrafficPolicyInstance(id) => listed.traffic_policy_instance_id = Some(id.clone()),
        }
        listed
    }

    /// The record set, which must be at this name and type.
    ///
    /// # Errors
    /// What about it makes no sense.
    pub fn read(&self, name: &DnsName, rtype: RecordType) -> Result<RecordSet, String> {
        let at = DnsName::parse(&self.name).map_err(|error| error.to_string())?;
        if (at, self.r#type.as_str()) != (name.clone(), rtype.as_str()) {
            return Err(format!("it has a record set of {} {}", self.name, self.r#type));
        }
        let routing = self.routing()?;
        let set_identifier = self.set_identifier.clone().map(SetIdentifier);
        if set_identifier.is_some() != (routing != Routing::Simple) {
            return Err(format!("a record set is {routing}, and its set identifier does not go with that"));
        }
        let health_check_id = self.health_check_id.clone();
        Ok(RecordSet { set_identifier, routing, target: self.target()?, health_check_id })
    }

    fn routing(&self) -> Result<Routing, String> {
        let mut policies: Vec<Routing> = Vec::new();
        policies.extend(self.weight.map(Routing::Weighted));
        policies.extend(self.region.clone().map(Routing::Latency));
        policies.extend(self.geo_location.as_ref().map(GeoLocation::read).transpose()?.map(Routing::Geolocation));
        policies.extend(self.failover.map(|role| {
            Routing::Failover(match role {
                Failover::Primary => FailoverRole::Primary,
                Failover::Secondary => FailoverRole::Secondary,
            })
        }));
        policies.extend(self.multi_value_answer.filter(|is| *is).map(|_| Routing::MultiValue));
        policies.extend(
            self.cidr_routing_config
                .clone()
                .map(|cidr| Routing::Cidr { collection_id: cidr.collection_id, location_name: cidr.location_name }),
        );
        policies.extend(self.geo_proximity_location.as_ref().map(GeoProximityLocation::read).transpose()?);
        match (policies.pop(), policies.is_empty()) {
            (None, _) => Ok(Routing::Simple),
            (Some(routing), true) => Ok(routing),
            (Some(_), false) => Err("a record set has more than one routing policy".to_owned()),
        }
    }

    fn target(&self) -> Result<Target, String> {
        match (&self.alias_target, &self.traffic_policy_instance_id, self.ttl, &self.resource_records) {
            (Some(alias), None, None, None) => Ok(Target::Alias {
                hosted_zone_id: alias.hosted_zone_id.clone(),
                dns_name: alias.dns_name.clone(),
                evaluate_target_health: alias.evaluate_target_health,
            }),
            (None, Some(id), None, None) => Ok(Target::TrafficPolicyInstance(id.clone())),
            (None, None, Some(ttl), Some(records)) => {
                let values: BTreeSet<Value> = records.iter().map(|record| Value::new(record.value.clone())).collect();
                match values.len() == records.len() {
                    true => Ok(Target::Values { ttl, values }),
                    false => Err("a record set has one value twice".to_owned()),
                }
            }
            _ => Err("a record set has neither values with a TTL nor an alias target alone".to_owned()),
        }
    }
}

impl GeoLocation {
    fn new(origin: &Origin) -> Self {
        let (continent, country, part) = match origin {
            Origin::Continent(code) => (Some(code), None, None),
            Origin::Country(code) => (None, Some(code), None),
            Origin::Subdivision { country, subdivision } => (None, Some(country), Some(subdivision)),
        };
        GeoLocation {
            continent_code: continent.cloned(),
            country_code: country.cloned(),
            subdivision_code: part.cloned(),
        }
    }

    fn read(&self) -> Result<Origin, String> {
        match (self.continent_code.clone(), self.country_code.clone(), self.subdivision_code.clone()) {
            (Some(continent), None, None) => Ok(Origin::Continent(continent)),
            (None, Some(country), None) => Ok(Origin::Country(country)),
            (None, Some(country), Some(subdivision)) => Ok(Origin::Subdivision { country, subdivision }),
            _ => Err("a geolocation is neither a continent nor a country nor a part of one".to_owned()),
        }
    }
}

impl GeoProximityLocation {
    fn new(location: &Location, bias: i8) -> Self {
        let listed = GeoProximityLocation { bias, ..GeoProximityLocation::default() };
        match location {
            Location::Coordinates(point) => {
                let point = Point { latitude: point.latitude(), longitude: point.longitude() };
                GeoProximityLocation { coordinates: Some(point), ..listed }
            }
            Location::AwsRegion(region) => GeoProximityLocation { aws_region: Some(region.clone()), ..listed },
            Location::LocalZoneGroup(group) => GeoProximityLocation { local_zone_group: Some(group.clone()), ..listed },
        }
    }

    fn read(&self) -> Result<Routing, String> {
        let location = match (self.aws_region.clone(), self.local_zone_group.clone(), &self.coordinates) {
            (Some(region), None, None) => Location::AwsRegion(region),
            (None, Some(group), None) => Location::LocalZoneGroup(group),
            (None, None, Some(point)) => Location::Coordinates(
                Coordinates::listed(&point.latitude, &point.longitude).map_err(|error| error.to_string())?,
            ),
            _ => return Err("a record set is not at exactly one geoproximity location".to_owned()),
        };
        Ok(Routing::GeoProximity { location, bias: self.bias })
    }
}
