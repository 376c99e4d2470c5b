//! What the engine remembers of one name.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::fitness::Signals;
use crate::decide::observed::Observed;
use crate::decide::plan::TypePlan;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::random::{Random, backoff};
use crate::decide::record::{Change, Listing, RecordType};
use crate::decide::report::{LastChange, LastError};
use crate::decide::time::Moment;

/// What the engine remembers of one name.
#[derive(Debug, Clone)]
pub(super) struct NameState {
    pub(super) listing: Observed<Listing>,
    /// What is remembered of the pool may be wrong: nothing is written before it has been read.
    pub(super) must_list: bool,
    /// A batch was never answered, so what it left behind is nobody's drift.
    unconfirmed: bool,
    /// A listing that is on its way has been overtaken: it is not the last word.
    overtaken: bool,
    resync: Resync,
    pub(super) in_flight: Option<Request>,
    pub(super) signals: Signals,
    /// What we want, per type, as of the last event.
    pub(super) plans: Vec<TypePlan>,
    pub(super) types: BTreeMap<RecordType, TypeState>,
    /// Since when there has been something to write, so that names take turns.
    pub(super) pending_since: Option<Moment>,
    /// A batch for several types was refused: one type at a time, so that one cannot hold up the other.
    pub(super) split: bool,
    list: Attempts,
}

/// When the name is read again though nothing has happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resync {
    /// In steady state.
    pub(super) due: Moment,
    /// While something in the pool keeps us from what we want: whoever mends that should not wait long.
    pub(super) held_due: Moment,
}

/// What is on its way.
#[derive(Debug, Clone)]
pub(super) enum Request {
    List,
    Apply { types: BTreeSet<RecordType>, changes: Vec<Change> },
}

/// What the engine remembers of one (name, type).
#[derive(Debug, Clone, Default)]
pub(super) struct TypeState {
    pub(super) since: Moment,
    /// How many readings in a row showed no address that is fit.
    pub(super) absent_readings: u32,
    pub(super) last_change: Option<LastChange>,
    change: Attempts,
}

/// Failures in a row of one kind of request.
#[derive(Debug, Clone, Default)]
struct Attempts {
    failures: u32,
    not_before: Moment,
    last_error: Option<LastError>,
}

impl Attempts {
    fn failed(&mut self, error: &ProviderError, now: Moment, retry_at: Moment) {
        self.failures += 1;
        self.not_before = retry_at;
        self.last_error = Some(LastError { error: error.clone(), at: now, retry_at });
    }
}

impl NameState {
    pub(super) fn new(now: Moment) -> Self {
        NameState {
            listing: Observed::Unknown,
            must_list: true,
            unconfirmed: false,
            overtaken: false,
            resync: Resync { due: now, held_due: now },
            in_flight: None,
            signals: Signals::default(),
            plans: Vec::new(),
            types: BTreeMap::new(),
            pending_since: None,
            split: false,
            list: Attempts::default(),
        }
    }

    /// When the name is to be read next; `None` while a request is on its way.
    pub(super) fn list_at(&self) -> Option<Moment> {
        let held = self.plans.iter().any(|plan| plan.intent.reason().lies_in_the_pool());
        let wanted = match (self.must_list, held) {
            (true, _) => Moment::default(),
            (false, true) => self.resync.held_due,
            (false, false) => self.resync.due,
        };
        self.in_flight.is_none().then(|| wanted.max(self.list.not_before))
    }

    /// When the next batch may be written; `None` when there is nothing to write, or nothing may be
    /// written before the name has been read.
    pub(super) fn apply_at(&self) -> Option<Moment> {
        let ready = self.in_flight.is_none() && !self.must_list;
        let due = self.pending().map(|plan| self.not_before(plan.rtype)).min();
        due.filter(|_| ready)
    }

    /// The batch to write now, which then counts as on its way: every type that is due, or the one
    /// that failed least while they go one by one.
    pub(super) fn begin_apply(&mut self, now: Moment) -> Vec<Change> {
        let mut due: Vec<&TypePlan> = self.pending().filter(|plan| self.not_before(plan.rtype) <= now).collect();
        if self.split {
            due.sort_by_key(|plan| self.types.get(&plan.rtype).map_or(0, |state| state.change.failures));
            due.truncate(1);
        }
        let types = due.iter().map(|plan| plan.rtype).collect();
        let changes: Vec<Change> = due.iter().flat_map(|plan| plan.changes.clone()).collect();
        self.in_flight = Some(Request::Apply { types, changes: changes.clone() });
        // Whoever writes goes to the back of the queue.
        self.pending_since = None;
        changes
    }

