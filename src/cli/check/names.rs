//! The names: whether their record sets may be read and changed, and what they hold.

use crate::cli::check::aws::{ask, failed};
use crate::cli::check::findings::{Finding, Findings};
use crate::cli::check::ids::Id;
use crate::cli::check::reader::Reader;
use crate::cli::render::counted;
use crate::decide::owner::SetIdentifier;
use crate::decide::policy::{Policy, RecordPolicy, RoutingRule};
use crate::decide::pool;
use crate::decide::reason::Reason;
use crate::decide::record::{Action, Listing, Pool, RecordType};
use crate::decide::routing::{Coordinates, Location, PolicyKind, Routing};
use crate::publish::route53::Route53;
use crate::publish::route53::inspect::Limit;
use crate::publish::route53::rights::{ChangeRights, Right};

/// A resolver goes on answering with the address of a node that has gone for as long as this.
const LONG_TTL: u32 = 300;

/// One that suits a node that may leave at any time.
const GOOD_TTL: u32 = 60;

const FULL_REMEDY: &str = "spread the nodes over more names, or remove what is dead with 'nodedns prune'";

/// Checks one record: reading, changing, and each type of what it holds.
pub async fn check(
    policy: &Policy,
    record: &RecordPolicy,
    zone_id: &str,
    provider: &Route53,
    reader: &mut Reader<'_>,
    findings: &mut Findings<'_>,
) {
    let name = record.name.to_string();
    let own = policy.owner.set_identifier();
    let subject = format!("{name}: right to change {}", list(record.types.iter().map(|rtype| rtype.as_str())));
    let trying = async || provider.try_rights(zone_id, &record.name, &record.types, &own).await;
    let finding = match ask(findings, &format!("trying rights at {name}"), trying).await {
        Ok(rights) => rights_finding(&subject, zone_id, record, &rights),
        Err(error) => failed(Id::ChangeRights, &subject, &error),
    };
    findings.add(finding);
    let listing = match reader.at(zone_id, &record.name, findings).await {
        Ok((listing, _)) => listing,
        Err(error) => {
            if reader.is_news(zone_id, &error) {
                findings.add(failed(Id::List, format!("{name}: reading"), &error));
            }
            for rtype in &record.types {
                let why = "what the name holds could not be read";
                findings.add(Finding::skipped(Id::RecordSets, format!("{name} {rtype}"), why));
            }
            return;
        }
    };
    for rtype in &record.types {
        pool_findings(record, &listing, *rtype, &own).into_iter().for_each(|finding| findings.add(finding));
    }
}

