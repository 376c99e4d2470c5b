//! Texts whose rule is known and whose wording is not.

use super::{ApiError, RecordSet, key, rrset};

pub(crate) fn name_too_long(name: &str) -> String {
    format!("FATAL problem: DomainNameTooLong (Domain name is too long) encountered with '{name}'")
}

/// The wording is seen in emulators only.
pub(crate) fn illegal_ipv6(value: &str) -> String {
    format!(
        "Invalid Resource Record: 'FATAL problem: AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 \
         address) encountered with '{value}''"
    )
}

pub(crate) fn not_enclosed_in_quotes(value: &str) -> String {
    format!(
        "Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in quotation \
         marks) encountered with '{value}''"
    )
}

pub(crate) fn character_string_too_long(value: &str) -> String {
    format!(
        "Invalid Resource Record: 'FATAL problem: CharacterStringTooLong (Value is too long) encountered with \
         '{value}''"
    )
}

pub(crate) fn wrong_field_count(rtype: &str, fields: usize, value: &str) -> String {
    format!(
        "Invalid Resource Record: 'FATAL problem: {rtype}RRDATAInvalidFieldCount (Value does not have {fields} \
         fields) encountered with '{value}''"
    )
}

pub(crate) fn single_value_type(set: &RecordSet) -> String {
    let RecordSet { name, rtype, .. } = set;
    format!("RRSet of type {rtype} with DNS name {name} cannot have more than one Resource Record.")
}

/// `kind` is `geoproximity`, `failover`, `GEO` or `CIDR`.
pub(crate) fn other_policy_exists(kind: &str, set: &RecordSet) -> String {
    format!("{} cannot be created because a non-{kind} RRSet with the same name and type already exists.", rrset(set))
}

/// `what` is what the two have in common beside name and type.
pub(crate) fn duplicate_in_pool(kind: &str, set: &RecordSet, what: &str) -> String {
    format!(
        "{} cannot be created because a {kind} RRSet with the same name, type and {what} already exists.",
        rrset(set)
    )
}

pub(crate) fn other_cidr_collection(set: &RecordSet) -> String {
    format!(
        "{} cannot be created because all CIDR RRSets with the same name and type must use the same collection.",
        rrset(set)
    )
}

/// With `multi_value = reject`.
pub(crate) fn multi_value(set: &RecordSet) -> String {
    format!("{} cannot be created because it has more than one Resource Record.", rrset(set))
}

pub(crate) fn zone_is_full(limit: usize) -> String {
    format!("Exceeded limit of {limit} on number of RRSets in this zone.")
}

pub(crate) const SOA_IS_NEEDED: &str = "A HostedZone must contain exactly one SOA record.";

pub(crate) const NS_IS_NEEDED: &str = "A HostedZone must contain at least one NS record for the zone itself.";

pub(crate) fn alias_target_not_found(target: &str, rtype: &str, zone: &str) -> String {
    format!(
        "Tried to create an alias that targets {target}, type {rtype} in zone {zone}, but that target was not found"
    )
}

pub(crate) fn alias_target_outside_its_zone(target: &str, rtype: &str, zone: &str) -> String {
    format!(
        "Tried to create an alias that targets {target}, type {rtype} in zone {zone}, but the alias target name \
         does not lie within the target zone"
    )
}

pub(crate) fn made_by_a_traffic_policy(set: &RecordSet) -> String {
    format!("Resource record set {} can only be changed through its traffic policy instance.", key(set))
}

pub(crate) fn wildcard_name_server(set: &RecordSet) -> String {
    format!("RRSet of type NS with DNS name {} is not permitted because it is a wildcard.", set.name)
}

pub(crate) fn one_geolocation(found: &str) -> String {
    format!("Invalid request: Expected exactly one of [ContinentCode, or CountryCode], but found {found}")
}

pub(crate) fn type_without_name() -> ApiError {
    ApiError::invalid_input("Invalid request: Missing field 'StartRecordName' with StartRecordType")
}

pub(crate) fn identifier_without_type() -> ApiError {
    ApiError::invalid_input("Invalid request: Missing field 'StartRecordType' with StartRecordIdentifier")
}

pub(crate) fn bad_max_items(value: &str) -> ApiError {
    ApiError::invalid_input(format!("Invalid value for MaxItems: '{value}'"))
}

