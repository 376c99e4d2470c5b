//! What would become of record sets, for people and for programs.

use serde::Serialize;

use crate::cli::render::{paragraph, printable};
use crate::control::protocol::Routing;
use crate::decide::batch::{Batch, Edit};
use crate::decide::name::DnsName;
use crate::decide::owner::{OwnerId, SetIdentifier};
use crate::decide::record::{Pool, RecordSet, RecordType, Target, Value};
use crate::decide::routing::{self, Location};

/// What becomes of the record sets at one name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolDiff {
    /// The hosted zone's id.
    pub zone_id: String,
    /// The name.
    pub name: DnsName,
    /// The type.
    pub rtype: RecordType,
    /// What becomes of each record set.
    pub edits: Vec<Edit>,
    /// What is deleted and created again unchanged, so that nothing is done if it has gone meanwhile.
    pub witnesses: Vec<SetIdentifier>,
}

impl PoolDiff {
    /// What the batch makes of the pool that it was decided for.
    pub fn of(batch: &Batch, pool: &Pool) -> Self {
        let (zone_id, name) = (batch.zone_id.clone(), batch.name.clone());
        let witnesses = batch.witnesses(pool).into_iter().flatten().collect();
        PoolDiff { zone_id, name, rtype: batch.rtype, edits: batch.edits(pool), witnesses }
    }

    /// The same for programs.
    pub fn view(&self) -> PoolDiffView {
        PoolDiffView {
            name: self.name.to_string(),
            rtype: self.rtype.as_str(),
            zone_id: self.zone_id.clone(),
            changes: self.edits.iter().map(EditView::from).collect(),
            witnesses: self.witnesses.iter().map(|SetIdentifier(text)| text.clone()).collect(),
        }
    }
}

/// The changes of a pool for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolDiffView {
    /// The name, without the trailing dot.
    pub name: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub rtype: &'static str,
    /// The hosted zone's id.
    pub zone_id: String,
    /// What becomes of each record set that does not stay as it is.
    pub changes: Vec<EditView>,
    /// The set identifiers of what is deleted and created again unchanged, in the same batch: Route 53 refuses
    /// it if one of them has gone meanwhile.
    pub witnesses: Vec<String>,
}

/// One edit for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EditView {
    /// `create`, `update` or `delete`.
    pub action: &'static str,
    /// The set identifier; `null` for a simple record set.
    pub set_identifier: Option<String>,
    /// Whose record set it is; `null` for one that nodedns has not written.
    pub owner: Option<OwnerView>,
    /// As it is; `null` when it comes.
    pub before: Option<RecordSetView>,
    /// As it will be; `null` when it goes.
    pub after: Option<RecordSetView>,
}

/// Whose record set it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnerView {
    /// The cluster.
    pub cluster: String,
    /// The node.
    pub node: String,
}

/// What a record set says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordSetView {
    /// The values, as they are written; none for an alias.
    pub values: Vec<String>,
    /// Time to live in seconds; `null` for an alias.
    pub ttl: Option<u32>,
    /// The routing policy.
    pub routing: Routing,
    /// The health check.
    pub health_check_id: Option<String>,
    /// The name that an alias points to; only there for an alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

impl From<&Edit> for EditView {
    fn from(edit: &Edit) -> Self {
        let owner = edit.set_identifier().and_then(OwnerId::parse);
        EditView {
            action: match edit {
                Edit::Create(_) => "create",
                Edit::Delete(_) => "delete",
                Edit::Replace { .. } => "update",
            },
            set_identifier: edit.set_identifier().map(|SetIdentifier(text)| text.clone()),
            owner: owner.map(|id| OwnerView { cluster: id.cluster().to_owned(), node: id.node().to_owned() }),
            before: edit.before().map(RecordSetView::from),
            after: edit.after().map(RecordSetView::from),
        }
    }
}

impl From<&RecordSet> for RecordSetView {
    fn from(set: &RecordSet) -> Self {
        RecordSetView {
            values: values(set).into_iter().map(str::to_owned).collect(),
            ttl: set.ttl(),
            routing: (&set.routing).into(),
            health_check_id: set.health_check_id.clone(),
            alias: match &set.target {
                Target::Alias { dns_name, .. } => Some(dns_name.clone()),
                Target::Values { .. } | Target::TrafficPolicyInstance(_) => None,
            },
        }
    }
}

