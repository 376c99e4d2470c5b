//! SIGTERM, and what systemd says of the system then: the record sets leave with a system that
//! shuts down, and stay for every other reason and whenever the reason is not known.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use route53_sim::{Action, Count, Fault, Operation, RecordSet, Target};
use rustix::process::Signal;

use crate::node::{EDGE, Expected, GEO, Host, OWN, ZONE, words};
use crate::support::bus::{Bus, Manner};
use crate::support::netns::{Lab, in_lab};

const V4: &str = "185.12.64.1";
const V6: &str = "2a01:4ff:f0::1";
const BOTH: Expected<'_> = Expected { v4: Some(V4), v6: Some(V6) };
const NONE: Expected<'_> = Expected { v4: None, v6: None };

/// A host that has published both its addresses, and the bus that its daemon can ask.
async fn published(lab: Lab, manner: Manner) -> (Host, Bus) {
    let bus = Bus::start(manner);
    let mut host = Host::new(lab).await;
    host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
    host.lab.ip(&format!("addr add {V6}/64 dev eth0 nodad"));
    host.start_with(|command| command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()));
    host.comes_to("start", BOTH).await;
    (host, bus)
}

/// Ends [`listen`].
const END: &[u8] = b"END";

/// Takes in what the service manager is told, as it comes: the kernel keeps only a few messages, and
/// whoever sends another one waits.
fn listen(path: &Path) -> JoinHandle<String> {
    let socket = UnixDatagram::bind(path).expect("a socket");
    std::thread::spawn(move || {
        let mut told = String::new();
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).expect("a message");
            if buffer[..length] == *END {
                return told;
            }
            told.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    })
}

#[test]
fn the_record_sets_leave_with_the_system_through_throttling_and_a_lost_answer() {
    in_lab(async |lab| {
        let bus = Bus::start(Manner::State("running"));
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        host.lab.ip(&format!("addr add {V6}/64 dev eth0 nodad"));
        let path = host.directory.path().join("notify");
        let told = listen(&path);
        host.start_with(|command| command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).env("NOTIFY_SOCKET", &path));
        host.comes_to("start", BOTH).await;
        assert_eq!(bus.callers(), 0, "nothing is asked before there is a reason to");

        bus.becomes(Manner::State("stopping"));
        host.sim.inject(Operation::ChangeResourceRecordSets, Fault::Throttling, Count::Next(2));
        host.sim.inject(Operation::ChangeResourceRecordSets, Fault::DropAfterCommit, Count::Next(1));
        let exit = host.stop(Signal::TERM).await;
        assert!(exit.success(), "{exit}");
        let requests = host.comes_to("the system stops", NONE).await;
        let throttled = requests.iter().filter(|request| request.code.as_deref() == Some("Throttling")).count();
        assert_eq!((throttled, bus.callers()), (2, 1));
        assert!(host.log().contains("could not confirm the change"), "no answer was lost");
        let outcome = "stopped with the system; out of DNS: edge.example.com A, edge.example.com AAAA, geo.example.com A, geo.example.com AAAA\n";
        assert!(host.log().ends_with(outcome), "{}", host.log());

        UnixDatagram::unbound().and_then(|socket| socket.send_to(END, &path)).expect("the listener listens");
        let told = told.join().expect("the listener ends");
        let order =
            ["READY=1", "STOPPING=1", "EXTEND_TIMEOUT_USEC=", "STATUS=stopped with the system; out of DNS: edge"];
        let places: Vec<_> = order.iter().map(|text| told.find(text)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{told}");
    });
}

