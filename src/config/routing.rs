//! The `routing` table of a record, by Route 53's rules.

use crate::config::path::Path;
use crate::config::raw::{DEFAULT_WEIGHT, PolicyName, RawRouting, Role};
use crate::config::validate::{Judge, number};
use crate::decide::policy::RoutingRule;
use crate::decide::routing::{Coordinates, FailoverRole, Location, Origin, Routing};

/// Continent codes. Source: Route 53 API reference, GeoLocation.
const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// Countries that Route 53 divides. Source: Route 53 API reference, GeoLocation.
const DIVIDED_COUNTRIES: [&str; 2] = ["US", "UA"];

/// In place of coordinates: as an annotation of the Node says.
const AUTO: &str = "auto";

/// The routing policy; `None` when the table does not make one, which is then reported. `watched`
/// is whether the Node may be.
pub(super) fn routing(table: &RawRouting, watched: bool, path: &Path, judge: &mut Judge<'_>) -> Option<RoutingRule> {
    foreign_keys(table, path, judge);
    let auto = table.coordinates.as_deref() == Some(AUTO);
    if auto && table.policy == PolicyName::Geoproximity && table.region.is_none() && table.local_zone_group.is_none() {
        if !watched {
            judge.advise(
                &path.key("coordinates"),
                "\"auto\" is taken from an annotation of the Node, but Kubernetes is switched off",
                "write latitude, then longitude, like \"50.11,8.68\"",
            );
        }
        let bias = number(table.bias.unwrap_or(0), -99, 99, &path.key("bias"), judge);
        return Some(RoutingRule::CoordinatesOfTheNode { bias });
    }
    fixed(table, path, judge).map(RoutingRule::Fixed)
}

fn fixed(table: &RawRouting, path: &Path, judge: &mut Judge<'_>) -> Option<Routing> {
    match table.policy {
        PolicyName::Weighted => {
            let weight = table.weight.unwrap_or(DEFAULT_WEIGHT);
            Some(Routing::Weighted(number(weight, 0, 255, &path.key("weight"), judge)))
        }
        PolicyName::Geoproximity => {
            let bias = number(table.bias.unwrap_or(0), -99, 99, &path.key("bias"), judge);
            Some(Routing::GeoProximity { location: location(table, path, judge)?, bias })
        }
        PolicyName::Latency => {
            let Some(name) = &table.region else {
                needs(
                    &["region"],
                    path,
                    judge,
                    "latency routing needs a 'region'",
                    "for example region = \"eu-central-1\"",
                );
                return None;
            };
            region(name, &path.key("region"), judge).then(|| Routing::Latency(name.clone()))
        }
        PolicyName::Geolocation => origin(table, path, judge).map(Routing::Geolocation),
        PolicyName::Failover => match table.role {
            Some(Role::Primary) => Some(Routing::Failover(FailoverRole::Primary)),
            Some(Role::Secondary) => Some(Routing::Failover(FailoverRole::Secondary)),
            None => {
                needs(&["role"], path, judge, "failover routing needs a 'role'", "it is \"primary\" or \"secondary\"");
                None
            }
        },
        PolicyName::Multivalue => Some(Routing::MultiValue),
    }
}

/// Reports keys that say nothing under the table's policy.
fn foreign_keys(table: &RawRouting, path: &Path, judge: &mut Judge<'_>) {
    use PolicyName::{Failover, Geolocation, Geoproximity, Latency, Weighted};
    let keys: [(&str, bool, &[PolicyName]); 9] = [
        ("weight", table.weight.is_some(), &[Weighted]),
        ("coordinates", table.coordinates.is_some(), &[Geoproximity]),
        ("region", table.region.is_some(), &[Geoproximity, Latency]),
        ("local_zone_group", table.local_zone_group.is_some(), &[Geoproximity]),
        ("bias", table.bias.is_some(), &[Geoproximity]),
        ("continent", table.continent.is_some(), &[Geolocation]),
        ("country", table.country.is_some(), &[Geolocation]),
        ("subdivision", table.subdivision.is_some(), &[Geolocation]),
        ("role", table.role.is_some(), &[Failover]),
    ];
    for (key, present, policies) in keys {
        if present && !policies.contains(&table.policy) {
            let policies: Vec<_> = policies.iter().map(|policy| word(*policy)).collect();
            judge.complain(
                &path.key(key),
                format!("belongs to {} routing; this record's is {}", policies.join(" or "), word(table.policy)),
            );
        }
    }
}

/// Reports that none of these keys is there, unless one is that could not be read.
fn needs(keys: &[&str], path: &Path, judge: &mut Judge<'_>, message: &str, hint: &str) {
    if !keys.iter().any(|key| judge.is_broken(&path.key(key))) {
        judge.advise(path, message, hint);
    }
}

fn word(policy: PolicyName) -> &'static str {
    match policy {
        PolicyName::Weighted => "weighted",
        PolicyName::Geoproximity => "geoproximity",
        PolicyName::Latency => "latency",
        PolicyName::Geolocation => "geolocation",
        PolicyName::Failover => "failover",
        PolicyName::Multivalue => "multivalue",
    }
}

