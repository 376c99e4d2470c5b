//! `nodedns prune`: what dead nodes have left.

mod view;

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, anyhow};

use crate::cli::args::PruneArgs;
use crate::cli::config::sources_with;
use crate::cli::exit::Exit;
use crate::cli::operate::{
    Answer, Fresh, Interrupts, Operation, Report, Step, ask, carry_out, diffs, end, preface, typed,
};
use crate::cli::pools::{Chosen, Names};
use crate::cli::progress::Progress;
use crate::cli::render::{counted, emit, emit_value, terminal_width};
use crate::cli::world::Unread;
use crate::config::{Config, load};
use crate::decide::name::DnsName;
use crate::decide::node::Nodes;
use crate::decide::owner::OwnerId;
use crate::decide::policy::{Signal, SignalAction, SignalPolicy};
use crate::decide::provider::ProviderError;
use crate::decide::prune::{Dead, Decision, Place, Refusal, Terms, Why, decide, gone, owners, patience};
use crate::decide::record::{RecordSet, RecordType, ZoneRef};
use crate::decide::time::Lasting;
use crate::publish::Provider;
use crate::publish::route53::Route53;
use crate::watch::clock;
use crate::watch::identity::{Access, Identity};
use crate::watch::node::kubeconfig::Environment;
use crate::watch::node::once::LIMIT;

pub use view::{DeadView, KeptView, RefusedView, Shown, render};

/// Deletes what dead nodes have left, under every guard of [`decide`].
///
/// # Errors
/// When the nodes cannot be read whole, or no name at all can be read, when the whole does not look as it should
/// ([`Refusal`]), or when the undo file cannot be written. Nothing was
/// changed then.
pub fn run(args: &PruneArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = load(&sources_with(&args.config, &args.kubeconfig))?.config;
    let own = Identity::find(&config).ok().map(|identity| identity.node().to_owned());
    let names = Names::new(&config, own.as_deref())?;
    let chosen = names.chosen(&args.names)?;
    let access = Access::find(&config).ok_or_else(|| {
        let place = Environment::of_process().credstore();
        let hint = place.map_or_else(
            || {
                "name the kubeconfig of one who may list nodes with --kubeconfig, or in kubernetes.kubeconfig"
                    .to_owned()
            },
            |place| format!("put the kubeconfig of one who may list nodes, or a link to it, into {place}"),
        );
        anyhow!(
            "who is dead is told by the cluster's nodes, and there is no kubeconfig, or kubernetes.enabled is false\n\
             hint: {hint}"
        )
    })?;
    let provider = Route53::new(config.route53.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let scene = Scene { config: &config, names: &names, chosen: &chosen, access: &access };
    runtime.block_on(prune(args, scene, &provider, out, err))
}

/// What a prune starts from.
#[derive(Debug, Clone, Copy)]
struct Scene<'a> {
    config: &'a Config,
    names: &'a Names<'a>,
    chosen: &'a Chosen,
    access: &'a Access,
}

