//! The request types of the API: the parts of its XML schema that clients can see, and their values.

<<<<<<< HEAD
use crate::health::{HealthCheckConfig, HealthCheckUpdate};
use crate::model::{
    Action, AliasTarget, ApiError, Change, ChangeBatch, CidrRouting, Coordinates, GeoLocation, GeoProximity, RecordSet,
};
use crate::places::{CHECKER_REGIONS, LATENCY_REGIONS};
use crate::xsd::{self, Element, Facet, Order, Particle, Simple, Type};
=======
/// A named simple type and its facets.
macro_rules! simple {
    ($name:literal: $($facet:expr),* $(,)?) => {
        Type::Simple(&Simple { name: $name, facets: &[$($facet),*] })
    };
}

mod health_checks;
mod hosted_zones;
mod record_sets;
mod tags;

pub use self::health_checks::{create_health_check, update_health_check};
pub use self::hosted_zones::{CreateHostedZone, create_hosted_zone};
pub use self::record_sets::change_batch;
pub(crate) use self::record_sets::is_record_type;
pub use self::tags::{NewTags, change_tags, list_tags};

use crate::xsd::{Element, Facet, Particle, Simple, Type};
>>>>>>> sim

const MANY: usize = usize::MAX;

const fn one(name: &'static str, kind: Type) -> Particle {
    Particle { name, kind, min: 1, max: 1 }
}

const fn optional(name: &'static str, kind: Type) -> Particle {
    Particle { name, kind, min: 0, max: 1 }
}

const fn many(name: &'static str, kind: Type, min: usize, max: usize) -> Particle {
    Particle { name, kind, min, max }
}

const NAME: Type = simple!("DNSName": Facet::MaxLength(1024));
const DESCRIPTION: Type = simple!("ResourceDescription": Facet::MaxLength(256));
const BOOLEAN: Type = simple!("boolean": Facet::Boolean);
<<<<<<< HEAD
const TYPES: &[&str] = &[
    "SOA", "A", "TXT", "NS", "CNAME", "MX", "NAPTR", "PTR", "SRV", "SPF", "AAAA", "CAA", "DS", "TLSA", "SSHFP", "SVCB",
    "HTTPS",
];

/// Whether it is a record type the service knows.
pub(crate) fn is_record_type(text: &str) -> bool {
    TYPES.contains(&text)
}

static COORDINATES: &[Particle] = &[
    one("Latitude", simple!("Latitude": Facet::Pattern(r"[-+]?(90|[0-8]{0,1}[0-9](\.[0-9]{0,2})?)", is_latitude))),
    one(
        "Longitude",
        simple!("Longitude":
            Facet::Pattern(r"[-+]?(180|(1[0-7][0-9]|[0-9]{1,2})(\.[0-9]{0,2})?)", is_longitude)),
    ),
];

static GEO_PROXIMITY: &[Particle] = &[
    optional("AWSRegion", simple!("AWSRegion": Facet::MinLength(1), Facet::MaxLength(64))),
    optional("LocalZoneGroup", simple!("LocalZoneGroup": Facet::MinLength(1), Facet::MaxLength(64))),
    optional("Coordinates", Type::Sequence(COORDINATES)),
    optional("Bias", simple!("Bias": Facet::Integer, Facet::Max(99), Facet::Min(-99))),
];

static GEO_LOCATION: &[Particle] = &[
    optional(
        "ContinentCode",
        simple!("ContinentCode": Facet::Length(2), Facet::Enumeration(&["AF", "AN", "AS", "EU", "OC", "NA", "SA"])),
    ),
    optional("CountryCode", simple!("CountryCode": Facet::MinLength(1), Facet::MaxLength(2))),
    optional("SubdivisionCode", simple!("SubdivisionCode": Facet::MinLength(1), Facet::MaxLength(3))),
];

static RESOURCE_RECORD: &[Particle] = &[one("Value", simple!("RData": Facet::MaxLength(4000)))];

