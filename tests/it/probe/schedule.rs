//! When is asked, and when something is said. Times are only ever compared with what they cannot
//! be less than, so that a slow machine changes nothing.

use std::sync::Mutex;
use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::*;
use crate::support::port::Port;

/// A server whose status can be changed at any time.
async fn with_status(status: &Arc<AtomicUsize>) -> Server {
    let status = Arc::clone(status);
    Server::start(move |mut stream| {
        let status = Arc::clone(&status);
        async move {
            head(&mut stream).await;
            let answer = format!("HTTP/1.1 {} \r\ncontent-length: 0\r\n\r\n", status.load(Ordering::Relaxed));
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await
}

async fn further_attempts(server: &Server, attempts: usize) {
    let before = server.connections();
    while server.connections() < before + attempts {
        sleep(OFTEN).await;
    }
}

#[tokio::test]
async fn what_dies_is_told_once_and_what_comes_back_too() {
    let port = Port::new();
    let address = port.address();
    let server = Server::start_at(address, |_| async {}).await;
    let mut probing = Probing::start([often(ProbeCheck::Tcp(address), 2)]);
    probing.passes().await;
    further_attempts(&server, 5).await;
    probing.nothing_more();
    server.stop().await;
    assert_eq!(probing.fails().await, format!("{address} refused the connection: nothing listens there"));
    sleep(5 * OFTEN).await;
    probing.nothing_more();
    let _server = Server::start_at(address, |_| async {}).await;
    probing.passes().await;
}

#[tokio::test]
async fn it_takes_so_many_failures_and_one_success() {
    let status = Arc::new(AtomicUsize::new(503));
    let server = with_status(&status).await;
    let mut probing = Probing::start([often(ProbeCheck::Http(http(server.address)), 4)]);
    assert!(probing.fails().await.contains("status 503"));
    assert!(server.connections() >= 4, "{}", server.connections());
    // Another failure replaces it, once it is steady.
    let before = server.connections();
    status.store(500, Ordering::Relaxed);
    assert!(probing.fails().await.contains("status 500"));
    assert!(server.connections() >= before + 4);
    status.store(200, Ordering::Relaxed);
    probing.passes().await;
}

#[tokio::test]
async fn attempts_start_an_interval_apart_and_never_two_at_once() {
    const INTERVAL: Duration = Duration::from_millis(40);
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let times = Arc::new(Mutex::new(Vec::new()));
    let server = {
        let (open, most, times) = (Arc::clone(&open), Arc::clone(&most), Arc::clone(&times));
        Server::start(move |mut stream| {
            let (open, most, times) = (Arc::clone(&open), Arc::clone(&most), Arc::clone(&times));
            async move {
                let came = Instant::now();
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                head(&mut stream).await;
                // The second takes several intervals.
                let second = times.lock().expect("a lock").len() == 1;
                sleep(if second { 5 * INTERVAL } else { Duration::ZERO }).await;
                open.fetch_sub(1, Ordering::SeqCst);
                times.lock().expect("a lock").push((came, Instant::now()));
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        })
        .await
    };
    let start = Instant::now();
    let check = ProbeCheck::Http(http(server.address));
    let _probing = Probing::start([Probe { check, interval: INTERVAL, timeout: LONG, failures: 1 }]);
    while server.connections() < 6 {
        sleep(OFTEN).await;
    }
    let times = times.lock().expect("a lock").clone();
    assert_eq!(most.load(Ordering::SeqCst), 1);
    for (number, (came, _)) in (0..).zip(&times) {
        assert!(*came - start >= number * INTERVAL, "attempt {number} came after {:?}", *came - start);
    }
    // What the slow one has missed is not made up for.
    assert!(times[3].0 - times[1].1 >= INTERVAL, "{times:?}");
}

#[tokio::test]
async fn probes_come_and_go_while_others_go_on() {
    let status = Arc::new(AtomicUsize::new(200));
    let (first, second) = (with_status(&status).await, with_status(&status).await);
    let probe = |server: &Server| often(ProbeCheck::Http(http(server.address)), 2);
    let once = |server: &Server| Probe { interval: ONCE, ..probe(server) };

    // None at all, then one that is asked at once, however long its interval.
    let mut probing = Probing::start([]);
    probing.want([once(&first)]);
    assert_eq!(probing.event().await, (once(&first), Observed::Known(ProbeOutcome::Passing)));
    assert_eq!(first.connections(), 1);

    // A second one leaves the first alone.
    probing.want([once(&first), probe(&second)]);
    assert_eq!(probing.event().await, (probe(&second), Observed::Known(ProbeOutcome::Passing)));
    further_attempts(&second, 3).await;
    assert_eq!(first.connections(), 1);
    probing.nothing_more();

    // The first one goes; the second has nothing new to say until it fails.
    probing.want([probe(&second)]);
    assert_eq!(probing.event().await, (once(&first), Observed::Unknown));
    status.store(503, Ordering::Relaxed);
    assert!(probing.fails().await.contains("status 503"));

    // Asked in another way it is another probe, which knows nothing of the old one.
    status.store(200, Ordering::Relaxed);
    let patient = Probe { failures: 9, ..probe(&second) };
    probing.want([patient.clone()]);
    let mut events = vec![probing.event().await];
    while events.last() != Some(&(patient.clone(), Observed::Known(ProbeOutcome::Passing))) {
        events.push(probing.event().await);
    }
    assert!(events.contains(&(probe(&second), Observed::Unknown)), "{events:?}");

    // Nobody is asked any more, and the prober waits for more.
    probing.want([]);
    assert_eq!(probing.event().await, (patient, Observed::Unknown));
    let connections = second.connections();
    sleep(5 * OFTEN).await;
    // One may have been on its way.
    assert!(second.connections() <= connections + 1);
    assert!(!probing.task.is_finished());
}

#[tokio::test]
async fn it_ends_with_whoever_wants_or_listens() {
    let server = Server::start(|_| async {}).await;
    for probes in [vec![], vec![often(ProbeCheck::Tcp(server.address), 1)]] {
        let (wanted, receiver) = watch::channel(probes.iter().cloned().collect());
        let (sender, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(make(receiver, sender));
        drop(events);
        timeout(LONG, task).await.expect("it ends").expect("it does not panic");
        drop(wanted);

        let (wanted, receiver) = watch::channel(probes.into_iter().collect());
        let (sender, _events) = mpsc::unbounded_channel();
        let task = tokio::spawn(make(receiver, sender));
        drop(wanted);
        timeout(LONG, task).await.expect("it ends").expect("it does not panic");
    }
}

/// A server that has stopped altogether, as a machine does that is suspended: when it goes on, the
/// attempt that was on its way is answered, and none was counted twice.
#[tokio::test]
async fn a_stall_costs_at_most_one_attempt() {
    let server = with_status(&Arc::new(AtomicUsize::new(200))).await;
    let check = ProbeCheck::Http(http(server.address));
    let timeout = Duration::from_millis(200);
    let mut probing = Probing::start([Probe { check, interval: OFTEN, timeout, failures: 3 }]);
    probing.passes().await;
    for _ in 0..3 {
        // Prober and server share this thread.
        std::thread::sleep(2 * timeout);
        further_attempts(&server, 3).await;
    }
    probing.nothing_more();
}
