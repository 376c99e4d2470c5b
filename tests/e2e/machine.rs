//! The machine in trouble: killed, stopped, put to sleep, out of room, with a wrong clock. After
//! each the rules have held for every request, and the pool is right within one backoff step (L3).
//!
//! `NODEDNS_FAULT_KILLS=200` and `NODEDNS_FAULT_STOP_SECONDS=120` make it as hard as the figures in
//! the README; without them it is quick. `NODEDNS_FAULT_SEED` draws other moments to kill at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use route53_sim::{Count, Fault, Operation, RecordSet, Target};
use rustix::process::Signal;
use tokio::time::sleep;

use crate::drain::run;
use crate::node::{EDGE, Expected, Host, OWN, ZONE, words};
use crate::support::netns::in_lab;
use crate::support::skip;

const ADDRESSES: [&str; 2] = ["185.12.64.1", "185.12.64.2"];
/// L3: one backoff step, and what starting and asking takes on a busy machine.
const L3: Duration = Duration::from_secs(30 + 10);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What is true of the host, and so what is to be in DNS.
struct Truth {
    address: usize,
    cordoned: bool,
}

impl Truth {
    fn expected(&self) -> Expected<'static> {
        Expected { v4: (!self.cordoned).then_some(ADDRESSES[self.address]), v6: None }
    }

    /// The host gets its other address.
    fn moves(&mut self, host: &Host) {
        let (from, to) = (ADDRESSES[self.address], ADDRESSES[1 - self.address]);
        host.lab.batch([format!("addr add {to}/32 dev eth0"), format!("addr del {from}/32 dev eth0")]);
        self.address = 1 - self.address;
    }

    fn turns(&mut self, host: &Host) {
        self.cordoned = !self.cordoned;
        host.set_node("True", self.cordoned);
    }

    /// Waits until the pool is right. How long that took.
    async fn comes_true(&self, what: &str, host: &Host) -> Duration {
        let (started, expected) = (Instant::now(), Host::expected(self.expected()));
        host.until(what, async |host| host.own() == expected).await;
        let took = started.elapsed();
        assert!(took < L3, "{what}: L3, {took:?}");
        host.judge(what);
        took
    }
}

/// A host with an address and a daemon that has published it.
async fn running(lab: crate::support::netns::Lab) -> (Host, Truth) {
    let mut host = Host::new(lab).await;
    host.lab.ip(&format!("addr add {}/32 dev eth0", ADDRESSES[0]));
    host.start();
    let truth = Truth { address: 0, cordoned: false };
    truth.comes_true("first start", &host).await;
    (host, truth)
}

#[test]
fn killed_at_any_point_nothing_is_lost() {
    in_lab(async |lab| {
        let kills = setting("NODEDNS_FAULT_KILLS", 25);
        let mut random = fastrand::Rng::with_seed(setting("NODEDNS_FAULT_SEED", 1));
        let (mut host, mut truth) = running(lab).await;
        let (mut waiting, mut carried_out, mut slowest) = (0, 0, Duration::ZERO);
        for kill in 1..=kills {
            let what = format!("kill {kill}");
            let before = host.sim.requests().len();
            // So that there is a moment between a request, its being carried out and its answer.
            match random.u8(0..4) {
                0 => {}
                1 => host.sim.inject(Operation::ChangeResourceRecordSets, Fault::HangAfterCommit, Count::Next(1)),
                _ => host.sim.inject(Target::any(), Fault::Delay(Duration::from_millis(20)), Count::Always),
            }
            // While it starts, or while it runs.
            let starts = random.bool();
            if starts {
                host.stop(Signal::KILL).await;
                host.start();
            }
            let turns = random.u8(0..3) == 0;
            if turns {
                truth.turns(&host)
            } else {
                truth.moves(&host)
            }
            // After any of the requests that it is going to make: two names are read, two are changed.
            let all = if starts { 2 } else { 0 } + if turns || !truth.cordoned { 2 } else { 0 };
            let (requests, moment) = (random.usize(0..=all), Duration::from_millis(random.u64(0..25)));
            let began = Instant::now();
            while host.sim.requests().len() < before + requests && began.elapsed() < Duration::from_secs(5) {
                sleep(Duration::from_millis(1)).await;
            }
            sleep(moment).await;
            host.stop(Signal::KILL).await;
            let unanswered = host.sim.requests().into_iter().skip(before).filter(|request| request.status.is_none());
            let unanswered: Vec<_> = unanswered.collect();
            waiting += u64::from(!unanswered.is_empty());
            carried_out += u64::from(unanswered.iter().any(|request| request.change_id.is_some()));
            host.sim.clear_faults();
            if random.bool() {
                truth.moves(&host);
            }
            host.start();
            slowest = slowest.max(truth.comes_true(&what, &host).await);
        }
        host.comes_to("the end", truth.expected()).await;
        assert!(!host.log().contains("planted-secret"), "S8: a secret in the log");
        println!(
            "machine: killed {kills} times, {waiting} with a request on its way, {carried_out} between a change and its \
             answer; right within {:.1} s, nothing lost",
            slowest.as_secs_f64()
        );
    });
}

