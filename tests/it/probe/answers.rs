//! What counts as an answer, and what is said of everything else.

use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::*;
use crate::support::port::Port;

/// A server that takes a request and answers with these bytes.
async fn answering(answer: impl Into<Vec<u8>>) -> Server {
    let answer: Arc<[u8]> = answer.into().into();
    Server::start(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(&answer).await;
        }
    })
    .await
}

/// A server that takes a request, answers with the first bytes and then with the others for ever.
async fn endless(first: &'static [u8], then: &'static [u8], pause: Duration) -> Server {
    Server::start(move |mut stream| async move {
        head(&mut stream).await;
        let mut part = first;
        while stream.write_all(part).await.is_ok() {
            part = then;
            sleep(pause).await;
        }
    })
    .await
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_tcp_connection_is_enough_and_ends_in_order() {
    for greeting in [&b""[..], b"220 mail.example.com ESMTP\r\n"] {
        let (sender, mut ends) = mpsc::unbounded_channel();
        let server = Server::start(move |mut stream| {
            let sender = sender.clone();
            async move {
                let mut heard = Vec::new();
                let greeted = stream.write_all(greeting).await;
                let end = stream.read_to_end(&mut heard).await;
                // A reset on loopback has come by the time that the greeting is written.
                let reset = stream.take_error().expect("a socket option").map(|error| error.kind());
                let _ = sender.send((greeted.is_ok(), end.ok(), reset));
            }
        })
        .await;
        assert_eq!(one(ProbeCheck::Tcp(server.address)).await, ProbeOutcome::Passing);
        // Nothing was sent, and the end was no reset.
        assert_eq!(ends.recv().await, Some((true, Some(0), None)));
    }
}

#[tokio::test]
async fn a_port_without_a_listener_refuses() {
    let port = Port::new();
    let address = port.address();
    let refusal = "refused the connection: nothing listens there";
    assert_eq!(failure(ProbeCheck::Tcp(address)).await, refusal);
    assert_eq!(failure(ProbeCheck::Http(http(address))).await, refusal);
    assert_eq!(failure(ProbeCheck::Http(HttpProbe { tls: true, ..http(address) })).await, refusal);
}

#[tokio::test]
async fn the_request_is_one_and_says_who_asks() {
    let (sender, mut requests) = mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(head(&mut stream).await);
            let _ = stream.write_all(ok("").as_bytes()).await;
        }
    })
    .await;
    let check = HttpProbe { path: "/healthz?full=1".into(), ..http(server.address) };
    assert_eq!(one(ProbeCheck::Http(check)).await, ProbeOutcome::Passing);
    let expected = format!(
        "GET /healthz?full=1 HTTP/1.1\r\nhost: edge.example.com\r\nuser-agent: nodedns/{}\r\nconnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(requests.recv().await, Some(expected));
}