#[test]
fn the_last_one_stays_and_whoever_is_no_longer_the_last_one_leaves() {
    in_lab(async |lab| {
        let bus = Bus::start(Manner::State("stopping"));
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        // Nobody else is at EDGE when the daemon looks, so leaving is out of the question then.
        for id in ["nodedns/v1/home/n2", "by hand"] {
            assert!(host.sim.remove(ZONE, EDGE, "A", Some(id)));
        }
        host.start_with(|command| command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()));
        host.until("published", async |host| host.own().len() == 2).await;
        host.set_node("True", true);
        host.until("the last one stays", async |host| {
            host.own().len() == 1 && host.log().contains("hold: leaving would")
        })
        .await;
        host.set_node("True", false);
        host.until("back", async |host| host.own().len() == 2).await;

        // Unseen by the daemon, one joins here and the only one leaves there.
        let sibling = RecordSet::new(EDGE, "A").set_identifier("nodedns/v1/home/n3").ttl(60).value("185.12.64.105");
        host.sim.put(ZONE, sibling.weight(10));
        assert!(host.sim.remove(ZONE, GEO, "A", Some("nodedns/v1/home-2/n1")));
        assert!(host.stop(Signal::TERM).await.success());
        let own: Vec<_> = host.own().into_keys().collect();
        assert_eq!(own, [(GEO.to_owned(), "A".to_owned())]);
        assert!(host.sim.record_set(ZONE, EDGE, "A", Some("nodedns/v1/home/n3")).is_some(), "the witness");
        let log = host.log();
        let outcome = log.lines().last().unwrap_or_default();
        assert!(
            outcome.contains("out of DNS: edge.example.com A, ")
                && outcome
                    .contains("not withdrawn: geo.example.com A (leaving would bring the name below keep_min = 1"),
            "{outcome}"
        );
    });
}

#[test]
fn a_record_whose_configuration_ignores_it_stays() {
    in_lab(async |lab| {
        let bus = Bus::start(Manner::State("stopping"));
        let mut host = Host::new(lab).await;
        host.replace_in_configuration("bias = 5 }", "bias = 5 }\nsignals = { stopping = \"ignore\" }");
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        host.start_with(|command| command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()));
        host.comes_to("start", Expected { v4: Some(V4), v6: None }).await;
        assert!(host.stop(Signal::TERM).await.success());
        let own: Vec<_> = host.own().into_keys().collect();
        assert_eq!(own, [(GEO.to_owned(), "A".to_owned())]);
        let log = host.log();
        let stays = "geo.example.com A (signals.stopping = \"ignore\")";
        assert!(log.lines().last().is_some_and(|line| line.contains(stays)), "{log}");
    });
}

#[test]
fn nothing_brings_them_back_once_the_system_stops() {
    in_lab(async |lab| {
        let (mut host, bus) = published(lab, Manner::State("stopping")).await;
        host.sim.inject(Operation::ChangeResourceRecordSets, Fault::Throttling, Count::Always);
        host.signal(Signal::TERM);
        host.until("it is on its way out", async |host| host.log().contains("record sets are withdrawn")).await;
        // systemd changes its mind, the node is cordoned and no longer, the address moves, and someone reloads.
        bus.becomes(Manner::State("running"));
        host.set_node("True", true);
        host.set_node("True", false);
        host.lab.ip("addr add 185.12.64.7/24 dev eth0");
        host.lab.ip(&format!("addr del {V4}/24 dev eth0"));
        host.signal(Signal::HUP);
        host.until("the reload is refused", async |host| host.log().contains("not reloaded")).await;
        host.sim.clear_faults();
        assert!(host.wait().await.success());
        let requests = host.comes_to("the system stops", NONE).await;
        let others_than_deletions = requests
            .iter()
            .flat_map(|request| &request.changes)
            .filter(|(action, set)| set.set_identifier.as_deref() == Some(OWN) && *action != Action::Delete);
        assert_eq!(others_than_deletions.count(), 0, "{requests:#?}");
    });
}

