//! What is true and what has happened, as one text in Prometheus's format 0.0.4.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, Opts, TextEncoder};

use crate::control::protocol::{
    AddressStatus, DrainState, HealthCheckState, KubernetesStatus, NodeCondition, ProbeOutcome, RecordStatus, Status,
    SurvivorsState, SurvivorsStatus,
};
use crate::decide::reason::Reason;
use crate::metrics::counts::Tally;
use crate::metrics::definitions::{self, ALL, Definition, Kind};
use crate::metrics::{Counts, Netlink};

/// What only Route 53 can tell: absent in a dry run, which does not ask it.
const OF_ROUTE53: [Definition; 14] = [
    definitions::RECORD_ACTUAL,
    definitions::RECORD_OTHERS,
    definitions::RECORD_IN_SYNC,
    definitions::RECORD_LAST_ERROR,
    definitions::RECORD_LAST_CHANGE,
    definitions::RECORD_HEALTH_CHECK,
    definitions::DRIFT,
    definitions::SURVIVORS_DEAD,
    definitions::SURVIVORS_REMOVED,
    definitions::CHANGES,
    definitions::CHANGE_IN_SYNC,
    definitions::REQUESTS,
    definitions::REQUEST_SECONDS,
    definitions::LAST_SUCCESS,
];

/// The text.
///
/// # Errors
/// When the definitions are not what Prometheus allows, which the tests rule out.
pub(super) fn text(status: &Status, counts: &Counts, netlink: &Netlink) -> Result<String, prometheus::Error> {
    let mut page = Page::default();
    let tally = counts.tally();
    page.daemon(status)?;
    page.kubernetes(&status.kubernetes)?;
    page.addresses(status)?;
    page.netlink(netlink)?;
    for record in distinct(status) {
        page.record(record, status.dry_run, &tally)?;
    }
    for probe in &status.probes {
        let passing = match probe.outcome {
            ProbeOutcome::Passing => true,
            ProbeOutcome::Failing => false,
            ProbeOutcome::Unknown => continue,
        };
        page.set(definitions::PROBE_PASSING, &[&probe.check], truth(passing))?;
    }
    if let Some(survivors) = &status.survivors {
        page.survivors(survivors)?;
    }
    page.tally(&tally)?;
    page.text(counts.histograms(), if status.dry_run { &OF_ROUTE53 } else { &[] })
}

/// Those that are told apart by their zone's id, name and type. Two records of one name in two zones are
/// not, until the zones are known; either could be taken for the other.
fn distinct(status: &Status) -> impl Iterator<Item = &RecordStatus> {
    let dry_run = status.dry_run;
    let mut seen: BTreeMap<_, usize> = BTreeMap::new();
    for record in &status.records {
        *seen.entry(labels(record, dry_run)).or_default() += 1;
    }
    status.records.iter().filter(move |record| seen.get(&labels(record, dry_run)) == Some(&1))
}

/// An id that was configured is known from the start, so that the series stay the same ones. A zone that was
/// configured otherwise is described in several words, and nobody in a dry run has seen its id.
fn labels(record: &RecordStatus, dry_run: bool) -> [&str; 3] {
    let configured = Some(record.zone.as_str()).filter(|zone| !zone.contains(' '));
    let found = record.zone_id.as_deref().filter(|_| !dry_run);
    [found.or(configured).unwrap_or_default(), &record.name, &record.rtype]
}

/// Every family that has something to say.
#[derive(Default)]
struct Page {
    gauges: BTreeMap<&'static str, GaugeVec>,
    counters: BTreeMap<&'static str, CounterVec>,
}

impl Page {
    fn set(&mut self, metric: Definition, labels: &[&str], value: f64) -> Result<(), prometheus::Error> {
        let opts = Opts::new(metric.name, metric.help);
        match metric.kind {
            Kind::Gauge => {
                let family = match self.gauges.entry(metric.name) {
                    Entry::Occupied(family) => family.into_mut(),
                    Entry::Vacant(place) => place.insert(GaugeVec::new(opts, metric.labels)?),
                };
                family.get_metric_with_label_values(labels)?.set(value);
            }
            Kind::Counter => {
                let family = match self.counters.entry(metric.name) {
                    Entry::Occupied(family) => family.into_mut(),
                    Entry::Vacant(place) => place.insert(CounterVec::new(opts, metric.labels)?),
                };
                family.get_metric_with_label_values(labels)?.inc_by(value);
            }
            // Observed as it goes, and never set.
            Kind::Histogram => {}
        }
        Ok(())
    }

