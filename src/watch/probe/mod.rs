//! What the node serves: does it answer?
//!
//! Each probe is asked at once and then every `interval`, counted from the start of one attempt to
//! the start of the next, never two at a time. An attempt that is late makes the following ones
//! late too, and none is made up for. The timers stand still while the machine is suspended, so
//! that a night in suspend costs at most the one attempt that it interrupts.
//!
//! Nothing is said before the first success or the first `failures` failures in a row; after that
//! an event comes only when there is something else to say (`streak`).

mod attempt;
mod exchange;
mod failure;
mod streak;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::{AbortHandle, abortable};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use self::attempt::Attempts;
use self::streak::Streak;
use crate::decide::observed::Observed;
use crate::decide::probe::{Probe, ProbeOutcome};

/// What a probe has to say; `Unknown` when it is no longer made.
pub type ProbeEvent = (Probe, Observed<ProbeOutcome>);

/// No interval is shorter, whatever is asked for.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Makes the probes that are `wanted`, which may change at any time: what is new is asked at once,
/// what stays goes on undisturbed, what is no longer wanted ends with an `Unknown`. With none
/// wanted it sleeps. Returns when nobody is left to want any, or to listen.
pub async fn watch(mut wanted: watch::Receiver<BTreeSet<Probe>>, events: mpsc::UnboundedSender<ProbeEvent>) {
    let mut running: BTreeMap<Probe, AbortHandle> = BTreeMap::new();
    // All in one task: what has been aborted here says nothing more, not even a last word.
    let mut probes = FuturesUnordered::new();
    loop {
        let now_wanted = wanted.borrow_and_update().clone();
        for (probe, handle) in running.extract_if(.., |probe, _| !now_wanted.contains(probe)) {
            handle.abort();
            // A closed channel ends the watch below.
            let _ = events.send((probe, Observed::Unknown));
        }
        for probe in now_wanted {
            running.entry(probe).or_insert_with_key(|probe| {
                let (future, handle) = abortable(make(probe.clone(), events.clone()));
                probes.push(future);
                handle
            });
        }
        loop {
            tokio::select! {
                Some(_) = probes.next() => {}
                changed = wanted.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                () = events.closed() => return,
            }
        }
    }
}

/// Makes one probe for ever.
async fn make(probe: Probe, events: mpsc::UnboundedSender<ProbeEvent>) {
    let mut ticks = interval(probe.interval.max(SHORTEST_INTERVAL));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let attempts = Attempts::new(&probe);
    let mut streak = Streak::new(probe.failures);
    loop {
        ticks.tick().await;
        let result = match &attempts {
            Ok(attempts) => attempts.make().await,
            Err(failure) => Err(failure.clone()),
        };
        let Some(result) = streak.add(result) else { continue };
        let outcome = match result {
            Ok(()) => ProbeOutcome::Passing,
            Err(failure) => ProbeOutcome::Failing(format!("{} {failure}", probe.check.address())),
        };
        // A closed channel ends the watch.
        let _ = events.send((probe.clone(), Observed::Known(outcome)));
    }
}