fn location(table: &RawRouting, path: &Path, judge: &mut Judge<'_>) -> Option<Location> {
    match (&table.coordinates, &table.region, &table.local_zone_group) {
        (Some(text), None, None) => match Coordinates::parse_pair(text) {
            Ok(point) => Some(Location::Coordinates(point)),
            Err(error) => {
                judge.advise(
                    &path.key("coordinates"),
                    error.to_string(),
                    "write latitude, then longitude, like \"50.11,8.68\"; \"auto\" takes them from an annotation of the Node",
                );
                None
            }
        },
        (None, Some(name), None) => region(name, &path.key("region"), judge).then(|| Location::AwsRegion(name.clone())),
        (None, None, Some(name)) => {
            local_zone_group(name, &path.key("local_zone_group"), judge).then(|| Location::LocalZoneGroup(name.clone()))
        }
        (None, None, None) => {
            needs(
                &["coordinates", "region", "local_zone_group"],
                path,
                judge,
                "geoproximity routing needs to know where the node is",
                "add 'coordinates', 'region' or 'local_zone_group'",
            );
            None
        }
        _ => {
            judge.complain(
                path,
                "geoproximity routing takes exactly one of 'coordinates', 'region' and 'local_zone_group'",
            );
            None
        }
    }
}

fn origin(table: &RawRouting, path: &Path, judge: &mut Judge<'_>) -> Option<Origin> {
    match (&table.continent, &table.country, &table.subdivision) {
        (Some(continent), None, None) => {
            if CONTINENTS.contains(&continent.as_str()) {
                return Some(Origin::Continent(continent.clone()));
            }
            judge.complain(
                &path.key("continent"),
                format!("{continent:?} is not a continent code: {}", CONTINENTS.join(", ")),
            );
            None
        }
        (None, Some(country), None) => self::country(country, path, judge).then(|| Origin::Country(country.clone())),
        (None, Some(country), Some(subdivision)) => {
            if !self::country(country, path, judge) {
                return None;
            }
            if !DIVIDED_COUNTRIES.contains(&country.as_str()) {
                judge.complain(
                    &path.key("subdivision"),
                    format!("Route 53 knows the subdivisions of {} only", DIVIDED_COUNTRIES.join(" and ")),
                );
                return None;
            }
            let shaped = (1..=3).contains(&subdivision.len())
                && subdivision.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
            if !shaped {
                judge.complain(
                    &path.key("subdivision"),
                    format!("{subdivision:?} is not a subdivision code such as \"CO\""),
                );
                return None;
            }
            Some(Origin::Subdivision { country: country.clone(), subdivision: subdivision.clone() })
        }
        (None, None, Some(_)) => {
            if !judge.is_broken(&path.key("country")) {
                judge.advise(&path.key("subdivision"), "needs its country", "add country = \"US\"");
            }
            None
        }
        (None, None, None) => {
            needs(
                &["continent", "country", "subdivision"],
                path,
                judge,
                "geolocation routing needs to know whose questions the node answers",
                "add 'continent' or 'country' (country = \"*\" is everybody else)",
            );
            None
        }
        (Some(_), None, Some(_)) => {
            judge.advise(
                &path.key("subdivision"),
                "belongs to a country, not to a continent",
                "replace 'continent' with the country, for example country = \"US\", or remove 'subdivision'",
            );
            None
        }
        (Some(_), Some(_), _) => {
            judge.complain(path, "geolocation routing takes either 'continent' or 'country', not both");
            None
        }
    }
}

fn country(code: &str, path: &Path, judge: &mut Judge<'_>) -> bool {
    let shaped = code == "*" || (code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()));
    if !shaped {
        judge.advise(
            &path.key("country"),
            format!("{code:?} is not a country code"),
            "two capital letters of ISO 3166-1 such as \"DE\", or \"*\"",
        );
    }
    shaped
}

/// Whether this has the shape of an AWS Region's name, e.g. `eu-central-1`, `us-gov-west-1`; which
/// Regions exist is not for us to know.
pub(super) fn region(name: &str, path: &Path, judge: &mut Judge<'_>) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let shaped = name.len() <= 64 && is_region(&parts);
    if !shaped {
        let zone = name.strip_suffix(|c: char| c.is_ascii_lowercase());
        match zone.filter(|zone| is_region(&zone.split('-').collect::<Vec<_>>())) {
            Some(region) => judge.advise(
                path,
                format!("{name:?} is an Availability Zone, not a Region"),
                format!("its Region is {region:?}"),
            ),
            None => judge.advise(
                path,
                format!("{name:?} is not an AWS Region"),
                "a Region's name looks like \"eu-central-1\"",
            ),
        }
    }
    shaped
}

fn local_zone_group(name: &str, path: &Path, judge: &mut Judge<'_>) -> bool {
    let shaped = name.len() <= 64 && is_local_zone_group(name);
    if !shaped {
        match name.strip_suffix(|c: char| c.is_ascii_lowercase()).filter(|group| is_local_zone_group(group)) {
            Some(group) => judge.advise(
                path,
                format!("{name:?} is a Local Zone, not a Local Zone Group"),
                format!("its group is {group:?}"),
            ),
            None => judge.advise(
                path,
                format!("{name:?} is not a Local Zone Group"),
                "its name looks like \"us-west-2-den-1\"",
            ),
        }
    }
    shaped
}

/// Words, then a number: `eu central 1`.
fn is_region(parts: &[&str]) -> bool {
    let Some((number, words)) = parts.split_last() else { return false };
    words.len() >= 2 && is_number(number) && words.iter().all(|word| is_word(word))
}

/// A Region, a place and a number: `us west 2` `den` `1`.
fn is_local_zone_group(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    match parts.as_slice() {
        [region @ .., place, number] => is_region(region) && is_word(place) && is_number(number),
        _ => false,
    }
}

fn is_word(part: &str) -> bool {
    part.len() >= 2 && part.bytes().all(|b| b.is_ascii_lowercase())
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit())
}
