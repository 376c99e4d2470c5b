//! One entry of a `signals` table: a word, or a table.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::word::words;
use crate::config::duration::Span;
use crate::decide::policy::{SignalAction, SignalPolicy};

words!(Action);

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

/// A signal that has nothing more to say than what it does, and how patiently.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
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

/// The signal `tainted`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct RawTainted {
    /// What the signal does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// How long it must last before it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// How long it must be gone before it no longer counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover_after: Option<Span>,
    /// The keys of the taints that count, whatever their value and effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = ["ToBeDeletedByClusterAutoscaler"])]
    pub keys: Option<Vec<String>>,
}

/// The signal `probe`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct RawProbe {
    /// What the signal does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// How long it must last before it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// How long it must be gone before it no longer counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover_after: Option<Span>,
    /// An address and a port, at which a TCP connection must be accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"127.0.0.1:443")]
    pub tcp: Option<String>,
    /// A URL of `http` or `https` with an address for the host, which must be answered with a status
    /// of 200 to 399. Certificates are not verified: what is asked is whether the node serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://127.0.0.1/healthz")]
    pub http: Option<String>,
    /// With `http`: the name that is asked for, in the `Host` header and in TLS. Default: the
    /// address in the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"edge.example.com")]
    pub host: Option<String>,
    /// With `http`: what the beginning of the answer's body must contain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"ok")]
    pub contains: Option<String>,
    /// From the start of one attempt to the start of the next. Between `1s` and `1h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// How long one attempt may take. Between `10ms` and `1m`, and no longer than `interval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How many attempts in a row must fail. One that succeeds is enough to clear the signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub failures: Option<i64>,
}

impl RawSignal {
    /// An entry that leaves nothing out.
    pub(super) fn whole(policy: SignalPolicy) -> Self {
        RawSignal {
            action: Some(policy.action.into()),
            after: Some(Span(policy.after)),
            recover_after: Some(Span(policy.recover_after)),
        }
    }

    /// This entry, with what it leaves out taken from `below`.
    pub(in crate::config) fn over(&self, below: &RawSignal) -> RawSignal {
        RawSignal {
            action: self.action.or(below.action),
            after: self.after.or(below.after),
            recover_after: self.recover_after.or(below.recover_after),
        }
    }
}

impl RawTainted {
    /// What it has in common with every signal.
    pub fn signal(&self) -> RawSignal {
        RawSignal { action: self.action, after: self.after, recover_after: self.recover_after }
    }

    /// This entry, with what it leaves out taken from `below`.
    pub(in crate::config) fn over(&self, below: &RawTainted) -> RawTainted {
        let RawSignal { action, after, recover_after } = self.signal().over(&below.signal());
        RawTainted { action, after, recover_after, keys: self.keys.as_ref().or(below.keys.as_ref()).cloned() }
    }
}

impl RawProbe {
    /// What it has in common with every signal.
    pub fn signal(&self) -> RawSignal {
        RawSignal { action: self.action, after: self.after, recover_after: self.recover_after }
    }

    /// Whether it says what to ask.
    pub(in crate::config) fn has_check(&self) -> bool {
        self.tcp.is_some() || self.http.is_some()
    }

    /// This entry, with what it leaves out taken from `below`: key by key, but of two checks the
    /// upper one as a whole.
    pub(in crate::config) fn over(&self, below: &RawProbe) -> RawProbe {
        let RawSignal { action, after, recover_after } = self.signal().over(&below.signal());
        let nothing = RawProbe::default();
        let check = if self.has_check() { &nothing } else { below };
        let either = |own: &Option<String>, other: &Option<String>| own.as_ref().or(other.as_ref()).cloned();
        RawProbe {
            action,
            after,
            recover_after,
            tcp: either(&self.tcp, &check.tcp),
            http: either(&self.http, &check.http),
            host: either(&self.host, &check.host),
            contains: either(&self.contains, &check.contains),
            interval: self.interval.or(below.interval),
            timeout: self.timeout.or(below.timeout),
            failures: self.failures.or(below.failures),
        }
    }
}

/// Reads an entry from a table, or from the word that is its action.
macro_rules! word_or_table {
    ($($name:ident: $example:literal),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl<'de> de::Visitor<'de> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("\"ignore\", \"withdraw\" or a table like ", $example))
                    }

                    fn visit_str<E: de::Error>(self, word: &str) -> Result<$name, E> {
                        let action = Action::deserialize(de::value::StrDeserializer::new(word))?;
                        Ok($name { action: Some(action), ..$name::default() })
                    }

                    fn visit_map<A: de::MapAccess<'de>>(self, table: A) -> Result<$name, A::Error> {
                        $name::deserialize(MapAccessDeserializer::new(table))
                    }
                }

                deserializer.deserialize_any(Visitor)
            }
        }
    )+};
}

word_or_table!(
    RawSignal: "{ action = \"withdraw\", after = \"30s\" }",
    RawTainted: "{ keys = [\"example.com/drain\"] }",
    RawProbe: "{ tcp = \"127.0.0.1:443\" }"
);

/// The schema of an entry that may be a word.
pub(super) fn word_or<T: JsonSchema>(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let word = generator.subschema_for::<Action>();
    let table = generator.subschema_for::<T>();
    schemars::json_schema!({ "anyOf": [word, table] })
}
