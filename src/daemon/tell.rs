//! Who is told what: the log, the control socket, the service manager.

use std::sync::Arc;

use crate::config::Switch;
use crate::daemon::summary::summary;
use crate::daemon::{Daemon, log};

impl Daemon {
    /// The one line for the service manager.
    pub(super) fn line(&self) -> String {
        let is_without_kubernetes =
            self.config.kubernetes.enabled == Switch::Auto && self.identity.node_watch().is_none();
        summary(&self.status.borrow(), is_without_kubernetes)
    }

    /// Tells everyone who wants to know: the log, the control socket, the service manager.
    pub(super) fn tell(&mut self) {
        for notice in self.engine.take_notices() {
            log::notice(&notice);
            self.counts.notice(&notice);
            self.drains.follow(&notice);
        }
        self.publish_status();
        let line = self.line();
        let line = if self.engine.is_stopping() { format!("the system is shutting down: {line}") } else { line };
        if !self.is_ready && self.engine.addresses().is_known() {
            self.is_ready = true;
            self.notifier.ready(&line);
        } else {
            self.notifier.status(&line);
        }
    }

    pub(super) fn publish_status(&mut self) {
        let status = self.view.status(&self.engine, &self.drains);
        if **self.status.borrow() != status {
            if let Some(on_status) = &mut self.options.on_status {
                on_status(&status);
            }
            self.status.send_replace(Arc::new(status));
        }
    }

    /// A host that was no part of a cluster at start may have become one: looked for as often as
    /// the pools are read.
    pub(super) fn look_for_kubernetes(&mut self) {
        let overtaken = self.identity.overtaken(&self.config);
        if let Some(why) = overtaken.as_ref().filter(|_| self.view.kubernetes.error.is_none()) {
            tracing::warn!("{why}");
        }
        if self.identity.node_watch().is_none() {
            self.view.kubernetes.error = overtaken;
        }
    }
}
