//! The host's addresses, from netlink.
//!
//! One socket only listens, another only asks. They are never the same one: IPv4 and link
//! notifications carry the sequence number of whoever caused them, so on a shared socket a
//! stranger's change can pass for the end of our own reply, and a short list would look like
//! addresses that have vanished. For the same reason notifications are never read, only counted by
//! their kind: each one means that something may have changed and everything is to be asked for again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::decide::address::Snapshot;
use crate::decide::observed::Observed;

mod dump;
mod request;
mod subscription;

pub use subscription::Kind;
use subscription::Subscription;

/// What the watcher sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressEvent {
    /// Something may have changed: notifications came, were lost, or may have been missed while
    /// there was no connection. Bursts are one event. No settling is done here.
    Changed,
    /// The answer to one request; `Unknown` when the kernel could not be asked.
    Snapshot(Observed<Snapshot>),
}

/// How to listen.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much to ask the kernel to queue for us. It grants no more than `net.core.rmem_max`. The
    /// kernel's own default holds about 280 address notifications.
    pub receive_buffer_bytes: usize,
    /// Counted into by the watcher, read by whoever reports on it.
    pub counters: Arc<Counters>,
}

impl Default for Options {
    fn default() -> Self {
        Options { receive_buffer_bytes: 1 << 20, counters: Arc::default() }
    }
}

/// What the watcher has seen since it was started. Every count only grows.
#[derive(Debug, Default)]
pub struct Counters {
    events: [AtomicU64; Kind::ALL.len()],
    overruns: AtomicU64,
    reconnects: AtomicU64,
}

impl Counters {
    /// Notifications received.
    pub fn events(&self) -> u64 {
        self.events.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The same, by what they were about.
    pub fn events_by_kind(&self) -> [(Kind, u64); Kind::ALL.len()] {
        Kind::ALL.map(|kind| (kind, self.events[kind as usize].load(Ordering::Relaxed)))
    }

    /// How often the kernel had to drop notifications because the receive buffer was full.
    pub fn overruns(&self) -> u64 {
        self.overruns.load(Ordering::Relaxed)
    }

    /// How often the connection was given up to be made again.
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }
}

/// Why the addresses could not be watched or read.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system would not give us a netlink socket, or it broke.
    #[error("netlink socket: cannot {action}: {source}")]
    Socket {
        /// What was being done.
        action: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The kernel answered with an error.
    #[error("netlink: the kernel would not list {what}: {source}")]
    Refused {
        /// What it was asked for.
        what: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// The kernel's answer could not be understood, so it may not be whole.
    #[error("netlink: cannot read the kernel's list of {what}: {detail}")]
    Malformed {
        /// What it was asked for.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// No whole answer within this time.
    #[error("netlink: the kernel did not list the addresses within {} s", .0.as_secs())]
    TimedOut(Duration),
}

impl WatchError {
    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            WatchError::Socket { .. } => {
                Some("netlink needs no privileges, but a systemd unit needs AF_NETLINK in its RestrictAddressFamilies=")
            }
            WatchError::Refused { .. } | WatchError::Malformed { .. } | WatchError::TimedOut(_) => None,
        }
    }
}

/// Reads links, addresses and the direction of the Internet once. Whole, or an error.
pub async fn snapshot() -> Result<Snapshot, WatchError> {
    match tokio::time::timeout(DUMP_LIMIT, dump::snapshot()).await {
        Ok(result) => result,
        Err(_) => Err(WatchError::TimedOut(DUMP_LIMIT)),
    }
}

/// Reports every change, and answers each of `requests` with one snapshot, until the receiver of
/// `events` or the sender of `requests` is gone.
///
/// Starts by sending [`AddressEvent::Changed`], and sends it again after every reconnection.
/// A reading that is asked for after a `Changed` is newer than what the `Changed` was about, since
/// the kernel has made a change before it tells of it.
pub async fn watch(events: UnboundedSender<AddressEvent>, mut requests: UnboundedReceiver<()>, options: Options) {
    let mut delay = FIRST_DELAY;
    loop {
        let mut answered = false;
        let error = match session(&events, &mut requests, &options, &mut answered).await {
            Ok(Gone) => return,
            Err(error) => error,
        };
        if answered {
            delay = FIRST_DELAY;
        }
        options.counters.reconnects.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%error, retry_in_seconds = delay.as_secs_f64(), "the host's addresses cannot be watched: {error}");
        if answer_unknown_for(delay, &events, &mut requests).await.is_err() {
            return;
        }
        delay = (delay * 2).min(LAST_DELAY);
    }
}

/// Far longer than it takes (about a millisecond), far shorter than what anyone would wait.
const DUMP_LIMIT: Duration = Duration::from_secs(5);
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(30);

/// Nobody is listening any more.
struct Gone;

/// One connection: from subscribing until something fails. Sets `answered` once a request has been.
async fn session(
    events: &UnboundedSender<AddressEvent>,
    requests: &mut UnboundedReceiver<()>,
    options: &Options,
    answered: &mut bool,
) -> Result<Gone, WatchError> {
    // Before anything is read, or a change between the two would go unnoticed.
    let mut subscription = Subscription::open(options.receive_buffer_bytes)?;
    if events.send(AddressEvent::Changed).is_err() {
        return Ok(Gone);
    }
    loop {
        tokio::select! {
            burst = subscription.next_burst() => {
                let burst = burst?;
                for (counter, count) in options.counters.events.iter().zip(burst.events) {
                    counter.fetch_add(count, Ordering::Relaxed);
                }
                options.counters.overruns.fetch_add(burst.overruns, Ordering::Relaxed);
                if events.send(AddressEvent::Changed).is_err() {
                    return Ok(Gone);
                }
                // The receiver's turn, so that a storm queues here no more than one event for each.
                tokio::task::yield_now().await;
            }
            request = requests.recv() => {
                if request.is_none() {
                    return Ok(Gone);
                }
                let result = snapshot().await;
                let observed = result.as_ref().map_or(Observed::Unknown, |snapshot| Observed::Known(snapshot.clone()));
                if events.send(AddressEvent::Snapshot(observed)).is_err() {
                    return Ok(Gone);
                }
                result?;
                *answered = true;
            }
            () = events.closed() => return Ok(Gone),
        }
    }
}

/// Waits before the next attempt. Whoever asks meanwhile learns at once that nothing is known.
async fn answer_unknown_for(
    delay: Duration,
    events: &UnboundedSender<AddressEvent>,
    requests: &mut UnboundedReceiver<()>,
) -> Result<(), Gone> {
    let pause = tokio::time::sleep(delay);
    tokio::pin!(pause);
    loop {
        tokio::select! {
            () = &mut pause => return Ok(()),
            () = events.closed() => return Err(Gone),
            request = requests.recv() => {
                request.ok_or(Gone)?;
                events.send(AddressEvent::Snapshot(Observed::Unknown)).map_err(|_| Gone)?;
            }
        }
    }
}
