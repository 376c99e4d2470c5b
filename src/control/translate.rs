//! The core's values → what is on the wire. Pure: the time is an argument.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::control::protocol::{
    self, AddressStatus, AnnotationStatus, ChangeStatus, DeadCondition, DeadNodeStatus, DrainStatus, HealthCheckState,
    HealthCheckStatus, Intent, KubernetesStatus, LastChange, LastError, NodeCondition, ProbeStatus, RecordStatus,
    Routing, Status, SurvivorsState, SurvivorsStatus,
};
use crate::decide::address::HostAddress;
use crate::decide::engine::AnnotationsInForce;
use crate::decide::node::{NodeState, Readiness};
use crate::decide::observed::Observed;
use crate::decide::policy::RoutingRule;
use crate::decide::probe::{Probe, ProbeOutcome};
use crate::decide::provider;
use crate::decide::reason;
use crate::decide::record::RecordType;
use crate::decide::report::{self, CheckState, RecordReport, Report};
use crate::decide::routing::{self, FailoverRole, Location, Origin};
use crate::decide::select::{AddressClass, Assessment};
use crate::decide::survivors::{Outlook, SurvivorsReport};
use crate::decide::time::Moment;

/// Puts a [`Moment`] on the wall: one moment and what the wall clock showed at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallTime {
    moment: Moment,
    timestamp: Timestamp,
}

impl WallTime {
    /// The wall clock may move this much against the monotonic one before times are restated.
    /// Below it, a clock that is being slewed would make the same moment read differently each time.
    const TOLERANCE: SignedDuration = SignedDuration::from_secs(1);

    /// `timestamp` is what the wall clock shows at `moment`.
    pub fn new(moment: Moment, timestamp: Timestamp) -> Self {
        WallTime { moment, timestamp }
    }

    /// The same relation for as long as it holds, a new one when the wall clock has been set.
    #[must_use]
    pub fn follow(self, moment: Moment, timestamp: Timestamp) -> Self {
        let off = self.exact(moment).duration_since(timestamp).abs();
        if off < Self::TOLERANCE { self } else { WallTime::new(moment, timestamp) }
    }

    /// What the wall clock showed, or will show, at `moment`; in whole milliseconds.
    pub fn at(self, moment: Moment) -> Timestamp {
        let exact = self.exact(moment);
        Timestamp::from_millisecond(exact.as_millisecond()).unwrap_or(exact)
    }

    fn exact(self, moment: Moment) -> Timestamp {
        // One of the two differences is zero. Past the year 9999 the clock stands still.
        let at = self.timestamp.saturating_add(moment - self.moment).unwrap_or(Timestamp::MAX);
        at.saturating_sub(self.moment - moment).unwrap_or(Timestamp::MIN)
    }
}

/// Who the daemon is and what it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's name.
    pub cluster: String,
    /// The node's name.
    pub node: String,
    /// Whether it only shows what it would do.
    pub dry_run: bool,
    /// Since when it runs.
    pub since: Moment,
}

/// Everything that the daemon knows, for the wire.
pub fn status(
    identity: &Identity,
    report: &Report,
    addresses: Vec<AddressStatus>,
    kubernetes: KubernetesStatus,
    time: WallTime,
) -> Status {
    let records: Vec<_> = report.records.iter().map(|report| record(report, time)).collect();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: identity.node.clone(),
        cluster: identity.cluster.clone(),
        healthy: records.iter().all(|record| record.healthy),
        dry_run: identity.dry_run,
        since: time.at(identity.since),
        reload_refused: None,
        drain: DrainStatus::default(),
        records,
        addresses,
        kubernetes,
        probes: Vec::new(),
        survivors: report.survivors.as_ref().map(|report| survivors(report, time)),
    }
}

fn survivors(report: &SurvivorsReport, time: WallTime) -> SurvivorsStatus {
    let dead = report.dead.iter().map(|dead| DeadNodeStatus {
        node: dead.node.clone(),
        condition: if dead.gone { DeadCondition::Gone } else { DeadCondition::NotReady },
        since: time.at(dead.since),
        removal_at: dead.removal_at.map(|at| time.at(at)),
    });
    SurvivorsStatus {
        state: match report.outlook {
            Outlook::Watching { .. } => SurvivorsState::Watching,
            Outlook::Frozen { .. } => SurvivorsState::Frozen,
            Outlook::Unknown => SurvivorsState::Unknown,
            Outlook::NotFit => SurvivorsState::NotFit,
        },
        explanation: report.outlook.to_string(),
        nodes: report.nodes,
        not_ready: report.not_ready,
        dead: dead.collect(),
    }
}

