//! What record sets of one name allow each other: one policy for each name and type, one TTL for a weighted pool, no
//! place twice, no more than the cap, and a CNAME alone.

use std::sync::Arc;

use crate::model::{GeoLocation, Policy, RecordSet};
use crate::options::{Options, Switch};
use crate::places;
use crate::texts::{self, unverified};
use crate::zone::{Key, Zone};

/// What the other record sets of the same name and type forbid.
pub(super) fn refuse(zone: &Zone, set: &RecordSet, key: &Key, options: &Options) -> Option<String> {
    let others: Vec<&RecordSet> =
        zone.pool(&set.name, &set.rtype).map(Arc::as_ref).filter(|other| Key::of(other) != *key).collect();
    let Some(policy) = set.policy() else {
        return (!others.is_empty()).then(|| texts::other_sets_exist(set));
    };
    if others.iter().any(|other| other.policy() != Some(policy)) {
        return Some(match policy {
            Policy::Weight => texts::non_weighted_exists(set),
            Policy::Region => texts::non_latency_exists(set),
            Policy::MultiValueAnswer => texts::non_multivalue_exists(set),
            Policy::Failover => unverified::other_policy_exists("failover", set),
            Policy::GeoLocation => unverified::other_policy_exists("GEO", set),
            Policy::GeoProximityLocation => unverified::other_policy_exists("geoproximity", set),
            Policy::CidrRoutingConfig => unverified::other_policy_exists("CIDR", set),
        });
    }
    let same = |equal: fn(&RecordSet, &RecordSet) -> bool| others.iter().any(|other| equal(other, set));
    let refusal = match policy {
        Policy::Weight => {
            let differs = |other: &RecordSet, set: &RecordSet| {
                other.alias.is_none() && set.alias.is_none() && other.ttl != set.ttl
            };
            same(differs).then(|| texts::weighted_ttl_differs(set))
        }
        Policy::Region => same(|a, b| a.region == b.region).then(|| texts::region_exists(set)),
        Policy::Failover => {
            same(|a, b| a.failover == b.failover).then(|| unverified::duplicate_in_pool("failover", set, "role"))
        }
        Policy::GeoLocation => same(|a, b| a.geolocation == b.geolocation).then(|| {
            let location = set.geolocation.as_ref().map(geolocation_text).unwrap_or_default();
            texts::geolocation_exists(set, &location)
        }),
        Policy::MultiValueAnswer => None,
        Policy::GeoProximityLocation => (options.geoproximity_duplicates == Switch::Reject
            && same(|a, b| Place::of(a) == Place::of(b)))
        .then(|| unverified::duplicate_in_pool("geoproximity", set, "location")),
        Policy::CidrRoutingConfig => {
            if same(|a, b| a.cidr.as_ref().map(|c| &c.collection_id) != b.cidr.as_ref().map(|c| &c.collection_id)) {
                Some(unverified::other_cidr_collection(set))
            } else {
                same(|a, b| a.cidr == b.cidr).then(|| unverified::duplicate_in_pool("CIDR", set, "location"))
            }
        }
    };
    refusal.or_else(|| {
        let (kind, cap) = match policy {
            Policy::Weight => ("weighted", 100),
            Policy::Region => ("latency", 100),
            Policy::Failover => ("failover", 100),
            Policy::GeoLocation => ("geolocation", 100),
            Policy::MultiValueAnswer => ("multivalue answer", 100),
            Policy::GeoProximityLocation => ("geo-proximity", 30),
            Policy::CidrRoutingConfig => ("CIDR", 100),
        };
        (others.len() >= cap).then(|| texts::pool_is_full(kind, set))
    })
}

/// Where a geoproximity record set is.
#[derive(PartialEq)]
struct Place<'a> {
    region: Option<&'a str>,
    local_zone_group: Option<&'a str>,
    /// Two spellings of one pair of coordinates are one place.
    hundredths: Option<(i64, i64)>,
}

impl<'a> Place<'a> {
    fn of(set: &'a RecordSet) -> Option<Self> {
        let location = set.geoproximity.as_ref()?;
        Some(Self {
            region: location.aws_region.as_deref(),
            local_zone_group: location.local_zone_group.as_deref(),
            hundredths: location.coordinates.as_ref().map(|at| (hundredths(&at.latitude), hundredths(&at.longitude))),
        })
    }
}

/// Degrees with at most two decimals as hundredths of a degree.
fn hundredths(degrees: &str) -> i64 {
    let (negative, digits) = match degrees.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, degrees.strip_prefix('+').unwrap_or(degrees)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = format!("{fraction:0<2}");
    let value = whole.parse::<i64>().unwrap_or_default() * 100 + fraction.parse::<i64>().unwrap_or_default();
    if negative { -value } else { value }
}

fn geolocation_text(location: &GeoLocation) -> String {
    let country_name = |code: &str| {
        if code == "*" {
            return "Default".to_owned();
        }
        places::countries().find(|(c, _)| *c == code).map_or(code, |(_, name)| name).to_owned()
    };
    match location {
        GeoLocation { continent: Some(code), .. } => {
            let name = places::CONTINENTS.iter().find(|(c, _)| c == code).map_or(code.as_str(), |(_, name)| name);
            format!("[continent = ({code}, {name})}}")
        }
        GeoLocation { country: Some(code), subdivision: None, .. } => {
            format!("[country = ({code}, {})}}", country_name(code))
        }
        GeoLocation { country, subdivision, .. } => {
            let (code, part) = (country.as_deref().unwrap_or_default(), subdivision.as_deref().unwrap_or_default());
            format!("[country = ({code}, {}), subdivision = ({part})}}", country_name(code))
        }
    }
}

/// A CNAME stands alone at its name.
pub(super) fn cname(zone: &Zone, set: &RecordSet) -> Option<String> {
    let mut others = zone.at_name(&set.name).filter(|other| other.rtype != set.rtype);
    if set.rtype == "CNAME" {
        return others.next().map(|_| texts::cname_conflicts(set, &zone.name));
    }
    others.any(|other| other.rtype == "CNAME").then(|| texts::cname_exists(set, &zone.name))
}

#[cfg(test)]
mod tests {
    use super::hundredths;

    #[test]
    fn two_spellings_of_a_coordinate_are_one_number() {
        for (text, number) in
            [("52.5", 5250), ("52.50", 5250), ("+52.5", 5250), ("-0.05", -5), ("-0", 0), ("180", 18000), ("7.", 700)]
        {
            assert_eq!(hundredths(text), number, "{text}");
        }
    }
}
