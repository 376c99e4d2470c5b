//! `nodedns list`: every record set at the configured names, whose it is, and how its node is.

mod find;
mod render;
mod view;

use std::io::Write;

use crate::cli::args::ListArgs;
use crate::cli::config::sources_with;
use crate::cli::exit::Exit;
use crate::cli::list::find::{Found, Scope, find};
use crate::cli::pools::{Names, parse};
use crate::cli::progress::Progress;
use crate::cli::render::{emit, emit_value, terminal_width};
use crate::config::{Config, Sources, Switch, load};
use crate::decide::inventory::{NodeCondition, PoolInventory, Viewpoint, inventory};
use crate::decide::observed::Observed;
use crate::publish::Provider;
use crate::publish::route53::Route53;
use crate::watch::identity::{Access, Identity};
use crate::watch::node::once::{LIMIT, NodeList, ReadError};

pub use render::render;
pub use view::{Failure, Listed, NodesError, NodesView, Owner, PoolView, SetView};

/// Shows the pools at the configured names, or with `--all-zones` every pool of the account that nodedns of
/// any cluster has written to. What could not be read is told, and the rest shown.
///
/// # Errors
/// When the configuration cannot be read, nothing of Route 53 can be
/// ([`ProviderError`](crate::decide::provider::ProviderError)), or the output cannot be written.
pub fn run(args: &ListArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let sources = sources_with(&args.config, &args.kubeconfig);
    let loaded = load(&Sources { allow_nothing: args.all_zones, ..sources })?;
    let (config, has_cluster) = (&loaded.config, loaded.names_cluster());
    // A desk need not be called what a node may be.
    let node = Identity::find(config).ok().map(|identity| identity.node().to_owned());
    let (names, scope) = match args.all_zones {
        // The records only say what takes a node out of a pool.
        true => {
            let names = Names::new(config, node.as_deref()).unwrap_or_else(|_| Names::none(config));
            (names, Scope::AllZones(args.names.iter().map(|text| parse(text)).collect::<Result<_, _>>()?))
        }
        false => {
            let names = Names::new(config, node.as_deref())?;
            let chosen = names.chosen(&args.names)?;
            (names, Scope::Configured(chosen))
        }
    };
    let provider = Route53::new(config.route53.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (found, nodes) = runtime.block_on(look(&scope, &names, config, has_cluster, &provider));
    let mut found = found?;
    if let Some((what, error)) = found.failures.first().filter(|_| found.read == 0) {
        return Err(anyhow::Error::new(error.clone()).context(format!("cannot read {what}")));
    }

    let known = nodes.as_ref().map_or(Observed::Unknown, |list| Observed::Known(&list.nodes));
    let places = found.places(&names, known.known().copied());
    let Found { failures, mut remarks, .. } = found;
    let cluster = has_cluster.then_some(config.cluster.as_str());
    let pools =
        inventory(places, Viewpoint { cluster, node: node.as_deref(), keep_nodes: Some(&config.keep_nodes) }, known);
    remarks.extend(nodes.as_ref().ok().and_then(|list| doubt(&pools, list)));
    let listed = Listed::new(cluster, node.as_deref(), &nodes, &pools, &failures, remarks);
    match args.output.structured() {
        Some(format) => emit_value(out, &listed, format)?,
        None => emit(out, &render(&listed, terminal_width()))?,
    }
    emit(err, &render::warnings(&listed, args.output.structured().is_some()))?;
    Ok(if failures.is_empty() { Exit::Ok } else { Exit::Failed })
}

/// Why it is not known how the nodes are.
pub(super) enum Blind {
    /// The configuration names no cluster.
    NoCluster,
    /// The configuration switches Kubernetes off.
    Off,
    /// There is no kubeconfig.
    NoKubeconfig,
    /// The nodes could not be read.
    Unread(ReadError),
}

/// Reads Route 53 and the nodes, side by side.
async fn look<P: Provider>(
    scope: &Scope,
    names: &Names<'_>,
    config: &Config,
    has_cluster: bool,
    provider: &P,
) -> (anyhow::Result<Found>, Result<NodeList, Blind>) {
    let progress = Progress::new("reading Route 53");
    let nodes = async {
        if !has_cluster {
            return Err(Blind::NoCluster);
        }
        let _waiting = progress.waiting("reading the Nodes from the API server");
        match Access::find(config) {
            Some(access) => access.nodes(LIMIT).await.map_err(Blind::Unread),
            None if config.kubernetes.enabled == Switch::Off => Err(Blind::Off),
            None => Err(Blind::NoKubeconfig),
        }
    };
    tokio::join!(find(scope, names, provider, &progress), nodes)
}

/// A list of nodes in which none of the owners is may well be another cluster's.
fn doubt(pools: &[PoolInventory], list: &NodeList) -> Option<String> {
    let conditions = || pools.iter().flat_map(|pool| &pool.entries).map(|entry| entry.condition);
    let joined = conditions().filter(|condition| *condition != NodeCondition::Unknown).count();
    let gone = conditions().filter(|condition| *condition == NodeCondition::Gone).count();
    (joined > 0 && joined == gone).then(|| {
        format!(
            "none of the owners is among the {} nodes that the API server at {} lists: is {} the kubeconfig of this cluster?",
            list.nodes.len(),
            list.server,
            list.kubeconfig.display()
        )
    })
}
