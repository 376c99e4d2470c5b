//! Routing policies on the wire.

use serde::{Deserialize, Serialize};

/// A routing policy in the words of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "lowercase")]
pub enum Routing {
    /// No policy.
    Simple,
    /// In proportion to weights.
    Weighted {
        /// 0 to 255.
        weight: u8,
    },
    /// By distance: one of coordinates, region and local zone group.
    GeoProximity {
        /// `latitude,longitude`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        coordinates: Option<String>,
        /// An AWS Region.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
        /// An AWS Local Zone Group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        local_zone_group: Option<String>,
        /// -99 to 99.
        bias: i8,
    },
    /// Up to eight at random.
    MultiValue,
    /// By latency.
    Latency {
        /// An AWS Region.
        region: String,
    },
    /// By where the question comes from: a continent, or a country, perhaps with a subdivision.
    Geolocation {
        /// A continent's code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        continent: Option<String>,
        /// A country's code, or `*`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        country: Option<String>,
        /// A subdivision's code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subdivision: Option<String>,
    },
    /// Primary and secondary.
    Failover {
        /// `primary` or `secondary`.
        role: String,
    },
    /// By the asking resolver's network.
    #[serde(rename = "ip-based")]
    Cidr {
        /// The CIDR collection's id.
        collection_id: String,
        /// The location's name.
        location_name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_is_written_in_the_words_of_the_configuration_file() {
        let here = Routing::GeoProximity {
            coordinates: Some("50.11,8.68".to_owned()),
            region: None,
            local_zone_group: None,
            bias: 0,
        };
        for (routing, json) in [
            (here, r#"{"policy":"geoproximity","coordinates":"50.11,8.68","bias":0}"#),
            (Routing::Weighted { weight: 10 }, r#"{"policy":"weighted","weight":10}"#),
            (Routing::MultiValue, r#"{"policy":"multivalue"}"#),
            (Routing::Latency { region: "eu-central-1".to_owned() }, r#"{"policy":"latency","region":"eu-central-1"}"#),
        ] {
            assert_eq!(serde_json::to_string(&routing).expect("plain data"), json);
            assert_eq!(serde_json::from_str::<Routing>(json).expect("our own words"), routing);
        }
    }
}
