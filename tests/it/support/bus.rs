//! A system bus with nobody on it but a systemd that says what it is told to say, or that behaves
//! badly. It listens on a socket of its own; `DBUS_SYSTEM_BUS_ADDRESS` leads there.

use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use futures::StreamExt;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use zbus::message::Type;
use zbus::{Guid, Message, MessageStream, Variant, connection};

/// How the bus treats whoever connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// systemd says that the system is so.
    State(&'static str),
    /// systemd answers with a number.
    Number,
    /// There is no systemd on the bus.
    NoSystemd,
    /// The bus does not let the question through.
    Denies,
    /// The bus accepts connections and never says a word.
    Silent,
    /// systemd takes the question and never answers.
    NoAnswer,
    /// Something listens that speaks another protocol.
    Babbles,
    /// The bus closes every connection, as it does while it is being stopped.
    HangsUp,
}

/// A running bus. It stops when it is dropped.
pub(crate) struct Bus {
    directory: TempDir,
    manner: Arc<Mutex<Manner>>,
    callers: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Bus {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the bus broke");
        }
    }
}

impl Bus {
    pub(crate) fn start(manner: Manner) -> Bus {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("bus")).expect("a free path");
        listener.set_nonblocking(true).expect("a socket option");
        let manner = Arc::new(Mutex::new(manner));
        let callers = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, Arc::clone(&manner), Arc::clone(&callers));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = serving => {}
                }
            });
        });
        Bus { directory, manner, callers, stop: Some(stop), thread: Some(thread) }
    }

    /// As `DBUS_SYSTEM_BUS_ADDRESS` wants it.
    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.directory.path().join("bus").display())
    }

    pub(crate) fn becomes(&self, manner: Manner) {
        *self.manner.lock().expect("no panic while it was held") = manner;
    }

    /// How many connections have been made.
    pub(crate) fn callers(&self) -> usize {
        self.callers.load(Ordering::SeqCst)
    }
}

async fn serve(listener: UnixListener, manner: Arc<Mutex<Manner>>, callers: Arc<AtomicUsize>) {
    let listener = tokio::net::UnixListener::from_std(listener).expect("a listener");
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        callers.fetch_add(1, Ordering::SeqCst);
        let manner = *manner.lock().expect("no panic while it was held");
        tokio::spawn(async move {
            match manner {
                Manner::HangsUp => {}
                Manner::Silent => std::future::pending().await,
                Manner::Babbles => {
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n\r\n").await;
                    std::future::pending().await
                }
                _ => {
                    let stream = stream.into_std().expect("a socket");
                    // A caller may give up at any time.
                    let _: zbus::Result<()> = converse(stream, manner).await;
                }
            }
        });
    }
}

/// Answers every call on one connection, as the bus and as systemd.
async fn converse(stream: std::os::unix::net::UnixStream, manner: Manner) -> zbus::Result<()> {
    let connection = connection::Builder::unix_stream(stream).server(Guid::generate()).p2p().build().await?;
    let mut calls = MessageStream::from(&connection);
    while let Some(call) = calls.next().await {
        let call = call?;
        if call.message_type() != Type::MethodCall {
            continue;
        }
        let header = call.header();
        if header.member().is_some_and(|member| member == "Hello") {
            connection.reply(&header, &":1.7").await?;
            continue;
        }
        let error = |name: &str| format!("org.freedesktop.DBus.Error.{name}");
        match manner {
            Manner::State(state) => {
                assert_question(&call);
                connection.reply(&header, &Variant::from(state)).await?;
            }
            Manner::Number => connection.reply(&header, &Variant::from(7_u32)).await?,
            Manner::NoSystemd => {
                let text = "The name org.freedesktop.systemd1 was not provided by any .service files";
                connection.reply_error(&header, error("ServiceUnknown"), &text).await?;
            }
            Manner::Denies => {
                let text = "Sender is not authorized to send message";
                connection.reply_error(&header, error("AccessDenied"), &text).await?;
            }
            Manner::NoAnswer | Manner::Silent | Manner::Babbles | Manner::HangsUp => {}
        }
    }
    Ok(())
}

/// Nothing else is asked of systemd.
fn assert_question(call: &Message) {
    let header = call.header();
    let text = |part: Option<String>| part.unwrap_or_default();
    assert_eq!(text(header.destination().map(ToString::to_string)), "org.freedesktop.systemd1");
    assert_eq!(text(header.path().map(ToString::to_string)), "/org/freedesktop/systemd1");
    assert_eq!(text(header.interface().map(ToString::to_string)), "org.freedesktop.DBus.Properties");
    assert_eq!(text(header.member().map(ToString::to_string)), "Get");
    let body = call.body();
    let arguments: (&str, &str) = body.deserialize().expect("two texts");
    assert_eq!(arguments, ("org.freedesktop.systemd1.Manager", "SystemState"));
}
