//! What the metrics are made of, and who serves them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::MetricsSettings;
use crate::control::protocol::Status;
use crate::decide::provider::ErrorKind;
use crate::metrics::server::{Limits, Server};
use crate::metrics::textfile::{Pace, Textfile};
use crate::metrics::{Counts, Exposition, Netlink};
use crate::publish::route53::{Ending, Observer};
use crate::watch::addresses::Counters;
use crate::watch::clock;

/// How long it takes until a port that was taken is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// The listener.
enum Listener {
    Bound(Server),
    /// Not to be had so far. DNS does not wait for it.
    Later(SocketAddr),
}

/// What was asked for, before there is anything to tell.
#[derive(Default)]
pub(super) struct Outlets {
    listener: Option<Listener>,
    textfile: Option<Textfile>,
}

impl Outlets {
    /// Takes the port and the file. Somebody who only looks does without what another daemon has:
    /// `is_alone` says whether there is none.
    pub(super) fn open(settings: &MetricsSettings, dry_run: bool, is_alone: bool) -> anyhow::Result<Self> {
        let listener = settings.listen.and_then(|address| match Server::bind(address) {
            Ok(server) => Some(Listener::Bound(server)),
            Err(error) => {
                let error = anyhow::Error::from(error);
                if dry_run {
                    tracing::warn!("{error:#}");
                    return None;
                }
                tracing::warn!("{error:#}; it is tried again every {} seconds", PAUSE.as_secs());
                Some(Listener::Later(address))
            }
        });
        let path = settings.textfile.clone().filter(|_| is_alone);
        let textfile = path.map(Textfile::new).transpose().context("cannot start a thread for metrics.textfile")?;
        Ok(Outlets { listener, textfile })
    }

    /// Serves from now on.
    pub(super) fn serve(
        self,
        status: &watch::Sender<Arc<Status>>,
        counts: &Arc<Counts>,
        netlink: Arc<Counters>,
        watchers: &mut JoinSet<&'static str>,
    ) {
        let netlink = move || Netlink {
            events: netlink.events_by_kind().map(|(kind, count)| (kind.as_str(), count)),
            overruns: netlink.overruns(),
        };
        let exposition = Arc::new(Exposition::new(status.subscribe(), counts.clone(), netlink));
        if let Some(listener) = self.listener {
            let exposition = exposition.clone();
            watchers.spawn(async move {
                let server = match listener {
                    Listener::Bound(server) => server,
                    Listener::Later(address) => Server::bind_at_last(address, PAUSE).await,
                };
                server.run(exposition, Limits::default()).await;
                "the listener of the metrics"
            });
        }
        if let Some(textfile) = self.textfile {
            watchers.spawn(async move {
                textfile.run(exposition, Pace::default()).await;
                "the textfile of the metrics"
            });
        }
    }
}

/// Counts requests, by the clock of this process.
pub(super) struct Requests(pub(super) Arc<Counts>);

impl Observer for Requests {
    fn begins(&self, operation: &'static str) -> Ending {
        let (counts, start) = (self.0.clone(), clock::now());
        Box::new(move |result: Result<(), ErrorKind>| {
            counts.request(operation, result, clock::now() - start, clock::wall());
        })
    }
}
