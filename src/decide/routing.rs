//! Routing policies, in Route 53's words.

use std::cmp::Ordering;
use std::fmt;

/// How Route 53 chooses among the record sets of a pool. All record sets of one pool have the same
/// [`PolicyKind`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Routing {
    /// No policy and no set identifier: the only record set of its name and type.
    Simple,
    /// Chosen in proportion to its weight, 0 to 255. Weight 0 is never chosen while another is above 0.
    Weighted(u8),
    /// Chosen by distance, shrunk or grown by the bias.
    GeoProximity {
        /// Where the endpoint is.
        location: Location,
        /// -99 to 99; Route 53 lists a missing bias as 0, so it is always explicit here.
        bias: i8,
    },
    /// Up to eight record sets are answered at random.
    MultiValue,
    /// Chosen by measured latency to this AWS Region. One record set per Region and pool.
    Latency(String),
    /// Chosen by where the question comes from. One record set per location and pool.
    Geolocation(Origin),
    /// Chosen by health: primary first.
    Failover(FailoverRole),
    /// IP-based (CIDR): collection id and location name. Never written by nodedns, only recognised.
    Cidr {
        /// The CIDR collection's id.
        collection_id: String,
        /// The location's name within the collection; `*` is the default.
        location_name: String,
    },
}

/// Where a geoproximity endpoint is: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// Latitude and longitude.
    Coordinates(Coordinates),
    /// An AWS Region, e.g. `eu-central-1`.
    AwsRegion(String),
    /// An AWS Local Zone Group, e.g. `us-west-2-den-1`.
    LocalZoneGroup(String),
}

/// A point on the globe in hundredths of a degree: Route 53 takes no more than two decimals, and
/// equal points compare equal however they were written.
///
/// A point that was listed keeps its spelling all the same, because a deletion must repeat it.
#[derive(Debug, Clone, Copy)]
pub struct Coordinates {
    latitude: Degrees,
    longitude: Degrees,
}

/// Why a text is no coordinate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoordinatesError {
    /// Not `latitude,longitude`.
    NotAPair(String),
    /// Not a decimal number.
    NotANumber(String),
    /// More than the two decimals that Route 53 takes.
    TooPrecise(String),
    /// Latitude beyond 90 or longitude beyond 180 degrees.
    OutOfRange(String),
}

impl fmt::Display for CoordinatesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoordinatesError::NotAPair(text) => {
                write!(f, "'{text}' is not of the form \"latitude,longitude\"")
            }
            CoordinatesError::NotANumber(text) => {
                write!(f, "'{text}' is not a decimal number of degrees")
            }
            CoordinatesError::TooPrecise(text) => {
                write!(f, "'{text}' has more than two decimals, which is all that Route 53 takes (about 1 km)")
            }
            CoordinatesError::OutOfRange(text) => {
                write!(f, "'{text}' is outside -90..90 (latitude) or -180..180 (longitude)")
            }
        }
    }
}

impl std::error::Error for CoordinatesError {}

impl Coordinates {
    /// Reads a latitude and a longitude in degrees, each with up to two decimals.
    ///
    /// # Errors
    /// [`CoordinatesError`] says what is wrong with which of them.
    pub fn parse(latitude: &str, longitude: &str) -> Result<Self, CoordinatesError> {
        let degrees = |text, limit| Ok(Degrees { hundredths: hundredths(text, limit)?, listed: None });
        Ok(Coordinates { latitude: degrees(latitude, 9000)?, longitude: degrees(longitude, 18000)? })
    }

    /// Reads what Route 53 listed, and keeps how it is written.
    ///
    /// # Errors
    /// As [`Coordinates::parse`].
    pub fn listed(latitude: &str, longitude: &str) -> Result<Self, CoordinatesError> {
        let mut point = Coordinates::parse(latitude, longitude)?;
        point.latitude.listed = Spelling::of(latitude);
        point.longitude.listed = Spelling::of(longitude);
        Ok(point)
    }

    /// Reads `latitude,longitude`, spaces around the numbers allowed.
    ///
    /// # Errors
    /// As [`Coordinates::parse`].
    pub fn parse_pair(text: &str) -> Result<Self, CoordinatesError> {
        let (latitude, longitude) = text.split_once(',').ok_or_else(|| CoordinatesError::NotAPair(text.to_owned()))?;
        Coordinates::parse(latitude.trim(), longitude.trim())
    }

    /// The latitude as it was listed, or else as Route 53 takes it.
    pub fn latitude(self) -> String {
        self.latitude.text()
    }

