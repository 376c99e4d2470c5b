//! Reading a whole zone.

use std::collections::BTreeSet;

use aws_sdk_route53::types::ResourceRecordSet;

use crate::decide::name::DnsName;
use crate::decide::record::{Listing, ZoneListing};
use crate::publish::route53::convert;
use crate::publish::route53::list::{Collect, Kind, add, described, twice};
use crate::publish::zone::bare_id;

/// Every A and AAAA record set of a zone, and where there are CNAMEs.
///
/// Unlike at a name that is to be written to, a record set that our words cannot say is no reason
/// to fail: who looks at a zone wants to see the rest of it.
pub(super) struct InZone<'a> {
    listing: ZoneListing,
    /// How many record sets there were so far, of whatever type.
    count: usize,
    read: &'a (dyn Fn(usize) + Sync),
}

impl<'a> InZone<'a> {
    pub fn new(zone_id: &str, read: &'a (dyn Fn(usize) + Sync)) -> Self {
        let listing = ZoneListing { zone_id: bare_id(zone_id).to_owned(), ..ZoneListing::default() };
        InZone { listing, count: 0, read }
    }

    /// What the zone holds.
    pub fn listing(self) -> ZoneListing {
        self.listing
    }

    fn at(&mut self, name: DnsName) -> &mut Listing {
        let ZoneListing { zone_id, names, .. } = &mut self.listing;
        names.entry(name).or_insert_with(|| Listing { zone_id: zone_id.clone(), ..Listing::default() })
    }
}

impl Collect for InZone<'_> {
    fn what(&self) -> String {
        format!("the zone {}", self.listing.zone_id)
    }

    fn first_name(&self) -> Option<&DnsName> {
        None
    }

    fn take(&mut self, sets: &[ResourceRecordSet]) -> Result<(), String> {
        for set in sets {
            match (Kind::of(set), DnsName::parse(set.name())) {
                (Kind::Address(rtype), Ok(name)) => match convert::record_set(set) {
                    Ok(converted) => add(self.at(name), rtype, converted)
                        .map_err(|()| format!("at {}, {}", set.name(), twice(rtype, set)))?,
                    Err(why) => {
                        let why = format!("{}: {why}", described(rtype, set));
                        self.listing.unreadable.push((set.name().to_owned(), why));
                    }
                },
                (Kind::Address(rtype), Err(error)) => {
                    let why = format!("{}: {error}", described(rtype, set));
                    self.listing.unreadable.push((set.name().to_owned(), why));
                }
                (Kind::Cname, Ok(name)) => self.at(name).has_cname = true,
                // Nothing that could be published stands beside them.
                (Kind::Cname, Err(_)) | (Kind::Other, _) => {}
            }
        }
        self.count += sets.len();
        (self.read)(self.count);
        Ok(())
    }

    fn goes_on_at(&self, _: &str) -> Result<bool, String> {
        Ok(true)
    }
}

/// The health checks that record sets of a zone refer to, of whatever name and type.
pub(super) struct ChecksInUse<'a> {
    zone_id: &'a str,
    ids: BTreeSet<String>,
}

impl<'a> ChecksInUse<'a> {
    pub fn new(zone_id: &'a str) -> Self {
        ChecksInUse { zone_id, ids: BTreeSet::new() }
    }

    /// Their ids.
    pub fn ids(self) -> BTreeSet<String> {
        self.ids
    }
}

