//! The batches, one after the other.

use std::io::{self, Write};

use futures::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::operate::patience::{ATTEMPTS, may_pass, patiently, wait};
use crate::cli::operate::{Operation, Outcome, PoolReport, Report, Step, write_undo};
use crate::cli::render::{OutputError, emit, printable};
use crate::decide::batch::{Batch, Edit, is_same_text, is_within};
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::record::ZoneRef;
use crate::publish::Provider;

/// What is to be done to a pool by a fresh look at everything that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fresh {
    /// This, and the pool as it is now.
    Apply(Step),
    /// Nothing any more, and why.
    Leave(String),
    /// Nothing, as a guard forbids it by now, and why.
    Refuse(String),
}

/// How often a batch that was refused is decided anew: perhaps it leans on a record set that Route 53 does
/// not take again as it is.
const REFUSALS: u32 = 3;

/// What the pool at hand comes to, and whether the others are tried.
struct Verdict {
    outcome: Outcome,
    left: Vec<String>,
    change_id: Option<String>,
    message: Option<String>,
    /// The rest would come to the same: why it is not tried.
    stop: Option<Stop>,
}

enum Stop {
    Denied,
    Interrupted,
    /// What is decided by cannot be known.
    Undecided,
}

impl Verdict {
    fn of(outcome: Outcome, message: impl Into<Option<String>>) -> Self {
        Verdict { outcome, left: Vec::new(), change_id: None, message: message.into(), stop: None }
    }

    fn failed(error: &ProviderError) -> Self {
        let denied = matches!(error.kind, ErrorKind::Denied | ErrorKind::Credentials);
        Verdict { stop: denied.then_some(Stop::Denied), ..Verdict::of(Outcome::Failed, error.to_string()) }
    }
}