#[test]
fn stopped_for_long_nothing_is_lost() {
    in_lab(async |lab| {
        let pause = Duration::from_secs(setting("NODEDNS_FAULT_STOP_SECONDS", 3));
        let (host, mut truth) = running(lab).await;
        for turn in [false, true] {
            host.signal(Signal::STOP);
            let before = host.sim.requests().len();
            truth.moves(&host);
            if turn {
                truth.turns(&host);
            }
            host.api.cut();
            sleep(pause).await;
            assert_eq!(host.sim.requests().len(), before, "a stopped daemon asks nothing");
            host.signal(Signal::CONT);
            let took = truth.comes_true("going on", &host).await;
            host.comes_to("at rest again", truth.expected()).await;
            println!("machine: stopped for {pause:?}; right within {:.1} s, nothing lost", took.as_secs_f64());
        }
    });
}

/// The library that moves the clocks; none where there is no compiler.
fn clock_library(directory: &Path) -> Option<PathBuf> {
    let library = directory.join("clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clock.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]).status();
    compiled.is_ok_and(|status| status.success()).then_some(library)
}

#[test]
fn a_wrong_clock_loses_nothing() {
    in_lab(async |lab| {
        let (mut host, mut truth) = running(lab).await;
        let Some(library) = clock_library(host.directory.path()) else { return skip("there is no C compiler") };
        let file = host.directory.path().join("clock");
        host.stop(Signal::TERM).await;
        host.start_with(|command| command.env("LD_PRELOAD", &library).env("CLOCK_AHEAD", &file));
        host.comes_to("with the clock as it is", truth.expected()).await;
        let mut slowest = Duration::ZERO;
        for days in [1, -1, 0] {
            let what = format!("the clock is {days} days ahead");
            host.write("clock", &(days * 86_400).to_string());
            // The service's clock agrees, or it would take no signature: here the daemon's own time is at stake.
            host.sim.set_options(|options| options.clock_offset_s = days * 86_400);
            truth.moves(&host);
            slowest = slowest.max(truth.comes_true(&what, &host).await);
            // That it has reached the daemon: so it dates its last change.
            host.until(&what, async |host| {
                let (status, _) = host.status().await;
                let at = status["records"][0]["last_change"]["at"].as_str().unwrap_or_default().parse::<Timestamp>();
                let ahead = at.map(|at| at.duration_since(Timestamp::now()));
                ahead.is_ok_and(|ahead| {
                    (ahead - SignedDuration::from_hours(24 * days)).abs() < SignedDuration::from_hours(1)
                })
            })
            .await;
            let requests = host.comes_to(&what, truth.expected()).await;
            assert_eq!(words(&requests), ["change", "change"], "{what}");
        }
        // The service takes no signature of yesterday, until somebody sets the clock.
        host.write("clock", "-86400");
        truth.moves(&host);
        host.until("a signature is refused", async |host| host.log().contains("host's clock")).await;
        host.write("clock", "0");
        slowest = slowest.max(truth.comes_true("the clock is right again", &host).await);
        host.comes_to("at rest again", truth.expected()).await;
        println!(
            "machine: wall clock one day ahead, one day behind, signatures refused; right within {:.1} s, nothing lost",
            slowest.as_secs_f64()
        );
    });
}

/// Somebody who keeps a time namespace in which the clock that counts suspend is further on.
struct LaterOn(Child);

impl LaterOn {
    fn by(seconds: u32) -> Option<LaterOn> {
        let mut command = Command::new("unshare");
        command.args(["--time", "--fork", "--kill-child", "--boottime", &seconds.to_string(), "sleep", "600"]);
        let mut child = command.stdin(Stdio::null()).spawn().ok()?;
        std::thread::sleep(Duration::from_millis(100));
        matches!(child.try_wait(), Ok(None)).then_some(LaterOn(child))
    }

    /// The namespace, as a file: the child's.
    fn path(&self) -> String {
        format!("/proc/{}/ns/time_for_children", self.0.id())
    }
}

impl Drop for LaterOn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_suspend_loses_nothing() {
    in_lab(async |lab| {
        let (mut host, mut truth) = running(lab).await;
        let Some(library) = clock_library(host.directory.path()) else { return skip("there is no C compiler") };
        // Shorter than any resync, which would find everything by itself.
        let Some(later) = LaterOn::by(120) else { return skip("there are no time namespaces") };
        host.stop(Signal::TERM).await;
        host.start_with(|command| command.env("LD_PRELOAD", &library).env("TIME_NAMESPACE", later.path()));
        host.comes_to("before", truth.expected()).await;
        let tasks = format!("/proc/{}/task", host.pid());
        host.until("it has one thread left", async |_| fs::read_dir(&tasks).is_ok_and(|tasks| tasks.count() == 1))
            .await;

        // Meanwhile somebody has edited our record set, and the host has come to another network.
        host.signal(Signal::STOP);
        let edited = RecordSet::new(EDGE, "A").set_identifier(OWN).weight(10).ttl(60).value("185.12.64.77");
        host.sim.put(ZONE, edited);
        host.signal(Signal::USR2);
        host.signal(Signal::CONT);
        truth.moves(&host);
        let took = truth.comes_true("resumed", &host).await;
        assert!(host.log().contains("the machine was suspended"), "the clocks have not moved");
        let requests = host.comes_to("at rest again", truth.expected()).await;
        assert!(words(&requests).contains(&"list"), "{requests:?}");
        println!("machine: suspended for 120 s; right within {:.1} s, nothing lost", took.as_secs_f64());
    });
}

/// What mounts a small file system on a directory, seen by nobody else, and becomes the program.
fn with_mount(options: &str, directory: &Path) -> String {
    format!("mount -t tmpfs -o {options} none {} && exec \"$@\"", directory.display())
}

#[test]
fn a_directory_that_is_full_or_read_only_or_corrupt_loses_nothing() {
    in_lab(async |lab| {
        let (mut host, mut truth) = running(lab).await;
        host.comes_to("the beginning", truth.expected()).await;
        // There is no room for its log, ever, and it goes on.
        host.stop(Signal::KILL).await;
        let full = fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        host.start_with(|command| command.stderr(full.try_clone().expect("a file")).stdout(full));
        for _ in 0..3 {
            truth.moves(&host);
            truth.comes_true("no room for the log", &host).await;
        }
        host.comes_to("no room for the log", truth.expected()).await;

        // The directory of its socket takes nothing: it says so and touches nothing, again and again.
        host.stop(Signal::KILL).await;
        let runtime = host.directory.path().join("run");
        fs::create_dir(&runtime).expect("a directory");
        let socket = |name: &str| format!("socket = \"{}\"", host.directory.path().join(name).display());
        host.replace_in_configuration(&socket("nodedns.sock"), &socket("run/nodedns.sock"));
        truth.moves(&host);
        for options in ["ro", "nr_inodes=1"] {
            for _ in 0..2 {
                host.start_under(&["unshare", "--mount", "sh", "-c", &with_mount(options, &runtime), "sh"], |it| it);
                let exit = host.wait().await;
                assert!(matches!(exit.code(), Some(1 | 78)), "{options}: {exit}");
                assert!(host.log().contains("control.socket"), "{options}: {}", host.log());
            }
        }
        assert_eq!(host.sim.requests().len(), 0, "something was touched");
        host.start();
        truth.comes_true("there is room", &host).await;
        host.comes_to("there is room", truth.expected()).await;

        // It runs, and its directories vanish from under it.
        fs::remove_dir_all(&runtime).expect("removed");
        truth.moves(&host);
        truth.comes_true("its directory is gone", &host).await;
        host.comes_to("its directory is gone", truth.expected()).await;

        // A configuration that is no longer one: refused while it runs, and the end of a new start,
        // before anything is touched.
        let good = fs::read_to_string(host.directory.path().join("nodedns.toml")).expect("the configuration");
        for bad in ["", "\0\0\0\0", &good[..good.len() / 2], "cluster = \"home\"\n[[record]]\nname = 7\n"] {
            host.write("nodedns.toml", bad);
            let refused = host.log().matches("reload refused").count();
            host.signal(Signal::HUP);
            host.until("the reload is refused", async |host| host.log().matches("reload refused").count() > refused)
                .await;
            truth.moves(&host);
            truth.comes_true("a refused reload", &host).await;
        }
        host.comes_to("a refused reload", truth.expected()).await;
        host.stop(Signal::KILL).await;
        truth.moves(&host);
        host.start();
        assert_eq!(host.wait().await.code(), Some(78));
        assert_eq!(host.sim.requests().len(), 0, "something was touched");
        fs::create_dir(&runtime).expect("a directory");
        host.write("nodedns.toml", &good);
        host.start();
        truth.comes_true("the configuration is back", &host).await;
        host.comes_to("the configuration is back", truth.expected()).await;
        println!("machine: log and directories full, read-only, gone, corrupt; nothing lost");
    });
}

#[test]
fn a_drain_is_in_force_though_no_disk_takes_it() {
    in_lab(async |lab| {
        let (mut host, truth) = running(lab).await;
        let state = host.directory.path().join("state");
        fs::create_dir_all(&state).expect("a directory");
        let drained = Expected { v4: None, v6: None };
        for options in ["ro", "nr_inodes=1"] {
            host.stop(Signal::KILL).await;
            host.start_under(&["unshare", "--mount", "sh", "-c", &with_mount(options, &state), "sh"], |it| it);
            host.until("it runs", async |host| host.status().await.1 == Some(0)).await;
            let (code, _, told) = run(&host, &["drain"]).await;
            assert_eq!(code, Some(2), "{options}: {told}");
            assert!(told.contains("could not be saved"), "{options}: {told}");
            host.comes_to("drained", drained).await;
            // What it said would happen: the next one knows nothing of it.
            host.stop(Signal::KILL).await;
            host.start();
            truth.comes_true("not saved", &host).await;
            host.comes_to("not saved", truth.expected()).await;
        }
        println!("machine: state directory read-only, full; nothing lost");
    });
}
