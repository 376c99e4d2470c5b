//! Record sets as values.

use serde::{Deserialize, Serialize};

use crate::name;

/// A resource record set, field for field as the API has it, so that also a set the rules refuse can be written down.
///
/// In a zone the name is lower case, escaped (`\052`) and ends in a dot; [`RecordSet::new`] brings it into that form.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordSet {
    /// Absolute, lower case, escaped.
    pub name: String,
    /// `A`, `AAAA`, `CNAME`, ...
    #[serde(rename = "type")]
    pub rtype: String,
    /// Tells the record sets of one name and type apart; absent for a simple record set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_identifier: Option<String>,
    /// Weighted routing, 0 to 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// Latency routing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Geolocation routing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geolocation: Option<GeoLocation>,
    /// Failover routing: `PRIMARY` or `SECONDARY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<String>,
    /// Multivalue answer routing, when true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_value_answer: Option<bool>,
    /// Seconds; absent for an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// The `ResourceRecord` values, in the order they were written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The target of an alias record set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<AliasTarget>,
    /// The health check that decides whether the set is answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_id: Option<String>,
    /// Set on record sets that a traffic policy made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_policy_instance_id: Option<String>,
    /// IP-based routing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<CidrRouting>,
    /// Geoproximity routing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geoproximity: Option<GeoProximity>,
}

/// Where the queries of a geolocation record set come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeoLocation {
    /// `AF`, `AN`, `AS`, `EU`, `OC`, `NA` or `SA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continent: Option<String>,
    /// ISO 3166-1 alpha-2, or `*` for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// A state of the United States (or a region of Ukraine).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdivision: Option<String>,
}

/// What an alias record set points at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AliasTarget {
    /// The zone the target lies in, not the zone of the alias.
    pub hosted_zone_id: String,
    /// The target, in the stored form of a name.
    pub dns_name: String,
    /// Whether the target's health decides about the alias.
    pub evaluate_target_health: bool,
}

/// The location of an IP-based record set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CidrRouting {
    /// UUID of the CIDR collection.
    pub collection_id: String,
    /// A location of the collection, `*` for the default.
    pub location_name: String,
}

/// The location of a geoproximity record set: one of the first three, and a bias.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeoProximity {
    /// `eu-central-1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_region: Option<String>,
    /// `us-west-2-den-1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_zone_group: Option<String>,
    /// Degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<Coordinates>,
    /// -99 to 99. A zone always holds one: an omitted bias is stored as 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<i64>,
}

/// Degrees as the text that was sent, at most two decimals.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coordinates {
    /// -90 to 90.
    pub latitude: String,
    /// -180 to 180.
    pub longitude: String,
}

/// The routing policy of a record set, by the field that chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the API")]
pub enum Policy {
    Weight,
    Region,
    Failover,
    GeoLocation,
    MultiValueAnswer,
    GeoProximityLocation,
    CidrRoutingConfig,
}

impl RecordSet {
    /// A record set with nothing but its name and type.
    ///
    /// # Panics
    /// If the name is no domain name.
    #[must_use]
    pub fn new(name: &str, rtype: &str) -> Self {
        let name = name::normalize(name).unwrap_or_else(|problem| panic!("record set name {name:?}: {problem}"));
        Self { name, rtype: rtype.to_owned(), ..Self::default() }
    }

    /// Sets the set identifier.
    #[must_use]
    pub fn set_identifier(mut self, id: &str) -> Self {
        self.set_identifier = Some(id.to_owned());
        self
    }

    /// Makes it weighted.
    #[must_use]
    pub fn weight(mut self, weight: i64) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Makes it a latency record set.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Makes it a failover record set: `PRIMARY` or `SECONDARY`.
    #[must_use]
    pub fn failover(mut self, role: &str) -> Self {
        self.failover = Some(role.to_owned());
        self
    }

    /// Makes it a multivalue answer record set.
    #[must_use]
    pub fn multi_value_answer(mut self) -> Self {
        self.multi_value_answer = Some(true);
        self
    }

    /// Makes it a geolocation record set of a country (`*`: the default).
    #[must_use]
    pub fn country(mut self, code: &str) -> Self {
        self.geolocation = Some(GeoLocation { country: Some(code.to_owned()), ..GeoLocation::default() });
        self
    }

