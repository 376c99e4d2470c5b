//! Looking hosted zones up, and remembering them.
//!
//! With an explicit zone id nothing here makes a request, and the identity needs no right to list
//! zones. Otherwise one action serves both kinds of look-up: `ListHostedZonesByName` starts at a
//! name, or without one lists them all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_route53::operation::list_hosted_zones_by_name::ListHostedZonesByNameOutput;
use tokio::sync::OnceCell;

use crate::decide::name::DnsName;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::record::ZoneRef;
use crate::publish::zone::{HostedZone, bare_id};

/// The longest page that Route 53 gives.
pub(super) const PAGE_SIZE: i32 = 100;

/// The zones of one look-up: those of a name, or with `None` all of them.
type Key = Option<DnsName>;

/// What has been looked up. Concurrent look-ups of the same zones become one.
#[derive(Debug, Default)]
pub(super) struct Zones {
    found: Mutex<BTreeMap<Key, Arc<OnceCell<Vec<HostedZone>>>>>,
}

impl Zones {
    /// Which zones have to be known to tell `zone`; `None` when it says its id itself.
    pub fn key(zone: &ZoneRef) -> Option<Key> {
        match zone {
            ZoneRef::Id(_) => None,
            ZoneRef::Name { name, .. } => Some(Some(name.clone())),
            ZoneRef::Longest { .. } => Some(None),
        }
    }

    /// The place of a look-up, to be filled by whoever comes first.
    pub fn cell(&self, key: &Key) -> Arc<OnceCell<Vec<HostedZone>>> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(found.entry(key.clone()).or_default())
    }

    /// Remembers the outcome of a newer look-up.
    pub fn replace(&self, key: Key, zones: Vec<HostedZone>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.insert(key, Arc::new(OnceCell::new_with(Some(zones))));
    }

    /// Forgets one look-up, because what it found is not there any more.
    pub fn forget(&self, key: &Key) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Where a page of zones starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Cursor {
    pub dns_name: Option<String>,
    pub zone_id: Option<String>,
}

/// A list of zones that grows page by page.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    key: &'a Key,
    zones: Vec<HostedZone>,
    asked: BTreeSet<Cursor>,
}

impl<'a> Reader<'a> {
    pub fn new(key: &'a Key) -> Self {
        Reader { key, zones: Vec::new(), asked: BTreeSet::new() }
    }

    /// Where the first page starts.
    pub fn start(&mut self) -> Cursor {
        let cursor = Cursor { dns_name: self.key.as_ref().map(|name| name.as_str().to_owned()), zone_id: None };
        self.asked.insert(cursor.clone());
        cursor
    }

    /// Takes a page, and says where the next one starts; `None` when all zones have been read.
    ///
    /// The list starts at a name and does not end with it: every zone has to be compared.
    pub fn take(&mut self, page: &ListHostedZonesByNameOutput) -> Result<Option<Cursor>, ProviderError> {
        // As for a listing: what the SDK filled in was not answered.
        if page.max_items() < 1 {
            return Err(broken("the answer breaks off"));
        }
        for zone in page.hosted_zones() {
            if let Some(name) = DnsName::parse(zone.name()).ok().filter(|name| self.is_wanted(name)) {
                let private = zone.config().is_some_and(|config| config.private_zone());
                self.zones.push(HostedZone { id: bare_id(zone.id()).to_owned(), name, private });
            }
        }
        if !page.is_truncated() {
            return Ok(None);
        }
        let Some(next) = page.next_dns_name() else {
            return Err(broken("it goes on, but does not say where"));
        };
        if self.key.is_some() && !DnsName::parse(next).is_ok_and(|name| self.is_wanted(&name)) {
            return Ok(None);
        }
        let cursor = Cursor { dns_name: Some(next.to_owned()), zone_id: page.next_hosted_zone_id().map(str::to_owned) };
        if !self.asked.insert(cursor.clone()) {
            return Err(broken("it goes on where it has been before"));
        }
        Ok(Some(cursor))
    }

