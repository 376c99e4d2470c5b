//! What Route 53 holds, as far as it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::operate::patiently;
use crate::cli::pools::{Chosen, HostedZoneName, Names, owners, scan, unreadable};
use crate::cli::progress::Progress;
use crate::decide::inventory::Place;
use crate::decide::name::DnsName;
use crate::decide::node::Nodes;
use crate::decide::policy::{Signal, SignalPolicy};
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::record::Listing;
use crate::publish::Provider;

/// What is asked for.
pub(super) enum Scope {
    /// The configured names, or some of them.
    Configured(Chosen),
    /// Every hosted zone of the account, or nothing but these names there; all, if there is none.
    AllZones(BTreeSet<DnsName>),
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What holds each of the names.
    names: Vec<crate::cli::pools::FoundName>,
    /// The pools that are asked for in any case.
    places: Vec<Place>,
    /// How many names and hosted zones could be read.
    pub(super) read: usize,
    /// What could not be read, and why.
    pub(super) failures: Vec<(String, ProviderError)>,
    /// What else is to be told.
    pub(super) remarks: Vec<String>,
}

impl Found {
    /// The pools that are asked for if these are the Nodes; `None`: nobody knows them.
    pub(super) fn places(&mut self, names: &Names<'_>, nodes: Option<&Nodes>) -> Vec<Place> {
        let mut all = std::mem::take(&mut self.places);
        let found = std::mem::take(&mut self.names);
        for name in found.into_iter().filter(|name| name.is_asked_for(nodes)) {
            all.extend(places(names, &name.name, name.listing));
        }
        all
    }
}

/// Reads it.
///
/// # Errors
/// When not even the hosted zones can be listed.
pub(super) async fn find(
    scope: &Scope,
    names: &Names<'_>,
    provider: &impl Provider,
    progress: &Progress,
) -> anyhow::Result<Found> {
    match scope {
        Scope::AllZones(wanted) => everywhere(wanted, names, provider, progress).await,
        Scope::Configured(chosen) => {
            let found = names.read(chosen, provider, progress).await;
            let mut remarks = found.unreadable;
            let with_cname = found.names.iter().filter(|found| found.listing.has_cname);
            remarks.extend(
                with_cname
                    .map(|found| format!("{} holds a CNAME, so that no address can be published there", found.name)),
            );
            let (read, failures) = (found.read, found.failures);
            Ok(Found { names: found.names, places: Vec::new(), read, failures, remarks })
        }
    }
}

/// Every zone of the account, and in it every pool that nodedns of any cluster has written to.
async fn everywhere(
    wanted: &BTreeSet<DnsName>,
    names: &Names<'_>,
    provider: &impl Provider,
    progress: &Progress,
) -> anyhow::Result<Found> {
    let waiting = progress.waiting("listing the hosted zones");
    let zones = patiently(|| provider.zones()).await;
    drop(waiting);
    let zones =
        zones.map_err(|error| anyhow::Error::new(without_zone_id(error)).context("cannot list the hosted zones"))?;
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
        let is_asked = |name: &DnsName| wanted.is_empty() || wanted.contains(name);
        let mut shown = BTreeSet::new();
        for (name, listing) in zone.names.into_iter().filter(|(name, _)| is_asked(name)) {
            let mut places = places(names, &name, listing);
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

/// The error with a hint for whoever wants to see every zone: to name one is then no help.
fn without_zone_id(error: ProviderError) -> ProviderError {
    if error.kind != ErrorKind::Denied {
        return error;
    }
    let why = error.message.split("\nhint: ").next().unwrap_or_default();
    let message = format!("{why}\nhint: 'nodedns iam-policy --role operator' prints a policy that allows it");
    ProviderError { message, ..error }
}

fn places(names: &Names<'_>, name: &DnsName, listing: Listing) -> Vec<Place> {
    let Listing { zone_id, pools, .. } = listing;
    // What takes a node out of the pools at this name. Without a record it is what does so by default.
    let signals: BTreeMap<Signal, SignalPolicy> =
        names.records_at(&zone_id, name).next().map(|record| record.signals.clone()).unwrap_or_default();
    let place =
        |(rtype, pool)| Place { zone_id: zone_id.clone(), name: name.clone(), rtype, pool, signals: signals.clone() };
    pools.into_iter().map(place).collect()
}
