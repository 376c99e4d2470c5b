//! A scripted Kubernetes API server: Nodes, over real HTTP or HTTPS on loopback.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::pki::Pki;
use super::port::Port;

/// How a request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// As an API server does.
    Serve,
    /// A `Status` object with this code and message.
    Error(u16, String),
    /// This code and header, and a line of plain text, as the API server's flow control answers.
    Plain(u16, &'static str, String),
    /// 200 with this body.
    Body(String),
    /// As an API server does, but the connection breaks off half way through the body of a list.
    BreaksOff,
    /// Never.
    Hang,
}

/// One request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) at: Instant,
    /// The `User-Agent` header.
    pub(crate) agent: Option<String>,
    /// The client's certificate, if it showed one.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Seen {
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_watch(&self) -> bool {
        self.parameter("watch") == Some("true")
    }
}

/// What goes to the running watches.
#[derive(Debug, Clone)]
enum Push {
    Line(String),
    /// An event of the Node of this name at this version, for the watches that have asked for it and are not
    /// beyond that.
    Node(String, u64, String),
    /// The connection breaks off.
    Cut,
    /// The server is gone without a word: no event and no end any more.
    Silence,
}

struct State {
    nodes: BTreeMap<String, Value>,
    /// The last event of each Node, with its version, for watches that have missed it.
    events: BTreeMap<String, (u64, Value)>,
    version: u64,
    /// A list has no more Nodes than this on a page, whatever the client asked for.
    page: usize,
    lists: VecDeque<Answer>,
    watches: VecDeque<Answer>,
    list: Answer,
    watch: Answer,
    /// Lists and watches of all Nodes, where they are answered otherwise than those of one.
    list_all: Option<Answer>,
    watch_all: Option<Answer>,
    /// Certificates that are not this one are answered with 401.
    wanted_certificate: Option<Vec<u8>>,
    /// Watches end after this, whatever the client asked for.
    watch_ends_after: Option<Duration>,
    tls: Option<Arc<ServerConfig>>,
    date: Option<&'static str>,
    seen: Vec<Seen>,
}

struct Shared {
    state: Mutex<State>,
    pushes: broadcast::Sender<Push>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }
}

