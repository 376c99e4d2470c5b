//! The log of requests.

use std::time::{Instant, SystemTime};

use crate::model::{Action, Operation, RecordSet};

/// One request, from its head on.
#[derive(Debug, Clone)]
pub struct Request {
    /// Counts up from 1 over the life of the simulator.
    pub sequence: u64,
    /// When its head had arrived.
    pub at: Instant,
    /// The same moment on the wall clock.
    pub wall: SystemTime,
    /// What it asked for.
    pub operation: Operation,
    /// The zone it was about.
    pub zone: Option<String>,
    /// Method, path and query.
    pub line: String,
    /// The access key that signed it.
    pub access_key: Option<String>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The changes it asked for, if it was a well-formed change batch.
    pub changes: Vec<(Action, RecordSet)>,
    /// The change it led to. Also set when the answer was withheld.
    pub change_id: Option<String>,
    /// The status that was answered; none while it is worked on, and for ever if no answer was given.
    pub status: Option<u16>,
    /// The error code that was answered.
    pub code: Option<String>,
    /// The error message that was answered.
    pub message: Option<String>,
    /// When the answer was ready.
    pub answered_at: Option<Instant>,
}

/// Requests in the order in which they arrived.
#[derive(Debug, Default)]
pub(crate) struct Log {
    requests: Vec<Request>,
    sequence: u64,
}

impl Log {
    /// Enters a request and returns its number.
    pub(crate) fn push(&mut self, mut request: Request) -> u64 {
        self.sequence += 1;
        request.sequence = self.sequence;
        self.requests.push(request);
        self.sequence
    }

    /// Completes an entry; nothing happens if the log was cleared meanwhile.
    pub(crate) fn update(&mut self, sequence: u64, with: impl FnOnce(&mut Request)) {
        if let Ok(index) = self.requests.binary_search_by_key(&sequence, |request| request.sequence)
            && let Some(request) = self.requests.get_mut(index)
        {
            with(request);
        }
    }

    pub(crate) fn requests(&self) -> &[Request] {
        &self.requests
    }

    pub(crate) fn clear(&mut self) {
        self.requests.clear();
    }
}
