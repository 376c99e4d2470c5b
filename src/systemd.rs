//! What the service manager is told: sd_notify(3), sd_watchdog_enabled(3); and the one thing that it
//! is asked, in [`manager`].
//!
//! Telling does nothing when the process was not started by a service manager that listens.

pub mod manager;

use std::cell::RefCell;
use std::time::Duration;

use sd_notify::NotifyState;

/// Tells the service manager how the daemon is.
///
/// A message that cannot be sent is logged and forgotten: a service manager that does not listen is
/// no reason to stop serving.
#[derive(Debug, Default)]
pub struct Notifier {
    /// The status line last sent.
    status: RefCell<String>,
}

impl Notifier {
    /// Start-up is finished: `READY=1`, with a first status line. Also ends a reload.
    pub fn ready(&self, status: &str) {
        self.remember(status);
        send(&[NotifyState::Ready, NotifyState::Status(&self.status.borrow())]);
    }

    /// The line that `systemctl status` shows. Sent only when it differs from the last one.
    pub fn status(&self, status: &str) {
        if self.remember(status) {
            send(&[NotifyState::Status(&self.status.borrow())]);
        }
    }

    /// A reload begins: `RELOADING=1` and, in the same message, `MONOTONIC_USEC`, without which
    /// `Type=notify-reload` (systemd 253 and newer) would take the reload for failed.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(monotonic) => send(&[NotifyState::Reloading, monotonic]),
            Err(error) => tracing::warn!(%error, "the service manager could not be told of the reload: {error}"),
        }
    }

    /// The daemon is on its way out: `STOPPING=1`, with a last status line.
    pub fn stopping(&self, status: &str) {
        self.remember(status);
        send(&[NotifyState::Stopping, NotifyState::Status(&self.status.borrow())]);
    }

    /// The daemon needs this long from now, also beyond `TimeoutStopSec=`: `EXTEND_TIMEOUT_USEC`.
    pub fn extend_timeout(&self, by: Duration) {
        send(&[NotifyState::ExtendTimeoutUsec(u32::try_from(by.as_micros()).unwrap_or(u32::MAX))]);
    }

    /// The event loop goes round: `WATCHDOG=1`.
    pub fn watchdog(&self) {
        send(&[NotifyState::Watchdog]);
    }

    /// Keeps the line; whether it is a new one.
    fn remember(&self, status: &str) -> bool {
        // A line break would end the assignment and start another.
        let line = status.replace(['\n', '\r'], " ");
        *self.status.borrow() != line && {
            self.status.replace(line);
            true
        }
    }
}

/// How often to call [`Notifier::watchdog`]: half of what `WatchdogSec=` allows, as
/// sd_watchdog_enabled(3) advises. `None` when the service manager does not ask this process.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|interval| !interval.is_zero())
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told {states:?}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    use super::*;

    /// Runs `child` in a process of its own, as sd_notify is spoken through the environment.
    fn run_child(environment: &[(&str, &str)]) {
        let output = Command::new(std::env::current_exe().expect("the test binary has a path"))
            .args(["--ignored", "--exact", "systemd::tests::child", "--nocapture", "--test-threads=1"])
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .envs(environment.iter().copied())
            .output()
            .expect("the test binary runs");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
    }

    #[test]
    #[ignore = "the other half of the tests below, which run it"]
    fn child() {
        let limit = |name| std::env::var(name).ok().and_then(|text| text.parse().ok()).map(Duration::from_micros);
        assert_eq!(watchdog_interval(), limit("EXPECT_INTERVAL_USEC"));
        let notifier = Notifier::default();
        notifier.ready("watching\nREADY=0");
        notifier.status("watching READY=0");
        notifier.status("1 of 2 record sets in sync");
        notifier.status("1 of 2 record sets in sync");
        notifier.watchdog();
        notifier.reloading();
        notifier.extend_timeout(Duration::from_millis(2500));
        notifier.stopping("withdrawing");
    }

    #[test]
    fn the_service_manager_hears_each_thing_once_and_in_one_message() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket in the directory");
        socket.set_nonblocking(true).expect("a socket option");

        run_child(&[("NOTIFY_SOCKET", path.to_str().expect("a plain path"))]);

        let mut messages = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            messages.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        let reloading = messages.remove(3);
        assert_eq!(
            messages,
            [
                "READY=1\nSTATUS=watching READY=0\n",
                "STATUS=1 of 2 record sets in sync\n",
                "WATCHDOG=1\n",
                "EXTEND_TIMEOUT_USEC=2500000\n",
                "STOPPING=1\nSTATUS=withdrawing\n",
            ]
        );
        let since_boot = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("both in one message");
        assert!(since_boot.trim_end().parse::<u64>().is_ok_and(|usec| usec > 0), "{since_boot}");
    }

    #[test]
    fn without_a_service_manager_nothing_happens() {
        run_child(&[]);
        run_child(&[("NOTIFY_SOCKET", "/nonexistent/notify")]);
    }

    #[test]
    fn the_watchdog_is_fed_at_half_its_limit_by_the_process_that_is_asked() {
        run_child(&[("WATCHDOG_USEC", "60000000"), ("EXPECT_INTERVAL_USEC", "30000000")]);
        run_child(&[("WATCHDOG_USEC", "60000000"), ("WATCHDOG_PID", "1")]);
        run_child(&[("WATCHDOG_USEC", "0")]);
    }
}
