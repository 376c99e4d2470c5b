//! The configuration file, key by key.
//!
//! The doc comments are the manual: nodedns.toml(5), the commented example and the JSON schema are
//! made from them. What the types cannot say (ranges, shapes, what goes with what) is checked in
//! `validate`, where every mistake is found, not only the first.

mod health_check;
mod metrics;
mod prune;
mod record;
mod signal;
mod signals;
mod survivors;
mod word;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use health_check::{CheckType, RawHealthCheck};
pub use metrics::RawMetrics;
pub use prune::RawPrune;
pub(super) use record::DEFAULT_WEIGHT;
pub use record::{Addresses, Class, PolicyName, RawRecord, RawRouting, RecordType, Role};
pub use signal::{Action, RawProbe, RawSignal, RawTainted};
pub use signals::{RawRecordSignals, RawSignals};
pub use survivors::RawSurvivors;

use crate::config::duration::Span;
use word::words;

words!(LogLevel, LogFormat);

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawConfig {
    /// The cluster's name: letters, digits, `-`, `_` and `.`. It is a part of the set identifier
    /// (`nodedns/v1/<cluster>/<node>`) that marks a record set as this node's own, so two clusters
    /// that share a hosted zone need two names. Changing it leaves the record sets under the old
    /// name behind. Required.
    #[schemars(example = &"home")]
    pub cluster: Option<String>,

    /// The node's name in Kubernetes, and the last part of the set identifier. With `auto` it is
    /// the name in the kubeconfig's client certificate (`system:node:<name>`), else the one that
    /// k3s or RKE2 has written down, else the lower-cased host name.
    pub node: String,

    /// How long addresses must have been quiet before a change is acted upon, so that a burst of
    /// netlink events (a link that comes up, a renewed prefix) is one change.
    pub settle: Span,

    /// The longest that a stream of address events can put off acting upon them. At least `settle`.
    pub settle_max: Span,

    /// How often the record sets are read again though nothing has happened, to repair what others
    /// have changed; jittered by a tenth either way. Between `10s` and `24h`: each reading is a
    /// request for every name, and Route 53 allows an account five requests a second.
    pub resync: Span,

    /// How this node's own state is learned from Kubernetes.
    pub kubernetes: RawKubernetes,

    /// Which of the host's addresses may be published at all. `nodedns addresses` shows every
    /// address and why it is or is not published.
    pub addresses: RawAddresses,

    /// What takes the node out of DNS. Each signal is a word, `"ignore"` or `"withdraw"`, or a
    /// table: `action` is that word, `after` is how long the signal must last before it counts,
    /// `recover_after` is how long it must be gone before the node comes back. What a table leaves
    /// out keeps its default.
    pub signals: RawSignals,

    /// Whether this daemon removes the record sets of other nodes that are dead: a node that loses
    /// power cannot withdraw itself. Every daemon that has this on watches all nodes of the cluster,
    /// and removes what a node left behind that has been not Ready, or gone, for `grace`. They need no
    /// leader; for each dead node another one is the first, and the next steps in half a second later.
    ///
    /// Nothing is removed while the list of nodes cannot be read, while this node is itself not Ready,
    /// while more than half of the nodes are not Ready or gone, below a record's `keep_min`, from a
    /// record with `signals.not_ready = "ignore"`, or of an owner that this daemon has never seen in
    /// the list of nodes. A node that comes back publishes itself again. Until then, or until
    /// `nodedns health-checks gc` is run, its managed health checks stay and are billed.
    ///
    /// It needs Kubernetes, and a kubeconfig whose identity may read all nodes: a ClusterRole with the
    /// rule `{apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"]}`. A kubelet's own
    /// kubeconfig may not since Kubernetes 1.32 (AuthorizeNodeWithSelectors).
    pub survivors: RawSurvivors,

    /// What `nodedns prune` leaves alone. The daemon does not read it.
    pub prune: RawPrune,

    /// How Route 53 is reached. Credentials are never in this file: they come from the standard
    /// AWS variables, files and instance roles.
    pub route53: RawRoute53,

    /// The socket through which `nodedns status` and the other commands talk to the daemon, and
    /// where it keeps what they tell it.
    pub control: RawControl,

    /// Where monitoring finds the metrics: nowhere unless it is set. `nodedns help metrics` names every
    /// one of them.
    pub metrics: RawMetrics,

    /// What is logged, and how.
    pub log: RawLog,

    /// A name under which this node's addresses are published. One `[[record]]` for each name; at
    /// least one is required. Those of drop-in files are added to those of the main file.
    pub record: Vec<RawRecord>,
}

impl Default for RawConfig {
    fn default() -> Self {
        RawConfig {
            cluster: None,
            node: "auto".to_owned(),
            settle: Span(std::time::Duration::from_millis(200)),
            settle_max: Span::seconds(2),
            resync: Span::seconds(15 * 60),
            kubernetes: RawKubernetes::default(),
            addresses: RawAddresses::default(),
            signals: RawSignals::default(),
            survivors: RawSurvivors::default(),
            prune: RawPrune::default(),
            route53: RawRoute53::default(),
            control: RawControl::default(),
            metrics: RawMetrics::default(),
            log: RawLog::default(),
            record: Vec::new(),
        }
    }
}

