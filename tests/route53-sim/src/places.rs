//! The places that routing policies name: AWS Regions, local zone groups, continents, countries.

/// The Regions of latency routing, in the order of the service's schema.
pub const LATENCY_REGIONS: &[&str] = &[
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-central-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "eu-north-1",
    "sa-east-1",
    "cn-north-1",
    "cn-northwest-1",
    "ap-east-1",
    "me-south-1",
    "me-central-1",
    "ap-south-1",
    "ap-south-2",
    "af-south-1",
    "eu-south-1",
    "eu-south-2",
    "ap-southeast-4",
    "il-central-1",
    "ca-west-1",
    "ap-southeast-5",
    "mx-central-1",
    "ap-southeast-7",
    "us-gov-east-1",
    "us-gov-west-1",
    "ap-east-2",
    "ap-southeast-6",
    "eusc-de-east-1",
];

/// Regions that exist beside those of latency routing.
const OTHER_REGIONS: &[&str] = &[
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "us-isob-west-1",
    "us-isof-east-1",
    "us-isof-south-1",
    "eu-isoe-west-1",
];

/// The Regions health checkers sit in.
pub const CHECKER_REGIONS: &[&str] = &[
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
];

/// Code and name of each continent; Antarctica is `AN` here.
pub const CONTINENTS: &[(&str, &str)] = &[
    ("AF", "Africa"),
    ("AN", "Antarctica"),
    ("AS", "Asia"),
    ("EU", "Europe"),
    ("NA", "North America"),
    ("OC", "Oceania"),
    ("SA", "South America"),
];

/// Code and name of each country, from the public-domain table of the time zone database.
pub fn countries() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("countries.tsv").lines().filter_map(|line| line.split_once('\t'))
}

/// Whether geoproximity routing knows the Region.
#[must_use]
pub fn is_region(name: &str) -> bool {
    LATENCY_REGIONS.contains(&name) || OTHER_REGIONS.contains(&name)
}

/// Whether it has the form of a local zone group in a known Region, such as `us-west-2-den-1`.
#[must_use]
pub fn is_local_zone_group(name: &str) -> bool {
    let mut parts = name.rsplitn(3, '-');
    let (Some(number), Some(city), Some(region)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    is_region(region)
        && city.len() == 3
        && city.bytes().all(|b| b.is_ascii_lowercase())
        && number.parse::<u8>().is_ok_and(|n| (1..10).contains(&n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_and_local_zone_groups() {
        assert!(is_region("eu-central-1"));
        assert!(!is_region("xx-fake-1"));
        assert!(is_local_zone_group("us-west-2-den-1"));
        for bad in ["not-a-zone-group", "us-west-2", "us-west-2-den-1a", "xx-west-2-den-1", "us-west-2-den-"] {
            assert!(!is_local_zone_group(bad), "{bad}");
        }
        assert!(countries().any(|c| c == ("JP", "Japan")));
        assert!(countries().count() > 240);
    }
}
