//! The operator's drain: read at the start, changed over the control socket, kept on the disk.
//!
//! What is asked for is in force before anything is written, so that a disk that is full, broken or
//! slow cannot keep a node in DNS. Writing happens beside the loop, one at a time, always of what
//! was asked for last; whoever waits for an answer is told what came of it.

use std::io;
use std::mem::take;
use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};

use crate::config::Config;
use crate::control::command::{Change, Command, Commands};
use crate::control::protocol::{DrainAnswer, DrainState, DrainStatus};
use crate::control::translate::WallTime;
use crate::daemon::Daemon;
use crate::decide::drain::Drain;
use crate::decide::engine::{Engine, Event, Notice};
use crate::decide::observed::Observed;
use crate::decide::time::Moment;
use crate::state::{SavedDrain, Store};
use crate::watch::clock;

/// What to do when nobody knows whether the node is drained.
const DECIDE: &str = "'nodedns drain' or 'nodedns resume' decides it, and until then nothing is published anew, and \
                      withdrawn only for another reason";

/// What a dry run does not do.
const DRY_RUN: &str = "this is a dry run: nothing is withdrawn or published in Route 53, and nothing is saved";

/// Who is to be told what came of it.
type Reply = oneshot::Sender<DrainAnswer>;

/// What the operator has asked for, and whether it is kept.
pub(super) struct Drains {
    /// As last asked for or read.
    asked: Observed<Option<SavedDrain>>,
    /// `None` in a dry run.
    store: Option<Store>,
    /// What is wrong with what is kept.
    warning: Option<String>,
    commands: mpsc::Receiver<Command>,
    /// Keeps the receiver open though there may be no control socket.
    _way: Commands,
    /// At most one.
    saving: JoinSet<io::Result<()>>,
    /// Who waits for the writing that is under way.
    waiting: Vec<Reply>,
    /// Something else has been asked for since it began, by them or by the passing of time.
    again: Option<Vec<Reply>>,
}

/// What has happened.
pub(super) enum News {
    /// Somebody asks for a change.
    Asked(Command),
    /// The disk has answered.
    Saved(Result<io::Result<()>, JoinError>),
}

impl Drains {
    /// Reads what was kept and tells the engine.
    pub(super) fn load(config: &Config, dry_run: bool, engine: &mut Engine, now: Moment) -> (Drains, Commands) {
        let (way, commands) = Commands::channel();
        let store = Store::new(&config.state_directory);
        let mut drains = Drains {
            asked: Observed::Known(None),
            store: None,
            warning: None,
            commands,
            _way: way.clone(),
            saving: JoinSet::new(),
            waiting: Vec::new(),
            again: None,
        };
        let loaded = store.load();
        drains.store = (!dry_run).then_some(store);
        match loaded {
            Ok(None) => {}
            Ok(Some(saved)) => match saved.in_force(now, clock::wall()) {
                Some(drain) => {
                    let (uid, since, until) = (saved.uid, saved.since, saved.until.map(tracing::field::display));
                    tracing::info!(uid, %since, until, force = drain.force, "the node is drained, as it was before the restart");
                    engine.handle(Event::Drain(Observed::Known(Some(drain))), now);
                    drains.asked = Observed::Known(Some(saved));
                }
                None => {
                    tracing::info!("the time of the drain was over before the start");
                    drains.keep(None);
                }
            },
            // Whoever only looks may not be allowed to read what the daemon keeps.
            Err(error) if dry_run => tracing::warn!("whether the node is drained is not known here: {error}"),
            Err(error) => {
                tracing::error!("whether the node is drained is not known: {error}; {DECIDE}");
                drains.warning = Some(format!("{error}; {DECIDE}"));
                drains.asked = Observed::Unknown;
                engine.handle(Event::Drain(Observed::Unknown), now);
            }
        }
        (drains, way)
    }

    /// The next news. May be dropped half way.
    pub(super) async fn next(&mut self) -> News {
        tokio::select! {
            Some(command) = self.commands.recv() => News::Asked(command),
            Some(saved) = self.saving.join_next() => News::Saved(saved),
            else => std::future::pending().await,
        }
    }

    /// A drain that has ended by itself is not kept any longer.
    pub(super) fn follow(&mut self, notice: &Notice) {
        if matches!(notice, Notice::DrainEnded) {
            self.asked = Observed::Known(None);
            self.keep(None);
        }
    }

