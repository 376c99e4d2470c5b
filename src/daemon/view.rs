//! The daemon's state as others see it.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Config;
use crate::control::protocol::{KubernetesStatus, Status, SurvivorsState, SurvivorsStatus};
use crate::control::translate::{self, WallTime};
use crate::daemon::drain::Drains;
use crate::decide::engine::Engine;
use crate::decide::observed::Observed;
use crate::decide::probe::{self, Probe, ProbeOutcome};
use crate::decide::select::{self, AddressClass};
use crate::decide::time::Moment;
use crate::watch::clock;
use crate::watch::identity::Identity;
use crate::watch::node::NodeDetail;

/// What a status needs beside the engine.
pub(super) struct View {
    identity: translate::Identity,
    node_name_source: String,
    watches_node: bool,
    classes: BTreeSet<AddressClass>,
    /// Why the last reload was refused; gone with the next good one.
    pub(super) reload_refused: Option<String>,
    /// How the Node's state is known, as last told.
    pub(super) kubernetes: NodeDetail,
    /// The same for the other nodes.
    pub(super) cluster: NodeDetail,
    /// What each probe has said last, and since when that has been its outcome.
    probes: BTreeMap<Probe, (ProbeOutcome, Moment)>,
    time: std::cell::Cell<WallTime>,
}

impl View {
    pub(super) fn new(identity: &Identity, config: &Config, dry_run: bool, now: Moment) -> Self {
        View {
            identity: translate::Identity {
                cluster: config.cluster.clone(),
                node: identity.node().to_owned(),
                dry_run,
                since: now,
            },
            node_name_source: identity.source.clone(),
            watches_node: identity.node_watch().is_some(),
            classes: classes(config),
            reload_refused: None,
            kubernetes: NodeDetail::default(),
            cluster: NodeDetail::default(),
            probes: BTreeMap::new(),
            time: std::cell::Cell::new(WallTime::new(now, clock::wall())),
        }
    }

    pub(super) fn reconfigure(&mut self, config: &Config) {
        self.classes = classes(config);
    }

    /// A probe has something else to say.
    pub(super) fn probe(&mut self, probe: &Probe, outcome: &Observed<ProbeOutcome>, now: Moment) {
        let before = self.probes.remove(probe);
        if let Observed::Known(outcome) = outcome {
            let same = |before: &ProbeOutcome| std::mem::discriminant(before) == std::mem::discriminant(outcome);
            let since = before.filter(|(before, _)| same(before)).map_or(now, |(_, since)| since);
            self.probes.insert(probe.clone(), (outcome.clone(), since));
        }
    }

    pub(super) fn status(&self, engine: &Engine, drains: &Drains) -> Status {
        let time = self.time.get().follow(clock::now(), clock::wall());
        self.time.set(time);
        let mut addresses = Vec::new();
        if let Observed::Known(snapshot) = engine.addresses() {
            for class in &self.classes {
                let assessments = select::assess(snapshot, &engine.policy().addresses, *class);
                addresses.extend(translate::addresses(&assessments, *class));
            }
        }
        let status =
            translate::status(&self.identity, &engine.report(), addresses, self.kubernetes(engine, time), time);
        let drain = drains.status(engine, time);
        let survivors = status.survivors.map(|survivors| self.explain(survivors));
        // Whoever has asked for survivors is not to rely on one that sees nothing.
        let sees = survivors.as_ref().is_none_or(|survivors| survivors.state != SurvivorsState::Unknown);
        let healthy = status.healthy && self.reload_refused.is_none() && drain.warning.is_none() && sees;
        let wanted = probe::wanted(engine.policy());
        let probes = wanted.iter().map(|probe| translate::probe(probe, self.probes.get(probe), time)).collect();
        Status { healthy, reload_refused: self.reload_refused.clone(), probes, drain, survivors, ..status }
    }

    /// Why the list of nodes is not known.
    fn explain(&self, survivors: SurvivorsStatus) -> SurvivorsStatus {
        let why = match &self.cluster.error {
            _ if !self.watches_node => Some("this host has no kubeconfig, so nothing tells which nodes are dead"),
            error => error.as_deref(),
        };
        match why.filter(|_| survivors.state == SurvivorsState::Unknown) {
            Some(why) => SurvivorsStatus { explanation: why.to_owned(), ..survivors },
            None => survivors,
        }
    }

    fn kubernetes(&self, engine: &Engine, time: WallTime) -> KubernetesStatus {
        if !self.watches_node {
            return KubernetesStatus { error: self.kubernetes.error.clone(), ..KubernetesStatus::disabled() };
        }
        let detail = &self.kubernetes;
        let status = KubernetesStatus {
            enabled: true,
            node: Some(self.identity.node.clone()),
            node_name_source: Some(self.node_name_source.clone()),
            kubeconfig: detail.kubeconfig.as_ref().map(|path| path.display().to_string()),
            server: detail.server.clone(),
            connected: detail.connected,
            error: detail.error.clone(),
            last_contact: detail.last_contact,
            ..KubernetesStatus::disabled()
        }
        .with_annotations(engine.annotations(), time);
        match engine.node() {
            Observed::Unknown => status.with_node(&Observed::Unknown),
            Observed::Known(state) => status.with_node(&Observed::Known(state.clone())),
        }
    }
}

fn classes(config: &Config) -> BTreeSet<AddressClass> {
    config.records.iter().map(|record| record.policy.class).collect()
}