async fn prune(
    args: &PruneArgs,
    scene: Scene<'_>,
    provider: &impl Provider,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let Scene { config, names, chosen, access } = scene;
    let progress = Progress::new("reading the nodes");
    let nodes = read(access).await?;
    progress.say("reading the pools");
    let found = names.read(chosen, provider, &progress).await;
    let unread: Vec<Unread> = found.failures.iter().map(|(what, error)| unread(what, error)).collect();
    if let Some((what, error)) = found.failures.into_iter().next().filter(|_| found.read == 0) {
        return Err(anyhow::Error::new(error).context(format!("cannot read {what}")));
    }
    let mut places: Vec<Place> = Vec::new();
    for name in found.names.into_iter().filter(|name| name.is_asked_for(Some(&nodes))) {
        let zone_id = &name.listing.zone_id;
        for rtype in RecordType::ALL {
            places.push(Place {
                zone_id: zone_id.clone(),
                name: name.name.clone(),
                rtype,
                keep_min: args.keep_min.unwrap_or_else(|| names.keep_min(zone_id, &name.name)),
                not_ready: not_ready(names, zone_id, &name.name),
                pool: name.listing.pool(rtype).cloned().unwrap_or_default(),
                shown: None,
            });
        }
    }
    if let Some(node) = unread.is_empty().then(|| stranger(&args.nodes, &places, &config.cluster)).flatten() {
        drop(progress);
        let hint = "hint: 'nodedns list' shows whose record sets there are";
        emit(err, &format!("error: no record set of node '{node}' is at these names\n{hint}\n"))?;
        return Ok(Exit::Usage);
    }
    let (only, mut elsewhere) = (args.nodes.iter().cloned().collect(), BTreeSet::new());
    let mut gone_before = gone(&places, &config.cluster, &nodes);
    let terms = Terms {
        cluster: &config.cluster,
        elsewhere: &BTreeSet::new(),
        nodes: &nodes,
        gone_before: None,
        grace: args.grace,
        only: &only,
        keep_nodes: &config.keep_nodes,
        max_delete: args.max_delete,
        despite_majority: args.allow_majority_down,
        refusals: 0,
    };
    let doubt = matches!(decide(&places, terms), Err(Refusal::WrongCluster { .. } | Refusal::OwnersGone { .. }));
    if doubt && !args.names.is_empty() {
        // A few names say little of the cluster: the others may say more.
        progress.say("reading the other names");
        let rest = names.read(&Chosen::default(), provider, &progress).await;
        let pools = rest.names.iter().flat_map(|name| name.listing.pools.values());
        elsewhere.extend(pools.flat_map(|pool| owners(pool, &config.cluster)));
    }
    drop(progress);
    let terms = Terms { elsewhere: &elsewhere, ..terms };
    let (decision, refusal) = match decide(&places, terms) {
        Ok(decision) => (decision, None),
        Err(Refusal::TooMany { would, may, decision }) => {
            ((*decision).clone(), Some(Refusal::TooMany { would, may, decision }))
        }
        Err(refusal) => (Decision::default(), Some(refusal)),
    };
    let steps: Vec<Step> = decision.removals.iter().filter_map(|(index, batch)| step(&places, *index, batch)).collect();
    let (count, dead) = (decision.deletions(&places), decision.dead.len());
    let operation = Operation {
        command: "prune",
        typed: typed(),
        question: format!("delete {} of {}", counted(count, "record set"), counted(dead, "dead node")),
        consent: args.consent,
        output: args.output,
        undo_file: args.undo_file.as_deref(),
        config,
    };
    let refused = refusal.as_ref().map(RefusedView::new);
    let mut shown = Shown { unread, refused, ..view::view(&decision, &places, Report::shown(&steps)) };
    for unread in &shown.unread {
        let _ = emit(err, &format!("warning: cannot read {}: {}; nothing is done there\n", unread.what, unread.error));
    }
    if let Some(refusal) = refusal {
        let shown = match args.output.structured() {
            Some(format) => emit_value(out, &shown, format),
            None if steps.is_empty() => Ok(()),
            None => emit(out, &(render(&shown, terminal_width()) + &diffs(&steps))),
        };
        end(shown, Exit::Failed)?;
        return Err(anyhow!("nothing was deleted: {refusal}"));
    }
    if args.output.structured().is_none() {
        preface(args.consent, out, &render(&shown, terminal_width()))?;
    }
    if ask(&operation, &steps, out, err)? == Answer::Go {
        let mut interrupts = Interrupts::new()?;
        let lasts = apart(&decision, &places, args.grace);
        if !lasts.is_zero() && wait(lasts, &mut interrupts, err).await {
            let _ = emit(err, "interrupted: nothing was changed\n");
            shown.report = Report::interrupted(&steps);
            let shown = args.output.structured().map_or(Ok(()), |format| emit_value(out, &shown, format));
            return end(shown, Exit::Failed);
        }
        // From here on only what was shown counts, wherever it is.
        for place in &mut places {
            let here = steps.iter().filter(|step| is_at(step, place));
            let edits = here.flat_map(|step| step.diff().edits);
            place.shown = Some(edits.filter_map(|edit| edit.before().cloned()).collect::<Vec<RecordSet>>());
        }
        let again = async |step: &Step, refusals: u32| -> anyhow::Result<Fresh> {
            let nodes = read(access).await?;
            // Who has been there once since the first look was not gone for all that time.
            gone_before.retain(|node| !nodes.contains_key(node));
            let index = places.iter().position(|place| is_at(step, place)).context("a pool of its own")?;
            let place = places.get_mut(index).context("a pool of its own")?;
            let listing = provider.list(&ZoneRef::Id(place.zone_id.clone()), &place.name).await?;
            place.pool = listing.pool(place.rtype).cloned().unwrap_or_default();
            let terms = Terms { nodes: &nodes, gone_before: Some(&gone_before), refusals, ..terms };
            let decision = decide(&places, terms).map_err(|refusal| anyhow!("{refusal}"))?;
            let batch = decision.removals.iter().find(|(at, _)| *at == index);
            let step = batch.and_then(|(at, batch)| self::step(&places, *at, batch));
            Ok(step.map_or_else(|| Fresh::Leave(reasons(&decision, index)), Fresh::Apply))
        };
        shown.report = carry_out(&operation, &steps, provider, again, interrupts, out, err).await?;
    }
    let written = args.output.structured().map_or(Ok(()), |format| emit_value(out, &shown, format));
    match shown.report.exit() {
        Exit::Ok | Exit::Differs if !shown.unread.is_empty() => end(written, Exit::Failed),
        exit => end(written, exit),
    }
}

