//! Certificates for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

/// A certificate authority with what it has issued.
pub(crate) struct Pki {
    issuer: Issuer<'static, KeyPair>,
    authority: CertificateDer<'static>,
    pub(crate) authority_pem: String,
}

/// A client certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
    pub(crate) der: Vec<u8>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // As k3s does: authorities that follow each other have different names.
        static AUTHORITIES: AtomicU32 = AtomicU32::new(0);
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("server-ca@{number}"));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Pki { authority: certificate.der().clone(), authority_pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// A client certificate for the user `common_name` that ends `valid_for` from now.
    pub(crate) fn issue(&self, common_name: &str, valid_for: Duration) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + now + valid_for;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem(), der: certificate.der().to_vec() }
    }

    /// A kubelet's identity, good for a day.
    pub(crate) fn kubelet(&self, node: &str) -> Identity {
        self.issue(&format!("system:node:{node}"), Duration::from_secs(86_400))
    }

    /// A server on 127.0.0.1 that asks for a client certificate of this authority.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        self.skewed_server_config(0)
    }

    /// The same with a certificate that is valid for an hour either way around the present, by a
    /// clock that is `skew` seconds ahead of ours.
    pub(crate) fn skewed_server_config(&self, skew: i64) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).expect("an authority");
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
            .build()
            .expect("a verifier");
        let (certificates, key) = self.server_certificate(skew);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates, key)
            .expect("a server certificate");
        Arc::new(config)
    }

    /// The same for everybody, in these versions of TLS.
    pub(crate) fn public_server_config(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let (certificates, key) = self.server_certificate(0);
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .expect("a server certificate");
        Arc::new(config)
    }

    fn server_certificate(&self, skew: i64) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        const HOUR: Duration = Duration::from_secs(3600);
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let theirs = Duration::from_secs(now.as_secs().saturating_add_signed(skew));
        params.not_before = rcgen::date_time_ymd(1970, 1, 1) + (theirs - HOUR);
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + (theirs + HOUR);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (vec![certificate.der().clone()], key)
    }
}
