//! Whether the world is sent to the hosted zones.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::cli::check::aws::ask;
use crate::cli::check::findings::{Finding, Findings};
use crate::cli::check::ids::Id;
use crate::cli::check::reader::Reader;
use crate::decide::name::DnsName;
use crate::decide::policy::RecordPolicy;
use crate::publish::delegation::{self, Delegation, Served};
use crate::publish::route53::Route53;
use crate::publish::route53::inspect::{ZoneDetails, between};

/// Whether resolvers are sent to the name servers of this zone.
pub async fn delegation(
    resolver: Option<SocketAddr>,
    details: &ZoneDetails,
    provider: &Route53,
    findings: &mut Findings<'_>,
) {
    let subject = details.zone.name.to_string();
    if details.zone.private {
        let text = "a private zone is answered in its VPCs alone, so there is nothing to delegate";
        return findings.add(Finding::skipped(Id::Delegation, subject, text));
    }
    let resolvers = match resolver {
        Some(resolver) => vec![resolver],
        None => match delegation::resolvers() {
            Ok(resolvers) => resolvers,
            Err(error) => {
                let text = format!("the resolvers of this host cannot be read: {error}");
                let finding = Finding::warning(Id::Delegation, subject, text);
                return findings.add(finding.remedy("name one with --resolver ADDRESS:PORT"));
            }
        },
    };
    let question = delegation::who_serves(&details.zone.name, &resolvers);
    let served = match findings.wait(&format!("asking who serves {subject}"), question).await {
        Ok(Ok(served)) => served,
        Ok(Err(why)) => return findings.add(not_asked(subject, &why.replace('\n', "; "))),
        Err(error) => return findings.add(not_asked(subject, &error.to_string())),
    };
    let delegation = delegation::compare(&served, &details.name_servers);
    let twin = match &delegation {
        Delegation::Elsewhere(servers) => twin(details, servers, provider, findings).await,
        _ => None,
    };
    findings.add(finding(details, &delegation, twin.as_deref()));
}

fn not_asked(subject: String, why: &str) -> Finding {
    Finding::warning(Id::Delegation, subject, format!("no resolver says who serves it: {why}"))
        .remedy("name another resolver with --resolver ADDRESS:PORT, e.g. 9.9.9.9:53")
}

/// The zone of the same name in this account that the name servers belong to. Without the right to
/// look, none is known.
async fn twin(
    details: &ZoneDetails,
    servers: &BTreeSet<DnsName>,
    provider: &Route53,
    findings: &mut Findings<'_>,
) -> Option<String> {
    let twins = ask(findings, "looking for a zone of the same name", async || provider.twins(&details.zone).await)
        .await
        .ok()?;
    twins.into_iter().find(|twin| !twin.name_servers.is_disjoint(servers)).map(|twin| twin.zone.id)
}

/// What the delegation means. `twin` is the zone of the same name that it goes to.
fn finding(details: &ZoneDetails, delegation: &Delegation, twin: Option<&str>) -> Finding {
    let subject = details.zone.name.to_string();
    let list = |names: &BTreeSet<DnsName>| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let wanted = list(&details.name_servers);
    match delegation {
        Delegation::Here => {
            Finding::ok(Id::Delegation, subject, format!("delegated to the name servers of {}", details.zone.id))
        }
        Delegation::Partly { others, .. } => Finding::warning(
            Id::Delegation,
            subject,
            format!("delegated to this zone, but also to {}, which know nothing of it", list(others)),
        )
        .remedy(format!("leave only these at the registrar and in the NS record set of the zone: {wanted}")),
        Delegation::Elsewhere(servers) => {
            let finding =
                Finding::failed(Id::Delegation, subject, format!("delegated elsewhere, to {}", list(servers)));
            match twin {
                Some(twin) => Finding {
                    text: format!("{}: to the zone {twin} of the same name, not to {}", finding.text, details.zone.id),
                    ..finding
                }
                .remedy(format!("set zone_id = \"{twin}\", or delegate to {wanted}")),
                None => finding.remedy(format!(
                    "delegate to {wanted}, at the registrar or in the zone above; or publish where it is delegated to"
                )),
            }
        }
        Delegation::Nowhere(served) => {
            let why = match served {
                Served::NoName => "resolvers know no such name (NXDOMAIN)",
                Served::NoZone | Served::By(_) => "resolvers know no name servers for it",
            };
            Finding::failed(Id::Delegation, subject, format!("not delegated: {why}")).remedy(format!(
                "delegate to {wanted}, at the registrar or, for a zone below one of your own, with an NS record set there"
            ))
        }
    }
}

