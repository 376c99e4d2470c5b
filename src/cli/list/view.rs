//! What `nodedns list` shows, for programs.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::list::Blind;
use crate::control::protocol::Routing;
use crate::decide::inventory::{Entry, PoolInventory};
use crate::decide::provider::ProviderError;
use crate::decide::prune::NOT_A_NODE;
use crate::decide::record::{Target, Value};
use crate::watch::node::once::NodeList;

/// Every pool that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The own cluster's name; `null` where none is configured, and then every owner is of another one.
    pub cluster: Option<String>,
    /// The own node's name; `null` where this host has none.
    pub node: Option<String>,
    /// Whether somebody should look at one of the record sets; `null` when that is not known.
    pub needs_attention: Option<bool>,
    /// The list of nodes that the owners were joined with; `null` when it is not known.
    pub nodes: Option<NodesView>,
    /// Why it is not known; `null` when it is.
    pub nodes_error: Option<NodesError>,
    /// The pools: what needs attention first, then by zone, name and type.
    pub pools: Vec<PoolView>,
    /// What could not be read.
    pub errors: Vec<Failure>,
    /// What else there is to know, each a sentence for people.
    pub remarks: Vec<String>,
}

/// Where the nodes were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodesView {
    /// How many there are.
    pub count: usize,
    /// The API server's URL.
    pub server: String,
    /// The kubeconfig that led there.
    pub kubeconfig: PathBuf,
}

/// Why the nodes are not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodesError {
    /// `no_cluster`, `switched_off`, `no_kubeconfig`, `bad_configuration`, `bad_kubeconfig`,
    /// `not_permitted`, `unreachable` or `wrong_answer`. The first three are how things are meant to be.
    pub kind: &'static str,
    /// What is wrong, and where.
    pub message: String,
    /// What to do about it; `null` where nothing is known to help.
    pub hint: Option<String>,
}

impl NodesError {
    fn of(blind: &Blind) -> Self {
        let (kind, message, hint) = match blind {
            Blind::NoCluster => (
                "no_cluster",
                "no cluster is configured".to_owned(),
                Some("set 'cluster' in the configuration, or $NODEDNS_CLUSTER".to_owned()),
            ),
            Blind::Off => ("switched_off", "kubernetes.enabled is false".to_owned(), None),
            Blind::NoKubeconfig => (
                "no_kubeconfig",
                "no kubeconfig was found".to_owned(),
                Some("name it with --kubeconfig, in $KUBECONFIG or in kubernetes.kubeconfig".to_owned()),
            ),
            Blind::Unread(error) => (error.kind.as_str(), error.summary().to_owned(), error.hint().map(str::to_owned)),
        };
        NodesError { kind, message, hint }
    }

    /// Whether it is as it is meant to be, rather than a failure.
    pub fn is_meant(&self) -> bool {
        matches!(self.kind, "no_cluster" | "switched_off" | "no_kubeconfig")
    }
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What: a name, or a hosted zone.
    pub what: String,
    /// `throttled`, `busy`, `denied`, `credentials`, `no_such_zone`, `refused`, `unavailable` or `unconfirmed`.
    pub kind: &'static str,
    /// Why.
    pub message: String,
}

/// All record sets at one name and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolView {
    /// The name, without the trailing dot.
    pub name: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub rtype: &'static str,
    /// The hosted zone's id.
    pub zone_id: String,
    /// Whether somebody should look at one of the record sets; `null` when that is not known.
    pub needs_attention: Option<bool>,
    /// The record sets: what needs attention first, then by set identifier.
    pub sets: Vec<SetView>,
}

