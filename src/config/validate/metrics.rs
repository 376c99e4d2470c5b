//! `[metrics]`.

use std::net::SocketAddr;
use std::path::{Path as FilePath, PathBuf};

use crate::config::MetricsSettings;
use crate::config::path::Path;
use crate::config::raw::RawMetrics;
use crate::config::validate::Judge;

/// What node_exporter's textfile collector reads.
const ENDING: &str = "prom";

pub(super) fn metrics(raw: &RawMetrics, judge: &mut Judge<'_>) -> MetricsSettings {
    let table = Path::default().key("metrics");
    MetricsSettings {
        listen: listen(&raw.listen, &table.key("listen"), judge),
        textfile: textfile(&raw.textfile, &table.key("textfile"), judge),
    }
}

fn listen(text: &str, path: &Path, judge: &mut Judge<'_>) -> Option<SocketAddr> {
    if text.is_empty() {
        return None;
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => return Some(address),
        Ok(_) => judge.advise(path, format!("{text:?} names no port"), "nobody could find a port that changes"),
        Err(_) => judge.advise(
            path,
            format!("{text:?} is not an IP address and a port"),
            "write it like \"127.0.0.1:9797\" or \"[::1]:9797\"; \"0.0.0.0:9797\" is every IPv4 address of the host, \
             \"[::]:9797\" every address",
        ),
    }
    None
}

fn textfile(text: &str, path: &Path, judge: &mut Judge<'_>) -> Option<PathBuf> {
    if text.is_empty() {
        return None;
    }
    let file = FilePath::new(text);
    if !file.is_absolute() {
        judge.advise(
            path,
            format!("{text:?} is not an absolute path"),
            "the daemon runs in another directory than you; write the whole path",
        );
    } else if text.ends_with('/') || file.extension().is_none_or(|ending| ending != ENDING) {
        judge.advise(
            path,
            format!("{text:?} does not name a file that ends in .prom"),
            "node_exporter reads no other, for example \"/var/lib/prometheus/node-exporter/nodedns.prom\"",
        );
    }
    Some(file.to_owned())
}
