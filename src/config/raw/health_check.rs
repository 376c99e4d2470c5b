//! The `health_check` table of a `[[record]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::word::words;
use crate::config::duration::Span;

words!(CheckType);

/// The `health_check` table of a `[[record]]`. Which keys go with which type is checked on validation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table like { type = \"https\", port = 443, path = \"/healthz\" }")]
#[schemars(extend("required" = ["type"]))]
pub struct RawHealthCheck {
    /// `"tcp"`: a connection comes up. `"http"`: a request is answered with a status of 2xx or 3xx.
    /// `"https"`: the same over TLS, whose certificate is not checked. Required.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https")]
    pub kind: Option<CheckType>,

    /// The port. Required for `tcp`; else 80 or 443 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 443, range(min = 1, max = 65535))]
    pub port: Option<i64>,

    /// `http`, `https`: the path, and perhaps a query. Default: `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/healthz")]
    pub path: Option<String>,

    /// `http`, `https`: the `Host` header, and the name asked for in the TLS handshake. Default:
    /// the address that is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"edge.example.com")]
    pub host: Option<String>,

    /// `http`, `https`: what the first 5,120 bytes of the answer's body must hold, in the same case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"ok")]
    pub search: Option<String>,

    /// How often each of Route 53's checkers asks: `"30s"`, of all of them together about one
    /// question every two seconds, or `"10s"`, several a second. Default: `"30s"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"30s")]
    pub interval: Option<Span>,

    /// How many answers in a row it takes until a checker thinks otherwise of the address, 1 to
    /// 10. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 3, range(min = 1, max = 10))]
    pub failure_threshold: Option<i64>,
}

impl RawHealthCheck {
    /// What the manual shows.
    pub(super) fn example() -> Self {
        RawHealthCheck {
            kind: Some(CheckType::Https),
            port: Some(443),
            path: Some("/healthz".to_owned()),
            ..RawHealthCheck::default()
        }
    }
}

/// How a health check asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "lowercase")]
#[schemars(inline)]
#[expect(missing_docs, reason = "each is the protocol of its name")]
pub enum CheckType {
    Tcp,
    Http,
    Https,
}
