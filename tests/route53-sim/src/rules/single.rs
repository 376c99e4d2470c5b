//! What a record set may be, whatever else there is.

use super::Context;
use crate::model::{GeoProximity, Policy, RecordSet};
use crate::texts::{self, unverified};
use crate::zone::Zone;
use crate::{name, places};

/// What can be said of a record set and its zone alone.
pub(super) fn refuse(zone: &Zone, set: &RecordSet) -> Vec<String> {
    if !name::is_within(&set.name, &zone.name) {
        return vec![texts::outside_the_zone(set, &zone.name)];
    }
    if set.traffic_policy_instance_id.is_some() {
        return vec![unverified::made_by_a_traffic_policy(set)];
    }
    if set.rtype == "NS" && set.name.starts_with("\\052.") {
        return vec![unverified::wildcard_name_server(set)];
    }
    let policy = set.policy();
    let unsupported = match policy {
        None => false,
        Some(Policy::MultiValueAnswer) => {
            matches!(set.rtype.as_str(), "NS" | "SOA" | "DS" | "CNAME")
        }
        Some(_) => matches!(set.rtype.as_str(), "NS" | "SOA" | "DS"),
    };
    if unsupported {
        return vec![texts::type_not_supported(set)];
    }
    match policy {
        None if set.health_check_id.is_some() => vec![texts::HEALTH_CHECK_ON_SIMPLE.to_owned()],
        Some(Policy::CidrRoutingConfig) if zone.private => vec![texts::cidr_in_private_zone(set)],
        Some(Policy::MultiValueAnswer) if set.alias.is_some() => {
            vec![texts::MULTIVALUE_ALIAS.to_owned()]
        }
        Some(Policy::Failover)
            if set.failover.as_deref() == Some("PRIMARY") && set.alias.is_none() && set.health_check_id.is_none() =>
        {
            vec![texts::PRIMARY_WITHOUT_HEALTH_CHECK.to_owned()]
        }
        _ => set.geoproximity.as_ref().map(unknown_location).unwrap_or_default(),
    }
}

fn unknown_location(location: &GeoProximity) -> Vec<String> {
    match (&location.aws_region, &location.local_zone_group) {
        // The service says this one twice.
        (Some(region), _) if !places::is_region(region) => {
            vec![texts::no_such_geoproximity_region(region); 2]
        }
        (_, Some(group)) if !places::is_local_zone_group(group) => {
            vec![texts::no_such_local_zone_group(group)]
        }
        _ => Vec::new(),
    }
}

pub(super) fn alias_target(zone: &Zone, set: &RecordSet, context: &Context<'_>) -> Option<String> {
    let alias = set.alias.as_ref()?;
    let target_zone =
        if alias.hosted_zone_id == zone.id { zone } else { context.other_zones.get(&alias.hosted_zone_id)? };
    let (target, id) = (&alias.dns_name, &alias.hosted_zone_id);
    if !name::is_within(target, &target_zone.name) {
        return Some(unverified::alias_target_outside_its_zone(target, &set.rtype, id));
    }
    let found = target_zone.pool(target, &set.rtype).next().is_some();
    (!found).then(|| unverified::alias_target_not_found(target, &set.rtype, id))
}
