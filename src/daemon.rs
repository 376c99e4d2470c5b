//! The daemon: everything wired together, and the loop that goes round. It decides nothing.
//!
//! One loop owns all state. Watchers and requests are tasks that only send; what they send are the
//! engine's events, and what the engine wants done comes back as effects. A watcher that ends is an
//! error that ends the process, never silence. The watchdog is fed from the loop itself, so a stuck
//! loop is restarted.

mod identity;
mod log;
mod view;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::config::{self, Config, LogFormat, Problems, Sources};
use crate::control::protocol::Status;
use crate::control::server::{Limits, Server};
use crate::decide::engine::{Effect, Engine, Event};
use crate::decide::policy::Policy;
use crate::publish::memory::MemoryProvider;
use crate::publish::route53::{Route53, Settings};
use crate::publish::{AnyProvider, Provider};
use crate::systemd::{self, Notifier};
use crate::telemetry;
use crate::watch::addresses::{self, AddressEvent};
use crate::watch::clock::{self, Alarm, SuspendDetector};
use crate::watch::node::{self, NodeEvent};
use identity::Identity;
use view::View;

/// How to run.
#[derive(Default)]
pub struct Options {
    /// Where the configuration comes from; read again on SIGHUP.
    pub sources: Sources,
    /// Publish into memory instead of Route 53: there is then nothing in the process that could write.
    pub dry_run: bool,
    /// Called with the state whenever it has changed.
    pub on_status: Option<Box<dyn FnMut(&Status)>>,
}

/// How long the requests on their way may take to finish once the daemon has been asked to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// Runs until SIGTERM or SIGINT. Record sets stay as they are: a restart or an upgrade is no reason
/// to leave DNS.
///
/// # Errors
/// [`Problems`] for a bad configuration, before anything is touched. Otherwise only what makes the
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
    runtime.block_on(async { Daemon::start(options, config)?.run().await })
}

struct Daemon {
    options: Options,
    config: Config,
    identity: Identity,
    engine: Engine,
    provider: AnyProvider,
    in_flight: JoinSet<Event>,
    watchers: JoinSet<&'static str>,
    address_requests: mpsc::UnboundedSender<()>,
    address_events: mpsc::UnboundedReceiver<AddressEvent>,
    node_events: mpsc::UnboundedReceiver<NodeEvent>,
    view: View,
    status: watch::Sender<Arc<Status>>,
    notifier: Notifier,
    is_ready: bool,
    alarm: Alarm,
    suspend: SuspendDetector,
}

impl Daemon {
    fn start(options: Options, config: Config) -> anyhow::Result<Self> {
        let identity = Identity::find(&config)?;
        let policy = policy(&config, &identity, options.dry_run)?;
        let now = clock::now();
        let engine = Engine::new(policy, RandomState::new().build_hasher().finish(), now);
        let provider = provider(&config, options.dry_run);

        let mut watchers = JoinSet::new();
        let (address_requests, requests) = mpsc::unbounded_channel();
        let (events, address_events) = mpsc::unbounded_channel();
        watchers.spawn(async move {
            addresses::watch(events, requests, addresses::Options::default()).await;
            "the watcher of the addresses"
        });
        let (events, node_events) = mpsc::unbounded_channel();
        if let Some(settings) = identity.node_watch() {
            watchers.spawn(async move {
                node::watch(settings, events).await;
                "the watcher of the Node"
            });
        }

        let view = View::new(&identity, &config, options.dry_run, now);
        let (status, receiver) = watch::channel(Arc::new(view.status(&engine)));
        match Server::bind(&config.socket) {
            Ok(server) => {
                watchers.spawn(async move {
                    server.run(receiver, Limits::default()).await;
                    "the control socket"
                });
            }
            // Whoever only looks needs no socket, and may not be allowed one.
            Err(error) if options.dry_run => tracing::debug!(%error, "no control socket"),
            Err(error) => return Err(error.into()),
        }
        tracing::info!(
            node = identity.node(),
            cluster = config.cluster,
            records = engine.policy().records.len(),
            dry_run = options.dry_run,
            "nodedns {} starts",
            env!("CARGO_PKG_VERSION")
        );
        identity.log();
        Ok(Daemon {
            options,
            config,
            identity,
            engine,
            provider,
            in_flight: JoinSet::new(),
            watchers,
            address_requests,
            address_events,
            node_events,
            view,
            status,
            notifier: Notifier::default(),
            is_ready: false,
            alarm: Alarm::new().context("cannot make a timer")?,
            suspend: SuspendDetector::default(),
        })
    }

