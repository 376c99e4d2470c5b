//! `nodedns health-checks`: the managed health checks of the cluster, and those that no record set in
//! the hosted zones of the configured records refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::cli::args::{GcArgs, HealthChecksArgs, HealthChecksCommand, Output};
use crate::cli::config::sources;
use crate::cli::exit::Exit;
use crate::cli::pools::UNKNOWN_NODE;
use crate::cli::progress::{Progress, thousands};
use crate::cli::render::{counted, emit, emit_value, table, terminal_width};
use crate::config::{Config, Span, load};
use crate::decide::health_check::{FoundCheck, OWNER_TAG, ZONE_TAG};
use crate::decide::name::DnsName;
use crate::decide::owner::{OwnerId, SetIdentifier};
use crate::decide::record::{Listing, RecordType, ZoneRef};
use crate::publish::Provider;
use crate::publish::route53::Route53;

/// A health check of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// Its caller reference.
    pub reference: String,
    /// The node, if its tags say so.
    pub node: Option<String>,
    /// The record, if it is a configured one.
    pub record: Option<String>,
    /// The record's type.
    #[serde(rename = "type")]
    pub rtype: Option<String>,
    /// The record's hosted zone.
    pub zone_id: Option<String>,
    /// What it asks, in the manner of a URL; `null` when somebody has edited it.
    pub checks: Option<String>,
    /// Whether a record set refers to it.
    pub state: State,
    /// What was done to it; only in the output of `gc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// Whether a record set refers to a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// One in the hosted zones of the configured records does.
    Attached,
    /// It belongs to a configured record, and none in their hosted zones does.
    Unattached,
    /// It belongs to none of the configured records, or its tags say so, and it cannot be told.
    Unknown,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Attached => "attached",
            State::Unattached => "unattached",
            State::Unknown => "unknown",
        }
    }
}

/// What `gc` did to a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing; with `--yes` it would be deleted.
    WouldDelete,
    /// Deleted.
    Deleted,
    /// Nothing: by the second look it was gone, or in use.
    Left,
    /// The deletion failed.
    Failed,
}

/// What `--output json` prints.
#[derive(Serialize)]
struct Shown<'a> {
    /// The cluster's health checks; with `gc` only those that were unattached at the first look.
    health_checks: &'a [Entry],
}

/// Lists the health checks of the configured cluster, or deletes those of configured records that no
/// record set in their hosted zones refers to.
///
/// # Errors
/// When the configuration cannot be read, Route 53 cannot be asked
/// ([`ProviderError`](crate::decide::provider::ProviderError)) or the output cannot be written.
pub fn run(args: &HealthChecksArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let file = match &args.command {
        HealthChecksCommand::List(args) => &args.config,
        HealthChecksCommand::Gc(args) => &args.config,
    };
    let config = load(&sources(file))?.config;
    let provider = Route53::new(config.route53.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &args.command {
            HealthChecksCommand::List(args) => {
                show(&look(&config, &provider).await?, args.output, out)?;
                Ok(Exit::Ok)
            }
            HealthChecksCommand::Gc(args) => collect(&config, &provider, args, out, err).await,
        }
    })
}

/// Everything about the cluster's health checks as it is now: read whole, or an error, because what
/// was not read would look like something that nothing refers to.
async fn look(config: &Config, provider: &impl Provider) -> anyhow::Result<Vec<Entry>> {
    let progress = Progress::new("reading the health checks");
    let listing = provider.health_checks().await.context("cannot list the health checks")?;
    let of_cluster = |check: &FoundCheck| check.reference.place.is_of_cluster(&config.cluster);
    let ours: Vec<FoundCheck> = listing.ours.into_iter().filter(of_cluster).collect();
    let ids: Vec<String> = ours.iter().map(|check| check.id.clone()).collect();
    progress.say(format!("reading the tags of {} health checks", thousands(ids.len())));
    let tags = provider.health_check_tags(&ids).await.context("cannot read the tags of the health checks")?;
    let mut names = Names { provider, progress: &progress, listings: BTreeMap::new() };
    let mut entries = Vec::new();
    for check in &ours {
        // Tags can be written by anyone, the reference only when it is created: what they say has to agree.
        let tagged = tags.get(&check.id).and_then(|tags| tags.get(OWNER_TAG));
        let owner = tagged.and_then(|text| OwnerId::parse(&SetIdentifier(text.clone())));
        let owner = owner.filter(|owner| check.reference.place.is_of(owner));
        let node = owner.as_ref().map(|owner| owner.node().to_owned()).or_else(|| config.node.clone());
        let home = names.home(config, check, node.as_deref().unwrap_or(UNKNOWN_NODE)).await?;
        let tagged_zone = tags.get(&check.id).and_then(|tags| tags.get(ZONE_TAG));
        let home = home.filter(|(_, _, zone_id)| tagged_zone.is_none_or(|tagged| tagged == zone_id));
        entries.push(Entry {
            id: check.id.clone(),
            reference: check.reference.to_string(),
            node: owner.map(|owner| owner.node().to_owned()),
            state: if home.is_some() { State::Unattached } else { State::Unknown },
            record: home.as_ref().map(|(name, _, _)| name.to_string()),
            rtype: home.as_ref().map(|(_, rtype, _)| rtype.to_string()),
            zone_id: home.map(|(_, _, zone_id)| zone_id),
            checks: check.spec.as_ref().map(ToString::to_string),
            outcome: None,
        });
    }
    let used = names.used().await?;
    for entry in entries.iter_mut().filter(|entry| used.contains(&entry.id)) {
        entry.state = State::Attached;
    }
    entries.sort_by(|a, b| (&a.record, &a.rtype, &a.node, &a.id).cmp(&(&b.record, &b.rtype, &b.node, &b.id)));
    Ok(entries)
}

