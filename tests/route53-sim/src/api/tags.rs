//! Tags of zones and health checks.

use super::{Answer, Route};
use crate::account::Account;
use crate::model::ApiError;
use crate::schema;
use crate::texts::unverified;
use crate::xml::Writer;

pub(super) fn change(account: &mut Account, route: &Route, body: &[u8]) -> Result<Answer, ApiError> {
    let (kind, id) = (route.argument(0), route.argument(1));
    exists(account, kind, id)?;
    let (add, remove) = schema::change_tags(body, account.options.element_order())?;
    if add.is_empty() && remove.is_empty() {
        return Err(unverified::no_tags_given());
    }
    account.tags.change(kind, id, &add, &remove)?;
    Ok(Answer::ok(Writer::document("ChangeTagsForResourceResponse", |_| {})))
}

pub(super) fn list(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let (kind, id) = (route.argument(0), route.argument(1));
    exists(account, kind, id)?;
    Ok(Answer::ok(Writer::document("ListTagsForResourceResponse", |out| render(out, account, kind, id))))
}

pub(super) fn list_several(account: &Account, route: &Route, body: &[u8]) -> Result<Answer, ApiError> {
    let kind = route.argument(0);
    let ids = schema::list_tags(body, account.options.element_order())?;
    for id in &ids {
        exists(account, kind, id)?;
    }
    Ok(Answer::ok(Writer::document("ListTagsForResourcesResponse", |out| {
        out.element("ResourceTagSets", |out| ids.iter().for_each(|id| render(out, account, kind, id)));
    })))
}

fn exists(account: &Account, kind: &str, id: &str) -> Result<(), ApiError> {
    match kind {
        "healthcheck" => account.health_checks.find(id).map(drop),
        "hostedzone" => account.zone(id).map(drop),
        other => Err(unverified::bad_parameter("ResourceType", other)),
    }
}

fn render(out: &mut Writer, account: &Account, kind: &str, id: &str) {
    out.element("ResourceTagSet", |out| {
        out.leaf("ResourceType", kind);
        out.leaf("ResourceId", id);
        out.element("Tags", |out| {
            for (key, value) in account.tags.of(kind, id) {
                out.element("Tag", |out| {
                    out.leaf("Key", key);
                    out.leaf("Value", value);
                });
            }
        });
    });
}
