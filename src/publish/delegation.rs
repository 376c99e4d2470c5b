//! Who serves a zone, as far as resolvers know: the one question that is asked over DNS itself.
//!
//! Route 53 takes record sets into a zone that nobody is sent to without a word. So a resolver is asked
//! for the NS record set of the zone's name, and its answer compared with the name servers that Route
//! 53 has given the zone.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name, ToName};
use domain::net::client::protocol::{TcpConnect, UdpConnect};
use domain::net::client::request::{RequestMessage, SendRequest};
use domain::net::client::{dgram, dgram_stream, multi_stream, stream};
use domain::rdata::Ns;
use tokio::time::timeout;

use crate::decide::name::DnsName;

/// How long one resolver has for its answer over UDP, before it is asked once more.
const UDP_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long one resolver has altogether, over TCP too.
const RESOLVER_TIMEOUT: Duration = Duration::from_secs(4);

/// As many resolvers as the C library asks. Source: resolv.conf(5), MAXNS.
const MOST_RESOLVERS: usize = 3;

/// Where the resolvers of this host are named.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What a resolver says of a zone's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// These name servers serve it.
    By(BTreeSet<DnsName>),
    /// The name exists, but no zone begins there.
    NoZone,
    /// There is no such name (NXDOMAIN).
    NoName,
}

/// What that means for a hosted zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delegation {
    /// To this zone.
    Here,
    /// To name servers some of which are the zone's: those that are, and those that are not.
    Partly {
        /// The zone's.
        ours: BTreeSet<DnsName>,
        /// Others, which know nothing of the zone.
        others: BTreeSet<DnsName>,
    },
    /// To none of the zone's name servers, but to these.
    Elsewhere(BTreeSet<DnsName>),
    /// To nobody.
    Nowhere(Served),
}

/// Compares what a resolver says with the name servers of a hosted zone. A zone that is served by some
/// of them only is still served by nobody else.
pub fn compare(served: &Served, zone: &BTreeSet<DnsName>) -> Delegation {
    let Served::By(servers) = served else { return Delegation::Nowhere(served.clone()) };
    let ours: BTreeSet<DnsName> = servers.intersection(zone).cloned().collect();
    let others: BTreeSet<DnsName> = servers.difference(zone).cloned().collect();
    match (ours.is_empty(), others.is_empty()) {
        (_, true) => Delegation::Here,
        (true, false) => Delegation::Elsewhere(others),
        (false, false) => Delegation::Partly { ours, others },
    }
}

/// The resolvers of this host, as /etc/resolv.conf names them; without one that of the host itself,
/// as the C library has it.
///
/// # Errors
/// The file is there and cannot be read.
pub fn resolvers() -> io::Result<Vec<SocketAddr>> {
    match fs::read_to_string(RESOLV_CONF) {
        Ok(text) => Ok(named_in(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(named_in("")),
        Err(error) => Err(error),
    }
}

/// The resolvers in the text of a resolv.conf(5). Lines that are nothing else are passed over.
fn named_in(text: &str) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next()? == "nameserver").then_some(())?;
            words.next()?.parse::<IpAddr>().ok()
        })
        .map(|address| SocketAddr::new(address, 53))
        .take(MOST_RESOLVERS)
        .collect();
    if found.is_empty() {
        found.push(SocketAddr::from(([127, 0, 0, 1], 53)));
    }
    found
}

/// Asks one resolver after the other who serves `zone`, over UDP, and over TCP where the answer is too
/// long for that, until one of them says. At most 4 s for each.
///
/// # Errors
/// Why none of them has said, one line for each.
pub async fn who_serves(zone: &DnsName, resolvers: &[SocketAddr]) -> Result<Served, String> {
    let mut why = Vec::new();
    for resolver in resolvers {
        match timeout(RESOLVER_TIMEOUT, ask(zone, *resolver)).await {
            Ok(Ok(served)) => return Ok(served),
            Ok(Err(error)) => why.push(format!("{resolver}: {error}")),
            Err(_) => why.push(format!("{resolver}: no answer within {} s", RESOLVER_TIMEOUT.as_secs())),
        }
    }
    Err(match why.is_empty() {
        true => "there is no resolver to ask".to_owned(),
        false => why.join("\n"),
    })
}

async fn ask(zone: &DnsName, resolver: SocketAddr) -> Result<Served, String> {
    let name = wire_name(zone)?;
    let mut question = MessageBuilder::new_vec();
    question.header_mut().set_rd(true);
    let mut question = question.question();
    question.push((&name, Rtype::NS)).map_err(|error| error.to_string())?;
    let request = RequestMessage::new(question.into_message()).map_err(|error| error.to_string())?;

    let mut datagrams = dgram::Config::new();
    datagrams.set_read_timeout(UDP_TIMEOUT);
    datagrams.set_max_retries(1);
    let mut streams = stream::Config::new();
    streams.set_response_timeout(RESOLVER_TIMEOUT);
    let config = dgram_stream::Config::from_parts(datagrams, multi_stream::Config::from(streams));
    let (connection, transport) =
        dgram_stream::Connection::with_config(UdpConnect::new(resolver), TcpConnect::new(resolver), config);
    let mut answer = connection.send_request(request);
    let mut transport = pin!(transport.run());
    let answer = tokio::select! {
        answer = answer.get_response() => answer.map_err(|error| error.to_string())?,
        () = &mut transport => return Err("the connection was closed".to_owned()),
    };
    read(&answer, &name)
}

