//! What a client certificate says of its owner.

use x509_cert::Certificate;
use x509_cert::der::DecodePem;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;

/// What the certificate of a kubelet has before the node's name in its common name.
/// Source: Kubernetes, "Using Node Authorization".
const NODE_USER_PREFIX: &str = "system:node:";

/// `id-at-commonName` (RFC 5280, appendix A).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// What a client certificate says of its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The common name, which the API server takes for the user's name.
    pub common_name: String,
    /// The end of its validity.
    pub not_after: jiff::Timestamp,
}

impl ClientCertificate {
    /// Reads the first certificate in `pem`, which may hold keys and further certificates too (the
    /// kubelet's rotating file does). `None` when there is none, or it has no common name.
    pub(super) fn parse(pem: &[u8]) -> Option<Self> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----";
        let text = String::from_utf8_lossy(pem);
        let start = text.find(BEGIN)?;
        let length = text[start..].find(END)? + END.len();
        let certificate = Certificate::from_pem(&text.as_bytes()[start..start + length]).ok()?.tbs_certificate;
        let common_name = certificate
            .subject
            .0
            .iter()
            .flat_map(|names| names.0.iter())
            .filter(|attribute| attribute.oid == COMMON_NAME)
            .find_map(|attribute| {
                let value = &attribute.value;
                let utf8 = value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
                utf8.or_else(|_| value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned())).ok()
            })?;
        let not_after = certificate.validity.not_after.to_unix_duration().as_secs();
        let not_after = jiff::Timestamp::from_second(i64::try_from(not_after).ok()?).ok()?;
        Some(ClientCertificate { common_name, not_after })
    }

    /// The node whose kubelet this certificate belongs to, if it is a kubelet's.
    pub fn node_name(&self) -> Option<&str> {
        node_of(&self.common_name)
    }
}

/// The node whose kubelet has this user name, if it is a kubelet's.
pub(super) fn node_of(user: &str) -> Option<&str> {
    user.strip_prefix(NODE_USER_PREFIX)
}
