//! ChangeTagsForResource and ListTagsForResources.

use super::{list, many, one, optional};
use crate::model::ApiError;
use crate::xsd::{self, Facet, Order, Particle, Simple, Type};

const TAG_KEY: Type = simple!("TagKey": Facet::MaxLength(128));

static TAG: &[Particle] = &[optional("Key", TAG_KEY), optional("Value", simple!("TagValue": Facet::MaxLength(256)))];

static ADD_TAGS: &[Particle] = &[many("Tag", Type::Sequence(TAG), 1, 10)];

static REMOVE_TAG_KEYS: &[Particle] = &[many("Key", TAG_KEY, 1, 10)];

static CHANGE_TAGS: &[Particle] =
    &[optional("AddTags", Type::Sequence(ADD_TAGS)), optional("RemoveTagKeys", Type::Sequence(REMOVE_TAG_KEYS))];

static RESOURCE_IDS: &[Particle] = &[many("ResourceId", simple!("TagResourceId": Facet::MaxLength(64)), 1, 10)];

static LIST_TAGS: &[Particle] = &[one("ResourceIds", Type::Sequence(RESOURCE_IDS))];

/// Tags to add, by key and value.
pub type NewTags = Vec<(String, String)>;

/// Parses a ChangeTagsForResource body into tags to add and keys to remove.
///
/// # Errors
/// MalformedInput, InvalidInput.
pub fn change_tags(body: &[u8], order: Order) -> Result<(NewTags, Vec<String>), ApiError> {
    let root = xsd::parse(body, "ChangeTagsForResourceRequest", CHANGE_TAGS, order)?;
    let added = root.child("AddTags").into_iter().flat_map(|tags| tags.children("Tag"));
    let add = added.map(|tag| (tag.text_of("Key").unwrap_or_default(), tag.text_of("Value").unwrap_or_default()));
    Ok((add.collect(), list(&root, "RemoveTagKeys", "Key")))
}

/// Parses a ListTagsForResources body into ids.
///
/// # Errors
/// MalformedInput, InvalidInput.
pub fn list_tags(body: &[u8], order: Order) -> Result<Vec<String>, ApiError> {
    let root = xsd::parse(body, "ListTagsForResourcesRequest", LIST_TAGS, order)?;
    Ok(list(&root, "ResourceIds", "ResourceId"))
}
