//! Every text the service answers with, in one place.
//!
//! Those at the top were recorded from the live service. Those in [`unverified`] were not: the rule behind them is
//! documented (or, where its comment says so, prudent), the wording is ours, after the pattern of its neighbours. A
//! client must not depend on them.

pub(crate) mod unverified;

use crate::model::{ApiError, RecordSet};

/// The namespace of the API.
pub const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

fn key(set: &RecordSet) -> String {
    match &set.set_identifier {
        None => format!("[name='{}', type='{}']", set.name, set.rtype),
        Some(id) => format!("[name='{}', type='{}', set-identifier='{id}']", set.name, set.rtype),
    }
}

fn rrset(set: &RecordSet) -> String {
    let id = set.set_identifier.as_deref().unwrap_or_default();
    format!("RRSet with DNS name {}, type {}, SetIdentifier {id}", set.name, set.rtype)
}

// InvalidChangeBatch: existence.

pub(crate) fn already_exists(set: &RecordSet) -> String {
    format!("Tried to create resource record set {} but it already exists", key(set))
}

pub(crate) fn not_found(set: &RecordSet) -> String {
    format!("Tried to delete resource record set {} but it was not found", key(set))
}

pub(crate) fn values_do_not_match(set: &RecordSet) -> String {
    let key = key(set);
    format!("Tried to delete resource record set {key} but the values provided do not match the current values")
}

pub(crate) fn invalid_set_of_changes(set: &RecordSet) -> String {
    let RecordSet { name, rtype, .. } = set;
    format!("The request contains an invalid set of changes for a resource record set '{rtype} {name}'")
}

// InvalidChangeBatch: the pool.

pub(crate) fn other_sets_exist(set: &RecordSet) -> String {
    let RecordSet { name, rtype, .. } = set;
    format!(
        "RRSet with DNS name {name}, type {rtype} cannot be created as other RRSets exist with the same name and type."
    )
}

pub(crate) fn non_weighted_exists(set: &RecordSet) -> String {
    format!("{} cannot be created as a non-weighted set exists with the same name and type.", rrset(set))
}

pub(crate) fn non_latency_exists(set: &RecordSet) -> String {
    let region = set.region.as_deref().unwrap_or_default();
    format!(
        "{}, and Region Name={region} cannot be created because a non-latency RRSet with the same name and type \
         already exists.",
        rrset(set)
    )
}

pub(crate) fn region_exists(set: &RecordSet) -> String {
    let region = set.region.as_deref().unwrap_or_default();
    format!(
        "{}, and Region Name={region} cannot be created because a latency RRSet with the same name, type and region \
         already exists.",
        rrset(set)
    )
}

pub(crate) fn non_multivalue_exists(set: &RecordSet) -> String {
    format!(
        "{} cannot be created because a non multivalue answer rrset exists with the same name and type.",
        rrset(set)
    )
}

/// `location` is opened with a bracket and closed with a brace, as the service does.
pub(crate) fn geolocation_exists(set: &RecordSet, location: &str) -> String {
    format!(
        "{}, and routing to {location} cannot be created because a GEO RRSet with the same name, type and routing to \
         {location} already exists.",
        rrset(set)
    )
}

pub(crate) fn weighted_ttl_differs(set: &RecordSet) -> String {
    format!("{} cannot be created as weighted sets must contain the same TTL.", rrset(set))
}

pub(crate) fn pool_is_full(kind: &str, set: &RecordSet) -> String {
    let RecordSet { name, rtype, .. } = set;
    format!("Exceeded limit on number of {kind} RRSets for {name}, type {rtype} in this zone.")
}

pub(crate) fn cname_exists(set: &RecordSet, zone: &str) -> String {
    let RecordSet { name, rtype, .. } = set;
    format!(
        "RRSet of type {rtype} with DNS name {name} is not permitted because a conflicting RRSet of type CNAME with \
         the same DNS name already exists in zone {zone}"
    )
}

pub(crate) fn cname_conflicts(set: &RecordSet, zone: &str) -> String {
    format!(
        "RRSet of type CNAME with DNS name {} is not permitted as it conflicts with other records with the same DNS \
         name in zone {zone}",
        set.name
    )
}

// InvalidChangeBatch: one record set by itself.

pub(crate) fn outside_the_zone(set: &RecordSet, zone: &str) -> String {
    format!("RRSet with DNS name {} is not permitted in zone {zone}", set.name)
}

pub(crate) fn type_not_supported(set: &RecordSet) -> String {
    format!("{} cannot be created because this type of RRSet is not supported.", rrset(set))
}

pub(crate) fn cidr_in_private_zone(set: &RecordSet) -> String {
    format!("{} cannot be created because CIDR RRSet is not supported with private hosted zone.", rrset(set))
}

pub(crate) const HEALTH_CHECK_ON_SIMPLE: &str = "DNS name must have alternate ResourceRecordSet responses configured \
     via a routing policy (e.g., Weight, Region, etc.) if a health check is attached. No changes made.";

pub(crate) const PRIMARY_WITHOUT_HEALTH_CHECK: &str =
    "A non-alias primary ResourceRecordSet must have an associated health check. No changes made.";

pub(crate) const MULTIVALUE_ALIAS: &str = "Multivalue answer rrset should not be an alias rrset. No changes made.";

pub(crate) fn no_such_geoproximity_region(region: &str) -> String {
    format!("Cannot find GeoProximityLocation with AWSRegion = {region}. No changes made.")
}

