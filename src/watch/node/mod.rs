//! The own Node object: is it there, is it Ready, is it cordoned? And ([`watch_cluster`]) all others.
//!
//! One list and then one watch after the other, both with `fieldSelector=metadata.name=<node>` and
//! nothing else ever: that is what the Node authorizer lets a kubelet's identity do
//! (KEP-4601), and what an RBAC rule with `resourceNames` can grant.
//!
//! # How long a state is trusted
//! The server ends each watch after [`Timing::watch`]; the next request follows at once and the
//! answer to it is the sign of life, so a quiet Node costs one request per cycle and no other
//! wake-up. Whatever is overdue (the end of a watch, an answer) or fails is an interruption. It is
//! followed at once by a fresh attempt: kubeconfig, client, list, watch. While that attempt runs,
//! the last state stays known; when it fails, or has not come to a state within
//! [`Timing::answer`], the state is `Unknown`.
//!
//! The worst case is a server that falls silent just after it began to answer a watch:
//! [`Timing::worst_case`], 43 s with the defaults. A connection that breaks off shows at once, and an
//! error from the API at the next request, which is at the latest when the watch ends (30 s); two
//! in a row make the state `Unknown`.
//!
//! # Certificates that rotate
//! Every attempt reads all files anew. While a watch runs, the files are looked at once per watch
//! cycle (30 s) by inode, size and times, so that this needs no timer of its own. When one has
//! changed, or the certificate is about to end, a second session is made beside the running one and
//! replaces it once it has listed and watches: a file that is only half written does no harm.

pub mod certificate;
pub mod identity;
pub mod kubeconfig;
pub mod once;
pub mod trial;

mod client;
mod cluster;
mod failure;
mod object;
mod opener;
mod reporter;
mod session;
mod view;

use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::DefaultBackoff;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

pub use self::cluster::{ClusterEvent, watch_cluster};
use self::failure::Failure;
pub use self::failure::{ANONYMOUS, refused_user};
use self::identity::NodeName;
use self::kubeconfig::{Environment, KubeconfigOrigin, KubeconfigSource};
use self::opener::{Occasion, Opener};
use self::reporter::Reporter;
use self::session::{Session, Step};
use self::view::{OwnNode, View};
use crate::decide::node::NodeState;
use crate::decide::observed::Observed;

/// What to watch, and how.
#[derive(Debug, Clone)]
pub struct NodeWatchSettings {
    /// The Node object's name.
    pub node: NodeName,
    /// Where the kubeconfig comes from.
    pub kubeconfig: KubeconfigSource,
    /// Where discovery looks.
    pub environment: Environment,
    /// Limits and pauses.
    pub timing: Timing,
}

/// Limits and pauses of the watch. The defaults are right; tests shorten them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// After this the server is to end a watch (`timeoutSeconds`): whole seconds, 1 to 294. Also how
    /// often the files are looked at.
    pub watch: Duration,
    /// How much later than that the end may come. Below the 5 s that kube itself allows, so that one
    /// timer decides.
    pub end_grace: Duration,
    /// How long any answer may take, and how long an interruption may last before the state is
    /// `Unknown`.
    pub answer: Duration,
    /// A watch that ends sooner has failed; one that lasts longer makes good for failures before it.
    pub steady: Duration,
    /// The longest pause between two attempts, also where the server asks for a longer one.
    pub longest_pause: Duration,
    /// How long the own Node is watched from one list on. Whoever slept while the control plane was set
    /// back to a backup resumes at a version that is yet to come, which an API server takes without a
    /// word, and hears of nothing. All Nodes are not listed anew, as there may be many: who acts on them
    /// reads them first.
    pub relist: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            watch: Duration::from_secs(30),
            end_grace: Duration::from_secs(3),
            answer: Duration::from_secs(10),
            steady: Duration::from_secs(5),
            longest_pause: Duration::from_secs(30),
            relist: Duration::from_secs(10 * 60),
        }
    }
}

impl Timing {
    /// The longest time from the moment the server falls silent to `Unknown`.
    pub fn worst_case(&self) -> Duration {
        let in_a_watch = self.watch + self.end_grace + self.answer;
        let between_watches = 2 * self.answer;
        in_a_watch.max(between_watches)
    }
}

/// What is known of the own Node, whole.
pub type NodeEvent = WatchEvent<NodeState>;

/// Who waits for a fresh reading. One that is dropped gets none.
pub type Reader<S> = oneshot::Sender<Observed<S>>;

/// What is known of what is watched, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent<S> {
    /// Its state.
    pub state: Observed<S>,
    /// It comes from the first list after a break: what it was meanwhile is not known.
    pub anew: bool,
    /// How it is known, or why not.
    pub detail: NodeDetail,
}

