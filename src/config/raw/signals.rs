//! The `signals` tables of the file.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::word::words;
use crate::config::duration::Span;
use crate::decide::policy::{Signal, SignalAction};

words!(Action);

/// The `[signals]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawSignals {
    /// The Node's Ready condition is not `True`, or the cluster has no such Node.
    #[schemars(schema_with = "word_or_table")]
    pub not_ready: RawSignal,

    /// The Node is cordoned (`spec.unschedulable`).
    #[schemars(schema_with = "word_or_table")]
    pub cordoned: RawSignal,

    /// The Kubernetes API cannot be reached, so the Node's state is not known. Withdrawing then
    /// takes every node out of DNS when the control plane fails.
    #[schemars(schema_with = "word_or_table")]
    pub api_unreachable: RawSignal,
}

impl Default for RawSignals {
    fn default() -> Self {
        let default = |signal: Signal| {
            let policy = signal.default_policy();
            RawSignal {
                action: Some(policy.action.into()),
                after: Some(Span(policy.after)),
                recover_after: Some(Span(policy.recover_after)),
            }
        };
        RawSignals {
            not_ready: default(Signal::NotReady),
            cordoned: default(Signal::Cordoned),
            api_unreachable: default(Signal::ApiUnreachable),
        }
    }
}

impl RawSignals {
    /// The entry of one signal.
    pub fn get(&self, signal: Signal) -> Option<&RawSignal> {
        match signal {
            Signal::NotReady => Some(&self.not_ready),
            Signal::Cordoned => Some(&self.cordoned),
            Signal::ApiUnreachable => Some(&self.api_unreachable),
            _ => None,
        }
    }

    /// Fills in what tables have left out.
    pub(in crate::config) fn complete(&mut self) {
        let defaults = RawSignals::default();
        self.not_ready = self.not_ready.over(&defaults.not_ready);
        self.cordoned = self.cordoned.over(&defaults.cordoned);
        self.api_unreachable = self.api_unreachable.over(&defaults.api_unreachable);
    }
}

/// The `signals` table of a `[[record]]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawRecordSignals {
    /// The Node's Ready condition is not `True`, for this record.
    #[schemars(schema_with = "word_or_table")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<RawSignal>,

    /// The Node is cordoned, for this record.
    #[schemars(schema_with = "word_or_table")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cordoned: Option<RawSignal>,

    /// The Kubernetes API cannot be reached, for this record.
    #[schemars(schema_with = "word_or_table")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_unreachable: Option<RawSignal>,
}

impl RawRecordSignals {
    /// The entry of one signal.
    pub fn get(&self, signal: Signal) -> Option<&RawSignal> {
        match signal {
            Signal::NotReady => self.not_ready.as_ref(),
            Signal::Cordoned => self.cordoned.as_ref(),
            Signal::ApiUnreachable => self.api_unreachable.as_ref(),
            _ => None,
        }
    }
}

/// One signal: a word, or a table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct RawSignal {
    /// What the signal does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// How long it must last before it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// How long it must be gone before it no longer counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover_after: Option<Span>,
}

impl RawSignal {
    /// This entry, with what it leaves out taken from `below`.
    pub(in crate::config) fn over(&self, below: &RawSignal) -> RawSignal {
        RawSignal {
            action: self.action.or(below.action),
            after: self.after.or(below.after),
            recover_after: self.recover_after.or(below.recover_after),
        }
    }
}

impl Serialize for RawSignal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawSignal::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for RawSignal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = RawSignal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"ignore\", \"withdraw\" or a table like { action = \"withdraw\", after = \"30s\" }")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<RawSignal, E> {
                let action = Action::deserialize(de::value::StrDeserializer::new(word))?;
                Ok(RawSignal { action: Some(action), ..RawSignal::default() })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, table: A) -> Result<RawSignal, A::Error> {
                RawSignal::deserialize(MapAccessDeserializer::new(table))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

fn word_or_table(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let word = generator.subschema_for::<Action>();
    let table = generator.subschema_for::<RawSignal>();
    schemars::json_schema!({ "anyOf": [word, table] })
}

/// What a signal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "snake_case")]
#[schemars(inline)]
pub enum Action {
    /// Nothing.
    Ignore,
    /// The node's record set leaves the pool.
    Withdraw,
}

impl From<SignalAction> for Action {
    fn from(action: SignalAction) -> Self {
        match action {
            SignalAction::Ignore => Action::Ignore,
            SignalAction::Withdraw => Action::Withdraw,
        }
    }
}

impl From<Action> for SignalAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Ignore => SignalAction::Ignore,
            Action::Withdraw => SignalAction::Withdraw,
        }
    }
}
