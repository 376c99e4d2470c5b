//! What Route 53 holds at the configured names, on whichever node they are configured.
//!
//! A name that carries the node's is one for each node. Those of other nodes are found by a scan of the
//! hosted zone: a name counts when an owner of a record set there is the node that a record makes it for,
//! or when there is such a node.

mod read;

use crate::config::{Config, Problems, RecordTemplate, nearest};
use crate::decide::name::DnsName;
use crate::decide::node::Nodes;
use crate::decide::policy::RecordPolicy;
use crate::decide::provider::ProviderError;
use crate::decide::record::{Listing, ZoneRef};

pub(super) use read::{HostedZoneName, owners, scan, unreadable};

/// Stands for a node that is not known by name: hosted zones are then found all the same, and records that are
/// named after their node are not.
pub(super) const UNKNOWN_NODE: &str = "nodedns-unknown-node";

/// How many configured names a hint lists.
const LISTED: usize = 8;

/// The names of the configuration, as they are on this node and on every other.
#[derive(Debug, Clone)]
pub struct Names<'a> {
    config: &'a Config,
    records: Vec<(&'a RecordTemplate, RecordPolicy)>,
    /// Whether this host has a node's name.
    is_node: bool,
}

/// Which of the configured names are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chosen {
    /// Records by their index, with all of their names.
    records: Vec<usize>,
    names: Vec<DnsName>,
}

/// A NAME argument that is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongName {
    /// No name at all.
    #[error("'{0}' is not a name: {1}")]
    NotAName(String, String),
    /// No record is of this name.
    #[error("{name} is not a configured name\nhint: {hint}")]
    NotConfigured {
        /// The name.
        name: String,
        /// Which names there are.
        hint: String,
    },
}

/// A configured name, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundName {
    /// The name.
    pub name: DnsName,
    /// Everything there.
    pub listing: Listing,
    /// The nodes that records make the name for, where none of them owns anything there. It is then
    /// asked for only if there is such a node.
    only_for: Vec<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The names: each once.
    pub names: Vec<FoundName>,
    /// How many names and hosted zones could be read.
    pub read: usize,
    /// What could not be read, and why.
    pub failures: Vec<(String, ProviderError)>,
    /// Record sets that cannot be shown, each in a sentence.
    pub unreadable: Vec<String>,
}

impl<'a> Names<'a> {
    /// The names, as seen from the node of this name, if this host is one.
    ///
    /// # Errors
    /// When the configuration does not go with the node's name.
    pub fn new(config: &'a Config, node: Option<&str>) -> Result<Self, Problems> {
        let records = config.policy(node.unwrap_or(UNKNOWN_NODE), false)?.records;
        Ok(Names { config, records: config.records.iter().zip(records).collect(), is_node: node.is_some() })
    }

    /// Without any name.
    pub fn none(config: &'a Config) -> Self {
        Names { config, records: Vec::new(), is_node: false }
    }

    /// Those that these NAME arguments mean, on whichever node: a name, or a record's as it is written.
    /// All, if there is none.
    ///
    /// # Errors
    /// [`WrongName`] for the first that is of no use.
    pub fn chosen(&self, arguments: &[String]) -> Result<Chosen, WrongName> {
        self.choose(arguments, |record, name| self.is_of(record, name))
    }

    /// The records that these NAME arguments mean on this node; all, if there is none.
    ///
    /// # Errors
    /// [`WrongName`] for the first that is of no use.
    pub fn chosen_here(&self, arguments: &[String]) -> Result<Vec<RecordPolicy>, WrongName> {
        let chosen = self.choose(arguments, |(_, record), name| record.name == *name)?;
        let is_chosen = |index: usize, record: &RecordPolicy| {
            chosen.is_all() || chosen.records.contains(&index) || chosen.names.contains(&record.name)
        };
        let records = self.records.iter().enumerate().filter(|(index, (_, record))| is_chosen(*index, record));
        Ok(records.map(|(_, (_, record))| record.clone()).collect())
    }

    fn choose(
        &self,
        arguments: &[String],
        is_of: impl Fn(&(&RecordTemplate, RecordPolicy), &DnsName) -> bool,
    ) -> Result<Chosen, WrongName> {
        let mut chosen = Chosen::default();
        for text in arguments {
            if let Some(index) = self.records.iter().position(|(template, _)| template.name == *text) {
                chosen.records.push(index);
                continue;
            }
            let name = parse(text)?;
            if !self.records.iter().any(|record| is_of(record, &name)) {
                return Err(WrongName::NotConfigured { hint: self.hint(&name), name: name.to_string() });
            }
            chosen.names.push(name);
        }
        chosen.names.sort();
        chosen.names.dedup();
        Ok(chosen)
    }

    /// Which name may have been meant, and which there are.
    fn hint(&self, name: &DnsName) -> String {
        let plain = self.records.iter().filter(|(template, _)| self.is_node || !template.is_of_each_node());
        let plain: Vec<String> = plain.map(|(_, record)| record.name.to_string()).collect();
        let name = name.to_string();
        let near: Vec<&str> = plain.iter().map(String::as_str).filter(|known| is_near(&name, known)).collect();
        let meant = nearest(&name, &near).map(|meant| format!("did you mean {meant}? "));
        let all: Vec<&str> = self.records.iter().map(|(template, _)| template.name.as_str()).collect();
        let listed = all.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
        let more = match all.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}configured: {listed}{more}", meant.unwrap_or_default())
    }

    /// The records that make this name in this hosted zone for some node, as they are on this one.
    pub fn records_at(&self, zone_id: &str, name: &DnsName) -> impl Iterator<Item = &RecordPolicy> {
        let may_be = move |zone: &ZoneRef| !matches!(zone, ZoneRef::Id(id) if id != zone_id);
        let records = self.records.iter().filter(move |record| may_be(&record.1.zone) && self.is_of(record, name));
        records.map(|(_, record)| record)
    }

    /// How many record sets must stay at this name.
    pub fn keep_min(&self, zone_id: &str, name: &DnsName) -> u32 {
        self.records_at(zone_id, name).map(|record| record.keep_min).max().unwrap_or_default()
    }

    fn is_of(&self, (template, record): &(&RecordTemplate, RecordPolicy), name: &DnsName) -> bool {
        record.name == *name || template.node_of(&self.config.cluster, name).is_some()
    }
}

impl Chosen {
    fn is_all(&self) -> bool {
        self.records.is_empty() && self.names.is_empty()
    }
}

impl FoundName {
    /// Whether it is among the configured names, if these are the Nodes; `None`: nobody knows them.
    pub fn is_asked_for(&self, nodes: Option<&Nodes>) -> bool {
        let is_node = |node: &String| nodes.is_some_and(|nodes| nodes.contains_key(node));
        self.only_for.is_empty() || self.only_for.iter().any(is_node)
    }
}

/// Whether what tells two names apart is alike. What they share at their end, such as the zone, is not
/// counted: it makes all names of a zone alike.
fn is_near(name: &str, known: &str) -> bool {
    let shared = name.rsplit('.').zip(known.rsplit('.')).take_while(|(a, b)| a == b).count();
    let own = |name: &str| {
        let labels: Vec<&str> = name.split('.').collect();
        labels.get(..labels.len().saturating_sub(shared)).unwrap_or_default().join(".")
    };
    nearest(&own(name), &[&own(known)]).is_some()
}

/// A NAME argument.
///
/// # Errors
/// When it is no name.
pub fn parse(text: &str) -> Result<DnsName, WrongName> {
    DnsName::parse(text).map_err(|wrong| WrongName::NotAName(text.to_owned(), wrong.to_string()))
}
