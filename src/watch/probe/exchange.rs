//! One request over a connection that is there.

use std::future::poll_fn;
use std::net::Ipv6Addr;
use std::pin::Pin;

use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Request};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::attempt::{LINGER, Limit};
use super::failure::{Failure, Stage};
use crate::decide::probe::HttpProbe;

/// How much of a body is searched: as much as Route 53's own health checks do.
const SEARCHED: usize = 5120;

/// How large the head of an answer may be. What comes meanwhile of the body takes no more either.
const LARGEST_HEAD: usize = 16 * 1024;

/// Says who asks, in a server's log.
const AGENT: &str = concat!("nodedns/", env!("CARGO_PKG_VERSION"));

/// The request, which has no body.
pub(super) fn request(probe: &HttpProbe) -> Result<Request<String>, Failure> {
    // An IPv6 address stands in brackets there (RFC 9110 §7.2).
    let bare = probe.host.parse::<Ipv6Addr>().is_ok();
    let host = HeaderValue::from_str(&if bare { format!("[{}]", probe.host) } else { probe.host.clone() });
    let host = host.map_err(|_| Failure::Unaskable(format!("the host {:?} is not one", probe.host)))?;
    let request = Request::get(&probe.path)
        .header(HOST, host)
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .body(String::new());
    request.map_err(|_| Failure::Unaskable(format!("the path {:?} is not one", probe.path)))
}

/// Puts the request and judges the answer. Redirects are answers as good as others.
pub(super) async fn ask<S>(
    stream: S,
    request: Request<String>,
    contains: Option<&str>,
    limit: Limit,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error| Failure::of_http(&error);
    let handshake = http1::Builder::new().max_buf_size(LARGEST_HEAD).handshake(TokioIo::new(stream));
    let (mut sender, connection) = limit.keep(Stage::Answer, handshake).await?.map_err(failed)?;
    // Ends with this attempt at the latest. Its errors arrive with the answer.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = limit.keep(Stage::Answer, sender.send_request(request)).await?.map_err(failed)?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let result = match contains {
        _ if !(200..400).contains(&status) => Err(Failure::Status(status)),
        Some(text) => find(&mut body, text.as_bytes(), status, limit).await,
        None => Ok(()),
    };
    // A server that is left in the midst of a short answer would find its connection reset.
    let parting = async {
        while let Some(Ok(_)) = next(&mut body).await {}
        driver.join_next().await
    };
    // However that ends, the answer has been judged.
    let _ = timeout(LINGER, parting).await;
    result
}

/// Looks for the text in the beginning of the body.
async fn find(body: &mut Incoming, text: &[u8], status: u16, limit: Limit) -> Result<(), Failure> {
    let mut beginning = Vec::new();
    while beginning.len() < SEARCHED {
        let Some(data) = limit.keep(Stage::Body, next(body)).await? else { break };
        let data = data.map_err(|error| Failure::of_http(&error))?;
        let searched = beginning.len().saturating_sub(text.len());
        beginning.extend_from_slice(&data[..data.len().min(SEARCHED - beginning.len())]);
        if text.is_empty() || beginning[searched..].windows(text.len()).any(|part| part == text) {
            return Ok(());
        }
    }
    Err(Failure::Missing(status, SEARCHED))
}

/// The next piece of the body; `None` at its end.
async fn next(body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    // What is not data is trailers, which say nothing here.
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}
