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
        // The SDK reads a body that breaks off as one that ends, and fills in what is missing: an
        // empty list that is not truncated. `MaxItems` is in every whole answer, behind the list.
        if page.max_items() < 1 {
            return Err(self.broken("the answer breaks off"));
        }
        let mut passed = false;
        for set in page.resource_record_sets() {
            match (self.is_at(set.name()), passed) {
                (true, false) => self.add(set)?,
                (true, true) => return Err(self.broken("other names stand between its record sets")),
                (false, _) => passed = true,
            }
        }
        if !page.is_truncated() {
            return Ok(None);
        }
        match page.next_record_name().map(|next| self.is_at(next)) {
            None => return Err(self.broken("it goes on, but does not say where")),
            Some(false) => return Ok(None),
            Some(true) if passed => return Err(self.broken("other names stand between its record sets")),
            Some(true) => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_route53::operation::list_resource_record_sets::builders::ListResourceRecordSetsOutputBuilder;
    use aws_sdk_route53::types::ResourceRecord;

    fn set(name: &str, rtype: &str, identifier: Option<&str>) -> ResourceRecordSet {
        let record = ResourceRecord::builder().value("192.0.2.1").build().expect("a value");
        ResourceRecordSet::builder()
            .name(name)
            .r#type(rtype.into())
            .set_set_identifier(identifier.map(str::to_owned))
            .set_weight(identifier.map(|_| 1))
            .ttl(60)
            .resource_records(record)
            .build()
            .expect("a set")
    }

    fn page(sets: &[ResourceRecordSet]) -> ListResourceRecordSetsOutputBuilder {
        ListResourceRecordSetsOutputBuilder::default()
            .set_resource_record_sets(Some(sets.to_vec()))
            .is_truncated(false)
            .max_items(300)
    }

    /// Feeds the pages to a reader; how many it wanted, and what came of it.
    fn read(pages: Vec<ListResourceRecordSetsOutputBuilder>) -> (usize, Result<Listing, String>) {
        let name = DnsName::parse("*.a.example").expect("a name");
        let mut reader = Reader::new("Z1", &name);
        assert_eq!(reader.start().name, "\\052.a.example.");
        let mut taken = 0;
        for page in pages {
            taken += 1;
            match reader.take(&page.build().expect("a page")) {
                Ok(Some(_)) => {}
                Ok(None) => return (taken, Ok(reader.finish())),
                Err(error) => {
                    assert_eq!(error.kind, ErrorKind::Unavailable);
                    assert!(error.message.starts_with("the listing of *.a.example in zone Z1 cannot be used: "));
                    return (taken, Err(error.message));
                }
            }
        }
        panic!("the reader wants another page");
    }

    fn identifiers(listing: &Listing, rtype: RecordType) -> Vec<String> {
        let keys = listing.pool(rtype).into_iter().flatten();
        keys.map(|(key, _)| key.as_ref().map_or("-".to_owned(), ToString::to_string)).collect()
    }

    const US: &str = "\\052.A.example.";

    #[test]
    fn the_first_other_name_ends_the_listing() {
        let sets =
            [set(US, "A", Some("x")), set(US, "AAAA", None), set(US, "TXT", None), set("b.a.example.", "A", None)];
        let more = page(&sets).is_truncated(true).next_record_name("c.a.example.");
        let (taken, listing) = read(vec![more]);
        let listing = listing.expect("whole");
        assert_eq!((taken, listing.has_cname), (1, false));
        assert_eq!(identifiers(&listing, RecordType::A), ["x"]);
        assert_eq!(identifiers(&listing, RecordType::Aaaa), ["-"]);
    }

    #[test]
    fn a_page_that_ends_with_the_name_needs_no_other() {
        let only = page(&[set(US, "CNAME", None)]).is_truncated(true).next_record_name("b.a.example.");
        let (taken, listing) = read(vec![only.next_record_type(RrType::A)]);
        assert_eq!((taken, listing.map(|listing| listing.has_cname)), (1, Ok(true)));
        // Nor does one that goes on at a name which is none of ours to read.
        let odd = page(&[set(US, "A", None)]).is_truncated(true).next_record_name("a\\057*.example.");
        assert!(read(vec![odd]).1.is_ok());
    }

    #[test]
    fn pages_add_up() {
        let first = page(&[set(US, "A", Some("x"))]).is_truncated(true).next_record_name("\\052.a.example");
        let second = page(&[set(US, "A", Some("y"))]).is_truncated(true).next_record_name(US);
        let (taken, listing) = read(vec![
            first.next_record_type(RrType::A).next_record_identifier("y"),
            second.next_record_type(RrType::Aaaa),
            page(&[set(US, "AAAA", Some("x"))]),
        ]);
        let listing = listing.expect("whole");
        assert_eq!(taken, 3);
        assert_eq!(identifiers(&listing, RecordType::A), ["x", "y"]);
        assert_eq!(identifiers(&listing, RecordType::Aaaa), ["x"]);
    }

    #[test]
    fn a_listing_that_does_not_hold_together_is_an_error() {
        let going_on = |sets: &[ResourceRecordSet]| page(sets).is_truncated(true);
        let stuck = going_on(&[]).next_record_name(US).next_record_type(RrType::A).next_record_identifier("y");
        let strange = ResourceRecordSet::builder().name(US).r#type(RrType::A).set_identifier("new").build();
        for (pages, why) in [
            (vec![going_on(&[set(US, "A", None)])], "does not say where"),
            (vec![going_on(&[]).next_record_name(US)], "where it has been before"),
            (vec![stuck.clone(), stuck], "where it has been before"),
            (vec![page(&[set(US, "A", Some("x")), set(US, "A", Some("x"))])], "the A record set 'x' is there twice"),
            (vec![page(&[set("b.example.", "A", None), set(US, "A", None)])], "other names stand between"),
            (vec![going_on(&[set("b.example.", "A", None)]).next_record_name(US)], "other names stand between"),
            (vec![page(&[set(US, "A", None)]).max_items(0)], "the answer breaks off"),
            (vec![page(&[strange.expect("a set")])], "the A record set 'new' cannot be kept as it is: it has a set"),
        ] {
            let error = read(pages).1.expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }
}