    /// As others see it. When it ends is told by the clock as it is now: that is when it will.
    pub(super) fn status(&self, engine: &Engine, time: WallTime) -> DrainStatus {
        let warning = self.warning.clone();
        match (&self.asked, engine.drain()) {
            (Observed::Unknown, _) => DrainStatus { state: DrainState::Unknown, warning, ..DrainStatus::default() },
            (Observed::Known(Some(saved)), Observed::Known(Some(drain))) => DrainStatus {
                state: DrainState::Drained,
                since: Some(saved.since),
                until: drain.until.map(|until| time.at(until)),
                force: saved.force,
                reason: saved.reason.clone(),
                uid: Some(saved.uid),
                warning,
            },
            _ => DrainStatus { warning, ..DrainStatus::default() },
        }
    }

    /// Keeps what is asked for now; tells `reply` when that is done.
    fn keep(&mut self, reply: Option<Reply>) {
        if self.saving.is_empty() {
            self.waiting.extend(reply);
            self.begin();
        } else {
            self.again.get_or_insert_default().extend(reply);
        }
    }

    fn begin(&mut self) {
        let asked = self.asked.known().cloned().flatten();
        match self.store.clone() {
            Some(store) => self.saving.spawn_blocking(move || store.keep(asked.as_ref())),
            None => self.saving.spawn(async { Ok(()) }),
        };
    }

    /// The disk has answered: the answers that are now due.
    fn saved(&mut self, result: io::Result<()>) -> Vec<Reply> {
        if let Some(waiting) = self.again.take() {
            // It was of what is no longer asked for, so that its outcome tells nobody anything.
            self.waiting.extend(waiting);
            self.begin();
            return Vec::new();
        }
        self.warning = result.err().map(|error| self.unsaved(&error));
        if let Some(warning) = &self.warning {
            tracing::error!("{warning}");
        }
        take(&mut self.waiting)
    }

    fn unsaved(&self, error: &io::Error) -> String {
        let path = self.store.as_ref().map(Store::path).unwrap_or_default();
        let (path, directory) = (path.display(), path.parent().unwrap_or(&path).display());
        let command = match self.asked.known() {
            Some(Some(_)) => "nodedns drain",
            _ => "nodedns resume",
        };
        match command {
            "nodedns drain" => format!(
                "the drain is in force but could not be saved, so a restart of the daemon would end it, or go back to \
                 an earlier one: {path}: {error}; make {directory} writable and give it room, then repeat \
                 '{command}'"
            ),
            _ => format!(
                "the node is resumed but the drain's file could not be removed, so a restart of the daemon would \
                 drain it again: {path}: {error}; remove the file, then repeat '{command}'"
            ),
        }
    }
}

impl Daemon {
    /// Does what was asked for, or answers whoever asked.
    pub(super) fn drain_news(&mut self, news: News) -> anyhow::Result<()> {
        match news {
            News::Asked(command) => self.command(command),
            News::Saved(result) => {
                let due = self.drains.saved(result.context("saving the drain broke off")?);
                self.publish_status();
                let drain = self.status.borrow().drain.clone();
                let dry_run = self.options.dry_run.then(|| DRY_RUN.to_owned());
                let warnings: Vec<_> = drain.warning.clone().into_iter().chain(dry_run).collect();
                for reply in due {
                    // Whoever asked may have hung up, which changes nothing.
                    let _ = reply.send(DrainAnswer { drain: drain.clone(), warnings: warnings.clone() });
                }
            }
        }
        Ok(())
    }

    fn command(&mut self, Command { change, uid, reply }: Command) {
        let (now, wall) = (clock::now(), clock::wall());
        let drain = match change {
            Change::Drain(request) => {
                let lasts = request.for_seconds.map(Duration::from_secs);
                let until = lasts.map(|lasts| end(wall, lasts));
                let (force, why) = (request.force, request.reason.as_deref());
                tracing::info!(uid, until = until.map(tracing::field::display), force, why, "drained by uid {uid}");
                self.drains.asked =
                    Observed::Known(Some(SavedDrain::new(wall, until, request.force, request.reason, uid)));
                Some(Drain { until: lasts.map(|lasts| now + lasts), force })
            }
            Change::Resume => {
                tracing::info!(uid, "resumed by uid {uid}");
                self.drains.asked = Observed::Known(None);
                None
            }
        };
        self.drains.warning = None;
        self.engine.handle(Event::Drain(Observed::Known(drain)), now);
        self.drains.keep(Some(reply));
    }
}

fn end(wall: Timestamp, lasts: Duration) -> Timestamp {
    let lasts = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX);
    wall.saturating_add(lasts).unwrap_or(Timestamp::MAX)
}
