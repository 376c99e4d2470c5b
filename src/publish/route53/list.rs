//! Reading everything at one name, page by page.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use aws_sdk_route53::operation::list_resource_record_sets::ListResourceRecordSetsOutput;
use aws_sdk_route53::types::{ResourceRecordSet, RrType};

use crate::decide::name::DnsName;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::record::{Listing, RecordType};
use crate::publish::route53::convert;

/// The longest page that Route 53 gives; it may give shorter ones.
pub(super) const PAGE_SIZE: i32 = 300;

/// Where a page starts. All three matter: without the identifier a pool longer than a page is
/// repeated or cut short.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor {
    pub name: String,
    pub rtype: Option<String>,
    pub identifier: Option<String>,
}

impl Cursor {
    pub fn rtype(&self) -> Option<RrType> {
        self.rtype.as_deref().map(RrType::from)
    }
}

/// A listing that grows page by page.
///
/// Route 53 lists names in order, so everything at one name comes first in a listing that starts
/// there, and the first other name ends it. Anything that does not fit this is an error: a listing
/// that came out too short would look like record sets that someone deleted.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    name: &'a DnsName,
    listing: Listing,
    asked: BTreeSet<Cursor>,
}

impl<'a> Reader<'a> {
    pub fn new(zone_id: &str, name: &'a DnsName) -> Self {
        let listing = Listing { zone_id: zone_id.to_owned(), ..Listing::default() };
        Reader { name, listing, asked: BTreeSet::new() }
    }

    /// Where the first page starts: at the name, whatever the type.
    pub fn start(&mut self) -> Cursor {
        let cursor = Cursor { name: self.name.as_str().to_owned(), rtype: None, identifier: None };
        self.asked.insert(cursor.clone());
        cursor
    }

    /// Takes a page, and says where the next one starts; `None` when the name has been read whole.
    pub fn take(&mut self, page: &ListResourceRecordSetsOutput) -> Result<Option<Cursor>, ProviderError> {
        let mut passed = false;
        for set in page.resource_record_sets() {
            match (self.is_at(set.name()), passed) {
                (true, false) => self.add(set)?,
                (true, true) => return Err(self.broken("other names stand between its record sets")),
                (false, _) => passed = true,
            }
        }
        if passed || !page.is_truncated() {
            return Ok(None);
        }
        let Some(next) = page.next_record_name() else {
            return Err(self.broken("it goes on, but does not say where"));
        };
        if !self.is_at(next) {
            return Ok(None);
        }
        let cursor = Cursor {
            name: self.name.as_str().to_owned(),
            rtype: page.next_record_type().map(|rtype| rtype.as_str().to_owned()),
            identifier: page.next_record_identifier().map(str::to_owned),
        };
        if !self.asked.insert(cursor.clone()) {
            return Err(self.broken("it goes on where it has been before"));
        }
        Ok(Some(cursor))
    }

    /// What has been read.
    pub fn finish(self) -> Listing {
        self.listing
    }

    /// A listed name that is no name we could publish is another name.
    fn is_at(&self, listed: &str) -> bool {
        DnsName::parse(listed).is_ok_and(|listed| listed == *self.name)
    }

    fn add(&mut self, set: &ResourceRecordSet) -> Result<(), ProviderError> {
        let rtype = match set.r#type() {
            RrType::A => RecordType::A,
            RrType::Aaaa => RecordType::Aaaa,
            RrType::Cname => {
                self.listing.has_cname = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        let described = || match set.set_identifier() {
            Some(identifier) => format!("the {rtype} record set '{identifier}'"),
            None => format!("the {rtype} record set"),
        };
        let converted = convert::record_set(set)
            .map_err(|why| self.broken(&format!("{} cannot be kept as it is: {why}", described())))?;
        match self.listing.pools.entry(rtype).or_default().entry(converted.set_identifier.clone()) {
            Entry::Vacant(place) => {
                place.insert(converted);
                Ok(())
            }
            Entry::Occupied(_) => Err(self.broken(&format!("{} is there twice", described()))),
        }
    }

    fn broken(&self, why: &str) -> ProviderError {
        ProviderError {
            kind: ErrorKind::Unavailable,
            code: None,
            message: format!("the listing of {} in zone {} cannot be used: {why}", self.name, self.listing.zone_id),
        }
    }
}
