//! figment's errors in the words of the configuration file.

use figment::error::{Actual, Kind};
use figment::value::Value;

use crate::config::nearest::nearest;

/// An error, for people.
pub(super) struct Explained {
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) hint: Option<String>,
    /// For an unknown key: the known one that was probably meant.
    pub(super) meant: Option<String>,
    /// Whether the key is wrong rather than its value.
    pub(super) is_key: bool,
}

/// Says what is wrong. `is_date` is whether the value is a date or time, which no key takes and
/// figment holds for a table.
pub(super) fn explain(kind: &Kind, is_date: bool) -> Explained {
    let date = || Actual::Other("a date or time".to_owned());
    match kind {
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) if is_date => mismatch(&date(), expected),
        Kind::UnknownField(..) if is_date => mismatch(&date(), "a table"),
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => mismatch(found, expected),
        Kind::UnknownVariant(found, known) => Explained {
            hint: nearest(found, known).map(|meant| format!("did you mean {meant:?}?")),
            ..value(format!("{found:?} is not one of {}", list(known)))
        },
        Kind::UnknownField(found, known) => unknown(found, known),
        other => value(other.to_string()),
    }
}

/// How the toml crate hands a date to other formats: a table with this key alone.
const DATE: &str = "$__toml_private_datetime";

/// Whether this is what figment makes of a date or time.
pub(super) fn is_datetime(value: &Value) -> bool {
    value.as_dict().is_some_and(|table| table.len() == 1 && table.contains_key(DATE))
}

/// Words as a list, in quotation marks.
pub(super) fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

fn value(message: String) -> Explained {
    Explained { message, hint: None, meant: None, is_key: false }
}

fn mismatch(found: &Actual, expected: &str) -> Explained {
    let expected = match expected {
        "i64" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        other => other,
    };
    let found = match found {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => format!("the number {value}"),
        Actual::Signed(value) => format!("the number {value}"),
        Actual::Float(value) => format!("the number {value}"),
        Actual::Str(value) => format!("the text {value:?}"),
        Actual::Map => "a table".to_owned(),
        Actual::Seq => "an array".to_owned(),
        other => other.to_string(),
    };
    value(format!("expected {expected}, found {found}"))
}

fn unknown(found: &str, known: &[&str]) -> Explained {
    let (message, hint, meant) = if is_credential(found) {
        let hint = "remove it; give the daemon a credentials file instead (LoadCredential= and \
                    AWS_SHARED_CREDENTIALS_FILE in the unit, or 'profile' in [route53])";
        (format!("'{found}': AWS credentials do not belong in the configuration"), hint.to_owned(), None)
    } else {
        let meant = nearest(found, known);
        let hint = match meant {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => format!("known here: {}", known.join(", ")),
        };
        (format!("unknown key '{found}'"), hint, meant)
    };
    Explained { message, hint: Some(hint), meant: meant.map(str::to_owned), is_key: true }
}

fn is_credential(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    ["access_key", "secret", "session_token", "security_token", "password", "credential"]
        .iter()
        .any(|word| key.contains(word))
}
