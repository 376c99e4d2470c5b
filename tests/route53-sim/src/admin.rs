//! The admin endpoint: JSON below `/_sim/`, for tests that are not written in Rust and for a person with curl.

use std::time::Duration;

use hyper::Response;
use hyper::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::account::Now;
use crate::api;
use crate::connection::Reply;
use crate::fault::{Count, Fault, Injection, Target};
use crate::log::Request;
use crate::model::{Operation, RecordSet};
use crate::options::Options;
use crate::server::{Shared, State};
use crate::zone::{Key, Zone};

/// What `GET /_sim/` answers.
const INDEX: &[&str] = &[
    "GET /_sim/state",
    "GET|POST /_sim/zones",
    "DELETE /_sim/zones/ID",
    "GET|POST /_sim/zones/ID/record-sets",
    "DELETE /_sim/zones/ID/record-sets?name=NAME&type=TYPE[&identifier=SET_IDENTIFIER]",
    "POST /_sim/zones/ID/busy",
    "GET|POST|DELETE /_sim/faults",
    "GET|DELETE /_sim/requests[?after=SEQUENCE]",
    "GET|PATCH /_sim/options",
    "POST /_sim/insync",
    "POST /_sim/health-checks/ID/status",
];

struct Problem {
    status: u16,
    text: String,
}

fn bad(text: impl ToString) -> Problem {
    Problem { status: 400, text: text.to_string() }
}

fn missing(what: &str, id: &str) -> Problem {
    Problem { status: 404, text: format!("no {what} {id}") }
}

/// Answers a request below `/_sim`.
pub(crate) fn answer(shared: &Shared, method: &str, line: &str, body: &[u8]) -> Response<Reply> {
    let (status, value) = match dispatch(shared, method, line, body) {
        Ok(value) => (200, value),
        Err(problem) => (problem.status, json!({ "error": problem.text })),
    };
    let mut response = Response::new(Reply::whole(format!("{value:#}\n")));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}

