//! What the daemon and its clients say to each other, and what `status --output json` prints.
//!
//! Keys are only ever added, and readers skip keys that they do not know. A change that an older
//! client would misread raises [`VERSION`].

mod drain;
mod routing;
mod trouble;

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use drain::{
    DrainAnswer, DrainRequest, DrainState, DrainStatus, NOT_PERMITTED, REASON_MAX, SECONDS_MAX, UNFINISHED,
};
pub use routing::Routing;

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// What a client sends: `{"v":1,"request":"status"}`. Without `v` it is taken for version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The version that the client speaks.
    #[serde(default = "first_version")]
    pub v: u32,
    /// What it asks.
    pub request: Request,
}

/// What a client can ask. A daemon that does not know a request answers `bad_request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The status, once.
    Status,
    /// The status now and again whenever it changes, until the client hangs up.
    Watch,
    /// Takes the node out of DNS, in place of an earlier drain. For root and the daemon's own user.
    Drain(DrainRequest),
    /// Ends a drain. For root and the daemon's own user.
    Resume,
}

/// What the daemon answers: `{"v":1,"status":{…}}` or `{"v":1,"error":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply<S = Status> {
    /// The version that the daemon speaks.
    pub v: u32,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer<S>,
}

/// The daemon's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<S = Status> {
    /// How everything is.
    Status(S),
    /// What came of a drain or a resume.
    Drain(DrainAnswer),
    /// Why there is no answer.
    Error(Refusal),
}

/// Why the daemon does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs: `bad_request`, `unsupported_version`, `too_many_clients`, `not_permitted` or `unfinished`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// How everything is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's own version, e.g. `0.1.0`.
    pub version: String,
    /// The node.
    pub node: String,
    /// The cluster.
    pub cluster: String,
    /// Whether nobody needs to look: every record is as it should be.
    pub healthy: bool,
    /// Whether the daemon only shows what it would do.
    pub dry_run: bool,
    /// Since when the daemon runs.
    pub since: Timestamp,
    /// Why the last reload was refused; `null` when it was not. The old configuration stays in force.
    #[serde(default)]
    pub reload_refused: Option<String>,
    /// Whether the operator has drained the node.
    #[serde(default)]
    pub drain: DrainStatus,
    /// Every record and type, in the order of the configuration, A before AAAA.
    pub records: Vec<RecordStatus>,
    /// Every address of the host, for every class that a record asks for.
    pub addresses: Vec<AddressStatus>,
    /// The connection to Kubernetes and what it says of the node.
    pub kubernetes: KubernetesStatus,
    /// The local probes that records depend on.
    #[serde(default)]
    pub probes: Vec<ProbeStatus>,
    /// The watch over the other nodes, whose record sets are removed when they are dead; `null` when it is off.
    #[serde(default)]
    pub survivors: Option<SurvivorsStatus>,
}

/// One (record, type).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordStatus {
    /// The name, as people write it: without the trailing dot.
    pub name: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The hosted zone's id, once it is known.
    pub zone_id: Option<String>,
    /// The hosted zone as configured.
    pub zone: String,
    /// The set identifier of the own record set.
    pub set_identifier: String,
    /// The routing policy that is or would be published; `coordinates` is `auto` as long as the
    /// annotation that is to say them does not.
    pub routing: Routing,
    /// The TTL in seconds that is or would be published.
    pub ttl: u32,
    /// The configured TTL, when the pool has another, which had to be adopted.
    #[serde(default)]
    pub ttl_configured: Option<u32>,
    /// What is wanted.
    pub intent: Intent,
    /// Why: the reason in snake case, e.g. `cordoned`.
    pub reason: String,
    /// Why, as a sentence.
    pub explanation: String,
    /// Why it would leave, where a guard holds it back: the reason in snake case.
    #[serde(default)]
    pub held_back: Option<String>,
    /// Since when it has been wanted for this reason.
    pub since: Timestamp,
    /// The addresses that are or would be published, the first first; empty when the intent is to withdraw.
    pub desired: Vec<IpAddr>,
    /// The addresses in Route 53; empty when the own record set is not there, `null` when unknown.
    pub actual: Option<Vec<IpAddr>>,
    /// How many other record sets the pool holds; `null` when unknown.
    pub others: Option<usize>,
    /// Whether a drain withdraws it: `drained` is not ignored by this record.
    #[serde(default = "yes")]
    pub follows_drain: bool,
    /// The id of the health check that the own record set has in Route 53, whoever made it.
    #[serde(default)]
    pub health_check_id: Option<String>,
    /// The managed health check; `null` where there is to be none.
    #[serde(default)]
    pub health_check: Option<HealthCheckStatus>,
    /// Whether Route 53 has what is wanted.
    pub in_sync: bool,
    /// Whether nobody needs to look at this record.
    pub healthy: bool,
    /// The last change that Route 53 accepted.
    pub last_change: Option<LastChange>,
    /// The last request's failure; `null` when it succeeded.
    pub last_error: Option<LastError>,
}

