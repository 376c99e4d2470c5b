//! Who serves a zone, asked over DNS itself.

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use nodedns::publish::delegation::{Served, who_serves};

use super::*;
use crate::support::name_server::{NameServer, Says};

fn servers(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn by(list: &[&str]) -> Served {
    Served::By(list.iter().map(|server| name(server)).collect())
}

#[test]
fn a_resolver_s_answer_is_read_for_what_it_says() {
    let long: Vec<String> =
        (0..40).map(|number| format!("ns-{number}.a-rather-long-name-for-a-server.example.net")).collect();
    let server = NameServer::start(&[
        ("example.com", Says::Ns(servers(&["NS-1.awsdns-1.com", "ns-2.awsdns-2.net."]))),
        ("long.example.com", Says::NsOverTcp(long.clone())),
        ("noisy.example.com", Says::NoiseThenNs(servers(&["ns-1.awsdns-1.com"]))),
        ("none.example.com", Says::Code(0)),
        ("alias.example.com", Says::NsOf("elsewhere.example.org".into(), servers(&["ns.example.org"]))),
    ]);
    let ask = |zone: &str| run(who_serves(&name(zone), &[server.address]));
    assert_eq!(ask("Example.COM"), Ok(by(&["ns-1.awsdns-1.com", "ns-2.awsdns-2.net"])));
    assert_eq!(ask("noisy.example.com"), Ok(by(&["ns-1.awsdns-1.com"])));
    assert_eq!(ask("none.example.com"), Ok(Served::NoZone));
    assert_eq!(ask("alias.example.com"), Ok(Served::NoZone));
    assert_eq!(ask("gone.example.com"), Ok(Served::NoName));
    assert!(server.asked().iter().all(|(_, over_tcp)| !over_tcp));
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    assert_eq!(ask("long.example.com"), Ok(by(&long)));
    assert_eq!(server.asked().last(), Some(&("long.example.com".to_owned(), true)));
}

#[test]
fn a_resolver_that_cannot_say_makes_room_for_the_next() {
    let refuses = NameServer::start(&[("example.com", Says::Code(5))]);
    let fails = NameServer::start(&[("example.com", Says::Code(2))]);
    let knows = NameServer::start(&[("example.com", Says::Ns(servers(&["ns.example.net"])))]);
    let zone = name("example.com");
    let all = [refuses.address, fails.address, knows.address];
    assert_eq!(run(who_serves(&zone, &all)), Ok(by(&["ns.example.net"])));
    let why = run(who_serves(&zone, &all[..2])).expect_err("nobody says");
    let lines: Vec<&str> = why.lines().collect();
    let [first, second] = lines[..] else { panic!("{why}") };
    assert!(first.starts_with(&refuses.address.to_string()) && first.contains("REFUSED"), "{why}");
    assert!(second.starts_with(&fails.address.to_string()) && second.contains("SERVFAIL"), "{why}");
    assert_eq!(run(who_serves(&zone, &[])), Err("there is no resolver to ask".to_owned()));
}

#[test]
fn silence_is_waited_for_and_asked_again_but_not_for_long() {
    let silent = NameServer::start(&[("example.com", Says::Nothing)]);
    let start = Instant::now();
    let why = run(who_serves(&name("example.com"), &[silent.address])).expect_err("nobody says");
    assert!(start.elapsed() >= SHORT && start.elapsed() < SHORT * 20, "{:?}", start.elapsed());
    assert!(why.starts_with(&silent.address.to_string()), "{why}");
    assert_eq!(silent.asked().len(), 2, "asked once more: {why}");
    // Nobody at all.
    let free: SocketAddr = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    assert!(run(who_serves(&name("example.com"), &[free])).is_err());
}
