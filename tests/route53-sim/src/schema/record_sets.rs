//! ChangeResourceRecordSets.

use super::{BOOLEAN, DESCRIPTION, MANY, NAME, many, one, optional};
use crate::model::{
    Action, AliasTarget, ApiError, Change, ChangeBatch, CidrRouting, Coordinates, GeoLocation, GeoProximity, RecordSet,
};
use crate::places::LATENCY_REGIONS;
use crate::xsd::{self, Element, Facet, Order, Particle, Simple, Type};

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
