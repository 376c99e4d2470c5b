//! The signal `probe`: what is asked, of whom, and how often.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::Uri;

use super::signals::global_path;
use super::{Judge, number};
use crate::config::path::Path;
use crate::config::raw::{Action, RawProbe};
use crate::config::{Span, host_name};
use crate::decide::probe::{DEFAULT_FAILURES, DEFAULT_INTERVAL, DEFAULT_TIMEOUT, HttpProbe, Probe, ProbeCheck};

/// The longest text that can be looked for, as with Route 53's own health checks.
const CONTAINS_MAX: usize = 255;

/// The least time between two attempts.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Judges what can be said of one table alone.
pub(super) fn judge_entry(entry: &RawProbe, path: &Path, judge: &mut Judge<'_>) {
    if let Some(interval) = entry.interval {
        judge.within(&path.key("interval"), interval, INTERVAL_MIN, Duration::from_secs(60 * 60));
    }
    if let Some(timeout) = entry.timeout {
        judge.within(&path.key("timeout"), timeout, Duration::from_millis(10), Duration::from_secs(60));
    }
    if let Some(failures) = entry.failures {
        number::<u32>(failures, 1, 100, &path.key("failures"), judge);
    }
    if let Some(text) = entry.contains.as_ref().filter(|text| text.is_empty() || text.len() > CONTAINS_MAX) {
        judge.complain(&path.key("contains"), format!("{} bytes are not between 1 and {CONTAINS_MAX}", text.len()));
    }
    if let Some(host) = &entry.host
        && host.parse::<IpAddr>().is_err()
    {
        match host_name::parse(host) {
            Err(refused) => judge.complain(&path.key("host"), refused.message),
            Ok(_) if host.contains('*') => judge.complain(&path.key("host"), "a wildcard cannot be asked for"),
            Ok(_) => {}
        }
    }
    match (&entry.tcp, &entry.http) {
        (Some(_), Some(_)) => judge.complain(path, "takes exactly one of 'tcp' and 'http'"),
        (Some(text), None) => {
            socket_address(text, &path.key("tcp"), judge);
        }
        (None, Some(text)) => {
            url(text, &path.key("http"), judge);
        }
        (None, None) => {}
    }
}

/// The probe of one record, if there is anything to ask and anything to do about the answer.
pub(super) fn of_record(
    global: &RawProbe,
    own: Option<&RawProbe>,
    path: &Path,
    judge: &mut Judge<'_>,
) -> Option<Probe> {
    let entry = own.map_or_else(|| global.clone(), |own| own.over(global));
    if let Some(own) = own {
        judge_entry(own, path, judge);
    }
    let ignored = entry.action == Some(Action::Ignore);
    if !entry.has_check() && own.is_some() && !ignored {
        let broken = ["tcp", "http"].iter().any(|key| judge.is_broken(&path.key(key)));
        if !broken {
            judge.advise(
                path,
                "there is nothing to probe",
                "add tcp = \"127.0.0.1:443\" or http = \"http://127.0.0.1/\"",
            );
        }
        return None;
    }
    // What is wrong with the file's own entry is said there, once, and not of each record.
    let global_path = global_path().key("probe");
    let place = |said: fn(&RawProbe) -> bool| if own.is_some_and(said) { path } else { &global_path };
    let (interval, timeout) =
        (entry.interval.map_or(DEFAULT_INTERVAL, |span| span.0), entry.timeout.map_or(DEFAULT_TIMEOUT, |span| span.0));
    if timeout > interval && interval >= INTERVAL_MIN {
        let table = place(|own| own.timeout.is_some() || own.interval.is_some());
        let key = if judge.is_set(&table.key("timeout")) { "timeout" } else { "interval" };
        let message = format!("timeout = \"{}\" is longer than interval = \"{}\"", Span(timeout), Span(interval));
        judge.complain_once(&table.key(key), message);
    }
    if entry.tcp.is_some() && entry.http.is_none() {
        let message = || "belongs to 'http'; the check is 'tcp'".to_owned();
        if entry.host.is_some() {
            judge.complain_once(&place(|own| own.host.is_some()).key("host"), message());
        }
        if entry.contains.is_some() {
            judge.complain_once(&place(|own| own.contains.is_some()).key("contains"), message());
        }
    }
    let check = match (&entry.tcp, &entry.http) {
        (Some(text), None) => ProbeCheck::Tcp(text.parse().ok()?),
        (None, Some(text)) => {
            let Url { tls, address, authority, path } = read_url(text).ok()?;
            ProbeCheck::Http(HttpProbe {
                tls,
                address,
                host: entry.host.clone().unwrap_or(authority),
                path,
                contains: entry.contains.clone(),
            })
        }
        _ => return None,
    };
    let failures = entry.failures.and_then(|failures| u32::try_from(failures).ok()).unwrap_or(DEFAULT_FAILURES);
    (!ignored).then_some(Probe { check, interval, timeout, failures })
}

fn socket_address(text: &str, path: &Path, judge: &mut Judge<'_>) {
    let hint = "write address and port, like \"127.0.0.1:443\" or \"[::1]:443\"";
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => judge.advise(path, format!("{text:?} has no port to connect to"), hint),
        Ok(address) if address.ip().is_unspecified() => {
            judge.advise(path, format!("{text:?} is no address to connect to"), hint);
        }
        Ok(_) => {}
        Err(_) if text.parse::<IpAddr>().is_ok() => judge.advise(path, format!("{text:?} has no port"), hint),
        Err(_) if text.parse::<u16>().is_ok() => judge.advise(path, format!("{text:?} has no address"), hint),
        Err(_) => judge.advise(path, format!("{text:?} is not an address with a port"), hint),
    }
}

fn url(text: &str, path: &Path, judge: &mut Judge<'_>) {
    if text.contains('@') {
        // The value is left out: it would hold the password.
        return judge.complain(path, "user and password do not belong in the URL");
    }
    if let Err(why) = read_url(text) {
        judge.advise(
            path,
            format!("{text:?} {why}"),
            "write it like \"https://127.0.0.1:8443/healthz\"; a name to ask for goes into 'host'",
        );
    }
}

/// A URL that can be probed.
struct Url {
    tls: bool,
    address: SocketAddr,
    /// The address, with the port where it is written.
    authority: String,
    /// Path and query.
    path: String,
}

fn read_url(text: &str) -> Result<Url, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "is not a URL")?;
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        Some(_) | None => return Err("is not a URL of http or https"),
    };
    let authority = uri.authority().ok_or("has no address")?;
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    let ip: IpAddr = bare.parse().map_err(|_| "has a name where an address is wanted")?;
    if ip.is_unspecified() {
        return Err("has no address to connect to");
    }
    let port = match authority.port() {
        Some(port) => port.as_u16(),
        None if authority.as_str() == host => {
            if tls {
                443
            } else {
                80
            }
        }
        None => 0,
    };
    if port == 0 {
        return Err("has no port to connect to");
    }
    if text.contains('#') {
        return Err("has a fragment, which is never sent");
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(Url {
        tls,
        address: SocketAddr::new(ip, port),
        authority: authority.as_str().to_owned(),
        path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
    })
}