    /// The longitude as it was listed, or else as Route 53 takes it.
    pub fn longitude(self) -> String {
        self.longitude.text()
    }

    fn hundredths(self) -> (i16, i16) {
        (self.latitude.hundredths, self.longitude.hundredths)
    }
}

impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (latitude, longitude) = self.hundredths();
        write!(f, "{},{}", degrees(latitude), degrees(longitude))
    }
}

impl Ord for Coordinates {
    fn cmp(&self, other: &Self) -> Ordering {
        self.hundredths().cmp(&other.hundredths())
    }
}

impl PartialOrd for Coordinates {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Coordinates {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Coordinates {}

#[derive(Debug, Clone, Copy)]
struct Degrees {
    hundredths: i16,
    listed: Option<Spelling>,
}

impl Degrees {
    fn text(self) -> String {
        match self.listed {
            Some(Spelling(bytes)) => {
                bytes.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
            }
            None => degrees(self.hundredths),
        }
    }
}

/// A text of at most the seven characters that Route 53 takes, the rest zeros.
#[derive(Debug, Clone, Copy)]
struct Spelling([u8; 7]);

impl Spelling {
    fn of(text: &str) -> Option<Self> {
        let mut bytes = [0; 7];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Spelling(bytes))
    }
}

/// Where a geolocation answer applies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A continent by its two-letter code: AF AN AS EU NA OC SA.
    Continent(String),
    /// A country by its ISO 3166-1 code, or `*` for wherever no other record set applies.
    Country(String),
    /// A part of a country: US states by their two-letter codes.
    Subdivision {
        /// The country's code.
        country: String,
        /// The subdivision's code.
        subdivision: String,
    },
}

/// Which of the two a failover record set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailoverRole {
    /// Answered while healthy; must have a health check.
    Primary,
    /// Answered when the primary is not healthy.
    Secondary,
}

/// A routing policy without its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the Routing variant of its name")]
pub enum PolicyKind {
    Simple,
    Weighted,
    GeoProximity,
    MultiValue,
    Latency,
    Geolocation,
    Failover,
    Cidr,
}

impl PolicyKind {
    /// The policy's name in the configuration file, in `--output json` and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            PolicyKind::Simple => "simple",
            PolicyKind::Weighted => "weighted",
            PolicyKind::GeoProximity => "geoproximity",
            PolicyKind::MultiValue => "multivalue",
            PolicyKind::Latency => "latency",
            PolicyKind::Geolocation => "geolocation",
            PolicyKind::Failover => "failover",
            PolicyKind::Cidr => "ip-based",
        }
    }

    /// How many record sets of this policy Route 53 takes in one pool.
    ///
    /// Source: Route 53 quotas; measured for weighted and geoproximity.
    pub fn pool_limit(self) -> usize {
        match self {
            PolicyKind::Simple => 1,
            PolicyKind::Failover => 2,
            PolicyKind::GeoProximity => 30,
            PolicyKind::Weighted
            | PolicyKind::MultiValue
            | PolicyKind::Latency
            | PolicyKind::Geolocation
            | PolicyKind::Cidr => 100,
        }
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Routing {
    /// The policy without its parameters.
    pub fn kind(&self) -> PolicyKind {
        match self {
            Routing::Simple => PolicyKind::Simple,
            Routing::Weighted(_) => PolicyKind::Weighted,
            Routing::GeoProximity { .. } => PolicyKind::GeoProximity,
            Routing::MultiValue => PolicyKind::MultiValue,
            Routing::Latency(_) => PolicyKind::Latency,
            Routing::Geolocation(_) => PolicyKind::Geolocation,
            Routing::Failover(_) => PolicyKind::Failover,
            Routing::Cidr { .. } => PolicyKind::Cidr,
        }
    }
}

impl fmt::Display for Routing {
    /// One short phrase, e.g. `geoproximity 50.11,8.68 bias 10`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Routing::Simple | Routing::MultiValue => self.kind().fmt(f),
            Routing::Weighted(weight) => write!(f, "weighted {weight}"),
            Routing::GeoProximity { location, bias } => {
                match location {
                    Location::Coordinates(point) => write!(f, "geoproximity {point}")?,
                    Location::AwsRegion(name) | Location::LocalZoneGroup(name) => write!(f, "geoproximity {name}")?,
                }
                if *bias == 0 { Ok(()) } else { write!(f, " bias {bias}") }
            }
            Routing::Latency(region) => write!(f, "latency {region}"),
            Routing::Geolocation(Origin::Continent(code) | Origin::Country(code)) => {
                write!(f, "geolocation {code}")
            }
            Routing::Geolocation(Origin::Subdivision { country, subdivision }) => {
                write!(f, "geolocation {country}-{subdivision}")
            }
            Routing::Failover(FailoverRole::Primary) => write!(f, "failover primary"),
            Routing::Failover(FailoverRole::Secondary) => write!(f, "failover secondary"),
            Routing::Cidr { collection_id, location_name } => write!(f, "ip-based {collection_id}/{location_name}"),
        }
    }
}