/// Every address of the host, judged for one class, the best first.
pub fn addresses(assessments: &[Assessment], class: AddressClass) -> Vec<AddressStatus> {
    let mut chosen = BTreeSet::new();
    let judged = |assessment: &Assessment| {
        let HostAddress { address, prefix_len, .. } = assessment.address;
        let first = assessment.verdict.is_ok() && chosen.insert(RecordType::of(address));
        let (reason, explanation) = match &assessment.verdict {
            Ok(()) if first => ("first", format!("the first {} address that is fit", RecordType::of(address))),
            Ok(()) => ("fit", "fit, but not the first; published by records with addresses = \"all\"".to_owned()),
            Err(refusal) => (refusal.as_str(), refusal.to_string()),
        };
        AddressStatus {
            address,
            prefix_len,
            interface: assessment.interface.clone(),
            class: class.as_str().to_owned(),
            publishable: assessment.verdict.is_ok(),
            chosen: first,
            reason: reason.to_owned(),
            explanation,
        }
    };
    assessments.iter().map(judged).collect()
}

impl KubernetesStatus {
    /// Kubernetes is switched off.
    pub fn disabled() -> Self {
        KubernetesStatus {
            enabled: false,
            node: None,
            node_name_source: None,
            kubeconfig: None,
            server: None,
            connected: false,
            state: NodeCondition::Unknown,
            ready_reason: None,
            ready_message: None,
            unschedulable: None,
            deleting: None,
            taints: None,
            annotations: AnnotationStatus::default(),
            error: None,
            last_contact: None,
        }
    }

    /// The same, with what the API server says of the node.
    #[must_use]
    pub fn with_node(self, node: &Observed<NodeState>) -> Self {
        let node = match node {
            Observed::Unknown => return KubernetesStatus { state: NodeCondition::Unknown, ..self },
            Observed::Known(NodeState::Absent) => return KubernetesStatus { state: NodeCondition::Absent, ..self },
            Observed::Known(NodeState::Present(node)) => node,
        };
        let (state, ready_reason) = match &node.ready {
            Readiness::Ready => (NodeCondition::Ready, None),
            Readiness::NotReady(why) => (NodeCondition::NotReady, why.clone()),
        };
        KubernetesStatus {
            state,
            ready_reason,
            ready_message: node.ready_message.clone(),
            unschedulable: Some(node.unschedulable),
            deleting: Some(node.deleting),
            taints: Some(node.taints.iter().map(|(key, effect)| format!("{key}:{effect}")).collect()),
            ..self
        }
    }

    /// The same, with what the annotations say.
    #[must_use]
    pub fn with_annotations(self, in_force: AnnotationsInForce<'_>, time: WallTime) -> Self {
        let said = in_force.annotations.cloned().unwrap_or_default();
        let annotations = AnnotationStatus {
            weight: said.weight,
            coordinates: said.coordinates.map(|point| point.to_string()),
            bias: said.bias,
            mistakes: said.mistakes.iter().map(ToString::to_string).collect(),
            change_due: in_force.others_due.map(|due| time.at(due)),
        };
        KubernetesStatus { annotations, ..self }
    }
}

impl From<&routing::Routing> for Routing {
    fn from(routing: &routing::Routing) -> Self {
        match routing.clone() {
            routing::Routing::Simple => Routing::Simple,
            routing::Routing::Weighted(weight) => Routing::Weighted { weight },
            routing::Routing::GeoProximity { location, bias } => {
                let (coordinates, region, local_zone_group) = match location {
                    Location::Coordinates(point) => (Some(point.to_string()), None, None),
                    Location::AwsRegion(name) => (None, Some(name), None),
                    Location::LocalZoneGroup(name) => (None, None, Some(name)),
                };
                Routing::GeoProximity { coordinates, region, local_zone_group, bias }
            }
            routing::Routing::MultiValue => Routing::MultiValue,
            routing::Routing::Latency(region) => Routing::Latency { region },
            routing::Routing::Geolocation(origin) => {
                let (continent, country, subdivision) = match origin {
                    Origin::Continent(code) => (Some(code), None, None),
                    Origin::Country(code) => (None, Some(code), None),
                    Origin::Subdivision { country, subdivision } => (None, Some(country), Some(subdivision)),
                };
                Routing::Geolocation { continent, country, subdivision }
            }
            routing::Routing::Failover(role) => Routing::Failover {
                role: match role {
                    FailoverRole::Primary => "primary".to_owned(),
                    FailoverRole::Secondary => "secondary".to_owned(),
                },
            },
            routing::Routing::Cidr { collection_id, location_name } => Routing::Cidr { collection_id, location_name },
        }
    }
}

/// One probe: what it has said last, and since when that has been its outcome.
pub fn probe(probe: &Probe, said: Option<&(ProbeOutcome, Moment)>, time: WallTime) -> ProbeStatus {
    let (outcome, error) = match said.map(|(outcome, _)| outcome) {
        None => (protocol::ProbeOutcome::Unknown, None),
        Some(ProbeOutcome::Passing) => (protocol::ProbeOutcome::Passing, None),
        Some(ProbeOutcome::Failing(error)) => (protocol::ProbeOutcome::Failing, Some(error.clone())),
    };
    ProbeStatus { check: probe.check.to_string(), outcome, since: said.map(|(_, since)| time.at(*since)), error }
}