fn unread(what: &str, error: &ProviderError) -> Unread {
    Unread::of(what, error.clone())
}

/// What it means at this name that a node is not Ready: where several records make it, whatever keeps more.
fn not_ready(names: &Names<'_>, zone_id: &str, name: &DnsName) -> SignalPolicy {
    let default = Signal::NotReady.default_policy();
    let policies =
        names.records_at(zone_id, name).map(|r| r.signals.get(&Signal::NotReady).copied().unwrap_or(default));
    let patience = |policy: &SignalPolicy| (policy.action == SignalAction::Ignore, policy.after);
    policies.max_by_key(patience).unwrap_or(default)
}

/// The first of these nodes that owns nothing there.
fn stranger<'a>(nodes: &'a [String], places: &[Place], cluster: &str) -> Option<&'a String> {
    let known: BTreeSet<String> = places.iter().flat_map(|place| owners(&place.pool, cluster)).collect();
    nodes.iter().find(|node| !known.contains(*node))
}

/// The Nodes: all of them, or an error.
async fn read(access: &Access) -> anyhow::Result<Nodes> {
    let list = access.nodes(LIMIT).await.context("nothing is deleted without the whole list of nodes")?;
    Ok(list.nodes)
}

fn step(places: &[Place], index: usize, batch: &crate::decide::batch::Batch) -> Option<Step> {
    Some(Step { batch: batch.clone(), pool: places.get(index)?.pool.clone() })
}

fn is_at(step: &Step, place: &Place) -> bool {
    (&step.batch.zone_id, &step.batch.name, step.batch.rtype) == (&place.zone_id, &place.name, place.rtype)
}

/// Why what was to go from there stays.
fn reasons(decision: &Decision, index: usize) -> String {
    let here = decision.kept.iter().filter(|kept| kept.place == index);
    let own =
        here.filter(|kept| !matches!(kept.why, Why::NotANode | Why::OtherCluster | Why::Foreign | Why::TrafficPolicy));
    let mut said: Vec<String> =
        own.filter_map(|kept| Some(format!("{} stays: {}", kept.set_identifier.as_ref()?, kept.why))).collect();
    if said.is_empty() {
        said.push("nothing of dead nodes is there any more".to_owned());
    }
    said.join("; ")
}

/// How long after the first look the second one is: since when a node is gone nobody says.
fn apart(decision: &Decision, places: &[Place], grace: Duration) -> Duration {
    let is_gone = |node: &String| decision.dead.get(node) == Some(&Dead::Gone);
    let places = decision.removals.iter().filter_map(|(index, batch)| {
        let place = places.get(*index)?;
        let edits = batch.edits(&place.pool);
        let mut nodes = edits.iter().filter_map(|edit| OwnerId::parse(edit.set_identifier()?));
        nodes.any(|id| is_gone(&id.node().to_owned())).then_some(place)
    });
    places.map(|place| patience(place, grace)).max().unwrap_or_default()
}

/// Waits before the second look, and whether a signal has ended that.
async fn wait(lasts: Duration, interrupts: &mut Interrupts, err: &mut dyn Write) -> bool {
    // What is not read there changes nothing.
    let _ =
        emit(err, &format!("looking again in {}, then deleting what dead nodes have left by then\n", Lasting(lasts)));
    let begin = clock::now();
    let progress = Progress::new("looking again");
    loop {
        let left = lasts.saturating_sub(clock::now() - begin);
        if left.is_zero() {
            return false;
        }
        progress.say(format!("looking again in {}", Lasting(Duration::from_secs(left.as_secs() + 1))));
        tokio::select! {
            () = interrupts.noticed() => return true,
            () = tokio::time::sleep(left.min(Duration::from_secs(1))) => {}
        }
    }
}