/// Reads degrees with up to two decimals into hundredths; `limit` is the largest magnitude, in hundredths.
fn hundredths(text: &str, limit: i32) -> Result<i16, CoordinatesError> {
    let not_a_number = || CoordinatesError::NotANumber(text.to_owned());
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || !whole.bytes().chain(decimals.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(not_a_number());
    }
    // Zeros beyond the second decimal say nothing more, so they do no harm.
    let decimals = match decimals.split_at_checked(2) {
        Some((kept, rest)) if rest.bytes().all(|b| b == b'0') => kept,
        Some(_) => return Err(CoordinatesError::TooPrecise(text.to_owned())),
        None => decimals,
    };
    let out_of_range = || CoordinatesError::OutOfRange(text.to_owned());
    let whole: i32 = whole.parse().map_err(|_| out_of_range())?;
    let fraction: i32 = format!("{decimals:0<2}").parse().map_err(|_| not_a_number())?;
    let magnitude = whole
        .checked_mul(100)
        .and_then(|w| w.checked_add(fraction))
        .filter(|m| *m <= limit)
        .ok_or_else(out_of_range)?;
    i16::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| out_of_range())
}

/// Writes hundredths the way Route 53's schema takes them at every value: it allows no decimals at
/// all behind a full 90 or 180, so a whole number of degrees never has any.
fn degrees(hundredths: i16) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let magnitude = hundredths.unsigned_abs();
    match (magnitude / 100, magnitude % 100) {
        (whole, 0) => format!("{sign}{whole}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_points_are_equal_however_written() {
        let point = Coordinates::parse_pair("50.11,8.68");
        for text in ["50.11, 8.68", " +50.110,08.68 ", "50.11,8.680"] {
            assert_eq!(Coordinates::parse_pair(text), point, "{text}");
        }
        assert_eq!(Coordinates::parse_pair("-0.00,0"), Coordinates::parse_pair("0,-0"));
    }

    #[test]
    fn a_listed_point_is_the_same_point_in_its_own_spelling() -> Result<(), CoordinatesError> {
        let listed = Coordinates::listed("+52.5", "-013.")?;
        assert_eq!((listed.latitude().as_str(), listed.longitude().as_str()), ("+52.5", "-013."));
        assert_eq!(listed, Coordinates::parse("52.50", "-13")?);
        assert_eq!(listed.to_string(), "52.50,-13");
        assert_eq!(Coordinates::listed("-00090.000", "-179.99")?.latitude(), "-90");
        assert_eq!(Coordinates::listed("1", "-179.99")?.longitude(), "-179.99");
        Ok(())
    }

    #[test]
    fn every_value_is_written_as_the_schema_takes_it() {
        for (text, latitude, longitude) in [
            ("90.0,180.00", "90", "180"),
            ("-90,-180", "-90", "-180"),
            ("0.5,-0.05", "0.50", "-0.05"),
            ("40.71,-74", "40.71", "-74"),
        ] {
            let point = Coordinates::parse_pair(text).expect(text);
            assert_eq!((point.latitude().as_str(), point.longitude().as_str()), (latitude, longitude));
            assert_eq!(Coordinates::parse(&point.latitude(), &point.longitude()), Ok(point));
        }
    }

    #[test]
    fn what_route_53_refuses_is_refused_for_the_right_reason() {
        let refused = |text: &str| Coordinates::parse_pair(text).expect_err(text);
        assert!(matches!(refused("40.7128,-74"), CoordinatesError::TooPrecise(_)));
        assert!(matches!(refused("90.01,0"), CoordinatesError::OutOfRange(_)));
        assert!(matches!(refused("0,180.01"), CoordinatesError::OutOfRange(_)));
        assert!(matches!(refused("99999999999,0"), CoordinatesError::OutOfRange(_)));
        assert!(matches!(refused("50.11"), CoordinatesError::NotAPair(_)));
        for text in ["a,b", ",1", "1,", ".5,1", "1e2,1", "1,--2", "1.2.3,4"] {
            assert!(matches!(refused(text), CoordinatesError::NotANumber(_)), "{text}");
        }
    }
}
