//! Route 53 in trouble: whatever it does, the daemon stays, and afterwards the pool is right.

use std::time::Duration;

use route53_sim::{Count, Fault, Operation, Target};

use crate::node::{Expected, Host, words};
use crate::support::netns::in_lab;

const ADDRESSES: [&str; 2] = ["185.12.64.1", "185.12.64.2"];

/// Moves the host to its other address while `fault` is in force, waits until the fault has been
/// met, ends it, and waits for the pool to be right.
async fn moves_under(host: &Host, turn: usize, target: Target, fault: Fault) {
    let what = format!("{fault:?} of {target:?}");
    // Where nothing was changed, what is known of the pool still holds and is not read again.
    let reads_again = !matches!(
        fault,
        Fault::Throttling
            | Fault::PriorRequestNotComplete
            | Fault::AccessDenied
            | Fault::ExpiredToken
            | Fault::Delay(_)
    );
    host.sim.inject(target, fault, Count::Always);
    let (from, to) = (ADDRESSES[turn % 2], ADDRESSES[(turn + 1) % 2]);
    host.lab.batch([
        format!("addr add {to}/24 dev eth0"),
        format!("addr del {from}/24 dev eth0"),
        format!("addr replace {to}/24 dev eth0"),
    ]);
    host.until(&format!("{what}: a request meets the fault"), async |host| {
        host.sim.requests().iter().any(|request| request.operation == Operation::ChangeResourceRecordSets)
    })
    .await;
    host.sim.clear_faults();
    let requests = host.comes_to(&what, Expected { v4: Some(to), v6: None }).await;
    assert!(reads_again || !words(&requests).contains(&"list"), "{what}: {:?}", words(&requests));
    let served = requests.iter().filter(|request| !request.changes.is_empty() && request.status == Some(200)).count();
    assert!(served <= 2, "{what}: a change was made more than once");
}

#[test]
fn whatever_route_53_does_the_end_is_right() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {}/24 dev eth0", ADDRESSES[0]));
        host.start();
        host.comes_to("first start", Expected { v4: Some(ADDRESSES[0]), v6: None }).await;
        let faults = [
            Fault::Throttling,
            Fault::PriorRequestNotComplete,
            Fault::AccessDenied,
            Fault::ExpiredToken,
            Fault::Status(500),
            Fault::Status(503),
            Fault::Reset,
            Fault::Hang,
            Fault::HangAfterCommit,
            Fault::DropAfterCommit,
            Fault::Truncate,
            Fault::Delay(Duration::from_millis(500)),
        ];
        let mut turn = 0;
        for fault in faults {
            moves_under(&host, turn, Target::from(Operation::ChangeResourceRecordSets), fault).await;
            turn += 1;
        }
        // Nothing at all is to be had from Route 53.
        for fault in [Fault::Status(503), Fault::Reset, Fault::Hang] {
            moves_under(&host, turn, Target::any(), fault).await;
            turn += 1;
        }
    });
}

#[test]
fn a_throttled_start_finds_its_way() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {}/24 dev eth0", ADDRESSES[0]));
        host.sim.inject(Target::any(), Fault::Throttling, Count::Next(7));
        host.start();
        let requests = host.comes_to("throttled start", Expected { v4: Some(ADDRESSES[0]), v6: None }).await;
        let throttled = requests.iter().filter(|request| request.code.as_deref() == Some("Throttling")).count();
        assert_eq!(throttled, 7);
        // Seven for nothing, and not one more than a start takes.
        assert_eq!(words(&requests).len(), 7 + 4);
    });
}

#[test]
fn an_address_that_flaps_a_thousand_times_costs_a_bounded_number_of_calls() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {}/24 dev eth0", ADDRESSES[0]));
        host.start();
        host.comes_to("first start", Expected { v4: Some(ADDRESSES[0]), v6: None }).await;
        let began = std::time::Instant::now();
        for _ in 0..10 {
            let flap = ["add", "del"].map(|verb| format!("addr {verb} {}/32 dev eth0", ADDRESSES[1]));
            host.lab.batch(std::iter::repeat_n(flap, 100).flatten());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let took = began.elapsed();
        let requests = host.comes_to("a thousand flaps", Expected { v4: Some(ADDRESSES[0]), v6: None }).await;
        // At most one batch per name and settle_max (2 s), and one at the end.
        let bound = 2 * (took.as_secs() / 2 + 2);
        assert!(requests.len() as u64 <= bound, "{} requests in {took:?}", requests.len());
    });
}
