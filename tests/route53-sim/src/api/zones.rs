//! Hosted zones and the listing of their record sets.

use super::{Answer, Route};
use crate::account::{Account, Now};
use crate::model::ApiError;
use crate::texts::unverified;
use crate::xml::Writer;
use crate::zone::{ListStart, Zone};
use crate::{name, render, schema};

pub(super) fn list(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let max_items = route.max_items(100, 100)?;
    let only_private = match route.parameter("hostedzonetype") {
        None => false,
        Some("PrivateHostedZone") => true,
        Some(other) => return Err(unverified::bad_parameter("HostedZoneType", other)),
    };
    let marker = route.parameter("marker");
    let mut zones = account
        .zones()
        .filter(|zone| !only_private || zone.private)
        .filter(|zone| marker.is_none_or(|marker| zone.id.as_str() >= marker));
    let page: Vec<&Zone> = zones.by_ref().take(max_items).collect();
    let next = zones.next();
    Ok(Answer::ok(Writer::document("ListHostedZonesResponse", |out| {
        out.element("HostedZones", |out| page.iter().for_each(|zone| render::zone(out, zone)));
        out.optional("Marker", marker);
        out.leaf("IsTruncated", next.is_some());
        out.optional("NextMarker", next.map(|zone| &zone.id));
        out.leaf("MaxItems", max_items);
    })))
}

pub(super) fn list_by_name(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let max_items = route.max_items(100, 100)?;
    let (dns_name, id) = (route.parameter("dnsname"), route.parameter("hostedzoneid"));
    let start = match (dns_name, id) {
        (None, Some(id)) => {
            return Err(unverified::bad_parameter("HostedZoneId without DNSName", id));
        }
        (None, None) => (String::new(), ""),
        (Some(name), id) => {
            let stored = name::normalize(name)
                .map_err(|problem| ApiError::new(400, "InvalidDomainName", problem.to_string()))?;
            (name::sort_key(&stored), id.unwrap_or_default())
        }
    };
    let mut sorted: Vec<(String, &Zone)> = account.zones().map(|zone| (name::sort_key(&zone.name), zone)).collect();
    sorted.sort_by(|(a, x), (b, y)| (a, &x.id).cmp(&(b, &y.id)));
    let mut zones =
        sorted.into_iter().filter(|(key, zone)| (key, zone.id.as_str()) >= (&start.0, start.1)).map(|(_, zone)| zone);
    let page: Vec<&Zone> = zones.by_ref().take(max_items).collect();
    let next = zones.next();
    Ok(Answer::ok(Writer::document("ListHostedZonesByNameResponse", |out| {
        out.element("HostedZones", |out| page.iter().for_each(|zone| render::zone(out, zone)));
        out.optional("DNSName", dns_name);
        out.optional("HostedZoneId", id);
        out.leaf("IsTruncated", next.is_some());
        out.optional("NextDNSName", next.map(|zone| &zone.name));
        out.optional("NextHostedZoneId", next.map(|zone| &zone.id));
        out.leaf("MaxItems", max_items);
    })))
}

pub(super) fn get(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let zone = account.zone(route.argument(0))?;
    Ok(Answer::ok(Writer::document("GetHostedZoneResponse", |out| {
        render::zone(out, zone);
        if !zone.private {
            render::delegation_set(out, zone);
        }
        if !zone.vpcs.is_empty() {
            out.element("VPCs", |out| zone.vpcs.iter().for_each(|vpc| render::vpc(out, vpc)));
        }
    })))
}

pub(super) fn list_record_sets(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let zone = route.argument(0);
    account.zone(zone)?;
    if let Some(rtype) = route.parameter("type")
        && !schema::is_record_type(rtype)
    {
        return Err(unverified::bad_parameter("StartRecordType", rtype));
    }
    let start = ListStart {
        name: route.parameter("name").map(str::to_owned),
        rtype: route.parameter("type").map(str::to_owned),
        set_identifier: route.parameter("identifier").map(str::to_owned),
        max_items: route.parameter("maxitems").map(|_| route.max_items(300, 300)).transpose()?,
    };
    Ok(Answer::ok(render::record_page(&account.list_record_sets(zone, &start)?)))
}

