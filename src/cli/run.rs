//! `nodedns run`: how a dry run shows itself.

use std::io::{self, Write};
use std::net::IpAddr;

use crate::cli::args::RunArgs;
use crate::cli::render::terminal_width;
use crate::cli::{addresses, config, status};
use crate::config::Sources;
use crate::control::protocol::{AddressStatus, Intent, NodeCondition, RecordStatus, Status};
use crate::watch::clock;

/// Where the configuration comes from. A dry run says what it has to say on standard output, so
/// unless more is asked for only what is wrong goes to the log beside it.
pub fn sources(args: &RunArgs) -> Sources {
    let mut sources = config::run_sources(args);
    if args.dry_run && sources.flags.log_level.is_none() {
        sources.flags.log_level = Some("warn".to_owned());
    }
    sources
}

/// Prints the state of a dry run to `out` whenever something has changed that a reader would care
/// about: what would be published, and why everything else would not.
pub fn printer(mut out: impl Write + 'static) -> Box<dyn FnMut(&Status)> {
    let mut shown: Option<Shown> = None;
    Box::new(move |status| {
        let shows = Shown::of(status);
        if !status.records.iter().all(is_settled) || shown.as_ref() == Some(&shows) {
            return;
        }
        let again = shown.replace(shows).is_some();
        let now = clock::wall();
        let width = terminal_width();
        let time = if again { format!("\n{}\n", now.strftime("%H:%M:%S")) } else { String::new() };
        let text =
            format!("{time}{}\n{}", status::render(status, now, width), addresses::render(&status.addresses, width));
        // A reader that has gone does not end a daemon; it is asked to stop in other ways.
        let _: io::Result<()> = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    })
}

/// Whether nothing is on its way that is about to change this.
fn is_settled(record: &RecordStatus) -> bool {
    let waits = matches!(record.reason.as_str(), "pool_unknown" | "addresses_unknown" | "address_unconfirmed");
    let moves = matches!(record.intent, Intent::Publish | Intent::Withdraw) && !record.in_sync;
    record.last_error.is_some() || !(waits || moves)
}

/// What a reader would care about: everything but the times and the ids of changes.
#[derive(PartialEq)]
struct Shown {
    records: Vec<ShownRecord>,
    addresses: Vec<AddressStatus>,
    node: (NodeCondition, Option<bool>, Option<String>),
}

#[derive(PartialEq)]
struct ShownRecord {
    name: String,
    rtype: String,
    intent: Intent,
    reason: String,
    desired: Vec<IpAddr>,
    actual: Option<Vec<IpAddr>>,
}

impl Shown {
    fn of(status: &Status) -> Self {
        let record = |record: &RecordStatus| {
            let RecordStatus { name, rtype, intent, reason, desired, actual, .. } = record.clone();
            ShownRecord { name, rtype, intent, reason, desired, actual }
        };
        let kubernetes = &status.kubernetes;
        Shown {
            records: status.records.iter().map(record).collect(),
            addresses: status.addresses.clone(),
            node: (kubernetes.state, kubernetes.unschedulable, kubernetes.error.clone()),
        }
    }
}