#[test]
fn a_second_signal_ends_it_at_once_and_leaves_the_rest() {
    in_lab(async |lab| {
        let bus = Bus::start(Manner::State("stopping"));
        let mut host = Host::new(lab).await;
        // No request gives up by itself within the time that is measured.
        host.replace_in_configuration("attempt_timeout = \"2s\"", "attempt_timeout = \"20s\"");
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        host.lab.ip(&format!("addr add {V6}/64 dev eth0 nodad"));
        host.start_with(|command| command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()));
        host.comes_to("start", BOTH).await;
        host.sim.inject(Operation::ChangeResourceRecordSets, Fault::Hang, Count::Always);
        host.signal(Signal::TERM);
        host.until("a change is on its way", async |host| {
            host.sim.requests().iter().any(|request| request.operation == Operation::ChangeResourceRecordSets)
        })
        .await;
        let asked = Instant::now();
        assert!(host.stop(Signal::INT).await.success());
        // Not even as long as writes on their way are given otherwise, which is three seconds.
        assert!(asked.elapsed() < Duration::from_millis(2900), "{:?}", asked.elapsed());
        let log = host.log();
        assert!(log.contains("asked to stop a second time") && !log.contains("within 25 s"), "{log}");
        assert!(log.lines().last().is_some_and(|line| line.contains("not withdrawn: edge.example.com A (")), "{log}");
        host.sim.clear_faults();
        host.comes_to("ended at once", BOTH).await;
    });
}

#[test]
fn its_patience_is_bounded_when_route_53_cannot_be_reached() {
    in_lab(async |lab| {
        let (mut host, _bus) = published(lab, Manner::State("stopping")).await;
        host.sim.inject(Target::any(), Fault::Status(503), Count::Always);
        assert!(host.stop(Signal::TERM).await.success());
        let log = host.log();
        assert!(log.contains("not everything could be withdrawn within 25 s"), "{log}");
        assert!(log.lines().last().is_some_and(|line| line.contains("not withdrawn: edge.example.com A (")), "{log}");
        host.sim.clear_faults();
        host.comes_to("given up", BOTH).await;
    });
}

#[test]
fn they_stay_for_a_restart_and_whenever_the_reason_is_not_known() {
    in_lab(async |lab| {
        let (mut host, bus) = published(lab, Manner::State("running")).await;
        let unknown = "for whether the system is shutting down is not known";
        for (manner, says) in [
            (Manner::State("running"), "while the system is running: record sets stay as they are"),
            (Manner::State("degraded"), "while the system is degraded: record sets stay as they are"),
            (Manner::Number, unknown),
            (Manner::NoSystemd, unknown),
            (Manner::Denies, unknown),
            (Manner::Silent, unknown),
            (Manner::NoAnswer, unknown),
            (Manner::Babbles, unknown),
            (Manner::HangsUp, unknown),
        ] {
            bus.becomes(manner);
            let (before, callers) = (host.log().len(), bus.callers());
            let exit = host.stop(Signal::TERM).await;
            assert!(exit.success() && bus.callers() == callers + 1, "{manner:?}: {exit}");
            let requests = host.comes_to(&format!("{manner:?}"), BOTH).await;
            assert_eq!(words(&requests), Vec::<&str>::new(), "{manner:?}");
            let log = host.log();
            assert!(log[before..].contains(says), "{manner:?}: {}", &log[before..]);
            host.start_with(|command| command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()));
            host.reads_both().await;
            let requests = host.comes_to("started again", BOTH).await;
            assert_eq!(words(&requests), ["list", "list"], "{manner:?}");
        }
        // No bus at all; and whoever interrupts is at a terminal.
        host.stop(Signal::KILL).await;
        host.start_with(|command| command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus"));
        host.reads_both().await;
        host.comes_to("without a bus", BOTH).await;
        assert!(host.stop(Signal::TERM).await.success());
        bus.becomes(Manner::State("stopping"));
        let callers = bus.callers();
        host.start_with(|command| command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()));
        host.reads_both().await;
        host.comes_to("once more", BOTH).await;
        assert!(host.stop(Signal::INT).await.success());
        assert_eq!(bus.callers(), callers);
        let requests = host.comes_to("interrupted", BOTH).await;
        assert_eq!(words(&requests), Vec::<&str>::new());
    });
}