pub(crate) fn bad_parameter(name: &str, value: &str) -> ApiError {
    ApiError::invalid_input(format!("Invalid value for {name}: '{value}'"))
}

/// The body is not XML at all.
pub(crate) fn malformed_xml(problem: &str) -> ApiError {
    ApiError::invalid_input(format!("Invalid XML ; javax.xml.stream.XMLStreamException: {problem}"))
}

pub(crate) fn no_such_change(id: &str) -> ApiError {
    ApiError::new(404, "NoSuchChange", format!("Could not find resource with ID: {id}"))
}

pub(crate) fn missing_authentication_token() -> ApiError {
    ApiError::new(403, "MissingAuthenticationToken", "Missing Authentication Token")
}

pub(crate) fn incomplete_signature(header: &str) -> ApiError {
    let scheme = header.split(' ').next().unwrap_or_default();
    ApiError::new(
        400,
        "IncompleteSignature",
        format!("Authorization header must be AWS4-HMAC-SHA256 with Credential, SignedHeaders and Signature: {scheme}"),
    )
}

pub(crate) fn signature_expired(signed_at: &str, bound: &str, now: &str) -> ApiError {
    let text = format!("Signature expired: {signed_at} is now earlier than {bound} ({now} - 5 min.)");
    ApiError::new(403, "SignatureDoesNotMatch", text)
}

pub(crate) fn signature_not_yet_current(signed_at: &str, bound: &str, now: &str) -> ApiError {
    let text = format!("Signature not yet current: {signed_at} is still later than {bound} ({now} + 5 min.)");
    ApiError::new(403, "SignatureDoesNotMatch", text)
}

pub(crate) fn expired_token() -> ApiError {
    ApiError::new(403, "ExpiredToken", "The security token included in the request is expired")
}

pub(crate) fn unknown_operation(method: &str, path: &str) -> ApiError {
    ApiError::new(404, "UnknownOperationException", format!("No operation is at {method} {path}"))
}

pub(crate) fn server_fault(status: u16) -> ApiError {
    let (code, message) = match status {
        500 => ("InternalFailure", "We encountered an internal error. Please try again."),
        503 => ("ServiceUnavailable", "Service is unavailable. Please try again."),
        504 => ("GatewayTimeout", "The request timed out."),
        _ => ("InternalError", "The request could not be processed."),
    };
    ApiError::new(status, code, message)
}

pub(crate) fn too_many_health_checks(limit: usize) -> ApiError {
    ApiError::new(400, "TooManyHealthChecks", format!("You have reached the limit of {limit} health checks."))
}

pub(crate) fn health_check_version_mismatch() -> ApiError {
    let message = "The health check version in the request does not match the current version.";
    ApiError::new(409, "HealthCheckVersionMismatch", message)
}

pub(crate) fn bad_ip_address(text: &str) -> String {
    format!("Invalid parameter : IP address {text} is not valid.")
}

pub(crate) fn health_check_needs(kind: &str, field: &str) -> String {
    format!("Invalid parameter : {field} must be specified for a health check of type {kind}.")
}

pub(crate) fn health_check_must_not_have(kind: &str, field: &str) -> String {
    format!("Invalid parameter : {field} must not be specified for a health check of type {kind}.")
}

pub(crate) fn bad_tag(text: &str) -> ApiError {
    ApiError::invalid_input(format!("The tag '{text}' is empty or contains characters that are not allowed."))
}

pub(crate) fn no_tags_given() -> ApiError {
    ApiError::invalid_input("Either AddTags or RemoveTagKeys must be specified.")
}

pub(crate) fn hosted_zone_already_exists() -> ApiError {
    let message = "A hosted zone has already been created with the specified caller reference.";
    ApiError::new(409, "HostedZoneAlreadyExists", message)
}

pub(crate) fn hosted_zone_not_empty() -> ApiError {
    let message = "The specified hosted zone contains non-required resource record sets and so cannot be deleted.";
    ApiError::new(400, "HostedZoneNotEmpty", message)
}

pub(crate) fn hosted_zone_not_private(id: &str) -> ApiError {
    ApiError::new(400, "HostedZoneNotPrivate", format!("The hosted zone {id} is not private."))
}