    /// Makes it a geolocation record set of a continent.
    #[must_use]
    pub fn continent(mut self, code: &str) -> Self {
        self.geolocation = Some(GeoLocation { continent: Some(code.to_owned()), ..GeoLocation::default() });
        self
    }

    /// Makes it a geolocation record set of a state of a country.
    #[must_use]
    pub fn subdivision(mut self, country: &str, code: &str) -> Self {
        self.geolocation = Some(GeoLocation {
            continent: None,
            country: Some(country.to_owned()),
            subdivision: Some(code.to_owned()),
        });
        self
    }

    /// Makes it a geoproximity record set at coordinates in degrees.
    #[must_use]
    pub fn geoproximity(mut self, latitude: &str, longitude: &str, bias: i64) -> Self {
        let coordinates = Coordinates { latitude: latitude.to_owned(), longitude: longitude.to_owned() };
        self.geoproximity =
            Some(GeoProximity { coordinates: Some(coordinates), bias: Some(bias), ..GeoProximity::default() });
        self
    }

    /// Makes it a geoproximity record set at an AWS Region.
    #[must_use]
    pub fn geoproximity_region(mut self, region: &str, bias: i64) -> Self {
        self.geoproximity =
            Some(GeoProximity { aws_region: Some(region.to_owned()), bias: Some(bias), ..GeoProximity::default() });
        self
    }

    /// Makes it a geoproximity record set at a local zone group.
    #[must_use]
    pub fn geoproximity_local_zone_group(mut self, group: &str, bias: i64) -> Self {
        self.geoproximity = Some(GeoProximity {
            local_zone_group: Some(group.to_owned()),
            bias: Some(bias),
            ..GeoProximity::default()
        });
        self
    }

    /// Makes it an IP-based record set.
    #[must_use]
    pub fn cidr(mut self, collection_id: &str, location_name: &str) -> Self {
        self.cidr =
            Some(CidrRouting { collection_id: collection_id.to_owned(), location_name: location_name.to_owned() });
        self
    }

    /// Sets the TTL in seconds.
    #[must_use]
    pub fn ttl(mut self, seconds: i64) -> Self {
        self.ttl = Some(seconds);
        self
    }

    /// Adds a value.
    #[must_use]
    pub fn value(mut self, value: &str) -> Self {
        self.values.push(value.to_owned());
        self
    }

    /// Makes it an alias.
    #[must_use]
    pub fn alias(mut self, hosted_zone_id: &str, dns_name: &str, evaluate_target_health: bool) -> Self {
        self.alias = Some(AliasTarget {
            hosted_zone_id: hosted_zone_id.to_owned(),
            dns_name: name::normalize(dns_name).unwrap_or_else(|_| dns_name.to_owned()),
            evaluate_target_health,
        });
        self
    }

    /// Attaches a health check.
    #[must_use]
    pub fn health_check(mut self, id: &str) -> Self {
        self.health_check_id = Some(id.to_owned());
        self
    }

    /// Every routing policy that is given; one for a proper routed record set, none for a simple one.
    #[must_use]
    pub fn policies(&self) -> Vec<Policy> {
        [
            (self.weight.is_some(), Policy::Weight),
            (self.region.is_some(), Policy::Region),
            (self.failover.is_some(), Policy::Failover),
            (self.geolocation.is_some(), Policy::GeoLocation),
            (self.multi_value_answer == Some(true), Policy::MultiValueAnswer),
            (self.geoproximity.is_some(), Policy::GeoProximityLocation),
            (self.cidr.is_some(), Policy::CidrRoutingConfig),
        ]
        .into_iter()
        .filter_map(|(given, policy)| given.then_some(policy))
        .collect()
    }

    /// The routing policy, if it has one.
    #[must_use]
    pub fn policy(&self) -> Option<Policy> {
        self.policies().into_iter().next()
    }

    /// Brings it into the form a zone holds: the name normalized, the bias explicit.
    ///
    /// # Errors
    /// If the name is no domain name.
    pub fn into_stored(mut self) -> Result<Self, name::Problem> {
        self.name = name::normalize(&self.name)?;
        if let Some(geoproximity) = &mut self.geoproximity {
            geoproximity.bias.get_or_insert(0);
        }
        if let Some(alias) = &mut self.alias {
            alias.dns_name = name::normalize(&alias.dns_name)?;
        }
        if self.multi_value_answer == Some(false) {
            self.multi_value_answer = None;
        }
        Ok(self)
    }
}