    /// What has been read.
    pub fn finish(self) -> Vec<HostedZone> {
        self.zones
    }

    fn is_wanted(&self, name: &DnsName) -> bool {
        self.key.as_ref().is_none_or(|wanted| wanted == name)
    }
}

fn broken(why: &str) -> ProviderError {
    ProviderError {
        kind: ErrorKind::Unavailable,
        code: None,
        message: format!("the list of hosted zones cannot be used: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_route53::operation::list_hosted_zones_by_name::builders::ListHostedZonesByNameOutputBuilder;
    use aws_sdk_route53::types::{HostedZone as Listed, HostedZoneConfig};

    fn page(zones: &[(&str, &str)]) -> ListHostedZonesByNameOutputBuilder {
        let zones = zones.iter().map(|(id, name)| {
            let config = HostedZoneConfig::builder().private_zone(id.contains('P')).build();
            Listed::builder().id(*id).name(*name).caller_reference("r").config(config).build().expect("a zone")
        });
        ListHostedZonesByNameOutputBuilder::default()
            .set_hosted_zones(Some(zones.collect()))
            .is_truncated(false)
            .max_items(100)
    }

    fn read(key: &Key, pages: Vec<ListHostedZonesByNameOutputBuilder>) -> Result<Vec<String>, String> {
        let mut reader = Reader::new(key);
        reader.start();
        for page in pages {
            match reader.take(&page.build().expect("a page")) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    let found = reader.finish().into_iter();
                    return Ok(found.map(|zone| format!("{} {} {}", zone.id, zone.name, zone.private)).collect());
                }
                Err(error) => return Err(error.message),
            }
        }
        panic!("the reader wants another page");
    }

    #[test]
    fn a_named_look_up_takes_that_name_only_and_stops_behind_it() {
        let key = Some(DnsName::parse("a.example").expect("a name"));
        let first = page(&[("/hostedzone/Z1", "a.example.")]).is_truncated(true);
        let second = page(&[("/hostedzone/ZP", "a.example."), ("/hostedzone/Z3", "b.example.")]).is_truncated(true);
        let pages = vec![
            first.next_dns_name("a.example.").next_hosted_zone_id("ZP"),
            second.next_dns_name("c.example.").next_hosted_zone_id("Z4"),
        ];
        assert_eq!(read(&key, pages), Ok(vec!["Z1 a.example false".into(), "ZP a.example true".into()]));
        let missing = page(&[("/hostedzone/Z3", "b.example.")]);
        assert_eq!(read(&key, vec![missing]), Ok(vec![]));
        let ends = page(&[("/hostedzone/Z1", "a.example.")]).is_truncated(true).next_dns_name("b.example.");
        assert_eq!(read(&key, vec![ends]), Ok(vec!["Z1 a.example false".into()]));
    }

    #[test]
    fn a_look_up_of_all_zones_goes_to_the_end() {
        let first = page(&[("/hostedzone/Z1", "a.example.")]).is_truncated(true).next_dns_name("b.example.");
        let second = page(&[("/hostedzone/Z2", "b.example.")]);
        assert_eq!(
            read(&None, vec![first, second]),
            Ok(vec!["Z1 a.example false".into(), "Z2 b.example false".into()])
        );
    }

    #[test]
    fn a_list_that_does_not_hold_together_is_an_error() {
        let nowhere = page(&[]).is_truncated(true);
        assert!(read(&None, vec![nowhere]).is_err_and(|error| error.contains("does not say where")));
        let cut = page(&[("/hostedzone/Z1", "a.example.")]).max_items(0);
        assert!(read(&None, vec![cut]).is_err_and(|error| error.contains("breaks off")));
        let again = || page(&[]).is_truncated(true).next_dns_name("b.example.");
        assert!(read(&None, vec![again(), again()]).is_err_and(|error| error.contains("has been before")));
    }
}
