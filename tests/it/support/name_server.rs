//! A DNS server on loopback that says what it was told to, over UDP and TCP on one port.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What it says of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Says {
    /// These name servers serve it.
    Ns(Vec<String>),
    /// The same, but too long for UDP: only over TCP.
    NsOverTcp(Vec<String>),
    /// The name servers of another name.
    NsOf(String, Vec<String>),
    /// An error, by its number: 2 is SERVFAIL, 3 NXDOMAIN, 5 REFUSED. 0 is an answer without a record.
    Code(u8),
    /// Nothing at all.
    Nothing,
    /// Something that is no answer to this question, and then the answer.
    NoiseThenNs(Vec<String>),
}

/// A question that came: the name, and whether it came over TCP.
pub(crate) type Asked = (String, bool);

/// A running server. It stops when it is dropped.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// How soon a thread notices that it is to end.
const TICK: Duration = Duration::from_millis(10);

impl NameServer {
    /// One that answers for these names (lower case, no dot at the end), and NXDOMAIN for every other.
    pub(crate) fn start(names: &[(&str, Says)]) -> Self {
        let (tcp, udp) = sockets();
        let address = udp.local_addr().expect("an address");
        let names: BTreeMap<String, Says> =
            names.iter().map(|(name, says)| ((*name).to_owned(), says.clone())).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let threads = vec![
            std::thread::spawn({
                let (names, stop, asked) = (names.clone(), Arc::clone(&stop), Arc::clone(&asked));
                move || serve_udp(&udp, &names, &stop, &asked)
            }),
            std::thread::spawn({
                let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
                move || serve_tcp(&tcp, &names, &stop, &asked)
            }),
        ];
        NameServer { address, asked, stop, threads }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

/// Both protocols on one free port.
fn sockets() -> (TcpListener, UdpSocket) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("an address")) {
            tcp.set_nonblocking(true).expect("nonblocking");
            udp.set_read_timeout(Some(TICK)).expect("a timeout");
            return (tcp, udp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

fn serve_udp(socket: &UdpSocket, names: &BTreeMap<String, Says>, stop: &AtomicBool, asked: &Mutex<Vec<Asked>>) {
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        let question = Question::read(&buffer[..length]);
        asked.lock().expect("not poisoned").push((question.name.clone(), false));
        let says = names.get(&question.name).cloned().unwrap_or(Says::Code(3));
        let answers = match &says {
            Says::Nothing => vec![],
            Says::NsOverTcp(_) => vec![question.truncated()],
            Says::NoiseThenNs(_) => {
                let other = Question { id: question.id ^ 1, ..question.clone() };
                vec![b"noise".to_vec(), other.answer(&Says::Code(3)), question.answer(&says)]
            }
            _ => vec![question.answer(&says)],
        };
        for answer in answers {
            let _ = socket.send_to(&answer, peer);
        }
    }
}

fn serve_tcp(listener: &TcpListener, names: &BTreeMap<String, Says>, stop: &AtomicBool, asked: &Mutex<Vec<Asked>>) {
    while !stop.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(TICK);
            continue;
        };
        stream.set_nonblocking(false).expect("blocking");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            continue;
        }
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        if stream.read_exact(&mut message).is_err() {
            continue;
        }
        let question = Question::read(&message);
        asked.lock().expect("not poisoned").push((question.name.clone(), true));
        let says = names.get(&question.name).cloned().unwrap_or(Says::Code(3));
        if says == Says::Nothing {
            continue;
        }
        let answer = question.answer(&says);
        let length = u16::try_from(answer.len()).expect("short enough").to_be_bytes();
        let _ = stream.write_all(&[&length[..], &answer].concat());
    }
}

#[derive(Debug, Clone)]
struct Question {
    id: u16,
    name: String,
    /// The question section as it came.
    section: Vec<u8>,
}

impl Question {
    /// Reads a query of one question for an NS record set; RFC 1035, section 4.
    fn read(message: &[u8]) -> Self {
        assert_eq!(message[4..6], [0, 1], "one question");
        let mut at = 12;
        let mut labels = Vec::new();
        while message[at] != 0 {
            let end = at + 1 + usize::from(message[at]);
            labels.push(String::from_utf8_lossy(&message[at + 1..end]).to_ascii_lowercase());
            at = end;
        }
        assert_eq!(message[at + 1..at + 5], [0, 2, 0, 1], "type NS, class IN");
        assert_eq!(message[2] & 1, 1, "recursion is desired");
        Question {
            id: u16::from_be_bytes([message[0], message[1]]),
            name: labels.join("."),
            section: message[12..at + 5].to_vec(),
        }
    }

    fn message(&self, flags: [u8; 2], answers: &[Vec<u8>]) -> Vec<u8> {
        let mut message = self.id.to_be_bytes().to_vec();
        message.extend(flags);
        let count = u16::try_from(answers.len()).expect("few").to_be_bytes();
        message.extend([0, 1, count[0], count[1], 0, 0, 0, 0]);
        message.extend(&self.section);
        message.extend(answers.concat());
        message
    }

    fn truncated(&self) -> Vec<u8> {
        self.message([0x83, 0x80], &[])
    }

    fn answer(&self, says: &Says) -> Vec<u8> {
        let (owner, servers, code) = match says {
            Says::Ns(servers) | Says::NsOverTcp(servers) | Says::NoiseThenNs(servers) => (&self.name, servers, 0),
            Says::NsOf(owner, servers) => (owner, servers, 0),
            Says::Code(code) => (&self.name, &Vec::new(), *code),
            Says::Nothing => unreachable!("nothing is said"),
        };
        let answers: Vec<Vec<u8>> = servers
            .iter()
            .map(|server| {
                let target = wire(server);
                let length = u16::try_from(target.len()).expect("short").to_be_bytes();
                [&wire(owner)[..], &[0, 2, 0, 1, 0, 0, 0, 60], &length, &target].concat()
            })
            .collect();
        self.message([0x81, 0x80 | code], &answers)
    }
}

/// A name without compression.
fn wire(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.trim_end_matches('.').split('.') {
        octets.push(u8::try_from(label.len()).expect("a label"));
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}
