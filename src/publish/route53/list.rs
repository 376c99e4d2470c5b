//! Reading record sets, page by page: everything at one name, or a whole zone ([`super::scan`]).

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use aws_sdk_route53::operation::list_resource_record_sets::ListResourceRecordSetsOutput;
use aws_sdk_route53::types::{ResourceRecordSet, RrType};

use crate::decide::name::DnsName;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::record::{Listing, RecordSet, RecordType};
use crate::publish::route53::Route53;
use crate::publish::route53::convert;
use crate::publish::route53::error::Request;

/// The longest page that Route 53 gives; it may give shorter ones.
const PAGE_SIZE: i32 = 300;

/// Where a page starts. All three matter: without the identifier a pool longer than a page is
/// repeated or cut short.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Cursor {
    pub name: Option<String>,
    pub rtype: Option<String>,
    pub identifier: Option<String>,
}

impl Cursor {
    fn rtype(&self) -> Option<RrType> {
        self.rtype.as_deref().map(RrType::from)
    }
}

/// What becomes of the record sets of a listing.
pub(super) trait Collect {
    /// What is listed, for an error: `edge.example.com in zone Z1`.
    fn what(&self) -> String;

    /// The name that the listing starts at; `None`: at the zone's first.
    fn first_name(&self) -> Option<&DnsName>;

    /// Takes the record sets of one page.
    ///
    /// # Errors
    /// Why the listing cannot be used.
    fn take(&mut self, sets: &[ResourceRecordSet]) -> Result<(), String>;

    /// Whether the page that starts at this name is wanted.
    ///
    /// # Errors
    /// Why the listing cannot be used.
    fn goes_on_at(&self, name: &str) -> Result<bool, String>;
}

/// A listing that grows page by page.
///
/// Anything that does not hold together is an error: a listing that came out too short would look
/// like record sets that someone deleted.
#[derive(Debug)]
pub(super) struct Reader<C> {
    collect: C,
    asked: BTreeSet<Cursor>,
}

impl<C: Collect> Reader<C> {
    pub fn new(collect: C) -> Self {
        Reader { collect, asked: BTreeSet::new() }
    }

    /// Where the first page starts, whatever the type.
    pub fn start(&mut self) -> Cursor {
        let name = self.collect.first_name().map(|name| name.as_str().to_owned());
        let cursor = Cursor { name, ..Cursor::default() };
        self.asked.insert(cursor.clone());
        cursor
    }

    /// Takes a page, and says where the next one starts; `None` when everything wanted has been read.
    pub fn take(&mut self, page: &ListResourceRecordSetsOutput) -> Result<Option<Cursor>, ProviderError> {
        self.next(page).map_err(|why| ProviderError {
            kind: ErrorKind::Unavailable,
            code: None,
            message: format!("the listing of {} cannot be used: {why}", self.collect.what()),
        })
    }

    fn next(&mut self, page: &ListResourceRecordSetsOutput) -> Result<Option<Cursor>, String> {
        // The SDK reads a body that breaks off as one that ends, and fills in what is missing: an
        // empty list that is not truncated. `MaxItems` is in every whole answer, behind the list.
        if page.max_items() < 1 {
            return Err("the answer breaks off".to_owned());
        }
        self.collect.take(page.resource_record_sets())?;
        if !page.is_truncated() {
            return Ok(None);
        }
        let name = page.next_record_name().ok_or("it goes on, but does not say where")?;
        if !self.collect.goes_on_at(name)? {
            return Ok(None);
        }
        // One spelling of a name is enough to tell that a page was asked for before.
        let name = DnsName::parse(name).map_or_else(|_| name.to_owned(), |name| name.as_str().to_owned());
        let cursor = Cursor {
            name: Some(name),
            rtype: page.next_record_type().map(|rtype| rtype.as_str().to_owned()),
            identifier: page.next_record_identifier().map(str::to_owned),
        };
        if !self.asked.insert(cursor.clone()) {
            return Err("it goes on where it has been before".to_owned());
        }
        Ok(Some(cursor))
    }

    /// What has been read.
    pub fn finish(self) -> C {
        self.collect
    }
}

impl Route53 {
    /// Reads a listing to its end, or fails.
    pub(super) async fn read<C: Collect>(&self, zone_id: &str, collect: C) -> Result<C, ProviderError> {
        let mut reader = Reader::new(collect);
        let mut cursor = reader.start();
        loop {
            let page = self
                .send(Request::List, |client| {
                    client
                        .list_resource_record_sets()
                        .hosted_zone_id(zone_id)
                        .max_items(PAGE_SIZE)
                        .set_start_record_name(cursor.name.clone())
                        .set_start_record_type(cursor.rtype())
                        .set_start_record_identifier(cursor.identifier.clone())
                        .send()
                })
                .await?;
            match reader.take(&page)? {
                Some(next) => cursor = next,
                None => return Ok(reader.finish()),
            }
        }
    }
}

