//! The prober, which there is only once a record asks for a probe.

use std::collections::BTreeSet;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::daemon::Daemon;
use crate::decide::engine::Event;
use crate::decide::observed::Observed;
use crate::decide::probe::{Probe, ProbeOutcome};
use crate::watch::clock;
use crate::watch::probe::{ProbeEvent, watch as make};

/// What the prober is told, and what it says.
pub(super) struct Probes {
    wanted: watch::Sender<BTreeSet<Probe>>,
    sender: mpsc::UnboundedSender<ProbeEvent>,
    /// What the prober says.
    pub(super) events: mpsc::UnboundedReceiver<ProbeEvent>,
    is_running: bool,
}

impl Probes {
    pub(super) fn new() -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        Probes { wanted: watch::Sender::default(), sender, events, is_running: false }
    }

    /// Makes these probes from now on. The prober is started for the first of them and then stays,
    /// asleep while there are none.
    pub(super) fn want(&mut self, probes: BTreeSet<Probe>, watchers: &mut JoinSet<&'static str>) {
        let starts = !self.is_running && !probes.is_empty();
        self.wanted.send_replace(probes);
        if starts {
            self.is_running = true;
            let (wanted, events) = (self.wanted.subscribe(), self.sender.clone());
            watchers.spawn(async move {
                make(wanted, events).await;
                "the prober"
            });
        }
    }
}

impl Daemon {
    pub(super) fn probe(&mut self, (probe, outcome): ProbeEvent) {
        let now = clock::now();
        // Told here and not by the prober: what the engine has made of earlier events is then told before it.
        match &outcome {
            Observed::Known(ProbeOutcome::Passing) => tracing::info!("the probe {} passes", probe.check),
            Observed::Known(ProbeOutcome::Failing(error)) => {
                tracing::warn!("the probe {} fails: {error}", probe.check);
            }
            Observed::Unknown => {}
        }
        self.view.probe(&probe, &outcome, now);
        self.engine.handle(Event::Probe(probe, outcome), now);
    }
}
