//! What the service manager and the operator say.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is asked of the daemon.
pub(super) enum Wish {
    /// SIGTERM, which is how a service manager stops a service, and how it stops everything at a shutdown.
    Terminate,
    /// SIGINT, which is somebody at a terminal.
    Interrupt,
    /// SIGHUP.
    Reload,
}

/// The signals that are listened to, from the moment that this is made.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next wish. May be dropped half way.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Terminate,
            _ = self.interrupt.recv() => Wish::Interrupt,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }
}