/// What is wanted for one (record, type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// The own record set is to be there.
    Publish,
    /// The own record set is to go.
    Withdraw,
    /// A guard forbids what is wanted; things stay as they are.
    Hold,
    /// Not enough is known; things stay as they are.
    Preserve,
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Intent::Publish => "publish",
            Intent::Withdraw => "withdraw",
            Intent::Hold => "hold",
            Intent::Preserve => "preserve",
        })
    }
}

/// A managed health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheckStatus {
    /// How far it is.
    pub state: HealthCheckState,
    /// What it asks, in the manner of a URL, e.g. `https://185.12.64.1:443/healthz`.
    pub checks: String,
    /// Why it could not be had; `null` unless the state is `failing`.
    pub last_error: Option<LastError>,
}

/// How far a managed health check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthCheckState {
    /// Created, and attached to the record set.
    Attached,
    /// On its way.
    Waiting,
    /// It could not be had, and is tried again; the record set goes without it meanwhile.
    Failing,
    /// Route 53 checks no address of this kind; the record set goes without it.
    Impossible,
}

/// An accepted change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastChange {
    /// Route 53's id for it.
    pub id: String,
    /// How far it has come.
    pub status: ChangeStatus,
    /// When it was accepted.
    pub at: Timestamp,
}

/// How far a change has come, in Route 53's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChangeStatus {
    /// On its way to the authoritative servers.
    Pending,
    /// On all of them.
    InSync,
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// What it means, in snake case, e.g. `throttled`.
    pub kind: String,
    /// The service's own code, when it answered.
    pub code: Option<String>,
    /// The service's words, or those of the connection.
    pub message: String,
    /// When it failed.
    pub at: Timestamp,
    /// When it is tried again.
    pub retry_at: Timestamp,
}

/// One address of the host, judged for one address class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressStatus {
    /// The address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix_len: u8,
    /// The interface's name.
    pub interface: String,
    /// The address class it was judged for.
    pub class: String,
    /// Whether records of this class may publish it.
    pub publishable: bool,
    /// Whether it is the first of its type that is publishable: the one that is published unless
    /// the record has addresses of its own, or asks for all.
    pub chosen: bool,
    /// Why, in snake case.
    pub reason: String,
    /// Why, as a sentence.
    pub explanation: String,
}

/// The connection to Kubernetes and what it says of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubernetesStatus {
    /// Whether the Node object is watched.
    pub enabled: bool,
    /// The Node object's name.
    pub node: Option<String>,
    /// Where the name comes from, e.g. `client certificate`.
    pub node_name_source: Option<String>,
    /// The kubeconfig's path.
    pub kubeconfig: Option<String>,
    /// The API server's address.
    pub server: Option<String>,
    /// Whether the API server answers.
    pub connected: bool,
    /// What it says of the node.
    pub state: NodeCondition,
    /// The Ready condition's reason, where the node is not ready and there is one.
    pub ready_reason: Option<String>,
    /// The Ready condition's message, where the node is not ready and there is one.
    #[serde(default)]
    pub ready_message: Option<String>,
    /// Whether the node is cordoned; `null` when unknown.
    pub unschedulable: Option<bool>,
    /// Whether the Node is being deleted; `null` when unknown.
    #[serde(default)]
    pub deleting: Option<bool>,
    /// The Node's taints as `key:effect`; `null` when unknown.
    #[serde(default)]
    pub taints: Option<Vec<String>>,
    /// What the Node's annotations say of routing.
    #[serde(default)]
    pub annotations: AnnotationStatus,
    /// Why the API server does not answer.
    pub error: Option<String>,
    /// When it last answered.
    pub last_contact: Option<Timestamp>,
}

