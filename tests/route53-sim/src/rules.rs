//! What a batch of changes may do to a zone.
//!
//! [`structure`] is what the service checks before it looks at the zone (InvalidInput, the first problem only);
//! [`apply`] works through the batch in order against a working copy, collects every message (InvalidChangeBatch) and
//! leaves the zone as it was if there is one.

mod pool;
mod single;
mod structure;

use std::collections::BTreeMap;
use std::sync::Arc;

<<<<<<< HEAD
use crate::model::{Action, ApiError, Change, ChangeBatch, GeoLocation, GeoProximity, Policy, RecordSet};
=======
pub use self::structure::structure;

use crate::model::{Action, ApiError, Change, RecordSet};
use crate::name;
>>>>>>> sim
use crate::options::{Options, Switch};
use crate::rdata;
use crate::texts::{self, unverified};
use crate::zone::{Key, Zone};

/// `ResourceRecord` elements in a request, an UPSERT's counted twice.
pub const MAX_ELEMENTS: usize = 1000;
/// Characters of all values in a request, an UPSERT's counted twice.
pub const MAX_CHARACTERS: usize = 32_000;

/// What the rules need to know beside the zone.
pub struct Context<'a> {
    /// The settings.
    pub options: &'a Options,
    /// Whether a health check exists.
    pub health_check_exists: &'a dyn Fn(&str) -> bool,
    /// The account's other zones, by id.
    pub other_zones: &'a BTreeMap<String, Zone>,
}

<<<<<<< HEAD
/// Brings the names of a batch into stored form and checks what can be checked without a zone.
///
/// # Errors
/// InvalidInput, or InvalidChangeBatch for a name that is none.
pub fn structure(batch: &ChangeBatch) -> Result<Vec<Change>, ApiError> {
    ranges(batch)?;
    batch
        .changes
        .iter()
        .map(|change| {
            let mut set = change.record_set.clone();
            set.name = name::normalize(&set.name).map_err(invalid_name)?;
            set.multi_value_answer = set.multi_value_answer.filter(|given| *given);
            one_policy(change.action, &set)?;
            one_source(change.action, &set)?;
            set.geoproximity.as_ref().map_or(Ok(()), one_location)?;
            set.geolocation.as_ref().map_or(Ok(()), one_geolocation)?;
            if let Some(alias) = &mut set.alias {
                alias.dns_name = name::normalize(&alias.dns_name).map_err(invalid_name)?;
            }
            Ok(Change { action: change.action, record_set: set })
        })
        .collect()
}

/// Not bracketed: the service gives up on the request at the first such name.
fn invalid_name(problem: name::Problem) -> ApiError {
    ApiError::new(400, "InvalidChangeBatch", problem.to_string())
}

/// The ranges that the XML schema leaves to the service.
fn ranges(batch: &ChangeBatch) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    for (index, change) in batch.changes.iter().enumerate() {
        let path = |field: &str| format!("changeBatch.changes.{}.member.resourceRecordSet.{field}", index + 1);
        for (field, value, max) in
            [("tTL", change.record_set.ttl, i64::from(i32::MAX)), ("weight", change.record_set.weight, 255)]
        {
            let bound = match value {
                Some(value) if value > max => format!("have value less than or equal to {max}"),
                Some(value) if value < 0 => "have value greater than or equal to 0".to_owned(),
                _ => continue,
            };
            errors.push(texts::constraint(&value.unwrap_or_default().to_string(), &path(field), &bound));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid_input(texts::validation_errors(&errors))) }
}

const NONE: &str = "none";
const SEVERAL: &str = "more than one";

fn one_policy(action: Action, set: &RecordSet) -> Result<(), ApiError> {
    match (set.policies().len(), &set.set_identifier) {
        (0, None) | (1, Some(_)) => Ok(()),
        (0, Some(_)) => Err(ApiError::invalid_input(texts::one_policy(action, set, NONE))),
        (1, None) => Err(ApiError::invalid_input(texts::missing_set_identifier(action, set))),
        (_, _) => Err(ApiError::invalid_input(texts::one_policy(action, set, SEVERAL))),
    }
}

fn one_source(action: Action, set: &RecordSet) -> Result<(), ApiError> {
    let (ttl, values) = (set.ttl.is_some(), !set.values.is_empty());
    let others = usize::from(set.alias.is_some()) + usize::from(set.traffic_policy_instance_id.is_some());
    // A lone TTL beside an alias is already one source too many.
    let found = match (others, ttl, values) {
        (0, true, true) | (1, false, false) => return Ok(()),
        (0, _, _) => NONE,
        (_, _, _) => SEVERAL,
    };
    Err(ApiError::invalid_input(texts::one_source(action, set, found)))
}

fn one_location(location: &GeoProximity) -> Result<(), ApiError> {
    let given = [location.aws_region.is_some(), location.local_zone_group.is_some(), location.coordinates.is_some()];
    match given.into_iter().filter(|given| *given).count() {
        0 => Err(ApiError::invalid_input(texts::one_location(NONE))),
        1 => Ok(()),
        _ => Err(ApiError::invalid_input(texts::one_location(SEVERAL))),
    }
}

