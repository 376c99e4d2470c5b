//! The files, and what they say.

use crate::cli::check::findings::{Finding, Findings};
use crate::config::{Loaded, Problems};

/// Tells of each mistake, as `nodedns config check` does.
pub fn mistakes(problems: &Problems, findings: &mut Findings<'_>) {
    for problem in problems.iter() {
        let text = match problem.path.as_str() {
            "" => problem.message.clone(),
            path => format!("{path}: {}", problem.message),
        };
        let finding = Finding::failed("configuration", problem.source.to_string(), text);
        findings.add(match &problem.hint {
            Some(hint) => finding.remedy(hint.clone()),
            None => finding,
        });
    }
}

/// Looks for what is allowed, and probably not meant.
pub fn check(loaded: &Loaded, findings: &mut Findings<'_>) {
    for file in &loaded.files {
        findings.add(Finding::ok("configuration_file", file.display().to_string(), "read, without a mistake"));
    }
}
