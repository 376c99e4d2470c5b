//! `nodedns restore`: undoes a prune or an adopt.

use std::io::Write;

use anyhow::anyhow;
use serde::Serialize;

use crate::cli::args::RestoreArgs;
use crate::cli::config::sources;
use crate::cli::exit::Exit;
use crate::cli::operate::{
    Answer, Fresh, Interrupts, Operation, Report, Step, ask, carry_out, end, patiently, preface, typed,
};
use crate::cli::pools::Names;
use crate::cli::render::{emit_value, printable};
use crate::cli::undo::{Undo, UndoFile};
use crate::config::{Config, load};
use crate::decide::batch::{Batch, is_same_text};
use crate::decide::owner::SetIdentifier;
use crate::decide::provider::ProviderError;
use crate::decide::record::{Action, Change, Listing, Pool, RecordSet, ZoneRef};
use crate::decide::restoration::{Refusal, Terms, guarded};
use crate::publish::Provider;
use crate::publish::route53::Route53;
use crate::watch::identity::Identity;

/// What `--output json` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What became of it.
    #[serde(flatten)]
    pub report: Report,
    /// What is not restored.
    pub left_alone: Vec<LeftAlone>,
}

/// A record set, or a pool, that is not restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftAlone {
    /// The name, without the trailing dot.
    pub name: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub rtype: &'static str,
    /// The hosted zone's id.
    pub zone_id: String,
    /// The set identifier; `null` for a simple record set, and where it is about the whole pool.
    pub set_identifier: Option<String>,
    /// Why.
    pub explanation: String,
    /// What to do about it, where something is known to help.
    pub hint: Option<String>,
}

/// What brings a pool back to what it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Return {
    /// What is missing; empty when nothing is.
    pub changes: Vec<Change>,
    /// The record sets that somebody has changed since.
    pub changed: Vec<Option<SetIdentifier>>,
}

/// What brings `pool` back to what it was. What is back already needs nothing. What is neither as the
/// command has left it nor as it was before is somebody else's work and stays; and where the command has
/// created record sets, what it did belongs together, so then everything there stays.
pub fn returns(undo: &Undo, pool: &Pool) -> Return {
    let find = |sets: &'_ [RecordSet], key: &Option<SetIdentifier>| {
        sets.iter().find(|set| set.set_identifier == *key).cloned()
    };
    let is = |a: Option<&RecordSet>, b: Option<&RecordSet>| match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => is_same_text(a, b),
        _ => false,
    };
    let mut keys: Vec<_> = undo.removed.iter().chain(&undo.created).map(|set| set.set_identifier.clone()).collect();
    keys.sort();
    keys.dedup();
    let (mut deletions, mut creations, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        let (before, after) = (find(&undo.removed, &key), find(&undo.created, &key));
        let now = pool.get(&key);
        if is(now, before.as_ref()) {
            continue;
        }
        // Gone by now is as good as deleted here.
        if now.is_some() && !is(now, after.as_ref()) {
            changed.push(key);
            continue;
        }
        deletions.extend(now.map(|set| undo.change(Action::Delete, set)));
        creations.extend(before.map(|set| undo.change(Action::Create, &set)));
    }
    let changes = match !changed.is_empty() && !undo.created.is_empty() {
        true => Vec::new(),
        false => [deletions, creations].concat(),
    };
    Return { changes, changed }
}

