//! Requests as they come over HTTP, turned into calls of the account, and its answers into XML.

use std::borrow::Cow;

use crate::account::{Account, Now};
use crate::model::{ApiError, ChangeBatch, Operation};
use crate::render;
use crate::schema;
use crate::texts::{self, unverified};
use crate::xml::Writer;
use crate::zone::{ListStart, Zone};

/// What a request line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The operation.
    pub operation: Operation,
    /// The variable parts of the path, in order.
    pub arguments: Vec<String>,
    query: Vec<(String, String)>,
}

impl Route {
    /// Finds the operation of a method and a path with its query. A trailing slash does not matter.
    #[must_use]
    pub fn of(method: &str, path_and_query: &str) -> Self {
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        let parts: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|part| percent_decode(part, false).into_owned())
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let method = if method == "HEAD" { "GET" } else { method };
        use Operation as Op;
        let (operation, arguments): (Op, &[&str]) = match (method, parts.as_slice()) {
            ("GET" | "POST", [""]) => (Op::GetCallerIdentity, &[]),
            (method, ["2013-04-01", rest @ ..]) => match (method, rest) {
                ("GET", ["hostedzone"]) => (Op::ListHostedZones, &[]),
                ("POST", ["hostedzone"]) => (Op::CreateHostedZone, &[]),
                ("GET", ["hostedzonesbyname"]) => (Op::ListHostedZonesByName, &[]),
                ("GET", ["hostedzonecount"]) => (Op::GetHostedZoneCount, &[]),
                ("GET", ["hostedzonelimit", limit @ ..]) if limit.len() == 2 => {
                    (Op::GetHostedZoneLimit, limit)
                }
                ("GET", ["accountlimit", limit @ ..]) if limit.len() == 1 => {
                    (Op::GetAccountLimit, limit)
                }
                ("GET", ["hostedzone", id @ ..]) if id.len() == 1 => (Op::GetHostedZone, id),
                ("DELETE", ["hostedzone", id @ ..]) if id.len() == 1 => (Op::DeleteHostedZone, id),
                ("GET", ["hostedzone", id, "rrset"]) => (Op::ListResourceRecordSets, &[*id][..]),
                ("POST", ["hostedzone", id, "rrset"]) => (Op::ChangeResourceRecordSets, &[*id][..]),
                ("GET", ["change", id @ ..]) if id.len() == 1 => (Op::GetChange, id),
                ("GET", ["healthcheck"]) => (Op::ListHealthChecks, &[]),
                ("POST", ["healthcheck"]) => (Op::CreateHealthCheck, &[]),
                ("GET", ["healthcheckcount"]) => (Op::GetHealthCheckCount, &[]),
                ("GET", ["healthcheck", id, "status"]) => (Op::GetHealthCheckStatus, &[*id][..]),
                ("GET", ["healthcheck", id, "lastfailurereason"]) => {
                    (Op::GetHealthCheckLastFailureReason, &[*id][..])
                }
                ("GET", ["healthcheck", id @ ..]) if id.len() == 1 => (Op::GetHealthCheck, id),
                ("POST", ["healthcheck", id @ ..]) if id.len() == 1 => (Op::UpdateHealthCheck, id),
                ("DELETE", ["healthcheck", id @ ..]) if id.len() == 1 => {
                    (Op::DeleteHealthCheck, id)
                }
                ("GET", ["tags", ids @ ..]) if ids.len() == 2 => (Op::ListTagsForResource, ids),
                ("POST", ["tags", ids @ ..]) if ids.len() == 2 => (Op::ChangeTagsForResource, ids),
                ("POST", ["tags", ids @ ..]) if ids.len() == 1 => (Op::ListTagsForResources, ids),
                ("GET", ["checkeripranges"]) => (Op::GetCheckerIpRanges, &[]),
                ("GET", ["geolocation"]) => (Op::GetGeoLocation, &[]),
                ("GET", ["geolocations"]) => (Op::ListGeoLocations, &[]),
                _ => (Op::Unknown, &[]),
            },
            _ => (Op::Unknown, &[]),
        };
        Self {
            operation,
            arguments: arguments
                .iter()
                .map(|argument| (*argument).to_owned())
                .collect(),
            query: form(query),
        }
    }

    /// The zone the request is about.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        let first = self.arguments.first()?;
        match self.operation {
            Operation::GetHostedZone
            | Operation::DeleteHostedZone
            | Operation::GetHostedZoneLimit
            | Operation::ListResourceRecordSets
            | Operation::ChangeResourceRecordSets => Some(first),
            Operation::ListTagsForResource | Operation::ChangeTagsForResource
                if first == "hostedzone" =>
            {
                self.arguments.get(1).map(String::as_str)
            }
            _ => None,
        }
    }

    /// The tail of the ARN the request is about.
    #[must_use]
    pub fn resource(&self) -> Option<String> {
        use Operation as Op;
        let first = self.arguments.first()?;
        match self.operation {
            Op::GetChange => Some(format!("change/{first}")),
            Op::GetHealthCheck
            | Op::UpdateHealthCheck
            | Op::DeleteHealthCheck
            | Op::GetHealthCheckStatus
            | Op::GetHealthCheckLastFailureReason => Some(format!("healthcheck/{first}")),
            Op::ListTagsForResource | Op::ChangeTagsForResource => {
                self.arguments.get(1).map(|id| format!("{first}/{id}"))
            }
            _ => self.zone().map(|id| format!("hostedzone/{id}")),
        }
    }

    pub(crate) fn argument(&self, index: usize) -> &str {
        self.arguments.get(index).map_or("", String::as_str)
    }

    /// A parameter of the query; an empty one is as good as none.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// `maxitems`, capped.
    pub(crate) fn max_items(&self, cap: usize) -> Result<usize, ApiError> {
        match self.parameter("maxitems") {
            None => Ok(cap),
            Some(text) => match text.parse::<usize>() {
                Ok(count) if count > 0 => Ok(count.min(cap)),
                _ => Err(unverified::bad_max_items(text)),
            },
        }
    }
}

