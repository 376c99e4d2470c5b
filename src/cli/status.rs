//! `nodedns status`: what the daemon says of itself.

mod notes;

use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use self::notes::{alike, headings, notes};
use crate::cli::args::{ConfigFile, StatusArgs};
use crate::cli::config::sources;
use crate::cli::exit::Exit;
use crate::cli::render::{
    Structured, distance, emit, emit_exact, emit_one_of_many, emit_value, paragraph, printable_lines, table_of_lines,
    terminal_width,
};
use crate::config::{DEFAULT_SOCKET, Problems, load};
use crate::control::client;
use crate::control::protocol::{
    AnnotationStatus, DeadCondition, DrainState, DrainStatus, Intent, KubernetesStatus, NodeCondition, RecordStatus,
    Status, SurvivorsState, SurvivorsStatus,
};
use crate::watch::clock;

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a table on a terminal is drawn again while nothing happens, so that ages go on.
const REDRAW: Duration = Duration::from_secs(1);

/// Empties the terminal's screen, not what has scrolled off it (ECMA-48 CUP and ED).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows the status once, or with `--watch` again whenever it changes, until the daemon stops: JSON
/// then as a line for each, YAML as a document for each, a table on a terminal in place, elsewhere as
/// a block for each.
///
/// # Errors
/// When the daemon cannot be asked ([`client::Error`]), the configuration that was named cannot be
/// read, or the output cannot be written.
pub fn run(args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let socket = socket(args.socket.as_deref(), &args.config)?;
    let format = args.output.structured();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match args.watch {
        true => runtime.block_on(follow(&socket, format, out)),
        false => runtime.block_on(show(&socket, format, out)),
    }
}

/// Where the daemon listens. Who may ask it may not be able to read its configuration, and it may
/// well run on with what it has read before somebody broke the file.
pub(super) fn socket(named: Option<&Path>, config: &ConfigFile) -> Result<PathBuf, Problems> {
    if let Some(socket) = named {
        return Ok(socket.to_owned());
    }
    match load(&sources(config)) {
        Ok(loaded) => Ok(loaded.config.socket),
        Err(_) if config.path.is_none() => Ok(DEFAULT_SOCKET.into()),
        Err(problems) => Err(problems),
    }
}

async fn show(socket: &Path, format: Option<Structured>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let status = client::status(socket, PATIENCE).await?;
    match format {
        Some(format) => emit_value(out, &status, format)?,
        None => emit(out, &render(&status, clock::wall(), terminal_width()))?,
    }
    Ok(if status.healthy { Exit::Ok } else { Exit::Differs })
}

async fn follow(socket: &Path, format: Option<Structured>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut watch = client::watch(socket, PATIENCE).await?;
    let in_place = format.is_none() && io::stdout().is_terminal();
    let mut status = watch.next().await?;
    loop {
        if let Some(format) = format {
            emit_one_of_many(out, &status, format)?;
        } else {
            let text = render(&status, clock::wall(), terminal_width());
            match in_place {
                true => emit_exact(out, &format!("{CLEAR}{}", printable_lines(&text)))?,
                false => emit(out, &format!("{text}\n"))?,
            }
        }
        tokio::select! {
            next = watch.next() => status = next?,
            () = tokio::time::sleep(REDRAW), if in_place => {}
        }
    }
}

/// What a dry run cannot show.
const DRY_RUN: &str = "dry run: nothing is written to Route 53; the pool's other record sets are not known, so keep_min is \
                       not applied";

