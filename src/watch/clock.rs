//! The only file that reads clocks.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::decide::time::Moment;

/// Now, on `CLOCK_BOOTTIME`: monotonic, and it goes on while the machine is suspended.
pub fn now() -> Moment {
    Moment::new(read(ClockId::Boottime))
}

/// Now, on the wall. For people to read; nothing is decided by it.
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// A timer that waits for a [`Moment`].
///
/// Tokio's own timers stand still while the machine is suspended, so a deadline of fifteen minutes
/// would be late by as long as the machine slept. This one is a timerfd on `CLOCK_BOOTTIME`: a
/// deadline that passes during suspend is met at once on resume (timerfd_create(2)).
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// A timer; needs to be called on a Tokio runtime.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    #[expect(deprecated, reason = "its replacement is unsafe; sound here, as an OwnedFd stays open and the same")]
    pub fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Alarm { timer: AsyncFd::new(timer)? })
    }

    /// Returns once `deadline` has come, never when there is none. May be dropped half way.
    ///
    /// # Errors
    /// Only when the kernel refuses the timer, which it does not for a valid one.
    pub async fn until(&self, deadline: Option<Moment>) -> io::Result<()> {
        let Some(deadline) = deadline else {
            return std::future::pending().await;
        };
        self.set(deadline)?;
        loop {
            let mut ready = self.timer.readable().await?;
            let mut expirations = [0; 8];
            match rustix::io::read(self.timer.get_ref(), &mut expirations) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Arms the timer anew, which also forgets that it has gone off before.
    fn set(&self, deadline: Moment) -> io::Result<()> {
        // All zero would disarm it.
        let at = deadline.since_origin().max(Duration::from_nanos(1));
        let value = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: at.subsec_nanos().into(),
            },
        };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &value)?;
        Ok(())
    }
}

/// Tells that the machine has been suspended: `CLOCK_BOOTTIME` went on, `CLOCK_MONOTONIC` did not.
#[derive(Debug, Clone, Copy, Default)]
pub struct SuspendDetector {
    gap: Option<Duration>,
}

impl SuspendDetector {
    /// A suspend shorter than this is of no consequence, and below it the time between reading the
    /// one clock and the other could be mistaken for one.
    const THRESHOLD: Duration = Duration::from_secs(1);

    /// How long the machine has been suspended since the last call; `None` when it has not been,
    /// and on the first call.
    pub fn check(&mut self) -> Option<Duration> {
        let monotonic = read(ClockId::Monotonic);
        self.sample(monotonic, read(ClockId::Boottime))
    }

    /// The same for given readings of the two clocks.
    pub fn sample(&mut self, monotonic: Duration, boottime: Duration) -> Option<Duration> {
        let gap = boottime.saturating_sub(monotonic);
        let Some(before) = self.gap else {
            self.gap = Some(gap);
            return None;
        };
        let suspended = gap.checked_sub(before).filter(|grown| *grown >= Self::THRESHOLD)?;
        self.gap = Some(gap);
        Some(suspended)
    }
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // Neither of the two clocks is ever before its origin.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_suspend_is_told_once_and_for_its_length() {
        let mut detector = SuspendDetector::default();
        // The machine has been suspended for 100 s before the process was started: not our suspend.
        assert_eq!(detector.sample(10 * SECOND, 110 * SECOND), None);
        assert_eq!(detector.sample(500 * SECOND, 600 * SECOND), None);
        assert_eq!(detector.sample(501 * SECOND, 661 * SECOND), Some(60 * SECOND));
        assert_eq!(detector.sample(502 * SECOND, 662 * SECOND), None);
        assert_eq!(detector.sample(502 * SECOND, 663 * SECOND), Some(SECOND));
    }

    #[test]
    fn a_pause_between_the_two_readings_is_no_suspend_and_does_not_hide_one() {
        let mut detector = SuspendDetector::default();
        detector.sample(SECOND, SECOND);
        let pause = Duration::from_millis(900);
        assert_eq!(detector.sample(2 * SECOND, 2 * SECOND + pause), None);
        assert_eq!(detector.sample(3 * SECOND, 3 * SECOND), None);
        assert_eq!(detector.sample(4 * SECOND, 5 * SECOND), Some(SECOND));
    }

    #[test]
    fn the_clock_does_not_go_back() {
        let first = now();
        assert!(first > Moment::default());
        assert!(now() >= first);
    }

    #[tokio::test]
    async fn the_alarm_waits_for_the_moment_and_not_longer_than_it_is_asked() {
        let alarm = Alarm::new().expect("a timerfd");
        let start = now();
        let wait = alarm.until(Some(start + Duration::from_millis(30)));
        tokio::time::timeout(30 * SECOND, wait).await.expect("it goes off").expect("the timer works");
        assert!(now() - start >= Duration::from_millis(30));
        // What has passed, and what lies before the clock's first tick, returns at once.
        alarm.until(Some(start)).await.expect("the timer works");
        alarm.until(Some(Moment::default())).await.expect("the timer works");
    }

    #[tokio::test]
    async fn a_dropped_wait_leaves_nothing_behind() {
        let alarm = Alarm::new().expect("a timerfd");
        let wait = |deadline, patience| tokio::time::timeout(patience, alarm.until(deadline));
        let soon = Duration::from_millis(20);
        assert!(wait(Some(now() + 60 * SECOND), soon).await.is_err());
        assert!(wait(Some(now() + soon), 60 * SECOND).await.is_ok());
        // Goes off while nobody waits; the next wait must not take that for its own.
        let later = Duration::from_millis(500);
        assert!(wait(Some(now() + later), Duration::ZERO).await.is_err());
        tokio::time::sleep(later + soon).await;
        assert!(wait(Some(now() + 60 * SECOND), soon).await.is_err());
        assert!(wait(None, soon).await.is_err());
    }

    /// In a time namespace the two clocks are a day apart, as after a night in suspend: a timer on
    /// the wrong one would be a day late.
    #[test]
    fn the_alarm_goes_by_the_clock_that_counts_suspend() {
        let run = |program: &std::ffi::OsStr, arguments: &[&str]| {
            let mut command = std::process::Command::new("unshare");
            command.args(["--time", "--fork", "--kill-child", "--boottime", "86400"]).arg(program).args(arguments);
            command.output()
        };
        if !run("true".as_ref(), &[]).is_ok_and(|probe| probe.status.success()) {
            assert!(std::env::var_os("NODEDNS_FORBID_SKIP").is_none_or(|value| value != "1"), "no time namespaces");
            return println!("skipped: no time namespaces here");
        }
        let program = std::env::current_exe().expect("the test binary has a path");
        let test = "watch::clock::tests::the_alarm_waits_for_the_moment_and_not_longer_than_it_is_asked";
        let output = run(program.as_ref(), &["--exact", test]).expect("the test binary runs");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
    }
}
