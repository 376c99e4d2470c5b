//! What a prune has to say beside the diff, for people and for programs.

use serde::Serialize;

use crate::cli::operate::Report;
use crate::cli::render::{paragraph, printable, table};
use crate::cli::world::Unread;
use crate::decide::prune::{Dead, Decision, Place, Refusal, Why};

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
    /// What could not be read. Nothing is done there.
    pub unread: Vec<Unread>,
    /// Why nothing at all is done, where a guard forbids it; `null` otherwise.
    pub refused: Option<RefusedView>,
}

/// A guard that forbids everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedView {
    /// Which one, in snake case: `no_nodes`, `wrong_cluster`, `owners_gone`, `majority_down` or `too_many`.
    pub code: &'static str,
    /// Why.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
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
    /// How it is, for people.
    #[serde(skip)]
    pub explanation: String,
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
    /// Why, in snake case: `live`, `cordoned`, `not_ready_within_grace`, `not_ready_ignored`,
    /// `not_ready_since_unknown`, `gone_within_grace`, `not_asked`, `changed`, `keep_min`, `not_a_node`, `keep_nodes`, `other_cluster`,
    /// `foreign` or `traffic_policy`.
    pub reason: &'static str,
    /// Why, for people.
    pub explanation: String,
    /// `gone` or `not_ready`, where that is why it might have gone; `null` otherwise.
    pub condition: Option<&'static str>,
    /// For how many seconds its node has not been Ready, where that is known.
    pub for_seconds: Option<u64>,
}

impl DeadView {
    /// This node, and why it is dead.
    pub fn new(node: &str, dead: &Dead) -> Self {
        let (reason, explanation) = match dead {
            Dead::Gone => (None, format!("{node} is gone: the cluster has no Node of this name")),
            Dead::NotReady(_, reason) => (reason.clone(), format!("{node} {dead}")),
        };
        let (condition, for_seconds) = state(dead);
        DeadView { node: node.to_owned(), condition, for_seconds, reason, explanation }
    }
}

/// How a dead node is, and for how many seconds.
fn state(dead: &Dead) -> (&'static str, Option<u64>) {
    match dead {
        Dead::Gone => ("gone", None),
        Dead::NotReady(lasts, _) => ("not_ready", Some(lasts.as_secs())),
    }
}

impl KeptView {
    /// A record set at a place, and why it stays.
    pub fn new(place: &Place, set_identifier: Option<String>, why: &Why) -> Self {
        let (condition, for_seconds) = match why {
            Why::KeepMin(_, dead) => {
                let (condition, for_seconds) = state(dead);
                (Some(condition), for_seconds)
            }
            Why::NotReadyFor(lasts) => (Some("not_ready"), Some(lasts.as_secs())),
            Why::SinceUnknown => (Some("not_ready"), None),
            Why::GoneLately => (Some("gone"), None),
            _ => (None, None),
        };
        KeptView {
            name: place.name.to_string(),
            rtype: place.rtype.as_str(),
            zone_id: place.zone_id.clone(),
            set_identifier,
            reason: why.as_str(),
            explanation: why.to_string(),
            condition,
            for_seconds,
        }
    }
}

impl RefusedView {
    pub(super) fn new(refusal: &Refusal) -> Self {
        let text = refusal.to_string();
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        RefusedView { code: refusal.as_str(), message, hint }
    }
}

/// What was decided, for programs.
pub(super) fn view(decision: &Decision, places: &[Place], report: Report) -> Shown {
    let kept = decision.kept.iter().filter_map(|kept| {
        let identifier = kept.set_identifier.as_ref().map(|id| id.0.clone());
        Some(KeptView::new(places.get(kept.place)?, identifier, &kept.why))
    });
    let kept = kept.collect();
    let nodes = decision.dead.iter().map(|(node, dead)| DeadView::new(node, dead)).collect();
    Shown { report, nodes, kept, unread: Vec::new(), refused: None }
}

/// Who is dead, and what stays although one might expect otherwise. What would go is shown as a diff below it.
pub fn render(shown: &Shown, width: Option<usize>) -> String {
    let mut text = String::new();
    for dead in &shown.nodes {
        text.push_str(&format!("{}\n", printable(&dead.explanation)));
    }
    let expected = ["live", "not_a_node", "other_cluster", "foreign", "not_asked"];
    let kept: Vec<&KeptView> = shown.kept.iter().filter(|kept| !expected.contains(&kept.reason)).collect();
    if !kept.is_empty() {
        let row = |kept: &&KeptView| {
            let identifier = kept.set_identifier.clone().unwrap_or_else(|| "-".to_owned());
            vec![kept.name.clone(), kept.rtype.to_owned(), identifier, printable(&kept.explanation)]
        };
        let rows: Vec<_> = kept.iter().map(row).collect();
        let blank = if text.is_empty() { "" } else { "\n" };
        text.push_str(&format!("{blank}what stays:\n{}", table(&["NAME", "TYPE", "SET", "WHY"], &rows, width)));
    }
    let mut names: Vec<&str> = kept.iter().filter(|k| k.reason == "keep_min").map(|k| k.name.as_str()).collect();
    names.dedup();
    if !names.is_empty() {
        let more = if names.len() > HINTED { " …" } else { "" };
        let names = names.into_iter().take(HINTED).collect::<Vec<_>>().join(" ");
        let hint = format!(
            "hint: 'nodedns prune {names}{more} --keep-min 0' deletes what dead nodes have left there, even if nobody \
             answers then; keep_min = 0 in the record says so for good"
        );
        paragraph(&mut text, &hint, 0, width);
    }
    if shown.report.pools.is_empty() {
        text.push_str("dead nodes have left nothing that may be deleted\n");
    } else if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// How many names a hint has.
const HINTED: usize = 3;
