//! What `nodedns list` shows, for people.

use std::time::Duration;

use crate::cli::list::view::{Listed, PoolView, SetView};
use crate::cli::render::{counted, paragraph, table};
use crate::decide::time::Lasting;

/// How far what belongs to a row is set in below it.
const INDENT: usize = 4;

/// The pools, each under a heading, and what they add up to. Where the rows are wider than `width`, what
/// is of less importance stands below them.
pub fn render(listed: &Listed, width: Option<usize>) -> String {
    let mut text = String::new();
    for pool in &listed.pools {
        paragraph(&mut text, &heading(pool), 0, width);
        text.push_str(&rows(pool, width));
        text.push('\n');
    }
    paragraph(&mut text, &summary(listed), 0, width);
    if let Some(error) = listed.nodes_error.as_ref().filter(|error| error.is_meant()) {
        let unknown = match error.kind {
            "no_cluster" => "which record sets are of this cluster is not known",
            _ => "how the nodes are is not known",
        };
        paragraph(&mut text, &format!("{unknown}: {}", error.message), 0, width);
        if let Some(hint) = &error.hint {
            paragraph(&mut text, &format!("hint: {hint}"), 0, width);
        }
    }
    for remark in &listed.remarks {
        paragraph(&mut text, remark, 0, width);
    }
    // Where all are gone, it is more likely the list of another cluster.
    let some_are_there = sets(listed).any(|set| !matches!(set.node_state, "gone" | "unknown"));
    if some_are_there && sets(listed).any(|set| set.node_state == "gone") {
        paragraph(&mut text, "hint: 'nodedns prune' removes what nodes that are gone have left", 0, width);
    }
    text
}

/// What has gone wrong, for the error output; the rest is in what was shown, unless that was for `programs`.
pub(super) fn warnings(listed: &Listed, programs: bool) -> String {
    let mut text = String::new();
    if let Some(error) = listed.nodes_error.as_ref().filter(|error| !error.is_meant()) {
        text.push_str(&format!("warning: how the nodes are is not known: {}\n", error.message));
        if let Some(hint) = &error.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
    }
    for remark in listed.remarks.iter().filter(|_| programs) {
        text.push_str(&format!("warning: {remark}\n"));
    }
    for failure in &listed.errors {
        text.push_str(&format!("error: cannot read {}: {}\n", failure.what, failure.message));
    }
    text
}

fn sets(listed: &Listed) -> impl Iterator<Item = &SetView> {
    listed.pools.iter().flat_map(|pool| &pool.sets)
}

/// `edge.example.com A  (Z123, weighted, 3 record sets, TTL 60)`.
fn heading(pool: &PoolView) -> String {
    let mut policies: Vec<&str> = pool.sets.iter().filter_map(|set| set.routing_phrase.split(' ').next()).collect();
    policies.sort_unstable();
    policies.dedup();
    let ttls = pool.sets.iter().filter_map(|set| set.ttl);
    let ttl = match (ttls.clone().min(), ttls.max()) {
        (Some(least), Some(most)) if least == most => format!(", TTL {least}"),
        (Some(least), Some(most)) => format!(", TTL {least} to {most}"),
        _ => String::new(),
    };
    let count = counted(pool.sets.len(), "record set");
    format!("{} {} ({}, {}, {count}{ttl})", pool.name, pool.rtype, pool.zone_id, policies.join(" and "))
}

