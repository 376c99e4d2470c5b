//! `nodedns drain` and `nodedns resume`: taking the node out of DNS and letting it back in.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::timeout;

use crate::cli::args::{ChangeArgs, DrainArgs, ResumeArgs};
use crate::cli::exit::Exit;
use crate::cli::outcome::{Goal, Outcome, Progress, outcome};
use crate::cli::render::{Structured, emit, emit_value};
use crate::cli::status::{drained, socket};
use crate::control::client::{self, Error};
use crate::control::protocol::{DrainAnswer, DrainRequest, DrainState, DrainStatus, RecordStatus, Status, UNFINISHED};
use crate::watch::clock;

/// How long the daemon may take to answer: longer than it gives its disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// A change usually is on every name server of Route 53 within a minute, so that resolvers may have
/// asked one that did not have it yet for as long after it was accepted.
const PROPAGATION: SignedDuration = SignedDuration::from_mins(1);

/// Drains the node and says what becomes of each record.
///
/// # Errors
/// When the daemon cannot be asked or refuses ([`client::Error`]), the configuration that was named
/// cannot be read, or the output cannot be written.
pub fn drain(args: &DrainArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let request = DrainRequest {
        // Rather a moment too long than too short.
        for_seconds: args.lasts.map(|lasts| lasts.as_secs() + u64::from(lasts.subsec_nanos() > 0)),
        force: args.force,
        reason: args.reason.clone(),
    };
    // Here already: what the daemon itself refuses is mostly a matter of its version.
    if let Err(wrong) = request.check() {
        emit(err, &format!("error: {wrong}\n"))?;
        return Ok(Exit::Usage);
    }
    run(&args.change, Some(request), out, err)
}

/// Ends a drain and says what becomes of each record.
///
/// # Errors
/// As [`drain`].
pub fn resume(args: &ResumeArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    run(&args.change, None, out, err)
}

fn run(
    args: &ChangeArgs,
    request: Option<DrainRequest>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let socket = socket(args.socket.as_deref(), &args.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(change(&socket, args, request, out, err))
}

async fn change(
    socket: &Path,
    args: &ChangeArgs,
    request: Option<DrainRequest>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let goal = if request.is_some() { Goal::Out } else { Goal::In };
    let answer = match request {
        Some(request) => client::drain(socket, request, PATIENCE).await,
        None => client::resume(socket, PATIENCE).await,
    };
    let warnings = match answer {
        Ok(DrainAnswer { warnings, .. }) => warnings,
        // It is done; only whether it is saved is open.
        Err(Error::Refused(refusal)) if refusal.code == UNFINISHED => vec![refusal.message],
        Err(error) => return Err(error.into()),
    };
    let format = args.output.structured();
    let status = client::status(socket, PATIENCE).await?;
    let mut teller = Teller { goal, out, err, told: Vec::new(), format };
    teller.headline(&status, &warnings)?;
    teller.records(&status)?;
    let (status, ended) = match args.wait {
        true => teller.wait(socket, status, args.timeout).await?,
        false => (status, Ended::Settled),
    };
    teller.end(status, warnings, args.wait, ended)
}

/// How waiting has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Settled,
    TimedOut,
    /// Somebody has asked for something else meanwhile, or the time of the drain is over.
    Overtaken,
}

/// Tells what becomes of each record, as it happens or at the end.
struct Teller<'a> {
    goal: Goal,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// What has been told of each record, in order.
    told: Vec<Outcome>,
    /// For programs, which are told once, at the end.
    format: Option<Structured>,
}

/// What `--output json` prints.
#[derive(Serialize)]
struct Summary<'a> {
    /// The node.
    node: &'a str,
    /// How the node is drained now.
    drain: &'a DrainStatus,
    /// What the operator has to know, e.g. that the drain could not be saved.
    warnings: &'a [String],
    /// Whether every record is where it should be and known to be on every name server.
    done: bool,
    /// Every record and type, in the order of the configuration, A before AAAA.
    records: Vec<RecordSummary<'a>>,
}

/// What becomes of a record.
#[derive(Serialize)]
struct RecordSummary<'a> {
    /// The name, without the trailing dot.
    name: &'a str,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    rtype: &'a str,
    /// `withdrawing`, `withdrawn`, `held`, `publishing`, `published`, `waiting` or `unaffected`.
    outcome: &'static str,
    /// The same as a sentence.
    explanation: &'a str,
    /// For how many seconds resolvers may keep an answer.
    ttl: u32,
}

