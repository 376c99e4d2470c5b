//! The metrics and the health over HTTP.
//!
//! One request for each connection, and a limit to how many there are and how long each may take: whoever
//! is slow, silent or talks nonsense loses its own connection and costs nobody else's.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::metrics::Exposition;

/// What is said to whoever asks for something else.
const NOT_FOUND: &str = "there are /metrics and /healthz\n";

/// What is said to a client that is one too many.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 17\r\n\
                          Connection: close\r\n\r\ntoo many clients\n";

/// The most that is read of a request before it must be whole. Ours have a few hundred bytes.
const REQUEST_MAX: usize = 16 << 10;

/// What clients may take of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a client may take, from its connection to the last byte that it has taken.
    pub patience: Duration,
    /// How many clients are served at once.
    pub clients: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Prometheus itself waits for ten seconds unless it is told otherwise.
        Limits { patience: Duration::from_secs(10), clients: 32 }
    }
}

/// Why the daemon cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}, which metrics.listen names{}", advice(source))]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the program that listens there, or name another port",
        io::ErrorKind::AddrNotAvailable => "; name an address that a host can have, as 127.0.0.1",
        io::ErrorKind::PermissionDenied => "; name a port from 1024 on",
        _ => "",
    }
}

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 128;

/// A port that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Listens, also on an address that the host does not have yet. Within a runtime.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let listen = || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            // Connections of the daemon before this one that linger are no reason to wait.
            socket.set_reuse_address(true)?;
            match address {
                SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
                SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
            }
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket.into())
        };
        Ok(Server { listener: listen().map_err(|source| BindError { address, source })? })
    }

    /// Tries again, each time after this pause, until the address can be had.
    pub async fn bind_at_last(address: SocketAddr, pause: Duration) -> Self {
        loop {
            sleep(pause).await;
            if let Ok(server) = Self::bind(address) {
                tracing::info!("{address}, which metrics.listen names, is listened on now");
                return server;
            }
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers clients until nobody tells the status any more. May be dropped at any time, which hangs up
    /// on every client.
    pub async fn run(self, exposition: Arc<Exposition>, limits: Limits) {
        let places = Arc::new(Semaphore::new(limits.clients));
        let mut clients = JoinSet::new();
        let mut status = exposition.status.clone();
        let mut is_failing = false;
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = clients.join_next() => continue,
                changed = status.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            match accepted {
                Ok((stream, _)) => {
                    is_failing = false;
                    match places.clone().try_acquire_owned() {
                        Ok(place) => {
                            let exposition = exposition.clone();
                            clients.spawn(async move {
                                serve(stream, exposition, limits.patience).await;
                                drop(place);
                            });
                        }
                        // Nothing is owed to this client, so it does not matter whether it takes the answer.
                        Err(_) => drop(stream.try_write(TOO_MANY)),
                    }
                }
                Err(error) => {
                    // Out of file descriptors, most likely: let some clients go first.
                    if !is_failing {
                        tracing::warn!(%error, "a client of the metrics could not be accepted: {error}");
                    }
                    is_failing = true;
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// One request and its answer.
async fn serve(stream: TcpStream, exposition: Arc<Exposition>, patience: Duration) {
    let service = service_fn(|request| {
        let answer = answer(&request, &exposition);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(REQUEST_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(patience, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a client of the metrics was dropped"),
        Err(_) => tracing::debug!("a client of the metrics took too long"),
    }
}

fn answer<B>(request: &Request<B>, exposition: &Exposition) -> Response<Full<Bytes>> {
    let is_read = request.method() == Method::GET || request.method() == Method::HEAD;
    match request.uri().path() {
        "/metrics" | "/healthz" if !is_read => {
            let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n".to_owned());
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            refusal
        }
        "/metrics" => match exposition.text() {
            Ok(text) => {
                let mut metrics = plain(StatusCode::OK, text);
                let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                metrics.headers_mut().insert(CONTENT_TYPE, kind);
                metrics
            }
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        "/healthz" => match exposition.status().troubles() {
            troubles if troubles.is_empty() => plain(StatusCode::OK, "ok\n".to_owned()),
            troubles => plain(StatusCode::SERVICE_UNAVAILABLE, troubles.join("\n") + "\n"),
        },
        _ => plain(StatusCode::NOT_FOUND, NOT_FOUND.to_owned()),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