/// Whether the zone itself gives a name, or one above it, away: those names, each with why nothing that is
/// published there is answered.
pub async fn delegations_below(
    details: &ZoneDetails,
    records: &[&RecordPolicy],
    reader: &mut Reader<'_>,
    findings: &mut Findings<'_>,
) -> BTreeMap<DnsName, String> {
    let mut given_away = BTreeMap::new();
    let mut unread = Vec::new();
    for record in records.iter().filter(|record| record.name.is_within(&details.zone.name)) {
        for above in between(&details.zone.name, &record.name) {
            match reader.at(&details.zone.id, &above, findings).await {
                Ok((_, false)) => {}
                Ok((_, true)) => {
                    let text = format!(
                        "the zone gives {above} away with an NS record set, so what {} holds there is not answered",
                        details.zone.id
                    );
                    findings.add(
                        Finding::failed(Id::DelegatedBelow, record.name.to_string(), text)
                            .remedy("publish in the zone that it is given to, or delete that NS record set"),
                    );
                    given_away.insert(record.name.clone(), format!("its zone gives {above} away"));
                    break;
                }
                // Why, is told beside what the names hold.
                Err(_) => {
                    unread.push(record.name.to_string());
                    break;
                }
            }
        }
    }
    if !unread.is_empty() {
        let text = "whether the zone gives it away is not known: it cannot be read";
        findings.add(Finding::skipped(Id::DelegatedBelow, unread.join(", "), text));
    }
    given_away
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::findings::Outcome;
    use crate::publish::zone::HostedZone;

    fn names(list: &[&str]) -> BTreeSet<DnsName> {
        list.iter().map(|name| DnsName::parse(name).expect(name)).collect()
    }

    #[test]
    fn every_delegation_has_its_words() {
        let zone = HostedZone { id: "Z1".into(), name: DnsName::parse("example.com").expect("a name"), private: false };
        let name_servers = names(&["ns-1.awsdns-1.com", "ns-2.awsdns-2.net"]);
        let details = ZoneDetails { zone, name_servers, record_sets: 2, linked_service: None };
        let partly = Delegation::Partly { ours: names(&["ns-1.awsdns-1.com"]), others: names(&["ns.old.example"]) };
        let elsewhere = Delegation::Elsewhere(names(&["ns.old.example"]));
        let ours = "ns-1.awsdns-1.com, ns-2.awsdns-2.net";
        for (delegation, twin, outcome, text, remedy) in [
            (Delegation::Here, None, Outcome::Ok, "name servers of Z1", ""),
            (partly, None, Outcome::Warning, "also to ns.old.example", ours),
            (elsewhere.clone(), None, Outcome::Failed, "delegated elsewhere, to ns.old.example", ours),
            (elsewhere, Some("Z2"), Outcome::Failed, "to the zone Z2 of the same name, not to Z1", "zone_id = \"Z2\""),
            (Delegation::Nowhere(Served::NoName), None, Outcome::Failed, "NXDOMAIN", ours),
            (Delegation::Nowhere(Served::NoZone), None, Outcome::Failed, "no name servers", ours),
        ] {
            let finding = finding(&details, &delegation, twin);
            assert_eq!(finding.outcome, outcome, "{delegation:?}");
            assert!(finding.text.contains(text), "{}", finding.text);
            assert!(finding.remedy.unwrap_or_default().contains(remedy), "{delegation:?}");
        }
    }
}
