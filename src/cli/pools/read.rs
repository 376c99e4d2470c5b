//! Reading names one by one, and whole hosted zones.

use std::collections::BTreeMap;
use std::fmt;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;

use super::{Chosen, Found, FoundName, Names};
use crate::cli::operate::patiently;
use crate::cli::progress::{Progress, thousands};
use crate::config::RecordTemplate;
use crate::decide::name::DnsName;
use crate::decide::owner::OwnerId;
use crate::decide::provider::ProviderError;
use crate::decide::record::{Pool, ZoneListing, ZoneRef};
use crate::publish::Provider;
use crate::publish::zone::HostedZone;

/// How many hosted zones are read side by side; the provider's own limiter sets the pace.
const ZONES_AT_ONCE: usize = 8;

/// What has been read, by hosted zone and name.
type Listings = BTreeMap<(String, DnsName), FoundName>;

impl Names<'_> {
    /// Reads the chosen names. What cannot be read is among the failures, and the rest is read all the
    /// same.
    pub async fn read(&self, chosen: &Chosen, provider: &impl Provider, progress: &Progress) -> Found {
        let mut found = Found::default();
        // Whether it is for all names of the record, of which this is the one of this node.
        let mut asked: Vec<(usize, &ZoneRef, &DnsName, bool)> = Vec::new();
        for (index, record) in self.records.iter().enumerate() {
            match chosen.is_all() || chosen.records.contains(&index) {
                true => asked.push((index, &record.1.zone, &record.1.name, true)),
                false => {
                    let names = chosen.names.iter().filter(|name| self.is_of(record, name));
                    asked.extend(names.map(|name| (index, &record.1.zone, name, false)));
                }
            }
        }
        let read = join_all(asked.iter().map(|(_, zone, name, _)| patiently(|| provider.list(zone, name)))).await;
        let mut listings = Listings::new();
        let mut scanned: BTreeMap<String, Vec<&RecordTemplate>> = BTreeMap::new();
        for ((index, zone, name, whole), read) in asked.into_iter().zip(read) {
            let listing = match read {
                Ok(listing) => {
                    found.read += 1;
                    listing
                }
                Err(error) => {
                    found.failures.push((format!("{name} in {zone}"), error));
                    continue;
                }
            };
            let template = self.records.get(index).map(|(template, _)| *template);
            if let Some(template) = template.filter(|template| whole && template.is_of_each_node()) {
                scanned.entry(listing.zone_id.clone()).or_default().push(template);
                if !self.is_node {
                    continue;
                }
            }
            let key = (listing.zone_id.clone(), name.clone());
            listings.insert(key, FoundName { name: name.clone(), listing, only_for: Vec::new() });
        }

        let zones: Vec<HostedZoneName> =
            scanned.keys().map(|id| HostedZoneName { id: id.clone(), name: None }).collect();
        for (zone, read) in scan(provider, &zones, progress).await {
            match read {
                Ok(read) => {
                    let templates = scanned.get(&read.zone_id).map(Vec::as_slice).unwrap_or_default();
                    self.of_other_nodes(read, templates, &mut listings, &mut found);
                }
                Err(error) => found.failures.push((zone.to_string(), error)),
            }
        }
        found.names.extend(listings.into_values());
        found
    }

    /// The names in a zone that one of the records makes for some node. What a gone node has left is among
    /// them, by its owner id.
    fn of_other_nodes(
        &self,
        zone: ZoneListing,
        templates: &[&RecordTemplate],
        listings: &mut Listings,
        found: &mut Found,
    ) {
        let nodes_of = |name: &DnsName| -> Vec<String> {
            templates.iter().filter_map(|template| template.node_of(&self.config.cluster, name)).collect()
        };
        for (name, why) in &zone.unreadable {
            if DnsName::parse(name).is_ok_and(|name| !nodes_of(&name).is_empty()) {
                found.unreadable.push(unreadable(&zone.zone_id, name, why));
            }
        }
        for (name, listing) in zone.names {
            let key = (zone.zone_id.clone(), name.clone());
            let nodes = nodes_of(&name);
            if listings.contains_key(&key) || nodes.is_empty() {
                continue;
            }
            let is_named_after = |owner: OwnerId| nodes.iter().any(|node| node == owner.node());
            let has_owner = listing.pools.values().flat_map(owners).any(is_named_after);
            let only_for = if has_owner { Vec::new() } else { nodes };
            listings.insert(key, FoundName { name, listing, only_for });
        }
    }
}

/// The owners of a pool's record sets.
pub(in crate::cli) fn owners(pool: &Pool) -> impl Iterator<Item = OwnerId> {
    pool.keys().flatten().filter_map(OwnerId::parse)
}

/// A record set that cannot be shown, and why.
pub(in crate::cli) fn unreadable(zone_id: &str, name: &str, why: &str) -> String {
    format!("a record set of {} in {zone_id} cannot be shown: {why}", name.strip_suffix('.').unwrap_or(name))
}

/// A hosted zone as it is called in messages.
#[derive(Debug)]
pub(in crate::cli) struct HostedZoneName {
    id: String,
    name: Option<DnsName>,
}

impl From<HostedZone> for HostedZoneName {
    fn from(zone: HostedZone) -> Self {
        HostedZoneName { id: zone.id, name: Some(zone.name) }
    }
}

impl fmt::Display for HostedZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "the hosted zone {} ({name})", self.id),
            None => write!(f, "the hosted zone {}", self.id),
        }
    }
}

/// Reads these zones whole, in their order.
pub(in crate::cli) async fn scan<'z>(
    provider: &impl Provider,
    zones: &'z [HostedZoneName],
    progress: &Progress,
) -> Vec<(&'z HostedZoneName, Result<ZoneListing, ProviderError>)> {
    let one = |zone: &'z HostedZoneName| async move {
        let read = |count| progress.say(format!("reading {zone}: {} record sets", thousands(count)));
        (zone, patiently(|| provider.zone(&zone.id, &read)).await)
    };
    stream::iter(zones).map(one).buffered(ZONES_AT_ONCE).collect().await
}
