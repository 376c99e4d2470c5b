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
    let io = TokioIo::new(Connection::new(stream, Arc::clone(&reset)));
    let service = hyper::service::service_fn(move |request| {
        let (shared, reset) = (Arc::clone(&shared), Arc::clone(&reset));
        async move { exchange::answer(&shared, &reset, request).await }
    });
    // An error here is a client that went away, or a fault that was asked for.
    let _ = hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service).await;
}
