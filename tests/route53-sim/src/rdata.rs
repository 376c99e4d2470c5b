//! What a `ResourceRecord` value must look like, by type.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::model::RecordSet;
use crate::texts::{self, unverified};

/// The first thing wrong with the values of a record set, in the words of the service.
pub(crate) fn problem(set: &RecordSet) -> Option<String> {
    if set.values.len() > 400 {
        return Some(texts::TOO_MANY_VALUES.to_owned());
    }
    let mut seen = BTreeSet::new();
    set.values
        .iter()
        .find(|value| !seen.insert(comparable(&set.rtype, value)))
        .map(|value| texts::duplicate_value(value))
        .or_else(|| {
            let single = matches!(set.rtype.as_str(), "CNAME" | "SOA") && set.values.len() > 1;
            single.then(|| unverified::single_value_type(set))
        })
        .or_else(|| set.values.iter().find_map(|value| value_problem(&set.rtype, value)))
}

/// Two spellings of one IPv6 address are one value.
fn comparable(rtype: &str, value: &str) -> String {
    match (rtype, value.parse::<Ipv6Addr>()) {
        ("AAAA", Ok(address)) => address.to_string(),
        _ => value.to_owned(),
    }
}

fn value_problem(rtype: &str, value: &str) -> Option<String> {
    match rtype {
        "A" if value.contains(char::is_whitespace) => Some(texts::a_not_single_field(value)),
        "A" => value.parse::<Ipv4Addr>().is_err().then(|| texts::illegal_ipv4(value)),
        "AAAA" => value.parse::<Ipv6Addr>().is_err().then(|| unverified::illegal_ipv6(value)),
        "TXT" | "SPF" => text_problem(value),
        "CNAME" | "NS" | "PTR" => fields_problem(rtype, value, 1),
        "MX" => fields_problem(rtype, value, 2),
        "SRV" | "DS" | "TLSA" => fields_problem(rtype, value, 4),
        "SSHFP" => fields_problem(rtype, value, 3),
        "SOA" => fields_problem(rtype, value, 7),
        _ => None,
    }
}

fn fields_problem(rtype: &str, value: &str, fields: usize) -> Option<String> {
    (value.split_whitespace().count() != fields).then(|| unverified::wrong_field_count(rtype, fields, value))
}

/// One or more quoted strings of at most 255 bytes each.
fn text_problem(value: &str) -> Option<String> {
    let mut rest = value.trim();
    while !rest.is_empty() {
        let Some((length, consumed)) = quoted(rest) else {
            return Some(unverified::not_enclosed_in_quotes(value));
        };
        if length > 255 {
            return Some(unverified::character_string_too_long(value));
        }
        let after = &rest[consumed..];
        rest = after.trim_start();
        if !rest.is_empty() && rest.len() == after.len() {
            return Some(unverified::not_enclosed_in_quotes(value));
        }
    }
    value.trim().is_empty().then(|| unverified::not_enclosed_in_quotes(value))
}

/// The length of the quoted string at the front in bytes, and how much text it takes.
fn quoted(text: &str) -> Option<(usize, usize)> {
    let mut length = 0;
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some((length, at + 1)),
            b'\\' => {
                let octal = bytes.get(at + 1..at + 4).is_some_and(|d| d.iter().all(|b| (b'0'..=b'7').contains(b)));
                at += if octal { 4 } else { 2 };
            }
            _ => at += 1,
        }
        length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_and_in_pieces_of_255() {
        let long = "x".repeat(255);
        for good in ["\"a\"", "\"\"", "\"a\" \"b\"", "\"a \\\" b\"", "\"\\101\"", &format!("\"{long}\" \"{long}\"")] {
            assert_eq!(text_problem(good), None, "{good}");
        }
        for bad in ["a", "", "\"a", "\"a\"b", "\"a\"\"b\"", "a \"b\""] {
            assert_eq!(text_problem(bad), Some(unverified::not_enclosed_in_quotes(bad)), "{bad}");
        }
        let longer = format!("\"{long}x\"");
        assert_eq!(text_problem(&longer), Some(unverified::character_string_too_long(&longer)));
    }

    #[test]
    fn two_spellings_of_an_address_are_a_duplicate() {
        let set = RecordSet::new("a.example.com", "AAAA").value("2001:db8::1").value("2001:DB8:0::1");
        assert_eq!(problem(&set), Some("Duplicate Resource Record: '2001:DB8:0::1'".to_owned()));
    }
}