impl From<&RoutingRule> for Routing {
    fn from(rule: &RoutingRule) -> Self {
        match rule {
            RoutingRule::Fixed(routing) => routing.into(),
            RoutingRule::CoordinatesOfTheNode { bias } => Routing::GeoProximity {
                coordinates: Some("auto".to_owned()),
                region: None,
                local_zone_group: None,
                bias: *bias,
            },
        }
    }
}

/// What is wanted, for the wire.
pub fn intent(intent: &reason::Intent) -> Intent {
    match intent {
        reason::Intent::Publish(_) => Intent::Publish,
        reason::Intent::Withdraw(_) => Intent::Withdraw,
        reason::Intent::Hold(_) => Intent::Hold,
        reason::Intent::Preserve(_) => Intent::Preserve,
    }
}

/// Why, as a sentence; also why the record set would leave, where a guard holds it back.
pub fn explanation(intent: &reason::Intent, held_back: Option<&reason::Reason>) -> String {
    match held_back {
        Some(cause) => format!("{}; it would leave as {cause}", intent.reason()),
        None => intent.reason().to_string(),
    }
}

fn record(report: &RecordReport, time: WallTime) -> RecordStatus {
    let reason = report.intent.reason();
    RecordStatus {
        name: report.name.to_string(),
        rtype: report.rtype.to_string(),
        zone_id: report.zone_id.clone(),
        zone: report.zone.to_string(),
        set_identifier: report.set_identifier.to_string(),
        routing: Routing::from(&report.routing),
        ttl: report.ttl,
        ttl_configured: report.ttl_configured,
        intent: intent(&report.intent),
        reason: reason.as_str().to_owned(),
        explanation: explanation(&report.intent, report.held_back.as_ref()),
        held_back: report.held_back.as_ref().map(|cause| cause.as_str().to_owned()),
        since: time.at(report.since),
        desired: match report.intent {
            reason::Intent::Withdraw(_) => Vec::new(),
            reason::Intent::Publish(_) | reason::Intent::Hold(_) | reason::Intent::Preserve(_) => {
                report.desired.clone()
            }
        },
        actual: report
            .actual
            .known()
            .map(|set| set.as_ref().map(|set| set.addresses().into_iter().collect()).unwrap_or_default()),
        others: report.others,
        follows_drain: report.follows_drain,
        health_check_id: report.actual.known().and_then(|set| set.as_ref()?.health_check_id.clone()),
        health_check: report.health_check.as_ref().map(|check| HealthCheckStatus {
            state: match check.state {
                CheckState::Attached => HealthCheckState::Attached,
                CheckState::Waiting => HealthCheckState::Waiting,
                CheckState::Failing => HealthCheckState::Failing,
                CheckState::Impossible => HealthCheckState::Impossible,
            },
            checks: check.wanted.to_string(),
            last_error: check.error.as_ref().map(|failure| last_error(failure, time)),
        }),
        in_sync: report.in_sync,
        healthy: report.is_healthy(),
        last_change: report.last_change.as_ref().map(|change| LastChange {
            id: change.id.0.clone(),
            status: match change.status {
                provider::ChangeStatus::Pending => ChangeStatus::Pending,
                provider::ChangeStatus::InSync => ChangeStatus::InSync,
            },
            at: time.at(change.at),
        }),
        last_error: report.last_error.as_ref().map(|failure| last_error(failure, time)),
    }
}

fn last_error(failure: &report::LastError, time: WallTime) -> LastError {
    LastError {
        kind: failure.error.kind.as_str().to_owned(),
        code: failure.error.code.clone(),
        message: failure.error.message.clone(),
        at: time.at(failure.at),
        retry_at: time.at(failure.retry_at),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn moment(seconds: u64) -> Moment {
        Moment::new(Duration::from_secs(seconds))
    }

    #[test]
    fn moments_before_and_after_are_put_on_the_wall() {
        let noon: Timestamp = "2026-11-21T12:00:00.123456Z".parse().expect("a timestamp");
        let time = WallTime::new(moment(100), noon);
        assert_eq!(time.at(moment(40)).to_string(), "2026-11-21T11:59:00.123Z");
        assert_eq!(time.at(moment(100)).to_string(), "2026-11-21T12:00:00.123Z");
        assert_eq!(time.at(moment(160)).to_string(), "2026-11-21T12:01:00.123Z");
        assert_eq!(time.at(Moment::new(Duration::MAX)), WallTime::new(moment(0), Timestamp::MAX).at(moment(0)));
    }

    #[test]
    fn a_clock_that_is_slewed_restates_nothing_and_one_that_is_set_does() {
        let noon: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a timestamp");
        let time = WallTime::new(moment(100), noon);
        let later = |millis| noon + SignedDuration::from_millis(millis);
        assert_eq!(time.follow(moment(160), later(60_900)), time);
        assert_eq!(time.follow(moment(160), later(59_100)), time);
        assert_eq!(time.follow(moment(160), later(61_000)), WallTime::new(moment(160), later(61_000)));
        assert_eq!(time.follow(moment(160), later(-3_600_000)).at(moment(160)), later(-3_600_000));
    }
}
