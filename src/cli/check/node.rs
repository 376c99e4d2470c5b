//! This host: which node it is, what it would publish, and the daemon on it.

use crate::cli::check::findings::{Finding, Findings};
use crate::config::Config;
use crate::watch::identity::Identity;

/// Finds out which node this is.
pub fn identity(config: &Config, findings: &mut Findings<'_>) -> Option<Identity> {
    match Identity::find(config) {
        Ok(identity) => {
            findings.add(Finding::ok("node_name", identity.node(), identity.source.clone()));
            Some(identity)
        }
        Err(error) => {
            let text = error.to_string();
            let (text, hint) = text.split_once("\nhint: ").unwrap_or((&text, "set 'node' in the configuration"));
            findings.add(Finding::failed("node_name", "node", text).remedy(hint));
            None
        }
    }
}
