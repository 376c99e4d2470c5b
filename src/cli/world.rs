//! Everything that a daemon of this node would know, read once, for commands that need no daemon.
//!
//! Whoever runs such a command may not be allowed to read all that the daemon can. What could not be
//! read is [`Unread`], never taken for nothing, and the decisions say what follows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::cli::exit::Exit;
use crate::cli::failure::exit;
use crate::cli::operate::patiently;
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::control::client;
use crate::control::protocol::DrainState;
use crate::decide::address::Snapshot;
use crate::decide::drain::Drain;
use crate::decide::fitness::{Conditions, NodeKnowledge};
use crate::decide::forecast::{Facts, Forecast, forecast};
use crate::decide::health_check::CheckListing;
use crate::decide::observed::Observed;
use crate::decide::policy::{Policy, RecordPolicy};
use crate::decide::probe::{self, Probe, ProbeOutcome};
use crate::decide::provider::ProviderError;
use crate::decide::record::Listing;
use crate::publish::Provider;
use crate::state::Store;
use crate::watch::addresses::snapshot;
use crate::watch::clock;
use crate::watch::identity::Identity;
use crate::watch::node::NodeWatchSettings;
use crate::watch::node::once::{ReadErrorKind, own_node};
use crate::watch::probe as prober;

/// How long a daemon may take to say whether the node is drained.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// What, e.g. `the Node`.
    pub what: String,
    /// Why.
    pub error: String,
    /// What to do about it; `null` where nothing is known to help.
    pub hint: Option<String>,
    /// How a command ends that fails for it alone.
    #[serde(skip)]
    pub exit: Exit,
}

impl Unread {
    /// From an error that ends a command in its own way.
    pub(super) fn of(what: impl Into<String>, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        let text = error.to_string();
        let exit = match exit(&anyhow::Error::new(error)) {
            exit @ (Exit::Unavailable | Exit::NotPermitted) => exit,
            _ => Exit::Failed,
        };
        Unread { exit, ..Unread::new(what, text) }
    }