/// What the Node's annotations say of routing, and what is wrong with them. They are those in force:
/// while the Node is unknown, those it had last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotationStatus {
    /// The weight of weighted record sets, in place of the configuration's.
    pub weight: Option<u8>,
    /// Where geoproximity record sets say that the node is, in place of the configuration's.
    pub coordinates: Option<String>,
    /// The bias of geoproximity record sets, in place of the configuration's.
    pub bias: Option<i8>,
    /// What was said and cannot be, a sentence for each.
    pub mistakes: Vec<String>,
    /// The annotations have changed; when that takes effect, if they stay as they are.
    pub change_due: Option<Timestamp>,
}

/// What Kubernetes says of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeCondition {
    /// Ready.
    Ready,
    /// Not ready.
    NotReady,
    /// There is no such Node object.
    Absent,
    /// Nothing yet, or nothing any more.
    Unknown,
}

/// A local check of what the node serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeStatus {
    /// What is asked, e.g. `tcp 127.0.0.1:443`.
    pub check: String,
    /// What the attempts so far add up to.
    pub outcome: ProbeOutcome,
    /// Since when that has been the outcome; `null` while it is unknown.
    pub since: Option<Timestamp>,
    /// What goes wrong; `null` unless it fails.
    pub error: Option<String>,
}

/// What a probe's attempts add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// The node serves.
    Passing,
    /// It does not.
    Failing,
    /// Too few attempts yet.
    Unknown,
}

/// The watch over the other nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurvivorsStatus {
    /// Whether record sets of dead nodes may be removed.
    pub state: SurvivorsState,
    /// Why, as a sentence.
    pub explanation: String,
    /// How many nodes are known: those in the list, and the owners of record sets that are gone from it.
    pub nodes: usize,
    /// How many of them are not Ready or gone.
    pub not_ready: usize,
    /// Those that still have a record set in one of this node's pools, by name.
    pub dead: Vec<DeadNodeStatus>,
}

/// Whether record sets of dead nodes may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SurvivorsState {
    /// They may.
    Watching,
    /// No: more than half of the nodes are not Ready or gone.
    Frozen,
    /// No: the list of nodes is not known.
    Unknown,
    /// No: this node is itself not Ready, or not in the list.
    NotFit,
}

/// A node that is not Ready or gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadNodeStatus {
    /// Its name.
    pub node: String,
    /// `not_ready` or `gone`.
    pub condition: DeadCondition,
    /// Since when this daemon has seen it so, without a break.
    pub since: Timestamp,
    /// When this daemon removes its record sets, unless another one has by then; `null` while it may not.
    pub removal_at: Option<Timestamp>,
}

/// What is wrong with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadCondition {
    /// It is not Ready.
    NotReady,
    /// There is no such Node object any more.
    Gone,
}

const fn first_version() -> u32 {
    1
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_the_manual_says() {
        let parse = |text| serde_json::from_str::<Message>(text).ok();
        assert_eq!(parse(r#"{"v":1,"request":"status"}"#), Some(Message { v: 1, request: Request::Status }));
        assert_eq!(parse(r#"{"request":"watch"}"#), Some(Message { v: 1, request: Request::Watch }));
        assert_eq!(parse(r#"{"v":7,"request":"watch","more":[]}"#), Some(Message { v: 7, request: Request::Watch }));
        assert_eq!(parse(r#"{"request":"resume"}"#), Some(Message { v: 1, request: Request::Resume }));
        let drain = DrainRequest { for_seconds: Some(1800), ..DrainRequest::default() };
        assert_eq!(
            parse(r#"{"v":1,"request":{"drain":{"for_seconds":1800,"later":true}}}"#),
            Some(Message { v: 1, request: Request::Drain(drain) })
        );
        assert_eq!(parse(r#"{"request":"delete"}"#), None);
    }
}