/// Splits `a=b&c=d`.
pub(crate) fn form(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (
                percent_decode(key, true).into_owned(),
                percent_decode(value, true).into_owned(),
            )
        })
        .collect()
}

fn percent_decode(text: &str, plus_is_space: bool) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = text
            .get(at + 1..at + 3)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                decoded.push(value);
                at += 2;
            }
            (b'+', _) if plus_is_space => decoded.push(b' '),
            (other, _) => decoded.push(*other),
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// A request, read whole.
#[derive(Debug)]
pub struct Call<'a> {
    /// What it asks for.
    pub route: &'a Route,
    /// Its body.
    pub body: &'a [u8],
    /// Its body, if it is a change batch.
    pub batch: Option<&'a Result<ChangeBatch, ApiError>>,
}

/// An answer other than an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<String>,
    /// The body.
    pub body: String,
    /// The change that was submitted.
    pub change_id: Option<String>,
}

impl Answer {
    pub(crate) fn ok(body: String) -> Self {
        Self {
            status: 200,
            location: None,
            body,
            change_id: None,
        }
    }

    pub(crate) fn created(location: String, body: String) -> Self {
        Self {
            status: 201,
            location: Some(location),
            body,
            change_id: None,
        }
    }
}

/// Carries out a request.
///
/// # Errors
/// As the service.
pub fn call(account: &mut Account, call: &Call<'_>, now: Now) -> Result<Answer, ApiError> {
    let route = call.route;
    match route.operation {
        Operation::ListHostedZones => list_hosted_zones(account, route),
        Operation::ListHostedZonesByName => list_hosted_zones_by_name(account, route),
        Operation::GetHostedZone => get_hosted_zone(account, route),
        Operation::GetHostedZoneCount => Ok(Answer::ok(Writer::document(
            "GetHostedZoneCountResponse",
            |out| {
                out.leaf("HostedZoneCount", account.zones().count());
            },
        ))),
        Operation::ListResourceRecordSets => list_record_sets(account, route),
        Operation::ChangeResourceRecordSets => {
            let batch = match call.batch {
                Some(Ok(batch)) => Ok(batch),
                Some(Err(error)) => Err(error.clone()),
                None => Err(texts::unexpected_root("ChangeResourceRecordSetsRequest")),
            };
            let change = account.change_record_sets(route.argument(0), batch, now)?;
            let body = Writer::document("ChangeResourceRecordSetsResponse", |out| {
                render::change_info(out, &change, now);
            });
            Ok(Answer {
                change_id: Some(change.id),
                ..Answer::ok(body)
            })
        }
        Operation::GetChange => {
            let change = account.change(route.argument(0))?;
            Ok(Answer::ok(Writer::document("GetChangeResponse", |out| {
                render::change_info(out, change, now)
            })))
        }
        _ => Err(unverified::unknown_operation(route.operation.name(), "")),
    }
}