impl Collect for ChecksInUse<'_> {
    fn what(&self) -> String {
        format!("the zone {}", self.zone_id)
    }

    fn first_name(&self) -> Option<&DnsName> {
        None
    }

    fn take(&mut self, sets: &[ResourceRecordSet]) -> Result<(), String> {
        self.ids.extend(sets.iter().filter_map(|set| set.health_check_id()).map(str::to_owned));
        Ok(())
    }

    fn goes_on_at(&self, _: &str) -> Result<bool, String> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use aws_sdk_route53::operation::list_resource_record_sets::builders::ListResourceRecordSetsOutputBuilder;
    use aws_sdk_route53::types::{ResourceRecord, RrType};

    use super::*;
    use crate::publish::route53::list::{Cursor, Reader};

    fn set(name: &str, rtype: &str, identifier: &str) -> ResourceRecordSet {
        let record = ResourceRecord::builder().value("192.0.2.1").build().expect("a value");
        ResourceRecordSet::builder()
            .name(name)
            .r#type(rtype.into())
            .set_identifier(identifier)
            .weight(1)
            .health_check_id(identifier)
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

    /// Feeds the pages to a reader: where it went on, and what came of it.
    fn read<C: Collect>(collect: C, pages: &[ListResourceRecordSetsOutputBuilder]) -> (Vec<Cursor>, Result<C, String>) {
        let mut reader = Reader::new(collect);
        let mut cursors = vec![reader.start()];
        for page in pages {
            match reader.take(&page.clone().build().expect("a page")) {
                Ok(Some(next)) => cursors.push(next),
                Ok(None) => return (cursors, Ok(reader.finish())),
                Err(error) => return (cursors, Err(error.to_string())),
            }
        }
        panic!("the reader wants another page");
    }

    #[test]
    fn a_zone_goes_on_with_all_three_cursors_whatever_the_name() {
        let told = Mutex::new(Vec::new());
        let read_so_far = |count| told.lock().expect("not poisoned").push(count);
        let first = page(&[set("a.example.", "A", "x"), set("b.example.", "A", "x")]).is_truncated(true);
        let second = page(&[set("b.example.", "A", "y")]).is_truncated(true).next_record_name("c\\057*.example.");
        let pages = [
            first.next_record_name("B.example.").next_record_type(RrType::A).next_record_identifier("y"),
            second.next_record_type(RrType::Mx),
            page(&[set("d.example.", "AAAA", "x")]),
        ];
        let (cursors, zone) = read(InZone::new("/hostedzone/Z1", &read_so_far), &pages);
        let cursor = |name: &str, rtype: &str, identifier: Option<&str>| Cursor {
            name: Some(name.to_owned()),
            rtype: Some(rtype.to_owned()),
            identifier: identifier.map(str::to_owned),
        };
        let expected =
            [Cursor::default(), cursor("b.example.", "A", Some("y")), cursor("c\\057*.example.", "MX", None)];
        assert_eq!(cursors, expected);
        let listing = zone.expect("whole").listing();
        let names: Vec<&str> = listing.names.keys().map(DnsName::as_str).collect();
        assert_eq!((listing.zone_id.as_str(), names), ("Z1", vec!["a.example.", "b.example.", "d.example."]));
        assert_eq!(*told.lock().expect("not poisoned"), [2, 3, 4]);
        let (_, used) = read(ChecksInUse::new("Z1"), &pages);
        assert_eq!(used.expect("whole").ids(), BTreeSet::from(["x".to_owned(), "y".to_owned()]));
    }

    #[test]
    fn a_zone_that_does_not_hold_together_is_an_error() {
        let going_on = |sets: &[ResourceRecordSet]| page(sets).is_truncated(true);
        let at = |name: &str| going_on(&[]).next_record_name(name).next_record_type(RrType::A);
        let broken = [
            (vec![page(&[set("a.example.", "A", "x")]).max_items(0)], "the answer breaks off"),
            (vec![at("b.example."), page(&[]).max_items(0)], "the answer breaks off"),
            (vec![going_on(&[])], "does not say where"),
            (vec![at("b.example."), at("B.example")], "where it has been before"),
            (vec![at("b.example."), at("c.example."), at("b.example.")], "where it has been before"),
        ];
        for (pages, why) in &broken {
            let error = read(InZone::new("Z1", &|_| ()), pages).1.err().expect(why);
            assert!(error.starts_with("the listing of the zone Z1 cannot be used: ") && error.contains(why), "{error}");
            let error = read(ChecksInUse::new("Z1"), pages).1.err().expect(why);
            assert!(error.starts_with("the listing of the zone Z1 cannot be used: ") && error.contains(why), "{error}");
        }
        let twice = [
            going_on(&[set("a.example.", "A", "x")]).next_record_name("a.example.").next_record_type(RrType::A),
            page(&[set("A.example", "A", "x")]),
        ];
        let error = read(InZone::new("Z1", &|_| ()), &twice).1.err().expect("twice");
        assert!(error.ends_with("at A.example, the A record set 'x' is there twice"), "{error}");
    }
}