static RESOURCE_RECORDS: &[Particle] = &[many("ResourceRecord", Type::Sequence(RESOURCE_RECORD), 1, MANY)];

static ALIAS_TARGET: &[Particle] = &[
    one("HostedZoneId", simple!("ResourceId": Facet::MaxLength(32))),
    one("DNSName", NAME),
    one("EvaluateTargetHealth", BOOLEAN),
];

static CIDR_ROUTING: &[Particle] = &[
    one("CollectionId", simple!("UUID": Facet::Pattern("[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", is_uuid))),
    one(
        "LocationName",
        simple!("CidrLocationNameDefaultAllowed":
            Facet::Pattern(r"[0-9A-Za-z_\-\*]+", is_location_name), Facet::MaxLength(16)),
    ),
];

static RECORD_SET: &[Particle] = &[
    one("Name", NAME),
    one("Type", simple!("RRType": Facet::Enumeration(TYPES))),
    optional("SetIdentifier", simple!("SetIdentifier": Facet::MinLength(1), Facet::MaxLength(128))),
    optional("Weight", simple!("Weight": Facet::Integer)),
    optional("Region", simple!("RRSetRegion": Facet::Enumeration(LATENCY_REGIONS))),
    optional("GeoLocation", Type::Sequence(GEO_LOCATION)),
    optional("Failover", simple!("Failover": Facet::Enumeration(&["PRIMARY", "SECONDARY"]))),
    optional("MultiValueAnswer", BOOLEAN),
    optional("TTL", simple!("TTL": Facet::Integer)),
    optional("ResourceRecords", Type::Sequence(RESOURCE_RECORDS)),
    optional("AliasTarget", Type::Sequence(ALIAS_TARGET)),
    optional("HealthCheckId", simple!("HealthCheckId": Facet::MaxLength(64))),
    optional("TrafficPolicyInstanceId", simple!("TrafficPolicyInstanceId": Facet::MinLength(1), Facet::MaxLength(36))),
    optional("CidrRoutingConfig", Type::Sequence(CIDR_ROUTING)),
    optional("GeoProximityLocation", Type::Sequence(GEO_PROXIMITY)),
];

static CHANGE: &[Particle] = &[
    one("Action", simple!("Action": Facet::Enumeration(&["CREATE", "DELETE", "UPSERT"]))),
    one("ResourceRecordSet", Type::Sequence(RECORD_SET)),
];

static CHANGES: &[Particle] = &[many("Change", Type::Sequence(CHANGE), 1, MANY)];

static CHANGE_BATCH: &[Particle] = &[optional("Comment", DESCRIPTION), one("Changes", Type::Sequence(CHANGES))];

static CHANGE_REQUEST: &[Particle] = &[one("ChangeBatch", Type::Sequence(CHANGE_BATCH))];

/// Parses a ChangeResourceRecordSets body.
///
/// # Errors
/// MalformedInput, InvalidInput.
pub fn change_batch(body: &[u8], order: Order) -> Result<ChangeBatch, ApiError> {
    let root = xsd::parse(body, "ChangeResourceRecordSetsRequest", CHANGE_REQUEST, order)?;
    let Some(batch) = root.child("ChangeBatch") else {
        return Ok(ChangeBatch::default());
    };
    let changes = batch.child("Changes").into_iter().flat_map(|changes| changes.children("Change"));
    Ok(ChangeBatch { comment: batch.text_of("Comment"), changes: changes.filter_map(change).collect() })
}

fn change(element: &Element) -> Option<Change> {
    let action = match element.text_of("Action")?.as_str() {
        "CREATE" => Action::Create,
        "DELETE" => Action::Delete,
        _ => Action::Upsert,
    };
    Some(Change { action, record_set: record_set(element.child("ResourceRecordSet")?) })
}

