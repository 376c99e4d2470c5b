//! One AWS account's Route 53: zones, changes, health checks, tags. A state machine: no sockets, no clock of its own.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;

use crate::health::HealthChecks;
use crate::model::{ApiError, ChangeBatch, Operation};
use crate::options::Options;
use crate::rules::{self, Context};
use crate::tags::Tags;
use crate::zone::{ListStart, RecordPage, Zone};
use crate::{name, texts};

/// One moment, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For what elapses.
    pub instant: Instant,
    /// For what is shown.
    pub wall: Timestamp,
}

impl Now {
    /// The present.
    #[must_use]
    pub fn present() -> Self {
        Self { instant: Instant::now(), wall: Timestamp::now() }
    }
}

/// An accepted change on its way to the name servers.
#[derive(Debug, Clone)]
pub struct SubmittedChange {
    /// `C...`, without prefix.
    pub id: String,
    /// Whose zone it changed.
    pub zone: String,
    /// The comment of the batch.
    pub comment: Option<String>,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// From when it is INSYNC; never, if absent.
    pub insync_at: Option<Instant>,
}

impl SubmittedChange {
    /// `PENDING` or `INSYNC`.
    #[must_use]
    pub fn status(&self, now: Now) -> &'static str {
        if self.insync_at.is_some_and(|at| at <= now.instant) { "INSYNC" } else { "PENDING" }
    }
}

/// The account.
#[derive(Debug, Default)]
pub struct Account {
    /// The settings.
    pub options: Options,
    /// Health checks.
    pub health_checks: HealthChecks,
    /// Tags of zones and health checks.
    pub tags: Tags,
    zones: BTreeMap<String, Zone>,
    changes: BTreeMap<String, SubmittedChange>,
    counter: u64,
}

impl Account {
    /// An empty account.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// A number unlike its predecessors, the same in every run.
    pub(crate) fn unique(&mut self) -> u64 {
        self.counter += 1;
        // The finalizer of SplitMix64: a bijection, so no two are equal.
        let mut z = self.counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Something in the form of a UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.unique(), self.unique());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            (b >> 48) & 0xfff,
            b & 0xffff_ffff_ffff
        )
    }

    /// Adds a zone.
    ///
    /// # Errors
    /// If the name is no domain name.
    pub fn add_zone(&mut self, name: &str, id: &str, private: bool) -> Result<&mut Zone, name::Problem> {
        self.zones.remove(id);
        let zone = Zone::new(id, name, private)?;
        Ok(self.zones.entry(id.to_owned()).or_insert(zone))
    }

    /// Removes a zone with everything in it.
    pub fn remove_zone(&mut self, id: &str) -> Option<Zone> {
        self.zones.remove(id)
    }

    /// All zones, by id.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.zones.values()
    }

    /// A zone to be changed past the rules.
    pub fn zone_mut(&mut self, id: &str) -> Option<&mut Zone> {
        self.zones.get_mut(id)
    }

    /// A zone, as a caller may see it.
    ///
    /// # Errors
    /// AccessDenied for a foreign zone, NoSuchHostedZone.
    pub fn zone(&self, id: &str) -> Result<&Zone, ApiError> {
        if self.options.foreign_zones.contains(id) {
            return Err(texts::foreign_zone(&self.options.caller_arn));
        }
        self.zones.get(id).ok_or_else(|| texts::no_such_hosted_zone(id))
    }

    /// All changes that were accepted, by id.
    pub fn changes(&self) -> impl Iterator<Item = &SubmittedChange> {
        self.changes.values()
    }

    /// Makes every change INSYNC.
    pub fn sync_all(&mut self, now: Now) {
        for change in self.changes.values_mut() {
            change.insync_at = Some(now.instant);
        }
    }

    /// ListResourceRecordSets.
    ///
    /// # Errors
    /// As the service.
    pub fn list_record_sets(&self, zone: &str, start: &ListStart) -> Result<RecordPage, ApiError> {
        self.zone(zone)?.list(start, self.options.page_size.clamp(1, 300))
    }

    /// ChangeResourceRecordSets. The body is still to be parsed at `batch`, as the service looks at the zone first.
    ///
    /// # Errors
    /// As the service.
    pub fn change_record_sets(
        &mut self,
        zone: &str,
        batch: Result<&ChangeBatch, ApiError>,
        now: Now,
    ) -> Result<SubmittedChange, ApiError> {
        self.zone(zone)?;
        let batch = batch?;
        let changes = rules::structure(batch)?;
        let Some(mut target) = self.zones.remove(zone) else {
            return Err(texts::no_such_hosted_zone(zone));
        };
        let outcome = if target.busy_until.is_some_and(|until| now.instant < until) {
            Err(texts::prior_request_not_complete())
        } else {
            let context = Context {
                options: &self.options,
                health_check_exists: &|id| self.health_checks.get(id).is_some(),
                other_zones: &self.zones,
            };
            rules::apply(&mut target, &changes, &context)
        };
        if outcome.is_ok() {
            target.busy_until = now.instant.checked_add(self.options.busy_for);
        }
        self.zones.insert(zone.to_owned(), target);
        outcome?;
        Ok(self.submit(zone, batch.comment.clone(), now))
    }

    /// Enters a change that has just been made.
    pub(crate) fn submit(&mut self, zone: &str, comment: Option<String>, now: Now) -> SubmittedChange {
        let id = format!("C{:013X}{:07X}", self.unique() >> 12, self.changes.len());
        let insync_at = now.instant.checked_add(self.options.insync_after);
        let change =
            SubmittedChange { id: id.clone(), zone: zone.to_owned(), comment, submitted_at: now.wall, insync_at };
        self.changes.insert(id, change.clone());
        change
    }

    /// GetChange.
    ///
    /// # Errors
    /// NoSuchChange.
    pub fn change(&self, id: &str) -> Result<&SubmittedChange, ApiError> {
        self.changes.get(id).ok_or_else(|| texts::unverified::no_such_change(id))
    }

    /// What the service says when the caller has no right to an operation.
    #[must_use]
    pub fn access_denied(&self, operation: Operation, resource: Option<&str>) -> ApiError {
        texts::access_denied(&self.options.caller_arn, operation, resource)
    }
}
