//! `nodedns iam-policy`: the least rights in AWS that the configuration needs.

pub mod document;

use std::io::Write;

use anyhow::Context;

use crate::cli::args::{IamPolicyArgs, Role};
use crate::cli::config::sources;
use crate::cli::exit::Exit;
use crate::cli::failure::report;
use crate::cli::iam_policy::document::{Names, Needs, Partition, PoolNeed};
use crate::cli::progress::{Progress, thousands};
use crate::cli::render::{emit, emit_json};
use crate::config::{Config, load};
use crate::decide::policy::RecordPolicy;
use crate::decide::record::ZoneRef;
use crate::publish::route53::Route53;

/// Stands for a node whose name does not matter.
const ANY_NODE: &str = "nodedns-any-node";

/// The most characters of a managed policy, white space aside. Source: IAM User Guide, "IAM and AWS
/// STS quotas".
pub const MANAGED_MAX: usize = 6144;

/// The most characters of all inline policies of a user together, white space aside. Source: ibidem.
pub const INLINE_MAX: usize = 2048;

/// What is to be said where nodes remove the record sets of dead ones.
const SURVIVORS_NOTE: &str = "note: [survivors] needs nothing more: the record sets of a dead node are at the same \
                              names, where UPSERT, CREATE and DELETE are allowed anyway\n";

/// Prints the policy. Asks AWS only where a record does not say its `zone_id`.
///
/// # Errors
/// When the configuration cannot be read or the output cannot be written. A hosted zone that cannot
/// be looked up is told here, with what to do about it.
pub fn run(args: &IamPolicyArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = load(&sources(&args.config))?.config;
    // Not for the watch of the Node, of which this knows nothing; for the names alone.
    let records = config.policy(args.node.as_deref().unwrap_or(ANY_NODE), false)?.records;
    let zone_ids = match zone_ids(&config, &records) {
        Ok(zone_ids) => zone_ids,
        Err(error) => {
            let exit = report(&error, err);
            emit(err, "hint: set 'zone_id' in every [[record]], then nothing has to be looked up\n")?;
            return Ok(exit);
        }
    };
    let needs = needs(&config, &records, zone_ids, args);
    let policy = document::policy(&needs);
    emit_json(out, &policy, false)?;
    let fleet: Vec<&str> = needs.pools.iter().filter_map(|pool| pool.names.pattern()).collect();
    if !fleet.is_empty() {
        emit(
            err,
            &format!(
                "note: {} allows every name that fits, whichever node it belongs to\n\
                 hint: 'nodedns iam-policy --node NAME' is for one node\n",
                fleet.join(" and ")
            ),
        )?;
    }
    if config.survivors.is_some() {
        emit(err, SURVIVORS_NOTE)?;
    }
    emit(err, &size_note(policy.size()))?;
    Ok(Exit::Ok)
}

/// What is to be said of a policy of this many characters.
pub fn size_note(size: usize) -> String {
    let count = thousands(size);
    match size {
        size if size <= INLINE_MAX => String::new(),
        size if size <= MANAGED_MAX => format!(
            "note: {count} characters without white space; the inline policies of a user may have {}, a managed policy {}\n",
            thousands(INLINE_MAX),
            thousands(MANAGED_MAX)
        ),
        _ => format!(
            "warning: {count} characters without white space, but a managed policy may have {}\n\
             hint: split the records among several configurations, and print a policy for each\n",
            thousands(MANAGED_MAX)
        ),
    }
}

/// The hosted zone's id of each record.
fn zone_ids(config: &Config, records: &[RecordPolicy]) -> anyhow::Result<Vec<String>> {
    let provider = Route53::new(config.route53.clone());
    let progress = Progress::new("looking up the hosted zones");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut zone_ids = Vec::with_capacity(records.len());
        for record in records {
            progress.say(format!("looking up the hosted zone of {}", record.name));
            let found = provider.zone_id(&record.zone, &record.name).await;
            zone_ids.push(found.with_context(|| format!("cannot look up the hosted zone of {}", record.name))?);
        }
        Ok(zone_ids)
    })
}

fn needs(config: &Config, records: &[RecordPolicy], zone_ids: Vec<String>, args: &IamPolicyArgs) -> Needs {
    let pools = config.records.iter().zip(records).zip(zone_ids).map(|((template, record), zone_id)| {
        let names = match args.node {
            None if template.name.contains("{node}") => {
                Names::like(&template.name.replace("{cluster}", &config.cluster))
            }
            _ => Names::exactly(&record.name),
        };
        PoolNeed { zone_id, names, types: record.types.clone() }
    });
    Needs {
        partition: Partition::of(config.route53.region.as_deref()),
        pools: pools.collect(),
        looks_up: records.iter().any(|record| !matches!(record.zone, ZoneRef::Id(_))),
        health_checks: records.iter().any(RecordPolicy::has_managed_check),
        operator: args.role == Role::Operator,
    }
}