fn record_set(element: &Element) -> RecordSet {
    let text = |name: &str| element.text_of(name);
    let records = element.child("ResourceRecords").into_iter().flat_map(|records| records.children("ResourceRecord"));
    RecordSet {
        name: text("Name").unwrap_or_default(),
        rtype: text("Type").unwrap_or_default(),
        set_identifier: text("SetIdentifier"),
        weight: element.integer_of("Weight"),
        region: text("Region"),
        geolocation: element.child("GeoLocation").map(|location| GeoLocation {
            continent: location.text_of("ContinentCode"),
            country: location.text_of("CountryCode"),
            subdivision: location.text_of("SubdivisionCode"),
        }),
        failover: text("Failover"),
        multi_value_answer: element.boolean_of("MultiValueAnswer"),
        ttl: element.integer_of("TTL"),
        values: records.filter_map(|record| record.text_of("Value")).collect(),
        alias: element.child("AliasTarget").map(|alias| AliasTarget {
            hosted_zone_id: alias.text_of("HostedZoneId").unwrap_or_default(),
            dns_name: alias.text_of("DNSName").unwrap_or_default(),
            evaluate_target_health: alias.boolean_of("EvaluateTargetHealth").unwrap_or_default(),
        }),
        health_check_id: text("HealthCheckId"),
        traffic_policy_instance_id: text("TrafficPolicyInstanceId"),
        cidr: element.child("CidrRoutingConfig").map(|cidr| CidrRouting {
            collection_id: cidr.text_of("CollectionId").unwrap_or_default(),
            location_name: cidr.text_of("LocationName").unwrap_or_default(),
        }),
        geoproximity: element.child("GeoProximityLocation").map(|location| GeoProximity {
            aws_region: location.text_of("AWSRegion"),
            local_zone_group: location.text_of("LocalZoneGroup"),
            coordinates: location.child("Coordinates").map(|at| Coordinates {
                latitude: at.text_of("Latitude").unwrap_or_default(),
                longitude: at.text_of("Longitude").unwrap_or_default(),
            }),
            bias: location.integer_of("Bias"),
        }),
    }
}

static VPC: &[Particle] = &[
    optional("VPCRegion", simple!("VPCRegion": Facet::MinLength(1), Facet::MaxLength(64))),
    optional("VPCId", simple!("VPCId": Facet::MaxLength(1024))),
];

static HOSTED_ZONE_CONFIG: &[Particle] = &[optional("Comment", DESCRIPTION), optional("PrivateZone", BOOLEAN)];

static CREATE_HOSTED_ZONE: &[Particle] = &[
    one("Name", NAME),
    optional("VPC", Type::Sequence(VPC)),
    one("CallerReference", simple!("Nonce": Facet::MinLength(1), Facet::MaxLength(128))),
    optional("HostedZoneConfig", Type::Sequence(HOSTED_ZONE_CONFIG)),
    optional("DelegationSetId", simple!("ResourceId": Facet::MaxLength(32))),
];

/// A CreateHostedZone body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateHostedZone {
    /// As it was sent.
    pub name: String,
    /// What the creator calls the request.
    pub caller_reference: String,
    /// Of the configuration.
    pub comment: Option<String>,
    /// Region and id; makes the zone private.
    pub vpc: Option<(String, String)>,
}

/// Parses a CreateHostedZone body.
///
/// # Errors
/// MalformedInput, InvalidInput.
pub fn create_hosted_zone(body: &[u8], order: Order) -> Result<CreateHostedZone, ApiError> {
    let root = xsd::parse(body, "CreateHostedZoneRequest", CREATE_HOSTED_ZONE, order)?;
    let vpc = |vpc: &Element| (vpc.text_of("VPCRegion").unwrap_or_default(), vpc.text_of("VPCId").unwrap_or_default());
    Ok(CreateHostedZone {
        name: root.text_of("Name").unwrap_or_default(),
        caller_reference: root.text_of("CallerReference").unwrap_or_default(),
        comment: root.child("HostedZoneConfig").and_then(|config| config.text_of("Comment")),
        vpc: root.child("VPC").map(vpc),
    })
}

