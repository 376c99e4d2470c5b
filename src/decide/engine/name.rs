//! What the engine remembers of one name.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::fitness::Signals;
use crate::decide::observed::Observed;
use crate::decide::plan::TypePlan;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::random::{BACKOFF_CAP, Random, backoff};
use crate::decide::reason::{Intent, Reason};
use crate::decide::record::{Change, Listing, RecordSet, RecordType};
use crate::decide::report::{LastChange, LastError};
use crate::decide::time::Moment;

/// What the engine remembers of one name.
#[derive(Debug, Clone)]
pub(super) struct NameState {
    pub(super) listing: Observed<Listing>,
    /// The types whose pool may be other than remembered: nothing is written to it before the name has been read.
    unread: BTreeSet<RecordType>,
    /// A batch was never answered, so what it left behind is nobody's drift.
    unconfirmed: bool,
    /// A listing that is on its way has been overtaken: it is not the last word.
    overtaken: bool,
    resync: Resync,
    /// When the name was last read whole.
    read_at: Moment,
    pub(super) in_flight: Option<Request>,
    pub(super) signals: Signals,
    /// What we want, per type, as of the last event.
    pub(super) plans: Vec<TypePlan>,
    pub(super) types: BTreeMap<RecordType, TypeState>,
    /// Since when there has been something to write, so that names take turns.
    pub(super) pending_since: Option<Moment>,
    /// A batch for several types was refused: one type at a time, so that one cannot hold up the other.
    pub(super) split: bool,
    departure: Departure,
    list: Attempts,
}

/// What a shutdown of the system means for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Departure {
    /// There is none.
    None,
    /// The record sets stay as they are, whatever happens from now on.
    Stays,
    /// The record sets are to leave; whether the name has been read since that is so.
    Leaves { looked: bool },
}

/// When the name is read again though nothing has happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resync {
    /// In steady state.
    pub(super) due: Moment,
    /// While something in the pool keeps us from what we want: whoever mends that should not wait long.
    pub(super) held_due: Moment,
    /// When something in the pool begins to keep us from what we want, no sooner than this.
    pub(super) newly_held_due: Moment,
}

/// What is on its way.
#[derive(Debug, Clone)]
pub(super) enum Request {
    List,
    Apply {
        types: BTreeSet<RecordType>,
        changes: Vec<Change>,
    },
    /// The removal of dead siblings' record sets.
    Remove(Vec<Change>),
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
pub(super) struct Attempts {
    pub(super) failures: u32,
    pub(super) not_before: Moment,
    pub(super) last_error: Option<LastError>,
}

impl Attempts {
    pub(super) fn failed(&mut self, error: &ProviderError, now: Moment, retry_at: Moment) {
        self.failures += 1;
        self.not_before = retry_at;
        self.last_error = Some(LastError { error: error.clone(), at: now, retry_at });
    }
}

impl NameState {
    /// A name of which nothing is known; `in_flight` is what is still on its way from an earlier life.
    pub(super) fn new(in_flight: Option<Request>, now: Moment) -> Self {
        NameState {
            listing: Observed::Unknown,
            unread: BTreeSet::from(RecordType::ALL),
            unconfirmed: false,
            overtaken: false,
            resync: Resync { due: now, held_due: now, newly_held_due: now },
            read_at: Moment::default(),
            in_flight,
            signals: Signals::default(),
            plans: Vec::new(),
            types: BTreeMap::new(),
            pending_since: None,
            split: false,
            departure: Departure::None,
            list: Attempts::default(),
        }
    }

    /// When the name is to be read next; `None` while a request is on its way.
    pub(super) fn list_at(&self) -> Option<Moment> {
        let held = self.plans.iter().any(|plan| plan.intent.reason().lies_in_the_pool());
        let routine = if held { self.resync.held_due } else { self.resync.due };
        // Right before the next try, as what is swapped must be what is there.
        let unread = self.unread.iter().map(|rtype| self.not_before(*rtype)).min();
        let wanted = match unread {
            Some(unread) => unread.min(routine),
            // Even when what it was for has passed, or its failure would be shown until the next resync.
            None if self.list.failures > 0 => self.list.not_before,
            None => routine,
        };
        self.is_free().then(|| wanted.max(self.list.not_before))
    }

