//! `nodedns adopt`: taking over a name from hand-made records or from another tool.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use anyhow::anyhow;
use serde::Serialize;

use crate::cli::args::AdoptArgs;
use crate::cli::config::sources;
use crate::cli::exit::Exit;
use crate::cli::operate::{Answer, Fresh, Interrupts, Operation, Report, Step, ask, carry_out, end, preface, typed};
use crate::cli::pools::Names;
use crate::cli::progress::Progress;
use crate::cli::render::{emit, emit_value, printable};
use crate::cli::world::{Outlook, Unread, World};
use crate::config::{Config, load};
use crate::decide::adopt::{Adoption, Refusal, Request, adopt};
use crate::decide::batch::Batch;
use crate::decide::forecast::{Check, TypeForecast};
use crate::decide::health_check::HealthCheck;
use crate::decide::observed::Observed;
use crate::decide::plan::own_set;
use crate::decide::policy::{Policy, RecordPolicy};
use crate::decide::reason::Reason;
use crate::decide::record::Listing;
use crate::decide::time::Moment;
use crate::publish::Provider;
use crate::publish::route53::Route53;
use crate::watch::clock;

/// For how long what was read of this node is taken to be so.
const FRESH: Duration = Duration::from_secs(5);

/// What `--output json` prints.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    /// The node that takes over.
    node: &'a str,
    /// Its cluster.
    cluster: &'a str,
    /// What was done, or would be.
    #[serde(flatten)]
    report: &'a Report,
    /// The pools that are not adopted.
    not_adopted: &'a [NotAdopted],
    /// What could not be read.
    unread: &'a [Unread],
}

/// A pool that is not adopted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotAdopted {
    /// The name, without the trailing dot.
    pub name: String,
    /// `A` or `AAAA`; `null` when what the name holds could not be read.
    #[serde(rename = "type")]
    pub rtype: Option<&'static str>,
    /// The hosted zone's id; `null` when unknown.
    pub zone_id: Option<String>,
    /// Whether something is to be done first. Otherwise there is nothing to adopt.
    pub refused: bool,
    /// Why, in snake case.
    pub reason: &'static str,
    /// Why, as a sentence.
    pub explanation: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How it is to be done.
#[derive(Debug, Clone, Copy)]
struct Manner {
    drop_others: bool,
    force: bool,
}