const PORT: Type = simple!("Port": Facet::Integer, Facet::Max(65535), Facet::Min(1));
const TEXT_255: Type = simple!("string": Facet::MaxLength(255));
const THRESHOLD: Type = simple!("FailureThreshold": Facet::Integer, Facet::Max(10), Facet::Min(1));
const HEALTH_THRESHOLD: Type = simple!("HealthThreshold": Facet::Integer, Facet::Max(256), Facet::Min(0));
const HEALTH_CHECK_ID: Type = simple!("HealthCheckId": Facet::MaxLength(64));
const IP_ADDRESS: Type = simple!("IPAddress": Facet::MaxLength(45));
const INSUFFICIENT_DATA: Type =
    simple!("InsufficientDataHealthStatus": Facet::Enumeration(&["Healthy", "Unhealthy", "LastKnownStatus"]));

static CHILDREN: &[Particle] = &[many("ChildHealthCheck", HEALTH_CHECK_ID, 0, 256)];

static REGIONS: &[Particle] =
    &[many("Region", simple!("HealthCheckRegion": Facet::Enumeration(CHECKER_REGIONS)), 3, 64)];

static ALARM: &[Particle] = &[
    one("Region", simple!("CloudWatchRegion": Facet::MinLength(1), Facet::MaxLength(64))),
    one("Name", simple!("AlarmName": Facet::MinLength(1), Facet::MaxLength(256))),
];

static HEALTH_CHECK_CONFIG: &[Particle] = &[
    optional("IPAddress", IP_ADDRESS),
    optional("Port", PORT),
    one(
        "Type",
        simple!("HealthCheckType": Facet::Enumeration(&[
            "HTTP", "HTTPS", "HTTP_STR_MATCH", "HTTPS_STR_MATCH", "TCP", "CALCULATED", "CLOUDWATCH_METRIC",
            "RECOVERY_CONTROL",
        ])),
    ),
    optional("ResourcePath", TEXT_255),
    optional("FullyQualifiedDomainName", TEXT_255),
    optional("SearchString", TEXT_255),
    optional("RequestInterval", simple!("RequestInterval": Facet::Integer, Facet::Enumeration(&["10", "30"]))),
    optional("FailureThreshold", THRESHOLD),
    optional("MeasureLatency", BOOLEAN),
    optional("Inverted", BOOLEAN),
    optional("Disabled", BOOLEAN),
    optional("HealthThreshold", HEALTH_THRESHOLD),
    optional("ChildHealthChecks", Type::Sequence(CHILDREN)),
    optional("EnableSNI", BOOLEAN),
    optional("Regions", Type::Sequence(REGIONS)),
    optional("AlarmIdentifier", Type::Sequence(ALARM)),
    optional("InsufficientDataHealthStatus", INSUFFICIENT_DATA),
    optional("RoutingControlArn", simple!("RoutingControlArn": Facet::MinLength(1), Facet::MaxLength(255))),
];

static CREATE_HEALTH_CHECK: &[Particle] = &[
    one("CallerReference", simple!("HealthCheckNonce": Facet::MinLength(1), Facet::MaxLength(64))),
    one("HealthCheckConfig", Type::Sequence(HEALTH_CHECK_CONFIG)),
];

static RESETTABLE: &[Particle] = &[many(
    "ResettableElementName",
    simple!("ResettableElementName":
        Facet::Enumeration(&["FullyQualifiedDomainName", "Regions", "ResourcePath", "ChildHealthChecks"])),
    0,
    64,
)];

