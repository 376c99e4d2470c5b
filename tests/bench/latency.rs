//! From an event to the request on the wire, over a thousand events; and what the daemon weighs.
//!
//! `cargo bench` runs it; it needs root, for a network namespace. `NODEDNS_BENCH_EVENTS` sets the
//! number of events, `NODEDNS_BIN` the program, `NODEDNS_BENCH_STRICT=1` makes a missed budget an
//! error (timings mean little on a busy machine, so by default they are only shown).

#[path = "../it/support/mod.rs"]
#[expect(dead_code, reason = "shared with the test binaries, which use the rest")]
mod support;

#[path = "../e2e/node.rs"]
#[expect(dead_code, reason = "shared with the whole-system tests, which use the rest")]
mod node;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use node::{Host, ZONE, binary};
use route53_sim::{Operation, RecordSet};
use rustix::process::Signal;
use support::netns::in_lab;

const FIRST: Ipv4Addr = Ipv4Addr::new(185, 12, 64, 1);
const SECOND: Ipv4Addr = Ipv4Addr::new(185, 12, 64, 2);
const SETTLE: Duration = Duration::from_millis(20);
const STARTS: usize = 20;

static MISSED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    // Cargo passes arguments of its test harness; there is none here.
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.sim.put(
            ZONE,
            RecordSet::new("bench.example.com.", "A").set_identifier("other").weight(1).ttl(60).value("185.12.64.9"),
        );
        let path = |name: &str| host.directory.path().join(name).display().to_string();
        let configuration = format!(
            "cluster = \"home\"\nnode = \"n1\"\nsettle = \"{}ms\"\n\
             kubernetes = {{ kubeconfig = \"{}\" }}\ncontrol = {{ socket = \"{}\" }}\n\
             signals = {{ cordoned = {{ action = \"withdraw\", recover_after = \"0s\" }} }}\n\
             route53 = {{ endpoint_url = \"{}\", requests_per_second = 1000, burst = 1000 }}\n\
             [[record]]\nname = \"bench.example.com\"\nzone_id = \"{ZONE}\"\ntypes = [\"A\"]\n",
            SETTLE.as_millis(),
            path("kubeconfig"),
            path("nodedns.sock"),
            host.sim.endpoint(),
        );
        host.write("nodedns.toml", &configuration);
        for address in [FIRST, SECOND] {
            host.lab.ip(&format!("addr add {address}/32 dev eth0"));
        }
        starts(&mut host).await;
        host.start();
        published(&host, Some(FIRST)).await;
        let events = std::env::var("NODEDNS_BENCH_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1000);
        addresses(&host, events).await;
        cordons(&mut host, events).await;
        weight(&mut host).await;
    });
    let strict = std::env::var_os("NODEDNS_BENCH_STRICT").is_some_and(|value| value == "1");
    if strict && MISSED.load(Ordering::Relaxed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// From exec to the first request.
async fn starts(host: &mut Host) {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        host.sim.clear_requests();
        let began = Instant::now();
        host.start();
        host.until("the first request", async |host| !host.sim.requests().is_empty()).await;
        times.push(host.sim.requests()[0].at - began);
        host.stop(Signal::KILL).await;
    }
    show("exec to first request", times, Some(Duration::from_millis(100)));
}

/// L1: from the kernel's change to the request, beyond the settle time.
async fn addresses(host: &Host, events: usize) {
    let (connection, handle, _) = rtnetlink::new_connection().expect("netlink");
    tokio::spawn(connection);
    let link =
        handle.link().get().match_name("eth0".to_owned()).execute().try_next().await.expect("a link").expect("eth0");
    let index = link.header.index;
    let mut times = Vec::new();
    for event in 0..events {
        host.sim.clear_requests();
        let removes = event % 2 == 0;
        let began = Instant::now();
        if removes {
            let mut all = handle.address().get().set_address_filter(IpAddr::V4(FIRST)).execute();
            let message = all.try_next().await.expect("a listing").expect("the first address");
            while all.try_next().await.expect("a listing").is_some() {}
            handle.address().del(message).execute().await.expect("removed");
        } else {
            handle.address().add(index, IpAddr::V4(FIRST), 32).execute().await.expect("added");
        }
        times.push(change(host, began).await.saturating_sub(SETTLE));
        published(host, Some(if removes { SECOND } else { FIRST })).await;
    }
    show("L1 address event to request, beyond settle", times, Some(Duration::from_millis(5)));
}

/// L2: from the API server's event to the request. A daemon that has just started each time, as one
/// that sees its node come and go is ever slower to bring it back; so a tenth of the events.
async fn cordons(host: &mut Host, events: usize) {
    let mut times = Vec::new();
    for _ in 0..events.div_ceil(10) {
        host.stop(Signal::KILL).await;
        host.set_node("True", false);
        host.start();
        published(host, Some(FIRST)).await;
        // What a start brings along is over.
        tokio::time::sleep(Duration::from_millis(500)).await;
        host.sim.clear_requests();
        let began = Instant::now();
        host.set_node("True", true);
        times.push(change(host, began).await);
        published(host, None).await;
    }
    show("L2 cordon to request", times, Some(Duration::from_millis(50)));
}

/// When the change batch had arrived, counted from `began`.
async fn change(host: &Host, began: Instant) -> Duration {
    loop {
        let requests = host.sim.requests();
        if let Some(request) = requests.iter().find(|request| request.operation == Operation::ChangeResourceRecordSets)
        {
            return request.at.duration_since(began);
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no change after a minute: {}", host.log());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn published(host: &Host, address: Option<Ipv4Addr>) {
    let wanted: Vec<_> = address.into_iter().map(|address| vec![address.to_string()]).collect();
    host.until("the change is made", async |host| host.own().into_values().collect::<Vec<_>>() == wanted).await;
    // The answer must be back before the next event, or that would wait for it.
    tokio::time::sleep(Duration::from_millis(5)).await;
}

async fn weight(host: &mut Host) {
    let kibibytes = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let status = fs::read_to_string(format!("/proc/{}/status", host.pid())).unwrap_or_default();
    for key in ["VmRSS", "RssAnon", "RssFile"] {
        println!("{key:<44} {:>8.1} MB", kibibytes(&status, key).unwrap_or_default() as f64 * 1024.0 / 1e6);
    }
    let size = fs::metadata(binary()).map(|file| file.len()).unwrap_or_default();
    println!("{:<44} {:>8.1} MB  {}", "binary", size as f64 / 1e6, binary().display());
    host.stop(Signal::TERM).await;
}

fn show(what: &str, mut times: Vec<Duration>, budget: Option<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3;
    let verdict = match budget {
        Some(budget) if at(0.99) > budget.as_secs_f64() * 1e3 => {
            MISSED.store(true, Ordering::Relaxed);
            format!("over the budget of {} ms", budget.as_millis())
        }
        Some(budget) => format!("within the budget of {} ms", budget.as_millis()),
        None => String::new(),
    };
    let count = times.len();
    println!(
        "{what:<44} n={count:<5} p50 {:>7.2} ms  p99 {:>7.2} ms  max {:>7.2} ms  {verdict}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
