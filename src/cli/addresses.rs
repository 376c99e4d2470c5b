//! `nodedns addresses`: every address of the host, and why it is or is not published.

use std::io::Write;

use anyhow::Context;

use crate::cli::render::{emit, emit_json, table, terminal_width};
use crate::control::protocol::AddressStatus;
use crate::control::translate;
use crate::decide::select::{AddressClass, AddressRules, assess};
use crate::watch::addresses::snapshot;

/// Shows the addresses that the host has now, judged for each of the classes. Needs no daemon.
///
/// # Errors
/// When the kernel cannot be asked or the output cannot be written.
pub async fn show(
    rules: &AddressRules,
    classes: &[AddressClass],
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let snapshot = snapshot().await.context("cannot read the host's addresses")?;
    let judged = |class: &AddressClass| translate::addresses(&assess(&snapshot, rules, *class), *class);
    let addresses: Vec<_> = classes.iter().flat_map(judged).collect();
    if json {
        emit_json(out, &addresses, false)?;
    } else {
        emit(out, &render(&addresses, terminal_width()))?;
    }
    Ok(())
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
