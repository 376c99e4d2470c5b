//! Storms, losses, strangers and failures.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use futures::TryStreamExt;
use nodedns::watch::addresses::snapshot;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::*;
use crate::support::netns::in_lab;

fn add(n: usize) -> String {
    format!("address add 11.0.{}.{}/16 dev eth0", n / 250, n % 250 + 1)
}

#[test]
fn a_storm_is_a_few_events_and_one_reading_shows_all_of_it() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        let mut watched = Watched::start();
        watched.settle().await;
        lab.batch((0..500).map(add));
        let changes = watched.settle().await;
        assert!((1..=20).contains(&changes), "{changes} events");
        assert!(watched.counters.events() >= 500);
        assert_eq!(watched.counters.overruns(), 0);
        assert_eq!(selected(&watched.read().await, RecordType::A).len(), 500);
    });
}

#[test]
fn lost_notifications_are_noticed_and_made_up_for() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        let mut watched = Watched::start_with(Options { receive_buffer_bytes: 4096, ..Options::default() });
        let all = |s: &Snapshot| selected(s, RecordType::A).len() == 500;
        // The watcher cannot run while this thread waits for 'ip', so the buffer fills.
        watched.after(|| lab.batch((0..500).map(add)), "all addresses", all).await;
        assert!(watched.counters.overruns() >= 1, "{:?}", watched.counters);
        assert!(watched.counters.events() < 500, "{:?}", watched.counters);
        let one_more = |s: &Snapshot| selected(s, RecordType::A).len() == 501;
        watched.after(|| lab.ip(&add(500)), "one more", one_more).await;
        assert_eq!(watched.counters.reconnects(), 0);
    });
}

#[test]
fn strangers_with_the_same_sequence_numbers_cannot_shorten_a_reading() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.batch((0..1000).map(add));
        let mut watched = Watched::start();
        let link = index(&watched.read().await, "eth0").expect("a link");
        let expected: BTreeSet<IpAddr> = addresses(&watched.read().await);
        assert!(expected.len() >= 1000);

        let stop = Arc::new(AtomicBool::new(false));
        let rounds = Arc::new(AtomicU64::new(0));
        let stranger = {
            let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
            // A new thread starts in the namespace of the one that starts it.
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                while !stop.load(Ordering::Relaxed) {
                    runtime.block_on(add_and_delete(link));
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        while rounds.load(Ordering::Relaxed) == 0 {
            watched.read().await;
        }
        let first = rounds.load(Ordering::Relaxed);
        let enough = || rounds.load(Ordering::Relaxed) - first >= 10;
        let mut readings = 0;
        // Which of the two gets on is up to the machine.
        while readings < 1000 || !(enough() || stranger.is_finished()) {
            let seen = addresses(&watched.read().await);
            let missing: Vec<&IpAddr> = expected.difference(&seen).collect();
            assert!(missing.is_empty(), "reading {readings} lacks {missing:?}");
            readings += 1;
        }
        stop.store(true, Ordering::Relaxed);
        stranger.join().expect("the stranger did what it meant to");
        assert!(enough(), "there was nothing in between");
        assert_eq!(watched.counters.reconnects(), 0);
    });
}

/// Adds and deletes an IPv4 address twice, on a connection of its own: the sequence numbers are 1
/// to 4, like those of a reading.
async fn add_and_delete(link: u32) {
    let (connection, handle, _) = rtnetlink::new_connection().expect("a connection");
    let connection = tokio::spawn(connection);
    for _ in 0..2 {
        handle.address().add(link, ip("172.16.0.1"), 32).execute().await.expect("the address is added");
        let mut list = handle.address().get().set_address_filter(ip("172.16.0.1")).execute();
        let message = list.try_next().await.expect("a list").expect("the address");
        while list.try_next().await.expect("a list").is_some() {}
        handle.address().del(message).execute().await.expect("the address is deleted");
    }
    drop(handle);
    connection.abort();
}

#[test]
fn no_privileges_are_needed() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.ip("address add 11.0.0.1/24 dev eth0");
        let privileged = snapshot().await.expect("a snapshot");
        let (ready, is_ready) = std::sync::mpsc::channel();
        let unprivileged = thread::spawn(move || {
            let none = CapabilitySet::empty();
            set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
                .expect("capabilities can be given up");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let mut watched = Watched::start();
                watched.settle().await;
                ready.send(watched.read().await).expect("the test lives");
                watched.until("the second address", |s| publishes(s, "11.0.0.2")).await;
            });
        });
        let seen = is_ready.recv_timeout(PATIENCE).expect("a snapshot");
        assert_eq!(selected(&seen, RecordType::A), selected(&privileged, RecordType::A));
        lab.ip("address add 11.0.0.2/24 dev eth0");
        unprivileged.join().expect("the watcher sees it");
    });
}

#[test]
fn a_reading_takes_about_a_millisecond() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.batch((0..20).map(add));
        let mut watched = Watched::start();
        watched.settle().await;
        let mut medians = Vec::new();
        // A busy machine may take longer now and then, but not as a rule.
        while medians.last().is_none_or(|median| *median >= Duration::from_millis(20)) {
            assert!(medians.len() < 5, "medians {medians:?}");
            let mut times = Vec::new();
            for _ in 0..100 {
                let start = Instant::now();
                watched.read().await;
                times.push(start.elapsed());
            }
            times.sort_unstable();
            println!("median {:?}, 99th percentile {:?}", times[50], times[98]);
            medians.push(times[50]);
        }
    });
}

#[test]
fn the_watcher_ends_with_the_one_it_watches_for() {
    in_lab(|_lab| async move {
        let (sender, mut events) = unbounded_channel();
        let (_requests, receiver) = unbounded_channel();
        let task = tokio::spawn(watch(sender, receiver, Options::default()));
        assert_eq!(events.recv().await, Some(AddressEvent::Changed));
        drop(events);
        timeout(PATIENCE, task).await.expect("it ends").expect("and well");

        let (sender, _events) = unbounded_channel();
        let (requests, receiver) = unbounded_channel();
        let task = tokio::spawn(watch(sender, receiver, Options::default()));
        drop(requests);
        timeout(PATIENCE, task).await.expect("it ends").expect("and well");
    });
}

/// Without file descriptors no socket can be made, so that a reading fails and the connection is
/// given up. The limit is the whole process's, so this is run in a process of its own.
#[test]
fn what_cannot_be_read_is_unknown_until_the_connection_is_made_again() {
    if !crate::support::alone() {
        return;
    }
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.ip("address add 11.0.0.1/24 dev eth0");
        let mut watched = Watched::start();
        watched.settle().await;
        assert!(publishes(&watched.read().await, "11.0.0.1"));

        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).expect("a limit");
        assert_eq!(watched.ask().await, Observed::Unknown);
        assert_eq!(watched.ask().await, Observed::Unknown, "also while waiting to connect again");
        assert_eq!(watched.counters.reconnects(), 1);
        let error = snapshot().await.expect_err("no socket");
        assert!(error.to_string().contains("netlink"), "{error}");

        // Nobody is subscribed at this moment, so no notification will tell of it.
        setrlimit(Resource::Nofile, limit).expect("the limit as it was");
        lab.ip("address add 11.0.0.2/24 dev eth0");
        watched.until("what happened meanwhile", |s| publishes(s, "11.0.0.2")).await;
        assert_eq!(watched.counters.reconnects(), 1);
    });
}
