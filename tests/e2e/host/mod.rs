//! The real thing: a machine with systemd, on which nodedns is the service that the README
//! describes. The service is restarted, the machine is rebooted and switched off. Route 53 is
//! beyond the machine's only link, so what is not withdrawn before the network stops never is.

mod machine;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use route53_sim::{Count, Fault, Operation, Options, RecordSet, Sim};
use tokio::time::sleep;

use crate::node::{OWN, ZONE};
use crate::support::netns::{Lab, in_lab};
use crate::support::skip;
use machine::{Machine, image};

const ADDRESS: &str = "185.12.64.1";
const FAR: &str = "185.12.64.254";
const EDGE: &str = "edge.example.com.";
const SOLE: &str = "sole.example.com.";

/// Route 53 at the far end of the wire, with a sibling in the one pool and nobody in the other.
fn route53(lab: &Lab) -> Sim {
    lab.wire("eth0");
    lab.ip(&format!("addr add {ADDRESS}/24 dev eth0"));
    lab.far_ip(&format!("addr add {FAR}/24 dev eth0"));
    let listen: SocketAddr = format!("{FAR}:4580").parse().expect("an address");
    let sim = lab.at_the_far_end(|| {
        Sim::builder()
            .zone("example.com", ZONE)
            .options(Options { insync_after: Duration::ZERO, ..Options::default() })
            .listen(listen)
            .start()
    });
    let sibling = RecordSet::new(EDGE, "A").set_identifier("nodedns/v1/home/n2").ttl(60).value("185.12.64.2");
    sim.put(ZONE, sibling.weight(10));
    sim
}

fn configuration(sim: &Sim) -> String {
    format!(
        r#"cluster = "home"
node = "n1"

[kubernetes]
enabled = false

[log]
format = "text"

[route53]
endpoint_url = "{}"

[[record]]
name = "edge.example.com"
zone_id = "{ZONE}"
types = ["A"]

[[record]]
name = "sole.example.com"
zone_id = "{ZONE}"
types = ["A"]
"#,
        sim.endpoint()
    )
}

fn is_published(sim: &Sim, name: &str) -> bool {
    sim.record_set(ZONE, name, "A", Some(OWN)).is_some()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// What the machine leaves behind when it goes: nothing but the record set that `keep_min` keeps,
/// and that before the network and what the node serves have stopped.
fn assert_withdrawn(what: &str, machine: &Machine, sim: &Sim) {
    assert!(!is_published(sim, EDGE), "{what}: still there");
    assert!(is_published(sim, SOLE), "{what}: the pool is empty");
    for file in ["log-when-the-network-stopped", "log-when-k3s-stopped"] {
        let log = machine.read(file);
        let outcome =
            "stopped with the system; out of DNS: edge.example.com A; not withdrawn: sole.example.com A (leaving would";
        assert!(log.contains(outcome), "{what}: {file}: {log:?}");
    }
}

#[test]
fn a_restart_leaves_the_record_sets_and_a_shutdown_withdraws_them_before_the_network_stops() {
    // Making it takes the network that there is outside the lab.
    let image = match image() {
        Ok(image) => image,
        Err(why) => return skip(&why),
    };
    in_lab(async move |lab| {
        let sim = route53(&lab);
        let mut machine = match Machine::boot(&image, &configuration(&sim)).await {
            Ok(machine) => machine,
            Err(why) => return skip(&why),
        };
        let published = || is_published(&sim, EDGE) && is_published(&sim, SOLE);
        until("published after the boot", published).await;

        sim.clear_requests();
        for verb in ["restart", "stop", "start"] {
            let done = machine.run(&format!("systemctl {verb} nodedns.service"));
            assert!(done.status.success(), "{verb}: {done:?}");
        }
        until("the pools are read again", || sim.requests().len() >= 4).await;
        let reads = sim.requests().iter().all(|request| request.operation == Operation::ListResourceRecordSets);
        assert!(reads && published(), "{:?}", sim.requests());
        let log = machine.read("log");
        assert_eq!(log.matches("while the system is running: record sets stay as they are").count(), 2, "{log}");

        // Longer than TimeoutStopSec= in lab.conf, so that without an extension it would be killed.
        sim.inject(Operation::ChangeResourceRecordSets, Fault::Delay(Duration::from_secs(4)), Count::Next(1));
        assert!(machine.run("systemctl reboot").status.success());
        machine.is_off().await;
        assert_withdrawn("reboot", &machine, &sim);

        let mut machine = Machine::boot(&image, &configuration(&sim)).await.expect("it boots again");
        until("published after the reboot", published).await;
        sim.inject(Operation::ChangeResourceRecordSets, Fault::Throttling, Count::Next(3));
        assert!(machine.run("systemctl poweroff").status.success());
        machine.is_off().await;
        assert_withdrawn("poweroff", &machine, &sim);
    });
}
