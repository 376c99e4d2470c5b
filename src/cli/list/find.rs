//! What Route 53 holds, as far as it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;

use crate::cli::operate::patiently;
use crate::cli::progress::{Progress, thousands};
use crate::config::{Config, Problems, RecordTemplate};
use crate::decide::inventory::Place;
use crate::decide::name::DnsName;
use crate::decide::owner::OwnerId;
use crate::decide::policy::{RecordPolicy, Signal, SignalPolicy};
use crate::decide::provider::ProviderError;
use crate::decide::record::{Listing, Pool, ZoneListing, ZoneRef};
use crate::publish::Provider;
use crate::publish::zone::HostedZone;

/// Stands for the own node where that has no name: hosted zones are then found all the same.
const NOBODY: &str = "nodedns-unknown-node";

/// How many hosted zones are read side by side; the provider's own limiter sets the pace.
const ZONES_AT_ONCE: usize = 8;

/// What is asked for.
pub(super) struct Scope<'a> {
    config: &'a Config,
    /// The records, as they are on this node.
    records: Vec<(&'a RecordTemplate, RecordPolicy)>,
    /// Whether this node has a name.
    is_node: bool,
    /// Every hosted zone, or the names of the records.
    all_zones: bool,
    /// Nothing but these names; all, if there is none.
    names: BTreeSet<DnsName>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The pools that are asked for.
    pub(super) places: Vec<Place>,
    /// Pools at names that a record makes for this node, with nothing of that node in them: they are
    /// asked for only if there is such a node.
    pub(super) of_nodes: Vec<(String, Place)>,
    /// How many names and hosted zones could be read.
    pub(super) read: usize,
    /// What could not be read, and why.
    pub(super) failures: Vec<(String, ProviderError)>,
    /// What else is to be told.
    pub(super) remarks: Vec<String>,
}

impl<'a> Scope<'a> {
    /// The names of the configured records, or those of them that are among `names`; or what is wrong
    /// with a name.
    pub(super) fn configured(
        config: &'a Config,
        node: Option<&str>,
        names: BTreeSet<DnsName>,
    ) -> Result<Result<Self, String>, Problems> {
        let records = config.policy(node.unwrap_or(NOBODY), false)?.records;
        let records: Vec<_> = config.records.iter().zip(records).collect();
        let scope = Scope { config, records, is_node: node.is_some(), all_zones: false, names };
        let stranger = scope.names.iter().find(|name| !scope.records.iter().any(|record| scope.is_of(record, name)));
        Ok(match stranger {
            None => Ok(scope),
            Some(name) => {
                let known: Vec<&str> = config.records.iter().map(|record| record.name.as_str()).collect();
                Err(format!(
                    "error: {name} is not configured here\nhint: configured: {}; with --all-zones it need not be\n",
                    known.join(", ")
                ))
            }
        })
    }

    /// Every hosted zone of the account.
    pub(super) fn all_zones(config: &'a Config, node: Option<&str>, names: BTreeSet<DnsName>) -> Self {
        // They only say what takes a node out of a pool. Without them it is what does so by default.
        let records = config.policy(node.unwrap_or(NOBODY), false).map(|policy| policy.records).unwrap_or_default();
        let records = config.records.iter().zip(records).collect();
        Scope { config, records, is_node: node.is_some(), all_zones: true, names }
    }

    /// Reads it.
    ///
    /// # Errors
    /// When not even the hosted zones can be listed.
    pub(super) async fn find(&self, provider: &impl Provider, progress: &Progress) -> anyhow::Result<Found> {
        if self.all_zones {
            self.everywhere(provider, progress).await
        } else {
            Ok(self.by_name(provider, progress).await)
        }
    }

    fn is_of(&self, (template, record): &(&RecordTemplate, RecordPolicy), name: &DnsName) -> bool {
        record.name == *name || template.node_of(&self.config.cluster, name).is_some()
    }

