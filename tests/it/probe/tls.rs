//! HTTPS.

use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, version};

use super::*;
use crate::support::pki::Pki;

fn https(address: SocketAddr) -> HttpProbe {
    HttpProbe { tls: true, ..http(address) }
}

/// What a server has seen of a client: the name that it asked for, the protocol, the request.
#[derive(Debug, PartialEq)]
struct Seen {
    name: Option<String>,
    protocol: Option<Vec<u8>>,
    request: String,
}

/// A server that answers `200` with `body` and then hangs up without TLS's own goodbye.
async fn secure(config: Arc<ServerConfig>, body: &'static str) -> (Server, mpsc::UnboundedReceiver<Seen>) {
    let (sender, seen) = mpsc::unbounded_channel();
    let server = Server::start(move |stream| {
        let (config, sender) = (Arc::clone(&config), sender.clone());
        async move {
            let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await else { return };
            let request = head(&mut stream).await;
            let session = stream.get_ref().1;
            let name = session.server_name().map(str::to_owned);
            let protocol = session.alpn_protocol().map(<[u8]>::to_vec);
            let _ = sender.send(Seen { name, protocol, request });
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n\r\n{body}").as_bytes()).await;
            let _ = stream.flush().await;
        }
    })
    .await;
    (server, seen)
}

/// An authority that nobody knows, and a certificate for another name.
#[tokio::test]
async fn the_certificate_is_of_no_interest() {
    let pki = Pki::new();
    for versions in [[&version::TLS12], [&version::TLS13]] {
        let (server, mut seen) = secure(pki.public_server_config(&versions), "all is ready").await;
        let check = HttpProbe { contains: Some("ready".into()), ..https(server.address) };
        assert_eq!(one(ProbeCheck::Http(check)).await, ProbeOutcome::Passing);
        let seen = seen.recv().await.expect("a request");
        assert_eq!(seen.name.as_deref(), Some("edge.example.com"));
        assert!(seen.request.contains("\r\nhost: edge.example.com\r\n"), "{seen:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_an_address_is_no_name_to_ask_for() {
    let pki = Pki::new();
    let (server, mut seen) = secure(pki.public_server_config(&[&version::TLS13]), "").await;
    let check = HttpProbe { host: server.address.to_string(), ..https(server.address) };
    assert_eq!(one(ProbeCheck::Http(check)).await, ProbeOutcome::Passing);
    let seen = seen.recv().await.expect("a request");
    assert_eq!(seen.name, None);
    assert!(seen.request.contains(&format!("\r\nhost: {}\r\n", server.address)), "{seen:?}");
}

#[tokio::test]
async fn http_1_is_asked_for_and_a_server_that_has_only_http_2_says_no() {
    let pki = Pki::new();
    let with = |protocols: &[&[u8]]| {
        let mut config = ServerConfig::clone(&pki.public_server_config(&[&version::TLS13]));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    };
    let (server, mut seen) = secure(with(&[b"h2", b"http/1.1"]), "").await;
    assert_eq!(one(ProbeCheck::Http(https(server.address))).await, ProbeOutcome::Passing);
    assert_eq!(seen.recv().await.expect("a request").protocol.as_deref(), Some(&b"http/1.1"[..]));
    let (server, _) = secure(with(&[b"h2"]), "").await;
    let why = failure(ProbeCheck::Http(https(server.address))).await;
    assert!(why.starts_with("cannot be spoken to over TLS: ") && why.contains("NoApplicationProtocol"), "{why}");
}

/// With TLS 1.3 the alert comes after the handshake, as the client sees it.
#[tokio::test]
async fn an_alert_is_passed_on() {
    let (server, _) = secure(Pki::new().server_config(), "").await;
    let why = failure(ProbeCheck::Http(https(server.address))).await;
    assert!(why.starts_with("cannot be spoken to over TLS: ") && why.contains("CertificateRequired"), "{why}");
}

#[tokio::test]
async fn what_is_no_tls_is_said_to_be_none() {
    let server = Server::start(|mut stream| async move {
        let mut hello = [0; 5];
        let _ = stream.read_exact(&mut hello).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        // The rest of the greeting is read, so that nothing is reset.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await;
    assert_eq!(failure(ProbeCheck::Http(https(server.address))).await, "does not speak TLS");
}

#[tokio::test]
async fn a_handshake_that_breaks_off_or_takes_for_ever_is_told_as_such() {
    let server = Server::start(|mut stream| async move {
        let mut hello = vec![0; 16 * 1024];
        let _ = stream.read(&mut hello).await;
        let _ = stream.shutdown().await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await;
    let why = failure(ProbeCheck::Http(https(server.address))).await;
    assert_eq!(why, "closed the connection before it had answered");
    let server = Server::start(|stream| async move {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    let why = failure_within(ProbeCheck::Http(https(server.address)), Duration::from_millis(300)).await;
    assert_eq!(why, "did not finish the TLS handshake within 0.3 s");
}
