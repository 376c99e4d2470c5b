//! What there is before the loop goes round for the first time.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::{Config, Problems};
use crate::control::server::{Limits, Server};
use crate::daemon::drain::Drains;
use crate::daemon::metrics::{Outlets, Requests};
use crate::daemon::probes::Probes;
use crate::daemon::stop::Departure;
use crate::daemon::view::View;
use crate::daemon::{Daemon, Options};
use crate::decide::engine::Engine;
use crate::decide::policy::Policy;
use crate::decide::probe;
use crate::metrics::Counts;
use crate::publish::AnyProvider;
use crate::publish::memory::MemoryProvider;
use crate::publish::route53::Route53;
use crate::systemd::Notifier;
use crate::watch::clock::{self, Alarm, SuspendDetector};
use crate::watch::identity::Identity;
use crate::watch::{addresses, node};

impl Daemon {
    pub(super) fn start(options: Options, config: Config) -> anyhow::Result<Self> {
        let identity = Identity::find(&config)?;
        let policy = policy(&config, &identity, options.dry_run)?;
        // Before anything that is kept is touched: another daemon may be running on it.
        let server = match Server::bind(&config.socket) {
            Ok(server) => Some(server),
            // Whoever only looks needs no socket, and may not be allowed one.
            Err(error) if options.dry_run => {
                tracing::debug!(%error, "no control socket");
                None
            }
            Err(error) => return Err(error.into()),
        };
        let is_alone = server.is_some();
        let outlets = Outlets::open(&config.metrics, options.dry_run, is_alone)?;
        let counts = Arc::new(Counts::new().context("cannot count")?);
        let now = clock::now();
        let mut engine = Engine::new(policy, RandomState::new().build_hasher().finish(), now);
        // Before it is asked for the first time: a node that is drained is never published for a moment.
        let (drains, commands) = Drains::load(&config, options.dry_run, &mut engine, now);
        let provider = provider(&config, options.dry_run, &counts);

        let mut watchers = JoinSet::new();
        let (address_requests, requests) = mpsc::unbounded_channel();
        let (events, address_events) = mpsc::unbounded_channel();
        let listening = addresses::Options::default();
        let netlink = listening.counters.clone();
        watchers.spawn(async move {
            addresses::watch(events, requests, listening).await;
            "the watcher of the addresses"
        });
        let (events, node_events) = mpsc::unbounded_channel();
        if let Some(settings) = identity.node_watch() {
            watchers.spawn(async move {
                node::watch(settings, events).await;
                "the watcher of the Node"
            });
        }

        let (cluster_readers, readers) = mpsc::unbounded_channel();
        let (events, cluster_events) = mpsc::unbounded_channel();
        if let Some(settings) = identity.node_watch().filter(|_| config.survivors.is_some()) {
            watchers.spawn(async move {
                node::watch_cluster(settings, readers, events).await;
                "the watcher of the cluster's nodes"
            });
        }
        let mut probes = Probes::new();
        probes.want(probe::wanted(engine.policy()), &mut watchers);

        let view = View::new(&identity, &config, options.dry_run, now);
        let (status, receiver) = watch::channel(Arc::new(view.status(&engine, &drains)));
        if let Some(server) = server {
            let server = server.with_commands(commands);
            watchers.spawn(async move {
                server.run(receiver, Limits::default()).await;
                "the control socket"
            });
        }
        outlets.serve(&status, &counts, netlink, &mut watchers);
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
            reads: JoinSet::new(),
            writes: JoinSet::new(),
            watchers,
            address_requests,
            address_events,
            node_events,
            cluster_readers,
            cluster_events,
            probes,
            view,
            drains,
            counts,
            status,
            notifier: Notifier::default(),
            is_ready: false,
            alarm: Alarm::new().context("cannot make a timer")?,
            suspend: SuspendDetector::default(),
            departure: Departure::default(),
        })
    }
}

pub(super) fn policy(config: &Config, identity: &Identity, dry_run: bool) -> Result<Policy, Problems> {
    let mut policy = config.policy(identity.node(), identity.node_watch().is_some())?;
    if dry_run {
        // A dry run sees no sibling, so it cannot tell who would be the last one in the pool.
        policy.records.iter_mut().for_each(|record| record.keep_min = 0);
    }
    Ok(policy)
}

fn provider(config: &Config, dry_run: bool, counts: &Arc<Counts>) -> AnyProvider {
    if dry_run {
        return AnyProvider::Memory(MemoryProvider::new());
    }
    AnyProvider::Route53(Route53::new(config.route53.clone()).observed_by(Arc::new(Requests(counts.clone()))))
}