/// The status as a table, with what needs attention below it.
pub fn render(status: &Status, now: Timestamp, width: Option<usize>) -> String {
    let mut text = String::new();
    paragraph(&mut text, &headline(status, now), 0, width);
    // What to do about it is on a line of its own.
    kubernetes(&status.kubernetes, now).lines().for_each(|line| paragraph(&mut text, line, 0, width));
    for line in annotations(&status.kubernetes.annotations, now) {
        paragraph(&mut text, &line, 0, width);
    }
    for probe in &status.probes {
        if let Some(error) = &probe.error {
            let since = probe.since.map(|since| format!(" for {}", distance(since, now))).unwrap_or_default();
            paragraph(&mut text, &format!("the probe {} has failed{since}: {error}", probe.check), 0, width);
        }
    }
    if status.drain.state == DrainState::Drained {
        paragraph(&mut text, &drained(&status.drain), 0, width);
    }
    if let Some(warning) = &status.drain.warning {
        paragraph(&mut text, &format!("drain: {warning}"), 0, width);
    }
    if let Some(survivors) = &status.survivors {
        let lines = survivors_lines(survivors, status.kubernetes.error.as_deref(), now);
        lines.iter().flat_map(|line| line.lines()).for_each(|line| paragraph(&mut text, line, 0, width));
    }
    if let Some(refused) = &status.reload_refused {
        let refused = refused.replace('\n', "; ");
        paragraph(&mut text, &format!("reload refused, the old configuration stays in force: {refused}"), 0, width);
    }
    if status.dry_run {
        paragraph(&mut text, DRY_RUN, 0, width);
    }
    text.push('\n');
    // On one line if there is room, the wanted below the published if not. A wrapped address is of
    // no use to anyone, so where even that is too wide there is no table.
    let fits = |table: &String| width.is_none_or(|width| table.lines().all(|line| line.chars().count() <= width));
    let table = [true, false].into_iter().map(|one_line| records(&status.records, now, one_line)).find(fits);
    text.push_str(table.as_deref().unwrap_or_default());
    // In words each record has something of its own.
    let groups = match table {
        Some(_) => alike(&status.records, status.dry_run),
        None => status.records.iter().map(|record| vec![record]).collect(),
    };
    for records in groups {
        let rows = records.iter().filter(|_| table.is_none()).flat_map(|record| row_in_words(record, now));
        let lines: Vec<String> = rows.chain(notes(&records, now, status.dry_run)).collect();
        if lines.is_empty() {
            continue;
        }
        let blank = if text.ends_with("\n\n") { "" } else { "\n" };
        text.push_str(blank);
        headings(&records).iter().for_each(|heading| text.push_str(&format!("{heading}\n")));
        lines.iter().for_each(|line| paragraph(&mut text, line, 2, width));
    }
    text
}

/// Since when and until when the node is drained, by whom and why.
pub(super) fn drained(drain: &DrainStatus) -> String {
    let mut text = match drain.state {
        DrainState::None => return "not drained".to_owned(),
        DrainState::Unknown => return "drained or not, nobody knows".to_owned(),
        DrainState::Drained if drain.force => "drained by force".to_owned(),
        DrainState::Drained => "drained".to_owned(),
    };
    if let Some(since) = drain.since {
        text += &format!(" since {}", seconds(since));
    }
    if let Some(until) = drain.until {
        text += &format!(" until {}", seconds(until));
    }
    if let Some(uid) = drain.uid {
        text += &format!(" by uid {uid}");
    }
    if let Some(reason) = &drain.reason {
        text += &format!(": {reason}");
    }
    text
}

/// A time in whole seconds, as nobody reads more of it.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn headline(status: &Status, now: Timestamp) -> String {
    let troubled = status.records.iter().filter(|record| !record.healthy).count();
    let health = match troubled {
        _ if status.healthy => "healthy".to_owned(),
        0 => "unhealthy".to_owned(),
        _ => format!("unhealthy, {troubled} of {} need attention", status.records.len()),
    };
    format!(
        "{} in cluster {}: {health} (nodedns {}, up {})",
        status.node,
        status.cluster,
        status.version,
        distance(status.since, now)
    )
}

fn kubernetes(kubernetes: &KubernetesStatus, now: Timestamp) -> String {
    if !kubernetes.enabled {
        return match &kubernetes.error {
            Some(error) => format!("Kubernetes: not used: {error}"),
            None => "Kubernetes: not used".to_owned(),
        };
    }
    let node = kubernetes.node.as_deref().unwrap_or("the node");
    let mut text = match (kubernetes.state, &kubernetes.ready_reason) {
        (NodeCondition::Ready, _) => format!("Kubernetes: {node} is Ready"),
        (NodeCondition::NotReady, Some(why)) => {
            // The kubelet's messages may be of several lines.
            let message = kubernetes.ready_message.iter().flat_map(|message| message.split_whitespace());
            let message = message.fold(String::new(), |text, word| text + " " + word);
            let colon = if message.is_empty() { "" } else { ":" };
            format!("Kubernetes: {node} is not Ready ({why}{colon}{message})")
        }
        (NodeCondition::NotReady, None) => format!("Kubernetes: {node} is not Ready"),
        (NodeCondition::Absent, _) => format!("Kubernetes: there is no node {node}"),
        (NodeCondition::Unknown, _) => format!("Kubernetes: the state of {node} is unknown"),
    };
    if kubernetes.unschedulable == Some(true) {
        text += ", cordoned";
    }
    if kubernetes.deleting == Some(true) {
        text += ", being deleted";
    }
    if let Some(taints) = kubernetes.taints.as_ref().filter(|taints| !taints.is_empty()) {
        text += &format!(", tainted {}", taints.join(" "));
    }
    if !kubernetes.connected {
        text += &format!("; out of touch with {}", kubernetes.server.as_deref().unwrap_or("the API server"));
        if let Some(at) = kubernetes.last_contact {
            text += &format!(" for {}", distance(at, now));
        }
        if let Some(error) = &kubernetes.error {
            text += &format!(": {error}");
        }
    }
    text
}