    async fn run(mut self) -> anyhow::Result<()> {
        let mut watchdog = systemd::watchdog_interval().map(watchdog_ticks);
        let mut stop = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
        let mut hangup = signal(SignalKind::hangup())?;
        let [terminate, interrupt] = &mut stop;
        loop {
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
                Some(done) = self.in_flight.join_next() => self.engine.handle(finished(done)?, clock::now()),
                Some(ended) = self.watchers.join_next() => return Err(anyhow!("{} has ended", ended?)),
                result = self.alarm.until(deadline) => result.context("cannot wait")?,
                () = tick(&mut watchdog) => self.notifier.watchdog(),
                _ = hangup.recv() => self.reload(),
                () = either(terminate, interrupt) => break,
            }
            if self.suspend.check().is_some() {
                tracing::info!("the machine was suspended; looking at everything again");
                self.engine.handle(Event::Recheck, clock::now());
            }
        }
        self.stop().await;
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) {
        let provider = self.provider.clone();
        match effect {
            Effect::ReadAddresses => {
                if self.address_requests.send(()).is_err() {
                    tracing::debug!("the watcher of the addresses is gone");
                }
            }
            Effect::List(target) => {
                self.in_flight.spawn(async move {
                    let result = provider.list(&target.zone, &target.name).await;
                    Event::Listed(target, result)
                });
            }
            Effect::Apply(target, changes) => {
                self.in_flight.spawn(async move {
                    let result = provider.apply(&target.zone, &changes).await;
                    Event::Applied(target, result)
                });
            }
            Effect::ChangeStatus(id) => {
                self.in_flight.spawn(async move {
                    let result = provider.change_status(&id).await;
                    Event::ChangeStatus(id, result)
                });
            }
        }
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
    }

    /// Tells everyone who wants to know: the log, the control socket, the service manager.
    fn tell(&mut self) {
        for notice in self.engine.take_notices() {
            log::notice(&notice);
        }
        let status = self.view.status(&self.engine);
        if **self.status.borrow() != status {
            if let Some(on_status) = &mut self.options.on_status {
                on_status(&status);
            }
            self.status.send_replace(Arc::new(status));
        }
        let line = view::summary(&self.status.borrow());
        if self.is_ready {
            self.notifier.status(&line);
        } else if self.engine.addresses().is_known() {
            self.is_ready = true;
            self.notifier.ready(&line);
        }
    }

    /// SIGHUP: takes the new configuration if it is good, and keeps the old one if it is not.
    fn reload(&mut self) {
        self.notifier.reloading();
        let outcome = match self.try_reload() {
            Ok(()) => view::summary(&self.status.borrow()),
            Err(problems) => {
                log::problems(&problems);
                format!("reload refused, the old configuration stays in force: {problems}").replace('\n', "; ")
            }
        };
        self.notifier.ready(&outcome);
    }

    fn try_reload(&mut self) -> Result<(), Problems> {
        let config = config::load(&self.options.sources)?.config;
        let policy = policy(&config, &self.identity, self.options.dry_run)?;
        identity::check_reload(&self.config, &config)?;
        if config.route53 != self.config.route53 {
            self.provider = provider(&config, self.options.dry_run);
        }
        let now = clock::now();
        self.view.reconfigure(&config);
        self.config = config;
        self.engine.reconfigure(policy, now);
        self.engine.handle(Event::Recheck, now);
        tracing::info!(records = self.engine.policy().records.len(), "configuration reloaded");
        Ok(())
    }

    async fn stop(mut self) {
        self.notifier.stopping("stopping; record sets stay as they are");
        tracing::info!("stopping; record sets stay as they are");
        let finish = async { while self.in_flight.join_next().await.is_some() {} };
        if timeout(STOP_PATIENCE, finish).await.is_err() {
            tracing::warn!("a request to Route 53 was still on its way; its outcome is looked up at the next start");
        }
    }
}

fn policy(config: &Config, identity: &Identity, dry_run: bool) -> Result<Policy, Problems> {
    let mut policy = config.policy(identity.node(), identity.node_watch().is_some())?;
    if dry_run {
        // A dry run sees no sibling, so it cannot tell who would be the last one in the pool.
        policy.records.iter_mut().for_each(|record| record.keep_min = 0);
    }
    Ok(policy)
}

fn provider(config: &Config, dry_run: bool) -> AnyProvider {
    if dry_run {
        return AnyProvider::Memory(MemoryProvider::new());
    }
    let settings = config.route53.clone();
    AnyProvider::Route53(Route53::new(Settings {
        endpoint_url: settings.endpoint_url,
        region: settings.region,
        profile: settings.profile,
        requests_per_second: settings.requests_per_second,
        burst: settings.burst,
        attempt_timeout: settings.attempt_timeout,
    }))
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

async fn either(a: &mut Signal, b: &mut Signal) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
    }
}
