//! The `signals` tables: the file's and a record's, one over the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{DAY, Judge, probe};
use crate::config::path::Path;
use crate::config::raw::{RawRecordSignals, RawSignal, RawSignals, RawTainted};
use crate::config::selector;
use crate::decide::policy::{Signal, SignalPolicy};
use crate::decide::probe::Probe;

/// What a record's signals come to.
pub(super) struct RecordSignals {
    pub(super) policies: BTreeMap<Signal, SignalPolicy>,
    pub(super) probe: Option<Probe>,
    pub(super) taint_keys: BTreeSet<String>,
}

/// Judges the file's own table, once, however many records there are.
pub(super) fn judge_global(global: &RawSignals, judge: &mut Judge<'_>) {
    let path = global_path();
    for signal in Signal::ALL {
        bounded(signal, global.get(signal), &path.key(signal.as_str()), judge);
    }
    taint_keys(&global.tainted, &path.key("tainted"), judge);
    probe::judge_entry(&global.probe, &path.key("probe"), judge);
}

/// One record's signals; what its own table leaves out is taken from the file's.
pub(super) fn of_record(
    global: &RawSignals,
    own: &RawRecordSignals,
    path: &Path,
    judge: &mut Judge<'_>,
) -> RecordSignals {
    let mut policies = BTreeMap::new();
    for signal in Signal::ALL {
        let entry = match own.get(signal) {
            Some(own) => {
                bounded(signal, own, &path.key(signal.as_str()), judge);
                own.over(&global.get(signal))
            }
            None => global.get(signal),
        };
        let default = signal.default_policy();
        let policy = SignalPolicy {
            action: entry.action.map_or(default.action, Into::into),
            after: entry.after.map_or(default.after, |span| span.0),
            recover_after: entry.recover_after.map_or(default.recover_after, |span| span.0),
        };
        policies.insert(signal, policy);
    }
    let tainted = match &own.tainted {
        Some(own) => {
            taint_keys(own, &path.key("tainted"), judge);
            own.over(&global.tainted)
        }
        None => global.tainted.clone(),
    };
    RecordSignals {
        policies,
        probe: probe::of_record(&global.probe, own.probe.as_ref(), &path.key("probe"), judge),
        taint_keys: tainted.keys.unwrap_or_default().into_iter().collect(),
    }
}

pub(super) fn global_path() -> Path {
    Path::default().key("signals")
}

fn bounded(signal: Signal, entry: RawSignal, path: &Path, judge: &mut Judge<'_>) {
    if signal == Signal::Stopping {
        if entry.after.is_some() {
            judge.advise(&path.key("after"), "a system that shuts down does not wait", "leave 'after' out");
        }
        if entry.recover_after.is_some() {
            let why = "a system that shuts down does not come back from it";
            judge.advise(&path.key("recover_after"), why, "leave 'recover_after' out");
        }
        return;
    }
    for (key, span) in [("after", entry.after), ("recover_after", entry.recover_after)] {
        if let Some(span) = span {
            judge.within(&path.key(key), span, Duration::ZERO, DAY);
        }
    }
}

fn taint_keys(entry: &RawTainted, path: &Path, judge: &mut Judge<'_>) {
    let path = path.key("keys");
    let Some(keys) = &entry.keys else { return };
    if keys.is_empty() {
        judge.advise(&path, "without a key no taint counts", "tainted = \"ignore\" says that");
    }
    for (index, key) in keys.iter().enumerate() {
        if let Err(why) = selector::check_key(key) {
            judge.advise(&path.index(index), why, "the key alone is asked for, without '=value' and ':effect'");
        }
    }
}
