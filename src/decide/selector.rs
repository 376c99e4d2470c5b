//! Kubernetes label selectors.

use std::collections::{BTreeMap, BTreeSet};

/// A label selector: every requirement must hold. Without any it matches everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LabelSelector(pub Vec<Requirement>);

/// One requirement of a label selector.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    /// `key in (a,b)`, `key=a`: the label is there with one of the values.
    In(String, BTreeSet<String>),
    /// `key notin (a,b)`, `key!=a`: the label is not there, or with another value.
    NotIn(String, BTreeSet<String>),
    /// `key`: the label is there.
    Exists(String),
    /// `!key`: the label is not there.
    DoesNotExist(String),
    /// `key>1`: the label is there, and a whole number above this.
    GreaterThan(String, i64),
    /// `key<1`: the label is there, and a whole number below this.
    LessThan(String, i64),
}

impl LabelSelector {
    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let number = |key: &String| labels.get(key).and_then(|value| value.parse::<i64>().ok());
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::DoesNotExist(key) => !labels.contains_key(key),
            Requirement::GreaterThan(key, bound) => number(key).is_some_and(|value| value > *bound),
            Requirement::LessThan(key, bound) => number(key).is_some_and(|value| value < *bound),
        })
    }
}
