//! `nodedns plan`: what would change now, and why.

use std::io::Write;
use std::net::IpAddr;

use serde::Serialize;

use crate::cli::args::PlanArgs;
use crate::cli::config::sources;
use crate::cli::diff::{EditView, PoolDiff, render as render_diff};
use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::render::{counted, emit, emit_value, paragraph, terminal_width};
use crate::cli::world::{Outlook, Unread, World};
use crate::config::load;
use crate::control::protocol::{Intent, Routing};
use crate::control::translate;
use crate::decide::batch::Batch;
use crate::decide::forecast::{Check, TypeForecast};
use crate::decide::health_check::CheckSpec;
use crate::decide::observed::Observed;
use crate::decide::plan::own_set;
use crate::decide::policy::{Policy, RecordPolicy};
use crate::decide::record::{Listing, Pool, RecordSet};
use crate::publish::route53::Route53;

/// The plan, and what `--output json` prints of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The node.
    pub node: String,
    /// The cluster.
    pub cluster: String,
    /// Whether everything is known that decides about a record. Where it is not, the plan may lack changes.
    pub complete: bool,
    /// Whether anything would change.
    pub differences: bool,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// Every record and type, in the order of the configuration, A before AAAA.
    pub records: Vec<PlannedRecord>,
}

/// One (record, type). The keys that `nodedns status` has too mean the same there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedRecord {
    /// The name, without the trailing dot.
    pub name: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub rtype: &'static str,
    /// The hosted zone's id; `null` when unknown.
    pub zone_id: Option<String>,
    /// What is wanted.
    pub intent: Intent,
    /// Why: the reason in snake case.
    pub reason: &'static str,
    /// Why, as a sentence.
    pub explanation: String,
    /// Why it would leave, where a guard holds it back: the reason in snake case.
    pub held_back: Option<&'static str>,
    /// Whether everything is known that decides about it.
    pub known: bool,
    /// The addresses that would be published, the first first; empty when the intent is to withdraw.
    pub desired: Vec<IpAddr>,
    /// The addresses in Route 53; empty when the own record set is not there, `null` when unknown.
    pub actual: Option<Vec<IpAddr>>,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The configured TTL, when the pool has another, which is adopted.
    pub ttl_configured: Option<u32>,
    /// The routing policy.
    pub routing: Routing,
    /// The managed health check; `null` where there is to be none.
    pub health_check: Option<PlannedCheck>,
    /// Whether Route 53 has what is wanted.
    pub in_sync: bool,
    /// What would become of record sets.
    pub changes: Vec<EditView>,
    /// The same, for people.
    #[serde(skip)]
    diff: Option<PoolDiff>,
}

/// A managed health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedCheck {
    /// Whether it is there.
    pub state: CheckState,
    /// What it asks, in the manner of a URL.
    pub checks: String,
    /// Its id; `null` when it is not there.
    pub id: Option<String>,
}

/// Whether a managed health check is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It is.
    Found,
    /// It would be created, and then attached.
    Missing,
    /// Route 53 checks no address of this kind.
    Impossible,
    /// The health checks could not be read.
    Unknown,
}

