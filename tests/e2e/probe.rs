//! A node whose ingress dies leaves DNS, though Kubernetes says that all is well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::node::{Expected, Host};
use crate::support::netns::in_lab;

const V4: &str = "185.12.64.1";
const THERE: Expected<'_> = Expected { v4: Some(V4), v6: None };
const GONE: Expected<'_> = Expected { v4: None, v6: None };

const PROBE: &str = r#"probe = { http = "http://127.0.0.1:8080/healthz", interval = "1s", timeout = "1s", failures = 2, recover_after = "1s" }"#;

/// What the node serves: an HTTP server with one answer to everything.
struct Ingress {
    status: Arc<AtomicU16>,
    task: JoinHandle<()>,
}

impl Ingress {
    async fn start() -> Ingress {
        let listener = TcpListener::bind(("127.0.0.1", 8080)).await.expect("the port is free");
        let status = Arc::new(AtomicU16::new(200));
        let answers = Arc::clone(&status);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = format!("HTTP/1.1 {} \r\ncontent-length: 0\r\n\r\n", answers.load(Ordering::Relaxed));
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Ingress { status, task }
    }

    /// Its port is closed when this returns.
    async fn dies(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

fn reload(host: &Host, from: &str, to: &str) {
    host.replace_in_configuration(from, to);
    host.signal(Signal::HUP);
}

/// What `status` says of the first record and of the first probe.
async fn said(host: &Host) -> (Value, Value, Option<i32>) {
    let (status, code) = host.status().await;
    (status["records"][0]["reason"].clone(), status["probes"][0].clone(), code)
}

#[test]
fn a_node_whose_ingress_dies_leaves_dns_and_comes_back() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        let with_probe = format!("[signals]\n{PROBE}\n");
        host.replace_in_configuration("[signals]\n", &with_probe);

        let ingress = Ingress::start().await;
        host.start();
        host.comes_to("started with an ingress", THERE).await;
        let (_, probe, code) = said(&host).await;
        assert_eq!((&probe["outcome"], code), (&"passing".into(), Some(0)), "{probe:#}");
        let log = host.log();
        let (_, after) = log.split_once("the probe http://127.0.0.1:8080/healthz passes").expect("it is told");
        assert!(!after.contains("the local probe has not said yet"), "{log}");

        ingress.status.store(503, Ordering::Relaxed);
        host.comes_to("the ingress answers 503", GONE).await;
        let (reason, probe, code) = said(&host).await;
        assert_eq!((reason, code), ("probe_failed".into(), Some(0)), "out of DNS is where it should be");
        assert_eq!(probe["check"], "http://127.0.0.1:8080/healthz");
        assert!(probe["error"].as_str().is_some_and(|why| why.contains("503")), "{probe:#}");
        ingress.status.store(204, Ordering::Relaxed);
        host.comes_to("the ingress answers 204", THERE).await;

        ingress.dies().await;
        host.comes_to("the ingress has died", GONE).await;
        let (_, probe, _) = said(&host).await;
        assert!(probe["error"].as_str().is_some_and(|why| why.contains("refused the connection")), "{probe:#}");
        let mut command = tokio::process::Command::from(host.program());
        command.args(["status", "--socket"]).arg(host.directory.path().join("nodedns.sock"));
        let output = command.output().await.expect("status runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("the probe http://127.0.0.1:8080/healthz has failed for"), "{text}");

        // A restart remembers nothing and still withdraws nothing twice, nor publishes what is dead.
        host.stop(Signal::TERM).await;
        host.start();
        host.until("the probe has failed again", async |host| said(host).await.0 == "probe_failed").await;
        host.comes_to("started without an ingress", GONE).await;

        let ingress = Ingress::start().await;
        host.comes_to("the ingress is back", THERE).await;

        ingress.dies().await;
        host.comes_to("the ingress has died again", GONE).await;
        reload(&host, &with_probe, "[signals]\n");
        host.comes_to("nobody asks any more", THERE).await;
        assert_eq!(said(&host).await.1, Value::Null);
        reload(&host, "[signals]\n", &with_probe);
        host.comes_to("somebody asks again", GONE).await;
        let _ingress = Ingress::start().await;
        host.comes_to("there is an answer", THERE).await;
        assert!(host.stop(Signal::TERM).await.success());
        host.comes_to("stopped", THERE).await;
    });
}

/// The first probe of a daemon's life comes with a reload.
#[test]
fn a_probe_that_comes_with_a_reload_is_made() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        host.start();
        host.comes_to("started without a probe", THERE).await;
        assert_eq!(host.status().await.0["probes"], Value::Array(Vec::new()));
        reload(&host, "[signals]\n", &format!("[signals]\n{PROBE}\n"));
        host.comes_to("nothing listens", GONE).await;
        assert!(host.stop(Signal::TERM).await.success());
    });
}