pub(crate) fn no_such_local_zone_group(group: &str) -> String {
    format!("Cannot find GeoProximityLocation with LocalZoneGroup = {group}. No changes made.")
}

pub(crate) fn duplicate_value(value: &str) -> String {
    format!("Duplicate Resource Record: '{value}'")
}

pub(crate) fn illegal_ipv4(value: &str) -> String {
    format!(
        "Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) \
         encountered with '{value}''"
    )
}

pub(crate) fn a_not_single_field(value: &str) -> String {
    format!(
        "Invalid Resource Record: FATAL problem: ARRDATANotSingleField (Value contains spaces) encountered with \
         '{value}'"
    )
}

pub(crate) const TOO_MANY_VALUES: &str = "Cannot have more than 400 records in a RRSet.";

pub(crate) fn label_too_long(label: &str) -> String {
    format!("FATAL problem: DomainLabelTooLong (Domain label is too long) encountered with '{label}'")
}

pub(crate) fn label_empty(name: &str) -> String {
    format!("FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with '{name}'")
}

pub(crate) fn unsupported_character(character: &str) -> String {
    format!(
        "FATAL problem: UnsupportedCharacter (Value contains unsupported characters) encountered with '{character}'"
    )
}

// InvalidChangeBatch: the batch.

pub(crate) fn too_many_elements(limit: usize) -> String {
    format!("Number of records limit of {limit} exceeded.")
}

pub(crate) fn too_many_characters(limit: usize) -> String {
    format!("RDATA character limit of {limit} exceeded.")
}

// InvalidInput.

fn change(action: impl std::fmt::Display, set: &RecordSet) -> String {
    let id = set.set_identifier.as_deref().unwrap_or("null");
    format!("Change with [Action={action}, Name={}, Type={}, SetIdentifier={id}]", set.name, set.rtype)
}

pub(crate) fn missing_set_identifier(action: impl std::fmt::Display, set: &RecordSet) -> String {
    format!("Invalid request: Missing field 'SetIdentifier' in {}", change(action, set))
}

pub(crate) fn one_policy(action: impl std::fmt::Display, set: &RecordSet, found: &str) -> String {
    format!(
        "Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, MultiValueAnswer, \
         GeoProximityLocation, or CidrRoutingConfig], but found {found} in {}",
        change(action, set)
    )
}

pub(crate) fn one_source(action: impl std::fmt::Display, set: &RecordSet, found: &str) -> String {
    format!(
        "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
         TrafficPolicyInstanceId], but found {found} in {}",
        change(action, set)
    )
}

pub(crate) fn one_location(found: &str) -> String {
    format!(
        "Invalid request: Expected exactly one of [AWSRegion, LocalZoneGroup, or at least one of [Coordinates, or all \
         of [Latitude, and Longitude]]], but found {found}"
    )
}

/// The service's own check of ranges that its XML schema leaves open.
pub(crate) fn validation_errors(errors: &[String]) -> String {
    let (count, noun) = (errors.len(), if errors.len() == 1 { "error" } else { "errors" });
    format!("{count} validation {noun} detected: {}", errors.join("; "))
}

pub(crate) fn constraint(value: &str, path: &str, constraint: &str) -> String {
    format!("Value '{value}' at '{path}' failed to satisfy constraint: Member must {constraint}")
}

pub(crate) fn forbidden_address(version: u8, address: &str) -> String {
    format!("IPv{version} address {address} is forbidden")
}

pub(crate) const NO_ADDRESS_AND_NO_DOMAIN: &str =
    "Invalid parameter : IP address and fully qualified domain name can not be both empty.";

// Whole requests.

/// The body is another request, or none.
pub(crate) fn unexpected_root(expected: &str) -> ApiError {
    let subject = expected.strip_suffix("Request").unwrap_or(expected);
    let subject = if subject == "ChangeResourceRecordSets" { "ChangeBatch" } else { subject };
    ApiError::new(400, "MalformedInput", format!("{subject} is not valid, expected {expected}"))
}

pub(crate) fn no_such_hosted_zone(id: &str) -> ApiError {
    ApiError::new(404, "NoSuchHostedZone", format!("No hosted zone found with ID: {id}"))
}

pub(crate) fn no_such_health_check(id: &str) -> ApiError {
    ApiError::new(404, "NoSuchHealthCheck", format!("A health check with id {id} does not exist."))
}

pub(crate) fn health_check_already_exists() -> ApiError {
    let message = "A different health check has already been created with the specified caller reference.";
    ApiError::new(409, "HealthCheckAlreadyExists", message)
}

pub(crate) fn prior_request_not_complete() -> ApiError {
    let message = "The request was rejected because Route 53 was still processing a prior request.";
    ApiError::new(400, "PriorRequestNotComplete", message)
}

pub(crate) fn throttling() -> ApiError {
    ApiError::new(400, "Throttling", "Rate exceeded")
}

/// `resource` is the tail of an ARN, such as `hostedzone/Z1`; operations without resources have none.
pub(crate) fn access_denied(user: &str, operation: impl std::fmt::Display, resource: Option<&str>) -> ApiError {
    let tail = resource.map(|r| format!(" on resource: arn:aws:route53:::{r}")).unwrap_or_default();
    ApiError::new(403, "AccessDenied", format!("User: {user} is not authorized to perform: route53:{operation}{tail}"))
}

pub(crate) fn foreign_zone(user: &str) -> ApiError {
    ApiError::new(403, "AccessDenied", format!("User: {user} is not authorized to access this resource"))
}
