//! The `signals` tables of the file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::signal::{RawProbe, RawSignal, RawTainted, word_or};
use crate::config::duration::Span;
use crate::decide::policy::{DEFAULT_TAINT_KEYS, Signal};
use crate::decide::probe;

/// The `[signals]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawSignals {
    /// The Node's Ready condition is not `True`, or the cluster has no such Node.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    pub not_ready: RawSignal,

    /// The Node is cordoned (`spec.unschedulable`).
    #[schemars(schema_with = "word_or::<RawSignal>")]
    pub cordoned: RawSignal,

    /// The Node is being deleted (`metadata.deletionTimestamp`).
    #[schemars(schema_with = "word_or::<RawSignal>")]
    pub deleting: RawSignal,

    /// The Node has the label `node.kubernetes.io/exclude-from-external-load-balancers` or the
    /// annotation `nodedns.io/exclude`, or `kubernetes.label_selector` does not match it. Label and
    /// annotation are read as Kubernetes reads the label: `false` (or `0`, `f`, `F`, `False`,
    /// `FALSE`) is as good as none, everything else excludes.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    pub excluded: RawSignal,

    /// The Node has a taint with one of the `keys`. Those that mirror what is known sooner from the
    /// Node itself (`node.kubernetes.io/not-ready`, `unreachable`, `unschedulable`) are best left out.
    #[schemars(schema_with = "word_or::<RawTainted>")]
    pub tainted: RawTainted,

    /// What the node serves does not answer a check that the daemon makes itself, of an address of
    /// this host. That it is one is not verified: of another host's address, the node comes and goes
    /// with that host. Without `tcp` or `http`, here or in the record, there is no check. A record's own
    /// `tcp` or `http` takes the place of the one here; `probe = "ignore"` in a record is no check
    /// for that record.
    #[schemars(schema_with = "word_or::<RawProbe>")]
    pub probe: RawProbe,

    /// The operator has drained the node.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    pub drained: RawSignal,

    /// The system is shutting down, which a restart of the service is not. It takes no `after` and no
    /// `recover_after`.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    pub stopping: RawSignal,

    /// The Kubernetes API cannot be reached, so the Node's state is not known. Withdrawing then
    /// takes every node out of DNS when the control plane fails.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    pub api_unreachable: RawSignal,
}

impl Default for RawSignals {
    fn default() -> Self {
        let whole = |signal: Signal| RawSignal::whole(signal.default_policy());
        let tainted = whole(Signal::Tainted);
        let probed = whole(Signal::ProbeFailed);
        RawSignals {
            not_ready: whole(Signal::NotReady),
            cordoned: whole(Signal::Cordoned),
            deleting: whole(Signal::Deleting),
            excluded: whole(Signal::Excluded),
            tainted: RawTainted {
                action: tainted.action,
                after: tainted.after,
                recover_after: tainted.recover_after,
                keys: Some(DEFAULT_TAINT_KEYS.map(str::to_owned).to_vec()),
            },
            probe: RawProbe {
                action: probed.action,
                after: probed.after,
                recover_after: probed.recover_after,
                interval: Some(Span(probe::DEFAULT_INTERVAL)),
                timeout: Some(Span(probe::DEFAULT_TIMEOUT)),
                failures: Some(i64::from(probe::DEFAULT_FAILURES)),
                ..RawProbe::default()
            },
            drained: whole(Signal::Drained),
            // It has no end, and nothing waits for it to last.
            stopping: RawSignal { action: whole(Signal::Stopping).action, ..RawSignal::default() },
            api_unreachable: whole(Signal::ApiUnreachable),
        }
    }
}

impl RawSignals {
    /// What the entry of one signal has in common with the others.
    pub fn get(&self, signal: Signal) -> RawSignal {
        match signal {
            Signal::Stopping => self.stopping,
            Signal::Drained => self.drained,
            Signal::Deleting => self.deleting,
            Signal::NotReady => self.not_ready,
            Signal::Cordoned => self.cordoned,
            Signal::Excluded => self.excluded,
            Signal::Tainted => self.tainted.signal(),
            Signal::ProbeFailed => self.probe.signal(),
            Signal::ApiUnreachable => self.api_unreachable,
        }
    }

    /// Fills in what tables have left out.
    pub(in crate::config) fn complete(&mut self) {
        let defaults = RawSignals::default();
        *self = RawSignals {
            not_ready: self.not_ready.over(&defaults.not_ready),
            cordoned: self.cordoned.over(&defaults.cordoned),
            deleting: self.deleting.over(&defaults.deleting),
            excluded: self.excluded.over(&defaults.excluded),
            tainted: self.tainted.over(&defaults.tainted),
            probe: self.probe.over(&defaults.probe),
            drained: self.drained.over(&defaults.drained),
            stopping: self.stopping.over(&defaults.stopping),
            api_unreachable: self.api_unreachable.over(&defaults.api_unreachable),
        };
    }
}

/// The `signals` table of a `[[record]]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawRecordSignals {
    /// The Node's Ready condition is not `True`, for this record.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<RawSignal>,

    /// The Node is cordoned, for this record.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cordoned: Option<RawSignal>,

    /// The Node is being deleted, for this record.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleting: Option<RawSignal>,

    /// The Node is excluded, for this record.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded: Option<RawSignal>,

    /// The Node has a taint that counts, for this record.
    #[schemars(schema_with = "word_or::<RawTainted>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tainted: Option<RawTainted>,

    /// What the node serves does not answer, for this record.
    #[schemars(schema_with = "word_or::<RawProbe>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<RawProbe>,

    /// The operator has drained the node, for this record.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained: Option<RawSignal>,

    /// The system is shutting down, for this record.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopping: Option<RawSignal>,

    /// The Kubernetes API cannot be reached, for this record.
    #[schemars(schema_with = "word_or::<RawSignal>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_unreachable: Option<RawSignal>,
}

impl RawRecordSignals {
    /// What the entry of one signal has in common with the others.
    pub fn get(&self, signal: Signal) -> Option<RawSignal> {
        match signal {
            Signal::Stopping => self.stopping,
            Signal::Drained => self.drained,
            Signal::Deleting => self.deleting,
            Signal::NotReady => self.not_ready,
            Signal::Cordoned => self.cordoned,
            Signal::Excluded => self.excluded,
            Signal::Tainted => self.tainted.as_ref().map(RawTainted::signal),
            Signal::ProbeFailed => self.probe.as_ref().map(RawProbe::signal),
            Signal::ApiUnreachable => self.api_unreachable,
        }
    }
}
