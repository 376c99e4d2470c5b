//! `nodedns prune`: what dead nodes have left.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::Serialize;

use crate::cli::args::PruneArgs;
use crate::cli::config::sources_with;
use crate::cli::exit::Exit;
use crate::cli::operate::{Answer, Fresh, Operation, Report, Step, ask, carry_out, typed};
use crate::cli::pools::{Chosen, Names};
use crate::cli::progress::Progress;
use crate::cli::render::{emit, emit_value, paragraph, printable, table, terminal_width};
use crate::config::{Config, Span, load};
use crate::decide::node::Nodes;
use crate::decide::prune::{Dead, Decision, Place, Terms, Why, decide, gone};
use crate::decide::record::{RecordSet, RecordType, ZoneRef};
use crate::publish::Provider;
use crate::publish::route53::Route53;
use crate::watch::clock;
use crate::watch::identity::{Access, Identity};
use crate::watch::node::once::LIMIT;

/// What `--output json` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What became of it.
    #[serde(flatten)]
    pub report: Report,
    /// The nodes whose record sets are, or would be, deleted.
    pub nodes: Vec<DeadView>,
    /// Every other record set at the names, and why it stays.
    pub kept: Vec<KeptView>,
}

/// A dead node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadView {
    /// Its name.
    pub node: String,
    /// `gone` or `not_ready`.
    pub condition: &'static str,
    /// For how many seconds it has not been Ready; `null` when it is gone.
    pub for_seconds: Option<u64>,
    /// The reason of its Ready condition, where it has one.
    pub reason: Option<String>,
}

/// A record set that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptView {
    /// The name, without the trailing dot.
    pub name: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub rtype: &'static str,
    /// The hosted zone's id.
    pub zone_id: String,
    /// Its set identifier; `null` for a simple one.
    pub set_identifier: Option<String>,
    /// Why, in snake case: `live`, `cordoned`, `not_ready_within_grace`, `not_ready_since_unknown`,
    /// `gone_within_grace`, `not_asked`, `changed`, `keep_min`, `not_a_node`, `keep_nodes`, `other_cluster`,
    /// `foreign` or `traffic_policy`.
    pub reason: &'static str,
    /// Why, for people.
    pub explanation: String,
}