fn one_geolocation(location: &GeoLocation) -> Result<(), ApiError> {
    match (&location.continent, &location.country) {
        (None, None) => Err(ApiError::invalid_input(unverified::one_geolocation(NONE))),
        (Some(_), Some(_)) => Err(ApiError::invalid_input(unverified::one_geolocation(SEVERAL))),
        _ => Ok(()),
    }
}

=======
>>>>>>> sim
/// Applies changes that passed [`structure`]: all of them, or none.
///
/// # Errors
/// InvalidChangeBatch with the messages of all changes, or NoSuchHealthCheck.
pub fn apply(zone: &mut Zone, changes: &[Change], context: &Context<'_>) -> Result<(), ApiError> {
    let messages = counters(changes);
    if !messages.is_empty() {
        return Err(ApiError::invalid_change_batch(&messages));
    }
    let messages = repeated_keys(changes);
    if !messages.is_empty() {
        return Err(ApiError::invalid_change_batch(&messages));
    }
    for change in changes.iter().filter(|change| change.action != Action::Delete) {
        if let Some(id) = &change.record_set.health_check_id
            && !(context.health_check_exists)(id)
        {
            return Err(texts::no_such_health_check(id));
        }
    }
    let mut messages = Vec::new();
    let mut undo: Vec<(Key, Option<Arc<RecordSet>>)> = Vec::new();
    for change in changes {
        let refusals = match change.action {
            Action::Delete => refuse_delete(zone, &change.record_set, context),
            Action::Create | Action::Upsert => refuse_write(zone, change, context),
        };
        if !refusals.is_empty() {
            messages.extend(refusals);
            continue;
        }
        let key = Key::of(&change.record_set);
        let old = match change.action {
            Action::Delete => zone.remove(&key),
            Action::Create | Action::Upsert => zone.put(stored(&change.record_set)),
        };
        undo.push((key, old));
    }
    messages.extend(apex(zone));
    if messages.is_empty() {
        return Ok(());
    }
    for (key, old) in undo.into_iter().rev() {
        zone.restore(key, old);
    }
    Err(ApiError::invalid_change_batch(&messages))
}

/// The name is already in stored form; the bias becomes explicit.
fn stored(set: &RecordSet) -> RecordSet {
    let mut set = set.clone();
    if let Some(geoproximity) = &mut set.geoproximity {
        geoproximity.bias.get_or_insert(0);
    }
    set
}

fn counters(changes: &[Change]) -> Vec<String> {
    let sum = |count: fn(&RecordSet) -> usize| -> usize {
        changes
            .iter()
            .map(|change| count(&change.record_set) * if change.action == Action::Upsert { 2 } else { 1 })
            .sum()
    };
    let mut messages = Vec::new();
    if sum(|set| set.values.len().max(1)) > MAX_ELEMENTS {
        messages.push(texts::too_many_elements(MAX_ELEMENTS));
    }
    if sum(|set| set.values.iter().map(|value| value.chars().count()).sum()) > MAX_CHARACTERS {
        messages.push(texts::too_many_characters(MAX_CHARACTERS));
    }
    messages
}

