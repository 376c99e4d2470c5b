//! What somebody needs to look at, in words.

use super::{HealthCheckState, Intent, RecordStatus, Status, SurvivorsState};

impl Status {
    /// Everything for which somebody needs to look, a line each; nothing where the daemon is healthy.
    pub fn troubles(&self) -> Vec<String> {
        if self.healthy {
            return Vec::new();
        }
        let record = |record: &RecordStatus| Some(format!("{} {}: {}", record.name, record.rtype, record.trouble()?));
        let mut troubles: Vec<String> = self.records.iter().filter_map(record).collect();
        if let Some(warning) = &self.drain.warning {
            troubles.push(format!("drain: {warning}"));
        }
        if let Some(survivors) = self.survivors.as_ref().filter(|all| all.state == SurvivorsState::Unknown) {
            troubles.push(format!("survivors: {}", survivors.explanation));
        }
        if let Some(refused) = &self.reload_refused {
            troubles.push(format!("reload refused, the old configuration stays in force: {}", sentence(refused)));
        }
        if troubles.is_empty() {
            troubles.push("unhealthy; 'nodedns status' says more".to_owned());
        }
        troubles
    }
}

/// A refusal's lines as one. That something was written nowhere tells nobody anything.
fn sentence(refused: &str) -> String {
    let lines = refused.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.strip_prefix("default: ").unwrap_or(line)).collect::<Vec<_>>().join("; ")
}

impl RecordStatus {
    /// Why somebody needs to look at this record, on one line; `None` where nobody does.
    pub fn trouble(&self) -> Option<String> {
        if self.healthy {
            return None;
        }
        let moves = matches!(self.intent, Intent::Publish | Intent::Withdraw);
        let check =
            self.health_check.as_ref().filter(|check| self.in_sync && check.state != HealthCheckState::Attached);
        Some(match (&self.last_error, check) {
            (Some(error), _) => error.message.lines().next().unwrap_or_default().to_owned(),
            (None, _) if !moves => self.explanation.clone(),
            (None, Some(check)) => {
                let error = check.last_error.as_ref().map(|error| &error.message);
                let why = match (check.state, error) {
                    (HealthCheckState::Impossible, _) => "Route 53 checks only globally reachable addresses".to_owned(),
                    (_, Some(message)) => message.lines().next().unwrap_or_default().to_owned(),
                    (_, None) => "it is on its way".to_owned(),
                };
                format!("no health check of {}: {why}", check.checks)
            }
            (None, None) => "the change is on its way".to_owned(),
        })
    }
}