fn dispatch(shared: &Shared, method: &str, line: &str, body: &[u8]) -> Result<Value, Problem> {
    let (path, query) = line.split_once('?').unwrap_or((line, ""));
    let query = api::form(query);
    let parameter = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let parts: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
    let mut state = shared.lock();
    match (method, parts.as_slice()) {
        ("GET", []) => Ok(json!({ "endpoints": INDEX })),
        ("GET", ["state"]) => Ok(whole_state(&state)),
        ("GET", ["zones"]) => Ok(state.account.zones().map(summary).collect()),
        ("POST", ["zones"]) => add_zone(&mut state, body),
        ("DELETE", ["zones", id]) => {
            state.account.remove_zone(id).map(|zone| summary(&zone)).ok_or_else(|| missing("zone", id))
        }
        ("GET", ["zones", id, "record-sets"]) => {
            Ok(zone(&mut state, id)?.record_sets().map(|set| json!(set.as_ref())).collect())
        }
        ("POST", ["zones", id, "record-sets"]) => put(zone(&mut state, id)?, body),
        ("DELETE", ["zones", id, "record-sets"]) => {
            let (Some(name), Some(rtype)) = (parameter("name"), parameter("type")) else {
                return Err(bad("name and type are needed, and identifier for a routed record set"));
            };
            let wanted = RecordSet {
                name: crate::name::normalize(name).map_err(bad)?,
                rtype: rtype.to_owned(),
                set_identifier: parameter("identifier").map(str::to_owned),
                ..RecordSet::default()
            };
            let removed = zone(&mut state, id)?.remove(&Key::of(&wanted));
            removed.map(|set| json!(set.as_ref())).ok_or_else(|| missing("record set", name))
        }
        ("POST", ["zones", id, "busy"]) => {
            let Busy { ms } = parse(body)?;
            zone(&mut state, id)?.busy_until = Now::present().instant.checked_add(Duration::from_millis(ms));
            Ok(json!({}))
        }
        ("GET", ["faults"]) => Ok(state.faults.waiting().iter().map(fault).collect()),
        ("POST", ["faults"]) => {
            let FaultRequest { operation, zone, access_key, fault, count } = parse(body)?;
            state.faults.add(Injection::new(Target { operation, zone, access_key }, fault, count));
            Ok(json!({}))
        }
        ("DELETE", ["faults"]) => {
            state.faults.clear();
            Ok(json!({}))
        }
        ("GET", ["requests"]) => {
            let after = parameter("after").map_or(Ok(0), str::parse::<u64>).map_err(bad)?;
            let requests = state.log.requests().iter().filter(|request| request.sequence > after);
            Ok(requests.map(|request| logged(shared, request)).collect())
        }
        ("DELETE", ["requests"]) => {
            state.log.clear();
            Ok(json!({}))
        }
        ("GET", ["options"]) => Ok(json!(state.account.options)),
        ("PATCH" | "POST", ["options"]) => {
            state.account.options = patched(&state.account.options, parse(body)?)?;
            Ok(json!(state.account.options))
        }
        ("POST", ["insync"]) => {
            state.account.sync_all(Now::present());
            Ok(json!({}))
        }
        ("POST", ["health-checks", id, "status"]) => {
            let Report { status } = parse(body)?;
            if !state.account.health_checks.report(id, status) {
                return Err(missing("health check", id));
            }
            Ok(json!({}))
        }
        _ => {
            Err(Problem { status: 404, text: format!("nothing is at {method} {path}; GET /_sim/ lists what there is") })
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewZone {
    name: String,
    id: String,
    #[serde(default)]
    private: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Busy {
    ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    status: Option<String>,
}

/// Not flattened into a [`Target`], so that a misspelt field is an error and not a fault for every request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultRequest {
    operation: Option<Operation>,
    zone: Option<String>,
    access_key: Option<String>,
    fault: Fault,
    #[serde(default = "once")]
    count: Count,
}

fn once() -> Count {
    Count::Next(1)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<RecordSet>),
    One(Box<RecordSet>),
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(bad)
}

fn zone<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Zone, Problem> {
    state.account.zone_mut(id).ok_or_else(|| missing("zone", id))
}

fn add_zone(state: &mut State, body: &[u8]) -> Result<Value, Problem> {
    let NewZone { name, id, private } = parse(body)?;
    state.account.add_zone(&name, &id, private).map(|zone| summary(zone)).map_err(bad)
}

fn put(zone: &mut Zone, body: &[u8]) -> Result<Value, Problem> {
    let sets = match parse(body)? {
        OneOrMany::Many(sets) => sets,
        OneOrMany::One(set) => vec![*set],
    };
    let sets: Vec<RecordSet> = sets.into_iter().map(RecordSet::into_stored).collect::<Result<_, _>>().map_err(bad)?;
    let count = sets.len();
    for set in sets {
        zone.put(set);
    }
    Ok(json!({ "put": count }))
}

/// The settings with some of them replaced.
fn patched(options: &Options, patch: serde_json::Map<String, Value>) -> Result<Options, Problem> {
    let mut value = json!(options);
    if let Some(fields) = value.as_object_mut() {
        fields.extend(patch);
    }
    serde_json::from_value(value).map_err(bad)
}

fn summary(zone: &Zone) -> Value {
    json!({ "id": zone.id, "name": zone.name, "private": zone.private, "record_set_count": zone.len() })
}

fn whole_state(state: &State) -> Value {
    let account = &state.account;
    let now = Now::present();
    let zones = account.zones().map(|zone| {
        let mut value = summary(zone);
        value["record_sets"] = zone.record_sets().map(|set| json!(set.as_ref())).collect();
        value
    });
    let changes = account.changes().map(|change| {
        json!({
            "id": change.id,
            "zone": change.zone,
            "status": change.status(now),
            "submitted_at": change.submitted_at.to_string(),
            "comment": change.comment,
        })
    });
    json!({
        "zones": zones.collect::<Value>(),
        "changes": changes.collect::<Value>(),
        "health_checks": account.health_checks.iter().map(|check| json!(check)).collect::<Value>(),
        "faults": state.faults.waiting().iter().map(fault).collect::<Value>(),
        "options": account.options,
    })
}

fn fault(injection: &Injection) -> Value {
    let Injection { target, fault, count, seen } = injection;
    json!({
        "operation": target.operation,
        "zone": target.zone,
        "access_key": target.access_key,
        "fault": fault,
        "count": count,
        "seen": seen,
    })
}

/// Times are RFC 3339 on the wall clock and milliseconds since the start on the monotonic one.
fn logged(shared: &Shared, request: &Request) -> Value {
    let milliseconds = |at: std::time::Instant| at.saturating_duration_since(shared.started).as_secs_f64() * 1000.0;
    let changes: Value =
        request.changes.iter().map(|(action, set)| json!({ "action": action, "record_set": set })).collect();
    json!({
        "sequence": request.sequence,
        "at": Timestamp::try_from(request.wall).map(|at| format!("{at:.6}")).ok(),
        "at_ms": milliseconds(request.at),
        "answered_at_ms": request.answered_at.map(milliseconds),
        "operation": request.operation,
        "zone": request.zone,
        "line": request.line,
        "access_key": request.access_key,
        "user_agent": request.user_agent,
        "status": request.status,
        "code": request.code,
        "message": request.message,
        "change_id": request.change_id,
        "changes": changes,
    })
}