/// What an answer says of the name that was asked for.
fn read<Octets: AsRef<[u8]>>(answer: &Message<Octets>, name: &Name<Vec<u8>>) -> Result<Served, String> {
    let answer = Message::from_octets(answer.as_slice()).map_err(|error| error.to_string())?;
    match answer.header().rcode() {
        Rcode::NOERROR => {}
        Rcode::NXDOMAIN => return Ok(Served::NoName),
        // A resolver's word for a zone whose name servers do not answer for it, or whose signature is wrong.
        Rcode::SERVFAIL => return Err("the resolver could not find out (SERVFAIL)".to_owned()),
        other => return Err(format!("the resolver answers {other}")),
    }
    if !answer.header().qr() {
        return Err("what came back is no answer".to_owned());
    }
    let records = answer.answer().map_err(|error| error.to_string())?.limit_to_in::<Ns<_>>();
    let mut servers = BTreeSet::new();
    for record in records {
        let record = record.map_err(|error| error.to_string())?;
        if record.owner() != name {
            continue;
        }
        servers.insert(listed_name(record.data().nsdname())?);
    }
    Ok(if servers.is_empty() { Served::NoZone } else { Served::By(servers) })
}

/// A name of an answer.
fn listed_name(name: impl ToName) -> Result<DnsName, String> {
    let mut text = String::new();
    for label in name.iter_labels().filter(|label| !label.is_root()) {
        // Every octet as an escape is a spelling too, and says a dot within a label.
        text.extend(label.as_slice().iter().map(|octet| format!("\\{octet:03o}")));
        text.push('.');
    }
    DnsName::parse(&text).map_err(|error| format!("'{}': {error}", name.fmt_with_dot()))
}

/// A name in the form of the wire.
fn wire_name(name: &DnsName) -> Result<Name<Vec<u8>>, String> {
    let mut octets = Vec::new();
    for label in name.labels() {
        octets.push(u8::try_from(label.len()).map_err(|error| error.to_string())?);
        octets.extend(label);
    }
    octets.push(0);
    Name::from_octets(octets).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<DnsName> {
        list.iter().map(|name| DnsName::parse(name).expect(name)).collect()
    }

    #[test]
    fn the_resolvers_are_those_of_the_file_or_the_host_s_own() {
        let addresses = |text: &str| named_in(text).iter().map(ToString::to_string).collect::<Vec<_>>();
        let text = "# made by hand\nsearch lan\nnameserver 192.0.2.53\nnameserver  2001:db8::53 # second\n\
                    options edns0 trust-ad\nnameserver nonsense\n nameserver 192.0.2.54\nnameserver 192.0.2.55\n";
        assert_eq!(addresses(text), ["192.0.2.53:53", "[2001:db8::53]:53", "192.0.2.54:53"]);
        assert_eq!(addresses("nameservers 192.0.2.1\n"), ["127.0.0.1:53"]);
        assert_eq!(addresses(""), ["127.0.0.1:53"]);
    }

    #[test]
    fn what_a_resolver_says_is_compared_with_the_zone() {
        let zone = names(&["ns-1.awsdns-1.com", "ns-2.awsdns-2.net"]);
        let by = |list: &[&str]| compare(&Served::By(names(list)), &zone);
        assert_eq!(by(&["NS-1.awsdns-1.com.", "ns-2.awsdns-2.net"]), Delegation::Here);
        assert_eq!(by(&["ns-2.awsdns-2.net"]), Delegation::Here);
        assert_eq!(by(&["ns.example.org"]), Delegation::Elsewhere(names(&["ns.example.org"])));
        let partly = Delegation::Partly { ours: names(&["ns-1.awsdns-1.com"]), others: names(&["ns.example.org"]) };
        assert_eq!(by(&["ns-1.awsdns-1.com", "ns.example.org"]), partly);
        for served in [Served::NoZone, Served::NoName] {
            assert_eq!(compare(&served, &zone), Delegation::Nowhere(served));
        }
    }

    #[test]
    fn a_name_goes_over_the_wire_octet_by_octet() {
        let wire = |text: &str| wire_name(&DnsName::parse(text).expect(text)).map(|name| name.as_slice().to_vec());
        assert_eq!(wire("a\\100b.Example"), Ok(b"\x03a@b\x07example\x00".to_vec()));
    }
}