/// What the configured names hold, and so which hosted zones are theirs.
struct Names<'a, P> {
    provider: &'a P,
    progress: &'a Progress,
    listings: BTreeMap<(ZoneRef, DnsName), Listing>,
}

impl<P: Provider> Names<'_, P> {
    /// The configured record that a health check of this node is for; every name that it may be is read.
    async fn home(
        &mut self,
        config: &Config,
        check: &FoundCheck,
        node: &str,
    ) -> anyhow::Result<Option<(DnsName, RecordType, String)>> {
        // A node whose name makes no record's name has no record.
        let Ok(policy) = config.policy(node, false) else { return Ok(None) };
        let mut home = None;
        for record in policy.records {
            let listing = match self.listings.entry((record.zone, record.name.clone())) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    let (zone, name) = place.key();
                    self.progress.say(format!("reading {name}"));
                    let read = self.provider.list(zone, name).await.with_context(|| format!("cannot read {name}"))?;
                    place.insert(read)
                }
            };
            let is_for = |rtype: &RecordType| check.reference.place.is_for(&listing.zone_id, &record.name, *rtype);
            if let Some(rtype) = RecordType::ALL.into_iter().find(is_for) {
                home = Some((record.name, rtype, listing.zone_id.clone()));
            }
        }
        Ok(home)
    }

    /// The ids of the health checks that a record set of these names' zones refers to, whatever its
    /// name and whoever's it is.
    async fn used(&self) -> anyhow::Result<BTreeSet<String>> {
        let zone_ids: BTreeSet<&str> = self.listings.values().map(|listing| listing.zone_id.as_str()).collect();
        let mut used = BTreeSet::new();
        for zone_id in zone_ids {
            self.progress.say(format!("reading hosted zone {zone_id}"));
            let read = self.provider.health_checks_in_use(zone_id).await;
            used.extend(read.with_context(|| format!("cannot read the hosted zone {zone_id}"))?);
        }
        Ok(used)
    }
}

async fn collect(
    config: &Config,
    provider: &impl Provider,
    args: &GcArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let mut entries = look(config, provider).await?;
    entries.retain(|entry| entry.state == State::Unattached);
    if entries.is_empty() {
        match args.output {
            Output::Json | Output::Yaml => show(&entries, args.output, out)?,
            Output::Table => emit(
                out,
                "every health check is in use, or for a record that is not configured here: nothing to delete\n",
            )?,
        }
        return Ok(Exit::Ok);
    }
    let count = counted(entries.len(), "health check");
    if !args.yes && !agreed(&entries, &count, err)? {
        entries.iter_mut().for_each(|entry| entry.outcome = Some(Outcome::WouldDelete));
        show(&entries, args.output, out)?;
        writeln!(
            err,
            "{count} to which no record set in the hosted zones of the configured records refers; nothing was deleted\nhint: 'nodedns health-checks gc --yes'"
        )?;
        return Ok(Exit::Differs);
    }
    // A node may have created one a moment ago, and be about to attach it.
    writeln!(err, "looking again in {}, then deleting what is still unattached", args.grace)?;
    tokio::time::sleep(args.grace.0).await;
    let again = look(config, provider).await?;
    let is_still = |id: &str| again.iter().any(|entry| entry.id == id && entry.state == State::Unattached);
    let mut failed = None;
    for entry in &mut entries {
        entry.outcome = Some(match is_still(&entry.id) {
            false => Outcome::Left,
            true => match provider.delete_health_check(&entry.id).await {
                Ok(()) => Outcome::Deleted,
                Err(error) => {
                    failed = Some(error);
                    Outcome::Failed
                }
            },
        });
    }
    show(&entries, args.output, out)?;
    match failed {
        None => Ok(Exit::Ok),
        Some(error) => Err(error).context("not every health check could be deleted"),
    }
}

/// Asks whoever sits at the terminal; where nobody does, the answer is no.
fn agreed(entries: &[Entry], count: &str, err: &mut dyn Write) -> io::Result<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    write!(err, "{}\ndelete {count}? [y/N] ", render(entries, terminal_width()))?;
    err.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn show(entries: &[Entry], output: Output, out: &mut dyn Write) -> anyhow::Result<()> {
    match output.structured() {
        Some(format) => emit_value(out, &Shown { health_checks: entries }, format)?,
        None => emit(out, &render(entries, terminal_width()))?,
    }
    Ok(())
}

/// The health checks as a table.
pub fn render(entries: &[Entry], width: Option<usize>) -> String {
    if entries.is_empty() {
        return "the cluster has no health checks\n".to_owned();
    }
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let row = |entry: &Entry| {
        let state = match entry.outcome {
            None => entry.state.as_str(),
            Some(Outcome::WouldDelete) => "unattached",
            Some(Outcome::Deleted) => "deleted",
            Some(Outcome::Left) => "left, in use or gone by now",
            Some(Outcome::Failed) => "not deleted",
        };
        vec![
            entry.id.clone(),
            or_dash(&entry.node),
            or_dash(&entry.record),
            or_dash(&entry.rtype),
            entry.checks.clone().unwrap_or_else(|| "edited".to_owned()),
            state.to_owned(),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    table(&["ID", "NODE", "RECORD", "TYPE", "CHECKS", "STATE"], &rows, width)
}

/// The shortest time between the two looks: what is created in one moment is attached in the next.
const GRACE_MIN: Duration = Duration::from_secs(1);

/// Reads the time between the two looks.
pub(super) fn grace(text: &str) -> Result<Span, String> {
    match Span::parse(text)? {
        span if span.0 < GRACE_MIN => Err(format!("{span} is less than {}", Span(GRACE_MIN))),
        span => Ok(span),
    }
}
