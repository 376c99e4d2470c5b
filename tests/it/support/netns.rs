//! Network namespaces that a test makes for itself, and a wire to a far end.
//!
//! The namespaces have no name: they belong to the test's own thread and are gone with it, links
//! and all, however the test ends.

use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sockopt};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// A host in a namespace of its own, and the far end of its wires in another.
pub(crate) struct Lab {
    host: File,
    far: File,
}

/// Runs a test in a new host with nothing but a loopback link, on a thread and a single-threaded
/// runtime of its own; or skips it where the system allows no namespaces.
pub(crate) fn in_lab<F: Future<Output = ()>>(test: impl FnOnce(Lab) -> F + Send + 'static) {
    let run = move || -> Result<(), String> {
        let lab = Lab::new()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(test(lab));
        Ok(())
    };
    let thread = thread::Builder::new().name("lab".to_owned()).spawn(run).expect("a thread");
    match thread.join() {
        Ok(Ok(())) => {}
        Ok(Err(why)) => super::skip(&why),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

impl Lab {
    /// Moves the calling thread into a new namespace.
    fn new() -> Result<Lab, String> {
        let far = new_namespace()?;
        let host = new_namespace()?;
        let lab = Lab { host, far };
        lab.ip("link set lo up");
        lab.far_ip("link set lo up");
        Ok(lab)
    }

    /// A wire between two Ethernet links of the same name, one here and one at the far end, both up
    /// and running. Here there is no link-local address, so nothing happens by itself later on.
    pub(crate) fn wire(&self, name: &str) {
        let far = format!("/proc/{}/fd/{}", std::process::id(), self.far.as_raw_fd());
        self.ip(&format!("link add {name} type veth peer name {name} netns {far}"));
        self.ip(&format!("link set {name} addrgenmode none"));
        self.far_ip(&format!("link set {name} up"));
        self.ip(&format!("link set {name} up"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.ip(&format!("-o link show {name}")).contains("state UP") {
            assert!(Instant::now() < deadline, "{name} does not come up");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has the link make its link-local address, which takes a second or two.
    pub(crate) fn make_link_local(&self, name: &str) {
        self.sysctl(&format!("net/ipv6/conf/{name}/addr_gen_mode"), "0");
    }

    /// Runs `ip` with these words as arguments, here. Returns what it prints.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        run_ip(&arguments.split_whitespace().collect::<Vec<_>>(), "")
    }

    /// Runs many `ip` commands at once, here.
    pub(crate) fn batch(&self, lines: impl IntoIterator<Item = impl AsRef<str>>) {
        let lines: String = lines.into_iter().map(|line| format!("{}\n", line.as_ref())).collect();
        run_ip(&["-batch", "-"], &lines);
    }

    /// Runs `ip` at the far end.
    pub(crate) fn far_ip(&self, arguments: &str) -> String {
        self.at_the_far_end(|| self.ip(arguments))
    }

    /// Sets a kernel parameter here, e.g. `net/ipv6/conf/eth0/use_tempaddr`.
    pub(crate) fn sysctl(&self, name: &str, value: &str) {
        // /proc/sys/net shows the namespace of the thread that opens it.
        std::fs::write(format!("/proc/sys/{name}"), value).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// A router at the far end of a wire.
    pub(crate) fn router(&self, wire: &str) -> Router {
        self.at_the_far_end(|| {
            self.ip(&format!("address add fe80::1/64 dev {wire} nodad"));
            Router::new(wire)
        })
    }

    /// Does something at the far end.
    pub(crate) fn at_the_far_end<T>(&self, action: impl FnOnce() -> T) -> T {
        enter(&self.far);
        let _home = Home(&self.host);
        action()
    }
}

fn run_ip(arguments: &[&str], input: &str) -> String {
    // Children start in the namespace of the thread that starts them.
    let mut child = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("iproute2 is installed");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("ip reads its commands");
    let output = child.wait_with_output().expect("ip ends");
    assert!(output.status.success(), "ip {arguments:?}: {}\n{input}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Brings the thread back also when an assertion fails.
struct Home<'a>(&'a File);

impl Drop for Home<'_> {
    fn drop(&mut self) {
        enter(self.0);
    }
}

fn enter(namespace: &File) {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("a namespace to enter");
}

fn new_namespace() -> Result<File, String> {
    #[expect(deprecated, reason = "unsafe only where file descriptors are unshared, which they are not here")]
    rustix::thread::unshare(UnshareFlags::NEWNET).map_err(|error| {
        format!("cannot make a network namespace ({error}); run as root, or under 'unshare --user --map-root-user'")
    })?;
    File::open("/proc/thread-self/ns/net").map_err(|error| format!("/proc/thread-self/ns/net: {error}"))
}

/// Sends router advertisements (RFC 4861 §4.2).
pub(crate) struct Router {
    socket: OwnedFd,
    everyone: SocketAddrV6,
}

/// What to advertise. Lifetimes are in seconds.
pub(crate) struct Advertisement {
    /// Of the default route; zero withdraws it.
    pub(crate) router_lifetime: u16,
    /// The /64 prefix for stateless autoconfiguration.
    pub(crate) prefix: Ipv6Addr,
    /// Of addresses in the prefix.
    pub(crate) valid: u32,
    /// Of addresses in the prefix.
    pub(crate) preferred: u32,
}

impl Router {
    fn new(wire: &str) -> Router {
        let socket = rustix::net::socket_with(
            AddressFamily::INET6,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(ipproto::ICMPV6),
        )
        .expect("a raw socket");
        // Anything less could have come from off the link, and is ignored.
        sockopt::set_ipv6_multicast_hops(&socket, 255).expect("a hop limit");
        let index = rustix::net::netdevice::name_to_index(&socket, wire).expect("a link");
        let everyone = SocketAddrV6::new("ff02::1".parse().expect("an address"), 0, 0, index);
        Router { socket, everyone }
    }

    /// Sends one advertisement. The kernel fills in the checksum.
    pub(crate) fn advertise(&self, advertisement: &Advertisement) {
        const ROUTER_ADVERTISEMENT: u8 = 134;
        const PREFIX_INFORMATION: u8 = 3;
        const ON_LINK_AND_AUTONOMOUS: u8 = 0xc0;
        let mut message = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, 64, 0];
        message.extend(advertisement.router_lifetime.to_be_bytes());
        message.extend([0; 8]);
        message.extend([PREFIX_INFORMATION, 4, 64, ON_LINK_AND_AUTONOMOUS]);
        message.extend(advertisement.valid.to_be_bytes());
        message.extend(advertisement.preferred.to_be_bytes());
        message.extend([0; 4]);
        message.extend(advertisement.prefix.octets());
        rustix::net::sendto(&self.socket, &message, SendFlags::empty(), &self.everyone).expect("a packet is sent");
    }
}
