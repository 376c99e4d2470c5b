//! Tags of zones and health checks.

use std::collections::BTreeMap;

use crate::model::ApiError;
use crate::texts::unverified;

/// The account's tags: by type and id of the resource, then by key.
#[derive(Debug, Default)]
pub struct Tags {
    tags: BTreeMap<(String, String), BTreeMap<String, String>>,
}

impl Tags {
    /// The tags of a resource.
    pub fn of(&self, kind: &str, id: &str) -> impl Iterator<Item = (&str, &str)> {
        let found = self.tags.get(&(kind.to_owned(), id.to_owned()));
        found.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Adds and removes tags of a resource that exists.
    ///
    /// # Errors
    /// InvalidInput for a character no tag may have.
    pub fn change(
        &mut self,
        kind: &str,
        id: &str,
        add: &[(String, String)],
        remove: &[String],
    ) -> Result<(), ApiError> {
        let texts = add.iter().flat_map(|(key, value)| [key, value]);
        if let Some(bad) = texts.into_iter().find(|text| !text.chars().all(is_allowed)) {
            return Err(unverified::bad_tag(bad));
        }
        if add.iter().any(|(key, _)| key.is_empty()) {
            return Err(unverified::bad_tag(""));
        }
        let tags = self.tags.entry((kind.to_owned(), id.to_owned())).or_default();
        tags.extend(add.iter().cloned());
        tags.retain(|key, _| !remove.contains(key));
        Ok(())
    }

    /// Forgets the tags of a resource that is gone.
    pub fn forget(&mut self, kind: &str, id: &str) {
        self.tags.remove(&(kind.to_owned(), id.to_owned()));
    }
}

/// Letters, digits, spaces and `_ . : / = + - @`, as in all of AWS.
fn is_allowed(character: char) -> bool {
    character.is_alphanumeric() || character == ' ' || "_.:/=+-@".contains(character)
}