    /// Nothing where there is nothing to say.
    fn set_known(&mut self, metric: Definition, labels: &[&str], value: Option<f64>) -> Result<(), prometheus::Error> {
        value.map_or(Ok(()), |value| self.set(metric, labels, value))
    }

    fn text(self, histograms: Vec<MetricFamily>, absent: &[Definition]) -> Result<String, prometheus::Error> {
        let gauges = self.gauges.values().flat_map(Collector::collect);
        let counters = self.counters.values().flat_map(Collector::collect);
        let mut families: Vec<_> = gauges.chain(counters).chain(histograms).collect();
        families.retain(|family| {
            let is_absent = absent.iter().any(|metric| metric.name == family.name());
            !is_absent && !family.get_metric().is_empty()
        });
        families.sort_by_key(|family| ALL.iter().position(|metric| metric.name == family.name()));
        for family in &mut families {
            // As they come out of a hash map.
            let key = |metric: &prometheus::proto::Metric| {
                let labels = metric.get_label().iter();
                labels.map(|label| (label.name().to_owned(), label.value().to_owned())).collect::<Vec<_>>()
            };
            family.mut_metric().sort_by_cached_key(key);
        }
        TextEncoder::new().encode_to_string(&families)
    }

    fn daemon(&mut self, status: &Status) -> Result<(), prometheus::Error> {
        let drained = match status.drain.state {
            DrainState::None => Some(false),
            DrainState::Drained => Some(true),
            DrainState::Unknown => None,
        };
        self.set(definitions::BUILD_INFO, &[&status.version], 1.0)?;
        self.set(definitions::NODE_INFO, &[&status.cluster, &status.node], 1.0)?;
        self.set(definitions::START, &[], seconds(status.since))?;
        self.set(definitions::HEALTHY, &[], truth(status.healthy))?;
        self.set(definitions::DRY_RUN, &[], truth(status.dry_run))?;
        self.set_known(definitions::DRAINED, &[], drained.map(truth))?;
        self.set(definitions::RELOAD_REFUSED, &[], truth(status.reload_refused.is_some()))
    }

    fn kubernetes(&mut self, kubernetes: &KubernetesStatus) -> Result<(), prometheus::Error> {
        let enabled = kubernetes.enabled;
        let ready = match kubernetes.state {
            NodeCondition::Ready => Some(true),
            NodeCondition::NotReady | NodeCondition::Absent => Some(false),
            NodeCondition::Unknown => None,
        };
        let ready = ready.filter(|_| enabled).map(truth);
        self.set(definitions::KUBE_ENABLED, &[], truth(enabled))?;
        self.set_known(definitions::KUBE_CONNECTED, &[], enabled.then_some(truth(kubernetes.connected)))?;
        self.set_known(definitions::KUBE_LAST_CONTACT, &[], kubernetes.last_contact.map(seconds))?;
        self.set_known(definitions::NODE_READY, &[], ready)?;
        self.set_known(definitions::NODE_UNSCHEDULABLE, &[], kubernetes.unschedulable.map(truth))
    }

    fn addresses(&mut self, status: &Status) -> Result<(), prometheus::Error> {
        let found = status.records.iter().filter(|_| !status.dry_run).flat_map(|record| &record.actual);
        let is_published = |address: &IpAddr| found.clone().any(|all| all.contains(address));
        let mut counts: BTreeMap<[&str; 4], usize> = BTreeMap::new();
        for AddressStatus { address, class, publishable, reason, .. } in &status.addresses {
            let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
            let state = match publishable {
                false => "filtered",
                true if is_published(address) => "published",
                true => "eligible",
            };
            *counts.entry([class, family, state, reason]).or_default() += 1;
        }
        counts.iter().try_for_each(|(labels, count)| self.set(definitions::ADDRESSES, labels, number(*count)))
    }

