//! What names hold, each read once, however many lines need it.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::check::aws::ask;
use crate::cli::check::findings::Findings;
use crate::decide::name::DnsName;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::record::Listing;
use crate::publish::route53::Route53;

/// What a name holds, and whether it has name servers of its own.
pub type Held = (Listing, bool);

/// Reads names, and remembers them.
#[derive(Debug)]
pub struct Reader<'a> {
    provider: &'a Route53,
    read: BTreeMap<(String, DnsName), Result<Held, ProviderError>>,
    /// The zones that may not be listed. IAM knows no right to list a single name.
    denied: BTreeMap<String, ProviderError>,
    /// Those of which that has been told.
    told: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    /// Nothing read yet.
    pub fn new(provider: &'a Route53) -> Self {
        Reader { provider, read: BTreeMap::new(), denied: BTreeMap::new(), told: BTreeSet::new() }
    }

    /// What the name holds, or why that could not be read.
    pub async fn at(
        &mut self,
        zone_id: &str,
        name: &DnsName,
        findings: &mut Findings<'_>,
    ) -> Result<Held, ProviderError> {
        let key = (zone_id.to_owned(), name.clone());
        if let Some(held) = self.read.get(&key) {
            return held.clone();
        }
        if let Some(error) = self.denied.get(zone_id) {
            return Err(error.clone());
        }
        let provider = self.provider;
        let held = ask(findings, &format!("reading {name}"), async || provider.at_name(zone_id, name).await).await;
        if let Err(error) = &held
            && error.kind == ErrorKind::Denied
        {
            self.denied.insert(zone_id.to_owned(), error.clone());
        }
        self.read.insert(key, held.clone());
        held
    }

    /// Whether this error is yet to be told: that a zone may not be listed is told once.
    pub fn is_news(&mut self, zone_id: &str, error: &ProviderError) -> bool {
        error.kind != ErrorKind::Denied || self.told.insert(zone_id.to_owned())
    }
}