/// Puts back what an undo file says.
///
/// # Errors
/// When the undo file or the configuration cannot be used, or the undo file of this cannot be written.
/// Nothing was changed then.
pub fn run(args: &RestoreArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let file = UndoFile::read(&args.file)?;
    let undos = file.undos(&args.file)?;
    let config = load(&sources(&args.config))?.config;
    if file.cluster != config.cluster {
        return Err(anyhow!(
            "{} is of the cluster {:?}, and the configuration of {:?}\nhint: name the other configuration with --config",
            args.file.display(),
            file.cluster,
            config.cluster
        ));
    }
    let provider = Route53::new(config.route53.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(restore(args, &config, &undos, &provider, out, err))
}

async fn restore(
    args: &RestoreArgs,
    config: &Config,
    undos: &[Undo],
    provider: &impl Provider,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let own = Identity::find(config).ok().map(|identity| identity.node().to_owned());
    // A configuration that does not fit this host keeps nobody from undoing what was done.
    let names = Names::new(config, own.as_deref()).unwrap_or_else(|_| Names::none(config));
    let decide = |undo: &Undo, listing: &Listing, names: &Names<'_>, refusals: u32| {
        let pool = listing.pool(undo.rtype).cloned().unwrap_or_default();
        let Return { changes, changed } = returns(undo, &pool);
        let configured = names.records_at(&undo.zone_id, &undo.name).map(|record| record.keep_min).max();
        let terms = Terms { cluster: &config.cluster, keep_min: configured.unwrap_or(KEEP_MIN), refusals };
        let step = guarded(changes, listing, undo.rtype, terms);
        (changed, step.map(|changes| Step { batch: batch(undo, changes), pool }))
    };
    let (mut steps, mut left_alone): (Vec<Step>, Vec<LeftAlone>) = (Vec::new(), Vec::new());
    for undo in undos {
        let alone = |key: Option<SetIdentifier>, explanation: String| LeftAlone {
            name: undo.name.to_string(),
            rtype: undo.rtype.as_str(),
            zone_id: undo.zone_id.clone(),
            set_identifier: key.map(|SetIdentifier(text)| text),
            explanation,
            hint: None,
        };
        match patiently(async || read(provider, undo).await).await {
            Err(error) => left_alone.push(alone(None, format!("the name cannot be read: {error}"))),
            Ok(listing) => {
                let (changed, step) = decide(undo, &listing, &names, 0);
                left_alone.extend(changed.into_iter().map(|key| alone(key, CHANGED.to_owned())));
                match step {
                    Err(refusal) => left_alone
                        .push(LeftAlone { hint: Some(refusal.hint().to_owned()), ..alone(None, refusal.to_string()) }),
                    Ok(step) if !step.batch.changes.is_empty() => steps.push(step),
                    Ok(_) => {}
                }
            }
        }
    }
    let operation = Operation {
        command: "restore",
        typed: typed(),
        question: match steps.len() {
            1 => "put this back".to_owned(),
            count => format!("put this back, at {count} names and types"),
        },
        consent: args.consent,
        output: args.output,
        undo_file: args.undo_file.as_deref(),
        config,
    };
    let mut shown = Shown { report: Report::shown(&steps), left_alone };
    if args.output.structured().is_none() {
        preface(args.consent, out, &render(&shown))?;
    }
    if ask(&operation, &steps, out, err)? == Answer::Go {
        let again = async |step: &Step, refusals: u32| -> anyhow::Result<Fresh> {
            let is_it = |undo: &&Undo| {
                (&undo.zone_id, &undo.name, undo.rtype) == (&step.batch.zone_id, &step.batch.name, step.batch.rtype)
            };
            let undo = undos.iter().find(is_it).ok_or_else(|| anyhow!("a pool that is not in the undo file"))?;
            Ok(match decide(undo, &read(provider, undo).await?, &names, refusals) {
                (_, Ok(step)) => Fresh::Apply(step),
                (_, Err(refusal)) => Fresh::Refuse(told(&refusal)),
            })
        };
        shown.report = carry_out(&operation, &steps, provider, again, Interrupts::new()?, out, err).await?;
    }
    let written = args.output.structured().map_or(Ok(()), |format| emit_value(out, &shown, format));
    match shown.report.exit() {
        Exit::Ok if !shown.left_alone.is_empty() => end(written, Exit::Failed),
        exit => end(written, exit),
    }
}

/// How many record sets must stay where no record says so.
const KEEP_MIN: u32 = 1;

fn told(refusal: &Refusal) -> String {
    format!("{refusal}\nhint: {}", refusal.hint())
}

const CHANGED: &str = "somebody has changed it since";

async fn read(provider: &impl Provider, undo: &Undo) -> Result<Listing, ProviderError> {
    provider.list(&ZoneRef::Id(undo.zone_id.clone()), &undo.name).await
}

fn batch(undo: &Undo, changes: Vec<Change>) -> Batch {
    Batch { zone_id: undo.zone_id.clone(), name: undo.name.clone(), rtype: undo.rtype, changes }
}

/// What is not restored, and why. What is, is shown as a diff below it.
pub fn render(shown: &Shown) -> String {
    let mut text = String::new();
    for alone in &shown.left_alone {
        let set = alone.set_identifier.as_ref().map(|id| format!(" {}", printable(id))).unwrap_or_default();
        text.push_str(&format!("{} {}{set} is left alone: {}\n", alone.name, alone.rtype, alone.explanation));
        if let Some(hint) = &alone.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
    }
    if shown.report.pools.is_empty() && shown.left_alone.is_empty() {
        text.push_str("everything is as it was: nothing to restore\n");
    }
    text
}