/// The edits of a pool as lines, like a diff: `+` comes, `-` goes, `~` becomes another, with only what
/// differs. Wrapped between words where a line would be wider than `width`.
pub fn render(pool: &PoolDiff, width: Option<usize>) -> String {
    let mut text = format!("{} {} in {}\n", pool.name, pool.rtype, pool.zone_id);
    for edit in &pool.edits {
        let (mark, details) = match edit {
            Edit::Create(set) => ('+', details(set).into_iter().map(|(_, said)| said).collect()),
            Edit::Delete(set) => ('-', details(set).into_iter().map(|(_, said)| said).collect()),
            Edit::Replace { before, after } => ('~', differences(before, after)),
        };
        let mut lines = String::new();
        let line = format!("{}: {}", identifier(edit), details.join(", "));
        // The mark stands out to the left of what is wrapped.
        paragraph(&mut lines, &line, 4, width);
        text.push_str("  ");
        text.push(mark);
        text.push_str(lines.get(3..).unwrap_or_default());
    }
    if !pool.witnesses.is_empty() {
        let witnesses: Vec<_> = pool.witnesses.iter().map(|SetIdentifier(text)| printable(text)).collect();
        let line = format!("(deleted and created again unchanged, as witnesses: {})", witnesses.join(", "));
        paragraph(&mut text, &line, 2, width);
    }
    text
}

/// The set identifier, or what stands for it.
fn identifier(edit: &Edit) -> String {
    edit.set_identifier().map_or_else(|| "simple record".to_owned(), |SetIdentifier(text)| printable(text))
}

/// Everything about a record set: what it is, and the words for it.
fn details(set: &RecordSet) -> Vec<(&'static str, String)> {
    let target = match &set.target {
        Target::Values { ttl, .. } => vec![("values", said_values(set)), ("ttl", format!("ttl {ttl}"))],
        Target::Alias { dns_name, .. } => vec![("values", format!("alias of {}", printable(dns_name)))],
        Target::TrafficPolicyInstance(id) => vec![("values", format!("of traffic policy instance {}", printable(id)))],
    };
    let routing = Some(("routing", said_routing(&set.routing))).filter(|_| set.routing != routing::Routing::Simple);
    let check = set.health_check_id.as_ref().map(|id| ("health check", format!("health check {}", printable(id))));
    target.into_iter().chain(routing).chain(check).collect()
}

/// What differs between two record sets, and how.
fn differences(before: &RecordSet, after: &RecordSet) -> Vec<String> {
    let (before, after) = (details(before), details(after));
    let find = |details: &[(&str, String)], what: &str| {
        details.iter().find(|(known, _)| *known == what).map(|(_, said)| said.clone())
    };
    let difference = |what: &str| {
        let (old, new) = (find(&before, what), find(&after, what));
        // "ttl 60" is not said twice: "ttl 60 -> 300".
        let bare = |said: Option<String>| {
            let said = said.unwrap_or_else(|| "none".to_owned());
            said.strip_prefix(what).map_or_else(|| said.clone(), |rest| rest.trim_start().to_owned())
        };
        (old != new).then(|| format!("{what} {} -> {}", bare(old), bare(new)))
    };
    ["values", "ttl", "routing", "health check"].into_iter().filter_map(difference).collect()
}

fn values(set: &RecordSet) -> Vec<&str> {
    match &set.target {
        Target::Values { values, .. } => values.iter().map(Value::as_str).collect(),
        Target::Alias { .. } | Target::TrafficPolicyInstance(_) => Vec::new(),
    }
}

fn said_values(set: &RecordSet) -> String {
    values(set).into_iter().map(printable).collect::<Vec<_>>().join(" ")
}

/// The routing policy, a point as it is written.
fn said_routing(routing: &routing::Routing) -> String {
    match routing {
        routing::Routing::GeoProximity { location: Location::Coordinates(point), bias } => {
            let bias = if *bias == 0 { String::new() } else { format!(" bias {bias}") };
            format!("geoproximity {},{}{bias}", point.latitude(), point.longitude())
        }
        routing => printable(&routing.to_string()),
    }
}
