//! What Route 53's errors, and the lack of an answer, mean for the caller.

use std::borrow::Cow;
use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::decide::provider::{ErrorKind, ProviderError};
use crate::publish::route53::files::has_encrypted_only;

/// What was asked, which decides what the lack of a clear answer means and what to advise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// ListHostedZonesByName.
    Zones,
    /// ListResourceRecordSets.
    List,
    /// ChangeResourceRecordSets.
    Change,
    /// GetChange.
    Status,
    /// ListHealthChecks.
    Checks,
    /// CreateHealthCheck.
    CreateCheck,
    /// ChangeTagsForResource.
    TagCheck,
    /// DeleteHealthCheck.
    DeleteCheck,
    /// ListTagsForResources.
    CheckTags,
    /// GetHostedZone.
    Zone,
    /// GetHostedZoneLimit.
    ZoneLimit,
    /// GetAccountLimit.
    AccountLimit,
    /// GetCallerIdentity, of STS.
    Caller,
    /// ChangeResourceRecordSets with a batch that is refused as a whole.
    TryRights,
}

impl Request {
    /// Its operation's name.
    pub fn operation(self) -> &'static str {
        match self {
            Request::Zones => "ListHostedZonesByName",
            Request::List => "ListResourceRecordSets",
            Request::Change | Request::TryRights => "ChangeResourceRecordSets",
            Request::Status => "GetChange",
            Request::Checks => "ListHealthChecks",
            Request::CreateCheck => "CreateHealthCheck",
            Request::TagCheck => "ChangeTagsForResource",
            Request::DeleteCheck => "DeleteHealthCheck",
            Request::CheckTags => "ListTagsForResources",
            Request::Zone => "GetHostedZone",
            Request::ZoneLimit => "GetHostedZoneLimit",
            Request::AccountLimit => "GetAccountLimit",
            Request::Caller => "GetCallerIdentity",
        }
    }

    /// What it means that the service may have taken the request and did not say so.
    pub fn unclear(self) -> ErrorKind {
        match self {
            Request::Change | Request::CreateCheck | Request::TagCheck | Request::DeleteCheck => ErrorKind::Unconfirmed,
            // Nothing has come of it, whatever became of it.
            Request::Zones
            | Request::List
            | Request::Status
            | Request::Checks
            | Request::CheckTags
            | Request::Zone
            | Request::ZoneLimit
            | Request::AccountLimit
            | Request::Caller
            | Request::TryRights => ErrorKind::Unavailable,
        }
    }

    fn denied_hint(self) -> &'static str {
        match self {
            Request::Zones => "hint: set zone_id, which needs no look-up, or allow route53:ListHostedZonesByName",
            Request::List | Request::Change | Request::TryRights | Request::Zone | Request::ZoneLimit => {
                "hint: allow the action on this hosted zone, and check the zone id: a zone of another account is \
                 denied too, not missing"
            }
            Request::Status => "hint: allow route53:GetChange on arn:aws:route53:::change/*",
            Request::Checks => "hint: managed health checks need route53:ListHealthChecks on *",
            Request::CreateCheck => "hint: managed health checks need route53:CreateHealthCheck on *",
            Request::TagCheck => {
                "hint: managed health checks need route53:ChangeTagsForResource on arn:aws:route53:::healthcheck/*"
            }
            Request::DeleteCheck => {
                "hint: managed health checks need route53:DeleteHealthCheck on arn:aws:route53:::healthcheck/*"
            }
            Request::CheckTags => "hint: allow route53:ListTagsForResources on arn:aws:route53:::healthcheck/*",
            Request::AccountLimit => "hint: allow route53:GetAccountLimit on *",
            // STS needs no right for it, but a policy of the organisation may forbid everything.
            Request::Caller => "hint: look for a policy that denies sts:GetCallerIdentity",
        }
    }
}

/// What is said where none of the places has any: the SDK's own words are a paragraph, of which nothing helps.
const NOWHERE: &str = "none in the environment, from systemd, in ~/.aws or from the instance";
const CREDENTIALS_HINT: &str = "hint: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile \
                                with credential_process; for the service, put a credentials file into \
                                /etc/credstore/nodedns.aws-credentials and 'systemctl restart nodedns'";
const ENCRYPTED_HINT: &str = "hint: systemd alone can decrypt those that are there; to try them:\n  \
                              systemd-run --pipe --wait --collect --quiet \
                              --property=LoadCredentialEncrypted=nodedns.aws-credentials.encrypted:\
                              /etc/credstore.encrypted/nodedns.aws-credentials.encrypted nodedns check";