fn list_hosted_zones(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let max_items = route.max_items(100)?;
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
    Ok(Answer::ok(Writer::document(
        "ListHostedZonesResponse",
        |out| {
            out.element("HostedZones", |out| {
                page.iter().for_each(|zone| render::zone(out, zone))
            });
            out.optional("Marker", marker);
            out.leaf("IsTruncated", next.is_some());
            out.optional("NextMarker", next.map(|zone| &zone.id));
            out.leaf("MaxItems", max_items);
        },
    )))
}

fn list_hosted_zones_by_name(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let max_items = route.max_items(100)?;
    let (dns_name, id) = (route.parameter("dnsname"), route.parameter("hostedzoneid"));
    let start = match (dns_name, id) {
        (None, Some(id)) => {
            return Err(unverified::bad_parameter(
                "HostedZoneId without DNSName",
                id,
            ));
        }
        (None, None) => (String::new(), ""),
        (Some(name), id) => {
            let stored = crate::name::normalize(name)
                .map_err(|problem| ApiError::new(400, "InvalidDomainName", problem.to_string()))?;
            (crate::name::sort_key(&stored), id.unwrap_or_default())
        }
    };
    let mut sorted: Vec<(String, &Zone)> = account
        .zones()
        .map(|zone| (crate::name::sort_key(&zone.name), zone))
        .collect();
    sorted.sort_by(|(a, x), (b, y)| (a, &x.id).cmp(&(b, &y.id)));
    let mut zones = sorted
        .into_iter()
        .filter(|(key, zone)| (key, zone.id.as_str()) >= (&start.0, start.1))
        .map(|(_, zone)| zone);
    let page: Vec<&Zone> = zones.by_ref().take(max_items).collect();
    let next = zones.next();
    Ok(Answer::ok(Writer::document(
        "ListHostedZonesByNameResponse",
        |out| {
            out.element("HostedZones", |out| {
                page.iter().for_each(|zone| render::zone(out, zone))
            });
            out.optional("DNSName", dns_name);
            out.optional("HostedZoneId", id);
            out.leaf("IsTruncated", next.is_some());
            out.optional("NextDNSName", next.map(|zone| &zone.name));
            out.optional("NextHostedZoneId", next.map(|zone| &zone.id));
            out.leaf("MaxItems", max_items);
        },
    )))
}

fn get_hosted_zone(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let zone = account.zone(route.argument(0))?;
    Ok(Answer::ok(Writer::document(
        "GetHostedZoneResponse",
        |out| {
            render::zone(out, zone);
            if !zone.private {
                render::delegation_set(out, zone);
            }
            if !zone.vpcs.is_empty() {
                out.element("VPCs", |out| {
                    zone.vpcs.iter().for_each(|vpc| render::vpc(out, vpc))
                });
            }
        },
    )))
}

fn list_record_sets(account: &Account, route: &Route) -> Result<Answer, ApiError> {
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
        max_items: route
            .parameter("maxitems")
            .map(|_| route.max_items(300))
            .transpose()?,
    };
    Ok(Answer::ok(render::record_page(
        &account.list_record_sets(zone, &start)?,
    )))
}