static UPDATE_HEALTH_CHECK: &[Particle] = &[
    optional("HealthCheckVersion", simple!("HealthCheckVersion": Facet::Integer, Facet::Min(1))),
    optional("IPAddress", IP_ADDRESS),
    optional("Port", PORT),
    optional("ResourcePath", TEXT_255),
    optional("FullyQualifiedDomainName", TEXT_255),
    optional("SearchString", TEXT_255),
    optional("FailureThreshold", THRESHOLD),
    optional("Inverted", BOOLEAN),
    optional("Disabled", BOOLEAN),
    optional("HealthThreshold", HEALTH_THRESHOLD),
    optional("ChildHealthChecks", Type::Sequence(CHILDREN)),
    optional("EnableSNI", BOOLEAN),
    optional("Regions", Type::Sequence(REGIONS)),
    optional("AlarmIdentifier", Type::Sequence(ALARM)),
    optional("InsufficientDataHealthStatus", INSUFFICIENT_DATA),
    optional("ResetElements", Type::Sequence(RESETTABLE)),
];

/// Parses a CreateHealthCheck body into caller reference and configuration.
///
/// # Errors
/// MalformedInput, InvalidInput.
pub fn create_health_check(body: &[u8], order: Order) -> Result<(String, HealthCheckConfig), ApiError> {
    let root = xsd::parse(body, "CreateHealthCheckRequest", CREATE_HEALTH_CHECK, order)?;
    let config = root.child("HealthCheckConfig").map(health_check_config).unwrap_or_default();
    Ok((root.text_of("CallerReference").unwrap_or_default(), config))
}

/// Parses an UpdateHealthCheck body.
///
/// # Errors
/// MalformedInput, InvalidInput.
pub fn update_health_check(body: &[u8], order: Order) -> Result<HealthCheckUpdate, ApiError> {
    let root = xsd::parse(body, "UpdateHealthCheckRequest", UPDATE_HEALTH_CHECK, order)?;
    Ok(HealthCheckUpdate {
        version: root.integer_of("HealthCheckVersion"),
        reset: list(&root, "ResetElements", "ResettableElementName"),
        config: health_check_config(&root),
    })
}

fn health_check_config(element: &Element) -> HealthCheckConfig {
    HealthCheckConfig {
        ip_address: element.text_of("IPAddress"),
        port: element.integer_of("Port"),
        kind: element.text_of("Type").unwrap_or_default(),
        resource_path: element.text_of("ResourcePath"),
        fully_qualified_domain_name: element.text_of("FullyQualifiedDomainName"),
        search_string: element.text_of("SearchString"),
        request_interval: element.integer_of("RequestInterval"),
        failure_threshold: element.integer_of("FailureThreshold"),
        measure_latency: element.boolean_of("MeasureLatency"),
        inverted: element.boolean_of("Inverted"),
        disabled: element.boolean_of("Disabled"),
        health_threshold: element.integer_of("HealthThreshold"),
        child_health_checks: list(element, "ChildHealthChecks", "ChildHealthCheck"),
        enable_sni: element.boolean_of("EnableSNI"),
        regions: list(element, "Regions", "Region"),
        alarm: element
            .child("AlarmIdentifier")
            .map(|alarm| (alarm.text_of("Region").unwrap_or_default(), alarm.text_of("Name").unwrap_or_default())),
        insufficient_data_health_status: element.text_of("InsufficientDataHealthStatus"),
        routing_control_arn: element.text_of("RoutingControlArn"),
    }
}

=======
>>>>>>> sim
fn list(element: &Element, list: &str, item: &str) -> Vec<String> {
    let items = element.child(list).into_iter().flat_map(|list| list.children(item));
    items.map(|item| item.text().to_owned()).collect()
}
<<<<<<< HEAD

const TAG_KEY: Type = simple!("TagKey": Facet::MaxLength(128));

static TAG: &[Particle] = &[optional("Key", TAG_KEY), optional("Value", simple!("TagValue": Facet::MaxLength(256)))];

static ADD_TAGS: &[Particle] = &[many("Tag", Type::Sequence(TAG), 1, 10)];

