//! The Nodes as they are now, read once, for a command that a person waits for.
//!
//! The same kubeconfig, client, requests and words as the watch's, without the watch. Nothing is tried
//! again: whoever asked is told what went wrong and what to do about it. A list is whole or an error.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;
use kube::client::AuthError;
use kube::core::ObjectList;
use tokio::time::{Instant, timeout_at};

use super::NodeWatchSettings;
use super::client::{self, Exchange, Opened};
use super::cluster::PAGE;
use super::failure::{Asked, Cause, Failure, find, is_of_rights};
use super::kubeconfig::{Environment, KubeconfigError, KubeconfigInfo, KubeconfigOrigin, KubeconfigSource};
use super::object::Node;
use super::opener::in_thread;
use crate::decide::node::{NodeState, Nodes};
use crate::watch::clock;

/// How long the list of all Nodes may take, if the caller has no reason for another limit: a thousand
/// of them are some 30 MB in ten pages.
pub const LIMIT: Duration = Duration::from_secs(30);

/// All Nodes of the cluster, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeList {
    /// The Nodes: all of them, at least one.
    pub nodes: Nodes,
    /// The API server's URL.
    pub server: String,
    /// The kubeconfig that led there.
    pub kubeconfig: PathBuf,
    /// Why it is that one.
    pub origin: KubeconfigOrigin,
}

/// Why the Nodes could not be read: what, where, and what to do about it on a line of its own that begins
/// with `hint: `. Without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReadError {
    /// What it means for the caller.
    pub kind: ReadErrorKind,
    /// The kubeconfig in use, if it came so far.
    pub kubeconfig: Option<KubeconfigInfo>,
    /// The server's words, where it knows this identity and says that it may not (403).
    pub forbidden: Option<String>,
    message: String,
}

/// What a [`ReadError`] means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadErrorKind {
    /// There is no kubeconfig at any of the usual places.
    NoKubeconfig,
    /// The kubeconfig that the configuration names is not there, or of no use.
    BadConfiguration,
    /// The kubeconfig that was found is of no use.
    BadKubeconfig,
    /// A file may not be read, the credentials are not accepted, or the identity may not list these Nodes.
    NotPermitted,
    /// There was no answer, or one that says to come back later, or it broke off.
    Unreachable,
    /// What answered makes no sense, or is not whole.
    WrongAnswer,
}

impl ReadErrorKind {
    /// The kind in snake case, for `--output json`.
    pub fn as_str(self) -> &'static str {
        match self {
            ReadErrorKind::NoKubeconfig => "no_kubeconfig",
            ReadErrorKind::BadConfiguration => "bad_configuration",
            ReadErrorKind::BadKubeconfig => "bad_kubeconfig",
            ReadErrorKind::NotPermitted => "not_permitted",
            ReadErrorKind::Unreachable => "unreachable",
            ReadErrorKind::WrongAnswer => "wrong_answer",
        }
    }
}

impl fmt::Display for ReadErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ReadError {
    pub(super) fn new(failure: &Failure, asked: Asked<'_>, source: &KubeconfigSource) -> Self {
        ReadError {
            kind: kind(&failure.cause, source),
            kubeconfig: failure.kubeconfig.as_deref().cloned(),
            forbidden: failure.cause.forbidden().map(str::to_owned),
            message: failure.report(asked),
        }
    }

