//! `nodedns addresses`: every address of the host, and why it is or is not published.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::Context;

use crate::cli::args::{AddressesArgs, Class, ConfigFile};
use crate::cli::config::sources;
use crate::cli::exit::Exit;
use crate::cli::render::{emit, emit_value, table, terminal_width};
use crate::config::{Problems, Sources, load};
use crate::control::protocol::AddressStatus;
use crate::control::translate;
use crate::decide::select::{AddressClass, AddressRules, assess};
use crate::watch::addresses::snapshot;

/// Shows the addresses that the host has now, judged for each class that a record asks for. Needs
/// no daemon, and without a configuration judges as an empty one would.
///
/// # Errors
/// When there is a configuration that cannot be read, the kernel cannot be asked or the output
/// cannot be written.
pub fn run(args: &AddressesArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let (rules, configured) = configuration(&args.config)?;
    let classes = args.class.map_or(configured, |class| vec![class.into()]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let snapshot = runtime.block_on(snapshot()).context("cannot read the host's addresses")?;
    let judged = |class: &AddressClass| translate::addresses(&assess(&snapshot, &rules, *class), *class);
    let addresses: Vec<_> = classes.iter().flat_map(judged).collect();
    match args.output.structured() {
        Some(format) => emit_value(out, &addresses, format)?,
        None => emit(out, &render(&addresses, terminal_width()))?,
    }
    Ok(Exit::Ok)
}

/// The `[addresses]` table, and the classes of the records or, without any, the default one.
fn configuration(file: &ConfigFile) -> Result<(AddressRules, Vec<AddressClass>), Problems> {
    let config = load(&Sources { allow_nothing: true, ..sources(file) })?.config;
    let mut classes: BTreeSet<_> = config.records.iter().map(|record| record.policy.class).collect();
    if classes.is_empty() {
        classes.insert(AddressClass::default());
    }
    Ok((config.addresses, classes.into_iter().collect()))
}

impl From<Class> for AddressClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Global => AddressClass::Global,
            Class::Private => AddressClass::Private,
            Class::Shared => AddressClass::Shared,
            Class::Any => AddressClass::Any,
        }
    }
}

/// The addresses as a table, one for each class.
pub fn render(addresses: &[AddressStatus], width: Option<usize>) -> String {
    let mut text = String::new();
    for of_class in addresses.chunk_by(|a, b| a.class == b.class) {
        if let Some(first) = of_class.first() {
            let blank = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{blank}for records of class \"{}\":\n\n", first.class));
        }
        let rows: Vec<_> = of_class.iter().map(row).collect();
        text.push_str(&table(&["ADDRESS", "INTERFACE", "PUBLISHED", "WHY"], &rows, width));
    }
    if text.is_empty() {
        text.push_str("the host has no addresses\n");
    }
    text
}

fn row(address: &AddressStatus) -> Vec<String> {
    let published = match (address.chosen, address.publishable) {
        (true, _) => "yes",
        (false, true) => "spare",
        (false, false) => "no",
    };
    vec![
        format!("{}/{}", address.address, address.prefix_len),
        address.interface.clone(),
        published.to_owned(),
        address.explanation.clone(),
    ]
}
