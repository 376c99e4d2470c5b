//! Domain names in Route 53's canonical form.

use std::fmt;

/// A fully qualified domain name as Route 53 stores and returns it: lower case, with the trailing
/// dot, every octet other than `a-z 0-9 - _` and the label separator written as `\ooo` (octal).
///
/// Two names are the same name exactly when they are equal. Source of the rules: Route 53
/// Developer Guide, "DNS domain name format".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

/// Why a text is not a domain name that Route 53 would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// There is no label at all.
    Empty,
    /// Two dots in a row, or a dot at the start.
    EmptyLabel,
    /// A label of more than 63 octets; the label.
    LabelTooLong(String),
    /// More than 255 octets on the wire.
    NameTooLong,
    /// A backslash that is not followed by three octal digits up to `\377`, or an octet that must be written so.
    BadEscape(String),
    /// An asterisk that is not the whole leftmost label is not a wildcard; the label it stands in.
    MisplacedWildcard(String),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => write!(f, "the name is empty"),
            NameError::EmptyLabel => write!(f, "the name has an empty label (two dots in a row, or a leading dot)"),
            NameError::LabelTooLong(label) => {
                write!(f, "the label '{label}' is longer than 63 octets")
            }
            NameError::NameTooLong => write!(f, "the name is longer than 255 octets"),
            NameError::BadEscape(what) => {
                write!(f, "'{what}' cannot stand in a name as it is; write the octet as \\ooo in octal")
            }
            NameError::MisplacedWildcard(label) => {
                write!(f, "'*' in the label '{label}' is not a wildcard; only a whole leftmost label '*' is")
            }
        }
    }
}

impl std::error::Error for NameError {}

impl DnsName {
    /// Parses a name in any form Route 53 accepts: either case, with or without the trailing dot,
    /// `*` or `\052` as the leftmost label.
    ///
    /// # Errors
    /// [`NameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let body = text.strip_suffix('.').unwrap_or(text);
        if body.is_empty() {
            return Err(NameError::Empty);
        }
        let mut canonical = String::with_capacity(text.len() + 1);
        let mut wire_length = 1;
        for (position, label) in body.split('.').enumerate() {
            let octets = unescape(label)?;
            match octets.len() {
                0 => return Err(NameError::EmptyLabel),
                64.. => return Err(NameError::LabelTooLong(label.to_owned())),
                length => wire_length += length + 1,
            }
            if octets.contains(&b'*') && (position > 0 || octets.len() > 1) {
                return Err(NameError::MisplacedWildcard(label.to_owned()));
            }
            for octet in octets {
                push_canonical(&mut canonical, octet);
            }
            canonical.push('.');
        }
        if wire_length > 255 {
            return Err(NameError::NameTooLong);
        }
        Ok(DnsName(canonical))
    }

    /// The canonical text, with the trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this name is `zone` itself or lies below it.
    pub fn is_within(&self, zone: &DnsName) -> bool {
        self.0.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// The octets of each label, the leftmost first.
    pub fn labels(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        // The canonical form holds nothing that could not be read.
        self.0.split_terminator('.').map(|label| unescape(label).unwrap_or_default())
    }

    /// Number of labels.
    pub fn label_count(&self) -> usize {
        self.0.matches('.').count()
    }
}

impl fmt::Display for DnsName {
    /// The form people write: without the trailing dot, a leading `\052` as `*`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.0.strip_suffix('.').unwrap_or(&self.0);
        match body.strip_prefix("\\052.") {
            Some(rest) => write!(f, "*.{rest}"),
            None => f.write_str(body),
        }
    }
}

fn unescape(label: &str) -> Result<Vec<u8>, NameError> {
    let mut octets = Vec::with_capacity(label.len());
    let bytes = label.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => {
                let escape = bytes.get(at..at + 4).unwrap_or(&bytes[at..]);
                octets.push(
                    octal(escape).ok_or_else(|| NameError::BadEscape(String::from_utf8_lossy(escape).into_owned()))?,
                );
                at += 4;
            }
            // Octets up to the space and from DEL on must be sent in escaped form.
            0..=b' ' | 0x7f.. => {
                return Err(NameError::BadEscape(
                    label.chars().find(|c| !c.is_ascii_graphic()).unwrap_or(' ').to_string(),
                ));
            }
            _ => {
                octets.push(byte.to_ascii_lowercase());
                at += 1;
            }
        }
    }
    Ok(octets)
}

fn octal(escape: &[u8]) -> Option<u8> {
    let [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] = *escape else {
        return None;
    };
    Some(((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')).to_ascii_lowercase())
}

fn push_canonical(text: &mut String, octet: u8) {
    match octet {
        b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => text.push(octet.into()),
        _ => text.push_str(&format!("\\{octet:03o}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, NameError> {
        DnsName::parse(text).map(|name| name.as_str().to_owned())
    }

    #[test]
    fn every_accepted_spelling_has_one_canonical_form() {
        for text in
            ["*.Edge.Example.COM", "*.edge.example.com.", "\\052.edge.example.com", "\\052.\\105dge.example.com."]
        {
            assert_eq!(canonical(text).as_deref(), Ok("\\052.edge.example.com."), "{text}");
        }
        assert_eq!(canonical("_sip._tcp.example.com").as_deref(), Ok("_sip._tcp.example.com."));
        assert_eq!(canonical("a@b.example.com").as_deref(), Ok("a\\100b.example.com."));
        assert_eq!(DnsName::parse("*.a.example").map(|n| n.to_string()).as_deref(), Ok("*.a.example"));
    }

    #[test]
    fn what_route_53_would_refuse_is_refused() {
        let long = "a".repeat(64);
        assert_eq!(canonical(""), Err(NameError::Empty));
        assert_eq!(canonical("."), Err(NameError::Empty));
        assert_eq!(canonical("a..b"), Err(NameError::EmptyLabel));
        assert_eq!(canonical(".a"), Err(NameError::EmptyLabel));
        assert_eq!(canonical(&format!("{long}.b")), Err(NameError::LabelTooLong(long)));
        assert_eq!(canonical(&"abcdefg.".repeat(32)), Err(NameError::NameTooLong));
        assert_eq!(canonical("a b.c"), Err(NameError::BadEscape(" ".into())));
        assert_eq!(canonical("a\\9.c"), Err(NameError::BadEscape("\\9".into())));
        assert_eq!(canonical("a\\477.c"), Err(NameError::BadEscape("\\477".into())));
        assert_eq!(canonical("ä.c"), Err(NameError::BadEscape("ä".into())));
        assert_eq!(canonical("a.*.c"), Err(NameError::MisplacedWildcard("*".into())));
        assert_eq!(canonical("a*.c"), Err(NameError::MisplacedWildcard("a*".into())));
    }

    #[test]
    fn labels_are_octets() -> Result<(), NameError> {
        let labels: Vec<Vec<u8>> = DnsName::parse("*.A\\056b.x\\377.example")?.labels().collect();
        assert_eq!(labels, [b"*".to_vec(), b"a.b".to_vec(), b"x\xff".to_vec(), b"example".to_vec()]);
        Ok(())
    }

    #[test]
    fn within_a_zone_is_told_label_by_label() -> Result<(), NameError> {
        let zone = DnsName::parse("example.com")?;
        assert!(DnsName::parse("example.com")?.is_within(&zone));
        assert!(DnsName::parse("a.b.example.com")?.is_within(&zone));
        assert!(!DnsName::parse("badexample.com")?.is_within(&zone));
        assert!(!DnsName::parse("com")?.is_within(&zone));
        Ok(())
    }
}