    /// Anything may have changed unseen: nothing is written before the name has been read from now on.
    pub(super) fn recheck(&mut self) {
        self.must_list = true;
        self.overtaken = matches!(self.in_flight, Some(Request::List));
    }

    /// What the name is expected to hold, as far as that can be said; `None` when it cannot.
    pub(super) fn expected(&self) -> Option<&Listing> {
        self.listing.known().filter(|_| !self.unconfirmed)
    }

    /// A listing failed: what is remembered stays as trustworthy as it was.
    pub(super) fn list_failed(&mut self, error: &ProviderError, random: &mut Random, now: Moment) -> Moment {
        let retry_at = now + backoff(random, self.list.failures + 1);
        self.list.failed(error, now, retry_at);
        retry_at
    }

    /// A listing came back whole; how many had failed before it.
    pub(super) fn listed(&mut self, listing: Listing, resync: Resync) -> u32 {
        self.listing = Observed::Known(listing);
        self.must_list = std::mem::take(&mut self.overtaken);
        self.unconfirmed = false;
        self.resync = resync;
        std::mem::take(&mut self.list).failures
    }

    /// A batch failed; when to try again.
    pub(super) fn apply_failed(
        &mut self,
        types: &BTreeSet<RecordType>,
        error: &ProviderError,
        random: &mut Random,
        now: Moment,
    ) -> Moment {
        let before = types
            .iter()
            .filter_map(|rtype| self.types.get(rtype))
            .map(|state| state.change.failures)
            .max()
            .unwrap_or(0);
        let refused = error.kind == ErrorKind::Refused;
        // The first refusal mostly means that somebody else was faster: read again and decide anew, at once.
        let at_once = refused && (before == 0 || (types.len() > 1 && !self.split));
        let retry_at = if at_once { now } else { now + backoff(random, before + 1) };
        match error.kind {
            ErrorKind::Refused => {
                self.must_list = true;
                self.split |= types.len() > 1;
            }
            ErrorKind::Unconfirmed | ErrorKind::NoSuchZone => {
                self.must_list = true;
                self.unconfirmed = true;
                self.list.not_before = retry_at;
            }
            // Nothing was changed, so what is remembered still holds.
            ErrorKind::Throttled
            | ErrorKind::Busy
            | ErrorKind::Denied
            | ErrorKind::Credentials
            | ErrorKind::Unavailable => {}
        }
        for rtype in types {
            self.types.entry(*rtype).or_default().change.failed(error, now, retry_at);
        }
        retry_at
    }

    /// A batch was carried out; how many tries had failed before it.
    pub(super) fn applied(&mut self, types: &BTreeSet<RecordType>) -> u32 {
        let states = self.types.iter_mut().filter(|(rtype, _)| types.contains(rtype));
        states.map(|(_, state)| std::mem::take(&mut state.change).failures).max().unwrap_or(0)
    }

    /// After deciding anew: keeps the place in the queue, and forgets the failures of every type
    /// that has nothing left to write, unless that is only because too little is known at the
    /// moment. `looked` says that the name has just been read. How many tries had failed.
    pub(super) fn decided(&mut self, looked: bool, now: Moment) -> u32 {
        let is_done = |plan: &TypePlan| plan.changes.is_empty() && (plan.in_sync || looked);
        let open: BTreeSet<RecordType> =
            self.plans.iter().filter(|plan| !is_done(plan)).map(|plan| plan.rtype).collect();
        let mut forgotten = 0;
        for (_, state) in self.types.iter_mut().filter(|(rtype, _)| !open.contains(rtype)) {
            forgotten = forgotten.max(std::mem::take(&mut state.change).failures);
        }
        self.split &= self.types.values().any(|state| state.change.failures > 0);
        let waits = self.pending().next().is_some();
        self.pending_since = if waits { self.pending_since.or(Some(now)) } else { None };
        forgotten
    }

    /// The failure to show for one type: its own change's, else the listing's.
    pub(super) fn last_error(&self, rtype: RecordType) -> Option<LastError> {
        let own = self.types.get(&rtype).and_then(|state| state.change.last_error.clone());
        own.or_else(|| self.list.last_error.clone())
    }

    fn pending(&self) -> impl Iterator<Item = &TypePlan> {
        self.plans.iter().filter(|plan| !plan.changes.is_empty())
    }

    fn not_before(&self, rtype: RecordType) -> Moment {
        self.types.get(&rtype).map(|state| state.change.not_before).unwrap_or_default()
    }
}
