//! Reading names one by one, and whole hosted zones.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;

use super::{Chosen, Found, FoundName, Names};
use crate::cli::operate::patiently;
use crate::cli::progress::{Progress, thousands};
use crate::config::RecordTemplate;
use crate::decide::name::DnsName;
use crate::decide::owner::OwnerId;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::record::{Pool, ZoneListing, ZoneRef};
use crate::publish::Provider;
use crate::publish::zone::HostedZone;

/// How many names or hosted zones are read side by side; the provider's own limiter sets the pace.
const AT_ONCE: usize = 4;

/// How long one of them may take in all. What hangs is then told as such, beside what could be read.
const LIMIT: Duration = Duration::from_secs(60);

/// What has been read, by hosted zone and name.
type Listings = BTreeMap<(String, DnsName), FoundName>;

impl Names<'_> {
    /// Reads the chosen names. What cannot be read is among the failures, and the rest is read all the
    /// same.
    pub async fn read<'c>(&'c self, chosen: &'c Chosen, provider: &impl Provider, progress: &Progress) -> Found {
        let mut found = Found::default();
        // Whether it is for all names of the record, of which this is the one of this node.
        let mut asked: Vec<(usize, &'c ZoneRef, &'c DnsName, bool)> = Vec::new();
        for (index, record) in self.records.iter().enumerate() {
            match chosen.is_all() || chosen.records.contains(&index) {
                true => asked.push((index, &record.1.zone, &record.1.name, true)),
                false => {
                    let names = chosen.names.iter().filter(|name| self.is_of(record, name));
                    asked.extend(names.map(|name| (index, &record.1.zone, name, false)));
                }
            }
        }
        let one = |(_, zone, name, _): &(usize, &'c ZoneRef, &'c DnsName, bool)| {
            let (zone, name) = (*zone, *name);
            async move {
                let _waiting = progress.waiting(format!("reading {name} in {zone}"));
                within(LIMIT, patiently(|| provider.list(zone, name))).await
            }
        };
        let read = side_by_side(asked.iter().map(one)).await;
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

/// What these come to, in their order, a few at a time: one that hangs does not keep the others.
async fn side_by_side<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let numbered = all.enumerate().map(|(number, one)| async move { (number, one.await) });
    let mut done: Vec<(usize, F::Output)> = stream::iter(numbered).buffer_unordered(AT_ONCE).collect().await;
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, output)| output).collect()
}

/// What this comes to, or that it has not come to anything in time.
async fn within<T>(limit: Duration, read: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
    tokio::time::timeout(limit, read).await.unwrap_or_else(|_| {
        let message = format!("it could not be read within {} s", limit.as_secs());
        Err(ProviderError { kind: ErrorKind::Unavailable, code: None, message })
    })
}

/// Reads these zones whole, in their order.
pub(in crate::cli) async fn scan<'z>(
    provider: &impl Provider,
    zones: &'z [HostedZoneName],
    progress: &Progress,
) -> Vec<(&'z HostedZoneName, Result<ZoneListing, ProviderError>)> {
    let one = |zone: &'z HostedZoneName| async move {
        let waiting = progress.waiting(format!("reading {zone}"));
        let read = |count| waiting.say(format!("reading {zone}: {} record sets", thousands(count)));
        (zone, within(LIMIT, patiently(|| provider.zone(&zone.id, &read))).await)
    };
    side_by_side(zones.iter().map(one)).await
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn one_that_hangs_keeps_the_others_from_nothing() {
        let (now, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let (now, most, done) = (&now, &most, &done);
        let limit = Duration::from_secs(3);
        let one = |number: usize| async move {
            most.fetch_max(now.fetch_add(1, Relaxed) + 1, Relaxed);
            let read = async {
                match number {
                    0 => pending().await,
                    _ => sleep(Duration::from_millis(5)).await,
                }
                Ok(done.fetch_add(1, Relaxed))
            };
            let read = within(limit, read).await;
            now.fetch_sub(1, Relaxed);
            (number, read, done.load(Relaxed))
        };
        let all = side_by_side((0..31).map(one)).await;
        assert_eq!(most.load(Relaxed), AT_ONCE);
        assert_eq!(all.iter().map(|(number, ..)| *number).collect::<Vec<_>>(), (0..31).collect::<Vec<_>>());
        let (_, read, done_by_then) = &all[0];
        assert_eq!(*done_by_then, 30, "it was waited for alone in the end");
        let error = read.as_ref().expect_err("it hangs");
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Unavailable, "it could not be read within 3 s"));
        assert!(all[1..].iter().all(|(_, read, _)| read.is_ok()));
    }
}
