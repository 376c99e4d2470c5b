//! One hosted zone: its record sets in list order, and the pages of a listing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use crate::model::{ApiError, RecordSet};
use crate::{name, texts};

/// What identifies a record set, sorted as a listing is: reversed name, type, set identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    order: String,
    rtype: String,
    set_identifier: Option<String>,
}

impl Key {
    /// The key of a record set whose name is in stored form.
    #[must_use]
    pub fn of(set: &RecordSet) -> Self {
        Self { order: name::sort_key(&set.name), rtype: set.rtype.clone(), set_identifier: set.set_identifier.clone() }
    }

    fn start(order: String, rtype: &str) -> Self {
        Self { order, rtype: rtype.to_owned(), set_identifier: None }
    }
}

/// A hosted zone.
#[derive(Debug, Clone)]
pub struct Zone {
    /// `Z...`, without prefix.
    pub id: String,
    /// In stored form.
    pub name: String,
    /// Whether it answers in VPCs only.
    pub private: bool,
    /// The comment of its configuration.
    pub comment: Option<String>,
    /// What the creator called the request.
    pub caller_reference: String,
    /// Empty for a private zone's delegation set.
    pub name_servers: Vec<String>,
    /// Region and id of each VPC of a private zone.
    pub vpcs: Vec<(String, String)>,
    /// Until when another change is refused.
    pub busy_until: Option<Instant>,
    records: BTreeMap<Key, Arc<RecordSet>>,
}

/// Where a listing starts, and how long its page may be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListStart {
    /// `name`.
    pub name: Option<String>,
    /// `type`; only with a name.
    pub rtype: Option<String>,
    /// `identifier`; only with both.
    pub set_identifier: Option<String>,
    /// `maxitems`.
    pub max_items: Option<usize>,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPage {
    /// In list order.
    pub record_sets: Vec<Arc<RecordSet>>,
    /// The first record set of the next page.
    pub next: Option<Arc<RecordSet>>,
    /// The page length that was applied.
    pub max_items: usize,
}

impl Zone {
    /// A zone with the SOA and NS record sets that every zone is born with.
    ///
    /// # Errors
    /// If the name is no domain name.
    pub fn new(id: &str, zone_name: &str, private: bool) -> Result<Self, name::Problem> {
        let stored = name::normalize(zone_name)?;
        let seed = id.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 512;
        let name_servers: Vec<String> = if private {
            Vec::new()
        } else {
            [("net", 0), ("org", 512), ("co.uk", 1024), ("com", 1536)]
                .map(|(tld, base)| format!("ns-{}.awsdns-{:02}.{tld}", base + seed, seed % 64))
                .to_vec()
        };
        let mut zone = Self {
            id: id.to_owned(),
            name: stored.clone(),
            private,
            comment: None,
            caller_reference: format!("route53-sim:{id}"),
            vpcs: if private { vec![("us-east-1".to_owned(), "vpc-00000000000000001".to_owned())] } else { Vec::new() },
            name_servers,
            busy_until: None,
            records: BTreeMap::new(),
        };
        let servers: Vec<String> = if private {
            [("co.uk", 1536), ("com", 0), ("org", 1024), ("net", 512)]
                .map(|(tld, number)| format!("ns-{number}.awsdns-00.{tld}."))
                .to_vec()
        } else {
            zone.name_servers.iter().map(|server| format!("{server}.")).collect()
        };
        let mut ns = RecordSet::new(&stored, "NS").ttl(172_800);
        let primary = servers.first().cloned().unwrap_or_default();
        ns.values = servers;
        let soa = RecordSet::new(&stored, "SOA")
            .ttl(900)
            .value(&format!("{primary} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"));
        zone.put(ns);
        zone.put(soa);
        Ok(zone)
    }

    /// Inserts a record set in stored form, whatever the rules say, and returns the one it replaces.
    pub fn put(&mut self, set: RecordSet) -> Option<Arc<RecordSet>> {
        self.records.insert(Key::of(&set), Arc::new(set))
    }

