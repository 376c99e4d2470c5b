//! The daemon as a service: what the service manager is told, and what a dry run leaves alone.

use std::mem::take;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::UnixDatagram;

use crate::node::{Expected, Host};
use crate::support::api_server::kubeconfig;
use crate::support::netns::in_lab;
use crate::support::pki::Pki;

const V4: &str = "185.12.64.1";

/// What the service manager is told, one message per line group. It is taken in as it comes: the kernel keeps only a
/// few messages, and whoever sends another one waits.
fn listen(path: &Path) -> Arc<Mutex<Vec<String>>> {
    let socket = UnixDatagram::bind(path).expect("a socket");
    let told = Arc::new(Mutex::new(Vec::new()));
    let messages = Arc::clone(&told);
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer).await {
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            messages.lock().expect("no panic").push(message);
        }
    });
    told
}

#[test]
fn the_service_manager_is_told_everything() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        let path = host.directory.path().join("notify");
        let told = listen(&path);
        let messages = || take(&mut *told.lock().expect("no panic"));
        // sd_watchdog_enabled(3): without WATCHDOG_PID the variable is meant for whoever has it.
        host.start_with(|command| command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000"));

        host.comes_to("start", Expected { v4: Some(V4), v6: None }).await;
        let told = messages();
        let ready = told.iter().position(|message| message.contains("READY=1"));
        assert!(ready.is_some(), "{told:?}");
        let published = told.iter().any(|message| message.contains("STATUS=2 published"));
        assert!(published, "{told:?}");
        let pings = told.iter().filter(|message| message.contains("WATCHDOG=1")).count();
        assert!(pings >= 3, "{told:?}");

        // A daemon whose loop stands still pings no more.
        host.signal(Signal::STOP);
        tokio::time::sleep(Duration::from_millis(300)).await;
        messages();
        tokio::time::sleep(Duration::from_millis(1000)).await;
        assert_eq!(messages(), Vec::<String>::new());
        host.signal(Signal::CONT);

        host.replace_in_configuration("bias = 5", "bias = 500");
        host.signal(Signal::HUP);
        let mut told = Vec::new();
        host.until("the reload is refused", async |_| {
            told.extend(messages());
            told.iter().any(|message| message.contains("refused"))
        })
        .await;
        let reloading =
            told.iter().position(|message| message.contains("RELOADING=1") && message.contains("MONOTONIC_USEC="));
        let refused = told.iter().position(|message| message.contains("READY=1") && message.contains("refused"));
        assert!(reloading.is_some() && reloading < refused, "{told:?}");

        let exit = host.stop(Signal::TERM).await;
        assert!(exit.success(), "{exit}");
        let stopping = |message: &String| message.contains("STOPPING=1");
        host.until("it says that it stops", async |_| messages().iter().any(stopping)).await;
    });
}

#[test]
fn a_bad_configuration_ends_it_before_anything_is_touched() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.replace_in_configuration("bias = 5", "bias = 500");
        host.start();
        assert_eq!(host.wait().await.code(), Some(78));
        assert_eq!(host.sim.requests().len(), 0);
        assert!(host.log().contains("nodedns.toml:"), "{}", host.log());
    });
}

/// S7, from outside: the configuration names an endpoint and there are credentials, and yet.
#[test]
fn a_dry_run_asks_route_53_nothing() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        host.start_with(|command| command.arg("--dry-run"));
        host.until("it shows what it would do", async |host| host.log().contains(V4)).await;
        host.set_node("True", true);
        host.until("it shows the withdrawal", async |host| host.log().contains("cordoned")).await;
        let (status, code) = host.status().await;
        assert_eq!((&status["dry_run"], code), (&true.into(), Some(0)), "{status:#}");
        host.comes_to("dry run", Expected { v4: None, v6: None }).await;
        assert_eq!(host.sim.requests().len(), 0);
        assert!(host.stop(Signal::TERM).await.success());
    });
}

#[test]
fn the_certificate_of_another_node_is_told_once_though_it_may_read_this_one() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        let identity = Pki::new().kubelet("n2");
        host.write("client.crt", &identity.certificate_pem);
        host.write("client.key", &identity.key_pem);
        let path = |name: &str| host.directory.path().join(name);
        let text = kubeconfig(&host.api.url(), None, &path("client.crt"), &path("client.key"));
        host.write("kubeconfig", &text);
        host.start();
        host.comes_to("start", Expected { v4: Some(V4), v6: None }).await;
        // It reads the files again, and says it no second time.
        host.write("kubeconfig", &format!("{text}\n"));
        host.until("they are read", async |host| host.log().contains("credentials read again")).await;
        let log = host.log();
        assert_eq!(log.matches("belongs to node 'n2', and this one is to be 'n1'").count(), 1, "{log}");
        host.stop(Signal::TERM).await;
    });
}

#[test]
fn a_second_daemon_is_turned_away_and_the_first_stays() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        host.start();
        host.comes_to("start", Expected { v4: Some(V4), v6: None }).await;
        let mut second = tokio::process::Command::from(host.program());
        second.args(["run", "--config"]).arg(host.directory.path().join("nodedns.toml"));
        let output = second.output().await.expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("nodedns.sock"), "{output:?}");
        assert_eq!(host.status().await.1, Some(0));
        assert_eq!(host.comes_to("still", Expected { v4: Some(V4), v6: None }).await.len(), 0);
    });
}
