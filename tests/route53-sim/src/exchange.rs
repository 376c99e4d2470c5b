//! One request and its answer, and what may go wrong between them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, LOCATION, USER_AGENT};
use hyper::{Request, Response};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};

use crate::account::Now;
use crate::api::{self, Answer, Call, Route};
use crate::connection::{Aborted, Reply};
use crate::fault::Fault;
use crate::log;
use crate::model::{ApiError, ChangeBatch, Operation};
use crate::server::{Shared, State};
use crate::texts::{self, unverified};
use crate::{admin, iam, render, schema, sts};

/// The longest body that is read.
const MAX_BODY: usize = 16 << 20;

/// Answers a request, unless a fault ends the connection.
pub(crate) async fn answer(
    shared: &Shared,
    reset: &AtomicBool,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Aborted> {
    let (at, wall) = (Instant::now(), SystemTime::now());
    let (head, body) = request.into_parts();
    let line = head.uri.path_and_query().map_or("/", |line| line.as_str()).to_owned();
    let method = head.method.as_str().to_owned();
    if line == "/_sim" || line.starts_with("/_sim/") {
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return Err(Aborted);
        };
        return Ok(admin::answer(shared, &method, &line, &body.to_bytes()));
    }
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let route = Route::of(&method, &line);
    let identity = access_key(header(AUTHORIZATION.as_str()), &line);
    let entry = log::Request {
        sequence: 0,
        at,
        wall,
        operation: route.operation,
        zone: route.zone().map(str::to_owned),
        line: format!("{method} {line}"),
        access_key: identity.as_ref().ok().cloned(),
        user_agent: header(USER_AGENT.as_str()).map(str::to_owned),
        changes: Vec::new(),
        change_id: None,
        status: None,
        code: None,
        message: None,
        answered_at: None,
    };
    let (request_id, sequence) = shared.enter(entry);
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Err(Aborted);
    };
    let body = body.to_bytes();
    let batch = (route.operation == Operation::ChangeResourceRecordSets).then(|| {
        let order = shared.lock().account.options.element_order();
        schema::change_batch(&body, order)
    });
    let exchange =
        Exchange { shared, sequence, request_id: &request_id, route: &route, body: &body, batch: batch.as_ref() };
    exchange.note_changes();
    let identity = identity.and_then(|access_key| {
        let signed_at = header("x-amz-date").unwrap_or_default();
        signed_in_time(signed_at, service_time(&shared.lock())).map(|()| access_key)
    });
    match identity {
        Err(error) => Ok(exchange.refuse(&error)),
        Ok(access_key) => exchange.run(reset, &access_key, &method, &line).await,
    }
}

/// The time as the service has it.
fn service_time(state: &State) -> Timestamp {
    let offset = SignedDuration::from_secs(state.account.options.clock_offset_s);
    Now::present().wall.checked_add(offset).unwrap_or_default()
}

/// How far off a signature may be.
const SIGNATURE_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// Whether a signature of this `X-Amz-Date` is good. One without is judged by nothing.
fn signed_in_time(signed_at: &str, now: Timestamp) -> Result<(), ApiError> {
    let Ok(signed) = civil::DateTime::strptime("%Y%m%dT%H%M%SZ", signed_at) else { return Ok(()) };
    let Ok(signed) = signed.to_zoned(TimeZone::UTC) else { return Ok(()) };
    if signed.timestamp().duration_since(now).abs() <= SIGNATURE_LIFE {
        return Ok(());
    }
    let told = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
    Err(if signed.timestamp() < now {
        let bound = now.checked_sub(SIGNATURE_LIFE).unwrap_or_default();
        unverified::signature_expired(signed_at, &told(bound), &told(now))
    } else {
        let bound = now.checked_add(SIGNATURE_LIFE).unwrap_or_default();
        unverified::signature_not_yet_current(signed_at, &told(bound), &told(now))
    })
}

/// The access key of a signature that has the form of one. The signature itself is not verified.
fn access_key(authorization: Option<&str>, line: &str) -> Result<String, ApiError> {
    let Some(header) = authorization else {
        let query = line.split_once('?').map_or("", |(_, query)| query);
        let signed = api::form(query).into_iter().find(|(key, _)| key == "X-Amz-Credential");
        return match signed {
            Some((_, credential)) => Ok(credential.split('/').next().unwrap_or_default().to_owned()),
            None => Err(unverified::missing_authentication_token()),
        };
    };
    let parameters = header.strip_prefix("AWS4-HMAC-SHA256").map(str::trim_start).unwrap_or_default();
    let field = |name: &str| {
        parameters
            .split(',')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
            .filter(|v| !v.is_empty())
    };
    match (field("Credential"), field("SignedHeaders"), field("Signature")) {
        (Some(credential), Some(_), Some(_)) if credential.matches('/').count() == 4 => {
            Ok(credential.split('/').next().unwrap_or_default().to_owned())
        }
        _ => Err(unverified::incomplete_signature(header)),
    }
}

/// One request that has been read whole.
struct Exchange<'a> {
    shared: &'a Shared,
    sequence: u64,
    request_id: &'a str,
    route: &'a Route,
    body: &'a Bytes,
    batch: Option<&'a Result<ChangeBatch, ApiError>>,
}

