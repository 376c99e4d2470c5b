//! STS, as far as a client asks who it is: GetCallerIdentity in the query protocol.

use crate::account::Account;
use crate::api::{self, Answer};
use crate::model::ApiError;
use crate::xml::Writer;

/// The namespace of STS.
pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Carries out a request to `/`; its parameters are in the body, or in the query.
pub(crate) fn call(account: &Account, line: &str, body: &[u8], request_id: &str) -> Result<Answer, ApiError> {
    let body = String::from_utf8_lossy(body);
    let query = line.split_once('?').map_or("", |(_, query)| query);
    let parameters: Vec<_> = api::form(&body).into_iter().chain(api::form(query)).collect();
    let parameter = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match (parameter("Action"), parameter("Version")) {
        (Some("GetCallerIdentity"), Some("2011-06-15")) => Ok(Answer::ok(identity(account, request_id))),
        (None, _) => Err(ApiError::new(400, "MissingAction", "Missing Action")),
        (Some(action), version) => Err(ApiError::new(
            400,
            "InvalidAction",
            format!("Could not find operation {action} for version {}", version.unwrap_or("NO_VERSION_SPECIFIED")),
        )),
    }
}

fn identity(account: &Account, request_id: &str) -> String {
    Writer::document_in(NAMESPACE, "GetCallerIdentityResponse", |out| {
        out.element("GetCallerIdentityResult", |out| {
            out.leaf("Arn", &account.options.caller_arn);
            out.leaf("UserId", "AIDASIMULATEDUSER0000");
            out.leaf("Account", &account.options.account_id);
        });
        out.element("ResponseMetadata", |out| out.leaf("RequestId", request_id));
    })
}
