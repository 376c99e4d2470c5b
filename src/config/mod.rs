//! What the operator wants: the configuration, from its files to the engine's policy.
//!
//! ```text
//! nodedns.toml < nodedns.toml.d/*.toml < NODEDNS_* < flags
//!        └─ layer (figment provider) ─ check ─ merged (figment) ─ raw ─ validate ─▶ Config ─▶ Policy
//! ```
//!
//! Later layers override single values, replace arrays and add `[[record]]` tables. Every mistake
//! of every layer is reported at once, with its place; nothing is guessed and nothing is skipped.
//!
//! figment reads, layers and extracts, and knows which layer a value is from. It knows no lines, so
//! that `places` keeps those; it stops at the first mistake, so that a layer is extracted again
//! without it until none is left; and it reads only the variables of this process, and types them
//! before their key is known, so that `layer` offers it each given one in the forms it may mean.

mod duration;
mod explain;
mod host_name;
mod layer;
mod load;
mod merged;
mod nearest;
mod path;
mod places;
mod problem;
pub mod raw;
pub mod reference;
mod remedy;
mod routing;
mod selector;
mod show;
mod validate;
mod write;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use duration::Span;
pub use load::{DEFAULT_PATH, Flags, Loaded, Sources, load, salvage};
pub use nearest::nearest;
pub use problem::{Origin, Problem, Problems};
pub use raw::{LogFormat, LogLevel, Switch};
pub use show::Shown;

use crate::decide::glob::Globs;
use crate::decide::name::DnsName;
use crate::decide::owner::{OwnerError, OwnerId};
use crate::decide::policy::{Policy, RecordPolicy, SurvivorsPolicy, Timing};
use crate::decide::record::ZoneRef;
use crate::decide::select::AddressRules;
use crate::decide::selector::LabelSelector;

/// Where the daemon's socket is when nothing says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/nodedns/nodedns.sock";

/// Where the daemon keeps what must survive a restart when nothing says otherwise.
pub const DEFAULT_STATE_DIRECTORY: &str = "/var/lib/nodedns";

/// A configuration without a mistake that can be found offline. Only the node's name is missing,
/// which may have to be looked up: see [`Config::policy`].
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The cluster's name, a token of the owner id.
    pub cluster: String,
    /// The node's name; `None` is to be found out.
    pub node: Option<String>,
    /// How the node's state is learned.
    pub kubernetes: KubernetesSettings,
    /// How Route 53 is reached.
    pub route53: Route53Settings,
    /// The path of the daemon's control socket.
    pub socket: PathBuf,
    /// The directory of what must survive a restart of the daemon.
    pub state_directory: PathBuf,
    /// Where monitoring finds the metrics.
    pub metrics: MetricsSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Which of the host's addresses may be published at all.
    pub addresses: AddressRules,
    /// How long to wait for what.
    pub timing: Timing,
    /// Whether the record sets of dead siblings are removed; `None`: they are left alone.
    pub survivors: Option<SurvivorsPolicy>,
    /// The nodes whose record sets a prune never deletes.
    pub keep_nodes: Globs,
    /// The records, in the order of the files.
    pub records: Vec<RecordTemplate>,
}

/// The `[kubernetes]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesSettings {
    /// Whether the Node object is watched.
    pub enabled: Switch,
    /// The kubeconfig; `None` is to be found.
    pub kubeconfig: Option<PathBuf>,
    /// Which Nodes are eligible.
    pub node_selector: LabelSelector,
}

/// The `[route53]` table: how to reach Route 53. What is not set here comes from where every AWS
/// tool takes it: the environment, `~/.aws/config` and `~/.aws/credentials`, web identity,
/// container and instance metadata, `AWS_ENDPOINT_URL_ROUTE_53`, `AWS_ENDPOINT_URL`.
#[derive(Debug, Clone, PartialEq)]
pub struct Route53Settings {
    /// Another endpoint than AWS's own.
    pub endpoint_url: Option<String>,
    /// The Region in which requests are signed. When neither this nor the environment nor the
    /// profile has one: `us-east-1`, the one Region of Route 53's control plane outside China and GovCloud.
    pub region: Option<String>,
    /// The profile of the AWS configuration files, where the environment is not to decide.
    pub profile: Option<String>,
    /// The most requests a second, above 0.
    pub requests_per_second: f64,
    /// How many requests may be made at once after a quiet time, at least 1.
    pub burst: u32,
    /// How long one request may take, from loading its credentials to the last byte of its answer.
    pub attempt_timeout: Duration,
}

impl Default for Route53Settings {
    /// The defaults of the configuration file. The rate is half of what an account may sustain (10
    /// requests per second, bursts of 50; Developer Guide, "Throttling of API requests"), so that
    /// one process cannot starve the rest of its account.
    fn default() -> Self {
        Route53Settings {
            endpoint_url: None,
            region: None,
            profile: None,
            requests_per_second: 5.0,
            burst: 20,
            attempt_timeout: Duration::from_secs(10),
        }
    }
}

/// The `[metrics]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Where an HTTP server listens; `None`: there is none.
    pub listen: Option<SocketAddr>,
    /// The file for node_exporter; `None`: there is none.
    pub textfile: Option<PathBuf>,
}

