//! Names under which addresses can be published.

use std::net::IpAddr;

use crate::decide::name::DnsName;

/// Why a text is not the name of a host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) hint: Option<&'static str>,
}

/// Parses the name of an A or AAAA record set: letters, digits, `-` and `_` (RFC 1123, 2.1, and the
/// underscore that many resolvers take), or `*` for the leftmost label. Route 53 takes any octet,
/// but no client asks for such a name.
pub(super) fn parse(text: &str) -> Result<DnsName, Refused> {
    let refuse = |message: String, hint: &'static str| Err(Refused { message, hint: Some(hint) });
    if text.strip_suffix('.').unwrap_or(text).parse::<IpAddr>().is_ok() {
        return refuse(
            format!("{text:?} is an IP address, not a name"),
            "the node's addresses are found by themselves; others go into 'static_addresses'",
        );
    }
    if text.contains("://") {
        return refuse(
            format!("{text:?} is a URL, not a name"),
            "write the host name alone, as in \"edge.example.com\"",
        );
    }
    if !text.is_ascii() {
        return refuse(
            format!("{text:?} has characters that are not ASCII"),
            "write such labels in punycode: \"xn--bcher-kva.example.com\" is \"b\u{fc}cher.example.com\"",
        );
    }
    if let Some(found) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.*".contains(*c)) {
        return refuse(
            format!("{found:?} in {text:?} cannot stand in the name of a host"),
            "it is made of letters, digits, '-', '_' and dots; the first label may be '*'",
        );
    }
    DnsName::parse(text).map_err(|error| Refused { message: error.to_string(), hint: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_client_can_ask_for_is_a_name() {
        for name in
            ["edge.example.com", "Edge.example.com.", "*.example.com", "_a-1.xn--bcher-kva.example", "1.2.3.4.5"]
        {
            assert!(parse(name).is_ok(), "{name}");
        }
        for (name, said, hint) in [
            ("https://edge.example.com", "is a URL", "host name alone"),
            ("185.12.64.1", "is an IP address", "static_addresses"),
            ("185.12.64.1.", "is an IP address", "static_addresses"),
            ("2001:db8::1", "is an IP address", "static_addresses"),
            ("b\u{fc}cher.example.com", "not ASCII", "xn--"),
            ("a b.example.com", "' ' in", "letters, digits"),
            ("a@b.example.com", "'@' in", "letters, digits"),
            ("edge.example.com:443", "':' in", "letters, digits"),
            ("a\\100b.example.com", "'\\\\' in", "letters, digits"),
        ] {
            let refused = parse(name).expect_err(name);
            assert!(refused.message.contains(said), "{refused:?}");
            assert!(refused.hint.is_some_and(|text| text.contains(hint)), "{refused:?}");
        }
        assert_eq!(parse("a.*.example.com").expect_err("misplaced").hint, None);
    }
}