impl Teller<'_> {
    fn headline(&mut self, status: &Status, warnings: &[String]) -> anyhow::Result<()> {
        if self.format.is_some() {
            return Ok(());
        }
        emit(self.out, &format!("{} is {}\n", status.node, drained(&status.drain)))?;
        for warning in warnings {
            emit(self.err, &format!("warning: {warning}\n"))?;
        }
        Ok(())
    }

    /// Tells of the records of which there is something new to tell.
    fn records(&mut self, status: &Status) -> anyhow::Result<()> {
        let outcomes: Vec<_> = status.records.iter().map(|record| outcome(record, self.goal)).collect();
        for (index, (record, outcome)) in status.records.iter().zip(&outcomes).enumerate() {
            if self.format.is_none() && self.told.get(index) != Some(outcome) {
                emit(self.out, &format!("  {} {}: {}\n", record.name, record.rtype, outcome.text))?;
            }
        }
        self.told = outcomes;
        Ok(())
    }

    /// Follows the daemon until nothing moves any more.
    async fn wait(&mut self, socket: &Path, mut last: Status, patience: Duration) -> anyhow::Result<(Status, Ended)> {
        let following = async {
            let mut watch = client::watch(socket, PATIENCE).await?;
            loop {
                last = watch.next().await?;
                self.records(&last)?;
                let drained = last.drain.state == DrainState::Drained;
                if drained != (self.goal == Goal::Out) {
                    return Ok::<_, anyhow::Error>(Ended::Overtaken);
                }
                if !self.told.iter().any(|outcome| outcome.progress == Progress::Moving) {
                    return Ok(Ended::Settled);
                }
            }
        };
        let ended = timeout(patience, following).await.unwrap_or(Ok(Ended::TimedOut))?;
        Ok((last, ended))
    }

    fn end(self, status: Status, warnings: Vec<String>, waited: bool, ended: Ended) -> anyhow::Result<Exit> {
        let stuck = self.told.iter().any(|outcome| outcome.progress == Progress::Stuck);
        let moving = self.told.iter().any(|outcome| outcome.progress == Progress::Moving);
        let unsaved = !warnings.is_empty() && !status.dry_run;
        let good = !stuck && !unsaved && ended == Ended::Settled;
        if let Some(format) = self.format {
            let record = |(record, outcome): (&'_ RecordStatus, &'_ Outcome)| (record.clone(), outcome.clone());
            let told: Vec<_> = status.records.iter().zip(&self.told).map(record).collect();
            let records = told.iter().map(|(record, outcome)| RecordSummary {
                name: &record.name,
                rtype: &record.rtype,
                outcome: outcome.word,
                explanation: &outcome.text,
                ttl: record.ttl,
            });
            let summary = Summary {
                node: &status.node,
                drain: &status.drain,
                warnings: &warnings,
                done: !stuck && !moving && ended == Ended::Settled,
                records: records.collect(),
            };
            emit_value(self.out, &summary, format)?;
            return Ok(if good { Exit::Ok } else { Exit::Differs });
        }
        let now = clock::wall();
        match (ended, self.goal) {
            (Ended::TimedOut, _) => {
                emit(self.err, "error: not every record has got there in time; the daemon goes on\n")?
            }
            (Ended::Overtaken, Goal::Out) => emit(self.err, "error: the drain has ended meanwhile\n")?,
            (Ended::Overtaken, Goal::In) => emit(self.err, "error: the node has been drained again meanwhile\n")?,
            (Ended::Settled, _) => {}
        }
        if let Some(seconds) = cached(&status, &self.told, now).filter(|_| self.goal == Goal::Out) {
            emit(self.out, &format!("resolvers may give the old answer for up to {seconds} s after a withdrawal\n"))?;
        }
        let held = self.told.iter().any(|outcome| outcome.word == "held");
        if held && self.goal == Goal::Out {
            emit(
                self.err,
                "hint: 'nodedns drain --force' overrides keep_min, and may leave a name without an answer\n",
            )?;
        }
        if moving && !waited {
            emit(self.err, "hint: --wait waits for it, 'nodedns status --watch' shows it\n")?;
        }
        Ok(if good { Exit::Ok } else { Exit::Differs })
    }
}

/// The longest TTL, in seconds, of what was withdrawn so lately that resolvers may still have it.
fn cached(status: &Status, told: &[Outcome], now: Timestamp) -> Option<u32> {
    let lately = |record: &RecordStatus| {
        let kept = PROPAGATION + SignedDuration::from_secs(i64::from(record.ttl));
        record.last_change.as_ref().is_some_and(|change| now.duration_since(change.at).abs() < kept)
    };
    let leaves = |(record, outcome): &(&RecordStatus, &Outcome)| match outcome.word {
        "withdrawing" => true,
        "withdrawn" => lately(record),
        _ => false,
    };
    status.records.iter().zip(told).filter(leaves).map(|(record, _)| record.ttl).max()
}