/// One record set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetView {
    /// Its set identifier; `null` for a simple record set.
    pub set_identifier: Option<String>,
    /// Whose it is; `null` when not written by nodedns.
    pub owner: Option<Owner>,
    /// `own`, `sibling`, `foreign_cluster` or `foreign`.
    pub relation: &'static str,
    /// `ready`, `cordoned`, `not_ready`, `gone` or `unknown`.
    pub node_state: &'static str,
    /// Why the state is `unknown` although the nodes are known: `not a Kubernetes node, by prune.keep_nodes`;
    /// otherwise `null`.
    pub node_state_reason: Option<&'static str>,
    /// For how many seconds the node has not been Ready; `null` when it is, and when that is not known.
    pub not_ready_seconds: Option<u64>,
    /// Whether the Node is being deleted.
    pub deleting: bool,
    /// Why somebody should look at it: `gone`, `not_ready`, `deleting` or `cordoned`; `null`: nobody needs to.
    pub attention: Option<&'static str>,
    /// What it answers with; empty for an alias.
    pub values: Vec<String>,
    /// The name that an alias points to; `null` when it is none.
    pub alias: Option<String>,
    /// The traffic policy instance that has made it; `null` when none has.
    pub traffic_policy_instance_id: Option<String>,
    /// Time to live in seconds; `null` for an alias.
    pub ttl: Option<u32>,
    /// The routing policy, in the words of the configuration file.
    pub routing: Routing,
    /// The health check that decides whether it is answered.
    pub health_check_id: Option<String>,
    /// The routing policy as one phrase.
    #[serde(skip)]
    pub routing_phrase: String,
}

/// Whose a record set is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The cluster.
    pub cluster: String,
    /// The node.
    pub node: String,
}

impl Listed {
    /// What was found out.
    pub(super) fn new(
        cluster: Option<&str>,
        node: Option<&str>,
        nodes: &Result<NodeList, Blind>,
        pools: &[PoolInventory],
        failures: &[(String, ProviderError)],
        remarks: Vec<String>,
    ) -> Self {
        let seen = |list: &NodeList| NodesView {
            count: list.nodes.len(),
            server: list.server.clone(),
            kubeconfig: list.kubeconfig.clone(),
        };
        let failure = |(what, error): &(String, ProviderError)| Failure {
            what: what.clone(),
            kind: error.kind.as_str(),
            message: error.to_string(),
        };
        Listed {
            cluster: cluster.map(str::to_owned),
            node: node.map(str::to_owned),
            needs_attention: overall(pools, !failures.is_empty()),
            nodes: nodes.as_ref().ok().map(seen),
            nodes_error: nodes.as_ref().err().map(NodesError::of),
            pools: pools.iter().map(PoolView::from).collect(),
            errors: failures.iter().map(failure).collect(),
            remarks,
        }
    }
}

/// Whether one of the pools needs attention; `None` when that is not known. What could not be read may.
fn overall(pools: &[PoolInventory], unread: bool) -> Option<bool> {
    let known: Vec<_> = pools.iter().map(PoolInventory::needs_attention).collect();
    match known.contains(&Some(true)) {
        true => Some(true),
        false => (!unread && !known.contains(&None)).then_some(false),
    }
}

impl From<&PoolInventory> for PoolView {
    fn from(pool: &PoolInventory) -> Self {
        PoolView {
            name: pool.name.to_string(),
            rtype: pool.rtype.as_str(),
            zone_id: pool.zone_id.clone(),
            needs_attention: pool.needs_attention(),
            sets: pool.entries.iter().map(SetView::from).collect(),
        }
    }
}

impl From<&Entry> for SetView {
    fn from(entry: &Entry) -> Self {
        let set = &entry.set;
        let (mut values, mut alias, mut instance) = (Vec::new(), None, None);
        match &set.target {
            Target::Values { values: listed, .. } => {
                values = listed.iter().map(Value::as_str).map(str::to_owned).collect();
            }
            Target::Alias { dns_name, .. } => {
                alias = Some(dns_name.strip_suffix('.').unwrap_or(dns_name).to_owned());
            }
            Target::TrafficPolicyInstance(id) => instance = Some(id.clone()),
        }
        SetView {
            set_identifier: set.set_identifier.as_ref().map(ToString::to_string),
            owner: entry
                .owner
                .as_ref()
                .map(|owner| Owner { cluster: owner.cluster().to_owned(), node: owner.node().to_owned() }),
            relation: entry.relation.as_str(),
            node_state: entry.condition.as_str(),
            node_state_reason: entry.is_no_node.then_some(NOT_A_NODE),
            not_ready_seconds: entry.not_ready_for.map(|lasted| lasted.as_secs()),
            deleting: entry.deleting,
            attention: entry.attention.map(|attention| attention.as_str()),
            values,
            alias,
            traffic_policy_instance_id: instance,
            ttl: set.ttl(),
            routing: Routing::from(&set.routing),
            health_check_id: set.health_check_id.clone(),
            routing_phrase: set.routing.to_string(),
        }
    }
}
