//! The `[survivors]` table.

use super::{DAY, Judge};
use crate::config::Switch;
use crate::config::path::Path;
use crate::config::raw::RawConfig;
use crate::decide::policy::{LEAST_GRACE, SurvivorsPolicy};

pub(super) fn survivors(raw: &RawConfig, judge: &mut Judge<'_>) -> Option<SurvivorsPolicy> {
    let path = Path::default().key("survivors");
    let table = &raw.survivors;
    judge.within(&path.key("grace"), table.grace, LEAST_GRACE, DAY);
    if table.enabled && raw.kubernetes.enabled == Switch::Off {
        judge.advise(
            &path.key("enabled"),
            "only Kubernetes tells which nodes are dead, and kubernetes.enabled is false",
            "switch one of the two",
        );
    }
    table.enabled.then_some(SurvivorsPolicy { grace: table.grace.0 })
}
