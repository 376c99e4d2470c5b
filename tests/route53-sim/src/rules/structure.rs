//! What the service checks before it looks at the zone.

use crate::model::{Action, ApiError, Change, ChangeBatch, GeoLocation, GeoProximity, RecordSet};
use crate::name;
use crate::texts::{self, unverified};

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
