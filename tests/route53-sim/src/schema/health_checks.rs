//! CreateHealthCheck and UpdateHealthCheck.

use super::{BOOLEAN, list, many, one, optional};
use crate::health::{HealthCheckConfig, HealthCheckUpdate};
use crate::model::ApiError;
use crate::places::CHECKER_REGIONS;
use crate::xsd::{self, Element, Facet, Order, Particle, Simple, Type};

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