/// What the SDK says, in an error without a type of its own, when credentials take too long to load.
const IDENTITY_TIMEOUT: &str = "identity resolver timed out";
const CHECKS_HINT: &str = "hint: 'nodedns health-checks gc' deletes those of this cluster that nothing refers to; the \
                           account's quota, 200 unless raised, can be raised on request";
const CLOCK_HINT: &str = "hint: check the credentials and this host's clock; a signature is good for five minutes";

/// Puts an SDK error into our words.
pub(super) fn translate<E>(request: Request, error: &SdkError<E, HttpResponse>) -> ProviderError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let (said, status) = (answer.err(), answer.raw().status().as_u16());
            match said.code() {
                Some(code) => answered(request, status, code, said.message().unwrap_or_default()),
                None => no_code(request, status, &chain(said)),
            }
        }
        SdkError::ResponseError(answer) => no_code(request, answer.raw().status().as_u16(), &causes(error)),
        SdkError::ConstructionFailure(_) => {
            let message = format!("no request: {}", without_secrets(&causes(error)));
            ProviderError { kind: ErrorKind::Refused, code: None, message }
        }
        _ => unanswered(request, error),
    }
}

/// An answer with one of the service's codes.
///
/// Codes are compared as text: the live service sends `Throttling`, which the SDK's model does not know.
fn answered(request: Request, status: u16, code: &str, message: &str) -> ProviderError {
    let kind = match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded" => ErrorKind::Throttled,
        "PriorRequestNotComplete" => ErrorKind::Busy,
        "NoSuchHostedZone" => ErrorKind::NoSuchZone,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "InvalidToken"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "UnrecognizedClientException"
        | "AuthFailure"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed" => ErrorKind::Credentials,
        "AccessDenied"
        | "AccessDeniedException"
        | "NotAuthorized"
        | "NotAuthorizedException"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "OptInRequired" => ErrorKind::Denied,
        _ => by_status(request, status),
    };
    let message = match kind {
        // What follows the first line of a signature error is the request as it was signed, with
        // the session token in it.
        ErrorKind::Credentials => {
            let first = message.lines().next().unwrap_or_default();
            let hint =
                if code.contains("Signature") || code.starts_with("Request") { CLOCK_HINT } else { CREDENTIALS_HINT };
            format!("{}\n{hint}", without_secrets(first))
        }
        ErrorKind::Denied => format!("{}\n{}", without_secrets(message), request.denied_hint()),
        _ if code == "TooManyHealthChecks" => format!("{}\n{CHECKS_HINT}", without_secrets(message)),
        _ => without_secrets(message),
    };
    ProviderError { kind, code: Some(code.to_owned()), message }
}

/// An answer that is not the service's: no code in it, or a body that breaks off.
fn no_code(request: Request, status: u16, why: &str) -> ProviderError {
    let message = without_secrets(&format!("HTTP status {status}, but no answer that Route 53 would give: {why}"));
    ProviderError { kind: by_status(request, status), code: None, message }
}

fn by_status(request: Request, status: u16) -> ErrorKind {
    match status {
        429 => ErrorKind::Throttled,
        401 | 403 => ErrorKind::Denied,
        // Request Timeout: a proxy's word, which says nothing of what lies behind it.
        408 => request.unclear(),
        400..=499 => ErrorKind::Refused,
        _ => request.unclear(),
    }
}

/// No answer at all.
fn unanswered<E>(request: Request, error: &SdkError<E, HttpResponse>) -> ProviderError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let why = without_secrets(&causes(error));
    let credentials = find::<CredentialsError>(error).map(|error| match error {
        CredentialsError::CredentialsNotLoaded(_) => NOWHERE.to_owned(),
        _ => without_secrets(&chain(error)),
    });
    let credentials = credentials.or_else(|| why.contains(IDENTITY_TIMEOUT).then(|| why.clone()));
    let (kind, message) = if let Some(why) = credentials {
        // Only root sees whether there is one, and only systemd can decrypt it.
        let hint = if why == NOWHERE && has_encrypted_only() { ENCRYPTED_HINT } else { CREDENTIALS_HINT };
        (ErrorKind::Credentials, format!("no AWS credentials: {why}\n{hint}"))
    } else if find::<hyper_util::client::legacy::Error>(error).is_some_and(|e| e.is_connect()) {
        // Name resolution, TCP or TLS failed: not a byte of the request has left.
        (ErrorKind::Unavailable, format!("no connection: {why}"))
    } else {
        let kind = request.unclear();
        let outcome = if kind == ErrorKind::Unconfirmed { "could not confirm the change" } else { "no answer" };
        (kind, format!("{outcome}: {why}"))
    };
    ProviderError { kind, code: None, message }
}