    /// Name by name; the names of other nodes by reading the hosted zone.
    async fn by_name(&self, provider: &impl Provider, progress: &Progress) -> Found {
        let mut found = Found::default();
        let mut asked: Vec<(&ZoneRef, &DnsName)> = Vec::new();
        for record in &self.records {
            match self.names.is_empty() {
                true => asked.push((&record.1.zone, &record.1.name)),
                false => asked.extend(self.names.iter().filter(|n| self.is_of(record, n)).map(|n| (&record.1.zone, n))),
            }
        }
        let read = join_all(asked.iter().map(|(zone, name)| patiently(|| provider.list(zone, name)))).await;
        let mut listings: BTreeMap<(String, DnsName), Listing> = BTreeMap::new();
        let mut scanned: BTreeMap<String, Vec<&RecordTemplate>> = BTreeMap::new();
        for ((zone, name), read) in asked.into_iter().zip(read) {
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
            let is_it = |(_, record): &&(&RecordTemplate, RecordPolicy)| record.zone == *zone && record.name == *name;
            let template = self.records.iter().find(is_it).map(|(template, _)| *template);
            if let Some(template) = template.filter(|t| t.is_of_each_node() && self.names.is_empty()) {
                scanned.entry(listing.zone_id.clone()).or_default().push(template);
                if !self.is_node {
                    continue;
                }
            }
            listings.insert((listing.zone_id.clone(), name.clone()), listing);
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
        for ((_, name), listing) in listings {
            if listing.has_cname {
                found.remarks.push(format!("{name} holds a CNAME, so that no address can be published there"));
            }
            found.places.extend(self.places(&name, listing));
        }
        found
    }

    /// The names in a zone that one of the records makes for some node. What a gone node has left is among
    /// them, by its owner id.
    fn of_other_nodes(
        &self,
        zone: ZoneListing,
        templates: &[&RecordTemplate],
        listings: &mut BTreeMap<(String, DnsName), Listing>,
        found: &mut Found,
    ) {
        let nodes_of = |name: &DnsName| -> Vec<String> {
            templates.iter().filter_map(|template| template.node_of(&self.config.cluster, name)).collect()
        };
        for (name, why) in &zone.unreadable {
            if DnsName::parse(name).is_ok_and(|name| !nodes_of(&name).is_empty()) {
                found.remarks.push(unreadable(&zone.zone_id, name, why));
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
            match has_owner {
                true => drop(listings.insert(key, listing)),
                false => {
                    let places = self.places(&name, listing);
                    let of_nodes = places.into_iter().filter_map(|place| Some((nodes.first()?.clone(), place)));
                    found.of_nodes.extend(of_nodes);
                }
            }
        }
    }

    /// Every zone of the account, and in it every pool that nodedns of any cluster has written to.
    async fn everywhere(&self, provider: &impl Provider, progress: &Progress) -> anyhow::Result<Found> {
        let zones = patiently(|| provider.zones()).await;
        let zones = zones.map_err(|error| anyhow::Error::new(error).context("cannot list the hosted zones"))?;
        let zones: Vec<HostedZoneName> = zones.into_iter().map(HostedZoneName::from).collect();
        let mut found = Found::default();
        for (zone, read) in scan(provider, &zones, progress).await {
            let zone = match read {
                Ok(read) => {
                    found.read += 1;
                    read
                }
                Err(error) => {
                    found.failures.push((zone.to_string(), error));
                    continue;
                }
            };
            let is_asked = |name: &DnsName| self.names.is_empty() || self.names.contains(name);
            let mut shown = BTreeSet::new();
            for (name, listing) in zone.names.into_iter().filter(|(name, _)| is_asked(name)) {
                let mut places = self.places(&name, listing);
                places.retain(|place| owners(&place.pool).next().is_some());
                if !places.is_empty() {
                    shown.insert(name);
                }
                found.places.extend(places);
            }
            for (name, why) in &zone.unreadable {
                if DnsName::parse(name).is_ok_and(|name| shown.contains(&name)) {
                    found.remarks.push(unreadable(&zone.zone_id, name, why));
                }
            }
        }
        Ok(found)
    }

    fn places(&self, name: &DnsName, listing: Listing) -> Vec<Place> {
        let Listing { zone_id, pools, .. } = listing;
        let signals = self.signals(&zone_id, name);
        let place = |(rtype, pool)| Place {
            zone_id: zone_id.clone(),
            name: name.clone(),
            rtype,
            pool,
            signals: signals.clone(),
        };
        pools.into_iter().map(place).collect()
    }

    /// What takes a node out of the pools at this name.
    fn signals(&self, zone_id: &str, name: &DnsName) -> BTreeMap<Signal, SignalPolicy> {
        let may_be = |zone: &ZoneRef| !matches!(zone, ZoneRef::Id(id) if id != zone_id);
        let record = self.records.iter().find(|record| may_be(&record.1.zone) && self.is_of(record, name));
        record.map(|(_, record)| record.signals.clone()).unwrap_or_default()
    }
}

fn owners(pool: &Pool) -> impl Iterator<Item = OwnerId> {
    pool.keys().flatten().filter_map(OwnerId::parse)
}

fn unreadable(zone_id: &str, name: &str, why: &str) -> String {
    format!("a record set of {} in {zone_id} cannot be shown: {why}", name.strip_suffix('.').unwrap_or(name))
}

/// A hosted zone as it is called in messages.
struct HostedZoneName {
    id: String,
    name: Option<DnsName>,
}

impl From<HostedZone> for HostedZoneName {
    fn from(zone: HostedZone) -> Self {
        HostedZoneName { id: zone.id, name: Some(zone.name) }
    }
}

impl std::fmt::Display for HostedZoneName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "the hosted zone {} ({name})", self.id),
            None => write!(f, "the hosted zone {}", self.id),
        }
    }
}

/// Reads these zones whole, in their order.
async fn scan<'z>(
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