    /// From a text that ends in what to do about it, on a line that begins with `hint: `.
    fn new(what: impl Into<String>, error: impl ToString) -> Self {
        let text = error.to_string();
        let (error, hint) = match text.split_once("\nhint: ") {
            Some((error, hint)) => (error.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        Unread { what: what.into(), error, hint, exit: Exit::Failed }
    }
}

/// What is known of this node.
#[derive(Debug)]
pub struct World {
    /// The policy of this node.
    pub policy: Policy,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// Whether this may be another node than its daemon takes it for, so that nothing is sure.
    pub doubtful: bool,
    addresses: Observed<Snapshot>,
    conditions: Conditions,
    checks: Observed<CheckListing>,
}

/// What Route 53 has at a record's name, and what becomes of it.
#[derive(Debug)]
pub struct Outlook {
    /// The record.
    pub record: RecordPolicy,
    /// What Route 53 has.
    pub listing: Observed<Listing>,
    /// Why that could not be read.
    pub unread: Option<Unread>,
    /// What becomes of it.
    pub forecast: Forecast,
}

impl World {
    /// Reads everything but the names. Takes as long as the slowest probe needs to come to a verdict.
    ///
    /// Needs to be called on a Tokio runtime.
    ///
    /// # Errors
    /// When this node has no name, or none that the configuration can be applied to.
    pub async fn read(config: &Config, provider: &impl Provider, progress: &Progress) -> anyhow::Result<Self> {
        let identity = Identity::find(config)?;
        let settings = identity.node_watch();
        let policy = config.policy(identity.node(), settings.is_some())?;
        let mut unread: Vec<Unread> =
            identity.doubts.iter().map(|doubt| Unread::new("the node's name", doubt)).collect();
        let doubtful = !unread.is_empty();
        progress.say("reading the addresses, the Node, the probes and the drain of this node");
        let (addresses, node, drain, probes, checks) = tokio::join!(
            snapshot(),
            node(settings, &mut unread),
            drain(config, identity.node()),
            verdicts(probe::wanted(&policy)),
            checks(&policy, provider),
        );
        let addresses = known("the host's addresses", addresses, &mut unread);
        let (drain, why) = drain;
        unread.extend(why);
        let checks = match checks {
            None => Observed::Unknown,
            Some(read) => known("the health checks", read, &mut unread),
        };
        let conditions = Conditions { node, probes, drain, stopping: false };
        Ok(World { policy, unread, doubtful, addresses, conditions, checks })
    }

    /// Reads what Route 53 has at the name of each of these records, and foretells what becomes of it.
    pub async fn outlook(
        &mut self,
        records: &[RecordPolicy],
        provider: &impl Provider,
        progress: &Progress,
    ) -> Vec<Outlook> {
        let mut outlooks = Vec::new();
        for record in records {
            progress.say(format!("reading {}", record.name));
            outlooks.push(match self.look(record, provider).await {
                Ok((outlook, _)) => outlook,
                Err(error) => {
                    let unread = Unread::of(format!("what Route 53 has at {}", record.name), error);
                    self.unread.push(unread.clone());
                    let listing = Observed::Unknown;
                    let forecast = self.forecast(record, &listing);
                    Outlook { record: record.clone(), listing, unread: Some(unread), forecast }
                }
            });
        }
        outlooks
    }

    /// The same for one record; also what its name holds.
    ///
    /// # Errors
    /// When the name cannot be read.
    pub async fn look(
        &self,
        record: &RecordPolicy,
        provider: &impl Provider,
    ) -> Result<(Outlook, Listing), ProviderError> {
        let read = patiently(async || provider.list(&record.zone, &record.name).await).await?;
        let listing = Observed::Known(read.clone());
        let forecast = self.forecast(record, &listing);
        Ok((Outlook { record: record.clone(), listing, unread: None, forecast }, read))
    }

    /// What becomes of a record whose name holds this.
    fn forecast(&self, record: &RecordPolicy, listing: &Observed<Listing>) -> Forecast {
        let facts = Facts {
            addresses: as_ref(&self.addresses),
            conditions: &self.conditions,
            listing: as_ref(listing),
            checks: as_ref(&self.checks),
            now: clock::now(),
        };
        forecast(&self.policy, record, facts)
    }
}

fn known<T, E>(what: &str, read: Result<T, E>, unread: &mut Vec<Unread>) -> Observed<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match read {
        Ok(value) => Observed::Known(value),
        Err(error) => {
            unread.push(Unread::of(what, error));
            Observed::Unknown
        }
    }
}

fn as_ref<T>(observed: &Observed<T>) -> Observed<&T> {
    match observed {
        Observed::Unknown => Observed::Unknown,
        Observed::Known(value) => Observed::Known(value),
    }
}

/// What the API server says of the own Node; `None` without Kubernetes.
async fn node(settings: Option<NodeWatchSettings>, unread: &mut Vec<Unread>) -> Option<NodeKnowledge> {
    match own_node(&settings?).await {
        Ok((state, _)) => Some(NodeKnowledge { state: Observed::Known(state), reported: true }),
        Err(error) => {
            // A server that does not answer does not answer the daemon either. Of all else, a kubeconfig
            // that this user may not read for one, the daemon may well know better.
            let reported = error.kind == ReadErrorKind::Unreachable;
            unread.push(Unread::of("the Node", error));
            Some(NodeKnowledge { state: Observed::Unknown, reported })
        }
    }
}

/// Whether the operator has drained the node. The running daemon knows, also what it could not save, and
/// tells it to those who may not read its file. Without one, what the next one would find counts.
async fn drain(config: &Config, node: &str) -> (Observed<Option<Drain>>, Option<Unread>) {
    const WHAT: &str = "whether the node is drained";
    let asked = client::status(&config.socket, PATIENCE).await;
    match asked.as_ref() {
        Ok(status) if status.node == node && status.cluster == config.cluster && !status.dry_run => {
            // It is in force, and stays so if everything stays as it is.
            let drain = Drain { until: None, force: status.drain.force };
            return match status.drain.state {
                DrainState::None => (Observed::Known(None), None),
                DrainState::Drained => (Observed::Known(Some(drain)), None),
                DrainState::Unknown => {
                    let why = status.drain.warning.clone().unwrap_or_else(|| "the daemon does not know".to_owned());
                    (Observed::Unknown, Some(Unread::new(WHAT, why)))
                }
            };
        }
        _ => {}
    }
    match Store::new(&config.state_directory).load() {
        Ok(saved) => {
            let drain = saved.and_then(|saved| saved.in_force(clock::now(), clock::wall()));
            (Observed::Known(drain), None)
        }
        Err(error) => {
            // Whoever may ask the daemon need not read its file.
            let text = asked.err().map_or_else(
                || error.to_string(),
                |asked| match asked.hint() {
                    Some(hint) => format!("{error}, and {asked}\nhint: {hint}"),
                    None => format!("{error}, and {asked}"),
                },
            );
            let Unread { exit, .. } = Unread::of(WHAT, error);
            (Observed::Unknown, Some(Unread { exit, ..Unread::new(WHAT, text) }))
        }
    }
}

/// Makes each probe until it has something to say: at the first success, or when as many attempts in a
/// row have failed as it takes.
async fn verdicts(wanted: BTreeSet<Probe>) -> BTreeMap<Probe, ProbeOutcome> {
    let mut outcomes = BTreeMap::new();
    let (_wanting, receiver) = watch::channel(wanted.clone());
    let (sender, mut events) = mpsc::unbounded_channel();
    let listening = async {
        while outcomes.len() < wanted.len() {
            let Some((probe, outcome)) = events.recv().await else { break };
            if let Observed::Known(outcome) = outcome {
                outcomes.insert(probe, outcome);
            }
        }
    };
    tokio::select! {
        biased;
        () = listening => {}
        () = prober::watch(receiver, sender) => {}
    }
    outcomes
}

/// All health checks; `None` where no record needs one of them.
async fn checks(policy: &Policy, provider: &impl Provider) -> Option<Result<CheckListing, ProviderError>> {
    match policy.records.iter().any(RecordPolicy::has_managed_check) {
        true => Some(patiently(async || provider.health_checks().await).await),
        false => None,
    }
}