/// What the Node's annotations have changed, and what is wrong with them.
fn annotations(annotations: &AnnotationStatus, now: Timestamp) -> Vec<String> {
    let parts: Vec<String> = [
        annotations.weight.map(|weight| format!("weight {weight}")),
        annotations.coordinates.as_ref().map(|point| format!("coordinates {point}")),
        annotations.bias.map(|bias| format!("bias {bias}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut lines = Vec::new();
    if !parts.is_empty() {
        lines.push(format!("annotations of the Node: {}", parts.join(", ")));
    }
    if let Some(due) = annotations.change_due.filter(|due| due.duration_since(now).is_positive()) {
        lines.push(format!(
            "annotations of the Node have changed; that takes effect in {} if they stay so",
            distance(due, now)
        ));
    }
    lines.extend(annotations.mistakes.iter().cloned());
    lines
}

/// How it stands with the other nodes, and for each that is dead what becomes of its record sets.
/// `kubernetes` is why the own Node is not known: the same is not said twice.
fn survivors_lines(survivors: &SurvivorsStatus, kubernetes: Option<&str>, now: Timestamp) -> Vec<String> {
    let state = match survivors.state {
        SurvivorsState::Watching => "watching",
        SurvivorsState::Frozen => "frozen",
        SurvivorsState::Unknown => "unknown",
        SurvivorsState::NotFit => "not fit",
    };
    let explanation = survivors.explanation.strip_prefix("survivors frozen: ").unwrap_or(&survivors.explanation);
    let mut lines = match kubernetes == Some(explanation) {
        true => vec![format!("Survivors: {state}, for the same reason")],
        false => vec![format!("Survivors: {state}: {explanation}")],
    };
    for dead in &survivors.dead {
        let condition = match dead.condition {
            DeadCondition::NotReady => "not Ready",
            DeadCondition::Gone => "gone",
        };
        let removal = match dead.removal_at {
            None => "its record sets stay".to_owned(),
            Some(at) if at > now => format!("its record sets are removed in {}", distance(at, now)),
            Some(_) => "its record sets are being removed".to_owned(),
        };
        lines.push(format!("{} has been {condition} for {}; {removal}", dead.node, distance(dead.since, now)));
    }
    lines
}

fn records(records: &[RecordStatus], now: Timestamp, one_line: bool) -> String {
    let rows: Vec<_> = records.iter().map(|record| row(record, now, one_line)).collect();
    table_of_lines(&["NAME", "TYPE", "INTENT", "SINCE", "PUBLISHED", "REASON"], &rows)
}

/// Cells, each with its lines.
fn row(record: &RecordStatus, now: Timestamp, one_line: bool) -> Vec<Vec<String>> {
    let published = match published(record) {
        (published, None) => vec![published],
        (published, Some(wanted)) if one_line => vec![format!("{published} -> {wanted}")],
        (published, Some(wanted)) => vec![published, format!("-> {wanted}")],
    };
    vec![
        vec![record.name.clone()],
        vec![record.rtype.clone()],
        vec![record.intent.to_string()],
        vec![distance(record.since, now)],
        published,
        vec![record.reason.clone()],
    ]
}

fn row_in_words(record: &RecordStatus, now: Timestamp) -> Vec<String> {
    let (published, wanted) = published(record);
    let mut lines = vec![
        format!("{} for {} ({})", record.intent, distance(record.since, now), record.reason),
        format!("published: {published}"),
    ];
    lines.extend(wanted.map(|wanted| format!("wanted: {wanted}")));
    lines
}

/// What Route 53 has and, where that is something else, what is wanted.
fn published(record: &RecordStatus) -> (String, Option<String>) {
    let actual = record.actual.as_deref().map_or_else(|| "unknown".to_owned(), list);
    let same = record.actual.as_ref().is_some_and(|actual| {
        actual.len() == record.desired.len() && actual.iter().all(|address| record.desired.contains(address))
    });
    let content = record.in_sync || same || record.intent == Intent::Preserve;
    (actual, (!content).then(|| list(&record.desired)))
}

fn list(addresses: &[IpAddr]) -> String {
    match addresses {
        [] => "nothing".to_owned(),
        _ => addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", "),
    }
}
