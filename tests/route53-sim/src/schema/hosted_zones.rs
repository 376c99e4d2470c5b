//! CreateHostedZone.

use super::{BOOLEAN, DESCRIPTION, NAME, one, optional};
use crate::model::ApiError;
use crate::xsd::{self, Element, Facet, Order, Particle, Simple, Type};

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
