//! Logging: journald with structured fields where the journal listens, standard error elsewhere.

use std::io;

use rustix::fs::fstat;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// Where the log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Output {
    /// To journald when standard error is connected to it, else to standard error.
    #[default]
    Auto,
    /// To journald.
    Journald,
    /// To standard error.
    Stderr,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one; the text.
    #[error("'{0}' is no log filter: use error, warn, info, debug or trace, or directives such as 'info,hyper=debug'")]
    Filter(String),
    /// The journal was asked for by name but does not listen.
    #[error("the journal cannot be reached at /run/systemd/journal/socket")]
    Journal(#[source] io::Error),
    /// The process has a logger already.
    #[error("logging is set up already")]
    AlreadySet(#[source] tracing_subscriber::util::TryInitError),
}

/// Sets up logging for the rest of the process.
///
/// `filter` is a level for nodedns itself (`info`), the libraries beneath it staying at warnings,
/// or directives as tracing-subscriber's `EnvFilter` reads them (`info,kube_client=debug`). The
/// libraries that repeat secrets are heard only when a directive names them.
///
/// # Errors
/// When the filter cannot be read, when journald is asked for and not there, or on a second call.
pub fn init(filter: &str, output: Output) -> Result<(), Error> {
    let filter = parse_filter(filter)?;
    let (journald, note) = match output {
        Output::Stderr => (None, None),
        Output::Journald => (Some(journald().map_err(Error::Journal)?), None),
        Output::Auto if stderr_is_journal() => match journald() {
            Ok(layer) => (Some(layer), None),
            // What is written to standard error arrives there too, only without fields.
            Err(error) => (None, Some(error)),
        },
        Output::Auto => (None, None),
    };
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match journald {
        Some(layer) => layer.boxed(),
        None => stderr(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).try_init().map_err(Error::AlreadySet)?;
    if let Some(error) = note {
        tracing::warn!(%error, "the journal's socket cannot be reached, so log lines carry no fields: {error}");
    }
    Ok(())
}

/// The libraries are heard when something is wrong, except those that quote what may hold secrets:
/// the Kubernetes client whole answers that it cannot read, the AWS configuration what a
/// `credential_process` printed, and its reader lines of the files. What matters of them is said by
/// the watcher of the Node and by the error of the request.
const LIBRARIES: &str = "warn,kube_client=off,kube_runtime=off,aws_config=off,aws_runtime::env_config::normalize=off";

fn parse_filter(text: &str) -> Result<EnvFilter, Error> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let directives = if plain { format!("{LIBRARIES},nodedns={text}") } else { format!("{LIBRARIES},{text}") };
    // The parser would take nothing for everything.
    let parsed = if text.is_empty() { None } else { EnvFilter::builder().parse(directives).ok() };
    parsed.ok_or_else(|| Error::Filter(text.to_owned()))
}

fn journald() -> io::Result<tracing_journald::Layer> {
    Ok(tracing_journald::layer()?
        .with_field_prefix(Some("NODEDNS".to_owned()))
        .with_syslog_identifier("nodedns".to_owned())
        .with_priority_mappings(priorities()))
}

/// Syslog's own meaning of the words: the layer's default would make every `info` a notice.
fn priorities() -> PriorityMappings {
    PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    }
}

fn stderr() -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(false).with_target(false);
    // The journal has a time of its own.
    if stderr_is_journal() { layer.without_time().boxed() } else { layer.boxed() }
}

/// A text for standard error that says why the process fails: the journal's stream has each line take its priority
/// from what is in front of it (sd-daemon(3)), and would make it information.
pub fn failure(text: &str) -> String {
    if !stderr_is_journal() {
        return text.to_owned();
    }
    text.lines().map(|line| format!("<3>{line}\n")).collect()
}

/// Whether standard error is the journal's stream socket, which systemd announces as device and
/// inode in `JOURNAL_STREAM` (systemd.exec(5)). The variable alone says nothing: it is inherited
/// by children whose standard error has gone elsewhere.
fn stderr_is_journal() -> bool {
    let Some(announced) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    fstat(io::stderr())
        .is_ok_and(|stat| announced.to_str().is_some_and(|text| is_stream(text, stat.st_dev, stat.st_ino)))
}

/// Whether `announced` is `device:inode`.
fn is_stream(announced: &str, device: u64, inode: u64) -> bool {
    announced.split_once(':').is_some_and(|(announced_device, announced_inode)| {
        announced_device.parse() == Ok(device) && announced_inode.parse() == Ok(inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_nodedns_and_leaves_the_libraries_at_warnings() {
        let filter = |text| parse_filter(text).expect(text).to_string();
        let mut directives: Vec<_> = filter("debug").split(',').map(str::to_owned).collect();
        directives.sort();
        let quiet = ["aws_config=off", "aws_runtime::env_config::normalize=off", "kube_client=off", "kube_runtime=off"];
        assert_eq!(directives, [&quiet[..], &["nodedns=debug", "warn"]].concat());
        let chosen = filter("info,kube_client=debug");
        assert!(chosen.contains("kube_client=debug") && chosen.contains("info"), "{chosen}");
        assert!(!chosen.contains("warn") && !chosen.contains("kube_client=off"), "{chosen}");
        // A level for everything does not open the mouths that have to be shut.
        assert!(filter("debug,hyper=info").contains("aws_config=off"));
    }

    #[test]
    fn nonsense_is_refused_with_the_words_that_are_allowed() {
        for text in ["loud", "", "nodedns=loud", "info,=,"] {
            let error = parse_filter(text).map(|filter| filter.to_string()).expect_err(text);
            assert!(error.to_string().contains("debug or trace"), "{error}");
        }
    }

    #[test]
    fn the_journal_is_recognised_by_device_and_inode() {
        assert!(is_stream("8:12345", 8, 12345));
        for other in ["8:12346", "9:12345", "8", "", ":", "8:", "8:12345:1", "a:b"] {
            assert!(!is_stream(other, 8, 12345), "{other}");
        }
    }
}
