//! What lies at the bottom of a request that has come to nothing.

use std::error::Error;
use std::io;
use std::iter::successors;

use kube::client::AuthError;
use tokio::time::error::Elapsed;

/// The server answers, and shows a certificate that is not to be trusted.
pub(super) fn distrust(error: &(dyn Error + 'static), server: &str, path: &str) -> String {
    use rustls::CertificateError as Why;
    let hint = match certificate_error(error) {
        Some(Why::UnknownIssuer | Why::BadSignature) => format!(
            "it is not signed by the authority that {path} names: either something else answers there, or the cluster has another authority, which is to be the kubeconfig's 'certificate-authority' too"
        ),
        Some(Why::NotValidForName | Why::NotValidForNameContext { .. }) => {
            format!("'server' in {path} must be a name or an address that the certificate is for")
        }
        Some(Why::Expired | Why::ExpiredContext { .. } | Why::NotValidYet | Why::NotValidYetContext { .. }) => {
            "is the clock right (timedatectl)? k3s and RKE2 renew the server's certificate when they restart, kubeadm with 'kubeadm certs renew apiserver'".to_owned()
        }
        _ => format!("the server's certificate must be one that the authority in {path} has signed"),
    };
    format!("cannot trust the API server at {server}: {}\nhint: {hint}", root_cause(error))
}

/// What rustls has against the server's certificate, if that is what went wrong.
pub(super) fn certificate_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::CertificateError> {
    match find(error)? {
        rustls::Error::InvalidCertificate(why) => Some(why),
        _ => None,
    }
}

/// The innermost error says most: "connection refused" and not "client error (Connect)".
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    if let Some(error) = find::<AuthError>(error) {
        return login_failure(error);
    }
    if find::<Elapsed>(error).is_some() {
        return "no connection in time: packets are lost, or what listens there hangs".to_owned();
    }
    let innermost = chain(error).last();
    first_line(&innermost.unwrap_or(error).to_string())
}

/// The error of this type among `error` and what caused it.
pub(in crate::watch::node) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(<dyn Error>::downcast_ref)
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let causes = successors(Some(error), |error: &&'a (dyn Error + 'static)| (**error).source());
    causes.map(|mut error| {
        // An io::Error gives what it wraps as its own text, and not as its source.
        while let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            error = inner;
        }
        error
    })
}

/// kube quotes the output of exec plugins, and that holds tokens.
fn login_failure(error: &AuthError) -> String {
    match error {
        AuthError::ReadTokenFile(error, path) => format!("cannot read the token file {}: {error}", path.display()),
        AuthError::AuthExecStart(error) => format!("cannot run its exec plugin: {error}"),
        AuthError::AuthExecRun { cmd, out } => format!("its exec plugin {cmd} failed: {}", out.status),
        AuthError::MissingCommand => "its exec plugin has no command".to_owned(),
        _ => "the way to log in that it describes does not work".to_owned(),
    }
}

/// What a server says is not ours: one line of it is enough.
pub(super) fn first_line(text: &str) -> String {
    let printable = |c: &char| !c.is_control();
    text.lines().next().unwrap_or_default().chars().filter(printable).take(300).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::CertificateError as Why;

    use super::*;

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_what_helps() {
        let why_not =
            |why| distrust(&rustls::Error::InvalidCertificate(why), "https://192.0.2.1:6443", "/etc/kubeconfig");
        for (why, expected) in [
            (Why::UnknownIssuer, "not signed by the authority that /etc/kubeconfig names"),
            (Why::BadSignature, "not signed by the authority that /etc/kubeconfig names"),
            (Why::NotValidForName, "'server' in /etc/kubeconfig must be a name"),
            (Why::Expired, "is the clock right"),
            (Why::NotValidYet, "is the clock right"),
            (Why::Revoked, "must be one that the authority in /etc/kubeconfig has signed"),
        ] {
            let text = why_not(why.clone());
            assert!(text.starts_with("cannot trust the API server at https://192.0.2.1:6443: "), "{text}");
            let (_, hint) = text.split_once("\nhint: ").expect("a hint");
            assert!(hint.contains(expected), "{why:?}: {hint}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_takes_too_long_is_no_deadline_that_has_elapsed() {
        let elapsed = tokio::time::timeout(Duration::ZERO, std::future::pending::<()>()).await;
        let error = io::Error::other(elapsed.expect_err("it never ends"));
        assert_eq!(root_cause(&error), "no connection in time: packets are lost, or what listens there hangs");
    }
}