/// The server. It ends with this value.
pub(crate) struct ApiServer {
    /// Also its own while it is stopped.
    port: Port,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl ApiServer {
    /// Starts one over plain HTTP.
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts one over HTTPS that asks for a client certificate of `pki`.
    pub(crate) async fn start_tls(pki: &Pki) -> Self {
        Self::start_with(Some(pki.server_config())).await
    }

    async fn start_with(tls: Option<Arc<ServerConfig>>) -> Self {
        let state = State {
            nodes: BTreeMap::new(),
            events: BTreeMap::new(),
            version: 100,
            page: usize::MAX,
            lists: VecDeque::new(),
            watches: VecDeque::new(),
            list: Answer::Serve,
            watch: Answer::Serve,
            list_all: None,
            watch_all: None,
            wanted_certificate: None,
            watch_ends_after: None,
            tls,
            date: None,
            seen: Vec::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), pushes: broadcast::channel(64).0 });
        let port = Port::new();
        let listener = TcpListener::bind(port.address()).await.expect("its own port");
        let accepting = Some(tokio::spawn(accept(listener, Arc::clone(&shared))));
        ApiServer { port, shared, accepting }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.shared.state().tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.port.address())
    }

    /// Closes every connection and refuses new ones.
    pub(crate) fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }

    /// Listens again on the same port.
    pub(crate) async fn resume(&mut self) {
        self.stop();
        let started = Instant::now();
        let listener = loop {
            match TcpListener::bind(self.port.address()).await {
                Ok(listener) => break listener,
                Err(error) if started.elapsed() > Duration::from_secs(10) => panic!("cannot listen again: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
    }

    /// Creates or replaces the Node of the object's name.
    pub(crate) fn set_node(&self, node: Value) {
        let name = node["metadata"]["name"].as_str().expect("a name").to_owned();
        let kind = match self.shared.state().nodes.insert(name.clone(), node.clone()) {
            Some(_) => "MODIFIED",
            None => "ADDED",
        };
        self.happens(kind, name, node);
    }

    /// Deletes the only Node.
    pub(crate) fn delete_node(&self) {
        let names: Vec<_> = self.shared.state().nodes.keys().cloned().collect();
        let [name] = &names[..] else { panic!("one Node to delete: {names:?}") };
        self.delete(name);
    }

    pub(crate) fn delete(&self, name: &str) {
        let node = self.shared.state().nodes.remove(name).expect("a Node to delete");
        self.happens("DELETED", name.to_owned(), node);
    }

    fn happens(&self, kind: &str, name: String, mut node: Value) {
        let mut state = self.shared.state();
        state.version += 1;
        let version = state.version;
        node["metadata"]["resourceVersion"] = json!(version.to_string());
        if let Some(kept) = state.nodes.get_mut(&name) {
            kept.clone_from(&node);
        }
        state.events.insert(name.clone(), (version, json!({"type": kind, "object": node})));
        // Under the lock, so that events go out in the order of their versions; without a receiver no
        // watch is running, which is fine.
        let event = json!({"type": kind, "object": node}).to_string();
        let _ = self.shared.pushes.send(Push::Node(name, version, event));
    }

    /// The control plane is set back to a backup, long before the present, with this Node alone. No watch is told.
    pub(crate) fn set_back(&self, mut node: Value) {
        let mut state = self.shared.state();
        state.version = 10;
        node["metadata"]["resourceVersion"] = json!("10");
        state.events.clear();
        state.nodes = BTreeMap::from([(node["metadata"]["name"].as_str().expect("a name").to_owned(), node)]);
    }

    /// Lists come in pages of this many Nodes.
    pub(crate) fn page(&self, nodes: usize) {
        self.shared.state().page = nodes;
    }

    /// Sends an event to the running watches without any change of the Node.
    pub(crate) fn push(&self, kind: &str, object: &Value) {
        self.push_line(json!({"type": kind, "object": object}).to_string());
    }

    pub(crate) fn push_line(&self, line: String) {
        // No receiver means no watch is running, which is fine.
        let _ = self.shared.pushes.send(Push::Line(line));
    }

    /// The resource version of the last change.
    pub(crate) fn version(&self) -> String {
        self.shared.state().version.to_string()
    }

    pub(crate) fn bookmark(&self) {
        let version = self.version();
        let object = json!({"kind": "Node", "apiVersion": "v1", "metadata": {"resourceVersion": version}});
        self.push("BOOKMARK", &object);
    }

    /// Breaks the connections of the running watches.
    pub(crate) fn cut(&self) {
        let _ = self.shared.pushes.send(Push::Cut);
    }

    /// The running watches get no event and no end any more; new requests are answered.
    pub(crate) fn silence_watches(&self) {
        let _ = self.shared.pushes.send(Push::Silence);
    }

    /// Nothing is answered any more, though connections are accepted.
    pub(crate) fn fall_silent(&self) {
        self.always(Answer::Hang);
        self.silence_watches();
    }

    /// How lists and watches are answered from now on.
    pub(crate) fn always(&self, answer: Answer) {
        let mut state = self.shared.state();
        state.list = answer.clone();
        state.watch = answer;
    }

    pub(crate) fn always_watch(&self, answer: Answer) {
        self.shared.state().watch = answer;
    }

    /// How lists of all Nodes are answered from now on, unlike those of one.
    pub(crate) fn always_list_all(&self, answer: Answer) {
        self.shared.state().list_all = Some(answer);
    }

    /// The same of watches.
    pub(crate) fn always_watch_all(&self, answer: Answer) {
        self.shared.state().watch_all = Some(answer);
    }

    /// How the next list is answered.
    pub(crate) fn next_list(&self, answer: Answer) {
        self.shared.state().lists.push_back(answer);
    }

    pub(crate) fn want_certificate(&self, der: &[u8]) {
        self.shared.state().wanted_certificate = Some(der.to_vec());
    }

    pub(crate) fn end_watches_after(&self, time: Duration) {
        self.shared.state().watch_ends_after = Some(time);
    }

    /// Serves new connections as `pki` has it.
    pub(crate) fn use_pki(&self, pki: &Pki) {
        self.use_skewed_pki(pki, 0);
    }

    /// The same, with a certificate that is valid around the present by a clock that is `skew`
    /// seconds ahead of ours.
    pub(crate) fn use_skewed_pki(&self, pki: &Pki, skew: i64) {
        self.shared.state().tls = Some(pki.skewed_server_config(skew));
    }

    /// What the `Date` header says from now on; the true time, if absent.
    pub(crate) fn show_date(&self, date: Option<&'static str>) {
        self.shared.state().date = date;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        while connections.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let tls = shared.state().tls.clone();
            match tls {
                None => serve(TokioIo::new(stream), shared, None).await,
                Some(config) => {
                    // A handshake that fails is the client's to tell of.
                    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
                    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
                    let certificate = certificates.first().map(|certificate| certificate.to_vec());
                    serve(TokioIo::new(stream), shared, certificate).await;
                }
            }
        });
    }
}