/// How the state is known, or why not: for `status`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeDetail {
    /// The kubeconfig in use.
    pub kubeconfig: Option<PathBuf>,
    /// Why it is that one.
    pub origin: Option<KubeconfigOrigin>,
    /// The API server's URL.
    pub server: Option<String>,
    /// Whether a watch runs.
    pub connected: bool,
    /// When the server last answered well. While `connected` there is no event for each answer:
    /// then it is a lower bound.
    pub last_contact: Option<Timestamp>,
    /// What is wrong, where, and what to do; no secrets.
    pub error: Option<String>,
}

/// Watches the Node and sends an event for every change of its state or of [`NodeDetail`] (other
/// than `last_contact`), and for every state that was listed after a break. Heartbeats, bookmarks and the regular end of a watch cause no event.
/// Nothing that goes wrong ends the watch: it returns only when the receiver is gone.
pub async fn watch(settings: NodeWatchSettings, events: mpsc::UnboundedSender<NodeEvent>) {
    watch_view::<OwnNode>(settings, None, events).await;
}

async fn watch_view<V: View>(
    settings: NodeWatchSettings,
    readers: Option<mpsc::UnboundedReceiver<Reader<V::State>>>,
    events: mpsc::UnboundedSender<WatchEvent<V::State>>,
) {
    let receiver_gone = events.clone();
    tokio::select! {
        () = receiver_gone.closed() => {}
        never = run::<V>(settings, Readers(readers), events) => match never {},
    }
}

async fn run<V: View>(
    settings: NodeWatchSettings,
    mut readers: Readers<V::State>,
    events: mpsc::UnboundedSender<WatchEvent<V::State>>,
) -> Infallible {
    let timing = settings.timing.clone();
    let mut opener: Opener<V> = Opener::new(settings);
    let mut reporter: Reporter<V> = Reporter::new(events, timing.answer);
    let mut backoff = DefaultBackoff::default();
    let mut failed_before = false;
    loop {
        let mut known_since = None;
        let failure = match readers.turn_away(reporter.patiently(opener.open())).await {
            Ok(session) => follow(session, &mut opener, &mut readers, &mut reporter, &mut known_since).await,
            Err(failure) => failure,
        };
        if known_since.is_some_and(|since: Instant| since.elapsed() >= timing.steady) {
            failed_before = false;
            backoff.reset();
        }
        reporter.interrupted(&failure, &opener.settings.node);
        // An attempt that came to a state and then failed leaves it known for a while.
        if known_since.is_none() {
            reporter.unknown();
        }
        // kube's own `default_backoff()` starts over at every `Init`, which precedes every list: it
        // would never grow while lists fail.
        let pause = if failed_before { backoff.next().unwrap_or(timing.longest_pause) } else { Duration::ZERO };
        failed_before = true;
        let pause = pause.max(failure.retry_after.unwrap_or_default()).min(timing.longest_pause);
        readers.turn_away(reporter.patiently(sleep(pause))).await;
    }
}

/// Tells what a session says until it fails. `known_since` is when it first came to a state.
async fn follow<V: View>(
    mut session: Session<V>,
    opener: &mut Opener<V>,
    readers: &mut Readers<V::State>,
    reporter: &mut Reporter<V>,
    known_since: &mut Option<Instant>,
) -> Failure {
    reporter.kubeconfig = Some(Arc::clone(&session.info));
    loop {
        let (occasion, reader) = tokio::select! {
            step = reporter.patiently(session.next()) => {
                let step = match step {
                    Ok(step) => step,
                    Err(failure) => return failure,
                };
                let occasion = matches!(step, Step::WatchStarted).then(|| session.occasion()).flatten();
                reporter.tell(step, known_since);
                match occasion {
                    Some(occasion) => (occasion, None),
                    None => continue,
                }
            }
            reader = readers.next() => (Occasion::Asked, Some(reader)),
        };
        let replacement = {
            let mut replacement = pin!(opener.replacement(occasion));
            loop {
                tokio::select! {
                    biased;
                    replacement = &mut replacement => break replacement,
                    step = session.next() => match step {
                        Ok(step) => reporter.tell(step, known_since),
                        Err(failure) => return failure,
                    },
                }
            }
        };
        if let Some((next, state)) = replacement {
            session = next;
            reporter.kubeconfig = Some(Arc::clone(&session.info));
            reporter.tell(Step::State(state.clone()), known_since);
            if let Some(reader) = reader {
                // Nobody waits any more when the daemon ends.
                let _ = reader.send(Observed::Known(state));
            }
        }
    }
}

/// Those who wait for a fresh reading, if there can be any.
struct Readers<S>(Option<mpsc::UnboundedReceiver<Reader<S>>>);

impl<S> Readers<S> {
    /// The next one. May be dropped half way.
    async fn next(&mut self) -> Reader<S> {
        if let Some(readers) = &mut self.0
            && let Some(reader) = readers.recv().await
        {
            return reader;
        }
        std::future::pending().await
    }

    /// Awaits `future`, a time in which nothing can be read.
    async fn turn_away<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                biased;
                output = &mut future => return output,
                reader = self.next() => drop(reader),
            }
        }
    }
}
