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

pub use self::structure::structure;

use crate::model::{Action, ApiError, Change, RecordSet};
use crate::name;
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
            .or_else(|| (change.action == Action::Create && exists).then(|| texts::already_exists(set)))
            .or_else(|| pool::refuse(zone, set, &key, context.options))
            .or_else(|| pool::cname(zone, set))
            .or_else(|| {
                let full = !exists && zone.len() >= context.options.max_record_sets;
                full.then(|| unverified::zone_is_full(context.options.max_record_sets))
            })
    };
    refusal().into_iter().collect()
}