/// One record set may be changed once, or deleted and then created.
fn repeated_keys(changes: &[Change]) -> Vec<String> {
    let mut actions: BTreeMap<Key, Vec<Action>> = BTreeMap::new();
    let mut messages = Vec::new();
    for change in changes {
        let seen = actions.entry(Key::of(&change.record_set)).or_default();
        seen.push(change.action);
        let allowed = matches!(seen.as_slice(), [_] | [Action::Delete, Action::Create]);
        if !allowed {
            let message = texts::invalid_set_of_changes(&change.record_set);
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
    }
    messages
}

fn apex(zone: &Zone) -> Vec<String> {
    [("SOA", unverified::SOA_IS_NEEDED), ("NS", unverified::NS_IS_NEEDED)]
        .into_iter()
        .filter(|(rtype, _)| zone.pool(&zone.name, rtype).next().is_none())
        .map(|(_, message)| message.to_owned())
        .collect()
}

fn refuse_delete(zone: &Zone, set: &RecordSet, context: &Context<'_>) -> Vec<String> {
    if !name::is_within(&set.name, &zone.name) {
        return vec![texts::outside_the_zone(set, &zone.name)];
    }
    match zone.get(&Key::of(set)) {
        None => vec![texts::not_found(set)],
        Some(current) if !matches(set, current, context.options) => {
            vec![texts::values_do_not_match(set)]
        }
        Some(current) if current.traffic_policy_instance_id.is_some() => {
            vec![unverified::made_by_a_traffic_policy(set)]
        }
        Some(_) => Vec::new(),
    }
}

/// Whether a DELETE names exactly what is there: every field, the values in any order.
fn matches(given: &RecordSet, current: &RecordSet, options: &Options) -> bool {
    let mut given = given.clone();
    if options.delete_missing_bias_matches_zero == Switch::Allow
        && let Some(geoproximity) = &mut given.geoproximity
    {
        geoproximity.bias.get_or_insert(0);
    }
    let mut current = current.clone();
    given.values.sort();
    current.values.sort();
    given == current
}

fn refuse_write(zone: &Zone, change: &Change, context: &Context<'_>) -> Vec<String> {
    let set = &change.record_set;
    let refusals = single::refuse(zone, set);
    if !refusals.is_empty() {
        return refusals;
    }
    let key = Key::of(set);
    let exists = zone.get(&key).is_some();
    let refusal = || {
        rdata::problem(set)
            .or_else(|| single::alias_target(zone, set, context))
            .or_else(|| {
                let several = set.policy().is_some() && set.values.len() > 1;
                (several && context.options.multi_value == Switch::Reject).then(|| unverified::multi_value(set))
            })
<<<<<<< HEAD
            .or_else(|| (change.action == Action::Create && exists).then(|| texts::already_exists(set)))
            .or_else(|| pool(zone, set, &key, context.options))
            .or_else(|| cname(zone, set))
=======
            .or_else(|| pool::refuse(zone, set, &key, context.options))
            .or_else(|| pool::cname(zone, set))
>>>>>>> sim
            .or_else(|| {
                let full = !exists && zone.len() >= context.options.max_record_sets;
                full.then(|| unverified::zone_is_full(context.options.max_record_sets))
            })
    };
    refusal().into_iter().collect()
}
<<<<<<< HEAD

/// What can be said of a record set and its zone alone.
fn by_itself(zone: &Zone, set: &RecordSet) -> Vec<String> {
    if !name::is_within(&set.name, &zone.name) {
        return vec![texts::outside_the_zone(set, &zone.name)];
    }
    if set.traffic_policy_instance_id.is_some() {
        return vec![unverified::made_by_a_traffic_policy(set)];
    }
    if set.rtype == "NS" && set.name.starts_with("\\052.") {
        return vec![unverified::wildcard_name_server(set)];
    }
    let policy = set.policy();
    let unsupported = match policy {
        None => false,
        Some(Policy::MultiValueAnswer) => {
            matches!(set.rtype.as_str(), "NS" | "SOA" | "DS" | "CNAME")
        }
        Some(_) => matches!(set.rtype.as_str(), "NS" | "SOA" | "DS"),
    };
    if unsupported {
        return vec![texts::type_not_supported(set)];
    }
    match policy {
        None if set.health_check_id.is_some() => vec![texts::HEALTH_CHECK_ON_SIMPLE.to_owned()],
        Some(Policy::CidrRoutingConfig) if zone.private => vec![texts::cidr_in_private_zone(set)],
        Some(Policy::MultiValueAnswer) if set.alias.is_some() => {
            vec![texts::MULTIVALUE_ALIAS.to_owned()]
        }
        Some(Policy::Failover)
            if set.failover.as_deref() == Some("PRIMARY") && set.alias.is_none() && set.health_check_id.is_none() =>
        {
            vec![texts::PRIMARY_WITHOUT_HEALTH_CHECK.to_owned()]
        }
        _ => set.geoproximity.as_ref().map(unknown_location).unwrap_or_default(),
    }
}

fn unknown_location(location: &GeoProximity) -> Vec<String> {
    match (&location.aws_region, &location.local_zone_group) {
        // The service says this one twice.
        (Some(region), _) if !places::is_region(region) => {
            vec![texts::no_such_geoproximity_region(region); 2]
        }
        (_, Some(group)) if !places::is_local_zone_group(group) => {
            vec![texts::no_such_local_zone_group(group)]
        }
        _ => Vec::new(),
    }
}

fn alias_target(zone: &Zone, set: &RecordSet, context: &Context<'_>) -> Option<String> {
    let alias = set.alias.as_ref()?;
    let target_zone =
        if alias.hosted_zone_id == zone.id { zone } else { context.other_zones.get(&alias.hosted_zone_id)? };
    let (target, id) = (&alias.dns_name, &alias.hosted_zone_id);
    if !name::is_within(target, &target_zone.name) {
        return Some(unverified::alias_target_outside_its_zone(target, &set.rtype, id));
    }
    let found = target_zone.pool(target, &set.rtype).next().is_some();
    (!found).then(|| unverified::alias_target_not_found(target, &set.rtype, id))
}

/// What the other record sets of the same name and type forbid.
fn pool(zone: &Zone, set: &RecordSet, key: &Key, options: &Options) -> Option<String> {
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
            && same(|a, b| place(a) == place(b)))
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

/// Where a geoproximity record set is; two spellings of one pair of coordinates are one place.
fn place(set: &RecordSet) -> Option<(Option<&str>, Option<&str>, Option<(i64, i64)>)> {
    let location = set.geoproximity.as_ref()?;
    let coordinates = location.coordinates.as_ref().map(|c| (hundredths(&c.latitude), hundredths(&c.longitude)));
    Some((location.aws_region.as_deref(), location.local_zone_group.as_deref(), coordinates))
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
fn cname(zone: &Zone, set: &RecordSet) -> Option<String> {
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
=======
>>>>>>> sim
