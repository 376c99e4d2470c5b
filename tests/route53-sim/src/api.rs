//! Requests as they come over HTTP, turned into calls of the account, and its answers into XML.

mod health;
mod tags;
mod zones;

use std::borrow::Cow;

use crate::account::{Account, Now};
use crate::model::{ApiError, ChangeBatch, Operation};
use crate::render;
use crate::texts::{self, unverified};
use crate::xml::Writer;

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
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let parts: Vec<String> =
            path.trim_matches('/').split('/').map(|part| percent_decode(part, false).into_owned()).collect();
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
                ("GET", ["hostedzonelimit", limit @ ..]) if limit.len() == 2 => (Op::GetHostedZoneLimit, limit),
                ("GET", ["accountlimit", limit @ ..]) if limit.len() == 1 => (Op::GetAccountLimit, limit),
                ("GET", ["hostedzone", id @ ..]) if id.len() == 1 => (Op::GetHostedZone, id),
                ("DELETE", ["hostedzone", id @ ..]) if id.len() == 1 => (Op::DeleteHostedZone, id),
                ("GET", ["hostedzone", id, "rrset"]) => (Op::ListResourceRecordSets, &[*id][..]),
                ("POST", ["hostedzone", id, "rrset"]) => (Op::ChangeResourceRecordSets, &[*id][..]),
                ("GET", ["change", id @ ..]) if id.len() == 1 => (Op::GetChange, id),
                ("GET", ["healthcheck"]) => (Op::ListHealthChecks, &[]),
                ("POST", ["healthcheck"]) => (Op::CreateHealthCheck, &[]),
                ("GET", ["healthcheckcount"]) => (Op::GetHealthCheckCount, &[]),
                ("GET", ["healthcheck", id, "status"]) => (Op::GetHealthCheckStatus, &[*id][..]),
                ("GET", ["healthcheck", id, "lastfailurereason"]) => (Op::GetHealthCheckLastFailureReason, &[*id][..]),
                ("GET", ["healthcheck", id @ ..]) if id.len() == 1 => (Op::GetHealthCheck, id),
                ("POST", ["healthcheck", id @ ..]) if id.len() == 1 => (Op::UpdateHealthCheck, id),
                ("DELETE", ["healthcheck", id @ ..]) if id.len() == 1 => (Op::DeleteHealthCheck, id),
                ("GET", ["tags", ids @ ..]) if ids.len() == 2 => (Op::ListTagsForResource, ids),
                ("POST", ["tags", ids @ ..]) if ids.len() == 2 => (Op::ChangeTagsForResource, ids),
                ("POST", ["tags", ids @ ..]) if ids.len() == 1 => (Op::ListTagsForResources, ids),
                ("GET", ["checkeripranges"]) => (Op::GetCheckerIpRanges, &[]),
                _ => (Op::Unknown, &[]),
            },
            _ => (Op::Unknown, &[]),
        };
        Self {
            operation,
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
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
            Operation::ListTagsForResource | Operation::ChangeTagsForResource if first == "hostedzone" => {
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
        self.query.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// `maxitems`, capped; `usual` if it is not given.
    pub(crate) fn max_items(&self, usual: usize, cap: usize) -> Result<usize, ApiError> {
        match self.parameter("maxitems") {
            None => Ok(usual),
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
            (percent_decode(key, true).into_owned(), percent_decode(value, true).into_owned())
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
        let hex = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
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
        Self { status: 200, location: None, body, change_id: None }
    }

    pub(crate) fn created(location: String, body: String) -> Self {
        Self { status: 201, location: Some(location), body, change_id: None }
    }
}

/// Carries out a request.
///
/// # Errors
/// As the service.
pub fn call(account: &mut Account, call: &Call<'_>, now: Now) -> Result<Answer, ApiError> {
    use Operation as Op;
    let (route, body) = (call.route, call.body);
    match route.operation {
        Op::ListHostedZones => zones::list(account, route),
        Op::ListHostedZonesByName => zones::list_by_name(account, route),
        Op::GetHostedZone => zones::get(account, route),
        Op::CreateHostedZone => zones::create(account, body, now),
        Op::DeleteHostedZone => zones::delete(account, route, now),
        Op::GetHostedZoneCount => Ok(zones::count(account)),
        Op::GetHostedZoneLimit => zones::limit(account, route),
        Op::GetAccountLimit => zones::account_limit(account, route),
        Op::ListResourceRecordSets => zones::list_record_sets(account, route),
        Op::ChangeResourceRecordSets => {
            let batch = match call.batch {
                Some(Ok(batch)) => Ok(batch),
                Some(Err(error)) => Err(error.clone()),
                None => Err(texts::unexpected_root("ChangeResourceRecordSetsRequest")),
            };
            let change = account.change_record_sets(route.argument(0), batch, now)?;
            let body = Writer::document("ChangeResourceRecordSetsResponse", |out| {
                render::change_info(out, &change, now);
            });
            Ok(Answer { change_id: Some(change.id), ..Answer::ok(body) })
        }
        Op::GetChange => {
            let change = account.change(route.argument(0))?;
            Ok(Answer::ok(Writer::document("GetChangeResponse", |out| render::change_info(out, change, now))))
        }
        Op::CreateHealthCheck => health::create(account, body),
        Op::GetHealthCheck => health::get(account, route),
        Op::ListHealthChecks => health::list(account, route),
        Op::UpdateHealthCheck => health::update(account, route, body),
        Op::DeleteHealthCheck => health::delete(account, route),
        Op::GetHealthCheckStatus => health::status(account, route, now),
        Op::GetHealthCheckLastFailureReason => health::last_failure_reason(account, route, now),
        Op::GetHealthCheckCount => Ok(health::count(account)),
        Op::GetCheckerIpRanges => Ok(health::checker_ip_ranges()),
        Op::ChangeTagsForResource => tags::change(account, route, body),
        Op::ListTagsForResource => tags::list(account, route),
        Op::ListTagsForResources => tags::list_several(account, route, body),
        Op::GetCallerIdentity | Op::Unknown => Err(unverified::unknown_operation(route.operation.name(), "")),
    }
}