/// Shows what the daemon would come to. When something that decides is not known, the exit code says so,
/// so that no plan that lacks something passes for one without differences: [`Exit::Unavailable`] when
/// nothing but a service that cannot be reached is the cause, [`Exit::NotPermitted`] when rights are
/// missing, and [`Exit::Failed`] for any other cause. Else it is [`Exit::Differs`] when anything would change.
///
/// # Errors
/// When the configuration cannot be read, this node has no name or the output cannot be written.
pub fn run(args: &PlanArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = load(&sources(&args.config))?.config;
    let provider = Route53::new(config.route53.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let progress = Progress::new("reading the state of this node");
    let plan = runtime.block_on(async {
        let mut world = World::read(&config, &provider, &progress).await?;
        let records = world.policy.records.clone();
        let outlooks = world.outlook(&records, &provider, &progress).await;
        anyhow::Ok(Plan::of(&world.policy, &outlooks, world.unread, world.doubtful))
    })?;
    drop(progress);
    match args.output.structured() {
        Some(format) => emit_value(out, &plan, format)?,
        None => emit(out, &render(&plan, terminal_width()))?,
    }
    if !plan.complete && args.output.structured().is_some() {
        emit(err, "error: not everything could be read, so the plan is incomplete; see 'unread'\n")?;
    }
    Ok(plan.exit())
}

impl Plan {
    /// The plan for these records. `doubtful` where this may be another node.
    pub fn of(policy: &Policy, outlooks: &[Outlook], unread: Vec<Unread>, doubtful: bool) -> Self {
        let of_record = |outlook: &Outlook| -> Vec<PlannedRecord> {
            let Outlook { record, listing, forecast, .. } = outlook;
            forecast.types.iter().map(|planned| of_type(policy, record, listing, planned)).collect()
        };
        let records: Vec<PlannedRecord> = outlooks.iter().flat_map(of_record).collect();
        Plan {
            node: policy.owner.node().to_owned(),
            cluster: policy.owner.cluster().to_owned(),
            complete: !doubtful && records.iter().all(|record| record.known),
            differences: records.iter().any(|record| !record.changes.is_empty() || record.lacks_check()),
            unread,
            records,
        }
    }

    /// How the command ends.
    pub fn exit(&self) -> Exit {
        match (self.complete, self.differences) {
            (false, _) => {
                let causes: Vec<Exit> = self.unread.iter().map(|unread| unread.exit).collect();
                let can_be_mended = |cause: &Exit| matches!(cause, Exit::Unavailable | Exit::NotPermitted);
                let all = causes.iter().all(can_be_mended);
                // Where both are, what is denied stays so however often it is tried.
                causes.into_iter().max().filter(|_| all).unwrap_or(Exit::Failed)
            }
            (true, true) => Exit::Differs,
            (true, false) => Exit::Ok,
        }
    }
}

impl PlannedRecord {
    /// Whether a health check would be created for it.
    fn lacks_check(&self) -> bool {
        self.health_check.as_ref().is_some_and(|check| check.state == CheckState::Missing)
    }
}

fn of_type(
    policy: &Policy,
    record: &RecordPolicy,
    listing: &Observed<Listing>,
    forecast: &TypeForecast,
) -> PlannedRecord {
    let TypeForecast { plan, check: _, known } = forecast;
    let listing = listing.known();
    let empty = Pool::new();
    let pool = listing.map(|listing| listing.pool(plan.rtype).unwrap_or(&empty));
    let diff = listing.zip(pool).map(|(listing, pool)| {
        let (zone_id, name, changes) = (listing.zone_id.clone(), record.name.clone(), plan.changes.clone());
        PoolDiff::of(&Batch { zone_id, name, rtype: plan.rtype, changes }, pool)
    });
    let addresses = |set: &RecordSet| set.addresses().into_iter().collect();
    let check = |state, spec: &CheckSpec, id: Option<&String>| {
        Some(PlannedCheck { state, checks: spec.to_string(), id: id.cloned() })
    };
    let intent = translate::intent(&plan.intent);
    PlannedRecord {
        name: record.name.to_string(),
        rtype: plan.rtype.as_str(),
        zone_id: listing.map(|listing| listing.zone_id.clone()),
        intent,
        reason: plan.intent.reason().as_str(),
        explanation: translate::explanation(&plan.intent, plan.held_back.as_ref()),
        held_back: plan.held_back.as_ref().map(|cause| cause.as_str()),
        known: *known,
        desired: if intent == Intent::Withdraw { Vec::new() } else { plan.desired.clone() },
        actual: pool.map(|pool| own_set(Some(pool), &policy.owner).map(addresses).unwrap_or_default()),
        ttl: plan.ttl,
        ttl_configured: (plan.ttl != record.ttl).then_some(record.ttl),
        routing: Routing::from(&plan.routing),
        health_check: match &forecast.check {
            Check::Nothing => None,
            Check::Found(spec, id) => check(CheckState::Found, spec, Some(id)),
            Check::Missing(spec) => check(CheckState::Missing, spec, None),
            Check::Impossible(spec) => check(CheckState::Impossible, spec, None),
            Check::Unknown(spec) => check(CheckState::Unknown, spec, None),
        },
        in_sync: plan.in_sync && !matches!(forecast.check, Check::Missing(_)),
        changes: diff.iter().flat_map(|diff| diff.edits.iter().map(EditView::from)).collect(),
        diff,
    }
}

/// The plan as a diff, with the reason for each record and type.
pub fn render(plan: &Plan, width: Option<usize>) -> String {
    let mut text = String::new();
    paragraph(&mut text, &format!("{} in cluster {}", plan.node, plan.cluster), 0, width);
    for unread in &plan.unread {
        paragraph(&mut text, &format!("could not read {}: {}", unread.what, unread.error), 0, width);
        if let Some(hint) = &unread.hint {
            paragraph(&mut text, &format!("hint: {hint}"), 0, width);
        }
    }
    for record in &plan.records {
        text.push('\n');
        match record.diff.as_ref().filter(|diff| !diff.edits.is_empty()) {
            Some(diff) => text.push_str(&render_diff(diff, width)),
            None => {
                let zone = record.zone_id.as_ref().map(|id| format!(" in {id}")).unwrap_or_default();
                paragraph(&mut text, &format!("{} {}{zone}", record.name, record.rtype), 0, width);
                let said = if record.known { "= no change" } else { "? not known" };
                paragraph(&mut text, said, 2, width);
            }
        }
        notes(record).iter().for_each(|note| paragraph(&mut text, note, 4, width));
    }
    text.push('\n');
    paragraph(&mut text, &summary(plan), 0, width);
    text
}

/// Why, and what else there is to say.
fn notes(record: &PlannedRecord) -> Vec<String> {
    let mut notes = vec![format!("{} ({}): {}", record.intent, record.reason, record.explanation)];
    if !record.known && !record.changes.is_empty() {
        notes.push("? there may be other changes, or none".to_owned());
    }
    if let Some(configured) = record.ttl_configured {
        notes.push(format!(
            "the TTL is {} instead of the configured {configured}, as the name's other record sets have it",
            record.ttl
        ));
    }
    notes.extend(record.health_check.as_ref().and_then(|check| match check.state {
        CheckState::Found => None,
        CheckState::Missing => Some(format!("a health check would be created for {}, and then attached", check.checks)),
        CheckState::Impossible => {
            Some(format!("no health check: Route 53 checks only globally reachable addresses, not {}", check.checks))
        }
        CheckState::Unknown => Some(format!("? whether there is a health check for {} is not known", check.checks)),
    }));
    notes
}

fn summary(plan: &Plan) -> String {
    let changes: usize = plan.records.iter().map(|record| record.changes.len()).sum();
    let checks = plan.records.iter().filter(|record| record.lacks_check()).count();
    let mut parts = Vec::new();
    if changes > 0 {
        parts.push(format!("{} would change", counted(changes, "record set")));
    }
    if checks > 0 {
        parts.push(format!("{} would be created", counted(checks, "health check")));
    }
    if parts.is_empty() && plan.complete {
        parts.push("nothing would change".to_owned());
    }
    if !plan.complete {
        let unknown = plan.records.iter().filter(|record| !record.known).count();
        let what = match unknown {
            0 => "this may be another node".to_owned(),
            _ => format!("{unknown} of {} could not be told", plan.records.len()),
        };
        parts.push(format!("the plan is incomplete: {what}"));
    }
    parts.join("; ")
}
