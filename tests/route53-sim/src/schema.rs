//! The request types of the API: the parts of its XML schema that clients can see, and their values.

/// A named simple type and its facets.
macro_rules! simple {
    ($name:literal: $($facet:expr),* $(,)?) => {
        Type::Simple(&Simple { name: $name, facets: &[$($facet),*] })
    };
}

mod health_checks;
mod hosted_zones;
mod record_sets;
mod tags;

pub use self::health_checks::{create_health_check, update_health_check};
pub use self::hosted_zones::{CreateHostedZone, create_hosted_zone};
pub use self::record_sets::change_batch;
pub(crate) use self::record_sets::is_record_type;
pub use self::tags::{NewTags, change_tags, list_tags};

use crate::xsd::{Element, Facet, Particle, Simple, Type};

const MANY: usize = usize::MAX;

const fn one(name: &'static str, kind: Type) -> Particle {
    Particle { name, kind, min: 1, max: 1 }
}

const fn optional(name: &'static str, kind: Type) -> Particle {
    Particle { name, kind, min: 0, max: 1 }
}

const fn many(name: &'static str, kind: Type, min: usize, max: usize) -> Particle {
    Particle { name, kind, min, max }
}

const NAME: Type = simple!("DNSName": Facet::MaxLength(1024));
const DESCRIPTION: Type = simple!("ResourceDescription": Facet::MaxLength(256));
const BOOLEAN: Type = simple!("boolean": Facet::Boolean);
fn list(element: &Element, list: &str, item: &str) -> Vec<String> {
    let items = element.child(list).into_iter().flat_map(|list| list.children(item));
    items.map(|item| item.text().to_owned()).collect()
}