async fn serve<I>(stream: I, shared: Arc<Shared>, certificate: Option<Vec<u8>>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    let service = service_fn(|request| {
        let (shared, certificate) = (Arc::clone(&shared), certificate.clone());
        async move {
            let mut response = answer(request, &shared, certificate).await;
            if let Some(date) = shared.state().date {
                response.headers_mut().insert("date", date.parse().expect("a header value"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    // Connections break off in these tests.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

async fn answer(request: Request<Incoming>, shared: &Shared, certificate: Option<Vec<u8>>) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.replace("%3D", "=")))
        .collect();
    let seen = Seen {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query,
        at: Instant::now(),
        agent: request.headers().get("user-agent").and_then(|agent| agent.to_str().ok()).map(str::to_owned),
        certificate,
    };
    let answer = {
        let mut state = shared.state();
        let script = if seen.is_watch() { &mut state.watches } else { &mut state.lists };
        let scripted = script.pop_front();
        let of_all = if seen.is_watch() { &state.watch_all } else { &state.list_all };
        let of_all = of_all.clone().filter(|_| seen.parameter("fieldSelector").is_none());
        let otherwise = if seen.is_watch() { &state.watch } else { &state.list };
        let answer = scripted.or(of_all).unwrap_or_else(|| otherwise.clone());
        let known = state.wanted_certificate.as_ref().is_none_or(|wanted| seen.certificate.as_ref() == Some(wanted));
        state.seen.push(seen.clone());
        if known { answer } else { Answer::Error(401, "Unauthorized".into()) }
    };
    match answer {
        Answer::Serve if seen.is_watch() => respond(200, watch(&seen, shared)),
        Answer::Serve => respond(200, whole(list(&seen, shared))),
        Answer::BreaksOff => {
            let text = list(&seen, shared);
            let half = Bytes::from(text[..text.len() / 2].to_owned());
            let frames = [Ok(Frame::data(half)), Err(io::Error::other("breaks off"))];
            respond(200, StreamBody::new(futures::stream::iter(frames)).boxed_unsync())
        }
        Answer::Error(code, message) => {
            let reason = match code {
                401 => "Unauthorized",
                403 => "Forbidden",
                _ => "",
            };
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code});
            respond(code, whole(status.to_string()))
        }
        Answer::Plain(code, header, value) => {
            let mut response = respond(code, whole("Too many requests, please try again later.\n".into()));
            response.headers_mut().insert(header, value.parse().expect("a header value"));
            response
        }
        Answer::Body(text) => respond(200, whole(text)),
        Answer::Hang => std::future::pending().await,
    }
}

fn respond(code: u16, body: Body) -> Response<Body> {
    Response::builder().status(code).header("content-type", "application/json").body(body).expect("a response")
}

fn whole(text: String) -> Body {
    Full::from(text).map_err(|never| match never {}).boxed_unsync()
}

/// The name that the field selector asks for, where there is one.
fn selected(seen: &Seen) -> Option<&str> {
    seen.parameter("fieldSelector").map(|text| text.strip_prefix("metadata.name=").expect("a name is selected"))
}

fn list(seen: &Seen, shared: &Shared) -> String {
    let state = shared.state();
    let selected = selected(seen);
    let nodes: Vec<_> =
        state.nodes.iter().filter(|(name, _)| selected.is_none_or(|s| s == *name)).map(|(_, node)| node).collect();
    let number = |name| seen.parameter(name).map(|text| text.parse::<usize>().expect("a number"));
    let limit = number("limit").unwrap_or(usize::MAX).min(state.page);
    let begin = number("continue").unwrap_or(0).min(nodes.len());
    let end = begin.saturating_add(limit).min(nodes.len());
    let mut metadata = json!({"resourceVersion": state.version.to_string()});
    if end < nodes.len() {
        metadata["continue"] = json!(end.to_string());
        metadata["remainingItemCount"] = json!(nodes.len() - end);
    }
    json!({"kind": "NodeList", "apiVersion": "v1", "metadata": metadata, "items": nodes[begin..end]}).to_string()
}

/// The body of a watch: what it has missed since its version, then every push, until its time is over.
fn watch(seen: &Seen, shared: &Shared) -> Body {
    let selected = selected(seen).map(str::to_owned);
    let since: u64 = seen.parameter("resourceVersion").and_then(|text| text.parse().ok()).expect("a version");
    let (missed, pushes, limit) = {
        let state = shared.state();
        // Subscribed under the lock, so that no change falls between.
        let pushes = shared.pushes.subscribe();
        let mut missed: Vec<_> = state.events.iter().filter(|(_, (version, _))| *version > since).collect();
        missed.retain(|(name, _)| selected.as_ref().is_none_or(|selected| selected == *name));
        missed.sort_by_key(|(_, (version, _))| *version);
        let missed: Vec<String> = missed.into_iter().map(|(_, (_, event))| event.to_string()).collect();
        let asked: u64 = seen.parameter("timeoutSeconds").and_then(|text| text.parse().ok()).expect("a timeout");
        (missed, pushes, state.watch_ends_after.unwrap_or(Duration::from_secs(asked)))
    };
    let end = tokio::time::Instant::now() + limit;
    let frame = |line: String| Ok(Frame::data(Bytes::from(line + "\n")));
    let events = futures::stream::unfold((pushes, selected), move |(mut pushes, selected)| async move {
        loop {
            let push = tokio::select! {
                () = tokio::time::sleep_until(end) => return None,
                push = pushes.recv() => push.expect("the server outlives its connections and pushes little"),
            };
            match push {
                Push::Node(name, version, _)
                    if version <= since || selected.as_ref().is_some_and(|selected| *selected != name) => {}
                Push::Node(_, _, line) | Push::Line(line) => return Some((frame(line), (pushes, selected))),
                Push::Cut => return Some((Err(io::Error::other("cut")), (pushes, selected))),
                Push::Silence => std::future::pending().await,
            }
        }
    });
    StreamBody::new(futures::stream::iter(missed.into_iter().map(frame)).chain(events)).boxed_unsync()
}

/// A kubeconfig that names files, as k3s and kubeadm write it.
pub(crate) fn kubeconfig(server: &str, authority: Option<&Path>, certificate: &Path, key: &Path) -> String {
    let authority = authority.map(|path| format!(", certificate-authority: {}", path.display())).unwrap_or_default();
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: default\n\
         clusters:\n- name: local\n  cluster: {{server: \"{server}\"{authority}}}\n\
         users:\n- name: user\n  user: {{client-certificate: {}, client-key: {}}}\n\
         contexts:\n- name: default\n  context: {{cluster: local, user: user}}\n",
        certificate.display(),
        key.display()
    )
}

/// A kubeconfig with a token in it and no files beside it.
pub(crate) fn token_kubeconfig(server: &str, token: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: default\n\
         clusters:\n- name: local\n  cluster: {{server: \"{server}\"}}\n\
         users:\n- name: user\n  user: {{token: \"{token}\"}}\n\
         contexts:\n- name: default\n  context: {{cluster: local, user: user}}\n"
    )
}