/// Writes the undo file, then applies the batch of each pool, and says what becomes of it.
///
/// Right before each batch `again` is asked what is to be done to the pool now, with how often Route 53
/// has refused what it said. What it says is done only if every edit is one of those that were shown.
/// `interrupts` are answered between two batches. When
/// it fails with a [`ProviderError`], that is this pool's failure; any other error ends everything, as
/// nobody knows then what is to be done.
///
/// # Errors
/// When the undo file cannot be written: then nothing was changed.
pub async fn carry_out(
    operation: &Operation<'_>,
    steps: &[Step],
    provider: &impl Provider,
    mut again: impl AsyncFnMut(&Step, u32) -> anyhow::Result<Fresh>,
    mut interrupts: Interrupts,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Report> {
    let mut report = Report { dry_run: false, ..Report::shown(steps) };
    report.undo_file = Some(write_undo(operation, steps, err)?);
    let mut told = Told { out: operation.output.structured().is_none().then_some(out), failed: None };
    let mut stop: Option<Stop> = None;
    for (step, pool) in steps.iter().zip(&mut report.pools) {
        let verdict = match &stop {
            Some(Stop::Denied) => Verdict::of(Outcome::NotTried, "not tried after that".to_owned()),
            Some(Stop::Undecided) => Verdict::of(Outcome::NotTried, "not tried, as nobody knows".to_owned()),
            Some(Stop::Interrupted) => Verdict::of(Outcome::NotTried, "not tried, interrupted".to_owned()),
            None => one(step, provider, &mut again, &mut interrupts).await,
        };
        (pool.outcome, pool.left, pool.change_id) = (verdict.outcome, verdict.left, verdict.change_id);
        pool.message = verdict.message;
        stop = stop.or(verdict.stop);
        told.pool(pool);
    }
    report.denied = matches!(stop, Some(Stop::Denied));
    report.interrupted = matches!(stop, Some(Stop::Interrupted));
    told.end(&report);
    match told.failed {
        // What has become of it counts, whoever has read it.
        Some(error) if !error.is_broken_pipe() => Err(error.into()),
        _ => Ok(report),
    }
}

/// Decides anew about one pool, and applies its batch.
async fn one(
    step: &Step,
    provider: &impl Provider,
    again: &mut impl AsyncFnMut(&Step, u32) -> anyhow::Result<Fresh>,
    interrupts: &mut Interrupts,
) -> Verdict {
    let interrupted =
        || Verdict { stop: Some(Stop::Interrupted), ..Verdict::of(Outcome::NotTried, "interrupted".to_owned()) };
    let shown = step.diff().edits;
    let (mut failures, mut refusals) = (0, 0);
    let mut refused: Option<(Batch, ProviderError)> = None;
    loop {
        let fresh = tokio::select! {
            biased;
            () = interrupts.noticed() => return interrupted(),
            fresh = again(step, refusals) => fresh,
        };
        let error = match fresh {
            Ok(Fresh::Leave(why)) => return Verdict::of(Outcome::Left, why),
            Ok(Fresh::Refuse(why)) => return Verdict::of(Outcome::Failed, why),
            Ok(Fresh::Apply(fresh)) => {
                let edits = fresh.diff().edits;
                if edits.is_empty() {
                    return Verdict::of(Outcome::Left, "nothing is left to do".to_owned());
                }
                if !is_within(&edits, &shown) || !is_same_place(&fresh, step) {
                    return Verdict::of(Outcome::Changed, CHANGED.to_owned());
                }
                match refused.take() {
                    Some((batch, error)) if batch == fresh.batch || refusals > REFUSALS => {
                        return Verdict::failed(&error);
                    }
                    _ => {}
                }
                if interrupts.are_noticed() {
                    return interrupted();
                }
                // Not ended half way by a signal: what it comes to has to be told.
                match provider.apply(&ZoneRef::Id(fresh.batch.zone_id.clone()), &fresh.batch.changes).await {
                    Ok(id) => {
                        let left = left(&shown, &edits);
                        return Verdict { left, change_id: Some(id.0), ..Verdict::of(Outcome::Done, None) };
                    }
                    Err(error) if error.kind == ErrorKind::Unconfirmed => {
                        return Verdict { left: left(&shown, &edits), ..look(&fresh, &edits, provider, &error).await };
                    }
                    Err(error) if error.kind == ErrorKind::Refused => {
                        refusals += 1;
                        refused = Some((fresh.batch, error));
                        continue;
                    }
                    Err(error) => error,
                }
            }
            Err(error) => match error.chain().find_map(|cause| cause.downcast_ref::<ProviderError>()) {
                Some(error) => error.clone(),
                None => {
                    let message = format!("{error:#}");
                    return Verdict { stop: Some(Stop::Undecided), ..Verdict::of(Outcome::Failed, message) };
                }
            },
        };
        failures += 1;
        if !may_pass(error.kind) || failures >= ATTEMPTS {
            return Verdict::failed(&error);
        }
        tokio::select! {
            () = interrupts.noticed() => return interrupted(),
            () = wait(failures) => {}
        }
    }
}

const CHANGED: &str = "left alone: it has changed since it was shown\nhint: run the command again";

/// Whether both are about the same pool.
fn is_same_place(fresh: &Step, step: &Step) -> bool {
    let place = |batch: &Batch| (batch.zone_id.clone(), batch.name.clone(), batch.rtype);
    let all_here = fresh.batch.changes.iter().all(|c| c.name == step.batch.name && c.rtype == step.batch.rtype);
    place(&fresh.batch) == place(&step.batch) && all_here
}

/// What was shown and is not among these edits.
fn left(shown: &[Edit], edits: &[Edit]) -> Vec<String> {
    let left = shown.iter().filter(|edit| !edits.contains(edit));
    left.filter_map(|edit| edit.set_identifier().map(|id| id.0.clone())).collect()
}

/// Reads the pool after a batch of which nobody knows whether it was applied.
async fn look(step: &Step, edits: &[Edit], provider: &impl Provider, error: &ProviderError) -> Verdict {
    let Batch { zone_id, name, rtype, .. } = &step.batch;
    let zone = ZoneRef::Id(zone_id.clone());
    let listing = patiently(async || provider.list(&zone, name).await).await;
    let pool = listing.map(|listing| listing.pool(*rtype).cloned().unwrap_or_default());
    let is = |wanted: fn(&Edit) -> Option<&crate::decide::record::RecordSet>| {
        pool.as_ref().is_ok_and(|pool| {
            edits.iter().all(|edit| match (pool.get(&edit.set_identifier().cloned()), wanted(edit)) {
                (None, None) => true,
                (Some(found), Some(wanted)) => is_same_text(found, wanted),
                _ => false,
            })
        })
    };
    match &pool {
        Ok(_) if is(Edit::after) => Verdict::of(Outcome::Done, "confirmed by reading the name again".to_owned()),
        Ok(_) if is(Edit::before) => {
            let message = format!("{error}\nby now nothing has changed at the name; it may still do so\n{AGAIN}");
            Verdict::of(Outcome::Unconfirmed, message)
        }
        Ok(_) => {
            let message = format!("{error}\nby now the name holds something else than before and than was asked for");
            Verdict::of(Outcome::Unconfirmed, message)
        }
        Err(read) => {
            Verdict::of(Outcome::Unconfirmed, format!("{error}\nand the name cannot be read: {read}\n{AGAIN}"))
        }
    }
}

const AGAIN: &str = "hint: run the command again";

/// Tells people what becomes of each pool. What nobody reads keeps nothing from being done.
struct Told<'a> {
    out: Option<&'a mut dyn Write>,
    failed: Option<OutputError>,
}