    fn netlink(&mut self, netlink: &Netlink) -> Result<(), prometheus::Error> {
        for (kind, count) in netlink.events {
            self.set(definitions::NETLINK_EVENTS, &[kind], whole(count))?;
        }
        self.set(definitions::NETLINK_OVERRUNS, &[], whole(netlink.overruns))
    }

    fn record(&mut self, record: &RecordStatus, dry_run: bool, tally: &Tally) -> Result<(), prometheus::Error> {
        let [zone, name, rtype] = labels(record, dry_run);
        let of_record = [zone, name, rtype];
        // The list is empty then because nothing is known, and not because nothing is wanted.
        let is_known = record.reason != Reason::AddressesUnknown.as_str();
        let desired = is_known.then(|| number(record.desired.len()));
        let actual = record.actual.as_ref().map(|addresses| number(addresses.len()));
        let intent = record.intent.to_string();
        self.set(definitions::RECORD_INTENT, &[zone, name, rtype, &intent, &record.reason], 1.0)?;
        self.set(definitions::RECORD_SINCE, &of_record, seconds(record.since))?;
        self.set_known(definitions::RECORD_DESIRED, &of_record, desired)?;
        self.set_known(definitions::RECORD_ACTUAL, &of_record, actual)?;
        self.set_known(definitions::RECORD_OTHERS, &of_record, record.others.map(number))?;
        self.set(definitions::RECORD_IN_SYNC, &of_record, truth(record.in_sync))?;
        self.set(definitions::RECORD_HEALTHY, &of_record, truth(record.healthy))?;
        if let Some(error) = &record.last_error {
            self.set(definitions::RECORD_LAST_ERROR, &[zone, name, rtype, &error.kind], 1.0)?;
        }
        let changed = record.last_change.as_ref().map(|change| seconds(change.at));
        self.set_known(definitions::RECORD_LAST_CHANGE, &of_record, changed)?;
        if let Some(check) = &record.health_check {
            let state = match check.state {
                HealthCheckState::Attached => "attached",
                HealthCheckState::Waiting => "waiting",
                HealthCheckState::Failing => "failing",
                HealthCheckState::Impossible => "impossible",
            };
            self.set(definitions::RECORD_HEALTH_CHECK, &[zone, name, rtype, state], 1.0)?;
        }
        let drift = tally.drift_of(record);
        self.set(definitions::DRIFT, &of_record, whole(drift))
    }

    fn survivors(&mut self, survivors: &SurvivorsStatus) -> Result<(), prometheus::Error> {
        let state = match survivors.state {
            SurvivorsState::Watching => "watching",
            SurvivorsState::Frozen => "frozen",
            SurvivorsState::Unknown => "unknown",
            SurvivorsState::NotFit => "not_fit",
        };
        let is_known = survivors.state != SurvivorsState::Unknown;
        let known = |count: usize| is_known.then(|| number(count));
        self.set(definitions::SURVIVORS, &[state], 1.0)?;
        self.set_known(definitions::SURVIVORS_NODES, &[], known(survivors.nodes))?;
        self.set_known(definitions::SURVIVORS_NOT_READY, &[], known(survivors.not_ready))?;
        self.set_known(definitions::SURVIVORS_DEAD, &[], known(survivors.dead.len()))
    }

    fn tally(&mut self, tally: &Tally) -> Result<(), prometheus::Error> {
        self.set(definitions::SURVIVORS_REMOVED, &[], whole(tally.removed))?;
        for (action, count) in &tally.changes {
            self.set(definitions::CHANGES, &[action], whole(*count))?;
        }
        for ((operation, result), count) in &tally.requests {
            self.set(definitions::REQUESTS, &[operation, result], whole(*count))?;
        }
        self.set_known(definitions::LAST_SUCCESS, &[], tally.last_success.map(seconds))
    }
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn number(count: usize) -> f64 {
    whole(count as u64)
}

/// Exact up to 2^53, which nothing here comes to.
fn whole(count: u64) -> f64 {
    count as f64
}

/// Since 1970, to the millisecond.
fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}
