//! Who a record set belongs to.

use std::fmt;

/// The longest set identifier that Route 53 takes, in characters.
pub const SET_IDENTIFIER_MAX: usize = 128;

/// The set identifier of a record set, as text that Route 53 keeps unchanged (1 to 128 characters).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetIdentifier(pub String);

impl fmt::Display for SetIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose record set it is: `nodedns/v1/<cluster>/<node>`, the set identifier of every record set
/// that the node writes.
///
/// Ownership sits in the key itself, so it is as atomic as the record set. Owner ids are compared
/// token by token, never by prefix: cluster `prod` does not own what belongs to `prod-2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId {
    cluster: String,
    node: String,
}

/// Why a cluster and node name cannot make an owner id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerError {
    /// A token is empty or has a character other than letters, digits, `-`, `_` and `.`; which token, and its text.
    BadToken(&'static str, String),
    /// The owner id would be longer than [`SET_IDENTIFIER_MAX`]; its length.
    TooLong(usize),
}

impl fmt::Display for OwnerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OwnerError::BadToken(what, text) => {
                write!(f, "the {what} name '{text}' must be letters, digits, '-', '_' and '.' only, and not empty")
            }
            OwnerError::TooLong(length) => write!(
                f,
                "the set identifier made of cluster and node name would have {length} characters, Route 53 takes {SET_IDENTIFIER_MAX}"
            ),
        }
    }
}

impl std::error::Error for OwnerError {}

impl OwnerId {
    /// The owner id of `node` in `cluster`.
    ///
    /// # Errors
    /// When a token has characters that would make the id ambiguous, or the id is too long.
    pub fn new(cluster: &str, node: &str) -> Result<Self, OwnerError> {
        for (what, token) in [("cluster", cluster), ("node", node)] {
            if !is_token(token) {
                return Err(OwnerError::BadToken(what, token.to_owned()));
            }
        }
        let id = OwnerId { cluster: cluster.to_owned(), node: node.to_owned() };
        match id.to_string().len() {
            length if length > SET_IDENTIFIER_MAX => Err(OwnerError::TooLong(length)),
            _ => Ok(id),
        }
    }

    /// Reads an owner id out of a set identifier; `None` when it is not exactly of our form, and
    /// then the record set is foreign.
    pub fn parse(identifier: &SetIdentifier) -> Option<Self> {
        let mut tokens = identifier.0.split('/');
        let id = match (tokens.next(), tokens.next(), tokens.next(), tokens.next(), tokens.next()) {
            (Some("nodedns"), Some("v1"), Some(cluster), Some(node), None) => OwnerId::new(cluster, node).ok(),
            _ => None,
        }?;
        Some(id)
    }

    /// The cluster token.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The node token: the Node object's name, or the host's where there is no Kubernetes.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The set identifier of this owner's record sets.
    pub fn set_identifier(&self) -> SetIdentifier {
        SetIdentifier(self.to_string())
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nodedns/v1/{}/{}", self.cluster, self.node)
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<OwnerId> {
        OwnerId::parse(&SetIdentifier(text.to_owned()))
    }

    #[test]
    fn an_owner_id_survives_the_round_trip() {
        let id = OwnerId::new("home", "node-1.lan").expect("valid");
        assert_eq!(id.to_string(), "nodedns/v1/home/node-1.lan");
        assert_eq!(OwnerId::parse(&id.set_identifier()), Some(id));
    }

    #[test]
    fn anything_else_is_foreign() {
        for text in [
            "",
            "nodedns",
            "nodedns/v1/home",
            "nodedns/v1/home/",
            "nodedns/v1//n",
            "nodedns/v2/home/n",
            "nodedns/v1/home/n/",
            "nodedns/v1/home/n/x",
            "Nodedns/v1/home/n",
            " nodedns/v1/home/n",
            "geoproximity-coords:1,2",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn tokens_that_would_blur_the_id_are_refused() {
        assert_eq!(OwnerId::new("a/b", "n"), Err(OwnerError::BadToken("cluster", "a/b".into())));
        assert_eq!(OwnerId::new("a", ""), Err(OwnerError::BadToken("node", String::new())));
        assert!(OwnerId::new("home", &"n".repeat(112)).is_ok());
        assert_eq!(OwnerId::new("home", &"n".repeat(113)), Err(OwnerError::TooLong(129)));
    }
}
