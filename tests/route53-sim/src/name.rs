//! Domain names as Route 53 stores and sorts them.
//!
//! Stored form: absolute, lower case, and every character but `a-z 0-9 - _` as `\ooo` in octal, whichever way it was
//! written (Developer Guide, "DNS domain name format"). Sort order: the labels reversed, with the trailing dot,
//! compared as ASCII (API reference, ListResourceRecordSets).

use std::fmt;

use crate::texts;

/// Why a text is no domain name; displays as the service words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A label of more than 63 bytes: the label.
    LabelTooLong(String),
    /// Two dots in a row, or a leading one: the whole name.
    LabelEmpty(String),
    /// A character that must be written as an escape: the character.
    UnsupportedCharacter(String),
    /// More than 255 bytes: the whole name.
    TooLong(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::LabelTooLong(label) => texts::label_too_long(label),
            Self::LabelEmpty(name) => texts::label_empty(name),
            Self::UnsupportedCharacter(character) => texts::unsupported_character(character),
            Self::TooLong(name) => texts::unverified::name_too_long(name),
        })
    }
}

impl std::error::Error for Problem {}

/// Brings a name into the stored form.
///
/// # Errors
/// If it is no domain name.
pub fn normalize(written: &str) -> Result<String, Problem> {
    let body = written.strip_suffix('.').unwrap_or(written);
    if body.is_empty() && !written.is_empty() {
        return Ok(".".to_owned());
    }
    let mut stored = String::with_capacity(body.len() + 1);
    let mut total = 1;
    for label in body.split('.') {
        let length = push_label(label, &mut stored)?;
        if length == 0 {
            return Err(Problem::LabelEmpty(written.to_owned()));
        }
        if length > 63 {
            return Err(Problem::LabelTooLong(label.to_owned()));
        }
        total += length + 1;
        stored.push('.');
    }
    // The wire form counts a length byte per label and the root's.
    if total > 255 {
        return Err(Problem::TooLong(written.to_owned()));
    }
    Ok(stored)
}

/// The text that names are sorted by: `www.example.com.` gives `com.example.www.`.
#[must_use]
pub fn sort_key(stored: &str) -> String {
    let mut key = String::with_capacity(stored.len());
    for label in stored.trim_end_matches('.').rsplit('.') {
        key.push_str(label);
        key.push('.');
    }
    key
}

/// Whether a name is the zone's own or below it; both in stored form.
#[must_use]
pub fn is_within(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Appends a label in stored form and returns its length in bytes on the wire.
fn push_label(label: &str, out: &mut String) -> Result<usize, Problem> {
    let mut rest = label.chars();
    let mut length = 0;
    while let Some(character) = rest.next() {
        let byte = match character {
            '\\' => octal(rest.as_str())
                .inspect(|_| {
                    rest.nth(2);
                })
                .ok_or_else(|| Problem::UnsupportedCharacter(character.to_string()))?,
            '!'..='~' => character as u8,
            _ => return Err(Problem::UnsupportedCharacter(character.to_string())),
        };
        match byte.to_ascii_lowercase() {
            plain @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') => out.push(plain as char),
            other => out.push_str(&format!("\\{other:03o}")),
        }
        length += 1;
    }
    Ok(length)
}

fn octal(text: &str) -> Option<u8> {
    let digits = text.get(..3)?;
    digits.bytes().all(|b| (b'0'..=b'7').contains(&b)).then(|| u8::from_str_radix(digits, 8).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_form_is_the_same_however_it_is_written() {
        for (written, stored) in [
            ("WWW.Example.com", "www.example.com."),
            ("www.example.com.", "www.example.com."),
            ("*.example.com", "\\052.example.com."),
            ("\\052.example.com", "\\052.example.com."),
            ("\\141.example.com", "a.example.com."),
            ("\\101.example.com", "a.example.com."),
            ("a\\056b.example.com", "a\\056b.example.com."),
            ("_acme.example.com", "_acme.example.com."),
            ("a/b.example.com", "a\\057b.example.com."),
            ("a\\040b.example.com", "a\\040b.example.com."),
            (".", "."),
        ] {
            assert_eq!(normalize(written).as_deref(), Ok(stored), "{written}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_in_the_words_of_the_service() {
        let long = "a".repeat(64);
        for (written, text) in [
            (
                format!("{long}.example.com"),
                format!("FATAL problem: DomainLabelTooLong (Domain label is too long) encountered with '{long}'"),
            ),
            (
                ".sub.domain.com".to_owned(),
                "FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with '.sub.domain.com'".to_owned(),
            ),
            (
                "example.org..".to_owned(),
                "FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with 'example.org..'".to_owned(),
            ),
            (
                "a b.example.com".to_owned(),
                "FATAL problem: UnsupportedCharacter (Value contains unsupported characters) encountered with ' '"
                    .to_owned(),
            ),
        ] {
            assert_eq!(normalize(&written).unwrap_err().to_string(), text);
        }
        assert!(normalize("ü.example.com").is_err());
        assert!(normalize("\\9.example.com").is_err());
        assert!(normalize("\\999.example.com").is_err());
        assert!(normalize("\\777.example.com").is_err());
        assert!(normalize("").is_err());
        let label = "a".repeat(63);
        assert!(normalize(&format!("{label}.{label}.{label}.{}", "a".repeat(61))).is_ok());
        assert!(normalize(&format!("{label}.{label}.{label}.{}", "a".repeat(62))).is_err());
    }

    #[test]
    fn names_sort_by_reversed_labels_and_the_characters_below_the_dot_come_first() {
        let mut names =
            ["www.example.com", "a-b.example.com", "a.example.com", "x.a.example.com", "example.com", "*.example.com"]
                .map(|name| normalize(name).unwrap());
        names.sort_by_key(|name| sort_key(name));
        assert_eq!(
            names,
            [
                "example.com.",
                "\\052.example.com.",
                "a-b.example.com.",
                "a.example.com.",
                "x.a.example.com.",
                "www.example.com."
            ]
        );
        assert_eq!(sort_key("www.example.com."), "com.example.www.");
    }

    #[test]
    fn within_a_zone_means_at_a_label_boundary() {
        assert!(is_within("example.com.", "example.com."));
        assert!(is_within("a.b.example.com.", "example.com."));
        assert!(!is_within("notexample.com.", "example.com."));
        assert!(!is_within("com.", "example.com."));
    }
}
