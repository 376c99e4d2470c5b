//! What Route 53 holds at the configured names, on whichever node they are configured.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::cli::operate::patiently;
use crate::config::{Config, Problems};
use crate::decide::name::DnsName;
use crate::decide::owner::OwnerId;
use crate::decide::provider::ProviderError;
use crate::decide::record::{Listing, ZoneRef};
use crate::publish::Provider;

/// Stands for the node where only the hosted zone of a name that carries it is asked for.
const ANYBODY: &str = "nodedns-any-node";

/// A configured name, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundName {
    /// The name.
    pub name: DnsName,
    /// The index of its record in the configuration.
    pub record: usize,
    /// How many record sets must stay there.
    pub keep_min: u32,
    /// Everything at the name.
    pub listing: Listing,
}

/// Which of the configured names are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// All, if there is none.
    names: Vec<String>,
}

/// A name that is not a configured one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is not a configured name\nhint: there are {configured}")]
pub struct NotConfigured {
    name: String,
    configured: String,
}

/// Why the names could not all be read.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A name that was asked for is not configured.
    #[error(transparent)]
    NotConfigured(#[from] NotConfigured),
    /// The configuration makes no names.
    #[error(transparent)]
    Config(#[from] Problems),
    /// Route 53 did not tell.
    #[error("cannot read {what}")]
    Provider {
        /// The name, or the zone.
        what: String,
        /// Why.
        source: ProviderError,
    },
}

impl Wanted {
    /// These names; all, if there is none. A name may also be given as the configuration writes it.
    pub fn new(names: &[String]) -> Self {
        Wanted { names: names.to_vec() }
    }

    fn is(&self, name: impl fmt::Display, template: &str) -> bool {
        let name = name.to_string();
        let is = |wanted: &String| {
            wanted == template || DnsName::parse(wanted).is_ok_and(|wanted| wanted.to_string() == name)
        };
        self.names.is_empty() || self.names.iter().any(is)
    }
}

/// Reads every configured name that is wanted: whole, or an error.
///
/// A name that carries the node's is read for every node of the own cluster that has a record set at its
/// own, which a scan of the hosted zone finds; `scan` is told how many record sets it has seen.
///
/// # Errors
/// [`CollectError`] says what cannot be read. What was not read would look as if it held nothing.
pub async fn collect(
    config: &Config,
    provider: &impl Provider,
    wanted: &Wanted,
    scan: &(dyn Fn(usize) + Sync),
) -> Result<Vec<FoundName>, CollectError> {
    let anybody = config.policy(ANYBODY, false)?;
    let mut found: Vec<FoundName> = Vec::new();
    let mut scanned: BTreeMap<String, BTreeMap<DnsName, Listing>> = BTreeMap::new();
    for (index, (template, record)) in config.records.iter().zip(&anybody.records).enumerate() {
        let carries_the_node = template.name.contains("{node}");
        if !carries_the_node && !wanted.is(&record.name, &template.name) {
            continue;
        }
        let (zone, keep_min) = (&record.zone, record.keep_min);
        if !carries_the_node {
            let listing = read(provider, zone, &record.name).await?;
            found.push(FoundName { name: record.name.clone(), record: index, keep_min, listing });
            continue;
        }
        let zone_id = match zone {
            ZoneRef::Id(id) => id.clone(),
            // The listing says which zone it is.
            ZoneRef::Name { .. } | ZoneRef::Longest { .. } => read(provider, zone, &record.name).await?.zone_id,
        };
        if !scanned.contains_key(&zone_id) {
            let whole = patiently(async || provider.zone(&zone_id, scan).await).await;
            let whole = whole.map_err(|source| CollectError::Provider { what: format!("zone {zone_id}"), source })?;
            scanned.insert(zone_id.clone(), whole.names);
        }
        for (name, listing) in scanned.get(&zone_id).into_iter().flatten() {
            let is_theirs = |node: &String| {
                let policy = config.policy(node, false).ok();
                policy.and_then(|policy| policy.records.into_iter().nth(index)).is_some_and(|own| own.name == *name)
            };
            if wanted.is(name, &template.name) && owners(listing, &config.cluster).iter().any(is_theirs) {
                found.push(FoundName { name: name.clone(), record: index, keep_min, listing: listing.clone() });
            }
        }
    }
    let known = |text: &String| found.iter().any(|f| Wanted::new(std::slice::from_ref(text)).is(&f.name, ""));
    let is_template = |text: &String| config.records.iter().any(|record| record.name == *text);
    match wanted.names.iter().find(|text| !known(text) && !is_template(text)) {
        None => Ok(found),
        Some(name) => {
            let configured: Vec<&str> = config.records.iter().map(|record| record.name.as_str()).collect();
            Err(NotConfigured { name: name.clone(), configured: configured.join(", ") }.into())
        }
    }
}

async fn read(provider: &impl Provider, zone: &ZoneRef, name: &DnsName) -> Result<Listing, CollectError> {
    let listing = patiently(async || provider.list(zone, name).await).await;
    listing.map_err(|source| CollectError::Provider { what: name.to_string(), source })
}

/// The nodes of the cluster that own a record set at the name.
fn owners(listing: &Listing, cluster: &str) -> BTreeSet<String> {
    let sets = listing.pools.values().flat_map(|pool| pool.values());
    let ids = sets.filter_map(|set| set.set_identifier.as_ref()).filter_map(OwnerId::parse);
    ids.filter(|id| id.cluster() == cluster).map(|id| id.node().to_owned()).collect()
}