/// Deletes what dead nodes have left, under every guard of [`decide`].
///
/// # Errors
/// When the nodes or the pools cannot be read whole, when the whole does not look as it should
/// ([`Refusal`](crate::decide::prune::Refusal)), or when the undo file cannot be written. Nothing was
/// changed then.
pub fn run(args: &PruneArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = load(&sources_with(&args.config, &args.kubeconfig))?.config;
    // Where this host's own name cannot be found out, it proves nothing either.
    let own = Identity::find(&config).ok().map(|identity| identity.node().to_owned());
    let names = Names::new(&config, own.as_deref())?;
    let chosen = names.chosen(&args.names)?;
    let access = Access::find(&config).ok_or_else(|| {
        anyhow!(
            "who is dead is told by the cluster's nodes, and there is no kubeconfig, or kubernetes.enabled is false\n\
             hint: name the kubeconfig of one who may list nodes with --kubeconfig, or in kubernetes.kubeconfig"
        )
    })?;
    let provider = Route53::new(config.route53.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let scene = Scene { config: &config, own: own.as_deref(), names: &names, chosen: &chosen, access: &access };
    runtime.block_on(prune(args, scene, &provider, out, err))
}

/// What a prune starts from.
#[derive(Debug, Clone, Copy)]
struct Scene<'a> {
    config: &'a Config,
    /// The node of this host, where it is known.
    own: Option<&'a str>,
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
    let Scene { config, own, names, chosen, access } = scene;
    let progress = Progress::new("reading the nodes");
    let nodes = read(access).await?;
    progress.say("reading the pools");
    let found = names.read(chosen, provider, &progress).await;
    drop(progress);
    let mut places: Vec<Place> = Vec::new();
    if let Some((what, error)) = found.failures.into_iter().next() {
        return Err(anyhow::Error::new(error).context(format!("cannot read {what}")));
    }
    for name in found.names.into_iter().filter(|name| name.is_asked_for(Some(&nodes))) {
        let keep_min = names.keep_min(&name.listing.zone_id, &name.name);
        for rtype in RecordType::ALL {
            places.push(Place {
                zone_id: name.listing.zone_id.clone(),
                name: name.name.clone(),
                rtype,
                keep_min: args.keep_min.unwrap_or(keep_min),
                pool: name.listing.pool(rtype).cloned().unwrap_or_default(),
                shown: None,
            });
        }
    }
    let only: BTreeSet<String> = args.nodes.iter().cloned().collect();
    let mut gone_before = gone(&places, &config.cluster, &nodes);
    let terms = Terms {
        cluster: &config.cluster,
        own,
        nodes: &nodes,
        gone_before: None,
        grace: args.grace,
        only: &only,
        keep_nodes: &config.keep_nodes,
        max_delete: args.max_delete,
        despite_majority: args.allow_majority_down,
        refusals: 0,
    };
    let decision = decide(&places, terms).map_err(|refusal| anyhow!("nothing was deleted: {refusal}"))?;
    let steps: Vec<Step> = decision.removals.iter().filter_map(|(index, batch)| step(&places, *index, batch)).collect();
    let (count, owners) = (decision.deletions(&places), decision.dead.len());
    let operation = Operation {
        command: "prune",
        typed: typed(),
        question: format!("delete {} of {}", counted(count, "record set"), counted(owners, "dead node")),
        consent: args.consent,
        output: args.output,
        undo_file: args.undo_file.as_deref(),
        config,
    };
    let mut shown = Shown { report: Report::shown(&steps), ..view(&decision, &places) };
    if args.output.structured().is_none() {
        emit(out, &render(&shown, terminal_width()))?;
    }
    if ask(&operation, &steps, out, err)? == Answer::Go {
        wait(&decision, args.grace, err).await?;
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
        shown.report = carry_out(&operation, &steps, provider, again, out, err).await?;
    }
    if let Some(format) = args.output.structured() {
        emit_value(out, &shown, format)?;
    }
    Ok(shown.report.exit())
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

/// Since when a node is gone nobody says, so whoever is gone is looked for once more, a grace later.
async fn wait(decision: &Decision, grace: Duration, err: &mut dyn Write) -> anyhow::Result<()> {
    if grace.is_zero() || !decision.dead.values().any(|dead| *dead == Dead::Gone) {
        return Ok(());
    }
    emit(err, &format!("looking again in {}, then deleting what dead nodes have left by then\n", Span(grace)))?;
    let begin = clock::now();
    let progress = Progress::new("looking again");
    loop {
        let left = grace.saturating_sub(clock::now() - begin);
        if left.is_zero() {
            return Ok(());
        }
        progress.say(format!("looking again in {}", Span(Duration::from_secs(left.as_secs() + 1))));
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
}

/// `1 record set`, `2 record sets`.
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// What was decided, for programs.
fn view(decision: &Decision, places: &[Place]) -> Shown {
    let dead = |(node, dead): (&String, &Dead)| match dead {
        Dead::Gone => DeadView { node: node.clone(), condition: "gone", for_seconds: None, reason: None },
        Dead::NotReady(lasts, reason) => DeadView {
            node: node.clone(),
            condition: "not_ready",
            for_seconds: Some(lasts.as_secs()),
            reason: reason.clone(),
        },
    };
    let kept = decision.kept.iter().filter_map(|kept| {
        let place = places.get(kept.place)?;
        Some(KeptView {
            name: place.name.to_string(),
            rtype: place.rtype.as_str(),
            zone_id: place.zone_id.clone(),
            set_identifier: kept.set_identifier.as_ref().map(|id| id.0.clone()),
            reason: kept.why.as_str(),
            explanation: kept.why.to_string(),
        })
    });
    let kept = kept.collect();
    Shown { report: Report::shown(&[]), nodes: decision.dead.iter().map(dead).collect(), kept }
}

/// Who is dead, and what stays although one might expect otherwise. What would go is shown as a diff below it.
pub fn render(shown: &Shown, width: Option<usize>) -> String {
    let mut text = String::new();
    for dead in &shown.nodes {
        let reason = dead.reason.as_ref().map(|reason| format!(" ({})", printable(reason))).unwrap_or_default();
        text.push_str(&match dead.for_seconds {
            None => format!("{} is gone: the cluster has no Node of this name\n", dead.node),
            Some(seconds) => {
                format!("{} has not been Ready for {}{reason}\n", dead.node, Span(Duration::from_secs(seconds)))
            }
        });
    }
    let expected = ["live", "not_a_node", "other_cluster", "foreign", "not_asked"];
    let kept: Vec<&KeptView> = shown.kept.iter().filter(|kept| !expected.contains(&kept.reason)).collect();
    if !kept.is_empty() {
        let row = |kept: &&KeptView| {
            let identifier = kept.set_identifier.clone().unwrap_or_else(|| "-".to_owned());
            vec![kept.name.clone(), kept.rtype.to_owned(), identifier, kept.explanation.clone()]
        };
        let rows: Vec<_> = kept.iter().map(row).collect();
        let blank = if text.is_empty() { "" } else { "\n" };
        text.push_str(&format!("{blank}what stays:\n{}", table(&["NAME", "TYPE", "SET", "WHY"], &rows, width)));
    }
    if kept.iter().any(|kept| kept.reason == "keep_min") {
        let hint = "hint: with keep_min = 0 in the record, or --keep-min 0, the last one of a name goes, too";
        paragraph(&mut text, hint, 0, width);
    }
    if shown.report.pools.is_empty() {
        text.push_str("dead nodes have left nothing that may be deleted\n");
    } else if !text.is_empty() {
        text.push('\n');
    }
    text
}
