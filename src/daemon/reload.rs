//! SIGHUP.

use crate::config::{self, Config, KubernetesSettings, Origin, Problem, Problems};
use crate::daemon::{Daemon, log, setup};
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
            self.notifier.ready(&self.line());
        }
    }

    fn try_reload(&mut self) -> Result<(), Problems> {
        let config = config::load(&self.options.sources)?.config;
        let policy = setup::policy(&config, &self.identity, self.options.dry_run)?;
        check_reload(&self.config, &config)?;
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

/// What a running daemon cannot change about itself: a reload that asks for it is refused whole,
/// rather than followed in part.
fn check_reload(old: &Config, new: &Config) -> Result<(), Problems> {
    // Which Nodes are eligible is a matter of deciding, not of watching.
    let kubernetes =
        KubernetesSettings { node_selector: new.kubernetes.node_selector.clone(), ..old.kubernetes.clone() };
    let fixed = [
        ("cluster", old.cluster == new.cluster, "every record set would change its owner"),
        ("node", old.node == new.node, "every record set would change its owner"),
        ("kubernetes", kubernetes == new.kubernetes, "the Node is watched from the start"),
        (
            "survivors.enabled",
            old.survivors.is_some() == new.survivors.is_some(),
            "the other nodes are watched from the start",
        ),
        ("route53", old.route53 == new.route53, "what is on its way would be answered by somebody else"),
        (
            "control",
            (&old.socket, &old.state_directory) == (&new.socket, &new.state_directory),
            "the socket is made and the state read at the start",
        ),
        ("metrics", old.metrics == new.metrics, "the listener and the file are set up at the start"),
        ("log", old.log == new.log, "logging is set up at the start"),
    ];
    let problems: Vec<Problem> = fixed
        .into_iter()
        .filter(|(_, same, _)| !same)
        .map(|(key, _, why)| Problem {
            source: Origin::Default,
            path: key.to_owned(),
            message: format!("cannot be changed by a reload: {why}"),
            hint: Some("restart the service; record sets stay as they are meanwhile".to_owned()),
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Problems::from(problems)) }
}