fn rights_finding(subject: &str, zone_id: &str, record: &RecordPolicy, rights: &ChangeRights) -> Finding {
    let types = list(record.types.iter().map(|rtype| rtype.as_str()));
    if rights.are_all_allowed() {
        let text = format!("UPSERT, CREATE and DELETE of {types} are allowed; nothing was changed to find that out");
        return Finding::ok(Id::ChangeRights, subject, text);
    }
    let mut text = String::new();
    for rtype in &record.types {
        let of = |wanted: fn(&Right) -> bool| {
            let actions = [Action::Upsert, Action::Create, Action::Delete];
            let those = actions.into_iter().filter(|action| rights.found.get(&(*rtype, *action)).is_some_and(wanted));
            list(those.map(Action::as_str))
        };
        let denied = of(|right| matches!(right, Right::Denied(_)));
        if denied.is_empty() {
            continue;
        }
        text.push_str(&format!("{denied} of {rtype} denied"));
        let not_told = of(|right| *right == Right::NotTold);
        if !not_told.is_empty() {
            text.push_str(&format!(" ({not_told} cannot be tried without it)"));
        }
        text.push_str("; ");
    }
    text.push_str(rights.words().unwrap_or("the service does not say why"));
    Finding::failed(Id::ChangeRights, subject, text).remedy(format!(
        "allow route53:ChangeResourceRecordSets on arn:aws:route53:::hostedzone/{zone_id}, under conditions that leave \
         in UPSERT, CREATE and DELETE of {types} at {}; 'nodedns iam-policy' prints it",
        record.name.as_str().trim_end_matches('.')
    ))
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// What there is to say of one pool.
fn pool_findings(record: &RecordPolicy, listing: &Listing, rtype: RecordType, own: &SetIdentifier) -> Vec<Finding> {
    let subject = format!("{} {rtype}", record.name);
    let empty = Pool::new();
    let pool = listing.pool(rtype).unwrap_or(&empty);
    let kind = record.routing.kind();
    let count = match pool.len() {
        0 => "no record sets yet".to_owned(),
        sets => counted(sets, "record set"),
    };
    let mut findings = Vec::new();
    if let Some(reason) = routing(&record.routing).and_then(|routing| pool::conflict(listing, pool, own, &routing)) {
        let finding = Finding::failed(Id::RecordSets, &subject, reason.to_string());
        // Whatever adopt can take over is a conflict of policies.
        let is_adoptable = !listing.has_cname && pool.values().any(|set| set.routing.kind() != kind);
        findings.push(finding.remedy(match &reason {
            _ if is_adoptable => {
                format!("'nodedns adopt {}' takes the record sets over, in one batch", record.name)
            }
            Reason::CnameConflict => "delete the CNAME, or publish under another name".to_owned(),
            Reason::PoolFull(_) => FULL_REMEDY.to_owned(),
            _ => "give this node's record another routing, or remove the record set that is in the way".to_owned(),
        }));
        return findings;
    }
    let mine = if pool.contains_key(&Some(own.clone())) { ", this node's among them" } else { "" };
    findings.push(Finding::ok(Id::RecordSets, &subject, format!("{kind}, {count}{mine}")));
    let limit = Limit { used: count_of(pool.len()), allowed: count_of(kind.pool_limit()) };
    // A pair that is there for its standby is full by design.
    if kind != PolicyKind::Failover && limit.is_near() {
        findings.push(
            Finding::warning(
                Id::PoolLimit,
                &subject,
                format!("{} of the {} record sets that Route 53 takes for {kind}", limit.used, limit.allowed),
            )
            .remedy(FULL_REMEDY),
        );
    }
    findings.extend(pool_ttl(&subject, pool::ttl(pool, own, record), record.ttl));
    findings
}

/// What there is to say of a pool whose TTL is not the configured one. What is wrong with the latter alone
/// is told with the configuration.
fn pool_ttl(subject: &str, ttl: u32, configured: u32) -> Option<Finding> {
    if ttl == configured {
        return None;
    }
    let text = format!("the pool has a TTL of {ttl} s, configured are {configured} s; the pool's is kept");
    Some(match ttl_finding(subject, ttl) {
        None => Finding::warning(Id::PoolTtl, subject, text).remedy(format!(
            "set ttl = {ttl}; Route 53 takes only one TTL in a weighted pool, so another one means to replace it as a whole"
        )),
        Some(odd) => {
            let wanted = if ttl_finding(subject, configured).is_none() { configured } else { GOOD_TTL };
            Finding::warning(Id::PoolTtl, subject, format!("{text}: {}", odd.text)).remedy(format!(
                "replace the pool's record sets in one change batch, all with a TTL of {wanted}: Route 53 takes only \
                 one in a weighted pool"
            ))
        }
    })
}

fn count_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// What a TTL means for those who ask; `None` where there is nothing to say.
pub(super) fn ttl_finding(subject: &str, ttl: u32) -> Option<Finding> {
    let (text, remedy) = match ttl {
        0 => (
            "a TTL of 0 s: resolvers ask for every connection, and some keep the answer all the same".to_owned(),
            "set ttl to 30 or more",
        ),
        1..=LONG_TTL => return None,
        _ => (
            format!("a TTL of {ttl} s: for so long resolvers go on answering with a node that has been withdrawn"),
            "set ttl to 60, or to 300 at most",
        ),
    };
    Some(Finding::warning(Id::Ttl, subject, text).remedy(remedy))
}

/// The routing to look for conflicts with. Where the node says its place itself, any will do: places
/// do not conflict.
fn routing(rule: &RoutingRule) -> Option<Routing> {
    match rule {
        RoutingRule::Fixed(routing) => Some(routing.clone()),
        RoutingRule::CoordinatesOfTheNode { bias } => {
            let somewhere = Coordinates::parse_pair("0,0").ok()?;
            Some(Routing::GeoProximity { location: Location::Coordinates(somewhere), bias: *bias })
        }
    }
}