/// Takes over what others have left at the configured names, as far as the daemon of this node could not
/// share it as it is. A pool that is refused keeps no other from being adopted, but the command fails then.
///
/// # Errors
/// When the configuration or the state of this node cannot be read, or the undo file or the output cannot be
/// written.
pub fn run(args: &AdoptArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = load(&sources(&args.config))?.config;
    let provider = Route53::new(config.route53.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(adopt_all(args, &config, &provider, out, err))
}

async fn adopt_all(
    args: &AdoptArgs,
    config: &Config,
    provider: &impl Provider,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let manner = Manner { drop_others: args.drop_others, force: args.force };
    let progress = Progress::new("reading the state of this node");
    let mut world = World::read(config, provider, &progress).await?;
    let records = Names::new(config, Some(world.policy.owner.node()))?.chosen_here(&args.names)?;
    sure(&world)?;
    let outlooks = world.outlook(&records, provider, &progress).await;
    drop(progress);
    let (mut targets, mut not_adopted) = (Vec::new(), Vec::new());
    for outlook in &outlooks {
        let Observed::Known(listing) = &outlook.listing else {
            not_adopted.push(unread_pool(outlook));
            continue;
        };
        for planned in &outlook.forecast.types {
            match judge(&world.policy, outlook, listing, planned, manner) {
                Ok(Ok(step)) => targets.push((step, outlook.record.clone())),
                Ok(Err(nothing)) => not_adopted.push(nothing),
                Err(refusal) => not_adopted.push(refused(outlook, listing, planned, &refusal)),
            }
        }
    }
    let steps: Vec<Step> = targets.iter().map(|(step, _)| step.clone()).collect();
    if args.output.structured().is_none() {
        let blank = if steps.is_empty() || not_adopted.is_empty() { "" } else { "\n" };
        preface(args.consent, out, &(not_adopted.iter().map(render).collect::<String>() + blank))?;
    }
    for Unread { what, error, hint, .. } in &world.unread {
        let hint = hint.as_ref().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
        let _ = emit(err, &format!("warning: could not read {what}: {error}\n{hint}"));
    }
    let operation = Operation {
        command: "adopt",
        typed: typed(),
        question: question(&steps),
        consent: args.consent,
        output: args.output,
        undo_file: args.undo_file.as_deref(),
        config,
    };
    let report = match ask(&operation, &steps, out, err)? {
        Answer::Nothing | Answer::Shown => Report::shown(&steps),
        Answer::Go => {
            let mut latest = None;
            let again = async |step: &Step, _: u32| {
                let world = fresh(&mut latest, config, provider).await?;
                again(world, provider, &targets, step, manner).await
            };
            carry_out(&operation, &steps, provider, again, Interrupts::new()?, out, err).await?
        }
    };
    let mut written = Ok(());
    if let Some(format) = args.output.structured() {
        let (node, cluster) = (world.policy.owner.node(), world.policy.owner.cluster());
        let shown = Shown { node, cluster, report: &report, not_adopted: &not_adopted, unread: &world.unread };
        written = emit_value(out, &shown, format);
    }
    let is_refused = not_adopted.iter().any(|pool| pool.refused);
    let exit = match report.exit() {
        Exit::Ok | Exit::Differs if is_refused => Exit::Failed,
        exit => exit,
    };
    end(written, exit)
}

/// Another node's record set must not be written by mistake.
fn sure(world: &World) -> anyhow::Result<()> {
    match world.unread.first().filter(|_| world.doubtful) {
        None => Ok(()),
        Some(doubt) => Err(anyhow!(
            "this may not be node {}: {}\nhint: run this as root, or set 'node' in the configuration",
            world.policy.owner.node(),
            doubt.error
        )),
    }
}

/// What is to be done to one pool, or why there is nothing to do.
fn judge(
    policy: &Policy,
    outlook: &Outlook,
    listing: &Listing,
    planned: &TypeForecast,
    manner: Manner,
) -> Result<Result<Step, NotAdopted>, Refusal> {
    let Outlook { record, forecast, .. } = outlook;
    let health_check_id = health_check(policy, record, listing, planned);
    let adoption = adopt(Request {
        owner: &policy.owner,
        record,
        listing,
        plan: &planned.plan,
        fitness: &forecast.fitness,
        health_check_id: health_check_id.as_deref(),
        drop_others: manner.drop_others,
        force: manner.force,
    })?;
    let rtype = planned.plan.rtype;
    Ok(match adoption {
        Adoption::Change(changes) => {
            let batch = Batch { zone_id: listing.zone_id.clone(), name: record.name.clone(), rtype, changes };
            Ok(Step { batch, pool: listing.pool(rtype).cloned().unwrap_or_default() })
        }
        Adoption::Nothing(why) => Err(NotAdopted {
            name: record.name.to_string(),
            rtype: Some(rtype.as_str()),
            zone_id: Some(listing.zone_id.clone()),
            refused: false,
            reason: why.as_str(),
            explanation: why.to_string(),
            hint: None,
        }),
    })
}

/// The health check that our record set is to have. A managed one that is missing the daemon creates and
/// attaches; until then the one stays that the record set has for the same addresses.
fn health_check(policy: &Policy, record: &RecordPolicy, listing: &Listing, planned: &TypeForecast) -> Option<String> {
    match (&planned.check, &record.health_check) {
        (Check::Found(_, id), _) | (Check::Nothing, Some(HealthCheck::Existing(id))) => Some(id.clone()),
        (Check::Nothing, None) => None,
        (Check::Nothing | Check::Missing(_) | Check::Impossible(_) | Check::Unknown(_), _) => {
            let own = own_set(listing.pool(planned.plan.rtype), &policy.owner)?;
            let is_same = own.addresses().iter().eq(planned.plan.desired.iter().collect::<BTreeSet<_>>());
            own.health_check_id.clone().filter(|_| is_same)
        }
    }
}

/// The state of this node, read anew unless it was a moment ago: many pools are adopted in a row, and for
/// each the probes alone may take seconds.
async fn fresh<'w>(
    latest: &'w mut Option<(Moment, World)>,
    config: &Config,
    provider: &impl Provider,
) -> anyhow::Result<&'w World> {
    let is_fresh = |(read, _): &(Moment, World)| clock::now() - *read < FRESH;
    let (_, world) = match latest.take().filter(is_fresh) {
        Some(known) => latest.insert(known),
        None => {
            let read = clock::now();
            let progress = Progress::new("reading the state of this node once more");
            latest.insert((read, World::read(config, provider, &progress).await?))
        }
    };
    sure(world)?;
    Ok(world)
}

