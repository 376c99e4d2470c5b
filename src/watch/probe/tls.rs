//! TLS to a server whose certificate is of no interest.
//!
//! The certificate is not verified, as Route 53's own health checks do not. A probe asks whether
//! something serves at an address of this host. The names in the certificate are those of what is
//! served there, its authority may be anybody's, and before an ingress controller has been given
//! one it shows a makeshift. Nothing secret is sent and nothing that comes back is trusted: who
//! could stand in between is on this host already. A certificate that has expired is a fault of
//! its own, which every node has at the same time; to withdraw them all would help nobody.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio_rustls::TlsConnector;

/// A connector that takes every certificate and does each handshake in full.
pub(super) fn connector() -> Result<TlsConnector, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate { schemes }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // What is asked is whether a newcomer is served.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name that TLS asks for: the host without its port. An address is not sent (RFC 6066 §3).
pub(super) fn server_name(host: &str, address: IpAddr) -> ServerName<'static> {
    let authority = host.parse::<http::uri::Authority>();
    let name = authority.as_ref().map_or(host, |authority| authority.host());
    let name = name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    ServerName::try_from(name.to_owned()).unwrap_or_else(|_| ServerName::from(address))
}

/// Takes every certificate, and so every signature made with its key.
#[derive(Debug)]
struct AnyCertificate {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_host_without_its_port() {
        let address = IpAddr::from([127, 0, 0, 1]);
        let name = |host| server_name(host, address).to_str().into_owned();
        assert_eq!(name("edge.example.com"), "edge.example.com");
        assert_eq!(name("edge.example.com:8443"), "edge.example.com");
        assert_eq!(name("edge.example.com."), "edge.example.com");
        for host in ["[::1]:443", "[::1]", "::1"] {
            assert_eq!(server_name(host, address), ServerName::from(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])), "{host}");
        }
        assert_eq!(server_name("192.0.2.1:443", address), ServerName::from(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(server_name("not a name", address), ServerName::from(address));
    }
}
