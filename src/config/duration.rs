//! Durations as the configuration file writes them.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::{Spacing, SpanPrinter};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time written with its units: `200ms`, `10s`, `15m`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    pub(super) const fn seconds(seconds: u64) -> Self {
        Span(Duration::from_secs(seconds))
    }

    /// Reads a span.
    ///
    /// # Errors
    /// A text that says what is wrong, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        if trimmed.parse::<f64>().is_ok() {
            return Err(format!("{text:?} is a number without a unit"));
        }
        let signed: SignedDuration = trimmed.parse().map_err(|_| format!("{text:?} is not a length of time"))?;
        let span = Duration::try_from(signed).map_err(|_| format!("{text:?} is negative"))?;
        Ok(Span(span))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        f.write_str(&SpanPrinter::new().spacing(Spacing::None).duration_to_string(&signed))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time with its unit, like \"200ms\", \"10s\", \"15m\" or \"1h30m\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).map_err(|why| {
                    E::custom(format_args!("{why}; write it like \"200ms\", \"10s\", \"15m\" or \"1h30m\""))
                })
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

impl schemars::JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_form_is_read_and_written_back_in_one_way() {
        for (text, millis, canonical) in [
            ("200ms", 200, "200ms"),
            ("10s", 10_000, "10s"),
            ("15m", 900_000, "15m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1h 30m", 5_400_000, "1h30m"),
            ("90m", 5_400_000, "1h30m"),
            ("0s", 0, "0s"),
            ("1.5s", 1_500, "1s500ms"),
        ] {
            let span = Span::parse(text).expect(text);
            assert_eq!(span.0, Duration::from_millis(millis), "{text}");
            assert_eq!(span.to_string(), canonical);
            assert_eq!(Span::parse(canonical), Ok(span));
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused_in_words() {
        for (text, why) in [
            ("", "not a length of time"),
            ("10", "without a unit"),
            ("-3", "without a unit"),
            ("0", "without a unit"),
            ("-10s", "negative"),
            ("10s ago", "negative"),
            ("soon", "not a length of time"),
            ("1y", "not a length of time"),
        ] {
            let said = Span::parse(text).expect_err(text);
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