    /// When the next batch may be written; `None` when there is nothing to write, or nothing may be
    /// written before the name has been read.
    pub(super) fn apply_at(&self) -> Option<Moment> {
        let due = self.pending().map(|plan| self.not_before(plan.rtype)).min();
        due.filter(|_| self.is_free())
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

    /// The pool as remembered has begun to keep us from what we want. What has happened to it since
    /// it was read may already have ended that, so it is read before that is believed for long.
    pub(super) fn begins_to_be_held(&mut self) {
        self.resync.held_due = self.resync.held_due.min(self.resync.newly_held_due);
    }

    /// Anything may have changed unseen: nothing is written before the name has been read from now on.
    pub(super) fn recheck(&mut self) {
        self.unread = BTreeSet::from(RecordType::ALL);
        self.overtaken = matches!(self.in_flight, Some(Request::List));
    }

    /// Somebody waits to hear whether the pool still keeps us from what we want, which is not told
    /// before the name has been read; but one who asks again and again has it read no more often.
    pub(super) fn recheck_held(&mut self, now: Moment) {
        if now < self.resync.newly_held_due {
            self.begins_to_be_held();
        } else {
            // A listing that is on its way is new enough.
            self.unread = BTreeSet::from(RecordType::ALL);
        }
    }

    /// The system stops: the record sets leave, or, where the record ignores that, stay as they are.
    ///
    /// There is little time, so everything is tried at once, however long it has been failing; and
    /// what is in the way is looked at once more, as it may have gone since the name was read.
    pub(super) fn depart(&mut self, leaves: bool, now: Moment) {
        if !leaves {
            self.departure = Departure::Stays;
            return;
        }
        self.departure = Departure::Leaves { looked: false };
        self.resync.held_due = now;
        let changes = self.types.values_mut().map(|state| &mut state.change);
        for attempts in changes.chain([&mut self.list]) {
            attempts.failures = 0;
            attempts.not_before = now;
        }
    }

    /// Whether, as the system stops, there is nothing left to do: the record sets are gone, or a
    /// guard forbids it and has been asked again, or they are to stay.
    pub(super) fn has_departed(&self) -> bool {
        let is_writing = matches!(self.in_flight, Some(Request::Apply { .. } | Request::Remove(_)));
        let looked = match self.departure {
            Departure::None => return false,
            Departure::Stays => return !is_writing,
            Departure::Leaves { looked } => looked,
        };
        let is_done = |plan: &TypePlan| match &plan.intent {
            Intent::Withdraw(_) => plan.in_sync,
            Intent::Hold(Reason::KeepMin(_)) => looked && plan.changes.is_empty(),
            Intent::Publish(_) | Intent::Hold(_) | Intent::Preserve(_) => false,
        };
        self.in_flight.is_none() && self.unread.is_empty() && self.plans.iter().all(is_done)
    }

    /// Whether a request may be sent for it.
    pub(super) fn is_free(&self) -> bool {
        self.in_flight.is_none() && self.departure != Departure::Stays
    }

    /// Before this it is not read again, as it could not be read.
    pub(super) fn readable_at(&self) -> Moment {
        self.list.not_before
    }

    /// Reads the name soon after `when`, if that has not been done.
    pub(super) fn read_by(&mut self, when: Moment) {
        if self.read_at < when {
            self.resync.due = self.resync.due.min(when);
            self.resync.held_due = self.resync.held_due.min(when);
        }
    }

    /// Whether the name has been read since `since`, and nothing has become doubtful or is being written.
    pub(super) fn is_read_since(&self, since: Moment) -> bool {
        self.read_at >= since && self.unread.is_empty() && !matches!(self.in_flight, Some(Request::Apply { .. }))
    }

    /// Every record set at the name, as far as is known.
    pub(super) fn record_sets(&self) -> impl Iterator<Item = &RecordSet> {
        self.listing.known().into_iter().flat_map(|listing| listing.pools.values()).flat_map(BTreeMap::values)
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
    pub(super) fn listed(&mut self, listing: Listing, resync: Resync, now: Moment) -> u32 {
        self.read_at = now;
        self.listing = Observed::Known(listing);
        if !std::mem::take(&mut self.overtaken) {
            self.unread.clear();
        }
        self.unconfirmed = false;
        if let Departure::Leaves { looked } = &mut self.departure {
            *looked = true;
        }
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
                self.unread.extend(types);
                self.split |= types.len() > 1;
            }
            ErrorKind::Unconfirmed | ErrorKind::NoSuchZone => {
                self.unread.extend(types);
                self.unconfirmed = true;
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

    /// After deciding anew: keeps the place in the queue, and stops showing the failures of every
    /// type that has nothing left to write. They keep counting until a try succeeds, or nothing has
    /// been tried for a while: otherwise what flaps would start over with the shortest wait each
    /// time. `looked` says that the name has just been read; if that shows what is wanted, a try
    /// has succeeded after all. How many had failed before it.
    pub(super) fn decided(&mut self, looked: bool, now: Moment) -> u32 {
        let mut forgotten = 0;
        for (rtype, state) in &mut self.types {
            let plan = self.plans.iter().find(|plan| plan.rtype == *rtype);
            let in_sync = plan.is_none_or(|plan| plan.in_sync);
            // Until it has been read again, an empty plan may rest on what is no longer true.
            let is_open = plan.is_some_and(|plan| !plan.changes.is_empty()) || self.unread.contains(rtype);
            if is_open || !(in_sync || looked) {
                continue;
            }
            state.change.last_error = None;
            if (looked && in_sync) || now >= state.change.not_before + BACKOFF_CAP {
                forgotten = forgotten.max(std::mem::take(&mut state.change).failures);
            }
        }
        self.split &= self.types.values().any(|state| state.change.failures > 0);
        let waits = self.pending().next().is_some();
        self.pending_since = if waits { self.pending_since.or(Some(now)) } else { None };
        forgotten
    }

    /// How many batches in a row have failed, per type.
    pub(super) fn failures(&self) -> BTreeMap<RecordType, u32> {
        self.types.iter().map(|(rtype, state)| (*rtype, state.change.failures)).collect()
    }

    /// The failure to show for one type: its own change's, else the listing's.
    pub(super) fn last_error(&self, rtype: RecordType) -> Option<LastError> {
        let own = self.types.get(&rtype).and_then(|state| state.change.last_error.clone());
        own.or_else(|| self.list.last_error.clone())
    }

    /// Whether what is remembered of this type's pool is what was last read or written.
    pub(super) fn is_read(&self, rtype: RecordType) -> bool {
        !self.unread.contains(&rtype)
    }

    /// Whether the next listing is a mere precaution.
    pub(super) fn is_routine(&self) -> bool {
        self.unread.is_empty()
    }

    /// What there is to write that may be written.
    fn pending(&self) -> impl Iterator<Item = &TypePlan> {
        self.plans.iter().filter(|plan| !plan.changes.is_empty() && self.is_read(plan.rtype))
    }

    fn not_before(&self, rtype: RecordType) -> Moment {
        self.types.get(&rtype).map(|state| state.change.not_before).unwrap_or_default()
    }
}