fn rows(pool: &PoolView, width: Option<usize>) -> String {
    let checks = pool.sets.iter().any(|set| set.health_check_id.is_some());
    let notes = pool.sets.iter().any(|set| !note(set).is_empty());
    let mut header = vec!["NODE", "STATE", "VALUES", "ROUTING"];
    header.extend(checks.then_some("HEALTH CHECK"));
    header.extend(notes.then_some("NOTE"));
    let cells = |set: &SetView| {
        let mut cells = vec![who(set), state(set), values(set), set.routing_phrase.clone()];
        cells.extend(checks.then(|| set.health_check_id.clone().unwrap_or_else(|| "-".to_owned())));
        cells.extend(notes.then(|| note(set)));
        cells
    };
    let wide: Vec<_> = pool.sets.iter().map(cells).collect();
    let text = table(&header, &wide, None);
    let fits = |text: &str| width.is_none_or(|width| text.lines().all(|line| line.chars().count() <= width));
    if fits(&text) {
        return text;
    }
    let narrow: Vec<_> = pool.sets.iter().map(|set| vec![who(set), state(set), values(set)]).collect();
    let mut lines =
        table(&["NODE", "STATE", "VALUES"], &narrow, None).lines().map(str::to_owned).collect::<Vec<_>>().into_iter();
    let mut text: String = lines.next().map(|header| header + "\n").unwrap_or_default();
    for (line, set) in lines.zip(&pool.sets) {
        text.push_str(&(line + "\n"));
        let check = set.health_check_id.as_ref().map(|id| format!("health check {id}")).unwrap_or_default();
        let details = [set.routing_phrase.clone(), check, note(set)];
        let details: Vec<String> = details.into_iter().filter(|detail| !detail.is_empty()).collect();
        paragraph(&mut text, &details.join(", "), INDENT, width);
    }
    text
}

/// Whose it is: the node, with its cluster before it where that is another one.
fn who(set: &SetView) -> String {
    match (&set.owner, set.relation) {
        (Some(owner), "foreign_cluster") => format!("{}/{}", owner.cluster, owner.node),
        (Some(owner), _) => owner.node.clone(),
        (None, _) => set.set_identifier.clone().unwrap_or_else(|| "-".to_owned()),
    }
}

fn state(set: &SetView) -> String {
    match (set.relation, set.node_state, set.not_ready_seconds) {
        ("foreign", ..) => "foreign".to_owned(),
        ("foreign_cluster", ..) => "other cluster".to_owned(),
        (_, "ready", _) => "live".to_owned(),
        (_, "not_ready", Some(seconds)) => format!("not ready for {}", lasting(seconds)),
        (_, "not_ready", None) => "not ready".to_owned(),
        (_, state, _) => state.to_owned(),
    }
}

fn values(set: &SetView) -> String {
    match (&set.alias, &set.traffic_policy_instance_id) {
        (Some(name), _) => format!("alias of {name}"),
        (None, Some(id)) => format!("traffic policy {id}"),
        (None, None) => set.values.join(", "),
    }
}

fn note(set: &SetView) -> String {
    let own = (set.relation == "own").then_some("this node");
    let deleting = set.deleting.then_some("its Node is being deleted");
    let attention = set.attention.map(|attention| if attention == "gone" { "left behind" } else { "still in DNS" });
    [own, set.node_state_reason, deleting, attention].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `12 record sets in 3 pools: 10 live, 1 not ready for 3h, 1 gone`.
fn summary(listed: &Listed) -> String {
    let all = sets(listed).count();
    if all == 0 {
        return "no record sets".to_owned();
    }
    let mut text = format!("{} in {}: ", counted(all, "record set"), counted(listed.pools.len(), "pool"));
    let kinds = [
        ("live", "ready"),
        ("cordoned", "cordoned"),
        ("not ready", "not_ready"),
        ("gone", "gone"),
        ("unknown", "unknown"),
        ("of other clusters", "foreign_cluster"),
        ("foreign", "foreign"),
    ];
    let mut parts = Vec::new();
    for (word, kind) in kinds {
        let of_kind = || sets(listed).filter(|set| kind_of(set) == kind);
        let count = of_kind().count();
        let longest = of_kind().filter_map(|set| set.not_ready_seconds).max();
        let lasted = match longest {
            Some(seconds) if count == 1 => format!(" for {}", lasting(seconds)),
            Some(seconds) => format!(" for up to {}", lasting(seconds)),
            None => String::new(),
        };
        if count > 0 {
            parts.push(format!("{count} {word}{lasted}"));
        }
    }
    text.push_str(&parts.join(", "));
    text
}

/// How its node is, where that can be known from here; else whose it is.
fn kind_of(set: &SetView) -> &'static str {
    match set.relation {
        "own" | "sibling" => set.node_state,
        relation => relation,
    }
}

fn lasting(seconds: u64) -> Lasting {
    Lasting(Duration::from_secs(seconds))
}
