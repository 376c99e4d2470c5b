//! `nodedns check`: everything that nodedns needs, and what to do about what is missing.
//!
//! Each check is one [`Finding`], told as soon as it is found out. None hides another:
//! what depends on something that has failed is there too, as not checked, with why. Every wait has a
//! limit, and all of them together have one ([`Findings::wait`]).

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use crate::cli::args::CheckArgs;
use crate::cli::config::sources_with;
use crate::cli::exit::Exit;
use crate::cli::render::{emit_value, terminal_width};
use crate::config::{Config, salvage};
use crate::decide::policy::Policy;
use crate::publish::route53::Route53;
use crate::publish::route53::files::STORE;
use crate::watch::node::kubeconfig::Environment;

use account::Account;
use findings::{Finding, Findings, Section};
use ids::Id;
use render::{Style, is_utf8};

pub mod account;
mod aws;
mod configuration;
mod dns;
pub mod findings;
pub mod ids;
pub mod kubernetes;
mod names;
pub mod node;
pub mod rbac;
mod reader;
pub mod render;

/// What the checks of AWS, the hosted zones and the names start from.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The configuration. Where it has mistakes, what could be made of it: good enough to reach Route
    /// 53, but its records are not those that are meant.
    pub config: &'a Config,
    /// What this node would publish; or why nobody can tell, for people.
    pub policy: Result<Policy, String>,
    /// Whom to ask who serves the hosted zones, instead of the resolvers of this host.
    pub resolver: Option<SocketAddr>,
}

/// Checks everything, and changes nothing.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &CheckArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let format = args.output.structured();
    let style = Style { width: terminal_width(), unicode: is_utf8(|name| std::env::var(name).ok()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let checked = runtime.block_on(async {
        let mut findings = Findings::new(if format.is_none() { Some((&mut *out, style)) } else { None });
        let is_mistaken = check(args, &mut findings).await;
        let exit = match findings.counts().failed {
            _ if is_mistaken => Exit::BadConfig,
            0 => Exit::Ok,
            _ => Exit::Differs,
        };
        findings.end().map(|report| (report, exit))
    });
    // A name that nobody answers for is still being looked up, by the C library, in a thread of the runtime.
    runtime.shutdown_background();
    let (report, exit) = checked?;
    if let Some(format) = format {
        emit_value(out, &report, format)?;
    }
    Ok(exit)
}

/// Runs every check. Says whether the configuration has mistakes.
async fn check(args: &CheckArgs, findings: &mut Findings<'_>) -> bool {
    let (loaded, problems) = salvage(&sources_with(&args.config, &args.kubeconfig));
    let daemon = Account::of_daemon();
    findings.begin(Section::Configuration);
    problems.iter().for_each(|problems| configuration::mistakes(problems, findings));
    // There always is something to make of it.
    let Some(loaded) = loaded else { return true };
    let config = &loaded.config;
    if problems.is_none() {
        configuration::files(&loaded, daemon.as_ref(), findings);
        configuration::suspicions(config).into_iter().for_each(|finding| findings.add(finding));
    }

    findings.begin(Section::Node);
    let credentials = Environment::of_process().credentials_directory;
    node::process(daemon.as_ref(), credentials.as_deref()).into_iter().for_each(|finding| findings.add(finding));
    node::exposed(Path::new(STORE)).into_iter().for_each(|finding| findings.add(finding));
    let identity = node::identity(config, findings);
    let mut mistaken = problems.is_some();
    let policy = match &identity {
        _ if mistaken => Err("the configuration has mistakes".to_owned()),
        None => Err("the node's name is not known".to_owned()),
        Some(identity) => config.policy(identity.node(), identity.node_watch().is_some()).map_err(|problems| {
            mistaken = true;
            configuration::mistakes(&problems, findings);
            "the configuration does not go with the node's name".to_owned()
        }),
    };
    let known = policy.as_ref().ok();
    match &policy {
        Ok(policy) => {
            findings.add(node::owner(&policy.owner));
            node::addresses(policy, findings).await;
        }
        Err(why) => findings.add(Finding::skipped(Id::RecordAddress, "records", format!("not checked: {why}"))),
    }
    findings.add(node::state_directory(&config.state_directory, daemon.as_ref()));
    node::daemon(&config.socket, known.map(|policy| &policy.owner), findings).await;

    findings.begin(Section::Kubernetes);
    match &identity {
        Some(identity) => kubernetes::check(config, identity, known, findings).await,
        None => findings.add(Finding::skipped(Id::OwnNode, "own Node", "not asked for: its name is not known")),
    }

    let scene = Scene { config, policy, resolver: args.resolver };
    aws::check(&scene, &Route53::new(config.route53.clone()), findings).await;
    mistaken
}