impl Told<'_> {
    fn say(&mut self, text: &str) {
        if let Some(out) = self.out.as_mut().filter(|_| self.failed.is_none())
            && let Err(error) = emit(*out, text)
        {
            self.failed = Some(error);
        }
    }

    fn pool(&mut self, pool: &PoolReport) {
        let said = match pool.outcome {
            Outcome::Shown => "only shown",
            Outcome::Done => "done",
            Outcome::Left => "left as it is",
            Outcome::Changed => "not done",
            Outcome::Unconfirmed => "could not confirm",
            Outcome::Failed => "failed",
            Outcome::NotTried => "not done",
        };
        let mut text = format!("{} {}: {said}", pool.diff.name, pool.diff.rtype);
        if let Some(id) = &pool.change_id {
            text.push_str(&format!(", change {id}"));
        }
        if let Some(message) = &pool.message {
            text.push_str(&format!(": {message}"));
        }
        text.push('\n');
        if !pool.left.is_empty() {
            text.push_str(&format!("  left, as that is no longer called for: {}\n", printable(&pool.left.join(", "))));
        }
        self.say(&text);
    }

    fn end(&mut self, report: &Report) {
        let count = |wanted: &[Outcome]| report.pools.iter().filter(|pool| wanted.contains(&pool.outcome)).count();
        let (done, open) = (count(&[Outcome::Done]), count(&[Outcome::Unconfirmed]));
        let interrupted = if report.interrupted { "interrupted: " } else { "" };
        let undo = report.undo_file.as_ref().filter(|_| done + open > 0);
        let undo = undo.map(|path| format!("; 'nodedns restore {}' undoes it", path.display())).unwrap_or_default();
        self.say(&format!("{interrupted}{done} of {} done{undo}\n", report.pools.len()));
    }
}

/// SIGINT and SIGTERM. From when there is one of these, they end nothing by themselves: they are answered
/// between two batches.
pub struct Interrupts {
    signals: [Signal; 2],
    noticed: bool,
}

impl Interrupts {
    /// From now on.
    ///
    /// # Errors
    /// When the operating system does not let it.
    pub fn new() -> io::Result<Self> {
        let signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        Ok(Interrupts { signals, noticed: false })
    }

    /// Returns once there has been one.
    pub async fn noticed(&mut self) {
        let [interrupt, terminate] = &mut self.signals;
        if !self.noticed {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            self.noticed = true;
        }
    }

    /// Whether there has been one.
    fn are_noticed(&mut self) -> bool {
        self.noticed().now_or_never().is_some()
    }
}