/// The `[kubernetes]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawKubernetes {
    /// Whether the node's Ready condition and cordon decide anything. `"auto"`: when `kubeconfig`
    /// names a file, or one is found; without one anywhere the node is published by its addresses
    /// alone. `true`: always; as long as no kubeconfig is found, the node's state is unknown, and
    /// the daemon waits and keeps looking. `false`: never; the node is published by its addresses
    /// alone.
    pub enabled: Switch,

    /// The kubeconfig file, by its absolute path, which counts as `enabled = true` unless that is
    /// `false`. With `auto` the first that is there of systemd's credentials (see nodedns(8)), those of
    /// k3s and RKE2, the kubelet's own on kubeadm, and `$KUBECONFIG`.
    pub kubeconfig: String,

    /// Only a Node whose labels match is eligible; others have the signal `excluded`. In the words
    /// of `kubectl get nodes --selector`: `key = a`, `key != a`, `key in (a, b)`,
    /// `key notin (a, b)`, `key`, `!key`, `key > 1`, `key < 1`, with commas between what must all
    /// hold. Empty: every Node.
    #[schemars(example = &"node-role.kubernetes.io/edge, region in (eu, us)")]
    pub label_selector: String,
}

impl Default for RawKubernetes {
    fn default() -> Self {
        RawKubernetes { enabled: Switch::Auto, kubeconfig: "auto".to_owned(), label_selector: String::new() }
    }
}

/// The `[addresses]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawAddresses {
    /// Globs (`*`, `?`) over interface names and alternative names. An interface that none of them
    /// matches is left out. One that is matched by more than a mere `*` is not left out by default.
    pub include_interfaces: Vec<String>,

    /// Globs over interface names and alternative names. An interface that one of them matches is
    /// left out, beside those that are left out by default.
    pub exclude_interfaces: Vec<String>,

    /// Whether loopback and the interfaces of containers, CNI plugins, virtual machines and VPNs
    /// are left out without being listed.
    pub exclude_defaults: bool,

    /// Networks (CIDR) whose addresses may be published though they are not of the record's class.
    pub allow: Vec<String>,

    /// Networks (CIDR) whose addresses are never published. Goes before `allow`.
    pub deny: Vec<String>,

    /// Whether temporary IPv6 addresses (privacy extensions, RFC 8981) may be published. They
    /// change at least daily.
    pub temporary: bool,
}

impl Default for RawAddresses {
    fn default() -> Self {
        RawAddresses {
            include_interfaces: vec!["*".to_owned()],
            exclude_interfaces: Vec::new(),
            exclude_defaults: true,
            allow: Vec::new(),
            deny: Vec::new(),
            temporary: false,
        }
    }
}

/// The `[route53]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawRoute53 {
    /// Another endpoint than AWS's own, `http://` or `https://`, e.g. a VPC endpoint or a
    /// simulator. Empty: AWS's own.
    pub endpoint_url: String,

    /// The AWS Region in which requests are signed. Route 53 is a global service that lives in
    /// `us-east-1`; other partitions have their own, e.g. `cn-northwest-1`. Empty: `$AWS_REGION`,
    /// else the profile's, else `us-east-1`.
    pub region: String,

    /// The profile of the AWS configuration files. Empty: `$AWS_PROFILE`, else `default`.
    pub profile: String,

    /// The most requests a second that this daemon makes, above 0. Route 53 allows five to a whole
    /// account; many nodes behind one account may want less each.
    #[schemars(range(max = 1000))]
    pub requests_per_second: f64,

    /// How many requests may be made at once after a quiet time, at least 1.
    #[schemars(range(min = 1, max = 1000))]
    pub burst: i64,

    /// How long one attempt of a request may take before it is given up and retried. Between `1s`
    /// and `5m`.
    pub attempt_timeout: Span,
}

impl Default for RawRoute53 {
    fn default() -> Self {
        RawRoute53 {
            endpoint_url: String::new(),
            region: String::new(),
            profile: String::new(),
            requests_per_second: 5.0,
            burst: 20,
            attempt_timeout: Span::seconds(10),
        }
    }
}

/// The `[control]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawControl {
    /// The path of the daemon's unix socket. Where systemd gives the daemon a runtime directory
    /// (`$RUNTIME_DIRECTORY`), the default is `nodedns.sock` in that.
    pub socket: String,

    /// The directory in which the daemon keeps what must survive its restart: whether the node is
    /// drained (`drain.json`). Made when there is something to keep. Where systemd gives the daemon
    /// a state directory (`$STATE_DIRECTORY`), that is the default.
    pub state_directory: String,
}

impl Default for RawControl {
    fn default() -> Self {
        RawControl {
            socket: super::DEFAULT_SOCKET.to_owned(),
            state_directory: super::DEFAULT_STATE_DIRECTORY.to_owned(),
        }
    }
}

/// The `[log]` table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawLog {
    /// The least severe messages that are logged: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: LogLevel,

    /// Where they go. `"journald"`: to the journal, with fields (`NODEDNS_RECORD=`). `"text"`: to
    /// standard error. `"auto"`: to the journal when systemd has connected standard error to it.
    pub format: LogFormat,
}

/// How severe a message must be to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "snake_case")]
#[schemars(inline)]
#[expect(missing_docs, reason = "each is the level of its name")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The level's name in the file, which is also the name that log filters know.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// Where log messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "snake_case")]
#[schemars(inline)]
pub enum LogFormat {
    /// The journal when standard error is connected to it, else text.
    #[default]
    Auto,
    /// The journal, with structured fields.
    Journald,
    /// Lines of text on standard error.
    Text,
}

/// `"auto"`, `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Switch {
    /// Decided by what is found.
    #[default]
    Auto,
    /// On.
    On,
    /// Off.
    Off,
}

impl Serialize for Switch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Switch::Auto => serializer.serialize_str("auto"),
            Switch::On => serializer.serialize_bool(true),
            Switch::Off => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Switch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\", true or false")
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Switch, E> {
                Ok(if on { Switch::On } else { Switch::Off })
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Switch, E> {
                match word {
                    "auto" => Ok(Switch::Auto),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Switch {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Switch".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "enum": ["auto", true, false] })
    }
}