    /// Removes a record set, whatever the rules say.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<RecordSet>> {
        self.records.remove(key)
    }

    /// Puts back what [`Zone::put`] or [`Zone::remove`] returned.
    pub(crate) fn restore(&mut self, key: Key, old: Option<Arc<RecordSet>>) {
        match old {
            Some(set) => self.records.insert(key, set),
            None => self.records.remove(&key),
        };
    }

    /// The record set of a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Arc<RecordSet>> {
        self.records.get(key)
    }

    /// How many record sets it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All record sets, in list order.
    pub fn record_sets(&self) -> impl Iterator<Item = &Arc<RecordSet>> {
        self.records.values()
    }

    /// The record sets of a name (in stored form), of every type.
    pub fn at_name(&self, stored: &str) -> impl Iterator<Item = &Arc<RecordSet>> {
        let order = name::sort_key(stored);
        let start = Bound::Included(Key::start(order.clone(), ""));
        self.records.range((start, Bound::Unbounded)).take_while(move |(key, _)| key.order == order).map(|(_, set)| set)
    }

    /// The record sets of a name (in stored form) and a type.
    pub fn pool(&self, stored: &str, rtype: &str) -> impl Iterator<Item = &Arc<RecordSet>> {
        let start = Key::start(name::sort_key(stored), rtype);
        let (order, rtype) = (start.order.clone(), start.rtype.clone());
        self.records
            .range((Bound::Included(start), Bound::Unbounded))
            .take_while(move |(key, _)| key.order == order && key.rtype == rtype)
            .map(|(_, set)| set)
    }

    /// One page of ListResourceRecordSets; `cap` is the longest page the service gives.
    ///
    /// # Errors
    /// InvalidInput, for a cursor that makes no sense.
    pub fn list(&self, start: &ListStart, cap: usize) -> Result<RecordPage, ApiError> {
        let bound = match start {
            ListStart { name: None, rtype: Some(_), .. } => return Err(texts::unverified::type_without_name()),
            ListStart { rtype: None, set_identifier: Some(_), .. } => {
                return Err(texts::unverified::identifier_without_type());
            }
            ListStart { name: None, .. } => Bound::Unbounded,
            ListStart { name: Some(written), rtype, set_identifier, .. } => {
                let stored =
                    name::normalize(written).map_err(|problem| ApiError::invalid_input(problem.to_string()))?;
                Bound::Included(Key {
                    order: name::sort_key(&stored),
                    rtype: rtype.clone().unwrap_or_default(),
                    set_identifier: set_identifier.clone(),
                })
            }
        };
        let max_items = start.max_items.unwrap_or(cap).min(cap);
        let mut from = self.records.range((bound, Bound::Unbounded)).map(|(_, set)| Arc::clone(set));
        let record_sets = from.by_ref().take(max_items).collect();
        Ok(RecordPage { record_sets, next: from.next(), max_items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone_with(sets: &[(&str, &str, Option<&str>)]) -> Zone {
        let mut zone = Zone::new("Z1", "example.com", false).unwrap();
        for (name, rtype, id) in sets {
            let mut set = RecordSet::new(name, rtype).ttl(60).value("192.0.2.1");
            set.set_identifier = id.map(str::to_owned);
            zone.put(set);
        }
        zone
    }

    fn names(page: &RecordPage) -> Vec<String> {
        page.record_sets
            .iter()
            .map(|set| format!("{} {} {}", set.name, set.rtype, set.set_identifier.as_deref().unwrap_or("-")))
            .collect()
    }

    #[test]
    fn a_listing_is_in_order_and_three_cursors_carry_it_on() {
        let zone = zone_with(&[
            ("www.example.com", "A", Some("b")),
            ("www.example.com", "A", Some("a")),
            ("www.example.com", "AAAA", Some("a")),
            ("*.example.com", "A", None),
            ("a.example.com", "TXT", None),
        ]);
        let all = names(&zone.list(&ListStart::default(), 300).unwrap());
        assert_eq!(
            all,
            [
                "example.com. NS -",
                "example.com. SOA -",
                "\\052.example.com. A -",
                "a.example.com. TXT -",
                "www.example.com. A a",
                "www.example.com. A b",
                "www.example.com. AAAA a",
            ]
        );
        for page_size in 1..8 {
            let mut start = ListStart::default();
            let mut seen = Vec::new();
            loop {
                let page = zone.list(&start, page_size).unwrap();
                seen.extend(names(&page));
                assert!(seen.len() <= all.len(), "a cursor goes round in circles: {seen:?}");
                let Some(next) = page.next else { break };
                start = ListStart {
                    name: Some(next.name.clone()),
                    rtype: Some(next.rtype.clone()),
                    set_identifier: next.set_identifier.clone(),
                    max_items: None,
                };
            }
            assert_eq!(seen, all, "pages of {page_size}");
        }
    }

    #[test]
    fn a_cursor_needs_no_exact_match() {
        let zone = zone_with(&[("b.example.com", "A", Some("m")), ("d.example.com", "A", None)]);
        let first = |name: &str, rtype: Option<&str>, id: Option<&str>| {
            let start = ListStart {
                name: Some(name.to_owned()),
                rtype: rtype.map(str::to_owned),
                set_identifier: id.map(str::to_owned),
                max_items: Some(1),
            };
            names(&zone.list(&start, 300).unwrap()).pop()
        };
        assert_eq!(first("a.example.com", None, None).as_deref(), Some("b.example.com. A m"));
        assert_eq!(first("b.example.com", Some("A"), Some("a")).as_deref(), Some("b.example.com. A m"));
        assert_eq!(first("b.example.com", Some("A"), Some("z")).as_deref(), Some("d.example.com. A -"));
        assert_eq!(first("b.example.com", Some("AAAA"), None).as_deref(), Some("d.example.com. A -"));
        assert_eq!(first("C.example.com", Some("A"), None).as_deref(), Some("d.example.com. A -"));
        assert_eq!(first("e.example.com", None, None), None);
    }
}