impl Exchange<'_> {
    fn note_changes(&self) {
        let Some(Ok(batch)) = self.batch else { return };
        let changes = batch
            .changes
            .iter()
            .map(|change| {
                let set = change.record_set.clone();
                (change.action, set.clone().into_stored().unwrap_or(set))
            })
            .collect();
        self.shared.lock().log.update(self.sequence, |entry| entry.changes = changes);
    }

    async fn run(
        &self,
        reset: &AtomicBool,
        access_key: &str,
        method: &str,
        line: &str,
    ) -> Result<Response<Reply>, Aborted> {
        let faults = self.shared.lock().faults.strike(self.route.operation, self.route.zone(), Some(access_key));
        let mut fault = None;
        for struck in faults {
            match struck {
                Fault::Delay(delay) => tokio::time::sleep(delay).await,
                other => fault = Some(other),
            }
        }
        let refused = match &fault {
            Some(Fault::Error { status, code, message }) => Some(ApiError::new(*status, code, message)),
            Some(Fault::Throttling) => Some(texts::throttling()),
            Some(Fault::PriorRequestNotComplete) => Some(texts::prior_request_not_complete()),
            Some(Fault::ExpiredToken) => Some(unverified::expired_token()),
            Some(Fault::Status(status)) => Some(unverified::server_fault(*status)),
            Some(Fault::AccessDenied) => {
                let resource = self.route.resource();
                Some(self.shared.lock().account.access_denied(self.route.operation, resource.as_deref()))
            }
            Some(Fault::Hang) => return std::future::pending().await,
            Some(Fault::Reset) => {
                reset.store(true, Ordering::Relaxed);
                return Err(Aborted);
            }
            _ => None,
        };
        if let Some(error) = refused {
            return Ok(self.refuse(&error));
        }
        let outcome = self.carry_out(method, line);
        match fault {
            Some(Fault::DropAfterCommit) => Err(Aborted),
            Some(Fault::HangAfterCommit) => std::future::pending().await,
            Some(Fault::Truncate) => Ok(self.truncate(outcome)),
            _ => Ok(match outcome {
                Ok(answer) => self.accept(answer),
                Err(error) => self.refuse(&error),
            }),
        }
    }

    fn carry_out(&self, method: &str, line: &str) -> Result<Answer, ApiError> {
        let now = Now::present();
        let mut state = self.shared.lock();
        let State { account, limiter, log, .. } = &mut *state;
        iam::authorize(account, self.route.operation, self.route.resource().as_deref(), self.batch)?;
        if !limiter.admit(&account.options, self.route.operation, now.instant) {
            return Err(texts::throttling());
        }
        let changes = match self.batch {
            Some(Ok(batch)) => batch.changes.len(),
            _ => 0,
        };
        if !limiter.admit_changes(&account.options, changes, now.instant) {
            return Err(texts::throttling());
        }
        let outcome = match self.route.operation {
            Operation::Unknown => Err(unverified::unknown_operation(method, line)),
            Operation::GetCallerIdentity => sts::call(account, line, self.body, self.request_id),
            _ => api::call(account, &Call { route: self.route, body: self.body, batch: self.batch }, now),
        };
        if let Ok(Answer { change_id: Some(id), .. }) = &outcome {
            log.update(self.sequence, |entry| entry.change_id = Some(id.clone()));
        }
        outcome
    }

    fn accept(&self, answer: Answer) -> Response<Reply> {
        self.shared.lock().log.update(self.sequence, |entry| {
            entry.status = Some(answer.status);
            entry.answered_at = Some(Instant::now());
        });
        self.response(answer.status, answer.location.as_deref(), Reply::whole(answer.body))
    }

    fn refuse(&self, error: &ApiError) -> Response<Reply> {
        self.response(error.status, None, Reply::whole(self.refusal(error)))
    }

    fn refusal(&self, error: &ApiError) -> String {
        let mut state = self.shared.lock();
        state.log.update(self.sequence, |entry| {
            entry.status = Some(error.status);
            entry.code = Some(error.code.clone());
            entry.message = Some(error.message.clone());
            entry.answered_at = Some(Instant::now());
        });
        let sts = self.route.operation == Operation::GetCallerIdentity;
        if state.account.options.legacy_error_root && error.code == "InvalidChangeBatch" {
            render::legacy_change_batch_error(error, self.request_id)
        } else {
            render::error(if sts { sts::NAMESPACE } else { texts::NAMESPACE }, error, self.request_id)
        }
    }

    /// The log shows no status: the client never had a whole answer.
    fn truncate(&self, outcome: Result<Answer, ApiError>) -> Response<Reply> {
        let (status, body) = match outcome {
            Ok(answer) => (answer.status, answer.body),
            Err(error) => (error.status, self.refusal(&error)),
        };
        self.shared.lock().log.update(self.sequence, |entry| entry.status = None);
        let mut response = self.response(status, None, Reply::half(&body));
        response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        response
    }

    fn response(&self, status: u16, location: Option<&str>, body: Reply) -> Response<Reply> {
        let date = service_time(&self.shared.lock()).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut builder = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, "text/xml")
            .header(DATE, date)
            .header("x-amzn-requestid", self.request_id);
        if let Some(location) = location {
            builder = builder.header(LOCATION, location);
        }
        builder.body(body).unwrap_or_else(|_| {
            // A status or header that HTTP does not have, from a fault of the test's own making.
            let mut response = Response::new(Reply::whole(Bytes::new()));
            *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }
}
