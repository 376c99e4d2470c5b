//! Which hosted zone a name belongs to.

use crate::decide::name::DnsName;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::record::ZoneRef;

/// A hosted zone, as far as choosing among several needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedZone {
    /// The id, without `/hostedzone/`.
    pub id: String,
    /// The name.
    pub name: DnsName,
    /// Whether it answers in VPCs only.
    pub private: bool,
}

/// A hosted zone id as Route 53 lists it, without its prefix.
pub(crate) fn bare_id(id: &str) -> &str {
    id.strip_prefix("/hostedzone/").or_else(|| id.strip_prefix("hostedzone/")).unwrap_or(id)
}

/// The id of the one zone among `zones` that `wanted` means for `name`.
///
/// # Errors
/// [`ErrorKind::NoSuchZone`] when there is none, and when there are several: Route 53 lets zones
/// share a name, and which of them is delegated to cannot be told from here.
pub(crate) fn choose(zones: &[HostedZone], wanted: &ZoneRef, name: &DnsName) -> Result<String, ProviderError> {
    let (private, fits): (bool, Vec<&HostedZone>) = match wanted {
        ZoneRef::Id(id) => return Ok(bare_id(id).to_owned()),
        ZoneRef::Name { name: zone, private } => (*private, zones.iter().filter(|z| z.name == *zone).collect()),
        ZoneRef::Longest { private } => (*private, zones.iter().filter(|z| name.is_within(&z.name)).collect()),
    };
    let of_kind = |private: bool| fits.iter().filter(move |zone| zone.private == private);
    let longest = of_kind(private).map(|zone| zone.name.label_count()).max();
    let candidates: Vec<&str> =
        of_kind(private).filter(|zone| Some(zone.name.label_count()) == longest).map(|zone| zone.id.as_str()).collect();
    let hint = "hint: set zone_id to the id of the zone that is meant";
    let message = match candidates.as_slice() {
        [id] => return Ok((*id).to_owned()),
        [] => {
            let mut message = format!("{wanted} was not found for {name}");
            let others: Vec<&str> = of_kind(!private).map(|zone| zone.id.as_str()).collect();
            if !others.is_empty() {
                let kind = if private { "public" } else { "private" };
                message.push_str(&format!(", only {kind}: {}", others.join(", ")));
            }
            format!("{message}\n{hint}, or check that the credentials belong to its account")
        }
        several => format!("{wanted} is not one zone for {name} but {}: {}\n{hint}", several.len(), several.join(", ")),
    };
    Err(ProviderError { kind: ErrorKind::NoSuchZone, code: None, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).expect(text)
    }

    fn zones() -> Vec<HostedZone> {
        [
            ("ZCOM", "com", false),
            ("ZEX", "example.com", false),
            ("ZEXP", "example.com", true),
            ("ZSUB", "sub.example.com", false),
            ("ZBAD", "ample.com", false),
            ("ZTWIN1", "twin.net", false),
            ("ZTWIN2", "twin.net", false),
            ("ZPRIV", "lan", true),
        ]
        .into_iter()
        .map(|(id, zone, private)| HostedZone { id: id.into(), name: name(zone), private })
        .collect()
    }

    fn pick(wanted: &ZoneRef, record: &str) -> Result<String, String> {
        choose(&zones(), wanted, &name(record)).map_err(|error| {
            assert_eq!(error.kind, ErrorKind::NoSuchZone);
            error.message
        })
    }

    #[test]
    fn the_longest_zone_of_the_wanted_kind_wins() {
        let public = ZoneRef::Longest { private: false };
        let private = ZoneRef::Longest { private: true };
        assert_eq!(pick(&public, "edge.example.com").as_deref(), Ok("ZEX"));
        assert_eq!(pick(&public, "example.com").as_deref(), Ok("ZEX"));
        assert_eq!(pick(&public, "a.b.sub.example.com").as_deref(), Ok("ZSUB"));
        assert_eq!(pick(&public, "notexample.com").as_deref(), Ok("ZCOM"));
        assert_eq!(pick(&private, "a.sub.example.com").as_deref(), Ok("ZEXP"));
        assert!(pick(&public, "edge.example.org").is_err());
    }

    #[test]
    fn a_named_zone_is_that_zone_and_that_kind() {
        let named = |zone: &str, private| ZoneRef::Name { name: name(zone), private };
        assert_eq!(pick(&named("example.com", false), "a.sub.example.com").as_deref(), Ok("ZEX"));
        assert_eq!(pick(&named("example.com", true), "a.example.com").as_deref(), Ok("ZEXP"));
        let error = pick(&named("lan", false), "a.lan").expect_err("only private");
        assert!(
            error.starts_with("the public zone lan was not found for a.lan, only private: ZPRIV\nhint: "),
            "{error}"
        );
    }

    #[test]
    fn twins_are_an_error_that_names_them() {
        for wanted in [ZoneRef::Longest { private: false }, ZoneRef::Name { name: name("twin.net"), private: false }] {
            let error = pick(&wanted, "a.twin.net").expect_err("ambiguous");
            assert!(error.contains("not one zone for a.twin.net but 2: ZTWIN1, ZTWIN2\nhint: set zone_id"), "{error}");
        }
    }

    #[test]
    fn an_id_needs_no_zone_list() {
        for id in ["Z1", "/hostedzone/Z1", "hostedzone/Z1"] {
            assert_eq!(choose(&[], &ZoneRef::Id(id.into()), &name("a.b")).as_deref(), Ok("Z1"));
        }
    }
}