/// Reads the name again and decides anew, right before the batch of a pool.
async fn again(
    world: &World,
    provider: &impl Provider,
    targets: &[(Step, RecordPolicy)],
    step: &Step,
    manner: Manner,
) -> anyhow::Result<Fresh> {
    let Some((_, record)) = targets.iter().find(|(target, _)| target == step) else {
        return Ok(Fresh::Leave("it is no longer configured".to_owned()));
    };
    let (outlook, listing) = world.look(record, provider).await?;
    let Some(planned) = outlook.forecast.types.iter().find(|planned| planned.plan.rtype == step.batch.rtype) else {
        return Ok(Fresh::Leave("it is no longer configured".to_owned()));
    };
    match judge(&world.policy, &outlook, &listing, planned, manner) {
        Ok(Ok(step)) => Ok(Fresh::Apply(step)),
        Ok(Err(nothing)) => Ok(Fresh::Leave(nothing.explanation)),
        Err(refusal) => Err(anyhow!("{}", told(&refusal))),
    }
}

fn told(refusal: &Refusal) -> String {
    refusal.hint().map_or_else(|| refusal.to_string(), |hint| format!("{refusal}\nhint: {hint}"))
}

fn refused(outlook: &Outlook, listing: &Listing, planned: &TypeForecast, refusal: &Refusal) -> NotAdopted {
    NotAdopted {
        name: outlook.record.name.to_string(),
        rtype: Some(planned.plan.rtype.as_str()),
        zone_id: Some(listing.zone_id.clone()),
        refused: true,
        reason: refusal.as_str(),
        explanation: refusal.to_string(),
        hint: refusal.hint().map(str::to_owned),
    }
}

fn unread_pool(outlook: &Outlook) -> NotAdopted {
    let why = outlook.unread.as_ref();
    NotAdopted {
        name: outlook.record.name.to_string(),
        rtype: None,
        zone_id: None,
        refused: true,
        reason: Reason::PoolUnknown.as_str(),
        explanation: why.map_or_else(|| Reason::PoolUnknown.to_string(), |why| why.error.clone()),
        hint: why.and_then(|why| why.hint.clone()),
    }
}

/// What to ask.
fn question(steps: &[Step]) -> String {
    let pools: Vec<_> = steps.iter().map(|step| format!("{} {}", step.batch.name, step.batch.rtype)).collect();
    format!("take over {}", pools.join(", "))
}

/// Why a pool is not adopted, on a line, and what to do about it on the next.
pub fn render(pool: &NotAdopted) -> String {
    let what = if pool.refused { "not adopted" } else { "nothing to adopt" };
    let rtype = pool.rtype.map(|rtype| format!(" {rtype}")).unwrap_or_default();
    let hint = pool.hint.as_ref().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
    format!("{}{rtype}: {what}: {}\n{hint}", pool.name, printable(&pool.explanation))
}
