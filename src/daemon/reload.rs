//! SIGHUP.

use crate::config::{self, Problems};
use crate::daemon::{Daemon, identity, log, setup, view};
use crate::decide::engine::Event;
use crate::decide::probe;
use crate::watch::clock;

impl Daemon {
    /// SIGHUP: takes the new configuration if it is good, and keeps the old one if it is not.
    pub(super) fn reload(&mut self) {
        if self.is_ready {
            self.notifier.reloading();
        }
        self.view.reload_refused = self.try_reload().err().map(|problems| {
            log::problems(&problems);
            problems.to_string()
        });
        self.publish_status();
        if self.is_ready {
            self.notifier.ready(&view::summary(&self.status.borrow()));
        }
    }

    fn try_reload(&mut self) -> Result<(), Problems> {
        let config = config::load(&self.options.sources)?.config;
        let policy = setup::policy(&config, &self.identity, self.options.dry_run)?;
        identity::check_reload(&self.config, &config)?;
        let now = clock::now();
        self.view.reconfigure(&config);
        self.config = config;
        self.engine.reconfigure(policy, now);
        self.engine.handle(Event::Recheck, now);
        self.probes.want(probe::wanted(self.engine.policy()), &mut self.watchers);
        tracing::info!(records = self.engine.policy().records.len(), "configuration reloaded");
        Ok(())
    }
}