pub(super) fn count(account: &Account) -> Answer {
    Answer::ok(Writer::document("GetHostedZoneCountResponse", |out| {
        out.leaf("HostedZoneCount", account.zones().count());
    }))
}

pub(super) fn create(account: &mut Account, body: &[u8], now: Now) -> Result<Answer, ApiError> {
    let request = schema::create_hosted_zone(body, account.options.element_order())?;
    if account.zones().any(|zone| zone.caller_reference == request.caller_reference) {
        return Err(unverified::hosted_zone_already_exists());
    }
    let id = format!("Z{:016X}", account.unique());
    let private = request.vpc.is_some();
    let zone = account
        .add_zone(&request.name, &id, private)
        .map_err(|problem| ApiError::new(400, "InvalidDomainName", problem.to_string()))?;
    zone.caller_reference = request.caller_reference;
    zone.comment = request.comment;
    zone.vpcs = request.vpc.into_iter().collect();
    let zone = zone.clone();
    let change = account.submit(&id, None, now);
    let location = format!("https://route53.amazonaws.com/2013-04-01/hostedzone/{id}");
    let body = Writer::document("CreateHostedZoneResponse", |out| {
        render::zone(out, &zone);
        render::change_info(out, &change, now);
        render::delegation_set(out, &zone);
        zone.vpcs.iter().for_each(|vpc| render::vpc(out, vpc));
    });
    Ok(Answer { change_id: Some(change.id), ..Answer::created(location, body) })
}

pub(super) fn delete(account: &mut Account, route: &Route, now: Now) -> Result<Answer, ApiError> {
    let id = route.argument(0);
    if account.zone(id)?.len() > 2 {
        return Err(unverified::hosted_zone_not_empty());
    }
    account.remove_zone(id);
    let change = account.submit(id, None, now);
    let body = Writer::document("DeleteHostedZoneResponse", |out| render::change_info(out, &change, now));
    Ok(Answer { change_id: Some(change.id), ..Answer::ok(body) })
}

pub(super) fn limit(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let (id, kind) = (route.argument(0), route.argument(1));
    let zone = account.zone(id)?;
    let (value, used) = match kind {
        "MAX_RRSETS_BY_ZONE" => (account.options.max_record_sets, zone.len()),
        "MAX_VPCS_ASSOCIATED_BY_ZONE" if !zone.private => {
            return Err(unverified::hosted_zone_not_private(id));
        }
        "MAX_VPCS_ASSOCIATED_BY_ZONE" => (300, zone.vpcs.len()),
        other => return Err(unverified::bad_parameter("HostedZoneLimitType", other)),
    };
    Ok(limit_answer("GetHostedZoneLimitResponse", kind, value, used))
}

pub(super) fn account_limit(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let kind = route.argument(0);
    let (value, used) = match kind {
        "MAX_HEALTH_CHECKS_BY_OWNER" => (account.options.max_health_checks, account.health_checks.len()),
        "MAX_HOSTED_ZONES_BY_OWNER" => (500, account.zones().count()),
        "MAX_REUSABLE_DELEGATION_SETS_BY_OWNER" => (100, 0),
        "MAX_TRAFFIC_POLICIES_BY_OWNER" => (50, 0),
        "MAX_TRAFFIC_POLICY_INSTANCES_BY_OWNER" => (5, 0),
        other => return Err(unverified::bad_parameter("AccountLimitType", other)),
    };
    Ok(limit_answer("GetAccountLimitResponse", kind, value, used))
}

fn limit_answer(root: &str, kind: &str, value: usize, used: usize) -> Answer {
    Answer::ok(Writer::document(root, |out| {
        out.element("Limit", |out| {
            out.leaf("Type", kind);
            out.leaf("Value", value);
        });
        out.leaf("Count", used);
    }))
}
