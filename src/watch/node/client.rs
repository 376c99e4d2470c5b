//! A Kubernetes client that tells of its exchanges with the server.

use std::sync::Arc;
use std::time::Duration;

use http::header::{DATE, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Request, Response};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kube::client::{Body, ClientBuilder, DynBody};
use kube::{Client, Config};
use tokio::sync::mpsc;
use tower::util::{MapRequestLayer, MapResponseLayer};

use super::failure::{Cause, Failure};
use super::kubeconfig::{self, Environment, FileSet, KubeconfigInfo, KubeconfigSource, Loaded};

/// What the API server is told of who asks.
const AGENT: &str = concat!("nodedns/", env!("CARGO_PKG_VERSION"));

/// What goes over the wire. `watcher()` resumes a watch that has ended without a word, so this is
/// the only way to know when the server last answered, and whether a request waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Exchange {
    /// A request goes out.
    Sent {
        /// It starts a watch; else it is a list.
        watch: bool,
    },
    /// The head of a response has come in.
    Answered {
        /// The status is 2xx.
        success: bool,
        /// The `Retry-After` header, where it is a number of seconds.
        retry_after: Option<Duration>,
        /// The server's own time, by the `Date` header.
        date: Option<Timestamp>,
    },
}

/// A client, and what it was made of.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) exchanges: mpsc::UnboundedReceiver<Exchange>,
    pub(super) info: Arc<KubeconfigInfo>,
    pub(super) files: FileSet,
}

/// Finds the kubeconfig and makes a client; sends nothing yet. Blocks as [`connect`] does.
///
/// # Errors
/// There is no kubeconfig, or none of use.
pub(super) fn open(
    source: &KubeconfigSource,
    environment: &Environment,
    connect_timeout: Duration,
) -> Result<Opened, Failure> {
    let loaded = kubeconfig::load(source, environment).map_err(|error| Failure::new(Cause::Kubeconfig(error), None))?;
    let (info, files) = (Arc::new(loaded.info.clone()), loaded.files.clone());
    let (client, exchanges) = connect(loaded, connect_timeout)
        .map_err(|error| Failure::new(Cause::Client(error), Some(Arc::clone(&info))))?;
    Ok(Opened { client, exchanges, info, files })
}

/// Makes a client. Reads the files that the kubeconfig names and may run an exec plugin: not to be
/// called on an async thread.
fn connect(loaded: Loaded, connect_timeout: Duration) -> kube::Result<(Client, mpsc::UnboundedReceiver<Exchange>)> {
    let proxy = loaded.info.proxy_url.is_some();
    let mut config = Config::try_from(loaded.kubeconfig).map_err(kube::Error::InferKubeconfig)?;
    config.connect_timeout = Some(connect_timeout);
    // By default kube retries 429, 503 and 504 within a request, up to 15 times over minutes: the
    // state would be out of date long before anyone hears of it. The watch loop retries instead.
    config.default_retry = false;
    // kube takes $HTTPS_PROXY too. That is meant for AWS here: the own API server is near.
    if !proxy {
        config.proxy_url = None;
    }
    let (events, exchanges) = mpsc::unbounded_channel();
    let sent = events.clone();
    let on_request = MapRequestLayer::new(move |mut request: Request<Body>| {
        // So that the cluster's audit log says whose the requests are: the identity is the kubelet's, too.
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let query = request.uri().query().unwrap_or_default();
        let watch = query.split('&').any(|parameter| parameter == "watch=true");
        // A closed channel means that nobody cares for this client any more.
        let _ = sent.send(Exchange::Sent { watch });
        request
    });
    let on_response = MapResponseLayer::new(move |response: Response<Box<DynBody>>| {
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let date = response.headers().get(DATE).and_then(|value| value.to_str().ok());
        let date = date.and_then(|text| rfc2822::parse(text.trim()).ok()).map(|date| date.timestamp());
        let _ = events.send(Exchange::Answered { success: response.status().is_success(), retry_after, date });
        response
    });
    let client = ClientBuilder::try_from(config)?.with_layer(&on_response).with_layer(&on_request).build();
    Ok((client, exchanges))
}