    /// What and where, on one line, without what to do about it.
    pub fn summary(&self) -> &str {
        self.message.split("\nhint: ").next().unwrap_or_default()
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&str> {
        self.message.split_once("\nhint: ").map(|(_, hint)| hint)
    }
}

fn kind(cause: &Cause, source: &KubeconfigSource) -> ReadErrorKind {
    let bad = match source {
        KubeconfigSource::Path(_) => ReadErrorKind::BadConfiguration,
        KubeconfigSource::Auto => ReadErrorKind::BadKubeconfig,
    };
    match cause {
        Cause::Kubeconfig(KubeconfigError::Unreadable { .. }) => ReadErrorKind::NotPermitted,
        Cause::Kubeconfig(KubeconfigError::Absent { .. }) => ReadErrorKind::NoKubeconfig,
        Cause::Kubeconfig(_) => bad,
        Cause::Client(error) | Cause::Transport(error) if find::<AuthError>(error).is_some() => {
            ReadErrorKind::NotPermitted
        }
        Cause::Client(_) | Cause::ClientDied => bad,
        Cause::Refused(status) => match status.code {
            401 => ReadErrorKind::NotPermitted,
            403 if is_of_rights(status) => ReadErrorKind::NotPermitted,
            // An expired page is a matter of trying again, too.
            410 | 429 | 500.. => ReadErrorKind::Unreachable,
            _ => ReadErrorKind::WrongAnswer,
        },
        Cause::Transport(kube::Error::SerdeError(_) | kube::Error::FromUtf8(_)) => ReadErrorKind::WrongAnswer,
        Cause::Transport(_) | Cause::ClientPending(_) | Cause::Silent(_) | Cause::Unfinished(_) => {
            ReadErrorKind::Unreachable
        }
        Cause::NoResourceVersion | Cause::EndedEarly | Cause::NoNodes | Cause::OwnNodeMissing(_) => {
            ReadErrorKind::WrongAnswer
        }
    }
}

/// The own Node as it is now, within [`Timing::answer`](super::Timing::answer), and the kubeconfig that led
/// there. The request is the watch's own list, which is what a kubelet's identity may do.
///
/// Needs to be called on a Tokio runtime.
///
/// # Errors
/// When it could not be read. A Node that does not exist is none.
pub async fn own_node(settings: &NodeWatchSettings) -> Result<(NodeState, KubeconfigInfo), ReadError> {
    let NodeWatchSettings { node, kubeconfig, environment, timing } = settings;
    let asked = Asked::Own { node, again: false };
    let params = ListParams::default().fields(&format!("metadata.name={node}")).limit(PAGE);
    let read = read(kubeconfig, environment, params, timing.answer).await;
    let Read { nodes, info, .. } = read.map_err(|failure| ReadError::new(&failure, asked, kubeconfig))?;
    // A server that ignores the field selector tells of others, too.
    let own = nodes.into_iter().find(|found| found.name() == Some(node.as_str()));
    Ok((own.map_or(NodeState::Absent, |own| NodeState::Present(own.into())), KubeconfigInfo::clone(&info)))
}

/// All Nodes of the cluster as they are now, whole, within `limit`. This host need not be one of them.
///
/// Needs to be called on a Tokio runtime.
///
/// # Errors
/// When they could not be read whole, and when there is none: a cluster without nodes has no API server.
pub async fn nodes(
    kubeconfig: &KubeconfigSource,
    environment: &Environment,
    limit: Duration,
) -> Result<NodeList, ReadError> {
    let asked = Asked::All { again: false };
    let error = |failure: &Failure| ReadError::new(failure, asked, kubeconfig);
    let params = ListParams::default().limit(PAGE);
    let read = read(kubeconfig, environment, params, limit).await.map_err(|failure| error(&failure))?;
    let Read { nodes, info, date } = read;
    if nodes.is_empty() {
        return Err(error(&Failure::new(Cause::NoNodes, Some(info))));
    }
    // When a Node became what it is was written by the server's clock, which need not be this host's.
    let now = date.unwrap_or_else(clock::wall);
    let named = |node: Node| Some((node.name()?.to_owned(), node.summary(now)));
    Ok(NodeList {
        nodes: nodes.into_iter().filter_map(named).collect(),
        server: info.server.clone().unwrap_or_default(),
        kubeconfig: info.path.clone(),
        origin: info.origin,
    })
}

/// Everything that a list holds, page after page.
async fn read(
    kubeconfig: &KubeconfigSource,
    environment: &Environment,
    params: ListParams,
    limit: Duration,
) -> Result<Read, Failure> {
    let end = Instant::now() + limit;
    let (source, environment) = (kubeconfig.clone(), environment.clone());
    let opening = in_thread(move || client::open(&source, &environment, limit));
    let Opened { client, info, mut exchanges, .. } = match timeout_at(end, opening).await {
        Err(_) => return Err(Failure::new(Cause::ClientPending(limit), None)),
        Ok(Err(_)) => return Err(Failure::new(Cause::ClientDied, None)),
        Ok(Ok(opened)) => opened?,
    };
    let failure = |cause| Failure::new(cause, Some(Arc::clone(&info)));
    let mut list = List { api: Api::all(client), params, answered: false };
    let whole = match timeout_at(end, list.whole()).await {
        Ok(whole) => whole,
        Err(_) if list.answered => Err(Cause::Unfinished(limit)),
        Err(_) => Err(Cause::Silent(limit)),
    };
    let nodes = whole.map_err(failure)?;
    let mut date = None;
    while let Ok(exchange) = exchanges.try_recv() {
        if let Exchange::Answered { success: true, date: told, .. } = exchange {
            date = told;
        }
    }
    Ok(Read { nodes, info, date })
}

/// What a list held.
struct Read {
    nodes: Vec<Node>,
    info: Arc<KubeconfigInfo>,
    /// When its last page was answered, by the server's clock, where it says so.
    date: Option<Timestamp>,
}

/// A list that comes in pages.
struct List {
    api: Api<Node>,
    params: ListParams,
    /// A page has come.
    answered: bool,
}

impl List {
    /// All of its pages. The server keeps what it pages from for some minutes only, and then answers
    /// 410: that is worth one more attempt, from the beginning.
    async fn whole(&mut self) -> Result<Vec<Node>, Cause> {
        match self.pages().await {
            Err(Cause::Refused(status)) if status.code == 410 && self.answered => self.pages().await,
            result => result,
        }
    }

    async fn pages(&mut self) -> Result<Vec<Node>, Cause> {
        let mut nodes = Vec::new();
        let mut params = self.params.clone();
        loop {
            let page: ObjectList<Node> = self.api.list(&params).await?;
            self.answered = true;
            nodes.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(nodes),
            }
        }
    }
}