/// The parts of Route 53's one wrapped message, `[m1, m2]`. A message of another form is its own
/// only part.
///
/// Messages hold commas of their own, so a comma only counts in front of words that begin one.
pub fn messages(message: &str) -> Vec<&str> {
    const BEGINNINGS: [&str; 16] = [
        "RRSet ",
        "Tried to ",
        "The request ",
        "Cannot ",
        "Invalid ",
        "Duplicate ",
        "FATAL ",
        "Exceeded ",
        "Number of ",
        "RDATA ",
        "DNS name ",
        "A non-alias ",
        "A HostedZone ",
        "Multivalue ",
        "Alias ",
        "Resource record set ",
    ];
    let Some(inner) = message.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return vec![message];
    };
    let mut parts = Vec::new();
    let mut start = 0;
    for (comma, _) in inner.match_indices(", ") {
        let next = comma + 2;
        if BEGINNINGS.iter().any(|beginning| inner[next..].starts_with(beginning)) {
            parts.push(&inner[start..comma]);
            start = next;
        }
    }
    parts.push(&inner[start..]);
    parts
}

/// The causes below an error's own words, which for an SDK error are a mere "dispatch failure".
fn causes(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), chain)
}

/// An error and its causes, outermost first, on one line; a cause that its effect already quotes is left out.
fn chain(error: &dyn Error) -> String {
    let words = |error: &dyn Error| one_line(&without_output(&error.to_string()));
    let mut text = words(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = words(error);
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

/// Cuts a text at what a `credential_process` printed, which the SDK quotes and which may be the
/// very secrets. Of what follows the SDK's words for such a process, only what is known to come
/// from elsewhere is kept: its exit status, or how its output was bad.
fn without_output(text: &str) -> Cow<'_, str> {
    const PROCESS: &str = "external process";
    let Some((before, after)) = text.split_once(PROCESS) else {
        return Cow::Borrowed(text);
    };
    let status = after.strip_prefix(" exited with code ").and_then(|rest| rest.split_once(". Stderr:"));
    let outcome = match status {
        Some((status, _)) => format!(" exited with code {status}"),
        None => ["could not parse response", "could not decode output as UTF-8"]
            .iter()
            .find(|known| after.trim_start_matches([',', ':', ' ']).starts_with(**known))
            .map_or_else(|| " failed".to_owned(), |known| format!(", {known}")),
    };
    Cow::Owned(format!("{before}{PROCESS}{outcome} (what it printed is not shown, it may hold secrets)"))
}

/// One line of bounded length: some errors quote the whole request.
fn one_line(text: &str) -> String {
    const LIMIT: usize = 600;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// Cuts a text where the signed headers of a request begin.
fn without_secrets(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let cut = ["x-amz-security-token", "authorization:", "the canonical string"]
        .iter()
        .filter_map(|marker| lower.find(marker))
        .min()
        .unwrap_or(text.len());
    text[..cut].trim_end().to_owned()
}

/// The first error of type `T` among an error's causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        current = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(request: Request, status: u16, code: &str) -> ErrorKind {
        answered(request, status, code, "text").kind
    }

    #[test]
    fn a_code_has_one_meaning_whatever_was_asked() {
        for request in [Request::Zones, Request::List, Request::Change, Request::Status] {
            for (status, code, expected) in [
                (400, "Throttling", ErrorKind::Throttled),
                (400, "ThrottlingException", ErrorKind::Throttled),
                (503, "Throttling", ErrorKind::Throttled),
                (429, "Whatever", ErrorKind::Throttled),
                (400, "PriorRequestNotComplete", ErrorKind::Busy),
                (403, "AccessDenied", ErrorKind::Denied),
                (403, "Whatever", ErrorKind::Denied),
                (404, "NoSuchHostedZone", ErrorKind::NoSuchZone),
                (403, "ExpiredToken", ErrorKind::Credentials),
                (403, "InvalidClientTokenId", ErrorKind::Credentials),
                (403, "SignatureDoesNotMatch", ErrorKind::Credentials),
                (400, "InvalidChangeBatch", ErrorKind::Refused),
                (400, "InvalidInput", ErrorKind::Refused),
                (404, "NoSuchHealthCheck", ErrorKind::Refused),
                (404, "NoSuchChange", ErrorKind::Refused),
            ] {
                assert_eq!(kind(request, status, code), expected, "{status} {code} {request:?}");
            }
        }
    }

    #[test]
    fn a_failure_of_the_service_leaves_a_write_unconfirmed() {
        for status in [408, 500, 502, 503, 504] {
            assert_eq!(kind(Request::List, status, "InternalError"), ErrorKind::Unavailable, "{status}");
            assert_eq!(kind(Request::Change, status, "InternalError"), ErrorKind::Unconfirmed, "{status}");
        }
        // A success that cannot be read is no success, and no refusal either.
        assert_eq!(no_code(Request::List, 200, "unexpected eof").kind, ErrorKind::Unavailable);
        assert_eq!(no_code(Request::Change, 200, "unexpected eof").kind, ErrorKind::Unconfirmed);
    }

    #[test]
    fn a_signature_error_does_not_repeat_the_signed_request() {
        let said = "The request signature we calculated does not match the signature you provided.\n\n\
                    The Canonical String for this request should have been\n'GET\nx-amz-security-token:SECRET'";
        let error = answered(Request::List, 403, "SignatureDoesNotMatch", said);
        assert!(error.message.starts_with("The request signature we calculated"), "{error}");
        assert!(error.message.contains("clock"), "{error}");
        assert!(!error.message.contains("SECRET"), "{error}");
        let odd = answered(Request::List, 400, "InvalidInput", "bad header X-Amz-Security-Token: SECRET");
        assert_eq!(odd.message, "bad header");
    }

    #[test]
    fn what_a_credential_process_printed_is_not_repeated() {
        let from = "Error retrieving credentials from external process";
        for (said, kept) in [
            (
                "Error retrieving credentials: external process exited with code exit status: 3. Stderr: SECRET. Stderr: SECRET",
                "external process exited with code exit status: 3 (",
            ),
            (
                "Error retrieving credentials: external process exited with code signal: 9 (SIGKILL). Stderr: SECRET",
                "external process exited with code signal: 9 (SIGKILL) (",
            ),
            (&format!("{from}, could not parse response: SECRET"), "external process, could not parse response ("),
            (&format!("{from}: could not decode output as UTF-8: SECRET"), "could not decode output as UTF-8 ("),
            (&format!("{from}: in words that are new: SECRET"), "external process failed ("),
            ("external process exited with code 1 and said SECRET", "external process failed ("),
        ] {
            let text = chain(&CredentialsError::provider_error(CredentialsError::provider_error(said)));
            assert!(text.contains(kept) && !text.contains("SECRET"), "{text}");
        }
        assert_eq!(without_output("of nothing else"), "of nothing else");
    }

    #[test]
    fn the_wrapped_message_comes_apart() {
        assert_eq!(messages("[a, b]"), ["a, b"]);
        assert_eq!(messages("Rate exceeded"), ["Rate exceeded"]);
        assert_eq!(
            messages(
                "[Tried to create resource record set [name='a.', type='A', set-identifier='x, y'] but it already \
                 exists, RRSet with DNS name a., type A, SetIdentifier s, and Region Name=us-east-1 cannot be created \
                 because a latency RRSet with the same name, type and region already exists., Cannot find \
                 GeoProximityLocation with AWSRegion = x. No changes made.]"
            ),
            [
                "Tried to create resource record set [name='a.', type='A', set-identifier='x, y'] but it already exists",
                "RRSet with DNS name a., type A, SetIdentifier s, and Region Name=us-east-1 cannot be created because a \
                 latency RRSet with the same name, type and region already exists.",
                "Cannot find GeoProximityLocation with AWSRegion = x. No changes made.",
            ]
        );
        assert_eq!(messages("[]"), [""]);
    }

    #[test]
    fn a_chain_of_causes_is_one_line_without_repetition() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Quoting(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("inner\n  words")]
        struct Inner(#[source] std::io::Error);
        let error = Quoting(Inner(std::io::Error::other("root")));
        assert_eq!(chain(&error), "outer: inner words: root");
        assert!(find::<std::io::Error>(&error).is_some());
        assert_eq!(causes(&error), "inner words: root");
        let long = chain(&std::io::Error::other("\u{e4}".repeat(5000)));
        assert_eq!((long.chars().count(), long.ends_with("...")), (603, true));
    }
}
