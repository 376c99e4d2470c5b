//! The daemon: everything wired together, and the loop that goes round. It decides nothing.
//!
//! One loop owns all state. Watchers and requests are tasks that only send; what they send are the
//! engine's events, and what the engine wants done comes back as effects. A watcher that ends is an
//! error that ends the process, never silence. The watchdog is fed from the loop itself, so a stuck
//! loop is restarted.

mod drain;
mod effects;
mod log;
mod metrics;
mod probes;
mod reload;
mod setup;
mod signals;
mod stop;
mod summary;
mod tell;
mod view;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::config::{self, Config, LogFormat, Sources};
use crate::control::protocol::Status;
use crate::decide::engine::{Engine, Event};
use crate::decide::node::Cluster;
use crate::metrics::Counts;
use crate::publish::AnyProvider;
use crate::systemd::{self, Notifier};
use crate::telemetry;
use crate::watch::addresses::AddressEvent;
use crate::watch::clock::{self, Alarm, SuspendDetector};
use crate::watch::identity::Identity;
use crate::watch::node::{ClusterEvent, NodeEvent, Reader};
use drain::Drains;
use probes::Probes;
use signals::Signals;
use stop::Departure;
use view::View;

/// Is shown every new state.
pub type OnStatus = Box<dyn FnMut(&Status)>;

/// How to run.
#[derive(Default)]
pub struct Options {
    /// Where the configuration comes from; read again on SIGHUP.
    pub sources: Sources,
    /// Publish into memory instead of Route 53: there is then nothing in the process that could write.
    pub dry_run: bool,
    /// Called with the state whenever it has changed.
    pub on_status: Option<OnStatus>,
}

/// Runs until SIGTERM or SIGINT. When the whole system shuts down, record sets are withdrawn first;
/// otherwise they stay as they are: a restart or an upgrade is no reason to leave DNS.
///
/// # Errors
/// [`config::Problems`] for a bad configuration, before anything is touched. Otherwise only what makes the
/// process useless: nothing that Route 53, Kubernetes or the network do.
pub fn run(options: Options) -> anyhow::Result<()> {
    let config = config::load(&options.sources)?.config;
    let output = match config.log.format {
        LogFormat::Auto => telemetry::Output::Auto,
        LogFormat::Journald => telemetry::Output::Journald,
        LogFormat::Text => telemetry::Output::Stderr,
    };
    telemetry::init(config.log.level.as_str(), output)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(async {
        // Before anything else, so that no signal finds the process without a handler.
        let signals = Signals::new().context("cannot handle signals")?;
        Daemon::start(options, config)?.run(signals).await
    })
}

struct Daemon {
    options: Options,
    config: Config,
    identity: Identity,
    engine: Engine,
    provider: AnyProvider,
    reads: JoinSet<Event>,
    writes: JoinSet<Event>,
    watchers: JoinSet<&'static str>,
    address_requests: mpsc::UnboundedSender<()>,
    address_events: mpsc::UnboundedReceiver<AddressEvent>,
    node_events: mpsc::UnboundedReceiver<NodeEvent>,
    cluster_readers: mpsc::UnboundedSender<Reader<Cluster>>,
    cluster_events: mpsc::UnboundedReceiver<ClusterEvent>,
    probes: Probes,
    view: View,
    drains: Drains,
    counts: Arc<Counts>,
    status: watch::Sender<Arc<Status>>,
    notifier: Notifier,
    is_ready: bool,
    alarm: Alarm,
    suspend: SuspendDetector,
    departure: Departure,
}

impl Daemon {
    async fn run(mut self, mut signals: Signals) -> anyhow::Result<()> {
        let mut watchdog = systemd::watchdog_interval().map(watchdog_ticks);
        while !self.may_end() {
            while let Some(effect) = self.engine.poll(clock::now()) {
                self.carry_out(effect);
            }
            // Requests go out before anyone is told about them.
            tokio::task::yield_now().await;
            self.tell();
            let deadline = self.engine.deadline();
            tokio::select! {
                Some(event) = self.address_events.recv() => self.addresses(event),
                Some(event) = self.node_events.recv() => self.node(event),
                Some(event) = self.cluster_events.recv() => self.cluster(event),
                Some(event) = self.probes.events.recv() => self.probe(event),
                Some(done) = self.reads.join_next() => {
                    self.engine.handle(finished(done)?, clock::now());
                    self.look_for_kubernetes();
                }
                Some(done) = self.writes.join_next() => self.engine.handle(finished(done)?, clock::now()),
                news = self.drains.next() => self.drain_news(news)?,
                Some(ended) = self.watchers.join_next() => return Err(anyhow!("{} has ended", ended?)),
                result = self.alarm.until(deadline) => result.context("cannot wait")?,
                () = tick(&mut watchdog) => self.notifier.watchdog(),
                wish = signals.next() => self.wish(wish),
                news = self.departure.news() => self.depart(news),
            }
            if self.suspend.check().is_some() {
                tracing::info!("the machine was suspended; looking at everything again");
                self.engine.handle(Event::Resumed, clock::now());
            }
        }
        self.stop(signals).await;
        Ok(())
    }

    fn addresses(&mut self, event: AddressEvent) {
        let event = match event {
            AddressEvent::Changed => Event::AddressesChanged,
            AddressEvent::Snapshot(snapshot) => Event::Addresses(snapshot),
        };
        self.engine.handle(event, clock::now());
    }

    fn node(&mut self, event: NodeEvent) {
        self.view.kubernetes = event.detail;
        self.engine.handle(Event::Node(event.state), clock::now());
        if event.anew {
            self.engine.handle(Event::NodeListedAnew, clock::now());
        }
    }

    fn cluster(&mut self, event: ClusterEvent) {
        self.view.cluster = event.detail;
        self.engine.handle(Event::Cluster(event.state), clock::now());
    }
}

/// A request's outcome. A request that panicked is a bug, and what the engine waits for would never come.
fn finished(done: Result<Event, JoinError>) -> anyhow::Result<Event> {
    done.context("a request to the provider broke off")
}

fn watchdog_ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}