/// Everything at one name.
///
/// Route 53 lists names in order, so everything at one name comes first in a listing that starts
/// there, and the first other name ends it.
#[derive(Debug)]
pub(super) struct AtName<'a> {
    name: &'a DnsName,
    listing: Listing,
    passed: bool,
    has_name_servers: bool,
}

impl<'a> AtName<'a> {
    pub fn new(zone_id: &str, name: &'a DnsName) -> Self {
        AtName {
            name,
            listing: Listing { zone_id: zone_id.to_owned(), ..Listing::default() },
            passed: false,
            has_name_servers: false,
        }
    }

    /// What the name holds.
    pub fn listing(self) -> Listing {
        self.listing
    }

    /// Whether the name has name servers of its own.
    pub fn has_name_servers(&self) -> bool {
        self.has_name_servers
    }

    /// A listed name that is no name we could publish is another name.
    fn is_at(&self, listed: &str) -> bool {
        DnsName::parse(listed).is_ok_and(|listed| listed == *self.name)
    }
}

impl Collect for AtName<'_> {
    fn what(&self) -> String {
        format!("{} in zone {}", self.name, self.listing.zone_id)
    }

    fn first_name(&self) -> Option<&DnsName> {
        Some(self.name)
    }

    fn take(&mut self, sets: &[ResourceRecordSet]) -> Result<(), String> {
        for set in sets {
            if !self.is_at(set.name()) {
                self.passed = true;
                continue;
            }
            if self.passed {
                return Err(BETWEEN.to_owned());
            }
            match Kind::of(set) {
                Kind::Address(rtype) => {
                    let converted = convert::record_set(set)
                        .map_err(|why| format!("{} cannot be kept as it is: {why}", described(rtype, set)))?;
                    add(&mut self.listing, rtype, converted).map_err(|()| twice(rtype, set))?;
                }
                Kind::Cname => self.listing.has_cname = true,
                Kind::Other => self.has_name_servers |= *set.r#type() == RrType::Ns,
            }
        }
        Ok(())
    }

    fn goes_on_at(&self, name: &str) -> Result<bool, String> {
        match self.is_at(name) {
            true if self.passed => Err(BETWEEN.to_owned()),
            here => Ok(here),
        }
    }
}

const BETWEEN: &str = "other names stand between its record sets";

/// What a record set is to us.
pub(super) enum Kind {
    /// One that is published here.
    Address(RecordType),
    /// One that tolerates nothing beside it.
    Cname,
    /// Any other.
    Other,
}

impl Kind {
    pub fn of(set: &ResourceRecordSet) -> Self {
        match set.r#type() {
            RrType::A => Kind::Address(RecordType::A),
            RrType::Aaaa => Kind::Address(RecordType::Aaaa),
            RrType::Cname => Kind::Cname,
            _ => Kind::Other,
        }
    }
}

/// Puts a record set in its place; an error when there is one already.
pub(super) fn add(listing: &mut Listing, rtype: RecordType, set: RecordSet) -> Result<(), ()> {
    match listing.pools.entry(rtype).or_default().entry(set.set_identifier.clone()) {
        Entry::Vacant(place) => {
            place.insert(set);
            Ok(())
        }
        Entry::Occupied(_) => Err(()),
    }
}

/// What an error says of a record set that a listing names twice.
pub(super) fn twice(rtype: RecordType, set: &ResourceRecordSet) -> String {
    format!("{} is there twice", described(rtype, set))
}

/// `the A record set 'nodedns/v1/home/n1'`.
pub(super) fn described(rtype: RecordType, set: &ResourceRecordSet) -> String {
    match set.set_identifier() {
        Some(identifier) => format!("the {rtype} record set '{identifier}'"),
        None => format!("the {rtype} record set"),
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
        let mut reader = Reader::new(AtName::new("Z1", &name));
        assert_eq!(reader.start().name.as_deref(), Some("\\052.a.example."));
        let mut taken = 0;
        for page in pages {
            taken += 1;
            match reader.take(&page.build().expect("a page")) {
                Ok(Some(_)) => {}
                Ok(None) => return (taken, Ok(reader.finish().listing())),
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