/// The `[log]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe level that is logged.
    pub level: LogLevel,
    /// Where messages go.
    pub format: LogFormat,
}

/// One `[[record]]`, complete but for the node's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordTemplate {
    /// The name as written, with its `{node}` and `{cluster}`.
    pub name: String,
    /// Everything else. Its name is only right where the template does not say `{node}`.
    pub policy: RecordPolicy,
    /// Where the name was written, to report what goes wrong with it.
    source: Origin,
    /// Its key.
    path: String,
}

impl RecordTemplate {
    /// Whether each node has a name of its own.
    pub fn is_of_each_node(&self) -> bool {
        self.name.contains(NODE)
    }

    /// The node that the template makes this very name for; `None` when it makes it for none, and when it
    /// makes one name for all of them.
    pub fn node_of(&self, cluster: &str, name: &DnsName) -> Option<String> {
        let template = self.name.to_ascii_lowercase().replace("{cluster}", &cluster.to_ascii_lowercase());
        let template = template.strip_suffix('.').unwrap_or(&template);
        let (before, _) = template.split_once(NODE)?;
        let count = template.matches(NODE).count();
        let name_text = name.to_string();
        // What all of the places together have room for, each as much as the others.
        let room = (name_text.len() + count * NODE.len()).checked_sub(template.len())?;
        let node = name_text.get(before.len()..before.len() + room / count)?;
        OwnerId::new(cluster, node).ok()?;
        let made = DnsName::parse(&template.replace(NODE, node)).ok()?;
        (made == *name).then(|| node.to_owned())
    }

    fn expand(&self, cluster: &str, node: &str) -> Result<RecordPolicy, Problem> {
        let problem = |message: String| Problem {
            source: self.source.clone(),
            path: self.path.clone(),
            message,
            hint: Some("another name for the node can be set with 'node'".to_owned()),
        };
        let text = expand(&self.name, cluster, node);
        let name = host_name::parse(&text)
            .map_err(|refused| problem(format!("{text:?} for node {node:?}: {}", refused.message)))?;
        match &self.policy.zone {
            ZoneRef::Name { name: zone, .. } if !name.is_within(zone) => {
                Err(problem(format!("{text:?} for node {node:?} is not in the zone {zone}")))
            }
            _ => Ok(RecordPolicy { name, ..self.policy.clone() }),
        }
    }
}

/// What stands for the node's name in the name of a record.
const NODE: &str = "{node}";

fn expand(template: &str, cluster: &str, node: &str) -> String {
    template.replace("{cluster}", cluster).replace(NODE, node)
}

/// What to do about a name that is there twice.
const ONE_FOR_EACH_NAME: &str = "one [[record]] for each name of a zone; for two zones give each record its 'zone_id'";

/// Whether two ways to name a hosted zone may mean the same one, as far as can be said offline. Two
/// records for a name in one zone would each undo what the other has written.
fn may_be_one_zone(a: &ZoneRef, b: &ZoneRef) -> bool {
    let private = |zone: &ZoneRef| match zone {
        ZoneRef::Id(_) => None,
        ZoneRef::Name { private, .. } | ZoneRef::Longest { private } => Some(*private),
    };
    match (a, b) {
        (ZoneRef::Id(a), ZoneRef::Id(b)) => a == b,
        _ => match (private(a), private(b)) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        },
    }
}

impl Config {
    /// The engine's policy on the node of this name. `kubernetes` says whether the Node object is
    /// watched, which with [`Switch::Auto`] depends on whether a kubeconfig was found.
    ///
    /// # Errors
    /// What only shows when the node's name is known: an owner id that is too long or has other
    /// characters, a record's name that the node's name makes invalid or a duplicate.
    pub fn policy(&self, node: &str, kubernetes: bool) -> Result<Policy, Problems> {
        let mut problems = Vec::new();
        let owner = match OwnerId::new(&self.cluster, node) {
            Ok(owner) => Some(owner),
            Err(error) => {
                problems.push(Problem {
                    source: Origin::Default,
                    path: "node".to_owned(),
                    hint: Some(match error {
                        OwnerError::TooLong(_) => "shorten 'cluster', or set 'node' to a shorter name".to_owned(),
                        OwnerError::BadToken(..) => "set 'node' to another name".to_owned(),
                    }),
                    message: error.to_string(),
                });
                None
            }
        };
        let mut records: Vec<RecordPolicy> = Vec::new();
        for template in &self.records {
            match template.expand(&self.cluster, node) {
                Ok(record)
                    if records.iter().any(|r| r.name == record.name && may_be_one_zone(&r.zone, &record.zone)) =>
                {
                    problems.push(Problem {
                        source: template.source.clone(),
                        path: template.path.clone(),
                        message: format!("{} is configured twice on node {node:?}", record.name),
                        hint: Some(ONE_FOR_EACH_NAME.to_owned()),
                    });
                }
                Ok(record) => records.push(record),
                Err(problem) => problems.push(problem),
            }
        }
        let Some(owner) = owner else {
            return Err(Problems::from(problems));
        };
        Problems::check(problems)?;
        Ok(Policy {
            owner,
            kubernetes,
            node_selector: self.kubernetes.node_selector.clone(),
            addresses: self.addresses.clone(),
            timing: self.timing,
            survivors: self.survivors,
            records,
        })
    }
}