static REMOVE_TAG_KEYS: &[Particle] = &[many("Key", TAG_KEY, 1, 10)];

static CHANGE_TAGS: &[Particle] =
    &[optional("AddTags", Type::Sequence(ADD_TAGS)), optional("RemoveTagKeys", Type::Sequence(REMOVE_TAG_KEYS))];

static RESOURCE_IDS: &[Particle] = &[many("ResourceId", simple!("TagResourceId": Facet::MaxLength(64)), 1, 10)];

static LIST_TAGS: &[Particle] = &[one("ResourceIds", Type::Sequence(RESOURCE_IDS))];

/// Tags to add, by key and value.
pub type NewTags = Vec<(String, String)>;

/// Parses a ChangeTagsForResource body into tags to add and keys to remove.
///
/// # Errors
/// MalformedInput, InvalidInput.
pub fn change_tags(body: &[u8], order: Order) -> Result<(NewTags, Vec<String>), ApiError> {
    let root = xsd::parse(body, "ChangeTagsForResourceRequest", CHANGE_TAGS, order)?;
    let added = root.child("AddTags").into_iter().flat_map(|tags| tags.children("Tag"));
    let add = added.map(|tag| (tag.text_of("Key").unwrap_or_default(), tag.text_of("Value").unwrap_or_default()));
    Ok((add.collect(), list(&root, "RemoveTagKeys", "Key")))
}

/// Parses a ListTagsForResources body into ids.
///
/// # Errors
/// MalformedInput, InvalidInput.
pub fn list_tags(body: &[u8], order: Order) -> Result<Vec<String>, ApiError> {
    let root = xsd::parse(body, "ListTagsForResourcesRequest", LIST_TAGS, order)?;
    Ok(list(&root, "ResourceIds", "ResourceId"))
}

/// Splits off the sign, and the decimals if there are at most two.
fn degrees(text: &str) -> Option<(&str, bool)> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let sound = digits(whole) && !whole.is_empty() && fraction.is_none_or(|f| digits(f) && f.len() <= 2);
    sound.then_some((whole, fraction.is_some()))
}

fn is_latitude(text: &str) -> bool {
    match degrees(text) {
        Some(("90", decimals)) => !decimals,
        Some((whole, _)) => whole.len() == 1 || (whole.len() == 2 && whole.as_bytes()[0] <= b'8'),
        None => false,
    }
}

fn is_longitude(text: &str) -> bool {
    match degrees(text) {
        Some(("180", decimals)) => !decimals,
        Some((whole, _)) => whole.len() <= 2 || (whole.len() == 3 && ("100".."180").contains(&whole)),
        None => false,
    }
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

fn is_location_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_have_at_most_two_decimals_and_none_at_the_poles() {
        for good in ["0", "9", "89.99", "-89.99", "+5", "90", "-90", "52.5", "52.", "07"] {
            assert!(is_latitude(good), "{good}");
        }
        for bad in ["", "-", ".5", "90.0", "90.", "91", "95", "100", "40.7128", "1e1", "5,2", " 5", "--5"] {
            assert!(!is_latitude(bad), "{bad}");
        }
        for good in ["0", "99", "100", "179.99", "-179.99", "180", "-180", "13.41", "05"] {
            assert!(is_longitude(good), "{good}");
        }
        for bad in ["", "180.0", "180.", "181", "200", "090", "1000", "-74.0060", "190"] {
            assert!(!is_longitude(bad), "{bad}");
        }
    }

    #[test]
    fn identifiers_of_collections_are_checked() {
        assert!(is_uuid("11111111-2222-3333-4444-555555555555"));
        assert!(!is_uuid("11111111-2222-3333-4444-55555555555"));
        assert!(!is_uuid("11111111-2222-3333-4444-55555555555G"));
        assert!(is_location_name("*") && is_location_name("eu_west-1") && !is_location_name("a b"));
    }
}
=======
>>>>>>> sim
