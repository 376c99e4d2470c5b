//! HTTP/1.1: accepts connections and keeps the state that requests share.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdListener;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::account::Account;
use crate::connection::Connection;
use crate::exchange;
use crate::fault::Faults;
use crate::log::{self, Log};
use crate::throttle::Limiter;

/// Everything that requests share.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) account: Account,
    pub(crate) faults: Faults,
    pub(crate) log: Log,
    pub(crate) limiter: Limiter,
}

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Where the monotonic times of the log start.
    pub(crate) started: Instant,
}

impl Shared {
    pub(crate) fn new(account: Account) -> Self {
        Self { state: Mutex::new(State { account, ..State::default() }), started: Instant::now() }
    }

    /// Enters a request into the log; returns the id it is answered with and its number in the log.
    pub(crate) fn enter(&self, request: log::Request) -> (String, u64) {
        let mut state = self.lock();
        (state.account.uuid(), state.log.push(request))
    }

    /// A test that panics while it holds the state must not take the others down.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections until it is dropped.
pub(crate) async fn serve(listener: StdListener, shared: Arc<Shared>) -> io::Result<Infallible> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        // Out of file descriptors, or a connection gone before it was accepted: the next may fare better.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        tokio::spawn(connection(stream, Arc::clone(&shared)));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let reset = Arc::new(AtomicBool::new(false));
<<<<<<< HEAD
    let io = TokioIo::new(Connection { stream, reset: Arc::clone(&reset) });
=======
    let io = TokioIo::new(Connection::new(stream, Arc::clone(&reset)));
>>>>>>> sim
    let service = hyper::service::service_fn(move |request| {
        let (shared, reset) = (Arc::clone(&shared), Arc::clone(&reset));
        async move { exchange::answer(&shared, &reset, request).await }
    });
    // An error here is a client that went away, or a fault that was asked for.
    let _ = hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service).await;
}
<<<<<<< HEAD

/// A connection that can be made to end in a reset.
struct Connection {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The connection is to end without a (whole) answer.
#[derive(Debug)]
pub(crate) struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was ended on purpose")
    }
}

impl std::error::Error for Aborted {}

/// A body that may break off.
pub(crate) struct Reply {
    data: Option<Bytes>,
    broken: Option<Pin<Box<Sleep>>>,
}

impl Reply {
    pub(crate) fn whole(data: impl Into<Bytes>) -> Self {
        Self { data: Some(data.into()), broken: None }
    }

    /// The first half. The wait before the end lets the half reach the client.
    fn half(data: &str) -> Self {
        let half = Bytes::copy_from_slice(&data.as_bytes()[..data.len() / 2]);
        Self { data: Some(half), broken: Some(Box::pin(tokio::time::sleep(Duration::from_millis(20)))) }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match &mut self.broken {
            None => Poll::Ready(None),
            Some(wait) => wait.as_mut().poll(cx).map(|()| Some(Err(Aborted))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.broken.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.data, &self.broken) {
            (_, Some(_)) => SizeHint::default(),
            (data, None) => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
        }
    }
}

async fn answer(shared: &Shared, reset: &AtomicBool, request: Request<Incoming>) -> Result<Response<Reply>, Aborted> {
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
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let route = Route::of(&method, &line);
    let identity = access_key(header(AUTHORIZATION), &line);
    let entry = log::Request {
        sequence: 0,
        at,
        wall,
        operation: route.operation,
        zone: route.zone().map(str::to_owned),
        line: format!("{method} {line}"),
        access_key: identity.as_ref().ok().cloned(),
        user_agent: header(USER_AGENT).map(str::to_owned),
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
    match identity {
        Err(error) => Ok(exchange.refuse(&error)),
        Ok(access_key) => exchange.run(reset, &access_key, &method, &line).await,
    }
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
        response(answer.status, answer.location.as_deref(), self.request_id, Reply::whole(answer.body))
    }

    fn refuse(&self, error: &ApiError) -> Response<Reply> {
        response(error.status, None, self.request_id, Reply::whole(self.refusal(error)))
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
        let mut response = response(status, None, self.request_id, Reply::half(&body));
        response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        response
    }
}

fn response(status: u16, location: Option<&str>, request_id: &str, body: Reply) -> Response<Reply> {
    let mut builder =
        Response::builder().status(status).header(CONTENT_TYPE, "text/xml").header("x-amzn-requestid", request_id);
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
=======
>>>>>>> sim