#[tokio::test]
async fn an_ipv6_address_stands_in_brackets() {
    let (sender, mut requests) = mpsc::unbounded_channel();
    let server = Server::start_at("[::1]:0".parse().expect("an address"), move |mut stream| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(head(&mut stream).await);
            let _ = stream.write_all(ok("").as_bytes()).await;
        }
    })
    .await;
    for (host, expected) in
        [("::1".to_owned(), "[::1]".to_owned()), (server.address.to_string(), server.address.to_string())]
    {
        let check = HttpProbe { host, ..http(server.address) };
        assert_eq!(one(ProbeCheck::Http(check)).await, ProbeOutcome::Passing);
        let request = requests.recv().await.expect("a request");
        assert!(request.contains(&format!("\r\nhost: {expected}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn a_status_of_200_to_399_is_good() {
    for (head, good) in [
        ("HTTP/1.1 200 OK", true),
        ("HTTP/1.0 200 OK", true),
        ("HTTP/1.1 204 No Content", true),
        ("HTTP/1.1 304 Not Modified", true),
        ("HTTP/1.1 399 ", true),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK", true),
        ("HTTP/1.1 101 Switching Protocols", false),
        ("HTTP/1.1 400 Bad Request", false),
        ("HTTP/1.1 404 Not Found", false),
        ("HTTP/1.1 503 Service Unavailable", false),
        ("HTTP/1.1 600 Beyond", false),
    ] {
        let server = answering(format!("{head}\r\n\r\n")).await;
        let outcome = one(ProbeCheck::Http(http(server.address))).await;
        let status = &head[9..12];
        let address = server.address;
        let bad = format!("{address} answered with status {status}; 200 to 399 would be good");
        assert_eq!(outcome, if good { ProbeOutcome::Passing } else { ProbeOutcome::Failing(bad) }, "{head}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = answering(ok("")).await;
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", elsewhere.address);
    let server = answering(answer).await;
    let mut probing = Probing::start([often(ProbeCheck::Http(http(server.address)), 1)]);
    probing.passes().await;
    while server.connections() < 3 {
        sleep(OFTEN).await;
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn what_is_no_http_is_said_to_be_none() {
    for answer in [&b"SSH-2.0-OpenSSH_9.9\r\n"[..], b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\0\0\0\0\r\n\r\n"] {
        let server = answering(answer).await;
        let why = failure(ProbeCheck::Http(http(server.address))).await;
        assert!(why.starts_with("gave an answer that cannot be read as HTTP: "), "{why}");
    }
    let server = endless(b"HTTP/1.1 200 OK\r\n", b"x-padding: 0123456789abcdef\r\n", Duration::ZERO).await;
    let why = failure(ProbeCheck::Http(http(server.address))).await;
    assert_eq!(why, "gave an answer that cannot be read as HTTP: message head is too large");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_told_by_how() {
    for answer in [&b""[..], b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\ncontent-"] {
        let server = answering(answer).await;
        let why = failure(ProbeCheck::Http(http(server.address))).await;
        assert_eq!(why, "closed the connection before it had answered");
    }
    let server = answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort").await;
    assert_eq!(failure(containing(server.address, "long")).await, "closed the connection before it had answered");
    // Without a text to look for the head is the answer.
    assert_eq!(one(ProbeCheck::Http(http(server.address))).await, ProbeOutcome::Passing);

    let server = Server::start(|mut stream| async move {
        head(&mut stream).await;
        stream.set_zero_linger().expect("a socket option");
    })
    .await;
    assert_eq!(failure(ProbeCheck::Http(http(server.address))).await, "reset the connection");
}

#[tokio::test]
async fn a_text_is_looked_for_in_the_first_5120_bytes() {
    let body = |before: usize| format!("{}ready{}", ".".repeat(before), ".".repeat(100));
    let missing = "answered with status 200, but the text that is looked for is not in the first 5120 bytes";
    for (answer, found) in [
        (ok("ready"), true),
        (ok(&body(0)), true),
        (ok(&body(5115)), true),
        (ok(&body(5116)), false),
        (ok(&body(100_000)), false),
        (ok("not yet"), false),
        (ok(""), false),
        // In pieces, of unknown length, in plain chunks.
        ("HTTP/1.1 200 OK\r\n\r\nall is ready".into(), true),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nrea\r\n1\r\nd\r\n2\r\ny!\r\n0\r\n\r\n".into(),
            true,
        ),
    ] {
        let server = answering(answer.clone()).await;
        let address = server.address;
        let expected =
            if found { ProbeOutcome::Passing } else { ProbeOutcome::Failing(format!("{address} {missing}")) };
        assert_eq!(one(containing(address, "ready")).await, expected, "{}", &answer[..answer.len().min(100)]);
    }
    let server = answering("HTTP/1.1 500 Oh\r\ncontent-length: 5\r\n\r\nready").await;
    assert_eq!(
        failure(containing(server.address, "ready")).await,
        "answered with status 500; 200 to 399 would be good"
    );
}

#[tokio::test]
async fn an_endless_body_ends_nothing_and_holds_nothing_up() {
    let server = endless(b"HTTP/1.1 200 OK\r\n\r\n", &[b'.'; 4096], Duration::ZERO).await;
    let mut probing = Probing::start([often(ProbeCheck::Http(http(server.address)), 1)]);
    probing.passes().await;
    while server.connections() < 3 {
        sleep(OFTEN).await;
    }
    probing.nothing_more();
    let why = failure(containing(server.address, "ready")).await;
    assert!(why.ends_with("is not in the first 5120 bytes"), "{why}");
}

/// The timeout is over long before a server of this kind is done, on however slow a machine.
#[tokio::test]
async fn whatever_takes_too_long_is_told_by_what_it_did_not_do() {
    const SHORT: Duration = Duration::from_millis(300);
    const PAUSE: Duration = Duration::from_millis(50);
    let answer = "did not answer within 0.3 s";
    for server in [
        endless(b"", b"", PAUSE).await,
        endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", PAUSE).await,
        endless(b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n", PAUSE).await,
    ] {
        assert_eq!(failure_within(ProbeCheck::Http(http(server.address)), SHORT).await, answer);
    }
    let server = endless(b"HTTP/1.1 200 OK\r\n\r\n", b".", PAUSE).await;
    let why = failure_within(containing(server.address, "ready"), SHORT).await;
    assert_eq!(why, "did not send the beginning of its answer within 0.3 s");
    // Its time is over before the answer, and it is a failure all the same where nothing was sent at all.
    assert_eq!(one_within(ProbeCheck::Http(http(server.address)), LONG).await, ProbeOutcome::Passing);

    // A queue that is full lets nobody in, and says nothing.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let listener = socket.listen(1).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(SHORT, TcpStream::connect(address)).await {
        waiting.push(stream.expect("a connection"));
    }
    let why = failure_within(ProbeCheck::Tcp(address), SHORT).await;
    assert_eq!(why, "did not accept a connection within 0.3 s");
}

#[tokio::test]
async fn what_cannot_be_asked_fails_and_says_why() {
    let server = answering(ok("")).await;
    let host = HttpProbe { host: "two\nlines".into(), ..http(server.address) };
    assert_eq!(failure(ProbeCheck::Http(host)).await, r#"cannot be asked: the host "two\nlines" is not one"#);
    let path = HttpProbe { path: "/a b".into(), ..http(server.address) };
    assert_eq!(failure(ProbeCheck::Http(path)).await, r#"cannot be asked: the path "/a b" is not one"#);
    assert_eq!(server.connections(), 0);
}
