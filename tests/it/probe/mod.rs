//! The prober against real servers on loopback, good and bad.

mod answers;
mod schedule;
mod status;
mod tls;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nodedns::decide::observed::Observed;
use nodedns::decide::probe::{HttpProbe, Probe, ProbeCheck, ProbeOutcome};
use nodedns::watch::probe::{ProbeEvent, watch as make};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(40);

/// Between attempts, where several are wanted.
const OFTEN: Duration = Duration::from_millis(20);

/// So long that there is only the first attempt.
const ONCE: Duration = Duration::from_secs(3600);

/// A server that gives each connection to a handler; all of it ends when this is dropped.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start<F: Future<Output = ()> + Send + 'static>(
        handler: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Server {
        Server::start_at(([127, 0, 0, 1], 0).into(), handler).await
    }

    async fn start_at<F: Future<Output = ()> + Send + 'static>(
        address: SocketAddr,
        handler: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Server {
        let listener = TcpListener::bind(address).await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut running = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                count.fetch_add(1, Ordering::Relaxed);
                running.spawn(handler(stream));
            }
        });
        Server { address, connections, task }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Stops listening, and is gone when this returns.
    async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

/// The prober and what it has said.
struct Probing {
    wanted: watch::Sender<BTreeSet<Probe>>,
    events: mpsc::UnboundedReceiver<ProbeEvent>,
    task: JoinHandle<()>,
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Probing {
    fn start(probes: impl IntoIterator<Item = Probe>) -> Probing {
        let (wanted, receiver) = watch::channel(probes.into_iter().collect());
        let (sender, events) = mpsc::unbounded_channel();
        Probing { wanted, events, task: tokio::spawn(make(receiver, sender)) }
    }

    fn want(&self, probes: impl IntoIterator<Item = Probe>) {
        self.wanted.send_replace(probes.into_iter().collect());
    }

    async fn event(&mut self) -> ProbeEvent {
        timeout(LONG, self.events.recv()).await.expect("an event within the time").expect("the prober runs")
    }

    async fn outcome(&mut self) -> ProbeOutcome {
        match self.event().await.1 {
            Observed::Known(outcome) => outcome,
            Observed::Unknown => panic!("the probe is still wanted"),
        }
    }

    async fn passes(&mut self) {
        assert_eq!(self.outcome().await, ProbeOutcome::Passing);
    }

    /// The next outcome, which must be a failure: why.
    async fn fails(&mut self) -> String {
        match self.outcome().await {
            ProbeOutcome::Failing(why) => why,
            ProbeOutcome::Passing => panic!("it passes"),
        }
    }

    fn nothing_more(&mut self) {
        assert!(self.events.is_empty(), "{:?}", self.events.try_recv());
    }
}

/// One attempt's outcome, as far as it depends on that attempt alone.
async fn one(check: ProbeCheck) -> ProbeOutcome {
    one_within(check, LONG).await
}

async fn one_within(check: ProbeCheck, timeout: Duration) -> ProbeOutcome {
    Probing::start([Probe { check, interval: ONCE, timeout, failures: 1 }]).outcome().await
}

/// One attempt's failure, without the address that it begins with.
async fn failure(check: ProbeCheck) -> String {
    failure_within(check, LONG).await
}

async fn failure_within(check: ProbeCheck, timeout: Duration) -> String {
    let address = format!("{} ", check.address());
    match one_within(check, timeout).await {
        ProbeOutcome::Failing(why) => why.strip_prefix(&address).expect("the address").to_owned(),
        ProbeOutcome::Passing => panic!("it passes"),
    }
}

fn often(check: ProbeCheck, failures: u32) -> Probe {
    Probe { check, interval: OFTEN, timeout: LONG, failures }
}

fn http(address: SocketAddr) -> HttpProbe {
    HttpProbe { tls: false, address, host: "edge.example.com".into(), path: "/healthz".into(), contains: None }
}

fn containing(address: SocketAddr, text: &str) -> ProbeCheck {
    ProbeCheck::Http(HttpProbe { contains: Some(text.into()), ..http(address) })
}

/// Reads a request up to the end of its head.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(bytes).expect("text")
}
